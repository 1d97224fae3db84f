# What one step of a worker leaves undone, the next ones do; and what is wrong with
# one output stops no other.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('windows_limits');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'aggwin'\naggwin.worker_naptime = '100ms'\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION aggwin;
	CREATE TABLE plays (ts timestamptz NOT NULL, song int NOT NULL);
	CREATE INDEX ON plays (ts);
	SELECT aggwin.create_rollup('seconds', $$ SELECT aggwin.time_bucket('1 second', ts) AS bucket, song, count(*) AS n FROM plays GROUP BY 1, 2 $$,
		refresh_interval => '100 ms');
	SELECT aggwin.create_window('wide', 'SELECT song, sum(n) AS n FROM seconds GROUP BY song', '5 minutes', '1 second', emit => 'changes', idle_timeout => '1000 days');
	CREATE FUNCTION play(s int, song int) RETURNS void LANGUAGE sql AS $$ INSERT INTO plays VALUES (timestamptz '2026-01-01' + s * interval '1 second', song) $$;
	-- the last revision of each window against the plain query
	CREATE VIEW wrong AS
	WITH last AS (SELECT e.window_start, e.window_end, max(e.revision) AS revision FROM aggwin.emission AS e JOIN aggwin.window AS w USING (window_id)
		WHERE w.output = 'wide'::regclass GROUP BY 1, 2),
	published AS (SELECT o.window_start, o.song, o.n FROM wide AS o JOIN last USING (window_start, revision) WHERE o.op <> 'delete'),
	plain AS (SELECT l.window_start, p.song, count(*)::numeric FROM last AS l JOIN plays AS p ON p.ts >= l.window_start AND p.ts < l.window_end GROUP BY 1, 2)
	(TABLE published EXCEPT ALL TABLE plain) UNION ALL (TABLE plain EXCEPT ALL TABLE published);
});

my $closed = q{(SELECT closed_to FROM aggwin.windows WHERE "window" = 'wide'::regclass)};

sub becomes_true
{
	my ($query, $name) = @_;
	return ok($node->poll_query_until('postgres', $query), $name);
}

# More windows than a step closes
$node->safe_psql('postgres', 'SELECT play(s, s % 5) FROM generate_series(0, 600) AS s');
becomes_true("SELECT $closed = timestamptz '2026-01-01 00:10:00'", 'all windows are closed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM wrong'), 0, 'and right');

# More than a step corrects, while none closes
$node->safe_psql('postgres', 'SELECT play(100, 7)');
becomes_true('SELECT NOT EXISTS (SELECT FROM wrong)', 'a late row corrects three hundred windows');
is($node->safe_psql('postgres', q{SELECT count(*) FROM wide WHERE revision = 1 AND song = 7 AND op = 'insert'}), 300, 'once each');
is($node->safe_psql('postgres', q{SELECT count(*) - max(position) FROM aggwin.emission}), 0, 'positions have no holes');

# Late rows that keep touching windows keep no others waiting
$node->safe_psql('postgres', 'SELECT play(101, 8), play(500, 8)');
for my $i (1 .. 20)
{
	$node->safe_psql('postgres', "SELECT play(102, 8), pg_sleep(0.1)");
}
becomes_true('SELECT NOT EXISTS (SELECT FROM wrong)', 'all windows are right in the end');

# One output is spoilt by its owner, another by its query: the third goes on.
$node->safe_psql('postgres', q{
	CREATE TABLE broken (broken boolean);
	CREATE FUNCTION maybe() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN
		IF EXISTS (SELECT FROM public.broken) THEN RAISE SQLSTATE 'XX000' USING MESSAGE = 'broken'; END IF; RETURN 1; END $$;
	SELECT aggwin.create_window('renamed', 'SELECT count(*) AS n FROM seconds', '10 seconds', idle_timeout => '1000 days');
	SELECT aggwin.create_window('failing', 'SELECT public.maybe() AS one, count(*) AS n FROM seconds', '10 seconds', idle_timeout => '1000 days');
	ALTER TABLE renamed RENAME window_start TO other;
	INSERT INTO broken VALUES (true);
	SELECT play(700, 1)});
becomes_true("SELECT $closed = timestamptz '2026-01-01 00:11:40'", 'others are closed');
becomes_true(q{SELECT bool_and(failures > 0) FROM aggwin.windows WHERE "window" IN ('renamed'::regclass, 'failing'::regclass)}, 'failures are counted');
is($node->safe_psql('postgres', q{SELECT failures FROM aggwin.windows WHERE "window" = 'wide'::regclass}), 0, 'where they are');
like($node->safe_psql('postgres', q{SELECT last_error FROM aggwin.windows WHERE "window" = 'renamed'::regclass}), qr/no column "window_start"/, 'and shown');
is($node->safe_psql('postgres', q{SELECT last_error FROM aggwin.windows WHERE "window" = 'failing'::regclass}), 'broken', 'each with its own');
$node->safe_psql('postgres', 'TRUNCATE broken; ALTER TABLE renamed RENAME other TO window_start; SELECT play(720, 1)');
becomes_true(q{SELECT bool_and(closed_to = timestamptz '2026-01-01 00:12:00') FROM aggwin.windows}, 'once mended, all are closed');
becomes_true('SELECT NOT EXISTS (SELECT FROM wrong)', 'and right');

$node->stop;
done_testing();
