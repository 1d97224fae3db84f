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
 *
 * A repair that fails for a row's values takes nothing else along: its spans are
 * put back with the error, and folds go on without them. Now and then they are
 * tried again, and if they still fail, in pieces, so that what remains comes
 * down to the buckets that hold such rows.
 */
#include "postgres.h"

#include "rollup/fold.h"

#include "catalog/pg_type.h"
#include "core/catch.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "rollup/fold_sql.h"
#include "rollup/session_sql.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"

/* Index scans of the source for one repair; more become one. */
#define MAX_SCANS 1000

/* How many of the spans that have failed one fold tries again, and into how many
 * pieces of about equally many rows it cuts each */
#define AGAIN 8
#define PIECES 16

/* What is to be repaired, and what of it now. */
typedef struct Extent
{
	Fold	   *fold;
	Datum		all;			/* spans */
	Datum		now;
	Datum		later;
	bool		nulls;			/* of all and now */
	bool		any;			/* is there anything in all, or nulls? */
	bool		any_later;
	int64		budget;			/* rows to repair now, 0 for all */
	int64		rows;			/* how many were repaired, or counted */
	int64		islands;		/* of sessions: computed beside the spans */
	int64		refused;		/* of sessions: kept although rows have changed */
} Extent;

static Datum
copy_spans(Datum spans)
{
	return datumCopy(spans, false, -1);
}

/*
 * How far back the newest rows of the spans reach, as many as the budget: every
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
	int64		budget = extent->budget;
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

/* Split all into now and later. Returns what to scan of the source for now. */
static Datum
choose(Fold *fold, Extent *extent)
{
	bool		has_index = aggwin_has_time_index(fold->spec);
	Datum		rest = extent->budget > 0 && has_index ? choose_rest(fold, extent) : 0;
	Oid			types[] = {fold->spans_type, fold->spans_type};
	Datum		values[] = {extent->all, rest};
	char		nulls[] = {' ', rest ? ' ' : 'n', '\0'};
	bool		isnull;

	aggwin_fold_run(fold, psprintf("SELECT s.now, s.later, NOT isempty(s.later), %s"
								   " FROM (SELECT $1 - coalesce($2, '{}') AS now,"
								   " $1 * coalesce($2, '{}') AS later) AS s",
								   aggwin_sql_scans("s.now", has_index ? MAX_SCANS : 1)),
					SPI_OK_SELECT, 2, types, values, nulls);
	/* Copied: what was read in a guard goes with an error. */
	extent->now = copy_spans(aggwin_spi_value(1, &isnull));
	extent->later = copy_spans(aggwin_spi_value(2, &isnull));
	extent->any_later = DatumGetBool(aggwin_spi_value(3, &isnull));
	return aggwin_spi_value(4, &isnull);
}

/*
 * Fill state from the source. Rows that are older than the rollup may hold a
 * key that capture would have refused.
 */
static void
recompute(Fold *fold, Oid *types, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	int			guc_level = NewGUCNestLevel();

	/*
	 * The planner cannot tell how many rows there are in spans and takes them
	 * for a few, which it would sort; hashing them takes half the time.
	 */
	if (fold->spec->gap == NULL)
		aggwin_pin("enable_sort", "off");
	PG_TRY();
	{
		aggwin_fold_run(fold, fold->spec->gap != NULL
						? aggwin_sql_fold_sessions(fold->spec, &fold->names)
						: aggwin_sql_recompute(fold->spec, &fold->names),
						SPI_OK_SELECT, 5, types, values, nulls);
		AtEOXact_GUC(false, guc_level);
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
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("value too large for the key of a rollup"),
				 errdetail_internal("%s.", error->message),
				 errhint("Shorten the values in table %s that the rollup groups by.",
						 fold->names.source)));
	}
	PG_END_TRY();
}

/* Compute the state of now, chosen first. Nothing but state is written. */
static void
compute(void *arg)
{
	Extent	   *extent = arg;
	Fold	   *fold = extent->fold;
	Datum		scans = choose(fold, extent);
	Oid			types[] = {fold->spans_type, BOOLOID, TEXTOID, INTERVALOID, fold->spans_type};
	Datum		values[] = {extent->now, BoolGetDatum(extent->nulls), fold->watermark,
	fold->max_future, scans};
	char		nulls[] = {' ', ' ', fold->no_watermark ? 'n' : ' ', ' ', ' ', '\0'};
	bool		isnull;

	if (fold->spec->gap == NULL)
		aggwin_fold_run(fold, aggwin_sql_discard_state(fold->spec, &fold->names, 0),
						SPI_OK_DELETE, 2, types, values, NULL);
	recompute(fold, types, values, nulls);
	extent->rows = DatumGetInt64(aggwin_spi_value(1, &isnull));
	fold->watermark = aggwin_spi_value(2, &fold->no_watermark);
	if (fold->spec->gap != NULL)
	{
		extent->islands = DatumGetInt64(aggwin_spi_value(3, &isnull));
		extent->refused = DatumGetInt64(aggwin_spi_value(4, &isnull));
	}
}

/* Repair now, or return the error if that fails for a row's values. */
static ErrorData *
attempt(Fold *fold, Extent *extent)
{
	ErrorData  *error = NULL;

	/* To be split only when all of it can be evaluated. */
	extent->fold = fold;
	extent->now = extent->all;
	extent->any_later = false;
	if (fold->to_repair == REPAIR_ALL)
		compute(extent);
	else
		error = aggwin_catch(compute, extent);
	if (error)
		return error;

	if (aggwin_top_level(&fold->names) > 0)
		aggwin_add_mark(fold, 'i', 1, extent->now, extent->nulls, NULL);
	fold->rows += extent->rows;
	fold->refused_repairs += extent->refused;
	if (extent->any)
		fold->backfilled = Max(fold->backfilled, 0) + extent->rows;
	if (extent->any || extent->islands > 0)
		fold->repairs++;
	return NULL;
}

/* Put back what was to be repaired now. */
static void
put_back(Fold *fold, const Extent *extent, const ErrorData *error)
{
	Oid			output;
	bool		is_varlena;

	aggwin_add_mark(fold, 'i', 0, extent->now, extent->nulls, error->message);
	fold->repair_error = error->message;
	fold->backfilled = Max(fold->backfilled, 0);
	getTypeOutputInfo(fold->spans_type, &output, &is_varlena);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not repair all of rollup %s: %s",
					aggwin_relation_name(fold->row.view), error->message),
			 errdetail("Its buckets in %s remain invalid.",
					   OidOutputFunctionCall(output, extent->now))));
}

/* Pending deltas of what is to be repaired count what the repair will count. */
static void
discard_delta(Fold *fold, const Extent *extent)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID, fold->spans_type, BOOLOID};
	Datum		values[] = {fold->xip, fold->xmax, extent->all, BoolGetDatum(extent->nulls)};

	aggwin_fold_run(fold, aggwin_sql_discard_delta(&fold->names),
					SPI_OK_DELETE, 4, types, values, NULL);
	fold->wrote = true;
}

/*
 * Of sessions: remove the pending deltas, which have been put into state with the
 * repair, or are in the spans that it leaves behind.
 */
static void
take_deltas(Fold *fold)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID, TEXTOID, INTERVALOID, fold->spans_type};
	Datum		values[] = {fold->xip, fold->xmax, fold->watermark, fold->max_future, fold->closed};
	char		nulls[] = {' ', ' ', fold->no_watermark ? 'n' : ' ', ' ', fold->closed ? ' ' : 'n', '\0'};
	int			guc_level = NewGUCNestLevel();
	bool		isnull;

	/* As for the merge of buckets: only the index skips dead rows. */
	aggwin_pin("enable_seqscan", "off");
	aggwin_fold_run(fold, aggwin_sql_take_session_deltas(fold->spec, &fold->names),
					SPI_OK_SELECT, lengthof(types), types, values, nulls);
	AtEOXact_GUC(false, guc_level);
	fold->rows += DatumGetInt64(aggwin_spi_value(1, &isnull));
	fold->watermark = aggwin_spi_value(2, &fold->no_watermark);
	fold->late_dropped += DatumGetInt64(aggwin_spi_value(3, &isnull));
	fold->wrote = true;
}

/* Of sessions: what has failed is about pending deltas, too. */
static void
add_extent_of_deltas(Fold *fold, Extent *extent)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID, fold->spans_type};
	Datum		values[] = {fold->xip, fold->xmax, extent->now};
	bool		isnull;

	aggwin_fold_run(fold, aggwin_sql_session_extent(fold->spec, &fold->names),
					SPI_OK_SELECT, lengthof(types), types, values, NULL);
	extent->now = copy_spans(aggwin_spi_value(1, &isnull));
	extent->nulls = extent->nulls || DatumGetBool(aggwin_spi_value(2, &isnull));
}

/*
 * Repair the base, or a part of it. Of sessions, pending deltas are put into state
 * with it, for what is computed depends on them; invalid tells whether there are spans.
 */
void
aggwin_repair(Fold *fold, bool invalid)
{
	bool		of_sessions = fold->spec->gap != NULL;
	Oid			types[] = {XID8ARRAYOID, XID8OID, fold->spans_type, BOOLOID};
	Datum		values[] = {fold->xip, fold->xmax, fold->frozen, BoolGetDatum(fold->frozen_nulls)};
	char		nulls[] = {' ', ' ', fold->frozen ? ' ' : 'n', ' ', '\0'};
	Extent		extent = {0};
	ErrorData  *error;
	bool		isnull;

	aggwin_fold_run(fold, aggwin_sql_take_invalid(&fold->names, fold->to_repair == REPAIR_ALL),
					SPI_OK_SELECT, 4, types, values, nulls);
	extent.all = copy_spans(aggwin_spi_value(1, &isnull));
	extent.nulls = DatumGetBool(aggwin_spi_value(2, &isnull));
	fold->refused_repairs += DatumGetInt64(aggwin_spi_value(3, &isnull));
	extent.any = invalid;
	if (!of_sessions)
		discard_delta(fold, &extent);

	extent.budget = fold->to_repair == REPAIR_ALL ? 0 : aggwin_repair_batch;
	error = attempt(fold, &extent);
	if (error && of_sessions)
		add_extent_of_deltas(fold, &extent);
	if (error)
		put_back(fold, &extent, error);
	if (of_sessions)
		take_deltas(fold);
	if (extent.any_later)
	{
		aggwin_add_mark(fold, 'i', 0, extent.later, false, NULL);
		fold->to_backfill = expected_rows(fold, extent.later);
		fold->more = true;
	}
}

/* How many rows are there in all? */
static void
count_rows(void *arg)
{
	Extent	   *extent = arg;
	Oid			types[] = {extent->fold->spans_type};
	bool		isnull;

	aggwin_fold_run(extent->fold, aggwin_sql_count_rows(extent->fold->spec, &extent->fold->names),
					SPI_OK_SELECT, 1, types, &extent->all, NULL);
	extent->rows = DatumGetInt64(aggwin_spi_value(1, &isnull));
}

/* Repair spans that have failed before: at once, or if they fail again, in pieces. */
static void
repair_failed(Fold *fold, Extent *extent)
{
	ErrorData  *error;

	extent->any = true;
	if (fold->spec->gap == NULL)
		discard_delta(fold, extent);
	error = attempt(fold, extent);
	if (error && aggwin_catch(count_rows, extent) != NULL)
	{
		put_back(fold, extent, error);
		return;
	}
	extent->budget = Max(extent->rows / PIECES, 1);
	while (error)
	{
		ErrorData  *of_piece = attempt(fold, extent);

		if (of_piece)
			put_back(fold, extent, of_piece);
		if (!extent->any_later)
			break;
		extent->all = extent->later;
		extent->nulls = false;
	}
}

/* Try again what earlier folds could not repair. */
void
aggwin_repair_again(Fold *fold)
{
	Oid			types[] = {fold->spans_type, BOOLOID, INT8OID};
	Datum		values[] = {fold->frozen, BoolGetDatum(fold->frozen_nulls), Int64GetDatum(AGAIN)};
	char		nulls[] = {fold->frozen ? ' ' : 'n', ' ', ' ', '\0'};
	Extent		extents[AGAIN] = {0};
	int			count;

	aggwin_fold_run(fold, aggwin_sql_take_failed(&fold->names), SPI_OK_DELETE_RETURNING,
					lengthof(types), types, values, nulls);
	count = (int) SPI_processed;
	for (int i = 0; i < count; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;

		extents[i].all = copy_spans(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		extents[i].nulls = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	}
	for (int i = 0; i < count; i++)
		repair_failed(fold, &extents[i]);
	if (count == AGAIN)
		fold->more = true;
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
	aggwin_add_mark(fold, 'i', fold->level, rest, extent.nulls && !nulls_whole, NULL);
	if (fold->level < aggwin_top_level(&fold->names))
		aggwin_add_mark(fold, 'i', fold->level + 1, extent.now, extent.nulls && nulls_whole, NULL);
	fold->repairs++;
}
