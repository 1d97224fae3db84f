# A bucket that cannot be computed holds up nothing but itself: the worker cuts
# what fails down to such buckets, folds and repairs everything else, tells what
# went wrong, and repairs the rest once it can.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('failed_repair');
$node->init;
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'aggwin'
aggwin.worker_naptime = 50ms
aggwin.max_backoff = 1s
aggwin.repair_batch = 4000
});
$node->start;

# 1,000 buckets of 20 rows, two of which divide by zero.
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION aggwin;
	CREATE TABLE events (ts timestamptz, v int);
	CREATE INDEX ON events (ts);
	INSERT INTO events SELECT '2026-03-01Z'::timestamptz + n * interval '3 seconds', 1 + n % 7 FROM generate_series(0, 19999) AS n;
	UPDATE events SET v = 0 WHERE ts IN ('2026-03-01 05:00:30Z', '2026-03-01 12:34:03Z');
	VACUUM ANALYZE events;
});

my $plain = "SELECT aggwin.time_bucket('1 minute', ts) AS bucket, sum(100 / v) AS s, count(*) AS n FROM events%s GROUP BY 1";
my $hours = "SELECT aggwin.time_bucket('1 hour', ts) AS bucket, sum(100 / v) AS s, count(*) AS n FROM events%s GROUP BY 1";
my $good = " bucket NOT IN ('2026-03-01 05:00:00Z', '2026-03-01 12:34:00Z')";

sub value
{
	return $node->safe_psql('postgres', shift);
}

sub differences
{
	my ($view, $query, $where_view, $where_source) = @_;
	my $expected = sprintf $query, $where_source;
	my $shown = "SELECT * FROM $view$where_view";

	return value("SELECT (SELECT count(*) FROM ($shown EXCEPT $expected) AS x) + (SELECT count(*) FROM ($expected EXCEPT $shown) AS x)");
}

# For diagnosis only.
sub invalid
{
	my ($view) = @_;
	my $table = value("SELECT invalid FROM aggwin.rollup WHERE view = '$view'::regclass");

	return value("SELECT range_agg(spans) FROM $table WHERE kind = 'i' AND level = 0");
}

my $bad = value("SELECT tstzmultirange(tstzrange('2026-03-01 05:00:00Z', '2026-03-01 05:01:00Z'), tstzrange('2026-03-01 12:34:00Z', '2026-03-01 12:35:00Z'))");

value("SELECT aggwin.create_rollup('r', \$\$" . sprintf($plain, '') . "\$\$, tiers => '{1 hour}', refresh_interval => '100 ms')");
value("SELECT aggwin.create_rollup('other', \$\$SELECT aggwin.time_bucket('1 minute', ts) AS bucket, count(*) AS n FROM events GROUP BY 1\$\$)");

my $table = value("SELECT invalid FROM aggwin.rollup WHERE view = 'r'::regclass");
ok( $node->poll_query_until('postgres',
		"SELECT range_agg(spans) = '$bad' FROM $table WHERE kind = 'i' AND level = 0 HAVING bool_and(error IS NOT NULL)"),
	'what fails comes down to the buckets that fail') or diag(invalid('r'));
like(value("SELECT last_error FROM aggwin.rollup_status WHERE rollup = 'r'::regclass"),
	qr/division by zero/, 'the status says why');
cmp_ok(value("SELECT failures FROM aggwin.rollup_status WHERE rollup = 'r'::regclass"), '>', 1, 'failures are counted');
ok($node->log_contains(qr/WARNING:  could not repair all of rollup public\.r: division by zero/), 'the log says so');
ok($node->log_contains(qr/DETAIL:  Its buckets in .*05:00:00.* remain invalid/), 'and which buckets');

is(differences('r', $plain, " WHERE $good",
		" WHERE ts NOT BETWEEN '2026-03-01 05:00:00Z' AND '2026-03-01 05:00:59Z' AND ts NOT BETWEEN '2026-03-01 12:34:00Z' AND '2026-03-01 12:34:59Z'"),
	0, 'all other buckets are right');
my $reading = $node->psql('postgres', "SELECT * FROM r WHERE bucket = '2026-03-01 05:00:00Z'", stderr => \my $stderr);
isnt($reading, 0, 'a bucket that cannot be computed cannot be read');
like($stderr, qr/division by zero/, 'for the same reason');
isnt($node->psql('postgres', "SELECT aggwin.refresh('r')", stderr => \$stderr), 0, 'refresh repairs all, or fails');
like($stderr, qr/division by zero/, 'with the error itself');

# Others go on: new rows are folded, other buckets are repaired.
value("INSERT INTO events SELECT '2026-03-01 01:00Z'::timestamptz + n * interval '1 second', 3 FROM generate_series(1, 5000) AS n");
value("UPDATE events SET v = v + 1 WHERE ts BETWEEN '2026-03-01 02:00Z' AND '2026-03-01 02:30Z'");
ok( $node->poll_query_until('postgres',
		"SELECT s.pending_deltas = 0 AND (SELECT range_agg(spans) = '$bad' FROM $table WHERE kind = 'i' AND level = 0)"
		  . " FROM aggwin.rollup_status AS s WHERE s.rollup = 'r'::regclass"),
	'what was inserted and updated later is folded and repaired');
ok( $node->poll_query_until('postgres',
		"SELECT pending_deltas = 0 AND invalid_buckets IS NOT DISTINCT FROM 0 AND failures = 0 FROM aggwin.rollup_status WHERE rollup = 'other'::regclass"),
	'the other rollup has nothing left to do');

# It recovers by itself.
value("UPDATE events SET v = 5 WHERE v = 0");
ok( $node->poll_query_until('postgres',
		"SELECT bool_and(pending_deltas = 0 AND invalid_buckets IS NOT DISTINCT FROM 0) FROM aggwin.rollup_status WHERE rollup IN ('r'::regclass, 'r_1h')"),
	'once a repair works, everything is repaired');
is(differences('r', $plain, '', ''), 0, 'and exact');
is(differences('r_1h', $hours, '', ''), 0, 'by hour, too');

$node->stop;
done_testing();
