/*
 * series_map.c - from the bytes that a series came as to its number
 *
 * A hash table whose keys are strings of bytes of any length. The same series may
 * have several keys, since it may be written in several ways; two series never
 * share one.
 */
#include "postgres.h"

#include "metrics/series_map.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

typedef struct SeriesEntry
{
	SeriesBytes key;
	int64		value;
	char		status;
} SeriesEntry;

#define SH_PREFIX series_table
#define SH_ELEMENT_TYPE SeriesEntry
#define SH_KEY_TYPE SeriesBytes
#define SH_KEY key
#define SH_HASH_KEY(tb, key) (key).hash
#define SH_EQUAL(tb, a, b) \
	((a).length == (b).length && memcmp((a).bytes, (b).bytes, (a).length) == 0)
#define SH_SCOPE static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->key.hash
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct SeriesMap
{
	MemoryContext context;		/* emptied by a reset */
	series_table_hash *table;
	Size		size;			/* bytes, about */
};

#define INITIAL_ENTRIES 256

SeriesBytes
aggwin_series_bytes(const char *bytes, int length)
{
	return (SeriesBytes) {
		.bytes = bytes,
			.length = length,
			.hash = hash_bytes((const unsigned char *) bytes, length),
	};
}

SeriesMap *
aggwin_series_map_create(MemoryContext context)
{
	SeriesMap  *map = MemoryContextAllocZero(context, sizeof(SeriesMap));

	map->context = AllocSetContextCreate(context, "aggwin series", ALLOCSET_DEFAULT_SIZES);
	aggwin_series_map_reset(map);
	return map;
}

/* The number of a key, to be read; NULL if it is not there. */
int64 *
aggwin_series_map_find(SeriesMap *map, SeriesBytes key)
{
	SeriesEntry *entry = series_table_lookup(map->table, key);

	return entry != NULL ? &entry->value : NULL;
}

/*
 * The number of a key, to be set; 0 where it is new. The key is copied then. Valid
 * until the next change of the map.
 */
int64 *
aggwin_series_map_put(SeriesMap *map, SeriesBytes key, bool *found)
{
	SeriesEntry *entry = series_table_insert(map->table, key, found);

	if (!*found)
	{
		entry->value = 0;

		/* Until the copy is there, the entry's key is the caller's. */
		entry->key.bytes = memcpy(MemoryContextAlloc(map->context, Max(key.length, 1)),
								  key.bytes, key.length);
		map->size += MAXALIGN(key.length) + 2 * sizeof(SeriesEntry);
	}
	return &entry->value;
}

/* Call visit for each entry, in no order. It must not change the map. */
void
aggwin_series_map_each(SeriesMap *map,
					   void (*visit) (SeriesBytes key, int64 value, void *arg), void *arg)
{
	series_table_iterator iterator;
	SeriesEntry *entry;

	series_table_start_iterate(map->table, &iterator);
	while ((entry = series_table_iterate(map->table, &iterator)) != NULL)
		visit(entry->key, entry->value, arg);
}

void
aggwin_series_map_reset(SeriesMap *map)
{
	map->table = NULL;
	MemoryContextReset(map->context);
	map->size = 0;
	map->table = series_table_create(map->context, INITIAL_ENTRIES, NULL);
}

/* Bytes that the map takes, about. */
Size
aggwin_series_map_size(const SeriesMap *map)
{
	return map->size;
}

int
aggwin_series_map_count(const SeriesMap *map)
{
	return map->table->members;
}
