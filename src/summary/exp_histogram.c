/*
 * exp_histogram.c - counting in exponential buckets
 *
 * The table is a hash table whose hash is the bucket's index itself: what is
 * dense stays dense and needs no probing, and what is sparse, from 1e-300 to
 * 1e300, takes no more room than it has buckets. Only when a home is taken by
 * another bucket does the search jump, by a step that depends on the key.
 *
 * A slot counts to 2^32; what goes beyond is counted in units of 2^32 by a second
 * slot for the same bucket.
 *
 * There are at most max_buckets buckets, that of zero not counted. When one more
 * is needed, the scale falls by one and neighbours join. As this happens just
 * when the values seen so far need it, the scale of the result, and with it
 * everything but the rounding of the sum, depends neither on the order of the
 * values nor on the order of merges.
 */
#include "postgres.h"

#include "summary/exp_histogram.h"

#include <math.h>

#include "common/int.h"
#include "utils/float.h"

void
aggwin_exp_table_init(ExpTable *table, uint32 capacity, int scale, int max_buckets)
{
	Assert(capacity >= EXP_MIN_CAPACITY && (capacity & (capacity - 1)) == 0);

	memset(table, 0, offsetof(ExpTable, slots));
	table->mask = capacity - 1;
	table->room = capacity - capacity / 8;
	table->scale = scale;
	table->max_buckets = max_buckets;
	table->min = get_float8_infinity();
	table->max = -get_float8_infinity();
	for (uint32 i = 0; i < capacity; i++)
	{
		table->slots[i].key = EXP_KEY_EMPTY;
		table->slots[i].count = 0;
	}
	aggwin_exp_index_prepare(scale);
}

/* The capacity that leaves room for some more than so many buckets. */
uint32
aggwin_exp_capacity_for(int32 buckets)
{
	uint32		capacity = EXP_MIN_CAPACITY;

	while (capacity - capacity / 8 <= buckets)
		capacity *= 2;
	return capacity;
}

/* Is this a table at all? For states that may come from anywhere. */
bool
aggwin_exp_table_valid(const ExpTable *table, Size size)
{
	return size >= EXP_TABLE_SIZE(EXP_MIN_CAPACITY) &&
		(table->mask & (table->mask + 1)) == 0 &&
		size == EXP_TABLE_SIZE((Size) table->mask + 1) &&
		table->room < table->mask &&
		table->scale >= EXP_MIN_SCALE && table->scale <= EXP_MAX_SCALE;
}

/* The slot of a key, or the empty one where it belongs. */
static ExpSlot *
find(ExpTable *table, uint32 key)
{
	uint32		step = ((key * 0x9E3779B1U) >> 8) | 1;
	uint32		place = key & table->mask;

	while (table->slots[place].key != key && table->slots[place].key != EXP_KEY_EMPTY)
		place = (place + step) & table->mask;
	return &table->slots[place];
}

static void
count_in(ExpTable *table, ExpSlot *slot, uint32 key, uint32 count)
{
	if (slot->key == EXP_KEY_EMPTY)
	{
		Assert(table->room > 0);
		slot->key = key;
		table->room--;
		if (key != EXP_KEY_ZERO && (key & EXP_KEY_HIGH) == 0)
			table->buckets++;
	}
	slot->count += count;
}

/* Add to a bucket. False, with nothing done, if there are too few slots. */
static bool
count_key(ExpTable *table, uint32 key, uint64 count)
{
	ExpSlot    *slot = find(table, key);
	uint64		sum = (uint64) slot->count + (uint32) count;
	uint32		high = (uint32) (count >> 32) + (uint32) (sum >> 32);

	if (table->room < 2)
	{
		uint32		needed = slot->key == EXP_KEY_EMPTY;

		if (high > 0)
			needed += find(table, key | EXP_KEY_HIGH)->key == EXP_KEY_EMPTY;
		if (needed > table->room)
			return false;
	}
	count_in(table, slot, key, (uint32) count);
	if (high > 0)
		count_in(table, find(table, key | EXP_KEY_HIGH), key | EXP_KEY_HIGH, high);
	return true;
}

static uint64
slot_count(const ExpSlot *slot)
{
	return (slot->key & EXP_KEY_HIGH) ? (uint64) slot->count << 32 : slot->count;
}

/* The key of a value that is not NaN. */
uint32
aggwin_exp_key_of(double value, int scale)
{
	if (value == 0)
		return EXP_KEY_ZERO;
	return aggwin_exp_key(aggwin_exp_index(fabs(value), scale), value < 0);
}

ExpBucket
aggwin_exp_bucket_of(uint32 key, int64 count)
{
	bool		negative = (key & EXP_KEY_NEGATIVE) != 0;
	uint32		index = (negative ? ~key : key) & EXP_KEY_MASK;

	if ((key & ~EXP_KEY_HIGH) == EXP_KEY_ZERO)
		return (ExpBucket) {.count = count};
	return (ExpBucket) {
		.index = (int32) index - (int32) EXP_KEY_BASE,
		.sign = negative ? -1 : 1,
		.count = count
	};
}

/* The key of a bucket at a scale that is not finer. */
static uint32
key_of_bucket(const ExpBucket *bucket, int shift)
{
	if (bucket->sign == 0)
		return EXP_KEY_ZERO;
	return aggwin_exp_key(bucket->index >> shift, bucket->sign < 0);
}

/* Count the slots of one table, or an array of slots, into another at its scale. */
static void
recount(ExpTable *to, const ExpSlot *slots, uint32 length, int scale)
{
	for (uint32 i = 0; i < length; i++)
	{
		ExpBucket	bucket;
		bool		done PG_USED_FOR_ASSERTS_ONLY;

		if (slots[i].key == EXP_KEY_EMPTY)
			continue;
		bucket = aggwin_exp_bucket_of(slots[i].key, slot_count(&slots[i]));
		done = count_key(to, key_of_bucket(&bucket, scale - to->scale), bucket.count);
		Assert(done);
	}
}

/* Copy into a table that was just made, with room enough. */
void
aggwin_exp_table_copy(ExpTable *to, const ExpTable *from)
{
	recount(to, from->slots, from->mask + 1, from->scale);
	to->count = from->count;
	to->sum = from->sum;
	to->min = from->min;
	to->max = from->max;
	to->asked_error = from->asked_error;
}

/* Halve the resolution until it is at most that of scale. */
static void
lower_scale(ExpTable *table, int scale)
{
	uint32		capacity = table->mask + 1;
	int			old = table->scale;
	ExpSlot    *slots;

	if (scale >= old)
		return;
	slots = palloc(capacity * sizeof(ExpSlot));
	memcpy(slots, table->slots, capacity * sizeof(ExpSlot));
	for (uint32 i = 0; i < capacity; i++)
	{
		table->slots[i].key = EXP_KEY_EMPTY;
		table->slots[i].count = 0;
	}
	table->room = capacity - capacity / 8;
	table->buckets = 0;
	table->scale = scale;
	aggwin_exp_index_prepare(scale);
	recount(table, slots, capacity, old);
	pfree(slots);
}

/* Count a bucket of some scale, that of the table or a finer one. */
static bool
count_bucket(ExpTable *table, const ExpBucket *bucket, int scale)
{
	for (;;)
	{
		uint32		key = key_of_bucket(bucket, scale - table->scale);

		if (table->buckets < table->max_buckets || key == EXP_KEY_ZERO ||
			find(table, key)->key == key)
			return count_key(table, key, bucket->count);
		lower_scale(table, table->scale - 1);
	}
}

/* Add a value, which is not NaN. */
ExpResult
aggwin_exp_table_add(ExpTable *table, double value)
{
	ExpBucket	bucket;

	if (table->count == PG_INT64_MAX)
		return EXP_OVERFLOW;
	if (value == 0)
		value = 0;				/* not minus zero */
	aggwin_exp_index_prepare(table->scale);
	bucket = aggwin_exp_bucket_of(aggwin_exp_key_of(value, table->scale), 1);
	if (!count_bucket(table, &bucket, table->scale))
		return EXP_FULL;
	table->count++;
	table->sum += value;
	if (value < table->min)
		table->min = value;
	if (value > table->max)
		table->max = value;
	return EXP_ADDED;
}

/*
 * Merge a list into a table. position counts the buckets that are merged, zero
 * at first: after EXP_FULL, go on from there with a larger table.
 */
ExpResult
aggwin_exp_table_merge(ExpTable *into, const ExpList *from, int32 *position)
{
	if (*position == 0)
	{
		into->min = Min(into->min, from->min);
		into->max = Max(into->max, from->max);
		lower_scale(into, from->scale);
		into->max_buckets = Min(into->max_buckets, from->max_buckets);
		while (into->buckets > into->max_buckets)
			lower_scale(into, into->scale - 1);
	}
	for (; *position < from->length; (*position)++)
		if (!count_bucket(into, &from->buckets[*position], from->scale))
			return EXP_FULL;

	/* Once: even the first bucket may have been too much for a smaller table. */
	into->sum += from->sum;
	if (pg_add_s64_overflow(into->count, from->count, &into->count))
		return EXP_OVERFLOW;
	return EXP_ADDED;
}

/* The buckets of a table, in no order. */
void
aggwin_exp_list_of_table(ExpList *list, const ExpTable *table)
{
	list->scale = table->scale;
	list->max_buckets = table->max_buckets;
	list->count = table->count;
	list->sum = table->sum;
	list->min = table->min;
	list->max = table->max;
	list->length = 0;
	list->buckets = palloc((table->buckets + 1) * sizeof(ExpBucket));

	for (uint32 i = 0; i <= table->mask; i++)
	{
		const ExpSlot *slot = &table->slots[i];
		const ExpSlot *high;
		int64		count;

		if (slot->key == EXP_KEY_EMPTY || (slot->key & EXP_KEY_HIGH))
			continue;
		count = slot->count;
		high = find((ExpTable *) table, slot->key | EXP_KEY_HIGH);
		if (high->key != EXP_KEY_EMPTY)
			count += slot_count(high);
		list->buckets[list->length++] = aggwin_exp_bucket_of(slot->key, count);
	}
}
