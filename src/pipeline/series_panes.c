/*
 * series_panes.c - what rollups have of series in a window, read once for several pipelines
 *
 * To read panes through a rollup's view, with all that is pending, costs many times what
 * a pipeline then does with them. So the first pipeline of a step that wants those of a
 * window reads all series of its metric, if the others are about to read most of them,
 * and leaves them to the others. They are valid as long as nothing is written into the
 * window: until the step ends, or a result comes into it, or what wrote one is rolled back.
 */
#include "postgres.h"

#include "pipeline/series_panes.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "emit/bounds.h"
#include "emit/plans.h"
#include "emit/step.h"
#include "fmgr.h"
#include "funcapi.h"
#include "metrics/tables.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_series_panes);

/* Windows that are kept. */
#define MAX_KEPT 16

/* The panes of all series of a metric in a window */
typedef struct SeriesPanes
{
	Oid			reader;
	Oid			rollup;
	WindowBounds bounds;
	char	   *metric;
	TupleDesc	desc;			/* of the rows */
	Tuplestorestate *rows;
} SeriesPanes;

static MemoryContext kept_memory = NULL;
static List *kept = NIL;		/* SeriesPanes *, the newest last */
static uint64 kept_step = 0;

/* What a pipeline reads */
typedef struct Wanted
{
	char	   *metric;			/* NULL: of any name */
	Datum		series;			/* bigint[] */
	int			count;
	int			pipelines;		/* that read this metric in these windows */
	bool		looks_back;		/* one of them needs the last sample before, too */
} Wanted;

/* Keeping -------------------------------------------------------------------*/

static void
forget(SeriesPanes *panes)
{
	kept = list_delete_ptr(kept, panes);
	tuplestore_end(panes->rows);
	FreeTupleDesc(panes->desc);
	pfree(panes->metric);
	pfree(panes);
}

static void
forget_all(void)
{
	while (kept != NIL)
		forget(linitial(kept));
}

/* A sample is written, or deleted: windows in which it is are to be read again. */
void
aggwin_forget_series_panes(TimestampTz ts)
{
	ListCell   *lc;
	List	   *changed = NIL;

	foreach(lc, kept)
	{
		SeriesPanes *panes = lfirst(lc);

		if (panes->bounds.start <= ts && ts < panes->bounds.end)
			changed = lappend(changed, panes);
	}
	foreach(lc, changed)
		forget(lfirst(lc));
	list_free(changed);
}

static void
on_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget_all();
}

static void
on_subtransaction_end(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_all();
}

static SeriesPanes *
find_kept(Oid rollup, const WindowBounds *bounds, const char *metric)
{
	ListCell   *lc;

	if (kept_step != aggwin_current_step())
		forget_all();
	foreach(lc, kept)
	{
		SeriesPanes *panes = lfirst(lc);

		if (panes->reader == GetUserId() && panes->rollup == rollup &&
			panes->bounds.start == bounds->start && panes->bounds.end == bounds->end &&
			strcmp(panes->metric, metric) == 0)
			return panes;
	}
	return NULL;
}

/* A store that is kept once it is filled. */
static SeriesPanes *
new_panes(Oid rollup, const WindowBounds *bounds, const char *metric, TupleDesc desc)
{
	MemoryContext caller;
	SeriesPanes *panes;

	if (kept_memory == NULL)
	{
		kept_memory = AllocSetContextCreate(TopMemoryContext, "aggwin panes of series", ALLOCSET_DEFAULT_SIZES);
		RegisterXactCallback(on_transaction_end, NULL);
		RegisterSubXactCallback(on_subtransaction_end, NULL);
	}
	caller = MemoryContextSwitchTo(kept_memory);
	panes = palloc0(sizeof(SeriesPanes));
	panes->reader = GetUserId();
	panes->rollup = rollup;
	panes->bounds = *bounds;
	panes->metric = pstrdup(metric);
	panes->desc = CreateTupleDescCopy(desc);
	/* It outlives the query, and its files the portal. */
	panes->rows = tuplestore_begin_heap(true, true, work_mem);
	kept = lappend(kept, panes);
	kept_step = aggwin_current_step();
	MemoryContextSwitchTo(caller);
	if (list_length(kept) > MAX_KEPT)
		forget(linitial(kept));
	return panes;
}

/* Reading -------------------------------------------------------------------*/

/* The metric that a pipeline reads; NULL: those of any name. False if it is not there. */
static bool
read_metric(int32 pipeline_id, Wanted *wanted)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(pipeline_id)};

	if (aggwin_spi_read("SELECT p.reads FROM aggwin.pipeline AS p WHERE p.pipeline_id = $1",
						lengthof(types), types, values) == 0)
		return false;
	wanted->metric = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return true;
}

/* Its series, and how many pipelines have windows that are like its own. */
static void
read_series(int32 pipeline_id, Wanted *wanted)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(pipeline_id)};
	bool		isnull;

	/* Others than those of the same size never meet it, and those of another grace by chance only. */
	aggwin_spi_read("SELECT (SELECT array_agg(m.series_id) FROM aggwin.pipeline_series AS m WHERE m.pipeline_id = $1),"
					" count(*) FILTER (WHERE v.grace = w.grace AND NOT v.paused)::int, bool_or(q.reach <> 'own')"
					" FROM aggwin.pipeline AS p JOIN aggwin.window AS w ON w.output = p.output"
					" JOIN aggwin.pipeline AS q ON q.reads = p.reads OR q.pipeline_id = p.pipeline_id"
					" JOIN aggwin.window AS v ON v.output = q.output AND v.rollup = w.rollup AND v.size = w.size"
					" WHERE p.pipeline_id = $1", lengthof(types), types, values);
	wanted->series = aggwin_spi_value(1, &isnull);
	wanted->count = isnull ? 0 : aggwin_array_size(wanted->series);
	wanted->pipelines = DatumGetInt32(aggwin_spi_value(2, &isnull));
	wanted->looks_back = DatumGetBool(aggwin_spi_value(3, &isnull));
}

/*
 * Take all series of the metric instead, if the pipelines together read as many. That the
 * others read as many as this one is a guess.
 */
static bool
take_all_series(Wanted *wanted)
{
	Oid			types[] = {TEXTOID};
	Datum		values[1];
	Datum		series;
	bool		isnull;

	if (wanted->metric == NULL || wanted->pipelines < 2 || aggwin_current_step() == 0)
		return false;
	values[0] = CStringGetTextDatum(wanted->metric);
	aggwin_spi_read("SELECT array_agg(s.series_id) FROM aggwin.series AS s WHERE s.metric = $1",
					lengthof(types), types, values);
	series = aggwin_spi_value(1, &isnull);
	if (isnull || (int64) wanted->count * wanted->pipelines < aggwin_array_size(series))
		return false;
	wanted->series = series;
	return true;
}

/*
 * The counter with the last sample before the window, if there are any in it. Plans are kept,
 * and must not be made for the bounds of the first window: so that is a sublink.
 */
#define COUNTER_SINCE_BEFORE "CASE WHEN r.counter IS NULL THEN NULL ELSE (SELECT aggwin.merge(c.counter) FROM (" \
	"SELECT r.counter UNION ALL SELECT aggwin.counter_agg(p.ts, p.value) FROM (SELECT b.ts, b.value FROM aggwin.samples AS b" \
	" WHERE b.series_id = r.series_id AND b.ts < (SELECT $1) AND abs(b.value) < 1e300" \
	" ORDER BY b.ts DESC LIMIT 1) AS p) AS c) END"

pg_noreturn static void
refuse_columns(Oid rollup)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s has other columns than are asked for", aggwin_relation_name(rollup)),
			 errhint("Apply the rules of the pipeline again.")));
}

static void
read_panes(Oid rollup, const WindowBounds *bounds, const Wanted *wanted, TupleDesc desc, Tuplestorestate *rows)
{
	Oid			types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(bounds->start), TimestampTzGetDatum(bounds->end), wanted->series};

	if (!aggwin_emit_read(psprintf("SELECT $1 AS bucket, r.series_id, r.nans, r.stats, r.percentiles, %s"
								   " FROM (SELECT r.series_id, sum(r.nans)::bigint AS nans, aggwin.merge(r.stats) AS stats,"
								   " aggwin.merge(r.percentiles) AS percentiles, aggwin.merge(r.counter) AS counter"
								   " FROM %s AS r WHERE r.bucket >= $1 AND r.bucket < $2 AND r.series_id = ANY ($3)"
								   " GROUP BY r.series_id) AS r", wanted->looks_back ? COUNTER_SINCE_BEFORE : "r.counter",
								   aggwin_relation_name(rollup)),
						  lengthof(types), types, values, desc, rows))
		refuse_columns(rollup);
}

static void
copy_rows(const SeriesPanes *panes, ReturnSetInfo *result)
{
	TupleTableSlot *slot;

	/* Whoever calls says what columns there are. */
	if (!aggwin_desc_fits(panes->desc, result->setDesc))
		refuse_columns(panes->rollup);
	slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsMinimalTuple);
	tuplestore_rescan(panes->rows);
	while (tuplestore_gettupleslot(panes->rows, true, false, slot))
		tuplestore_puttupleslot(result->setResult, slot);
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * aggwin.series_panes(pipeline_id, rollup): bucket (the start of the window that is being
 * computed), series_id, nans, stats, percentiles, counter: of each series that the pipeline
 * reads, and maybe of others of its metric. The counter begins with the last sample before
 * the window if the pipeline asks for increases. An error while no window is being computed.
 */
Datum
aggwin_series_panes(PG_FUNCTION_ARGS)
{
	int32		pipeline_id = PG_GETARG_INT32(0);
	Oid			rollup = PG_GETARG_OID(1);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const WindowBounds *bounds = aggwin_required_bounds();
	Wanted		wanted = {0};

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	aggwin_spi_connect();
	if (read_metric(pipeline_id, &wanted))
	{
		SeriesPanes *panes = wanted.metric == NULL ? NULL : find_kept(rollup, bounds, wanted.metric);

		if (panes == NULL)
			read_series(pipeline_id, &wanted);
		if (panes == NULL && take_all_series(&wanted))
		{
			panes = new_panes(rollup, bounds, wanted.metric, result->setDesc);
			read_panes(rollup, bounds, &wanted, result->setDesc, panes->rows);
		}
		if (panes != NULL)
			copy_rows(panes, result);
		else if (wanted.count > 0)
			read_panes(rollup, bounds, &wanted, result->setDesc, result->setResult);
	}
	aggwin_spi_finish();
	return (Datum) 0;
}
