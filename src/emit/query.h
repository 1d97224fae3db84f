/*
 * query.h - the query of a window
 */
#ifndef AGGWIN_EMIT_QUERY_H
#define AGGWIN_EMIT_QUERY_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "rollup/catalog.h"

/* What create_window() learns from a query. */
typedef struct WindowQuery
{
	SelectStmt *stmt;
	Oid			view;			/* of the rollup that it reads */
	RollupRow	rollup;
	Bitmapset  *key_columns;	/* of its columns, from 1; may be empty */
	List	   *columns;		/* char * */
} WindowQuery;

extern void aggwin_check_window_query(WindowQuery *query, const char *text);
extern void aggwin_read_panes_instead(Oid definition, Oid view, Oid panes);

#endif							/* AGGWIN_EMIT_QUERY_H */
