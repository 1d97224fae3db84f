/*
 * window.c - reading the table aggwin.window
 *
 * Locking: whoever changes a row holds the lock of the rollup that the window
 * reads (catalog.c in the folder of rollups), so that there is one at a time:
 * a step that closes windows, a fold, or a command.
 */
#include "postgres.h"

#include "emit/window.h"

#include "access/relation.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "rollup/catalog.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

static Datum
column(int number, bool *isnull)
{
	return aggwin_spi_value(number, isnull);
}

static Oid
oid_column(int number)
{
	bool		isnull;

	return DatumGetObjectId(column(number, &isnull));
}

static int64
int64_column(int number)
{
	bool		isnull;

	return DatumGetInt64(column(number, &isnull));
}

static bool
bool_column(int number)
{
	bool		isnull;

	return DatumGetBool(column(number, &isnull));
}

static TimestampTz
time_column(int number)
{
	bool		isnull;
	Datum		value = column(number, &isnull);

	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

static List *
names_column(int number)
{
	bool		isnull;
	Datum	   *names;
	int			count;
	List	   *list = NIL;

	deconstruct_array(DatumGetArrayTypeP(column(number, &isnull)), TEXTOID, -1, false,
					  TYPALIGN_INT, &names, NULL, &count);
	for (int i = 0; i < count; i++)
		list = lappend(list, TextDatumGetCString(names[i]));
	return list;
}

/* Read the catalog, whatever the caller's search_path says. */
static uint64
read_catalog(const char *sql, Oid type, Datum value)
{
	Sandbox		saved;
	uint64		rows;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	rows = aggwin_spi_run_args(sql, SPI_OK_SELECT, 1, &type, &value, NULL);
	aggwin_sandbox_leave(&saved);
	return rows;
}

#define MICROSECONDS(column) "(extract(epoch FROM w." column ") * 1000000)::bigint"

/*
 * The row, in the memory of the SPI connection, or NULL if the window, or any
 * of its relations, is gone. The private ones are found by their names: a dump
 * may bring them after the row.
 */
WindowRow *
aggwin_find_window(int32 window_id)
{
	WindowRow  *row;
	AttrNumber	start;
	bool		isnull;

	if (read_catalog("SELECT w.output, w.latest, w.rollup, w.keys,"
							" " MICROSECONDS("size") ", " MICROSECONDS("period") ", w.origin,"
							" " MICROSECONDS("grace") ", " MICROSECONDS("retention") ","
							" " MICROSECONDS("idle_timeout") ", w.emit = 'changes', w.notify, w.paused,"
							" w.from_first, w.first_end, w.closed_to, w.watermark, w.active_at,"
							" w.latest_start, w.position, w.bucket, w.last_emission, w.revised_to, w.touched_by IS NOT NULL"
							" FROM aggwin.window AS w WHERE w.window_id = $1"
							" AND (SELECT count(*) FROM pg_class AS c WHERE c.oid IN (w.output, w.rollup)) = 2",
							INT4OID, Int32GetDatum(window_id)) == 0)
		return NULL;
	row = palloc0(sizeof(WindowRow));
	row->window_id = window_id;
	row->definition = get_relname_relid(psprintf("_window_%d", window_id), aggwin_schema());
	row->panes = get_relname_relid(psprintf("_panes_%d", window_id), aggwin_schema());
	if (!OidIsValid(row->definition) || !OidIsValid(row->panes))
		return NULL;
	row->output = oid_column(1);
	row->latest = oid_column(2);
	row->rollup = oid_column(3);
	row->keys = names_column(4);
	row->size = int64_column(5);
	row->period = int64_column(6);
	row->origin = time_column(7);
	row->grace = int64_column(8);
	row->retention = int64_column(9);
	row->idle_timeout = int64_column(10);
	row->changes = bool_column(11);
	row->notify = bool_column(12);
	row->paused = bool_column(13);
	row->from_first = bool_column(14);
	row->first_end = time_column(15);
	row->closed_to = time_column(16);
	row->watermark = time_column(17);
	row->active_at = time_column(18);
	row->latest_start = time_column(19);
	row->position = int64_column(20);
	row->bucket = get_attname(row->rollup, DatumGetInt16(column(21, &isnull)), false);
	row->last_emission = time_column(22);
	row->revised_to = time_column(23);
	row->takes_turns = bool_column(24);
	/* Whoever owns the output owns the window. */
	row->owner = aggwin_relation_owner(row->output);
	start = get_attnum(row->output, "window_start");
	if (start == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table %s has no column \"window_start\" any more",
						aggwin_relation_name(row->output)),
				 errhint("Columns of a window's table must not be renamed or dropped; rename it back.")));
	row->time = aggwin_time_type(get_atttype(row->output, start));
	return row;
}

/* The row of an id that has been looked up; an error if it is gone since. */
WindowRow *
aggwin_get_window(int32 window_id)
{
	WindowRow  *row = aggwin_find_window(window_id);

	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the window output was dropped by another session")));
	return row;
}

/*
 * The id of the window that users know by its output table. must_own: only its
 * owner (or a member of the owning role) may pass.
 */
int32
aggwin_window_of_output(Oid output, bool must_own)
{
	char	   *name = get_rel_name(output);
	bool		isnull;

	if (name == NULL ||
		read_catalog("SELECT w.window_id FROM aggwin.window AS w WHERE w.output = $1",
					 OIDOID, ObjectIdGetDatum(output)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 name ? errmsg("\"%s\" is not a window output", name)
				 : errmsg("relation with OID %u does not exist", output),
				 errhint("See the view aggwin.windows for the window outputs that there are.")));
	if (must_own && !compat_owns_relation(output, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of window output %s", name)));
	return DatumGetInt32(aggwin_spi_value(1, &isnull));
}

/* The ids of the windows that read a rollup, or a tier of it, as a list of OIDs. */
List *
aggwin_windows_of(int32 rollup_id)
{
	read_catalog("SELECT w.window_id FROM aggwin.window AS w"
				 " WHERE w.rollup IN (" AGGWIN_VIEWS_OF("$1") ") ORDER BY w.window_id",
				 INT4OID, Int32GetDatum(rollup_id));
	return aggwin_spi_column(1);
}

/* The columns of the window's query, in order. */
List *
aggwin_window_columns(const WindowRow *window)
{
	Relation	definition = relation_open(window->definition, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(definition);
	List	   *columns = NIL;

	for (int i = 0; i < desc->natts; i++)
		columns = lappend(columns, pstrdup(NameStr(TupleDescAttr(desc, i)->attname)));
	relation_close(definition, AccessShareLock);
	return columns;
}

/* "a.x, a.y", with an alias or without. */
char *
aggwin_column_list(const char *alias, List *columns)
{
	StringInfoData s;
	const char *separator = "";
	ListCell   *lc;

	initStringInfo(&s);
	foreach(lc, columns)
	{
		appendStringInfoString(&s, separator);
		if (alias)
			appendStringInfo(&s, "%s.", alias);
		appendStringInfoString(&s, quote_identifier(lfirst(lc)));
		separator = ", ";
	}
	return s.data;
}

/* The last time that is not after this one at which a window ends. */
TimestampTz
aggwin_grid_end(const WindowRow *window, TimestampTz time)
{
	int64		offset = (time - window->origin) % window->period;

	return time - offset - (offset < 0 ? window->period : 0);
}
