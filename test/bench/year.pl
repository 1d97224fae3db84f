#!/usr/bin/perl
# year.pl - one day of one key from a year of hourly buckets of 1,000 keys:
# the rollup's view against its bare state table
#
# Planning counts, as it does for whoever sends such a query; a prepared one is
# shown, too. SCALE, in percent, makes the year shorter.
use strict;
use warnings;
use Bench;

use constant { HOURS => 24 * 365, READS => 50 };

my $hours = HOURS * $ENV{SCALE} / 100;
my $psql = session();
create_events($psql, 'events');
$psql->ask("INSERT INTO events SELECT to_timestamp(@{[ Bench::START ]}) + h * interval '1 hour', k, h % 64 / 64.0
	FROM generate_series(0, $hours - 1) AS h, generate_series(1, @{[ Bench::KEYS ]}) AS k");
create_rollup($psql, 'events', '1 hour');
settle($psql, 'events_rollup');
$psql->ask('VACUUM ANALYZE');
my ($state) = map { $_->[0] } $psql->ask('SELECT state FROM aggwin.rollup');
my %from = (
	view => 'SELECT bucket, key, n, sum, min, max FROM events_rollup WHERE key = %s AND bucket >= %s AND bucket < %s',
	state => "SELECT bucket, k1, n, p1, p2, p3 FROM $state WHERE k1 = %s AND bucket >= %s AND bucket < %s");

# In the order of a query's parameters: a key, a day's begin and end.
sub some_day
{
	my $begin = Bench::START + 3600 * 24 * int rand($hours / 24);
	return (1 + int rand Bench::KEYS, "to_timestamp($begin)", "to_timestamp($begin + 86400)");
}

$psql->ask("PREPARE $_(int, timestamptz, timestamptz) AS " . sprintf $from{$_}, '$1', '$2', '$3') for keys %from;
my @days;
my %read = (
	'sent as text' => sub { my ($side, @day) = @_; sprintf $from{$side}, @day },
	'prepared' => sub { my ($side, @day) = @_; "EXECUTE $side(" . join(', ', @day) . ')' });
for my $how ('sent as text', 'prepared')
{
	my $result = measure(
		rounds => rounds(20),
		psql => { '' => $psql },
		before => sub { @days = map { [some_day()] } 1 .. READS },
		sides => {
			map {
				my $side = $_;
				$side => sub {
					$psql->send_text($read{$how}->($side, @$_) . " \\g /dev/null\n") for @days;
					$psql->ask('SELECT 1');
				}
			} keys %from
		});
	report("one day of one key, $how: view / state",
		[ ratios($result, 's', qw(view state)) ], [ ratios($result, 'cpu', qw(view state)) ], '<= 1.5');
	note('%s: %.2f ms from the view, %.2f ms from state', $how,
		map { my $side = $_; 1000 / READS * median(map { $_->{s} } @{ $result->{$side} }) } qw(view state));
}
my ($groups) = map { $_->[0] } $psql->ask("SELECT count(*) FROM $state");
for my $day (map { [some_day()] } 1 .. 5)
{
	my ($key, $begin, $end) = @$day;
	same_answers($psql, 'year', sprintf($from{view}, @$day),
		"SELECT * FROM (@{[ Bench::four_aggregates('events', '1 hour') ]}) AS e WHERE key = $key AND bucket >= $begin AND bucket < $end");
}
note('%d groups in state; days compared: equal', $groups);
$psql->close or die "bench: psql ended badly\n";
