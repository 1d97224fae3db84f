/*
 * exp_histogram_type.h - the layouts of the SQL type exp_histogram
 */
#ifndef AGGWIN_EXP_HISTOGRAM_TYPE_H
#define AGGWIN_EXP_HISTOGRAM_TYPE_H

#include "postgres.h"

#include "summary/exp_buffer.h"
#include "summary/exp_histogram.h"
#include "summary/summary.h"

extern void aggwin_exp_histogram_list(ExpList *list, Summary *summary);
extern void aggwin_exp_histogram_get(ExpList *list, Datum datum);
extern Summary *aggwin_exp_histogram_encode(const ExpList *list);

static inline ExpTable *
aggwin_exp_table_of(Summary *summary)
{
	return (ExpTable *) SUMMARY_PAYLOAD(summary);
}

static inline ExpBuffer *
aggwin_exp_buffer_of(Summary *summary)
{
	return (ExpBuffer *) SUMMARY_PAYLOAD(summary);
}

#endif							/* AGGWIN_EXP_HISTOGRAM_TYPE_H */
