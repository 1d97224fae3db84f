/*
 * program_apply.c - aggwin plan and aggwin apply
 *
 * Files are checked before anything else, so what the server refuses is what only it
 * can know: names that are taken, rights, circles through pipelines of other files.
 */
#include "promql/base.h"

#include "pipeline/program.h"
#include "pipeline/program_connect.h"
#include "pipeline/program_plan.h"

/* What both do, and what one does. */
#define HELP(command, does, options, status) \
	"aggwin " command " " does "\n" \
	"All files together are one source: pipelines of this source that are in none of\n" \
	"them are removed.\n\n" \
	"Usage:\n" \
	"  aggwin " command " [OPTION]... FILE...\n\n" \
	"Options:\n" \
	"  -d, --dbname=CONNECTION  connection string or name of the database; without it,\n" \
	"                           what PGHOST, PGDATABASE and the like say\n" \
	"  --source=NAME            what these files are called together (default: default)\n" \
	"  --no-prune               keep pipelines that are not in the files any more\n" \
	options \
	"  --format=text            for people (default)\n" \
	"  --format=json            one JSON object\n" \
	"  --format=github          annotations for a workflow of GitHub\n" \
	"  --help                   this help\n\n" \
	"Exit status: 0 if all is well, 1 if there are faults in the files or the database\n" \
	"refuses a pipeline, 2 if files could not be read, the command is wrong or the\n" \
	"database cannot be asked" status ".\n"

static const char plan_help[] = HELP("plan", "shows what aggwin apply would do with files of pipelines.",
									 "  --detailed-exitcode      exit with 3 if there is something to do\n",
									 ", 3 with --detailed-exitcode if there is something to do");
static const char apply_help[] = HELP("apply", "makes pipelines what files say, all of it or nothing.", "", "");

/* The pipeline that an error is about: by its line, or by a result's name in quotes. */
static const Pipeline *
find_culprit(const PipelineRules *rules, const char *source, const char *message)
{
	size_t		length = strlen(source);

	if (strncmp(message, source, length) == 0 && message[length] == ':')
	{
		int			line = atoi(message + length + 1);

		if (line >= 1 && line <= rules->pipeline_count)
			return &rules->pipelines[line - 1];
	}
	for (int i = 0; i < rules->pipeline_count; i++)
	{
		for (int part = 0; part < aggwin_pipeline_parts(&rules->pipelines[i]); part++)
		{
			char	   *as;
			PromRule	rule;

			aggwin_pipeline_part(&rules->pipelines[i], part, &as, &rule);
			if (strstr(message, psprintf("\"%s\"", as)) != NULL)
				return &rules->pipelines[i];
		}
	}
	return NULL;
}

/* "source:1:2: text" without its place, which is that of a text that nobody has seen. */
static const char *
without_place(const char *message, const char *source)
{
	size_t		length = strlen(source);
	int			end = 0;

	if (strncmp(message, source, length) == 0 && message[length] == ':' &&
		sscanf(message + length, ":%*d:%*d: %n", &end) == 0 && end > 0)
		return message + length + end;
	return message;
}

/* A refusal of the database, told in the files if it is about one of their pipelines. */
static int
tell_refusal(PGconn *conn, const PGresult *result, const ProgramOptions *options,
			 PipelineRules *rules, const ProgramFile *files)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const Pipeline *pipeline = NULL;
	PromError	error = {0};

	/* What somebody may not do is not in the files. */
	if (message != NULL && strcmp(state, "42501") != 0)
		pipeline = find_culprit(rules, options->source, message);

	if (pipeline == NULL || aggwin_program_interrupted())
	{
		aggwin_program_complain(conn, result);
		if (PQstatus(conn) == CONNECTION_BAD)
			fprintf(stderr, "  hint: Run aggwin plan to see whether it was done.\n");
		return PROGRAM_TROUBLE;
	}
	/* A circle is in what pipelines read, all else in how they are called. */
	(void) aggwin_promql_fail(&error, strcmp(state, "42P19") == 0 ? pipeline->promql_place : pipeline->as_place,
							  psprintf("%s%s%s", detail ? detail : "", detail && hint ? " " : "", hint ? hint : ""),
							  "%s", without_place(message, options->source));
	if (*error.hint == '\0')
		error.hint = NULL;
	(void) aggwin_rules_note(rules, pipeline->file, &error);
	aggwin_program_report(rules, files, options->file_count, options->format);
	return aggwin_program_flush() ? PROGRAM_FINDINGS : PROGRAM_TROUBLE;
}

static int
ask_database(PGconn *conn, const ProgramOptions *options, bool dry_run, PipelineRules *rules,
			 const ProgramFile *files)
{
	const char *values[] = {
		aggwin_program_join(rules), dry_run ? "true" : "false", options->keep ? "false" : "true", options->source
	};
	PGresult   *result;
	int			status;

	if (!aggwin_program_has_pipelines(conn))
		return PROGRAM_TROUBLE;
	/* Whatever the role prefers: rules are compared with what is there when they are. */
	PQclear(aggwin_program_query(conn, "SET default_transaction_isolation = 'read committed'", 0, NULL));
	result = aggwin_program_query(conn, "SELECT p.action, p.\"as\", p.promql, p.reason FROM aggwin.apply_pipelines("
								  "rules => $1, dry_run => $2, prune => $3, source => $4) AS p",
								  lengthof(values), values);
	if (!aggwin_program_worked(result))
		status = tell_refusal(conn, result, options, rules, files);
	else
	{
		bool		changes = aggwin_program_show_plan(result, rules, options, dry_run);

		status = !aggwin_program_flush() ? PROGRAM_TROUBLE
			: changes && options->detailed ? PROGRAM_CHANGES : PROGRAM_GOOD;
	}
	PQclear(result);
	return status;
}

static int
run(int argc, char **argv, bool dry_run)
{
	ProgramOptions options;
	PipelineRules rules = {0};
	ProgramFile *files;
	int			readable;
	PGconn	   *conn;
	int			status;

	if (!aggwin_program_options(argc, argv, dry_run ? "dfsnx" : "dfsn", dry_run ? plan_help : apply_help,
								&options, &status))
		return status;
	if (options.file_count == 0)
	{
		fprintf(stderr, "aggwin %s: a file is missing\nTry \"aggwin %s --help\".\n", argv[0], argv[0]);
		return PROGRAM_TROUBLE;
	}
	if (options.source == NULL)
		options.source = "default";
	files = palloc(options.file_count * sizeof(ProgramFile));
	readable = aggwin_program_read_rules(&rules, options.file_count, options.files, files);
	if (!aggwin_rules_check(&rules))
	{
		aggwin_program_report(&rules, files, readable, options.format);
		if (!aggwin_program_flush())
			return PROGRAM_TROUBLE;
		return readable < options.file_count ? PROGRAM_TROUBLE : PROGRAM_FINDINGS;
	}
	if (readable < options.file_count)
		return PROGRAM_TROUBLE;
	conn = aggwin_program_connect(options.connection, NULL);
	if (conn == NULL)
		return PROGRAM_TROUBLE;
	aggwin_program_watch(conn);
	status = ask_database(conn, &options, dry_run, &rules, files);
	aggwin_program_watch(NULL);
	PQfinish(conn);
	return aggwin_program_end(status);
}

int
aggwin_program_plan(int argc, char **argv)
{
	return run(argc, argv, true);
}

int
aggwin_program_apply(int argc, char **argv)
{
	return run(argc, argv, false);
}
