/*
 * program_test_run.c - carrying out a test
 *
 * A test has a database of its own, which is there no longer than it is. Its rules are
 * applied first, as they would be; then its samples come, in the order of their times,
 * the first at 1970-01-01, so that windows begin where the test does. A sample of a
 * metric that nobody reads comes behind them and closes all windows.
 */
#include "promql/base.h"

#include "pipeline/program_test_steps.h"

#include "pipeline/program_connect.h"
#include "portability/instr_time.h"

#define END_METRIC "aggwin_test_end"

/* What keeps old or unlimited samples out is for servers, not for tests. */
static const char *const preparation[] = {
	"SET client_min_messages = warning; SET timezone = 'UTC'; SET synchronous_commit = off;"
	" SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off",
	"CREATE EXTENSION aggwin",
	"SELECT aggwin.enable_metrics()",
	"SET aggwin.max_past = 0; SET aggwin.sample_retention = 0; SET aggwin.max_new_series = 0;"
	" SET aggwin.refused_samples = 'error'",
};

static const char ingestion[] =
"INSERT INTO aggwin.sample_input (metric, labels, ts, value)"
" SELECT s.metric, s.labels, to_timestamp(0) + p.at * interval '1 ms',"
" CASE p.value WHEN 'stale' THEN aggwin.stale_marker() ELSE p.value::float8 END"
" FROM unnest($1::text[], $2::jsonb[]) WITH ORDINALITY AS s(metric, labels, n)"
" JOIN unnest($3::int[], $4::bigint[], $5::text[]) AS p(n, at, value) USING (n) ORDER BY p.at, p.n";

static const char results[] =
"SELECT i.metric, coalesce((SELECT '{' || string_agg(l.key || '=' || to_json(l.value), ', ' ORDER BY l.key COLLATE \"C\") || '}'"
" FROM jsonb_each_text(i.labels) AS l), '{}') COLLATE \"C\", (extract(epoch FROM i.ts) * 1000)::bigint, i.value"
" FROM aggwin.sample_input AS i WHERE i.metric = ANY ($1::text[])"
" ORDER BY i.metric COLLATE \"C\", 2, i.ts";

/* Why a statement failed, for the test's report. */
static char *
reason(PGconn *conn, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);

	if (message == NULL)
		return pstrdup(PQerrorMessage(conn));
	return detail == NULL ? pstrdup(message) : psprintf("%s (%s)", message, detail);
}

/* Run a step of a test. NULL if it failed; why is the test's error then. */
static PGresult *
run_step(PGconn *conn, RuleTest *test, const char *sql, int count, const char *const *values)
{
	PGresult   *result = aggwin_program_query(conn, sql, count, values);

	if (aggwin_program_worked(result))
		return result;
	test->error = reason(conn, result);
	PQclear(result);
	return NULL;
}

/* Arrays as SQL reads them --------------------------------------------------*/

static void
begin_array(StringInfo s)
{
	initStringInfo(s);
	appendStringInfoChar(s, '{');
}

static void
add_separator(StringInfo s)
{
	if (s->len > 1)
		appendStringInfoChar(s, ',');
}

static void
add_text(StringInfo s, const char *text)
{
	add_separator(s);
	appendStringInfoChar(s, '"');
	for (; *text != '\0'; text++)
	{
		if (*text == '"' || *text == '\\')
			appendStringInfoChar(s, '\\');
		appendStringInfoChar(s, *text);
	}
	appendStringInfoChar(s, '"');
}

typedef struct Input
{
	StringInfoData metrics;
	StringInfoData labels;
	StringInfoData numbers;
	StringInfoData times;
	StringInfoData values;
} Input;

static void
add_sample(Input *input, int number, int64 at, const TestSample *sample)
{
	add_separator(&input->numbers);
	appendStringInfo(&input->numbers, "%d", number);
	add_separator(&input->times);
	appendStringInfo(&input->times, INT64_FORMAT, at);
	add_separator(&input->values);
	if (sample->kind == TEST_STALE)
		appendStringInfoString(&input->values, "stale");
	else
		appendStringInfo(&input->values, "%.17g", sample->value);
}

/*
 * When all windows with samples are over: pipelines may read each other's results,
 * each of which comes at the end of a window, and closes after its grace.
 */
static int64
end_of_windows(const PipelineRules *rules, int64 last)
{
	int64		end = last + 1;

	for (int i = 0; i < rules->pipeline_count; i++)
		end += rules->pipelines[i].rule.range + rules->pipelines[i].grace;
	return end;
}

/* Steps ----------------------------------------------------------------------*/

static bool
apply_rules(PGconn *conn, const TestFile *file, RuleTest *test)
{
	const char *rules = aggwin_program_join(&file->rules);
	PGresult   *result = run_step(conn, test, "SELECT FROM aggwin.apply_pipelines(rules => $1)", 1, &rules);

	PQclear(result);
	return result != NULL;
}

static bool
ingest(PGconn *conn, const TestFile *file, RuleTest *test)
{
	static const TestSample one = {TEST_SAMPLE, 1};
	Input		input;
	int64		last = 0;
	PGresult   *result;

	begin_array(&input.metrics);
	begin_array(&input.labels);
	begin_array(&input.numbers);
	begin_array(&input.times);
	begin_array(&input.values);
	for (int i = 0; i < test->series_count; i++)
	{
		const TestSeries *series = &test->series[i];

		add_text(&input.metrics, series->metric);
		add_text(&input.labels, series->json);
		for (int n = 0; n < series->sample_count; n++)
		{
			if (series->samples[n].kind == TEST_GAP)
				continue;
			add_sample(&input, i + 1, n * test->interval, &series->samples[n]);
			last = Max(last, n * test->interval);
		}
	}
	add_text(&input.metrics, END_METRIC);
	add_text(&input.labels, "{}");
	add_sample(&input, test->series_count + 1, end_of_windows(&file->rules, last), &one);
	appendStringInfoChar(&input.metrics, '}');
	appendStringInfoChar(&input.labels, '}');
	appendStringInfoChar(&input.numbers, '}');
	appendStringInfoChar(&input.times, '}');
	appendStringInfoChar(&input.values, '}');
	result = run_step(conn, test, ingestion, 5, (const char *[]) {
		input.metrics.data, input.labels.data, input.numbers.data, input.times.data, input.values.data
	});
	PQclear(result);
	return result != NULL;
}

/* Results may be what other pipelines read, so until nothing is left to close. */
static bool
close_windows(PGconn *conn, RuleTest *test)
{
	bool		more = true;

	while (more)
	{
		PGresult   *result = run_step(conn, test, "SELECT aggwin.close_windows()", 0, NULL);

		if (result == NULL)
			return false;
		more = strcmp(PQgetvalue(result, 0, 0), "0") != 0;
		PQclear(result);
	}
	return true;
}

static bool
compare(PGconn *conn, RuleTest *test)
{
	StringInfoData names;
	const char *value;
	PGresult   *found;

	begin_array(&names);
	for (int i = 0; i < test->result_count; i++)
		add_text(&names, test->results[i].as);
	appendStringInfoChar(&names, '}');
	value = names.data;
	found = run_step(conn, test, results, 1, &value);
	if (found == NULL)
		return false;
	aggwin_test_compare(test, found);
	PQclear(found);
	return true;
}

/* The database -----------------------------------------------------------------*/

/* A statement without which there are no tests: if it fails, it is said. */
static bool
prepare(PGconn *conn, const char *sql)
{
	PGresult   *result = aggwin_program_query(conn, sql, 0, NULL);
	bool		good = aggwin_program_worked(result);

	if (!good)
		aggwin_program_complain(conn, result);
	PQclear(result);
	return good;
}

/* With a locale that all servers have. */
static bool
create_database(PGconn *admin, const char *database)
{
	aggwin_program_watch(admin);
	return prepare(admin, psprintf("CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'"
								   " LOCALE_PROVIDER libc LOCALE 'C'", database));
}

static PGconn *
open_database(const char *connection, const char *database)
{
	PGconn	   *conn;

	conn = aggwin_program_connect(connection, database);
	if (conn == NULL)
		return NULL;
	aggwin_program_watch(conn);
	for (int i = 0; i < lengthof(preparation); i++)
	{
		if (!prepare(conn, preparation[i]))
		{
			aggwin_program_watch(NULL);
			PQfinish(conn);
			return NULL;
		}
	}
	return conn;
}

/* Whatever happened, even when the tool is to end. */
static bool
drop_database(PGconn *admin, const char *database)
{
	aggwin_program_watch(NULL);
	return prepare(admin, psprintf("DROP DATABASE %s WITH (FORCE)", database));
}

/*
 * Carry out a test in a database of this name, on the server of both connections.
 * False if it could not be carried out for reasons that other tests have, too.
 */
bool
aggwin_test_run(PGconn *admin, const char *connection, const char *database, const TestFile *file, RuleTest *test)
{
	instr_time	start;
	instr_time	duration;
	PGconn	   *conn;
	bool		good;

	INSTR_TIME_SET_CURRENT(start);
	if (!create_database(admin, database))
		return false;
	conn = open_database(connection, database);
	good = conn != NULL;
	if (good)
	{
		(void) (apply_rules(conn, file, test) && ingest(conn, file, test) &&
			close_windows(conn, test) && compare(conn, test));
		good = PQstatus(conn) == CONNECTION_OK && !aggwin_program_interrupted();
		if (!good)
			fprintf(stderr, "aggwin: %s\n", aggwin_program_interrupted() ? "interrupted" : test->error);
		aggwin_program_watch(NULL);
		PQfinish(conn);
	}
	test->done = good;
	good = drop_database(admin, database) && good;
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	test->seconds = INSTR_TIME_GET_DOUBLE(duration);
	return good;
}
