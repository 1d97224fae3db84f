# Dumps of all kinds, restored into the same cluster and into others that count
# transactions differently: rollups are exact at once and work on, with what was
# pending in the dump, and without computing everything anew where the dump had
# all of it.
#
#   AGGWIN_DUMP_SEED   what the random numbers follow from
#   AGGWIN_DUMP_ALL    if set, every kind of dump into every cluster; else into
#                      one that the seed chooses
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Crew;
use Aggwin::Session;
use Aggwin::Workload qw(create_workload rollup_names compare_sql differences);
use Aggwin::Writer;

my $seed = $ENV{AGGWIN_DUMP_SEED} || int rand 1_000_000_000;
note "AGGWIN_DUMP_SEED=$seed";
srand $seed;

my $all = () = rollup_names();
my $serial = 0;

# Clusters -------------------------------------------------------------------

# The ids of transactions have an epoch, which puts a cluster ahead of others.
sub cluster
{
	my ($name, $epoch, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', join "\n", @settings, 'max_prepared_transactions = 10', 'fsync = off', '');
	$node->command_ok([ 'pg_resetwal', '--epoch', $epoch, $node->data_dir ], "$name: epoch $epoch");
	$node->start;
	$node->safe_psql('postgres', 'CREATE ROLE keeper; CREATE ROLE reader');
	return $node;
}

my $here = cluster('here', 2);
my %cluster = (
	here => $here,
	behind => cluster('behind', 0),
	# A worker that may begin in the middle of a restore.
	ahead => cluster('ahead', 7, "shared_preload_libraries = 'aggwin'", 'aggwin.launcher_naptime = 1s', 'aggwin.worker_naptime = 100ms'));

# Checks -----------------------------------------------------------------------

sub is_exact
{
	my ($session, $name, @rollups) = @_;
	my ($differences, $rows, $text) = differences($session->rows(compare_sql(@rollups ? @rollups : rollup_names())));

	is($differences, 0, "$name: exact") or diag "seed $seed: $text";
	return $rows;
}

sub refresh
{
	my ($session, @rollups) = @_;

	$session->rows("SELECT aggwin.refresh('$_')") foreach @rollups ? @rollups : rollup_names();
	return;
}

# What is pending; in a restored rollup, what was pending when it was dumped.
my $PENDING = q{SELECT string_agg(concat_ws(' ', rollup, pending_deltas, coalesce(invalid_buckets::text, 'all'),
	rows_folded, watermark), ', ' ORDER BY rollup::text) FROM aggwin.rollup_status};

my $OBJECTS = q{SELECT string_agg(concat_ws(' ', c.oid::regclass, c.relkind, c.relowner::regrole, c.relacl, c.reloptions,
	(SELECT string_agg(tgname || ' ' || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)),
	E'\n' ORDER BY c.oid::regclass::text)
	FROM pg_class AS c WHERE relnamespace IN ('public'::regnamespace, 'aggwin'::regnamespace) AND relkind <> 'S'};

# Exact now, with more written, folded, and written again.
sub works_on
{
	my ($node, $database, $name, %options) = @_;
	my $session = Aggwin::Session->new($node->connstr($database), 'test');
	my $writer = Aggwin::Writer->new($session);

	is($session->value('SELECT count(*) FROM aggwin.rollup_status WHERE NOT dormant'), $all, "$name: no rollup is dormant");
	is($session->value($PENDING), $options{pending}, "$name: pending is what was pending, folded what was folded")
	  if $options{pending};
	is($session->value($OBJECTS), $options{objects}, "$name: owners, privileges, options and triggers")
	  if $options{objects};
	my $rows = is_exact($session, "$name, restored");
	cmp_ok($rows, '>', $options{least_rows} // 1000, "$name: there is something to compare");

	$session->rows($writer->insert(20) . $writer->insert(400));
	is_exact($session, "$name, more inserted");
	$session->rows($writer->update_sql . $writer->delete_sql);
	is_exact($session, "$name, more changed");
	refresh($session);
	is($session->value('SELECT sum(pending_deltas) || $$ $$ || sum(invalid_buckets) FROM aggwin.rollup_status'),
		'0 0', "$name: all is folded");
	is_exact($session, "$name, folded");
	$session->rows($writer->insert(20) . $writer->delete_sql);
	is_exact($session, "$name, inserted and deleted once more");
	refresh($session);
	is_exact($session, "$name, folded once more");

	# New rollups pass over the numbers that are taken.
	$session->rows(q{SELECT aggwin.create_rollup('another', 'SELECT aggwin.time_bucket(''1 day'', ts) AS day, count(*) AS n FROM events GROUP BY 1')});
	is($session->value('SELECT count(*) FROM aggwin.rollup'), $all + 1, "$name: one more rollup");
	$session->rows(q{SELECT aggwin.drop_rollup('another')});
	$session->close;
	return;
}

# A worker that serves it gives way.
sub drop_database
{
	my ($node, $database) = @_;

	$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");
	return;
}

# Where a dump is restored: each cluster in turn, or all.
my @turns = sort keys %cluster;
push @turns, shift @turns foreach 1 .. int rand @turns;

sub some_clusters
{
	return sort keys %cluster if $ENV{AGGWIN_DUMP_ALL};
	push @turns, shift @turns;
	return $turns[0];
}

sub new_database
{
	my ($node, @setup) = @_;
	my $database = 'd' . ++$serial;

	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
	$node->safe_psql($database, $_) foreach @setup;
	return $database;
}

# Runs a program of PostgreSQL's against a database.
sub run_on
{
	my ($node, $database, $name, @command) = @_;

	$node->command_ok([ $command[0], @command[ 1 .. $#command ], '--dbname', $node->connstr($database) ], $name);
	return;
}

my @PSQL = ('psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--output=/dev/null');
my @RESTORE = ('pg_restore', '--exit-on-error');

# What is dumped -----------------------------------------------------------------

my $folder = PostgreSQL::Test::Utils::tempdir();
my $files = 0;

sub dump_of
{
	my ($node, $database, @options) = @_;
	my $file = "$folder/dump" . ++$files;

	$node->command_ok([ 'pg_dump', @options, '--file', $file, '--dbname', $node->connstr($database) ],
		join ' ', 'pg_dump', @options);
	return $file;
}

create_workload($here);
my $session = Aggwin::Session->new($here->connstr('postgres'), 'test');
my $writer = Aggwin::Writer->new($session);
$session->rows(q{
	ALTER VIEW by_second OWNER TO keeper;
	GRANT SELECT ON events TO keeper;
	GRANT SELECT ON by_minute TO reader;
	CREATE MATERIALIZED VIEW by_hour_stored AS SELECT * FROM by_hour;});
$session->rows($writer->insert(2000)) foreach 1 .. 2;
refresh($session);
$session->rows($writer->insert(300) . $writer->insert(10) . $writer->delete_sql . $writer->update_sql);
my $pending = $session->value($PENDING);
my $objects = $session->value($OBJECTS);
is($session->value('SELECT count(*) FROM aggwin.rollup_status WHERE pending_deltas > 0 AND invalid_buckets > 0'),
	$all, 'deltas and invalid spans are pending in all rollups');
# In progress while all dumps are made, and in none of them.
$session->rows("BEGIN; " . $writer->insert(100) . "PREPARE TRANSACTION 'in progress'");

# Everything -----------------------------------------------------------------------

my %file = (
	plain => dump_of($here, 'postgres'),
	inserts => dump_of($here, 'postgres', '--rows-per-insert=100'),
	clean => dump_of($here, 'postgres', '--clean', '--if-exists'),
	custom => dump_of($here, 'postgres', '--format=custom'),
	directory => dump_of($here, 'postgres', '--format=directory', '--jobs=2'),
	schema => dump_of($here, 'postgres', '--schema-only'),
	catalog => dump_of($here, 'postgres', '--data-only', '--table=aggwin.rollup', '--table=aggwin.tier'),
	empty => dump_of($here, 'postgres', '--exclude-table-data=public.*', '--exclude-table-data=aggwin._*'),
	data => dump_of($here, 'postgres', '--data-only'),
	data_inserts => dump_of($here, 'postgres', '--data-only', '--rows-per-insert=100'),
	data_disabled => dump_of($here, 'postgres', '--data-only', '--disable-triggers'),
	parts_left_out => dump_of($here, 'postgres', '--format=custom', '--exclude-table-data=aggwin._*'),
	schemas => dump_of($here, 'postgres', '--format=custom', '--schema=public', '--schema=aggwin', '--extension=aggwin'),
	one_schema => dump_of($here, 'postgres', '--schema=public'));

sub restored
{
	my ($name, $setup, @commands) = @_;

	foreach my $where (some_clusters())
	{
		my $node = $cluster{$where};
		my $database = new_database($node, @$setup);

		run_on($node, $database, "$where: $name: $_->[0]", @$_) foreach @commands;
		# A worker may have folded by now.
		works_on($node, $database, "$where: $name", objects => $objects, $where eq 'ahead' ? () : (pending => $pending));
		drop_database($node, $database);
	}
	return;
}

restored('plain', [], [ @PSQL, "--file=$file{plain}" ]);
restored('plain, one transaction', [], [ @PSQL, '-1', "--file=$file{plain}" ]);
restored('inserts', [], [ @PSQL, "--file=$file{inserts}" ]);
restored('custom', [], [ @RESTORE, $file{custom} ]);
restored('custom, one transaction', [], [ @RESTORE, '--single-transaction', $file{custom} ]);
restored('directory, parallel', [], [ @RESTORE, '--jobs=4', $file{directory} ]);
restored('by section', [], map { [ @RESTORE, "--section=$_", $file{custom} ] } qw(pre-data data post-data));
restored('as replica', [], [ 'env', 'PGOPTIONS=-c session_replication_role=replica', @PSQL, "--file=$file{plain}" ]);
# Over itself.
restored('clean', [], [ @RESTORE, $file{custom} ], [ @PSQL, "--file=$file{clean}" ]);
restored('clean, one transaction', [], map { [ @RESTORE, @$_ ] } [ $file{custom} ],
	[ '--clean', '--if-exists', '--single-transaction', $file{custom} ]);
restored('clean, parallel', [], map { [ @RESTORE, '--jobs=3', @$_ ] } [ $file{directory} ],
	[ '--clean', '--if-exists', $file{directory} ]);
# "public" is there already, with privileges that such a dump does not have.
restored('the schemas', ['DROP SCHEMA public'], [ @RESTORE, $file{schemas} ],
	[ @PSQL, '--command=GRANT USAGE ON SCHEMA public TO PUBLIC' ]);

# A dump of what was restored, restored.
{
	my $first = new_database($cluster{behind});
	run_on($cluster{behind}, $first, 'restored', @RESTORE, $file{custom});
	my $again = dump_of($cluster{behind}, $first, '--format=custom');
	my $second = new_database($cluster{ahead});
	run_on($cluster{ahead}, $second, 'the second dump is restored', @RESTORE, $again);
	works_on($cluster{ahead}, $second, 'second dump', objects => $objects);
}

# As an ordinary user who owns what is dumped.
{
	my $owned = new_database($here, 'CREATE EXTENSION aggwin');
	$here->safe_psql('postgres', "CREATE ROLE dumper LOGIN; ALTER DATABASE $owned OWNER TO dumper");
	$here->safe_psql($owned, q{
		GRANT CREATE ON SCHEMA public TO dumper;
		SET ROLE dumper;
		CREATE TABLE t (ts timestamptz);
		SELECT aggwin.create_rollup('r', 'SELECT aggwin.time_bucket(''1 day'', ts) AS day, count(*) AS n FROM t GROUP BY 1');
		INSERT INTO t VALUES ('2024-01-01Z')});
	my $dump = dump_of($here, $owned, '--format=custom', '--username=dumper');
	my $database = new_database($here);
	run_on($here, $database, 'what an ordinary user dumped', @RESTORE, $dump);
	is($here->safe_psql($database, 'SELECT n, dormant, owner FROM r, aggwin.rollup_status, aggwin.rollups'), '1|f|dumper', 'is restored');
}

# Parts of it ---------------------------------------------------------------------------

# A dump without rows, but those of the catalog, works as an empty copy.
foreach my $where (some_clusters())
{
	my $node = $cluster{$where};
	my $name = "$where: empty";
	my $database = new_database($node);

	run_on($node, $database, $name, @PSQL, "--file=$file{empty}");
	my $session = Aggwin::Session->new($node->connstr($database), 'test');
	is($session->value(q{SELECT count(*) FROM aggwin.rollup_status WHERE NOT dormant AND rows_folded = 0 AND watermark IS NULL}),
		$all, "$name: all rollups are there, and nothing has been folded");
	is(is_exact($session, $name), 0, "$name: empty");
	$session->close;
	works_on($node, $database, $name, objects => $objects, least_rows => -1);
	drop_database($node, $database);
}

# A schema alone has no rollups; the views answer from the source. The rows of the
# catalog bring them back.
foreach my $where (some_clusters())
{
	my $node = $cluster{$where};
	my $name = "$where: schema";
	my $database = new_database($node);

	run_on($node, $database, $name, @PSQL, "--file=$file{schema}");
	my $session = Aggwin::Session->new($node->connstr($database), 'test');
	is($session->value($OBJECTS), $objects, "$name: owners, privileges, options and triggers");
	$session->rows(Aggwin::Writer->new($session)->insert(1000));
	cmp_ok(is_exact($session, $name), '>', 500, "$name: there is something");
	run_on($node, $database, "$where: rows of the catalog", @PSQL, "--file=$file{catalog}");
	is_exact($session, "$name with rollups");
	$session->close;
	works_on($node, $database, "$name with rollups", objects => $objects, least_rows => 500);
	drop_database($node, $database);
}

# Data into a schema, or into a database in which somebody has folded nothing yet.
sub takes_data
{
	my ($name, $folded, @command) = @_;

	foreach my $where (some_clusters())
	{
		my $node = $cluster{$where};
		my $database = new_database($node);

		run_on($node, $database, "$where: schema for data", @PSQL, "--file=$file{ $folded ? 'empty' : 'schema' }");
		if ($folded)
		{
			my $session = Aggwin::Session->new($node->connstr($database), 'test');

			refresh($session);
			$session->close;
		}
		run_on($node, $database, "$where: $name", @command);
		works_on($node, $database, "$where: $name", objects => $objects);
		drop_database($node, $database);
	}
	return;
}

takes_data("$_, into the schema", 0, @PSQL, "--file=$file{$_}") foreach qw(data data_inserts data_disabled);
takes_data('data, into a copy that is empty', 1, @PSQL, "--file=$file{data}");
takes_data('data, parallel', 0, @RESTORE, '--data-only', '--jobs=4', $file{directory});
takes_data('data, triggers disabled', 1, @RESTORE, '--data-only', '--disable-triggers', $file{custom});

# Data after everything else: nobody should.
sub restored_in_parts
{
	my ($name, @sections) = @_;

	foreach my $where (some_clusters())
	{
		my $node = $cluster{$where};
		my $database = new_database($node);

		run_on($node, $database, "$where: $name: @$_", @RESTORE, @$_) foreach @sections;
		works_on($node, $database, "$where: $name", objects => $objects);
		drop_database($node, $database);
	}
	return;
}

restored_in_parts('data last', map { [ "--section=$_", $file{custom} ] } qw(pre-data post-data data));
# What is stored can be left out of a dump: it is computed anew.
restored_in_parts('without state', [ $file{parts_left_out} ]);

# Without triggers the rollups wait, exact.
foreach my $where (some_clusters())
{
	my $node = $cluster{$where};
	my $database = new_database($node);
	my $DORMANT = 'SELECT count(*) FROM aggwin.rollup_status WHERE dormant';

	run_on($node, $database, "$where: $_", @RESTORE, "--section=$_", $file{custom}) foreach qw(pre-data data);
	my $session = Aggwin::Session->new($node->connstr($database), 'test');
	is($session->value($DORMANT), $all, "$where: without triggers all are dormant");
	$session->rows(Aggwin::Writer->new($session)->insert(500));
	cmp_ok(is_exact($session, "$where: without triggers"), '>', 1000, "$where: there is something");
	refresh($session);
	is_exact($session, "$where: without triggers, not folded");
	is($session->value('SELECT aggwin.adopt_rollups()'), $all, "$where: the triggers are made anew");
	is($session->value($DORMANT), $all, "$where: indexes are missing, still");
	$session->rows(Aggwin::Writer->new($session)->insert(500));
	is_exact($session, "$where: indexes missing");
	$session->rows("DROP TRIGGER aggwin_capture_$_ ON events") foreach qw(insert update delete truncate);
	$session->rows('UPDATE events SET i = i + 1 WHERE id % 2 = 0');
	is_exact($session, "$where: without triggers again");
	run_on($node, $database, "$where: post-data", @RESTORE, '--section=post-data', $file{custom});
	works_on($node, $database, "$where: post-data after all");
	$session->close;
	drop_database($node, $database);
}

# Views of one schema name tables of another: that fails clearly, and does no harm.
{
	my $database = new_database($here, 'DROP SCHEMA public');
	$here->psql($database, "\\i $file{one_schema}", on_error_stop => 0, stdout => \my $out, stderr => \my $error);
	like($error, qr/schema "aggwin" does not exist/, 'public alone cannot be restored, and says why');
	is($here->safe_psql($database, 'SELECT count(*) FROM events'), $session->value('SELECT count(*) FROM events'), 'but its tables can');

	$database = new_database($here, 'DROP SCHEMA public; CREATE EXTENSION aggwin');
	$here->psql($database, "\\i $file{one_schema}", on_error_stop => 0, stdout => \$out, stderr => \$error);
	like($error, qr/relation "aggwin\._\w+_\d+" does not exist/, 'nor with the extension there');
	is($here->safe_psql($database, q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'events'::regclass AND NOT tgisinternal}), '4',
		'the triggers came along');
	# Which does not hinder a new beginning.
	$here->safe_psql($database, Aggwin::Workload::create_rollup_sql($_)) foreach rollup_names();
	works_on($here, $database, 'rollups created anew');
}

# Under load -------------------------------------------------------------------------------

$here->safe_psql('postgres', "ROLLBACK PREPARED 'in progress'");
{
	my $crew = Aggwin::Crew->new(node => $here, seed => $seed, folder => PostgreSQL::Test::Utils::tempdir());
	$crew->hire("writer$_", \&Aggwin::Crew::writer, without => ['truncate']) foreach 1 .. 2;
	$crew->hire('folder', \&Aggwin::Crew::folder);
	my @dumps = map { dump_of($here, 'postgres', @$_) } [ '--format=directory', '--jobs=2' ], ['--format=custom'], ['--format=directory', '--jobs=2'];
	my $total = $crew->finish(1);
	is_deeply($total->{problems}, [], 'nobody saw a difference') or diag "seed $seed";
	foreach my $dump (@dumps)
	{
		my $database = new_database($cluster{behind});
		run_on($cluster{behind}, $database, 'dump made under load', @RESTORE, $dump);
		works_on($cluster{behind}, $database, 'dump made under load');
	}
}

# Copies of a database ------------------------------------------------------------------------

{
	my $node = $cluster{ahead};
	my $database = new_database($node);
	run_on($node, $database, 'restored', @RESTORE, $file{custom});
	my @copies;

	foreach my $strategy (qw(wal_log file_copy))
	{
		push @copies, 'copy_' . $strategy;
		# The worker makes room.
		my $done = 0;
		foreach (1 .. 20)
		{
			last if $done = $node->psql('postgres', "CREATE DATABASE $copies[-1] TEMPLATE $database STRATEGY $strategy") == 0;
		}
		ok($done, "a copy by $strategy");
	}
	works_on($node, $_, $_, objects => $objects) foreach @copies, $database;
	my $session = Aggwin::Session->new($node->connstr($copies[0]), 'test');
	$session->rows(Aggwin::Writer->new($session)->insert(100));
	ok($node->poll_query_until($copies[0], "SELECT sum(pending_deltas) = 0 FROM aggwin.rollup_status"), 'a worker serves the copy');
	is_exact($session, 'the copy');
	$session->close;
}

$session->close;
$_->stop foreach values %cluster;
done_testing();
