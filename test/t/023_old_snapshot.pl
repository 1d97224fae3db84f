# A snapshot that is held open keeps vacuum from removing anything. Reads stay
# cheap for everybody else all the same: what they cost does not depend on how
# many deltas were folded meanwhile. The old reader reads what it has always
# read, and vacuum makes room again when it is gone.
#
# Cost is the number of blocks that a plan touches, so nothing here depends on
# the machine.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use JSON::PP;
use List::Util qw(sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Session;

my $FOLDS = 30;
my %DELTAS = (few => 40, many => 400);    # for each fold
my $SLACK = 10;                           # blocks: a level of an index, for example

# No vacuum but where the test says so, and no worker.
my $node = PostgreSQL::Test::Cluster->new('old_snapshot');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION aggwin');

my ($writer, $old, $new) =
  map { Aggwin::Session->new($node->connstr('postgres'), $_) } qw(writer old new);

sub query
{
	my ($name) = @_;

	return "SELECT aggwin.time_bucket('1 minute', ts) AS bucket, song, count(*) AS plays, sum(seconds) AS seconds"
	  . " FROM plays_$name GROUP BY 1, 2";
}

# Single rows: each is a delta of its own.
sub insert
{
	my ($name, $rows) = @_;

	$writer->rows(qq{DO \$\$ BEGIN
		FOR i IN 1 .. $rows LOOP
			INSERT INTO plays_$name
			VALUES ('2024-01-01'::timestamptz + random() * interval '5 minutes', random() * 9, random() * 300);
		END LOOP; END \$\$});
	return;
}

sub refresh
{
	my ($name) = @_;

	return $writer->value("SELECT aggwin.refresh('rollup_$name')");
}

sub is_exact
{
	my ($session, $name, $what) = @_;
	my ($rollup, $query) = ("TABLE rollup_$name", query($name));

	is( $session->value("SELECT count(*) FROM (($rollup EXCEPT ALL $query) UNION ALL ($query EXCEPT ALL $rollup)) AS d"),
		0, $what);
	return;
}

sub contents
{
	my ($session, $name) = @_;

	return join "\n", $session->rows("TABLE rollup_$name ORDER BY bucket, song");
}

# The name of a relation behind a rollup, without its schema.
sub part
{
	my ($name, $part) = @_;

	return $writer->value("SELECT c.relname FROM aggwin.rollup AS r JOIN pg_class AS c ON c.oid = r.$part"
		  . " WHERE r.view = 'rollup_$name'::regclass");
}

sub pages
{
	my ($name, $part) = @_;

	return $writer->value("SELECT pg_relation_size($part) / 8192 FROM aggwin.rollup"
		  . " WHERE view = 'rollup_$name'::regclass");
}

# Blocks that a node of a plan and those below it touched in one relation.
sub blocks_in
{
	my ($plan, $relation) = @_;
	my $below = sum0(map { blocks_in($_, $relation) } @{ $plan->{Plans} // [] });

	return $below if ($plan->{'Relation Name'} // '') ne $relation;
	return $plan->{'Shared Hit Blocks'} + $plan->{'Shared Read Blocks'};
}

# Blocks that a statement touches: in all, in the rollup's delta, elsewhere.
sub cost
{
	my ($sql, $name) = @_;
	my ($explained) = @{ decode_json(join "\n",
			$new->rows("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) $sql")) };
	my $plan = $explained->{Plan};
	my $all = $plan->{'Shared Hit Blocks'} + $plan->{'Shared Read Blocks'};

	return { all => $all, delta => blocks_in($plan, part($name, 'delta')) };
}

# What is measured: a read of all, of one bucket, and with a plan kept from when
# all was small.
sub costs
{
	my ($name) = @_;
	my $one = "SELECT * FROM rollup_$name WHERE bucket = '2024-01-01 00:02'";

	# The first is for the caches of the session.
	cost("TABLE rollup_$name", $name);
	return {
		'a read of all' => cost("TABLE rollup_$name", $name),
		'a read of one bucket' => cost($one, $name),
		'a prepared read' => cost("EXECUTE read_$name", $name)
	};
}

# Before --------------------------------------------------------------------

foreach my $name (sort keys %DELTAS)
{
	my $query = query($name);

	$writer->rows(qq{
		CREATE TABLE plays_$name (ts timestamptz, song int, seconds int);
		CREATE INDEX ON plays_$name (ts);
		SELECT aggwin.create_rollup('rollup_$name', \$query\$$query\$query\$);
		INSERT INTO plays_$name
		SELECT '2024-01-01'::timestamptz + random() * interval '5 minutes', random() * 9, random() * 300
		FROM generate_series(1, 1000);});
	refresh($name);
	$new->rows("SET plan_cache_mode = force_generic_plan");
}
$writer->rows('VACUUM ANALYZE');
$new->rows("PREPARE read_$_ AS TABLE rollup_$_") foreach keys %DELTAS;

my %before = map { $_ => costs($_) } keys %DELTAS;

$old->rows('BEGIN ISOLATION LEVEL REPEATABLE READ');
my %first_read = map { $_ => contents($old, $_) } keys %DELTAS;

# With the old snapshot -----------------------------------------------------

my (%second_fold, %last_fold);
my %found = map { $_ => 0 } keys %DELTAS;
foreach my $fold (1 .. $FOLDS)
{
	foreach my $name (sort keys %DELTAS)
	{
		my $statement = "SELECT aggwin.refresh('rollup_$name')";

		insert($name, $DELTAS{$name});
		# Now and then a range to repair.
		$writer->rows("DELETE FROM plays_$name WHERE ctid = (SELECT min(ctid) FROM plays_$name)")
		  if $fold % 10 == 5;
		if ($fold == 2)
		{
			$second_fold{$name} = cost($statement, $name)->{all};
		}
		elsif ($fold == $FOLDS)
		{
			$last_fold{$name} = cost($statement, $name)->{all};
		}
		else
		{
			$found{$name}++ if refresh($name) eq 't';
		}
	}
	is_exact($old, 'many', "exact for the old reader after fold $fold") if $fold % 10 == 0;
}

my %after = map { $_ => costs($_) } keys %DELTAS;

foreach my $name (sort keys %DELTAS)
{
	my ($delta, $invalid) = (part($name, 'delta'), part($name, 'invalid'));

	is($found{$name}, $FOLDS - 2, "$name: every fold found something");
	is($writer->value("SELECT count(*) FROM aggwin.$delta"), 0, "$name: no delta is left");
	is($writer->value("SELECT count(*) FROM aggwin.$invalid"), 0, "$name: no invalid range is left");
	is(contents($old, $name), $first_read{$name}, "$name: the old reader reads what it read first");
	is_exact($old, $name, "$name: exact for the old reader");
	is_exact($new, $name, "$name: exact for a new one");
	isnt(contents($new, $name), $first_read{$name}, "$name: a new one reads something else");
	cmp_ok($last_fold{$name}, '<', 2 * $second_fold{$name} + $SLACK,
		"$name: the last fold ($last_fold{$name} blocks) costs what the second ($second_fold{$name}) did");
}

# Had reads grown with delta, this is what they would have grown by.
my $delta_pages = pages('many', 'delta');
cmp_ok($delta_pages, '>', 8 * $SLACK, "delta has grown: $delta_pages pages");

foreach my $read (sort keys %{ $before{many} })
{
	my %growth = map { $_ => $after{$_}{$read}{all} - $before{$_}{$read}{all} } keys %DELTAS;

	foreach my $name (sort keys %DELTAS)
	{
		note "$name, $read: before $before{$name}{$read}{all} blocks, after $after{$name}{$read}{all},"
		  . " of them in delta $after{$name}{$read}{delta}";
		cmp_ok($after{$name}{$read}{delta}, '<=', $before{$name}{$read}{delta} + $SLACK,
			"$name: $read touches no more of delta than before");
	}
	# Every fold writes the groups that it touches anew, so reads may grow with
	# the number of folds, but not with what they fold.
	cmp_ok($growth{many}, '<=', $growth{few} + $SLACK,
		"$read: ten times as many deltas do not cost more");
}

# When it is gone -----------------------------------------------------------

$old->rows('COMMIT');
$writer->rows('VACUUM');

# The same again, and again: the room is used again.
my %peak;
foreach my $cycle (1 .. 3)
{
	$old->rows('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $read = contents($old, 'many');
	foreach my $fold (1 .. $FOLDS)
	{
		insert('many', $DELTAS{many});
		refresh('many');
	}
	is(contents($old, 'many'), $read, "cycle $cycle: the old reader reads what it read first");
	$old->rows('COMMIT');
	$writer->rows('VACUUM');
	foreach my $part (qw(delta state))
	{
		my $pages = pages('many', $part);

		note "cycle $cycle: $part has $pages pages";
		if ($cycle == 1)
		{
			$peak{$part} = $pages;
			next;
		}
		cmp_ok($pages, '<=', 1.1 * $peak{$part} + $SLACK, "cycle $cycle: $part is no larger than after the first");
	}
	is_exact($new, 'many', "cycle $cycle: exact");
}

# Without an old snapshot, vacuum keeps up.
my $pages = pages('many', 'delta');
foreach my $fold (1 .. $FOLDS)
{
	insert('many', $DELTAS{many});
	refresh('many');
	$writer->rows('VACUUM aggwin.' . part('many', 'delta')) if $fold % 5 == 0;
}
cmp_ok(pages('many', 'delta'), '<=', $pages, 'with vacuum at work, delta does not grow at all');

$_->close foreach $writer, $old, $new;
$node->stop;
done_testing();
