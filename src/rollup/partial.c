/*
 * partial.c - what is stored for each aggregate, and how answers come back
 *
 * An aggregate call is decomposed into partials: stored columns that merge by
 * an aggregate of the server's (or, where the server has none that stays in
 * the type, of aggwin's). Calls share partials, so avg(x), sum(x) and count(x)
 * together store two columns. The final expression gives what the plain query
 * would give, digit for digit for exact types.
 *
 *   call                    stored                       answered as
 *   count                   count                        sum of counts
 *   sum (exact)             sum, count                   sum of sums
 *   sum (float)             sum                          sum of sums
 *   avg                     sum, count                   sum / count
 *   var, stddev (exact)     sum, count, sum of squares   numeric formula
 *   var, stddev (float)     {N, Sx, Sxx}                 the server's finals
 *   min, max, bool, bit     the same                     the same
 *   aggwin's summaries      the summary                  merge of summaries
 *   what is in the table    its result, or that of       merge of these, and
 *   aggwin.mergeable        the aggregate named there    the final function
 *
 * An exact sum is stored with its count of non-null arguments, so that rows can
 * be taken away again and the sum of nothing is still NULL. Nothing can be
 * taken away from a float sum exactly.
 */
#include "postgres.h"

#include "rollup/mergeable.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#define COMBINE_ADD		"coalesce(%1$s + %2$s, %1$s, %2$s)"
#define COMBINE_SUMMARY	"coalesce(%1$s OPERATOR(aggwin.+) %2$s, %1$s, %2$s)"
#define COMBINE_MOMENTS	"coalesce(float8_combine(%1$s, %2$s), %1$s, %2$s)"

/* Aggregates that merge by themselves. */
typedef struct SelfMerging
{
	const char *name;
	const char *combine;
} SelfMerging;

static const SelfMerging self_merging[] = {
	{"min", "least(%1$s, %2$s)"},
	{"max", "greatest(%1$s, %2$s)"},
	{"bool_and", "coalesce(%1$s AND %2$s, %1$s, %2$s)"},
	{"bool_or", "coalesce(%1$s OR %2$s, %1$s, %2$s)"},
	{"every", "coalesce(%1$s AND %2$s, %1$s, %2$s)"},
	{"bit_and", "coalesce(%1$s & %2$s, %1$s, %2$s)"},
	{"bit_or", "coalesce(%1$s | %2$s, %1$s, %2$s)"},
	{"bit_xor", "coalesce(%1$s # %2$s, %1$s, %2$s)"},
};

/* The variance family: the name, and the suffix of the function that ends it. */
typedef struct Variance
{
	const char *name;
	const char *final;
} Variance;

static const Variance variances[] = {
	{"stddev", "stddev_samp"},
	{"stddev_samp", "stddev_samp"},
	{"stddev_pop", "stddev_pop"},
	{"variance", "var_samp"},
	{"var_samp", "var_samp"},
	{"var_pop", "var_pop"},
};

/* The pieces of one call, as text over the source. */
typedef struct Call
{
	RollupSpec *spec;
	const char *name;
	char	   *arg;			/* NULL: count(*) */
	char	   *filter;			/* NULL: none */
	Oid			argtype;
} Call;

static const char *
builtin_name(Aggref *aggref)
{
	if (get_func_namespace(aggref->aggfnoid) != PG_CATALOG_NAMESPACE)
		return NULL;
	return get_func_name(aggref->aggfnoid);
}

static const SelfMerging *
find_self_merging(const char *name)
{
	for (int i = 0; i < lengthof(self_merging); i++)
		if (strcmp(self_merging[i].name, name) == 0)
			return &self_merging[i];
	return NULL;
}

static const Variance *
find_variance(const char *name)
{
	for (int i = 0; i < lengthof(variances); i++)
		if (strcmp(variances[i].name, name) == 0)
			return &variances[i];
	return NULL;
}

/* Parts of a counter that overlap in time do not merge exactly. */
static bool
is_counter(Oid type)
{
	Oid			counter = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
										  CStringGetDatum("counter"),
										  ObjectIdGetDatum(aggwin_schema()));

	return OidIsValid(counter) && type == counter;
}

/*
 * The transition function of an aggregate of aggwin's whose state is its result
 * and merges exactly, or within the bounds that it states: called with NULL for
 * the state, it gives the summary of one row. InvalidOid for all others.
 */
static Oid
summary_transition(Aggref *aggref)
{
	HeapTuple	tuple;
	Form_pg_aggregate form;
	Oid			transition = InvalidOid;

	if (get_func_namespace(aggref->aggfnoid) != aggwin_schema())
		return InvalidOid;
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	if (form->aggtranstype == aggref->aggtype &&
		!is_counter(aggref->aggtype) &&
		OidIsValid(LookupFuncName(list_make2(makeString("aggwin"), makeString("merge")),
								  1, &aggref->aggtype, true)))
		transition = form->aggtransfn;
	ReleaseSysCache(tuple);
	return transition;
}

/* Is it one of those that this file tells how to merge? */
bool
aggwin_knows_aggregate(Aggref *aggref)
{
	const char *name = builtin_name(aggref);

	if (name == NULL)
		return OidIsValid(summary_transition(aggref));
	return
		(strcmp(name, "count") == 0 || strcmp(name, "sum") == 0 ||
		 strcmp(name, "avg") == 0 ||
		 find_self_merging(name) != NULL || find_variance(name) != NULL);
}

/*
 * Can this call be answered from merged partials? Looks at the function only;
 * DISTINCT, ORDER BY and the like are for the caller to refuse. A registered
 * aggregate stays so till the end of the transaction (see mergeable_ddl.c).
 */
bool
aggwin_decomposable(Aggref *aggref)
{
	Mergeable  *registered;

	if (aggwin_knows_aggregate(aggref))
		return true;
	LockRelationOid(aggwin_relid("mergeable"), RowExclusiveLock);
	registered = aggwin_find_mergeable(aggref->aggfnoid);
	if (registered != NULL)
		aggwin_check_mergeable(registered);
	return registered != NULL;
}

static bool
is_float(Oid type)
{
	return type == FLOAT4OID || type == FLOAT8OID;
}

/*
 * Add a partial unless the spec has it already, and return the expression
 * that merges it.
 */
static char *
add_inexact_partial(Call *call, char *aggregate, char *row, const char *merge,
					const char *combine, const char *exact)
{
	RollupSpec *spec = call->spec;
	Partial    *partial;
	int			number = 1;
	ListCell   *lc;

	if (call->filter != NULL)
	{
		aggregate = psprintf("%s FILTER (WHERE %s)", aggregate, call->filter);
		row = psprintf("CASE WHEN %s THEN %s END", call->filter, row);
	}

	foreach(lc, spec->partials)
	{
		partial = lfirst(lc);
		if (strcmp(partial->aggregate, aggregate) == 0)
			return psprintf("%s(u.p%d)", partial->merge, number);
		number++;
	}

	partial = palloc0(sizeof(Partial));
	partial->aggregate = aggregate;
	partial->row = row;
	partial->merge = merge;
	partial->combine = combine;
	partial->exact = exact;
	spec->partials = lappend(spec->partials, partial);
	return psprintf("%s(u.p%d)", merge, number);
}

/* The same of one that always merges exactly. */
static char *
add_partial(Call *call, char *aggregate, char *row, const char *merge,
			const char *combine)
{
	return add_inexact_partial(call, aggregate, row, merge, combine, NULL);
}

static char *
add_count(Call *call)
{
	char	   *merged;
	char	   *row;

	/* The number of rows is stored for every group anyway. */
	if (call->arg == NULL && call->filter == NULL)
		return pstrdup("aggwin.bigint_sum(u.n)");

	if (call->arg == NULL)
		merged = add_partial(call, pstrdup("count(*)"), pstrdup("1::bigint"),
							 "aggwin.bigint_sum", COMBINE_ADD);
	else
	{
		row = psprintf("CASE WHEN num_nonnulls(%s) = 1 THEN 1::bigint ELSE 0::bigint END",
					   call->arg);
		merged = add_partial(call, psprintf("count(%s)", call->arg), row,
							 "aggwin.bigint_sum", COMBINE_ADD);
	}
	/* A group all of whose rows a filter leaves out has no partial yet. */
	return psprintf("coalesce(%s, 0)", merged);
}

/* The sum in the type that the server's sum() returns for type. */
static char *
add_sum_of(Call *call, const char *arg, Oid type)
{
	const char *result;
	const char *merge = "sum";

	switch (type)
	{
		case INT2OID:
		case INT4OID:
			result = "bigint";
			merge = "aggwin.bigint_sum";
			break;
		case INT8OID:
		case NUMERICOID:
			result = "numeric";
			break;
		default:
			result = format_type_be(type);
			break;
	}
	return add_partial(call, psprintf("sum(%s)", arg),
					   psprintf("(%s)::%s", arg, result), merge, COMBINE_ADD);
}

static char *
decompose_avg(Call *call)
{
	char	   *sum;
	char	   *count;

	/* avg(real) works in double precision, unlike sum(real) */
	if (call->argtype == FLOAT4OID)
		sum = add_sum_of(call, psprintf("(%s)::double precision", call->arg),
						 FLOAT8OID);
	else
		sum = add_sum_of(call, call->arg, call->argtype);
	count = add_count(call);

	if (is_float(call->argtype) || call->argtype == INTERVALOID)
		return psprintf("(%s / nullif(%s, 0)::double precision)", sum, count);
	return psprintf("((%s)::numeric / nullif(%s, 0)::numeric)", sum, count);
}

static char *
decompose_variance(Call *call, const Variance *variance)
{
	char	   *square;
	char	   *sum;
	char	   *count;
	char	   *squares;

	if (is_float(call->argtype))
	{
		char	   *arg = psprintf("(%s)::double precision", call->arg);
		char	   *moments;

		moments = add_partial(call, psprintf("aggwin.float8_moments(%s)", arg),
							  psprintf("float8_accum('{0,0,0}', %s)", arg),
							  "aggwin.float8_moments_merge", COMBINE_MOMENTS);
		return psprintf("float8_%s(%s)", variance->final, moments);
	}

	/* The square of an integer of 32 bits fits into 64, sums of them do not. */
	if (call->argtype == INT2OID || call->argtype == INT4OID)
		square = psprintf("(%1$s)::bigint * (%1$s)::bigint", call->arg);
	else
		square = psprintf("(%1$s)::numeric * (%1$s)::numeric", call->arg);

	sum = add_sum_of(call, call->arg, call->argtype);
	count = add_count(call);
	squares = add_partial(call, psprintf("sum(%s)", square),
						  psprintf("(%s)::numeric", square), "sum", COMBINE_ADD);
	return psprintf("aggwin.numeric_%s(%s, (%s)::numeric, %s)",
					variance->final, count, sum, squares);
}

/* A summary is its own partial: what merges over time and what it is built of. */
static char *
decompose_summary(Call *call, Aggref *aggref, List *context)
{
	StringInfoData arguments;
	const char *separator = "";
	Oid			transition = summary_transition(aggref);
	ListCell   *lc;

	initStringInfo(&arguments);
	foreach(lc, aggref->args)
	{
		TargetEntry *argument = lfirst_node(TargetEntry, lc);

		appendStringInfo(&arguments, "%s%s", separator,
						 deparse_expression((Node *) argument->expr, context, true, true));
		separator = ", ";
	}
	return add_partial(call,
					   psprintf("aggwin.%s(%s)", quote_identifier(get_func_name(aggref->aggfnoid)),
								arguments.data),
					   psprintf("aggwin.%s(NULL::%s, %s)",
								quote_identifier(get_func_name(transition)),
								format_type_be(aggref->aggtype), arguments.data),
					   "aggwin.merge", COMBINE_SUMMARY);
}

/* One that is in the table aggwin.mergeable. */
static char *
decompose_registered(Call *call, Aggref *aggref, List *context)
{
	Mergeable  *registered = aggwin_find_mergeable(aggref->aggfnoid);
	Partial		partial;
	char	   *merged;

	if (registered == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("aggregate %s is not registered as mergeable any more",
						format_procedure(aggref->aggfnoid)),
				 errhint("Register it again with aggwin.register_mergeable().")));
	aggwin_check_mergeable(registered);
	if (!aggwin_mergeable_partial(registered, aggref, context, &partial))
		call->spec->batch_only = true;
	merged = add_inexact_partial(call, partial.aggregate, partial.row, partial.merge,
								 partial.combine, partial.exact);
	return aggwin_mergeable_final(registered, aggref, merged);
}

/*
 * Add the partials that aggref needs to the spec and return the expression,
 * in terms of "u", that gives the call's value and type. context deparses
 * expressions over the source.
 */
char *
aggwin_decompose(RollupSpec *spec, Aggref *aggref, List *context)
{
	Call		call = {.spec = spec, .name = builtin_name(aggref)};
	const SelfMerging *self;
	const Variance *variance;
	char	   *type = format_type_with_typemod(aggref->aggtype, -1);
	char	   *final;

	if (aggref->args != NIL)
	{
		TargetEntry *arg = linitial_node(TargetEntry, aggref->args);

		call.argtype = exprType((Node *) arg->expr);
		call.arg = deparse_expression((Node *) arg->expr, context, true, true);
	}
	if (aggref->aggfilter != NULL)
		call.filter = deparse_expression((Node *) aggref->aggfilter, context,
										 true, true);

	if (!aggwin_knows_aggregate(aggref))
		return psprintf("(%s)::%s", decompose_registered(&call, aggref, context), type);
	if (call.name == NULL)
		return psprintf("(%s)::%s", decompose_summary(&call, aggref, context), type);

	self = find_self_merging(call.name);
	variance = find_variance(call.name);

	if (strcmp(call.name, "count") == 0)
		final = add_count(&call);
	else if (strcmp(call.name, "sum") == 0)
	{
		final = add_sum_of(&call, call.arg, call.argtype);
		if (!is_float(call.argtype))
		{
			char	   *count = add_count(&call);

			/*
			 * The sum of nothing is NULL, also when there was something. Not
			 * asked of spec->subtracts, which an added column may change.
			 */
			final = psprintf("CASE WHEN %s > 0 THEN %s END", count, final);
		}
	}
	else if (strcmp(call.name, "avg") == 0)
		final = decompose_avg(&call);
	else if (variance != NULL)
		final = decompose_variance(&call, variance);
	else
		final = add_partial(&call, psprintf("%s(%s)", self->name, call.arg),
							psprintf("(%s)::%s", call.arg, type),
							self->name, self->combine);

	return psprintf("(%s)::%s", final, type);
}
