# The launcher and its workers: they come when they are needed, fold what is
# due, survive errors and crashes, and are in nobody's way.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# The launcher probes by itself so rarely here that it never explains a success.
my $RARELY = '1h';

my $QUERY = "SELECT aggwin.time_bucket('1 minute', ts) AS bucket, k, %s FROM %s GROUP BY 1, 2";

sub is_served
{
	my ($database) = @_;
	return "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '$database'"
	  . " AND backend_type = 'aggwin worker' AND application_name = 'aggwin worker'";
}

sub worker_pid
{
	my ($node, $database) = @_;
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE datname = '$database'"
		  . " AND backend_type = 'aggwin worker' AND application_name = 'aggwin worker'");
}

sub wait_for_worker
{
	my ($node, $database, $what) = @_;
	my $start = time;
	my $served = $node->poll_query_until('postgres', is_served($database));
	ok($served && time - $start < 15, "$what: has a worker within seconds");
	return;
}

sub wait_for_no_worker
{
	my ($node, $database, $what) = @_;
	ok( $node->poll_query_until(
			'postgres', "SELECT count(*) = 0 FROM pg_stat_activity"
			  . " WHERE datname = '$database' AND backend_type = 'aggwin worker'"),
		"$what: has no worker");
	return;
}

# Changes settings without a restart.
sub reload
{
	my ($node, %settings) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET aggwin.$_ = '$settings{$_}'")
	  foreach sort keys %settings;
	$node->reload;
	return;
}

sub create_rollup
{
	my ($node, $database, $name, $source, $aggregates) = @_;
	my $query = sprintf($QUERY, $aggregates, $source);
	$node->safe_psql($database,
		"SELECT aggwin.create_rollup('$name', \$\$$query\$\$, refresh_interval => '100 ms')");
	return;
}

# Creates a source with rows and a rollup "healthy" over it.
sub set_up
{
	my ($node, $database) = @_;
	$node->safe_psql($database, 'CREATE TABLE events(ts timestamptz, k int, v int)');
	create_rollup($node, $database, 'healthy', 'events', 'sum(v) AS s, count(*) AS n');
	return;
}

# Inserts rows, and waits until a worker has folded them.
sub inserted_rows_are_folded
{
	my ($node, $database, $what) = @_;
	my $status = "FROM aggwin.rollup_status WHERE rollup = 'healthy'::regclass";
	my $before = $node->safe_psql($database, "SELECT rows_folded $status");
	my $query = sprintf($QUERY, 'sum(v), count(*)', 'events');

	$node->safe_psql($database,
		"INSERT INTO events SELECT '2026-01-01'::timestamptz + i * '1 second'::interval, i % 3, i"
		  . " FROM generate_series(1, 200) AS i");
	ok( $node->poll_query_until(
			$database, "SELECT rows_folded = $before + 200 AND pending_deltas = 0 $status"),
		"$what: inserted rows are folded");
	is( $node->safe_psql($database, "(TABLE healthy EXCEPT ALL $query) UNION ALL ($query EXCEPT ALL TABLE healthy)"),
		'',
		"$what: the rollup answers what its query does");
	return;
}

# The times of the log's lines that match, in seconds of the day.
sub logged_at
{
	my ($node, $offset, $pattern) = @_;
	my $log = substr(slurp_file($node->logfile), $offset);
	return map { /^\S+ (\d+):(\d+):([\d.]+)/ ? $1 * 3600 + $2 * 60 + $3 : () }
	  grep { /$pattern/ } split /\n/, $log;
}

sub wait_for_log
{
	my ($node, $pattern, $offset, $what) = @_;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;
	my $found;
	until ($found = substr(slurp_file($node->logfile), $offset) =~ $pattern or time > $until)
	{
		Time::HiRes::sleep(0.1);
	}
	ok($found, $what);
	return;
}

sub log_end
{
	my ($node) = @_;
	return -s $node->logfile;
}

### With a launcher ########################################################

my $node = PostgreSQL::Test::Cluster->new('launched');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'aggwin'
aggwin.launcher_naptime = '$RARELY'
restart_after_crash = on
max_worker_processes = 16
CONF
$node->start;

ok( $node->poll_query_until(
		'postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'aggwin launcher'"),
	'the launcher runs');

$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('postgres', 'CREATE DATABASE undecided');
$node->safe_psql('undecided', 'BEGIN; CREATE EXTENSION aggwin; ROLLBACK');
$node->safe_psql('app', 'CREATE EXTENSION aggwin');
wait_for_worker($node, 'app', 'CREATE EXTENSION');
is(worker_pid($node, 'undecided'), '', 'CREATE EXTENSION rolled back: has no worker');

# Folding, and what a sleeping worker holds
set_up($node, 'app');
inserted_rows_are_folded($node, 'app', 'launched');
ok( $node->poll_query_until('app', <<'SQL'), 'a sleeping worker holds no lock, snapshot or transaction');
SELECT count(*) = 1
FROM aggwin.workers w JOIN pg_stat_activity a USING (pid)
WHERE w.state = 'idle' AND w.activity IS NULL AND w.database = current_database()
	AND a.backend_xmin IS NULL AND a.backend_xid IS NULL AND a.xact_start IS NULL
	AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = w.pid)
SQL
my $pid = worker_pid($node, 'app');
is($node->safe_psql('app', 'SELECT aggwin.start_worker() UNION ALL SELECT aggwin.start_worker()'),
	"$pid\n$pid", 'start_worker() finds the worker that there is');

# Duration of folds in the log
my $offset = log_end($node);
reload($node, log_min_fold_duration => 0);
wait_for_log($node, qr/parameter "aggwin.log_min_fold_duration" changed/, $offset, 'the setting is reloaded');
inserted_rows_are_folded($node, 'app', 'logged');
wait_for_log($node, qr/folded rollup public\.healthy in [\d.]+ ms/, $offset, 'folds are logged');
reload($node, log_min_fold_duration => -1);

# A rollup whose repair fails: it has to compute a bucket, and one of the rows
# there, which is older than the rollup, cannot be computed with.
$offset = log_end($node);
$node->safe_psql('app', <<'SQL');
CREATE TABLE ratios(ts timestamptz, k int, v int);
INSERT INTO ratios VALUES ('2026-01-01', 1, 4), ('2026-01-01', 1, 0);
SQL
create_rollup($node, 'app', 'broken', 'ratios', 'sum(100 / v) AS s');
my $broken = "FROM aggwin.rollup_status WHERE rollup = 'broken'::regclass";
ok( $node->poll_query_until(
		'app', "SELECT failures >= 4 AND last_error = 'division by zero'"
		  . " AND last_error_at > now() - interval '1 minute' $broken"),
	'the failure shows in rollup_status');
like(substr(slurp_file($node->logfile), $offset), qr/folding rollup public\.broken/, 'and in the log');

my @failed_at = logged_at($node, $offset, qr/WARNING:  could not repair all of rollup public\.broken: division by zero/);
my @pauses = map { ($failed_at[ $_ + 1 ] - $failed_at[$_]) % 86400 } 0 .. $#failed_at - 1;
cmp_ok($pauses[0], '>=', 1, 'the worker pauses after a failure');
cmp_ok($pauses[$_], '>=', 1.5 * $pauses[ $_ - 1 ], "and longer after another ($_)") foreach 1 .. 2;
inserted_rows_are_folded($node, 'app', 'beside a failing rollup');
is(worker_pid($node, 'app'), $pid, 'the worker is still the same');

# The present pause is eight seconds or more; now every one is a second.
reload($node, max_backoff => '1s');
my $failures = $node->safe_psql('app', "SELECT failures $broken");
my $start = time;
ok($node->poll_query_until('app', "SELECT failures >= $failures + 3 $broken"), 'it goes on trying');
cmp_ok(time - $start, '<', 7, 'aggwin.max_backoff bounds the pause at once');

$node->safe_psql('app', 'DELETE FROM ratios WHERE v = 0');
ok( $node->poll_query_until(
		'app', "SELECT pending_deltas = 0 AND invalid_buckets = 0"
		  . " AND failures > $failures AND last_fold > last_error_at $broken"),
	'it recovers when the cause is gone, and does not forget the failures');
is($node->safe_psql('app', 'SELECT s FROM broken'), '25', 'and its answer is right');

# While an old snapshot holds vacuum back, a rollup is folded every twentieth of
# the snapshot's age: five seconds make pauses of a quarter of a second or more.
my $holder = $node->background_psql('app');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
sleep 6;
$offset = log_end($node);
reload($node, log_min_fold_duration => 0);
my $began = time;
$node->safe_psql('app', "INSERT INTO events VALUES (now(), $_, 1)") foreach 1 .. 100;
my $seconds = time - $began + 1;
my @folds = logged_at($node, $offset, qr/folded rollup public\.healthy in/);
cmp_ok(scalar @folds, '<=', 4 * $seconds + 1, "rarer folds beside an old snapshot, in $seconds s");
$holder->query_safe('COMMIT');
$holder->quit;
reload($node, log_min_fold_duration => -1);
ok($node->poll_query_until('app', "SELECT pending_deltas = 0 FROM aggwin.rollup_status WHERE rollup = 'healthy'::regclass"),
	'they catch up when it is gone');

# A rollup that cannot be locked
reload($node, lock_timeout => '100ms');
my $locker = $node->background_psql('app');
$locker->query_safe('BEGIN; INSERT INTO ratios VALUES (now(), 1, 1)');
$locker->query_safe('LOCK TABLE ratios IN ACCESS EXCLUSIVE MODE');
ok( $node->poll_query_until(
		'app', "SELECT f.error = 'canceling statement due to lock timeout'"
		  . " FROM aggwin.failure AS f JOIN aggwin.rollup USING (rollup_id) WHERE view::text = 'broken'"),
	'a fold that cannot get its locks gives up');
inserted_rows_are_folded($node, 'app', 'beside a locked source');
$locker->query_safe('COMMIT');
$locker->quit;
reload($node, lock_timeout => '10s');

# Cancel does not end a worker.
$node->safe_psql('app', "SELECT pg_cancel_backend($pid)");
inserted_rows_are_folded($node, 'app', 'after a cancel request');
is(worker_pid($node, 'app'), $pid, 'the cancelled worker is still the same');

# Others need the database for themselves
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE app');
pass('a database with a worker can be copied');
wait_for_worker($node, 'app', 'the copied database');
reload($node, launcher_naptime => '1s');
wait_for_worker($node, 'copy', 'the copy');
reload($node, launcher_naptime => $RARELY);
inserted_rows_are_folded($node, 'copy', 'the copy');
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO renamed');
wait_for_worker($node, 'renamed', 'the renamed database');
$node->safe_psql('postgres', 'DROP DATABASE renamed');
pass('a database with a worker can be dropped and renamed');

# DROP EXTENSION, and back again
$offset = log_end($node);
$node->safe_psql('app', 'DROP EXTENSION aggwin CASCADE; DROP TABLE events, ratios');
wait_for_no_worker($node, 'app', 'DROP EXTENSION');
my $log = substr(slurp_file($node->logfile), $offset);
like($log, qr/aggwin worker of database "app" ends: the extension is gone/, 'the log says why');
unlike($log, qr/(ERROR|FATAL):/, 'and no error');
$node->safe_psql('app', 'CREATE EXTENSION aggwin');
wait_for_worker($node, 'app', 'the extension created again');
set_up($node, 'app');

# stop_worker() and the switch
$pid = worker_pid($node, 'app');
is($node->safe_psql('app', 'SELECT aggwin.stop_worker()'), 't', 'stop_worker() ends the worker');
reload($node, worker_enabled => 'off');
wait_for_no_worker($node, 'app', 'aggwin.worker_enabled = off');
is($node->safe_psql('app', 'SELECT aggwin.stop_worker()'), 'f', 'stop_worker() finds nothing to end');
isnt($node->safe_psql('app', 'SELECT aggwin.start_worker()'), $pid, 'start_worker() starts one nonetheless');
inserted_rows_are_folded($node, 'app', 'started by hand');
$node->safe_psql('app', 'SELECT aggwin.stop_worker()');
reload($node, worker_enabled => 'on');
wait_for_worker($node, 'app', 'aggwin.worker_enabled = on');

# A worker that is ended from outside is missed soon, not at the next probe.
$pid = worker_pid($node, 'app');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('postgres', is_served('app') . " AND pid <> $pid"),
	'terminated worker: another one serves');

# The launcher is replaceable.
$pid = worker_pid($node, 'app');
my $launcher = "FROM pg_stat_activity WHERE backend_type = 'aggwin launcher'";
my $first = $node->safe_psql('postgres', "SELECT pid $launcher");
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $launcher");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 AND min(pid) <> $first $launcher"),
	'the launcher comes back');
$node->safe_psql('undecided', 'CREATE EXTENSION aggwin');
wait_for_worker($node, 'undecided', 'CREATE EXTENSION under another launcher');
is(worker_pid($node, 'app'), $pid, 'it lets the worker that there is serve on');

# Restart and crash
$node->restart;
wait_for_worker($node, 'app', 'restart');
inserted_rows_are_folded($node, 'app', 'restarted');
foreach my $round (1 .. 2)
{
	$pid = worker_pid($node, 'app');
	kill 'KILL', $pid or BAIL_OUT("cannot kill $pid: $!");
	ok($node->poll_query_until('postgres', is_served('app') . " AND pid <> $pid"),
		"killed worker ($round): another one serves after recovery");
	inserted_rows_are_folded($node, 'app', "after a crash ($round)");
}

# A standby has none before it is promoted.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is( $standby->safe_psql(
		'postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'aggwin %'"),
	'0',
	'a standby has neither launcher nor worker');
my ($exit, $stdout, $stderr) = $standby->psql('app', 'SELECT aggwin.start_worker()');
like($stderr, qr/cannot be started during recovery.*HINT:/s, 'start_worker() refuses on a standby');
$standby->promote;
wait_for_worker($standby, 'app', 'promotion');
inserted_rows_are_folded($standby, 'app', 'promoted');
$standby->stop;
$node->stop;

### Too few processes ######################################################

my $small = PostgreSQL::Test::Cluster->new('small');
$small->init;
$small->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'aggwin'
max_logical_replication_workers = 0
max_worker_processes = 1
CONF
$small->start;
$small->safe_psql('postgres', 'CREATE EXTENSION aggwin');
wait_for_log($small, qr/no worker process is free for database "postgres".*HINT:  Raise max_worker_processes/s,
	0, 'the launcher says that no process is free');
($exit, $stdout, $stderr) = $small->psql('postgres', 'SELECT aggwin.start_worker()');
like($stderr, qr/all worker processes are in use.*HINT:  Raise max_worker_processes/s,
	'so does start_worker()');
$small->append_conf('postgresql.conf', 'max_worker_processes = 2');
$small->restart;
wait_for_worker($small, 'postgres', 'enough processes');
$small->stop;

### Without preload ########################################################

my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->append_conf('postgresql.conf', "aggwin.worker_naptime = '500ms'");
$plain->start;
$plain->safe_psql('postgres', 'CREATE DATABASE app');
($exit, $stdout, $stderr) =
  $plain->psql('app', 'BEGIN; CREATE EXTENSION aggwin; SELECT aggwin.start_worker()');
like($stderr, qr/did not begin to serve.*HINT:  Commit CREATE EXTENSION first/s,
	'start_worker() needs the extension to be committed');
$plain->safe_psql('app', 'CREATE EXTENSION aggwin');
set_up($plain, 'app');
is( $plain->safe_psql(
		'postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'aggwin %'"),
	'0',
	'nothing runs by itself');
is($plain->safe_psql('app', "LOAD 'aggwin'; SHOW aggwin.worker_naptime"),
	'500ms', 'a setting in postgresql.conf is taken over');

# Many ask at once, one worker comes.
my @sessions = map { { out => '' } } 1 .. 6;
$_->{run} = IPC::Run::start(
	[ 'psql', '-XAt', '-d', $plain->connstr('app'), '-c', 'SELECT aggwin.start_worker()' ],
	'<', \undef, '>', \$_->{out})
  foreach @sessions;
$_->{run}->finish foreach @sessions;
$pid = worker_pid($plain, 'app');
like($pid, qr/^\d+$/, 'one worker serves');
is_deeply([ map { $_->{out} } @sessions ], [ map { "$pid\n" } @sessions ],
	'every start_worker() returned it');
inserted_rows_are_folded($plain, 'app', 'without preload');

# In the middle of a fold
$locker = $plain->background_psql('app');
$locker->query_safe('BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE');
ok( $plain->poll_query_until(
		'app', "SELECT state = 'active' AND activity = 'folding public.healthy' FROM aggwin.workers"),
	'a view shows what the worker does');
is($plain->safe_psql('app', 'SELECT aggwin.stop_worker(), aggwin.stop_worker()'),
	't|f', 'stop_worker() ends it in the middle of a fold');
$locker->query_safe('ROLLBACK');
$locker->quit;
wait_for_no_worker($plain, 'app', 'stopped by hand');

# Not for everybody
$plain->safe_psql('app', 'CREATE ROLE somebody LOGIN');
foreach my $function ('start_worker', 'stop_worker', '_announce')
{
	($exit, $stdout, $stderr) =
	  $plain->psql('app', "SET ROLE somebody; SELECT aggwin.$function()");
	like($stderr, qr/permission denied for function $function/, "$function() is for superusers");
}
$plain->safe_psql('app', 'GRANT EXECUTE ON FUNCTION aggwin.start_worker(), aggwin.stop_worker() TO somebody');
is( $plain->safe_psql(
		'app',
		'SET ROLE somebody; SELECT aggwin.start_worker() = aggwin.start_worker(), aggwin.stop_worker()'),
	't|t',
	'or for whom they grant it to');

$plain->safe_psql('app', 'SELECT aggwin.start_worker()');
$plain->safe_psql('postgres', 'DROP DATABASE app');
wait_for_no_worker($plain, 'app', 'DROP DATABASE');
$plain->stop;

done_testing();
