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
			'aggwin.var_pop(v) >= 0', 'aggwin.var_samp(v) >= aggwin.var_pop(v)'
		],
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
);

1;
