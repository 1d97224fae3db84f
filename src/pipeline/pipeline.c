/*
 * pipeline.c - what the keys of a pipeline mean together
 */
#include "promql/base.h"

#include "pipeline/rules.h"

/* The metrics of a histogram, buckets first. */
static const char *const suffixes[] = {"_bucket", "_sum", "_count"};

static bool
ends_with(const char *text, const char *suffix)
{
	size_t		length = strlen(text);

	return length >= strlen(suffix) && strcmp(text + length - strlen(suffix), suffix) == 0;
}

static bool
has_label(const PromGrouping *grouping, const char *label)
{
	for (int i = 0; i < grouping->label_count; i++)
	{
		if (strcmp(grouping->labels[i], label) == 0)
			return true;
	}
	return false;
}

/* A grouping with one more label. */
static PromGrouping
with_label(const PromGrouping *grouping, const char *label)
{
	PromGrouping result = *grouping;
	int			at = 0;

	result.kind = PROM_BY;
	result.labels = palloc((grouping->label_count + 1) * sizeof(char *));
	for (int i = 0; i < grouping->label_count; i++)
	{
		if (strcmp(grouping->labels[i], label) < 0)
			at = i + 1;
		result.labels[i + (strcmp(grouping->labels[i], label) < 0 ? 0 : 1)] = grouping->labels[i];
	}
	result.labels[at] = pstrdup(label);
	result.label_count++;
	return result;
}

/* histogram: true. Each of the three has to be computed alone, and then fit. */
static bool
check_histogram(const Pipeline *pipeline, PromError *error)
{
	const PromRule *rule = &pipeline->rule;
	bool		adds_up = rule->aggregation == PROM_SUM2 ||
	(rule->aggregation == PROM_SUM &&
	 (rule->function == PROM_INCREASE || rule->function == PROM_RATE || rule->function == PROM_SUM_OVER_TIME));

	if (rule->selector.metric == NULL)
		return aggwin_promql_fail(error, pipeline->promql_place, "Name the metric before the braces.",
								  "a histogram's pipeline needs the name of its metric");
	for (int i = 0; i < lengthof(suffixes); i++)
	{
		if (ends_with(rule->selector.metric, suffixes[i]))
			return aggwin_promql_fail(error, pipeline->promql_place,
									  "Leave out the suffix; the three metrics are found by it.",
									  "with \"histogram\", the metric is named without \"%s\"", suffixes[i]);
		if (ends_with(pipeline->as, suffixes[i]))
			return aggwin_promql_fail(error, pipeline->as_place,
									  "Leave out the suffix; each of the three results gets its own.",
									  "with \"histogram\", the result is named without \"%s\"", suffixes[i]);
	}
	if (!adds_up || rule->histogram || rule->top > 0)
		return aggwin_promql_fail(error, pipeline->promql_place,
								  "Write sum2 by (label) (metric[1m]), or sum of samples, increase or rate.",
								  "with \"histogram\", metrics have to be added up");
	if (has_label(&rule->grouping, "le"))
		return aggwin_promql_fail(error, pipeline->promql_place,
								  "Leave it out; the buckets are grouped by it, sum and count have none.",
								  "with \"histogram\", label \"le\" is not written");
	return true;
}

/* Labels that are added must not meet those that results have. */
static bool
check_added(const Pipeline *pipeline, PromError *error)
{
	const PromRule *rule = &pipeline->rule;

	for (int i = 0; i < pipeline->label_count; i++)
	{
		const char *name = pipeline->labels[i].name;

		if ((rule->grouping.kind == PROM_BY && has_label(&rule->grouping, name)) ||
			(pipeline->histogram && strcmp(name, "le") == 0))
			return aggwin_promql_fail(error, pipeline->place, "Add it by another name, or do not group by it.",
									  "label \"%s\" is added, and the results have it already", name);
	}
	return true;
}

bool
aggwin_pipeline_check(const Pipeline *pipeline, PromError *error)
{
	if (pipeline->histogram && !check_histogram(pipeline, error))
		return false;
	if (pipeline->retention > 0 && pipeline->retention < pipeline->rule.range)
		return aggwin_promql_fail(error, pipeline->place, "Keep results for one window, at least.",
								  "retention is shorter than the window");
	return check_added(pipeline, error);
}

/* How many metrics a pipeline writes, each from one. */
int
aggwin_pipeline_parts(const Pipeline *pipeline)
{
	return pipeline->histogram ? lengthof(suffixes) : 1;
}

/*
 * One of them: its name and what it computes. Those of a histogram are, in this
 * order, the buckets, which are grouped by le as well, the sums and the counts.
 */
void
aggwin_pipeline_part(const Pipeline *pipeline, int part, char **as, PromRule *rule)
{
	*as = pipeline->as;
	*rule = pipeline->rule;
	if (!pipeline->histogram)
		return;
	*as = psprintf("%s%s", pipeline->as, suffixes[part]);
	rule->selector.metric = psprintf("%s%s", pipeline->rule.selector.metric, suffixes[part]);
	if (part == 0 && rule->grouping.kind != PROM_WITHOUT)
		rule->grouping = with_label(&pipeline->rule.grouping, "le");
}
