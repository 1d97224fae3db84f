/*
 * promql.c - damaged expressions, and files of pipelines, under sanitizers
 *
 *		promql CASES SEED
 *
 * Each text is a good one, or two of them one in the other, with some bytes
 * changed, lost, added or repeated, or cut off. It lies in a block of its own size,
 * so that the sanitizer sees a read beyond it. What is refused must be so with a
 * message and a place in the text; what is accepted must be the same again when it
 * is printed and read once more. Nothing may take long. Files are damaged likewise;
 * there it is enough that faults have messages and places.
 *
 * The parser frees nothing, as it works in a context that goes away. So the cases
 * are shared out to processes, which end before it matters.
 *
 * Ends with a status other than 0, a signal or a sanitizer's report when there was
 * something to find.
 */
#include "promql/base.h"

#include <sys/wait.h>
#include <unistd.h>

#include "mb/pg_wchar.h"
#include "pipeline/rules.h"
#include "promql/parse.h"
#include "promql/print.h"
#include "promql/regex.h"

/* Ways to damage a text */
#define WAYS 5

#define SECONDS 20				/* that a process may take */
#define SHARE 2000				/* its cases */
#define MAX_TEXT 8192

static const char *const texts[] = {
	"sum by (stack, le) (http_bucket{service=\"push\",code!~'5..|4\\\\d+'}[2m])",
	"topk by (a) (10, histogram_quantile(0.99, sum without (b) (rate(m_bucket[1h30m]))))",
	"quantile_over_time(5e-1, {__name__=~`a.*\\d`,x=\"\\u00e4\\x41\\101\\\"\",}[1y2w3d4h5m6s7ms]) # c",
	"increase by (a,) (sum:rate{b=\"\"}[1s])",
	"avg(m offset 5m) + -1 and on (a) group_left x[5m:1m] @ start() == bool 2",
	"m{a=~\"(?i:a|B)+?[^[:alpha:]\\\\d\\\\-z]{2,300}\\\\Qx.\\\\E(?P<n>(?m)^$)\\\\b\\\\x{e4}.*\"}",
	"sum2(m{a=~\"((a?){20}b{3}|[a-c]*){10}(.{0,255}){3}\"}[1m])",
};
static const char *const files[] = {
	"# c\n- promql: 'sum by (a) (m{x=~''(b''}[2m])'\n  as: a:2m\n- promql: \"sum(a:2m{b=\\\"c\\\"}[5m])\"\n  as: b\n",
	"- promql: |\n    sum2 by (a) (\n      m[1h])\n  as: d\n  histogram: true\n  labels: {t: a, u: \"b\"}\n  grace: 30s\n"
	"- as: n\n  promql: sum(d_sum[1h])\n  retention: 30d\n  max_series: 100\n  limit: 5\n  paused: false\n",
	"\xEF\xBB\xBF---\n- {promql: sum(m[1m]), as: &x y}\n- *x\n- ? [a, [b]]\n  : !!str >-\n   c\n...\n",
};
static const char bytes[] = "{}[]()\"'`=!~,:#@+-*/\\|?^$. \n\t\r0123456789abmsdhwyeExQEPnNiIuU_\xc3\xa4\xff\x01";

static char *
damaged(const char *const *originals, int count)
{
	static char text[MAX_TEXT + 1];
	const char *base = originals[rand() % count];
	int			size = strlen(base);
	char	   *result;

	memcpy(text, base, size);
	if (rand() % 4 == 0)
	{
		const char *other = originals[rand() % count];
		int			at = rand() % size;
		int			length = strlen(other);

		memmove(text + at + length, text + at, size - at);
		memcpy(text + at, other, length);
		size += length;
	}
	for (int n = rand() % 4; n > 0 && size > 0; n--)
	{
		int			at = rand() % size;
		int			length = 1 + rand() % 20;

		switch (rand() % WAYS)
		{
			case 0:
				text[at] = bytes[rand() % (sizeof(bytes) - 1)];
				break;
			case 1:
				size = at;
				break;
			case 2:
				memmove(text + at, text + at + 1, --size - at);
				break;
			case 3:
				/* A piece of it many times: depth and length. */
				length = Min(length, size - at);
				for (int times = rand() % 100; times > 0 && size + length < MAX_TEXT / 2; times--)
				{
					memmove(text + at + length, text + at, size - at);
					size += length;
				}
				break;
			default:
				memmove(text + at + 1, text + at, size++ - at);
				text[at] = bytes[rand() % (sizeof(bytes) - 1)];
		}
	}
	result = malloc(size + 1);
	if (result == NULL)
		abort();
	memcpy(result, text, size);
	result[size] = '\0';
	return result;
}

static void
insist(bool condition, const char *what, const char *text)
{
	if (condition)
		return;
	fprintf(stderr, "%s: %s\n", what, text);
	abort();
}

/* An error says something, of a place in the text or just behind it. */
static void
check_error(const char *text, const PromError *error)
{
	int			line = 1;
	int			column = 1;

	insist(error->message != NULL && error->message[0] != '\0', "no message", text);
	insist(pg_encoding_verifymbstr(PG_UTF8, error->message, strlen(error->message)) == strlen(error->message) ||
		   pg_encoding_verifymbstr(PG_UTF8, text, strlen(text)) != strlen(text), "message is not UTF-8", text);
	for (const char *c = text;; c++)
	{
		if (line == error->line && column == error->column)
			return;
		insist(*c != '\0', "no such place", text);
		if (*c == '\n')
		{
			line++;
			column = 1;
		}
		else if (((unsigned char) *c & 0xC0) != 0x80)
			column++;
	}
}

static void
check_expr(const char *text, int *accepted)
{
	PromExpr   *expr;
	PromRule	rule;
	PromError	error;
	char	   *printed;

	if (!aggwin_promql_parse(text, &expr, &error))
	{
		check_error(text, &error);
		return;
	}
	printed = aggwin_promql_print(expr);
	insist(aggwin_promql_parse(printed, &expr, &error), "printed text is refused", printed);
	insist(strcmp(printed, aggwin_promql_print(expr)) == 0, "printed otherwise", printed);
	if (!aggwin_promql_check(expr, &rule, &error))
	{
		check_error(printed, &error);
		return;
	}
	printed = aggwin_promql_print_rule(&rule);
	insist(aggwin_promql_parse(printed, &expr, &error) && aggwin_promql_check(expr, &rule, &error),
		   "printed rule is refused", printed);
	insist(strcmp(printed, aggwin_promql_print_rule(&rule)) == 0, "rule printed otherwise", printed);
	(*accepted)++;
}

static void
check_selector(const char *text)
{
	PromSelector selector;
	PromError	error;
	char	   *printed;

	if (!aggwin_promql_selector(text, &selector, &error))
	{
		check_error(text, &error);
		return;
	}
	printed = aggwin_promql_print_selector(&selector);
	insist(aggwin_promql_selector(printed, &selector, &error), "printed selector is refused", printed);
	insist(strcmp(printed, aggwin_promql_print_selector(&selector)) == 0, "selector printed otherwise", printed);
}

static void
check_regex(const char *text, int *accepted)
{
	PromError	error = {0};
	char	   *regex;

	if (!aggwin_promql_regex(text, &regex, &error))
		check_error(text, &error);
	else
	{
		insist(pg_encoding_verifymbstr(PG_UTF8, regex, strlen(regex)) == strlen(regex),
			   "regular expression is not UTF-8", text);
		(*accepted)++;
	}
}

static void
check_rules(const char *text, int *accepted)
{
	PipelineRules rules = {0};
	bool		good = aggwin_rules_read(&rules, "file", text, strlen(text));

	good = aggwin_rules_check(&rules) && good;
	insist(good == (rules.finding_count == 0), "a fault without a finding", text);
	for (int i = 0; i < rules.finding_count; i++)
	{
		const PromError *error = &rules.findings[i].error;

		insist(error->message != NULL && error->line > 0 && error->column > 0, "no place", text);
	}
	for (int i = 0; i < rules.pipeline_count; i++)
	{
		char	   *as;
		PromRule	rule;

		aggwin_pipeline_part(&rules.pipelines[i], aggwin_pipeline_parts(&rules.pipelines[i]) - 1, &as, &rule);
		(void) aggwin_promql_print_rule(&rule);
	}
	*accepted += good ? 1 : 0;
}

/* A process' share; the number of accepted texts goes to the pipe. */
static void
run_share(int cases, int seed, int output)
{
	int			accepted = 0;

	srand(seed);
	alarm(SECONDS);
	for (int i = 0; i < cases; i++)
	{
		char	   *text = damaged(texts, lengthof(texts));
		char	   *file = damaged(files, lengthof(files));

		check_expr(text, &accepted);
		check_selector(text);
		check_regex(text, &accepted);
		check_rules(file, &accepted);
		free(text);
		free(file);
	}
	if (write(output, &accepted, sizeof(accepted)) != sizeof(accepted))
		abort();
	_exit(0);
}

int
main(int argc, char **argv)
{
	int			cases = argc > 1 ? atoi(argv[1]) : SHARE;
	int			seed = argc > 2 ? atoi(argv[2]) : 1;
	int			total = 0;
	int			output[2];

	if (pipe(output) != 0)
		abort();
	for (int done = 0; done < cases; done += SHARE)
	{
		pid_t		child = fork();
		int			status;
		int			accepted;

		if (child == 0)
			run_share(Min(SHARE, cases - done), seed + done, output[1]);
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		{
			fprintf(stderr, "promql: found something with seed %d\n", seed + done);
			return 1;
		}
		if (read(output[0], &accepted, sizeof(accepted)) != sizeof(accepted))
			abort();
		total += accepted;
	}
	printf("promql: %d damaged texts, %d times accepted\n", cases, total);
	/* Damage that spares nothing, or everything, would be no test. */
	return total > cases / 100 && total < 3 * cases ? 0 : 1;
}
