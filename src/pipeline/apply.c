/*
 * apply.c - aggwin.apply_pipelines() and aggwin.export_pipelines()
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pipeline/panes.h"
#include "pipeline/plan.h"
#include "pipeline/tables.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(aggwin_apply_pipelines);

static const char *const action_names[] = {"create", "change", "keep", "remove"};

/* Arguments, in order. */
enum
{
	ARG_RULES,
	ARG_DRY_RUN,
	ARG_PRUNE,
	ARG_SOURCE,
};

static const char *const apply_args[] = {"rules", "dry_run", "prune", "source"};

static void
check_rights(const MetricTables *tables)
{
	if (!has_privs_of_role(GetUserId(), tables->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only the owner of aggwin.samples may apply pipelines"),
				 errdetail("Pipelines read and write samples as their owner."),
				 errhint("Become a member of that role.")));
}

/* Who has applied a source before may again, and who has that role. */
static void
check_source(const char *source, Oid caller)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(source)};

	if (!aggwin_pipelines_exist())
		return;
	aggwin_spi_run_args("SELECT DISTINCT p.owner::oid FROM aggwin.pipeline AS p WHERE p.source = $1",
						SPI_OK_SELECT, lengthof(types), types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Oid			owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		if (!has_privs_of_role(caller, owner))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("source \"%s\" belongs to role %s", source, GetUserNameFromId(owner, true)),
					 errhint("Apply your pipelines as another source.")));
	}
}

static void
return_plan(ReturnSetInfo *result, List *plan)
{
	ListCell   *lc;

	foreach(lc, plan)
	{
		PlanItem   *item = lfirst(lc);
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = CStringGetTextDatum(action_names[item->action]);
		values[1] = CStringGetTextDatum(item->spec.metric);
		values[2] = CStringGetTextDatum(item->spec.promql);
		nulls[3] = item->reason == NULL;
		if (item->reason != NULL)
			values[3] = CStringGetTextDatum(item->reason);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * aggwin.apply_pipelines(rules, dry_run, prune, source): see doc/reference.md.
 */
Datum
aggwin_apply_pipelines(PG_FUNCTION_ARGS)
{
	char	   *source;
	bool		dry_run;
	MetricTables tables;
	Sandbox		saved;
	List	   *plan;
	Oid			caller = GetUserId();
	List	   *path = fetch_search_path(false);
	const char *schema = path == NIL ? NULL : get_namespace_name(linitial_oid(path));

	InitMaterializedSRF(fcinfo, 0);
	aggwin_require_args(fcinfo, lengthof(apply_args), apply_args);
	source = text_to_cstring(PG_GETARG_TEXT_PP(ARG_SOURCE));
	if (source[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"source\" must not be empty")));
	dry_run = PG_GETARG_BOOL(ARG_DRY_RUN);
	if (!dry_run)
	{
		PreventCommandIfReadOnly("aggwin.apply_pipelines()");
		if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
					 errmsg("aggwin.apply_pipelines() needs isolation level READ COMMITTED"),
					 errdetail("Series that others have just made must not be missed."),
					 errhint("Call it in a transaction of that level, or with dry_run.")));
	}
	aggwin_metric_tables(&tables);
	check_rights(&tables);

	aggwin_spi_connect();
	aggwin_sandbox_enter(&saved, tables.owner, false);
	if (!dry_run)
	{
		aggwin_lock_panes();
		aggwin_lock_creation(&tables);
		aggwin_make_pipeline_tables(&tables);
	}
	check_source(source, caller);
	plan = aggwin_make_plan(&tables, PG_GETARG_TEXT_PP(ARG_RULES), source, PG_GETARG_BOOL(ARG_PRUNE));
	if (!dry_run)
		aggwin_carry_out(&tables, plan, source, caller, schema);
	return_plan((ReturnSetInfo *) fcinfo->resultinfo, plan);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return (Datum) 0;
}
