/*
 * topk_access.c - the SQL type topk: what it tells
 */
#include "postgres.h"

#include "summary/topk_type.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(aggwin_topk_top);
PG_FUNCTION_INFO_V1(aggwin_topk_num_vals);
PG_FUNCTION_INFO_V1(aggwin_topk_max_error);
PG_FUNCTION_INFO_V1(aggwin_topk_is_exact);
PG_FUNCTION_INFO_V1(aggwin_topk_capacity);

/*
 * The n most frequent items, k of them by default, none beyond what is kept:
 * rank, item, count, error. count - error <= true count <= count. Items of the
 * same count are ordered by error, then by bytes.
 */
Datum
aggwin_topk_top(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TopkList	list;
	int32		n;

	aggwin_topk_get(&list, PG_GETARG_DATUM(0));
	n = PG_NARGS() > 1 ? PG_GETARG_INT32(1) : list.k;
	if (n < 1)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number of items %d is out of range", n),
				 errdetail("It is at least 1.")));

	InitMaterializedSRF(fcinfo, 0);
	for (int32 i = 0; i < list.length && i < n; i++)
	{
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = PointerGetDatum(cstring_to_text_with_len(list.items[i].item,
															 list.items[i].length));
		values[2] = Int64GetDatum(list.items[i].count);
		values[3] = Int64GetDatum(list.items[i].error);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* How many items were counted, each as often as its weight says. */
Datum
aggwin_topk_num_vals(PG_FUNCTION_ARGS)
{
	TopkList	list;

	aggwin_topk_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_INT64(list.total);
}

/* An item that is not kept was counted at most this often. */
Datum
aggwin_topk_max_error(PG_FUNCTION_ARGS)
{
	TopkList	list;

	aggwin_topk_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_INT64(list.max_error);
}

/* True if all items fitted: then all are kept, and all counts are true. */
Datum
aggwin_topk_is_exact(PG_FUNCTION_ARGS)
{
	TopkList	list;

	aggwin_topk_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_BOOL(list.max_error == 0);
}

/* How many items can be kept. */
Datum
aggwin_topk_capacity(PG_FUNCTION_ARGS)
{
	TopkList	list;

	aggwin_topk_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_INT32(list.capacity);
}
