/*
 * program_export.c - aggwin export: the pipelines that there are, as a file
 */
#include "promql/base.h"

#include "pipeline/program.h"
#include "pipeline/program_connect.h"

static const char help[] =
"aggwin export prints pipelines of a database as a file that aggwin apply takes.\n\n"
"Usage:\n"
"  aggwin export [-d CONNECTION] [--source NAME] > FILE\n\n"
"Options:\n"
"  -d, --dbname=CONNECTION  connection string or name of the database; without it,\n"
"                           what PGHOST, PGDATABASE and the like say\n"
"  --source=NAME            pipelines of this source (default: of all)\n"
"  --help                   this help\n\n"
"Exit status: 0 if all is well, 2 if not.\n";

static int
print_pipelines(PGconn *conn, const char *source)
{
	PGresult   *result;
	int			status = PROGRAM_TROUBLE;

	if (!aggwin_program_has_pipelines(conn))
		return PROGRAM_TROUBLE;
	result = aggwin_program_query(conn, "SELECT aggwin.export_pipelines(source => $1::text)", 1, &source);
	if (!aggwin_program_worked(result))
		aggwin_program_complain(conn, result);
	else
	{
		fputs(PQgetvalue(result, 0, 0), stdout);
		if (aggwin_program_flush())
			status = PROGRAM_GOOD;
	}
	PQclear(result);
	return status;
}

int
aggwin_program_export(int argc, char **argv)
{
	ProgramOptions options;
	PGconn	   *conn;
	int			status;

	if (!aggwin_program_options(argc, argv, "ds", help, &options, &status))
		return status;
	if (options.file_count > 0)
	{
		fprintf(stderr, "aggwin export: files are not read, only printed\nTry \"aggwin export --help\".\n");
		return PROGRAM_TROUBLE;
	}
	conn = aggwin_program_connect(options.connection, NULL);
	if (conn == NULL)
		return PROGRAM_TROUBLE;
	aggwin_program_watch(conn);
	status = print_pipelines(conn, options.source);
	aggwin_program_watch(NULL);
	PQfinish(conn);
	return aggwin_program_end(status);
}
