#!/usr/bin/perl
# repair.pl - a deleted row costs its bucket, not the table
#
# A table of a million rows in 1-minute buckets; the fold after one DELETE
# against that after everything became invalid, and against a plain aggregate of
# the bucket's rows. SCALE, in percent, makes the table smaller.
use strict;
use warnings;
use Bench;

use constant { ROWS => 1_000_000 };

my $rows = ROWS * $ENV{SCALE} / 100;
my $psql = session();
create_events($psql, 'events');
create_rollup($psql, 'events', '1 minute');
my $path = events('batch', 0, $rows);
$psql->send_text("\\copy events FROM '$path'\n");
settle($psql, 'events_rollup');
$psql->ask('VACUUM ANALYZE');

my ($from, $to);
my $result = measure(
	rounds => rounds(12),
	psql => { '' => $psql },
	before => sub {
		my $minute = 1 + int rand($rows / Bench::ROWS_PER_SECOND / 60 - 2);
		($from, $to) = map { 'to_timestamp(' . (Bench::START + 60 * $_) . ')' } $minute, $minute + 1;
	},
	sides => {
		bucket => sub {
			$psql->ask("DELETE FROM events WHERE ctid = (SELECT ctid FROM events WHERE ts >= $from AND ts < $to LIMIT 1)");
			settle($psql, 'events_rollup');
		},
		all => sub {
			$psql->ask("SELECT aggwin.invalidate('events_rollup', '-infinity'::timestamptz, 'infinity'::timestamptz)");
			settle($psql, 'events_rollup');
		},
		plain => sub {
			$psql->ask("CREATE TEMP TABLE bucket AS SELECT * FROM (@{[ Bench::four_aggregates('events', '1 minute') ]}) AS e
				WHERE false");
			$psql->ask("INSERT INTO bucket SELECT aggwin.time_bucket('1 minute', ts), key, count(*), sum(value), min(value), max(value)
				FROM events WHERE ts >= $from AND ts < $to GROUP BY 1, 2");
			$psql->ask('DROP TABLE bucket');
		}
	});

report('repair of one bucket / of all', [ ratios($result, 's', qw(bucket all)) ],
	[ ratios($result, 'cpu', qw(bucket all)) ], undef);
report('repair of one bucket / its rows aggregated and stored', [ ratios($result, 's', qw(bucket plain)) ],
	[ ratios($result, 'cpu', qw(bucket plain)) ], undef);
my ($repaired) = map { $_->[0] } $psql->ask('SELECT repairs FROM aggwin.rollup_status');
my $groups = same_answers($psql, 'repair', 'TABLE events_rollup', [ 'events', '1 minute' ]);
note('%d rows: %.0f ms for a bucket, %.0f ms for all, %.0f ms for its plain aggregate; %d repairs; %d groups compared: equal',
	$rows, (map { my $side = $_; 1000 * median(map { $_->{s} } @{ $result->{$side} }) } qw(bucket all plain)), $repaired, $groups);
$psql->close or die "bench: psql ended badly\n";
