# Random streams through windows that are kept up to date: each one is published
# as its definition gives it in that moment, and after late rows, updates and
# deletes the last revisions are what the definition gives then. Steps are taken by
# sessions in turn, some are rolled back, and the server restarts in between.
#
#   AGGWIN_PROPERTY_SECONDS   how long (30)
#   AGGWIN_PROPERTY_SEED      what random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Session;

my $seconds = $ENV{AGGWIN_PROPERTY_SECONDS} || 30;
my $seed = $ENV{AGGWIN_PROPERTY_SEED} || int rand 1_000_000_000;

note "AGGWIN_PROPERTY_SEED=$seed AGGWIN_PROPERTY_SECONDS=$seconds";
srand $seed;

my $node = PostgreSQL::Test::Cluster->new('running');
$node->init;
$node->append_conf('postgresql.conf', "log_min_messages = debug1\nsynchronous_commit = off\nfsync = off");
$node->start;

# One with aggregates that rows can be taken away from, one with those that merge,
# one after the first few, one in a subquery; all are computed from panes of 2 s.
my %query = (
	sums => 'SELECT k, t, sum(n) AS n, count(*) AS c, sum(p) AS p, avg(big) AS big, stddev(n) AS sd FROM panes GROUP BY 1, 2',
	merged => 'SELECT t, min(low) AS low, max(high) AS high, merge(h) AS h, sum(n) AS n, min(name) AS name FROM panes WHERE k > 2 GROUP BY 1',
	everything => 'SELECT count(*) AS c, max(high) AS high, num_vals(merge(h)) AS n FROM panes',
	top => 'SELECT k, sum(n) AS n FROM panes GROUP BY k HAVING count(*) > 1 ORDER BY sum(n) DESC, k NULLS FIRST LIMIT 4',
	best => 'SELECT k, sum(big) / sum(n) AS mean FROM panes GROUP BY k ORDER BY 2 DESC NULLS LAST, max(high), 1 LIMIT 3',
	joined => 'SELECT v.w, s.* FROM (SELECT k, sum(n) FILTER (WHERE t IS NOT NULL) AS n, max(high) AS high FROM panes GROUP BY k) AS s
		JOIN generate_series(0, 9, 3) AS v (w) ON v.w = s.k');
my @periods = ([ '12 seconds', '2 seconds' ], [ '20 seconds', '8 seconds' ]);

$node->safe_psql('postgres', q{
	CREATE EXTENSION aggwin;
	ALTER DATABASE postgres SET search_path = public, aggwin;
	ALTER DATABASE postgres SET timezone = 'UTC';
	ALTER DATABASE postgres SET jit = off;});
$node->safe_psql('postgres', q{
	CREATE TABLE events (ts timestamptz NOT NULL, k integer, t text, i integer, big bigint, p numeric);
	CREATE INDEX ON events (ts);
	SELECT create_rollup('panes', $$ SELECT time_bucket('2 seconds', ts) AS bucket, k, t, count(*) AS n, sum(p) AS p,
		sum(big) AS big, min(i) AS low, max(i) AS high, exp_hist_agg(i) AS h, min(t) AS name FROM events GROUP BY 1, 2, 3 $$);});

my @outputs;
foreach my $name (sort keys %query)
{
	foreach my $emit ('final', 'changes')
	{
		my ($size, $period) = @{ $periods[ @outputs % 3 == 2 ] };

		$node->safe_psql('postgres', "SELECT create_window('${name}_$emit', \$\$ $query{$name} \$\$, '$size', '$period',
			emit => '$emit', notify => false, retention => '10 days', idle_timeout => '1000 days')");
		push @outputs, "${name}_$emit";
	}
}
is($node->safe_psql('postgres', 'SELECT string_agg(recomputed, $$,$$) FROM windows'), '', 'all are kept up to date');

# The windows of an output that differ, with newer ends than this one only.
$node->safe_psql('postgres', q{
	CREATE FUNCTION differing(output regclass, since timestamptz, OUT checked bigint, OUT ends text) LANGUAGE plpgsql AS $$
	DECLARE
		strip text := '(to_jsonb(x) - ''{window_start,window_end,revision,rank,op,emitted_at}''::text[])';
		e record;
		n bigint;
	BEGIN
		checked := 0; ends := '';
		FOR e IN SELECT DISTINCT ON (m.window_start) m.* FROM aggwin.emission AS m JOIN aggwin.window AS w USING (window_id)
			WHERE w.output = $1 AND m.window_end > since ORDER BY m.window_start, m.revision DESC
		LOOP
			EXECUTE format('WITH told AS (SELECT %1$s AS j FROM %2$s AS x WHERE x.window_start = %3$L AND x.revision = %4$L AND x.op <> ''delete''),
				plain AS (SELECT %1$s AS j FROM window_at(NULL::%2$s, %5$L::timestamptz) AS x)
				SELECT count(*) FROM ((TABLE told EXCEPT ALL TABLE plain) UNION ALL (TABLE plain EXCEPT ALL TABLE told)) AS d',
				strip, output, e.window_start, e.revision, e.window_end) INTO n;
			checked := checked + 1;
			IF n > 0 THEN ends := ends || ' ' || e.window_end; END IF;
		END LOOP;
	END $$});

my @sessions;
sub connect_all
{
	$_->close foreach @sessions;
	@sessions = map { Aggwin::Session->new($node->connstr('postgres'), "step$_") } 1 .. 2;
	return;
}
connect_all();

my $second = 0;
my %done;

sub event_time
{
	my ($late) = @_;
	return "'2026-01-01'::timestamptz + (least($second, $second - ($late)) + random()) * interval '1 second'";
}

sub insert_sql
{
	my ($rows, $late) = @_;
	return 'INSERT INTO events SELECT ' . event_time($late) . ', nullif((random() * 9)::integer, 7),
		(ARRAY[NULL, $$a$$, $$b$$, $$ccc$$])[1 + random() * 3], random() * 1000, (random() - 0.3) * 9e18,
		CASE WHEN random() < 0.8 THEN round((random() * 100)::numeric, (random() * 3)::integer) END
		FROM generate_series(1, ' . $rows . ');';
}

my @changes = (
	late => sub { insert_sql(1 + int rand 4, 'random() * 25') },
	very_late => sub { insert_sql(2, 'random() * 60') },
	delete => sub { 'DELETE FROM events WHERE ts > ' . event_time('30 * random()') . ' AND random() < 0.05;' },
	update => sub { 'UPDATE events SET i = i + 1, k = k - 1 WHERE ts > ' . event_time('20') . ' AND random() < 0.05;' },
	truncate => sub { rand() < 0.1 ? 'TRUNCATE events;' : '' },
	fold => sub { q{SELECT refresh('panes');} });

# Each once, before chance decides.
my @first = map { 2 * $_ } 0 .. $#changes / 2;

# Published, and compared in the same moment: nobody else writes.
sub step
{
	my ($session) = @_;
	my %since = map { split /\|/ } $session->rows('SELECT output, coalesce(closed_to, $$-infinity$$) FROM aggwin.window');

	$session->rows('SELECT close_windows()');
	my @differing = $session->rows(join ' UNION ALL ', map {
		my $since = /final/ ? $since{$_} : '-infinity';
		$since = "2026-01-01'::timestamptz + '" . ($second - 120) . " seconds" if $since eq '-infinity';
		"SELECT '$_', d.* FROM differing('$_', '$since') AS d"
	} @outputs);
	my $bad = join "\n", grep { !/\|$/ } @differing;

	$done{compared} += (split /\|/)[1] foreach @differing;
	if ($bad ne '')
	{
		fail("second $second: windows are what their definitions give") or diag "seed $seed\n$bad";
		done_testing();
		exit 1;
	}
	return;
}

sub play_on
{
	my ($until) = @_;

	while (time < $until)
	{
		my $session = $sessions[ rand() < 0.1 ];
		my $dice = rand;

		$second += $dice < 0.1 ? 15 : $dice < 0.9 ? 1 + int rand 3 : 0;
		$session->rows(insert_sql(int rand 60, 0)) if $dice < 0.95;
		while (@first || rand() < 0.4)
		{
			my $number = @first ? shift @first : 2 * int rand @changes / 2;

			$session->rows($changes[ $number + 1 ]->());
			$done{ $changes[$number] }++;
		}
		if (!$done{rolled_back} || rand() < 0.1)
		{
			my $savepoint = rand() < 0.5;

			$second += 2;
			$session->rows(insert_sql(20, 0));
			$session->rows('BEGIN; ' . ($savepoint ? 'SAVEPOINT s; ' : '') . 'SELECT close_windows(); '
				  . ($savepoint ? 'ROLLBACK TO s; COMMIT' : 'ROLLBACK'));
			$session->rows($changes[1]->()) if rand() < 0.5;
			$done{rolled_back}++;
		}
		step($session);
		$done{steps}++;
	}
	return;
}

play_on(time + $seconds / 3);
pass('windows are what their definitions give');

$node->restart;
connect_all();
play_on(time + $seconds / 6);
pass('after a restart, too');

# Rows of panes are dropped, and read again when they leave.
$node->append_conf('postgresql.conf', 'aggwin.window_memory = 1MB');
$node->reload;
connect_all();
play_on(time + $seconds / 2);
pass('with little memory, too');

note "$_: $done{$_}" foreach sort keys %done;
cmp_ok($done{$_} // 0, '>', 0, $_) foreach 'compared', 'steps', 'rolled_back', 'late', 'delete', 'update';
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
my $moved = () = $log =~ /window \d+ moved on/g;
my $anew = () = $log =~ /window \d+ read anew/g;
note "moved on: $moved, read anew: $anew";
cmp_ok($moved, '>', $anew, 'most windows have been reached from the one before');
$_->close foreach @sessions;
$node->stop;
done_testing();
