/*
 * program_connect.h - the tool's connections
 */
#ifndef AGGWIN_PROGRAM_CONNECT_H
#define AGGWIN_PROGRAM_CONNECT_H

#include "promql/base.h"

#include "libpq-fe.h"

extern PGconn *aggwin_program_connect(const char *connection, const char *database);
extern void aggwin_program_watch(PGconn *conn);
extern bool aggwin_program_interrupted(void);
extern int	aggwin_program_end(int status);

extern PGresult *aggwin_program_query(PGconn *conn, const char *sql, int count, const char *const *values);
extern bool aggwin_program_worked(const PGresult *result);
extern void aggwin_program_complain(PGconn *conn, const PGresult *result);
extern bool aggwin_program_has_pipelines(PGconn *conn);

#endif							/* AGGWIN_PROGRAM_CONNECT_H */
