# histogram_quantile() is what Prometheus 2 computes, to the last bit: aggwin's
# answers are what promtool is told to expect.
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
plan skip_all => 'Prometheus 3 treats counts that fall differently'
  if $promtool->version !~ /^2\./;

my $seed = $ENV{AGGWIN_PROMETHEUS_SEED} || int rand 1_000_000_000;
srand $seed;
note 'promtool ' . $promtool->version . " AGGWIN_PROMETHEUS_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('quantile');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION aggwin;
CREATE TABLE buckets (h int, le text, count float8);
CREATE TABLE fractions (f float8);
});

# Each histogram is a list of bounds, as in the label, and counts.
my @histograms = (
	[ [ '0.1', 10 ], [ '0.5', 20 ], [ '+Inf', 25 ] ],
	[ [ '0.1', 0 ], [ '0.5', 20 ], [ '+Inf', 20 ] ],       # empty first bucket
	[ [ '1', 0 ], [ '2', 0 ], [ '3', 7 ], [ '+Inf', 7 ] ],
	[ [ '0.1', 10 ], [ '0.5', 20 ] ],                      # no +Inf
	[ [ '+Inf', 20 ] ],                                    # nothing else
	[ [ '1', 0 ], [ '+Inf', 0 ] ],                         # nothing observed
	[ [ '1', 0 ], [ '+Inf', 5 ] ],                         # all above
	[ [ '-5', 4 ], [ '-1', 8 ], [ '+Inf', 8 ] ],           # negative bounds
	[ [ '-5', 0 ], [ '-1', 8 ], [ '3', 9 ], [ '+Inf', 10 ] ],
	[ [ '0', 3 ], [ '1', 6 ], [ '+Inf', 6 ] ],             # zero is a bound
	[ [ '1', 10 ], [ '2', 5 ], [ '4', 20 ], [ '+Inf', 15 ] ],   # falling counts
	[ [ '1', 10 ], [ '2', 10 ], [ '4', 10 ], [ '+Inf', 3 ] ],
	[ [ '1', 5 ], [ '1.0', 5 ], [ '2', 20 ], [ '+Inf', 20 ] ],  # a bound written twice
	[ [ '1e-300', 1 ], [ '1e300', 2 ], [ '+Inf', 3 ] ],
	[ [ '-Inf', 1 ], [ '1', 2 ], [ '+Inf', 3 ] ],
	[ [ '1', 0.25 ], [ '2', 0.75 ], [ '+Inf', 1.5 ] ],     # rates
	[ [ '5', 1 ], [ '10', 3 ], [ '1', 1 ], [ '+Inf', 4 ] ]);    # in no order
for (1 .. 60)
{
	my ($bound, $count, @buckets) = (rand() * 4 - 2, 0);

	for (1 .. 1 + int rand 12)
	{
		$bound += 0.001 + rand() ** 3 * 10;
		$count += int rand 100 if rand() > 0.3;
		push @buckets, [ sprintf('%.17g', $bound), $count + (rand() < 0.1 ? -int rand 20 : 0) ];
	}
	push @buckets, [ '+Inf', $count + int rand 10 ];
	push @histograms, \@buckets;
}
my @fractions = (0, 0.001, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1, map { sprintf '%.17g', rand } 1 .. 4);

my ($copy, @series) = ("COPY buckets FROM stdin;\n");
for my $h (0 .. $#histograms)
{
	for my $bucket (@{ $histograms[$h] })
	{
		$copy .= join("\t", $h, @$bucket) . "\n";
		push @series, [ qq(b{h="$h",le="$bucket->[0]"}), [ $bucket->[1] ] ];
	}
}
$node->safe_psql('postgres', "$copy\\.\nCOPY fractions FROM stdin;\n" . join("\n", @fractions) . "\n\\.\n");

my (%answers, @expect);
for my $line (split /\n/, $node->safe_psql('postgres', q{
	SELECT f, h, aggwin.histogram_quantile(f, le, count ORDER BY random())
	FROM buckets, fractions GROUP BY f, h ORDER BY f, h}))
{
	my ($fraction, $h, $answer) = split /\|/, $line;
	push @{ $answers{$fraction} }, [ qq({h="$h"}), $answer ];
}
is(scalar keys %answers, scalar @fractions, 'there are answers for each fraction');
# NaN equals nothing, not even what is expected, so where it is the answer is asked apart.
for my $fraction (sort keys %answers)
{
	my $quantile = "histogram_quantile($fraction, b)";
	my @nan = grep { $_->[1] eq 'NaN' } @{ $answers{$fraction} };
	my @numbers = grep { $_->[1] ne 'NaN' } @{ $answers{$fraction} };

	push @expect, { expr => "$quantile == $quantile", at => 0, samples => \@numbers },
	  { expr => "count by (h) ($quantile != $quantile)", at => 0, samples => [ map { [ $_->[0], 1 ] } @nan ] };
}

my ($agrees, $output) = $promtool->judge(interval => 1000, series => \@series, expect => \@expect);
ok($agrees, @histograms * @fractions . ' quantiles are those of Prometheus') or diag substr $output, 0, 2000;

# The judge is not asleep.
my @numbers = grep { $_->[1] =~ /^\d/ && $_->[1] >= 1 } @{ $answers{0.5} };
for my $factor (1, 1 + 4e-16)
{
	my @samples = map { [@$_] } @numbers;

	$samples[0][1] = sprintf '%.17g', $samples[0][1] * $factor;
	($agrees) = $promtool->judge(interval => 1000, series => \@series,
		expect => [ { expr => 'histogram_quantile(0.5, b) >= 1', at => 0, samples => \@samples } ]);
	is(!!$agrees, $factor == 1, "an answer is judged by its last bit, $factor times");
}

done_testing;
