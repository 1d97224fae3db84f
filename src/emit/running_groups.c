/*
 * running_groups.c - the groups of a window, found by their keys
 *
 * Groups have numbers, by which rows name them, and stay where they are while
 * they have rows. A number that is free again is used for the next group.
 */
#include "postgres.h"

#include "emit/running_state.h"

#include "common/hashfn.h"
#include "port/pg_bitutils.h"
#include "utils/datum.h"
#include "utils/memutils.h"

typedef struct GroupsElement
{
	RunningGroup *group;
	uint32		hash;
	char		status;
} GroupsElement;

static bool same_keys(RunningWindow *window, RunningGroup *a, RunningGroup *b);

#define SH_PREFIX groups
#define SH_ELEMENT_TYPE GroupsElement
#define SH_KEY_TYPE RunningGroup *
#define SH_KEY group
#define SH_HASH_KEY(tb, key) (key)->hash
#define SH_EQUAL(tb, a, b) same_keys((tb)->private_data, a, b)
#define SH_SCOPE static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static bool
same_keys(RunningWindow *window, RunningGroup *a, RunningGroup *b)
{
	for (int i = 0; i < window->nkeys; i++)
	{
		KeyType    *key = &window->keys[i];

		if (a->keys[i].isnull != b->keys[i].isnull)
			return false;
		if (a->keys[i].isnull || (key->by_value && a->keys[i].value == b->keys[i].value))
			continue;
		if (!DatumGetBool(FunctionCall2Coll(&key->equal, key->collation,
											a->keys[i].value, b->keys[i].value)))
			return false;
	}
	return true;
}

/* As TupleHashTableHash() does. */
uint32
aggwin_running_hash(RunningWindow *window, const NullableDatum *keys)
{
	uint32		hash = 0;

	for (int i = 0; i < window->nkeys; i++)
	{
		hash = pg_rotate_left32(hash, 1);
		if (!keys[i].isnull)
			hash ^= DatumGetUInt32(FunctionCall1Coll(&window->keys[i].hash, window->keys[i].collation,
													 keys[i].value));
	}
	return murmurhash32(hash);
}

/*
 * Groups are met in no order, and to wait for each of them takes longer than what
 * is to be done with it. So whoever has several of them ahead says so, first where
 * they are found, then where they are likely to be.
 */
void
aggwin_running_expect_hash(const RunningWindow *window, uint32 hash)
{
	running_prefetch(&window->table->data[hash & window->table->sizemask]);
}

void
aggwin_running_expect_group(const RunningWindow *window, uint32 hash)
{
	const GroupsElement *element = &window->table->data[hash & window->table->sizemask];

	if (element->status == groups_SH_IN_USE)
		running_expect(element->group);
}

/* Give a window an empty set of groups; without keys, the one that there always is. */
void
aggwin_running_create_groups(RunningWindow *window)
{
	window->values_offset = MAXALIGN(offsetof(RunningGroup, keys) + window->nkeys * sizeof(NullableDatum));
	window->results_offset = MAXALIGN(window->values_offset + window->naggs * sizeof(RunningValue));
	window->stacks_offset = MAXALIGN(window->results_offset + window->nresults * sizeof(RunningResult));
	window->group_size = window->stacks_offset + (window->nstacks > 0 ? sizeof(RunningStacks) : 0);
	window->table = groups_create(window->content, 1024, window);
	window->probe = MemoryContextAllocZero(window->content, window->group_size);
	window->nblocks = 0;
	window->ngroups = 0;
	window->nunused = 0;
	window->blocks = MemoryContextAlloc(window->content, sizeof(char *));
	window->unused = MemoryContextAlloc(window->content, sizeof(uint32));
	window->nlisted = 0;
	window->max_listed = 256;
	window->listed = MemoryContextAlloc(window->content, window->max_listed * sizeof(RunningGroup *));
	window->wasted = 0;
	if (window->nkeys == 0)
		(void) aggwin_running_find_group(window, NULL, aggwin_running_hash(window, NULL));
}

/* A slot that was never used, its states started. */
static RunningGroup *
new_slot(RunningWindow *window)
{
	uint32		number = window->ngroups;
	RunningGroup *group;
	RunningValue *values;

	if (number == (uint32) window->nblocks * RUNNING_GROUPS_PER_BLOCK)
	{
		/* grown by doubling, at powers of two */
		if ((window->nblocks & (window->nblocks - 1)) == 0)
		{
			Size		capacity = Max(window->nblocks * 2, 1);

			window->blocks = repalloc_huge(window->blocks, capacity * sizeof(char *));
			window->unused = repalloc_huge(window->unused,
										   capacity * RUNNING_GROUPS_PER_BLOCK * sizeof(uint32));
		}
		window->blocks[window->nblocks++] =
			MemoryContextAllocZero(window->content, window->group_size * RUNNING_GROUPS_PER_BLOCK);
	}
	window->ngroups++;
	group = running_group(window, number);
	group->number = number;
	group->version = 1;
	values = running_values(window, group);
	for (int i = 0; i < window->naggs; i++)
	{
		if (window->aggs[i].kind >= RUNNING_INVERSE)
			aggwin_running_start(&window->aggs[i], &values[i].state, window->content);
	}
	for (int i = 0; i < window->nresults; i++)
		running_results(window, group)[i].isnull = true;
	return group;
}

/* The group that has these keys, with their hash; a new one if there is none. */
RunningGroup *
aggwin_running_find_group(RunningWindow *window, const NullableDatum *keys, uint32 hash)
{
	RunningGroup *probe = window->probe;
	GroupsElement *element;
	RunningGroup *group;
	bool		found;

	for (int i = 0; i < window->nkeys; i++)
		probe->keys[i] = keys[i];
	probe->hash = hash;
	element = groups_insert_hash(window->table, probe, probe->hash, &found);
	if (found)
		return element->group;

	group = window->nunused > 0 ? running_group(window, window->unused[--window->nunused])
		: new_slot(window);
	group->hash = probe->hash;
	for (int i = 0; i < window->nkeys; i++)
	{
		KeyType    *key = &window->keys[i];
		MemoryContext caller = MemoryContextSwitchTo(window->content);

		group->keys[i] = probe->keys[i];
		if (!probe->keys[i].isnull)
			group->keys[i].value = datumCopy(probe->keys[i].value, key->by_value, key->length);
		MemoryContextSwitchTo(caller);
	}
	element->group = group;
	return group;
}

/* Forget a group that has no rows. Its slot is ready for the next one. */
void
aggwin_running_free_group(RunningWindow *window, RunningGroup *group)
{
	RunningResult *results = running_results(window, group);

	if (!groups_delete(window->table, group))
		elog(ERROR, "a group of a window is not in its table");
	for (int i = 0; i < window->nkeys; i++)
	{
		if (!window->keys[i].by_value && !group->keys[i].isnull)
			pfree(DatumGetPointer(group->keys[i].value));
	}
	for (int i = 0; i < window->nresults; i++)
	{
		if (!window->results_by_value[i] && !results[i].isnull)
			pfree(DatumGetPointer(results[i].value));
		results[i].isnull = true;
		results[i].version = 0;
	}
	window->unused[window->nunused++] = group->number;
}
