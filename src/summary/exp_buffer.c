/*
 * exp_buffer.c - the first few values of an exponential histogram
 */
#include "postgres.h"

#include "summary/exp_buffer.h"

#include <math.h>

#include "utils/float.h"

void
aggwin_exp_buffer_init(ExpBuffer *buffer, uint8 capacity, int scale, int max_buckets)
{
	memset(buffer, 0, offsetof(ExpBuffer, codes));
	buffer->capacity = capacity;
	buffer->scale = scale;
	buffer->max_buckets = max_buckets;
	buffer->min = get_float8_infinity();
	buffer->max = -get_float8_infinity();
	aggwin_exp_index_prepare(scale);
}

/* Add a value, which is not NaN. */
ExpBufferResult
aggwin_exp_buffer_add(ExpBuffer *buffer, double value)
{
	uint16		code = 0;

	if (buffer->newest_length == EXP_BUFFER_NEWEST)
	{
		if (buffer->length == buffer->capacity)
			return EXP_BUFFER_FULL;
		memcpy(&buffer->codes[buffer->length], buffer->newest, sizeof(buffer->newest));
		buffer->length += EXP_BUFFER_NEWEST;
		buffer->newest_length = 0;
	}
	if (value == 0)
		value = 0;				/* not minus zero */
	else
	{
		int32		index = aggwin_exp_index(fabs(value), buffer->scale);
		int32		distance;

		/* no value but zeros yet */
		if (buffer->min >= 0 && buffer->max <= 0)
			buffer->base = index - EXP_CODE_BASE;
		distance = index - buffer->base;
		if (distance <= 0 || distance >= EXP_CODE_NEGATIVE)
			return EXP_BUFFER_FAR;
		code = distance | (value < 0 ? EXP_CODE_NEGATIVE : 0);
	}
	buffer->newest[buffer->newest_length++] = code;
	buffer->sum += value;
	if (value < buffer->min)
		buffer->min = value;
	if (value > buffer->max)
		buffer->max = value;
	return EXP_BUFFERED;
}

/* Copy into a buffer that was just made, of at least the same capacity. */
void
aggwin_exp_buffer_copy(ExpBuffer *to, const ExpBuffer *from)
{
	uint8		capacity = to->capacity;

	Assert(from->length <= capacity);
	memcpy(to, from, EXP_BUFFER_SIZE(from->length));
	to->capacity = capacity;
}

/* Is this a buffer at all? For states that may come from anywhere. */
bool
aggwin_exp_buffer_valid(const ExpBuffer *buffer, Size size)
{
	return size >= EXP_BUFFER_SIZE(0) &&
		size == EXP_BUFFER_SIZE(buffer->capacity) &&
		buffer->capacity <= EXP_BUFFER_MAX &&
		buffer->length <= buffer->capacity &&
		buffer->newest_length <= EXP_BUFFER_NEWEST &&
		buffer->length + buffer->newest_length > 0 &&
		buffer->scale >= EXP_MIN_SCALE && buffer->scale <= EXP_MAX_SCALE;
}

static ExpBucket
bucket_of(const ExpBuffer *buffer, uint16 code)
{
	if (code == 0)
		return (ExpBucket) {.count = 1};
	return (ExpBucket) {
		.index = buffer->base + (code & ~EXP_CODE_NEGATIVE),
		.sign = (code & EXP_CODE_NEGATIVE) ? -1 : 1,
		.count = 1
	};
}

#define ST_SORT sort_codes
#define ST_ELEMENT_TYPE uint16
#define ST_COMPARE(a, b) ((int) *(a) - (int) *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* The buckets of a buffer. As codes ascend: zero, the positive, the negative backwards. */
void
aggwin_exp_list_of_buffer(ExpList *list, const ExpBuffer *buffer)
{
	uint16		codes[EXP_BUFFER_LENGTH];
	int			length = buffer->length + buffer->newest_length;

	memcpy(codes, buffer->codes, buffer->length * sizeof(uint16));
	memcpy(codes + buffer->length, buffer->newest, buffer->newest_length * sizeof(uint16));
	sort_codes(codes, length);

	list->scale = buffer->scale;
	list->max_buckets = buffer->max_buckets;
	list->count = length;
	list->sum = buffer->sum;
	list->min = buffer->min;
	list->max = buffer->max;
	list->length = 0;
	list->buckets = palloc(length * sizeof(ExpBucket));
	for (int i = 0; i < length; i++)
	{
		if (i > 0 && codes[i] == codes[i - 1])
			list->buckets[list->length - 1].count++;
		else
			list->buckets[list->length++] = bucket_of(buffer, codes[i]);
	}
}
