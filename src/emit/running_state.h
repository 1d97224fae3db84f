/*
 * running_state.h - a window's groups and panes as they are kept in memory
 */
#ifndef AGGWIN_EMIT_RUNNING_STATE_H
#define AGGWIN_EMIT_RUNNING_STATE_H

#include "postgres.h"

#include "access/transam.h"
#include "emit/bounds.h"
#include "emit/running_aggregate.h"
#include "emit/running_query.h"
#include "nodes/execnodes.h"

struct groups_hash;				/* running_groups.c */

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

/* One row of a pane, unpacked */
typedef struct RunningRow
{
	const char *bytes;
	Size		length;
	RunningGroup *group;
	NullableDatum *inputs;
} RunningRow;

typedef struct RowCursor
{
	struct RowChunk *chunk;
	Size		offset;
} RowCursor;

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

/* running_rows.c */
extern RunningPane *aggwin_running_create_pane(RunningWindow *window, TimestampTz start);
extern Size aggwin_running_pack(RunningWindow *window, const RunningGroup *group,
								const NullableDatum *inputs);
extern void aggwin_running_append(RunningWindow *window, RunningPane *pane, const char *row,
								  Size length);
extern bool aggwin_running_next_row(const RunningWindow *window, RowCursor *cursor, RunningRow *row);
extern void aggwin_running_unpack(const RunningWindow *window, const char *bytes, RunningRow *row);
extern void aggwin_running_kill(RunningPane *pane, const RunningRow *row);
extern void aggwin_running_drop_rows(RunningPane *pane);

/* running_apply.c */
extern void aggwin_running_add_row(RunningWindow *window, RunningPane *pane, RunningRow *row);
extern void aggwin_running_remove_row(RunningWindow *window, RunningRow *row);
extern void aggwin_running_list(RunningWindow *window, RunningGroup *group);
extern bool aggwin_running_settle(RunningWindow *window);

/* running_stacks.c */
extern StackEntry *aggwin_running_entry(RunningWindow *window, RunningGroup *group, RunningPane *pane);
extern void aggwin_running_leave(RunningWindow *window, RunningGroup *group, const RunningPane *pane);
extern void aggwin_running_merge_back(RunningWindow *window, RunningGroup *group);
extern void aggwin_running_clear_stacks(RunningWindow *window, RunningGroup *group);
extern Datum aggwin_running_stacks_final(RunningWindow *window, RunningGroup *group,
										 RunningAggregate *aggregate, bool *isnull);

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

/* running_move.c */
extern void aggwin_running_empty(RunningWindow *window);
extern bool aggwin_running_move(RunningWindow *window, const WindowBounds *bounds,
								const WindowBounds *touched, int ntouched);
extern bool aggwin_running_rebuild(RunningWindow *window, const WindowBounds *bounds);

/* running_load.c */
extern void aggwin_running_load(RunningWindow *window, const WindowBounds *bounds,
								RunningPane **panes, int npanes, bool add);

#endif							/* AGGWIN_EMIT_RUNNING_STATE_H */
