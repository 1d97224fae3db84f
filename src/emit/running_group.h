/*
 * running_group.h - what is kept of a group of a window
 */
#ifndef AGGWIN_EMIT_RUNNING_GROUP_H
#define AGGWIN_EMIT_RUNNING_GROUP_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "emit/running_aggregate.h"

/* One pane: the rows of the input with these times, packed (running_rows.c). */
typedef struct RunningPane
{
	TimestampTz start;
	MemoryContext context;		/* rows and stack entries, all at once */
	struct RowChunk *first;		/* NULL, too, when the rows have been dropped */
	struct RowChunk *last;
	int64		rows;
	uint64		checksum;		/* of the rows, in any order */
	bool		resident;
} RunningPane;

/* A group's rows of one pane, for aggregates of RUNNING_STACKS */
typedef struct StackEntry
{
	struct StackEntry *next;	/* of a later pane */
	RunningPane *pane;
	RunningState states[FLEXIBLE_ARRAY_MEMBER]; /* of the rows, then of them and
												 * all later ones in front */
} StackEntry;

typedef union RunningValue
{
	struct
	{
		RunningSum	sum;
		int64		count;
	}			exact;			/* RUNNING_COUNT, RUNNING_SUM */
	RunningState state;			/* RUNNING_INVERSE; the back of RUNNING_STACKS */
} RunningValue;

/* What an aggregate comes to, for whoever asks next; as of a version of its group */
typedef struct RunningResult
{
	Datum		value;
	uint32		version;
	bool		isnull;
} RunningResult;

/* A group's entries, in the order of time */
typedef struct RunningStacks
{
	StackEntry *head;			/* of the oldest pane */
	StackEntry *mid;			/* the first in the back; NULL: all are in front */
	StackEntry *tail;
	StackEntry *merged;			/* the last one that is in the back's states */
	MemoryContext context;		/* back states of type internal */
} RunningStacks;

/*
 * What rows that come and go have to touch stands together, since groups are
 * touched in no order.
 */
typedef struct RunningGroup
{
	int64		rows;			/* none: free, or to be freed */
	uint32		version;		/* grows with each change, never 0 */
	uint32		number;
	uint32		hash;
	bool		listed;			/* among those to be settled */
	bool		rebuild;		/* to be computed anew from the rows */
	NullableDatum keys[FLEXIBLE_ARRAY_MEMBER];	/* then values, results, stacks */
} RunningGroup;

#ifdef __GNUC__
#define running_prefetch(address) __builtin_prefetch(address)
#else
#define running_prefetch(address) ((void) (address))
#endif

/* Have the memory of a group ready that is about to change. */
static inline void
running_expect(const RunningGroup *group)
{
	running_prefetch(group);
	running_prefetch((const char *) group + 64);
}

/* How many groups are expected ahead of their turn */
#define RUNNING_AHEAD 16

/* Note that results of a group are no longer what they were. */
static inline void
running_change(RunningGroup *group)
{
	if (unlikely(++group->version == 0))
		group->version = 1;
}

#endif							/* AGGWIN_EMIT_RUNNING_GROUP_H */
