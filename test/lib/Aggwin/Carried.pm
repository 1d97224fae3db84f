# Rollups that are carried to another database, by a dump or an upgrade: what
# there is to carry, and the checks that it has arrived and works on.
#
#   my $carried = Aggwin::Carried->new($seed);
#   $carried->create($node);
#   ...
#   $carried->works_on($other_node, $database, 'the copy');
package Aggwin::Carried;

use strict;
use warnings;
use Test::More;
use Aggwin::Session;
use Aggwin::Workload qw(create_workload rollup_names view_names compare_sql differences);
use Aggwin::Writer;

# What is pending; in a rollup that has arrived, what was pending when it left.
my $PENDING = q{SELECT string_agg(concat_ws(' ', rollup, pending_deltas, coalesce(invalid_buckets::text, 'all'),
	rows_folded, watermark), ', ' ORDER BY rollup::text) FROM aggwin.rollup_status};

my $OBJECTS = q{SELECT string_agg(concat_ws(' ', c.oid::regclass, c.relkind, c.relowner::regrole, c.relacl, c.reloptions,
	(SELECT string_agg(tgname || ' ' || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)),
	E'\n' ORDER BY c.oid::regclass::text)
	FROM pg_class AS c WHERE relnamespace IN ('public'::regnamespace, 'aggwin'::regnamespace) AND relkind <> 'S'};

# Days of which the source has no rows any more.
my $HISTORY = q{SELECT string_agg(h::text, ' ' ORDER BY h) FROM history_1d AS h};

# seed: what random numbers follow from, for messages.
sub new
{
	my ($class, $seed) = @_;
	my $rollups = () = rollup_names();
	my $views = () = view_names();

	# and those of the history below
	return bless { seed => $seed, rollups => $rollups + 1, views => $views + 2 }, $class;
}

# The numbers of rollups, and of views that they and their tiers have.
sub rollups { return $_[0]->{rollups} }
sub views { return $_[0]->{views} }

# Fills database postgres: rollups with tiers, of which everything is pending
# that can be, and one whose source has not all of its rows any more. There are
# roles keeper and reader. What it looked like is what works_on() expects.
sub create
{
	my ($self, $node) = @_;

	create_workload($node);
	my $session = Aggwin::Session->new($node->connstr('postgres'), 'test');
	my $writer = Aggwin::Writer->new($session);
	$session->rows(q{
		ALTER VIEW by_second OWNER TO keeper;
		GRANT SELECT ON events TO keeper;
		GRANT SELECT ON by_minute TO reader;
		CREATE MATERIALIZED VIEW by_hour_stored AS SELECT * FROM by_hour;
		CREATE TABLE readings (ts timestamptz, v int);
		SELECT aggwin.create_rollup('history', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, count(*) AS n, sum(v) AS v
			FROM readings GROUP BY 1', tiers => '{1 day}', retention => '2 days', source_retention => '3 days');
		INSERT INTO readings SELECT now() - n * interval '1 hour', n FROM generate_series(1, 500) AS n;
		SELECT aggwin.refresh('history_1d');
		SELECT aggwin.refresh('history_1d');
		DELETE FROM readings WHERE ts < now() - interval '4 days 30 minutes';});
	$session->rows($writer->insert(2000)) foreach 1 .. 2;
	$self->refresh($session);
	$session->rows($writer->insert(300) . $writer->insert(10) . $writer->delete_sql . $writer->update_sql);
	# one that all rollups count
	$session->rows('DELETE FROM events WHERE id = (SELECT min(id) FROM events WHERE i % 5 = 1 AND k = 3 AND ts IS NOT NULL)');
	is($session->value('SELECT (SELECT sum(n) FROM history_1d) || $$ $$ || count(*) FROM readings'), '500 96',
		'the source of the history has no longer all of it');
	my $subtracting = () = Aggwin::Workload::subtracting_names();

	is($session->value('SELECT count(*) FROM aggwin.rollup_status AS s JOIN aggwin.rollup AS r ON r.view = s.rollup WHERE pending_deltas > 0 AND invalid_buckets > 0'),
		$self->rollups - 1 - $subtracting,
		'deltas and invalid spans are pending in all rollups but that of the history and those that subtract');
	$self->{pending} = $session->value($PENDING);
	$self->{objects} = $session->value($OBJECTS);
	$self->{history} = $session->value($HISTORY);
	$session->close;
	return;
}

# The views give what the plain queries give. Returns the number of rows.
sub is_exact
{
	my ($self, $session, $name) = @_;
	my ($differences, $rows, $text) = differences($session->rows(compare_sql(view_names())));

	is($differences, 0, "$name: exact") or diag "seed $self->{seed}: $text";
	return $rows;
}

sub refresh
{
	my ($self, $session) = @_;

	$session->rows("SELECT aggwin.refresh('$_')") foreach view_names(), 'history_1d';
	return;
}

sub has_objects
{
	my ($self, $session, $name) = @_;

	return is($session->value($OBJECTS), $self->{objects}, "$name: owners, privileges, options and triggers");
}

# Exact now, with more written, folded, and written again. Options: pending,
# objects and history, each true if it is to be what it was; least_rows, how many
# rows there are to compare.
sub works_on
{
	my ($self, $node, $database, $name, %options) = @_;
	my $session = Aggwin::Session->new($node->connstr($database), 'test');
	my $writer = Aggwin::Writer->new($session);

	is($session->value('SELECT count(*) FROM aggwin.rollup_status WHERE NOT dormant'), $self->views, "$name: no rollup is dormant");
	is($session->value($PENDING), $self->{pending}, "$name: pending is what was pending, folded what was folded")
	  if $options{pending};
	$self->has_objects($session, $name) if $options{objects};
	my $rows = $self->is_exact($session, "$name, arrived");
	cmp_ok($rows, '>', $options{least_rows} // 1000, "$name: there is something to compare");
	is($session->value($HISTORY), $self->{history}, "$name: history is there") if $options{history};

	$session->rows($writer->insert(20) . $writer->insert(400));
	$self->is_exact($session, "$name, more inserted");
	$session->rows($writer->update_sql . $writer->delete_sql);
	$self->is_exact($session, "$name, more changed");
	$self->refresh($session);
	is($session->value('SELECT sum(pending_deltas) || $$ $$ || sum(invalid_buckets) FROM aggwin.rollup_status'),
		'0 0', "$name: all is folded");
	$self->is_exact($session, "$name, folded");
	$session->rows($writer->insert(20) . $writer->delete_sql);
	$self->is_exact($session, "$name, inserted and deleted once more");
	$self->refresh($session);
	$self->is_exact($session, "$name, folded once more");
	is($session->value($HISTORY), $self->{history}, "$name: history is there, still") if $options{history};

	# New rollups pass over the numbers that are taken.
	$session->rows(q{SELECT aggwin.create_rollup('another', 'SELECT aggwin.time_bucket(''1 day'', ts) AS day, count(*) AS n FROM events GROUP BY 1')});
	is($session->value('SELECT count(*) FROM aggwin.rollup'), $self->rollups + 1, "$name: one more rollup");
	$session->rows(q{SELECT aggwin.drop_rollup('another')});
	$session->close;
	return;
}

1;
