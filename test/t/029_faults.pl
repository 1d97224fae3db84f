# Faults in the middle of what folds do. The server stops at once, or a process
# of it is killed, while a fold stands still half-way through a backfill, a
# repair, each tier, or retention: nothing of it remains, every view is exact at
# once, and the rest gets done. A worker that finds no room on disk says so in
# rollup_status, loses nothing, and goes on by itself when there is room again.
#
# A fold stands still where a row of state is locked by somebody else, or where
# the rollup's query waits, in workers only, for an advisory lock.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Aggwin::Session;

my $GATE = 42;
my $ROWS = 12_000;

my $node = PostgreSQL::Test::Cluster->new('faults');

# A limit on the size of files must leave room for those of the log.
$node->init(extra => ['--wal-segsize=1']);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'aggwin'
restart_after_crash = on
autovacuum = off
max_wal_size = 256MB
aggwin.worker_naptime = 50ms
aggwin.repair_batch = 500
aggwin.max_backoff = 1s
aggwin.lock_timeout = 0
});
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION aggwin;
	CREATE FUNCTION gate(value int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \$\$
	BEGIN
		IF value < 0 AND current_setting('application_name') = 'aggwin worker' THEN
			PERFORM pg_advisory_xact_lock_shared($GATE);
		END IF;
		RETURN value;
	END \$\$;
	CREATE TABLE events (ts timestamptz, k int, v int);
	CREATE INDEX ON events (ts);
	-- in the middle of them one that the gate stops
	INSERT INTO events SELECT '2026-03-01Z'::timestamptz + n * interval '1 minute', n % 3,
			CASE WHEN n = $ROWS / 2 THEN -1 ELSE n END
		FROM generate_series(1, $ROWS) AS n;
	ANALYZE;
});

sub plain
{
	my ($width) = @_;
	return "SELECT aggwin.time_bucket('$width', ts) AS bucket, k, count(*) AS n, sum(gate(v)) AS v, max(v) AS high"
	  . ' FROM events GROUP BY 1, 2';
}

my %PLAIN = (
	e => plain('10 minutes'),
	e_1h => plain('1 hour'),
	e_1d => plain('1 day'));
my ($session, $blocker);

sub connect_again
{
	$_ && $_->close foreach $session, $blocker;
	$session = Aggwin::Session->new($node->connstr('postgres'), 'test');
	# What workers lack, others have.
	$session->rows("SET temp_file_limit = -1; SET work_mem = '64MB'");
	$blocker = Aggwin::Session->new($node->connstr('postgres'), 'blocker');
	return;
}

# How many rows two queries do not have in common.
sub differences
{
	my ($one, $other) = @_;
	return "(SELECT count(*) FROM (($one) EXCEPT ALL ($other)) AS x) + (SELECT count(*) FROM (($other) EXCEPT ALL ($one)) AS x)";
}

sub is_exact
{
	my ($name, @views) = @_;
	my $sql = join ' + ', map { differences("TABLE $_", $PLAIN{$_}) } @views ? @views : sort keys %PLAIN;

	is($session->value("SELECT $sql"), 0, "$name: every view is exact");
	return;
}

# The tables of a rollup: e, 0 => state of the base.
sub state_of
{
	my ($view, $level) = @_;
	return $session->value("SELECT coalesce(t.state, r.state) FROM aggwin.rollup AS r JOIN aggwin.tier AS t"
		  . " USING (rollup_id) WHERE r.view = '$view'::regclass AND t.level = $level");
}

# Until a worker has nothing more to do. At all levels state itself is what the
# plain query answers then.
sub gets_finished
{
	my ($name) = @_;
	my $level = 0;

	ok($node->poll_query_until(
			'postgres', 'SELECT bool_and(pending_deltas = 0 AND invalid_buckets IS NOT DISTINCT FROM 0) FROM aggwin.rollup_status'),
		"$name: what was left gets done");
	is_exact($name);
	foreach my $view (qw(e e_1h e_1d))
	{
		my $state = state_of('e', $level++);

		is( $session->value('SELECT ' . differences("SELECT bucket, k1, n FROM $state", "SELECT bucket, k, n FROM ($PLAIN{$view}) AS p")),
			0,
			"$name: so is what $view has stored");
	}
	return;
}

# Waits until somebody waits for the blocker, and returns his pid and whether he
# has written.
sub stands_still
{
	my ($name, $process) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	my $query = "SELECT pid, coalesce(backend_xid::text, '') FROM pg_stat_activity"
	  . " WHERE application_name = '$process' AND wait_event_type = 'Lock'"
	  . ' AND ' . $blocker->value('SELECT pg_backend_pid()') . ' = ANY (pg_blocking_pids(pid))';
	my $found;

	until ($found = $session->value($query))
	{
		die "$name: nobody waits" if time > $end;
		sleep 0.02;
	}
	return split /\|/, $found, -1;
}

# Rows of a table that an open transaction, or a part of it, has deleted or
# updated.
sub touched
{
	my ($xid, $table) = @_;
	return length $xid ? $session->value("SELECT count(*) FROM $table WHERE xmax::text::bigint >= $xid") : 0;
}

my %HARM = (
	'the server stops' => sub { $node->stop('immediate'); $node->start },
	'the process is killed' => sub {
		kill 'KILL', $_[0] or die "could not kill $_[0]: $!";
		$session->run('SELECT pg_sleep(60)');
		die 'the server did not notice' if !$session->{lost};
		Aggwin::Session::await_recovery($node);
	});

# Holds something up, does something, waits until a fold has come to what is
# held, and then the harm, or one harm after the other. Of a table that is named
# rows must have been touched.
sub fault
{
	my (%arg) = @_;

	foreach my $harm ($arg{harm} // sort keys %HARM)
	{
		my $name = "$arg{name}, $harm";

		$arg{before}->() if $arg{before};
		$blocker->rows('BEGIN; ' . $arg{hold}->());
		$arg{cause}->();
		my ($pid, $xid) = stands_still($name, $arg{process} // 'aggwin worker');
		cmp_ok(touched($xid, $arg{touches}->()), '>', 0, "$name: it had begun") if $arg{touches};
		is_exact("$name, in the middle", @{ $arg{views} // [] });
		$HARM{$harm}->($pid);
		connect_again();
		is_exact("$name, afterwards", @{ $arg{views} // [] });
		$arg{afterwards}->($name) if $arg{afterwards};
		gets_finished($name) unless $arg{unfinished};
	}
	return;
}

sub close_gate
{
	return "SELECT pg_advisory_xact_lock($GATE)";
}

# A row somewhere behind others.
sub hold_row
{
	my ($table, $condition) = @_;
	return "SELECT FROM $table WHERE ctid = (SELECT max(ctid) FROM $table WHERE $condition) FOR UPDATE";
}

my $serial = 0;

# Rows for many groups of one day, and some of them late.
sub insert_rows
{
	$serial++;
	$session->rows("INSERT INTO events SELECT '2026-03-03Z'::timestamptz + n * interval '1 minute', n % 3, $serial"
		  . ' FROM generate_series(1, 1000) AS n');
	return;
}

connect_again();

# Backfill: half of it is done. The killed worker's successor computes the other.
fault(
	name => 'backfill',
	before => sub {
		$session->rows("SELECT aggwin.drop_rollup('e')") if $session->value("SELECT to_regclass('e') IS NOT NULL") eq 't';
	},
	hold => \&close_gate,
	cause => sub {
		$session->rows("SELECT aggwin.create_rollup('e', \$\$$PLAIN{e}\$\$, tiers => '{1 hour, 1 day}', refresh_interval => '50 ms')");
	},
	afterwards => sub {
		my ($name) = @_;
		my ($done) = $session->value("SELECT backfill_done FROM aggwin.rollup_status WHERE rollup = 'e'::regclass");

		cmp_ok($done, '>=', $ROWS / 2 - 1000, "$name: half of it remains done");
	});

# Repair: what was there is deleted, not all of it computed anew.
fault(
	name => 'repair',
	hold => \&close_gate,
	cause => sub {
		$session->rows("UPDATE events SET k = k + 3 WHERE v % 40 = 0 AND abs(extract(epoch FROM ts"
			  . " - (SELECT min(ts) FROM events WHERE v < 0))) < 7200");
		$session->rows("UPDATE events SET k = 3 - k WHERE v < 0");
	},
	touches => sub { state_of('e', 0) });

# Each level in a transaction of its own, as workers fold.
foreach my $level (0 .. 2)
{
	fault(
		name => "fold of level $level",
		harm => $level == 1 ? 'the server stops' : 'the process is killed',
		hold => sub { hold_row(state_of('e', $level), "bucket >= '2026-03-03Z' AND bucket < '2026-03-04Z'") },
		cause => \&insert_rows,
		touches => sub { state_of('e', $level) });
}

# All levels in one transaction, as refresh() does.
$session->rows("SELECT aggwin.pause_rollup('e')");
my $folder;
fault(
	name => 'refresh of all levels',
	process => 'folder',
	before => sub { $folder = Aggwin::Session->new($node->connstr('postgres'), 'folder') },
	hold => sub { hold_row(state_of('e', 2), "bucket = '2026-03-03Z'") },
	cause => sub {
		insert_rows();
		$folder->start("SELECT aggwin.refresh('e_1d')");
	},
	touches => sub { state_of('e', 0) },
	afterwards => sub {
		$folder->await;
		$folder->close;
		is($session->value('SELECT sum(pending_deltas) > 0 FROM aggwin.rollup_status'),
			't', "$_[0]: no level is folded");
	},
	unfinished => 1);
$session->rows("SELECT aggwin.resume_rollup('e')");
gets_finished('refresh of all levels');

# Retention: of 29 days of buckets, all but three go, in more than one fold. A
# rollup shows what its boundary says, however much of it is deleted.
my $boundary = q{(SELECT coalesce(max(upper(spans)), '-infinity') FROM %s WHERE kind = 'e' AND level = 0)};

$session->rows(q{CREATE TABLE old (ts timestamptz, v int)});
$session->rows(q{CREATE INDEX ON old (ts)});
fault(
	name => 'retention',
	before => sub {
		$session->rows("SELECT aggwin.drop_rollup('o')") if $session->value("SELECT to_regclass('o') IS NOT NULL") eq 't';
		$session->rows('TRUNCATE old');
		$session->rows(q{INSERT INTO old SELECT now() - n * interval '100 seconds', n FROM generate_series(1, 25000) AS n});
		$session->rows(q{SELECT aggwin.create_rollup('o', $$SELECT aggwin.time_bucket('1 minute', ts) AS bucket,
			count(*) AS n, sum(v) AS v FROM old GROUP BY 1$$, tiers => '{1 day}', refresh_interval => '50 ms')});
		$session->rows(q{SELECT aggwin.refresh('o_1d')});
		my $invalid = $session->value("SELECT invalid FROM aggwin.rollup WHERE view = 'o'::regclass");

		$PLAIN{o} = q{SELECT aggwin.time_bucket('1 minute', ts) AS bucket, count(*) AS n, sum(v) AS v FROM old WHERE ts >= }
		  . sprintf($boundary, $invalid) . ' GROUP BY 1';
		$PLAIN{o_1d} = q{SELECT aggwin.time_bucket('1 day', ts) AS bucket, count(*) AS n, sum(v) AS v FROM old GROUP BY 1};
	},
	hold => sub {
		my $state = state_of('o', 0);
		"SELECT FROM $state WHERE ctid = (SELECT ctid FROM $state WHERE bucket < now() - interval '3 days'"
		  . ' ORDER BY ctid LIMIT 1 OFFSET 15000) FOR UPDATE';
	},
	cause => sub { $session->rows(q{SELECT aggwin.alter_rollup('o', retention => '2 days')}) },
	touches => sub { state_of('o', 0) },
	afterwards => sub {
		my ($name) = @_;
		my $state = state_of('o', 0);

		ok($node->poll_query_until('postgres', "SELECT min(bucket) >= now() - interval '3 days 2 minutes' FROM $state"),
			"$name: all that is too old gets deleted");
		is($session->value("SELECT sum(n) FROM o_1d"), 25000, "$name: the tier above keeps it");
	});

# No room ----------------------------------------------------------------------

# New groups go on new pages of state, of which there are more than of any
# other file that the worker writes. It alone is denied them.
$session->rows('CREATE TABLE wide (ts timestamptz, k int, t text)');
$session->rows(q{SELECT aggwin.create_rollup('w', $$SELECT aggwin.time_bucket('1 hour', ts) AS bucket,
	k, count(*) AS n, max(t) AS t FROM wide GROUP BY 1, 2$$, tiers => '{1 day}', refresh_interval => '50 ms')});
$PLAIN{w} = q{SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, count(*) AS n, max(t) AS t FROM wide GROUP BY 1, 2};
$PLAIN{w_1d} = $PLAIN{w} =~ s/1 hour/1 day/r;

sub insert_wide
{
	my ($first, $last) = @_;
	$session->rows("INSERT INTO wide SELECT '2026-03-01Z'::timestamptz + k % 4 * interval '1 hour', k, repeat(md5(k::text), 5)"
		  . " FROM generate_series($first, $last) AS k");
	return;
}

sub status
{
	my ($column, $view) = @_;
	return $session->value("SELECT $column FROM aggwin.rollup_status WHERE rollup = '$view'::regclass");
}

# What happens to a worker that has no room, in rollup w.
sub no_room
{
	my ($name, $message, $take_room, $give_room) = @_;
	my $failures = status('failures', 'w');
	my ($folded, $stored);

	$take_room->();
	insert_wide($serial + 1, $serial + 6000);
	$serial += 6000;
	ok($node->poll_query_until('postgres', "SELECT failures >= $failures + 2 FROM aggwin.rollup_status WHERE rollup = 'w'::regclass"),
		"$name: the fold fails");
	like(status('last_error', 'w'), $message, "$name: the reason is told");
	cmp_ok(status('pending_deltas', 'w'), '>', 0, "$name: what it could not fold stays pending");
	$folded = status('rows_folded', 'w');
	insert_wide($serial - 10, $serial + 10);
	$session->rows("DELETE FROM wide WHERE k % 1000 = 7");
	is_exact($name);
	insert_rows();
	ok($node->poll_query_until('postgres', "SELECT pending_deltas = 0 FROM aggwin.rollup_status WHERE rollup = 'e'::regclass"),
		"$name: other rollups are folded");
	is(status('rows_folded', 'w'), $folded, "$name: of this one nothing is");
	$give_room->();
	gets_finished("$name, then again");
	cmp_ok(status('rows_folded', 'w'), '>', $folded, "$name, then again: it has folded");
	return;
}

$serial = 10_000;
insert_wide(1, $serial);
gets_finished('before there is no room');

no_room(
	'no room for temporary files',
	qr/temporary file size exceeds temp_file_limit/,
	sub {
		$node->safe_psql('postgres', "ALTER SYSTEM SET $_") foreach 'temp_file_limit = 0', 'work_mem = 64';
		$node->reload;
	},
	sub {
		$node->safe_psql('postgres', "ALTER SYSTEM RESET $_") foreach qw(temp_file_limit work_mem);
		$node->reload;
	});

# A limit on the size of files that a process writes is what an ordinary user
# can set for a single one; the server is told in the same place as when the
# disk is full.
sub limit_file_size
{
	my ($size) = @_;
	my $pid = $session->value("SELECT pid FROM aggwin.workers");

	return IPC::Run::run([ 'prlimit', '--pid', $pid, "--fsize=$size:" ], '>&', \my $output);
}

SKIP:
{
	skip 'prlimit, which is part of util-linux, is not here', 8
	  unless eval { limit_file_size('unlimited') };

	no_room(
		'no room for state',
		qr/could not extend file/,
		sub {
			my $size = $session->value('SELECT pg_relation_size(\'' . state_of('w', 0) . '\')');

			die "there are larger files than that of $size bytes" if $size < 2 * 1024 * 1024;
			limit_file_size($size) or die 'could not set the limit';
		},
		sub { limit_file_size('unlimited') or die 'could not lift the limit' });
}

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal (?!9:|3:)/, 'no process died but those that were killed');

$_->close foreach $session, $blocker;
$node->stop;
done_testing();
