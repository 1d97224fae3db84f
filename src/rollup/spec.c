/*
 * spec.c - reading a rollup's definition
 *
 * The definition is a view, so its parse tree follows renames of the source,
 * its columns, functions and types. The spec is derived from that tree each
 * time it is needed; nothing of it is stored.
 *
 * Text is deparsed and parsed again under a pinned search_path. The caller has
 * set it (aggwin_pin_settings).
 */
#include "postgres.h"

#include "rollup/spec.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"
#include "window/session.h"

static const TimeType time_types[] = {
	{TIMESTAMPTZOID, "timestamptz", "tstzrange", "tstzmultirange",
		"'-infinity'::timestamptz", "'infinity'::timestamptz", "now()"},
	{TIMESTAMPOID, "timestamp", "tsrange", "tsmultirange",
		"'-infinity'::timestamp", "'infinity'::timestamp",
	"(now() AT TIME ZONE 'UTC')"},
	{DATEOID, "date", "daterange", "datemultirange",
		"'-infinity'::date", "'infinity'::date",
	"(now() AT TIME ZONE 'UTC')"},
	{INT8OID, "bigint", "int8range", "int8multirange",
	"'-9223372036854775808'::bigint", "'9223372036854775807'::bigint", NULL},
	{INT4OID, "integer", "int4range", "int4multirange",
	"'-2147483648'::integer", "'2147483647'::integer", NULL},
};

const TimeType *
aggwin_time_type(Oid type)
{
	for (int i = 0; i < lengthof(time_types); i++)
		if (time_types[i].type == type)
			return &time_types[i];
	elog(ERROR, "no time type %u", type);
}

/*
 * SQL: a time of this type as a timestamptz, or a timestamptz as a time of this
 * type, which is with or without time zone; one without is UTC.
 */
char *
aggwin_sql_utc(const TimeType *time, const char *value)
{
	return time->type == TIMESTAMPOID ? psprintf("(%s AT TIME ZONE 'UTC')", value)
		: pstrdup(value);
}

/* An argument of any type as a time; text is read as the session reads it. */
Datum
aggwin_time_argument(FunctionCallInfo fcinfo, int number, const TimeType *time, bool *isnull)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, number);
	Oid			output;
	Oid			input;
	Oid			ioparam;
	bool		is_varlena;

	*isnull = PG_ARGISNULL(number);
	if (*isnull)
		return 0;
	if (type == time->type)
		return PG_GETARG_DATUM(number);
	getTypeOutputInfo(type, &output, &is_varlena);
	getTypeInputInfo(time->type, &input, &ioparam);
	return OidInputFunctionCall(input,
								OidOutputFunctionCall(output, PG_GETARG_DATUM(number)),
								ioparam, -1);
}

static bool
is_call_of(Node *node, const char *function)
{
	FuncExpr   *call = (FuncExpr *) node;

	return IsA(node, FuncExpr) &&
		get_func_namespace(call->funcid) == aggwin_schema() &&
		strcmp(get_func_name(call->funcid), function) == 0;
}

/* Is this a call of session? */
bool
aggwin_is_session(Node *node)
{
	return is_call_of(node, "session");
}

/* If key is a call of time_bucket or session, that call, otherwise NULL. */
FuncExpr *
aggwin_time_key(Node *key)
{
	return is_call_of(key, "time_bucket") || aggwin_is_session(key) ? (FuncExpr *) key : NULL;
}

/* Has the source an index that finds rows by their event time? */
bool
aggwin_has_time_index(const RollupSpec *spec)
{
	Relation	source = table_open(spec->source, AccessShareLock);
	int			guc_level = NewGUCNestLevel();
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(source))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		AttrNumber	first = index->rd_index->indkey.values[0];
		Node	   *key;

		if (index->rd_index->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
			RelationGetIndexPredicate(index) == NIL)
		{
			if (first == 0)
			{
				key = linitial(RelationGetIndexExpressions(index));
				found = found || equal(key, spec->event_time_expr);
			}
			else if (IsA(spec->event_time_expr, Var))
				found = found ||
					((Var *) spec->event_time_expr)->varattno == first;
		}
		index_close(index, AccessShareLock);
	}
	/* Functions in expressions of indexes may have run. */
	AtEOXact_GUC(false, guc_level);
	table_close(source, AccessShareLock);
	return found;
}

/*
 * The arguments of the time key, all but the time as constants, which alone may
 * be used where the owner's functions must not run. They were constants when
 * the rollup was created, but a function in them may be another one since.
 */
static List *
time_key_args(FuncExpr *call, int time_index)
{
	Node	   *folded;
	ListCell   *lc;
	int			guc_level;
	bool		constant;

	/*
	 * Puts named arguments into their places and folds constants. Functions of
	 * users that run here must not leave another search_path behind.
	 */
	guc_level = NewGUCNestLevel();
	folded = eval_const_expressions(NULL, (Node *) call);
	AtEOXact_GUC(false, guc_level);

	constant = IsA(folded, FuncExpr);
	if (constant)
	{
		foreach(lc, ((FuncExpr *) folded)->args)
		{
			Node	   *arg = lfirst(lc);

			if (foreach_current_index(lc) != time_index &&
				(!IsA(arg, Const) || ((Const *) arg)->constisnull))
				constant = false;
		}
	}
	if (!constant)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 aggwin_is_session((Node *) call)
				 ? errmsg("the gap of a rollup's session is no longer a constant")
				 : errmsg("width, origin or time zone of a rollup's time_bucket is no longer a constant"),
				 errdetail("A function that gives it has changed."),
				 errhint("Drop the rollup and create it again.")));
	return ((FuncExpr *) folded)->args;
}

static void
read_time_key(RollupSpec *spec, FuncExpr *call, List *context)
{
	StringInfoData s;
	List	   *args = time_key_args(call, 1);
	ListCell   *lc;
	int			number = 0;

	spec->time = aggwin_time_type(exprType(lsecond(args)));
	spec->event_time_expr = lsecond(args);
	spec->event_time = deparse_expression(lsecond(args), context, true, true);
	spec->bucket_width = deparse_expression(linitial(args), context,
										 true, true);
	spec->width_type = exprType(linitial(args));

	initStringInfo(&s);
	foreach(lc, args)
	{
		if (++number > 1)
			appendStringInfoString(&s, ", ");
		if (number <= 2)
			appendStringInfoString(&s, number == 1 ? "%2$s" : "%1$s");
		else
		{
			char	   *literal = deparse_expression(lfirst(lc), context,
													 true, true);

			/* The result is a format. */
			for (char *c = literal; *c; c++)
			{
				if (*c == '%')
					appendStringInfoChar(&s, '%');
				appendStringInfoChar(&s, *c);
			}
		}
	}
	spec->bucket_args = s.data;
}

/* The time key of a session rollup. Returns what the key is for a single row. */
static char *
read_session(RollupSpec *spec, FuncExpr *call, List *context)
{
	List	   *args = time_key_args(call, 0);
	Const	   *gap = lsecond_node(Const, args);

	spec->time = aggwin_time_type(exprType(linitial(args)));
	spec->event_time_expr = linitial(args);
	spec->event_time = deparse_expression(linitial(args), context, true, true);
	/* Without days, which a time zone may make longer or shorter. */
	spec->gap = psprintf("'" INT64_FORMAT " microseconds'::interval",
						 aggwin_session_gap(DatumGetIntervalP(gap->constvalue)));
	spec->bucket_width = spec->gap;
	spec->width_type = INTERVALOID;
	return aggwin_sql_session(spec, spec->event_time, spec->event_time);
}

static void
read_keys(RollupSpec *spec, Query *query, List *context)
{
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Node	   *key = get_sortgroupclause_expr(clause, query->targetList);
		char	   *text = deparse_expression(key, context, true, true);
		FuncExpr   *call = aggwin_time_key(key);

		if (call != NULL)
		{
			if (aggwin_is_session(key))
				text = read_session(spec, call, context);
			else
				read_time_key(spec, call, context);
			spec->keys = lcons(key, spec->keys);
			spec->key_texts = lcons(text, spec->key_texts);
		}
		else
		{
			spec->keys = lappend(spec->keys, key);
			spec->key_texts = lappend(spec->key_texts, text);
		}
	}
}

static void
read_aggregates(RollupSpec *spec, Node *tree, List *context)
{
	List	   *found = pull_var_clause(tree, PVC_INCLUDE_AGGREGATES |
										PVC_RECURSE_PLACEHOLDERS);
	ListCell   *lc;

	foreach(lc, found)
	{
		Aggref	   *aggref = lfirst(lc);
		AggregateFinal *final;
		ListCell   *known;
		bool		seen = false;

		if (!IsA(aggref, Aggref))
			continue;
		foreach(known, spec->finals)
			seen = seen || equal(((AggregateFinal *) lfirst(known))->aggref, aggref);
		if (seen)
			continue;
		final = palloc0(sizeof(AggregateFinal));
		final->aggref = aggref;
		final->text = aggwin_decompose(spec, aggref, context);
		spec->finals = lappend(spec->finals, final);
	}
}

/* Derive the spec of the rollup whose definition view this is. */
RollupSpec *
aggwin_load_spec(Oid definition)
{
	RollupSpec *spec = palloc0(sizeof(RollupSpec));
	Relation	view = relation_open(definition, AccessShareLock);
	Query	   *query = copyObject(get_view_query(view));
	List	   *context;
	Bitmapset  *attnos = NULL;
	int			source_index;
	int			x = -1;
	ListCell   *lc;

	relation_close(view, AccessShareLock);

	source_index = linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex;
	spec->source = rt_fetch(source_index, query->rtable)->relid;

	compat_flatten_group_exprs(query);
	ChangeVarNodes((Node *) query->targetList, source_index, 1, 0);
	ChangeVarNodes(query->jointree->quals, source_index, 1, 0);
	ChangeVarNodes(query->havingQual, source_index, 1, 0);
	pull_varattnos((Node *) query->targetList, 1, &attnos);
	pull_varattnos(query->jointree->quals, 1, &attnos);
	pull_varattnos(query->havingQual, 1, &attnos);
	while ((x = bms_next_member(attnos, x)) >= 0)
		spec->columns = bms_add_member(spec->columns,
									   x + FirstLowInvalidHeapAttributeNumber);

	context = deparse_context_for("e", spec->source);
	read_keys(spec, query, context);
	if (query->jointree->quals != NULL)
		spec->where = deparse_expression(query->jointree->quals, context,
										 true, true);
	spec->subtracts = spec->gap == NULL && aggwin_query_subtracts(query, spec->keys);
	/* In this order: what is added to the targets is stored behind the rest. */
	read_aggregates(spec, query->havingQual, context);
	read_aggregates(spec, (Node *) query->targetList, context);

	foreach(lc, query->targetList)
	{
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			spec->targets = lappend(spec->targets, lfirst(lc));
	}
	spec->having = query->havingQual;
	return spec;
}

/*
 * The columns of a query's result as they stand in CREATE TABLE: names, types
 * and collations. No literal of the query is in it, so that it can be run as
 * another user: the input functions of types may call what users have written.
 */
char *
aggwin_column_definitions(const char *sql)
{
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(sql));
	int			guc_level = NewGUCNestLevel();
	Query	   *query = parse_analyze_fixedparams(raw, sql, NULL, 0, NULL);
	StringInfoData s;
	const char *separator = "";
	ListCell   *lc;

	AtEOXact_GUC(false, guc_level);
	initStringInfo(&s);
	foreach(lc, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);
		Node	   *expr = (Node *) target->expr;
		Oid			collation = exprCollation(expr);

		if (target->resjunk)
			continue;
		if (OidIsValid(get_typcollation(exprType(expr))) && !OidIsValid(collation))
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_COLLATION),
					 errmsg("could not determine the collation of a key or aggregate of the rollup"),
					 errhint("Use the COLLATE clause to set the collation explicitly.")));
		appendStringInfo(&s, "%s%s %s", separator, quote_identifier(target->resname),
						 format_type_with_typemod(exprType(expr), exprTypmod(expr)));
		if (OidIsValid(collation))
			appendStringInfo(&s, " COLLATE %s", generate_collation_name(collation));
		separator = ", ";
	}
	return s.data;
}
