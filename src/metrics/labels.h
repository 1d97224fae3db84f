/*
 * labels.h - what makes a series: the name of its metric and its labels
 */
#ifndef AGGWIN_LABELS_H
#define AGGWIN_LABELS_H

#include "postgres.h"

#include "common/sha2.h"
#include "utils/jsonb.h"

/* A label as it came; not terminated by NUL. */
typedef struct LabelPair
{
	const char *name;
	int			name_length;
	const char *value;
	int			value_length;
} LabelPair;

/* A series in its one normal form. */
typedef struct SeriesKey
{
	char	   *metric;
	Jsonb	   *labels;
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
} SeriesKey;

extern int	aggwin_label_pairs(Jsonb *labels, LabelPair **pairs);
extern SeriesKey *aggwin_series_key(const char *metric, int length,
									LabelPair *pairs, int count);

#endif							/* AGGWIN_LABELS_H */
