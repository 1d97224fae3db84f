# Rollups of other extensions' sketches, hll's and tdigest's: what the plain query
# gives, after inserts in any order, folds, late rows, updates and deletes.
#
#   AGGWIN_SKETCHES   an installation that has the extensions (that of PG_CONFIG)
#   AGGWIN_SKETCHES_SEED   what the random numbers follow from
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{AGGWIN_SKETCHES_SEED} || int rand 1_000_000;
my $node = PostgreSQL::Test::Cluster->new('sketches',
	$ENV{AGGWIN_SKETCHES} ? (install_path => $ENV{AGGWIN_SKETCHES}) : ());
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nmax_parallel_workers_per_gather = 2");
$node->start;

my %available = map { $_ => 1 }
  split /\n/, $node->safe_psql('postgres', "SELECT name FROM pg_available_extensions WHERE name IN ('hll', 'tdigest')");
if (!$available{hll} || !$available{tdigest})
{
	$node->stop;
	plan skip_all => 'no extensions hll and tdigest here (Debian: packages postgresql-NN-hll, postgresql-NN-tdigest)';
}
note "AGGWIN_SKETCHES_SEED=$seed";

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# Returns how a statement fails.
sub error_of
{
	my ($sql) = @_;
	my $status = $node->psql('postgres', $sql, stderr => \my $error, extra_params => [ '--set=VERBOSITY=default' ]);
	return $status == 0 ? 'no error' : $error;
}

# One before aggwin and one after it, neither where it is looked for by itself.
sql(q{
CREATE SCHEMA "Skizzen";
CREATE SCHEMA digests;
CREATE EXTENSION hll SCHEMA "Skizzen";
CREATE EXTENSION aggwin;
CREATE EXTENSION tdigest SCHEMA digests;
ALTER DATABASE postgres SET search_path = public, "Skizzen", digests;
});

my $query = q{
SELECT aggwin.time_bucket('1 hour', ts) AS hour, path,
	count(*) AS n,
	hll_add_agg(hll_hash_text(visitor)) AS visitors,
	hll_add_agg(hll_hash_text(visitor), 14) FILTER (WHERE ms > 200) AS slow_visitors,
	hll_add_agg(hll_hash_integer(ms), 12, 6) AS values,
	hll_add_agg(hll_hash_bigint(ms), 10, 4, 512) AS few,
	hll_add_agg(hll_hash_text(path), 11, 5, -1, 0) AS paths,
	hll_cardinality(hll_add_agg(hll_hash_text(visitor))) AS about,
	tdigest(ms, 100) AS ms,
	tdigest(ms, weight, 200) AS weighted,
	tdigest_count(tdigest(ms, 100)) AS digested,
	aggwin.last(visitor, ts) AS last_visitor
FROM visits GROUP BY 1, 2 };
sql("CREATE TABLE visits (id serial, ts timestamptz, path text, visitor text, ms int, weight bigint);
	CREATE INDEX ON visits (ts);
	CREATE VIEW visits_1h_plain AS $query;
	CREATE VIEW visits_1h_2h_plain AS " . $query =~ s/1 hour/2 hours/r);
is(sql("SELECT aggwin.create_rollup('visits_1h', \$\$ $query \$\$, tiers => '{2 hours}')"), 'visits_1h', 'a rollup of sketches');
is( sql(q{
		SELECT string_agg(DISTINCT format_type(a.atttypid, a.atttypmod), ' ') FROM aggwin.rollup AS r, pg_attribute AS a
		WHERE a.attrelid = r.state AND a.attname ~ '^p\d'}),
	'aggwin.timed hll tdigest', 'what it stores');

# Later hours are slower, and so is each call as it says: a part that is lost or counts
# twice changes percentiles.
sql(q{
CREATE FUNCTION visit(count int, from_ts timestamptz, range interval, slower int DEFAULT 1) RETURNS void LANGUAGE sql AS $$
	INSERT INTO visits (ts, path, visitor, ms, weight)
	SELECT ts, '/' || (random() * 3)::int, nullif('v' || (random() * random() * 3000)::int, 'v7'),
		nullif((-500 * ln(1 - random()) * (extract(hour FROM ts) - 7) * slower)::int, 13), 1 + (random() * 3)::int
	FROM (SELECT from_ts + random() * range AS ts FROM generate_series(1, count)) AS t $$;
});

# Sketches are the same; digests have the same number of values. Ranks tell how far a
# percentile is from where it should be among the values, beyond one of them, in units of
# f (1 - f), which the size of a digest's centroids follows, but less around the median,
# where they are not off by as much as they may be.
my $comparison = q{
CREATE VIEW ROLLUP_differences AS
SELECT count(*) AS groups, count(*) FILTER (WHERE r.hour IS NULL OR p.hour IS NULL) AS missing,
	count(*) FILTER (WHERE r.visitors::text IS DISTINCT FROM p.visitors::text OR hll_cardinality(r.visitors) IS DISTINCT FROM hll_cardinality(p.visitors)
		OR hll_cardinality(r.slow_visitors) IS DISTINCT FROM hll_cardinality(p.slow_visitors) OR (r.slow_visitors IS NULL) <> (p.slow_visitors IS NULL)
		OR hll_cardinality(r.values) IS DISTINCT FROM hll_cardinality(p.values) OR hll_cardinality(r.few) IS DISTINCT FROM hll_cardinality(p.few)
		OR hll_cardinality(r.paths) IS DISTINCT FROM hll_cardinality(p.paths) OR r.about IS DISTINCT FROM p.about) AS sketches,
	count(*) FILTER (WHERE (r.n, r.last_visitor) IS DISTINCT FROM (p.n, p.last_visitor)) AS others,
	count(*) FILTER (WHERE tdigest_count(r.ms) IS DISTINCT FROM tdigest_count(p.ms) OR r.digested IS DISTINCT FROM p.digested
		OR tdigest_count(r.weighted) IS DISTINCT FROM tdigest_count(p.weighted)) AS digest_counts
FROM ROLLUP AS r FULL JOIN ROLLUP_plain AS p USING (hour, path);
CREATE VIEW ROLLUP_ranks AS
SELECT count(*) AS estimates, max((greatest(f - at_or_below, below - f, 0) - 1.0 / n) / least(f * (1 - f), 0.12)) AS worst
FROM (SELECT e.f, count(*) AS n, avg((v.ms <= e.estimate)::int) AS at_or_below, avg((v.ms < e.estimate)::int) AS below
	FROM (SELECT hour, path, f, tdigest_percentile(ms, f) AS estimate
		FROM ROLLUP, unnest('{0.05, 0.5, 0.9, 0.99}'::float8[]) AS f GROUP BY hour, path, f) AS e
	JOIN visits AS v ON aggwin.time_bucket('WIDTH', v.ts) = e.hour AND v.path = e.path AND v.ms IS NOT NULL
	GROUP BY e.hour, e.path, e.f) AS s;
};
# Of 30 seeds, rollups were off by 0.15 at most, tdigest's digests of all rows by 0.23.
# What rows that count twice make of it is 0.5, see below.
my $most_off = 0.3;
my %width = (visits_1h => '1 hour', visits_1h_2h => '2 hours');
sql($comparison =~ s/ROLLUP/$_/gr =~ s/WIDTH/$width{$_}/r) for sort keys %width;

sub is_equal
{
	my ($name) = @_;

	for my $rollup (sort keys %width)
	{
		my ($groups, @different) = split /\|/, sql("SELECT * FROM ${rollup}_differences");
		my ($estimates, $worst) = split /\|/, sql("SELECT * FROM ${rollup}_ranks");

		is("@different", '0 0 0 0', "$name: $groups groups of $rollup");
		cmp_ok($groups, '>', 0, "$name: there are groups");
		cmp_ok($worst, '<', $most_off, "$name: $estimates percentiles");
	}
	return;
}

# Rows -----------------------------------------------------------------------

sql("SELECT setseed(0.$seed); SELECT visit(1, '2026-01-01 10:00Z', '1 hour') FROM generate_series(1, 40)");
is_equal('single rows');
is(sql("SELECT aggwin.refresh('visits_1h')"), 't', 'folded');
is_equal('single rows, folded');
is(sql("SELECT aggwin.refresh('visits_1h_2h')"), 't', 'folded into the tier');
is_equal('single rows, folded into the tier');
sql("SELECT setseed(0.$seed); SELECT visit(20000, '2026-01-01 09:00Z', '3 hours')");
is_equal('a batch');
sql("SELECT aggwin.refresh('visits_1h')");
is_equal('a batch, folded');
for my $round (1 .. 4)
{
	# Late rows of what is folded, in a session that has set hll otherwise.
	sql("SELECT hll_set_defaults(15, 5, 0, 0); SELECT setseed(0.1$round$seed); SELECT visit(3000, '2026-01-01 09:00Z', '1 hour', 1 + $round);
		SELECT visit(2, '2026-01-01 10:00Z', '1 hour')");
	is_equal("late rows, round $round");
	sql("SELECT aggwin.refresh('visits_1h" . ($round % 2 ? '' : '_2h') . "')");
}
is_equal('late rows, folded');

# Would it be seen? ------------------------------------------------------------

sql("SELECT setseed(0.3$seed); SELECT visit(3000, '2026-01-01 09:00Z', '1 hour', 40)");
is_equal('rows to damage');

# How far off are percentiles after damage to what is pending, of which nothing remains?
sub off_by
{
	my ($rollup, $damage) = @_;
	my ($delta) = sql("SELECT delta FROM aggwin.rollup WHERE view = 'visits_1h'::regclass");

	# A guard lets pass only what runs as somebody else.
	return sql('BEGIN; CREATE FUNCTION pg_temp.damage() RETURNS int SECURITY DEFINER LANGUAGE sql AS $$ '
		  . $damage =~ s/DELTA/$delta/gr . '; SELECT 0 $$; SELECT pg_temp.damage();'
		  . " SELECT worst FROM ${rollup}_ranks; ROLLBACK") =~ s/^.*\n//r;
}

for my $rollup (sort keys %width)
{
	cmp_ok(off_by($rollup, 'INSERT INTO DELTA SELECT * FROM DELTA'), '>', $most_off, "seen in percentiles of $rollup: rows count twice");
	cmp_ok(off_by($rollup, 'DELETE FROM DELTA'), '>', $most_off, "seen in percentiles of $rollup: rows are lost");
}
is_equal('no damage remains');
sql("SELECT aggwin.refresh('visits_1h_2h')");
is_equal('rows not damaged, folded');

# Changes --------------------------------------------------------------------

sql("DELETE FROM visits WHERE ts >= '2026-01-01 10:30Z' AND id % 3 = 0");
is_equal('deleted');
sql("UPDATE visits SET visitor = visitor || 'x', ms = ms + 5 WHERE ts < '2026-01-01 09:10Z'");
sql("SELECT setseed(0.2$seed); SELECT visit(500, '2026-01-01 08:00Z', '4 hours')");
is_equal('changed');
sql("SELECT aggwin.refresh('visits_1h')");
is_equal('repaired');
sql("SELECT aggwin.refresh('visits_1h_2h')");
is_equal('repaired in the tier, too');

# Sketches of sketches ---------------------------------------------------------

sql(q{
CREATE TABLE hourly (hour timestamptz, visitors hll, ms tdigest);
SELECT aggwin.create_rollup('daily', $$
	SELECT aggwin.time_bucket('1 day', hour) AS day, hll_union_agg(visitors) AS visitors, tdigest(ms) AS ms
	FROM hourly GROUP BY 1 $$);
INSERT INTO hourly SELECT hour, visitors, ms FROM visits_1h WHERE path = '/1' LIMIT 1;
INSERT INTO hourly VALUES ('2026-01-01 12:00Z', NULL, NULL), ('2026-01-02 12:00Z', NULL, NULL);
});
sql("SELECT aggwin.refresh('daily')");
sql("INSERT INTO hourly SELECT hour, visitors, ms FROM visits_1h WHERE path <> '/1'");
my $daily = q{
	SELECT count(*), count(*) FILTER (WHERE hll_cardinality(r.visitors) IS DISTINCT FROM hll_cardinality(p.visitors) OR tdigest_count(r.ms) IS DISTINCT FROM tdigest_count(p.ms))
	FROM daily AS r FULL JOIN (SELECT aggwin.time_bucket('1 day', hour) AS day, hll_union_agg(visitors) AS visitors, tdigest(ms) AS ms
		FROM hourly GROUP BY 1) AS p USING (day)};
is(sql($daily), '2|0', 'a rollup of sketches that are stored');
sql("SELECT aggwin.refresh('daily')");
is(sql($daily), '2|0', 'the same, folded');

# Sketches of different parameters do not merge.
like(error_of("SET aggwin.strict_capture = on; INSERT INTO hourly SELECT '2026-01-01 12:00Z', hll_add_agg(hll_hash_integer(n), 14 + n % 2), NULL FROM generate_series(1, 2) AS n GROUP BY n"),
	qr/does not match|capture/, 'two sketches of different parameters in one statement');

# Schemas, dumps ---------------------------------------------------------------

sql('ALTER EXTENSION tdigest SET SCHEMA public; ALTER SCHEMA "Skizzen" RENAME TO sketches;
	ALTER DATABASE postgres SET search_path = public, sketches');
sql("SELECT visit(5, '2026-01-01 10:00Z', '1 hour')");
is_equal('extensions moved');
sql("SELECT aggwin.refresh('visits_1h')");
is_equal('extensions moved, folded');

sql(q{
CREATE FUNCTION longer(text, text) RETURNS text LANGUAGE sql IMMUTABLE STRICT
	RETURN CASE WHEN (length($1), $1 COLLATE "C") > (length($2), $2 COLLATE "C") THEN $1 ELSE $2 END;
CREATE AGGREGATE longest(text) (SFUNC = longer, STYPE = text);
SELECT aggwin.register_mergeable('longest(text)', 'longest(text)');
});
my $rows = "SELECT * FROM aggwin.mergeable ORDER BY extension, aggregate";
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, $node->connstr('postgres') ], 'dumped');
sql('CREATE DATABASE copy');
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--file', $dump, $node->connstr('copy') ], 'restored');
is($node->safe_psql('copy', $rows), sql($rows), 'what was registered is there once, and so are the presets');
is( $node->safe_psql('copy', q{
		CREATE TABLE words (ts timestamptz, word text);
		SELECT aggwin.create_rollup('words_1h', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS hour, longest(word) FROM words GROUP BY 1');
		INSERT INTO words VALUES ('2026-01-01Z', 'a'), ('2026-01-01Z', 'abc');
		INSERT INTO words VALUES ('2026-01-01Z', 'ab');
		SELECT longest FROM words_1h}),
	"words_1h\nabc", 'and can be used');

# Dropping -----------------------------------------------------------------------

like(error_of('DROP EXTENSION hll'), qr/cannot drop extension hll because other objects depend on it/, 'needed by rollups');
sql('DROP EXTENSION hll CASCADE');
is(sql('SELECT count(*) FROM aggwin.rollups'), '0', 'rollups go with their extension');
is(sql("SELECT count(*) FROM aggwin.mergeable WHERE extension = 'hll'"), '6', 'the presets stay');
sql(q{
CREATE EXTENSION hll;
SELECT aggwin.create_rollup('again', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS hour, hll_add_agg(hll_hash_integer(ms)) FROM visits GROUP BY 1')});
cmp_ok(sql('SELECT hll_cardinality(hll_union_agg(hll_add_agg)) FROM again'), '>', 100, 'and hold when it comes back');

$node->stop;
done_testing();
