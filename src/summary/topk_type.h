/*
 * topk_type.h - the layouts of the SQL type topk
 */
#ifndef AGGWIN_TOPK_TYPE_H
#define AGGWIN_TOPK_TYPE_H

#include "postgres.h"

#include "summary/summary.h"
#include "summary/topk.h"

extern void aggwin_topk_get(TopkList *list, Datum datum);
extern Summary *aggwin_topk_encode(const TopkList *list);

static inline TopkTable *
aggwin_topk_table_of(Summary *summary)
{
	return (TopkTable *) SUMMARY_PAYLOAD(summary);
}

#endif							/* AGGWIN_TOPK_TYPE_H */
