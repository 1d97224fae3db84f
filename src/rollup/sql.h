/*
 * sql.h - the SQL that a rollup runs, as text
 */
#ifndef AGGWIN_SQL_H
#define AGGWIN_SQL_H

#include "postgres.h"

#include "rollup/spec.h"

/* The relations behind a rollup, as quoted, qualified names. */
typedef struct RollupNames
{
	int32		rollup_id;
	Oid			state_relid;
	char	   *source;
	char	   *state;
	char	   *delta;
	char	   *invalid;
} RollupNames;

/* A row "i" of the invalid table is about the base. */
#define AGGWIN_BASE_INVALID "i.kind = 'i' AND i.level = 0"

/* Names that capture gives to the transition tables. */
#define AGGWIN_NEW_ROWS "aggwin_new"
#define AGGWIN_OLD_ROWS "aggwin_old"

/* pieces */
extern char *aggwin_sql_groups(const RollupSpec *spec, const char *from,
							   const char *restriction, bool latest);
extern char *aggwin_sql_groups_in_spans(const RollupSpec *spec, const char *source,
										const char *spans, const char *nulls,
										const char *scans, bool latest);
extern char *aggwin_sql_scans(const char *spans, int max_scans);
extern char *aggwin_sql_covered(const char *bucket, const char *spans,
								const char *nulls);
extern char *aggwin_sql_columns(const RollupSpec *spec);
extern char *aggwin_sql_key_columns(const RollupSpec *spec);

/* create */
extern char *aggwin_sql_empty_groups(const RollupSpec *spec, const RollupNames *names);
extern char *aggwin_sql_view(const RollupSpec *spec, const RollupNames *names);	/* view_sql.c */

/* capture */
extern char *aggwin_sql_batch(const RollupSpec *spec);
extern char *aggwin_sql_row(const RollupSpec *spec);
extern char *aggwin_sql_touched(const RollupSpec *spec, bool old_rows, bool new_rows);

/* fold: $1 xip, $2 xmax; merge: $3 watermark, $4 max_future */
extern char *aggwin_sql_any_pending(const RollupNames *names);
extern char *aggwin_sql_merge(const RollupSpec *spec, const RollupNames *names);

/* repair: parameters are told with each in sql.c */
extern char *aggwin_sql_take_invalid(const RollupNames *names, int max_scans);
extern char *aggwin_sql_discard_delta(const RollupNames *names);
extern char *aggwin_sql_discard_state(const RollupSpec *spec, const RollupNames *names);
extern char *aggwin_sql_recompute(const RollupSpec *spec, const RollupNames *names);

#endif							/* AGGWIN_SQL_H */
