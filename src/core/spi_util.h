/*
 * spi_util.h - running SQL on a user's behalf, safely
 */
#ifndef AGGWIN_SPI_UTIL_H
#define AGGWIN_SPI_UTIL_H

#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"

/* What aggwin_sandbox_leave() puts back. */
typedef struct Sandbox
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} Sandbox;

extern void aggwin_pin(const char *name, const char *value);
extern void aggwin_pin_settings(void);
extern void aggwin_sandbox_enter(Sandbox *saved, Oid userid, bool restricted);
extern void aggwin_sandbox_leave(const Sandbox *saved);

/* SQL whose plan is kept: a static variable, one for each text. */
typedef struct KeptSql
{
	const char *sql;
	int			nargs;
	Oid			types[2];
	SPIPlanPtr	plan;			/* NULL until it is run first */
} KeptSql;

extern char *aggwin_relation_name(Oid relid);
extern Oid	aggwin_relation_owner(Oid relid);
extern Oid	aggwin_schema(void);
extern Oid	aggwin_relid(const char *relname);

extern void aggwin_require_args(FunctionCallInfo fcinfo, int count,
								const char *const *names);

extern void aggwin_spi_connect(void);
extern void aggwin_spi_finish(void);
extern SPIPlanPtr aggwin_spi_prepare(const char *sql, int nargs, Oid *types);
extern SPIPlanPtr aggwin_spi_prepare_kept(const char *sql, int nargs, Oid *types);
extern void aggwin_spi_check(int rc, int expected, const char *sql);
extern void aggwin_spi_check_kept(SPIPlanPtr *plan, int rc, int expected, const char *sql);
extern void aggwin_spi_connect_with(TriggerData *trigger);
extern uint64 aggwin_spi_run(const char *sql, int expected);
extern uint64 aggwin_spi_run_args(const char *sql, int expected, int nargs,
								  Oid *types, Datum *values, const char *nulls);
extern uint64 aggwin_spi_read(const char *sql, int nargs, Oid *types, Datum *values);
extern uint64 aggwin_spi_run_kept(KeptSql *kept, int expected, Datum *values);
extern Datum aggwin_spi_value(int column, bool *isnull);
extern List *aggwin_spi_column(int column);
extern char *aggwin_sql_literal(Datum value, Oid type);
extern bool aggwin_desc_fits(TupleDesc found, TupleDesc wanted);
extern bool aggwin_spi_fits(TupleDesc wanted);
extern void aggwin_spi_return_rows(FunctionCallInfo fcinfo);

#endif							/* AGGWIN_SPI_UTIL_H */
