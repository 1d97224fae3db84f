/*
 * metadata.h - types, units and help texts of metrics
 */
#ifndef AGGWIN_METADATA_H
#define AGGWIN_METADATA_H

#include "postgres.h"

#include "metrics/tables.h"

/* What a text says of a name of metrics; NULL where it says nothing. */
typedef struct Metadata
{
	char	   *metric;
	char	   *family;
	char	   *type;
	char	   *help;
	char	   *unit;
} Metadata;

extern void aggwin_store_metadata(const MetricTables *tables, const Metadata *metadata, int count);

#endif							/* AGGWIN_METADATA_H */
