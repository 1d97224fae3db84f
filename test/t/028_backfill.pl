# A rollup of a table that is already full is computed by the worker in pieces,
# newest first, while writers go on: every view is exact at each moment, also
# when the server dies in the middle, and what is done is not done again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Aggwin::Session;

my $ROWS = 60_000;
my $BATCH = 500;

my $node = PostgreSQL::Test::Cluster->new('backfill');
$node->init;
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'aggwin'
aggwin.worker_naptime = 50ms
aggwin.repair_batch = $BATCH
aggwin.worker_enabled = off
});
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION aggwin;
	CREATE TABLE events (ts timestamptz, k int, v int);
	CREATE INDEX ON events (ts);
	CREATE TABLE unindexed (ts timestamptz, v int);
	INSERT INTO events SELECT '2026-03-01Z'::timestamptz + n * interval '1 minute', n % 3, n FROM generate_series(1, $ROWS) AS n;
	INSERT INTO events VALUES (NULL, 1, 1), ('infinity', 2, 2), ('-infinity', 3, 3);
	INSERT INTO unindexed SELECT ts, v FROM events;
	ANALYZE;
});

my %PLAIN = (
	e => '10 minutes',
	e_1h => '1 hour',
	e_1d => '1 day');

sub plain
{
	my ($width) = @_;
	return "SELECT aggwin.time_bucket('$width', ts) AS bucket, k, count(*) AS n, sum(v) AS v, max(v) AS high FROM events GROUP BY 1, 2";
}

my $reader = Aggwin::Session->new($node->connstr('postgres'), 'reader');
my $checks = 0;

sub differences
{
	my $sql = join ' + ', map {
		my $plain = plain($PLAIN{$_});
		"(SELECT count(*) FROM (TABLE $_ EXCEPT $plain) AS x) + (SELECT count(*) FROM ($plain EXCEPT TABLE $_) AS x)"
	} sort keys %PLAIN;

	$checks++;
	return $reader->value("SELECT $sql");
}

sub status
{
	my ($column, $view) = @_;
	return $node->safe_psql('postgres', "SELECT $column FROM aggwin.rollup_status WHERE rollup = '$view'::regclass");
}

$node->safe_psql('postgres',
	"SELECT aggwin.create_rollup('e', \$\$" . plain('10 minutes') . "\$\$, tiers => '{1 hour, 1 day}')");
is(differences(), 0, 'exact before anything is computed');
is(status('pending_deltas', 'e'), 0, 'nothing is pending but what is invalid');

sub worker
{
	my ($on) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET aggwin.worker_enabled = $on");
	$node->reload;
	return;
}

sub harm
{
	$node->stop('immediate');
	$node->start;
	$reader = Aggwin::Session->new($node->connstr('postgres'), 'reader');
	return;
}

# Let the worker compute some pieces, and stop between two of them.
sub some_pieces
{
	my $before = status('coalesce(max(backfill_done), 0)', 'e');

	$node->safe_psql('postgres', "SELECT aggwin.resume_rollup('e')");
	$node->poll_query_until('postgres',
		"SELECT backfill_done > $before + 2 * $BATCH FROM aggwin.rollup_status WHERE rollup = 'e'::regclass")
	  or die 'the worker computes nothing';
	$node->safe_psql('postgres', "SELECT aggwin.pause_rollup('e')");
	return $before;
}

# The server dies in the middle, twice.
$node->safe_psql('postgres', "SELECT aggwin.pause_rollup('e')");
worker('on');
foreach my $round (1 .. 2)
{
	my $before = some_pieces();
	my $more = Aggwin::Session->new($node->connstr('postgres'), 'writer');

	$more->rows("INSERT INTO events SELECT ts + interval '3 seconds', k, 1 FROM events WHERE v % 1000 = $round");
	$more->rows("DELETE FROM events WHERE v % 1000 = 500 + $round");
	$more->rows("UPDATE events SET v = v + 1 WHERE v % 1000 = 700 + $round");
	$more->close;
	is(differences(), 0, "exact in the middle ($round)");
	$node->safe_psql('postgres', "SELECT aggwin.resume_rollup('e')");
	harm();
	$node->safe_psql('postgres', "SELECT aggwin.pause_rollup('e')");
	is(differences(), 0, "exact after the server died ($round)");
	cmp_ok(status('backfill_done', 'e'), '>', $before, "what was computed remains ($round)");
}

# Done and total, while it goes on.
my ($done, $total, $eta) = split /\|/, status("backfill_done, backfill_total, backfill_eta >= '0'", 'e');
cmp_ok($done, '<', 0.9 * $ROWS, 'it is not done yet');
cmp_ok(abs($total - $ROWS), '<', 0.2 * $ROWS, 'the total is known, about');
is($eta, 't', 'and how long it will take');
$node->safe_psql('postgres', "SELECT aggwin.resume_rollup('e')");
my $end = time + $PostgreSQL::Test::Utils::timeout_default;
until (status("invalid_buckets IS NOT DISTINCT FROM 0", 'e_1d') eq 't'
	&& status("invalid_buckets IS NOT DISTINCT FROM 0", 'e') eq 't')
{
	die 'the backfill does not end' if time > $end;
	is(differences(), 0, "exact on the way ($checks)");
	sleep 0.2;
}
is(differences(), 0, 'exact when all is computed');
cmp_ok(status('repairs', 'e'), '>=', $ROWS / $BATCH * 0.5, 'it took many pieces');
cmp_ok(status('backfill_done', 'e'), '<', 2 * $ROWS, 'each about once');
is(status('backfill_eta IS NULL', 'e'), 't', 'there is nothing to wait for any more');
is($reader->value('SELECT count(*) FROM aggwin._state_1 WHERE bucket IS NULL'), 1, 'rows without a time are stored, too');

# Without an index on the time, in one piece.
$node->safe_psql('postgres',
	"SELECT aggwin.create_rollup('u', \$\$SELECT aggwin.time_bucket('1 hour', ts) AS bucket, sum(v) AS v FROM unindexed GROUP BY 1\$\$)");
$node->poll_query_until('postgres',
	"SELECT invalid_buckets IS NOT DISTINCT FROM 0 FROM aggwin.rollup_status WHERE rollup = 'u'::regclass");
is(status('repairs', 'u'), 1, 'without an index on the time, in one piece');
is($reader->value('SELECT (SELECT sum(v) FROM u) = (SELECT sum(v) FROM unindexed)'), 't', 'which is exact');

# A repair of one bucket costs that bucket only.
$node->safe_psql('postgres', "DELETE FROM events WHERE ts = '2026-03-20 10:00Z'");
$node->poll_query_until('postgres',
	"SELECT pending_deltas = 0 AND invalid_buckets IS NOT DISTINCT FROM 0 FROM aggwin.rollup_status WHERE rollup = 'e'::regclass");
is(differences(), 0, 'exact after a repair');
cmp_ok(status('backfill_done', 'e'), '<', 100, 'a repair of one bucket reads that bucket only');

$reader->close;
$node->stop;
done_testing();
