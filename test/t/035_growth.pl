# The tables behind a rollup stay as small as what they hold, though every fold
# leaves dead rows and autovacuum does nothing: the worker vacuums them. As long
# as an old snapshot keeps vacuum from it, the worker tries rarely.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Session;

my $FOLDS = 15;
my $GROUPS = 3000;

my $node = PostgreSQL::Test::Cluster->new('growth');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'aggwin'
autovacuum = off
vacuum_cost_delay = 100ms
aggwin.worker_naptime = 50ms
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION aggwin;
	CREATE TABLE events (ts timestamptz, k int, v int);
	CREATE INDEX ON events (ts);
	SELECT aggwin.create_rollup('e', $$SELECT aggwin.time_bucket('1 minute', ts) AS bucket, k, count(*) AS n, sum(v) AS v
		FROM events GROUP BY 1, 2$$, tiers => '{1 hour, 1 day}', refresh_interval => '50 ms');
	SELECT aggwin.set_tier(tier, refresh_interval => '50 ms') FROM unnest('{e_1h, e_1d}'::regclass[]) AS tier});

my $session = Aggwin::Session->new($node->connstr('postgres'), 'test');
my %table = (
	delta => '_delta_1',
	'delta of a tier' => '_delta_1_1',
	'delta of the top tier' => '_delta_1_2',
	state => '_state_1');

sub settled
{
	return $node->poll_query_until('postgres', 'SELECT sum(pending_deltas) = 0 FROM aggwin.rollup_status');
}

# Every group once more, fold by fold; every fifth time computed anew.
sub folds
{
	foreach my $fold (1 .. $FOLDS)
	{
		$session->rows("INSERT INTO events SELECT '2026-03-01Z', k, 1 FROM generate_series(1, $GROUPS) AS k");
		$session->rows(q{DELETE FROM events WHERE ctid = (SELECT min(ctid) FROM events)}) if $fold % 5 == 0;
		settled() or die 'nobody folds';
	}
	return;
}

sub counter
{
	my ($function, $table) = @_;
	return $session->value("SELECT pg_stat_get_$function('aggwin.$table'::regclass)");
}

# In units of what all the groups take.
sub size
{
	my ($table) = @_;
	return $session->value("SELECT pg_relation_size('aggwin.$table') / 8192.0 / ($GROUPS / 70)");
}

sub is_exact
{
	my ($name) = @_;

	foreach (['e', '1 minute'], ['e_1h', '1 hour'], ['e_1d', '1 day'])
	{
		my ($view, $width) = @$_;
		my $plain = "SELECT aggwin.time_bucket('$width', ts) AS bucket, k, count(*) AS n, sum(v) AS v FROM events GROUP BY 1, 2";

		is($session->value("SELECT count(*) FROM ((TABLE $view EXCEPT ALL $plain) UNION ALL ($plain EXCEPT ALL TABLE $view)) AS d"),
			0, "$name: $view is exact");
	}
	return;
}

folds();
foreach my $name (sort keys %table)
{
	my $table = $table{$name};

	# Rows that come while it is vacuumed are counted twice, and then allow for more dead ones.
	ok($node->poll_query_until('postgres', "SELECT pg_stat_get_dead_tuples('aggwin.$table'::regclass)
			<= 5000 + greatest($GROUPS, pg_stat_get_live_tuples('aggwin.$table'::regclass))"),
		"$name: what is dead goes");
	note sprintf "%s: %.1f", $name, size($table);
	cmp_ok(size($table), '<', $FOLDS / 2, "$name: it is not much larger than what it holds");
}
cmp_ok(counter('vacuum_count', $table{delta}), '>=', 3, 'it was the worker');
is_exact('while tables are vacuumed');

# Behind an old snapshot nothing can be removed.
my $old = Aggwin::Session->new($node->connstr('postgres'), 'old');
my %before = map { $_ => counter('vacuum_count', $_) } values %table;

$old->rows('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM e');
folds();
foreach my $name (sort keys %table)
{
	my $vacuums = counter('vacuum_count', $table{$name}) - $before{ $table{$name} };

	note "$name: $vacuums";
	cmp_ok($vacuums, '<=', 5, "$name: the worker does not vacuum in vain again and again");
}
cmp_ok(counter('dead_tuples', $table{delta}), '>=', $FOLDS * $GROUPS / 2, 'what the old snapshot sees is there');
is($old->value('SELECT min(n) FROM e'), $FOLDS - 1, 'and read by it');
$old->rows('COMMIT');

folds();
ok($node->poll_query_until('postgres', "SELECT pg_stat_get_dead_tuples('aggwin.$table{delta}'::regclass) < $FOLDS * $GROUPS / 2"),
	'when it is gone, what it kept goes');
is_exact('at last');

$session->close;
$old->close;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal|WARNING/, 'no process complained');
$node->stop;
done_testing();
