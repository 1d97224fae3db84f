/*
 * range.h - a range of time, at a resolution, from the tiers of a rollup
 */
#ifndef AGGWIN_RANGE_H
#define AGGWIN_RANGE_H

#include "postgres.h"

#include "core/compat.h"
#include "rollup/tier.h"

/* What is asked for. */
typedef struct RangeQuery
{
	int32		rollup_id;
	Oid			view;
	Oid			owner;			/* of the rollup */
	RollupNames names;
	RollupSpec *spec;
	int			lowest;			/* level of the view */
	int			level;			/* to answer from */
	Tier		shown;			/* whose width is the step */
	Datum		ends[2];		/* of the range, then of its whole buckets */
	int64		max_points;
} RangeQuery;

extern void aggwin_range_lock(RangeQuery *query, Oid view);
extern void aggwin_range_load(RangeQuery *query);
pg_noreturn extern void aggwin_refuse_range(void);
extern void aggwin_range_check_ends(RangeQuery *query);
extern int	aggwin_range_top(const RangeQuery *query);
extern void aggwin_range_choose_step(RangeQuery *query);
extern void aggwin_range_take_step(RangeQuery *query);
extern bool aggwin_range_align(RangeQuery *query, bool inside);
extern char *aggwin_range_answer(const RangeQuery *query, const char *from, const char *to,
								 const char *restriction);

#endif							/* AGGWIN_RANGE_H */
