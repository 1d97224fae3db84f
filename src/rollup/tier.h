/*
 * tier.h - the levels of a rollup
 *
 * Level 0 is the base, fed by capture; level k is fed by level k - 1, has
 * wider buckets and all of its keys or some.
 */
#ifndef AGGWIN_TIER_H
#define AGGWIN_TIER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "rollup/spec.h"

typedef struct Tier
{
	int			level;
	int			generation;		/* of the rollup, at the base only */
	Oid			view_relid;
	Oid			state_relid;
	Oid			delta_relid;
	char	   *state;			/* quoted, qualified names */
	char	   *delta;
	Interval   *interval;		/* the width, NULL for integers */
	int64		int_width;
	char	   *width;			/* SQL literal; NULL at the base: the spec's */
	bool		all_keys;		/* those of the base; otherwise: */
	List	   *keys;			/* their numbers, from 1 */
} Tier;

/* What a rollup is stored in. */
typedef struct RollupNames
{
	int32		rollup_id;
	int			generation;		/* counts the columns that were added */
	char	   *source;
	char	   *invalid;
	List	   *tiers;			/* Tier *, the base first */
} RollupNames;

#define aggwin_tier(names, level) ((Tier *) list_nth((names)->tiers, level))
#define aggwin_top_level(names) (list_length((names)->tiers) - 1)

/* Expressions over a time, which is given as SQL text. */
extern char *aggwin_sql_bucket(const RollupSpec *spec, const Tier *tier, const char *time);
extern char *aggwin_sql_bucket_end(const RollupSpec *spec, const Tier *tier,
								   const char *time);

extern List *aggwin_tier_keys(const RollupSpec *spec, const Tier *tier);
extern List *aggwin_tier_targets(const RollupSpec *spec, const Tier *tier);
/* tier.c */
extern void aggwin_read_width(FunctionCallInfo fcinfo, int number, const Tier *like,
							  Tier *tier);
extern bool aggwin_tier_nests(const Tier *tier, const Tier *below);
extern void aggwin_check_nesting(const Tier *tier, const Tier *below);
extern char *aggwin_tier_suffix(const Tier *tier);
extern char *aggwin_tier_width_literal(const Tier *tier);
extern char *aggwin_tier_width_text(const Tier *tier);

#endif							/* AGGWIN_TIER_H */
