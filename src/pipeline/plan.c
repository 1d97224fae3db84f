/*
 * plan.c - what applying rules does, pipeline by pipeline
 *
 * Rules are the whole of a source: what they do not have any more is removed, if the
 * caller agrees. What is the same as before is left alone, so that to apply the same
 * rules again does nothing.
 */
#include "postgres.h"

#include "pipeline/plan.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "metrics/matchers.h"
#include "miscadmin.h"
#include "pipeline/read.h"
#include "pipeline/tables.h"
#include "promql/print.h"
#include "promql/reader.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* What a pipeline has that does not say otherwise. */
#define DEFAULT_MAX_SERIES 100000
#define DEFAULT_RETENTION (INT64CONST(3650) * 86400 * 1000)

/* Reading ------------------------------------------------------------------*/

pg_noreturn static void
refuse_rules(const PipelineRules *rules)
{
	const PromError *first = &rules->findings[0].error;
	StringInfoData others;

	initStringInfo(&others);
	for (int i = 1; i < rules->finding_count; i++)
		appendStringInfo(&others, "%sLine %d, column %d: %s.", i > 1 ? "\n" : "",
						 rules->findings[i].error.line, rules->findings[i].error.column,
						 aggwin_from_utf8(rules->findings[i].error.message));
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("%s:%d:%d: %s", rules->findings[0].file, first->line, first->column,
					aggwin_from_utf8(first->message)),
			 others.len > 0 ? errdetail("%s", others.data) : 0,
			 first->hint ? errhint("%s", aggwin_from_utf8(first->hint)) : 0));
}

/* Labels to add, as they are stored. */
static Datum
labels_of(const Pipeline *pipeline)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < pipeline->label_count; i++)
	{
		JsonbValue	string = {.type = jbvString};

		if (pipeline->labels[i].value[0] == '\0')
			continue;
		string.val.string.val = aggwin_from_utf8(pipeline->labels[i].name);
		string.val.string.len = strlen(string.val.string.val);
		pushJsonbValue(&state, WJB_KEY, &string);
		string.val.string.val = aggwin_from_utf8(pipeline->labels[i].value);
		string.val.string.len = strlen(string.val.string.val);
		pushJsonbValue(&state, WJB_VALUE, &string);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

static int64
default_retention(void)
{
	return aggwin_sample_retention > 0 ? (int64) aggwin_sample_retention * 1000 : DEFAULT_RETENTION;
}

/* The pipelines that rules stand for: PipelineSpec *. */
static List *
read_rules(text *text, const char *source)
{
	char	   *string = text_to_cstring(text);
	char	   *utf8 = pg_server_to_any(string, strlen(string), PG_UTF8);
	PipelineRules rules = {0};
	List	   *specs = NIL;

	if (aggwin_rules_read(&rules, source, utf8, strlen(utf8)))
		(void) aggwin_rules_check(&rules);
	if (rules.finding_count > 0)
		refuse_rules(&rules);
	for (int i = 0; i < rules.pipeline_count; i++)
	{
		const Pipeline *pipeline = &rules.pipelines[i];

		for (int part = 0; part < aggwin_pipeline_parts(pipeline); part++)
		{
			PipelineSpec *spec = palloc0(sizeof(PipelineSpec));

			aggwin_pipeline_part(pipeline, part, &spec->metric, &spec->rule);
			spec->promql = aggwin_from_utf8(aggwin_promql_print_rule(&spec->rule));
			spec->labels = labels_of(pipeline);
			spec->grace = pipeline->grace;
			spec->retention = pipeline->retention > 0 ? pipeline->retention : default_retention();
			spec->max_series = pipeline->max_series > 0 ? Min(pipeline->max_series, PG_INT32_MAX) : DEFAULT_MAX_SERIES;
			spec->result_limit = Min(pipeline->limit, PG_INT32_MAX);
			spec->paused = pipeline->paused;
			spec->place = list_length(specs) + 1;
			specs = lappend(specs, spec);
		}
	}
	return specs;
}

/* What is there -----------------------------------------------------------*/

/* A pipeline that is there. */
typedef struct Known
{
	PlanItem	item;
	char	   *source;
	bool		broken;			/* somebody has dropped its output */
	bool		wanted;
} Known;

static Datum
column(uint64 row, int number)
{
	bool		isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &isnull);
}

static char *
text_column(uint64 row, int number)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number);
}

static List *
read_known(void)
{
	List	   *all = NIL;

	if (!aggwin_pipelines_exist())
		return NIL;
	aggwin_spi_run("SELECT p.pipeline_id, p.output::oid, p.source,"
				   " NOT EXISTS (SELECT FROM aggwin.window AS w WHERE w.output = p.output), p.metric, p.promql, p.labels,"
				   " (extract(epoch FROM p.grace) * 1000)::bigint, (extract(epoch FROM p.retention) * 1000)::bigint,"
				   " p.max_series, p.result_limit, p.paused, p.place FROM aggwin.pipeline AS p ORDER BY p.source, p.place",
				   SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Known	   *known = palloc0(sizeof(Known));
		PlanItem   *item = &known->item;

		item->pipeline_id = DatumGetInt32(column(i, 1));
		item->output = DatumGetObjectId(column(i, 2));
		known->source = text_column(i, 3);
		known->broken = DatumGetBool(column(i, 4));
		item->output = known->broken ? InvalidOid : item->output;
		item->spec.metric = text_column(i, 5);
		item->spec.promql = text_column(i, 6);
		aggwin_read_rule(item->spec.promql, &item->spec.rule);
		item->spec.labels = column(i, 7);
		item->spec.grace = DatumGetInt64(column(i, 8));
		item->spec.retention = DatumGetInt64(column(i, 9));
		item->spec.max_series = DatumGetInt32(column(i, 10));
		item->spec.result_limit = DatumGetInt32(column(i, 11));
		item->spec.paused = DatumGetBool(column(i, 12));
		item->spec.place = DatumGetInt32(column(i, 13));
		all = lappend(all, known);
	}
	return all;
}

static Known *
find_known(List *all, const char *metric)
{
	ListCell   *lc;

	foreach(lc, all)
	{
		Known	   *known = lfirst(lc);

		if (strcmp(known->item.spec.metric, metric) == 0)
			return known;
	}
	return NULL;
}

/* Comparing ----------------------------------------------------------------*/

static void
add_difference(PlanItem *item, const char *what, bool rebuild)
{
	item->reason = item->reason ? psprintf("%s, %s", item->reason, what) : pstrdup(what);
	item->rebuild |= rebuild;
	item->action = PLAN_CHANGE;
}

static char *
duration(int64 milliseconds)
{
	StringInfoData s;

	initStringInfo(&s);
	if (milliseconds == 0)
		return pstrdup("0s");
	aggwin_promql_write_duration(&s, milliseconds);
	return s.data;
}

static PlanItem *
compare(const Known *known, PipelineSpec *new)
{
	const PlanItem *old = &known->item;
	PlanItem   *item = palloc(sizeof(PlanItem));

	*item = *old;
	item->spec = *new;
	item->action = PLAN_KEEP;
	if (known->broken)
		add_difference(item, "its window output was dropped", true);
	if (strcmp(old->spec.promql, new->promql) != 0)
		add_difference(item, psprintf("promql was %s", old->spec.promql), true);
	if (compareJsonbContainers(&DatumGetJsonbP(old->spec.labels)->root, &DatumGetJsonbP(new->labels)->root) != 0)
		add_difference(item, psprintf("labels were %s", JsonbToCString(NULL, &DatumGetJsonbP(old->spec.labels)->root, 0)), true);
	if (old->spec.max_series != new->max_series)
		add_difference(item, psprintf("max_series was %d", old->spec.max_series),
					   new->max_series < old->spec.max_series);
	if (old->spec.grace != new->grace)
		add_difference(item, psprintf("grace was %s", duration(old->spec.grace)), false);
	if (old->spec.retention != new->retention)
		add_difference(item, psprintf("retention was %s", duration(old->spec.retention)), false);
	if (old->spec.result_limit != new->result_limit)
		add_difference(item, psprintf("limit was %d", old->spec.result_limit), false);
	if (old->spec.paused != new->paused)
		add_difference(item, old->spec.paused ? "it was paused" : "it was not paused", false);
	return item;
}

/* Refusals -----------------------------------------------------------------*/

/* A metric of that name that no pipeline has made would be mixed with results. */
static void
check_new_name(const char *metric)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(metric)};
	bool		isnull;

	aggwin_spi_run_args("SELECT EXISTS (SELECT FROM aggwin.metric AS m WHERE m.metric = $1 AND NOT m.derived)"
						" AND EXISTS (SELECT FROM aggwin.series AS s WHERE s.metric = $1)", SPI_OK_SELECT, 1, types, values, NULL);
	if (DatumGetBool(aggwin_spi_value(1, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("metric \"%s\" is there already, and is not of a pipeline", metric),
				 errdetail("Results would be mixed with samples that are ingested."),
				 errhint("Choose another name for as.")));
}

/* Does a pipeline read results of this name? Selectors without a name never do (mapping.c). */
static bool
reads(const PipelineSpec *spec, const char *metric)
{
	const char *read = spec->rule.selector.metric;

	return read != NULL && strcmp(read, metric) == 0;
}

/* A walk along what pipelines read, from results to what they come from. */
typedef struct Walk
{
	List	   *specs;
	char	   *done;			/* of each: has all that it reads been followed? */
	List	   *path;			/* PipelineSpec * */
} Walk;

static void
refuse_circle(const Walk *walk, PipelineSpec *again)
{
	StringInfoData s;
	bool		within = false;
	ListCell   *lc;

	initStringInfo(&s);
	foreach(lc, walk->path)
	{
		PipelineSpec *spec = lfirst(lc);

		within |= spec == again;
		if (within)
			appendStringInfo(&s, "%s reads ", spec->metric);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_RECURSION),
			 errmsg("pipeline \"%s\" would read its own results", again->metric),
			 errdetail("%s%s.", s.data, again->metric),
			 errhint("Select the metrics that it is to read by name.")));
}

static void
follow(Walk *walk, int number)
{
	PipelineSpec *spec = list_nth(walk->specs, number);
	ListCell   *lc;

	check_stack_depth();
	walk->path = lappend(walk->path, spec);
	foreach(lc, walk->specs)
	{
		PipelineSpec *read = lfirst(lc);

		if (walk->done[foreach_current_index(lc)] || !reads(spec, read->metric))
			continue;
		if (list_member_ptr(walk->path, read))
			refuse_circle(walk, read);
		follow(walk, foreach_current_index(lc));
	}
	walk->path = list_delete_last(walk->path);
	walk->done[number] = true;
}

static void
check_circles(List *specs)
{
	Walk		walk = {.specs = specs, .done = palloc0(list_length(specs) + 1)};

	for (int i = 0; i < list_length(specs); i++)
	{
		if (!walk.done[i])
			follow(&walk, i);
	}
}

/* Planning -----------------------------------------------------------------*/

/*
 * What the rules ask for: PlanItem *, in the order of the rules, what is removed at the
 * end. Run as the caller for whom this is checked, connected to SPI as the tables' owner.
 */
List *
aggwin_make_plan(const MetricTables *tables, text *rules, const char *source, bool prune)
{
	List	   *specs = read_rules(rules, source);
	List	   *all = read_known();
	List	   *plan = NIL;
	List	   *after = NIL;
	ListCell   *lc;

	foreach(lc, specs)
	{
		PipelineSpec *spec = lfirst(lc);
		Known	   *known = find_known(all, spec->metric);
		PlanItem   *item;

		if (known != NULL && strcmp(known->source, source) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("pipeline \"%s\" is in source \"%s\"", spec->metric, known->source),
					 errhint("Choose another name for as, or apply it with that source.")));
		if (known != NULL)
		{
			known->wanted = true;
			item = compare(known, spec);
		}
		else
		{
			check_new_name(spec->metric);
			item = palloc0(sizeof(PlanItem));
			item->action = PLAN_CREATE;
			item->spec = *spec;
		}
		plan = lappend(plan, item);
		after = lappend(after, &item->spec);
	}
	foreach(lc, all)
	{
		Known	   *known = lfirst(lc);

		if (known->wanted)
			continue;
		if (prune && strcmp(known->source, source) == 0)
		{
			known->item.action = PLAN_REMOVE;
			known->item.reason = pstrdup("it is not in the rules any more");
			plan = lappend(plan, &known->item);
		}
		else
			after = lappend(after, &known->item.spec);
	}
	check_circles(after);
	return plan;
}
