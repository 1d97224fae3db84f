/*
 * program_test_report.c - telling how tests went
 */
#include "promql/base.h"

#include "pipeline/program_test_steps.h"

#include "promql/reader.h"

static bool
has_passed(const RuleTest *test)
{
	return test->error == NULL && test->difference_count == 0;
}

/* A result with its labels; without any, they are not shown. */
static char *
name_of(const TestDifference *difference)
{
	return psprintf("%s%s", difference->as, strcmp(difference->labels, "{}") == 0 ? "" : difference->labels);
}

static char *
time_of(const TestDifference *difference)
{
	StringInfoData s;

	initStringInfo(&s);
	aggwin_promql_write_duration(&s, difference->at);
	return s.len > 0 ? s.data : "0s";
}

static const char *
or_nothing(const char *value)
{
	return value != NULL ? value : "nothing";
}

static void
count(const TestFile *files, int file_count, int *passed, int *failed)
{
	*passed = *failed = 0;
	for (int i = 0; i < file_count; i++)
	{
		for (int n = 0; n < files[i].test_count; n++)
		{
			if (files[i].tests[n].done)
				*(has_passed(&files[i].tests[n]) ? passed : failed) += 1;
		}
	}
}

/* Text: a test, as soon as it is over. */
void
aggwin_test_tell(const TestFile *file, const RuleTest *test)
{
	ProgramColours colours = aggwin_program_colours();
	bool		passed = has_passed(test);

	printf("%s%s%s %s:%d: %s (%.2f s)\n", passed ? colours.green : colours.red, passed ? "ok  " : "FAIL", colours.end,
		   file->file.name, test->place.line, test->name, test->seconds);
	if (test->error != NULL)
		printf("  %s\n", test->error);
	for (int i = 0; i < test->difference_count; i++)
	{
		const TestDifference *difference = &test->differences[i];

		printf("  %s%s:%d:%s %s at %s\n    expected %s\n    got      %s\n", colours.bold, file->file.name,
			   difference->place.line, colours.end, name_of(difference), time_of(difference),
			   or_nothing(difference->expected), or_nothing(difference->got));
	}
	fflush(stdout);
}

/* JSON, GitHub -----------------------------------------------------------------*/

/* Values are numbers that JSON may not have, so they stand in quotes. */
static void
put_value(const char *key, const char *value)
{
	printf(", \"%s\": ", key);
	if (value != NULL)
		aggwin_program_json(value);
	else
		fputs("null", stdout);
}

static void
put_test(const TestFile *file, const RuleTest *test)
{
	fputs("{\"file\": ", stdout);
	aggwin_program_json(file->file.name);
	printf(", \"line\": %d, \"name\": ", test->place.line);
	aggwin_program_json(test->name);
	printf(", \"passed\": %s, \"seconds\": %.3f", has_passed(test) ? "true" : "false", test->seconds);
	if (test->error != NULL)
		put_value("error", test->error);
	fputs(", \"differences\": [", stdout);
	for (int i = 0; i < test->difference_count; i++)
	{
		const TestDifference *difference = &test->differences[i];

		printf("%s\n      {\"line\": %d, \"column\": %d", i > 0 ? "," : "", difference->place.line, difference->place.column);
		put_value("as", difference->as);
		put_value("labels", difference->labels);
		put_value("at", time_of(difference));
		put_value("expected", difference->expected);
		put_value("got", difference->got);
		putchar('}');
	}
	fputs("]}", stdout);
}

static void
put_annotations(const TestFile *file, const RuleTest *test)
{
	if (test->error != NULL)
	{
		fputs("::error file=", stdout);
		aggwin_program_github(file->file.name, true);
		printf(",line=%d::", test->place.line);
		aggwin_program_github(psprintf("%s: %s", test->name, test->error), false);
		putchar('\n');
	}
	for (int i = 0; i < test->difference_count; i++)
	{
		const TestDifference *difference = &test->differences[i];

		fputs("::error file=", stdout);
		aggwin_program_github(file->file.name, true);
		printf(",line=%d::", difference->place.line);
		aggwin_program_github(psprintf("%s: %s at %s: expected %s, got %s", test->name, name_of(difference),
									   time_of(difference), or_nothing(difference->expected),
									   or_nothing(difference->got)), false);
		putchar('\n');
	}
}

/* What is told of all tests at the end, in the format. */
void
aggwin_test_report(const TestFile *files, int file_count, ReportFormat format)
{
	ProgramColours colours = aggwin_program_colours();
	bool		first = true;
	int			passed;
	int			failed;

	count(files, file_count, &passed, &failed);
	if (format == REPORT_TEXT)
	{
		printf("%d test%s: %s%d passed, %d failed%s\n", passed + failed, passed + failed == 1 ? "" : "s",
			   failed > 0 ? colours.red : colours.green, passed, failed, colours.end);
		return;
	}
	if (format == REPORT_JSON)
		fputs("{\n  \"tests\": [", stdout);
	for (int i = 0; i < file_count; i++)
	{
		for (int n = 0; n < files[i].test_count; n++)
		{
			if (!files[i].tests[n].done)
				continue;
			if (format == REPORT_JSON)
			{
				fputs(first ? "\n    " : ",\n    ", stdout);
				put_test(&files[i], &files[i].tests[n]);
			}
			else
				put_annotations(&files[i], &files[i].tests[n]);
			first = false;
		}
	}
	if (format == REPORT_JSON)
		printf("%s],\n  \"passed\": %d,\n  \"failed\": %d\n}\n", first ? "" : "\n  ", passed, failed);
}

/* JUnit ------------------------------------------------------------------------*/

/* Text of XML; of what is no UTF-8 or may not stand there, a question mark. */
static void
put_xml(FILE *out, const char *text)
{
	StringInfoData s;

	initStringInfo(&s);
	aggwin_program_clean(&s, text);
	for (const char *c = s.data; *c != '\0'; c++)
	{
		if (*c == '<')
			fputs("&lt;", out);
		else if (*c == '>')
			fputs("&gt;", out);
		else if (*c == '&')
			fputs("&amp;", out);
		else if (*c == '"')
			fputs("&quot;", out);
		else
			putc(*c, out);
	}
	pfree(s.data);
}

static void
put_case(FILE *out, const TestFile *file, const RuleTest *test)
{
	fputs("    <testcase classname=\"", out);
	put_xml(out, file->file.name);
	fputs("\" name=\"", out);
	put_xml(out, test->name);
	fprintf(out, "\" file=\"");
	put_xml(out, file->file.name);
	fprintf(out, "\" line=\"%d\" time=\"%.3f\"", test->place.line, test->seconds);
	if (has_passed(test))
	{
		fputs("/>\n", out);
		return;
	}
	fputs(">\n", out);
	if (test->error != NULL)
	{
		fputs("      <error message=\"", out);
		put_xml(out, test->error);
		fputs("\"/>\n", out);
	}
	if (test->difference_count > 0)
	{
		fprintf(out, "      <failure message=\"%d differences\">", test->difference_count);
		for (int i = 0; i < test->difference_count; i++)
		{
			const TestDifference *difference = &test->differences[i];

			put_xml(out, psprintf("%s:%d: %s at %s: expected %s, got %s\n", file->file.name, difference->place.line,
								  name_of(difference), time_of(difference), or_nothing(difference->expected),
								  or_nothing(difference->got)));
		}
		fputs("</failure>\n", out);
	}
	fputs("    </testcase>\n", out);
}

/* Write a report in the format of JUnit. False if it could not be written, which was said. */
bool
aggwin_test_junit(const TestFile *files, int file_count, const char *name)
{
	FILE	   *out = fopen(name, "w");
	int			passed;
	int			failed;
	bool		good;

	if (out == NULL)
	{
		fprintf(stderr, "aggwin: could not write file \"%s\": %s\n", name, strerror(errno));
		return false;
	}
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", out);
	for (int i = 0; i < file_count; i++)
	{
		count(&files[i], 1, &passed, &failed);
		fputs("  <testsuite name=\"", out);
		put_xml(out, files[i].file.name);
		fprintf(out, "\" tests=\"%d\" failures=\"%d\">\n", passed + failed, failed);
		for (int n = 0; n < files[i].test_count; n++)
		{
			if (files[i].tests[n].done)
				put_case(out, &files[i], &files[i].tests[n]);
		}
		fputs("  </testsuite>\n", out);
	}
	fputs("</testsuites>\n", out);
	good = !ferror(out);
	good = fclose(out) == 0 && good;
	if (!good)
		fprintf(stderr, "aggwin: could not write file \"%s\": %s\n", name, strerror(errno));
	return good;
}
