# Partitions that come and go under load: writers through the source and into its
# partitions, folds, readers, and a window of months that moves on. A rollup has
# at every moment what there is and what has been, and nobody deadlocks. In the
# end, what remains is dumped and restored.
#
#   AGGWIN_PARTITION_SECONDS   how long the load lasts (8)
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{AGGWIN_PARTITION_SECONDS} || 8;

my $node = PostgreSQL::Test::Cluster->new('node');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nfsync = off\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Month n is one partition, by turns a plain one, one by list and one by hash.
# "seen" gets all rows and keeps them; writers leave the oldest month alone, and
# know where the window begins for as long as they write.
sql(q{
	CREATE EXTENSION aggwin;
	CREATE TABLE events (ts timestamptz NOT NULL, k int NOT NULL, v int) PARTITION BY RANGE (ts);
	CREATE TABLE seen (ts timestamptz NOT NULL, k int NOT NULL, v int);
	CREATE INDEX ON seen (k);
	CREATE TABLE span (first int);
	INSERT INTO span VALUES (0);
	CREATE FUNCTION month(n int) RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT timestamptz '2020-01-01' + n * interval '1 month' $$;
	CREATE PROCEDURE fresh(n int, filled bool) LANGUAGE plpgsql AS $$
	DECLARE
		kind text := (ARRAY['', 'LIST (k)', 'HASH (k)'])[1 + n % 3];
	BEGIN
		EXECUTE format('CREATE TABLE m%s (v int, ts timestamptz NOT NULL, k int NOT NULL) %s', n, 'PARTITION BY ' || nullif(kind, ''));
		IF kind LIKE 'LIST%' THEN
			EXECUTE format('CREATE TABLE m%s_1 PARTITION OF m%1$s FOR VALUES IN (0, 1)', n);
			EXECUTE format('CREATE TABLE m%s_2 PARTITION OF m%1$s DEFAULT', n);
		ELSIF kind LIKE 'HASH%' THEN
			EXECUTE format('CREATE TABLE m%s_1 PARTITION OF m%1$s FOR VALUES WITH (modulus 2, remainder 0)', n);
			EXECUTE format('CREATE TABLE m%s_2 PARTITION OF m%1$s FOR VALUES WITH (modulus 2, remainder 1)', n);
		END IF;
		IF filled THEN
			EXECUTE format('INSERT INTO m%s (ts, k, v) SELECT month(%1$s) + i * interval ''1 hour'', 100 + i, 1 FROM generate_series(1, 500) AS i', n);
			EXECUTE format('INSERT INTO seen (ts, k, v) SELECT ts, k, v FROM m%s', n);
		END IF;
		EXECUTE format('ALTER TABLE events ATTACH PARTITION m%s FOR VALUES FROM (%L) TO (%L)', n, month(n), month(n + 1));
	END
	$$;
});
sql("CALL fresh($_, false)") foreach 0 .. 4;
sql(q{SELECT aggwin.create_rollup('by_day', 'SELECT aggwin.time_bucket(''1 day'', ts) AS bucket, k % 7 AS k, count(*) AS n, sum(v) AS v, max(v) AS most FROM events GROUP BY 1, 2', tiers => '{4 days}')});

my %width = (by_day => '1 day', by_day_4d => '4 days');

# Differences of the rollup's views from what has been seen, under one snapshot.
sub differences
{
	my ($database) = @_;
	my $sql = join ' UNION ALL ', map {
		my $query = "SELECT aggwin.time_bucket('$width{$_}', ts), k % 7, count(*), sum(v), max(v) FROM seen GROUP BY 1, 2";
		"SELECT (SELECT count(*) FROM ((TABLE $_ EXCEPT ALL $query) UNION ALL ($query EXCEPT ALL TABLE $_)) AS d) AS n"
	} sort keys %width;

	return $node->safe_psql($database // 'postgres', "SELECT sum(n) FROM ($sql) AS d");
}

# The rows of one client are its own. FOR SHARE holds the window still.
my $script = $node->basedir . '/load.sql';
append_to_file($script, q{
\set d random(0, 26)
\set s random(0, 86000)
\set i random(1, 4)
\set what random(1, 10)
BEGIN;
SELECT first + :i AS month FROM span FOR SHARE \gset
\if :what <= 3
INSERT INTO events (ts, k, v) VALUES (month(:month) + :d * interval '1 day' + :s * interval '1 s', :client_id, :s);
INSERT INTO seen (ts, k, v) VALUES (month(:month) + :d * interval '1 day' + :s * interval '1 s', :client_id, :s);
\elif :what <= 5
INSERT INTO m:month (ts, k, v) SELECT month(:month) + :d * interval '1 day' + i * interval '1 s', :client_id, :s FROM generate_series(1, 60) AS i;
INSERT INTO events (ts, k, v) VALUES (month(:month) + :d * interval '1 day', :client_id, NULL);
INSERT INTO seen (ts, k, v) SELECT month(:month) + :d * interval '1 day' + i * interval '1 s', :client_id, :s FROM generate_series(1, 60) AS i;
INSERT INTO seen (ts, k, v) VALUES (month(:month) + :d * interval '1 day', :client_id, NULL);
\elif :what <= 7
UPDATE events SET v = v + 1 WHERE k = :client_id AND v % 10 = :i AND ts >= month(:month);
UPDATE seen SET v = v + 1 WHERE k = :client_id AND v % 10 = :i AND ts >= month(:month);
\elif :what <= 8
UPDATE m:month SET v = v + 2 WHERE k = :client_id AND v % 10 = 3;
UPDATE seen SET v = v + 2 WHERE k = :client_id AND v % 10 = 3 AND ts >= month(:month) AND ts < month(:month + 1);
\else
DELETE FROM events WHERE k = :client_id AND v % 9 = :i AND ts >= month(:month);
DELETE FROM seen WHERE k = :client_id AND v % 9 = :i AND ts >= month(:month);
\endif
COMMIT;
});
my $load = IPC::Run::start([ 'pgbench', '--no-vacuum', '--client=3', "--time=$seconds", "--file=$script", $node->connstr('postgres') ],
	'>', \my $out, '2>', \my $err);

my @ways = ('ALTER TABLE events DETACH PARTITION m%d', 'DROP TABLE m%d', 'ALTER TABLE events DETACH PARTITION m%d CONCURRENTLY',
	'BEGIN; ALTER TABLE events DETACH PARTITION m%d; DROP TABLE m%1$d; COMMIT');
my ($moments, $wrong, $first) = (0, 0, 0);
my $until = time + $seconds;
while (time < $until)
{
	# The window moves: one more month, of rows of its own or empty; then one less, which is folded first.
	my $next = $first + 5;
	sql("CALL fresh($next, " . (rand() < 0.5 ? 'true' : 'false') . ')');
	sql('UPDATE span SET first = first + 1');
	$wrong++ if differences();
	sql(q{SELECT aggwin.refresh('by_day')});
	sql(sprintf $ways[ $first % 4 ], $first);
	$first++;
	$wrong++ if differences();
	# All is invalid now and then. What is frozen is not computed anew.
	sql(q{SELECT aggwin.invalidate('by_day', NULL::timestamptz, NULL)}) if $first % 3 == 0;
	sql(q{SELECT aggwin.refresh('by_day_4d')}) if $first % 2;
	$wrong++ if differences();
	$moments += 3;
}
$load->finish;
like($out, qr/number of failed transactions: 0 /, 'no writer failed') or diag $err;
my ($transactions) = $out =~ /number of transactions actually processed: (\d+)/;
cmp_ok($transactions, '>', 50, "$transactions transactions");
cmp_ok($moments, '>', 6, "$moments moments");
is($wrong, 0, 'what is and what was, at all of them');
unlike(slurp_file($node->logfile), qr/deadlock detected/, 'no deadlocks');

is(differences(), 0, 'in the end');
sql(q{SELECT aggwin.refresh('by_day_4d')});
is(differences(), 0, 'folded');
cmp_ok(sql('SELECT count(*) FROM by_day WHERE bucket < month((SELECT first FROM span))'), '>', 50, 'there is a past');
is(sql('SELECT count(*) FROM events WHERE ts < month((SELECT first FROM span))'), 0, 'that nobody else knows');

# Dumped with something pending, restored.
sql(q{INSERT INTO events SELECT month((SELECT first + 2 FROM span)), 0, 1; INSERT INTO seen SELECT month((SELECT first + 2 FROM span)), 0, 1});
my $frozen = q{SELECT kind, spans FROM aggwin._invalid_1 WHERE kind = 'f'};
my $list = 'SELECT relid, spans, nulls FROM aggwin.source_partition ORDER BY relid::text';
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '--format=custom', "--file=$dump", $node->connstr('postgres') ], 'dumped');
sql('CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--jobs=2', '--dbname', $node->connstr('restored'), $dump ], 'restored');
is($node->safe_psql('restored', 'SELECT bool_or(dormant) FROM aggwin.rollup_status'), 'f', 'not dormant');
is($node->safe_psql('restored', $_), sql($_), 'the same of: ' . substr $_, 0, 60) foreach $frozen, $list;
is(differences('restored'), 0, 'the same past');
$node->safe_psql('restored', sprintf q{INSERT INTO m%1$d (ts, k, v) VALUES (month(%1$d), 1, 1); INSERT INTO seen VALUES (month(%1$d), 1, 1)}, $first + 3);
$node->safe_psql('restored', q{SELECT aggwin.invalidate('by_day', NULL::timestamptz, NULL)});
$node->safe_psql('restored', q{SELECT aggwin.refresh('by_day_4d')});
is(differences('restored'), 0, 'computed anew, but for the past');

$node->stop;
done_testing();
