/*
 * exp_buffer.h - the first few values of an exponential histogram
 *
 * Aggregates of many groups spend their time waiting for memory. So a state
 * begins as a list of the buckets that its values fall into, of two bytes each,
 * and the newest of them lie beside the head, in the one cache line that is
 * touched for each row; every eighth row moves them to the others.
 *
 * A code is 0 for the value 0, or else a bit for negative values and, below it,
 * the distance of the bucket's index from that of the first value. The few whose
 * values lie further apart begin with a table.
 */
#ifndef AGGWIN_EXP_BUFFER_H
#define AGGWIN_EXP_BUFFER_H

#include "postgres.h"

#include "summary/exp_histogram.h"

#define EXP_BUFFER_NEWEST	8

/* Capacities: multiples of the above that make states of 128, 256 and 512 bytes. */
#define EXP_BUFFER_MIN		32
#define EXP_BUFFER_MAX		224
#define EXP_BUFFER_NEXT(capacity) ((capacity) < 96 ? 96 : 224)

/* Values at most, the newest among them. */
#define EXP_BUFFER_LENGTH	(EXP_BUFFER_MAX + EXP_BUFFER_NEWEST)

typedef struct ExpBuffer
{
	uint8		newest_length;
	uint8		length;			/* of codes */
	uint8		capacity;		/* of codes */
	int8		scale;
	int32		max_buckets;
	float		asked_error;	/* 0: not known */
	int32		base;			/* the index of the distance 0 */
	double		sum;
	double		min;
	double		max;
	uint16		newest[EXP_BUFFER_NEWEST];
	uint16		codes[FLEXIBLE_ARRAY_MEMBER];
} ExpBuffer;

#define EXP_BUFFER_SIZE(capacity) \
	(offsetof(ExpBuffer, codes) + (Size) (capacity) * sizeof(uint16))

typedef enum ExpBufferResult
{
	EXP_BUFFERED,
	EXP_BUFFER_FULL,			/* copy into a larger one */
	EXP_BUFFER_FAR				/* the value is too far away from the others */
} ExpBufferResult;

extern void aggwin_exp_buffer_init(ExpBuffer *buffer, uint8 capacity, int scale, int max_buckets);
extern ExpBufferResult aggwin_exp_buffer_add(ExpBuffer *buffer, double value);
extern void aggwin_exp_buffer_copy(ExpBuffer *to, const ExpBuffer *from);
extern bool aggwin_exp_buffer_valid(const ExpBuffer *buffer, Size size);
extern void aggwin_exp_list_of_buffer(ExpList *list, const ExpBuffer *buffer);

#define EXP_CODE_NEGATIVE	0x8000
#define EXP_CODE_BASE		0x4000	/* the first value's distance */

/*
 * Add an ordinary value beside the head. False if nothing was done, as there is
 * more to it: aggwin_exp_buffer_add() then.
 */
static inline bool
aggwin_exp_buffer_count(ExpBuffer *buffer, double value)
{
	int32		index;
	bool		negative;

	if (buffer->newest_length == EXP_BUFFER_NEWEST ||
		!aggwin_exp_index_fast(value, buffer->scale, &index, &negative))
		return false;

	/* while there is no base, min is above max or both are zero */
	index -= buffer->base;
	if (index <= 0 || index >= EXP_CODE_NEGATIVE || (buffer->min >= 0 && buffer->max <= 0))
		return false;
	buffer->newest[buffer->newest_length++] = index | (negative ? EXP_CODE_NEGATIVE : 0);
	buffer->sum += value;
	if (value < buffer->min)
		buffer->min = value;
	if (value > buffer->max)
		buffer->max = value;
	return true;
}

#endif							/* AGGWIN_EXP_BUFFER_H */
