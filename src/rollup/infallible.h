/*
 * infallible.h - expressions that cannot fail
 */
#ifndef AGGWIN_INFALLIBLE_H
#define AGGWIN_INFALLIBLE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/pg_list.h"

/* For which rows no expression of a rollup can fail. */
typedef struct Infallible
{
	AttrNumber	column;			/* of the event time; 0: for none */
	bool		is_int32;		/* as dates are, otherwise int64 */
	int64		least;			/* rows with this event time or a later one */
} Infallible;

extern Infallible aggwin_infallible(const List *expressions);
extern bool aggwin_cannot_fail(const Infallible *infallible, TupleTableSlot *row);

#endif							/* AGGWIN_INFALLIBLE_H */
