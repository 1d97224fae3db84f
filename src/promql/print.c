/*
 * print.c - back to text
 *
 * In one form for each tree: by and without before the parentheses, strings in
 * double quotes, keywords in lower case, units as large as they can be. What is
 * read from it is the same tree again.
 */
#include "promql/base.h"

#include "promql/print.h"

#include "common/shortest_dec.h"
#include "promql/functions.h"
#include "promql/reader.h"

static void
write_string(StringInfo out, const char *string)
{
	static const char controls[] = "a\ab\bf\fn\nr\rt\tv\v\\\\\"\"";

	appendStringInfoChar(out, '"');
	for (const char *c = string; *c != '\0'; c++)
	{
		const char *control = controls + 1;

		while (*control != *c && control[1] != '\0')
			control += 2;
		if (*control == *c)
			appendStringInfo(out, "\\%c", control[-1]);
		else if ((unsigned char) *c < ' ' || *c == 0x7F)
			appendStringInfo(out, "\\x%02x", *c);
		else
			appendStringInfoChar(out, *c);
	}
	appendStringInfoChar(out, '"');
}

static void
write_number(StringInfo out, double number)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(number, text);
	appendStringInfoString(out, text);
}

static void
write_selector(StringInfo out, const PromSelector *selector)
{
	static const char *const operators[] = {"=", "!=", "=~", "!~"};
	bool		named = selector->metric == NULL || aggwin_promql_is_metric(selector->metric);
	const char *separator = "";

	if (selector->metric != NULL && named)
		appendStringInfoString(out, selector->metric);
	if (selector->metric != NULL && named && selector->matcher_count == 0)
		return;
	appendStringInfoChar(out, '{');
	if (!named)
	{
		appendStringInfoString(out, "__name__=");
		write_string(out, selector->metric);
		separator = ",";
	}
	for (int i = 0; i < selector->matcher_count; i++)
	{
		const PromMatcher *matcher = &selector->matchers[i];

		appendStringInfo(out, "%s%s%s", separator, matcher->label, operators[matcher->match]);
		write_string(out, matcher->value);
		separator = ",";
	}
	appendStringInfoChar(out, '}');
}

static void
write_samples(StringInfo out, const PromSelector *selector, int64 range)
{
	write_selector(out, selector);
	if (range > 0)
	{
		appendStringInfoChar(out, '[');
		aggwin_promql_write_duration(out, range);
		appendStringInfoChar(out, ']');
	}
}

/* " by (a, b) ", or nothing */
static void
write_grouping(StringInfo out, const PromGrouping *grouping)
{
	if (grouping->kind == PROM_UNGROUPED)
		return;
	appendStringInfoString(out, grouping->kind == PROM_BY ? " by (" : " without (");
	for (int i = 0; i < grouping->label_count; i++)
		appendStringInfo(out, "%s%s", i > 0 ? ", " : "", grouping->labels[i]);
	appendStringInfoString(out, ") ");
}

static void
write_expr(StringInfo out, const PromExpr *expr)
{
	const PromFunctionEntry *function;

	switch (expr->kind)
	{
		case PROM_NUMBER:
			write_number(out, expr->number);
			break;
		case PROM_STRING:
			write_string(out, expr->text);
			break;
		case PROM_SELECT:
			write_samples(out, &expr->selector, expr->range);
			break;
		case PROM_CALL:
			function = aggwin_promql_function(expr->text);
			appendStringInfoString(out, function != NULL ? function->name : expr->text);
			write_grouping(out, &expr->grouping);
			appendStringInfoChar(out, '(');
			for (int i = 0; i < expr->argument_count; i++)
			{
				if (i > 0)
					appendStringInfoString(out, ", ");
				write_expr(out, expr->arguments[i]);
			}
			appendStringInfoChar(out, ')');
	}
}

/* Depth is bounded by the reader's: AGGWIN_PROMQL_MAX_DEPTH. */
char *
aggwin_promql_print(const PromExpr *expr)
{
	StringInfoData out;

	initStringInfo(&out);
	write_expr(&out, expr);
	return out.data;
}

char *
aggwin_promql_print_selector(const PromSelector *selector)
{
	StringInfoData out;

	initStringInfo(&out);
	write_selector(&out, selector);
	return out.data;
}

/*
 * What a rule computes, as an expression. Two that compute the same by rule.h have
 * the same text, but for the order of matchers.
 */
char *
aggwin_promql_print_rule(const PromRule *rule)
{
	StringInfoData out;
	int			open = 0;

	initStringInfo(&out);
	if (rule->top > 0)
	{
		appendStringInfoString(&out, "topk");
		write_grouping(&out, &rule->top_grouping);
		appendStringInfo(&out, "(%d, ", rule->top);
		open++;
	}
	if (rule->histogram)
	{
		appendStringInfoString(&out, "histogram_quantile(");
		write_number(&out, rule->histogram_fraction);
		appendStringInfoString(&out, ", ");
		open++;
	}
	if (rule->aggregation != PROM_NOT_AGGREGATED)
	{
		appendStringInfoString(&out, aggwin_promql_aggregation_name(rule->aggregation));
		write_grouping(&out, &rule->grouping);
		appendStringInfoChar(&out, '(');
		if (rule->aggregation == PROM_QUANTILE)
		{
			write_number(&out, rule->fraction);
			appendStringInfoString(&out, ", ");
		}
		open++;
	}
	if (rule->function != PROM_SAMPLES)
	{
		appendStringInfo(&out, "%s(", aggwin_promql_function_name(rule->function));
		if (rule->function == PROM_QUANTILE_OVER_TIME)
		{
			write_number(&out, rule->function_fraction);
			appendStringInfoString(&out, ", ");
		}
		open++;
	}
	write_samples(&out, &rule->selector, rule->range);
	for (; open > 0; open--)
		appendStringInfoChar(&out, ')');
	return out.data;
}
