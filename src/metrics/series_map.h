/*
 * series_map.h - from the bytes that a series came as to its number
 */
#ifndef AGGWIN_SERIES_MAP_H
#define AGGWIN_SERIES_MAP_H

#include "postgres.h"

/* Bytes together with their hash; see aggwin_series_bytes(). */
typedef struct SeriesBytes
{
	const char *bytes;
	uint32		length;
	uint32		hash;
} SeriesBytes;

typedef struct SeriesMap SeriesMap;

extern SeriesBytes aggwin_series_bytes(const char *bytes, int length);
extern SeriesMap *aggwin_series_map_create(MemoryContext context);
extern int64 *aggwin_series_map_find(SeriesMap *map, SeriesBytes key);
extern int64 *aggwin_series_map_put(SeriesMap *map, SeriesBytes key, bool *found);
extern void aggwin_series_map_each(SeriesMap *map,
								   void (*visit) (SeriesBytes key, int64 value, void *arg),
								   void *arg);
extern void aggwin_series_map_reset(SeriesMap *map);
extern int	aggwin_series_map_count(const SeriesMap *map);
extern Size aggwin_series_map_size(const SeriesMap *map);

#endif							/* AGGWIN_SERIES_MAP_H */
