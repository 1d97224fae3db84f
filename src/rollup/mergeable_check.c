/*
 * mergeable_check.c - whether aggregates fit together
 *
 *      aggregate(a, …) -> r            as a rollup query calls it
 *      stored(a, …, constants) -> s    run over rows, its result is kept
 *      merge(s) -> s                   run over what is kept
 *      final(s [, NULL::r]) -> r       run over what was merged
 *      exact(s) -> boolean             likewise
 *
 * Asked when aggregates are registered, and again each time that they are
 * used: extensions change what they offer, and presets are not registered.
 */
#include "postgres.h"

#include "rollup/mergeable.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* What has to be known of a function. */
typedef struct Signature
{
	Oid			funcid;
	char		kind;
	bool		variadic;
	bool		returns_set;
	Oid			result;
	int			count;
	Oid		   *types;
} Signature;

static Signature
signature_of(Oid funcid)
{
	Signature	signature = {.funcid = funcid};
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Form_pg_proc form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", funcid)));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	signature.kind = form->prokind;
	signature.variadic = OidIsValid(form->provariadic);
	signature.returns_set = form->proretset;
	ReleaseSysCache(tuple);
	signature.result = get_func_signature(funcid, &signature.types, &signature.count);
	return signature;
}

static void
check_aggregate_kind(const Signature *function)
{
	HeapTuple	tuple;
	char		kind;

	if (function->kind != PROKIND_AGGREGATE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("function %s is not an aggregate", format_procedure(function->funcid)),
				 errhint("Name an aggregate by the types of its arguments, such as 'public.tally(integer)'.")));
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function->funcid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", function->funcid);
	kind = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggkind;
	ReleaseSysCache(tuple);
	if (AGGKIND_IS_ORDERED_SET(kind) || function->variadic)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("aggregate %s cannot be registered as mergeable",
						format_procedure(function->funcid)),
				 errdetail("It is an ordered-set aggregate, or takes any number of arguments.")));
}

static void
check_not_temporary(Oid funcid)
{
	if (isAnyTempNamespace(get_func_namespace(funcid)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("function %s is temporary", format_procedure(funcid)),
				 errhint("Create it in a schema that is not temporary.")));
}

/* What stored takes: the arguments of aggregate, then the constants. */
static void
check_stored(const Mergeable *row, const Signature *aggregate, const Signature *stored)
{
	int			constants = list_length(row->constants);
	bool		fits = stored->count == aggregate->count + constants;

	for (int i = 0; fits && i < stored->count; i++)
	{
		if (i < aggregate->count)
			fits = stored->types[i] == aggregate->types[i];
		else
			fits = get_typtype(stored->types[i]) != TYPTYPE_PSEUDO;
	}
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("aggregate %s cannot be stored as %s",
						format_procedure(aggregate->funcid), format_procedure(stored->funcid)),
				 errdetail("The second has to take the arguments of the first, and behind them as many as there are constants: %d.",
						   constants),
				 errhint("Leave \"stored\" out if the aggregate's own results can be merged.")));

	/* The type of what is stored has to be known from the call. */
	if (get_typtype(stored->result) == TYPTYPE_PSEUDO &&
		(!IsPolymorphicType(stored->result) || stored->funcid != aggregate->funcid))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("results of aggregate %s cannot be stored", format_procedure(stored->funcid)),
				 errdetail("It returns type %s.", format_type_be(stored->result)),
				 errhint("Name an aggregate that returns a type which columns can have.")));
}

static void
check_merge(const Signature *stored, const Signature *merge)
{
	if (merge->count == 1 && merge->types[0] == stored->result &&
		merge->result == stored->result)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("aggregate %s does not merge what %s returns",
					format_procedure(merge->funcid), format_procedure(stored->funcid)),
			 errdetail("What is stored is of type %s; the merging aggregate returns type %s.",
					   format_type_be(stored->result), format_type_be(merge->result)),
			 errhint("It has to take one argument, of the type that is stored, and to return that type.")));
}

/* Functions that are applied to what was merged. */
static void
check_plain_function(const Signature *function, const char *use)
{
	check_not_temporary(function->funcid);
	if (function->kind != PROKIND_FUNCTION || function->returns_set || function->variadic)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s cannot be the function \"%s\"", format_procedure(function->funcid), use),
				 errdetail("It is not a plain function that returns one value.")));
	if (func_volatile(function->funcid) != PROVOLATILE_IMMUTABLE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("function %s is not immutable and cannot be the function \"%s\"",
						format_procedure(function->funcid), use),
				 errhint("If what it returns depends on its arguments only, declare it IMMUTABLE.")));
}

static void
check_final(const Signature *aggregate, const Signature *stored, const Signature *final)
{
	bool		fits;

	check_plain_function(final, "final");

	/* The second argument only tells the type of the result. */
	fits = final->count >= 1 && final->types[0] == stored->result &&
		final->result == aggregate->result &&
		(final->count == 1 || (final->count == 2 && final->types[1] == final->result));
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("function %s does not make the result of %s",
						format_procedure(final->funcid), format_procedure(aggregate->funcid)),
				 errdetail("What is stored is of type %s, the result of type %s.",
						   format_type_be(stored->result), format_type_be(aggregate->result)),
				 errhint("It has to take the first of these types, and to return the second.")));
}

static void
check_exact(const Signature *stored, const Signature *exact)
{
	check_plain_function(exact, "exact");
	if (exact->count != 1 || exact->types[0] != stored->result || exact->result != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("function %s does not tell whether merging was exact",
						format_procedure(exact->funcid)),
				 errdetail("What is stored is of type %s.", format_type_be(stored->result)),
				 errhint("It has to take one argument, of that type, and to return boolean.")));
}

static void
refuse_missing(const Mergeable *row)
{
	const char *missing = row->exact_name;

	if (!OidIsValid(row->stored))
		missing = row->stored_name;
	else if (!OidIsValid(row->merge))
		missing = row->merge_name;
	else if (row->final_name != NULL && !OidIsValid(row->final))
		missing = row->final_name;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("aggregate %s cannot be merged any more", row->aggregate_name),
			 errdetail("There is no function %s%s%s.", missing,
					   row->extension ? " in extension " : "", row->extension ? row->extension : ""),
			 errhint("Create it again, or register the aggregate again with aggwin.register_mergeable().")));
}

/* Error, unless the functions of a row fit together. */
void
aggwin_check_mergeable(const Mergeable *row)
{
	Signature	aggregate;
	Signature	stored;
	Signature	merge;

	if (!aggwin_mergeable_is_whole(row))
		refuse_missing(row);
	aggregate = signature_of(row->aggregate);
	stored = signature_of(row->stored);
	merge = signature_of(row->merge);

	check_aggregate_kind(&aggregate);
	check_aggregate_kind(&stored);
	check_aggregate_kind(&merge);
	check_not_temporary(row->aggregate);
	check_not_temporary(row->stored);
	check_not_temporary(row->merge);
	check_stored(row, &aggregate, &stored);
	check_merge(&stored, &merge);
	if (OidIsValid(row->final))
	{
		Signature	final = signature_of(row->final);

		check_final(&aggregate, &stored, &final);
	}
	else if (stored.result != aggregate.result)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("what %s returns is not the result of %s",
						format_procedure(stored.funcid), format_procedure(aggregate.funcid)),
				 errdetail("The first returns type %s, the second %s.",
						   format_type_be(stored.result), format_type_be(aggregate.result)),
				 errhint("Name a function from the first type to the second as \"final\".")));
	if (OidIsValid(row->exact))
	{
		Signature	exact = signature_of(row->exact);

		check_exact(&stored, &exact);
	}
}

/* The constants as nodes. Calls the input functions of their types. */
List *
aggwin_mergeable_constants(const Mergeable *row)
{
	Signature	stored = signature_of(row->stored);
	int			i = stored.count - list_length(row->constants);
	List	   *nodes = NIL;
	ListCell   *lc;

	foreach(lc, row->constants)
	{
		Oid			type = stored.types[i++];
		Oid			input;
		Oid			parameter;
		int16		length;
		bool		by_value;

		getTypeInputInfo(type, &input, &parameter);
		get_typlenbyval(type, &length, &by_value);
		nodes = lappend(nodes, makeConst(type, -1, get_typcollation(type), length,
										 OidInputFunctionCall(input, lfirst(lc), parameter, -1),
										 false, by_value));
	}
	return nodes;
}
