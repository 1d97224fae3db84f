/*
 * definition.c - what a rollup is made from: a query and a name
 */
#include "postgres.h"

#include "rollup/ddl.h"

#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/view.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Positions in errors are positions in the rollup's query, the argument. */
void
aggwin_query_error_callback(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
}

/* The one SELECT that a text must be; what: of a rollup, of a window. */
SelectStmt *
aggwin_parse_query(const char *text, const char *what)
{
	List	   *statements = pg_parse_query(text);
	RawStmt    *raw;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a %s query must be one SELECT statement", what),
				 errdetail("The text has %d statements.", list_length(statements))));
	raw = linitial_node(RawStmt, statements);
	if (!IsA(raw->stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a %s query must be a SELECT statement", what),
				 errdetail("It is %s.", GetCommandTagName(CreateCommandTag(raw->stmt)))));
	return (SelectStmt *) raw->stmt;
}

/* Check the query as its author. Returns the raw tree and sets the source. */
SelectStmt *
aggwin_analyze_query(const char *text, Oid *source)
{
	SelectStmt *stmt = aggwin_parse_query(text, "rollup");
	RawStmt    *raw = makeNode(RawStmt);
	Query	   *query;

	aggwin_check_raw_query(stmt, text);
	raw->stmt = copyObject((Node *) stmt);
	query = parse_analyze_fixedparams(raw, text, NULL, 0, NULL);
	*source = aggwin_check_query(query, text);
	return stmt;
}

/*
 * The definition would go with the session, unseen by event triggers. Objects
 * that depend on temporary ones in turn are not looked for.
 */
static void
refuse_temporary(Oid definition)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(definition)};

	if (aggwin_spi_run_args("SELECT pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)"
							" FROM pg_rewrite AS w"
							" JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid"
							" CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) AS i"
							" WHERE w.ev_class = $1 AND starts_with(i.schema, 'pg_temp')",
							SPI_OK_SELECT, 1, types, values, NULL) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("a rollup query cannot use temporary functions, types or other objects"),
			 errdetail("It uses %s, which goes with the session.",
					   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
			 errhint("Create it in a schema that is not temporary.")));
}

/*
 * The definition: the query itself. It is made by its author, so that names
 * mean what they mean in the author's plain query, where the author may create
 * it, and then moved to where only a superuser may.
 */
Oid
aggwin_create_definition(const char *name, SelectStmt *stmt, const char *text,
						 const char *schema)
{
	ViewStmt   *view = makeNode(ViewStmt);
	Oid			definition;
	Sandbox		saved;

	view->view = makeRangeVar(pstrdup(schema), pstrdup(name), -1);
	view->query = (Node *) stmt;
	definition = DefineView(view, text, 0, strlen(text)).objectId;
	CommandCounterIncrement();

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run(psprintf("ALTER VIEW %s SET SCHEMA aggwin",
							aggwin_relation_name(definition)), SPI_OK_UTILITY);
	refuse_temporary(definition);
	aggwin_sandbox_leave(&saved);
	return definition;
}

/* Can there be a rollup, or window, of this name? Sets its schema. */
void
aggwin_check_new_name(RangeVar *view, const char *what)
{
	Oid			namespace = RangeVarGetAndCheckCreationNamespace(view, NoLock, NULL);

	if (strlen(view->relname) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the name \"%s\" is too long", view->relname),
				 errdetail("Names can have %d bytes at most.", NAMEDATALEN - 1),
				 strcmp(what, "rollup") == 0
				 ? errhint("Choose another name for the rollup, or add the tier with a name of its own.")
				 : errhint("Choose a shorter name for the %s.", what)));

	if (view->catalogname != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a %s cannot name a database", what)));
	if (view->relname[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a %s cannot be empty", what)));
	if (isTempOrTempToastNamespace(namespace))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("a %s cannot be temporary", what),
				 errhint("Name a schema that is not temporary.")));
	if (namespace == aggwin_schema() || IsCatalogNamespace(namespace) ||
		IsToastNamespace(namespace))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("a %s cannot be in schema %s", what,
						get_namespace_name(namespace)),
				 errhint("Name a schema of your own.")));
	if (OidIsValid(get_relname_relid(view->relname, namespace)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", view->relname)));
	if (SearchSysCacheExists2(TYPENAMENSP, CStringGetDatum(view->relname),
							  ObjectIdGetDatum(namespace)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("type \"%s\" already exists", view->relname),
				 errhint("A relation has a row type of its name; choose another one.")));
	view->schemaname = get_namespace_name(namespace);
}
