/*
 * program_plan.c - showing what is to be done, or was
 */
#include "promql/base.h"

#include "pipeline/program_plan.h"

/* Columns of what aggwin.apply_pipelines() returns. */
enum
{
	COLUMN_ACTION,
	COLUMN_AS,
	COLUMN_PROMQL,
	COLUMN_REASON,
};

typedef enum Action
{
	ACTION_CREATE,
	ACTION_CHANGE,
	ACTION_REMOVE,
	ACTION_KEEP,
} Action;

static const struct
{
	const char *name;
	const char *sign;
	const char *to_do;
	const char *done;
}			actions[] = {
	[ACTION_CREATE] = {"create", "+", "to create", "created"},
	[ACTION_CHANGE] = {"change", "~", "to change", "changed"},
	[ACTION_REMOVE] = {"remove", "-", "to remove", "removed"},
	[ACTION_KEEP] = {"keep", "=", "to keep", "kept"},
};

/* A row of the plan, and where it comes from. */
typedef struct Step
{
	Action		action;
	const char *as;
	const char *promql;
	const char *reason;			/* or NULL */
	const Pipeline *pipeline;	/* NULL if it is in no file */
} Step;

/* Results of files, in their order, which is that of the plan, too. */
typedef struct Cursor
{
	const PipelineRules *rules;
	int			pipeline;
	int			part;
} Cursor;

static const Pipeline *
find_pipeline(Cursor *cursor, const char *name)
{
	for (; cursor->pipeline < cursor->rules->pipeline_count; cursor->pipeline++, cursor->part = 0)
	{
		const Pipeline *pipeline = &cursor->rules->pipelines[cursor->pipeline];

		while (cursor->part < aggwin_pipeline_parts(pipeline))
		{
			char	   *as;
			PromRule	rule;

			aggwin_pipeline_part(pipeline, cursor->part++, &as, &rule);
			if (strcmp(as, name) == 0)
				return pipeline;
		}
	}
	return NULL;
}

static Step
step_of(const PGresult *plan, int row, Cursor *cursor)
{
	const char *action = PQgetvalue(plan, row, COLUMN_ACTION);
	Step		step = {.action = ACTION_KEEP};

	for (int i = 0; i < lengthof(actions); i++)
	{
		if (strcmp(action, actions[i].name) == 0)
			step.action = i;
	}
	step.as = PQgetvalue(plan, row, COLUMN_AS);
	step.promql = PQgetvalue(plan, row, COLUMN_PROMQL);
	step.reason = PQgetisnull(plan, row, COLUMN_REASON) ? NULL : PQgetvalue(plan, row, COLUMN_REASON);
	if (step.action != ACTION_REMOVE)
		step.pipeline = find_pipeline(cursor, step.as);
	return step;
}

static void
show_text(const Step *step)
{
	ProgramColours colours = aggwin_program_colours();
	const char *colour[] = {colours.green, colours.yellow, colours.red, ""};

	printf("  %s%s %s %s%s", colour[step->action], actions[step->action].sign, actions[step->action].name,
		   step->as, *colour[step->action] ? colours.end : "");
	if (step->pipeline != NULL)
		printf("  (%s:%d)", step->pipeline->file, step->pipeline->place.line);
	printf("\n      %s\n", step->promql);
	if (step->reason != NULL)
		printf("      %s\n", step->reason);
}

static void
show_json(const Step *step)
{
	printf("{\"action\": \"%s\", \"as\": ", actions[step->action].name);
	aggwin_program_json(step->as);
	fputs(", \"promql\": ", stdout);
	aggwin_program_json(step->promql);
	if (step->reason != NULL)
	{
		fputs(", \"reason\": ", stdout);
		aggwin_program_json(step->reason);
	}
	if (step->pipeline != NULL)
	{
		fputs(", \"file\": ", stdout);
		aggwin_program_json(step->pipeline->file);
		printf(", \"line\": %d, \"column\": %d", step->pipeline->place.line, step->pipeline->place.column);
	}
	putchar('}');
}

/* What stays as it is needs no annotation. */
static void
show_github(const Step *step)
{
	if (step->action == ACTION_KEEP)
		return;
	fputs("::notice ", stdout);
	if (step->pipeline != NULL)
	{
		fputs("file=", stdout);
		aggwin_program_github(step->pipeline->file, true);
		printf(",line=%d,", step->pipeline->place.line);
	}
	fputs("title=", stdout);
	aggwin_program_github(actions[step->action].name, true);
	putchar(' ');
	aggwin_program_github(step->as, true);
	fputs("::", stdout);
	aggwin_program_github(step->promql, false);
	if (step->reason != NULL)
	{
		aggwin_program_github("\n", false);
		aggwin_program_github(step->reason, false);
	}
	putchar('\n');
}

/* Show it in the format. Returns whether there is, or was, something to do. */
bool
aggwin_program_show_plan(const PGresult *plan, const PipelineRules *rules,
						 const ProgramOptions *options, bool dry_run)
{
	Cursor		cursor = {.rules = rules};
	int			counts[lengthof(actions)] = {0};

	if (options->format == REPORT_JSON)
	{
		fputs("{\n  \"source\": ", stdout);
		aggwin_program_json(options->source);
		printf(",\n  \"applied\": %s,\n  \"pipelines\": [", dry_run ? "false" : "true");
	}
	else if (options->format == REPORT_TEXT)
		printf("Source \"%s\":\n", options->source);
	for (int row = 0; row < PQntuples(plan); row++)
	{
		Step		step = step_of(plan, row, &cursor);

		counts[step.action]++;
		switch (options->format)
		{
			case REPORT_TEXT:
				show_text(&step);
				break;
			case REPORT_JSON:
				fputs(row > 0 ? ",\n    " : "\n    ", stdout);
				show_json(&step);
				break;
			case REPORT_GITHUB:
				show_github(&step);
				break;
		}
	}
	if (options->format == REPORT_JSON)
		fputs(PQntuples(plan) > 0 ? "\n  ],\n  \"count\": {" : "],\n  \"count\": {", stdout);
	for (int i = 0; i < lengthof(actions); i++)
	{
		if (options->format == REPORT_JSON)
			printf("%s\"%s\": %d", i > 0 ? ", " : "", actions[i].name, counts[i]);
		else if (options->format == REPORT_TEXT)
			printf("%s%d %s", i > 0 ? ", " : "", counts[i], dry_run ? actions[i].to_do : actions[i].done);
	}
	fputs(options->format == REPORT_JSON ? "}\n}\n" : options->format == REPORT_TEXT ? ".\n" : "", stdout);
	return counts[ACTION_CREATE] + counts[ACTION_CHANGE] + counts[ACTION_REMOVE] > 0;
}
