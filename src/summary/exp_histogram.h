/*
 * exp_histogram.h - histograms of exponential buckets
 *
 * Two forms: the table, which values are counted in, and the list, which is in
 * the order of the values and is what is stored and read.
 */
#ifndef AGGWIN_EXP_HISTOGRAM_H
#define AGGWIN_EXP_HISTOGRAM_H

#include "postgres.h"

#include "summary/exp_index.h"

/* How many buckets a user may ask for. */
#define EXP_MIN_BUCKETS		16
#define EXP_MAX_BUCKETS		65536

/* The smallest table, in slots. */
#define EXP_MIN_CAPACITY	16

typedef struct ExpSlot
{
	uint32		key;
	uint32		count;
} ExpSlot;

/*
 * Keys: 24 bits of index, of 0 at EXP_KEY_BASE, a bit for negative numbers, which
 * have all lower bits inverted, and a bit for the slot of the units of 2^32.
 */
#define EXP_KEY_EMPTY	PG_UINT32_MAX
#define EXP_KEY_ZERO	0		/* the value 0: no index is so low */
#define EXP_KEY_MASK	0x00FFFFFFU
#define EXP_KEY_BASE	(1U << 23)
#define EXP_KEY_NEGATIVE (1U << 24)
#define EXP_KEY_HIGH	(1U << 25)

typedef struct ExpTable
{
	uint32		mask;			/* slots - 1, slots a power of two */
	uint32		room;			/* slots that may still be taken */
	int32		scale;
	int32		buckets;		/* in use, the one of zero not among them */
	int64		count;
	double		sum;			/* infinite when finite values overflowed it */
	double		min;
	double		max;
	int32		max_buckets;
	float		asked_error;	/* 0: not known */
	ExpSlot		slots[FLEXIBLE_ARRAY_MEMBER];
} ExpTable;

/* A bucket of the list. The one of zero has sign and index 0. */
typedef struct ExpBucket
{
	int32		index;
	int32		sign;			/* -1, 0, 1 */
	int64		count;
} ExpBucket;

typedef struct ExpList
{
	int32		scale;
	int32		max_buckets;
	int64		count;
	double		sum;
	double		min;
	double		max;
	int32		length;
	ExpBucket  *buckets;		/* ascending by value, none of them empty */
} ExpList;

typedef enum ExpResult
{
	EXP_ADDED,
	EXP_FULL,					/* copy into a larger table and go on */
	EXP_OVERFLOW				/* more values than int64 counts */
} ExpResult;

#define EXP_TABLE_SIZE(capacity) \
	(offsetof(ExpTable, slots) + (Size) (capacity) * sizeof(ExpSlot))

extern void aggwin_exp_table_init(ExpTable *table, uint32 capacity, int scale, int max_buckets);
extern ExpResult aggwin_exp_table_add(ExpTable *table, double value);
extern ExpResult aggwin_exp_table_merge(ExpTable *into, const ExpList *from, int32 *position);
extern void aggwin_exp_table_copy(ExpTable *to, const ExpTable *from);
extern uint32 aggwin_exp_key_of(double value, int scale);
extern ExpBucket aggwin_exp_bucket_of(uint32 key, int64 count);
extern bool aggwin_exp_table_valid(const ExpTable *table, Size size);
extern uint32 aggwin_exp_capacity_for(int32 buckets);

extern void aggwin_exp_list_of_table(ExpList *list, const ExpTable *table);
extern void aggwin_exp_list_sort(ExpList *list);
extern const char *aggwin_exp_list_check(const ExpList *list);
extern double aggwin_exp_list_percentile(const ExpList *list, double fraction);
extern double aggwin_exp_list_cdf(const ExpList *list, double value);
extern void aggwin_exp_bucket_bounds(const ExpBucket *bucket, int scale,
									 double *lower, double *upper);

static inline uint32
aggwin_exp_key(int32 index, bool negative)
{
	uint32		key = (uint32) index + EXP_KEY_BASE;

	return negative ? key ^ (EXP_KEY_MASK | EXP_KEY_NEGATIVE) : key;
}

/*
 * The bucket of a value, if it is an ordinary number and the scale has a table.
 * False for zero, subnormal numbers, infinities and NaN.
 */
static inline bool
aggwin_exp_index_fast(double value, int scale, int32 *index, bool *negative)
{
	const ExpSlice *slices;
	uint64		bits;
	uint64		magnitude;

	memcpy(&bits, &value, sizeof(bits));
	magnitude = bits & ~(UINT64CONST(1) << 63);
	if (unlikely(magnitude - (UINT64CONST(1) << EXP_MANTISSA_BITS) >=
				 UINT64CONST(0x7FE0000000000000) || scale < 0))
		return false;
	slices = aggwin_exp_slices[scale];
	if (unlikely(slices == NULL))
		return false;
	*index = aggwin_exp_index_of_bits(magnitude - 1, slices, scale);
	*negative = bits != magnitude;
	return true;
}

/*
 * Count a value whose bucket has a slot at its home already. False if nothing
 * was done, as there is more to it: aggwin_exp_table_add() then.
 */
static inline bool
aggwin_exp_table_count(ExpTable *table, double value)
{
	ExpSlot    *slot;
	uint32		key;
	int32		index;
	bool		negative;

	if (!aggwin_exp_index_fast(value, table->scale, &index, &negative))
		return false;
	key = aggwin_exp_key(index, negative);
	slot = &table->slots[key & table->mask];
	if (unlikely(slot->key != key || slot->count == PG_UINT32_MAX ||
				 table->count == PG_INT64_MAX))
		return false;

	slot->count++;
	table->count++;
	table->sum += value;
	if (value < table->min)
		table->min = value;
	if (value > table->max)
		table->max = value;
	return true;
}

#endif							/* AGGWIN_EXP_HISTOGRAM_H */
