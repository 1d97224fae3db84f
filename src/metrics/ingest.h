/*
 * ingest.h - storing samples, many at a time
 *
 * For each sample: aggwin_ingest_refuses(), then aggwin_ingest_find(), where that
 * gives 0 aggwin_ingest_learn(), and aggwin_ingest_put().
 */
#ifndef AGGWIN_INGEST_H
#define AGGWIN_INGEST_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "metrics/labels.h"
#include "metrics/series_map.h"
#include "metrics/tables.h"

typedef struct IngestBatch IngestBatch;

extern IngestBatch *aggwin_ingest_begin(MemoryContext parent);
extern void aggwin_ingest_check_rights(const IngestBatch *batch);
extern const MetricTables *aggwin_ingest_tables(const IngestBatch *batch);
extern TimestampTz aggwin_ingest_now(const IngestBatch *batch);
extern bool aggwin_ingest_refuses(IngestBatch *batch, const char *metric, int length,
								  TimestampTz ts);
extern int64 aggwin_ingest_find(IngestBatch *batch, SeriesBytes bytes);
extern int64 aggwin_ingest_learn(IngestBatch *batch, SeriesBytes bytes, const SeriesKey *key);
extern void aggwin_ingest_put(IngestBatch *batch, int64 handle, TimestampTz ts, double value);
extern int64 aggwin_ingest_end(IngestBatch *batch);

#endif							/* AGGWIN_INGEST_H */
