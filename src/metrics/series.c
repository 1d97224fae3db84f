/*
 * series.c - finding and making series
 *
 * Series are looked up by hash under the latest snapshot. Those that are not
 * there are made under the creation lock (tables.c), after another look:
 *
 *		look up ──all there──▶ done
 *		   │ some missing
 *		   ▼
 *		lock, look up these again ──all there──▶ done
 *		   │ some missing
 *		   ▼
 *		insert what aggwin.max_new_series allows
 *
 * The lock is held to the end of the transaction. Others that see new series
 * meanwhile wait for it, so a long transaction should not be the first to name
 * series that others name, too.
 *
 * aggwin.metric has for each name the hour by the clock in which it got series
 * last, and how many. A clock that is set back does not begin an hour anew.
 */
#include "postgres.h"

#include "metrics/series.h"

#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "metrics/series_cache.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* Those keys that have no number yet, as arrays for SQL. */
typedef struct Missing
{
	int			count;
	int		   *places;			/* of keys */
	Datum		hashes;			/* bytea[] */
	Datum		metrics;		/* text[] */
	Datum		labels;			/* jsonb[] */
} Missing;

static Datum
bytea_of(const uint8 *bytes, int length)
{
	bytea	   *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), bytes, length);
	return PointerGetDatum(result);
}

static Datum
array_of(Datum *values, int count, Oid type)
{
	return PointerGetDatum(construct_array(values, count, type, -1, false, TYPALIGN_INT));
}

static void
find_missing(SeriesKey **keys, int count, const int64 *series_ids, Missing *missing)
{
	Datum	   *hashes = palloc(count * sizeof(Datum));
	Datum	   *metrics = palloc(count * sizeof(Datum));
	Datum	   *labels = palloc(count * sizeof(Datum));
	int			n = 0;

	missing->places = palloc(count * sizeof(int));
	for (int i = 0; i < count; i++)
	{
		if (series_ids[i] != 0)
			continue;
		missing->places[n] = i;
		hashes[n] = bytea_of(keys[i]->hash, sizeof(keys[i]->hash));
		metrics[n] = CStringGetTextDatum(keys[i]->metric);
		labels[n] = JsonbPGetDatum(keys[i]->labels);
		n++;
	}
	missing->count = n;
	missing->hashes = array_of(hashes, n, BYTEAOID);
	missing->metrics = array_of(metrics, n, TEXTOID);
	missing->labels = array_of(labels, n, JSONBOID);
}

/* Take the numbers from the last result: place in missing, number. */
static void
take_numbers(const Missing *missing, int64 *series_ids)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int64		place = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
														SPI_tuptable->tupdesc, 1, &isnull));

		series_ids[missing->places[place - 1]] =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
look_up(SeriesKey **keys, int count, int64 *series_ids)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {BYTEAARRAYOID, TEXTARRAYOID};
	Datum		values[2];
	Missing		missing;
	int			guc_level;

	find_missing(keys, count, series_ids, &missing);
	if (missing.count == 0)
		return;

	values[0] = missing.hashes;
	values[1] = missing.metrics;
	/* By index, however small the table looks and however many are asked for. */
	guc_level = NewGUCNestLevel();
	aggwin_pin("enable_hashjoin", "off");
	aggwin_pin("enable_mergejoin", "off");
	aggwin_pin("enable_seqscan", "off");
	aggwin_run_latest(&plan, "SELECT k.place, CASE WHEN m.derived THEN -1 ELSE s.series_id END"
					  " FROM unnest($1, $2) WITH ORDINALITY AS k(hash, metric, place)"
					  " LEFT JOIN aggwin.series AS s ON s.hash = k.hash"
					  " LEFT JOIN aggwin.metric AS m ON m.metric = k.metric"
					  " WHERE s.series_id IS NOT NULL OR m.derived",
					  SPI_OK_SELECT, lengthof(types), types, values);
	AtEOXact_GUC(false, guc_level);
	take_numbers(&missing, series_ids);
}

/* Count the missing series that have been made since. */
static void
count_made(SeriesKey **keys, const int64 *series_ids, const Missing *missing, Datum hour)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {0, hour};
	Datum	   *made = palloc(missing->count * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < missing->count; i++)
	{
		if (series_ids[missing->places[i]] != 0)
			made[n++] = CStringGetTextDatum(keys[missing->places[i]]->metric);
	}
	if (n == 0)
		return;
	values[0] = array_of(made, n, TEXTOID);
	aggwin_run_latest(&plan, "UPDATE aggwin.metric AS m"
					  " SET new_series = k.n + CASE WHEN m.series_hour >= $2 THEN m.new_series ELSE 0 END,"
					  " series_hour = greatest(m.series_hour, $2)"
					  " FROM (SELECT u.metric, count(*)::int AS n FROM unnest($1) AS u(metric) GROUP BY u.metric) AS k"
					  " WHERE m.metric = k.metric",
					  SPI_OK_UPDATE, lengthof(types), types, values);
}

/* Under the creation lock: make those that have no number, as far as allowed. */
static void
make_missing(SeriesKey **keys, int count, int64 *series_ids)
{
	static SPIPlanPtr insert_metrics = NULL;
	static SPIPlanPtr insert_series = NULL;
	Oid			types[] = {TEXTARRAYOID, BYTEAARRAYOID, JSONBARRAYOID, INT4OID, TIMESTAMPTZOID};
	Datum		values[lengthof(types)];
	TimestampTz now = GetCurrentTimestamp();
	Missing		missing;

	find_missing(keys, count, series_ids, &missing);
	if (missing.count == 0)
		return;
	values[0] = missing.metrics;
	values[1] = missing.hashes;
	values[2] = missing.labels;
	values[3] = Int32GetDatum(aggwin_max_new_series);
	values[4] = TimestampTzGetDatum(now - now % USECS_PER_HOUR);

	aggwin_run_latest(&insert_metrics, "INSERT INTO aggwin.metric (metric, family)"
					  " SELECT DISTINCT k.metric, k.metric FROM unnest($1) AS k(metric)"
					  " WHERE NOT EXISTS (SELECT FROM aggwin.metric AS m WHERE m.metric = k.metric)",
					  SPI_OK_INSERT, 1, types, values);
	aggwin_run_latest(&insert_series, "WITH allowed AS ("
					  "SELECT k.metric, k.hash, k.labels, k.place FROM ("
					  "SELECT u.*, row_number() OVER (PARTITION BY u.metric ORDER BY u.place) AS nth"
					  " FROM unnest($1, $2, $3) WITH ORDINALITY AS u(metric, hash, labels, place)) AS k"
					  " JOIN aggwin.metric AS m ON m.metric = k.metric"
					  " WHERE $4 = 0 OR k.nth <= $4 - CASE WHEN m.series_hour >= $5 THEN m.new_series ELSE 0 END"
					  "), made AS ("
					  "INSERT INTO aggwin.series (metric, labels)"
					  " SELECT a.metric, a.labels FROM allowed AS a ORDER BY a.place"
					  " RETURNING series_id, hash"
					  ") SELECT a.place, s.series_id FROM made AS s JOIN allowed AS a ON a.hash = s.hash",
					  SPI_OK_SELECT, lengthof(types), types, values);
	take_numbers(&missing, series_ids);
	aggwin_series_cache_distrust();

	count_made(keys, series_ids, &missing, values[4]);
}

/*
 * The numbers of series, all different. Made where they are not there, zero where
 * aggwin.max_new_series forbids that, AGGWIN_DERIVED_SERIES where a pipeline makes them. Called as the tables' owner, connected to
 * SPI, by who holds ROW EXCLUSIVE on aggwin.samples.
 */
void
aggwin_resolve_series(const MetricTables *tables, SeriesKey **keys, int count, int64 *series_ids)
{
	memset(series_ids, 0, count * sizeof(int64));
	look_up(keys, count, series_ids);
	for (int i = 0; i < count; i++)
	{
		if (series_ids[i] == 0)
		{
			aggwin_lock_creation(tables);
			look_up(keys, count, series_ids);
			make_missing(keys, count, series_ids);
			break;
		}
	}
}
