/*
 * plans.c - running the same statements again and again
 *
 * A step takes some milliseconds, and planning what it reads of a rollup's view
 * would take most of them. So plans are kept for the session, by their text. The
 * server makes a plan anew when what it reads has changed.
 */
#include "postgres.h"

#include "emit/plans.h"

#include "common/hashfn.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

/* With more than this, all are forgotten: of windows that have been dropped. */
#define MAX_PLANS 2000

typedef struct KeptPlan
{
	const char *sql;			/* the key */
	SPIPlanPtr	plan;			/* NULL after a rule has replaced the statement */
} KeptPlan;

static HTAB *plans = NULL;

static uint32
hash_text(const void *key, Size size)
{
	const char *sql = *(const char *const *) key;

	return hash_bytes((const unsigned char *) sql, strlen(sql));
}

static int
compare_texts(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
forget_all(void)
{
	HASH_SEQ_STATUS scan;
	KeptPlan   *kept;

	hash_seq_init(&scan, plans);
	while ((kept = hash_seq_search(&scan)) != NULL)
	{
		const char *sql = kept->sql;

		if (kept->plan != NULL)
			SPI_freeplan(kept->plan);
		hash_search(plans, &sql, HASH_REMOVE, NULL);
		pfree(unconstify(char *, sql));
	}
}

static SPIPlanPtr
make_plan(const char *sql, int nargs, Oid *types)
{
	/* A plan for all values: a step's differ by the time they are about. */
	SPIPlanPtr	plan = SPI_prepare_cursor(sql, nargs, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

/* nested: plans may be running, and none is forgotten. */
static KeptPlan *
plan_of(const char *sql, int nargs, Oid *types, bool nested)
{
	KeptPlan   *kept;

	if (plans == NULL)
	{
		HASHCTL		ctl = {
			.keysize = sizeof(const char *),
			.entrysize = sizeof(KeptPlan),
			.hash = hash_text,
			.match = compare_texts,
			.hcxt = TopMemoryContext,
		};

		plans = hash_create("aggwin plans of windows", 64, &ctl,
							HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	kept = hash_search(plans, &sql, HASH_FIND, NULL);
	if (kept == NULL)
	{
		SPIPlanPtr	plan = make_plan(sql, nargs, types);
		const char *copy = MemoryContextStrdup(TopMemoryContext, sql);

		if (!nested && hash_get_num_entries(plans) >= MAX_PLANS)
			forget_all();
		kept = hash_search(plans, &copy, HASH_ENTER, NULL);
		kept->plan = plan;
	}
	else if (kept->plan == NULL)
		kept->plan = make_plan(sql, nargs, types);
	return kept;
}

/*
 * Run one statement under a snapshot, and what has been written under it. What
 * functions of a query do to settings must not last until the next one.
 */
void
aggwin_emit_run(Snapshot snapshot, const char *sql, int expected, int nargs, Oid *types,
				Datum *values, const char *nulls)
{
	int			guc_level = NewGUCNestLevel();
	KeptPlan   *kept = plan_of(sql, nargs, types, false);
	int			rc = SPI_execute_snapshot(kept->plan, values, nulls, snapshot,
										  InvalidSnapshot, false, true, 0);

	aggwin_spi_check_kept(&kept->plan, rc, expected, sql);
	AtEOXact_GUC(false, guc_level);
}

/*
 * Within a query: run another under its snapshot, and put the rows into a store. False if
 * they do not fit the columns that are wanted.
 */
bool
aggwin_emit_read(const char *sql, int nargs, Oid *types, Datum *values, TupleDesc wanted,
				 Tuplestorestate *rows)
{
	KeptPlan   *kept = plan_of(sql, nargs, types, true);
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(kept->plan));
	SPIExecuteOptions options = {
		.params = makeParamList(nargs),
		.read_only = true,
		.dest = CreateDestReceiver(DestTuplestore),
	};
	int			rc;

	if (!aggwin_desc_fits(source->resultDesc, wanted))
		return false;
	for (int i = 0; i < nargs; i++)
		options.params->params[i] = (ParamExternData) {.value = values[i], .pflags = PARAM_FLAG_CONST, .ptype = types[i]};
	SetTuplestoreDestReceiverParams(options.dest, rows, CurrentMemoryContext, false, NULL, NULL);
	rc = SPI_execute_plan_extended(kept->plan, &options);
	aggwin_spi_check(rc, SPI_OK_SELECT, sql);
	/* It may have been planned anew. */
	return aggwin_desc_fits(source->resultDesc, wanted);
}
