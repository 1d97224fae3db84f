/*
 * exact_sql.h - the SQL about partials that may not merge exactly, as text
 */
#ifndef AGGWIN_EXACT_SQL_H
#define AGGWIN_EXACT_SQL_H

#include "postgres.h"

#include "rollup/sql.h"

extern bool aggwin_may_be_inexact(const RollupSpec *spec);
extern char *aggwin_sql_all_exact(const RollupSpec *spec, const char *alias);
extern char *aggwin_sql_returning_exact(const RollupSpec *spec, const char *alias);
extern char *aggwin_sql_inexact_stored(const RollupSpec *spec, const Tier *tier);
extern char *aggwin_sql_inexact_pending(const RollupSpec *spec, const RollupNames *names,
										int level);

#endif							/* AGGWIN_EXACT_SQL_H */
