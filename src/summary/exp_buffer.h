/*
 * exp_buffer.h - the first few values of an exponential histogram
 *
 * Aggregates of many groups spend their time waiting for memory. So a state
 * begins as a list of the buckets that its values fall into, which takes a
 * fraction of the room of a table, and the newest of them lie beside the head,
 * in the one cache line that is touched for each row; every fourth row moves
 * them to the others.
 */
#ifndef AGGWIN_EXP_BUFFER_H
#define AGGWIN_EXP_BUFFER_H

#include "postgres.h"

#include "summary/exp_histogram.h"

#define EXP_BUFFER_NEWEST	4

/* Capacities: multiples of the above that make states of 128, 256 and 512 bytes. */
#define EXP_BUFFER_MIN		16
#define EXP_BUFFER_MAX		112
#define EXP_BUFFER_NEXT(capacity) ((capacity) < 48 ? 48 : 112)

/* Values at most, the newest among them. */
#define EXP_BUFFER_LENGTH	(EXP_BUFFER_MAX + EXP_BUFFER_NEWEST)

typedef struct ExpBuffer
{
	uint8		newest_length;
	uint8		length;			/* of keys */
	uint8		capacity;		/* of keys */
	int8		scale;
	int32		max_buckets;
	double		asked_error;	/* 0: not known */
	double		sum;
	double		min;
	double		max;
	uint32		newest[EXP_BUFFER_NEWEST];
	uint32		keys[FLEXIBLE_ARRAY_MEMBER];
} ExpBuffer;

#define EXP_BUFFER_SIZE(capacity) \
	(offsetof(ExpBuffer, keys) + (Size) (capacity) * sizeof(uint32))

extern void aggwin_exp_buffer_init(ExpBuffer *buffer, uint8 capacity, int scale, int max_buckets);
extern bool aggwin_exp_buffer_add(ExpBuffer *buffer, double value);
extern void aggwin_exp_buffer_copy(ExpBuffer *to, const ExpBuffer *from);
extern bool aggwin_exp_buffer_valid(const ExpBuffer *buffer, Size size);
extern void aggwin_exp_list_of_buffer(ExpList *list, const ExpBuffer *buffer);

#endif							/* AGGWIN_EXP_BUFFER_H */
