# Fuzz::Types - what is fuzzed: an entry for each summary type
#
#   before  what to run first
#   seeds   queries that give values of the type, whatever the aggregates can
#           make. {floats} stands for a table of one column v, in turn each of
#           @FLOATS; a query that an aggregate refuses for its input is left out.
#   truths  conditions on a value v that hold for all there are; NULL is no answer
#   errors  of functions that may fail for values that there are, by name and number
#           of arguments: the SQLSTATEs
#   states  SQLSTATEs of refusals besides those of all types
#   words   for mutants
#   loose   whether values have other types' values inside, which are read less
#           strictly: point takes any NaN in binary, for example, and numeric zeros
#           that it does not write
#   free    the name of a field that may have any value
#   good    a value to merge with, another one than v
#
# What can be done with a value is found out from the server's catalogs.
package Fuzz::Types;

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT_OK = qw(@FLOATS %TYPES);

our @FLOATS = (
	(map { "(VALUES ('$_'::float8))" } qw(0 -0 1 -1 42.5 5e-324 2.2250738585072014e-308
		1.7976931348623157e308 -1.7976931348623157e308 Infinity -Infinity NaN)),
	"(VALUES (NULL::float8), (1), (1), (2), (3.5), (3.5), (1024))",
	"(VALUES ('-Infinity'::float8), (-3), (0), (0), (7), ('Infinity'))",
	"(VALUES ('NaN'::float8), (1), ('Infinity'))",
	"(VALUES (5e-324), (-5e-324), (0), (1e300), (-1e300), (1e-300), (1e-310))",
	"(SELECT 7::float8 FROM generate_series(1, 100000))",
	"(SELECT i::float8 FROM generate_series(1, 60) AS i)",
	"(SELECT exp(3 * sin(i)) FROM generate_series(1, 60) AS i)",
	"(SELECT -exp(30 * cos(i)) FROM generate_series(1, 300) AS i)",
	"(SELECT (CASE WHEN i % 3 = 0 THEN -1 ELSE 1 END) * 10.0::float8 ^ (i % 600 - 300) FROM generate_series(1, 2000) AS i)",
	"(SELECT (i * i % 1009)::float8 / 64 - 3 FROM generate_series(1, 5000) AS i)");

# The sum of finite values may overflow.
my %SUM = ('total/1' => '22003', 'mean/1' => '22003');

my @PERCENTILES = (
	'aggwin.num_vals(v) > 0', 'aggwin.min_val(v) <= aggwin.max_val(v)',
	'aggwin.percentile(v, 0) = aggwin.min_val(v)',
	'aggwin.percentile(v, 1) = aggwin.max_val(v)',
	'aggwin.percentile(v, 0.25) BETWEEN aggwin.min_val(v) AND aggwin.percentile(v, 0.5)',
	'aggwin.percentile(v, 0.75) BETWEEN aggwin.percentile(v, 0.5) AND aggwin.max_val(v)',
	'aggwin.cdf(v, 0) BETWEEN 0 AND aggwin.cdf(v, 10)',
	"aggwin.cdf(v, 'Infinity') = 1");

our %TYPES = (
	counter => {
		seeds => [
			"SELECT aggwin.counter_agg('2026-03-01 10:00Z'::timestamptz + i * interval '1 minute', v)
				FROM (SELECT row_number() OVER () AS i, v FROM {floats}) AS numbered",
			"SELECT aggwin.counter_agg('2026-03-01 10:00Z'::timestamptz + i * interval '1 second', abs(v))
				FROM (SELECT row_number() OVER () AS i, v FROM {floats}) AS numbered",
			# Parts that overlap, or lie side by side in another order.
			"SELECT aggwin.merge(c) FROM (
				SELECT aggwin.counter_agg('2026-03-01 10:00Z'::timestamptz + i * interval '7 minutes', i % 13 + 1) AS c
				FROM generate_series(1, 100) AS i GROUP BY i % 3) AS parts",
			"SELECT aggwin.merge(c) FROM (
				SELECT aggwin.counter_agg('2026-03-01 10:00Z'::timestamptz + i * interval '7 minutes', i % 13 + 1) AS c
				FROM generate_series(1, 100) AS i GROUP BY i / 9 ORDER BY i / 9 * 7 % 11) AS parts"
		],
		errors => {
			'increase/1' => '22003', 'rate/1' => '22003',
			'increase/3' => '22003 22023', 'rate/3' => '22003 22023'
		},
		good => "(SELECT aggwin.counter_agg('2026-03-01 12:00Z'::timestamptz + i * interval '1 minute', i % 3) FROM generate_series(1, 10) AS i)",
		truths => [
			'aggwin.num_vals(v) > 0', 'aggwin.first_time(v) <= aggwin.last_time(v)',
			'aggwin.resets(v) BETWEEN 0 AND aggwin.num_vals(v)'
		],
	},
	histogram => {
		seeds => [
			"SELECT aggwin.hist_agg(v, '{1, 2, 5, 10}') FROM {floats}",
			"SELECT aggwin.hist_agg(v, '{0}') FROM {floats}",
			"SELECT aggwin.hist_agg(v, '{-1e300, -5, 5e-324, 5, 1e300}') FROM {floats}",
			"SELECT aggwin.hist_agg(v, ARRAY(SELECT i::float8 / 8 FROM generate_series(-64, 64) AS i)) FROM {floats}"
		],
		errors => \%SUM,
		good => "(SELECT aggwin.hist_agg(i, '{1, 2, 5, 10}') FROM generate_series(-3, 40) AS i)",
		truths => [
			@PERCENTILES,
			'aggwin.num_vals(v) = (SELECT sum(count) FROM aggwin.buckets(v))',
			'(SELECT bool_and(lower <= upper AND count >= 0) FROM aggwin.buckets(v))',
			'cardinality(aggwin.bounds(v)) BETWEEN 1 AND 4096'
		],
	},
	stats => {
		seeds => ['SELECT aggwin.stats_agg(v) FROM {floats}'],
		good => "'{\"count\": 3, \"sum\": 9, \"squared_deviations\": 2, \"min\": 2, \"max\": 4}'",
		truths => [
			'aggwin.num_vals(v) > 0', 'aggwin.min_val(v) <= aggwin.max_val(v)',
			# Squares that overflow are an error when they are asked for.
			map { qq{CASE WHEN v::json ->> 'squared_deviations' = 'Infinity' THEN true ELSE $_ END} }
			  'aggwin.var_pop(v) >= 0', 'aggwin.var_samp(v) >= aggwin.var_pop(v)'
		],
		errors => { %SUM, map { ("$_/1" => '22003') } qw(var_pop var_samp variance stddev stddev_pop stddev_samp) },
	},
	timed => {
		seeds => [
			"SELECT aggwin.timed_first(v, '2026-03-01 10:00Z'::timestamptz) FROM {floats}",
			map({ "SELECT aggwin.timed_last($_)" }
				"7, '2026-03-01 10:00'::timestamp", "'text'::text, '2026-03-01'::date", "''::text, 0::bigint",
				"repeat('long ', 1000), 9223372036854775807", "ARRAY[1, NULL, 3], '-infinity'::timestamptz",
				"'{\"a\": [1, 2]}'::jsonb, 'infinity'::timestamp", "'\\x00ff'::bytea, 'infinity'::date", 'true, -1::bigint',
				"1.50::numeric, 2::bigint", "'a'::name, 3::bigint", "row(1, 'x')::aggwin_fuzz_pair, 4::bigint",
				"'c'::\"char\", 5::bigint", "point '(1, 2)', 6::bigint", "int4range(1, 5), 7::bigint")
		],
		# Types that are not there, are none, or have no such form; values of other types.
		states => [qw(0A000 3F000 42601 42602 42704 42804 42809 42883 42P18)],
		words => [
			map { "\"$_\"" } qw(text integer float8 aggwin.timed aggwin.stats pg_catalog.int4 internal cstring record void
				anyelement trigger unknown regclass regtype no_such no.such.type text[] timed[] float8[][] numeric(3) varchar(2)
				aggwin_fuzz_pair xid tid money bit(3) json pg_lsn oid name timestamptz(0) int4range pg_node_tree date bigint
				timestamp 2026-03-01 infinity -infinity), 'timestamp with time zone', 'interval day', 'setof text', 'a"'
		],
		free => '"value"',
		loose => 1,
		errors => { 'timed_value/2' => '42804', 'timed_end/3' => '42804' },
		good => "(SELECT aggwin.timed_first(2.5::float8, '2026-03-01 10:00Z'::timestamptz))",
		before => 'CREATE TYPE pg_temp.aggwin_fuzz_pair AS (a integer, b text)',
		truths => [],
	},
	exp_histogram => {
		seeds => [
			'SELECT aggwin.exp_hist_agg(v) FROM {floats}',
			'SELECT aggwin.exp_hist_agg(v, 0.3) FROM {floats}',
			'SELECT aggwin.exp_hist_agg(v, 0.001, 16) FROM {floats}'
		],
		errors => \%SUM,
		good => '(SELECT aggwin.exp_hist_agg(i, 0.05, 64) FROM generate_series(-3, 40) AS i)',
		truths => [
			@PERCENTILES,
			'aggwin.num_vals(v) = (SELECT sum(count) FROM aggwin.buckets(v))',
			'(SELECT bool_and(lower <= upper AND count > 0) FROM aggwin.buckets(v))',
			'aggwin.relative_error(v) BETWEEN 0 AND 1'
		],
	},
	topk => {
		seeds => [
			'SELECT aggwin.topk_agg(v::text, 1) FROM {floats}',
			'SELECT aggwin.topk_agg(round(v::numeric, -1), 10, 3, 16) FROM {floats} WHERE abs(v) < 1e6',
			"SELECT aggwin.topk_agg(repeat('item', (i % 250)::integer), 3, i, 20) FROM generate_series(1, 2000) AS i",
			"SELECT aggwin.topk_agg(chr(32 + (i * i % 997)::integer), 1, 9223372036854775807 / 1000, 1) FROM generate_series(1, 900) AS i",
			# Items of all lengths, counts far apart; one that is empty.
			"SELECT aggwin.topk_agg(repeat(chr(955), i), 10, (3 ^ i)::bigint) FROM generate_series(0, 30) AS i",
			"SELECT aggwin.merge(t) FROM (
				SELECT aggwin.topk_agg(i % (7 * p), 2, 1, 8) AS t FROM generate_series(1, 500) AS i, generate_series(1, 9) AS p GROUP BY p) AS parts"
		],
		good => "(SELECT aggwin.topk_agg(i % 30, 10, i, 16) FROM generate_series(1, 100) AS i)",
		truths => [
			'aggwin.num_vals(v) >= 0', 'aggwin.max_error(v) BETWEEN 0 AND aggwin.num_vals(v)',
			'(SELECT bool_and(count > 0 AND error >= 0 AND error <= count AND rank > 0) FROM aggwin.top(v, 1000))',
			'(SELECT count(*) = count(DISTINCT item) FROM aggwin.top(v, 1000))',
			'(SELECT sum(count - error) <= aggwin.num_vals(v) FROM aggwin.top(v, 1000))',
			'(SELECT bool_and(NOT aggwin.is_exact(v) OR error = 0) FROM aggwin.top(v, 1000))'
		],
	},
);

1;
