/*
 * topk.h - the most frequent items of a stream (Space-Saving)
 *
 * Two forms: the table, which items are counted in, and the list, which is in
 * the order of the counts and is what is stored, merged and read.
 */
#ifndef AGGWIN_TOPK_H
#define AGGWIN_TOPK_H

#include "postgres.h"

#define TOPK_MAX_K			65536
#define TOPK_MAX_CAPACITY	1048576
#define TOPK_MAX_ITEM		1024	/* bytes */

/* How many items to count for a list of k. */
#define TOPK_DEFAULT_CAPACITY(k) Max(512, 32 * (k))

/* Entries are searched for the smallest count in blocks of so many. */
#define TOPK_BLOCK			64

typedef struct TopkEntry
{
	int64		count;
	int64		error;
	uint32		hash;
	uint32		place;			/* of the item, in the arena */
	uint16		length;
	uint16		room;			/* bytes that the place has */
	uint32		unused;			/* zero */
} TopkEntry;

/*
 * The arrays of a table follow it; offsets are from its start. A block's minimum
 * may be out of date, and then is too low; its cursor is the first entry of the
 * block whose count may be that.
 */
typedef struct TopkTable
{
	int32		k;
	int32		capacity;		/* items that may be counted at a time */
	int32		allocated;		/* entries there is room for now */
	int32		used;
	int64		total;			/* sum of all weights */
	int64		max_error;		/* greatest count evicted: what no other item exceeds */
	uint32		mask;			/* hash slots - 1 */
	uint32		arena_size;		/* bytes of items */
	uint32		arena_used;
	uint32		blocks;
	uint32		lowest;			/* the block with the lowest minimum, as last seen */
	uint32		entries;		/* TopkEntry each */
	uint32		minima;			/* int64 for each block */
	uint32		slots;			/* uint32 for each hash slot */
	uint32		cursors;		/* uint8 for each block */
	uint32		arena;
} TopkTable;

typedef struct TopkItem
{
	const char *item;			/* not terminated */
	uint32		length;
	int64		count;
	int64		error;			/* how much of the count may be others' */
} TopkItem;

typedef struct TopkList
{
	int32		k;
	int32		capacity;
	int64		total;
	int64		max_error;
	int32		length;
	TopkItem   *items;			/* by count descending, error, bytes */
} TopkList;

typedef enum TopkResult
{
	TOPK_ADDED,
	TOPK_FULL,					/* nothing changed; copy into a larger table */
	TOPK_OVERFLOW				/* more than int64 counts */
} TopkResult;

extern Size aggwin_topk_size(int32 entries, uint32 arena);
extern void aggwin_topk_init(TopkTable *table, int32 k, int32 capacity, int32 entries, uint32 arena);
extern TopkResult aggwin_topk_add(TopkTable *table, const char *item, uint32 length, int64 weight);
extern void aggwin_topk_larger(const TopkTable *table, uint32 length, int32 *entries, uint32 *arena);
extern void aggwin_topk_copy(TopkTable *to, const TopkTable *from);
extern bool aggwin_topk_valid(const TopkTable *table, Size size);
extern void aggwin_topk_of_list(TopkTable *table, const TopkList *list);
extern uint32 aggwin_topk_list_bytes(const TopkList *list);

extern void aggwin_topk_list_of_table(TopkList *list, const TopkTable *table);
extern void aggwin_topk_list_sort(TopkList *list);
extern bool aggwin_topk_list_merge(TopkList *result, const TopkList *a, const TopkList *b);
extern const char *aggwin_topk_list_check(const TopkList *list);

#endif							/* AGGWIN_TOPK_H */
