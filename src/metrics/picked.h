/*
 * picked.h - the series that a question about metrics is about, and who answers
 */
#ifndef AGGWIN_PICKED_H
#define AGGWIN_PICKED_H

#include "postgres.h"

#include "fmgr.h"
#include "metrics/metric_rollup.h"
#include "rollup/range.h"

/* The argument is of no interest to a function. */
#define AGGWIN_NO_ARGUMENT (-1)

/* Which arguments of a function say what. */
typedef struct PickedArgs
{
	int			metric;
	int			labels;			/* text or jsonb */
	int			from;
	int			to;
	int			by;
	int			rollup;
} PickedArgs;

typedef struct Picked
{
	MetricTables tables;
	MetricRollup rollup;
	RangeQuery	range;			/* its ends are the arguments */
	Datum		series;			/* bigint[] */
	Datum		keys;			/* what the rollup has for them: bigint[] or uuid[] */
	char	   *labels;			/* SQL of the labels that are shown of a series "s" */
	bool		merged;			/* those that show the same are answered as one */
} Picked;

extern bool aggwin_pick(FunctionCallInfo fcinfo, const PickedArgs *args, bool each_series,
						Picked *picked);
extern char *aggwin_picked_answer(const Picked *picked);
extern char *aggwin_picked_series(const Picked *picked);
extern void aggwin_picked_run(const Picked *picked, const char *sql);

#endif							/* AGGWIN_PICKED_H */
