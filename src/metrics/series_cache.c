/*
 * series_cache.c - what this backend knows of the numbers of series
 *
 * All or nothing: whatever makes an entry wrong empties the cache.
 *
 *	- A transaction that made series is rolled back, in whole or in part, or
 *	  prepared, since nobody here would hear of its end.
 *	- Series are deleted or changed: a trigger sends an invalidation of the table
 *	  aggwin.series (series_trigger.c).
 *	- It grows beyond aggwin.series_cache_size.
 *
 * Locking: whoever looks something up here holds ROW EXCLUSIVE on aggwin.samples,
 * up to the end of the transaction. The trigger takes a lock that conflicts with
 * it before the series go. So a number that is found stands for a series that is
 * there, as long as the transaction lasts.
 */
#include "postgres.h"

#include "metrics/series_cache.h"

#include "access/xact.h"
#include "core/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"

static SeriesMap *cache = NULL;
static Oid	cached_relid = InvalidOid;	/* of aggwin.series */
static bool distrusted = false; /* has this transaction put in what it made? */
static bool outdated = false;	/* to be emptied when it is used next */

static void
on_relcache_inval(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == cached_relid)
		outdated = true;
}

static void
on_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			outdated |= distrusted;
			distrusted = false;
			break;
		case XACT_EVENT_COMMIT:
			distrusted = false;
			break;
		default:
			break;
	}
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		outdated |= distrusted;
}

static void
empty_if_outdated(void)
{
	if (!outdated)
		return;
	aggwin_series_map_reset(cache);
	outdated = false;
}

/* To be called before the cache is used; series is the table aggwin.series. */
void
aggwin_series_cache_use(Oid series)
{
	if (cache == NULL)
	{
		SeriesMap  *map = aggwin_series_map_create(CacheMemoryContext);

		CacheRegisterRelcacheCallback(on_relcache_inval, (Datum) 0);
		RegisterXactCallback(on_transaction, NULL);
		RegisterSubXactCallback(on_subtransaction, NULL);
		cache = map;
	}
	outdated |= cached_relid != series;
	cached_relid = series;
}

/* The number that a key stands for; NULL if that is not known. */
int64 *
aggwin_series_cache_find(SeriesBytes key)
{
	empty_if_outdated();
	return aggwin_series_map_find(cache, key);
}

void
aggwin_series_cache_put(SeriesBytes key, int64 series_id)
{
	bool		found;

	outdated |= aggwin_series_map_size(cache) / 1024 >= aggwin_series_cache_size;
	empty_if_outdated();
	*aggwin_series_map_put(cache, key, &found) = series_id;
}

/* This transaction has made series: their numbers are wrong if it is rolled back. */
void
aggwin_series_cache_distrust(void)
{
	distrusted = true;
}
