# The same rules by pipelines and by a real Prometheus, over the same samples: what its
# recording rules would give at the end of each window.
#
#   AGGWIN_PROMETHEUS_SEED   what the random numbers follow from
#
# Prometheus gets the samples as blocks, by promtool; the server gets them in pieces, in
# any order, some of them wrong at first, while windows are closed.
#
# A window is [start, end); a range of PromQL has both its ends, up to Prometheus 2. Times
# are milliseconds, so m[59999ms] offset 1ms at the end of a minute is that minute.
#
# increase() of PromQL knows nothing of the sample before its range and extrapolates to the
# range's ends. Counters here have a sample every fifteen seconds, eight before the end of
# each minute. So in m[60s] offset 8s the first sample is the one before the window, on the
# range's very begin, the last is the window's last, on its end, and nothing is extrapolated.
# How far off it is without that offset is shown at the end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Aggwin::Pipelines qw(quoted);
use Aggwin::Prometheus;
use Aggwin::Promtool;
use Aggwin::Session;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant {
	BEGIN_S => 1_772_359_200,    # 2026-03-01 10:00 UTC
	LENGTH => 1800,
	ROUNDING => 1e-11,
	SKETCH => 0.0101,
};

my $directory = $PostgreSQL::Test::Utils::tmp_check . '/prometheus_rules';
mkdir $directory;
my $promtool = Aggwin::Promtool->new($directory) or plan skip_all => 'no promtool here (Debian: package prometheus)';
my $seed = $ENV{AGGWIN_PROMETHEUS_SEED} || int rand 1_000_000_000;
srand $seed;
note 'promtool ' . $promtool->version . " AGGWIN_PROMETHEUS_SEED=$seed";
plan skip_all => 'ranges are open at their beginning since Prometheus 3' if $promtool->version !~ /^2\./;

# Samples ------------------------------------------------------------------------

my $json = JSON::PP->new->canonical;
my @series;

sub any
{
	return $_[ rand @_ ];
}

sub add
{
	my ($metric, $labels, @samples) = @_;

	push @series, { metric => $metric, labels => $labels, samples => \@samples };
	return;
}

# [ms, value] every fifteen seconds, with resets.
sub counter
{
	my ($at_once) = @_;
	my $value = int rand 1000;
	return map { $value = rand() < 0.03 ? 0 : $value + int(rand(8 * $at_once)) / 8; [ 1000 * (BEGIN_S - 8 + 15 * $_), $value ] } 0 .. LENGTH / 15;
}

# Whenever, with gaps; on the edges of windows and next to them; what is no number.
sub gauge
{
	my ($strange) = @_;
	my (%samples, $at);

	for ($at = BEGIN_S + rand 100; $at < BEGIN_S + LENGTH; $at += rand() < 0.03 ? rand 900 : 3 + rand 30)
	{
		my $ms = rand() < 0.1 ? 60_000 * int($at / 60) - int rand 2 : int(1000 * $at);
		$samples{$ms} = rand() < $strange ? any('NaN', '+Inf', '-Inf') : sprintf '%.17g', (rand() - 0.3) * 10**int rand 4;
	}
	return map { [ $_, $samples{$_} ] } sort { $a <=> $b } keys %samples;
}

foreach my $host (0 .. 5)
{
	my %labels = (host => "h$host", $host < 5 ? (env => any('prod', 'dev')) : ());

	add('req_total', { %labels, path => $_ }, counter(100)) foreach '/', "/b\"\\\n";
	add('temp', { %labels, room => $_ }, gauge($host == 0 ? 0.1 : 0)) foreach 'attic', 'cellar';
	# Cumulative in each sample, as buckets are: each bound has what those below have, and more.
	my @below = map { [ $_->[0], 0 ] } counter(0);
	foreach my $le ('0.1', '0.5', '1', '2.5', '1e+01', '+Inf')
	{
		my @own = counter(30);
		@below = map { [ $own[$_][0], $below[$_][1] + $own[$_][1] ] } 0 .. $#own;
		add('lat_bucket', { %labels, le => $le }, @below);
	}
}
add('nothing', { of => 'numbers' }, map { [ $_->[0], 'NaN' ] } gauge(0));

# Rules ---------------------------------------------------------------------------

# %s is the range; counters are ranged as above.
my @rules = (
	(map { my $f = $_; map { [ "sum by (env) (${f}_over_time(temp%s))", $_ ] } 60, 420 } qw(sum count min max avg)),
	(map { my $f = $_; map { [ "$_(${f}_over_time(temp%s))", any(120, 300, 900) ] } 'sum without (host)', 'min without (env, room)', 'max by (room)', 'avg by (env, room)', 'count by (env)', '' }
		  qw(sum count min max avg last stddev)),
	(map { [ $_, any(120, 300) ] } 'topk(3, sum by (host) (sum_over_time(temp%s)))', 'topk by (env) (1, max without (room) (max_over_time(temp%s)))', 'topk(2, avg_over_time(temp%s))',
		(map { "quantile by (env) ($_, sum_over_time(temp%s))" } 0, 0.3, 0.5, 0.99, 1), 'quantile(0.25, count_over_time(temp{room=~"at.*",host!="h1"}%s))'),
	(map { [ "$_(nothing%s)", 60 ] } qw(sum_over_time min_over_time max_over_time avg_over_time count_over_time last_over_time stddev_over_time)),
	(map { [ "$_(sum_over_time(nothing%s))", 60 ] } qw(sum min max avg count)),
	[ 'quantile_over_time(0, temp{host!="h0"}%s)', 300, SKETCH ], [ 'quantile_over_time(1, temp{host!="h0"}%s)', 300, SKETCH ],
	(map { [ $_, any(300, 300, 600, 60) ] }
		  map({ ("$_(increase(req_total%s))", "$_(rate(req_total%s))") } 'sum by (env)', 'max without (host, path)', 'avg', 'count by (path)', ''),
		'topk(2, sum by (host) (increase(req_total{path!="/"}%s)))', 'quantile by (path) (0.9, rate(req_total%s))'),
	(map { my $q = $_; map { [ "histogram_quantile($q, $_)", any(300, 300, 600, 60) ] } 'sum by (le) (increase(lat_bucket%s))', 'sum by (env, le) (rate(lat_bucket%s))', 'sum without (host) (increase(lat_bucket{host!="h3"}%s))', 'increase(lat_bucket%s)' } 0, 0.5, 0.9, 1));

sub is_counter
{
	return $_[0] =~ /increase|rate/;
}

# [expression, range in seconds, ours and theirs]
sub ours
{
	my ($rule) = @_;
	return sprintf $rule->[0], "[$rule->[1]s]";
}

sub theirs
{
	my ($rule) = @_;
	return sprintf $rule->[0], is_counter($rule->[0]) ? "[$rule->[1]s] offset 8s" : '[' . ($rule->[1] * 1000 - 1) . 'ms] offset 1ms';
}

# Prometheus ------------------------------------------------------------------------

sub escaped
{
	return $_[0] =~ s/([\\"])/\\$1/gr =~ s/\n/\\n/gr;
}

my $text = "$directory/samples.txt";
open my $out, '>', $text or die "$text: $!";
foreach my $metric (sort keys %{ { map { $_->{metric} => 1 } @series } })
{
	print $out "# TYPE $metric unknown\n";
	foreach my $series (grep { $_->{metric} eq $metric } @series)
	{
		my $labels = join ',', map { "$_=\"" . escaped($series->{labels}{$_}) . '"' } sort keys %{ $series->{labels} };
		printf $out "%s{%s} %s %.3f\n", $metric, $labels, $_->[1], $_->[0] / 1000 foreach @{ $series->{samples} };
	}
}
print $out "# EOF\n";
close $out or die "$text: $!";
mkdir "$directory/prometheus";
my $made = qx('$promtool->{program}' tsdb create-blocks-from openmetrics '$text' '$directory/prometheus' 2>&1);
is($?, 0, 'promtool makes blocks') or diag $made;
my $prometheus = Aggwin::Prometheus->server($directory, PostgreSQL::Test::Cluster::get_free_port(), "global: {}\n", '--storage.tsdb.retention.time=50y')
  or plan skip_all => 'no Prometheus here (Debian: package prometheus)';

# Ours ------------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('rules');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\naggwin.max_past = 0\n");
$node->start;
my $psql = Aggwin::Session->new($node->connstr('postgres'), 'rules');
$psql->rows('CREATE EXTENSION aggwin; SELECT aggwin.enable_metrics()');

sub ingest
{
	while (my @some = splice @_, 0, 2000)
	{
		$psql->rows('INSERT INTO aggwin.sample_input (metric, labels, ts, value) VALUES ' . join ', ', map {
			my ($series, $ms, $value) = @$_;
			sprintf "('%s', %s, to_timestamp(0) + %d * interval '1 ms', '%s')", $series->{metric}, quoted($json->encode($series->{labels})), $ms, $value } @some);
	}
	return;
}

my @all = map { my $series = $_; map { [ $series, @$_ ] } @{ $series->{samples} } } @series;
my (@first, @late);
push @{ rand() < 0.85 ? \@first : \@late }, $_ foreach sort { $a->[1] <=> $b->[1] } @all;

my $yaml = join '', map { '- promql: ' . quoted(ours($rules[$_])) . "\n  as: r$_\n" } 0 .. $#rules;
ingest(splice @first, 0, @first / 3);
is($psql->value('SELECT count(*) FROM aggwin.apply_pipelines(' . quoted($yaml) . q{) WHERE action = 'create'}), scalar @rules, @rules . ' pipelines');
$psql->rows(q{SELECT aggwin.alter_window(output, idle_timeout => '10000 days') FROM aggwin.pipelines});
while (@first)
{
	$psql->rows(q{SELECT aggwin.refresh('samples_rollup')});
	$psql->rows('SELECT aggwin.close_windows()');
	ingest(splice @first, 0, @all / 4);
	ingest(map { [ @$_[ 0, 1 ], rand 1000 ] } @late[ 0 .. @late / 10 ]);
}
$psql->rows('SELECT aggwin.close_windows()');
ingest(sort { rand() <=> 0.5 } splice @late, 0, @late / 2);
$psql->rows(q{SELECT aggwin.refresh('samples_rollup')});
ingest(@late);
$psql->rows(q{SELECT aggwin.refresh('samples_rollup')});
# A sample that closes the last windows.
ingest([ { metric => 'clock', labels => {} }, 1000 * (BEGIN_S + LENGTH), 1 ]);
$psql->rows('SELECT aggwin.close_windows()') foreach 1 .. 2;
is($psql->value('SELECT count(*) FROM aggwin.pipelines WHERE last_error IS NOT NULL'), 0, 'none fails');

# Comparison ------------------------------------------------------------------------

sub number
{
	my ($text) = @_;
	return 9**9**9 if $text =~ /^\+?Inf/i;
	return -9**9**9 if $text =~ /^-Inf/i;
	return $text =~ /nan/i ? -sin 9**9**9 : 0 + $text;
}

# Sums of values of some size are off by the last digits of that size.
sub close_enough
{
	my ($x, $y, $relative) = @_;
	($x, $y) = (number($x), number($y));
	return 1 if $x == $y || $x != $x && $y != $y;
	return abs($x) < 9**9**9 && abs($y) < 9**9**9 && abs($x - $y) <= $relative * (abs($y) > 1e3 ? abs $y : 1e3);
}

sub results_of
{
	my ($n) = @_;
	my %results;

	foreach ($psql->rows("SELECT extract(epoch FROM ts)::bigint, value, labels FROM aggwin.sample_input WHERE metric = 'r$n'"))
	{
		my ($at, $value, $labels) = split /\|/, $_, 3;
		$results{ $json->encode($json->decode($labels)) . " $at" } = $value;
	}
	return \%results;
}

sub prometheus_at
{
	my ($expression, $width) = @_;
	my %results;

	foreach my $row (@{ $prometheus->query_range($expression, BEGIN_S, BEGIN_S + LENGTH, $width) })
	{
		delete $row->{metric}{__name__};
		$results{ $json->encode($row->{metric}) . sprintf ' %.0f', $_->[0] } = $_->[1] foreach @{ $row->{values} };
	}
	return \%results;
}

# Windows that end after the beginning, up to the end.
sub differences
{
	my ($ours, $theirs, $relative) = @_;
	my %keys = map { $_ => 1 } grep { / (\d+)$/ && $1 > BEGIN_S && $1 <= BEGIN_S + LENGTH } keys %$ours, keys %$theirs;
	my @wrong = grep { !defined $ours->{$_} || !defined $theirs->{$_} || !close_enough($ours->{$_}, $theirs->{$_}, $relative) } sort keys %keys;

	return (scalar keys %keys, map { sprintf '%s: %s, Prometheus %s', $_, $ours->{$_} // 'nothing', $theirs->{$_} // 'nothing' } @wrong);
}

# Windows are cut at the epoch's multiples, Prometheus' steps where they begin.
sub begins_with_window
{
	my ($width) = @_;
	return BEGIN_S % $width == 0;
}

my $compared = 0;
foreach my $n (0 .. $#rules)
{
	my $rule = $rules[$n];
	my $width = $rule->[1];
	my $theirs;

	if (begins_with_window($width))
	{
		$theirs = prometheus_at(theirs($rule), $width);
	}
	else
	{
		my $every = prometheus_at(theirs($rule), 60);
		$theirs = { map { / (\d+)$/ && $1 % $width == 0 ? ($_ => $every->{$_}) : () } keys %$every };
	}
	my ($count, @wrong) = differences(results_of($n), $theirs, $rule->[2] // ROUNDING);
	$compared += $count;
	ok($count > 0 && !@wrong, ours($rule) . ": $count compared")
	  or diag join "\n", "seed $seed", @wrong > 8 ? (@wrong[ 0 .. 7 ], @wrong . ' differ') : @wrong;
}
note "$compared results";

# What is not the same -------------------------------------------------------------------

# Without the sample before, extrapolated: some sixteenths off, and never the same.
my ($n) = grep { $rules[$_][0] eq 'increase(req_total%s)' || $rules[$_][0] eq '(increase(req_total%s))' } 0 .. $#rules;
my ($count, @differ) = differences(results_of($n), prometheus_at(sprintf($rules[$n][0], "[$rules[$n][1]s]"), $rules[$n][1]), ROUNDING);
cmp_ok(scalar @differ, '>', $count / 2, "increase() where Prometheus extrapolates: $count compared, " . @differ . ' differ');

my $victim = 'series_id = (SELECT min(series_id) FROM aggwin.series WHERE metric = $$r0$$) AND ts = to_timestamp(' . (BEGIN_S + 600) . ')';
foreach my $damage ([ 'changed', 'UPDATE aggwin.samples SET value = 12345.5' ], [ 'missing', 'DELETE FROM aggwin.samples' ],
	[ 'too many', q{UPDATE aggwin.samples SET ts = ts + interval '10 s'} ])
{
	my ($name, $sql) = @$damage;
	$psql->rows("BEGIN; $sql WHERE $victim");
	my (undef, @wrong) = differences(results_of(0), prometheus_at(theirs($rules[0]), $rules[0][1]), ROUNDING);
	$psql->rows('ROLLBACK');
	cmp_ok(scalar @wrong, '>', 0, "a result that is $name is seen");
}

$psql->close;
$prometheus->stop;
$node->stop;
done_testing();
