/*
 * refused.c - samples that are not stored
 *
 * Counted by metric and reason while a batch lasts, then appended to
 * aggwin.refused_sample, in the same transaction; or an error at once, as
 * aggwin.refused_samples says.
 */
#include "postgres.h"

#include "metrics/refused.h"

#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "metrics/series_map.h"
#include "utils/array.h"
#include "utils/builtins.h"

static const struct
{
	const char *name;			/* in aggwin.refused_sample */
	int			sqlstate;
	const char *message;
	const char *hint;
}			reasons[] = {
	[REFUSED_OLD] = {
		"too old", ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
		"a sample of metric \"%s\" is too old",
		"See aggwin.max_past and aggwin.sample_retention."
	},
	[REFUSED_AHEAD] = {
		"too far ahead", ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
		"a sample of metric \"%s\" is too far ahead of the clock",
		"See aggwin.max_future."
	},
	[REFUSED_SERIES] = {
		"too many series", ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
		"metric \"%s\" has got too many series within the hour",
		"Look for a label whose values do not repeat, such as an id or a time. aggwin.max_new_series is the limit."
	},
	[REFUSED_DUPLICATE] = {
		"duplicate", ERRCODE_UNIQUE_VIOLATION,
		"a sample of metric \"%s\" is there already with another value",
		"Set aggwin.duplicate_samples to newest to overwrite it."
	},
	[REFUSED_DERIVED] = {
		"of a pipeline", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		"metric \"%s\" is that of a pipeline's results",
		"Give the metric another name, or the pipeline."
	},
};

struct RefusedSamples
{
	MemoryContext context;
	SeriesMap  *counts;			/* of a reason (one byte) and a metric */
	SeriesMap  *series_counts;	/* of a reason (one byte) and a series' number */
	int64		total;
};

RefusedSamples *
aggwin_refused_create(MemoryContext context)
{
	RefusedSamples *refused = MemoryContextAllocZero(context, sizeof(RefusedSamples));

	refused->context = context;
	return refused;
}

static void
fail(RefusedReason reason, const char *metric)
{
	ereport(ERROR,
			(errcode(reasons[reason].sqlstate),
			 errmsg(reasons[reason].message, metric),
			 errdetail("aggwin.refused_samples is set to error."),
			 errhint("%s", reasons[reason].hint)));
}

static void
count(RefusedSamples *refused, SeriesMap **map, RefusedReason reason, const char *bytes,
	  int length)
{
	char	   *key = palloc(length + 1);
	bool		found;

	if (*map == NULL)
		*map = aggwin_series_map_create(refused->context);
	key[0] = reason;
	memcpy(key + 1, bytes, length);
	(*aggwin_series_map_put(*map, aggwin_series_bytes(key, length + 1), &found))++;
	pfree(key);
	refused->total++;
}

/* A sample of a metric is not stored; an error if that is asked for. */
void
aggwin_refuse_sample(RefusedSamples *refused, RefusedReason reason, const char *metric, int length)
{
	if (aggwin_refused_samples == REFUSED_ERROR)
		fail(reason, pnstrdup(metric, length));
	count(refused, &refused->counts, reason, metric, length);
}

/* The same where only the series is known. */
void
aggwin_refuse_sample_of(RefusedSamples *refused, RefusedReason reason, int64 series_id)
{
	if (aggwin_refused_samples == REFUSED_ERROR)
	{
		bool		isnull;

		aggwin_spi_run(psprintf("SELECT metric FROM aggwin.series WHERE series_id = " INT64_FORMAT,
								series_id), SPI_OK_SELECT);
		fail(reason, SPI_processed > 0 ? TextDatumGetCString(aggwin_spi_value(1, &isnull)) : "?");
	}
	count(refused, &refused->series_counts, reason, (const char *) &series_id, sizeof(series_id));
}

int64
aggwin_refused_count(const RefusedSamples *refused)
{
	return refused->total;
}

/* Rows for SQL: reason, metric or series, count. */
typedef struct RefusedRows
{
	ArrayBuildState *reasons;
	ArrayBuildState *metrics;
	ArrayBuildState *series;
	ArrayBuildState *counts;
} RefusedRows;

static ArrayBuildState *
append(ArrayBuildState *array, Datum value, bool isnull, Oid type)
{
	return accumArrayResult(array, value, isnull, type, CurrentMemoryContext);
}

static void
add_row(RefusedRows *rows, SeriesBytes key, int64 value, bool of_series)
{
	int64		series_id = 0;
	Datum		metric = 0;

	if (of_series)
		memcpy(&series_id, key.bytes + 1, sizeof(series_id));
	else
		metric = PointerGetDatum(cstring_to_text_with_len(key.bytes + 1, key.length - 1));
	rows->reasons = append(rows->reasons, CStringGetTextDatum(reasons[(int) key.bytes[0]].name),
						   false, TEXTOID);
	rows->metrics = append(rows->metrics, metric, of_series, TEXTOID);
	rows->series = append(rows->series, Int64GetDatum(series_id), !of_series, INT8OID);
	rows->counts = append(rows->counts, Int64GetDatum(value), false, INT8OID);
}

static void
add_metric(SeriesBytes key, int64 value, void *arg)
{
	add_row(arg, key, value, false);
}

static void
add_series(SeriesBytes key, int64 value, void *arg)
{
	add_row(arg, key, value, true);
}

/* Append what has been counted. */
void
aggwin_refused_write(RefusedSamples *refused, const MetricTables *tables)
{
	Oid			types[] = {TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[lengthof(types)];
	RefusedRows rows = {0};
	MemoryContext old_context;
	Sandbox		saved;

	if (refused->total == 0)
		return;
	old_context = MemoryContextSwitchTo(refused->context);
	if (refused->counts != NULL)
		aggwin_series_map_each(refused->counts, add_metric, &rows);
	if (refused->series_counts != NULL)
		aggwin_series_map_each(refused->series_counts, add_series, &rows);
	values[0] = makeArrayResult(rows.reasons, CurrentMemoryContext);
	values[1] = makeArrayResult(rows.metrics, CurrentMemoryContext);
	values[2] = makeArrayResult(rows.series, CurrentMemoryContext);
	values[3] = makeArrayResult(rows.counts, CurrentMemoryContext);

	aggwin_spi_connect();
	aggwin_become_owner(&saved, tables);
	aggwin_spi_run_args("INSERT INTO aggwin.refused_sample (metric, reason, samples)"
						" SELECT coalesce(u.metric, s.metric), u.reason, sum(u.n)"
						" FROM unnest($1, $2, $3, $4) AS u(reason, metric, series_id, n)"
						" LEFT JOIN aggwin.series AS s ON s.series_id = u.series_id"
						" GROUP BY 1, 2 ORDER BY 1, 2",
						SPI_OK_INSERT, lengthof(types), types, values, NULL);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	MemoryContextSwitchTo(old_context);
}
