/*
 * picked.c - the series that a question about metrics is about, and who answers
 *
 * Whoever may read aggwin.series and the view of the metric rollup that answers
 * may ask. What is read is read as the rollup's owner, as through the view.
 */
#include "postgres.h"

#include "metrics/picked.h"

#include "catalog/pg_type.h"
#include "metrics/matchers.h"
#include "metrics/names.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

static void
read_matchers(FunctionCallInfo fcinfo, const PickedArgs *args, Matchers *matchers)
{
	aggwin_matchers_init(matchers);
	if (!PG_ARGISNULL(args->metric))
		aggwin_add_selector(matchers, "metric", PG_GETARG_TEXT_PP(args->metric));
	if (!PG_ARGISNULL(args->labels))
	{
		if (get_fn_expr_argtype(fcinfo->flinfo, args->labels) == JSONBOID)
			aggwin_add_labels(matchers, PG_GETARG_JSONB_P(args->labels));
		else
		{
			text	   *labels = PG_GETARG_TEXT_PP(args->labels);
			char	   *string = text_to_cstring(labels);

			if (aggwin_looks_like_json(string))
				aggwin_add_labels(matchers, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(string))));
			else
				aggwin_add_selector(matchers, "labels", labels);
		}
	}
	if (matchers->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("neither a metric nor labels are given"),
				 errhint("For all series, ask for {__name__=~\".+\"}.")));
}

/* The names of labels that the question is about. */
static Datum
named_labels(const Matchers *matchers, ArrayType *by)
{
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	int			count = 0;
	Datum	   *names;
	int			n = 0;
	ListCell   *lc;

	if (by != NULL)
		deconstruct_array(by, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	names = palloc((count + list_length(matchers->labels) + 1) * sizeof(Datum));
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"by\" must not contain NULL")));
		if (strcmp(TextDatumGetCString(elements[i]), AGGWIN_NAME_LABEL) != 0)
			names[n++] = elements[i];
	}
	foreach(lc, matchers->labels)
		names[n++] = CStringGetTextDatum(strVal(lfirst(lc)));
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The series and the names of their metrics; false if there are none. */
static bool
find_series(const Matchers *matchers, Picked *picked, Datum *metrics)
{
	bool		isnull;

	aggwin_spi_read(psprintf("SELECT array_agg(s.series_id ORDER BY s.series_id), array_agg(DISTINCT s.metric)"
							 " FROM aggwin.series AS s WHERE %s", matchers->condition.data),
					0, NULL, NULL);
	picked->series = aggwin_spi_value(1, &isnull);
	if (isnull)
		return false;
	*metrics = aggwin_spi_value(2, &isnull);
	return true;
}

/* The labels that are shown, as an expression about a series "s". */
static char *
shown_labels(const MetricRollup *rollup, ArrayType *by, bool several_metrics)
{
	char	   *labels = pstrdup("s.labels");

	if (rollup->keep != NULL)
		labels = aggwin_sql_only_labels(labels, psprintf("%s::text[]", rollup->keep));
	if (rollup->drop != NULL)
		labels = psprintf("(%s - %s::text[])", labels, rollup->drop);
	if (by != NULL || several_metrics)
		labels = psprintf("(%s || jsonb_build_object('" AGGWIN_NAME_LABEL "', s.metric))", labels);
	if (by != NULL)
		labels = aggwin_sql_only_labels(labels, aggwin_sql_literal(PointerGetDatum(by), TEXTARRAYOID));
	return labels;
}

/* The ends of the range, and that they are in order. */
static void
read_range(FunctionCallInfo fcinfo, const PickedArgs *args, RangeQuery *range)
{
	TimestampTz from;
	TimestampTz to;

	if (PG_ARGISNULL(args->from) || PG_ARGISNULL(args->to))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be NULL", PG_ARGISNULL(args->from) ? "from" : "to")));
	from = PG_GETARG_TIMESTAMPTZ(args->from);
	to = PG_GETARG_TIMESTAMPTZ(args->to);
	if (from >= to || TIMESTAMP_NOT_FINITE(from) || TIMESTAMP_NOT_FINITE(to))
		aggwin_refuse_range();
	range->ends[0] = TimestampTzGetDatum(from);
	range->ends[1] = TimestampTzGetDatum(to);
}

/* What the rollup keeps of the series: themselves, or their groups. */
static Datum
rollup_keys(const Picked *picked)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[] = {picked->series};
	bool		isnull;

	if (!picked->rollup.grouped)
		return picked->series;
	aggwin_spi_read(psprintf("SELECT array_agg(DISTINCT %s) FROM unnest($1) AS i",
							 aggwin_sql_series_group(&picked->rollup, "i")),
					lengthof(types), types, values);
	return aggwin_spi_value(1, &isnull);
}

/*
 * What the arguments ask for; connected to SPI. False if there are no such series.
 * each_series: only a rollup that is not grouped can answer.
 */
bool
aggwin_pick(FunctionCallInfo fcinfo, const PickedArgs *args, bool each_series, Picked *picked)
{
	ArrayType  *by = args->by == AGGWIN_NO_ARGUMENT || PG_ARGISNULL(args->by) ? NULL
		: PG_GETARG_ARRAYTYPE_P(args->by);
	Oid			view = args->rollup == AGGWIN_NO_ARGUMENT || PG_ARGISNULL(args->rollup) ? InvalidOid
		: PG_GETARG_OID(args->rollup);
	bool		any_group = by != NULL || OidIsValid(view) || args->by == AGGWIN_NO_ARGUMENT;
	Matchers	matchers;
	MetricNeeds needs = {.each_series = each_series || !any_group};
	bool		found;
	Sandbox		saved;

	aggwin_metric_tables(&picked->tables);
	aggwin_check_may_read_series(&picked->tables);
	read_range(fcinfo, args, &picked->range);
	read_matchers(fcinfo, args, &matchers);
	needs.labels = named_labels(&matchers, by);

	aggwin_become_owner(&saved, &picked->tables);
	found = find_series(&matchers, picked, &needs.metrics);
	if (found)
	{
		aggwin_find_metric_rollup(view, &needs, &picked->rollup);
		picked->keys = rollup_keys(picked);
	}
	aggwin_sandbox_leave(&saved);
	if (!found)
		return false;

	picked->labels = shown_labels(&picked->rollup, by,
								  aggwin_array_size(needs.metrics) > 1);
	picked->merged = by != NULL;
	aggwin_range_lock(&picked->range, OidIsValid(view) ? view : picked->rollup.view);
	aggwin_range_load(&picked->range);
	if (!equal(aggwin_tier_keys(picked->range.spec, aggwin_tier(&picked->range.names, picked->range.lowest)),
			   aggwin_tier_keys(picked->range.spec, aggwin_tier(&picked->range.names, 0))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("view %s does not tell series apart", aggwin_relation_name(picked->range.view)),
				 errhint("Name a finer view of the rollup.")));
	return true;
}

/* The rows of the rollup, as SQL for aggwin_picked_run(). */
char *
aggwin_picked_answer(const Picked *picked)
{
	return aggwin_range_answer(&picked->range, "$1", "$2", " AND %1$s.k1 = ANY ($3)");
}

/*
 * The labels that are shown of what the rollup keeps, as SQL for
 * aggwin_picked_run(): key, series_id, labels.
 */
char *
aggwin_picked_series(const Picked *picked)
{
	return psprintf("SELECT %s %s AS key, %s AS series_id, %s AS labels"
					" FROM aggwin.series AS s WHERE s.series_id = ANY ($4)",
					picked->rollup.grouped ? "DISTINCT" : "",
					aggwin_sql_series_group(&picked->rollup, "s.series_id"),
					picked->rollup.grouped || picked->merged ? "NULL::bigint" : "s.series_id",
					picked->labels);
}

/* Run SQL that has the range as $1 and $2, the rollup's keys as $3 and series as $4. */
void
aggwin_picked_run(const Picked *picked, const char *sql)
{
	Oid			types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID,
	picked->rollup.grouped ? UUIDARRAYOID : INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {picked->range.ends[0], picked->range.ends[1], picked->keys, picked->series};

	aggwin_spi_read(sql, lengthof(types), types, values);
}
