# Pipelines over random series: counters with resets, gauges with NaN and infinities,
# histograms; with gaps, ends, samples that come late, again with another value, are
# deleted or updated, and series that are new. Whatever is done in whatever order, each
# result is what plain SQL over the samples gives, none is missing and none too many.
#
#   AGGWIN_PIPELINES_ROUNDS   how often all is compared (8)
#   AGGWIN_PIPELINES_SEED     what the random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Pipelines qw(rules yaml quoted differences_sql);
use Aggwin::Session;

use constant BEGIN_S => 1_772_359_217;    # 2026-03-01 10:00:17 UTC

my $rounds = $ENV{AGGWIN_PIPELINES_ROUNDS} || 8;
my $seed = $ENV{AGGWIN_PIPELINES_SEED} || int rand 1_000_000_000;

note "AGGWIN_PIPELINES_SEED=$seed AGGWIN_PIPELINES_ROUNDS=$rounds";
srand $seed;

my $node = PostgreSQL::Test::Cluster->new('pipelines');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\naggwin.max_past = 0\n");
$node->start;
my $psql = Aggwin::Session->new($node->connstr('postgres'), 'test');
$psql->rows('CREATE EXTENSION aggwin; SELECT aggwin.enable_metrics()');
my @rules = rules();

# Samples ------------------------------------------------------------------------

my $now = BEGIN_S;
my @series;
my %done;
my $new_host = 0;

sub any
{
	return $_[ rand @_ ];
}

# Eighths: no order of additions makes a difference.
sub eighths
{
	return int(rand $_[0] * 8) / 8;
}

sub gauge
{
	my $n = rand;
	return $n < 0.02 ? 'NaN' : $n < 0.03 ? 'Infinity' : $n < 0.04 ? '-Infinity' : $n < 0.05 ? 0 : eighths(200) - ($_[0]{negative} ? 150 : -1);
}

sub counter
{
	my ($series) = @_;
	return 'NaN' if rand() < 0.01;
	return 'Infinity' if rand() < 0.003;
	$series->{value} = 0 if rand() < 0.05;
	return $series->{value} += rand() < 0.3 ? 0 : eighths(40);
}

sub add_series
{
	my ($metric, $next, %labels) = @_;

	push @series, { metric => $metric, next => $next, labels => '{' . join(', ', map { "\"$_\": \"" . $labels{$_} =~ s/"/\\"/gr . "\"" } sort keys %labels) . '}',
		value => rand() < 0.5 ? 0 : eighths(1000), at => $now, active => 1, negative => $metric eq 'temp' && rand() < 0.3 };
	return;
}

# A host with all that it tells of.
sub add_host
{
	my $host = 'h' . $new_host++;
	my %env = rand() < 0.8 ? (env => any('prod', 'dev')) : ();

	add_series('req_total', \&counter, %env, host => $host, path => any('/', '/buy'));
	add_series('req_total', \&counter, %env, host => $host);
	add_series('temp', \&gauge, %env, rand() < 0.9 ? (host => $host) : (), path => any('/', '/buy', 'é "'));
	add_series('lat_bucket', \&counter, %env, host => $host, le => $_) foreach rand() < 0.9 ? qw(0.5 1 2.5 +Inf) : qw(-1 0 1e+1 none);
	add_series("lat_$_", \&counter, %env, host => $host) foreach qw(sum count);
	return;
}

# [series, ms, value] and so on into the database, some of them at once.
sub ingest
{
	my @rows = map { my ($series, $at, $value) = @$_; "('$series->{metric}', '$series->{labels}'::jsonb, to_timestamp(0) + $at * interval '1 ms', '$value'::float8)" } @_;

	while (my @some = splice @rows, 0, 500 + rand 1500)
	{
		$psql->rows('INSERT INTO aggwin.sample_input (metric, labels, ts, value) VALUES ' . join ', ', @some);
	}
	return;
}

# Samples of a series from when it had its last, in every few seconds; some on edges of windows.
sub stream
{
	my ($series, $until) = @_;
	my @rows;

	while (($series->{at} += any(1, 5, 15, 15, 20, rand 30)) < $until)
	{
		my $ms = rand() < 0.1 ? 30_000 * int($series->{at} / 30) : int(1000 * $series->{at});
		push @rows, [ $series, $ms, $series->{next}->($series) ];
	}
	return @rows;
}

sub go_on
{
	my ($seconds) = @_;
	my %taken;

	$now += $seconds;
	ingest(grep { !$taken{"$_->[0] $_->[1]"}++ } map { stream($_, $now) } grep { $_->{active} } @series);
	foreach my $series (grep { !$_->{active} } @series)
	{
		$series->{at} = $now;
	}
	return;
}

sub somewhen
{
	my ($ago) = @_;
	return int(1000 * ($now - rand($now - BEGIN_S < $ago ? $now - BEGIN_S : $ago)));
}

sub late
{
	my ($ago, $count) = @_;
	my %taken;

	ingest(grep { !$taken{"$_->[0] $_->[1]"}++ } map { my $series = any(@series); [ $series, somewhen($ago), $series->{next} == \&gauge ? gauge($series) : eighths(900) ] } 1 .. $count);
	return;
}

# Samples that are not results, by chance or on end.
sub some_samples
{
	my ($share) = @_;
	my $some = rand() < 0.5 ? sprintf('random() < %.4f', $share)
	  : sprintf(q{ts BETWEEN to_timestamp(%d) AND to_timestamp(%d) AND series_id %% 3 = %d}, map({ $_, $_ + rand 400 } somewhen(1e9) / 1000), rand 3);
	return "series_id IN (SELECT series_id FROM aggwin.series WHERE metric ~ '^(req|temp|lat)') AND $some";
}

my %ACTIONS = (
	go_on => [ 10, sub { go_on(any(5, 30, 60, 100)) } ],
	pause => [ 1, sub { $now += any(40, 200) } ],
	late => [ 3, sub { late(60, 10) } ],
	very_late => [ 1, sub { late(1e9, 1 + rand 3) } ],
	again => [ 2, sub { $psql->rows('INSERT INTO aggwin.sample_input (metric, labels, ts, value) SELECT metric, labels, ts, value + (random() * 80)::int / 8.0
		FROM aggwin.samples JOIN aggwin.series USING (series_id) WHERE ' . some_samples(0.005)) } ],
	delete => [ 1, sub { $psql->rows('DELETE FROM aggwin.samples WHERE ' . some_samples(0.005)) } ],
	update => [ 1, sub { $psql->rows('UPDATE aggwin.samples SET value = value * 2 WHERE ' . some_samples(0.003)) } ],
	new_host => [ 1, \&add_host ],
	end => [ 1, sub {
		my $series = any(@series);
		$psql->rows("INSERT INTO aggwin.sample_input VALUES ('$series->{metric}', '$series->{labels}', to_timestamp($now), aggwin.stale_marker()) ON CONFLICT DO NOTHING") if rand() < 0.7;
		$series->{active} = 0 } ],
	begin_again => [ 1, sub { any(@series)->{active} = 1 } ],
	close => [ 5, sub { $psql->rows('SELECT aggwin.close_windows()') } ],
	fold => [ 3, sub { $psql->rows("SELECT aggwin.refresh('$_')") foreach $psql->rows('SELECT rollup FROM aggwin.rollup_status WHERE random() < 0.7 ORDER BY random()') } ],
	apply => [ 0.5, sub { $psql->rows('SELECT aggwin.apply_pipelines(' . quoted(yaml(grep { rand() < 0.9 } @rules)) . ')'); apply() } ]);

# The samples are old: the clock would close everything at once.
sub apply
{
	my @changes = $psql->rows('SELECT action, "as" FROM aggwin.apply_pipelines(' . quoted(yaml(@rules)) . q{) WHERE action <> 'keep'});
	$psql->rows(q{SELECT aggwin.alter_window(output, idle_timeout => '10000 days') FROM aggwin.pipelines});
	return @changes;
}

sub act
{
	my $sum = 0;
	$sum += $_->[0] foreach values %ACTIONS;
	my $at = rand $sum;
	my ($name) = grep { ($at -= $ACTIONS{$_}[0]) < 0 } sort keys %ACTIONS;

	$done{$name}++;
	$ACTIONS{$name}[1]->();
	return;
}

# Until nothing more is to be done: results may be what others read.
sub close_all
{
	my $steps = 0;

	while ($psql->value('SELECT aggwin.close_windows()') > 0)
	{
		die 'windows are closed for ever' if $steps++ > 20;
	}
	return $steps;
}

sub wrong
{
	return $psql->rows(differences_sql(@rules));
}

sub is_right
{
	my ($name) = @_;
	my @wrong = wrong();

	is(scalar @wrong, 0, $name) or diag join "\n", "seed $seed", splice @wrong, 0, 40;
	return;
}

# Everything -------------------------------------------------------------------------

add_host() foreach 1 .. 3;
go_on(200);
is(scalar(my @made = apply()), grep({ $_->{width} } @rules), 'all pipelines are made');
is(scalar(my @more = apply()), 0, 'and only once');
close_all();
is_right('what was there before them is computed');

foreach my $round (1 .. $rounds)
{
	act() foreach 1 .. 10;
	my $steps = close_all();
	is_right("round $round");
	note "round $round: $steps steps";
}
# Before the first window that there was.
ingest([ any(grep { $_->{metric} eq 'req_total' } @series), 1000 * (BEGIN_S - 1000), 5000 ], [ any(grep { $_->{metric} eq 'temp' } @series), 1000 * (BEGIN_S - 900), 5 ]);
close_all();
is_right('samples from before all windows');
$now = BEGIN_S + 3600 if $now < BEGIN_S + 3600;
go_on(70);
close_all();
is_right('when an hour is over');
is($psql->value(q{SELECT count(*) FROM aggwin.pipelines WHERE state <> 'active' OR computed_to IS NULL}), 0, 'all are active');
is($psql->value('SELECT aggwin.close_windows()'), 0, 'and have nothing more to do');
my $results = $psql->value('SELECT count(*) FROM aggwin.sample_input JOIN aggwin.pipelines AS p ON metric = p."as"');
my ($least) = $psql->rows(q{SELECT p."as", (SELECT count(*) FROM aggwin.sample_input WHERE metric = p."as") AS n FROM aggwin.pipelines AS p ORDER BY 2 LIMIT 1});
note "$results results; fewest of $least; corrections: " . $psql->value('SELECT sum(corrections) FROM aggwin.pipelines') . '; ' . join ', ', map { "$_ $done{$_}" } sort keys %done;
cmp_ok((split /\|/, $least)[1], '>', 0, 'each has results');

# The clock closes windows up to now, months later. What then comes late has results, at once.
$psql->rows(q{SELECT aggwin.alter_window(output, idle_timeout => '1 ms') FROM aggwin.pipelines});
close_all();
cmp_ok($psql->value(q{SELECT min(computed_to) FROM aggwin.pipelines}), 'gt', '2026-03-02', 'the clock closes windows');
late(600, 5);
close_all();
is_right('late samples, when windows are closed that never had any');

# Would it be seen? ----------------------------------------------------------------------

my ($id, $ts) = split /\|/, $psql->value(q{SELECT series_id, ts FROM aggwin.samples JOIN aggwin.series USING (series_id) WHERE metric = 'p_increase' AND value > 0 ORDER BY ts LIMIT 1});
my $which = "series_id = $id AND ts = '$ts'";
foreach my $damage (
	[ 'a result that is changed', 'UPDATE aggwin.samples SET value = value + 0.125', qr/^p_increase .* is [\d.]+ and not [\d.]+$/ ],
	[ 'a result that is missing', 'DELETE FROM aggwin.samples', qr/^p_increase .* is missing and not [\d.]+$/ ],
	[ 'a result too many', "UPDATE aggwin.samples SET ts = ts + interval '1 ms'", qr/^p_increase .* and not there$/ ])
{
	my ($name, $sql, $like) = @$damage;
	$psql->rows("BEGIN; $sql WHERE $which");
	my @wrong = wrong();
	$psql->rows('ROLLBACK');
	ok(scalar(grep { /$like/ } @wrong), "$name is seen") or diag join "\n", @wrong;
}
is_right('nothing of that stays');

$psql->close;
$node->stop;
done_testing();
