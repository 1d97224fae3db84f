/*
 * query_range.c - reading a range of time at a resolution
 *
 * The answer is the query of a rollup's view, at buckets of the step that was
 * asked for, from the coarsest tier whose buckets these are made of. It is run
 * as the rollup's owner, like the view, for whom may read the view.
 */
#include "postgres.h"

#include "rollup/catalog.h"
#include "rollup/spec.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

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
typedef struct RangeQuery
{
	int32		rollup_id;
	Oid			view;
	RollupNames names;
	RollupSpec *spec;
	int			lowest;			/* level of the view */
	int			level;			/* to answer from */
	Tier		shown;			/* whose width is the step */
	Datum		ends[2];		/* of the range, then of its whole buckets */
	int64		max_points;
	Fill		fill;
	Jsonb	   *keys;
} RangeQuery;

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
key_of_name(const RangeQuery *query, const char *name)
{
	ListCell   *lc;

	foreach(lc, aggwin_tier_keys(query->spec, &query->shown))
	{
		char	   *column = column_of_key(query->spec, lfirst_int(lc));

		if (column != NULL && strcmp(column, name) == 0)
			return lfirst_int(lc);
	}
	return 0;
}

/* A JSON scalar as a literal of a key's type, NULL for JSON's null. */
static char *
key_literal(const RangeQuery *query, int key, JsonbValue *value)
{
	Node	   *expr = list_nth(query->spec->keys, key);
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
append_equal(StringInfo s, const RangeQuery *query, int key, JsonbValue *value)
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
restriction(const RangeQuery *query)
{
	StringInfoData s;
	JsonbIterator *iterator = JsonbIteratorInit(&query->keys->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			key = 0;
	bool		in_array = false;

	initStringInfo(&s);
	appendStringInfoString(&s, "%1$s.bucket >= $1 AND %1$s.bucket < $2");
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
										aggwin_relation_name(query->view)),
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

/* Run a query of one row; its values are in the memory of the SPI connection. */
static void
ask(RangeQuery *query, const char *sql)
{
	Oid			types[] = {query->spec->time->type, query->spec->time->type, INT8OID};
	Datum		values[] = {query->ends[0], query->ends[1], Int64GetDatum(query->max_points)};

	if (SPI_execute_with_args(sql, 3, types, values, NULL, true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "unexpected SPI result of: %s", sql);
}

/*
 * Answer from the coarsest tier that has the view's keys and whose buckets the
 * step is made of.
 */
static void
choose_level(RangeQuery *query)
{
	const Tier *own = aggwin_tier(&query->names, query->lowest);

	query->level = -1;
	for (int i = query->lowest; i <= aggwin_top_level(&query->names); i++)
	{
		const Tier *tier = aggwin_tier(&query->names, i);

		if (equal(aggwin_tier_keys(query->spec, tier), aggwin_tier_keys(query->spec, own)) &&
			aggwin_tier_nests(&query->shown, tier))
			query->level = i;
	}
	if (query->level < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a step of %s is not made of whole buckets of view %s",
						aggwin_tier_width_text(&query->shown),
						aggwin_relation_name(query->view)),
				 errdetail("Its buckets are %s wide.", aggwin_tier_width_text(own)),
				 errhint("Use a multiple of that, or the view of a finer tier.")));
}

/* How many of the buckets of a tier does the range touch, at most max_points + 1? */
static int64
count_points(RangeQuery *query, const Tier *tier)
{
	bool		isnull;
	const char *bucket = aggwin_sql_bucket(query->spec, tier, "$1");
	const char *next = aggwin_sql_bucket_end(query->spec, tier, "g.b");

	ask(query, psprintf("WITH RECURSIVE g(b, n) AS (SELECT %s, 1::bigint"
						" UNION ALL SELECT %s, g.n + 1 FROM g WHERE g.n <= $3 AND %s < $2)"
						" SELECT max(n) FROM g", bucket, next, next));
	return DatumGetInt64(aggwin_spi_value(1, &isnull));
}

/* Without a step: the finest tier with few enough points, or multiples of the last. */
static void
choose_step(RangeQuery *query)
{
	const Tier *own = aggwin_tier(&query->names, query->lowest);
	const Tier *last = own;

	for (int i = query->lowest; i <= aggwin_top_level(&query->names); i++)
	{
		const Tier *tier = aggwin_tier(&query->names, i);

		if (!equal(aggwin_tier_keys(query->spec, tier), aggwin_tier_keys(query->spec, own)))
			break;
		last = tier;
		if (count_points(query, tier) <= query->max_points)
			break;
	}
	query->shown = *last;
	query->shown.width = aggwin_tier_width_literal(last);
	if (last->interval != NULL)
		query->shown.interval = memcpy(palloc(sizeof(Interval)), last->interval, sizeof(Interval));
	while (count_points(query, &query->shown) > query->max_points)
	{
		bool		too_wide;

		if (query->shown.interval == NULL)
			too_wide = pg_mul_s64_overflow(query->shown.int_width, 2, &query->shown.int_width);
		else
			too_wide = pg_mul_s32_overflow(query->shown.interval->month, 2, &query->shown.interval->month) ||
				pg_mul_s32_overflow(query->shown.interval->day, 2, &query->shown.interval->day) ||
				pg_mul_s64_overflow(query->shown.interval->time, 2, &query->shown.interval->time);
		if (too_wide)
			refuse("no step is wide enough for so few points", "Ask for a shorter range or for more points.");
		query->shown.width = aggwin_tier_width_literal(&query->shown);
	}
}

/* Is every key among the columns of the view, by which a series is known? */
static bool
shows_all_keys(const RangeQuery *query)
{
	ListCell   *lc;

	foreach(lc, aggwin_tier_keys(query->spec, &query->shown))
	{
		if (column_of_key(query->spec, lfirst_int(lc)) == NULL)
			return false;
	}
	return true;
}

/* The columns of the keys, each by a format for its name. */
static char *
each_key(const RangeQuery *query, const char *format)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	foreach(lc, aggwin_tier_keys(query->spec, &query->shown))
	{
		char	   *column = column_of_key(query->spec, lfirst_int(lc));

		if (column != NULL)
			appendStringInfo(&s, format, quote_identifier(column));
	}
	return s.data;
}

/* A column of the answer from w, a row for each bucket and series. */
static char *
filled_column(const RangeQuery *query, const TargetEntry *target)
{
	const char *column = quote_identifier(target->resname);
	Oid			type = exprType((Node *) target->expr);
	char		category;
	bool		preferred;

	if (equal(target->expr, linitial(query->spec->keys)))
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
filled(const RangeQuery *query, const char *data)
{
	const char *bucket = quote_identifier(column_of_key(query->spec, 0));
	char	   *partition = each_key(query, ", %1$s");
	StringInfoData columns;
	StringInfoData rest;
	ListCell   *lc;

	if (!shows_all_keys(query))
		refuse("gaps can be filled only where the view shows all keys",
			   "Add the keys to the columns of the rollup's query.");
	initStringInfo(&columns);
	initStringInfo(&rest);
	foreach(lc, aggwin_tier_targets(query->spec, &query->shown))
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
					data, aggwin_sql_bucket_end(query->spec, &query->shown, "g.b"),
					each_key(query, ", d.%1$s"), partition[0] ? "" : " UNION SELECT true",
					rest.data, each_key(query, ", s.%1$s"), bucket,
					each_key(query, " AND d.%1$s IS NOT DISTINCT FROM s.%1$s"),
					columns.data, each_key(query, ", w.%1$s"));
}

static char *
range_sql(const RangeQuery *query)
{
	const TimeType *time = query->spec->time;
	char	   *data = aggwin_sql_answer(query->spec, &query->names, query->level,
										 &query->shown, restriction(query),
										 psprintf("%s(%s($1, $2))", time->multirange, time->range));
	char	   *bucket = column_of_key(query->spec, 0);

	if (bucket == NULL)
		refuse("the view does not show its bucket", "Add the bucket to the columns of the rollup's query.");
	if (query->fill != FILL_NONE)
		return filled(query, data);
	return psprintf("SELECT q.* FROM (%s) AS q ORDER BY q.%s%s", data,
					quote_identifier(bucket), each_key(query, ", q.%1$s"));
}

/*
 * Copy the rows of the last result. Their types are not what was asked for where
 * the rollup's owner has given other names to the columns of its tables.
 */
static void
return_rows(ReturnSetInfo *result)
{
	TupleDesc	wanted = result->setDesc;
	TupleDesc	found = SPI_tuptable->tupdesc;
	bool		same = wanted->natts == found->natts;

	for (int i = 0; same && i < wanted->natts; i++)
		same = TupleDescAttr(wanted, i)->atttypid == TupleDescAttr(found, i)->atttypid;
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the rollup's tables do not have their columns any more"),
				 errhint("Drop the rollup and create it again.")));

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		values[MaxTupleAttributeNumber];
		bool		nulls[MaxTupleAttributeNumber];

		heap_deform_tuple(row, desc, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* The rollup whose view's row type the first argument is of. */
static void
read_view(FunctionCallInfo fcinfo, RangeQuery *query)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	AclResult	result;

	query->view = get_typ_typrelid(type);
	if (!OidIsValid(query->view))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the first argument of query_range() must be of the row type of a rollup's view"),
				 errhint("Write NULL::name_of_the_view.")));
	/* Before the tables behind it, as readers of the view do. */
	LockRelationOid(query->view, AccessShareLock);
	query->rollup_id = aggwin_rollup_of_view(query->view, false);
	query->lowest = aggwin_level_of_view(query->rollup_id, query->view);
	result = pg_class_aclcheck(query->view, GetUserId(), ACL_SELECT);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_VIEW, get_rel_name(query->view));
}

/* The other arguments but the step. */
static void
read_arguments(FunctionCallInfo fcinfo, RangeQuery *query)
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
	query->max_points = PG_GETARG_INT32(4);
	if (query->max_points < 1)
		refuse("max_points must be at least 1", NULL);
	query->keys = PG_GETARG_JSONB_P(5);
	if (!JB_ROOT_IS_OBJECT(query->keys))
		refuse("keys must be a JSON object", "For example '{\"host\": \"a\"}'.");
	query->fill = read_fill(PG_GETARG_TEXT_PP(6));
	for (int i = 0; i < 2; i++)
		query->ends[i] = aggwin_time_argument(fcinfo, i + 1, query->spec->time, &isnull);
}

static void
read_step(FunctionCallInfo fcinfo, RangeQuery *query)
{
	const Tier *own = aggwin_tier(&query->names, query->lowest);

	query->shown = *own;
	if (PG_ARGISNULL(3))
	{
		choose_step(query);
		choose_level(query);
		return;
	}
	aggwin_read_width(fcinfo, 3, own, &query->shown);
	query->shown.width = aggwin_tier_width_literal(&query->shown);
	/* time_bucket() knows best what it does not accept as a width. */
	ask(query, psprintf("SELECT %s, $2, $3", aggwin_sql_bucket(query->spec, &query->shown, "$1")));
	choose_level(query);
	if (count_points(query, &query->shown) > query->max_points)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range has more than %lld steps", (long long) query->max_points),
				 errhint("Use a wider step, or raise max_points.")));
}

/*
 * aggwin.query_range(view, from, to, step, max_points, keys, fill): see
 * doc/reference.md.
 */
Datum
aggwin_query_range(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RangeQuery	query = {0};
	RollupRow	row;
	Sandbox		saved;
	bool		isnull;
	bool		backwards;
	Oid			types[2];

	read_view(fcinfo, &query);
	InitMaterializedSRF(fcinfo, 0);
	aggwin_get_rollup(query.rollup_id, &row);

	aggwin_spi_connect();
	query.names = aggwin_rollup_names(&row);
	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(&row), true);
	query.spec = aggwin_load_spec(row.definition);
	aggwin_sandbox_leave(&saved);
	if (query.spec->gap != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("query_range() cannot read a rollup by session"),
				 errdetail("Sessions are not made of steps of time."),
				 errhint("Read the view, with a condition such as session && tstzrange(…, …).")));
	/* Text is read as the session reads it. */
	read_arguments(fcinfo, &query);

	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(&row), true);
	types[0] = types[1] = query.spec->time->type;
	ask(&query, query.spec->time->clock != NULL
		? "SELECT $1 >= $2 OR NOT isfinite($1) OR NOT isfinite($2) OR $3 IS NULL"
		: "SELECT $1 >= $2 OR $3 IS NULL");
	backwards = DatumGetBool(aggwin_spi_value(1, &isnull));
	if (backwards)
		refuse("the range must begin before it ends, and both ends must be finite", NULL);
	read_step(fcinfo, &query);
	ask(&query, psprintf("SELECT %s, CASE WHEN $2 = %s THEN $2 ELSE %s END, $3",
						 aggwin_sql_bucket(query.spec, &query.shown, "$1"),
						 aggwin_sql_bucket(query.spec, &query.shown, "$2"),
						 aggwin_sql_bucket_end(query.spec, &query.shown, "$2")));
	query.ends[0] = aggwin_spi_value(1, &isnull);
	query.ends[1] = aggwin_spi_value(2, &isnull);
	if (SPI_execute_with_args(range_sql(&query), 2, types, query.ends, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the range");
	return_rows(result);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return (Datum) 0;
}
