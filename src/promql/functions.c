/*
 * functions.c - the functions and aggregations of PromQL
 *
 * Source: Prometheus' documentation, "Functions" and "Aggregation operators", of
 * version 3; sum2, and increase as an aggregation, are of streaming aggregation.
 */
#include "promql/base.h"

#include "promql/functions.h"

#define SERIES(name, function) {name, PROM_ROLE_SERIES, function, false, false, NULL}
#define AGGREGATION(name, aggregation) {name, PROM_ROLE_AGGREGATION, aggregation, false, true, NULL}
#define REFUSED(name, hint) {name, PROM_ROLE_REFUSED, 0, false, false, hint}
#define REFUSED_AGGREGATION(name, hint) {name, PROM_ROLE_REFUSED, 0, false, true, hint}

#define READ "Compute it from the results where they are read."
#define LABELS "Results have the labels of by and without, and those that the pipeline adds."

static const PromFunctionEntry functions[] = {
	SERIES("increase", PROM_INCREASE),
	SERIES("rate", PROM_RATE),
	SERIES("sum_over_time", PROM_SUM_OVER_TIME),
	SERIES("count_over_time", PROM_COUNT_OVER_TIME),
	SERIES("avg_over_time", PROM_AVG_OVER_TIME),
	SERIES("min_over_time", PROM_MIN_OVER_TIME),
	SERIES("max_over_time", PROM_MAX_OVER_TIME),
	SERIES("last_over_time", PROM_LAST_OVER_TIME),
	SERIES("stddev_over_time", PROM_STDDEV_OVER_TIME),
	{"quantile_over_time", PROM_ROLE_SERIES, PROM_QUANTILE_OVER_TIME, true, false, NULL},
	AGGREGATION("sum", PROM_SUM),
	AGGREGATION("count", PROM_COUNT),
	AGGREGATION("min", PROM_MIN),
	AGGREGATION("max", PROM_MAX),
	AGGREGATION("avg", PROM_AVG),
	AGGREGATION("sum2", PROM_SUM2),
	{"quantile", PROM_ROLE_AGGREGATION, PROM_QUANTILE, true, true, NULL},
	{"topk", PROM_ROLE_TOP, 0, true, true, NULL},
	{"histogram_quantile", PROM_ROLE_HISTOGRAM, 0, true, false, NULL},

	REFUSED_AGGREGATION("bottomk", "There is topk."),
	REFUSED_AGGREGATION("count_values", NULL),
	REFUSED_AGGREGATION("group", "There is count."),
	REFUSED_AGGREGATION("limitk", "There is topk."),
	REFUSED_AGGREGATION("limit_ratio", "There is topk."),
	REFUSED_AGGREGATION("stddev", "There are avg, quantile and, for each series, stddev_over_time."),
	REFUSED_AGGREGATION("stdvar", "There are avg, quantile and, for each series, stddev_over_time."),

	REFUSED("absent_over_time", "There is count_over_time."),
	REFUSED("changes", NULL),
	REFUSED("delta", "There are increase, min_over_time and max_over_time."),
	REFUSED("deriv", NULL),
	REFUSED("double_exponential_smoothing", NULL),
	REFUSED("first_over_time", "There is last_over_time."),
	REFUSED("holt_winters", NULL),
	REFUSED("idelta", "There is increase."),
	REFUSED("irate", "There is rate."),
	REFUSED("mad_over_time", "There is stddev_over_time."),
	REFUSED("predict_linear", READ),
	REFUSED("present_over_time", "There is count_over_time."),
	REFUSED("resets", "There is increase, which knows of resets."),
	REFUSED("stdvar_over_time", "There is stddev_over_time."),
	REFUSED("ts_of_last_over_time", NULL),
	REFUSED("ts_of_max_over_time", NULL),
	REFUSED("ts_of_min_over_time", NULL),

	REFUSED("histogram_avg", NULL),
	REFUSED("histogram_count", NULL),
	REFUSED("histogram_fraction", NULL),
	REFUSED("histogram_stddev", NULL),
	REFUSED("histogram_stdvar", NULL),
	REFUSED("histogram_sum", NULL),
	REFUSED("info", LABELS),
	REFUSED("label_join", LABELS),
	REFUSED("label_replace", LABELS),

	REFUSED("abs", READ), REFUSED("absent", READ), REFUSED("acos", READ), REFUSED("acosh", READ),
	REFUSED("asin", READ), REFUSED("asinh", READ), REFUSED("atan", READ), REFUSED("atanh", READ),
	REFUSED("ceil", READ), REFUSED("clamp", READ), REFUSED("clamp_max", READ),
	REFUSED("clamp_min", READ), REFUSED("cos", READ), REFUSED("cosh", READ),
	REFUSED("day_of_month", READ), REFUSED("day_of_week", READ), REFUSED("day_of_year", READ),
	REFUSED("days_in_month", READ), REFUSED("deg", READ), REFUSED("exp", READ),
	REFUSED("floor", READ), REFUSED("hour", READ), REFUSED("ln", READ), REFUSED("log10", READ),
	REFUSED("log2", READ), REFUSED("minute", READ), REFUSED("month", READ), REFUSED("pi", READ),
	REFUSED("rad", READ), REFUSED("round", READ), REFUSED("scalar", READ), REFUSED("sgn", READ),
	REFUSED("sin", READ), REFUSED("sinh", READ), REFUSED("sort", READ),
	REFUSED("sort_by_label", READ), REFUSED("sort_by_label_desc", READ),
	REFUSED("sort_desc", READ), REFUSED("sqrt", READ), REFUSED("tan", READ),
	REFUSED("tanh", READ), REFUSED("time", READ), REFUSED("timestamp", READ),
	REFUSED("vector", READ), REFUSED("year", READ),
};

/* The function of a name; NULL if there is none. Keywords may be in any case. */
const PromFunctionEntry *
aggwin_promql_function(const char *name)
{
	for (int i = 0; i < lengthof(functions); i++)
	{
		if (functions[i].any_case ? pg_strcasecmp(functions[i].name, name) == 0 :
			strcmp(functions[i].name, name) == 0)
			return &functions[i];
	}
	return NULL;
}

static const char *
name_of(PromRole role, int what)
{
	for (int i = 0; i < lengthof(functions); i++)
	{
		if (functions[i].role == role && functions[i].what == what)
			return functions[i].name;
	}
	return NULL;
}

/* NULL of PROM_SAMPLES */
const char *
aggwin_promql_function_name(PromFunction function)
{
	return name_of(PROM_ROLE_SERIES, function);
}

/* NULL of PROM_NOT_AGGREGATED */
const char *
aggwin_promql_aggregation_name(PromAggregation aggregation)
{
	return name_of(PROM_ROLE_AGGREGATION, aggregation);
}
