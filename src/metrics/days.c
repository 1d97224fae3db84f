/*
 * days.c - the partitions of aggwin.samples
 *
 * A partition holds a day of UTC, and is called samples_YYYYMMDD. maintain_samples()
 * makes them ahead; ingestion makes what is missing, one day after the other.
 * A day that other partitions cover, of a month for example, needs none.
 *
 * Retention counts from the newest sample or from the clock, whichever is earlier:
 * a clock that runs ahead drops nothing that samples have not left behind.
 *
 * Locking: to make a partition takes the creation lock (tables.c), and SHARE UPDATE
 * EXCLUSIVE on aggwin.samples to attach it, which disturbs neither readers nor
 * writers. To drop one takes ACCESS EXCLUSIVE on aggwin.samples. Who waited for
 * that behind a long query would have all others wait behind; so it is only tried,
 * for a moment, until the partition is a day overdue.
 */
#include "postgres.h"

#include "metrics/days.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_maintain_samples);

/* Partitions are made for today and as many days more. */
#define DAYS_AHEAD 2

/* How long the lock for dropping is tried for */
#define DROP_ATTEMPTS 50
#define DROP_PAUSE_MS 20

static TimestampTz
day_start(int32 day)
{
	return day * USECS_PER_DAY;
}

static char *
day_name(int32 day)
{
	int			year;
	int			month;
	int			mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return psprintf("%04d%02d%02d", year, month, mday);
}

/* Making ------------------------------------------------------------------ */

/* Is there a partition for a time? */
static bool
is_covered(Relation samples, TimestampTz ts)
{
	PartitionKey key = RelationGetPartitionKey(samples);
	PartitionDesc partitions = RelationGetPartitionDesc(samples, true);
	Datum		value = TimestampTzGetDatum(ts);
	bool		equal;
	int			bound;

	if (partitions->nparts == 0)
		return false;
	bound = partition_range_datum_bsearch(key->partsupfunc, key->partcollation,
										  partitions->boundinfo, 1, &value, &equal);
	return partitions->boundinfo->indexes[bound + 1] >= 0 ||
		partitions->boundinfo->default_index >= 0;
}

/* Keep of some days those that are not covered from their start to their end. */
static int
uncovered(Oid relid, int32 *days, int count)
{
	Relation	samples = table_open(relid, NoLock);
	int			kept = 0;

	for (int i = 0; i < count; i++)
	{
		if (!is_covered(samples, day_start(days[i])) ||
			!is_covered(samples, day_start(days[i] + 1) - 1))
			days[kept++] = days[i];
	}
	table_close(samples, NoLock);
	return kept;
}

/* Called as superuser, connected to SPI, under the creation lock. */
static void
make_partition(const MetricTables *tables, int32 day)
{
	char	   *name = psprintf("samples_%s", day_name(day));

	aggwin_spi_run(psprintf("CREATE TABLE aggwin.%s (LIKE aggwin.samples INCLUDING ALL EXCLUDING INDEXES)",
							name), SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("ALTER TABLE aggwin.%s OWNER TO %s", name,
							quote_identifier(GetUserNameFromId(tables->owner, false))),
				   SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("ALTER TABLE aggwin.samples ATTACH PARTITION aggwin.%s"
							" FOR VALUES FROM ('%s 00:00+00') TO ('%s 00:00+00')",
							name, day_name(day), day_name(day + 1)),
				   SPI_OK_UTILITY);
}

/*
 * See to it that days have partitions; days is changed. Called by who holds ROW
 * EXCLUSIVE on aggwin.samples. The number of those that were made.
 */
int
aggwin_ensure_days(const MetricTables *tables, int32 *days, int count)
{
	Sandbox		saved;

	count = uncovered(tables->samples, days, count);
	if (count == 0)
		return 0;

	/* With the lock comes the knowledge of what others have made. */
	aggwin_lock_creation(tables);
	count = uncovered(tables->samples, days, count);
	if (count == 0)
		return 0;
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_pin("default_tablespace", "");
	aggwin_pin("default_table_access_method", "heap");
	aggwin_pin("client_min_messages", "warning");
	for (int i = 0; i < count; i++)
		make_partition(tables, days[i]);
	aggwin_sandbox_leave(&saved);
	return count;
}

/* Dropping ---------------------------------------------------------------- */

/* Before this, all has expired; DT_NOBEGIN if nothing has. */
static TimestampTz
expired_before(TimestampTz now)
{
	bool		isnull;
	Datum		newest;

	if (aggwin_sample_retention == 0)
		return DT_NOBEGIN;
	aggwin_spi_run("SELECT max(ts) FROM aggwin.samples", SPI_OK_SELECT);
	newest = aggwin_spi_value(1, &isnull);
	if (isnull)
		return DT_NOBEGIN;
	return Min(now, DatumGetTimestampTz(newest)) - aggwin_sample_retention * USECS_PER_SEC;
}

/* The names of the partitions that end by a time, and when the first of them does. */
static List *
partitions_before(Oid relid, TimestampTz cutoff, TimestampTz *first_end)
{
	Relation	samples = table_open(relid, NoLock);
	PartitionDesc partitions = RelationGetPartitionDesc(samples, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	List	   *names = NIL;

	for (int i = 0; partitions->nparts > 0 && i < bounds->ndatums; i++)
	{
		TimestampTz end;

		/* Each bound has the partition that ends there. */
		if (bounds->indexes[i] < 0 || bounds->kind[i][0] != PARTITION_RANGE_DATUM_VALUE)
			continue;
		end = DatumGetTimestampTz(bounds->datums[i][0]);
		if (end > cutoff)
			break;
		if (names == NIL)
			*first_end = end;
		names = lappend(names, aggwin_relation_name(partitions->oids[bounds->indexes[i]]));
	}
	table_close(samples, NoLock);
	return names;
}

static bool
lock_for_drop(Oid samples, bool insist)
{
	for (int i = 0; i < DROP_ATTEMPTS; i++)
	{
		if (ConditionalLockRelationOid(samples, AccessExclusiveLock))
			return true;
		pg_usleep(DROP_PAUSE_MS * 1000L);
		CHECK_FOR_INTERRUPTS();
	}
	if (insist)
		LockRelationOid(samples, AccessExclusiveLock);
	return insist;
}

/*
 * Drop what ends by a time. False if others are in the way, and it can wait, or
 * may_wait says that this transaction must not.
 */
static bool
drop_before(const MetricTables *tables, TimestampTz cutoff, bool may_wait, int *count)
{
	TimestampTz first_end = 0;
	List	   *names = partitions_before(tables->samples, cutoff, &first_end);
	StringInfoData sql;
	Sandbox		saved;
	ListCell   *lc;

	*count = list_length(names);
	if (names == NIL)
		return true;
	if (!lock_for_drop(tables->samples, may_wait && cutoff - first_end >= USECS_PER_DAY))
		return false;
	initStringInfo(&sql);
	foreach(lc, names)
		appendStringInfo(&sql, "%s%s", sql.len == 0 ? "DROP TABLE " : ", ", (char *) lfirst(lc));
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run(sql.data, SPI_OK_UTILITY);
	aggwin_sandbox_leave(&saved);
	return true;
}

/* The function ------------------------------------------------------------ */

/* Of each metric and reason one row is enough. */
static void
sum_up_refused(void)
{
	aggwin_spi_run("WITH taken AS ("
				   "DELETE FROM aggwin.refused_sample AS r"
				   " USING (SELECT metric, reason FROM aggwin.refused_sample"
				   " GROUP BY metric, reason HAVING count(*) > 1) AS d"
				   " WHERE r.metric = d.metric AND r.reason = d.reason RETURNING r.*"
				   ") INSERT INTO aggwin.refused_sample (metric, reason, samples, refused_at)"
				   " SELECT t.metric, t.reason, sum(t.samples), max(t.refused_at)"
				   " FROM taken AS t GROUP BY t.metric, t.reason", SPI_OK_INSERT);
}

/* Called in a transaction, by whoever has the rights of the tables' owner. */
SampleUpkeep
aggwin_keep_up_samples(const MetricTables *tables)
{
	SampleUpkeep done = {0};
	TimestampTz now = GetCurrentTimestamp();
	int32		days[DAYS_AHEAD + 1];
	TimestampTz cutoff;
	Sandbox		saved;
	int			due;

	/* Two at once would be in each other's way. */
	LockDatabaseObject(tables->samples, 0, 0, ExclusiveLock);
	LockRelationOid(tables->samples, RowExclusiveLock);
	for (int i = 0; i <= DAYS_AHEAD; i++)
		days[i] = aggwin_day(now) + i;

	aggwin_spi_connect();
	done.created = aggwin_ensure_days(tables, days, lengthof(days));
	aggwin_become_owner(&saved, tables);
	sum_up_refused();
	cutoff = expired_before(now);
	aggwin_sandbox_leave(&saved);

	/* Who waits for the creation lock, if this transaction has it, is in the way. */
	if (drop_before(tables, cutoff, done.created == 0, &due))
		done.dropped = due;
	else
		done.waiting = due;
	aggwin_spi_finish();
	return done;
}

/*
 * aggwin.maintain_samples(): make partitions for today and the next two days,
 * drop those that are beyond aggwin.sample_retention. OUT: the number of those
 * made, of those dropped, and of those that are due but in use. For members of
 * the role that owns aggwin.samples.
 */
Datum
aggwin_maintain_samples(PG_FUNCTION_ARGS)
{
	MetricTables tables;
	SampleUpkeep done;
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false};

	aggwin_metric_tables(&tables);
	if (!has_privs_of_role(GetUserId(), tables.owner))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, "samples");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	done = aggwin_keep_up_samples(&tables);
	values[0] = Int32GetDatum(done.created);
	values[1] = Int32GetDatum(done.dropped);
	values[2] = Int32GetDatum(done.waiting);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
