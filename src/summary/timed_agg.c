/*
 * timed_agg.c - first() and last(), and what merges their states
 *
 * The state holds the row that wins so far. Rows that lose cost a comparison of
 * times, and values are copied only when they win.
 */
#include "postgres.h"

#include "summary/timed.h"

#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

typedef enum Side
{
	FIRST,
	LAST
} Side;

PG_FUNCTION_INFO_V1(aggwin_timed_first_of);
PG_FUNCTION_INFO_V1(aggwin_timed_last_of);
PG_FUNCTION_INFO_V1(aggwin_timed_final);
PG_FUNCTION_INFO_V1(aggwin_timed_value);

/* The type that this call site saw last. */
static TimedType *
call_type(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
														  sizeof(TimedType));
	return fcinfo->flinfo->fn_extra;
}

/* The type of an argument that may be any, looked up. */
static TimedType *
argument_type(FunctionCallInfo fcinfo, int argument)
{
	TimedType  *type = call_type(fcinfo);

	if (unlikely(!OidIsValid(type->id)))
	{
		Oid			id = get_fn_expr_argtype(fcinfo->flinfo, argument);

		if (!OidIsValid(id))
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_DATATYPE),
					 errmsg("could not determine the type of the value")));
		aggwin_timed_lookup(type, id);
	}
	return type;
}

/* Is one value to be taken instead of another? */
static bool
wins(Side side, const Timed *challenger, const Timed *holder, const TimedType *type)
{
	int			order;

	if (challenger->kind != holder->kind)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("times of type %s and %s cannot be compared",
						format_type_be(aggwin_timed_kind_type(holder->kind)),
						format_type_be(aggwin_timed_kind_type(challenger->kind)))));
	if (challenger->type != holder->type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("values of type %s and %s cannot be merged",
						format_type_be(holder->type), format_type_be(challenger->type))));
	if (challenger->time != holder->time)
		order = challenger->time < holder->time ? -1 : 1;
	else
		order = aggwin_timed_compare(type, challenger->value, holder->value);
	return side == FIRST ? order < 0 : order > 0;
}

/* The winner, in the state if that may be changed. */
static Datum
decide(FunctionCallInfo fcinfo, Side side, const Timed *challenger, TimedType *type)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_TIMED);
	Timed		holder;

	if (!PG_ARGISNULL(0))
	{
		aggwin_timed_get(&holder, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_TIMED), type);
		aggwin_timed_lookup(type, challenger->type);
		if (!wins(side, challenger, &holder, type))
			PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (!aggwin_in_aggregate(fcinfo))
		return PointerGetDatum(aggwin_timed_encode(challenger, type));
	return PointerGetDatum(aggwin_timed_set(state, challenger, type));
}

static pg_noinline Datum
keep_uncommon(FunctionCallInfo fcinfo, Side side, TimedKind kind, int64 time)
{
	TimedType  *type;
	Timed		challenger;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	type = argument_type(fcinfo, 1);
	challenger.kind = kind;
	challenger.type = type->id;
	challenger.time = time;
	challenger.value = PG_GETARG_DATUM(1);
	if (type->length == -1)
		challenger.value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(challenger.value));
	return decide(fcinfo, side, &challenger, type);
}

/* timed, value, ts -> timed */
static inline Datum
keep(FunctionCallInfo fcinfo, Side side, TimedKind kind, int64 time)
{
	Summary    *summary = aggwin_summary_in_place(fcinfo, SUMMARY_TIMED);

	if (likely(summary != NULL && !PG_ARGISNULL(1) && !PG_ARGISNULL(2)))
	{
		TimedState *state = aggwin_timed_state_of(summary);

		if (state->kind == kind && (side == FIRST ? time > state->time : time < state->time))
			PG_RETURN_POINTER(summary);
		if (state->kind == kind && state->by_value && time != state->time)
		{
			state->time = time;
			state->value[0] = PG_GETARG_DATUM(1);
			PG_RETURN_POINTER(summary);
		}
	}
	return keep_uncommon(fcinfo, side, kind, time);
}

#define KEEP(name, side, kind, time) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return keep(fcinfo, side, kind, time(2)); \
	} \
	extern int no_such_variable

KEEP(aggwin_timed_keep_first_timestamptz, FIRST, TIMED_TIMESTAMPTZ, PG_GETARG_TIMESTAMPTZ);
KEEP(aggwin_timed_keep_first_timestamp, FIRST, TIMED_TIMESTAMP, PG_GETARG_TIMESTAMP);
KEEP(aggwin_timed_keep_first_date, FIRST, TIMED_DATE, PG_GETARG_DATEADT);
KEEP(aggwin_timed_keep_first_int8, FIRST, TIMED_INT8, PG_GETARG_INT64);
KEEP(aggwin_timed_keep_last_timestamptz, LAST, TIMED_TIMESTAMPTZ, PG_GETARG_TIMESTAMPTZ);
KEEP(aggwin_timed_keep_last_timestamp, LAST, TIMED_TIMESTAMP, PG_GETARG_TIMESTAMP);
KEEP(aggwin_timed_keep_last_date, LAST, TIMED_DATE, PG_GETARG_DATEADT);
KEEP(aggwin_timed_keep_last_int8, LAST, TIMED_INT8, PG_GETARG_INT64);

/* timed, timed -> timed */
static Datum
merge(FunctionCallInfo fcinfo, Side side)
{
	TimedType  *type = call_type(fcinfo);
	Timed		challenger;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	aggwin_timed_get(&challenger, aggwin_summary_get(PG_GETARG_DATUM(1), SUMMARY_TIMED), type);
	return decide(fcinfo, side, &challenger, type);
}

Datum
aggwin_timed_first_of(PG_FUNCTION_ARGS)
{
	return merge(fcinfo, FIRST);
}

Datum
aggwin_timed_last_of(PG_FUNCTION_ARGS)
{
	return merge(fcinfo, LAST);
}

/* A working state goes on after this: windows ask for the result at each row. */
Datum
aggwin_timed_final(PG_FUNCTION_ARGS)
{
	TimedType  *type = call_type(fcinfo);
	Timed		timed;

	aggwin_timed_get(&timed, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_TIMED), type);
	PG_RETURN_POINTER(aggwin_timed_encode(&timed, type));
}

/* timed, anything of the type that the value has -> the value, NULL of nothing */
Datum
aggwin_timed_value(PG_FUNCTION_ARGS)
{
	TimedType  *type = call_type(fcinfo);
	Oid			expected = get_fn_expr_argtype(fcinfo->flinfo, 1);
	Timed		timed;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	aggwin_timed_get(&timed, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_TIMED), type);
	if (timed.type != expected)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the value is of type %s, not %s", format_type_be(timed.type),
						OidIsValid(expected) ? format_type_be(expected) : "unknown")));
	PG_RETURN_DATUM(datumCopy(timed.value, type->by_value, type->length));
}
