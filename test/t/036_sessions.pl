# Rollups by session against gaps and islands: random streams with late rows,
# changes, rollbacks, folds and readers at the same time; computed by a worker in
# pieces; and out of a dump.
#
#   AGGWIN_PROPERTY_SECONDS   how long they work together (20)
#   AGGWIN_PROPERTY_SEED      what their random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Crew;
use Aggwin::Session;

my $seconds = $ENV{AGGWIN_PROPERTY_SECONDS} || 20;
my $seed = $ENV{AGGWIN_PROPERTY_SEED} || int rand 1_000_000_000;

note "AGGWIN_PROPERTY_SEED=$seed AGGWIN_PROPERTY_SECONDS=$seconds";

my $node = PostgreSQL::Test::Cluster->new('sessions');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'aggwin'
aggwin.worker_naptime = 50ms
aggwin.max_backoff = 1s
aggwin.repair_batch = 500
autovacuum_naptime = 3s
synchronous_commit = off
timezone = 'UTC'
});
$node->start;

# name, keys, columns, WHERE, HAVING. Sums of floats would depend on the order.
my @rollups = (
	[ 'visits', 'visitor', 'count(*) AS n, sum(v) AS v, min(v) AS least, aggwin.last(v, ts) AS at_end', 'true', 'true' ],
	[ 'alone', '', 'count(*) AS n, avg(v) AS v, aggwin.exp_hist_agg(v)::text AS h', 'true', 'true' ],
	[ 'pages', 'visitor, page', 'count(*) FILTER (WHERE v > 4) AS n, stddev(v) AS v', 'v <> 3', 'count(*) > 1' ],
	[ 'readings', 'page, visitor % 2', '(aggwin.counter_agg(ts, v) FILTER (WHERE isfinite(ts)))::text AS c', 'true', 'true' ],
	[ 'wide', 'visitor, page, v % 2', 'count(*) AS n, max(v) AS v', 'true', 'true' ]);
my $gap = '30 minutes';

# What each is to give, without any function of aggwin's windows.
sub plain
{
	my ($keys, $columns, $where, $having) = @{$_[0]}[ 1 .. 4 ];
	my $list = $keys eq '' ? '' : "$keys, ";
	my $by = $keys eq '' ? '' : ", $keys";
	my $over = "PARTITION BY ${list}ts IS NULL ORDER BY ts";

	return "SELECT CASE WHEN isfinite(min(ts)) THEN tstzrange(min(ts), max(ts) + interval '$gap')
			WHEN min(ts) IS NOT NULL THEN tstzrange(min(ts), min(ts), '[]') END AS session, $list$columns
		FROM (SELECT *, count(*) FILTER (WHERE begins) OVER ($over) AS island
			FROM (SELECT *, ts > lag(ts) OVER ($over) + interval '$gap' OR NOT isfinite(ts) AND ts > lag(ts) OVER ($over) AS begins
				FROM clicks WHERE $where) AS e) AS e
		GROUP BY ts IS NULL, island$by HAVING $having";
}

sub create_sql
{
	my ($name, $keys, $columns, $where, $having) = @{ $_[0] };
	my @keys = split /, /, $keys;
	my $ordinals = join ', ', 1 .. 1 + @keys;
	my $list = join '', map { "$keys[$_] AS k$_, " } 0 .. $#keys;

	return "SELECT aggwin.create_rollup('$name', \$q\$SELECT aggwin.session(ts, '$gap') AS session, $list$columns
		FROM clicks WHERE $where GROUP BY $ordinals HAVING $having\$q\$)";
}

# One row a rollup: its name, the number of differences, of rows.
my $compare = join ' UNION ALL ', map {
	my $plain = plain($_);
	"(WITH r AS (SELECT t.*::text AS row FROM $_->[0] AS t), p AS (SELECT t.*::text AS row FROM ($plain) AS t)
		SELECT '$_->[0]', (SELECT count(*) FROM (TABLE r EXCEPT ALL TABLE p) AS d)
			+ (SELECT count(*) FROM (TABLE p EXCEPT ALL TABLE r) AS d), (SELECT count(*) FROM p))"
} @rollups;

# The number of rows compared, and what is wrong.
sub differences
{
	my ($session) = @_;
	my ($rows, @wrong) = (0);

	foreach ($session->rows($compare))
	{
		my ($name, $differences, $count) = split /\|/;
		$rows += $count;
		push @wrong, "$name: $differences of $count" if $differences != 0;
	}
	return ($rows, join ', ', @wrong);
}

sub is_exact
{
	my ($session, $name) = @_;
	my ($rows, $wrong) = differences($session);

	is($wrong, '', $name) or diag "seed $seed";
	cmp_ok($rows, '>', 100, "$name: rows to compare");
	return;
}

# A day's worth of times, most of them near its end, some without bounds or none.
my $TIME = q{CASE WHEN random() < 0.02 THEN NULL WHEN random() < 0.02 THEN CASE WHEN random() < 0.5 THEN 'infinity'::timestamptz ELSE '-infinity' END
	ELSE '2026-03-01'::timestamptz + interval '5 minutes' * floor(288 * random() ^ 0.5) END};
my $ROW = "$TIME, nullif(floor(6 * random())::int, 5), nullif(chr(97 + floor(4 * random())::int), 'd'), floor(10 * random())::int";
my $SOME = sub { 'WHERE id IN (SELECT id FROM clicks ORDER BY random() LIMIT ' . (1 + int rand $_[0]) . ')' };
my %actions = (
	one => sub { "INSERT INTO clicks (ts, visitor, page, v) SELECT $ROW" },
	some => sub { "INSERT INTO clicks (ts, visitor, page, v) SELECT $ROW FROM generate_series(1, " . (2 + int rand 20) . ')' },
	many => sub { "INSERT INTO clicks (ts, visitor, page, v) SELECT $ROW FROM generate_series(1, " . (40 + int rand 60) . ')' },
	delete => sub { 'DELETE FROM clicks ' . $SOME->(30) },
	move => sub { "UPDATE clicks SET ts = $TIME " . $SOME->(10) },
	shift => sub { q{UPDATE clicks SET ts = ts + interval '20 minutes' * (random() - 0.5) } . $SOME->(10) },
	other => sub { 'UPDATE clicks SET visitor = floor(6 * random())::int, v = v + 1 ' . $SOME->(10) },
	truncate => sub { 'TRUNCATE clicks' },
	invalidate => sub { 'SELECT aggwin.invalidate($$' . $rollups[ rand @rollups ][0] . '$$, $$2026-03-01$$::timestamptz, $$2026-03-01$$::timestamptz + random() * interval $$1 day$$)' });

# Conflicts of concurrent changes are nobody's fault, nor is what follows in the same transaction.
my $EXPECTED = qr/^(?:40001|40P01|55P03|25P02|3B001)$/;

sub do_sql
{
	my ($session, $result, $sql) = @_;
	my $answer = $session->run($sql);
	my @unexpected = grep { $_->[0] !~ $EXPECTED } @{ $answer->{errors} };

	push @{ $result->{problems} }, map { "$sql: $_->[0] $_->[1]" } @unexpected;
	return !@{ $answer->{errors} };
}

sub writer
{
	my ($crew, $session, $result) = @_;
	my @names = sort keys %actions;

	while (!$crew->over($session, $result))
	{
		my @chosen = map { my $name = $names[ rand @names ]; $name eq 'truncate' && rand() < 0.9 ? 'some' : $name } 1 .. 1 + int rand 3;
		my $sql = join '; ', map { my $do = $actions{$_}->(); rand() < 0.2 ? "SAVEPOINT s; $do; ROLLBACK TO s" : $do } @chosen;

		do_sql($session, $result, "BEGIN; $sql; " . (rand() < 0.15 ? 'ROLLBACK' : 'COMMIT'));
		$session->run('ROLLBACK');
		$result->{"did $_"}++ foreach @chosen;
		select undef, undef, undef, 0.03 * rand;
	}
	return;
}

sub folder
{
	my ($crew, $session, $result) = @_;

	while (!$crew->over($session, $result))
	{
		$result->{folds} += do_sql($session, $result, "SELECT aggwin.refresh('$rollups[rand @rollups][0]')");
		select undef, undef, undef, 0.1 * rand;
	}
	return;
}

sub checker
{
	my ($crew, $session, $result) = @_;

	while (!$crew->over($session, $result))
	{
		my $repeatable = rand() < 0.5;

		# A snapshot that grows old before it is used; TRUNCATE is past MVCC.
		$session->rows('BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK clicks IN ACCESS SHARE MODE; SELECT 1') if $repeatable;
		foreach (0 .. $repeatable)
		{
			my ($rows, $wrong) = differences($session);

			push @{ $result->{problems} }, "seen: $wrong" if $wrong ne '';
			$result->{checks}++;
			$result->{compared} += $rows;
			select undef, undef, undef, 0.2 * rand if $repeatable;
		}
		$session->rows('COMMIT') if $repeatable;
	}
	return;
}

my $session = Aggwin::Session->new($node->connstr('postgres'), 'test');

srand $seed;
$session->rows(sprintf 'SELECT setseed(%.6f)', rand);
$session->rows(q{
	CREATE EXTENSION aggwin;
	CREATE TABLE clicks (id serial PRIMARY KEY, ts timestamptz, visitor int, page text, v int);
	CREATE INDEX ON clicks (visitor, ts);
	CREATE INDEX ON clicks (ts);});
$session->rows("INSERT INTO clicks (ts, visitor, page, v) SELECT $ROW FROM generate_series(1, 3000)");

# A worker computes what was there before, a part at a time.
foreach my $rollup (@rollups)
{
	$session->rows(create_sql($rollup));
	is_exact($session, "$rollup->[0] has just been created") if $rollup == $rollups[-1];
}
for my $try (1 .. 20)
{
	my ($rows, $wrong) = differences($session);

	is($wrong, '', "exact while the worker computes, $try") if $wrong ne '' || $try == 20;
	select undef, undef, undef, 0.02;
}
ok($node->poll_query_until('postgres', 'SELECT sum(pending_deltas) + sum(coalesce(invalid_buckets, 1)) = 0 FROM aggwin.rollup_status'),
	'the worker has computed everything');
is_exact($session, 'exact then');
cmp_ok($session->value('SELECT min(repairs) FROM aggwin.rollup_status'), '>', 3, 'in pieces');

# A row that fails holds up its own sessions, and others go on.
$session->rows(q{CREATE TABLE fragile (ts timestamptz, k int, v int);
	CREATE INDEX ON fragile (ts);
	INSERT INTO fragile SELECT '2026-03-01'::timestamptz + n * interval '1 minute', n / 100, 1 + n % 5 FROM generate_series(0, 2999) AS n;
	SELECT aggwin.create_rollup('fractions', $$SELECT aggwin.session(ts, '10 minutes') AS session, k, sum(100 / v) AS s FROM fragile GROUP BY 1, 2$$);
	UPDATE fragile SET v = 0 WHERE ts = '2026-03-02 03:04';
	INSERT INTO fragile VALUES ('2026-03-05 03:04', 1000, 1);});
ok($node->poll_query_until('postgres', q{SELECT last_error = 'division by zero' AND pending_deltas = 0 FROM aggwin.rollup_status WHERE rollup = 'fractions'::regclass}),
	'a row that fails is told');
my $state = $session->value(q{SELECT state FROM aggwin.rollup WHERE view = 'fractions'::regclass});
ok($node->poll_query_until('postgres', "SELECT count(*) FILTER (WHERE k1 <> 16) = 30 FROM $state"), 'all other sessions are stored');
$session->rows('UPDATE fragile SET v = 1 WHERE v = 0');
is($session->value('SELECT count(*) FROM fractions'), 31, 'all sessions are there when it is right again');
ok($node->poll_query_until('postgres', "SELECT count(*) = 31 FROM $state"), 'and stored');
$session->rows('DROP TABLE fragile CASCADE');

# Together
my $crew = Aggwin::Crew->new(node => $node, seed => $seed, folder => PostgreSQL::Test::Utils::tempdir());

$crew->hire("writer$_", \&writer) foreach 1 .. 3;
$crew->hire("folder$_", \&folder) foreach 1 .. 2;
$crew->hire("checker$_", \&checker) foreach 1 .. 2;
my $total = $crew->finish($seconds);

is(scalar @{ $total->{problems} }, 0, 'nobody saw a difference or an unexpected error')
  or diag join "\n", "seed $seed", @{ $total->{problems} };
note "$_: $total->{$_}" foreach sort grep { !ref $total->{$_} } keys %$total;
cmp_ok($total->{$_} // 0, '>', 0, $_) foreach 'folds', 'checks', 'compared', map { "did $_" } grep { $_ ne 'truncate' } keys %actions;

$session->rows("INSERT INTO clicks (ts, visitor, page, v) SELECT $ROW FROM generate_series(1, 500)");
is_exact($session, 'exact afterwards');
$session->rows("SELECT aggwin.refresh('$_->[0]')") foreach @rollups;
is_exact($session, 'exact when everything is folded');

# Would it be seen?
$session->rows('SELECT aggwin.pause_rollup(rollup) FROM aggwin.rollups');
$session->rows('CREATE FUNCTION pg_temp.run(command text) RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN EXECUTE command; END $$');
foreach my $rollup (@rollups)
{
	my ($stored) = $session->value("SELECT state FROM aggwin.rollup WHERE view = '$rollup->[0]'::regclass");

	$session->rows("BEGIN; SELECT pg_temp.run('DELETE FROM $stored WHERE ctid = (SELECT ctid FROM $stored ORDER BY n DESC LIMIT 1)')");
	like((differences($session))[1], qr/$rollup->[0]/, "seen: a session of $rollup->[0] is lost");
	$session->rows('ROLLBACK');
}

# Out of a dump, with everything pending that can be
$session->rows($actions{some}->() . ';' . $actions{delete}->() . ';' . $actions{shift}->()) foreach 1 .. 5;
cmp_ok($session->value('SELECT min(pending_deltas) FROM aggwin.rollup_status'), '>', 0, 'deltas are pending');
my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '--format=custom', '--file', $file, '--dbname', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname', $node->connstr('copy'), $file ], 'pg_restore');
my $copy = Aggwin::Session->new($node->connstr('copy'), 'copy');
is($copy->value('SELECT bool_or(dormant) FROM aggwin.rollup_status'), 'f', 'what was restored is not dormant');
is_exact($copy, 'exact out of a dump');
$copy->rows($actions{some}->() . ';' . $actions{delete}->() . ';' . $actions{move}->());
is_exact($copy, 'exact after changes there');
$copy->rows("SELECT aggwin.refresh('$_->[0]')") foreach @rollups;
is_exact($copy, 'exact when that is folded');

$_->close foreach $session, $copy;
$node->stop;
done_testing();
