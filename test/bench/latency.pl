#!/usr/bin/perl
# latency.pl - reads of the view under 50,000 single-row inserts a second
#
# The inserts are statements of one row, sent by functions so that neither the
# network nor the disk is what limits them; a worker folds meanwhile. The same
# reads are repeated when nothing is inserted any more. What rate was reached
# is told: two processors do not give more.
use strict;
use warnings;
use Bench;
use Time::HiRes qw(sleep time);

use constant { RATE => 50_000, WRITERS => 2, BURST => 500, SETTLE => 5, SECONDS => 30 };

my $psql = session();
create_events($psql, 'events');
create_rollup($psql, 'events', '1 minute');
$psql->ask('CREATE FUNCTION burst(rows int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE now timestamptz := clock_timestamp();
	BEGIN
		FOR i IN 1 .. rows LOOP
			INSERT INTO events VALUES (now, 1 + random() * 999, (random() * 65535)::int / 64.0);
		END LOOP;
	END $$');
my ($worker) = map { $_->[0] } $psql->ask('SELECT aggwin.start_worker()');

sub count_rows
{
	return ($psql->ask('SELECT count(*) FROM events'))[0][0];
}

my $load = start_load(burst => BURST, writers => WRITERS, rate => RATE, seconds => SECONDS);
my $begin = time;
sleep SETTLE;

# One key of the last minutes, and all keys of the newest one.
my $newest = "aggwin.time_bucket('1 minute', clock_timestamp())";
my %since = (one => "$newest - interval '5 minutes'", all => $newest);
my %columns = (one => '*', all => 'count(n)');
my %keys = (one => 'key = 7', all => 'true');
my %name = (one => 'five minutes of one key', all => 'the newest minute of 1,000 keys');
my %read;
for my $query (keys %name)
{
	my $plain = Bench::four_aggregates('events', '1 minute')
	  =~ s/GROUP BY/WHERE $keys{$query} AND ts >= $since{$query} GROUP BY/r;
	my $view = "SELECT $columns{$query} FROM events_rollup WHERE $keys{$query} AND bucket >= $since{$query}";
	$read{"view $query"} = sub { $psql->ask($view) };
	$read{"plain $query"} = sub { $psql->ask("SELECT $columns{$query} FROM ($plain) AS e") };
}

# Each read in turn, until a time and at least so many times.
sub read_all
{
	my ($until, $rounds) = @_;
	my %result;

	for (my $round = 0; $round < $rounds || time < $until; $round++)
	{
		for my $side (sort { $round % 2 ? $a cmp $b : $b cmp $a } keys %read)
		{
			my $start = time;
			$read{$side}->();
			push @{ $result{$side} }, { s => time - $start };
		}
	}
	return \%result;
}

my ($rows, $start) = (count_rows(), time);
my $busy = read_all($begin + SECONDS - 1, 1);
my $rate = (count_rows() - $rows) / (time - $start);
end_load($load);
sleep 0.1 until ($psql->ask('SELECT pending_deltas = 0 FROM aggwin.rollup_status'))[0][0] eq 't';
my $idle = read_all(0, rounds(30));

for my $query (sort keys %name)
{
	my $side = "view $query";
	report("$name{$query}, while rows come: view / raw table", [ ratios($busy, 's', $side, "plain $query") ], [], undef);
	my @busy = sort { $a <=> $b } map { 1000 * $_->{s} } @{ $busy->{$side} };
	note('%s: %.1f ms in the median, %.1f ms of a hundred reads the slowest but one, %d reads; idle %.1f ms',
		$name{$query}, median(@busy), $busy[ int 0.98 * $#busy ], scalar @busy,
		1000 * median(map { $_->{s} } @{ $idle->{$side} }));
}
my ($failures) = map { $_->[0] } $psql->ask('SELECT failures FROM aggwin.rollup_status');
die "bench: the worker failed\n" if $failures > 0;
my $groups = same_answers($psql, 'latency', 'TABLE events_rollup', [ 'events', '1 minute' ]);
note('%.0f single-row inserts a second of the %d asked for; %d groups compared: equal', $rate, RATE, $groups);
$psql->ask('SELECT aggwin.stop_worker()');
$psql->close or die "bench: psql ended badly\n";
