/*
 * mergeable_sql.c - the SQL of aggregates in the table aggwin.mergeable
 *
 * Of foreign aggregates nothing is known but that they are aggregates: rows
 * have to be grouped to make results of them, and two results are combined by
 * aggregating them. The transition functions of aggwin's own can be called by
 * themselves.
 */
#include "postgres.h"

#include "rollup/mergeable.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "core/spi_util.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

static char *
function_in_sql(Oid funcid)
{
	return quote_qualified_identifier(get_namespace_name(get_func_namespace(funcid)),
									  get_func_name(funcid));
}

/* A text as part of a format. */
static char *
in_format(const char *text)
{
	StringInfoData s;

	initStringInfo(&s);
	for (; *text; text++)
	{
		if (*text == '%')
			appendStringInfoChar(&s, '%');
		appendStringInfoChar(&s, *text);
	}
	return s.data;
}

static Oid
transition_of(Oid aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Oid			transition;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate);
	transition = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggtransfn;
	ReleaseSysCache(tuple);
	return transition;
}

/* The call of the aggregate that is stored instead of aggref. */
static Aggref *
stored_call(const Mergeable *row, Aggref *aggref)
{
	Aggref	   *call = copyObject(aggref);
	ListCell   *lc;

	call->aggfnoid = row->stored;
	call->aggfilter = NULL;
	foreach(lc, aggwin_mergeable_constants(row))
	{
		Const	   *constant = lfirst_node(Const, lc);

		call->args = lappend(call->args, makeTargetEntry((Expr *) constant,
														 list_length(call->args) + 1,
														 NULL, false));
		call->aggargtypes = lappend_oid(call->aggargtypes, constant->consttype);
	}
	return call;
}

/* "f(NULL::type, a, …)": what a transition function makes of one row. */
static char *
first_transition(const char *transition, const char *type, Aggref *call, List *context)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfo(&s, "%s(NULL::%s", transition, type);
	foreach(lc, call->args)
		appendStringInfo(&s, ", %s",
						 deparse_expression((Node *) lfirst_node(TargetEntry, lc)->expr,
											context, true, true));
	appendStringInfoChar(&s, ')');
	return s.data;
}

/*
 * What is stored for a call, whose FILTER is for the caller to see to. False if
 * partial->row is but a NULL of the right type.
 */
bool
aggwin_mergeable_partial(const Mergeable *row, Aggref *aggref, List *context,
						 Partial *partial)
{
	Aggref	   *call = stored_call(row, aggref);
	bool		own = get_func_namespace(row->stored) == aggwin_schema() &&
		get_func_namespace(row->merge) == aggwin_schema();
	char	   *type = format_type_be_qualified(row->stored == row->aggregate ? aggref->aggtype
												: get_func_rettype(row->stored));

	partial->aggregate = deparse_expression((Node *) call, context, true, true);
	partial->merge = function_in_sql(row->merge);
	partial->exact = OidIsValid(row->exact) ? function_in_sql(row->exact) : NULL;
	if (own)
	{
		partial->row = first_transition(function_in_sql(transition_of(row->stored)),
										type, call, context);
		partial->combine = psprintf("%s(%%1$s, %%2$s)",
									in_format(function_in_sql(transition_of(row->merge))));
	}
	else
	{
		partial->row = psprintf("NULL::%s", type);
		partial->combine = psprintf("(SELECT %s(t.v) FROM (VALUES (%%1$s), (%%2$s)) AS t (v))",
									in_format(partial->merge));
	}
	return own;
}

/* The answer to a call, given the expression that merges what is stored. */
char *
aggwin_mergeable_final(const Mergeable *row, Aggref *aggref, char *merged)
{
	if (!OidIsValid(row->final))
		return merged;
	if (get_func_nargs(row->final) == 1)
		return psprintf("%s(%s)", function_in_sql(row->final), merged);
	return psprintf("%s(%s, NULL::%s)", function_in_sql(row->final), merged,
					format_type_be_qualified(aggref->aggtype));
}
