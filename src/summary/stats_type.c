/*
 * stats_type.c - the SQL type stats
 *
 * stored:   count (varint), sum, squares, min, max (floats)
 * working:  struct Stats
 */
#include "postgres.h"

#include "core/json.h"
#include "summary/stats.h"
#include "summary/summary.h"

#include "utils/builtins.h"

#define WORKING_SIZE (sizeof(Summary) + sizeof(Stats))
#define STORED_MAX_SIZE (sizeof(Summary) + WIRE_MAX_VARINT + 4 * WIRE_FLOAT8)

PG_FUNCTION_INFO_V1(aggwin_stats_in);
PG_FUNCTION_INFO_V1(aggwin_stats_out);
PG_FUNCTION_INFO_V1(aggwin_stats_recv);
PG_FUNCTION_INFO_V1(aggwin_stats_send);
PG_FUNCTION_INFO_V1(aggwin_stats_transition);
PG_FUNCTION_INFO_V1(aggwin_stats_merge_transition);
PG_FUNCTION_INFO_V1(aggwin_stats_final);
PG_FUNCTION_INFO_V1(aggwin_stats_num_vals);
PG_FUNCTION_INFO_V1(aggwin_stats_total);
PG_FUNCTION_INFO_V1(aggwin_stats_mean);
PG_FUNCTION_INFO_V1(aggwin_stats_min_val);
PG_FUNCTION_INFO_V1(aggwin_stats_max_val);
PG_FUNCTION_INFO_V1(aggwin_stats_var_pop);
PG_FUNCTION_INFO_V1(aggwin_stats_var_samp);
PG_FUNCTION_INFO_V1(aggwin_stats_stddev_pop);
PG_FUNCTION_INFO_V1(aggwin_stats_stddev_samp);

static const char *const fields[] = {
	"count", "sum", "squared_deviations", "min", "max"
};

static Stats *
working(Summary *summary)
{
	return (Stats *) SUMMARY_PAYLOAD(summary);
}

/* The state in a stored summary; false if it cannot be read. Not checked further. */
static bool
read_stats(Stats *stats, const Summary *summary)
{
	WireReader	reader;

	aggwin_summary_reader(&reader, summary);
	stats->count = (int64) wire_get_varint(&reader);
	stats->sum = wire_get_float8(&reader);
	stats->squares = wire_get_float8(&reader);
	stats->min = wire_get_float8(&reader);
	stats->max = wire_get_float8(&reader);
	return !reader.bad && reader.next == reader.end;
}

/* The state in a summary of either layout. */
static void
decode(Stats *stats, Summary *summary)
{
	if (summary->layout == SUMMARY_STORED)
	{
		if (!read_stats(stats, summary))
			aggwin_summary_corrupt(SUMMARY_STATS, "Its length is wrong.");
	}
	else if (VARSIZE(summary) != WORKING_SIZE)
		aggwin_summary_corrupt(SUMMARY_STATS, "Its length is wrong.");
	else
		*stats = *working(summary);
}

static Summary *
encode(const Stats *stats)
{
	Summary    *summary = aggwin_summary_alloc(SUMMARY_STATS, SUMMARY_STORED, STORED_MAX_SIZE);
	uint8	   *to = SUMMARY_PAYLOAD(summary);

	to = wire_put_varint(to, stats->count);
	to = wire_put_float8(to, stats->sum + 0.0);
	to = wire_put_float8(to, stats->squares + 0.0);
	to = wire_put_float8(to, stats->min + 0.0);
	to = wire_put_float8(to, stats->max + 0.0);
	return aggwin_summary_finish(summary, to);
}

static Summary *
new_working(const Stats *stats)
{
	Summary    *summary = aggwin_summary_alloc(SUMMARY_STATS, SUMMARY_WORKING, WORKING_SIZE);

	*working(summary) = *stats;
	return summary;
}

Datum
aggwin_stats_in(PG_FUNCTION_ARGS)
{
	JsonReader	reader;
	Stats		stats;
	const char *problem;

	aggwin_json_open(&reader, "aggwin.stats", PG_GETARG_CSTRING(0), fields, lengthof(fields));
	stats.count = aggwin_json_int8(&reader, "count");
	stats.sum = aggwin_json_float8(&reader, "sum");
	stats.squares = aggwin_json_float8(&reader, "squared_deviations");
	stats.min = aggwin_json_float8(&reader, "min");
	stats.max = aggwin_json_float8(&reader, "max");
	problem = aggwin_stats_check(&stats);
	if (problem != NULL)
		aggwin_json_refuse(&reader, problem);
	PG_RETURN_POINTER(encode(&stats));
}

Datum
aggwin_stats_out(PG_FUNCTION_ARGS)
{
	Stats		stats;
	StringInfoData buf;

	decode(&stats, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_STATS));
	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"count\": " INT64_FORMAT ", \"sum\": ", stats.count);
	aggwin_json_put_float8(&buf, stats.sum);
	appendStringInfoString(&buf, ", \"squared_deviations\": ");
	aggwin_json_put_float8(&buf, stats.squares);
	appendStringInfoString(&buf, ", \"min\": ");
	aggwin_json_put_float8(&buf, stats.min);
	appendStringInfoString(&buf, ", \"max\": ");
	aggwin_json_put_float8(&buf, stats.max);
	appendStringInfoChar(&buf, '}');
	PG_RETURN_CSTRING(buf.data);
}

Datum
aggwin_stats_recv(PG_FUNCTION_ARGS)
{
	Summary    *summary = aggwin_summary_receive((StringInfo) PG_GETARG_POINTER(0), SUMMARY_STATS);
	Summary    *canonical;
	Stats		stats;
	const char *problem;

	if (!read_stats(&stats, summary))
		aggwin_summary_refuse(SUMMARY_STATS, "Its length is wrong.");
	problem = aggwin_stats_check(&stats);
	if (problem != NULL)
		aggwin_summary_refuse(SUMMARY_STATS, problem);
	canonical = encode(&stats);
	aggwin_summary_check_canonical(summary, canonical);
	PG_RETURN_POINTER(canonical);
}

Datum
aggwin_stats_send(PG_FUNCTION_ARGS)
{
	Stats		stats;

	decode(&stats, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_STATS));
	PG_RETURN_BYTEA_P(aggwin_summary_send(encode(&stats)));
}

/* All but the next value of a group. */
static pg_noinline Datum
add_uncommon(FunctionCallInfo fcinfo)
{
	Stats		stats;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
		aggwin_stats_init(&stats, PG_GETARG_FLOAT8(1));
	else
	{
		decode(&stats, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_STATS));
		aggwin_stats_add(&stats, PG_GETARG_FLOAT8(1));
	}
	PG_RETURN_POINTER(aggwin_in_aggregate(fcinfo) ? new_working(&stats) : encode(&stats));
}

/* stats, value -> stats */
Datum
aggwin_stats_transition(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_STATS);

	if (unlikely(state == NULL || PG_ARGISNULL(1)))
		return add_uncommon(fcinfo);
	aggwin_stats_add(working(state), PG_GETARG_FLOAT8(1));
	PG_RETURN_POINTER(state);
}

/* stats, stats -> stats: combines partial aggregates, merges, and is "+" */
Datum
aggwin_stats_merge_transition(PG_FUNCTION_ARGS)
{
	Summary    *summary;
	Stats		into;
	Stats		from;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	decode(&from, aggwin_summary_get(PG_GETARG_DATUM(1), SUMMARY_STATS));
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(aggwin_in_aggregate(fcinfo) ? new_working(&from) : encode(&from));

	summary = aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_STATS);
	if (summary->layout == SUMMARY_WORKING && aggwin_in_aggregate(fcinfo))
	{
		aggwin_stats_merge(working(summary), &from);
		PG_RETURN_POINTER(summary);
	}
	decode(&into, summary);
	aggwin_stats_merge(&into, &from);
	PG_RETURN_POINTER(aggwin_in_aggregate(fcinfo) ? new_working(&into) : encode(&into));
}

/* A working state goes on after this: windows ask for the result at each row. */
Datum
aggwin_stats_final(PG_FUNCTION_ARGS)
{
	Stats		stats;

	decode(&stats, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_STATS));
	PG_RETURN_POINTER(encode(&stats));
}

static void
get_argument(FunctionCallInfo fcinfo, Stats *stats)
{
	decode(stats, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_STATS));
}

/* Number of values. */
Datum
aggwin_stats_num_vals(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	PG_RETURN_INT64(stats.count);
}

/* A number of finite values that is infinite has overflowed. */
static double
in_range(const Stats *stats, double value)
{
	if (isinf(value) && isfinite(stats->min) && isfinite(stats->max))
		float_overflow_error();
	return value;
}

/* Sum of the values, as sum(). */
Datum
aggwin_stats_total(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	PG_RETURN_FLOAT8(in_range(&stats, stats.sum));
}

/* Arithmetic mean, as avg(). */
Datum
aggwin_stats_mean(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	PG_RETURN_FLOAT8(in_range(&stats, stats.sum) / stats.count);
}

/* Smallest value, as min(). */
Datum
aggwin_stats_min_val(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	PG_RETURN_FLOAT8(stats.min);
}

/* Greatest value, as max(): NaN if there is one. */
Datum
aggwin_stats_max_val(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	PG_RETURN_FLOAT8(stats.max);
}

/* Variance of the values as a whole population; NaN if one is not finite. */
Datum
aggwin_stats_var_pop(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	PG_RETURN_FLOAT8(in_range(&stats, stats.squares) / stats.count);
}

/* Variance of what the values are a sample of; NULL for a single value. */
Datum
aggwin_stats_var_samp(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	if (stats.count < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(in_range(&stats, stats.squares) / (stats.count - 1.0));
}

/* Square root of var_pop(). */
Datum
aggwin_stats_stddev_pop(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	PG_RETURN_FLOAT8(sqrt(in_range(&stats, stats.squares) / stats.count));
}

/* Square root of var_samp(). */
Datum
aggwin_stats_stddev_samp(PG_FUNCTION_ARGS)
{
	Stats		stats;

	get_argument(fcinfo, &stats);
	if (stats.count < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(sqrt(in_range(&stats, stats.squares) / (stats.count - 1.0)));
}
