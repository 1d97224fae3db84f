/*
 * add_column.c - adding a column to a rollup that exists
 *
 * The query becomes another one, with one more target: there is a new
 * definition, and what the new aggregates need is added behind the partials of
 * state and delta, at all levels. Nothing is computed here. Everything becomes
 * invalid, so the views answer from the source until folds have repaired it,
 * as they backfill a new rollup.
 *
 *      state   bucket  k1  n  p1 │ p2           p2 is NULL, and everything invalid
 *      delta   …  n  latest   p1 │ p2           writers fill it from now on
 *      view    time  host  count │ top
 *
 * A reader whose snapshot is older than that does not see that everything is
 * invalid, but meets the new views. Each view therefore knows the generation it
 * belongs to, and a reader who sees an older one in aggwin.tier takes
 * everything for invalid.
 *
 * Locking: the rollup's own lock; the source and its partitions as
 * create_rollup() locks them, which keeps away writers that would append
 * deltas without the new column; then the views, the first that a reader locks.
 */
#include "postgres.h"

#include "rollup/ddl.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "rewrite/rewriteManip.h"
#include "rewrite/rewriteHandler.h"
#include "rollup/capture_write.h"
#include "rollup/counted.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(aggwin_add_column);

/* The query with the new column: two texts, one behind the other. */
typedef struct Extension
{
	const char *target;			/* SELECT expression */
	const char *text;			/* that, and the query so far */
	SelectStmt *stmt;
} Extension;

/* The new query ----------------------------------------------------------- */

/* Positions in errors are positions in the expression. */
static void
expression_error_callback(void *arg)
{
	const Extension *extension = arg;
	int			position = geterrposition();

	if (position > 0 && position <= pg_mbstrlen(extension->target) + 1)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(extension->target);
	}
}

/* "*" or "table.*" */
static bool
is_star(Node *node)
{
	return IsA(node, ColumnRef) && IsA(llast(((ColumnRef *) node)->fields), A_Star);
}

/* The one target of "SELECT expression". */
static ResTarget *
parse_target(const char *text)
{
	List	   *statements = pg_parse_query(text);
	SelectStmt *stmt = NULL;
	SelectStmt *plain = makeNode(SelectStmt);
	ResTarget  *target = NULL;

	if (list_length(statements) == 1 &&
		IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
	{
		stmt = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
		plain->targetList = stmt->targetList;
	}
	if (list_length(plain->targetList) == 1)
		target = linitial_node(ResTarget, plain->targetList);
	if (target == NULL || !equal(stmt, plain) || target->name != NULL || is_star(target->val))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("argument \"expression\" must be one expression"),
				 errhint("Write it as in the SELECT list of a rollup query, without AS, and nothing else.")));
	return target;
}

/*
 * The definition's query with one more target, as its owner would write it in
 * this session: the caller's search_path tells what names mean.
 */
static void
extend_query(Extension *extension, Oid definition, const char *name,
			 const char *expression)
{
	Relation	view = relation_open(definition, AccessShareLock);
	Query	   *query = copyObject(get_view_query(view));
	char	   *before;
	char	   *padding;
	ResTarget  *target;

	relation_close(view, AccessShareLock);
	extension->target = psprintf("SELECT %s", expression);
	target = parse_target(extension->target);
	target->name = pstrdup(name);

	/* Both are parsed by themselves, and have their places in one text. */
	before = pg_get_querydef(query, false);
	extension->text = psprintf("%s\n%s", extension->target, before);
	padding = palloc(strlen(extension->target) + 2);
	memset(padding, ' ', strlen(extension->target) + 1);
	padding[strlen(extension->target) + 1] = '\0';
	extension->stmt = castNode(SelectStmt,
							   linitial_node(RawStmt, pg_parse_query(psprintf("%s%s", padding, before)))->stmt);
	extension->stmt->targetList = lappend(extension->stmt->targetList, target);
}

static void
check_query(const Extension *extension, Oid source)
{
	RawStmt    *raw = makeNode(RawStmt);
	Query	   *query;
	TargetEntry *added = NULL;
	ListCell   *lc;

	aggwin_check_raw_query(extension->stmt, extension->text);
	raw->stmt = copyObject((Node *) extension->stmt);
	query = parse_analyze_fixedparams(raw, extension->text, NULL, 0, NULL);
	if (aggwin_check_query(query, extension->text) != source)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the query of the rollup names another table than its source"),
				 errdetail("Another session has renamed a table at the same time."),
				 errhint("Try again.")));
	foreach(lc, query->targetList)
	{
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			added = lfirst(lc);
	}
	if (!contain_aggs_of_level((Node *) added->expr, 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the expression of a new column must have an aggregate"),
				 errdetail("What a rollup groups by cannot be changed."),
				 errhint("Create another rollup to group otherwise.")));
}

/*
 * A definition in the place of that of the rollup, made as its owner. Names
 * are looked up in the session's search_path, so this is no sandbox, but as
 * restricted as one.
 */
static Oid
replace_definition(RollupRow *row, Oid owner, const char *name, const char *expression)
{
	char	   *definition = psprintf("_definition_%d", row->rollup_id);
	Oid			types[] = {INT4OID, OIDOID};
	Datum		values[2];
	Extension	extension;
	ErrorContextCallback callback;
	Oid			old = row->definition;
	Oid			user;
	int			sec_context;
	int			guc_level;
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run(psprintf("ALTER VIEW aggwin.%s RENAME TO %s_old", definition, definition),
				   SPI_OK_UTILITY);
	aggwin_sandbox_leave(&saved);
	CommandCounterIncrement();

	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(owner, sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	guc_level = NewGUCNestLevel();
	extension.target = extension.text = psprintf("SELECT %s", expression);
	callback.previous = error_context_stack;
	callback.callback = expression_error_callback;
	callback.arg = &extension;
	error_context_stack = &callback;
	extend_query(&extension, old, name, expression);
	check_query(&extension, row->source);
	row->definition = aggwin_create_definition(psprintf("_definition_%d", row->rollup_id), extension.stmt, extension.text,
											   get_namespace_name(get_rel_namespace(row->view)));
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, sec_context);

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	values[0] = Int32GetDatum(row->rollup_id);
	values[1] = ObjectIdGetDatum(row->definition);
	aggwin_spi_run_args("UPDATE aggwin.rollup SET definition = $2 WHERE rollup_id = $1",
						SPI_OK_UPDATE, 2, types, values, NULL);
	aggwin_spi_run_args("UPDATE aggwin.tier SET generation = generation + 1"
						" WHERE rollup_id = $1 AND level = 0 AND $2 IS NOT NULL",
						SPI_OK_UPDATE, 2, types, values, NULL);
	CommandCounterIncrement();
	aggwin_spi_run(psprintf("DROP VIEW aggwin.%s_old", definition), SPI_OK_UTILITY);
	aggwin_sandbox_leave(&saved);
	return row->definition;
}

/* Tables ------------------------------------------------------------------ */

/* The definition of a partial's column, as the rollup's owner. */
static char *
partial_column(const RollupSpec *spec, const RollupNames *names, int number)
{
	char	   *sql = aggwin_sql_empty_partial(spec, names, number);
	Oid			type;

	aggwin_spi_run(psprintf("%s LIMIT 0", sql), SPI_OK_SELECT);
	type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
	/* The server would write the tables anew, which older readers cannot see. */
	if (get_typtype(type) == TYPTYPE_DOMAIN && DomainHasConstraints(type))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a new column of a rollup cannot be stored as a domain with constraints"),
				 errdetail("Its expression has an aggregate that is stored as %s.", format_type_be(type)),
				 errhint("Cast to the type that the domain is made of.")));
	return aggwin_column_definitions(sql);
}

static void
add_partials(const RollupNames *names, List *columns)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	foreach(lc, columns)
		appendStringInfo(&s, "%s ADD %s", lc == list_head(columns) ? "" : ",", (char *) lfirst(lc));
	foreach(lc, names->tiers)
	{
		const Tier *tier = lfirst(lc);

		aggwin_spi_run(psprintf("ALTER TABLE %s%s", tier->state, s.data), SPI_OK_UTILITY);
		aggwin_spi_run(psprintf("ALTER TABLE %s%s", tier->delta, s.data), SPI_OK_UTILITY);
	}
	CommandCounterIncrement();
}

/* Views ------------------------------------------------------------------- */

static void
refuse_name(const char *name, Oid view)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("column \"%s\" of rollup %s already exists", name, aggwin_relation_name(view))));
}

static void
check_name(const RollupSpec *spec, const RollupNames *names, const char *name)
{
	ListCell   *lc;

	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a column cannot be empty")));
	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the name \"%s\" is too long", name),
				 errdetail("Names can have %d bytes at most.", NAMEDATALEN - 1)));
	foreach(lc, names->tiers)
	{
		Oid			view = ((Tier *) lfirst(lc))->view_relid;

		if (get_attnum(view, name) != InvalidAttrNumber)
			refuse_name(name, view);
	}
	/* A column of the view may have been renamed. */
	foreach(lc, spec->targets)
	{
		if (strcmp(lfirst_node(TargetEntry, lc)->resname, name) == 0)
			refuse_name(name, aggwin_tier(names, 0)->view_relid);
	}
}

/* "name (columns) WITH (options)": as the view is, and with one more column. */
static char *
view_head(Oid view, int columns, const char *added)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(view)};
	StringInfoData s;
	char	   *options;

	initStringInfo(&s);
	appendStringInfoString(&s, aggwin_relation_name(view));
	for (int i = 1; i <= columns; i++)
		appendStringInfo(&s, "%s%s", i == 1 ? " (" : ", ",
						 quote_identifier(get_attname(view, i, false)));
	if (added != NULL)
		appendStringInfo(&s, "%s%s", columns == 0 ? " (" : ", ", quote_identifier(added));
	appendStringInfoChar(&s, ')');

	aggwin_spi_run_args("SELECT string_agg(quote_ident(o.option_name) || ' = ' || quote_literal(o.option_value), ', ')"
						" FROM pg_class AS c, pg_options_to_table(c.reloptions) AS o WHERE c.oid = $1",
						SPI_OK_SELECT, 1, types, values, NULL);
	options = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (options != NULL)
		appendStringInfo(&s, " WITH (%s)", options);
	return s.data;
}

static void
replace_views(const RollupSpec *before, const RollupSpec *spec,
			  const RollupNames *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names->tiers)
	{
		const Tier *tier = lfirst(lc);
		int			columns = list_length(aggwin_tier_targets(before, tier));
		bool		grows = list_length(aggwin_tier_targets(spec, tier)) > columns;

		aggwin_replace_view(tier->view_relid,
							psprintf("CREATE OR REPLACE VIEW %s AS %s",
									 view_head(tier->view_relid, columns, grows ? name : NULL),
									 aggwin_sql_view(spec, names, tier->level)));
	}
}

/* Public ------------------------------------------------------------------ */

/* The aggregate calls of an expression that are not in a list yet. */
static List *
add_calls(List *calls, Node *expression)
{
	ListCell   *lc;

	foreach(lc, pull_var_clause(expression, PVC_INCLUDE_AGGREGATES | PVC_RECURSE_PLACEHOLDERS))
	{
		if (IsA(lfirst(lc), Aggref))
			calls = list_append_unique(calls, lfirst(lc));
	}
	return calls;
}

/*
 * What is stored already must mean the same. A query that is written out and
 * read again is the same, but not always node for node: if calls that were two
 * became one, those behind them would be stored elsewhere.
 */
static void
check_stored(const RollupSpec *before, const RollupSpec *spec, Oid view)
{
	List	   *calls = add_calls(NIL, spec->having);
	bool		same;
	ListCell   *old;
	ListCell   *new;

	foreach(new, spec->targets)
	{
		if (new != list_tail(spec->targets))
			calls = add_calls(calls, (Node *) lfirst_node(TargetEntry, new)->expr);
	}
	same = list_length(calls) == list_length(before->finals);
	forboth(old, before->finals, new, spec->finals)
		same = same && strcmp(((AggregateFinal *) lfirst(old))->text,
							  ((AggregateFinal *) lfirst(new))->text) == 0;
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot add a column to rollup %s", aggwin_relation_name(view)),
				 errdetail("Aggregates of its query that are written differently mean the same."),
				 errhint("Create the rollup anew.")));
}

static void
lock(int32 rollup_id, Oid view, RollupRow *row)
{
	ListCell   *lc;

	aggwin_lock_rollup(rollup_id);
	aggwin_get_rollup(rollup_id, row);
	if (row->view != view)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is a tier of a rollup", aggwin_relation_name(view)),
				 errhint("Add the column to the rollup: all of its tiers get it.")));
	LockRelationOid(row->source, ShareRowExclusiveLock);
	(void) find_all_inheritors(row->source, ShareRowExclusiveLock, NULL);
	foreach(lc, aggwin_tiers_of(row))
		LockRelationOid(((Tier *) lfirst(lc))->view_relid, AccessExclusiveLock);
}

/* aggwin.add_column(rollup, name, expression): see doc/reference.md. */
Datum
aggwin_add_column(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"rollup", "name", "expression"};
	int32		rollup_id;
	RollupRow	row;
	RollupNames names;
	RollupSpec *before;
	RollupSpec *spec;
	Oid			owner;
	char	   *name;
	List	   *columns = NIL;
	Sandbox		saved;

	PreventCommandIfReadOnly("aggwin.add_column()");
	aggwin_require_args(fcinfo, lengthof(required), required);
	rollup_id = aggwin_rollup_of_view(PG_GETARG_OID(0), true);
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	lock(rollup_id, PG_GETARG_OID(0), &row);
	owner = aggwin_rollup_owner(&row);
	names = aggwin_rollup_names(&row);

	aggwin_spi_connect();
	aggwin_sandbox_enter(&saved, owner, true);
	before = aggwin_load_spec(row.definition);
	aggwin_sandbox_leave(&saved);
	check_name(before, &names, name);
	replace_definition(&row, owner, name, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	names = aggwin_rollup_names(&row);

	/* Whatever the expression's functions do, they do as the rollup's owner. */
	aggwin_sandbox_enter(&saved, owner, true);
	spec = aggwin_load_spec(row.definition);
	/* Its names were looked up a second time. */
	if (spec->source != row.source)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the rollup query named another table a moment ago")));
	check_stored(before, spec, row.view);
	for (int i = 1; i < list_length(names.tiers); i++)
		aggwin_check_tier_keys(spec, aggwin_tier(&names, i), aggwin_tier(&names, i - 1));
	aggwin_spi_run(psprintf("SELECT * FROM %s LIMIT 0", aggwin_relation_name(row.definition)),
				   SPI_OK_SELECT);
	for (int i = list_length(before->partials) + 1; i <= list_length(spec->partials); i++)
		columns = lappend(columns, partial_column(spec, &names, i));
	/* As owner: the server may run what users have attached to tables or types. */
	if (columns != NIL)
		add_partials(&names, columns);
	aggwin_sandbox_leave(&saved);

	aggwin_sandbox_enter(&saved, owner, false);
	replace_views(before, spec, &names, name);
	aggwin_sandbox_leave(&saved);

	if (columns != NIL)
	{
		aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
		aggwin_counts_not_in(&row, InvalidOid, 0, true);
		aggwin_sandbox_leave(&saved);
		aggwin_invalid_write_all(row.invalid);
	}
	CacheInvalidateRelcacheByRelid(row.source);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}
