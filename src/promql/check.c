/*
 * check.c - is an expression one that a pipeline can compute?
 *
 * From the outside in, and each step at most once:
 *
 *		topk(3, histogram_quantile(0.9, sum by (le, a) (increase(m[5m]))))
 *		^top    ^histogram              ^aggregation    ^function
 *
 * What stands inside is given to the next step that it can be.
 */
#include "promql/base.h"

#include "promql/rule.h"

#include <math.h>

#include "promql/functions.h"

static const char own_pipeline[] = "Make the inner one a pipeline of its own, and use its result here.";

static bool check_aggregation(const PromExpr *expr, PromRule *rule, PromError *error);
static bool check_histogram(const PromExpr *expr, PromRule *rule, PromError *error);

/* The function that a call calls; NULL if the expression is none, or calls nothing known. */
static const PromFunctionEntry *
called(const PromExpr *expr)
{
	return expr->kind == PROM_CALL ? aggwin_promql_function(expr->text) : NULL;
}

/* What nothing can be made of here. */
static bool
refuse(const PromExpr *expr, PromError *error)
{
	const PromFunctionEntry *function = called(expr);

	switch (expr->kind)
	{
		case PROM_NUMBER:
			return aggwin_promql_fail(error, expr->place, NULL, "a number stands where samples are expected");
		case PROM_STRING:
			return aggwin_promql_fail(error, expr->place, NULL, "a string stands where samples are expected");
		case PROM_SELECT:
			return aggwin_promql_fail(error, expr->place,
									  expr->range == 0 ?
									  "Write the window's width, and what becomes of its samples: sum by (label) (metric[1m])." :
									  "Write what becomes of the window's samples: sum by (label) (metric[1m]).",
									  "nothing is computed");
		case PROM_CALL:
			break;
	}
	if (function == NULL)
	{
		char	   *lower = pstrdup(expr->text);

		for (char *c = lower; *c != '\0'; c++)
			*c = pg_ascii_tolower((unsigned char) *c);
		return aggwin_promql_fail(error, expr->place,
								  aggwin_promql_function(lower) != NULL ? psprintf("Write %s.", lower) : NULL,
								  "there is no function \"%s\"",
								  aggwin_promql_shown(expr->text, strlen(expr->text)));
	}
	if (function->role == PROM_ROLE_REFUSED)
		return aggwin_promql_fail(error, expr->place, function->hint,
								  "function \"%s\" is not supported", function->name);
	return aggwin_promql_fail(error, expr->place, own_pipeline,
							  "\"%s\" cannot stand inside of this", function->name);
}

/* As many arguments as the function takes; the last one is what it works on. */
static bool
check_arguments(const PromExpr *expr, const PromFunctionEntry *function, PromError *error)
{
	int			wanted = function->parameter ? 2 : 1;

	if (expr->argument_count != wanted)
		return aggwin_promql_fail(error, expr->place, NULL,
								  wanted == 1 ? "\"%s\" takes one argument, not %d" : "\"%s\" takes two arguments, not %d",
								  function->name, expr->argument_count);
	if (function->parameter && expr->arguments[0]->kind != PROM_NUMBER)
		return aggwin_promql_fail(error, expr->arguments[0]->place, NULL,
								  "the first argument of \"%s\" has to be a number", function->name);
	return true;
}

static bool
check_fraction(const PromExpr *expr, double *fraction, PromError *error)
{
	const PromExpr *number = expr->arguments[0];

	if (number->number < 0 || number->number > 1)
		return aggwin_promql_fail(error, number->place, "Write 0.95, not 95.",
								  "a fraction has to be between 0 and 1");
	/* Minus zero is zero. */
	*fraction = fabs(number->number);
	return true;
}

/* Which samples: a selector with a range. */
static bool
check_samples(const PromExpr *expr, PromRule *rule, PromError *error)
{
	bool		selects = expr->selector.metric != NULL;

	if (expr->kind != PROM_SELECT)
		return refuse(expr, error);
	for (int i = 0; i < expr->selector.matcher_count; i++)
		selects = selects || !expr->selector.matchers[i].takes_empty;
	if (!selects)
		return aggwin_promql_fail(error, expr->place, "Name the metric, or match a label by something that is not empty.",
								  "the selector selects everything");
	if (expr->range == 0)
		return aggwin_promql_fail(error, expr->place, "Write the window's width behind the selector: metric[1m].",
								  "the selector has no range");
	rule->selector = expr->selector;
	rule->range = expr->range;
	return true;
}

/* What becomes of each series. */
static bool
check_function(const PromExpr *expr, PromRule *rule, PromError *error)
{
	const PromFunctionEntry *function = called(expr);

	if (function == NULL || function->role != PROM_ROLE_SERIES)
		return refuse(expr, error);
	if (expr->grouping.kind != PROM_UNGROUPED)
		return aggwin_promql_fail(error, expr->grouping.place,
								  psprintf("Group around it: sum by (label) (%s(...)).", function->name),
								  "\"%s\" works on each series, so it cannot be grouped", function->name);
	if (!check_arguments(expr, function, error))
		return false;
	rule->function = function->what;
	if (function->parameter && !check_fraction(expr, &rule->function_fraction, error))
		return false;
	return check_samples(expr->arguments[expr->argument_count - 1], rule, error);
}

/* Results have a name of their own. */
static bool
check_grouping(const PromGrouping *grouping, PromError *error)
{
	for (int i = 0; i < grouping->label_count; i++)
	{
		if (strcmp(grouping->labels[i], "__name__") == 0)
			return aggwin_promql_fail(error, grouping->place, "Leave it out: a result has the name that the pipeline gives it.",
									  "results cannot be grouped by the name of their metric");
	}
	return true;
}

/* An aggregation of samples themselves, put as one of what a function makes of them. */
static void
put_samples(PromRule *rule)
{
	switch (rule->aggregation)
	{
		case PROM_SUM:
			rule->function = PROM_SUM_OVER_TIME;
			break;
		case PROM_COUNT:
			rule->function = PROM_COUNT_OVER_TIME;
			rule->aggregation = PROM_SUM;
			break;
		case PROM_MIN:
			rule->function = PROM_MIN_OVER_TIME;
			break;
		case PROM_MAX:
			rule->function = PROM_MAX_OVER_TIME;
			break;
		default:
			rule->function = PROM_SAMPLES;
	}
}

/* increase by (a) (m[1m]) */
static bool
check_grouped_increase(const PromExpr *expr, PromRule *rule, PromError *error)
{
	PromExpr	call = *expr;

	rule->aggregation = PROM_SUM;
	rule->grouping = expr->grouping;
	call.grouping.kind = PROM_UNGROUPED;
	return check_grouping(&expr->grouping, error) && check_function(&call, rule, error);
}

/* What becomes of several series, or of each if they are not aggregated. */
static bool
check_aggregation(const PromExpr *expr, PromRule *rule, PromError *error)
{
	const PromFunctionEntry *function = called(expr);
	const PromExpr *inner;

	if (function != NULL && function->role == PROM_ROLE_SERIES &&
		function->what == PROM_INCREASE && expr->grouping.kind != PROM_UNGROUPED)
		return check_grouped_increase(expr, rule, error);
	if (function == NULL || function->role != PROM_ROLE_AGGREGATION)
		return check_function(expr, rule, error);
	if (!check_arguments(expr, function, error) || !check_grouping(&expr->grouping, error))
		return false;
	rule->aggregation = function->what;
	rule->grouping = expr->grouping;
	if (function->parameter && !check_fraction(expr, &rule->fraction, error))
		return false;

	inner = expr->arguments[expr->argument_count - 1];
	if (inner->kind == PROM_SELECT)
	{
		put_samples(rule);
		return check_samples(inner, rule, error);
	}
	if (rule->aggregation == PROM_SUM2)
		return aggwin_promql_fail(error, inner->place, "Write sum2 by (label) (metric[1m]).",
								  "\"sum2\" takes samples, so its argument has to be a selector");
	return check_function(inner, rule, error);
}

/* The buckets' label has to be there still. */
static bool
keeps_bound(const PromRule *rule)
{
	if (rule->aggregation == PROM_NOT_AGGREGATED)
		return true;
	for (int i = 0; i < rule->grouping.label_count; i++)
	{
		if (strcmp(rule->grouping.labels[i], "le") == 0)
			return rule->grouping.kind == PROM_BY;
	}
	return rule->grouping.kind == PROM_WITHOUT;
}

/* A running sum goes on from its own last results, so these have to be what is written. */
static bool
check_not_running(const PromRule *rule, const PromExpr *inner, const char *name, PromError *error)
{
	return rule->aggregation != PROM_SUM2 ||
		aggwin_promql_fail(error, inner->place, "Have one pipeline write \"sum2\", and another read its results.",
						   "\"%s\" does not take \"sum2\"", name);
}

static bool
check_histogram(const PromExpr *expr, PromRule *rule, PromError *error)
{
	const PromFunctionEntry *function = called(expr);
	const PromExpr *inner;

	if (function == NULL || function->role != PROM_ROLE_HISTOGRAM)
		return check_aggregation(expr, rule, error);
	if (expr->grouping.kind != PROM_UNGROUPED)
		return aggwin_promql_fail(error, expr->grouping.place,
								  "Group inside of it: histogram_quantile(0.9, sum by (le) (...)).",
								  "\"histogram_quantile\" cannot be grouped");
	rule->histogram = true;
	if (!check_arguments(expr, function, error) ||
		!check_fraction(expr, &rule->histogram_fraction, error))
		return false;
	inner = expr->arguments[1];
	if (!check_aggregation(inner, rule, error) ||
		!check_not_running(rule, inner, "histogram_quantile", error))
		return false;
	if (!keeps_bound(rule))
		return aggwin_promql_fail(error, inner->place, "Keep it: sum by (le) (...).",
								  "\"histogram_quantile\" needs the label \"le\" of its buckets");
	return true;
}

static bool
check_top(const PromExpr *expr, PromRule *rule, PromError *error)
{
	const PromFunctionEntry *function = called(expr);
	const PromExpr *inner;
	double		top;

	if (function == NULL || function->role != PROM_ROLE_TOP)
		return check_histogram(expr, rule, error);
	if (!check_arguments(expr, function, error) || !check_grouping(&expr->grouping, error))
		return false;
	top = expr->arguments[0]->number;
	if (top < 1 || top > AGGWIN_PROMQL_MAX_TOP || top != floor(top))
		return aggwin_promql_fail(error, expr->arguments[0]->place, NULL,
								  "the first argument of \"topk\" has to be a whole number from 1 to %d",
								  AGGWIN_PROMQL_MAX_TOP);
	rule->top = top;
	rule->top_grouping = expr->grouping;
	inner = expr->arguments[1];
	if (inner->kind == PROM_SELECT)
		return aggwin_promql_fail(error, inner->place, "Write topk(3, sum by (label) (metric[1m])), for example.",
								  "\"topk\" does not take samples themselves");
	return check_histogram(inner, rule, error) && check_not_running(rule, inner, "topk", error);
}

/*
 * Say what an expression computes. Returns false, and where and why, if it is
 * nothing that a pipeline can compute. The rule shares the expression's memory.
 */
bool
aggwin_promql_check(const PromExpr *expr, PromRule *rule, PromError *error)
{
	memset(error, 0, sizeof(*error));
	memset(rule, 0, sizeof(*rule));
	return check_top(expr, rule, error);
}
