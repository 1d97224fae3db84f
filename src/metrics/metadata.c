/*
 * metadata.c - types, units and help texts of metrics
 *
 * They belong to the names that samples have: of a histogram's family "d" these
 * are d_bucket, d_count and d_sum. What was said last counts, and what is not said
 * stays. A type that changes to another is counted and logged, since answers that
 * span the change mix both. What pipelines write is what they say it is.
 *
 * Locking: only where something is new or differs is the creation lock taken
 * (tables.c); scrapes repeat themselves.
 */
#include "postgres.h"

#include "metrics/metadata.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define COLUMNS 5

static void
make_arrays(const Metadata *metadata, int count, Datum *arrays)
{
	for (int column = 0; column < COLUMNS; column++)
	{
		ArrayBuildState *array = initArrayResult(TEXTOID, CurrentMemoryContext, false);

		for (int i = 0; i < count; i++)
		{
			const Metadata *m = &metadata[i];
			const char *value = ((const char *const[]) {m->metric, m->family, m->type, m->help, m->unit})[column];

			accumArrayResult(array, value != NULL ? CStringGetTextDatum(value) : 0, value == NULL,
							 TEXTOID, CurrentMemoryContext);
		}
		arrays[column] = makeArrayResult(array, CurrentMemoryContext);
	}
}

#define SAID " FROM unnest($1, $2, $3, $4, $5) AS k(metric, family, type, help, unit)"
#define DIFFERS \
	" NOT m.derived AND (m.family, m.type, m.help, m.unit) IS DISTINCT FROM" \
	" (k.family, coalesce(k.type, m.type), coalesce(k.help, m.help), coalesce(k.unit, m.unit))"

static bool
is_stored(Oid *types, Datum *arrays)
{
	static SPIPlanPtr plan = NULL;

	return aggwin_run_latest(&plan, "SELECT" SAID " LEFT JOIN aggwin.metric AS m ON m.metric = k.metric"
							 " WHERE m.metric IS NULL OR" DIFFERS " LIMIT 1",
							 SPI_OK_SELECT, COLUMNS, types, arrays) == 0;
}

static void
update(Oid *types, Datum *arrays)
{
	static SPIPlanPtr plan = NULL;
	uint64		changed;

	changed = aggwin_run_latest(&plan, "UPDATE aggwin.metric AS m SET family = k.family,"
								" type = coalesce(k.type, m.type), help = coalesce(k.help, m.help),"
								" unit = coalesce(k.unit, m.unit),"
								" type_changes = m.type_changes + x.changes::int,"
								" type_changed_at = CASE WHEN x.changes THEN clock_timestamp() ELSE m.type_changed_at END"
								SAID " JOIN aggwin.metric AS o ON o.metric = k.metric"
								", LATERAL (SELECT o.type NOT IN ('unknown', k.type) AND k.type <> 'unknown'"
								" AND k.type IS NOT NULL AS changes) AS x"
								" WHERE m.metric = k.metric AND" DIFFERS
								" RETURNING m.metric, o.type, m.type, x.changes",
								SPI_OK_UPDATE_RETURNING, COLUMNS, types, arrays);
	for (uint64 i = 0; i < changed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		if (DatumGetBool(SPI_getbinval(row, desc, 4, &isnull)) && !isnull)
			ereport(LOG,
					(errmsg("the type of metric \"%s\" has changed from %s to %s",
							SPI_getvalue(row, desc, 1), SPI_getvalue(row, desc, 2),
							SPI_getvalue(row, desc, 3))));
	}
}

/*
 * Store what is said of metrics, each of them once. Called by who holds ROW
 * EXCLUSIVE on aggwin.samples.
 */
void
aggwin_store_metadata(const MetricTables *tables, const Metadata *metadata, int count)
{
	static SPIPlanPtr insert_plan = NULL;
	Oid			types[COLUMNS] = {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum		arrays[COLUMNS];
	Sandbox		saved;

	if (count == 0)
		return;
	make_arrays(metadata, count, arrays);
	aggwin_spi_connect();
	aggwin_become_owner(&saved, tables);
	if (!is_stored(types, arrays))
	{
		aggwin_lock_creation(tables);
		update(types, arrays);
		aggwin_run_latest(&insert_plan, "INSERT INTO aggwin.metric (metric, family, type, help, unit)"
						  " SELECT k.metric, k.family, coalesce(k.type, 'unknown'), k.help, k.unit" SAID
						  " WHERE NOT EXISTS (SELECT FROM aggwin.metric AS m WHERE m.metric = k.metric)",
						  SPI_OK_INSERT, COLUMNS, types, arrays);
	}
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
}
