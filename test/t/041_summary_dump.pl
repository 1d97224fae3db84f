# Values of the summary types through pg_dump and pg_restore, through COPY in
# either format, and in materialized views: equal to the last bit.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../fuzz";
use Fuzz::Types qw(@FLOATS %TYPES);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;
$node->safe_psql('postgres', $_) for 'CREATE DATABASE source', 'CREATE DATABASE plain', 'CREATE DATABASE custom';
$node->safe_psql('source', 'CREATE EXTENSION aggwin');

# A table for each type, of what its aggregates make; long values are compressed.
my @types = sort keys %TYPES;
for my $type (@types)
{
	$node->safe_psql('source', $TYPES{$type}{before} =~ s/pg_temp\.//r) if $TYPES{$type}{before};
	$node->safe_psql('source', "CREATE TABLE t_$type (id serial PRIMARY KEY, v aggwin.$type)");
	for my $seed (@{ $TYPES{$type}{seeds} })
	{
		for my $floats ($seed =~ /\{floats\}/ ? @FLOATS : '')
		{
			(my $query = $seed) =~ s/\{floats\}/$floats AS f (v)/g;
			my $status = $node->psql('source', "INSERT INTO t_$type (v) $query", stderr => \my $error);
			# Some aggregates refuse NaN and infinities.
			die $error if $status != 0 && $error !~ /NaN|infinit|out of range/i;
		}
	}
	$node->safe_psql('source', "INSERT INTO t_$type (v) VALUES (NULL)");
	$node->safe_psql('source', "CREATE MATERIALIZED VIEW m_$type AS SELECT v, id % 2 = 0 AS even FROM t_$type");
	cmp_ok($node->safe_psql('source', "SELECT count(v) FROM t_$type"), '>', 10, "$type: there are values");
}

# What all values of a relation are, as bytes; the order is that of the ids.
sub digest
{
	my ($database, $type, $relation) = @_;
	return $node->safe_psql($database,
		"SELECT count(*), count(v), md5(string_agg(coalesce(encode(aggwin.${type}_send(v), 'hex'), 'NULL'), ' '
			ORDER BY aggwin.${type}_send(v))) FROM $relation");
}

# Dump and restore ------------------------------------------------------------

my $file = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '--file', "$file.sql", $node->connstr('source') ], 'a plain dump');
$node->command_ok(
	[ 'psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--file', "$file.sql", $node->connstr('plain') ],
	'is restored');
$node->command_ok([ 'pg_dump', '--format=custom', '--file', "$file.custom", $node->connstr('source') ], 'a custom dump');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname', $node->connstr('custom'), "$file.custom" ], 'is restored');

for my $type (@types)
{
	for my $relation ("t_$type", "m_$type")
	{
		my $wanted = digest('source', $type, $relation);
		is(digest($_, $type, $relation), $wanted, "$relation: equal after a $_ dump") for qw(plain custom);
	}
}

# COPY ------------------------------------------------------------------------

for my $type (@types)
{
	for my $format (qw(binary text csv))
	{
		my $copy = "$file.$type.$format";
		$node->safe_psql('source', qq{
			COPY t_$type TO '$copy' (FORMAT $format);
			CREATE TABLE c_${type}_$format (LIKE t_$type);
			COPY c_${type}_$format FROM '$copy' (FORMAT $format)});
		is(digest('source', $type, "c_${type}_$format"), digest('source', $type, "t_$type"),
			"$type: equal after COPY (FORMAT $format)");
		is( $node->safe_psql('source', qq{
				SELECT count(*) FROM t_$type AS t JOIN c_${type}_$format AS c USING (id)
				WHERE aggwin.${type}_send(t.v) IS DISTINCT FROM aggwin.${type}_send(c.v)}),
			'0', "$type: each row, too");
	}
}

# Materialized views, also concurrently: that compares rows with =. ---------------

for my $type (@types)
{
	my $comparable = $node->safe_psql('source',
		"SELECT count(*) FROM pg_operator WHERE oprname = '=' AND oprleft = 'aggwin.$type'::regtype") > 0;
	my $concurrently = $comparable ? 'CONCURRENTLY' : '';

	$node->safe_psql('source', qq{
		CREATE MATERIALIZED VIEW r_$type AS SELECT id, v FROM t_$type;
		CREATE UNIQUE INDEX ON r_$type (id);
		UPDATE t_$type SET v = (SELECT v FROM t_$type AS t WHERE v IS NOT NULL ORDER BY id DESC LIMIT 1) WHERE id % 3 = 0;
		REFRESH MATERIALIZED VIEW $concurrently r_$type});
	is(digest('source', $type, "r_$type"), digest('source', $type, "t_$type"), "$type: refreshed $concurrently");
}

$node->stop;
done_testing();
