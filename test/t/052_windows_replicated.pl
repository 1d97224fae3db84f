# Window outputs elsewhere: a publication that is subscribed to, and a standby
# that is promoted and goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'aggwin'\naggwin.worker_enabled = off\n");
$primary->start;

sub on_primary { return $primary->safe_psql('postgres', $_[0]); }

on_primary(q{
	CREATE EXTENSION aggwin;
	CREATE TABLE plays (ts timestamptz, song text);
	SELECT aggwin.create_rollup('plays_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, song, count(*) AS n FROM plays GROUP BY 1, 2');
	SELECT aggwin.create_window('top', 'SELECT song, sum(n) AS n FROM plays_1s GROUP BY song ORDER BY n DESC, song LIMIT 3',
		'10 seconds', '5 seconds', emit => 'changes', idle_timeout => '1000 days', retention => '1 minute');
	INSERT INTO plays SELECT timestamptz '2026-03-01 12:00Z' + i * interval '1 second', 'song ' || i % 7 % 4 FROM generate_series(1, 30) AS i;
	CREATE PUBLICATION board FOR TABLE top;
});
on_primary('SELECT aggwin.close_windows()');
my $contents = 'SELECT window_start, window_end, revision, rank, op, song, n, emitted_at FROM top ORDER BY window_start, revision, rank, op';

# A subscriber, which needs nothing but the table ------------------------------

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', q{CREATE TABLE top (window_start timestamptz, window_end timestamptz, revision int, rank bigint, op text,
	song text, n numeric, emitted_at timestamptz, PRIMARY KEY (window_start, revision, rank, op))});
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '" . $primary->connstr . " dbname=postgres' PUBLICATION board");
$subscriber->wait_for_subscription_sync($primary, 'sub');

sub has_arrived
{
	my ($name) = @_;

	$primary->wait_for_catchup('sub');
	my $rows = on_primary($contents);
	is($subscriber->safe_psql('postgres', $contents), $rows, "$name: " . (() = $rows =~ /\n/g) . ' rows and one');
	return;
}

has_arrived('the initial copy');
on_primary(q{INSERT INTO plays SELECT timestamptz '2026-03-01 12:00:31Z' + i * interval '1 second', 'song ' || i % 3 FROM generate_series(1, 14) AS i});
on_primary('SELECT aggwin.close_windows()');
has_arrived('windows that were closed');
on_primary(q{INSERT INTO plays SELECT '2026-03-01 12:00:33Z', 'late' FROM generate_series(1, 9)});
on_primary(q{DELETE FROM plays WHERE ts > '2026-03-01 12:00:20Z' AND song = 'song 2'});
cmp_ok(on_primary('SELECT aggwin.close_windows()'), '>', 2, 'windows are revised');
has_arrived('revisions');
my $before = on_primary('SELECT count(*) FROM top');
on_primary(q{INSERT INTO plays SELECT timestamptz '2026-03-01 12:01:20Z' + i * interval '1 second', 'new' FROM generate_series(1, 20) AS i});
on_primary('SELECT aggwin.close_windows()');
is(on_primary(q{SELECT min(window_end) >= (SELECT closed_to - retention FROM aggwin.windows) FROM top}), 't', 'old windows are deleted');
has_arrived('and here, too');

# A standby -------------------------------------------------------------------

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "aggwin.worker_enabled = on\nprimary_slot_name = ''\n");
$standby->start;

sub on_standby { return $standby->safe_psql('postgres', $_[0]); }

sub is_alike
{
	my ($name) = @_;

	$primary->wait_for_catchup($standby);
	is(on_standby($_), on_primary($_), "$name: $_")
	  foreach $contents, 'SELECT * FROM top_latest', q{SELECT * FROM aggwin.changes_since('top', (SELECT expired_position FROM aggwin.window))},
	  q{SELECT rank, song, n FROM aggwin.window_at(NULL::top, timestamptz '2026-03-01 12:00:40Z')};
	return;
}

is_alike('from the backup');
on_primary(q{INSERT INTO plays VALUES ('2026-03-01 12:01:47Z', 'streamed')});
on_primary('SELECT aggwin.close_windows()');
is_alike('streamed');
my (undef, undef, $error) = $standby->psql('postgres', 'SELECT aggwin.close_windows()');
like($error, qr/cannot execute aggwin.close_windows\(\) (in a read-only transaction|during recovery)/, 'a standby closes none');

my $position = on_primary('SELECT position FROM aggwin.window');
$primary->stop;
$standby->promote;
$standby->safe_psql('postgres', q{INSERT INTO plays VALUES ('2026-03-01 12:01:41Z', 'late'), ('2026-03-01 12:01:58Z', 'promoted')});
ok($standby->poll_query_until('postgres', 'SELECT count(*) > 0 FROM top_latest WHERE song = $$streamed$$ AND window_end = $$2026-03-01 12:01:55Z$$'),
	'promoted, its worker goes on');
is(on_standby(qq{SELECT min(position), count(*) = max(position) - $position FROM aggwin.emission WHERE position > $position}), ($position + 1) . '|t', 'where it was');
is(on_standby(q{SELECT count(*) > 0 FROM top WHERE song = 'late' AND op = 'insert' AND window_end = '2026-03-01 12:01:45Z'}), 't', 'and tells of what was late');

$standby->stop;
$subscriber->stop;
done_testing();
