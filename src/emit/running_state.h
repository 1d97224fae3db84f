/*
 * running_state.h - a window's groups and panes as they are kept in memory
 */
#ifndef AGGWIN_EMIT_RUNNING_STATE_H
#define AGGWIN_EMIT_RUNNING_STATE_H

#include "postgres.h"

#include "access/transam.h"
#include "emit/bounds.h"
#include "emit/running_group.h"
#include "emit/running_query.h"

struct groups_hash;				/* running_groups.c */

typedef struct KeyType
{
	int16		length;
	bool		by_value;
	FmgrInfo	hash;
	FmgrInfo	equal;
	Oid			collation;
} KeyType;

typedef struct InputType
{
	int16		length;
	bool		by_value;
	bool		integer;
} InputType;

/* A value of an integer type. */
static inline int64
aggwin_input_integer(const InputType *type, Datum value)
{
	switch (type->length)
	{
		case sizeof(int16):
			return DatumGetInt16(value);
		case sizeof(int32):
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

typedef struct RunningWindow
{
	int32		window_id;
	bool		for_revisions;
	Oid			definition;
	MemoryContext context;		/* of all of it */
	MemoryContext scratch;
	RunningQuery *query;
	int			nkeys;
	int			ninputs;
	int			naggs;
	int			nstacks;		/* aggregates of RUNNING_STACKS */
	int			nresults;		/* aggregates, and expressions over them */
	KeyType    *keys;
	InputType  *inputs;
	RunningAggregate *aggs;
	bool	   *results_by_value;
	Size		row_align;
	bool		by_value;		/* all keys and inputs are passed so */

	/* What all of this is worth. A step begins with the version of the one before. */
	bool		valid;
	FullTransactionId version;	/* invalid during a step */
	bool		in_step;
	FullTransactionId step_version;
	SubTransactionId step_subid;	/* of the last seek in the step */
	int			too_large_for;	/* this much memory, 0: it never was */
	WindowBounds bounds;
	int64		pane_width;

	MemoryContext content;		/* all below */
	struct groups_hash *table;
	RunningGroup *probe;		/* a group with the keys that are looked for */
	Size		group_size;
	Size		values_offset;
	Size		results_offset;
	Size		stacks_offset;	/* only if there are such aggregates */
	char	  **blocks;			/* of groups */
	int			nblocks;
	uint32		ngroups;		/* slots ever used, live or free */
	uint32	   *unused;			/* numbers of free ones */
	int			nunused;
	int64		wasted;			/* states that could not be freed */
	RunningGroup **listed;		/* groups to be settled */
	int			nlisted;
	int			max_listed;
	RunningPane **panes;		/* in order; those without rows in memory first */
	int			npanes;
	int			max_panes;
	char	   *row;			/* being packed */
	Size		row_size;
} RunningWindow;

#define RUNNING_GROUPS_PER_BLOCK 128

static inline RunningGroup *
running_group(const RunningWindow *window, uint32 number)
{
	return (RunningGroup *) (window->blocks[number / RUNNING_GROUPS_PER_BLOCK] +
							 number % RUNNING_GROUPS_PER_BLOCK * window->group_size);
}

static inline RunningValue *
running_values(const RunningWindow *window, RunningGroup *group)
{
	return (RunningValue *) ((char *) group + window->values_offset);
}

static inline RunningResult *
running_results(const RunningWindow *window, RunningGroup *group)
{
	return (RunningResult *) ((char *) group + window->results_offset);
}

static inline RunningStacks *
running_stacks(const RunningWindow *window, RunningGroup *group)
{
	return (RunningStacks *) ((char *) group + window->stacks_offset);
}

/* running.c */
extern Size aggwin_running_memory(void);
extern RunningWindow *aggwin_running_sought(int32 window_id);

/* running_groups.c */
extern void aggwin_running_create_groups(RunningWindow *window);
extern uint32 aggwin_running_hash(RunningWindow *window, const NullableDatum *keys);
extern void aggwin_running_expect_hash(const RunningWindow *window, uint32 hash);
extern void aggwin_running_expect_group(const RunningWindow *window, uint32 hash);
extern RunningGroup *aggwin_running_find_group(RunningWindow *window, const NullableDatum *keys,
											   uint32 hash);
extern void aggwin_running_free_group(RunningWindow *window, RunningGroup *group);

#endif							/* AGGWIN_EMIT_RUNNING_STATE_H */
