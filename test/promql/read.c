/*
 * read.c - what the language's functions make of texts
 *
 *		read regex|selector|expr <texts
 *
 * A text is a line, in which ␤ stands for a line feed. Its outcome is a line, too:
 * what was read or where and why it was refused. A matcher that also takes series
 * without the label has a question mark. Of an expression, what it computes comes
 * last, if that is put otherwise.
 */
#include "promql/base.h"

#include "promql/parse.h"
#include "promql/print.h"
#include "promql/regex.h"

static void
print_outcome(char *text)
{
	for (; *text != '\0'; text++)
	{
		if (*text == '\n')
			fputs("␤", stdout);
		else
			putchar(*text);
	}
	putchar('\n');
}

static char *
show_selector(const PromSelector *selector)
{
	static const char *const operators[] = {"=", "!=", "=~", "!~"};
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "%s", selector->metric ? selector->metric : "(any)");
	for (int i = 0; i < selector->matcher_count; i++)
	{
		const PromMatcher *matcher = &selector->matchers[i];

		appendStringInfo(&out, " %s%s %s <%s>", matcher->label, matcher->takes_empty ? "?" : "",
						 operators[matcher->match], matcher->value);
		if (matcher->regex != NULL)
			appendStringInfo(&out, " ~ %s", matcher->regex);
	}
	return out.data;
}

/* What was printed has to be read as what it is. */
static void
insist(const char *first, const char *second)
{
	if (strcmp(first, second) == 0)
		return;
	fprintf(stderr, "printed and read again:\n%s\n%s\n", first, second);
	exit(1);
}

static char *
reprint(const char *text, PromRule *rule)
{
	PromExpr   *expr;
	PromError	error;

	if (aggwin_promql_parse(text, &expr, &error) &&
		(rule == NULL || aggwin_promql_check(expr, rule, &error)))
		return rule == NULL ? aggwin_promql_print(expr) : aggwin_promql_print_rule(rule);
	return error.message;
}

static bool
show_expr(const char *text, char **outcome, PromError *error)
{
	PromExpr   *expr;
	PromRule	rule;
	char	   *printed;

	if (!aggwin_promql_parse(text, &expr, error))
		return false;
	*outcome = aggwin_promql_print(expr);
	insist(*outcome, reprint(*outcome, NULL));
	if (!aggwin_promql_check(expr, &rule, error))
		return false;
	printed = aggwin_promql_print_rule(&rule);
	insist(printed, reprint(printed, &rule));
	if (strcmp(*outcome, printed) != 0)
		*outcome = psprintf("%s => %s", *outcome, printed);
	return true;
}

static bool
read_text(const char *what, const char *text, char **outcome, PromError *error)
{
	PromSelector selector;

	if (strcmp(what, "regex") == 0)
		return aggwin_promql_regex(text, outcome, error);
	if (strcmp(what, "expr") == 0)
		return show_expr(text, outcome, error);
	if (!aggwin_promql_selector(text, &selector, error))
		return false;
	*outcome = show_selector(&selector);
	if (strcmp(text, "") != 0)
	{
		char	   *printed = aggwin_promql_print_selector(&selector);

		insist(*outcome, aggwin_promql_selector(printed, &selector, error) ? show_selector(&selector) : error->message);
	}
	return true;
}

/* The line without its end, and with line feeds for what stands for them. */
static void
prepare_line(char *line)
{
	char	   *to = line;

	line[strcspn(line, "\n")] = '\0';
	for (char *from = line; *from != '\0';)
	{
		if (strncmp(from, "␤", 3) == 0)
		{
			*to++ = '\n';
			from += 3;
		}
		else
			*to++ = *from++;
	}
	*to = '\0';
}

int
main(int argc, char **argv)
{
	static char line[1024 * 1024];

	if (argc != 2)
	{
		fprintf(stderr, "usage: read regex|selector|expr <texts\n");
		return 2;
	}
	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		PromError	error;
		char	   *outcome;

		prepare_line(line);
		if (!read_text(argv[1], line, &outcome, &error))
			outcome = psprintf("%d:%d: %s%s%s", error.line, error.column, error.message,
							   error.hint ? " | " : "", error.hint ? error.hint : "");
		print_outcome(outcome);
	}
	return 0;
}
