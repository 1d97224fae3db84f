#!/usr/bin/perl
# metrics.pl - samples of metrics: COPY, multi-row statements and the text of an exporter
# into aggwin against a plain indexed table, without and with the default rollup; an hour
# of a thousand series; a percentile of a month of one series from its hours
use strict;
use warnings;
use Bench;
use Time::HiRes qw(time);

use constant { SERIES => 1000, BATCH => 50_000, STATEMENT => 1000, STATEMENTS => 20, HOUR => 3600, MONTH => 30 };

my $work = $ENV{PGHOST};
my $psql = session();
$psql->ask('CREATE EXTENSION aggwin');
$psql->ask('SELECT aggwin.enable_metrics(NULL)');
$psql->ask('CREATE TABLE plain (metric text, labels jsonb, ts timestamptz, value float8)');
$psql->ask('CREATE INDEX ON plain (metric, ts)');

# Where samples are rolled up is another database: there is one table of samples in each.
my @databases;

sub rolled_up
{
	my ($name) = @_;
	my $database = "$ENV{PGDATABASE}_$name";

	$psql->ask("CREATE DATABASE $database");
	push @databases, $database;
	my $session = session($database);
	$session->ask('CREATE EXTENSION aggwin');
	$session->ask('SELECT aggwin.enable_metrics()');
	return $session;
}

my $rolled = rolled_up('rolled');

sub refresh
{
	my ($session) = @_;
	$session->ask(q{SELECT aggwin.refresh('samples_rollup_1h')});
}

# A thousand series, a sample of each in a second, from three days ago on. Sample
# number $i as text for COPY.
my $start = 86_400 * int(time / 86_400) - 3 * 86_400;
my @labels = map { sprintf '{"job": "api", "instance": "host%d:9100", "mode": "m%d"}', $_ / 8, $_ % 8 } 0 .. SERIES - 1;

sub sample
{
	my ($i) = @_;
	my @t = gmtime $start + int($i / SERIES);
	return ('node_cpu_seconds_total', $labels[ $i % SERIES ],
		sprintf('%04d-%02d-%02d %02d:%02d:%02d+00', $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ]),
		int(rand 1e6) / 64);
}

my $sent = 0;

sub write_batch
{
	open my $file, '>', "$work/batch" or die "bench: $work/batch: $!\n";
	print $file join("\t", sample($sent++)), "\n" for 1 .. BATCH;
	close $file or die "bench: $work/batch: $!\n";
}

sub same_samples
{
	my ($row) = $psql->ask('WITH a AS (TABLE aggwin.sample_input), b AS (TABLE plain)
		SELECT (SELECT count(*) FROM b), (SELECT count(*) FROM (TABLE a EXCEPT ALL TABLE b) AS extra),
			(SELECT count(*) FROM (TABLE b EXCEPT ALL TABLE a) AS missing)');
	my ($rows, $extra, $missing) = @$row;
	die "bench: of $rows samples $missing are missing, $extra are too many\n" if $missing || $extra || !$rows;
	return $rows;
}

sub same_counts
{
	my ($session, $what) = @_;
	my $series_minutes = same_answers($session, $what, 'SELECT bucket, series_id, aggwin.num_vals(stats) AS n FROM samples_rollup',
		q{SELECT aggwin.time_bucket('1 minute', ts), series_id, count(*) FROM aggwin.samples GROUP BY 1, 2});
	return $series_minutes;
}

sub copy_to
{
	my ($session, $table) = @_;
	$session->send_text("\\copy $table FROM '$work/batch'\n");
	$session->ask('SELECT 1');
}

my %copies = (
	psql => { '' => $psql, rolled => $rolled, folded => $rolled },
	before => \&write_batch);
my $result = measure(
	%copies,
	rounds => rounds(20),
	sides => {
		plain => sub { copy_to($psql, 'plain') },
		metrics => sub { copy_to($psql, 'aggwin.sample_input') },
		rolled => sub { copy_to($rolled, 'aggwin.sample_input') } },
	after => sub { refresh($rolled) });
report('COPY, rows a second, metrics / plain table', [ ratios($result, 's', qw(plain metrics)) ],
	[ ratios($result, 'cpu', qw(plain metrics)) ], '>= 0.5');
report('the same with the default rollup', [ ratios($result, 's', qw(plain rolled)) ],
	[ ratios($result, 'cpu', qw(plain rolled)) ], '>= 0.5');
report('COPY, rows a second, with the default rollup / without', [ ratios($result, 's', qw(metrics rolled)) ],
	[ ratios($result, 'cpu', qw(metrics rolled)) ], undef);
note('%.0f samples a second by COPY, %.0f with the default rollup', map { my $side = $_; BATCH / median(map { $_->{s} } @{ $result->{$side} }) } qw(metrics rolled));
$result = measure(
	%copies,
	rounds => rounds(10),
	sides => {
		metrics => sub { copy_to($psql, 'aggwin.sample_input') },
		folded => sub { copy_to($rolled, 'aggwin.sample_input'); refresh($rolled) } },
	after => sub { copy_to($psql, 'plain') });
report('the same with a fold of all tiers after each 50,000 samples', [ ratios($result, 's', qw(metrics folded)) ],
	[ ratios($result, 'cpu', qw(metrics folded)) ], undef);
note('%d minutes of series compared: equal', same_counts($rolled, 'COPY'));

# The same samples by both ways, in statements of many rows.
my (@inserts, @ingests);

sub write_statements
{
	@inserts = @ingests = ();
	for (1 .. STATEMENTS)
	{
		my @rows = map { sprintf q{('%s', '%s', '%s', %s)}, sample($sent++) } 1 .. STATEMENT;

		push @inserts, 'INSERT INTO plain VALUES ' . join ', ', @rows;
		push @ingests, 'SELECT aggwin.ingest(ARRAY[' . join(', ', map { "$_" } @rows) . ']::aggwin.sample[])';
	}
}

$result = measure(
	rounds => rounds(20),
	psql => { '' => $psql },
	before => \&write_statements,
	sides => {
		plain => sub { $psql->ask($_) for @inserts },
		metrics => sub { $psql->ask($_) for @ingests }
	});
report('ingest() of 1,000 samples / INSERT of 1,000 rows, rows a second',
	[ ratios($result, 's', qw(plain metrics)) ], [ ratios($result, 'cpu', qw(plain metrics)) ], undef);
note('%d samples compared: equal', same_samples());
refresh($rolled);

# What an exporter with 12,800 series tells, again and again.
for my $session ($psql, $rolled)
{
	$session->ask(q{CREATE TABLE page AS SELECT string_agg(format(E'# HELP m%1$s_seconds_total Seconds spent in each mode.\n# TYPE m%1$s_seconds_total counter\n%2$s', m, x), '') AS t
		FROM generate_series(1, 100) AS m, LATERAL (
			SELECT string_agg(format(E'm%s_seconds_total{cpu="%s",mode="%s",device="nvme0n1"} %s\n', m, c, mode, c * 1234.567 + m), '') AS x
			FROM generate_series(1, 16) AS c, unnest('{idle,user,system,iowait,nice,irq,softirq,steal}'::text[]) AS mode) AS y});
	$session->ask("SELECT aggwin.ingest_text(t, now() - interval '1 hour') FROM page");
}
my ($row) = $psql->ask('SELECT octet_length(t) FROM page');
my $bytes = $row->[0];
my $second = 0;

sub ingest_page
{
	my ($session) = @_;
	$session->ask("SELECT aggwin.ingest_text(t, now() - interval '1 hour' + $second * interval '1 second') FROM page");
}

$result = measure(
	rounds => rounds(10),
	psql => { '' => $psql, rolled => $rolled },
	before => sub { $second += 15 },
	sides => {
		stored => sub { ingest_page($psql) },
		rolled => sub { ingest_page($rolled) },
		# Refused for their time, so that nothing but reading is left.
		read => sub { $psql->ask("SELECT aggwin.ingest_text(t, now() - interval '100 years') FROM page") } },
	after => sub { refresh($rolled) });
note('ingest_text(): %.0f MB/s read, %.1f MB/s stored', map { my $side = $_; $bytes / 1e6 / median(map { $_->{s} } @{ $result->{$side} }) } qw(read stored));
report('ingest_text(), samples a second, with the default rollup / without', [ ratios($result, 's', qw(stored rolled)) ],
	[ ratios($result, 'cpu', qw(stored rolled)) ], undef);
note('%.0f samples a second of a page, %.0f with the default rollup', map { my $side = $_; 12_800 / median(map { $_->{s} } @{ $result->{$side} }) } qw(stored rolled));

# An hour of a thousand series, a sample each second, as fast as COPY takes it, then
# folded at once; and a second rollup of what is there.
my $hour = rolled_up('hour');
my ($copied, $folded, $later) = (0, 0, 0);
$sent = 0;
for (1 .. SERIES * HOUR / BATCH)
{
	write_batch();
	$copied += seconds_of(sub { copy_to($hour, 'aggwin.sample_input') });
}
$folded = seconds_of(sub { refresh($hour) });
note('backfill: %d samples of %d series, an hour: COPY %.0f s, fold %.1f s, %.0f samples a second; a day would be 24 times as much',
	$sent, SERIES, $copied, $folded, $sent / ($copied + $folded));
$later = seconds_of(sub {
	$hour->ask(q{SELECT aggwin.create_metric_rollup('later')});
	$hour->ask(q{SELECT aggwin.refresh('later_1h')}) });
note('backfill: another rollup of these samples, from all of them: %.0f s', $later);
note('%d minutes of series compared: equal', same_counts($hour, 'an hour'));

sub seconds_of
{
	my ($code) = @_;
	my $begin = time;
	$code->();
	return time - $begin;
}

# A month of one series: its 95th percentile from the hours, and from all samples.
my $month = rolled_up('month');
my $end = 86_400 * int(time / 86_400);
my ($from, $to) = map { "to_timestamp($_)" } $end - MONTH * 86_400, $end;
for my $day (1 .. MONTH)
{
	$month->ask("INSERT INTO aggwin.sample_input SELECT 'api_seconds', '{\"path\": \"/\"}', $from + ($day - 1) * interval '1 day' + s * interval '1 s',
		0.02 * exp(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) * (2 + sin(s / 13751.0)) FROM generate_series(0, 86399) AS s");
}
refresh($month);
$month->ask('VACUUM ANALYZE');
my %p95;
$result = measure(
	rounds => rounds(10),
	psql => { '' => $month },
	parallel => 1,
	sides => {
		raw => sub { ($p95{raw}) = map { $_->[0] } $month->ask("SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY value) FROM aggwin.samples
			WHERE series_id = (SELECT series_id FROM aggwin.series) AND ts >= $from AND ts < $to") },
		tiers => sub { ($p95{tiers}) = map { $_->[0] } $month->ask("SELECT aggwin.percentile_over('api_seconds', '', $from, $to, 0.95)") } });
die "bench: p95 of a month: $p95{tiers} by tiers, $p95{raw} of all samples\n" if abs($p95{tiers} / $p95{raw} - 1) > 0.01;
report('p95 of 30 days of one series: percentile_cont / percentile_over', [ ratios($result, 's', qw(raw tiers)) ],
	[ ratios($result, 'cpu', qw(raw tiers)) ], '>= 100');
note('p95 of a month: %.1f ms from %d samples, %.2f ms from its hours, off by %.2f %%', 1000 * median(map { $_->{s} } @{ $result->{raw} }), 86_400 * MONTH,
	1000 * median(map { $_->{s} } @{ $result->{tiers} }), 100 * ($p95{tiers} / $p95{raw} - 1));
same_counts($month, 'a month');

# What is on disk, with indexes.
for ([ 'an hour of 1,000 series', $hour ], [ 'a month of one series', $month ])
{
	my ($name, $session) = @$_;
	$session->ask('VACUUM aggwin.samples');
	my ($sizes) = $session->ask(q{SELECT (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'aggwin.samples'::regclass),
		(SELECT count(*) FROM aggwin.samples), (SELECT count(*) FROM samples_rollup),
		(SELECT string_agg(state_bytes::text, ' ' ORDER BY tier) FROM aggwin.rollup_status WHERE rollup::text LIKE 'samples_rollup%')});
	my ($raw, $samples, $minutes, $states) = @$sizes;
	my @states = map { $_ / $minutes } split ' ', $states;
	note('%s, bytes a minute of a series: samples %.0f (%.0f each), rollup %.0f, tiers %.0f and %.1f', $name, $raw / $minutes, $raw / $samples, @states);
}
$_->close or die "bench: psql ended badly\n" for $rolled, $hour, $month;
$psql->ask("DROP DATABASE $_ WITH (FORCE)") for @databases;
$psql->close or die "bench: psql ended badly\n";
