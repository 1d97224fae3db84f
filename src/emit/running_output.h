/*
 * running_output.h - the groups of a window, for the query around them
 */
#ifndef AGGWIN_EMIT_RUNNING_OUTPUT_H
#define AGGWIN_EMIT_RUNNING_OUTPUT_H

#include "postgres.h"

#include "emit/running_state.h"
#include "nodes/execnodes.h"

/* An expression over columns of groups */
typedef struct RunningExpr
{
	ExprState  *state;
	ExprContext *context;
	Bitmapset  *columns;		/* that it needs, from 0 */
	int16		length;
	bool		by_value;
} RunningExpr;

/* running_output.c */
extern const RunningResult *aggwin_running_result(RunningWindow *window, RunningGroup *group, int number);
extern NullableDatum aggwin_running_column(RunningWindow *window, RunningGroup *group, int number);
extern void aggwin_running_prepare(RunningExpr *expr, Node *node, TupleDesc desc);
extern const RunningResult *aggwin_running_expr(RunningWindow *window, RunningGroup *group, int number,
												RunningExpr *expr);
extern void aggwin_running_release(RunningExpr *expr);

/* running_choose.c */
extern void aggwin_running_choose(RunningWindow *window, TupleDesc desc,
								  void (*put) (RunningGroup *, void *), void *arg);

#endif							/* AGGWIN_EMIT_RUNNING_OUTPUT_H */
