# Dumps of all kinds, restored into the same cluster and into others that count
# transactions differently: rollups are exact at once and work on, with what was
# pending in the dump, and without computing everything anew where the dump had
# all of it.
#
#   AGGWIN_DUMP_SEED   what the random numbers follow from
#   AGGWIN_DUMP_ALL    if set, every kind of dump, each into every cluster; else the
#                      usual ones, each into one that the seed chooses
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Carried;
use Aggwin::Crew;
use Aggwin::Session;
use Aggwin::Workload qw(rollup_names view_names);
use Aggwin::Writer;

my $seed = $ENV{AGGWIN_DUMP_SEED} || int rand 1_000_000_000;
note "AGGWIN_DUMP_SEED=$seed";
srand $seed;

my $carried = Aggwin::Carried->new($seed);
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

# Databases -------------------------------------------------------------------

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

$carried->create($here);
my $session = Aggwin::Session->new($here->connstr('postgres'), 'test');
my $writer = Aggwin::Writer->new($session);
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
		$carried->works_on($node, $database, "$where: $name", objects => 1, history => 1,
			pending => $where ne 'ahead');
		drop_database($node, $database);
	}
	return;
}

restored('plain', [], [ @PSQL, "--file=$file{plain}" ]);
restored('custom, one transaction', [], [ @RESTORE, '--single-transaction', $file{custom} ]);
restored('directory, parallel', [], [ @RESTORE, '--jobs=4', $file{directory} ]);
# Over itself.
restored('clean', [], [ @RESTORE, $file{custom} ], [ @PSQL, "--file=$file{clean}" ]);
if ($ENV{AGGWIN_DUMP_ALL})
{
	restored('plain, one transaction', [], [ @PSQL, '-1', "--file=$file{plain}" ]);
	restored('inserts', [], [ @PSQL, "--file=$file{inserts}" ]);
	restored('custom', [], [ @RESTORE, $file{custom} ]);
	restored('by section', [], map { [ @RESTORE, "--section=$_", $file{custom} ] } qw(pre-data data post-data));
	restored('as replica', [], [ 'env', 'PGOPTIONS=-c session_replication_role=replica', @PSQL, "--file=$file{plain}" ]);
	restored('clean, one transaction', [], map { [ @RESTORE, @$_ ] } [ $file{custom} ],
		[ '--clean', '--if-exists', '--single-transaction', $file{custom} ]);
	restored('clean, parallel', [], map { [ @RESTORE, '--jobs=3', @$_ ] } [ $file{directory} ],
		[ '--clean', '--if-exists', $file{directory} ]);
}
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
	$carried->works_on($cluster{ahead}, $second, 'second dump', objects => 1, history => 1);
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

# Rows one by one, the tiers of a rollup in the order that updates have left them in.
{
	my $database = new_database($here, 'CREATE EXTENSION aggwin', q{
		CREATE TABLE t (ts timestamptz);
		SELECT aggwin.create_rollup('r', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS hour, count(*) AS n FROM t GROUP BY 1',
			tiers => '{1 day, 7 days}');
		INSERT INTO t SELECT timestamptz '2024-01-01Z' + n * interval '1 hour' FROM generate_series(1, 1000) AS n},
		q{SELECT aggwin.refresh('r_1w')},
		q{INSERT INTO t VALUES ('2024-01-01Z'); UPDATE aggwin.tier SET last_fold = last_fold WHERE level = 1});
	is($here->safe_psql($database, q{SELECT string_agg(level::text, ' ' ORDER BY ctid) ~ '0.*2 1$' FROM aggwin.tier}), 't',
		'a tier comes after the one above it');
	my $dump = dump_of($here, $database, '--inserts');
	my $copy = new_database($here);
	run_on($here, $copy, 'rows one by one', @PSQL, "--file=$dump");
	is($here->safe_psql($copy, 'SELECT (SELECT sum(n) FROM r_1w), count(*), bool_or(dormant) FROM aggwin.rollup_status'), '1001|3|f',
		'all tiers are there');
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
		$carried->views, "$name: all rollups are there, and nothing has been folded");
	is($carried->is_exact($session, $name), 0, "$name: empty");
	$session->close;
	$carried->works_on($node, $database, $name, objects => 1, least_rows => -1);
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
	$carried->has_objects($session, $name);
	$session->rows(Aggwin::Writer->new($session)->insert(1000));
	cmp_ok($carried->is_exact($session, $name), '>', 500, "$name: there is something");
	run_on($node, $database, "$where: rows of the catalog", @PSQL, "--file=$file{catalog}");
	$carried->is_exact($session, "$name with rollups");
	$session->close;
	$carried->works_on($node, $database, "$name with rollups", objects => 1, least_rows => 500);
	drop_database($node, $database);
}

# Data into a schema, or into a database in which somebody has folded nothing yet.
sub takes_data
{
	my ($name, $folded, $kept, @command) = @_;

	foreach my $where (some_clusters())
	{
		my $node = $cluster{$where};
		my $database = new_database($node);

		run_on($node, $database, "$where: schema for data", @PSQL, "--file=$file{ $folded ? 'empty' : 'schema' }");
		if ($folded)
		{
			my $session = Aggwin::Session->new($node->connstr($database), 'test');

			$carried->refresh($session);
			$session->close;
		}
		run_on($node, $database, "$where: $name", @command);
		$carried->works_on($node, $database, "$where: $name", objects => 1, history => $kept);
		drop_database($node, $database);
	}
	return;
}

# Without triggers, history that is captured again is not counted twice.
takes_data("$_, into the schema", 0, $_ eq 'data_disabled', @PSQL, "--file=$file{$_}") foreach qw(data data_inserts data_disabled);
takes_data('data, into a copy that is empty', 1, 0, @PSQL, "--file=$file{data}");
takes_data('data, parallel', 0, 0, @RESTORE, '--data-only', '--jobs=4', $file{directory});
takes_data('data, triggers disabled', 1, 1, @RESTORE, '--data-only', '--disable-triggers', $file{custom});

# Data after everything else: nobody should.
sub restored_in_parts
{
	my ($name, @sections) = @_;

	foreach my $where (some_clusters())
	{
		my $node = $cluster{$where};
		my $database = new_database($node);

		run_on($node, $database, "$where: $name: @$_", @RESTORE, @$_) foreach @sections;
		$carried->works_on($node, $database, "$where: $name", objects => 1);
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
	is($session->value($DORMANT), $carried->views, "$where: without triggers all are dormant");
	$session->rows(Aggwin::Writer->new($session)->insert(500));
	cmp_ok($carried->is_exact($session, "$where: without triggers"), '>', 1000, "$where: there is something");
	$carried->refresh($session);
	$carried->is_exact($session, "$where: without triggers, not folded");
	is($session->value('SELECT aggwin.adopt_rollups()'), $carried->rollups, "$where: the triggers are made anew");
	is($session->value($DORMANT), $carried->views, "$where: indexes are missing, still");
	$session->rows(Aggwin::Writer->new($session)->insert(500));
	$carried->is_exact($session, "$where: indexes missing");
	$session->rows("DROP TRIGGER aggwin_capture_$_ ON events; DROP TRIGGER aggwin_capture_$_ ON readings") foreach qw(insert update delete truncate);
	$session->rows('UPDATE events SET i = i + 1 WHERE id % 2 = 0');
	$carried->is_exact($session, "$where: without triggers again");
	run_on($node, $database, "$where: post-data", @RESTORE, '--section=post-data', $file{custom});
	$carried->works_on($node, $database, "$where: post-data after all");
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
	my $session = Aggwin::Session->new($here->connstr($database), 'test');
	cmp_ok($carried->is_exact($session, 'rollups created anew'), '>', 1000, 'there is something');
	$session->rows(Aggwin::Writer->new($session)->insert(100));
	$session->rows("SELECT aggwin.refresh('$_')") foreach view_names();
	$carried->is_exact($session, 'rollups created anew, folded');
	$session->close;
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
		$carried->works_on($cluster{behind}, $database, 'dump made under load');
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
	$carried->works_on($node, $_, $_, objects => 1) foreach @copies, $database;
	my $session = Aggwin::Session->new($node->connstr($copies[0]), 'test');
	$session->rows(Aggwin::Writer->new($session)->insert(100));
	ok($node->poll_query_until($copies[0], "SELECT sum(pending_deltas) = 0 FROM aggwin.rollup_status"), 'a worker serves the copy');
	$carried->is_exact($session, 'the copy');
	$session->close;
}

$session->close;
$_->stop foreach values %cluster;
done_testing();
