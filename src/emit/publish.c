/*
 * publish.c - one revision of one window: computed, stored, told of
 *
 * A revision is a complete set of rows. Those of revision 0 have op 'insert';
 * later ones say of each row how it differs from the revision before, and hold
 * the rows that have vanished once more, as 'delete':
 *
 *      revision 0         revision 1
 *      1 insert a 5       1 insert c 6     new
 *      2 insert b 3       2 update a 5     another rank
 *                         2 delete b 3
 *
 * The rows, their line in aggwin.emission and the notification are of one
 * transaction, and so is what the step stores in aggwin.window at its end.
 */
#include "postgres.h"

#include "emit/publish.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "core/spi_util.h"
#include "emit/bounds.h"
#include "emit/plans.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* A payload must be shorter than 8000 bytes; the rows go along if they fit. */
#define MAX_PAYLOAD 7900

/* Rows that could fit into a payload at all */
#define MAX_PAYLOAD_ROWS 500

/* A commit must not fail for a full queue, so none is made where it is this full. */
#define MAX_QUEUE_USAGE 0.9

/* One revision under way */
typedef struct Revision
{
	Publisher  *publisher;
	WindowBounds bounds;
	int32		number;
	const char *sql;
	int			nargs;
	Oid		   *types;
	Datum	   *values;
	TimestampTz emitted_at;
	uint64		written;
	uint64		rows;			/* of the window: those written but the deleted */
} Revision;

/* As superuser: the bookkeeping. */
static void
run_as_superuser(const Publisher *publisher, const char *sql, int expected, int nargs,
				 Oid *types, Datum *values)
{
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	aggwin_emit_run(publisher->snapshot, sql, expected, nargs, types, values, NULL);
	aggwin_sandbox_leave(&saved);
}

static void
run_query(void *arg)
{
	Revision   *revision = arg;

	aggwin_emit_run(revision->publisher->snapshot, revision->sql, SPI_OK_INSERT,
					revision->nargs, revision->types, revision->values, NULL);
	revision->written = SPI_processed;
}

/* Write the rows of a revision, as the window's owner. */
static void
write_rows(Revision *revision)
{
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, revision->publisher->window->owner, true);
	aggwin_with_bounds(&revision->bounds, run_query, revision);
	aggwin_sandbox_leave(&saved);
}

/* Notifications ------------------------------------------------------------*/

/* What is sent, with the rows or without them. */
static char *
payload(const Revision *revision, bool with_rows)
{
	const Publisher *publisher = revision->publisher;
	const WindowRow *window = publisher->window;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT8OID, INT8OID};
	Datum		values[] = {
		CStringGetTextDatum(aggwin_relation_name(window->output)),
		TimestampTzGetDatum(revision->bounds.start), TimestampTzGetDatum(revision->bounds.end),
		Int32GetDatum(revision->number), Int64GetDatum(publisher->position),
		Int64GetDatum(revision->rows)
	};
	char	   *start = aggwin_sql_utc(window->time, "$2");
	char	   *end = aggwin_sql_utc(window->time, "$3");
	char	   *rows = "";
	Sandbox		saved;
	bool		isnull;
	char	   *result;

	if (with_rows)
		rows = psprintf(", 'rows', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.rank, r.op), '[]')"
						" FROM (SELECT o.rank, o.op, %s FROM %s AS o"
						" WHERE o.window_start = %s AND o.revision = $4 AND o.op <> 'none') AS r)",
						aggwin_column_list("o", publisher->columns),
						aggwin_relation_name(window->output), start);
	aggwin_sandbox_enter(&saved, window->owner, true);
	aggwin_emit_run(publisher->snapshot,
					psprintf("SELECT jsonb_build_object('window', $1, 'window_start', %s, 'window_end', %s,"
							 " 'revision', $4, 'position', $5, 'count', $6%s)::text", start, end, rows),
					SPI_OK_SELECT, lengthof(types), types, values, NULL);
	result = TextDatumGetCString(aggwin_spi_value(1, &isnull));
	aggwin_sandbox_leave(&saved);
	return result;
}

static void
notify(const Revision *revision)
{
	Publisher  *publisher = revision->publisher;
	char	   *text = NULL;

	if (DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, 0)) > MAX_QUEUE_USAGE)
	{
		publisher->not_notified++;
		return;
	}
	if (revision->written <= MAX_PAYLOAD_ROWS)
		text = payload(revision, true);
	if (text == NULL || strlen(text) > MAX_PAYLOAD)
		text = payload(revision, false);
	Async_Notify(get_rel_name(publisher->window->output), text);
}

/* Bookkeeping --------------------------------------------------------------*/

static void
record(Revision *revision)
{
	Publisher  *publisher = revision->publisher;
	Oid			types[] = {INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT8OID, INT8OID,
	TIMESTAMPTZOID};
	Datum		values[] = {
		Int32GetDatum(publisher->window->window_id),
		TimestampTzGetDatum(revision->bounds.start), TimestampTzGetDatum(revision->bounds.end),
		Int32GetDatum(revision->number), Int64GetDatum(++publisher->position),
		Int64GetDatum(revision->rows), TimestampTzGetDatum(revision->emitted_at)
	};

	run_as_superuser(publisher, "INSERT INTO aggwin.emission"
					 " (window_id, window_start, window_end, revision, position, rows, emitted_at)"
					 " VALUES ($1, $2, $3, $4, $5, $6, $7)",
					 SPI_OK_INSERT, lengthof(types), types, values);
	if (publisher->window->notify)
		notify(revision);
}

/* The last revision of a window, -1 if none was published. */
static int32
last_revision(const Publisher *publisher, TimestampTz start)
{
	Oid			types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(publisher->window->window_id), TimestampTzGetDatum(start)};
	bool		isnull;

	run_as_superuser(publisher, "SELECT coalesce(max(e.revision), -1) FROM aggwin.emission AS e"
					 " WHERE e.window_id = $1 AND e.window_start = $2",
					 SPI_OK_SELECT, lengthof(types), types, values);
	return DatumGetInt32(aggwin_spi_value(1, &isnull));
}

/* Revisions ----------------------------------------------------------------*/

/*
 * Publish the window that ends at this time for the first time; nothing, if it
 * is empty, unless that is to be told, too. Returns the number of its rows.
 */
int64
aggwin_publish_final(Publisher *publisher, TimestampTz end, bool even_if_empty)
{
	const WindowRow *window = publisher->window;
	Oid			types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[3];
	Revision	revision = {
		.publisher = publisher,
		.bounds = {end - window->size, end},
		.emitted_at = GetCurrentTimestamp(),
		.nargs = lengthof(types), .types = types, .values = values,
	};

	values[0] = TimestampTzGetDatum(revision.bounds.start);
	values[1] = TimestampTzGetDatum(end);
	values[2] = TimestampTzGetDatum(revision.emitted_at);
	revision.sql = psprintf("INSERT INTO %1$s (window_start, window_end, revision, rank, op, %2$s, emitted_at)"
							" SELECT %3$s, %4$s, 0, row_number() OVER (), 'insert', %5$s, $3"
							" FROM %6$s AS q",
							aggwin_relation_name(window->output),
							aggwin_column_list(NULL, publisher->columns),
							aggwin_sql_utc(window->time, "$1"), aggwin_sql_utc(window->time, "$2"),
							aggwin_column_list("q", publisher->columns), publisher->from);
	write_rows(&revision);
	revision.rows = revision.written;
	if (revision.rows > 0 || even_if_empty)
	{
		record(&revision);
		publisher->closed++;
	}
	return revision.rows;
}

/* How many rows the window has by a revision that was written. */
static uint64
count_rows(const Revision *revision)
{
	const WindowRow *window = revision->publisher->window;
	Oid			types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {TimestampTzGetDatum(revision->bounds.start), Int32GetDatum(revision->number)};
	Sandbox		saved;
	bool		isnull;
	int64		rows;

	aggwin_sandbox_enter(&saved, window->owner, true);
	aggwin_emit_run(revision->publisher->snapshot,
					psprintf("SELECT count(*) FROM %s AS o WHERE o.window_start = %s"
							 " AND o.revision = $2 AND o.op <> 'delete'",
							 aggwin_relation_name(window->output), aggwin_sql_utc(window->time, "$1")),
					SPI_OK_SELECT, lengthof(types), types, values, NULL);
	rows = DatumGetInt64(aggwin_spi_value(1, &isnull));
	aggwin_sandbox_leave(&saved);
	return rows;
}

/* The columns that tell rows apart, as k1, k2 or as they are. */
static char *
key_list(const WindowRow *window, const char *alias, bool named)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	if (window->keys == NIL)
		appendStringInfo(&s, ", %s.rank%s", alias, named ? " AS k1" : "");
	foreach(lc, window->keys)
	{
		appendStringInfo(&s, ", %s.%s", alias, quote_identifier(lfirst(lc)));
		if (named)
			appendStringInfo(&s, " AS k%d", foreach_current_index(lc) + 1);
	}
	return s.data;
}

/* Those names again. */
static char *
key_names(const WindowRow *window)
{
	StringInfoData s;

	initStringInfo(&s);
	for (int i = 0; i < Max(list_length(window->keys), 1); i++)
		appendStringInfo(&s, ", k%d", i + 1);
	return s.data;
}

/* Each column of the new row, or of the old one where that has vanished. */
static char *
columns_of_either(const List *columns)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	foreach(lc, columns)
		appendStringInfo(&s, ", CASE WHEN p.new_rank IS NULL THEN o.%1$s ELSE n.%1$s END AS %1$s",
						 quote_identifier(lfirst(lc)));
	return s.data;
}

/* One side of the comparison; rows of equal keys are numbered. */
static char *
side(const WindowRow *window, const char *alias, const char *table, bool is_new)
{
	return psprintf("SELECT %1$s AS is_new, %2$s.rank, row_number() OVER (PARTITION BY %3$s"
					" ORDER BY %2$s.rank) AS twin%4$s FROM %5$s AS %2$s",
					is_new ? "true" : "false", alias, key_list(window, alias, false) + 2,
					key_list(window, alias, true), table);
}

/*
 * The rows of a window now against those of its last revision, $3, written as
 * its revision $4; none if they are the same. Keys need not be unique: rows of
 * equal keys are told apart by their order.
 */
static char *
difference_sql(const Publisher *publisher)
{
	const WindowRow *window = publisher->window;
	char	   *columns = aggwin_column_list(NULL, publisher->columns);
	char	   *output = aggwin_relation_name(window->output);
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "WITH new AS MATERIALIZED (SELECT row_number() OVER () AS rank, %s FROM %s AS q),",
					 aggwin_column_list("q", publisher->columns), publisher->from);
	appendStringInfo(&s, " old AS MATERIALIZED (SELECT x.rank, %s FROM %s AS x"
					 " WHERE x.window_start = %s AND x.revision = $3 AND x.op <> 'delete'),",
					 aggwin_column_list("x", publisher->columns), output,
					 aggwin_sql_utc(window->time, "$1"));
	appendStringInfo(&s, " sides AS (%s UNION ALL %s),",
					 side(window, "n", "new", true), side(window, "o", "old", false));
	appendStringInfo(&s, " pairs AS (SELECT max(rank) FILTER (WHERE is_new) AS new_rank,"
					 " max(rank) FILTER (WHERE NOT is_new) AS old_rank"
					 " FROM sides GROUP BY twin%s),", key_names(window));
	appendStringInfo(&s, " ops AS MATERIALIZED (SELECT coalesce(p.new_rank, p.old_rank) AS rank,"
					 " CASE WHEN p.old_rank IS NULL THEN 'insert' WHEN p.new_rank IS NULL THEN 'delete'"
					 " WHEN record_image_ne(ROW(n.*), ROW(o.*)) THEN 'update' ELSE 'none' END AS op%s"
					 " FROM pairs AS p LEFT JOIN new AS n ON n.rank = p.new_rank"
					 " LEFT JOIN old AS o ON o.rank = p.old_rank)",
					 columns_of_either(publisher->columns));
	appendStringInfo(&s, " INSERT INTO %s (window_start, window_end, revision, rank, op, %s, emitted_at)"
					 " SELECT %s, %s, $4, x.rank, x.op, %s, $5 FROM ops AS x"
					 " WHERE EXISTS (SELECT FROM ops AS y WHERE y.op <> 'none')",
					 output, columns, aggwin_sql_utc(window->time, "$1"),
					 aggwin_sql_utc(window->time, "$2"), aggwin_column_list("x", publisher->columns));
	return s.data;
}

/*
 * Publish the next revision of a window that was closed, if it differs from the
 * last one; the first, if the window was passed over because it was empty. False
 * if it still is, and nothing of it has ever been published.
 */
bool
aggwin_publish_revision(Publisher *publisher, TimestampTz end)
{
	const WindowRow *window = publisher->window;
	int32		last = last_revision(publisher, end - window->size);
	Oid			types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID, TIMESTAMPTZOID};
	Datum		values[5];
	Revision	revision = {
		.publisher = publisher,
		.bounds = {end - window->size, end},
		.number = last + 1,
		.emitted_at = GetCurrentTimestamp(),
		.nargs = lengthof(types), .types = types, .values = values,
	};

	if (last < 0)
		return aggwin_publish_final(publisher, end, false) > 0;
	values[0] = TimestampTzGetDatum(revision.bounds.start);
	values[1] = TimestampTzGetDatum(end);
	values[2] = Int32GetDatum(last);
	values[3] = Int32GetDatum(revision.number);
	values[4] = TimestampTzGetDatum(revision.emitted_at);
	revision.sql = difference_sql(publisher);
	write_rows(&revision);
	if (revision.written > 0)
	{
		revision.rows = count_rows(&revision);
		record(&revision);
		publisher->revised++;
	}
	return true;
}
