/*
 * program_report.c - telling what was found
 */
#include "promql/base.h"

#include "pipeline/program.h"

#include "mb/pg_wchar.h"
#include "promql/print.h"

/* Columns of a line of a file that are shown, around the fault. */
#define SHOWN_COLUMNS 100
#define SHOWN_BEFORE 60

/* Text ------------------------------------------------------------------- */

static const char *
find_text(const ProgramFile *files, int file_count, const char *name)
{
	for (int i = 0; i < file_count; i++)
	{
		if (files[i].name == name)
			return files[i].text;
	}
	return NULL;
}

/* A character as it may be shown: what moves the cursor, or is broken, is not. */
static int
show_character(const char *at, const char *end)
{
	const unsigned char *c = (const unsigned char *) at;
	int			length = pg_utf_mblen(c);
	int			width;

	if (end - at < length || pg_encoding_verifymbchar(PG_UTF8, at, end - at) != length)
	{
		putchar('?');
		return 1;
	}
	width = pg_encoding_dsplen(PG_UTF8, at);
	if (*c == '\t')
		putchar(' ');
	else if (width < 0)
		putchar('?');
	else
	{
		fwrite(at, 1, length, stdout);
		return width;
	}
	return 1;
}

/* The line of a fault, and a mark below it. Of a long line, the part around it. */
static void
show_line(const char *text, const PromError *error, const ProgramColours *colours)
{
	const char *line = text;
	const char *end;
	int			first = Max(error->column - SHOWN_BEFORE, 1);
	int			column = 1;
	int			width = 0;

	/* A mark before the text has no place in a line. */
	if (strncmp(line, "\xEF\xBB\xBF", 3) == 0)
		line += 3;
	for (int n = 1; n < error->line && line != NULL; n++)
	{
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	if (line == NULL)
		return;
	end = line + strcspn(line, "\r\n");
	printf("%6d | %s", error->line, first > 1 ? "..." : "");
	if (first > 1)
		width = 3;
	for (const char *at = line; at < end && column < first + SHOWN_COLUMNS; column++)
	{
		int			shown = column < first ? 0 : show_character(at, end);

		if (column < error->column)
			width += shown;
		at += Min(pg_utf_mblen((const unsigned char *) at), end - at);
		if (column == first + SHOWN_COLUMNS - 1 && at < end)
			fputs("...", stdout);
	}
	printf("\n       | %*s%s^%s\n", width, "", colours->red, colours->end);
}

static const char *
plural(int count)
{
	return count == 1 ? "" : "s";
}

static void
report_text(const PipelineRules *rules, const ProgramFile *files, int file_count)
{
	ProgramColours colours = aggwin_program_colours();

	for (int i = 0; i < rules->finding_count; i++)
	{
		const RulesFinding *finding = &rules->findings[i];
		const PromError *error = &finding->error;

		printf("%s%s:%d:%d:%s %serror:%s %s\n", colours.bold, finding->file, error->line, error->column,
			   colours.end, colours.red, colours.end, error->message);
		show_line(find_text(files, file_count, finding->file), error, &colours);
		if (error->hint != NULL)
			printf("  hint: %s\n", error->hint);
	}
	if (rules->finding_count == 0)
		printf("%d file%s, %d pipeline%s: %sno errors%s\n", file_count, plural(file_count),
			   rules->pipeline_count, plural(rules->pipeline_count), colours.green, colours.end);
	else
		printf("%d file%s: %s%d error%s%s%s\n", file_count, plural(file_count), colours.red,
			   rules->finding_count, plural(rules->finding_count), colours.end,
			   rules->finding_count == AGGWIN_RULES_MAX_FINDINGS ? "; there may be more" : "");
}

/* JSON -------------------------------------------------------------------- */

static void
put_place(const char *file, int line, int column)
{
	fputs("\n    {\"file\": ", stdout);
	aggwin_program_json(file);
	printf(", \"line\": %d, \"column\": %d", line, column);
}

static void
report_json(const PipelineRules *rules, int file_count)
{
	printf("{\n  \"files\": %d,\n  \"pipelines\": [", file_count);
	for (int i = 0; i < rules->pipeline_count; i++)
	{
		const Pipeline *pipeline = &rules->pipelines[i];

		fputs(i > 0 ? "," : "", stdout);
		put_place(pipeline->file, pipeline->place.line, pipeline->place.column);
		for (int part = 0; part < aggwin_pipeline_parts(pipeline); part++)
		{
			char	   *as;
			PromRule	rule;

			aggwin_pipeline_part(pipeline, part, &as, &rule);
			fputs(part == 0 ? ", \"writes\": {" : ", ", stdout);
			aggwin_program_json(as);
			fputs(": ", stdout);
			aggwin_program_json(aggwin_promql_print_rule(&rule));
		}
		fputs("}}", stdout);
	}
	printf("%s],\n  \"errors\": [", rules->pipeline_count > 0 ? "\n  " : "");
	for (int i = 0; i < rules->finding_count; i++)
	{
		const RulesFinding *finding = &rules->findings[i];

		fputs(i > 0 ? "," : "", stdout);
		put_place(finding->file, finding->error.line, finding->error.column);
		fputs(", \"message\": ", stdout);
		aggwin_program_json(finding->error.message);
		if (finding->error.hint != NULL)
		{
			fputs(", \"hint\": ", stdout);
			aggwin_program_json(finding->error.hint);
		}
		putchar('}');
	}
	printf("%s]\n}\n", rules->finding_count > 0 ? "\n  " : "");
}

/* GitHub ------------------------------------------------------------------ */

static void
report_github(const PipelineRules *rules)
{
	for (int i = 0; i < rules->finding_count; i++)
	{
		const RulesFinding *finding = &rules->findings[i];

		fputs("::error file=", stdout);
		aggwin_program_github(finding->file, true);
		printf(",line=%d,col=%d::", finding->error.line, finding->error.column);
		aggwin_program_github(finding->error.message, false);
		if (finding->error.hint != NULL)
		{
			aggwin_program_github("\n", false);
			aggwin_program_github(finding->error.hint, false);
		}
		putchar('\n');
	}
}

void
aggwin_program_report(const PipelineRules *rules, const ProgramFile *files, int file_count,
					  ReportFormat format)
{
	switch (format)
	{
		case REPORT_TEXT:
			report_text(rules, files, file_count);
			break;
		case REPORT_JSON:
			report_json(rules, file_count);
			break;
		case REPORT_GITHUB:
			report_github(rules);
			break;
	}
}
