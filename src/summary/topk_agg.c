/*
 * topk_agg.c - the SQL type topk: its aggregates
 */
#include "postgres.h"

#include "summary/topk_type.h"

#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(aggwin_topk_transition);
PG_FUNCTION_INFO_V1(aggwin_topk_merge);
PG_FUNCTION_INFO_V1(aggwin_topk_final);

#define table_of(state) aggwin_topk_table_of(state)

/* Entries of a new table. */
#define FIRST_ENTRIES	8
#define FIRST_ARENA		128

/* How to get the bytes of an item; kept in fn_extra. */
typedef enum ItemKind
{
	ITEM_UNKNOWN,
	ITEM_TEXT,
	ITEM_BPCHAR,
	ITEM_NAME,
	ITEM_INT2,
	ITEM_INT4,
	ITEM_INT8,
	ITEM_OID,
	ITEM_OUTPUT,				/* by an output function that no setting changes */
} ItemKind;

typedef struct ItemType
{
	ItemKind	kind;
	FmgrInfo	output;
} ItemType;

static ItemType *
item_type(FunctionCallInfo fcinfo)
{
	ItemType   *type = fcinfo->flinfo->fn_extra;
	Oid			oid;

	if (likely(type != NULL))
		return type;

	oid = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 1));
	type = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ItemType));
	switch (oid)
	{
		case BPCHAROID:
			type->kind = ITEM_BPCHAR;
			break;
		case NAMEOID:
			type->kind = ITEM_NAME;
			break;
		case INT2OID:
			type->kind = ITEM_INT2;
			break;
		case INT4OID:
			type->kind = ITEM_INT4;
			break;
		case INT8OID:
			type->kind = ITEM_INT8;
			break;
		case OIDOID:
			type->kind = ITEM_OID;
			break;
		case UUIDOID:
		case NUMERICOID:
			{
				Oid			output;
				bool		is_varlena;

				type->kind = ITEM_OUTPUT;
				getTypeOutputInfo(oid, &output, &is_varlena);
				fmgr_info_cxt(output, &type->output, fcinfo->flinfo->fn_mcxt);
				break;
			}
		default:
			if (!OidIsValid(oid) || !IsBinaryCoercible(oid, TEXTOID))
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("topk_agg does not take items of type %s",
								OidIsValid(oid) ? format_type_be(oid) : "unknown"),
						 errdetail("It counts the text of items, and that of this type may depend on settings of the session."),
						 errhint("Cast the item to text in the way it is meant, for example item::text or to_char(item, 'YYYY-MM-DD').")));
			type->kind = ITEM_TEXT;
	}
	fcinfo->flinfo->fn_extra = type;
	return type;
}

/* The bytes of an item. digits has room for those of a number. */
static inline const char *
item_bytes(ItemType *type, Datum datum, char *digits, uint32 *length)
{
	switch (type->kind)
	{
		case ITEM_TEXT:
		case ITEM_BPCHAR:
			{
				struct varlena *text = PG_DETOAST_DATUM_PACKED(datum);
				const char *bytes = VARDATA_ANY(text);

				*length = VARSIZE_ANY_EXHDR(text);
				if (type->kind == ITEM_BPCHAR)
					*length = bpchartruelen(unconstify(char *, bytes), *length);
				return bytes;
			}
		case ITEM_NAME:
			*length = strlen(NameStr(*DatumGetName(datum)));
			return NameStr(*DatumGetName(datum));
		case ITEM_INT2:
			*length = pg_ltoa(DatumGetInt16(datum), digits);
			return digits;
		case ITEM_INT4:
			*length = pg_ltoa(DatumGetInt32(datum), digits);
			return digits;
		case ITEM_INT8:
			*length = pg_lltoa(DatumGetInt64(datum), digits);
			return digits;
		case ITEM_OID:
			*length = pg_ultoa_n(DatumGetObjectId(datum), digits);
			return digits;
		default:
			{
				char	   *output = OutputFunctionCall(&type->output, datum);

				*length = strlen(output);
				return output;
			}
	}
}

static Summary *
new_table(int32 k, int32 capacity, int32 entries, uint32 arena)
{
	Summary    *summary = aggwin_summary_alloc(SUMMARY_TOPK, SUMMARY_WORKING,
											   sizeof(Summary) + aggwin_topk_size(entries, arena));

	aggwin_topk_init(table_of(summary), k, capacity, entries, arena);
	return summary;
}

/* The same state with room for one more item. */
static Summary *
grow(Summary *old, uint32 length)
{
	Summary    *summary;
	int32		entries;
	uint32		arena;

	aggwin_topk_larger(table_of(old), length, &entries, &arena);
	summary = new_table(table_of(old)->k, table_of(old)->capacity, entries, arena);
	aggwin_topk_copy(table_of(summary), table_of(old));
	return summary;
}

static Summary *
table_of_list(const TopkList *list)
{
	Summary    *summary = new_table(list->k, list->capacity,
									Min(list->capacity, Max(FIRST_ENTRIES, list->length)),
									Max(FIRST_ARENA, aggwin_topk_list_bytes(list)));

	aggwin_topk_of_list(table_of(summary), list);
	return summary;
}

static void
overflow(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("weights of aggwin.topk add up to more than 64 bits hold")));
}

static Summary *
count(Summary *state, const char *item, uint32 length, int64 weight)
{
	TopkResult	result;

	while ((result = aggwin_topk_add(table_of(state), item, length, weight)) == TOPK_FULL)
		state = grow(state, length);
	if (result == TOPK_OVERFLOW)
		overflow();
	return state;
}

/* A state outlives the call only as what the caller expects of it. */
static Datum
give(FunctionCallInfo fcinfo, Summary *state)
{
	TopkList	list;

	if (aggwin_in_aggregate(fcinfo))
		return PointerGetDatum(state);
	aggwin_topk_get(&list, PointerGetDatum(state));
	return PointerGetDatum(aggwin_topk_encode(&list));
}

/* The constants of a group, from the arguments; checked. */
static void
get_constants(FunctionCallInfo fcinfo, int32 *k, int32 *capacity)
{
	if (PG_ARGISNULL(2) || (PG_NARGS() > 4 && PG_ARGISNULL(4)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of topk_agg must not be NULL", PG_ARGISNULL(2) ? "k" : "capacity")));
	*k = PG_GETARG_INT32(2);
	if (*k < 1 || *k > TOPK_MAX_K)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("k of topk_agg is %d, which is out of range", *k),
				 errdetail("It lies between 1 and %d.", TOPK_MAX_K)));
	*capacity = PG_NARGS() > 4 ? PG_GETARG_INT32(4) : TOPK_DEFAULT_CAPACITY(*k);
	if (*capacity < *k || *capacity > TOPK_MAX_CAPACITY)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("capacity of topk_agg is %d, which is out of range", *capacity),
				 errdetail("It lies between k, which is %d, and %d.", *k, TOPK_MAX_CAPACITY)));
}

/* topk, item, k [, weight [, capacity]] -> topk */
Datum
aggwin_topk_transition(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_TOPK);
	ItemType   *type;
	const char *item;
	char		digits[MAXINT8LEN + 1];
	uint32		length;
	int64		weight = 1;

	if (PG_NARGS() > 3 && !PG_ARGISNULL(3))
	{
		weight = PG_GETARG_INT64(3);
		if (weight < 0)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("weight of an item must not be negative"),
					 errdetail("It is " INT64_FORMAT ".", weight)));
	}
	if (PG_ARGISNULL(1) || weight == 0 || (PG_NARGS() > 3 && PG_ARGISNULL(3)))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	type = item_type(fcinfo);
	item = item_bytes(type, PG_GETARG_DATUM(1), digits, &length);
	if (unlikely(length > TOPK_MAX_ITEM))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("item of topk_agg has %u bytes", length),
				 errdetail("An item has at most %d bytes.", TOPK_MAX_ITEM),
				 errhint("Count what stands for it, for example md5(item) or left(item, 100).")));

	if (unlikely(state == NULL || PG_ARGISNULL(2) || table_of(state)->k != PG_GETARG_INT32(2) ||
				 PG_NARGS() > 4))
	{
		int32		k;
		int32		capacity;

		get_constants(fcinfo, &k, &capacity);
		if (PG_ARGISNULL(0))
			state = new_table(k, capacity, Min(FIRST_ENTRIES, capacity), FIRST_ARENA);
		else if (state == NULL)
		{
			TopkList	list;

			aggwin_topk_get(&list, PG_GETARG_DATUM(0));
			state = table_of_list(&list);
		}
		if (table_of(state)->k != k || table_of(state)->capacity != capacity)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("k and capacity of topk_agg must not change within a group"),
					 errhint("Group by what they depend on.")));
	}
	return give(fcinfo, count(state, item, length, weight));
}

/* Exact lists whose items fit together into the table are counted like rows. */
static bool
fits(const TopkTable *table, const TopkList *list)
{
	return table->max_error == 0 && list->max_error == 0 &&
		table->k == list->k && table->capacity == list->capacity &&
		table->used + list->length <= table->capacity;
}

static Summary *
merge(Summary *state, const TopkList *from)
{
	TopkList	into;
	TopkList	merged;

	if (fits(table_of(state), from))
	{
		for (int32 i = 0; i < from->length; i++)
			state = count(state, from->items[i].item, from->items[i].length,
						  from->items[i].count);
		return state;
	}
	aggwin_topk_list_of_table(&into, table_of(state));
	if (!aggwin_topk_list_merge(&merged, &into, from))
		overflow();
	return table_of_list(&merged);
}

/* topk, topk -> topk: combines partial aggregates, merges, and is "+" */
Datum
aggwin_topk_merge(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_TOPK);
	TopkList	list;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (state == NULL && !PG_ARGISNULL(0))
	{
		aggwin_topk_get(&list, PG_GETARG_DATUM(0));
		state = table_of_list(&list);
	}
	aggwin_topk_get(&list, PG_GETARG_DATUM(1));
	return give(fcinfo, state == NULL ? table_of_list(&list) : merge(state, &list));
}

/* A working state goes on after this: windows ask for the result at each row. */
Datum
aggwin_topk_final(PG_FUNCTION_ARGS)
{
	TopkList	list;

	aggwin_topk_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_POINTER(aggwin_topk_encode(&list));
}
