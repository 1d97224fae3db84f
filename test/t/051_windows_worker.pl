# The worker closes windows, by the watermark and by the clock, whoever dies in
# the middle of it: none is missing, none is there twice, and who listens hears
# of each once.
#
#   AGGWIN_WINDOWS_SEED   what the random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Aggwin::Crew;
use Aggwin::Session;
use Aggwin::Windows qw(create_windows outputs problems_sql);

my $seed = $ENV{AGGWIN_WINDOWS_SEED} || int rand 1_000_000_000;

note "AGGWIN_WINDOWS_SEED=$seed";
srand $seed;

my $node = PostgreSQL::Test::Cluster->new('windows_worker');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'aggwin'\nrestart_after_crash = on\ndeadlock_timeout = 200ms\naggwin.worker_naptime = '100ms'\n");
$node->start;
create_windows($node);

my $session;
my $rounds = 0;

sub connect_again
{
	$session->close if $session;
	$session = Aggwin::Session->new($node->connstr('postgres'), 'test');
	return;
}

sub becomes_true
{
	my ($query, $name) = @_;

	return ok($node->poll_query_until('postgres', $query), $name);
}

sub worker_pid
{
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM aggwin.workers'), 'there is a worker');
	return $session->value('SELECT pid FROM aggwin.workers');
}

# All is published that is due, and all of it is right.
sub catches_up
{
	my ($name) = @_;

	becomes_true(q{SELECT bool_and(w.closed_to + w.period + w.grace > greatest(
			CASE WHEN o.source = 'log'::regclass THEN (SELECT max(ts) FROM log) ELSE (SELECT max(ts) FROM events) END))
		FROM aggwin.window AS w JOIN outputs AS o USING (output)}, "$name: all windows are closed");
	becomes_true('SELECT count(*) = 0 FROM (' . problems_sql() . ') AS p', "$name: and right")
	  or diag join "\n", "seed $seed", map { substr $_, 0, 1000 } $session->rows(problems_sql());
	return;
}

# What was heard is what was published: of each connection, all after it began.
sub heard_all
{
	my ($heard, $name) = @_;

	$session->rows('CREATE TEMP TABLE IF NOT EXISTS heard (n serial, connection int, message jsonb); TRUNCATE heard');
	while (my @some = splice @$heard, 0, 500)
	{
		$session->rows('INSERT INTO heard (connection, message) VALUES '
			  . join(', ', map { my ($connection, $text) = split / /, $_, 2; $text =~ s/'/''/g; "($connection, '$text')" } @some));
	}
	is($session->value(q{SELECT count(*) FROM (SELECT (message->>'position')::bigint - lag((message->>'position')::bigint)
			OVER (PARTITION BY connection, message->>'window' ORDER BY n) AS step FROM heard) AS s WHERE step <> 1}),
		0, "$name: one after the other");
	is($session->value(q{SELECT count(*) FROM heard AS h LEFT JOIN (aggwin.emission AS e JOIN aggwin.window AS w USING (window_id))
			ON 'public.' || w.output = h.message->>'window' AND e.position = (h.message->>'position')::bigint
		WHERE (e.window_start, e.window_end, e.revision, e.rows) IS DISTINCT FROM ((h.message->>'window_start')::timestamptz,
			(h.message->>'window_end')::timestamptz, (h.message->>'revision')::int, (h.message->>'count')::bigint)}),
		0, "$name: what there is");
	my %differences;
	foreach my $output (outputs())
	{
		my $count = $session->value(qq{SELECT count(*) FROM heard AS h WHERE message->>'window' = 'public.$output' AND message ? 'rows' AND message->'rows' <>
			(SELECT coalesce(jsonb_agg(jsonb_build_object('rank', c.rank, 'op', c.op) || c."row" ORDER BY c.rank, c.op) FILTER (WHERE c.op IS NOT NULL), '[]')
			FROM aggwin.changes_since('$output', (h.message->>'position')::bigint - 1, 1) AS c)});
		$differences{$output} = $count if $count > 0;
	}
	is_deeply(\%differences, {}, "$name: with the rows");
	return $session->value('SELECT count(*) FROM heard');
}

# Everybody at work, then the harm, then more.
sub survives
{
	my ($name, $harm, %options) = @_;
	my $crew = Aggwin::Crew->new(node => $node, seed => $seed + ++$rounds, folder => PostgreSQL::Test::Utils::tempdir());
	my $before;
	my $total;

	connect_again();
	$before = $session->value('SELECT sum(position) FROM aggwin.window');
	$crew->hire("writer$_", \&Aggwin::Windows::writer) foreach 1 .. 2;
	$crew->hire('listener', \&Aggwin::Windows::listener, connection => $rounds);
	$crew->hire('reader', \&Aggwin::Windows::reader);
	sleep 0.8 + rand 1.2;
	$harm->();
	if ($options{stays})
	{
		sleep 1;
		$crew->stop;
		catches_up($name);
		Aggwin::Windows::deafen($crew);
	}
	$total = $crew->collect;
	connect_again();
	is_deeply($total->{problems}, [], "$name: nobody saw anything wrong") or diag "seed $seed";
	is($total->{lost} > 0, !$options{stays}, "$name: sessions were lost, or not, as expected");
	catches_up($name);
	cmp_ok($session->value('SELECT sum(position) FROM aggwin.window'), '>', $before, "$name: windows were published");
	my $heard = heard_all($total->{heard}, "$name: heard");
	note "$name: $heard messages";
	if ($options{stays})
	{
		cmp_ok($heard, '>', 0, "$name: something was heard");
		is($session->value(q{SELECT count(*) FROM (SELECT message->>'window' AS name, max((message->>'position')::bigint) AS last FROM heard GROUP BY 1) AS h
				JOIN aggwin.window AS w ON 'public.' || w.output = h.name WHERE h.last <> w.position}), 0, "$name: to the end");
	}
	return;
}

# While windows are being closed, if that can be caught.
sub closing_pid
{
	my $pid = worker_pid();
	my $end = time + 2;

	while (time < $end)
	{
		last if $session->value("SELECT count(*) FROM pg_locks WHERE pid = $pid AND relation = 'aggwin.window'::regclass AND mode = 'RowExclusiveLock'") > 0;
	}
	return $pid;
}

connect_again();
survives('nothing happens', sub { worker_pid() }, stays => 1);
survives('the worker is ended', sub { kill 'TERM', closing_pid() }, stays => 1);
survives('the worker is killed', sub { $session->kill_process($node, closing_pid()) });
survives('the server is stopped at once', sub { closing_pid(); $node->stop('immediate'); $node->start });
survives('after all that', sub { worker_pid() }, stays => 1);

# The worker is away, and windows are made up -----------------------------------

sub set_worker
{
	my ($enabled) = @_;

	$session->rows("ALTER SYSTEM SET aggwin.worker_enabled = $enabled");
	$node->reload;
	becomes_true('SELECT count(*) = ' . ($enabled eq 'on' ? 1 : 0) . ' FROM aggwin.workers', "worker_enabled is $enabled");
	return;
}

set_worker('off');
my $last = $session->value('SELECT max(window_end) FROM aggwin.emission JOIN aggwin.window USING (window_id) WHERE output = $$top$$::regclass');
my $position = $session->value('SELECT position FROM aggwin.window WHERE output = $$top$$::regclass');
$session->rows(q{SELECT aggwin.alter_window('last', retention => '20 s');
	INSERT INTO events (ts, k, v) SELECT timestamptz '2026-01-01Z' + nextval('clock') * interval '50 ms', 'k1', 1 FROM generate_series(1, 1000);
	INSERT INTO log (ts, k, v) SELECT timestamptz '2026-01-01Z' + nextval('clock') * interval '50 ms', 'k1', 1 FROM generate_series(1, 1000)});
sleep 0.5;
is($session->value('SELECT position FROM aggwin.window WHERE output = $$top$$::regclass'), $position, 'nothing is published without a worker');
set_worker('on');
catches_up('windows that were missed');
is($session->value("SELECT count(*) FROM (SELECT window_end - lag(window_end) OVER (ORDER BY e.position) AS step FROM aggwin.emission AS e
		JOIN aggwin.window AS w USING (window_id) WHERE w.output = 'top'::regclass AND revision = 0 AND window_end > '$last') AS s WHERE step <> '2 s'"),
	0, 'in order');
cmp_ok($session->value('SELECT skipped FROM aggwin.windows WHERE "window" = $$last$$::regclass'), '>', 0, 'but for those that are too old: counted');
is($session->value('SELECT skipped FROM aggwin.windows WHERE "window" = $$final$$::regclass'), 0, 'which are none where they are kept');

# The clock, and the end of what nobody plays any more ---------------------------

$session->rows(q{CREATE TABLE live (ts timestamptz, song text);
	SELECT aggwin.create_rollup('live_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, song, count(*) AS n FROM live GROUP BY 1, 2');
	SELECT aggwin.create_window('live_top', 'SELECT song, sum(n) AS n FROM live_1s GROUP BY song ORDER BY n DESC, song LIMIT 3',
		'2 seconds', '1 second', emit => 'changes', idle_timeout => '1 second');
	SELECT aggwin.create_window('failing', 'SELECT song, sum(n) / (sum(n) - 2) AS n FROM live_1s GROUP BY song', '1 second', idle_timeout => '1 second')});
my $start = time;
$session->rows(q{INSERT INTO live SELECT now(), 'a' FROM generate_series(1, 2)});
becomes_true(q{SELECT count(*) = 1 FROM live_top_latest WHERE song = 'a' AND n = 2}, 'a window closes though nothing comes any more');
becomes_true(q{SELECT closed > 1 AND (SELECT count(*) = 0 FROM live_top_latest) FROM aggwin.windows WHERE "window" = 'live_top'::regclass},
	'and one after it, in which there is nothing');
cmp_ok(time - $start, '<', 20, 'within seconds');
cmp_ok($session->value(q{SELECT extract(epoch FROM lag) FROM aggwin.windows WHERE "window" = 'live_top'::regclass}), '<', 10, 'the clock stands in for the watermark');
my $closed = $session->value(q{SELECT closed FROM aggwin.windows WHERE "window" = 'live_top'::regclass});
sleep 2.5;
is($session->value(q{SELECT closed FROM aggwin.windows WHERE "window" = 'live_top'::regclass}), $closed, 'empty windows after an empty one are not published');
$session->rows(q{INSERT INTO live SELECT date_trunc('second', now()) - interval '1 second', 'late'});
becomes_true(q{SELECT count(*) > 0 FROM live_top WHERE song = 'late'}, 'what comes late is published');

# A query that fails stops no other, and is tried again -----------------------------

becomes_true(q{SELECT failures >= 2 AND last_error = 'division by zero' FROM aggwin.windows WHERE "window" = 'failing'::regclass},
	'a query that fails is tried again, and shows why');
ok(slurp_file($node->logfile) =~ /could not publish windows[^\n]*: division by zero/, 'also in the log');
$session->rows(q{DELETE FROM live WHERE ctid = (SELECT min(ctid) FROM live WHERE song = 'a')});
becomes_true(q{SELECT count(*) > 0 FROM failing WHERE song = 'a' AND n = -1}, 'and succeeds when it can');
catches_up('at the end');

$session->close;
$node->stop;
done_testing();
