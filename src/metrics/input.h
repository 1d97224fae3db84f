/*
 * input.h - samples whose labels are JSON
 */
#ifndef AGGWIN_INPUT_H
#define AGGWIN_INPUT_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "metrics/ingest.h"

/* A batch that takes samples as SQL has them. */
typedef struct JsonInput
{
	IngestBatch *batch;
	MemoryContext scratch;		/* of one series that is new */
	StringInfoData bytes;		/* what a series came as */
} JsonInput;

extern void aggwin_json_input_begin(JsonInput *input, MemoryContext parent);
extern void aggwin_json_input_add(JsonInput *input, text *metric, Jsonb *labels,
								  TimestampTz ts, double value);

#endif							/* AGGWIN_INPUT_H */
