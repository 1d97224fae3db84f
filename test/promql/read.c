/*
 * read.c - what the language's functions make of texts
 *
 *		read regex|selector <texts
 *
 * A text is a line, in which ␤ stands for a line feed. Its outcome is a line, too:
 * what was read, in canonical form, or where and why it was refused.
 */
#include "promql/base.h"

#include "promql/parse.h"
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

		appendStringInfo(&out, " %s %s <%s>", matcher->label, operators[matcher->match], matcher->value);
		if (matcher->regex != NULL)
			appendStringInfo(&out, " ~ %s", matcher->regex);
	}
	return out.data;
}

static bool
read_text(const char *what, const char *text, char **outcome, PromError *error)
{
	PromSelector selector;

	if (strcmp(what, "regex") == 0)
		return aggwin_promql_regex(text, outcome, error);
	if (!aggwin_promql_selector(text, &selector, error))
		return false;
	*outcome = show_selector(&selector);
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
		fprintf(stderr, "usage: read regex|selector <texts\n");
		return 2;
	}
	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		PromError	error = {0};
		char	   *outcome;

		prepare_line(line);
		if (!read_text(argv[1], line, &outcome, &error))
			outcome = psprintf("%d:%d: %s%s%s", error.line, error.column, error.message,
							   error.hint ? " | " : "", error.hint ? error.hint : "");
		print_outcome(outcome);
	}
	return 0;
}
