/*
 * sql.h - the SQL that a rollup runs, as text
 */
#ifndef AGGWIN_SQL_H
#define AGGWIN_SQL_H

#include "postgres.h"

#include "rollup/tier.h"

/* A row "i" of the invalid table is about the base. */
#define AGGWIN_BASE_INVALID "i.kind = 'i' AND i.level = 0"

/* Names that capture gives to the transition tables. */
#define AGGWIN_NEW_ROWS "aggwin_new"
#define AGGWIN_OLD_ROWS "aggwin_old"

/*
 * An upper bound that bounds nothing, but makes a range of a condition: the
 * planner expects few rows of a range and many of an open end, and would read
 * all of delta, dead rows included, to find many. Rows of the invalid table
 * that carry it are pending for everybody until they are deleted.
 */
#define AGGWIN_LAST_XID "'18446744073709551615'::xid8"

/* The views of a rollup, by SQL for its id. */
#define AGGWIN_VIEWS_OF(id) \
	"SELECT r.view FROM aggwin.rollup AS r WHERE r.rollup_id = " id \
	" UNION ALL SELECT u.view FROM aggwin.tier AS u WHERE u.rollup_id = " id " AND u.level > 0"

/* pieces */
extern char *aggwin_sql_groups(const RollupSpec *spec, const char *from,
							   const char *restriction, bool latest);
extern char *aggwin_sql_groups_in_spans(const RollupSpec *spec, const char *source,
										const char *spans, const char *nulls,
										const char *scans, bool latest);
extern char *aggwin_sql_scans(const char *spans, int max_scans);
extern char *aggwin_sql_bucket_span(const RollupSpec *spec, const Tier *tier, const char *bucket);
extern char *aggwin_sql_in_span(const RollupSpec *spec, const char *value);
extern char *aggwin_sql_covered(const char *bucket, const char *spans,
								const char *nulls);
extern char *aggwin_sql_columns(const RollupSpec *spec, const Tier *tier);
extern char *aggwin_sql_key_columns(const RollupSpec *spec, const Tier *tier);
extern char *aggwin_sql_merged(const RollupSpec *spec);
extern char *aggwin_sql_row_of(const RollupSpec *spec, const char *alias,
							   const Tier *from, const Tier *to);

/* create */
extern char *aggwin_sql_empty_groups(const RollupSpec *spec, const RollupNames *names,
									 bool latest);
extern char *aggwin_sql_empty_partial(const RollupSpec *spec, const RollupNames *names,
									  int number);

/* capture */
extern char *aggwin_sql_batch(const RollupSpec *spec, bool old_rows);
extern char *aggwin_sql_row(const RollupSpec *spec);
extern char *aggwin_sql_touched(const RollupSpec *spec, bool old_rows, bool new_rows,
								bool filtered);

/* session_sql.c */
extern char *aggwin_sql_session_groups(const RollupSpec *spec, const char *from,
									   const char *restriction, bool latest);

/* view_sql.c */
extern char *aggwin_sql_marks(const RollupSpec *spec, const RollupNames *names, int level);
extern char *aggwin_sql_pending_marks(const RollupSpec *spec, const RollupNames *names,
									  int level);
extern char *aggwin_sql_outside(const char *bucket, const char *column);
extern char *aggwin_sql_widened(const RollupSpec *spec, const Tier *tier, const char *spans);
extern char *aggwin_sql_view(const RollupSpec *spec, const RollupNames *names, int level);
extern char *aggwin_sql_answer(const RollupSpec *spec, const RollupNames *names, int level,
							   const Tier *shown, const char *restriction,
							   const char *within);

#endif							/* AGGWIN_SQL_H */
