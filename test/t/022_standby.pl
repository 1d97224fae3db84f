# A streaming standby reads rollups exactly while its primary is loaded and
# folds, whatever is pending, and carries on after it is promoted.
#
#   AGGWIN_STANDBY_SECONDS   how long the load lasts (8)
#   AGGWIN_STANDBY_SEED      what the random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use Aggwin::Crew;
use Aggwin::Session;
use Aggwin::Workload qw(create_workload rollup_names subtracting_names view_names compare_sql differences);
use Aggwin::Writer;

my $seconds = $ENV{AGGWIN_STANDBY_SECONDS} || 8;
my $seed = $ENV{AGGWIN_STANDBY_SEED} || int rand 1_000_000_000;

note "AGGWIN_STANDBY_SEED=$seed AGGWIN_STANDBY_SECONDS=$seconds";
srand $seed;

# The primary has no worker, so that what is pending stays so. The standby has
# a launcher, which must know to wait.
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'aggwin'
aggwin.worker_enabled = off
max_prepared_transactions = 40
deadlock_timeout = 200ms
});
$primary->start;
create_workload($primary);
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf(
	'postgresql.conf', q{
aggwin.worker_enabled = on
hot_standby_feedback = on
max_standby_streaming_delay = -1
});
$standby->start;

my $session = Aggwin::Session->new($primary->connstr('postgres'), 'test');
my $reader = Aggwin::Session->new($standby->connstr('postgres'), 'test');

sub is_exact
{
	my ($name) = @_;
	my ($differences, $rows, $text) = differences($reader->rows(compare_sql(view_names())));

	is($differences, 0, $name) or diag "seed $seed: $text";
	return $rows;
}

sub refresh
{
	my ($on) = @_;

	$on->rows("SELECT aggwin.refresh('$_')") foreach view_names();
	return;
}

sub catch_up
{
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	return;
}

sub hire_writers
{
	my ($crew, %options) = @_;

	# Snapshots of the standby cannot take the lock that TRUNCATE asks for.
	$crew->hire("writer$_", \&Aggwin::Crew::writer, without => ['truncate'], %options)
	  foreach 1 .. 3;
	$crew->hire('folder', \&Aggwin::Crew::folder);
	return;
}

# Under load ----------------------------------------------------------------

my $crew = Aggwin::Crew->new(
	node => $primary,
	seed => $seed,
	folder => PostgreSQL::Test::Utils::tempdir());
hire_writers($crew);
$crew->hire('sweeper', \&Aggwin::Crew::sweeper);
$crew->hire("checker$_", \&Aggwin::Crew::checker, node => $standby) foreach 1 .. 2;
$crew->hire("repeatable$_", \&Aggwin::Crew::repeatable_checker, node => $standby, standby => 1)
  foreach 1 .. 2;
my $total = $crew->finish($seconds);

is_deeply($total->{problems}, [], 'nobody saw a difference') or diag "seed $seed";
foreach my $count ('read committed checks', 'repeatable read checks', 'rows compared', 'folds', 'vacuums')
{
	note "$count: " . ($total->{$count} // 0);
	cmp_ok($total->{$count} // 0, '>', 0, $count);
}

# At rest -------------------------------------------------------------------

my $writer = Aggwin::Writer->new($session);
my $PENDING = q{SELECT count(*) FILTER (WHERE pending_deltas > 0), count(*) FILTER (WHERE invalid_buckets > 0)
	FROM aggwin.rollup_status JOIN aggwin.rollup ON view = rollup};
my $all = () = rollup_names();

catch_up();
is_exact('exact after the load');
refresh($session);
$session->rows($writer->insert(500));
catch_up();
is($reader->value($PENDING), "$all|0", 'the standby sees deltas pending, in every rollup');
cmp_ok(is_exact('exact with deltas pending'), '>', 0, 'there is something to compare');
$session->rows('UPDATE events SET i = i + 1, f = f + 1, n = n + 1, k = 3, t = $$x$$, big = 1 WHERE id % 5 = 0;'
	  . 'DELETE FROM events WHERE id % 7 = 0');
catch_up();
my $subtracting = () = subtracting_names();
is($reader->value($PENDING), $all . '|' . ($all - $subtracting), 'and invalid ranges, where nothing is subtracted');
is_exact('exact with deltas and invalid ranges pending');
refresh($session);
catch_up();
is($reader->value($PENDING), '0|0', 'the standby sees that they are folded');
is_exact('exact with nothing pending');
$session->rows('TRUNCATE events; ' . $writer->insert(300));
catch_up();
cmp_ok(is_exact('exact after TRUNCATE'), '>', 0, 'rows came after it');
refresh($session);
catch_up();
is_exact('exact when that is folded');

my $answer = $reader->run("SELECT aggwin.refresh('by_minute')");
is($answer->{errors}[0][0], '25006', 'a standby cannot fold');
like($answer->{errors}[0][1], qr/aggwin\.refresh\(\)/, 'and says so');
is($reader->value('SELECT count(*) FROM aggwin.workers'), 0, 'nor has it a worker');

# Promotion under load ------------------------------------------------------

$session->rows("BEGIN; " . $writer->insert(400) . "PREPARE TRANSACTION 'kept'");
$session->rows('BEGIN; ' . $writer->insert(400) . $writer->delete_sql);
$crew = Aggwin::Crew->new(
	node => $primary,
	seed => $seed + 1,
	folder => PostgreSQL::Test::Utils::tempdir());
hire_writers($crew, leave_prepared => 1);
sleep 2;
$primary->stop('immediate');
is_deeply($crew->collect->{problems}, [], 'nobody saw a difference before the primary failed');
$session->close;
is_exact('exact on the standby of a failed primary');
$reader->close;

$standby->promote;
$reader = Aggwin::Session->new($standby->connstr('postgres'), 'test');
cmp_ok(is_exact('exact after promotion'), '>', 0, 'there is something then');
ok($standby->poll_query_until('postgres', "SELECT count(*) = 1 FROM aggwin.workers"),
	'a worker has started');
$writer = Aggwin::Writer->new($reader);
$reader->rows($writer->insert(500));
is_exact('exact with rows inserted there');
refresh($reader);
is_exact('exact when they are folded');
my @prepared = $reader->rows('SELECT gid FROM pg_prepared_xacts');
is(scalar(grep { $_ eq 'kept' } @prepared), 1, 'the prepared transaction is there');
$reader->rows("COMMIT PREPARED '$_'") foreach @prepared;
is_exact('exact with it committed');
$reader->rows($writer->update_sql . $writer->delete_sql);
is_exact('exact with rows changed there');
refresh($reader);
is_exact('exact when that is folded, too');
cmp_ok($reader->value('SELECT min(rows_folded) FROM aggwin.rollup_status'),
	'>', 0, 'every rollup was folded');

$reader->close;
$standby->stop;
done_testing();
