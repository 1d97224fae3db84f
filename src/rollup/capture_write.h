/*
 * capture_write.h - appending to a rollup's delta and invalid tables
 */
#ifndef AGGWIN_CAPTURE_WRITE_H
#define AGGWIN_CAPTURE_WRITE_H

#include "postgres.h"

typedef struct DeltaWriter DeltaWriter;

/* Kinds of spans that an invalid table holds. */
#define AGGWIN_INVALID 'i'		/* of a level: to be answered from below */
#define AGGWIN_FROZEN 'f'		/* whose rows are gone from the source for good */
#define AGGWIN_UNSOURCED 's'	/* beyond source_retention, frozen too */
#define AGGWIN_CLOSED 'l'		/* closed for late rows, frozen too */
#define AGGWIN_EXPIRED 'e'		/* of a level: beyond its retention */

extern DeltaWriter *aggwin_delta_begin(Oid delta, const Oid *types, int columns,
									   int keys);
extern void aggwin_delta_add(DeltaWriter *writer, const Datum *values,
							 const bool *isnull, int columns);
extern bool aggwin_delta_key_fits(DeltaWriter *writer, const Datum *values,
								  const bool *isnull);
extern void aggwin_delta_check_key(DeltaWriter *writer, const Datum *values,
								   const bool *isnull);
extern void aggwin_delta_end(DeltaWriter *writer, bool write);

extern void aggwin_invalid_write(Oid invalid, Oid spans_type, Datum spans,
								 bool nulls, const int64 *buckets, Datum keys, const char *error);
extern void aggwin_invalid_write_all(Oid invalid);
extern void aggwin_invalid_write_all_for(Oid invalid, const char *error);

#endif							/* AGGWIN_CAPTURE_WRITE_H */
