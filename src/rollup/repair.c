/*
 * repair.c - computing invalid spans anew, inside a fold
 *
 * Level 0 is computed from the source, newest first, and not more of it in one
 * transaction than aggwin.repair_batch rows: the rest stays invalid, in a row
 * that is pending for everybody. So a table is backfilled, too: to begin with,
 * everything is invalid.
 *
 *      invalid       [========================================)
 *      this fold                                     [========)
 *      the next                             [========)
 *
 * Level k is computed from level k - 1, once nothing is invalid there. What a
 * repair has computed becomes invalid at the level above in the same
 * transaction, and the deltas that would have gone there do not.
 *
 * Pending deltas of the spans are deleted, also where the spans remain
 * invalid: the repair counts the rows that they stand for.
 */
#include "postgres.h"

#include "rollup/fold.h"

#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "rollup/fold_sql.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"

/* Index scans of the source for one repair; more become one. */
#define MAX_SCANS 1000

/* What is to be repaired, and what of it now. */
typedef struct Extent
{
	Datum		all;			/* spans */
	Datum		now;
	Datum		later;
	bool		nulls;			/* of all and now */
	bool		any_later;
	Datum		scans;			/* what to scan of the source for now */
} Extent;

static Datum
copy_spans(Datum spans)
{
	return datumCopy(spans, false, -1);
}

/*
 * How far back the newest aggwin.repair_batch rows of the spans reach: every
 * span by itself, the newest first. Spans of a single bucket are not worth a
 * look. Returns the lower end of the oldest span to be repaired in part, as a
 * span of its own, or 0 if all can be repaired at once.
 */
static Datum
choose_rest(Fold *fold, Extent *extent)
{
	Oid			types[] = {fold->spans_type};
	Datum		values[] = {extent->all};
	Oid			span_type;
	int64		budget = aggwin_repair_batch;
	uint64		count;
	SPITupleTable *spans;

	aggwin_fold_run(fold, psprintf("SELECT r.span, upper(r.span) <= %s FROM aggwin.spans($1) AS r(span)"
								   " ORDER BY r.span DESC",
								   aggwin_sql_bucket_end(fold->spec, NULL, "lower(r.span)")),
					SPI_OK_SELECT, 1, types, values, NULL);
	spans = SPI_tuptable;
	count = SPI_processed;
	span_type = SPI_gettypeid(spans->tupdesc, 1);

	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		Datum		span = SPI_getbinval(spans->vals[i], spans->tupdesc, 1, &isnull);
		bool		unknown;
		bool		one_bucket = DatumGetBool(SPI_getbinval(spans->vals[i], spans->tupdesc,
															2, &unknown)) && !unknown;
		Oid			row_types[] = {span_type, INT8OID};
		Datum		row_values[] = {span, Int64GetDatum(budget)};
		int64		rows;
		Datum		bucket;

		if (one_bucket)
			continue;
		aggwin_fold_run(fold, aggwin_sql_newest_rows(fold->spec, &fold->names),
						SPI_OK_SELECT, 2, row_types, row_values, NULL);
		rows = DatumGetInt64(aggwin_spi_value(1, &isnull));
		bucket = aggwin_spi_value(2, &isnull);
		if (rows >= budget && !isnull)
		{
			Oid			rest_types[] = {fold->spec->time->type, span_type};
			Datum		rest_values[] = {bucket, span};

			/* All before that bucket, unless the span begins with it. */
			aggwin_fold_run(fold, psprintf("SELECT CASE WHEN $2 && s.before THEN s.before::%s END"
										   " FROM (SELECT %s(NULL, $1) AS before) AS s",
										   fold->spec->time->multirange, fold->spec->time->range),
							SPI_OK_SELECT, 2, rest_types, rest_values, NULL);
			bucket = aggwin_spi_value(1, &isnull);
			if (!isnull)
				return bucket;
		}
		budget = Max(budget - rows, 1);
	}
	return 0;
}

/* About how many rows are there in spans? */
static int64
expected_rows(Fold *fold, Datum spans)
{
	Oid			types[] = {fold->spans_type, JSONOID};
	Datum		values[] = {spans, 0};
	bool		isnull;

	aggwin_fold_run(fold, aggwin_sql_explain_rows(fold->spec, &fold->names),
					SPI_OK_UTILITY, 1, types, values, NULL);
	values[1] = aggwin_spi_value(1, &isnull);
	aggwin_fold_run(fold, "SELECT ($2->0->'Plan'->>'Plan Rows')::float8::bigint, $1 IS NULL",
					SPI_OK_SELECT, 2, types, values, NULL);
	return DatumGetInt64(aggwin_spi_value(1, &isnull));
}

/* Take the pending invalid spans, and choose what to do now. */
static void
take_extent(Fold *fold, Extent *extent)
{
	bool		has_index = aggwin_has_time_index(fold->spec);
	Oid			types[] = {XID8ARRAYOID, XID8OID, fold->spans_type, BOOLOID};
	Datum		values[] = {fold->xip, fold->xmax, fold->frozen, BoolGetDatum(fold->frozen_nulls)};
	char		nulls[] = {' ', ' ', fold->frozen ? ' ' : 'n', ' ', '\0'};
	Datum		rest = 0;
	bool		isnull;

	aggwin_fold_run(fold, aggwin_sql_take_invalid(&fold->names), SPI_OK_SELECT,
					4, types, values, nulls);
	extent->all = copy_spans(aggwin_spi_value(1, &isnull));
	extent->nulls = DatumGetBool(aggwin_spi_value(2, &isnull));
	fold->refused_repairs += DatumGetInt64(aggwin_spi_value(3, &isnull));

	if (!fold->whole && has_index)
		rest = choose_rest(fold, extent);
	{
		Oid			split_types[] = {fold->spans_type, fold->spans_type};
		Datum		split_values[] = {extent->all, rest};
		char		split_nulls[] = {' ', rest ? ' ' : 'n', '\0'};

		aggwin_fold_run(fold, psprintf("SELECT s.now, s.later, NOT isempty(s.later), %s"
									   " FROM (SELECT $1 - coalesce($2, '{}') AS now,"
									   " $1 * coalesce($2, '{}') AS later) AS s",
									   aggwin_sql_scans("s.now", has_index ? MAX_SCANS : 1)),
						SPI_OK_SELECT, 2, split_types, split_values, split_nulls);
		extent->now = aggwin_spi_value(1, &isnull);
		extent->later = aggwin_spi_value(2, &isnull);
		extent->any_later = DatumGetBool(aggwin_spi_value(3, &isnull));
		extent->scans = aggwin_spi_value(4, &isnull);
	}
}

/*
 * Fill state from the source. Rows that are older than the rollup may hold a
 * key that capture would have refused.
 */
static void
recompute(Fold *fold, Oid *types, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		aggwin_fold_run(fold, aggwin_sql_recompute(fold->spec, &fold->names),
						SPI_OK_SELECT, 5, types, values, nulls);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (geterrcode() != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value too large for the key of a rollup"),
				 errdetail_internal("%s.", error->message),
				 errhint("Shorten the values in table %s that the rollup groups by.",
						 fold->names.source)));
	}
	PG_END_TRY();
}

/* Repair the base, or a part of it. */
void
aggwin_repair(Fold *fold)
{
	Extent		extent = {0};
	int64		rows;
	bool		isnull;

	take_extent(fold, &extent);
	{
		Oid			types[] = {XID8ARRAYOID, XID8OID, fold->spans_type, BOOLOID};
		Datum		values[] = {fold->xip, fold->xmax, extent.all, BoolGetDatum(extent.nulls)};

		aggwin_fold_run(fold, aggwin_sql_discard_delta(&fold->names),
						SPI_OK_DELETE, 4, types, values, NULL);
	}
	{
		Oid			types[] = {fold->spans_type, BOOLOID, TEXTOID, INTERVALOID, fold->spans_type};
		Datum		values[] = {extent.now, BoolGetDatum(extent.nulls), fold->watermark,
		fold->max_future, extent.scans};
		char		null_flags[] = {' ', ' ', fold->no_watermark ? 'n' : ' ', ' ', ' ', '\0'};

		aggwin_fold_run(fold, aggwin_sql_discard_state(fold->spec, &fold->names, 0),
						SPI_OK_DELETE, 2, types, values, NULL);
		recompute(fold, types, values, null_flags);
		rows = DatumGetInt64(aggwin_spi_value(1, &isnull));
		fold->watermark = aggwin_spi_value(2, &fold->no_watermark);
	}
	if (extent.any_later)
	{
		aggwin_add_mark(fold, 'i', 0, extent.later, false);
		fold->to_backfill = expected_rows(fold, extent.later);
	}
	if (aggwin_top_level(&fold->names) > 0)
		aggwin_add_mark(fold, 'i', 1, extent.now, extent.nulls);
	fold->rows += rows;
	fold->backfilled = rows;
	fold->more = extent.any_later;
	fold->repairs++;
	fold->wrote = true;
}

/* Repair a level above the base, as far as it is whole below. */
void
aggwin_repair_above(Fold *fold)
{
	Extent		extent = {0};
	Datum		rest;
	bool		nulls_whole;
	bool		isnull;

	aggwin_fold_run(fold, aggwin_sql_take_invalid_above(fold->spec, &fold->names, fold->level),
					SPI_OK_SELECT, 0, NULL, NULL, NULL);
	extent.all = aggwin_spi_value(1, &isnull);
	extent.now = aggwin_spi_value(2, &isnull);
	rest = aggwin_spi_value(3, &isnull);
	extent.nulls = DatumGetBool(aggwin_spi_value(4, &isnull));
	nulls_whole = DatumGetBool(aggwin_spi_value(5, &isnull));
	{
		Oid			types[] = {fold->spans_type, BOOLOID};
		Datum		values[] = {extent.all, BoolGetDatum(extent.nulls)};
		Datum		now_values[] = {extent.now, BoolGetDatum(extent.nulls && nulls_whole)};

		aggwin_fold_run(fold, aggwin_sql_discard_delta_above(&fold->names, fold->level),
						SPI_OK_DELETE, 2, types, values, NULL);
		aggwin_fold_run(fold, aggwin_sql_discard_state(fold->spec, &fold->names, fold->level),
						SPI_OK_DELETE, 2, types, now_values, NULL);
		aggwin_fold_run(fold, aggwin_sql_rebuild(fold->spec, &fold->names, fold->level),
						SPI_OK_SELECT, 2, types, now_values, NULL);
		fold->rows += DatumGetInt64(aggwin_spi_value(1, &isnull));
	}
	aggwin_add_mark(fold, 'i', fold->level, rest, extent.nulls && !nulls_whole);
	if (fold->level < aggwin_top_level(&fold->names))
		aggwin_add_mark(fold, 'i', fold->level + 1, extent.now, extent.nulls && nulls_whole);
	fold->repairs++;
}
