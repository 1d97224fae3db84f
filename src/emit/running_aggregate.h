/*
 * running_aggregate.h - aggregate functions, called one by one
 */
#ifndef AGGWIN_EMIT_RUNNING_AGGREGATE_H
#define AGGWIN_EMIT_RUNNING_AGGREGATE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/primnodes.h"

/* How rows are taken away from an aggregate. */
typedef enum RunningKind
{
	RUNNING_COUNT,				/* count(*), count(x) */
	RUNNING_SUM,				/* sum() of integers; not where there is no int128 */
	RUNNING_INVERSE,			/* by the function that the server has for moving frames */
	RUNNING_STACKS,				/* two stacks, see running_stack.c */
} RunningKind;

typedef struct RunningAggregate
{
	RunningKind kind;
	Oid			aggregate;
	Oid			result_type;
	int			nargs;
	int			args[FUNC_MAX_ARGS];	/* which of the inputs */
	int			filter;			/* likewise, -1: none */
	int			number;			/* among those of RUNNING_STACKS */

	/* of RUNNING_INVERSE and RUNNING_STACKS */
	FmgrInfo	transition;
	FmgrInfo	other;			/* inverse or combine */
	FmgrInfo	final;			/* fn_oid may be invalid */
	int			final_args;
	bool		final_writes;	/* into the state */
	Oid			collation;
	bool		internal;		/* the state is of type internal */
	int16		state_length;
	bool		state_by_value;
	bool		no_initial;
	Datum		initial;
	int16		result_length;
	bool		result_by_value;
} RunningAggregate;

/* A state of RUNNING_INVERSE or RUNNING_STACKS */
typedef struct RunningState
{
	Datum		value;
	int64		count;			/* of rows that were not skipped */
	bool		isnull;
} RunningState;

/* Sums and counts are exact in this, whatever comes and goes. */
#ifdef HAVE_INT128
typedef int128 RunningSum;
#else
typedef int64 RunningSum;
#endif

extern const char *aggwin_running_aggregate(RunningAggregate *aggregate, const Aggref *aggref,
											Oid owner);
extern void aggwin_running_start(const RunningAggregate *aggregate, RunningState *state,
								 MemoryContext context);
extern void aggwin_running_add(RunningAggregate *aggregate, RunningState *state,
							   const NullableDatum *args, MemoryContext context);
extern bool aggwin_running_remove(RunningAggregate *aggregate, RunningState *state,
								  const NullableDatum *args, MemoryContext context);
extern void aggwin_running_copy(RunningAggregate *aggregate, RunningState *to,
								const RunningState *from, MemoryContext context);
extern void aggwin_running_combine(RunningAggregate *aggregate, RunningState *state,
								   const RunningState *other, MemoryContext context);
extern Datum aggwin_running_final(RunningAggregate *aggregate, RunningState *state, bool *isnull);
extern Datum aggwin_running_sum(Oid type, int64 count, RunningSum sum, bool *isnull);

#endif							/* AGGWIN_EMIT_RUNNING_AGGREGATE_H */
