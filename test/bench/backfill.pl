#!/usr/bin/perl
# backfill.pl - a rollup of a full table, against CREATE TABLE AS of its query
#
# By refresh(), in one transaction, and by the worker, in pieces of
# aggwin.repair_batch rows. SCALE, in percent, makes the table smaller.
use strict;
use warnings;
use Bench;
use Time::HiRes qw(sleep time);

use constant { ROWS => 2_000_000, POLL => 0.02 };

my $rows = ROWS * $ENV{SCALE} / 100;
my $psql = session();
create_events($psql, 'history');
my $path = events('batch', 0, $rows);
$psql->send_text("\\copy history FROM '$path'\n");
$psql->ask('VACUUM ANALYZE history');

# How soon the worker begins is not what is measured.
$psql->ask("ALTER SYSTEM SET aggwin.worker_naptime = '10ms'");
$psql->ask('SELECT pg_reload_conf()');

my %bucket = (minute => '1 minute', hour => '1 hour');
for my $name (qw(minute hour))
{
	my $query = Bench::four_aggregates('history', $bucket{$name});
	my $create = "SELECT aggwin.create_rollup('history_rollup', \$\$$query\$\$)";
	my $drop = sub {
		$psql->ask('DROP TABLE IF EXISTS copied');
		$psql->ask("SELECT aggwin.drop_rollup('history_rollup')")
		  if ($psql->ask("SELECT to_regclass('history_rollup') IS NOT NULL"))[0][0] eq 't';
	};
	my $pieces = 0;
	my $result = measure(
		rounds => rounds(6),
		psql => { table => $psql, refresh => $psql, worker => undef },
		parallel => 1,
		sides => {
			table => sub { $psql->ask("CREATE TABLE copied AS $query"); $psql->ask('DROP TABLE copied') },
			refresh => sub {
				$psql->ask($create);
				$psql->ask("SELECT aggwin.refresh('history_rollup')");
				$psql->ask("SELECT aggwin.drop_rollup('history_rollup')");
			},
			worker => sub {
				my ($worker) = map { $_->[0] } $psql->ask('SELECT aggwin.start_worker()');
				my ($begin, $cpu) = (time, cpu_of($psql, $worker));
				$psql->ask($create);
				until (($psql->ask('SELECT invalid_buckets IS NOT DISTINCT FROM 0 FROM aggwin.rollup_status'))[0][0] eq 't')
				{
					sleep POLL;
				}
				my $figures = {
					s => time - $begin,
					cpu => defined $cpu ? cpu_of($psql, $worker) - $cpu : undef
				};
				($pieces) = map { $_->[0] } $psql->ask('SELECT repairs FROM aggwin.rollup_status');
				$psql->ask('SELECT aggwin.stop_worker()');
				same_answers($psql, 'backfill', 'TABLE history_rollup', [ 'history', $bucket{$name} ]);
				$psql->ask("SELECT aggwin.drop_rollup('history_rollup')");
				return $figures;
			}
		},
		before => $drop);

	report("history to 1-$name buckets, refresh() / CREATE TABLE AS",
		[ ratios($result, 's', qw(refresh table)) ], [ ratios($result, 'cpu', qw(refresh table)) ], '<= 1.5');
	report("the same by the worker", [ ratios($result, 's', qw(worker table)) ],
		[ ratios($result, 'cpu', qw(worker table)) ], '<= 1.5');
	note('%d rows, %.2f s for CREATE TABLE AS; the worker took %d pieces: equal',
		$rows, median(map { $_->{s} } @{ $result->{table} }), $pieces);
}
$psql->ask('ALTER SYSTEM RESET aggwin.worker_naptime');
$psql->ask('SELECT pg_reload_conf()');
$psql->close or die "bench: psql ended badly\n";
