/*
 * parts.c - the tables of a rollup
 */
#include "postgres.h"

#include "rollup/parts.h"

#include "access/table.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* Of delta and invalid; see aggwin_reserve_pages(). */
#define RESERVED_PAGES 64

/* Small and churned: vacuum by number of rows, and never cut readers. */
#define CHURN \
	"autovacuum_vacuum_scale_factor = 0," \
	" autovacuum_vacuum_threshold = 5000," \
	" autovacuum_vacuum_insert_threshold = -1," \
	" vacuum_truncate = off"

static void
give_to(const char *name, Oid owner)
{
	aggwin_spi_run(psprintf("ALTER TABLE aggwin.%s OWNER TO %s", name,
							quote_identifier(GetUserNameFromId(owner, false))),
				   SPI_OK_UTILITY);
}

/*
 * How full the pages of state are filled. A group is updated by each fold that
 * falls into its bucket; where there are several, half a page left free keeps
 * the updates on the page and out of the index.
 */
static int
state_fillfactor(const RollupSpec *spec, Datum refresh_interval)
{
	Oid			types[] = {INTERVALOID};
	bool		isnull;

	if (spec->width_type != INTERVALOID)
		return 70;
	aggwin_spi_run_args(psprintf("SELECT %s >= 4 * $1", spec->bucket_width),
						SPI_OK_SELECT, 1, types, &refresh_interval, NULL);
	return DatumGetBool(aggwin_spi_value(1, &isnull)) ? 50 : 90;
}

/*
 * Begin a table with empty pages, and say so to the planner. A plan that was
 * made while the table had few pages would read it from end to end, and go on
 * doing so when it is full of dead rows; with pages that hold nothing, the
 * index always looks better.
 */
void
aggwin_reserve_pages(Oid relid)
{
	Relation	rel = table_open(relid, ShareUpdateExclusiveLock);

	LockRelationForExtension(rel, ExclusiveLock);
	for (int i = 0; i < RESERVED_PAGES; i++)
	{
		Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, P_NEW,
												RBM_ZERO_AND_LOCK, NULL);

		START_CRIT_SECTION();
		PageInit(BufferGetPage(buffer), BufferGetPageSize(buffer), 0);
		MarkBufferDirty(buffer);
		/* Replayed alone, these would wipe out rows that nothing logs. */
		if (RelationNeedsWAL(rel))
			log_newpage_buffer(buffer, true);
		END_CRIT_SECTION();
		UnlockReleaseBuffer(buffer);
	}
	UnlockRelationForExtension(rel, ExclusiveLock);
	table_close(rel, NoLock);

	aggwin_spi_run(psprintf("UPDATE pg_class SET relpages = %d, reltuples = 0 WHERE oid = %u",
							RESERVED_PAGES, relid), SPI_OK_UPDATE);
	CommandCounterIncrement();
}

/*
 * Put a guard on one of a rollup's tables. Rows that are put into the table of
 * spans by hand can make nothing wrong that was right; there, the guard stands
 * behind those that take some away. Both are tables of schema aggwin. Called as
 * superuser.
 */
static void
create_guard(const char *table, int32 rollup_id)
{
	char	   *spans = psprintf("_invalid_%d", rollup_id);

	aggwin_spi_run(psprintf("CREATE TRIGGER aggwin_guard %s ON aggwin.%s"
							" FOR EACH STATEMENT EXECUTE FUNCTION aggwin.guard('%s')",
							strcmp(table, spans) == 0 ? "AFTER UPDATE OR DELETE OR TRUNCATE"
							: "BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE", table, spans),
				   SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("ALTER TABLE aggwin.%s ENABLE ALWAYS TRIGGER aggwin_guard", table),
				   SPI_OK_UTILITY);
}

/*
 * The key of state, the bucket first, since buckets are what readers ask for. Of
 * sessions, folds ask for those of one key, in order, and readers for those that
 * overlap some time.
 */
static void
create_state_indexes(const char *state, const RollupSpec *spec)
{
	StringInfoData keys;

	initStringInfo(&keys);
	if (spec->gap == NULL)
		appendStringInfoString(&keys, aggwin_sql_key_columns(spec, NULL));
	else
	{
		for (int i = 1; i < list_length(spec->keys); i++)
			appendStringInfo(&keys, "k%d, ", i);
		appendStringInfoString(&keys, "bucket");
	}
	aggwin_spi_run(psprintf("CREATE UNIQUE INDEX ON aggwin.%s (%s) NULLS NOT DISTINCT",
							state, keys.data), SPI_OK_UTILITY);
	if (spec->gap != NULL)
		aggwin_spi_run(psprintf("CREATE INDEX ON aggwin.%s USING gist (bucket)", state),
					   SPI_OK_UTILITY);
}

/*
 * Create state, delta and invalid of row->rollup_id, and set their ids in row.
 * Called as superuser; the tables are given to the owner at once.
 *
 * Partials are the last columns of each table, so that more can be added.
 */
void
aggwin_create_tables(RollupRow *row, const RollupSpec *spec, const char *state_columns,
					 const char *delta_columns, Oid owner, Datum refresh_interval)
{
	int32		id = row->rollup_id;
	char	   *state = psprintf("_state_%d", id);
	char	   *delta = psprintf("_delta_%d", id);
	char	   *invalid = psprintf("_invalid_%d", id);

	/* aggwin_reserve_pages() makes pages of this kind. */
	aggwin_pin("default_table_access_method", "heap");

	aggwin_spi_run(psprintf("CREATE TABLE aggwin.%s (captured_at timestamptz NOT NULL,"
							" xid xid8 NOT NULL, %s) WITH (" CHURN ")",
							delta, delta_columns), SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("CREATE TABLE aggwin.%s (%s) WITH (fillfactor = %d)",
							state, state_columns, state_fillfactor(spec, refresh_interval)),
				   SPI_OK_UTILITY);
	create_state_indexes(state, spec);
	aggwin_spi_run(psprintf("ALTER TABLE aggwin.%s ALTER xid SET (n_distinct = -1)", delta),
				   SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("CREATE INDEX ON aggwin.%s (xid)", delta), SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("CREATE TABLE aggwin.%s (kind \"char\" NOT NULL, level smallint NOT NULL,"
							" spans %s NOT NULL, nulls boolean NOT NULL, buckets bigint, error text, keys text[],"
							" captured_at timestamptz NOT NULL, xid xid8 NOT NULL) WITH (" CHURN ")",
							invalid, spec->time->multirange), SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("CREATE INDEX ON aggwin.%s (xid)", invalid), SPI_OK_UTILITY);

	create_guard(state, id);
	create_guard(delta, id);
	create_guard(invalid, id);
	give_to(state, owner);
	give_to(delta, owner);
	give_to(invalid, owner);
	row->state = aggwin_relid(state);
	row->delta = aggwin_relid(delta);
	row->invalid = aggwin_relid(invalid);
	aggwin_reserve_pages(row->delta);
	aggwin_reserve_pages(row->invalid);
}

/*
 * Create state and delta of a tier above the base, whose keys are set, and set
 * their ids. Called as superuser; the tables are given to the owner at once.
 */
void
aggwin_create_tier_tables(const RollupRow *row, Tier *tier, const RollupSpec *spec,
						  Oid owner)
{
	char	   *state = psprintf("_state_%d_%d", row->rollup_id, tier->level);
	char	   *delta = psprintf("_delta_%d_%d", row->rollup_id, tier->level);

	aggwin_pin("default_table_access_method", "heap");
	aggwin_spi_run(psprintf("CREATE TABLE aggwin.%s (LIKE %s) WITH (fillfactor = 50)",
							state, aggwin_relation_name(row->state)), SPI_OK_UTILITY);
	for (int i = 1; i < list_length(spec->keys); i++)
	{
		if (!list_member_int(aggwin_tier_keys(spec, tier), i))
			aggwin_spi_run(psprintf("ALTER TABLE aggwin.%s DROP COLUMN k%d", state, i),
						   SPI_OK_UTILITY);
	}
	aggwin_spi_run(psprintf("CREATE TABLE aggwin.%s (LIKE aggwin.%s) WITH (" CHURN ")",
							delta, state), SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("CREATE UNIQUE INDEX ON aggwin.%s (%s) NULLS NOT DISTINCT",
							state, aggwin_sql_key_columns(spec, tier)), SPI_OK_UTILITY);
	create_guard(state, row->rollup_id);
	create_guard(delta, row->rollup_id);
	give_to(state, owner);
	give_to(delta, owner);
	tier->state_relid = aggwin_relid(state);
	tier->delta_relid = aggwin_relid(delta);
	tier->state = aggwin_relation_name(tier->state_relid);
	tier->delta = aggwin_relation_name(tier->delta_relid);
}
