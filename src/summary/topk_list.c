/*
 * topk_list.c - lists of the most frequent items: order, merging, checks
 *
 * Merging keeps the bounds of Space-Saving:
 *   P. K. Agarwal, G. Cormode, Z. Huang, J. Phillips, Z. Wei, K. Yi: Mergeable
 *   Summaries. PODS 2012 (section 3, by way of Misra-Gries).
 *   M. Cafaro, M. Pulimeno, P. Tempesta: A parallel space saving algorithm for
 *   frequent items and the Hurwitz zeta distribution. Information Sciences 329
 *   (2016), pages 1-19.
 * An item that only one of the lists has may have been counted by the other up
 * to its max_error: that much is added to count and error. Then the items with
 * the greatest counts are kept, and the greatest count that is dropped bounds
 * what is not in the list.
 */
#include "postgres.h"

#include "summary/topk.h"

#include "common/int.h"

static inline int
compare_bytes(const TopkItem *a, const TopkItem *b)
{
	int			order = memcmp(a->item, b->item, Min(a->length, b->length));

	if (order == 0)
		order = (a->length > b->length) - (a->length < b->length);
	return order;
}

static inline int
compare_rank(const TopkItem *a, const TopkItem *b)
{
	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	if (a->error != b->error)
		return a->error < b->error ? -1 : 1;
	return compare_bytes(a, b);
}

#define ST_SORT sort_by_rank
#define ST_ELEMENT_TYPE TopkItem
#define ST_COMPARE(a, b) compare_rank(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_by_bytes
#define ST_ELEMENT_TYPE TopkItem
#define ST_COMPARE(a, b) compare_bytes(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
aggwin_topk_list_sort(TopkList *list)
{
	sort_by_rank(list->items, list->length);
}

static TopkItem *
copy_by_bytes(const TopkList *list)
{
	TopkItem   *items = palloc((list->length + 1) * sizeof(TopkItem));

	memcpy(items, list->items, list->length * sizeof(TopkItem));
	sort_by_bytes(items, list->length);
	return items;
}

/* The list of both, in order. False if there is more than int64 counts. */
bool
aggwin_topk_list_merge(TopkList *result, const TopkList *a, const TopkList *b)
{
	TopkItem   *left = copy_by_bytes(a);
	TopkItem   *right = copy_by_bytes(b);
	TopkItem   *items = palloc((a->length + b->length + 1) * sizeof(TopkItem));
	int32		length = 0;
	int32		i = 0;
	int32		j = 0;

	if (pg_add_s64_overflow(a->total, b->total, &result->total))
		return false;
	result->k = Min(a->k, b->k);
	result->capacity = Min(a->capacity, b->capacity);
	result->max_error = a->max_error + b->max_error;

	while (i < a->length || j < b->length)
	{
		int			order = i == a->length ? 1 : j == b->length ? -1 :
			compare_bytes(&left[i], &right[j]);
		TopkItem   *item = &items[length++];

		*item = order <= 0 ? left[i++] : right[j];
		if (order >= 0)
			j++;
		if (order == 0)
		{
			item->count += right[j - 1].count;
			item->error += right[j - 1].error;
		}
		else
		{
			int64		unseen = order < 0 ? b->max_error : a->max_error;

			item->count += unseen;
			item->error += unseen;
		}
	}

	result->items = items;
	result->length = length;
	aggwin_topk_list_sort(result);
	if (length > result->capacity)
	{
		result->length = result->capacity;
		result->max_error = Max(result->max_error, items[result->length].count);
	}
	pfree(left);
	pfree(right);
	return true;
}

/* What no items could have given, as a sentence; NULL if there is nothing. */
const char *
aggwin_topk_list_check(const TopkList *list)
{
	TopkItem   *by_bytes;
	int64		certain = 0;

	if (list->k < 1 || list->k > TOPK_MAX_K)
		return psprintf("k has to lie between 1 and %d.", TOPK_MAX_K);
	if (list->capacity < list->k || list->capacity > TOPK_MAX_CAPACITY)
		return psprintf("The capacity has to lie between k and %d.", TOPK_MAX_CAPACITY);
	if (list->length < 1 || list->length > list->capacity)
		return "There has to be an item, and not more than the capacity.";
	if (list->max_error < 0 || list->max_error > list->items[list->length - 1].count)
		return "The greatest error must not be above the smallest count.";
	if (list->max_error > 0 && list->length < list->capacity)
		return "There is no error while there is room.";

	for (int32 i = 0; i < list->length; i++)
	{
		const TopkItem *item = &list->items[i];

		if (item->length > TOPK_MAX_ITEM)
			return psprintf("An item is longer than %d bytes.", TOPK_MAX_ITEM);
		if (item->error < 0 || item->error >= item->count || item->error > list->max_error)
			return "An item's error has to be less than its count and not above the greatest error.";
		if (item->count > list->total)
			return "An item's count must not be above the total.";
		if (i > 0 && compare_rank(&list->items[i - 1], item) >= 0)
			return "The items have to be in order.";
		if (pg_add_s64_overflow(certain, item->count - item->error, &certain))
			return "The counts add up to more than 64 bits hold.";
	}
	if (certain > list->total || (list->max_error == 0 && certain != list->total))
		return "The counts do not fit to the total.";

	by_bytes = copy_by_bytes(list);
	for (int32 i = 1; i < list->length; i++)
		if (compare_bytes(&by_bytes[i - 1], &by_bytes[i]) == 0)
			return "An item is there twice.";
	pfree(by_bytes);
	return NULL;
}
