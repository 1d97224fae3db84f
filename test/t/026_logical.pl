# Rollups on the subscriber of a logical replication: exact at every moment,
# from the initial copy on, whatever is replicated into whichever table.
#
#   AGGWIN_LOGICAL_SECONDS   how long the load lasts (6)
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{AGGWIN_LOGICAL_SECONDS} || 6;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', "timezone = 'UTC'\nmax_logical_replication_workers = 8\nmax_worker_processes = 16\n");
$subscriber->start;

sub on_publisher  { return $publisher->safe_psql('postgres', $_[0]); }
sub on_subscriber { return $subscriber->safe_psql('postgres', $_[0]); }

# A plain table, and one that is partitioned on both sides but not alike.
on_publisher(q{
	CREATE TABLE plain (id int PRIMARY KEY, ts timestamptz, k text, v int);
	CREATE TABLE parted (id int, ts timestamptz, k text, v int, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
	CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
	CREATE TABLE leaf_1 (id int PRIMARY KEY, ts timestamptz, k text, v int);
	INSERT INTO plain SELECT i, timestamptz '2024-01-01' + i * interval '1 h', 'k' || i % 3, i FROM generate_series(1, 1000) AS i;
	INSERT INTO parted SELECT i, timestamptz '2024-01-01' + i * interval '1 h', 'k' || i % 3, i FROM generate_series(1, 1000) AS i;
	INSERT INTO leaf_1 SELECT i, timestamptz '2024-01-01' + i * interval '1 h', 'k' || i % 3, i FROM generate_series(1, 1000) AS i;
	CREATE PUBLICATION pub FOR TABLE plain, parted WITH (publish_via_partition_root = true);
	CREATE PUBLICATION leaves FOR TABLE leaf_1;
});

on_subscriber(q{
	CREATE EXTENSION aggwin;
	CREATE TABLE plain (id int PRIMARY KEY, ts timestamptz, k text, v int);
	CREATE TABLE parted (id int, ts timestamptz, k text, v int, PRIMARY KEY (id, ts)) PARTITION BY HASH (id);
	CREATE TABLE parted_0 (v int, k text, id int NOT NULL, ts timestamptz NOT NULL);
	ALTER TABLE parted ATTACH PARTITION parted_0 FOR VALUES WITH (modulus 2, remainder 0);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (modulus 2, remainder 1) PARTITION BY RANGE (ts);
	CREATE TABLE parted_1_old PARTITION OF parted_1 FOR VALUES FROM (MINVALUE) TO ('2024-01-20');
	CREATE TABLE parted_1_new PARTITION OF parted_1 FOR VALUES FROM ('2024-01-20') TO (MAXVALUE);
	CREATE TABLE leaves (id int, ts timestamptz, k text, v int) PARTITION BY RANGE (id);
	CREATE TABLE leaf_1 PARTITION OF leaves (PRIMARY KEY (id)) FOR VALUES FROM (MINVALUE) TO (1000000);
	CREATE TABLE leaf_2 PARTITION OF leaves FOR VALUES FROM (1000000) TO (2000000);
	CREATE TABLE log (ts timestamptz, v int);
});

my %query = map {
	$_ => "SELECT aggwin.time_bucket('1 day', ts) AS bucket, k, count(*) AS n, sum(v) AS v, max(v) AS most FROM $_ WHERE v IS NULL OR v >= 0 GROUP BY 1, 2"
} qw(plain parted leaves);
$query{log} = "SELECT aggwin.time_bucket('1 day', ts) AS bucket, count(*) AS n, sum(v) AS v FROM log GROUP BY 1";
my %rollup = (plain => 'of_plain', parted => 'of_parted', leaves => 'of_leaves', log => 'of_log');

sub create
{
	my ($table) = @_;
	return on_subscriber("SET client_min_messages = warning; SELECT aggwin.create_rollup('of_$table', \$\$$query{$table}\$\$)");
}

# Differences of all rollups from their queries, and the rows there are, under one snapshot.
sub compare_sql
{
	return join ' UNION ALL ', map {
		"SELECT '$_', (SELECT count(*) FROM (SELECT t::text FROM of_$_ AS t EXCEPT ALL SELECT t::text FROM ($query{$_}) AS t) AS d)"
		  . " + (SELECT count(*) FROM (SELECT t::text FROM ($query{$_}) AS t EXCEPT ALL SELECT t::text FROM of_$_ AS t) AS d),"
		  . " (SELECT sum(n) FROM ($query{$_}) AS t)"
	} @_;
}

sub fold
{
	my ($table) = @_;
	return on_subscriber("SELECT aggwin.refresh('of_$table')");
}

# Agreement before and after a fold; returns the rows that the rollup counts.
sub is_exact
{
	my ($table, $name) = @_;
	my ($before) = on_subscriber(compare_sql($table)) =~ /\|(\d+)\|/;
	fold($table);
	my (undef, $after, $rows) = split /\|/, on_subscriber(compare_sql($table));

	is("$before $after", '0 0', "$name: $table");
	return $rows;
}

sub published_rows
{
	my ($table) = @_;
	return on_publisher("SELECT count(*) FROM $table WHERE v IS NULL OR v >= 0");
}

sub catch_up
{
	$publisher->wait_for_catchup($_) foreach @_;
}

# Created before the subscription, and after it.
create('plain');
create('parted');
create('log');
is(on_subscriber(q{SELECT count(*) FROM pg_trigger WHERE tgfoid = 'aggwin.capture_row'::regproc}), 0, 'no row triggers at first');
my $connection = $publisher->connstr . ' dbname=postgres';
my ($rc, $stdout, $stderr) = $subscriber->psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION pub");
is($rc, 0, 'subscribed');
like($stderr, qr/rows that subscriptions apply to table public\.parted are captured one by one/, 'which is said');
is(on_subscriber(q{SELECT string_agg(tgrelid::regclass::text || ' ' || tgenabled::text, ', ' ORDER BY tgrelid::regclass::text)
		FROM pg_trigger WHERE tgfoid = 'aggwin.capture_row'::regproc}),
	'parted R, parted_0 R, parted_1 R, parted_1_new R, parted_1_old R, plain R', 'and done');
$subscriber->wait_for_subscription_sync($publisher, 'sub');
is(is_exact('plain', 'initial copy'), 1000, 'rows');
is(is_exact('parted', 'initial copy'), 1000, 'rows');

($rc, $stdout, $stderr) = $subscriber->psql('postgres', "CREATE SUBSCRIPTION sub_leaves CONNECTION '$connection' PUBLICATION leaves");
unlike($stderr, qr/captured/, 'tables without rollups are left alone');
$subscriber->wait_for_subscription_sync($publisher, 'sub_leaves');
create('leaves');
is(on_subscriber(q{SELECT count(*) FROM pg_trigger WHERE tgfoid = 'aggwin.capture_row'::regproc AND tgrelid IN (SELECT relid FROM pg_partition_tree('leaves'))}),
	3, 'a rollup of subscribed partitions captures rows');
is(is_exact('leaves', 'created later'), 1000, 'rows');

# Whatever changes rows of @, which stands for a table.
my @changes = (
	'insert' => 'INSERT INTO @ SELECT i, timestamptz \'2024-01-01\' + i * interval \'10 min\', \'n\', i FROM generate_series(2001, 2100) AS i',
	'insert one' => 'INSERT INTO @ VALUES (3001, \'2024-02-10\', NULL, NULL)',
	'update' => 'UPDATE @ SET v = v + 1 WHERE id BETWEEN 10 AND 20',
	'update of the key' => 'UPDATE @ SET ts = ts + interval \'20 days\' WHERE id BETWEEN 100 AND 120',
	'update of the identity' => 'UPDATE @ SET id = id + 10001 WHERE id BETWEEN 200 AND 230',
	'update into and out of WHERE' => 'UPDATE @ SET v = -v WHERE id BETWEEN 300 AND 310',
	'update of nothing' => 'UPDATE @ SET v = v WHERE id BETWEEN 400 AND 410',
	'delete' => 'DELETE FROM @ WHERE id % 7 = 0',
	'all in one transaction' => 'BEGIN; DELETE FROM @ WHERE id % 5 = 0; INSERT INTO @ VALUES (5, \'2024-01-05\', \'again\', 5);'
	  . ' UPDATE @ SET v = 6 WHERE id = 5; DELETE FROM @ WHERE id = 6; SAVEPOINT s; DELETE FROM @; ROLLBACK TO s; COMMIT',
	'truncate' => 'TRUNCATE @',
	'insert again' => 'INSERT INTO @ SELECT i, timestamptz \'2024-01-01\' + i * interval \'1 h\', \'k\' || i % 3, i FROM generate_series(1, 500) AS i');
while (my ($name, $sql) = splice @changes, 0, 2)
{
	my %table = (plain => 'plain', parted => 'parted', leaves => 'leaf_1');

	on_publisher($sql =~ s/@/$table{$_}/gr) foreach sort keys %table;
	catch_up('sub', 'sub_leaves');
	foreach my $table (sort keys %table)
	{
		my $rows = is_exact($table, $name);
		is($rows || 0, published_rows($table{$table}), 'rows');
	}
}

# Statements on the subscriber itself are not counted twice, nor are those of
# triggers that fire in the worker.
on_subscriber(q{
	INSERT INTO parted VALUES (900001, '2024-01-01', 'here', 1), (900002, '2024-01-25', 'here', 2);
	UPDATE parted SET v = 3 WHERE id = 900001;
	INSERT INTO leaf_2 VALUES (1900001, '2024-01-01', 'here', 1);
	CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (NEW.ts, NEW.v); RETURN NULL; END $$;
	CREATE TRIGGER log AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION log();
	ALTER TABLE plain ENABLE ALWAYS TRIGGER log;
	SELECT aggwin.capture_rows('log');
});
on_publisher(q{INSERT INTO plain SELECT i, '2024-01-03', 'log', i FROM generate_series(700001, 700010) AS i});
catch_up('sub');
is_exact($_, 'beside local statements') foreach qw(plain parted leaves);
is(is_exact('log', 'by a trigger in the worker'), 10, 'rows');

# An expression that fails for a row does not hold up replication.
on_subscriber(q{SELECT aggwin.create_rollup('of_quotients', 'SELECT aggwin.time_bucket(''1 day'', ts) AS bucket, sum(1000000 / id) AS q FROM plain GROUP BY 1')});
on_publisher(q{INSERT INTO plain VALUES (0, '2024-01-05', 'zero', 0), (710001, '2024-01-05', 'one', 1)});
catch_up('sub');
($rc, $stdout, $stderr) = $subscriber->psql('postgres', 'SELECT sum(q) FROM of_quotients');
like($stderr, qr/division by zero/, 'a row that an expression fails for was replicated, and is seen');
is_exact('plain', 'a row that another rollup fails for');
on_publisher('DELETE FROM plain WHERE id = 0');
catch_up('sub');
on_subscriber(q{SELECT aggwin.refresh('of_quotients')});
is(on_subscriber('SELECT sum(q) FROM of_quotients'), on_subscriber('SELECT sum(1000000 / id) FROM plain'), 'it is gone');
on_subscriber(q{SELECT aggwin.drop_rollup('of_quotients')});

# A table that joins the publication; a partition that is attached.
on_publisher(q{
	CREATE TABLE more (id int PRIMARY KEY, ts timestamptz, k text, v int);
	INSERT INTO more SELECT 2000000 + i, '2024-03-03', 'more', i FROM generate_series(1, 100) AS i;
	ALTER PUBLICATION leaves ADD TABLE more;
});
on_subscriber(q{
	CREATE TABLE more (id int PRIMARY KEY, ts timestamptz, k text, v int);
	ALTER SUBSCRIPTION sub_leaves REFRESH PUBLICATION;
});
$subscriber->wait_for_subscription_sync($publisher, 'sub_leaves');
on_subscriber('ALTER TABLE leaves ATTACH PARTITION more FOR VALUES FROM (2000000) TO (3000000)');
on_publisher(q{INSERT INTO more SELECT 2000000 + i, '2024-03-03', 'more', i FROM generate_series(101, 150) AS i});
catch_up('sub_leaves');
is(on_subscriber(q{SELECT tgenabled FROM pg_trigger WHERE tgfoid = 'aggwin.capture_row'::regproc AND tgrelid = 'more'::regclass}), 'R', 'an attached partition captures rows');
is(on_subscriber(q{SELECT sum(n) FROM of_leaves WHERE k = 'more'}), 150, 'rows of an attached partition');

# It cannot be turned off while it is needed; if it is, the rollups lie dormant and answer from the source.
($rc, $stdout, $stderr) = $subscriber->psql('postgres', q{SELECT aggwin.capture_rows('parted', false)});
like($stderr, qr/a subscription writes to table "parted"/, 'it is not turned off');
on_subscriber(q{ALTER TABLE plain DISABLE TRIGGER aggwin_capture_row});
is(on_subscriber(q{SELECT dormant FROM aggwin.rollup_status WHERE rollup = 'of_plain'::regclass}), 't', 'dormant without it');
on_publisher(q{UPDATE plain SET v = v + 10; INSERT INTO plain VALUES (800001, '2024-01-03', 'dormant', 1)});
catch_up('sub');
is_exact('plain', 'dormant');
on_subscriber(q{ALTER TABLE plain ENABLE TRIGGER aggwin_capture_row});
is(on_subscriber(q{SELECT dormant FROM aggwin.rollup_status WHERE rollup = 'of_plain'::regclass}), 'f', 'no longer');
on_publisher(q{INSERT INTO plain VALUES (800002, '2024-01-03', 'awake', 1)});
catch_up('sub');
is_exact('plain', 'awake');

# At every moment: while changes stream in, and large transactions, and folds go on.
my $writer = $publisher->background_psql('postgres', on_error_stop => 1);
my ($moments, $wrong, $id) = (0, 0, 3_000_000);
my $until = time + $seconds;
while (time < $until)
{
	my $sql = '';
	foreach my $table (qw(plain parted))
	{
		$id += 100;
		my $many = rand() < 0.2 ? 99 : 3;
		$sql .= "BEGIN; INSERT INTO $table SELECT i, timestamptz '2024-01-01' + random() * interval '50 days', 'k' || i % 3, i FROM generate_series($id, $id + $many) AS i;"
		  . " UPDATE $table SET v = v + 1, ts = ts + interval '1 day' WHERE id IN (SELECT id FROM $table WHERE ts < '2024-02-20' ORDER BY random() LIMIT 5);"
		  . " DELETE FROM $table WHERE id IN (SELECT id FROM $table ORDER BY random() LIMIT 3); COMMIT;";
	}
	$writer->query_safe($sql);
	foreach my $line (split /\n/, on_subscriber(compare_sql('plain', 'parted')))
	{
		my (undef, $differences) = split /\|/, $line;
		$moments++;
		$wrong++ if $differences;
	}
	fold((qw(plain parted))[ $moments % 4 / 2 ]) if rand() < 0.5;
}
$writer->quit;
cmp_ok($moments, '>', 10, "$moments moments");
is($wrong, 0, 'exact at all of them');
catch_up('sub');
foreach my $table (qw(plain parted))
{
	my $local = $table eq 'parted' ? 2 : 0;
	is(is_exact($table, 'in the end'), published_rows($table) + $local, 'rows');
}

# Gone with the subscription, on demand.
on_subscriber(q{DROP SUBSCRIPTION sub; DROP SUBSCRIPTION sub_leaves; SELECT aggwin.capture_rows('parted', false)});
is(on_subscriber(q{SELECT count(*) FROM pg_trigger WHERE tgfoid = 'aggwin.capture_row'::regproc AND tgrelid IN (SELECT relid FROM pg_partition_tree('parted'))}),
	0, 'turned off');
on_subscriber(q{INSERT INTO parted VALUES (900003, '2024-01-01', 'here', 1)});
is_exact('parted', 'turned off');

$subscriber->stop;
$publisher->stop;
done_testing();
