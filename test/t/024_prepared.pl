# Prepared transactions: they stay open through folds and crashes, and count
# from the moment that they are committed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('prepared');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 10');
$node->start;

$node->safe_psql('postgres', q{
	CREATE EXTENSION aggwin;
	CREATE TABLE events (ts timestamptz, k text, v int);
	CREATE VIEW plain AS
		SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, count(*) AS n, sum(v) AS v FROM events GROUP BY 1, 2;
});

sub create_rollup
{
	return q{SELECT aggwin.create_rollup('rollup',
		'SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, k, count(*) AS n, sum(v) AS v FROM events GROUP BY 1, 2')};
}

# The rollup and the plain query in one snapshot: no difference, so many events.
sub agree
{
	my ($events, $name) = @_;

	is($node->safe_psql('postgres', q{
			SELECT (SELECT count(*) FROM (TABLE rollup EXCEPT ALL TABLE plain) AS d)
				+ (SELECT count(*) FROM (TABLE plain EXCEPT ALL TABLE rollup) AS d),
				(SELECT coalesce(sum(n), 0) FROM plain)}),
		"0|$events", $name);
	return;
}

sub fold
{
	my ($found, $name) = @_;

	is($node->safe_psql('postgres', q{SELECT aggwin.refresh('rollup')}), $found, $name);
	return;
}

sub prepare
{
	my ($id, @statements) = @_;

	$node->safe_psql('postgres', join(";\n", 'BEGIN', @statements, "PREPARE TRANSACTION '$id'"));
	return;
}

sub finish
{
	my ($how, $id) = @_;

	$node->safe_psql('postgres', "$how PREPARED '$id'");
	return;
}

# A statement that would have to wait for a prepared transaction.
sub waits
{
	my ($statement, $name) = @_;
	my ($status, $out, $error) = $node->psql('postgres', "SET lock_timeout = '100ms';\n$statement");

	ok($status != 0 && $error =~ /lock timeout/, $name) or diag "$out\n$error";
	return;
}

my $one = q{INSERT INTO events VALUES ('2024-01-01 00:10Z', 'one', 1)};
my $many = q{INSERT INTO events SELECT '2024-01-01 01:10Z', 'many', i FROM generate_series(1, 100) AS i};
my $delete = q{DELETE FROM events WHERE k = 'one'};

# Creating waits for a prepared writer -----------------------------------------

prepare('writer', $one, $many);
waits(create_rollup(), 'create_rollup waits for a prepared writer');
finish('COMMIT', 'writer');
$node->safe_psql('postgres', create_rollup());
agree(101, 'what was prepared before the rollup counts');
fold('t', 'a first fold');
agree(101, 'after the first fold');

# Folds pass a prepared transaction by -------------------------------------------

prepare('insert', $one, $many);
agree(101, 'prepared rows do not count');
fold('f', 'nor is there anything to fold');
$node->safe_psql('postgres', $one);
fold('t', 'a younger transaction is folded before it');
agree(102, 'and counts alone');
finish('COMMIT', 'insert');
agree(203, 'committed, they count at once');
fold('t', 'then they are folded');
agree(203, 'and count once');

prepare('delete', $delete, $many);
$node->safe_psql('postgres', $one) for 1 .. 3;
fold('t', 'fold around a prepared delete');
agree(206, 'a prepared delete has not happened');
finish('ROLLBACK', 'delete');
agree(206, 'nor when it is rolled back');
fold('f', 'a rolled back delete leaves nothing to fold');
prepare('delete', $many, $delete);
fold('f', 'nothing to fold but what is prepared');
finish('COMMIT', 'delete');
agree(300, 'a prepared delete and insert are committed');
fold('t', 'and folded');
agree(300, 'and right after it');

prepare('savepoints', $one, 'SAVEPOINT a', $many, 'ROLLBACK TO a', $one, 'SAVEPOINT b', $delete, 'RELEASE b', $one);
fold('f', 'fold past prepared savepoints');
finish('COMMIT', 'savepoints');
agree(301, 'what was rolled back inside does not count');
fold('t', 'fold them');
agree(301, 'nor after the fold');

# Committed in another order than begun
prepare('first', $one);
prepare('second', $many);
prepare('third', $one, $one);
finish('COMMIT', 'second');
fold('t', 'the second is folded before the first');
agree(401, 'the second counts');
finish('COMMIT', 'third');
fold('t', 'the third is folded before the first');
agree(403, 'the third counts');
finish('COMMIT', 'first');
agree(404, 'the first counts last');
fold('t', 'the first is folded last');
agree(404, 'all of them count once');

# Through a crash ----------------------------------------------------------------

prepare('kept', $one, $many, $delete);
$node->safe_psql('postgres', $many);
$node->stop('immediate');
$node->start;
agree(504, 'a prepared transaction survives a crash unseen');
fold('t', 'fold after the crash');
$node->safe_psql('postgres', $one);
fold('t', 'fold again');
finish('COMMIT', 'kept');
agree(601, 'it counts when it is committed after the crash');
fold('t', 'and is folded');
agree(601, 'and right then');

# A prepared fold, a prepared drop, a prepared rollup ------------------------------

$node->safe_psql('postgres', $one);
prepare('fold', q{SELECT aggwin.refresh('rollup')}, $many);
agree(602, 'a prepared fold is not seen');
waits(q{SELECT aggwin.refresh('rollup')}, 'another fold waits for it');
$node->safe_psql('postgres', $one);
agree(603, 'writers do not');
finish('COMMIT', 'fold');
agree(703, 'a prepared fold and what followed in it are committed');
fold('t', 'the rest is folded');
agree(703, 'after both folds');
$node->safe_psql('postgres', $one);
prepare('fold', q{SELECT aggwin.refresh('rollup')});
finish('ROLLBACK', 'fold');
agree(704, 'a prepared fold is rolled back');
fold('t', 'and done again');
agree(704, 'and right then');

prepare('writer', $one);
waits(q{SELECT aggwin.drop_rollup('rollup')}, 'dropping waits for a prepared writer');
finish('ROLLBACK', 'writer');
prepare('drop', q{SELECT aggwin.drop_rollup('rollup')});
waits($one, 'writers wait for a prepared drop');
finish('ROLLBACK', 'drop');
$node->safe_psql('postgres', $one);
agree(705, 'a drop that is rolled back has done no harm');
prepare('drop', q{SELECT aggwin.drop_rollup('rollup')});
finish('COMMIT', 'drop');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname LIKE '\_%'
		UNION ALL SELECT count(*) FROM pg_trigger WHERE tgfoid = 'aggwin.capture'::regproc}),
	"0\n0", 'a prepared drop leaves nothing');

prepare('rollup', $one, create_rollup(), $many);
waits($one, 'writers wait for a prepared rollup');
finish('COMMIT', 'rollup');
agree(806, 'a rollup and rows from both sides of it are committed');
$node->safe_psql('postgres', $one);
fold('t', 'it is folded');
agree(807, 'and right then');

$node->stop;
done_testing();
