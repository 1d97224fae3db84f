# increase() and rate() of counters over a range are what Prometheus 2 computes, to
# the last bit: aggwin's answers are what promtool is told to expect.
#
#   AGGWIN_PROMETHEUS_SEED   what the random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Promtool;

my $promtool = Aggwin::Promtool->new($PostgreSQL::Test::Utils::tmp_check);

plan skip_all => 'no promtool here (Debian: package prometheus)' unless $promtool;
plan skip_all => 'ranges are open at their beginning since Prometheus 3'
  if $promtool->version !~ /^2\./;

my $seed = $ENV{AGGWIN_PROMETHEUS_SEED} || int rand 1_000_000_000;
srand $seed;
note 'promtool ' . $promtool->version . " AGGWIN_PROMETHEUS_SEED=$seed";

my $interval = 250;    # ms
my $slots = 241;       # one minute

my $node = PostgreSQL::Test::Cluster->new('counter');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION aggwin;
CREATE TABLE samples (series int, slot int, ts timestamptz, value float8);
CREATE TABLE ranges (n int, series int, "from" timestamptz, "to" timestamptz);
});

# Series -----------------------------------------------------------------------

# Values are multiples of 1/8 where there are resets, for then no order of
# additions makes a difference.
my %kinds = (
	'steady' => sub { [ map { $_ % 20 ? undef : 100 + $_ / 4 } 0 .. $slots - 1 ] },
	'from zero' => sub { [ map { $_ % 20 || $_ < 60 ? undef : ($_ - 60) / 2 } 0 .. $slots - 1 ] },
	'constant' => sub { [ map { $_ % 8 ? undef : 7 } 0 .. $slots - 1 ] },
	'zero' => sub { [ map { $_ % 8 ? undef : 0 } 0 .. $slots - 1 ] },
	'below zero' => sub { [ map { $_ % 10 ? undef : -50 + $_ / 8 } 0 .. $slots - 1 ] },
	'falling' => sub { [ map { $_ % 10 ? undef : 500 - $_ } 0 .. $slots - 1 ] },
	'one sample' => sub { [ map { $_ == 120 ? 5 : undef } 0 .. $slots - 1 ] },
	'two samples' => sub { [ map { $_ == 100 ? 5 : $_ == 120 ? 8 : undef } 0 .. $slots - 1 ] },
	'none in the middle' => sub { [ map { $_ > 60 && $_ < 180 || $_ % 4 ? undef : $_ } 0 .. $slots - 1 ] },
	'random' => sub {
		my ($density, $restart, $value) = (0.05 + rand, rand() * 0.1, int(rand 2) * int(rand 1000));
		my @values;
		for (1 .. $slots)
		{
			$value = rand() < $restart ? int(rand 40) / 8 : $value + int(rand 400) / 8;
			push @values, rand() < $density ? $value : undef;
		}
		return \@values;
	},
	'any digits' => sub {
		my ($density, $value) = (0.05 + rand, rand 100);
		return [ map { $value += rand; rand() < $density ? $value : undef } 1 .. $slots ];
	});
my @series;

for my $kind (sort keys %kinds)
{
	push @series, { kind => $kind, values => $kinds{$kind}->() }
	  for 1 .. ($kind =~ /random|digits/ ? 20 : 1);
}

my $copy = "COPY samples FROM stdin;\n";
for my $n (0 .. $#series)
{
	my $values = $series[$n]{values};

	for my $slot (0 .. $slots - 1)
	{
		next unless defined $values->[$slot];
		$values->[$slot] = sprintf '%.17g', $values->[$slot];
		$copy .= sprintf "%d\t%d\t1970-01-01 00:00:00Z\t%s\n", $n, $slot, $values->[$slot];
	}
}
$node->safe_psql('postgres', "$copy\\.\nUPDATE samples SET ts = ts + slot * $interval * interval '1 ms'");

# Ranges -----------------------------------------------------------------------

# In milliseconds. Ends are on samples, between them, before and after all.
my @ranges;

sub add_range
{
	my ($series, $from, $to) = @_;
	my $at = $to - $to % $interval + $interval * 4;

	return if $from >= $to || $to < 0 || $at > ($slots - 1) * $interval;
	push @ranges, { series => $series, from => $from, to => $to, at => $at, offset => $at - $to };
	return;
}

for my $n (0 .. $#series)
{
	my @there = grep { defined $series[$n]{values}[$_] } 0 .. $slots - 1;

	add_range($n, -60_000, 59_000);
	add_range($n, 0, 30_000);
	for (1 .. 12)
	{
		my ($a, $b) = map { $interval * $there[ rand @there ] } 1, 2;
		add_range($n, $a, $b);
		add_range($n, $a, $b + int rand 5000);
		add_range($n, $a - 1, $b - 1);
		add_range($n, $a + 1, $b + 1);
		add_range($n, $a - int(rand 8) * 125, $b + int(rand 8) * 125);
	}
	add_range($n, map { $interval * int rand $slots } 1, 2) for 1 .. 10;
	add_range($n, map { int rand $interval * $slots } 1, 2) for 1 .. 10;
}
$node->safe_psql('postgres',
	"COPY ranges FROM stdin;\n"
	  . join('', map { "$_\t$ranges[$_]{series}\t" . timestamp($ranges[$_]{from}) . "\t" . timestamp($ranges[$_]{to}) . "\n" }
		0 .. $#ranges)
	  . "\\.\n");

sub timestamp
{
	my ($ms) = @_;
	my $seconds = ($ms - $ms % 1000) / 1000;
	my @time = gmtime $seconds;
	return sprintf '%04d-%02d-%02d %02d:%02d:%02d.%03dZ', $time[5] + 1900, $time[4] + 1, @time[ 3, 2, 1, 0 ], $ms % 1000;
}

# Answers ----------------------------------------------------------------------

my %answers;
for (split /\n/, $node->safe_psql('postgres', q{
	SELECT n, coalesce(aggwin.increase(c, "from", "to")::text, ''), coalesce(aggwin.rate(c, "from", "to")::text, ''),
		coalesce(aggwin.num_vals(c), 0), coalesce(aggwin.resets(c), 0)
	FROM (SELECT n, "from", "to", aggwin.counter_agg(ts, value ORDER BY random()) AS c
		FROM ranges LEFT JOIN samples ON samples.series = ranges.series AND ts BETWEEN "from" AND "to"
		GROUP BY n, "from", "to") AS s}))
{
	my ($n, @answer) = split /\|/, $_, -1;
	$answers{$n} = \@answer;
}
is(scalar keys %answers, scalar @ranges, 'an answer for each of ' . @ranges . ' ranges');

my (@expect, @answered);
for my $n (0 .. $#ranges)
{
	my ($range, $answer) = ($ranges[$n], $answers{$n});
	my $width = $range->{to} - $range->{from};
	my $selector = qq(c{series="$range->{series}"}[${width}ms] offset $range->{offset}ms);

	for my $i (0, 1)
	{
		push @answered, scalar @expect if $answer->[$i] ne '';
		push @expect,
		  {
			expr => ('increase', 'rate')[$i] . "($selector)",
			at => $range->{at},
			samples => $answer->[$i] eq '' ? [] : [ [ qq({series="$range->{series}"}), $answer->[$i] ] ]
		  };
	}
}

# Each kind of case is among them.
cmp_ok(scalar(grep { $_->[2] == 0 && $_->[0] eq '' } values %answers), '>', 0, 'no samples');
cmp_ok(scalar(grep { $_->[2] == 1 && $_->[0] eq '' } values %answers), '>', 0, 'one sample');
cmp_ok(scalar(grep { $_->[2] == 2 && $_->[0] ne '' } values %answers), '>', 0, 'two samples');
cmp_ok(scalar(grep { $_->[3] > 1 } values %answers), '>', 0, 'several resets');
cmp_ok(scalar(grep { $_->[0] =~ /^-/ } values %answers), '==', 0, 'no increase is negative');
cmp_ok(scalar @answered, '>', @expect / 2, 'most ranges have an answer');

my %test = (
	interval => $interval,
	series => [ map { [ qq(c{series="$_"}), $series[$_]{values} ] } 0 .. $#series ]);
my ($agrees, $output) = $promtool->judge(%test, expect => \@expect);
ok($agrees, 'promtool agrees with ' . @expect . ' answers') or diag substr $output, 0, 4000;

# It would not with any other: the next number, none, one too many.
my @wrong = map { $expect[ $answered[ rand @answered ] ] } 1 .. 20;
for my $expect (@wrong)
{
	my $value = $expect->{samples}[0][1];
	my $next = unpack 'd', pack 'q', 1 + unpack 'q', pack 'd', $value;

	($agrees, $output) = $promtool->judge(%test, expect => [ { %$expect, samples => [ [ $expect->{samples}[0][0], sprintf '%.17g', $next ] ] } ]);
	ok(!$agrees, "not with the next number to $value");
}
($agrees) = $promtool->judge(%test, expect => [ { %{ $wrong[0] }, samples => [] } ]);
ok(!$agrees, 'not with no answer where there is one');
my ($unanswered) = grep { !@{ $_->{samples} } } @expect;
($agrees) = $promtool->judge(%test, expect => [ { %$unanswered, samples => [ [ '{series="0"}', 0 ] ] } ]);
ok(!$agrees, 'not with an answer where there is none');

$node->stop;
done_testing();
