/*
 * ddl.h - what creating rollups, tiers and changing options share
 */
#ifndef AGGWIN_DDL_H
#define AGGWIN_DDL_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "rollup/catalog.h"
#include "utils/array.h"

/* definition.c */
extern void aggwin_check_new_name(RangeVar *view, const char *what);
extern SelectStmt *aggwin_parse_query(const char *text, const char *what);
extern void aggwin_query_error_callback(void *arg);
extern SelectStmt *aggwin_analyze_query(const char *text, Oid *source);
extern Oid	aggwin_create_definition(const char *name, SelectStmt *stmt, const char *text,
									 const char *schema);

/* ddl_end.c */
extern void aggwin_replace_view(Oid view, const char *sql);

/* tier_ddl.c */
extern Oid	aggwin_add_tier_to(int32 rollup_id, Tier *tier, ArrayType *key_names,
							   RangeVar *view, Interval *refresh_interval,
							   Interval *retention);
extern void aggwin_check_tier_keys(const RollupSpec *spec, const Tier *tier,
								   const Tier *below);

/* options.c */
extern void aggwin_check_refresh_interval(Interval *interval);
extern void aggwin_check_options(int32 rollup_id);

#endif							/* AGGWIN_DDL_H */
