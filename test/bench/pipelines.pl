#!/usr/bin/perl
# pipelines.pl - pipelines over series that come in at 1 Hz: what a hundred of them
# cost, and what the second costs after the first
use strict;
use warnings;
use Bench;

use constant { SERIES => 10_000, PIPELINES => 100, MINUTE => 60 };

my $psql = session();
my $start = 86400 * int(time / 86400) - 86400;
my $minute = 0;

$psql->ask('CREATE EXTENSION aggwin');
$psql->ask('SELECT aggwin.enable_metrics()');
$psql->ask('SET aggwin.max_new_series = 0');

# A minute of samples of all series, a statement a second, folded as a worker would.
sub minute_of_samples
{
	for my $second (0 .. MINUTE - 1)
	{
		my $t = $start + $minute * MINUTE + $second;

		$psql->ask(qq{INSERT INTO aggwin.sample_input
			SELECT 'requests_total', jsonb_build_object('service', 's' || n % 20, 'instance', 'i' || n), to_timestamp($t), $t - $start + n % 97
			FROM generate_series(1, ${\SERIES}) AS n});
		$psql->ask(q{SELECT aggwin.refresh('samples_rollup')}) if $second % 15 == 14;
	}
	$minute++;
	return;
}

# Rules of all kinds, by twenty services or by nothing.
sub rules
{
	my ($count) = @_;
	my @functions = qw(sum count max avg sum2 increase);

	return join '', map {
		sprintf "- promql: '%s by (%s) (requests_total[1m])'\n  as: r%d\n", $functions[ $_ % @functions ],
			$_ % 2 ? 'service' : '', $_
	} 1 .. $count;
}

sub timed
{
	my ($work) = @_;
	my $result = measure(rounds => 1, psql => { '' => $psql }, sides => { it => $work });

	return $result->{it}[0];
}

minute_of_samples();
my %cost;
for my $count (0, 1, 2, PIPELINES)
{
	$psql->ask('SELECT count(*) FROM aggwin.apply_pipelines($$' . (rules($count) || '[]') . '$$)');
	# Time goes as samples say, not by the clock.
	$psql->ask(q{SELECT count(aggwin.alter_window(output, idle_timeout => '1 year')) FROM aggwin.pipelines}) if $count > 0;
	$psql->ask('SELECT aggwin.close_windows()');
	my @rounds;

	for (1 .. rounds(3))
	{
		my $load = timed(\&minute_of_samples);
		my $close = timed(sub { $psql->ask('SELECT aggwin.close_windows()') });

		push @rounds, [ $load->{cpu}, $close->{cpu}, $close->{s} ];
	}
	$cost{$count} = [ map { my $i = $_; median(map { $_->[$i] } @rounds) } 0 .. 2 ];
}

my $samples = SERIES * MINUTE;
note('%d samples a minute: %.1f us of cpu a sample to store and fold', $samples, 1e6 * $cost{0}[0] / $samples);
note('closing a minute: %.2f s for one pipeline, %.2f s for two, %.2f s for %d', $cost{1}[2], $cost{2}[2], $cost{+PIPELINES}[2], PIPELINES);
note('%.2f us of cpu a sample for one pipeline, %.1f us for %d', 1e6 * $cost{1}[1] / $samples, 1e6 * $cost{+PIPELINES}[1] / $samples, PIPELINES);
report('the second pipeline / the first, closing a minute', [ ($cost{2}[2] - $cost{1}[2]) / ($cost{1}[2] - $cost{0}[2]) ],
	[ ($cost{2}[1] - $cost{1}[1]) / ($cost{1}[1] - $cost{0}[1]) ], undef);
my ($row) = $psql->ask(q{SELECT count(*) FROM (
	SELECT labels ->> 'service', max(value) FROM aggwin.sample_input WHERE metric = 'requests_total' AND ts >= (SELECT max(ts) - interval '1 min' FROM aggwin.sample_input WHERE metric = 'r3')
		AND ts < (SELECT max(ts) FROM aggwin.sample_input WHERE metric = 'r3') GROUP BY 1
	EXCEPT SELECT labels ->> 'service', value FROM aggwin.sample_input WHERE metric = 'r3' AND ts = (SELECT max(ts) FROM aggwin.sample_input WHERE metric = 'r3')) AS d});
note('results compared with the samples: %s', $row->[0] == 0 ? 'equal' : "$row->[0] differ");
die "bench: results differ\n" if $row->[0] != 0;
$psql->close or die "bench: psql ended badly\n";
