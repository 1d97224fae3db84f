/*
 * program_join.c - the pipelines of several files as one text
 *
 * Files may differ in indentation, and may be written in any style of YAML. So the
 * text is made anew, with a line for each pipeline; by its line, what the server says
 * of it is found in the files.
 */
#include "promql/base.h"

#include "pipeline/program.h"

#include "mb/pg_wchar.h"

/* A string in double quotes. What YAML does not take as it is, is escaped. */
static void
append_yaml(StringInfo s, const char *text)
{
	appendStringInfoChar(s, '"');
	for (const char *at = text; *at != '\0'; at += pg_utf_mblen((const unsigned char *) at))
	{
		pg_wchar	c = utf8_to_unicode((const unsigned char *) at);

		if (c == '"' || c == '\\')
			appendStringInfo(s, "\\%c", (char) c);
		else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF ||
				 c == 0xFFFE || c == 0xFFFF)
			appendStringInfo(s, "\\u%04x", c);
		else
			appendBinaryStringInfo(s, at, pg_utf_mblen((const unsigned char *) at));
	}
	appendStringInfoChar(s, '"');
}

static void
append_pipeline(StringInfo s, const Pipeline *pipeline)
{
	appendStringInfoString(s, "- {\"promql\": ");
	append_yaml(s, pipeline->promql);
	appendStringInfoString(s, ", \"as\": ");
	append_yaml(s, pipeline->as);
	for (int i = 0; i < pipeline->label_count; i++)
	{
		appendStringInfoString(s, i == 0 ? ", \"labels\": {" : ", ");
		append_yaml(s, pipeline->labels[i].name);
		appendStringInfoString(s, ": ");
		append_yaml(s, pipeline->labels[i].value);
	}
	if (pipeline->label_count > 0)
		appendStringInfoChar(s, '}');
	if (pipeline->grace > 0)
		appendStringInfo(s, ", \"grace\": " INT64_FORMAT "ms", pipeline->grace);
	if (pipeline->retention > 0)
		appendStringInfo(s, ", \"retention\": " INT64_FORMAT "ms", pipeline->retention);
	if (pipeline->max_series > 0)
		appendStringInfo(s, ", \"max_series\": " INT64_FORMAT, pipeline->max_series);
	if (pipeline->limit != AGGWIN_PIPELINE_LIMIT)
		appendStringInfo(s, ", \"limit\": " INT64_FORMAT, pipeline->limit);
	if (pipeline->histogram)
		appendStringInfoString(s, ", \"histogram\": true");
	if (pipeline->paused)
		appendStringInfoString(s, ", \"paused\": true");
	appendStringInfoString(s, "}\n");
}

/* One document, in the order of the pipelines: the first is in line 1. */
char *
aggwin_program_join(const PipelineRules *rules)
{
	StringInfoData s;

	initStringInfo(&s);
	for (int i = 0; i < rules->pipeline_count; i++)
		append_pipeline(&s, &rules->pipelines[i]);
	return s.data;
}
