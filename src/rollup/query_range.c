/*
 * query_range.c - the rows of a rollup's view in a range, at a resolution
 *
 * The query is run as the rollup's owner, like the view, for whom may read the
 * view.
 */
#include "postgres.h"

#include "rollup/range.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(aggwin_query_range);

typedef enum Fill
{
	FILL_NONE,
	FILL_NULL,
	FILL_ZERO,
	FILL_PREVIOUS,
} Fill;

static const char *const fill_names[] = {"none", "null", "zero", "previous"};

/* What is asked for. */
typedef struct KeyedRange
{
	RangeQuery	range;
	Fill		fill;
	Jsonb	   *keys;
} KeyedRange;

static void
refuse(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", message),
			 hint ? errhint("%s", hint) : 0));
}

static Fill
read_fill(text *name)
{
	char	   *given = text_to_cstring(name);

	for (int i = 0; i < lengthof(fill_names); i++)
		if (strcmp(fill_names[i], given) == 0)
			return (Fill) i;
	refuse("fill must be 'none', 'null', 'zero' or 'previous'", NULL);
	return FILL_NONE;
}

/* The column of the view that shows a key (0: the bucket), NULL if none does. */
static char *
column_of_key(const RollupSpec *spec, int key)
{
	ListCell   *lc;

	foreach(lc, spec->targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (equal(target->expr, list_nth(spec->keys, key)))
			return target->resname;
	}
	return NULL;
}

/* Which key is it? 0 if the view has no key of that name. */
static int
key_of_name(const KeyedRange *query, const char *name)
{
	ListCell   *lc;

	foreach(lc, aggwin_tier_keys(query->range.spec, &query->range.shown))
	{
		char	   *column = column_of_key(query->range.spec, lfirst_int(lc));

		if (column != NULL && strcmp(column, name) == 0)
			return lfirst_int(lc);
	}
	return 0;
}

/* A JSON scalar as a literal of a key's type, NULL for JSON's null. */
static char *
key_literal(const KeyedRange *query, int key, JsonbValue *value)
{
	Node	   *expr = list_nth(query->range.spec->keys, key);
	char	   *text;
	Oid			input;
	Oid			ioparam;

	switch (value->type)
	{
		case jbvNull:
			return NULL;
		case jbvString:
			text = pnstrdup(value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			break;
		case jbvBool:
			text = value->val.boolean ? "true" : "false";
			break;
		default:
			refuse("keys must have strings, numbers, booleans, null or arrays of these as values", NULL);
			return NULL;
	}
	/* An error now is about the value, not about a query that nobody wrote. */
	getTypeInputInfo(exprType(expr), &input, &ioparam);
	(void) OidInputFunctionCall(input, text, ioparam, -1);
	return psprintf("(%s::%s)", quote_literal_cstr(text), format_type_be(exprType(expr)));
}

static void
append_equal(StringInfo s, const KeyedRange *query, int key, JsonbValue *value)
{
	char	   *literal = key_literal(query, key, value);
	char	   *c;

	if (literal == NULL)
	{
		appendStringInfo(s, "%%1$s.k%d IS NULL", key);
		return;
	}
	appendStringInfo(s, "%%1$s.k%d = ", key);
	/* The result is a format. */
	for (c = literal; *c; c++)
	{
		if (*c == '%')
			appendStringInfoChar(s, '%');
		appendStringInfoChar(s, *c);
	}
}

/* Conditions on the columns of state, as a format for its alias. */
static char *
restriction(const KeyedRange *query)
{
	StringInfoData s;
	JsonbIterator *iterator = JsonbIteratorInit(&query->keys->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			key = 0;
	bool		in_array = false;

	initStringInfo(&s);
	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		switch (token)
		{
			case WJB_KEY:
				{
					char	   *name = pnstrdup(value.val.string.val, value.val.string.len);

					key = key_of_name(query, name);
					if (key == 0)
						ereport(ERROR,
								(errcode(ERRCODE_UNDEFINED_COLUMN),
								 errmsg("\"%s\" is not a key of view %s", name,
										aggwin_relation_name(query->range.view)),
								 errhint("Keys are the columns that the rollup's query groups by, without the bucket.")));
					break;
				}
			case WJB_VALUE:
				appendStringInfoString(&s, " AND ");
				append_equal(&s, query, key, &value);
				break;
			case WJB_BEGIN_ARRAY:
				if (in_array)
					refuse("keys cannot have arrays of arrays as values", NULL);
				in_array = true;
				appendStringInfoString(&s, " AND (false");
				break;
			case WJB_BEGIN_OBJECT:
				if (key > 0)
					refuse("keys must have strings, numbers, booleans, null or arrays of these as values", NULL);
				break;
			case WJB_ELEM:
				appendStringInfoString(&s, " OR ");
				append_equal(&s, query, key, &value);
				break;
			case WJB_END_ARRAY:
				in_array = false;
				appendStringInfoChar(&s, ')');
				break;
			default:
				break;
		}
	}
	return s.data;
}

/* Is every key among the columns of the view, by which a series is known? */
static bool
shows_all_keys(const KeyedRange *query)
{
	ListCell   *lc;

	foreach(lc, aggwin_tier_keys(query->range.spec, &query->range.shown))
	{
		if (column_of_key(query->range.spec, lfirst_int(lc)) == NULL)
			return false;
	}
	return true;
}

/* The columns of the keys, each by a format for its name. */
static char *
each_key(const KeyedRange *query, const char *format)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	foreach(lc, aggwin_tier_keys(query->range.spec, &query->range.shown))
	{
		char	   *column = column_of_key(query->range.spec, lfirst_int(lc));

		if (column != NULL)
			appendStringInfo(&s, format, quote_identifier(column));
	}
	return s.data;
}

/* A column of the answer from w, a row for each bucket and series. */
static char *
filled_column(const KeyedRange *query, const TargetEntry *target)
{
	const char *column = quote_identifier(target->resname);
	Oid			type = exprType((Node *) target->expr);
	char		category;
	bool		preferred;

	if (equal(target->expr, linitial(query->range.spec->keys)))
		return psprintf("w.aggwin_bucket AS %s", column);
	get_type_category_preferred(type, &category, &preferred);
	if (query->fill == FILL_ZERO && category == TYPCATEGORY_NUMERIC &&
		key_of_name(query, target->resname) == 0)
		return psprintf("CASE WHEN w.aggwin_present THEN w.%1$s ELSE 0::%2$s END AS %1$s",
						column, format_type_be(type));
	if (query->fill == FILL_PREVIOUS)
		return psprintf("first_value(w.%1$s) OVER aggwin_run AS %1$s", column);
	return psprintf("w.%1$s AS %1$s", column);
}

/* Every bucket of the range for every series in data. */
static char *
filled(const KeyedRange *query, const char *data)
{
	const char *bucket = quote_identifier(column_of_key(query->range.spec, 0));
	char	   *partition = each_key(query, ", %1$s");
	StringInfoData columns;
	StringInfoData rest;
	ListCell   *lc;

	if (!shows_all_keys(query))
		refuse("gaps can be filled only where the view shows all keys",
			   "Add the keys to the columns of the rollup's query.");
	initStringInfo(&columns);
	initStringInfo(&rest);
	foreach(lc, aggwin_tier_targets(query->range.spec, &query->range.shown))
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		appendStringInfo(&columns, "%s%s", columns.len > 0 ? ", " : "",
						 filled_column(query, target));
		if (key_of_name(query, target->resname) == 0)
			appendStringInfo(&rest, ", d.%s", quote_identifier(target->resname));
	}
	return psprintf("WITH RECURSIVE data AS MATERIALIZED (SELECT true AS aggwin_present, q.* FROM (%1$s) AS q),"
					" grid(b) AS (SELECT $1 UNION ALL SELECT %2$s FROM grid AS g WHERE %2$s < $2),"
					" series AS (SELECT DISTINCT true AS aggwin_series%3$s FROM data AS d%4$s),"
					" whole AS (SELECT g.b AS aggwin_bucket, s.*, d.aggwin_present%5$s,"
					" count(d.aggwin_present) OVER (PARTITION BY true%6$s ORDER BY g.b) AS aggwin_filled"
					" FROM grid AS g CROSS JOIN series AS s"
					" LEFT JOIN data AS d ON d.%7$s = g.b%8$s)"
					" SELECT %9$s FROM whole AS w"
					" WINDOW aggwin_run AS (PARTITION BY w.aggwin_filled%10$s ORDER BY w.aggwin_bucket)"
					" ORDER BY w.aggwin_bucket%10$s",
					data, aggwin_sql_bucket_end(query->range.spec, &query->range.shown, "g.b"),
					each_key(query, ", d.%1$s"), partition[0] ? "" : " UNION SELECT true",
					rest.data, each_key(query, ", s.%1$s"), bucket,
					each_key(query, " AND d.%1$s IS NOT DISTINCT FROM s.%1$s"),
					columns.data, each_key(query, ", w.%1$s"));
}

static char *
range_sql(const KeyedRange *query)
{
	char	   *data = aggwin_range_answer(&query->range, "$1", "$2", restriction(query));
	char	   *bucket = column_of_key(query->range.spec, 0);

	if (bucket == NULL)
		refuse("the view does not show its bucket", "Add the bucket to the columns of the rollup's query.");
	if (query->fill != FILL_NONE)
		return filled(query, data);
	return psprintf("SELECT q.* FROM (%s) AS q ORDER BY q.%s%s", data,
					quote_identifier(bucket), each_key(query, ", q.%1$s"));
}

/* The rollup whose view's row type the first argument is of. */
static void
read_view(FunctionCallInfo fcinfo, KeyedRange *query)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid			view = get_typ_typrelid(type);

	if (!OidIsValid(view))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the first argument of query_range() must be of the row type of a rollup's view"),
				 errhint("Write NULL::name_of_the_view.")));
	aggwin_range_lock(&query->range, view);
}

/* The other arguments but the step. */
static void
read_arguments(FunctionCallInfo fcinfo, KeyedRange *query)
{
	static const char *const names[] = {"view", "from", "to", "step", "max_points", "keys", "fill"};
	bool		isnull;

	for (int i = 1; i < lengthof(names); i++)
	{
		if (PG_ARGISNULL(i) && i != 3)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not be NULL", names[i])));
	}
	query->range.max_points = PG_GETARG_INT32(4);
	if (query->range.max_points < 1)
		refuse("max_points must be at least 1", NULL);
	query->keys = PG_GETARG_JSONB_P(5);
	if (!JB_ROOT_IS_OBJECT(query->keys))
		refuse("keys must be a JSON object", "For example '{\"host\": \"a\"}'.");
	query->fill = read_fill(PG_GETARG_TEXT_PP(6));
	for (int i = 0; i < 2; i++)
		query->range.ends[i] = aggwin_time_argument(fcinfo, i + 1, query->range.spec->time, &isnull);
}

static void
read_step(FunctionCallInfo fcinfo, KeyedRange *query)
{
	const Tier *own = aggwin_tier(&query->range.names, query->range.lowest);

	query->range.shown = *own;
	if (PG_ARGISNULL(3))
	{
		aggwin_range_choose_step(&query->range);
		return;
	}
	aggwin_read_width(fcinfo, 3, own, &query->range.shown);
	aggwin_range_take_step(&query->range);
}

/*
 * aggwin.query_range(view, from, to, step, max_points, keys, fill): see
 * doc/reference.md.
 */
Datum
aggwin_query_range(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	KeyedRange	query = {0};
	RangeQuery *range = &query.range;
	Sandbox		saved;
	Oid			types[2];

	read_view(fcinfo, &query);
	InitMaterializedSRF(fcinfo, 0);

	aggwin_spi_connect();
	aggwin_range_load(range);
	if (range->spec->gap != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("query_range() cannot read a rollup by session"),
				 errdetail("Sessions are not made of steps of time."),
				 errhint("Read the view, with a condition such as session && tstzrange(…, …).")));
	/* Text is read as the session reads it. */
	read_arguments(fcinfo, &query);

	aggwin_sandbox_enter(&saved, range->owner, true);
	aggwin_range_check_ends(range);
	read_step(fcinfo, &query);
	aggwin_range_align(range, false);
	types[0] = types[1] = range->spec->time->type;
	aggwin_spi_read(range_sql(&query), lengthof(types), types, range->ends);
	/* The rollup's owner may have given other names to the columns of its tables. */
	if (!aggwin_spi_fits(result->setDesc))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the rollup's tables do not have their columns any more"),
				 errhint("Drop the rollup and create it again.")));
	aggwin_spi_return_rows(fcinfo);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return (Datum) 0;
}
