# Writers of every kind, folds and readers at the same time: whoever compares a
# rollup with the plain query in one snapshot never sees a difference.
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
use Aggwin::Workload qw(create_workload rollup_names subtracting_names view_names compare_sql differences);
use Aggwin::Writer;

my $seconds = $ENV{AGGWIN_PROPERTY_SECONDS} || 30;
my $seed = $ENV{AGGWIN_PROPERTY_SEED} || int rand 1_000_000_000;

note "AGGWIN_PROPERTY_SEED=$seed AGGWIN_PROPERTY_SECONDS=$seconds";

my $node = PostgreSQL::Test::Cluster->new('property');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
max_prepared_transactions = 40
max_connections = 40
deadlock_timeout = 200ms
autovacuum_naptime = 3s
synchronous_commit = off
});
$node->start;
create_workload($node);

my $session = Aggwin::Session->new($node->connstr('postgres'), 'test');

# Compares everything; returns differences and rows compared.
sub compare_all
{
	return differences($session->rows(compare_sql(view_names())));
}

sub is_exact
{
	my ($name) = @_;
	my ($differences, $rows, $text) = compare_all();

	is($differences, 0, $name) or diag $text;
	return $rows;
}

sub refresh
{
	$session->rows("SELECT aggwin.refresh('$_')") foreach view_names();
	return;
}

# Together ------------------------------------------------------------------

srand $seed;
my $crew =
  Aggwin::Crew->new(node => $node, seed => $seed, folder => PostgreSQL::Test::Utils::tempdir());

# Each kind of writing at least once, before chance decides. Where transactions
# are always prepared, nobody gets a stronger lock: two writers do without.
my @actions = grep { $_ ne 'prepare' } Aggwin::Writer::shuffled(Aggwin::Writer::actions());
foreach my $number (1 .. 4)
{
	my @first = splice @actions, 0, 6;

	$crew->hire("writer$number", \&Aggwin::Crew::writer,
		first => $number < 3 ? [ 'prepare', @first ] : \@first,
		without => $number < 3 ? [] : ['prepare']);
}
$crew->hire("folder$_", \&Aggwin::Crew::folder) foreach 1 .. 2;
$crew->hire("checker$_", \&Aggwin::Crew::checker) foreach 1 .. 2;
$crew->hire("repeatable$_", \&Aggwin::Crew::repeatable_checker) foreach 1 .. 2;
$crew->hire('sweeper', \&Aggwin::Crew::sweeper);
$crew->hire('caretaker', \&Aggwin::Crew::caretaker);
my $total = $crew->finish($seconds);

is(scalar @{ $total->{problems} }, 0, 'nobody saw a difference or an unexpected error')
  or diag join "\n", "seed $seed", @{ $total->{problems} };
foreach my $count (sort grep { !ref $total->{$_} } keys %$total)
{
	note "$count: $total->{$count}";
}

# Did they do anything?
cmp_ok($total->{"$_ checks"} // 0, '>', 0, "checks, $_")
  foreach 'read committed', 'repeatable read', 'writer', 'create';
cmp_ok($total->{$_} // 0, '>', 0, $_)
  foreach 'folds', 'empty folds', 'rows compared', 'vacuums', 'chores', 'rollups created and dropped';
foreach my $action (Aggwin::Writer::actions())
{
	my $done = $total->{done}{$action} // 0;

	note "$action: $done, refused " . ($total->{refused}{$action} // 0);
	cmp_ok($done, '>', 0, "writers did: $action");
}
foreach my $rollup (rollup_names())
{
	my ($rows, $repairs) = split /\|/, $session->value(
		"SELECT rows_folded, repairs FROM aggwin.rollup_status WHERE rollup = '$rollup'::regclass");

	cmp_ok($rows, '>', 0, "$rollup: rows were folded");
	# Where rows are subtracted, it is up to chance whether a range is repaired
	# so far; afterwards one is, of each.
	cmp_ok($repairs, '>', 0, "$rollup: ranges were repaired")
	  unless grep { $_ eq $rollup } subtracting_names();
}

# Afterwards ----------------------------------------------------------------

is($session->value('SELECT count(*) FROM pg_prepared_xacts'), 0, 'no prepared transaction is left');
$session->rows('DELETE FROM events WHERE ts IS NULL');
$session->rows(
	'INSERT INTO events (ts, k, t, i, big, n, f, b) SELECT '
	  . Aggwin::Workload::random_events()
	  . ' FROM generate_series(1, 3000)');
cmp_ok(is_exact('exact with deltas and invalid ranges pending'), '>', 1000, 'rows to compare');
refresh();
is_exact('exact when everything is folded');
is( $session->value('SELECT count(*) FROM aggwin.rollup_status'
		  . ' WHERE pending_deltas <> 0 OR invalid_buckets IS DISTINCT FROM 0'),
	0, 'nothing is pending then');
refresh();
is_exact('exact when there was nothing to fold');

# Rows that are taken away from some rollups, and repaired in others.
$session->rows('BEGIN; UPDATE events SET i = i + 1 WHERE k = 1; DELETE FROM events WHERE k = 2');
is( $session->value(q{SELECT string_agg(rollup::text, ' ' ORDER BY rollup::text) FROM aggwin.rollup_status
		WHERE pending_deltas > 0 AND invalid_buckets = 0}),
	join(' ', subtracting_names()), 'what is subtracted from');
is_exact('exact with rows taken away');
$session->rows('COMMIT');
refresh();
is_exact('exact when that is folded');

# A rewrite of the table between a fold's snapshot and its reading of the table
# would hide all rows from that. It cannot happen: the fold locks first.
{
	my $other = Aggwin::Session->new($node->connstr('postgres'), 'rewriter');

	$session->rows('DELETE FROM events WHERE id % 3 = 0');
	$other->rows('BEGIN; ALTER TABLE events ADD COLUMN rewritten float8 DEFAULT random()');
	$session->start("SELECT aggwin.refresh('by_minute')");
	ok( $node->poll_query_until(
			'postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity"
			  . " WHERE application_name = 'test' AND state = 'active'"),
		'a fold waits for a rewrite');
	$other->rows('COMMIT');
	is($session->await->{rows}[0], 't', 'it goes on after that');
	is_exact('exact after a fold that waited for a rewrite');
	$other->close;
	refresh();
}

# Would it be seen? ---------------------------------------------------------

# What does this damage, of which nothing remains, do to each rollup?
$session->rows('CREATE FUNCTION pg_temp.run(command text) RETURNS void SECURITY DEFINER LANGUAGE plpgsql'
	  . ' AS $run$ BEGIN EXECUTE command; END $run$');

sub is_seen
{
	my ($name, $damage) = @_;
	my @unseen;

	foreach my $rollup (rollup_names())
	{
		my ($state, $delta) = split /\|/,
		  $session->value("SELECT state, delta FROM aggwin.rollup WHERE view = '$rollup'::regclass");

		# A guard sees to it that damage done by hand shows nowhere, but lets
		# pass what runs as somebody else.
		$session->rows('BEGIN');
		$session->rows('SELECT pg_temp.run($damage$' . $damage->($state, $delta, $rollup) . '$damage$)');
		my ($differences) = differences($session->rows(compare_sql($rollup)));
		$session->rows('ROLLBACK');
		push @unseen, $rollup if $differences == 0;
	}
	is("@unseen", '', "seen: $name");
	is_exact("exact again after: $name");
	return;
}

$session->rows(q{INSERT INTO events (ts, k, t, i, big, n, f, b)
	VALUES ('2024-03-31 01:00+00', 3, 'x', 11, 1, 5, 0.5, true),
		('2024-03-31 01:00+00', 3, 'x', 11, 1, 5, 0.5, true),
		('2024-03-31 01:00+00', 3, 'x', 11, 1, 5, 0.5, true)});
is_seen('a delta is lost',
	sub { "DELETE FROM $_[1] WHERE ctid = (SELECT max(ctid) FROM $_[1])" });
is_seen('a delta counts twice',
	sub { "INSERT INTO $_[1] SELECT * FROM $_[1] WHERE ctid = (SELECT max(ctid) FROM $_[1])" });
refresh();
is_seen(
	'a group of the state is lost',
	sub { "DELETE FROM $_[0] WHERE ctid = (SELECT ctid FROM $_[0] ORDER BY n DESC LIMIT 1)" });
is_seen(
	'a delta is taken for folded',
	sub {
		Aggwin::Writer->new($session)->insert(100)
		  . 'UPDATE aggwin.tier AS t SET folded = (s.next || $$:$$ || s.next || $$:$$)::pg_snapshot'
		  . ' FROM aggwin.rollup AS r, (SELECT pg_current_xact_id()::text::bigint + 1 AS next) AS s'
		  . " WHERE r.rollup_id = t.rollup_id AND t.level = 0 AND r.view = '$_[2]'::regclass";
	});

# What is computed anew -------------------------------------------------------

# One bucket of each rollup is lost, by damage that shows, and invalidated.
my $repairs_sql = 'SELECT rollup, repairs FROM aggwin.rollup_status';
my %repairs = map { split /\|/ } $session->rows($repairs_sql);
foreach my $rollup (rollup_names())
{
	my $state = $session->value("SELECT state FROM aggwin.rollup WHERE view = '$rollup'::regclass");
	my ($bucket, $range) = split /\|/, $session->value(
		'SELECT quote_literal(bucket), concat_ws($$, $$, quote_literal(bucket),'
		  . " quote_nullable((SELECT min(bucket) FROM $state WHERE bucket > s.bucket)))"
		  . " FROM $state AS s WHERE bucket IS NOT NULL ORDER BY n DESC, bucket LIMIT 1");

	$session->rows("SELECT pg_temp.run(\$damage\$DELETE FROM $state WHERE bucket = $bucket\$damage\$)");
	my ($differences) = differences($session->rows(compare_sql($rollup)));
	cmp_ok($differences, '>', 0, "$rollup: a bucket is lost");
	$session->rows("SELECT aggwin.invalidate('$rollup', $range)");
}
is_exact('exact with what is lost invalidated');
refresh();
is_exact('exact when that is computed anew');
is( $session->value('SELECT count(*) FROM aggwin.rollup_status WHERE invalid_buckets IS DISTINCT FROM 0'),
	0, 'nothing is invalid then');
my %repairs_then = map { split /\|/ } $session->rows($repairs_sql);
foreach my $view (view_names())
{
	cmp_ok($repairs_then{$view}, '>', $repairs{$view}, "$view: ranges were repaired");
}

# What is no damage ----------------------------------------------------------

foreach my $without (
	'SET LOCAL session_replication_role = replica',
	'ALTER TABLE events DISABLE TRIGGER USER')
{
	$session->rows("BEGIN; $without; " . Aggwin::Writer->new($session)->change);
	is_exact("exact in a transaction after: $without");
	$session->rows('ROLLBACK');
	is_exact("exact when it is rolled back: $without");
}

$session->close;
$node->stop;
done_testing();
