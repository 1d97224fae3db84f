/*
 * session_sql.h - the SQL of rollups by session, as text
 */
#ifndef AGGWIN_SESSION_SQL_H
#define AGGWIN_SESSION_SQL_H

#include "postgres.h"

#include "rollup/sql.h"

/* view */
extern char *aggwin_sql_session_islands(const RollupSpec *spec, const RollupNames *names);
extern char *aggwin_sql_session_parts(const RollupSpec *spec, const RollupNames *names);

/* fold; parameters are told in session_sql.c */
extern char *aggwin_sql_fold_sessions(const RollupSpec *spec, const RollupNames *names);
extern char *aggwin_sql_take_session_deltas(const RollupSpec *spec, const RollupNames *names);
extern char *aggwin_sql_session_extent(const RollupSpec *spec, const RollupNames *names);

#endif							/* AGGWIN_SESSION_SQL_H */
