/*
 * topk.c - counting the most frequent items of a stream
 *
 * Space-Saving:
 *   A. Metwally, D. Agrawal, A. El Abbadi: Efficient Computation of Frequent and
 *   Top-k Elements in Data Streams. ICDT 2005.
 * A table counts a fixed number of items. An item that is not in it takes the
 * place of the one with the smallest count and goes on from there: that count
 * is how much of its own may be others', its error. So
 *
 *      count - error <= true count <= count
 *
 * for each item in the table, and no other item exceeds the greatest count ever
 * evicted. While all items fit, everything is exact.
 *
 * The paper's list of buckets finds the smallest count in O(1), but weights make
 * it walk. Here, counts are an array with the minimum of each block of 64.
 * Counting an item does not look at them: a minimum only grows, so one that is
 * out of date is merely too low and is found out when it is about to be used.
 * With weights of one, many items have the smallest count; a cursor in each
 * block goes from one to the next, so finding them takes O(1) on average, and
 * about capacity / 64 + 64 steps at worst, whatever the weights.
 *
 * Items are compared by their bytes. Which of several items of the smallest
 * count is evicted is the order of the entries.
 */
#include "postgres.h"

#include "summary/topk.h"

#include "common/hashfn.h"
#include "common/int.h"

#define PART(table, type, offset) ((type *) ((char *) (table) + (offset)))
#define ENTRIES(table)	PART(table, TopkEntry, (table)->entries)
#define MINIMA(table)	PART(table, int64, (table)->minima)
#define CURSORS(table)	PART(table, uint8, (table)->cursors)
#define SLOTS(table)	PART(table, uint32, (table)->slots)
#define ARENA(table)	PART(table, char, (table)->arena)

/* Places in the arena are this long at least, so that most can be used again. */
#define MIN_ROOM	16

/*
 * A hash slot: the number of the entry plus one, and above it a part of the hash
 * that tells most other items apart without looking at their entries.
 */
#define SLOT_ENTRY_MASK	((1U << 21) - 1)
#define SLOT_OF(entry, hash) (((hash) & ~SLOT_ENTRY_MASK) | ((entry) + 1))
#define SLOT_ENTRY(slot) (((slot) & SLOT_ENTRY_MASK) - 1)

StaticAssertDecl(TOPK_MAX_CAPACITY < SLOT_ENTRY_MASK, "entries fit into slots");

static uint32
hash_slots(int32 entries)
{
	uint32		slots = 16;

	while (slots < (uint32) entries * 3)
		slots *= 2;
	return slots;
}

/* Where the arrays are; returns the size of the whole. */
static Size
lay_out(TopkTable *table, int32 entries, uint32 arena)
{
	uint32		blocks = (entries + TOPK_BLOCK - 1) / TOPK_BLOCK;
	uint32		slots = hash_slots(entries);
	Size		at = MAXALIGN(sizeof(TopkTable));

	table->allocated = entries;
	table->blocks = blocks;
	table->mask = slots - 1;
	table->arena_size = arena;
	table->entries = at;
	at += entries * sizeof(TopkEntry);
	table->minima = at;
	at += blocks * sizeof(int64);
	table->slots = at;
	at += slots * sizeof(uint32);
	table->cursors = at;
	at += blocks;
	table->arena = at;
	return at + arena;
}

Size
aggwin_topk_size(int32 entries, uint32 arena)
{
	TopkTable	table;

	return lay_out(&table, entries, arena);
}

/* A table without items, in zeroed memory of aggwin_topk_size(). */
void
aggwin_topk_init(TopkTable *table, int32 k, int32 capacity, int32 entries, uint32 arena)
{
	Assert(entries >= 1 && entries <= capacity);
	(void) lay_out(table, entries, arena);
	table->k = k;
	table->capacity = capacity;
}

/* Is this a table at all? For states that may come from anywhere. */
bool
aggwin_topk_valid(const TopkTable *table, Size size)
{
	TopkTable	expected;

	return size >= sizeof(TopkTable) &&
		table->allocated >= 1 && table->allocated <= TOPK_MAX_CAPACITY &&
		table->used >= 0 && table->used <= table->allocated &&
		table->arena_used <= table->arena_size &&
		lay_out(&expected, table->allocated, table->arena_size) == size &&
		expected.arena == table->arena && expected.slots == table->slots;
}

/* The slot that points to an item, or the empty one where it belongs. */
static inline uint32
find(const TopkTable *table, const char *item, uint32 length, uint32 hash)
{
	const uint32 *slots = SLOTS(table);
	uint32		place = hash & table->mask;

	for (; slots[place] != 0; place = (place + 1) & table->mask)
	{
		const TopkEntry *entry;

		if (((slots[place] ^ hash) & ~SLOT_ENTRY_MASK) != 0)
			continue;
		entry = &ENTRIES(table)[SLOT_ENTRY(slots[place])];
		if (entry->hash == hash && entry->length == length &&
			memcmp(ARENA(table) + entry->place, item, length) == 0)
			break;
	}
	return place;
}

/* Take an entry out of the hash slots; the ones behind it move up. */
static void
unlink_entry(TopkTable *table, uint32 number)
{
	uint32	   *slots = SLOTS(table);
	uint32		hash = ENTRIES(table)[number].hash;
	uint32		hole = hash & table->mask;
	uint32		next;

	while (slots[hole] != SLOT_OF(number, hash))
		hole = (hole + 1) & table->mask;
	for (next = (hole + 1) & table->mask; slots[next] != 0; next = (next + 1) & table->mask)
	{
		uint32		home = ENTRIES(table)[SLOT_ENTRY(slots[next])].hash & table->mask;

		/* may it stand in the hole, or would that be before its home? */
		if (((next - home) & table->mask) >= ((next - hole) & table->mask))
		{
			slots[hole] = slots[next];
			hole = next;
		}
	}
	slots[hole] = 0;
}

/*
 * Find an entry of the block that has its minimum. If none has any more, bring
 * the minimum up to date; true if it stayed.
 */
static bool
search_block(TopkTable *table, uint32 block)
{
	const TopkEntry *entries = &ENTRIES(table)[block * TOPK_BLOCK];
	uint32		length = Min(TOPK_BLOCK, (uint32) table->used - block * TOPK_BLOCK);
	int64		minimum = MINIMA(table)[block];
	uint32		found = 0;

	/* up to the cursor, all are greater */
	for (uint32 i = CURSORS(table)[block]; i < length; i++)
	{
		if (entries[i].count == minimum)
		{
			CURSORS(table)[block] = i;
			return true;
		}
	}
	for (uint32 i = 1; i < length; i++)
		if (entries[i].count < entries[found].count)
			found = i;
	MINIMA(table)[block] = entries[found].count;
	CURSORS(table)[block] = found;
	return false;
}

/* The entry with the smallest count. */
static uint32
smallest(TopkTable *table)
{
	const int64 *minima = MINIMA(table);

	/* minima only grow: the lowest stays so as long as it stays the same */
	while (!search_block(table, table->lowest))
	{
		int64		minimum = minima[table->lowest];

		for (uint32 i = 0; i < table->blocks; i++)
		{
			if (minima[i] < minimum)
			{
				minimum = minima[i];
				table->lowest = i;
			}
		}
	}
	return table->lowest * TOPK_BLOCK + CURSORS(table)[table->lowest];
}

static inline uint32
room_for(uint32 length)
{
	return Max(MIN_ROOM, (length + 7) & ~7);
}

static inline bool
has_room(const TopkTable *table, const TopkEntry *entry, uint32 length)
{
	return length <= entry->room || room_for(length) <= table->arena_size - table->arena_used;
}

/* Make an item the entry's; there is room for it. */
static inline void
write_item(TopkTable *table, TopkEntry *entry, const char *item, uint32 length, uint32 hash)
{
	if (length > entry->room)
	{
		entry->place = table->arena_used;
		entry->room = room_for(length);
		table->arena_used += entry->room;
	}
	memcpy(ARENA(table) + entry->place, item, length);
	entry->length = length;
	entry->hash = hash;
}

/* A new entry at the end, for which there is room. */
static void
append(TopkTable *table, uint32 place, const char *item, uint32 length, uint32 hash,
	   int64 count, int64 error)
{
	uint32		number = table->used++;
	uint32		block = number / TOPK_BLOCK;
	TopkEntry  *entry = &ENTRIES(table)[number];

	write_item(table, entry, item, length, hash);
	entry->count = count;
	entry->error = error;
	SLOTS(table)[place] = SLOT_OF(number, hash);
	if (number % TOPK_BLOCK == 0 || count < MINIMA(table)[block])
	{
		MINIMA(table)[block] = count;
		CURSORS(table)[block] = number % TOPK_BLOCK;
	}
	if (MINIMA(table)[block] < MINIMA(table)[table->lowest])
		table->lowest = block;
}

/* Count an item. weight is positive. */
TopkResult
aggwin_topk_add(TopkTable *table, const char *item, uint32 length, int64 weight)
{
	uint32		hash = hash_bytes((const unsigned char *) item, length);
	uint32		place = find(table, item, length, hash);
	int64		total;

	Assert(weight > 0 && length <= TOPK_MAX_ITEM);
	if (pg_add_s64_overflow(table->total, weight, &total))
		return TOPK_OVERFLOW;

	/* counts do not exceed the total, so they do not overflow */
	if (SLOTS(table)[place] != 0)
		ENTRIES(table)[SLOT_ENTRY(SLOTS(table)[place])].count += weight;
	else if (table->used < table->capacity)
	{
		if (table->used == table->allocated ||
			!has_room(table, &ENTRIES(table)[table->used], length))
			return TOPK_FULL;
		append(table, place, item, length, hash, weight, 0);
	}
	else
	{
		uint32		number = smallest(table);
		TopkEntry  *entry = &ENTRIES(table)[number];

		if (!has_room(table, entry, length))
			return TOPK_FULL;
		unlink_entry(table, number);
		write_item(table, entry, item, length, hash);
		entry->error = entry->count;
		entry->count += weight;
		table->max_error = Max(table->max_error, entry->error);

		/* the place may have moved when the entry went */
		place = hash & table->mask;
		while (SLOTS(table)[place] != 0)
			place = (place + 1) & table->mask;
		SLOTS(table)[place] = SLOT_OF(number, hash);
	}
	table->total = total;
	return TOPK_ADDED;
}

/* What a larger table has to have for one more item of so many bytes. */
void
aggwin_topk_larger(const TopkTable *table, uint32 length, int32 *entries, uint32 *arena)
{
	uint64		bytes = 0;

	for (int32 i = 0; i < table->used; i++)
		bytes += room_for(ENTRIES(table)[i].length);
	bytes += room_for(length);

	*entries = table->allocated;
	if (table->used == table->allocated)
		*entries = (int32) Min((int64) table->allocated * 2, table->capacity);
	*arena = (uint32) Min(bytes + bytes / 2, PG_UINT32_MAX / 4);
	/* as many bytes for those still to come as the others have */
	if (*entries > table->used)
		*arena = (uint32) Min(bytes * *entries / (table->used + 1), PG_UINT32_MAX / 4);
}

/* Copy into a larger table without items. */
void
aggwin_topk_copy(TopkTable *to, const TopkTable *from)
{
	to->total = from->total;
	to->max_error = from->max_error;
	for (int32 i = 0; i < from->used; i++)
	{
		const TopkEntry *entry = &ENTRIES(from)[i];
		const char *item = ARENA(from) + entry->place;

		append(to, find(to, item, entry->length, entry->hash), item, entry->length,
			   entry->hash, entry->count, entry->error);
	}
}

/* The bytes that the items of a list take in an arena. */
uint32
aggwin_topk_list_bytes(const TopkList *list)
{
	uint64		bytes = MIN_ROOM;

	for (int32 i = 0; i < list->length; i++)
		bytes += room_for(list->items[i].length);
	return (uint32) Min(bytes, PG_UINT32_MAX / 4);
}

/* Fill a table without items. */
void
aggwin_topk_of_list(TopkTable *table, const TopkList *list)
{
	table->total = list->total;
	table->max_error = list->max_error;
	for (int32 i = 0; i < list->length; i++)
	{
		const TopkItem *item = &list->items[i];
		uint32		hash = hash_bytes((const unsigned char *) item->item, item->length);

		append(table, find(table, item->item, item->length, hash),
			   item->item, item->length, hash, item->count, item->error);
	}
}

/* The items of a table, in no order; they stay in the table. */
void
aggwin_topk_list_of_table(TopkList *list, const TopkTable *table)
{
	list->k = table->k;
	list->capacity = table->capacity;
	list->total = table->total;
	list->max_error = table->max_error;
	list->length = table->used;
	list->items = palloc((table->used + 1) * sizeof(TopkItem));
	for (int32 i = 0; i < table->used; i++)
		list->items[i] = (TopkItem) {
			.item = ARENA(table) + ENTRIES(table)[i].place,
			.length = ENTRIES(table)[i].length,
			.count = ENTRIES(table)[i].count,
			.error = ENTRIES(table)[i].error
		};
}
