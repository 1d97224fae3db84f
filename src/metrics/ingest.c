/*
 * ingest.c - storing samples, many at a time
 *
 * A batch collects samples and writes them when it has MAX_SAMPLES of them, or too
 * many or too long series that this backend does not know, and at its end:
 *
 *		bytes that the series came as
 *		   │ found in the cache            │ not found
 *		   ▼                               ▼
 *		number > 0                      handle < 0, the place among new series
 *		   └──────────────┬────────────────┘
 *		              (handle, ts, value) …
 *		                  │ flush: resolve new series, replace handles, sort,
 *		                  ▼        drop repeated ones, make partitions, write
 *		             aggwin.samples
 *
 * What is not stored is counted in aggwin.refused_sample, or is an error, as
 * aggwin.refused_samples says. Rows are appended there, so that ingestions do not
 * wait for each other's counters.
 *
 * Of samples with one series and time the last counts, or the first, as
 * aggwin.duplicate_samples says. A sample that is there already, with the same bits,
 * is not written: to send everything once more costs no repair of a rollup.
 *
 * Locking: ROW EXCLUSIVE on aggwin.samples from the beginning, see series_cache.c.
 * Series and partitions are made before the rows are written, and these are
 * written in the order of the primary key: transactions of one flush each never
 * wait for each other in a circle.
 */
#include "postgres.h"

#include "metrics/ingest.h"

#include "core/guc.h"
#include "core/spi_util.h"
#include "metrics/days.h"
#include "metrics/series.h"
#include "metrics/series_cache.h"
#include "metrics/write.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_SAMPLES 131072
#define MAX_NEW 8192
#define MAX_NEW_BYTES (16 * 1024 * 1024)

struct IngestBatch
{
	MemoryContext context;		/* of the batch */
	MemoryContext flush_context;	/* emptied by each flush */
	MetricTables tables;
	TimestampTz now;
	TimestampTz oldest;			/* samples before are refused */
	TimestampTz newest;			/* and after */
	int64		taken;			/* neither refused nor waiting */

	Sample	   *samples;
	int			count;
	int			capacity;

	SeriesMap  *learned;		/* bytes to handles of what follows */
	SeriesKey **fresh;			/* in flush_context */
	int			fresh_count;
	int			fresh_capacity;
	Size		fresh_bytes;
	SeriesMap  *hashes;			/* the same by hash */

	int32	   *days;			/* some day twice, but not twice in a row */
	int			day_count;
	int			day_capacity;

	RefusedSamples *refused;
};

/* Beginning --------------------------------------------------------------- */

static void
set_limits(IngestBatch *batch)
{
	int64		past = aggwin_max_past * USECS_PER_SEC;

	if (aggwin_sample_retention > 0 && (past == 0 || past > aggwin_sample_retention * USECS_PER_SEC))
		past = aggwin_sample_retention * USECS_PER_SEC;
	batch->oldest = AGGWIN_FIRST_DAY * USECS_PER_DAY;
	if (past > 0)
		batch->oldest = Max(batch->oldest, batch->now - past);
	batch->newest = Min(batch->now + aggwin_max_future * USECS_PER_SEC,
						(AGGWIN_LAST_DAY + 1) * USECS_PER_DAY - 1);
}

static void
begin_filling(IngestBatch *batch)
{
	MemoryContextReset(batch->flush_context);
	batch->count = 0;
	batch->day_count = 0;
	batch->fresh_count = 0;
	batch->fresh = NULL;
	batch->fresh_capacity = 0;
	batch->fresh_bytes = 0;
}

/*
 * Begin a batch in a child of a memory context. An error if metrics are not
 * enabled. All of the batch's samples are stored in this transaction, by
 * aggwin_ingest_end(); nothing has to be done after an error, or to forget it, but
 * to delete the context.
 */
IngestBatch *
aggwin_ingest_begin(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "aggwin ingest", ALLOCSET_DEFAULT_SIZES);
	IngestBatch *batch = MemoryContextAllocZero(context, sizeof(IngestBatch));
	MemoryContext old_context = MemoryContextSwitchTo(context);

	batch->context = context;
	batch->flush_context = AllocSetContextCreate(context, "aggwin flush", ALLOCSET_DEFAULT_SIZES);
	aggwin_metric_tables(&batch->tables);
	LockRelationOid(batch->tables.samples, RowExclusiveLock);
	aggwin_series_cache_use(batch->tables.series);

	batch->now = GetCurrentTimestamp();
	set_limits(batch);
	batch->capacity = 256;
	batch->samples = palloc(batch->capacity * sizeof(Sample));
	batch->day_capacity = 16;
	batch->days = palloc(batch->day_capacity * sizeof(int32));
	batch->learned = aggwin_series_map_create(context);
	batch->hashes = aggwin_series_map_create(context);
	batch->refused = aggwin_refused_create(context);
	begin_filling(batch);
	MemoryContextSwitchTo(old_context);
	return batch;
}

/*
 * An error unless the user may INSERT into aggwin.sample_input. Where that is done
 * the server has asked for the right already, maybe for another role.
 */
void
aggwin_ingest_check_rights(const IngestBatch *batch)
{
	AclResult	acl = pg_class_aclcheck(batch->tables.input, GetUserId(), ACL_INSERT);

	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_VIEW, "sample_input");
}

const MetricTables *
aggwin_ingest_tables(const IngestBatch *batch)
{
	return &batch->tables;
}

/* The clock at the batch's beginning. */
TimestampTz
aggwin_ingest_now(const IngestBatch *batch)
{
	return batch->now;
}

/* Writing ----------------------------------------------------------------- */

static int
compare_samples(const void *a, const void *b)
{
	const Sample *x = a;
	const Sample *y = b;

	if (x->handle != y->handle)
		return x->handle < y->handle ? -1 : 1;
	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

static bool
same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof(double)) == 0;
}

/* Put the numbers of new series into samples, and leave out those that are refused. */
static void
replace_handles(IngestBatch *batch, const int64 *series_ids)
{
	int			kept = 0;

	for (int i = 0; i < batch->count; i++)
	{
		Sample		sample = batch->samples[i];

		if (sample.handle < 0)
		{
			const SeriesKey *key = batch->fresh[-sample.handle - 1];

			sample.handle = series_ids[-sample.handle - 1];
			if (sample.handle <= 0)
			{
				aggwin_refuse_sample(batch->refused,
									 sample.handle == AGGWIN_DERIVED_SERIES ? REFUSED_DERIVED : REFUSED_SERIES,
									 key->metric, strlen(key->metric));
				continue;
			}
		}
		batch->samples[kept++] = sample;
	}
	batch->count = kept;
}

static void
remember(SeriesBytes key, int64 handle, void *arg)
{
	const int64 *series_ids = arg;
	int64		series_id = series_ids[-handle - 1];

	if (series_id > 0)
		aggwin_series_cache_put(key, series_id);
}

static void
resolve_fresh(IngestBatch *batch)
{
	int64	   *series_ids;

	if (batch->fresh_count == 0)
		return;
	series_ids = palloc(batch->fresh_count * sizeof(int64));
	aggwin_resolve_series(&batch->tables, batch->fresh, batch->fresh_count, series_ids);
	aggwin_series_map_each(batch->learned, remember, series_ids);
	aggwin_series_map_reset(batch->learned);
	aggwin_series_map_reset(batch->hashes);
	replace_handles(batch, series_ids);
}

/*
 * Sort samples by the primary key, and leave one of each. Values that differ from
 * the one that stays are refused, unless the newest is meant to stay.
 */
static void
sort_samples(IngestBatch *batch)
{
	Sample	   *samples = batch->samples;
	int			kept = 0;

	qsort(samples, batch->count, sizeof(Sample), compare_samples);
	for (int i = 0; i < batch->count; i++)
	{
		Sample	   *last = kept > 0 ? &samples[kept - 1] : NULL;

		if (last == NULL || last->handle != samples[i].handle || last->ts != samples[i].ts)
			samples[kept++] = samples[i];
		else if (aggwin_duplicate_samples == DUPLICATES_NEWEST)
			*last = samples[i];
		else if (!same_bits(last->value, samples[i].value))
			aggwin_refuse_sample_of(batch->refused, REFUSED_DUPLICATE, last->handle);
	}
	batch->count = kept;
}

static int
compare_days(const void *a, const void *b)
{
	return *(const int32 *) a - *(const int32 *) b;
}

static void
ensure_days(IngestBatch *batch)
{
	int			kept = 0;

	qsort(batch->days, batch->day_count, sizeof(int32), compare_days);
	for (int i = 0; i < batch->day_count; i++)
	{
		if (kept == 0 || batch->days[kept - 1] != batch->days[i])
			batch->days[kept++] = batch->days[i];
	}
	(void) aggwin_ensure_days(&batch->tables, batch->days, kept);
}

static void
flush(IngestBatch *batch)
{
	MemoryContext old_context = MemoryContextSwitchTo(batch->flush_context);
	int64		refused_before = aggwin_refused_count(batch->refused);
	int			count = batch->count;
	Sandbox		saved;

	aggwin_spi_connect();
	aggwin_become_owner(&saved, &batch->tables);
	MemoryContextSwitchTo(batch->flush_context);
	resolve_fresh(batch);
	sort_samples(batch);
	if (batch->count > 0)
	{
		ensure_days(batch);
		aggwin_write_samples(batch->samples, batch->count, batch->refused);
	}
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	batch->taken += count - (aggwin_refused_count(batch->refused) - refused_before);
	MemoryContextSwitchTo(old_context);
	begin_filling(batch);
}

/* Filling ----------------------------------------------------------------- */

/*
 * Is a sample of this time refused? It is counted then, and its series need not be
 * looked for. An infinite time is an error.
 */
bool
aggwin_ingest_refuses(IngestBatch *batch, const char *metric, int length, TimestampTz ts)
{
	if (likely(ts >= batch->oldest && ts <= batch->newest))
		return false;
	if (TIMESTAMP_NOT_FINITE(ts))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the time of a sample must be finite")));
	aggwin_refuse_sample(batch->refused, ts < batch->oldest ? REFUSED_OLD : REFUSED_AHEAD, metric, length);
	return true;
}

/* What stands for a series in this batch; 0 if that is not known. */
int64
aggwin_ingest_find(IngestBatch *batch, SeriesBytes bytes)
{
	int64	   *handle = aggwin_series_cache_find(bytes);

	if (handle == NULL)
		handle = aggwin_series_map_find(batch->learned, bytes);
	return handle != NULL ? *handle : 0;
}

/* Learn what some bytes stand for. What stands for the series is as find() tells it. */
int64
aggwin_ingest_learn(IngestBatch *batch, SeriesBytes bytes, const SeriesKey *key)
{
	MemoryContext old_context;
	SeriesKey  *copy;
	int64	   *handle;
	int64		result;
	bool		found;

	if (batch->fresh_count == MAX_NEW ||
		batch->fresh_bytes + aggwin_series_map_size(batch->learned) > MAX_NEW_BYTES)
		flush(batch);

	old_context = MemoryContextSwitchTo(batch->flush_context);
	handle = aggwin_series_map_put(batch->hashes,
								   aggwin_series_bytes((const char *) key->hash, sizeof(key->hash)),
								   &found);
	if (!found)
	{
		if (batch->fresh_count == batch->fresh_capacity)
		{
			batch->fresh_capacity = Max(64, batch->fresh_capacity * 2);
			batch->fresh = batch->fresh == NULL
				? palloc(batch->fresh_capacity * sizeof(SeriesKey *))
				: repalloc(batch->fresh, batch->fresh_capacity * sizeof(SeriesKey *));
		}
		copy = palloc(sizeof(SeriesKey));
		copy->metric = pstrdup(key->metric);
		copy->labels = (Jsonb *) memcpy(palloc(VARSIZE(key->labels)), key->labels, VARSIZE(key->labels));
		memcpy(copy->hash, key->hash, sizeof(copy->hash));
		batch->fresh[batch->fresh_count++] = copy;
		batch->fresh_bytes += VARSIZE(key->labels);
		*handle = -batch->fresh_count;
	}
	result = *handle;
	*aggwin_series_map_put(batch->learned, bytes, &found) = result;
	MemoryContextSwitchTo(old_context);
	return result;
}

static void
add_day(IngestBatch *batch, TimestampTz ts)
{
	int32		day = aggwin_day(ts);

	if (batch->day_count > 0 && batch->days[batch->day_count - 1] == day)
		return;
	if (batch->day_count == batch->day_capacity)
	{
		batch->day_capacity *= 2;
		batch->days = repalloc(batch->days, batch->day_capacity * sizeof(int32));
	}
	batch->days[batch->day_count++] = day;
}

/* Add a sample. What find() and learn() have told before may be over then. */
void
aggwin_ingest_put(IngestBatch *batch, int64 handle, TimestampTz ts, double value)
{
	if (batch->count == batch->capacity)
	{
		batch->capacity *= 2;
		batch->samples = repalloc(batch->samples, batch->capacity * sizeof(Sample));
	}
	batch->samples[batch->count] = (Sample) {handle, ts, value, batch->count};
	batch->count++;
	add_day(batch, ts);
	if (batch->count == MAX_SAMPLES)
		flush(batch);
}

/* Write what is left, and the counts of what was refused. The number of others. */
int64
aggwin_ingest_end(IngestBatch *batch)
{
	int64		taken;

	if (batch->count > 0)
		flush(batch);
	aggwin_refused_write(batch->refused, &batch->tables);
	taken = batch->taken;
	MemoryContextDelete(batch->context);
	return taken;
}
