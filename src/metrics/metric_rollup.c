/*
 * metric_rollup.c - the rollups that answer what is asked of metrics
 *
 * These are ordinary rollups of aggwin.samples, with these columns:
 *
 *		bucket
 *		series_id		or group_id: a series, or those with the same of some labels
 *		nans			how many values are NaN; what follows is of the others
 *		stats
 *		percentiles		exp_histogram, or histogram where bounds were given
 *		counter			not of groups: increases of several series do not mix
 *
 * The table aggwin.metric_rollup says which there are. Of those that know enough,
 * the newest answers.
 */
#include "postgres.h"

#include "metrics/metric_rollup.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "metrics/matchers.h"
#include "metrics/names.h"
#include "miscadmin.h"
#include "promql/regex.h"
#include "rollup/catalog.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_create_metric_rollup);

/* Those of the labels that are named in an array. Both are SQL. */
char *
aggwin_sql_only_labels(const char *labels, const char *names)
{
	return psprintf("(SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(%s) AS e"
					" WHERE e.key = ANY (%s))", labels, names);
}

/*
 * What a series has in common with the others of its group, given its number as
 * SQL. Of a rollup that is not grouped, the series itself.
 */
char *
aggwin_sql_series_group(const MetricRollup *rollup, const char *series)
{
	if (!rollup->grouped)
		return pstrdup(series);
	return psprintf("aggwin.series_group(%s, %s, %s, %s)", series,
					rollup->pattern ? rollup->pattern : "NULL::text",
					rollup->keep ? rollup->keep : "NULL::text[]",
					rollup->drop ? rollup->drop : "NULL::text[]");
}

/* Creating -----------------------------------------------------------------*/

/* Arguments of create_metric_rollup(), in order. */
enum
{
	ARG_NAME,
	ARG_METRICS,
	ARG_KEEP,
	ARG_DROP,
	ARG_BOUNDS,
	ARG_BUCKET,
	ARG_TIERS,
	ARG_REFRESH_INTERVAL,
	ARG_WITH_DATA,
};

/* Their names, of those that must not be NULL. */
static const char *const create_args[] = {
	"name", "metrics", NULL, NULL, NULL, "bucket", "tiers", "refresh_interval", "with_data"
};

/* An argument as SQL, NULL if it is NULL. */
static char *
literal(FunctionCallInfo fcinfo, int number, Oid type)
{
	return PG_ARGISNULL(number) ? NULL : aggwin_sql_literal(PG_GETARG_DATUM(number), type);
}

static void
check_labels(FunctionCallInfo fcinfo, int number, const char *argument)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(number))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = nulls[i] ? NULL : TextDatumGetCString(elements[i]);

		if (name == NULL || name[0] == '\0' || strcmp(name, AGGWIN_NAME_LABEL) == 0 ||
			aggwin_label_name_length(name, name + strlen(name)) != strlen(name))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" must be an array of the names of labels", argument),
					 name == NULL ? errdetail("One of them is NULL.") : errdetail("One of them is \"%s\".", name)));
	}
}

/* A regular expression of RE2 over all of a metric's name, as the server's. */
static char *
name_pattern(const char *metrics)
{
	PromError	error = {0};
	char	   *pattern;

	if (!aggwin_promql_regex(pg_server_to_any(metrics, strlen(metrics), PG_UTF8), &pattern, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
				 errmsg("argument \"metrics\", column %d: %s", error.column,
						aggwin_from_utf8(error.message)),
				 errdetail("It is: %s", metrics),
				 error.hint ? errhint("%s", aggwin_from_utf8(error.hint)) : 0));
	return aggwin_from_utf8(pattern);
}

static char *
rollup_query(FunctionCallInfo fcinfo, const MetricRollup *rollup)
{
	char	   *bounds = literal(fcinfo, ARG_BOUNDS, FLOAT8ARRAYOID);
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "SELECT aggwin.time_bucket(%s, ts) AS bucket, %s AS %s, " AGGWIN_SUMMARIES("%s"),
					 literal(fcinfo, ARG_BUCKET, INTERVALOID),
					 aggwin_sql_series_group(rollup, "series_id"),
					 rollup->grouped ? "group_id" : "series_id",
					 bounds ? psprintf("aggwin.hist_agg(value, %s)", bounds) : "aggwin.exp_hist_agg(value)");
	if (!rollup->grouped)
		appendStringInfoString(&s, ", " AGGWIN_COUNTER);
	appendStringInfoString(&s, AGGWIN_SUMMARIZED);
	if (rollup->pattern != NULL)
		appendStringInfo(&s, " AND aggwin.series_matches(series_id, %s)", rollup->pattern);
	appendStringInfoString(&s, " GROUP BY 1, 2");
	return s.data;
}

/*
 * State is ordered by time; what is asked of metrics is mostly about some series
 * and much time.
 */
static void
index_states(Oid view)
{
	RollupRow	row;
	Sandbox		saved;
	ListCell   *lc;

	if (!aggwin_find_rollup_of_view(view, &row))
		elog(ERROR, "rollup is not there");
	/* Whoever owns the tables need not be allowed to make something in their schema. */
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	foreach(lc, aggwin_rollup_names(&row).tiers)
		aggwin_spi_run(psprintf("CREATE INDEX ON %s (k1, bucket)", ((Tier *) lfirst(lc))->state),
					   SPI_OK_UTILITY);
	aggwin_sandbox_leave(&saved);
}

/* Remember a new rollup, and forget those that are gone. */
static void
insert_row(const MetricTables *tables, Oid view, const char *metrics, const MetricRollup *rollup)
{
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(view), CStringGetTextDatum(metrics)};
	Sandbox		saved;

	aggwin_become_owner(&saved, tables);
	aggwin_spi_run("DELETE FROM aggwin.metric_rollup AS m"
				   " WHERE NOT EXISTS (SELECT FROM aggwin.rollup AS r WHERE r.view = m.view)",
				   SPI_OK_DELETE);
	aggwin_spi_run_args(psprintf("INSERT INTO aggwin.metric_rollup (view, metrics, pattern, keep, drop)"
								 " VALUES ($1, $2, %s, %s, %s)",
								 rollup->pattern ? rollup->pattern : "NULL",
								 rollup->keep ? rollup->keep : "NULL",
								 rollup->drop ? rollup->drop : "NULL"),
						SPI_OK_INSERT, lengthof(types), types, values, NULL);
	aggwin_sandbox_leave(&saved);
}

/*
 * aggwin.create_metric_rollup(name, metrics, keep, drop, bounds, bucket, tiers,
 * refresh_interval, with_data): see doc/reference.md.
 */
Datum
aggwin_create_metric_rollup(PG_FUNCTION_ARGS)
{
	MetricTables tables;
	MetricRollup rollup = {0};
	char	   *metrics;
	char	   *bounds;
	bool		isnull;
	Oid			types[] = {TEXTOID, TEXTOID, INTERVALARRAYOID, INTERVALOID, BOOLOID};
	Datum		values[lengthof(types)];

	aggwin_require_args(fcinfo, lengthof(create_args), create_args);
	aggwin_metric_tables(&tables);
	if (!has_privs_of_role(GetUserId(), tables.owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only the owner of aggwin.samples may create a rollup that answers for metrics"),
				 errhint("Who may SELECT from it, and has TRIGGER, can use aggwin.create_rollup().")));
	check_labels(fcinfo, ARG_KEEP, "keep");
	check_labels(fcinfo, ARG_DROP, "drop");
	if (!PG_ARGISNULL(ARG_KEEP) && !PG_ARGISNULL(ARG_DROP))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments \"keep\" and \"drop\" exclude each other"),
				 errhint("Name the labels to keep, or those to drop.")));
	metrics = text_to_cstring(PG_GETARG_TEXT_PP(ARG_METRICS));
	if (strcmp(metrics, ".*") != 0)
		rollup.pattern = quote_literal_cstr(name_pattern(metrics));
	rollup.keep = literal(fcinfo, ARG_KEEP, TEXTARRAYOID);
	rollup.drop = literal(fcinfo, ARG_DROP, TEXTARRAYOID);
	rollup.grouped = rollup.keep != NULL || rollup.drop != NULL;

	aggwin_spi_connect();
	/* It knows best what it does not accept. */
	bounds = literal(fcinfo, ARG_BOUNDS, FLOAT8ARRAYOID);
	if (bounds != NULL)
		aggwin_spi_run(psprintf("SELECT aggwin.hist_agg(0, %s)", bounds), SPI_OK_SELECT);
	values[0] = PG_GETARG_DATUM(ARG_NAME);
	values[1] = CStringGetTextDatum(rollup_query(fcinfo, &rollup));
	values[2] = PG_GETARG_DATUM(ARG_TIERS);
	values[3] = PG_GETARG_DATUM(ARG_REFRESH_INTERVAL);
	values[4] = PG_GETARG_DATUM(ARG_WITH_DATA);
	aggwin_spi_run_args("SELECT aggwin.create_rollup(name => $1, query => $2, tiers => $3,"
						" refresh_interval => $4, with_data => $5)",
						SPI_OK_SELECT, lengthof(types), types, values, NULL);
	rollup.view = DatumGetObjectId(aggwin_spi_value(1, &isnull));
	index_states(rollup.view);
	insert_row(&tables, rollup.view, metrics, &rollup);
	aggwin_spi_finish();
	PG_RETURN_OID(rollup.view);
}

/* Finding ------------------------------------------------------------------*/

/* A column of the last result's row as SQL literal, NULL if it is NULL. */
static char *
quoted_column(int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value ? quote_literal_cstr(value) : NULL;
}

/* The first metric that is asked for and that the rollup does not have, if any. */
static void
check_metric(const MetricRollup *rollup, bool chosen, const char *metric)
{
	if (metric != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 chosen ? errmsg("metric rollup %s does not have metric \"%s\"",
								 aggwin_relation_name(rollup->view), metric)
				 : errmsg("no metric rollup has all metrics that are asked for"),
				 chosen ? 0 : errdetail("The closest, %s, does not have \"%s\".",
										aggwin_relation_name(rollup->view), metric),
				 errhint("Ask for fewer metrics, or make a rollup of all of these by aggwin.create_metric_rollup().")));
}

static void
check_labels_known(const MetricRollup *rollup, bool knows, bool each_series)
{
	if (!knows)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("metric rollup %s does not tell apart what is asked for",
						aggwin_relation_name(rollup->view)),
				 rollup->keep ? errdetail("It keeps the labels %s.", rollup->keep)
				 : errdetail("It drops the labels %s.", rollup->drop),
				 each_series ? errhint("Group by labels that it has, or make a rollup of all labels by aggwin.create_metric_rollup().")
				 : errhint("Name only labels that it has, or make a rollup of others by aggwin.create_metric_rollup().")));
}

/*
 * The rollup that is to answer: a view of it, or InvalidOid for the newest that
 * knows all that is needed. An error if it does not, or if none does. Run as the
 * tables' owner, connected to SPI.
 */
void
aggwin_find_metric_rollup(Oid view, const MetricNeeds *needs, MetricRollup *rollup)
{
	Oid			types[] = {TEXTARRAYOID, TEXTARRAYOID, BOOLOID, OIDOID};
	Datum		values[] = {needs->metrics, needs->labels, BoolGetDatum(needs->each_series),
	ObjectIdGetDatum(InvalidOid)};
	bool		isnull;

	if (OidIsValid(view))
	{
		RollupRow	row;

		aggwin_get_rollup(aggwin_rollup_of_view(view, false), &row);
		values[3] = ObjectIdGetDatum(row.view);
	}
	if (aggwin_spi_read("SELECT m.view::oid, m.pattern, m.keep, m.drop,"
						" (SELECT min(n) FROM unnest($1) AS n WHERE n !~ m.pattern COLLATE \"C\"),"
						" coalesce(m.keep, m.drop) IS NULL"
						" OR NOT $3 AND coalesce($2 <@ m.keep, NOT $2 && m.drop)"
						" FROM aggwin.metric_rollup AS m JOIN aggwin.rollup AS r ON r.view = m.view"
						" WHERE $4 IN (0, m.view)"
						" ORDER BY 5 NULLS FIRST, 6 DESC, r.rollup_id DESC LIMIT 1",
						lengthof(types), types, values) == 0)
		ereport(ERROR,
				(errcode(OidIsValid(view) ? ERRCODE_WRONG_OBJECT_TYPE : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 OidIsValid(view) ? errmsg("%s is not a view of a metric rollup", aggwin_relation_name(view))
				 : errmsg("there is no metric rollup"),
				 errhint("Make one by aggwin.create_metric_rollup().")));
	rollup->view = DatumGetObjectId(aggwin_spi_value(1, &isnull));
	rollup->pattern = quoted_column(2);
	rollup->keep = quoted_column(3);
	rollup->drop = quoted_column(4);
	rollup->grouped = rollup->keep != NULL || rollup->drop != NULL;
	check_metric(rollup, OidIsValid(view), SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5));
	check_labels_known(rollup, DatumGetBool(aggwin_spi_value(6, &isnull)), needs->each_series);
}
