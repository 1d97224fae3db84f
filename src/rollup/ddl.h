/*
 * ddl.h - what creating rollups, tiers and changing options share
 */
#ifndef AGGWIN_DDL_H
#define AGGWIN_DDL_H

#include "postgres.h"

#include "nodes/primnodes.h"
#include "rollup/catalog.h"
#include "utils/array.h"

/* ddl.c */
extern void aggwin_check_new_view(RangeVar *view);
extern void aggwin_check_refresh_interval(Interval *interval);

/* tier_ddl.c */
extern Oid	aggwin_add_tier_to(int32 rollup_id, Tier *tier, ArrayType *key_names,
							   RangeVar *view, Interval *refresh_interval,
							   Interval *retention);

/* options.c */
extern void aggwin_check_options(int32 rollup_id);

#endif							/* AGGWIN_DDL_H */
