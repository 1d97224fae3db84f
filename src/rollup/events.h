/*
 * events.h - what event triggers share
 */
#ifndef AGGWIN_EVENTS_H
#define AGGWIN_EVENTS_H

#include "postgres.h"

#include "fmgr.h"

/* SQL: the table that a table is a partition of, on whatever level, or itself */
#define ROOT_OF(table) "coalesce(pg_partition_root(" table "), " table ")"

/*
 * SQL: is the rollup r in use? One of a dump has no "folded" until all of it is
 * there (restore.c). It answers from the source, and what it has stored is as
 * good as in the dump.
 */
#define TAKEN_UP \
	"EXISTS (SELECT FROM aggwin.tier AS t" \
	" WHERE t.rollup_id = r.rollup_id AND t.level = 0 AND t.folded IS NOT NULL)"

extern void aggwin_check_event_trigger(FunctionCallInfo fcinfo);
extern void aggwin_invalidate_result(void);
extern void aggwin_follow_result(void);
extern void aggwin_enable_result(void);

#endif							/* AGGWIN_EVENTS_H */
