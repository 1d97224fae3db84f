/*
 * time_bucket.c - the SQL functions time_bucket and bucket_end
 *
 * Arguments in, one call into bucket.c, and the check against the range of
 * the type. Infinite times pass through both functions unchanged, once the
 * other arguments have been found valid.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "window/bucket.h"

PG_FUNCTION_INFO_V1(aggwin_time_bucket_timestamp);
PG_FUNCTION_INFO_V1(aggwin_time_bucket_zone);
PG_FUNCTION_INFO_V1(aggwin_time_bucket_date);
PG_FUNCTION_INFO_V1(aggwin_time_bucket_int8);
PG_FUNCTION_INFO_V1(aggwin_time_bucket_int4);
PG_FUNCTION_INFO_V1(aggwin_bucket_end_timestamp);
PG_FUNCTION_INFO_V1(aggwin_bucket_end_zone);
PG_FUNCTION_INFO_V1(aggwin_bucket_end_date);
PG_FUNCTION_INFO_V1(aggwin_bucket_end_int8);
PG_FUNCTION_INFO_V1(aggwin_bucket_end_int4);

static void
origin_not_finite(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("origin must be finite"),
			 errhint("Give a time at which a bucket starts, or leave the origin out.")));
}

static void
start_out_of_range(int sqlstate, const char *type)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("%s out of range", type),
			 errdetail("The bucket that holds this value starts before the smallest valid %s.", type),
			 errhint("Use a smaller width or another origin.")));
}

/*
 * Grid of the arguments (width interval, ts [, origin]), where ts and origin
 * are both timestamp or both timestamptz.
 */
static inline void
timestamp_grid(FunctionCallInfo fcinfo, AggwinGrid *grid)
{
	int64		origin = 0;
	bool		has_origin = PG_NARGS() > 2;

	if (has_origin)
	{
		origin = PG_GETARG_TIMESTAMP(2);
		if (TIMESTAMP_NOT_FINITE(origin))
			origin_not_finite();
	}
	aggwin_grid_init_interval(grid, PG_GETARG_INTERVAL_P(0),
							  has_origin ? &origin : NULL, USECS_PER_DAY);
}

Datum
aggwin_time_bucket_timestamp(PG_FUNCTION_ARGS)
{
	Timestamp	ts = PG_GETARG_TIMESTAMP(1);
	Timestamp	start;
	AggwinGrid	grid;

	timestamp_grid(fcinfo, &grid);
	if (TIMESTAMP_NOT_FINITE(ts))
		PG_RETURN_TIMESTAMP(ts);

	start = aggwin_grid_floor(&grid, ts);
	if (start < MIN_TIMESTAMP)
		start_out_of_range(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "timestamp");
	PG_RETURN_TIMESTAMP(start);
}

Datum
aggwin_bucket_end_timestamp(PG_FUNCTION_ARGS)
{
	Timestamp	ts = PG_GETARG_TIMESTAMP(1);
	Timestamp	end;
	AggwinGrid	grid;

	timestamp_grid(fcinfo, &grid);
	if (TIMESTAMP_NOT_FINITE(ts))
		PG_RETURN_TIMESTAMP(ts);

	end = aggwin_grid_next(&grid, ts);
	PG_RETURN_TIMESTAMP(end >= END_TIMESTAMP ? DT_NOEND : end);
}

/*
 * Zone and grid of the arguments (width interval, ts timestamptz [, origin
 * timestamptz], timezone text). An origin stands for its wall time.
 */
static void
zone_grid(FunctionCallInfo fcinfo, char *name, AggwinZone *zone,
		  AggwinGrid *grid)
{
	int64		origin = 0;
	bool		has_origin = PG_NARGS() > 3;

	text_to_cstring_buffer(PG_GETARG_TEXT_PP(PG_NARGS() - 1),
						   name, TZ_STRLEN_MAX + 1);
	aggwin_zone_lookup(zone, name);

	if (has_origin)
	{
		TimestampTz until;

		origin = PG_GETARG_TIMESTAMPTZ(2);
		if (TIMESTAMP_NOT_FINITE(origin))
			origin_not_finite();
		origin += aggwin_zone_offset(zone, origin, &until);
	}
	aggwin_grid_init_interval(grid, PG_GETARG_INTERVAL_P(0),
							  has_origin ? &origin : NULL, USECS_PER_DAY);
}

Datum
aggwin_time_bucket_zone(PG_FUNCTION_ARGS)
{
	TimestampTz ts = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz start;
	char		name[TZ_STRLEN_MAX + 1];
	AggwinZone	zone;
	AggwinGrid	grid;

	zone_grid(fcinfo, name, &zone, &grid);
	if (TIMESTAMP_NOT_FINITE(ts))
		PG_RETURN_TIMESTAMPTZ(ts);

	start = aggwin_bucket_start_in_zone(&grid, &zone, ts);
	if (start < MIN_TIMESTAMP)
		start_out_of_range(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "timestamp");
	PG_RETURN_TIMESTAMPTZ(start);
}

Datum
aggwin_bucket_end_zone(PG_FUNCTION_ARGS)
{
	TimestampTz ts = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz end;
	char		name[TZ_STRLEN_MAX + 1];
	AggwinZone	zone;
	AggwinGrid	grid;

	zone_grid(fcinfo, name, &zone, &grid);
	if (TIMESTAMP_NOT_FINITE(ts))
		PG_RETURN_TIMESTAMPTZ(ts);

	end = aggwin_bucket_end_in_zone(&grid, &zone, ts);
	PG_RETURN_TIMESTAMPTZ(end >= END_TIMESTAMP ? DT_NOEND : end);
}

/*
 * Grid of the arguments (width interval, ts date [, origin date]).
 */
static void
date_grid(FunctionCallInfo fcinfo, AggwinGrid *grid)
{
	int64		origin = 0;
	bool		has_origin = PG_NARGS() > 2;

	if (has_origin)
	{
		origin = PG_GETARG_DATEADT(2);
		if (DATE_NOT_FINITE(origin))
			origin_not_finite();
	}
	aggwin_grid_init_interval(grid, PG_GETARG_INTERVAL_P(0),
							  has_origin ? &origin : NULL, 1);
}

Datum
aggwin_time_bucket_date(PG_FUNCTION_ARGS)
{
	DateADT		date = PG_GETARG_DATEADT(1);
	int64		start;
	AggwinGrid	grid;

	date_grid(fcinfo, &grid);
	if (DATE_NOT_FINITE(date))
		PG_RETURN_DATEADT(date);

	start = aggwin_grid_floor(&grid, date);
	if (start < DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE)
		start_out_of_range(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "date");
	PG_RETURN_DATEADT((DateADT) start);
}

Datum
aggwin_bucket_end_date(PG_FUNCTION_ARGS)
{
	DateADT		date = PG_GETARG_DATEADT(1);
	int64		end;
	AggwinGrid	grid;

	date_grid(fcinfo, &grid);
	if (DATE_NOT_FINITE(date))
		PG_RETURN_DATEADT(date);

	end = aggwin_grid_next(&grid, date);
	if (end >= DATE_END_JULIAN - POSTGRES_EPOCH_JDATE)
		PG_RETURN_DATEADT(DATEVAL_NOEND);
	PG_RETURN_DATEADT((DateADT) end);
}

/*
 * The integer functions, (width, ts [, origin]) of one type. An end beyond the
 * range of the type is NULL.
 */
Datum
aggwin_time_bucket_int8(PG_FUNCTION_ARGS)
{
	int64		start;
	AggwinGrid	grid;

	aggwin_grid_init_integer(&grid, PG_GETARG_INT64(0),
							 PG_NARGS() > 2 ? PG_GETARG_INT64(2) : 0);
	start = aggwin_grid_floor(&grid, PG_GETARG_INT64(1));
	if (start == PG_INT64_MIN && !aggwin_grid_has(&grid, start))
		start_out_of_range(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "bigint");
	PG_RETURN_INT64(start);
}

Datum
aggwin_bucket_end_int8(PG_FUNCTION_ARGS)
{
	int64		end;
	AggwinGrid	grid;

	aggwin_grid_init_integer(&grid, PG_GETARG_INT64(0),
							 PG_NARGS() > 2 ? PG_GETARG_INT64(2) : 0);
	end = aggwin_grid_next(&grid, PG_GETARG_INT64(1));
	if (end == PG_INT64_MAX && !aggwin_grid_has(&grid, end))
		PG_RETURN_NULL();
	PG_RETURN_INT64(end);
}

Datum
aggwin_time_bucket_int4(PG_FUNCTION_ARGS)
{
	int64		start;
	AggwinGrid	grid;

	aggwin_grid_init_integer(&grid, PG_GETARG_INT32(0),
							 PG_NARGS() > 2 ? PG_GETARG_INT32(2) : 0);
	start = aggwin_grid_floor(&grid, PG_GETARG_INT32(1));
	if (start < PG_INT32_MIN)
		start_out_of_range(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "integer");
	PG_RETURN_INT32((int32) start);
}

Datum
aggwin_bucket_end_int4(PG_FUNCTION_ARGS)
{
	int64		end;
	AggwinGrid	grid;

	aggwin_grid_init_integer(&grid, PG_GETARG_INT32(0),
							 PG_NARGS() > 2 ? PG_GETARG_INT32(2) : 0);
	end = aggwin_grid_next(&grid, PG_GETARG_INT32(1));
	if (end > PG_INT32_MAX)
		PG_RETURN_NULL();
	PG_RETURN_INT32((int32) end);
}
