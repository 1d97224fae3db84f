/*
 * fold_sql.h - the SQL of folds and repairs, as text
 *
 * Parameters are told with each function in fold_sql.c.
 */
#ifndef AGGWIN_FOLD_SQL_H
#define AGGWIN_FOLD_SQL_H

#include "postgres.h"

#include "rollup/sql.h"

/* fold */
extern char *aggwin_sql_any_pending(const RollupNames *names);
extern char *aggwin_sql_any_pending_above(const RollupNames *names, int level);
extern char *aggwin_sql_kept_marks(const RollupNames *names, int level);
extern char *aggwin_sql_merge(const RollupSpec *spec, const RollupNames *names,
							  bool closed, bool expired);
extern char *aggwin_sql_discard_empty(const RollupNames *names, int level);
extern char *aggwin_sql_merge_above(const RollupSpec *spec, const RollupNames *names,
									int level, bool expired);

/* repair of the base */
extern char *aggwin_sql_take_invalid(const RollupNames *names, bool failed);
extern char *aggwin_sql_take_failed(const RollupNames *names);
extern char *aggwin_sql_newest_rows(const RollupSpec *spec, const RollupNames *names);
extern char *aggwin_sql_count_rows(const RollupSpec *spec, const RollupNames *names);
extern char *aggwin_sql_explain_rows(const RollupSpec *spec, const RollupNames *names);
extern char *aggwin_sql_discard_delta(const RollupNames *names);
extern char *aggwin_sql_discard_state(const RollupSpec *spec, const RollupNames *names,
									  int level);
extern char *aggwin_sql_recompute(const RollupSpec *spec, const RollupNames *names);

/* repair above */
extern char *aggwin_sql_take_invalid_above(const RollupSpec *spec, const RollupNames *names,
										   int level);
extern char *aggwin_sql_discard_delta_above(const RollupNames *names, int level);
extern char *aggwin_sql_rebuild(const RollupSpec *spec, const RollupNames *names, int level);

/* either */
extern char *aggwin_sql_watermark(const RollupSpec *spec, const char *old,
								  const char *max_future);
extern char *aggwin_sql_add_mark(const RollupNames *names, char kind, int level);

#endif							/* AGGWIN_FOLD_SQL_H */
