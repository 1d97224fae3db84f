/*
 * program_connect.c - the tool's connections
 *
 * Signals that end a program cancel the query that is under way, so that it is not
 * carried out behind the user's back, and let the tool clean up. It then ends by the
 * same signal.
 */
#include "promql/base.h"

#include "pipeline/program_connect.h"

#include <signal.h>

#include "pipeline/program.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

/* Of the connection whose queries signals cancel. */
static PGconn *watched = NULL;
static PGcancel *volatile cancel = NULL;
static volatile sig_atomic_t caught = 0;

static void
catch_signal(int signal_number)
{
	int			saved_errno = errno;
	char		error[256];

	caught = signal_number;
	if (cancel != NULL)
		(void) PQcancel(cancel, error, sizeof(error));
	errno = saved_errno;
}

/*
 * Have signals cancel queries of this connection from now on; with NULL of none, so
 * that what is to be cleaned up can be.
 */
void
aggwin_program_watch(PGconn *conn)
{
	PGcancel   *old = cancel;

	/* The handler must not find what is being freed. */
	cancel = NULL;
	PQfreeCancel(old);
	watched = conn;
	if (conn == NULL)
		return;
	cancel = PQgetCancel(conn);
	for (int i = 0; i < lengthof(signals); i++)
	{
		struct sigaction action = {.sa_handler = catch_signal, .sa_flags = SA_RESTART};
		struct sigaction before;

		/* Whoever starts the tool with nohup means it. */
		sigemptyset(&action.sa_mask);
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

bool
aggwin_program_interrupted(void)
{
	return caught != 0;
}

/* What a command returns: the status, unless a signal ended it. */
int
aggwin_program_end(int status)
{
	if (caught == 0)
		return status;
	fflush(stdout);
	signal(caught, SIG_DFL);
	raise(caught);
	return PROGRAM_TROUBLE;
}

/* What a server or libpq says ends with a line feed, or several. */
static char *
trimmed(const char *message)
{
	char	   *copy = pstrdup(message);
	int			length = strlen(copy);

	while (length > 0 && copy[length - 1] == '\n')
		copy[--length] = '\0';
	return copy;
}

/*
 * Connect to what a connection string or the name of a database says, NULL for what
 * the environment does; to another database of that server, if one is given. NULL if
 * that fails, and it was said why.
 */
PGconn *
aggwin_program_connect(const char *connection, const char *database)
{
	/* The later name is the one that holds. */
	const char *keywords[] = {"fallback_application_name", "dbname", "client_encoding",
	database != NULL ? "dbname" : NULL, NULL};
	const char *values[] = {"aggwin", connection, "UTF8", database, NULL};
	PGconn	   *conn;

	/* libpq would quote what it does not understand, which may be a password. */
	if (connection != NULL && (strchr(connection, '=') != NULL || strstr(connection, "://") != NULL))
	{
		char	   *error = NULL;
		PQconninfoOption *parsed = PQconninfoParse(connection, &error);

		PQfreemem(error);
		if (parsed == NULL)
		{
			fprintf(stderr, "aggwin: invalid connection string\n"
					"  hint: Write 'host=... dbname=...', with values that have blanks in single quotes,"
					" or postgresql://host/dbname.\n");
			return NULL;
		}
		PQconninfoFree(parsed);
	}
	conn = PQconnectdbParams(keywords, values, true);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	fprintf(stderr, "aggwin: %s\n", trimmed(PQerrorMessage(conn)));
	if (PQconnectionNeedsPassword(conn))
		fprintf(stderr, "  hint: Put the password into ~/.pgpass or the variable PGPASSWORD.\n");
	PQfinish(conn);
	return NULL;
}

/* Run a statement, or several if it has no parameters. NULL if the tool was interrupted. */
PGresult *
aggwin_program_query(PGconn *conn, const char *sql, int count, const char *const *values)
{
	if (conn == watched && caught != 0)
		return NULL;
	if (count == 0)
		return PQexec(conn, sql);
	return PQexecParams(conn, sql, count, NULL, values, NULL, NULL, 0);
}

bool
aggwin_program_worked(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* Say why a statement failed. */
void
aggwin_program_complain(PGconn *conn, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	if (caught != 0)
		message = "interrupted";
	else if (message == NULL)
		message = trimmed(PQerrorMessage(conn));
	fprintf(stderr, "aggwin: %s\n", message);
	if (detail != NULL && caught == 0)
		fprintf(stderr, "  detail: %s\n", detail);
	if (hint != NULL && caught == 0)
		fprintf(stderr, "  hint: %s\n", hint);
}

/* Does the database have the extension, with pipelines? If not, it is said. */
bool
aggwin_program_has_pipelines(PGconn *conn)
{
	PGresult   *result = aggwin_program_query(conn, "SELECT e.extversion, EXISTS (SELECT FROM pg_proc AS p"
											  " JOIN pg_namespace AS n ON n.oid = p.pronamespace"
											  " WHERE p.proname = 'apply_pipelines' AND n.nspname = 'aggwin')"
											  " FROM pg_extension AS e WHERE e.extname = 'aggwin'", 0, NULL);
	bool		good = false;

	if (!aggwin_program_worked(result))
		aggwin_program_complain(conn, result);
	else if (PQntuples(result) == 0)
		fprintf(stderr, "aggwin: database \"%s\" does not have the extension aggwin\n"
				"  hint: Run there, as a superuser: CREATE EXTENSION aggwin; SELECT aggwin.enable_metrics();\n",
				PQdb(conn));
	else if (strcmp(PQgetvalue(result, 0, 1), "t") != 0)
		fprintf(stderr, "aggwin: the extension aggwin in database \"%s\" is of version %s, which has no pipelines\n"
				"  hint: Run there: ALTER EXTENSION aggwin UPDATE;\n", PQdb(conn), PQgetvalue(result, 0, 0));
	else
		good = true;
	PQclear(result);
	return good;
}
