/*
 * ddl_end.c - following commands on sources and rollups, at their end
 *
 * Changes after which capture could not see all rows are refused. Where a
 * trigger is disabled or replaced, the rollups of the source fall dormant:
 * everything is invalid until the triggers are back (fold.c). A new owner of the
 * view becomes owner of all the parts.
 *
 * A command that touches nothing of a rollup's, as almost all do, is found out by
 * one query. Where that errs, then on the side of looking closer.
 */
#include "postgres.h"

#include "rollup/events.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "rollup/catalog.h"
#include "rollup/ddl.h"
#include "rollup/spec.h"
#include "rollup/sql.h"
#include "rollup/triggers.h"

PG_FUNCTION_INFO_V1(aggwin_on_ddl);

/* SQL: the triggers of an alias t are capture's */
#define IS_CAPTURE "t.tgfoid IN ('aggwin.capture()'::regprocedure, 'aggwin.capture_row()'::regprocedure)"

/*
 * Tables that the command was about, directly or through a trigger, and what
 * would be their source.
 */
#define TOUCHED_TABLES \
	"(SELECT t.relid, t.tgoid, " ROOT_OF("t.relid") "::oid AS source FROM (" \
	"SELECT CASE d.classid WHEN 'pg_trigger'::regclass THEN t.tgrelid ELSE d.objid END AS relid, t.oid AS tgoid" \
	" FROM pg_event_trigger_ddl_commands() AS d" \
	" LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid" \
	" WHERE d.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass)) AS t)"

/* Every relation of every rollup, with its first view and the view that shows it. */
#define ROLLUP_PARTS \
	"(SELECT r.view AS base, r.view AS shown," \
	" unnest(ARRAY[r.view, r.definition, r.state, r.delta, r.invalid])::oid AS relid FROM aggwin.rollup AS r" \
	" UNION ALL SELECT r.view, t.view, unnest(ARRAY[t.view, t.state, t.delta])::oid" \
	" FROM aggwin.rollup AS r JOIN aggwin.tier AS t ON t.rollup_id = r.rollup_id WHERE t.level > 0)"

/*
 * Did the command touch anything that what follows could be about? A source, or
 * a table in its tree, or one that inherits from it or it from that; a relation of
 * a rollup; a subscription; a trigger that captures.
 */
static bool
concerns_rollups(void)
{
	static KeptSql touched = {
		.sql = "SELECT FROM (SELECT d.classid, d.objid, CASE d.classid"
		" WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger AS t WHERE t.oid = d.objid)"
		" WHEN 'pg_rewrite'::regclass THEN (SELECT w.ev_class FROM pg_rewrite AS w WHERE w.oid = d.objid)"
		" ELSE d.objid END AS relid FROM pg_event_trigger_ddl_commands() AS d"
		" WHERE d.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass,"
		" 'pg_subscription'::regclass)) AS o"
		" WHERE o.classid = 'pg_subscription'::regclass"
		" OR (o.classid = 'pg_trigger'::regclass"
		" AND EXISTS (SELECT FROM pg_trigger AS t WHERE t.oid = o.objid AND " IS_CAPTURE "))"
		" OR EXISTS (SELECT FROM aggwin.rollup AS r"
		" WHERE o.relid IN (r.source, r.view, r.definition, r.state, r.delta, r.invalid))"
		" OR EXISTS (SELECT FROM aggwin.rollup AS r WHERE r.source = " ROOT_OF("o.relid::regclass") ")"
		" OR EXISTS (SELECT FROM aggwin.tier AS t WHERE o.relid IN (t.view, t.state, t.delta))"
		" OR EXISTS (SELECT FROM pg_inherits AS i JOIN aggwin.rollup AS r ON r.source = i.inhparent"
		" WHERE i.inhrelid = o.relid)"
		" OR EXISTS (SELECT FROM pg_inherits AS i JOIN aggwin.rollup AS r ON r.source = i.inhrelid"
		" WHERE i.inhparent = o.relid)",
	};

	return aggwin_spi_run_kept(&touched, SPI_OK_SELECT, NULL) > 0;
}

/* Sources that would not be accepted today; the check tells why. */
static void
refuse_bad_sources(void)
{
	static KeptSql refused = {
		.sql = "SELECT DISTINCT r.source::oid FROM " TOUCHED_TABLES " AS d, aggwin.rollup AS r"
		" JOIN pg_class AS c ON c.oid = r.source"
		" WHERE (d.relid = r.source"
		" AND (c.relrowsecurity OR c.relispartition OR c.relpersistence <> 'p'"
		" OR EXISTS (SELECT FROM pg_inherits AS i WHERE r.source IN (i.inhparent, i.inhrelid))))"
		" OR (d.source <> r.source AND EXISTS (SELECT FROM pg_inherits AS i"
		" WHERE (i.inhrelid, i.inhparent) IN ((d.relid, r.source), (r.source, d.relid))))",
	};
	static KeptSql inside = {
		.sql = "SELECT DISTINCT d.relid FROM " TOUCHED_TABLES " AS d"
		" JOIN aggwin.rollup AS r ON r.source = d.source"
		" WHERE d.relid <> r.source",
	};
	List	   *sources;
	List	   *partitions;
	ListCell   *lc;

	aggwin_spi_run_kept(&refused, SPI_OK_SELECT, NULL);
	sources = aggwin_spi_column(1);
	aggwin_spi_run_kept(&inside, SPI_OK_SELECT, NULL);
	partitions = aggwin_spi_column(1);
	foreach(lc, sources)
		aggwin_check_source(lfirst_oid(lc));
	foreach(lc, partitions)
		aggwin_check_partition(lfirst_oid(lc));
}

/* Sources whose partitions may have come or gone. */
static void
follow_partitions(void)
{
	static KeptSql partitioned = {
		.sql = "SELECT DISTINCT d.source FROM " TOUCHED_TABLES " AS d"
		" JOIN pg_class AS c ON c.oid = d.source WHERE c.relkind = 'p'",
	};

	aggwin_spi_run_kept(&partitioned, SPI_OK_SELECT, NULL);
	aggwin_follow_result();
}

/* Sources that a subscription may have begun to write to. */
static void
follow_subscriptions(void)
{
	static KeptSql fed = {
		.sql = "SELECT DISTINCT r.source::oid FROM pg_event_trigger_ddl_commands() AS d, aggwin.rollup AS r"
		" WHERE d.classid = 'pg_subscription'::regclass UNION "
		"SELECT r.source::oid FROM " TOUCHED_TABLES " AS d JOIN aggwin.rollup AS r ON r.source = d.source",
	};
	List	   *sources;
	ListCell   *lc;

	aggwin_spi_run_kept(&fed, SPI_OK_SELECT, NULL);
	sources = aggwin_spi_column(1);
	foreach(lc, sources)
		aggwin_follow_subscriptions(lfirst_oid(lc));
}

/* One trigger an event, under its own name: more would count rows twice. */
static void
refuse_own_triggers(void)
{
	/* tgtype of an AFTER trigger: the bits of its events, 1 for each row */
	static KeptSql foreign = {
		.sql = "SELECT FROM " TOUCHED_TABLES " AS d"
		" JOIN pg_trigger AS t ON t.oid = d.tgoid"
		" WHERE " IS_CAPTURE
		" AND (t.tgqual IS NOT NULL OR"
		" (t.tgfoid = 'aggwin.capture()'::regprocedure) IS DISTINCT FROM (t.tgname <> 'aggwin_capture_row') OR"
		" (t.tgname, t.tgtype, coalesce(t.tgoldtable, ''), coalesce(t.tgnewtable, '')) NOT IN ("
		"('aggwin_capture_insert', 4, '', '" AGGWIN_NEW_ROWS "'),"
		" ('aggwin_capture_delete', 8, '" AGGWIN_OLD_ROWS "', ''),"
		" ('aggwin_capture_update', 16, '" AGGWIN_OLD_ROWS "', '" AGGWIN_NEW_ROWS "'),"
		" ('aggwin_capture_truncate', 32, '', ''),"
		" ('aggwin_capture_row', 29, '', '')))",
	};

	if (aggwin_spi_run_kept(&foreign, SPI_OK_SELECT, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("triggers that call aggwin.capture() or aggwin.capture_row() are made by aggwin only"),
				 errhint("Their names and definitions cannot be changed.")));
}

/*
 * Whoever enables a capture trigger again means it to fire in all sessions, the
 * one for rows where subscriptions are applied.
 */
static void
enable_always(void)
{
	static KeptSql enabled = {
		.sql = "SELECT DISTINCT t.tgrelid::regclass::text, quote_ident(t.tgname),"
		" CASE t.tgfoid WHEN 'aggwin.capture()'::regprocedure THEN 'ALWAYS' ELSE 'REPLICA' END"
		" FROM " TOUCHED_TABLES " AS d"
		" JOIN aggwin.rollup AS r ON r.source = d.source"
		" JOIN pg_trigger AS t ON t.tgrelid = d.relid"
		" WHERE " IS_CAPTURE
		" AND t.tgenabled = 'O'",
	};

	aggwin_spi_run_kept(&enabled, SPI_OK_SELECT, NULL);
	aggwin_enable_result();
}

/*
 * Rollups whose source no longer captures everything: all is invalid. Written
 * each time, also where a row says so already: a fold that does not know of
 * this command yet may be about to take that one away.
 */
static void
make_dormant(void)
{
	static KeptSql blind = {
		.sql = "SELECT DISTINCT r.invalid::oid FROM " TOUCHED_TABLES " AS d"
		" JOIN aggwin.rollup AS r ON r.source = d.source"
		" WHERE NOT aggwin.captures_everything(r.source) AND " TAKEN_UP,
	};

	aggwin_spi_run_kept(&blind, SPI_OK_SELECT, NULL);
	aggwin_invalidate_result();
}

/* The one view that aggwin itself is about to replace. */
static Oid	replaced_view = InvalidOid;

/* Replace a view of a rollup by this command. */
void
aggwin_replace_view(Oid view, const char *sql)
{
	replaced_view = view;
	PG_TRY();
	{
		aggwin_spi_run(sql, SPI_OK_UTILITY);
	}
	PG_FINALLY();
	{
		replaced_view = InvalidOid;
	}
	PG_END_TRY();
}

/*
 * CREATE OR REPLACE VIEW, or RULE "_RETURN", on a rollup's view would show
 * something else, and on its definition compute what nobody has checked.
 * Before PostgreSQL 16, such a rule even makes a view of an empty table.
 */
static void
refuse_replaced_views(void)
{
	static KeptSql replaced = {
		.sql = "SELECT part.shown::oid FROM pg_event_trigger_ddl_commands() AS d"
		" LEFT JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid"
		" JOIN " ROLLUP_PARTS " AS part"
		" ON part.relid = CASE WHEN d.classid = 'pg_class'::regclass AND d.command_tag = 'CREATE VIEW'"
		" THEN d.objid WHEN w.ev_type = '1' THEN w.ev_class END"
		" WHERE part.relid <> $1",
		.nargs = 1,
		.types = {OIDOID},
	};
	Datum		values[] = {ObjectIdGetDatum(replaced_view)};

	if (aggwin_spi_run_kept(&replaced, SPI_OK_SELECT, values) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot replace view %s, which shows a rollup",
					aggwin_relation_name(linitial_oid(aggwin_spi_column(1)))),
			 errhint("Use aggwin.drop_rollup() and aggwin.create_rollup().")));
}

/* Parts whose owner is not the view's. */
static void
follow_owners(void)
{
	static KeptSql strays = {
		.sql = "SELECT p.oid::regclass::text, v.relowner::regrole::text FROM " ROLLUP_PARTS " AS part"
		" JOIN pg_class AS v ON v.oid = part.base"
		" JOIN pg_class AS p ON p.oid = part.relid"
		" WHERE p.relowner <> v.relowner",
	};
	uint64		parts;
	SPITupleTable *table;

	parts = aggwin_spi_run_kept(&strays, SPI_OK_SELECT, NULL);
	table = SPI_tuptable;
	for (uint64 i = 0; i < parts; i++)
		aggwin_spi_run(psprintf("ALTER TABLE %s OWNER TO %s",
								SPI_getvalue(table->vals[i], table->tupdesc, 1),
								SPI_getvalue(table->vals[i], table->tupdesc, 2)),
					   SPI_OK_UTILITY);
}

Datum
aggwin_on_ddl(PG_FUNCTION_ARGS)
{
	PartsSeen	seen;
	Sandbox		saved;

	aggwin_check_event_trigger(fcinfo);
	seen = aggwin_look_at_parts();
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	if (concerns_rollups())
	{
		refuse_bad_sources();
		follow_partitions();
		follow_subscriptions();
		refuse_own_triggers();
		refuse_replaced_views();
		enable_always();
		make_dormant();
	}
	if (seen.other_owner)
		follow_owners();
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}
