/*
 * rules_check.c - pipelines beside each other
 *
 * Each result has a name of its own, and no pipeline feeds itself, be it through
 * others. A selector that names its metric selects results of pipelines, too; one
 * that does not, by matchers only, selects what was ingested. So a circle shows in
 * the names, and no expression that matches many names makes one by chance.
 */
#include "promql/base.h"

#include "pipeline/rules.h"

/* Bytes of names that a message about a circle shows. */
#define MAX_CIRCLE 200

/* A result, or what is read: one of a pipeline's parts. */
typedef struct Part
{
	char	   *as;
	char	   *metric;			/* that it is computed from; NULL if it is not named */
	int			pipeline;
	int			part;
	int			feeder;			/* the part that writes the metric; -1 if none does */
	int			visit;			/* the walk that came here first; 0 if none did */
} Part;

static int
compare_parts(const void *a, const void *b)
{
	const Part *x = a;
	const Part *y = b;
	int			order = strcmp(x->as, y->as);

	if (order != 0)
		return order;
	return x->pipeline != y->pipeline ? x->pipeline - y->pipeline : x->part - y->part;
}

/* Where the result of a name is in the list, which is in their order; -1 if there is none. */
static int
find_part(const Part *parts, int count, const char *as)
{
	int			low = 0;
	int			high = count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (strcmp(parts[middle].as, as) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && strcmp(parts[low].as, as) == 0 ? low : -1;
}

static Part *
list_parts(const PipelineRules *rules, int *count)
{
	Part	   *parts = palloc(Max(rules->pipeline_count, 1) * 3 * sizeof(Part));

	*count = 0;
	for (int i = 0; i < rules->pipeline_count; i++)
	{
		for (int part = 0; part < aggwin_pipeline_parts(&rules->pipelines[i]); part++)
		{
			Part	   *added = &parts[(*count)++];
			PromRule	rule;

			memset(added, 0, sizeof(*added));
			aggwin_pipeline_part(&rules->pipelines[i], part, &added->as, &rule);
			added->metric = rule.selector.metric;
			added->pipeline = i;
			added->part = part;
		}
	}
	qsort(parts, *count, sizeof(Part), compare_parts);
	for (int i = 0; i < *count; i++)
		parts[i].feeder = parts[i].metric == NULL ? -1 : find_part(parts, *count, parts[i].metric);
	return parts;
}

static void
check_names(PipelineRules *rules, const Part *parts, int count)
{
	for (int i = 1, first = 0; i < count; i++)
	{
		const Pipeline *pipeline = &rules->pipelines[parts[i].pipeline];
		const Pipeline *other;
		PromError	error = {0};

		if (strcmp(parts[first].as, parts[i].as) != 0)
		{
			first = i;
			continue;
		}
		other = &rules->pipelines[parts[first].pipeline];
		(void) aggwin_promql_fail(&error, pipeline->as_place,
								  psprintf("The other one is at %s:%d:%d.", other->file,
										   other->as_place.line, other->as_place.column),
								  "two pipelines write \"%s\"", parts[i].as);
		(void) aggwin_rules_note(rules, pipeline->file, &error);
	}
}

/* Is it told of this place already? A histogram's three results may go three ways round. */
static bool
is_told(const PipelineRules *rules, const Pipeline *pipeline)
{
	for (int i = 0; i < rules->finding_count; i++)
	{
		const RulesFinding *finding = &rules->findings[i];

		if (finding->file == pipeline->file && finding->error.line == pipeline->promql_place.line &&
			finding->error.column == pipeline->promql_place.column)
			return true;
	}
	return false;
}

/* Tell a circle that goes through this part, beginning with the first of its pipelines. */
static void
note_circle(PipelineRules *rules, const Part *parts, int through)
{
	StringInfoData names;
	PromError	error = {0};
	const Pipeline *pipeline;
	int			start = through;
	int			at = through;

	while ((at = parts[at].feeder) != through)
	{
		if (parts[at].pipeline < parts[start].pipeline)
			start = at;
	}
	pipeline = &rules->pipelines[parts[start].pipeline];
	if (is_told(rules, pipeline))
		return;
	/* Feeders are found against the flow. */
	initStringInfo(&names);
	appendStringInfoString(&names, parts[start].as);
	at = start;
	do
	{
		at = parts[at].feeder;
		appendStringInfo(&names, " <- %s", parts[at].as);
	} while (at != start && names.len < MAX_CIRCLE);
	(void) aggwin_promql_fail(&error, pipeline->promql_place,
							  "Compute one of them from something else.",
							  at != start ? "pipelines feed each other in a circle: %s ..." :
							  "pipelines feed each other in a circle: %s", names.data);
	(void) aggwin_rules_note(rules, pipeline->file, &error);
}

/* Each part has one feeder at most, so every walk ends at a source or in a circle. */
static void
check_circles(PipelineRules *rules, Part *parts, int count)
{
	for (int i = 0; i < count; i++)
	{
		int			at = i;

		while (at >= 0 && parts[at].visit == 0)
		{
			parts[at].visit = i + 1;
			at = parts[at].feeder;
		}
		if (at >= 0 && parts[at].visit == i + 1)
			note_circle(rules, parts, at);
	}
}

static int
compare_findings(const void *a, const void *b)
{
	const RulesFinding *x = a;
	const RulesFinding *y = b;
	int			order = strcmp(x->file, y->file);

	if (order != 0)
		return order;
	if (x->error.line != y->error.line)
		return x->error.line < y->error.line ? -1 : 1;
	if (x->error.column != y->error.column)
		return x->error.column < y->error.column ? -1 : 1;
	return strcmp(x->error.message, y->error.message);
}

/*
 * What can be said of all files together only. Returns whether they are without
 * faults; the findings are then in the order of files and places.
 */
bool
aggwin_rules_check(PipelineRules *rules)
{
	int			count;
	Part	   *parts = list_parts(rules, &count);

	check_names(rules, parts, count);
	check_circles(rules, parts, count);
	if (rules->finding_count > 0)
		qsort(rules->findings, rules->finding_count, sizeof(RulesFinding), compare_findings);
	return rules->finding_count == 0;
}
