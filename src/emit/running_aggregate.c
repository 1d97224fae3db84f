/*
 * running_aggregate.c - aggregate functions, called one by one
 *
 * What nodeAgg.c and nodeWindowAgg.c do in the server, for states that neither
 * keeps: the rules for strict functions, for states without an initial value and
 * for who owns the memory of a state are theirs.
 *
 * A state by reference lives in the memory context that its caller names, and
 * is freed when it is replaced, but one of type internal cannot be freed: its
 * context has to go.
 */
#include "postgres.h"

#include "emit/running_aggregate.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "emit/running_query.h"
#include "nodes/execnodes.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_agg.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

/* What functions take for the node that they are called by. */
static AggState *agg_node = NULL;
static WindowAggState *window_node = NULL;

/* Functions find in it the memory context where states live. */
static Node *
calling_node(const RunningAggregate *aggregate, MemoryContext context)
{
	if (agg_node == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
		ExprContext *memory = makeNode(ExprContext);
		AggState   *node = makeNode(AggState);

		window_node = makeNode(WindowAggState);
		memory->ecxt_per_query_memory = TopMemoryContext;
		node->curaggcontext = memory;
		agg_node = node;
		MemoryContextSwitchTo(caller);
	}
	if (aggregate->kind == RUNNING_INVERSE)
	{
		window_node->curaggcontext = context;
		return (Node *) window_node;
	}
	agg_node->curaggcontext->ecxt_per_tuple_memory = context;
	return (Node *) agg_node;
}

/* Loading ------------------------------------------------------------------ */

static bool
sums_integers(Oid aggregate)
{
#ifdef HAVE_INT128
	return aggregate == F_SUM_INT8 || aggregate == F_SUM_INT4 || aggregate == F_SUM_INT2;
#else
	return false;
#endif
}

static const char *
prepare(FmgrInfo *function, Oid funcid, Expr *call, Oid owner)
{
	if (!compat_may_execute(funcid, owner))
		return psprintf("its owner must not call %s()", get_func_name(funcid));
	fmgr_info(funcid, function);
	fmgr_info_set_expr((Node *) call, function);
	return NULL;
}

static void
read_initial(RunningAggregate *aggregate, HeapTuple tuple, AttrNumber attribute, Oid state_type)
{
	Datum		initial;
	Oid			input;
	Oid			param;
	char	   *string;

	initial = SysCacheGetAttr(AGGFNOID, tuple, attribute, &aggregate->no_initial);
	if (aggregate->no_initial)
		return;
	getTypeInputInfo(state_type, &input, &param);
	string = TextDatumGetCString(initial);
	aggregate->initial = OidInputFunctionCall(input, string, param, -1);
}

/* The functions, by pg_aggregate. */
static const char *
load_functions(RunningAggregate *aggregate, const Aggref *aggref, HeapTuple tuple, Oid owner)
{
	Form_pg_aggregate form = (Form_pg_aggregate) GETSTRUCT(tuple);
	bool		inverse = aggregate->kind == RUNNING_INVERSE;
	Oid			transition = inverse ? form->aggmtransfn : form->aggtransfn;
	Oid			final = inverse ? form->aggmfinalfn : form->aggfinalfn;
	Oid			other = inverse ? form->aggminvtransfn : form->aggcombinefn;
	char		modify = inverse ? form->aggmfinalmodify : form->aggfinalmodify;
	bool		extra = inverse ? form->aggmfinalextra : form->aggfinalextra;
	Oid			inputs[FUNC_MAX_ARGS];
	int			ninputs = get_aggregate_argtypes(unconstify(Aggref *, aggref), inputs);
	Oid			state_type = resolve_aggregate_transtype(aggref->aggfnoid,
														 inverse ? form->aggmtranstype : form->aggtranstype,
														 inputs, ninputs);
	Expr	   *call;
	Expr	   *other_call;
	const char *reason;

	aggregate->internal = state_type == INTERNALOID;
	aggregate->collation = aggref->inputcollid;
	aggregate->final_writes = modify != AGGMODIFY_READ_ONLY;
	aggregate->final_args = extra ? ninputs + 1 : 1;
	get_typlenbyval(state_type, &aggregate->state_length, &aggregate->state_by_value);
	read_initial(aggregate, tuple, inverse ? Anum_pg_aggregate_aggminitval : Anum_pg_aggregate_agginitval,
				 state_type);

	build_aggregate_transfn_expr(inputs, ninputs, 0, aggref->aggvariadic, state_type,
								 aggref->inputcollid, transition, inverse ? other : InvalidOid,
								 &call, &other_call);
	if (!inverse)
		build_aggregate_transfn_expr(&state_type, 1, 0, false, state_type, aggref->inputcollid,
									 other, InvalidOid, &other_call, NULL);
	if ((reason = prepare(&aggregate->transition, transition, call, owner)) != NULL ||
		(reason = prepare(&aggregate->other, other, other_call, owner)) != NULL)
		return reason;
	if (OidIsValid(final))
	{
		build_aggregate_finalfn_expr(inputs, aggregate->final_args, state_type, aggref->aggtype,
									 aggref->inputcollid, final, &call);
		if ((reason = prepare(&aggregate->final, final, call, owner)) != NULL)
			return reason;
	}
	/* The first value becomes the state, so it must be like one. */
	if (aggregate->no_initial && aggregate->transition.fn_strict &&
		(ninputs < 1 || !IsBinaryCoercible(inputs[0], state_type)))
		return psprintf("%s() has a state of another type than its input", get_func_name(aggref->aggfnoid));
	return NULL;
}

/*
 * A state that cannot be freed is kept while it has no rows, for the next group.
 * The server's own functions are known to leave it as new then.
 */
static bool
can_be_emptied(Form_pg_aggregate form)
{
	return form->aggmtranstype != INTERNALOID || form->aggmtransfn < FirstNormalObjectId;
}

/*
 * Prepare to compute an aggregate call, in the current memory context and for as
 * long as that lives; the inputs' numbers are up to the caller. Returns why that
 * cannot be, or NULL.
 */
const char *
aggwin_running_aggregate(RunningAggregate *aggregate, const Aggref *aggref, Oid owner)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	Form_pg_aggregate form;
	const char *reason = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	aggregate->aggregate = aggref->aggfnoid;
	aggregate->result_type = aggref->aggtype;
	get_typlenbyval(aggref->aggtype, &aggregate->result_length, &aggregate->result_by_value);
	if (aggref->aggfnoid == F_COUNT_ || aggref->aggfnoid == F_COUNT_ANY)
		aggregate->kind = RUNNING_COUNT;
	else if (sums_integers(aggref->aggfnoid))
		aggregate->kind = RUNNING_SUM;
	else if (OidIsValid(form->aggminvtransfn) && can_be_emptied(form))
		aggregate->kind = RUNNING_INVERSE;
	else if (OidIsValid(form->aggcombinefn))
		aggregate->kind = RUNNING_STACKS;
	else
		reason = psprintf("%s() can neither take rows away nor merge", get_func_name(aggref->aggfnoid));
	if (reason == NULL && !compat_may_execute(aggref->aggfnoid, owner))
		reason = psprintf("its owner must not call %s()", get_func_name(aggref->aggfnoid));
	if (reason == NULL && aggregate->kind >= RUNNING_INVERSE)
		reason = load_functions(aggregate, aggref, tuple, owner);
	ReleaseSysCache(tuple);
	return reason;
}

/* States ------------------------------------------------------------------- */

static Datum
copy_value(const RunningAggregate *aggregate, Datum value, MemoryContext context)
{
	MemoryContext caller;

	if (aggregate->state_by_value)
		return value;
	caller = MemoryContextSwitchTo(context);
	value = datumCopy(value, false, aggregate->state_length);
	MemoryContextSwitchTo(caller);
	return value;
}

/* Free a state and let it be none. */
static void
discard(const RunningAggregate *aggregate, RunningState *state)
{
	if (!aggregate->state_by_value && !state->isnull)
		pfree(DatumGetPointer(state->value));
	state->value = 0;
	state->isnull = true;
}

/* A state of no rows; whatever was in it is forgotten, not freed. */
void
aggwin_running_start(const RunningAggregate *aggregate, RunningState *state, MemoryContext context)
{
	state->count = 0;
	state->isnull = aggregate->no_initial;
	state->value = state->isnull ? 0 : copy_value(aggregate, aggregate->initial, context);
}

/* Put in the state what a function made of it. */
static void
replace(const RunningAggregate *aggregate, RunningState *state, Datum value, bool isnull,
		MemoryContext context)
{
	if (aggregate->state_by_value || aggregate->internal)
	{
		state->value = value;
		state->isnull = isnull;
		return;
	}
	if (!isnull && !state->isnull && DatumGetPointer(value) == DatumGetPointer(state->value))
		return;
	if (!isnull)
		value = copy_value(aggregate, value, context);
	discard(aggregate, state);
	state->value = value;
	state->isnull = isnull;
}

static bool
any_null(const NullableDatum *args, int nargs)
{
	for (int i = 0; i < nargs; i++)
	{
		if (args[i].isnull)
			return true;
	}
	return false;
}

static Datum
call(RunningAggregate *aggregate, FmgrInfo *function, const RunningState *state,
	 const NullableDatum *args, int nargs, MemoryContext context, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, function, nargs + 1, aggregate->collation,
							 calling_node(aggregate, context), NULL);
	fcinfo->args[0].value = state->value;
	fcinfo->args[0].isnull = state->isnull;
	for (int i = 0; i < nargs; i++)
		fcinfo->args[i + 1] = args[i];
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/* Add a row, as advance_transition_function() does. Scratch memory is the current context. */
void
aggwin_running_add(RunningAggregate *aggregate, RunningState *state, const NullableDatum *args,
				   MemoryContext context)
{
	Datum		value;
	bool		isnull;

	if (aggregate->transition.fn_strict)
	{
		if (any_null(args, aggregate->nargs))
			return;
		if (state->count == 0 && aggregate->no_initial)
		{
			state->value = copy_value(aggregate, args[0].value, context);
			state->isnull = false;
			state->count = 1;
			return;
		}
		if (state->isnull)
			return;
	}
	value = call(aggregate, &aggregate->transition, state, args, aggregate->nargs, context, &isnull);
	if (isnull && aggregate->kind == RUNNING_INVERSE)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("moving-aggregate transition function must not return null")));
	replace(aggregate, state, value, isnull, context);
	state->count++;
}

/* Take a row away, as advance_windowaggregate_base() does; false: it cannot be. */
bool
aggwin_running_remove(RunningAggregate *aggregate, RunningState *state, const NullableDatum *args,
					  MemoryContext context)
{
	Datum		value;
	bool		isnull;

	if (aggregate->other.fn_strict && any_null(args, aggregate->nargs))
		return true;
	if (state->count <= 0 || state->isnull)
		elog(ERROR, "a row leaves a window that it is not in");
	if (state->count == 1 && !aggregate->internal)
	{
		discard(aggregate, state);
		aggwin_running_start(aggregate, state, context);
		return true;
	}
	value = call(aggregate, &aggregate->other, state, args, aggregate->nargs, context, &isnull);
	if (isnull)
		return false;
	replace(aggregate, state, value, false, context);
	state->count--;
	return true;
}

/* Add the rows of another state. */
void
aggwin_running_combine(RunningAggregate *aggregate, RunningState *state, const RunningState *other,
					   MemoryContext context)
{
	NullableDatum arg = {.value = other->value, .isnull = other->isnull};
	Datum		value;
	bool		isnull;

	if (aggregate->other.fn_strict)
	{
		if (other->isnull)
			return;
		if (state->isnull)
		{
			state->value = copy_value(aggregate, other->value, context);
			state->isnull = false;
			state->count += other->count;
			return;
		}
	}
	value = call(aggregate, &aggregate->other, state, &arg, 1, context, &isnull);
	replace(aggregate, state, value, isnull, context);
	state->count += other->count;
}

/* A state of its own with the same rows. */
void
aggwin_running_copy(RunningAggregate *aggregate, RunningState *to, const RunningState *from,
					MemoryContext context)
{
	if (aggregate->internal)
	{
		aggwin_running_start(aggregate, to, context);
		aggwin_running_combine(aggregate, to, from, context);
		return;
	}
	*to = *from;
	if (!from->isnull)
		to->value = copy_value(aggregate, from->value, context);
}

/* Results ------------------------------------------------------------------ */

/*
 * The result of the rows in a state, in the current memory context. The state
 * may be changed by it only where final_writes says so.
 */
Datum
aggwin_running_final(RunningAggregate *aggregate, RunningState *state, bool *isnull)
{
	NullableDatum nulls[FUNC_MAX_ARGS];
	Datum		result;

	if (!OidIsValid(aggregate->final.fn_oid))
	{
		*isnull = state->isnull;
		return state->isnull ? 0 : datumCopy(state->value, aggregate->result_by_value,
											 aggregate->result_length);
	}
	for (int i = 0; i < aggregate->final_args - 1; i++)
	{
		nulls[i].value = 0;
		nulls[i].isnull = true;
	}
	if (aggregate->final.fn_strict && (state->isnull || aggregate->final_args > 1))
	{
		*isnull = true;
		return 0;
	}
	result = call(aggregate, &aggregate->final, state, nulls, aggregate->final_args - 1,
				  CurrentMemoryContext, isnull);
	if (*isnull)
		return 0;
	return datumCopy(result, aggregate->result_by_value, aggregate->result_length);
}

#ifdef HAVE_INT128
/* The server has no function from int128. */
static Datum
int128_numeric(int128 value)
{
	const int64 base = INT64CONST(1000000000000000000);
	Datum		high;

	if (value >= PG_INT64_MIN && value <= PG_INT64_MAX)
		return NumericGetDatum(int64_to_numeric((int64) value));
	high = DirectFunctionCall2(numeric_mul, int128_numeric(value / base),
							   NumericGetDatum(int64_to_numeric(base)));
	return DirectFunctionCall2(numeric_add, high,
							   NumericGetDatum(int64_to_numeric((int64) (value % base))));
}
#endif

/* sum() of so many integers, none of them NULL; what sum() of no rows gives is NULL. */
Datum
aggwin_running_sum(Oid type, int64 count, RunningSum sum, bool *isnull)
{
	*isnull = count == 0;
	if (count == 0)
		return 0;
#ifdef HAVE_INT128
	if (type == NUMERICOID)
		return int128_numeric(sum);
#endif
	if (sum < PG_INT64_MIN || sum > PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bigint out of range")));
	return Int64GetDatum((int64) sum);
}
