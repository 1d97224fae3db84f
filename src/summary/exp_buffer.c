/*
 * exp_buffer.c - the first few values of an exponential histogram
 */
#include "postgres.h"

#include "summary/exp_buffer.h"

#include "utils/float.h"

void
aggwin_exp_buffer_init(ExpBuffer *buffer, uint8 capacity, int scale, int max_buckets)
{
	memset(buffer, 0, offsetof(ExpBuffer, keys));
	buffer->capacity = capacity;
	buffer->scale = scale;
	buffer->max_buckets = max_buckets;
	buffer->min = get_float8_infinity();
	buffer->max = -get_float8_infinity();
	aggwin_exp_index_prepare(scale);
}

/* Add a value, which is not NaN. False if there is no room. */
bool
aggwin_exp_buffer_add(ExpBuffer *buffer, double value)
{
	if (buffer->newest_length == EXP_BUFFER_NEWEST)
	{
		if (buffer->length == buffer->capacity)
			return false;
		memcpy(&buffer->keys[buffer->length], buffer->newest, sizeof(buffer->newest));
		buffer->length += EXP_BUFFER_NEWEST;
		buffer->newest_length = 0;
	}
	if (value == 0)
		value = 0;				/* not minus zero */
	buffer->newest[buffer->newest_length++] = aggwin_exp_key_of(value, buffer->scale);
	buffer->sum += value;
	if (value < buffer->min)
		buffer->min = value;
	if (value > buffer->max)
		buffer->max = value;
	return true;
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

/* The buckets of a buffer, in no order, one for each value. */
void
aggwin_exp_list_of_buffer(ExpList *list, const ExpBuffer *buffer)
{
	list->scale = buffer->scale;
	list->max_buckets = buffer->max_buckets;
	list->count = buffer->length + buffer->newest_length;
	list->sum = buffer->sum;
	list->min = buffer->min;
	list->max = buffer->max;
	list->length = 0;
	list->buckets = palloc(list->count * sizeof(ExpBucket));
	for (int i = 0; i < buffer->length; i++)
		list->buckets[list->length++] = aggwin_exp_bucket_of(buffer->keys[i], 1);
	for (int i = 0; i < buffer->newest_length; i++)
		list->buckets[list->length++] = aggwin_exp_bucket_of(buffer->newest[i], 1);
}
