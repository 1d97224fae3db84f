# Pipelines, and what they have to give: each rule beside the same in plain SQL over the
# samples.
#
#   my @rules = rules();
#   $session->rows('SELECT aggwin.apply_pipelines(' . quoted(yaml(@rules)) . ')');
#   my @wrong = $session->rows(differences_sql(@rules));
#
# A rule is a hash: {as} and {promql} as in a file, {more} keys beside them. The plain query
# does not know them; it is made of {width} in seconds, {of} which series, {series} what
# becomes of the samples of one, {group} what of the values of several, {labels} of the
# result, and {after}, what is done to results then. No word of PromQL is read here.
package Aggwin::Pipelines;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(rules yaml quoted differences_sql plain_sql);

# What a result may be off by: of sums in another order, and of what sketches answer.
use constant { ROUNDING => 1e-9, SKETCH => 0.0101 };

# What becomes of the samples of one series in a window. Of NaN, the server's min() is
# what Prometheus' is, max() is not.
my $max = q{coalesce(max(value) FILTER (WHERE value <> 'NaN'), 'NaN')};
my %SERIES = (
	sum => 'sum(value)', count => 'count(*)::float8', avg => 'sum(value) / count(*)', min => 'min(value)', max => $max,
	last => '(array_agg(value ORDER BY ts DESC))[1]', stddev => 'stddev_pop(value)',
	median => q{coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY value) FILTER (WHERE value <> 'NaN'), 'NaN')},
	# Of the finite ones, with the one before, wherever that is.
	increase => 'sum(CASE WHEN before IS NULL THEN 0 WHEN value < before THEN value ELSE value - before END)',
	growth => 'sum(CASE WHEN before IS NULL OR value < before THEN value ELSE value - before END)');

my %GROUP = (sum => 'sum(value)', count => 'count(*)::float8', min => 'min(value)', max => $max, avg => 'sum(value) / count(*)',
	mean => 'sum(sum) / sum(count)', median => 'percentile_cont(0.5) WITHIN GROUP (ORDER BY value)');

sub by
{
	return 'jsonb_strip_nulls(jsonb_build_object(' . join(', ', map { "'$_', labels -> '$_'" } @_) . '))';
}

sub without
{
	return 'labels - ARRAY[' . join(', ', map { "'$_'" } @_) . ']';
}

my $none = q{'{}'::jsonb};

sub rule
{
	my ($as, $promql, $width, $of, $series, $group, $labels, %more) = @_;
	return { as => $as, promql => $promql, width => $width, of => $of, series => $series, group => $group, labels => $labels, %more };
}

my ($req, $temp, $bucket) = map { "metric = '$_'" } qw(req_total temp lat_bucket);

# One of a histogram's three: the short form writes them all.
sub part
{
	my ($suffix, @labels) = @_;
	return rule("short_lat$suffix", undef, 60, "metric = 'lat$suffix'", 'growth', 'sum', by(@labels), after => 'running');
}

sub rules
{
	return (
		# The seven, in their own words.
		rule('r_sum', 'sum by (env) (temp[1m])', 60, $temp, 'sum', 'sum', by('env')),
		rule('r_count', 'count without (host, path) (temp[30s])', 30, $temp, 'count', 'sum', without('host', 'path')),
		rule('r_min', 'min (temp[2m]) by (host)', 120, $temp, 'min', 'min', by('host')),
		rule('r_max', 'max by (path, env) (temp{host=~"h[0-2]"}[5m])', 300, "$temp AND labels->>'host' IN ('h0', 'h1', 'h2')", 'max', 'max', by('env', 'path')),
		rule('r_avg', 'avg by (env) (temp[7m])', 420, $temp, 'avg', 'mean', by('env')),
		rule('r_sum2', 'sum2 by (env) (req_total[1m])', 60, $req, 'growth', 'sum', by('env'), after => 'running'),
		rule('r_sum2_fine', 'sum2 without (host) (req_total{path!="/buy"}[30s])', 30, "$req AND labels->>'path' IS DISTINCT FROM '/buy'",
			'growth', 'sum', without('host'), after => 'running'),
		rule('r_sum2_hour', 'sum2 (req_total[1h])', 3600, $req, 'growth', 'sum', $none, after => 'running'),
		rule('r_increase', 'increase by (env) (req_total[1m])', 60, $req, 'increase', 'sum', by('env')),

		# As PromQL says it.
		rule('p_increase', 'sum without (host) (increase(req_total[7m]))', 420, $req, 'increase', 'sum', without('host')),
		rule('p_rate', 'sum(rate(req_total[30s]))', 30, $req, 'increase', 'sum', $none, after => 'per_second'),
		rule('p_series', 'increase(req_total{env="prod"}[2m])', 120, "$req AND labels->>'env' = 'prod'", 'increase', undef, 'labels'),
		rule('p_max_increase', 'max by (env) (increase(req_total[5m]))', 300, $req, 'increase', 'max', by('env')),
		rule('p_median', 'quantile by (env) (0.5, increase(req_total[2m]))', 120, $req, 'increase', 'median', by('env')),
		rule('p_sum_time', 'min by (env) (sum_over_time(temp[1h]))', 3600, $temp, 'sum', 'min', by('env')),
		rule('p_count_time', 'avg by (env) (count_over_time(temp[1m]))', 60, $temp, 'count', 'avg', by('env')),
		rule('p_avg_time', 'max(avg_over_time(temp[2m]))', 120, $temp, 'avg', 'max', $none),
		rule('p_min_time', 'sum by (host) (min_over_time(temp[30s]))', 30, $temp, 'min', 'sum', by('host')),
		rule('p_max_time', 'count by (env) (max_over_time(temp[5m]))', 300, $temp, 'max', 'count', by('env')),
		rule('p_last_time', 'last_over_time(temp[1m])', 60, $temp, 'last', undef, 'labels'),
		rule('p_stddev_time', 'sum by (env) (stddev_over_time(temp{host!="h0"}[7m]))', 420, "$temp AND labels->>'host' IS DISTINCT FROM 'h0'", 'stddev', 'sum', by('env')),
		rule('p_median_time', 'quantile_over_time(0.5, temp[5m])', 300, $temp, 'median', undef, 'labels', off => SKETCH),
		rule('p_top', 'topk(2, sum by (env, host) (increase(req_total[1m])))', 60, $req, 'increase', 'sum', by('env', 'host'), after => 'top', top => 2, top_by => $none),
		rule('p_top_each', 'topk by (env) (1, max by (env, host) (max_over_time(temp[5m])))', 300, $temp, 'max', 'max', by('env', 'host'), after => 'top', top => 1, top_by => by('env')),
		rule('p_quantile', 'histogram_quantile(0.9, sum by (le, env) (increase(lat_bucket[5m])))', 300, "$bucket AND labels->>'le' <> 'none'", 'increase', 'sum', by('env', 'le'), after => 'histogram', fraction => 0.9),
		rule('p_quantile_each', 'histogram_quantile(0.5, increase(lat_bucket[1m]))', 60, "$bucket AND labels->>'le' <> 'none'", 'increase', undef, 'labels', after => 'histogram', fraction => 0.5),
		rule('p_labels', 'sum(temp[1m])', 60, $temp, 'sum', 'sum', q('{"made": "by hand"}'::jsonb), more => ['labels: {made: "by hand"}']),

		# Of results, and of results of these.
		rule('c_sum', 'sum by (env) (r_sum[5m])', 300, q{metric = 'r_sum'}, 'sum', 'sum', by('env')),
		rule('c_increase', 'sum(increase(r_sum2[2m]))', 120, q{metric = 'r_sum2'}, 'increase', 'sum', $none),
		rule('c_sum2', 'sum2(c_sum[7m])', 420, q{metric = 'c_sum'}, 'growth', 'sum', $none, after => 'running'),

		rule('short_lat', 'sum2 by (env) (lat[1m])', undef, undef, undef, undef, undef, more => ['histogram: true']),
		part('_bucket', 'env', 'le'), part('_sum', 'env'), part('_count', 'env'));
}

sub quoted
{
	return "'" . $_[0] =~ s/'/''/gr . "'";
}

sub yaml
{
	return join '', map { "- promql: '$_->{promql}'\n  as: $_->{as}\n" . join '', map { "  $_\n" } @{ $_->{more} // [] } }
	  grep { defined $_->{promql} } @_;
}

# What is done to results (labels, at, value), as SQL; Prometheus' histogram_quantile() is
# written down again here.
my %AFTER = (
	running => sub { 'SELECT labels, at, sum(value) OVER (PARTITION BY labels ORDER BY at) AS value FROM groups' },
	per_second => sub { "SELECT labels, at, value / $_[0]{width} AS value FROM groups" },
	top => sub { "SELECT labels, at, value FROM (SELECT *, row_number() OVER (PARTITION BY at, $_[0]{top_by} ORDER BY value = 'NaN', value DESC, (SELECT s.series_id FROM aggwin.series AS s WHERE s.metric = '$_[0]{as}' AND s.labels = groups.labels)) AS n FROM groups) AS t WHERE n <= $_[0]{top}" },
	histogram => sub { <<"SQL" });
SELECT labels, at, CASE
	WHEN (array_agg(le ORDER BY le DESC))[1] < 'Infinity' OR count(*) < 2 OR max(n) = 0 THEN 'NaN'
	WHEN count(*) FILTER (WHERE n >= $_[0]{fraction} * total AND le < 'Infinity') = 0 THEN max(le) FILTER (WHERE le < 'Infinity')
	ELSE min(CASE WHEN first AND le <= 0 THEN le ELSE low + (le - low) * ($_[0]{fraction} * total - n_low) / nullif(n - n_low, 0) END)
		FILTER (WHERE n >= $_[0]{fraction} * total AND n_low < $_[0]{fraction} * total AND le < 'Infinity')
	END AS value
FROM (SELECT *, max(n) OVER of_all AS total, coalesce(lag(n) OVER of_each, 0) AS n_low, coalesce(lag(le) OVER of_each, 0) AS low, lag(n) OVER of_each IS NULL AS first
	FROM (SELECT labels - 'le' AS labels, at, (labels->>'le')::float8 AS le, max(value) OVER (PARTITION BY labels - 'le', at ORDER BY (labels->>'le')::float8) AS n
		FROM groups WHERE labels ? 'le') AS b
	WINDOW of_all AS (PARTITION BY labels, at), of_each AS (PARTITION BY labels, at ORDER BY le)) AS c
GROUP BY labels, at
SQL

# The results of a rule: labels, at, value, of all windows, open ones as well.
sub plain_sql
{
	my ($rule) = @_;
	my $steps = $rule->{series} =~ /^(?:increase|growth)$/;
	my $from = $steps ? q{(SELECT *, lag(value) OVER (PARTITION BY series_id ORDER BY ts) AS before FROM raw WHERE value NOT IN ('NaN', 'Infinity', '-Infinity')) AS r} : 'raw';
	my $groups = $rule->{group} ? "SELECT $rule->{labels} AS labels, at, $GROUP{ $rule->{group} } AS value FROM series GROUP BY 1, 2"
	  : "SELECT $rule->{labels} AS labels, at, value FROM series";

	return <<"SQL";
WITH raw AS MATERIALIZED (SELECT p.series_id, s.labels, p.ts, p.value,
	date_bin('$rule->{width} s', p.ts, timestamptz '1970-01-01Z') + interval '$rule->{width} s' AS at
	FROM aggwin.samples AS p JOIN aggwin.series AS s USING (series_id)
	WHERE $rule->{of} AND float8send(p.value) <> '\\x7ff0000000000002'),
series AS (SELECT series_id, labels, at, $SERIES{ $rule->{series} } AS value, sum(value) AS sum, count(*) AS count FROM $from GROUP BY 1, 2, 3),
groups AS ($groups)
@{[ $rule->{after} ? $AFTER{ $rule->{after} }->($rule) : 'SELECT labels, at, value FROM groups' ]}
SQL
}

# A line for each result that is wrong, missing or too many, in windows that are closed.
sub differences_sql
{
	return join "UNION ALL\n", map {
		my $rule = $_;
		my $off = $rule->{off} // ROUNDING;
		my $at_least = $rule->{off} ? 0 : 1;
		<<"SQL" } grep { $_->{width} } @_;
(SELECT concat_ws(' ', '$rule->{as}', labels, at AT TIME ZONE 'UTC', 'is', coalesce(h.value::text, 'missing'), 'and not', coalesce(w.value::text, 'there'))
FROM (@{[ plain_sql($rule) ]}) AS w
FULL JOIN (SELECT s.labels, p.ts AS at, p.value FROM aggwin.samples AS p JOIN aggwin.series AS s USING (series_id) WHERE s.metric = '$rule->{as}') AS h USING (labels, at)
WHERE (at <= (SELECT computed_to FROM aggwin.pipelines WHERE "as" = '$rule->{as}') OR h.value IS NOT NULL)
AND (h.value IS NULL OR w.value IS NULL OR at > (SELECT computed_to FROM aggwin.pipelines WHERE "as" = '$rule->{as}')
	OR (h.value = w.value OR CASE WHEN abs(h.value) < 'Infinity' AND abs(w.value) < 'Infinity' THEN abs(h.value - w.value) <= $off * greatest($at_least, abs(w.value)) END) IS NOT TRUE)
ORDER BY at, labels LIMIT 5)
SQL
}

1;
