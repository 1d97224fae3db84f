# Metrics beyond what one session shows: many backends that see the same series
# first, prepared transactions, maintenance while others read, dumps, rollups of
# samples, and texts that somebody has damaged.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Aggwin::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('metrics');
$node->init;
$node->append_conf('postgresql.conf', join "\n", 'max_prepared_transactions = 10', 'fsync = off',
	'aggwin.max_past = 0', 'deadlock_timeout = 100ms', q{timezone = 'UTC'}, '');
$node->start;

sub ask
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

ask('CREATE EXTENSION aggwin; SELECT aggwin.enable_metrics()');

# First sight ------------------------------------------------------------------

# Each transaction sends ten samples, of series and days in its own order, in two
# statements. All series come up for the first time while the others run.
my $script = $node->basedir . '/ingest.sql';
append_to_file($script, <<'SQL');
\set seed random(1, 1000000)
BEGIN;
SELECT aggwin.ingest(array_agg(('m' || i % 3, jsonb_build_object('n', (i * :seed % 97)::text),
	'2020-01-01'::timestamptz + i * :seed % 5 * interval '1 day' + :seed * interval '1 ms', :client_id)::aggwin.sample))
FROM generate_series(1, 5) AS i;
INSERT INTO aggwin.sample_input
SELECT 'm' || i % 3, jsonb_build_object('n', (i * :seed % 89)::text),
	'2020-01-01'::timestamptz + i * :seed % 7 * interval '1 day' + :seed * interval '1 ms', :client_id
FROM generate_series(1, 5) AS i;
COMMIT;
SQL
my ($out, $err) = ('', '');
my $ok = IPC::Run::run([ 'pgbench', '-n', '-c', 8, '-t', 60, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \$out, '2>', \$err);
ok($ok, 'eight sessions that ingest the same new series') or diag $err;
like($out, qr{transactions actually processed: 480/480}, 'none of them failed');
is(ask('SELECT count(*) - count(DISTINCT (metric, labels)) FROM aggwin.series'), 0, 'each series is there once');
is(ask('SELECT count(*) FROM aggwin.samples AS p LEFT JOIN aggwin.series AS s USING (series_id) WHERE s.series_id IS NULL'),
	0, 'each sample has a series');
is(ask('SELECT sum(new_series) - (SELECT count(*) FROM aggwin.series) FROM aggwin.metric'), 0, 'each new series was counted');

# Prepared transactions ----------------------------------------------------------

# In one session, so that its cache would know the series.
is(ask(q{
		BEGIN;
		SELECT aggwin.ingest('prepared', '{}', '2020-03-01', 1);
		PREPARE TRANSACTION 'undone';
		ROLLBACK PREPARED 'undone';
		SELECT aggwin.ingest('prepared', '{}', '2020-03-01', 2);
		SELECT value FROM aggwin.sample_input WHERE metric = 'prepared'}),
	"1\n1\n2", 'series of a prepared transaction that is rolled back are forgotten');

# Maintenance ------------------------------------------------------------------------

ask('SELECT aggwin.maintain_samples()');
my $reader = Aggwin::Session->new($node->connstr('postgres'), 'reader');
$reader->run('BEGIN; SELECT count(*) FROM aggwin.samples');
ask(q{SELECT aggwin.ingest('now', '{}', now() - interval '4 days', 1), aggwin.ingest('now', '{}', now(), 2)});
ask(q{DELETE FROM aggwin.samples WHERE ts < '2021-01-01'});
my ($status, $stdout, $stderr) = $node->psql('postgres',
	q{SET aggwin.sample_retention = '3d'; SET lock_timeout = '1s'; SELECT dropped FROM aggwin.maintain_samples()});
like($stderr, qr/lock timeout/, 'partitions that are long overdue are waited for');
$reader->run('COMMIT');
is(ask(q{SET aggwin.sample_retention = '3d'; SELECT dropped > 0, waiting FROM aggwin.maintain_samples()}), 't|0',
	'and dropped when nobody reads');
ask(q{SELECT aggwin.ingest('now', '{}', (now()::date - 2)::timestamptz, 3)});
$reader->run('BEGIN; SELECT count(*) FROM aggwin.samples');
my $wait = ask(q{
	SELECT set_config('aggwin.sample_retention', extract(epoch FROM now() - (now()::date - 1)::timestamptz)::int - 300 || 's', false);
	SELECT dropped, waiting > 0 FROM aggwin.maintain_samples()});
like($wait, qr/^0\|t$/m, 'those that are just due are left for later');
is(ask(q{SELECT aggwin.ingest('now', '{}', now(), 4)}), 1, 'and nobody waits meanwhile');
$reader->run('COMMIT');
$reader->close;

# A worker does the same.
ask('DROP TABLE ' . ask(q{SELECT string_agg(inhrelid::regclass::text, ', ') FROM pg_inherits WHERE inhparent = 'aggwin.samples'::regclass}));
ask(q{ALTER DATABASE postgres SET aggwin.sample_retention = '3d'});
ask(q{SET aggwin.sample_retention = 0; SELECT aggwin.ingest('now', '{}', now() - interval '5 days', 1), aggwin.ingest('now', '{}', now(), 1)});
ask('SELECT aggwin.start_worker()');
ok($node->poll_query_until('postgres', q{SELECT array_agg(to_char(now()::date + i, '"samples_"YYYYMMDD') ORDER BY i)
		= (SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid WHERE inhparent = 'aggwin.samples'::regclass)
	FROM generate_series(0, 2) AS i}), 'a worker makes partitions ahead and drops what is beyond retention');
ask('SELECT aggwin.stop_worker()');
ask('ALTER DATABASE postgres RESET aggwin.sample_retention');
like(slurp_file($node->logfile), qr/LOG:  dropped 1 partition of aggwin.samples/, 'and says so');

# Rollups of samples, dumps ------------------------------------------------------------

my $query = q{SELECT aggwin.time_bucket('1 hour', ts) AS bucket, series_id, count(*) AS n, max(value) AS top
	FROM aggwin.samples WHERE NOT aggwin.is_stale(value) GROUP BY 1, 2};
sub agree
{
	my ($database, $name) = @_;

	is(ask("SELECT count(*) FROM ((TABLE hourly EXCEPT ALL $query) UNION ALL ($query EXCEPT ALL TABLE hourly)) AS d", $database),
		0, $name);
	return;
}
ask("SELECT aggwin.create_rollup('hourly', \$\$$query\$\$)");
ask(q{INSERT INTO aggwin.sample_input
	SELECT 'rolled', jsonb_build_object('n', (i % 10)::text), '2020-05-01'::timestamptz + i * interval '11 minutes', i
	FROM generate_series(1, 3000) AS i});
agree('postgres', 'a rollup of samples sees what is ingested, in new partitions as well');
ask(q{SELECT aggwin.refresh('hourly')});
ask(q{INSERT INTO aggwin.sample_input
	SELECT 'rolled', jsonb_build_object('n', (i % 10)::text), '2020-05-01'::timestamptz + i * interval '11 minutes', i
	FROM generate_series(1, 3000) AS i});
is(ask(q{SELECT pending_deltas, invalid_buckets FROM aggwin.rollup_status WHERE rollup = 'hourly'::regclass}), '0|0',
	'the same again costs it nothing');
ask(q{SELECT aggwin.ingest('rolled', '{"n": "1"}', '2020-05-01 00:11', -1)});
agree('postgres', 'a value that is overwritten');
ask(q{CREATE ROLE app; GRANT INSERT ON aggwin.sample_input TO app});

# What is asked of metrics, by series and by groups, against the samples.
ask(q{SELECT aggwin.create_metric_rollup('grouped', 'rol+ed', "drop" => '{n}', bounds => '{10, 100, 1000}')});
my $asked = q{SELECT labels, bucket, count, min, max, sum FROM aggwin.query_metric('rolled', '', '2020-05-01', '2020-06-01', '5m', 10000%s)};
my $plain = q{SELECT %s AS labels, aggwin.time_bucket('5 minutes', ts), count(*), min(value), max(value), sum(value)
	FROM aggwin.sample_input WHERE metric = 'rolled' AND ts >= '2020-05-01' AND ts < '2020-06-01' GROUP BY 1, 2};
sub questions_agree
{
	my ($database, $name) = @_;

	for my $pair ([ sprintf($asked, ''), sprintf($plain, 'labels') ],
		[ sprintf($asked, q{, rollup => 'grouped'}), sprintf($plain, q{'{}'::jsonb}) ])
	{
		my ($a, $b) = @$pair;

		is(ask("SELECT (SELECT count(*) > 100 FROM ($b) AS b), (SELECT count(*) FROM (($a EXCEPT ALL $b) UNION ALL ($b EXCEPT ALL $a)) AS d)", $database),
			't|0', $name);
	}
	return;
}
questions_agree('postgres', 'questions about metrics');

my $contents = q{SELECT count(*), md5(string_agg(x::text, E'\n' ORDER BY x::text)) FROM aggwin.sample_input AS x};
for my $format (qw(plain custom))
{
	my $file = $node->basedir . "/metrics.$format";

	$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-F', $format, '-f', $file, 'postgres' ], "$format dump");
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	if ($format eq 'plain')
	{
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($format), '-f', $file ], 'restored');
	}
	else
	{
		$node->command_ok([ 'pg_restore', '-h', $node->host, '-p', $node->port, '-e', '-j', 2, '-d', $format, $file ], 'restored by two jobs');
	}
	is(ask($contents, $format), ask($contents), 'all samples are there');
	is(ask(q{SET ROLE app; SELECT aggwin.ingest('rolled', '{"n": "1"}', '2020-05-01 00:11', -2), aggwin.ingest('new', '{}', '2020-07-01', 1)}, $format),
		'1|1', 'the same roles go on to ingest');
	is(ask('SELECT count(*) - count(DISTINCT (metric, labels)) FROM aggwin.series', $format), 0, 'into the same series');
	questions_agree($format, 'questions about metrics, restored');
	ask("SELECT aggwin.refresh('$_')", $format) for qw(hourly samples_rollup grouped);
	agree($format, 'and the rollup goes on');
	questions_agree($format, 'and those of metrics');
}

# Damaged texts ------------------------------------------------------------------------------

# Each is taken as a whole or refused for what it says, never anything else; what
# was taken is there.
ask(q{SELECT aggwin.drop_rollup(rollup) FROM aggwin.rollups});
my $damage = ask(<<'SQL');
	CREATE TEMP TABLE outcome (sqlstate text, stored bigint, taken bigint);
	CREATE FUNCTION pg_temp.damaged(page text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		letters text := E'{}"=,\\# \n\r\teE+-.0123456789aN_:é';
		at int;
	BEGIN
		FOR n IN 1 .. 1 + (random() * 2)::int LOOP
			at := 1 + floor(random() * length(page))::int;
			page := overlay(page PLACING substr(letters, 1 + floor(random() * length(letters))::int, 1)
				FROM at FOR floor(random() * 3)::int);
		END LOOP;
		RETURN page;
	END
	$$;
	DO $$
	DECLARE
		pages text[] := ARRAY[
			E'# HELP a_total h\\\\elp\n# TYPE a_total counter\na_total{b="c\\n",d="e"} 1.5e3 1577836800000\n# x\n\na_total 2\nnan NaN\n',
			E'# TYPE a counter\n# UNIT a_s s\n# HELP a h\\n\na_total{b="c",d="\\"e"} 1.5 1577836800.5 # {t="x"} 0.5 1\na_created 2\n# EOF\n'];
		taken bigint;
		before bigint;
	BEGIN
		PERFORM setseed(0.5);
		FOR i IN 1 .. 6000 LOOP
			BEGIN
				taken := NULL;
				DELETE FROM aggwin.samples;
				taken := aggwin.ingest_text(pg_temp.damaged(pages[1 + i % 2]), '2020-01-01');
				INSERT INTO outcome SELECT '00000', count(*), taken FROM aggwin.samples;
			EXCEPTION WHEN OTHERS THEN
				INSERT INTO outcome VALUES (sqlstate, 0, 0);
			END;
		END LOOP;
	END
	$$;
	SELECT string_agg(DISTINCT sqlstate, ' ' ORDER BY sqlstate) FROM outcome;
	SELECT count(*) FILTER (WHERE sqlstate = '00000') > 100, count(*) FILTER (WHERE sqlstate <> '00000') > 100,
		count(*) FILTER (WHERE taken > 4 OR stored > taken) FROM outcome
SQL
like($damage, qr/^00000( 22008)?( 22023)? 22P02\nt\|t\|0$/, 'damaged texts are taken or refused');

done_testing();
