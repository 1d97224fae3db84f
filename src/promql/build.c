/*
 * build.c - putting together what the grammar reads
 */
#include "promql/base.h"

#include "promql/reader.h"

#include "promql/regex.h"

#define NAME_LABEL "__name__"

/* Labels have no colons. */
static bool
check_label(PromReader *reader, PromToken label)
{
	if (memchr(label.start, ':', label.length) != NULL)
		return aggwin_promql_fail(reader->error, label.place,
								  "Names of labels consist of letters, digits and underscores; colons are for metrics.",
								  "invalid name of a label: \"%s\"",
								  aggwin_promql_shown(label.start, label.length));
	return true;
}

/*
 * The place in a string that a character of its value came from; where the value
 * has escapes or line feeds before it, of the string's beginning.
 */
static PromPlace
place_in_string(PromToken token, const char *value, int column)
{
	PromPlace	place = token.place;

	if (strlen(value) == token.length - 2 && memchr(token.start, '\n', token.length) == NULL)
		place.column += column;
	return place;
}

/* What a matcher of regular expressions needs. */
static bool
translate(PromReader *reader, PromMatcher *matcher, PromToken value)
{
	PromError	error;

	if (aggwin_promql_translate(matcher->value, &matcher->regex, &matcher->takes_empty, &error))
	{
		if (matcher->match == PROM_NOT_MATCH)
			matcher->takes_empty = !matcher->takes_empty;
		return true;
	}
	return aggwin_promql_fail(reader->error,
							  error.line == 1 ? place_in_string(value, matcher->value, error.column) : value.place,
							  error.hint, "%s", error.message);
}

bool
aggwin_promql_add_matcher(PromReader *reader, PromSelector *selector, PromToken label,
						  PromMatch match, PromToken value)
{
	PromMatcher *matcher;

	/* Grows at every power of two. */
	if ((selector->matcher_count & (selector->matcher_count - 1)) == 0)
	{
		Size		size = Max(2 * selector->matcher_count, 1) * sizeof(PromMatcher);

		selector->matchers = selector->matchers == NULL ? palloc(size) : repalloc(selector->matchers, size);
	}
	matcher = &selector->matchers[selector->matcher_count];
	memset(matcher, 0, sizeof(*matcher));
	if (!check_label(reader, label) ||
		!aggwin_promql_string(value, &matcher->value, reader->error))
		return false;
	matcher->match = match;
	matcher->label = pnstrdup(label.start, label.length);
	matcher->place = label.place;
	matcher->takes_empty = (matcher->value[0] == '\0') == (match == PROM_EQUAL);
	if ((match == PROM_MATCH || match == PROM_NOT_MATCH) && !translate(reader, matcher, value))
		return false;
	selector->matcher_count++;
	return true;
}

/* Braces with a name before them. */
bool
aggwin_promql_name_selector(PromReader *reader, PromSelector *selector, PromToken name)
{
	selector->place = name.place;
	selector->metric = pnstrdup(name.start, name.length);
	for (int i = 0; i < selector->matcher_count; i++)
	{
		if (strcmp(selector->matchers[i].label, NAME_LABEL) == 0)
			return aggwin_promql_fail(reader->error, selector->matchers[i].place,
									  "Leave out the name before the braces, or this matcher.",
									  "the metric is named twice: \"%s\" and \"%s\"",
									  selector->metric,
									  aggwin_promql_shown(selector->matchers[i].value,
														  strlen(selector->matchers[i].value)));
	}
	return true;
}

/*
 * Braces without a name before them: where __name__ is matched once, and by what
 * is a name, this is the metric's name.
 */
bool
aggwin_promql_finish_selector(PromReader *reader, PromSelector *selector)
{
	int			found = -1;

	for (int i = 0; i < selector->matcher_count; i++)
	{
		if (strcmp(selector->matchers[i].label, NAME_LABEL) != 0)
			continue;
		if (found >= 0)
			return true;
		found = i;
	}
	if (found < 0 || selector->matchers[found].match != PROM_EQUAL ||
		!aggwin_promql_is_metric(selector->matchers[found].value))
		return true;
	selector->metric = selector->matchers[found].value;
	selector->matcher_count--;
	memmove(&selector->matchers[found], &selector->matchers[found + 1],
			(selector->matcher_count - found) * sizeof(PromMatcher));
	return true;
}

/* Labels of by and without are kept in order; one that is named again adds nothing. */
bool
aggwin_promql_add_label(PromReader *reader, PromGrouping *grouping, PromToken label)
{
	char	   *name = pnstrdup(label.start, label.length);
	int			at = 0;

	if (!check_label(reader, label))
		return false;
	while (at < grouping->label_count && strcmp(grouping->labels[at], name) < 0)
		at++;
	if (at < grouping->label_count && strcmp(grouping->labels[at], name) == 0)
		return true;
	if (grouping->label_count == AGGWIN_PROMQL_MAX_LABELS)
		return aggwin_promql_fail(reader->error, label.place, NULL, "more than %d labels",
								  AGGWIN_PROMQL_MAX_LABELS);
	if (grouping->labels == NULL)
		grouping->labels = palloc(AGGWIN_PROMQL_MAX_LABELS * sizeof(char *));
	memmove(&grouping->labels[at + 1], &grouping->labels[at],
			(grouping->label_count++ - at) * sizeof(char *));
	grouping->labels[at] = name;
	return true;
}

PromExpr *
aggwin_promql_expr(PromExprKind kind, PromPlace place)
{
	PromExpr   *expr = palloc0(sizeof(PromExpr));

	expr->kind = kind;
	expr->place = place;
	return expr;
}

void
aggwin_promql_add_argument(PromExpr *call, PromExpr *argument)
{
	if ((call->argument_count & (call->argument_count - 1)) == 0)
	{
		Size		size = Max(2 * call->argument_count, 1) * sizeof(PromExpr *);

		call->arguments = call->arguments == NULL ? palloc(size) : repalloc(call->arguments, size);
	}
	call->arguments[call->argument_count++] = argument;
}
