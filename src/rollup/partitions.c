/*
 * partitions.c - following the partitions of a source
 *
 * aggwin.source_partition lists, for each rollup, the tables below its source,
 * with the spans of event time that each can hold: when one is gone, nobody
 * else knows. After any command that may have changed the tree, the list is
 * compared with the tree:
 *
 *   in the tree only   has been created or attached. It gets triggers; if it
 *                      holds rows, its spans are invalid.
 *   in the list only   has been dropped or detached. Its spans are frozen: they
 *                      are never repaired, since their rows are gone from the
 *                      source. If the table is still there, it loses the
 *                      triggers; if it is empty, nothing is frozen.
 *
 * So it does not matter which command it was, or how many levels came or went.
 *
 * Locking: what follows a tree takes a lock of its own (table
 * aggwin.source_partition, source) till the end of the transaction, when it
 * finds a difference; it was read without. So nobody takes for gone what another
 * transaction has just attached. The tables themselves were locked by the command
 * that attached or detached them.
 *
 * The list is part of a dump. Where it was not restored, everything is new.
 *
 * Everything is read under the latest snapshot: a transaction with an older one
 * still changes the tree for all.
 */
#include "postgres.h"

#include "rollup/partitions.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "rollup/capture_write.h"
#include "rollup/counted.h"
#include "rollup/partition_spans.h"
#include "rollup/triggers.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/* The list ---------------------------------------------------------------- */

/* Run a statement under the latest snapshot; $1 is the rollup's id, $2 tables. */
static uint64
run(const char *sql, int expected, int32 rollup_id, List *tables)
{
	Oid			types[] = {INT4OID, OIDARRAYOID};
	Datum	   *oids = palloc(list_length(tables) * sizeof(Datum));
	Datum		values[2];
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SPIPlanPtr	plan = aggwin_spi_prepare(sql, lengthof(types), types);
	int			i = 0;
	ListCell   *lc;

	foreach(lc, tables)
		oids[i++] = ObjectIdGetDatum(lfirst_oid(lc));
	values[0] = Int32GetDatum(rollup_id);
	values[1] = PointerGetDatum(construct_array(oids, i, OIDOID, sizeof(Oid), true,
												TYPALIGN_INT));
	aggwin_spi_check(SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot,
										  false, true, 0), expected, sql);
	SPI_freeplan(plan);
	UnregisterSnapshot(snapshot);
	return SPI_processed;
}

/* What the list has for a rollup, in the order of OIDs. */
static List *
listed(const RollupRow *row)
{
	List	   *tables;

	run("SELECT p.relid::oid FROM aggwin.source_partition AS p WHERE p.rollup_id = $1 AND $2 IS NOT NULL",
		SPI_OK_SELECT, row->rollup_id, NIL);
	tables = aggwin_spi_column(1);
	list_sort(tables, list_oid_cmp);
	return tables;
}

/* What is below a source, in the order of OIDs. */
static List *
tree_below(Oid source)
{
	List	   *tables = list_delete_first(find_all_inheritors(source, NoLock, NULL));

	list_sort(tables, list_oid_cmp);
	return tables;
}

/* The elements of a that are not in b; both are sorted. */
static List *
only_in(const List *a, const List *b)
{
	List	   *result = NIL;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, a)
	{
		while (i < list_length(b) && list_nth_oid(b, i) < lfirst_oid(lc))
			i++;
		if (i == list_length(b) || list_nth_oid(b, i) != lfirst_oid(lc))
			result = lappend_oid(result, lfirst_oid(lc));
	}
	return result;
}

/*
 * Put tables into the list, and anew into it those whose spans depend on what
 * else there is.
 */
static void
enlist(const RollupRow *row, const RollupSpec *spec, List *fresh, List *tree)
{
	StringInfoData sql;
	const char *separator = "";
	List	   *again = NIL;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO aggwin.source_partition (rollup_id, relid, spans, nulls)"
					 " SELECT $1, v.relid, CASE WHEN v.spans IS NOT NULL THEN %s END, v.nulls FROM (VALUES ",
					 aggwin_sql_partition_spans(spec, "v.spans"));
	foreach(lc, tree)
	{
		Oid			table = lfirst_oid(lc);
		bool		is_fresh = list_member_oid(fresh, table);
		PartitionTime time = aggwin_partition_time(spec, table);

		if (!is_fresh && !time.by_default)
			continue;
		if (!is_fresh)
			again = lappend_oid(again, table);
		/* Rows are in the tables below it. */
		if (get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE)
		{
			time.spans = "'{}'";
			time.nulls = false;
		}
		appendStringInfo(&sql, "%s(%u, (%s)::%s, %s)", separator, table,
						 time.spans ? time.spans : "NULL", spec->time->multirange,
						 time.nulls ? "true" : "false");
		separator = ", ";
	}
	appendStringInfoString(&sql, ") AS v(relid, spans, nulls) WHERE $2 IS NOT NULL");

	if (again != NIL)
		run("DELETE FROM aggwin.source_partition WHERE rollup_id = $1 AND relid = ANY ($2)",
			SPI_OK_DELETE, row->rollup_id, again);
	if (separator[0] != '\0')
		run(sql.data, SPI_OK_INSERT, row->rollup_id, NIL);
}

/*
 * What some tables of the list hold together. False if that is nothing; spans
 * is 0 if it is anything.
 */
static bool
united(const RollupRow *row, const RollupSpec *spec, List *tables,
	   Oid *spans_type, Datum *spans, bool *nulls)
{
	bool		isnull;
	bool		anything;

	run(psprintf("SELECT u.spans, u.nulls, u.anything, u.spans <> '{}' OR u.nulls OR u.anything FROM ("
				 "SELECT range_agg(p.spans::%s) AS spans, bool_or(p.nulls) AS nulls,"
				 " bool_or(p.spans IS NULL) AS anything"
				 " FROM aggwin.source_partition AS p WHERE p.rollup_id = $1 AND p.relid = ANY ($2)) AS u",
				 spec->time->multirange),
		SPI_OK_SELECT, row->rollup_id, tables);
	if (!DatumGetBool(aggwin_spi_value(4, &isnull)) || isnull)
		return false;
	*spans_type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
	*spans = aggwin_spi_value(1, &isnull);
	*nulls = DatumGetBool(aggwin_spi_value(2, &isnull));
	anything = DatumGetBool(aggwin_spi_value(3, &isnull));
	if (anything)
		*spans = 0;
	return true;
}

/* Comings and goings ------------------------------------------------------ */

static bool
has_rows(Oid table)
{
	Relation	rel;
	bool		result;

	if (get_rel_relkind(table) != RELKIND_RELATION)
		return false;
	rel = table_open(table, AccessShareLock);
	result = RelationGetNumberOfBlocks(rel) > 0;
	table_close(rel, AccessShareLock);
	return result;
}

static void
invalidate_fresh(const RollupRow *row, const RollupSpec *spec, List *fresh)
{
	List	   *filled = NIL;
	Oid			spans_type;
	Datum		spans;
	bool		nulls;
	ListCell   *lc;

	foreach(lc, fresh)
	{
		if (has_rows(lfirst_oid(lc)))
			filled = lappend_oid(filled, lfirst_oid(lc));
	}
	if (filled == NIL || !united(row, spec, filled, &spans_type, &spans, &nulls))
		return;
	aggwin_counts_not_in(row, spans_type, spans, nulls);
	if (spans == 0)
		aggwin_invalid_write_all(row->invalid);
	else
		aggwin_invalid_write(row->invalid, spans_type, spans, nulls, NULL, 0, NULL);
}

/*
 * SQL of all event time up to the end of the newest bucket that there is, or
 * of the present one. Nothing that came from a partition lies beyond.
 */
static char *
up_to_now(const RollupSpec *spec, const RollupNames *names)
{
	StringInfoData s;
	const char *bucket = spec->gap != NULL ? "upper(b.bucket)" : "b.bucket";
	char	   *finite = spec->time->clock ? psprintf("WHERE isfinite(%s)", bucket) : "";
	const Tier *base = aggwin_tier(names, 0);

	initStringInfo(&s);
	appendStringInfo(&s, "(SELECT CASE WHEN count(*) = 0 THEN '{}' ELSE %s(%s(NULL, max(t.until))) END FROM (",
					 spec->time->multirange, spec->time->range);
	if (spec->time->clock != NULL)
		appendStringInfo(&s, "SELECT %s AS until UNION ALL ",
						 aggwin_sql_bucket_end(spec, base, spec->time->clock));
	appendStringInfo(&s, "(SELECT coalesce(%1$s, %5$s) AS until FROM %2$s AS b %4$s ORDER BY %6$s DESC NULLS LAST LIMIT 1)"
					 " UNION ALL (SELECT coalesce(%1$s, %5$s) FROM %3$s AS b %4$s ORDER BY %6$s DESC NULLS LAST LIMIT 1)) AS t)",
					 aggwin_sql_bucket_end(spec, base, bucket), base->state, base->delta,
					 finite, spec->time->highest, bucket);
	return s.data;
}

/*
 * Freeze spans, of all event time if spans is 0, as far as there are buckets.
 * One row holds all that is frozen; alone tells that another one may be added.
 *
 * Done as the rollup's owner, to whom the table belongs.
 */
static void
freeze(const RollupRow *row, const RollupSpec *spec, Oid spans_type, Datum spans,
	   bool nulls, bool alone)
{
	RollupNames names = aggwin_rollup_names(row);
	Oid			types[] = {spans_type, BOOLOID};
	Datum		values[] = {spans, BoolGetDatum(nulls)};
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Sandbox		saved;
	SPIPlanPtr	plan;
	char	   *old;
	char	   *sql;
	bool		isnull;

	old = psprintf(alone ? "DELETE FROM %s AS i WHERE i.xid = " AGGWIN_LAST_XID
				   " AND i.kind = 'f' AND i.level = 0 RETURNING i.spans, i.nulls"
				   : "SELECT i.spans, i.nulls FROM %s AS i WHERE false", names.invalid);

	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(row), true);
	sql = psprintf("WITH old AS (%1$s), was AS (SELECT coalesce(range_agg(o.spans), '{}') AS spans,"
				   " coalesce(bool_or(o.nulls), false) AS nulls FROM old AS o),"
				   " new AS (SELECT coalesce($1, '{(,)}') * %2$s AS spans, $2 AS nulls),"
				   " frozen AS (INSERT INTO %3$s (kind, level, spans, nulls, captured_at, xid)"
				   " SELECT 'f', 0, was.spans + new.spans, was.nulls OR new.nulls, now(), " AGGWIN_LAST_XID
				   " FROM was, new WHERE was.spans + new.spans <> '{}' OR was.nulls OR new.nulls)"
				   " SELECT EXISTS (SELECT FROM %3$s AS i, was, new WHERE i.kind = 'i' AND i.level = 0"
				   " AND (i.spans && (new.spans - was.spans) OR i.nulls AND new.nulls AND NOT was.nulls))",
				   old, up_to_now(spec, &names), names.invalid);
	plan = aggwin_spi_prepare(sql, lengthof(types), types);
	aggwin_spi_check(SPI_execute_snapshot(plan, values, spans == 0 ? "n " : "  ", snapshot,
										  InvalidSnapshot, false, true, 0), SPI_OK_SELECT, sql);
	UnregisterSnapshot(snapshot);
	if (DatumGetBool(aggwin_spi_value(1, &isnull)))
		ereport(WARNING,
				(errmsg("rollup %s keeps what it had folded of the partition's rows",
						aggwin_relation_name(row->view)),
				 errdetail("Changes of these rows were still to be taken over and are lost for the rollup."),
				 errhint("Call aggwin.refresh() before a partition is dropped or detached.")));
	aggwin_sandbox_leave(&saved);
}

/* Is a table of the list about to be detached concurrently? */
static bool
detach_is_pending(Oid table)
{
	List	   *ancestors = get_partition_ancestors(table);

	/* A table that is detached for good is no partition any more. */
	return get_rel_relispartition(ancestors != NIL ? llast_oid(ancestors) : table);
}

/*
 * A restore brings a source's partitions, and their triggers, before the list
 * of them. What is new to that one is found out when the rollup is taken up.
 */
static bool
is_taken_up(const RollupRow *row)
{
	return run("SELECT FROM aggwin.tier AS t WHERE t.rollup_id = $1 AND t.level = 0"
			   " AND t.folded IS NOT NULL AND $2 IS NOT NULL",
			   SPI_OK_SELECT, row->rollup_id, NIL) > 0;
}

static void
follow_for(const RollupRow *row, List *tree, FollowReason reason,
		   List **all_fresh, List **all_gone)
{
	List	   *list = listed(row);
	List	   *fresh = is_taken_up(row) ? only_in(tree, list) : NIL;
	List	   *gone = NIL;
	List	   *held = NIL;
	RollupSpec *spec;
	Sandbox		saved;
	Oid			spans_type;
	Datum		spans;
	bool		nulls;
	ListCell   *lc;

	foreach(lc, only_in(list, tree))
	{
		if (!detach_is_pending(lfirst_oid(lc)))
		{
			gone = lappend_oid(gone, lfirst_oid(lc));
			/* Whether a table that was dropped held rows is not known. */
			if (get_rel_relkind(lfirst_oid(lc)) == '\0' || has_rows(lfirst_oid(lc)))
				held = lappend_oid(held, lfirst_oid(lc));
		}
	}
	if (fresh == NIL && gone == NIL)
		return;

	/* To read a definition may run functions that its author has written. */
	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(row), true);
	spec = aggwin_load_spec(row->definition);
	aggwin_sandbox_leave(&saved);

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	if (gone != NIL)
	{
		if (united(row, spec, held, &spans_type, &spans, &nulls))
			freeze(row, spec, spans_type, spans, nulls, true);
		run("DELETE FROM aggwin.source_partition WHERE rollup_id = $1 AND relid = ANY ($2)",
			SPI_OK_DELETE, row->rollup_id, gone);
	}
	enlist(row, spec, fresh, tree);
	if (reason != FOLLOW_CREATED)
		invalidate_fresh(row, spec, fresh);
	aggwin_sandbox_leave(&saved);

	*all_fresh = list_concat_unique_oid(*all_fresh, fresh);
	*all_gone = list_concat_unique_oid(*all_gone, gone);
}

static bool
differs(List *rows, List *tree)
{
	ListCell   *lc;

	foreach(lc, rows)
	{
		if (!equal(listed(lfirst(lc)), tree))
			return true;
	}
	return false;
}

/*
 * Follow what has come and gone below a source. The caller is connected to SPI.
 */
void
aggwin_follow_partitions(Oid source, FollowReason reason)
{
	List	   *rows = NIL;
	List	   *tree;
	List	   *fresh = NIL;
	List	   *gone = NIL;
	ListCell   *lc;

	foreach(lc, aggwin_rollups_of(source))
	{
		if (aggwin_rollup_is_whole(lfirst(lc)))
			rows = lappend(rows, lfirst(lc));
	}
	if (rows == NIL)
		return;

	PushActiveSnapshot(GetLatestSnapshot());
	tree = tree_below(source);
	if (differs(rows, tree))
	{
		LockDatabaseObject(aggwin_relid("source_partition"), source, 0, ExclusiveLock);
		PopActiveSnapshot();
		PushActiveSnapshot(GetLatestSnapshot());
		tree = tree_below(source);
		foreach(lc, rows)
			follow_for(lfirst(lc), tree, reason, &fresh, &gone);
	}
	PopActiveSnapshot();

	if (reason == FOLLOW_DDL)
	{
		foreach(lc, fresh)
			aggwin_create_triggers(lfirst_oid(lc));
	}
	foreach(lc, gone)
	{
		if (get_rel_relkind(lfirst_oid(lc)) != '\0')
			aggwin_drop_triggers(lfirst_oid(lc));
	}
}

/*
 * Freeze what a partition, with all below it, holds: it is about to be detached
 * concurrently, which commits before anything can be done about it. The rows
 * of others that are frozen are left alone, for to wait for them here, or to
 * have them wait, could end in a deadlock.
 */
void
aggwin_freeze_partition(Oid partition, Oid source)
{
	List	   *tables = find_all_inheritors(partition, NoLock, NULL);
	ListCell   *lc;

	foreach(lc, aggwin_rollups_of(source))
	{
		const RollupRow *row = lfirst(lc);
		RollupSpec *spec;
		Sandbox		saved;
		Oid			spans_type;
		Datum		spans;
		bool		nulls;

		if (!aggwin_rollup_is_whole(row))
			continue;
		aggwin_sandbox_enter(&saved, aggwin_rollup_owner(row), true);
		spec = aggwin_load_spec(row->definition);
		aggwin_sandbox_leave(&saved);
		aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
		if (united(row, spec, tables, &spans_type, &spans, &nulls))
			freeze(row, spec, spans_type, spans, nulls, false);
		aggwin_sandbox_leave(&saved);
	}
}

/* TRUNCATE -------------------------------------------------------------------- */

/*
 * A table was truncated: what it holds is invalid. TRUNCATE fires the triggers of
 * a partitioned table and of all below it, where the rows are.
 */
void
aggwin_capture_truncate(const RollupRow *row, const RollupSpec *spec, Oid table)
{
	PartitionTime time = {NULL, true, false};
	Sandbox		saved;
	bool		isnull;

	if (get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE)
		return;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	if (table != spec->source)
		time = aggwin_partition_time(spec, table);
	if (time.spans == NULL)
		aggwin_invalid_write_all(row->invalid);
	else
	{
		aggwin_spi_connect();
		aggwin_spi_run(psprintf("SELECT %s", aggwin_sql_partition_spans(spec, time.spans)),
					   SPI_OK_SELECT);
		aggwin_invalid_write(row->invalid, SPI_gettypeid(SPI_tuptable->tupdesc, 1),
							 aggwin_spi_value(1, &isnull), time.nulls, NULL, 0, NULL);
		aggwin_spi_finish();
	}
	aggwin_sandbox_leave(&saved);
}
