/*
 * vacuum.c - removing what folds leave behind, sooner than autovacuum would
 *
 * Each fold leaves dead rows: the deltas that it merged, the state that it
 * updated or computed anew. Autovacuum looks at a database once a minute at
 * best, and busy ones wait longer; tables that hold no more than a second's
 * deltas would grow to a minute's. The deltas of tiers are read from end to
 * end by every reader and fold, the others are kept out of memory by pages of
 * dead rows. So a worker vacuums a table itself, between two folds, as soon as
 *
 *		dead rows > live rows + 5,000 + 2 * those that the last one had to leave
 *
 * The live rows are there lest a large state be read for a small gain; it is
 * autovacuum that comes first then, by its own rules. Dead rows are left where
 * an old snapshot may still see them; with that term the vacuums that find
 * nothing to remove get rarer as the table grows. It counts until the oldest
 * snapshot is younger than that vacuum, and for ten seconds at least.
 *
 * VACUUM runs in transactions of its own. It takes a table only if nobody else
 * is vacuuming or altering it, and never cuts its end off, for which readers
 * would have to wait.
 */
#include "postgres.h"

#include "worker/vacuum.h"

#include "commands/vacuum.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/timestamp.h"
#include "worker/attempt.h"

/* Fewer dead rows than these are not worth it. */
#define MIN_DEAD_ROWS 5000

/* See above: longer than a writer's transaction mostly takes. */
#define LEFTOVER_MS 10000.0

/* A table that a vacuum had to leave dead rows in; the oid is the hash key. */
typedef struct Leftover
{
	Oid			relid;
	int64		rows;
	TimestampTz since;
} Leftover;

typedef struct Due
{
	Oid			relid;
	char	   *name;
	int64		dead;
} Due;

struct AggwinVacuum
{
	MemoryContext context;		/* of the due tables, until the next look */
	List	   *due;			/* Due * */
	HTAB	   *leftovers;
};

AggwinVacuum *
aggwin_vacuum_create(void)
{
	AggwinVacuum *vacuum = palloc0(sizeof(AggwinVacuum));
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Leftover);
	ctl.hcxt = CurrentMemoryContext;
	vacuum->leftovers = hash_create("aggwin vacuum", 64, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	vacuum->context = AllocSetContextCreate(CurrentMemoryContext, "aggwin vacuum",
											ALLOCSET_SMALL_SIZES);
	return vacuum;
}

/* Is what was left in a table still there for the reason that it was? */
static bool
is_held(const Leftover *left, double snapshot_age_ms)
{
	double		age_ms = (GetCurrentTimestamp() - left->since) / 1000.0;

	return age_ms < LEFTOVER_MS || age_ms <= snapshot_age_ms;
}

static void
note_due(AggwinVacuum *vacuum, HeapTuple row, TupleDesc columns, double snapshot_age_ms)
{
	bool		isnull;
	Oid			relid = DatumGetObjectId(SPI_getbinval(row, columns, 1, &isnull));
	int64		dead = DatumGetInt64(SPI_getbinval(row, columns, 2, &isnull));
	int64		surplus = DatumGetInt64(SPI_getbinval(row, columns, 3, &isnull));
	Leftover   *left = hash_search(vacuum->leftovers, &relid, HASH_FIND, NULL);
	MemoryContext caller;
	Due		   *due;

	if (left && surplus <= 2 * left->rows && is_held(left, snapshot_age_ms))
		return;

	caller = MemoryContextSwitchTo(vacuum->context);
	due = palloc(sizeof(Due));
	due->relid = relid;
	due->name = SPI_getvalue(row, columns, 4);
	due->dead = dead;
	vacuum->due = lappend(vacuum->due, due);
	MemoryContextSwitchTo(caller);
}

/*
 * Finds the tables of rollups that need it, by the server's counters. Called in
 * a transaction, with SPI and the catalog locked. snapshot_age_ms is the age of
 * the oldest snapshot, in milliseconds.
 */
void
aggwin_vacuum_look(AggwinVacuum *vacuum, double snapshot_age_ms)
{
	MemoryContextReset(vacuum->context);
	vacuum->due = NIL;

	aggwin_spi_run("SELECT s.relid, s.dead, s.dead - s.live - " CppAsString2(MIN_DEAD_ROWS)
				   ", s.relid::regclass::text"
				   " FROM (SELECT o.relid, pg_stat_get_dead_tuples(o.relid) AS dead,"
				   " pg_stat_get_live_tuples(o.relid) AS live"
				   " FROM (SELECT r.invalid::oid AS relid FROM aggwin.rollup AS r"
				   " UNION ALL SELECT unnest(ARRAY[coalesce(t.state, r.state), coalesce(t.delta, r.delta)])"
				   " FROM aggwin.rollup AS r JOIN aggwin.tier AS t USING (rollup_id)) AS o) AS s"
				   " WHERE s.dead > s.live + " CppAsString2(MIN_DEAD_ROWS)
				   " ORDER BY s.dead DESC", SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
		note_due(vacuum, SPI_tuptable->vals[i], SPI_tuptable->tupdesc, snapshot_age_ms);
}

/*
 * The command's memory outlives the transactions that it runs in; so the
 * portal that a client's command would have is needed here, too.
 */
static void
run_vacuum(void *arg)
{
	const Due  *due = arg;
	VacuumStmt *command;

	MemoryContextSwitchTo(PortalContext);
	command = castNode(VacuumStmt,
					   linitial_node(RawStmt, pg_parse_query("VACUUM (SKIP_LOCKED, TRUNCATE off, PARALLEL 0)"))->stmt);
	command->rels = list_make1(makeVacuumRelation(NULL, due->relid, NIL));
	ExecVacuum(make_parsestate(NULL), command, true);
}

/* What is dead in the table still, after it was vacuumed or could not be. */
static void
note_leftover(AggwinVacuum *vacuum, Oid relid, int64 dead)
{
	Leftover   *left;

	if (dead <= 0)
	{
		hash_search(vacuum->leftovers, &relid, HASH_REMOVE, NULL);
		return;
	}
	left = hash_search(vacuum->leftovers, &relid, HASH_ENTER, NULL);
	left->rows = dead;
	left->since = GetCurrentTimestamp();
}

typedef struct Count
{
	Oid			relid;
	int64		dead;
} Count;

static void
count_dead(void *arg)
{
	Count	   *count = arg;

	count->dead = DatumGetInt64(DirectFunctionCall1(pg_stat_get_dead_tuples,
													ObjectIdGetDatum(count->relid)));
}

/*
 * Vacuums one table of those that were found. False if there is none.
 */
bool
aggwin_vacuum_next(AggwinVacuum *vacuum)
{
	Due		   *due;
	Count		count;

	if (vacuum->due == NIL)
		return false;
	due = linitial(vacuum->due);
	vacuum->due = list_delete_first(vacuum->due);

	pgstat_report_activity(STATE_RUNNING, psprintf("vacuuming %s", due->name));
	PortalContext = AllocSetContextCreate(CurrentMemoryContext, "aggwin vacuum command",
										  ALLOCSET_DEFAULT_SIZES);
	count.relid = due->relid;
	count.dead = due->dead;
	if (aggwin_attempt(run_vacuum, due) == NULL)
		(void) aggwin_attempt(count_dead, &count);
	MemoryContextDelete(PortalContext);
	PortalContext = NULL;
	note_leftover(vacuum, due->relid, count.dead);
	return true;
}
