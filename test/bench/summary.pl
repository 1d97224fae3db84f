#!/usr/bin/perl
# summary.pl - summaries of five million values: against plain aggregates, and
# against the tdigest extension where it is installed
#
# Latencies with a long tail, of 80,000 keys; one process unless it says
# otherwise. JIT is off: compiling would take as long on either side of a ratio,
# and so flatter it.
use strict;
use warnings;
use Bench;

use constant {
	ROWS => 5_000_000,
	GROUPS => 80_000,
	SKETCHES => 33_000,
	SKETCH_VALUES => 60,
};

my $psql = session();
$psql->ask('CREATE EXTENSION aggwin');
$psql->ask('SET jit = off');
$psql->ask('SET max_parallel_workers_per_gather = 0');
$psql->ask("SET work_mem = '1GB'");    # so that 80,000 groups of either kind are hashed
$psql->ask('SET synchronize_seqscans = off');    # the first rows are the same each time

my ($peer) = map { $_->[0] }
  $psql->ask("SELECT count(*) FROM pg_available_extensions WHERE name = 'tdigest'");
if ($peer) { $psql->ask('CREATE EXTENSION tdigest') }
else { note('no comparison with tdigest: it is not installed') }

$psql->ask('SELECT setseed(0.5)');
$psql->ask("CREATE UNLOGGED TABLE latency AS
	SELECT (random() * @{[ GROUPS - 1 ]})::integer AS key,
		exp(3 + sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS value
	FROM generate_series(1, @{[ ROWS ]})");
$psql->ask('VACUUM ANALYZE latency');

my $hist = q[aggwin.hist_agg(value, '{1, 2, 5, 10, 20, 50, 100, 200, 500}')];

sub ms
{
	my ($result, $side) = @_;
	return 1000 * median(map { $_->{s} } @{ $result->{$side} });
}

sub compare
{
	my ($result, $what, $side, $other, $bar) = @_;
	report($what, [ ratios($result, 's', $side, $other) ], [ ratios($result, 'cpu', $side, $other) ], $bar);
}

sub is_so
{
	my ($what, $query) = @_;
	my ($row) = $psql->ask("SELECT ($query)");
	die "bench: $what: not so\n" unless $row->[0] eq 't';
}

# One state of all values -------------------------------------------------------

my %query = (
	sum => 'SELECT sum(value) FROM latency',
	exp => 'SELECT aggwin.percentile(aggwin.exp_hist_agg(value), 0.95) FROM latency',
	hist => "SELECT aggwin.percentile($hist, 0.95) FROM latency",
	$peer ? (tdigest => 'SELECT tdigest_percentile(value, 100, 0.95) FROM latency') : ());

sub sides
{
	my ($query) = @_;
	return { map { my $sql = $query->{$_}; $_ => sub { $psql->ask($sql) } } keys %$query };
}

my $serial = measure(rounds => rounds(7), psql => { '' => $psql }, sides => sides(\%query));
compare($serial, 'five million values: exp_hist_agg / sum', 'exp', 'sum', '<= 1.10');
compare($serial, 'the same: hist_agg with nine bounds / sum', 'hist', 'sum', '<= 1.25');
if ($peer)
{
	compare($serial, 'the same: exp_hist_agg / tdigest', 'exp', 'tdigest');
	compare($serial, 'the same: hist_agg / tdigest', 'hist', 'tdigest');
}
is_so('the error of percentiles', q[
	SELECT bool_and(abs(a / b - 1) <= 0.01)
	FROM (SELECT aggwin.percentiles(aggwin.exp_hist_agg(value), '{0.01, 0.5, 0.95, 0.999}') AS approximate,
			percentile_disc('{0.01, 0.5, 0.95, 0.999}'::float8[]) WITHIN GROUP (ORDER BY value) AS exact
		FROM latency) AS both_of, unnest(approximate, exact) AS pair (a, b)]);
note('sum %.0f ms, exp_hist_agg %.0f ms, hist_agg %.0f ms; percentiles compared: within 1 %%',
	map { ms($serial, $_) } qw(sum exp hist));

# In parallel -------------------------------------------------------------------

sub in_parallel
{
	my ($sql) = @_;
	$psql->ask('SET max_parallel_workers_per_gather = 2');
	my @rows = $psql->ask($sql);
	$psql->ask('SET max_parallel_workers_per_gather = 0');
	return @rows;
}

for my $side (qw(sum exp hist))
{
	die "bench: $side is not parallel\n" unless grep { $_->[0] =~ /Workers Planned: 2/ } in_parallel("EXPLAIN $query{$side}");
}
my $parallel = measure(
	rounds => rounds(7),
	psql => { '' => $psql },
	parallel => 1,
	sides => {
		map { my $side = $_; ("serial $side" => sub { $psql->ask($query{$side}) }, "parallel $side" => sub { in_parallel($query{$side}) }) }
		qw(sum exp hist)
	});
for ([ sum => 'sum' ], [ exp => 'exp_hist_agg' ], [ hist => 'hist_agg' ])
{
	my ($side, $name) = @$_;
	compare($parallel, "$name, two workers planned: parallel / serial", "parallel $side", "serial $side");
}
my $buckets = 'SELECT aggwin.buckets(aggwin.exp_hist_agg(value))::text FROM latency';
my $rows = join '', map { "@$_\n" } in_parallel($buckets);
die "bench: parallel: other buckets\n" unless $rows eq join '', map { "@$_\n" } $psql->ask($buckets);
note('all buckets of the parallel state compared: equal');

# Many groups -------------------------------------------------------------------

my %groups = (
	four => 'SELECT count(n), count(s), count(l), count(h) FROM (
		SELECT key, count(value) AS n, sum(value) AS s, min(value) AS l, max(value) AS h FROM latency GROUP BY key) AS g',
	exp => 'SELECT count(s) FROM (SELECT key, aggwin.exp_hist_agg(value) AS s FROM latency GROUP BY key) AS g',
	hist => "SELECT count(s) FROM (SELECT key, $hist AS s FROM latency GROUP BY key) AS g",
	$peer ? (tdigest => 'SELECT count(s) FROM (SELECT key, tdigest(value, 100) AS s FROM latency GROUP BY key) AS g') : ());

for my $side (grep { $_ ne 'tdigest' } keys %groups)
{
	my $plan = join "\n", map { "@$_" } $psql->ask("EXPLAIN (ANALYZE, TIMING off) $groups{$side}");
	die "bench: $side: not hashed in memory\n$plan\n" unless $plan =~ /HashAggregate.*?Batches: 1 /s;
}
my $grouped = measure(rounds => rounds(5), psql => { '' => $psql }, sides => sides(\%groups));
compare($grouped, '80,000 groups: exp_hist_agg / count, sum, min, max', 'exp', 'four', '<= 1.10');
compare($grouped, '80,000 groups: hist_agg / count, sum, min, max', 'hist', 'four', '<= 1.10');
compare($grouped, '80,000 groups: exp_hist_agg / tdigest', 'exp', 'tdigest') if $peer;
same_answers($psql, 'groups', "SELECT key, aggwin.num_vals(s), aggwin.min_val(s), aggwin.max_val(s)
	FROM (SELECT key, aggwin.exp_hist_agg(value) AS s FROM latency GROUP BY key) AS g",
	'SELECT key, count(value), min(value), max(value) FROM latency GROUP BY key');
note('count, sum, min, max %.0f ms, exp_hist_agg %.0f ms, hist_agg %.0f ms; counts and extremes compared: equal',
	map { ms($grouped, $_) } qw(four exp hist));

# Many stored states --------------------------------------------------------------

$psql->ask("CREATE UNLOGGED TABLE sketches AS
	SELECT i, aggwin.exp_hist_agg(value) AS exp, $hist AS hist" . ($peer ? ', tdigest(value, 100) AS tdigest' : '') . "
	FROM (SELECT (row_number() OVER () - 1) / @{[ SKETCH_VALUES ]} AS i, value
		FROM (SELECT value FROM latency LIMIT @{[ SKETCHES * SKETCH_VALUES ]}) AS part) AS numbered
	GROUP BY i");
$psql->ask('VACUUM ANALYZE sketches');

my %merge = (
	exp => 'SELECT aggwin.percentile(aggwin.merge(exp), 0.95) FROM sketches',
	hist => 'SELECT aggwin.percentile(aggwin.merge(hist), 0.95) FROM sketches',
	$peer ? (tdigest => 'SELECT tdigest_percentile(tdigest, 0.95) FROM sketches') : ());
my $merged = measure(rounds => rounds(9), psql => { '' => $psql }, sides => sides(\%merge));
if ($peer)
{
	compare($merged, 'merge of 33,000 states and p95: exp_histogram / tdigest', 'exp', 'tdigest');
	compare($merged, 'the same: histogram / tdigest', 'hist', 'tdigest');
}
is_so('the merged state', "SELECT aggwin.merge(exp)::jsonb - 'sum' =
		(SELECT aggwin.exp_hist_agg(value)::jsonb - 'sum' FROM (SELECT value FROM latency LIMIT @{[ SKETCHES * SKETCH_VALUES ]}) AS part)
	FROM sketches");
note('%s; the merged state compared with one made of the values: equal',
	join ', ', map { sprintf '%s %.1f ms', $_, ms($merged, $_) } sort keys %merge);

for my $side (sort keys %merge)
{
	my ($bytes) = map { $_->[0] } $psql->ask("SELECT avg(pg_column_size($side)) FROM sketches");
	report("bytes of a stored state of sixty values: $side", [$bytes], [], $side eq 'exp' ? '<= 250' : undef);
}

$psql->close or die "bench: psql ended badly\n";
