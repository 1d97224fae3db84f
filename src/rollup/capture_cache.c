/*
 * capture_cache.c - what a backend knows about the rollups of a table
 *
 * An entry is built at the first statement on a source, or on a partition of
 * one that the statement names, and serves until something changes that it was
 * derived from: the table, what it is a partition of or a relation of the
 * rollup (relcache), or a function, operator, schema, type, label of an enum
 * or collation that its SQL names (syscache). An entry in use is only marked;
 * it is rebuilt at its next use from outside.
 *
 * Functions of the rollups' queries run while an entry is built, and while it
 * is used, and may write into the source themselves. The latter finds the same
 * entry; the former is an error.
 *
 * The columns of a partition have the names and types of the source's, but
 * their places may differ. So expressions are parsed over the partition's own
 * row type.
 */
#include "postgres.h"

#include "rollup/capture_cache.h"

#include "access/transam.h"
#include "catalog/partition.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/syscache.h"

static HTAB *sources = NULL;

/* Invalidation ------------------------------------------------------------ */

static bool
mentions(const SourceCapture *entry, Oid relid)
{
	ListCell   *lc;

	if (relid == InvalidOid || relid == entry->table ||
		list_member_oid(entry->ancestors, relid))
		return true;
	foreach(lc, entry->rollups)
	{
		const RollupRow *row = &((RollupCapture *) lfirst(lc))->row;

		if (relid == row->view || relid == row->definition ||
			relid == row->state || relid == row->delta || relid == row->invalid)
			return true;
	}
	return false;
}

static void
on_relcache(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	SourceCapture *entry;

	hash_seq_init(&status, sources);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (mentions(entry, relid))
			entry->valid = false;
	}
}

/*
 * Types come and go with every temporary table; only entries that mention
 * types made by users care.
 */
static void
on_syscache(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	SourceCapture *entry;
	ListCell   *lc;

	hash_seq_init(&status, sources);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (cacheid != TYPEOID)
			entry->valid = false;
		foreach(lc, entry->rollups)
		{
			if (((RollupCapture *) lfirst(lc))->custom_types)
				entry->valid = false;
		}
	}
}

static void
init_cache(void)
{
	HASHCTL		ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(SourceCapture),
		.hcxt = CacheMemoryContext,
	};

	sources = hash_create("aggwin sources", 16, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(on_relcache, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, on_syscache, (Datum) 0);
	CacheRegisterSyscacheCallback(OPEROID, on_syscache, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_syscache, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, on_syscache, (Datum) 0);
	CacheRegisterSyscacheCallback(ENUMOID, on_syscache, (Datum) 0);
	CacheRegisterSyscacheCallback(COLLOID, on_syscache, (Datum) 0);
}

/* Building ---------------------------------------------------------------- */

/* Written by a user, or in a language whose calls keep state of their own. */
static bool
foreign_function(Oid funcid, void *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Form_pg_proc form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", funcid);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	result = (form->prolang != INTERNALlanguageId && form->prolang != ClanguageId) ||
		(funcid >= FirstNormalObjectId && form->pronamespace != aggwin_schema());
	ReleaseSysCache(tuple);
	return result;
}

/* Immutable to the server, though a setting says what an abbreviation means. */
static bool
takes_zone_name(Oid funcid, void *context)
{
	Oid		   *types;
	int			count;

	if (funcid == F_TIMEZONE_TEXT_TIMESTAMP || funcid == F_TIMEZONE_TEXT_TIMESTAMPTZ ||
		funcid == F_TIMEZONE_TEXT_TIMETZ)
		return true;
	if (get_func_namespace(funcid) != aggwin_schema())
		return false;
	(void) get_func_signature(funcid, &types, &count);
	for (int i = 0; i < count; i++)
	{
		if (types[i] == TEXTOID)
			return true;
	}
	return false;
}

static bool
foreign_walker(Node *node, RollupCapture *rollup)
{
	if (node == NULL)
		return false;
	if (!IsA(node, List) && exprType(node) >= FirstNormalObjectId)
		rollup->custom_types = true;
	if (IsA(node, CoerceToDomain) ||
		check_functions_in_node(node, foreign_function, NULL))
		rollup->builtin_only = false;
	if (check_functions_in_node(node, takes_zone_name, NULL))
		rollup->depends_on_settings = true;
	return expression_tree_walker(node, foreign_walker, rollup);
}

/*
 * Parse the row path's expressions; they read a row of the source as scan
 * tuple. They are parsed over the transition table, not over the source by its
 * name: the rollup's owner may have lost the source's schema, which is no
 * reason for an inserter's statement to fail.
 */
static void
parse_expressions(RollupCapture *rollup, Oid table)
{
	char	   *sql = aggwin_sql_row(rollup->spec);
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(sql));
	EphemeralNamedRelation rows = palloc0(sizeof(EphemeralNamedRelationData));
	QueryEnvironment *environment = create_queryEnv();
	List	   *expressions = NIL;
	Query	   *query;
	ListCell   *lc;

	rows->md.name = AGGWIN_NEW_ROWS;
	rows->md.reliddesc = table;
	rows->md.enrtype = ENR_NAMED_TUPLESTORE;
	rows->md.enrtuples = 1;
	register_ENR(environment, rows);
	query = parse_analyze_fixedparams(raw, sql, NULL, 0, environment);

	foreach(lc, query->targetList)
		expressions = lappend(expressions, lfirst_node(TargetEntry, lc)->expr);
	rollup->columns = list_length(expressions) - 1;
	rollup->types = palloc(sizeof(Oid) * rollup->columns);
	for (int i = 0; i < rollup->columns; i++)
		rollup->types[i] = exprType(list_nth(expressions, i));

	rollup->builtin_only = true;
	(void) foreign_walker((Node *) expressions, rollup);
	rollup->cached = GetCachedExpression((Node *) expressions);
	rollup->infallible = aggwin_infallible((List *) rollup->cached->expr);
}

/*
 * The row path's expressions, to be used as the rollup's owner if they are not
 * kept. States of functions that a user has written may not live longer than a
 * transaction, so these are made anew, in the current context.
 */
RowExpressions *
aggwin_row_expressions(RollupCapture *rollup)
{
	RowExpressions *expressions;
	int			i = 0;
	ListCell   *lc;

	if (rollup->kept != NULL)
		return rollup->kept;

	expressions = palloc(sizeof(RowExpressions));
	expressions->econtext = CreateStandaloneExprContext();
	expressions->states = palloc(sizeof(ExprState *) * (rollup->columns + 1));
	foreach(lc, (List *) rollup->cached->expr)
		expressions->states[i++] = ExecInitExpr(lfirst(lc), NULL);
	return expressions;
}

static void
release(SourceCapture *entry)
{
	ListCell   *lc;

	foreach(lc, entry->rollups)
	{
		RollupCapture *rollup = lfirst(lc);

		if (rollup->cached != NULL)
			FreeCachedExpression(rollup->cached);
		if (rollup->batch != NULL)
			SPI_freeplan(rollup->batch);
		if (rollup->batch_of_old != NULL)
			SPI_freeplan(rollup->batch_of_old);
		if (rollup->touched_by_update != NULL)
			SPI_freeplan(rollup->touched_by_update);
		if (rollup->touched_by_delete != NULL)
			SPI_freeplan(rollup->touched_by_delete);
	}
	entry->rollups = NIL;
	entry->ancestors = NIL;
	if (entry->context != NULL)
		MemoryContextDelete(entry->context);
	entry->context = NULL;
}

/* The columns of a table that have the names of these of the source. */
static Bitmapset *
columns_of(Oid table, Oid source, const Bitmapset *columns)
{
	Bitmapset  *result = NULL;
	int			column = -1;

	if (table == source)
		return bms_copy(columns);
	while ((column = bms_next_member(columns, column)) >= 0)
	{
		char	   *name = get_attname(source, column, false);
		AttrNumber	attno = get_attnum(table, name);

		if (attno == InvalidAttrNumber)
			elog(ERROR, "partition %u lacks column \"%s\"", table, name);
		result = bms_add_member(result, attno);
	}
	return result;
}

/*
 * The rollups that a change of the table counts for. A table that is not a
 * partition any more, or is about to be detached, has no ancestors.
 */
static List *
rollups_of(SourceCapture *entry)
{
	List	   *rows = aggwin_rollups_of(entry->table);
	ListCell   *lc;

	if (get_rel_relispartition(entry->table))
		entry->ancestors = get_partition_ancestors(entry->table);
	foreach(lc, entry->ancestors)
		rows = list_concat(rows, aggwin_rollups_of(lfirst_oid(lc)));
	return rows;
}

static void
build(SourceCapture *entry)
{
	MemoryContext old_context;
	List	   *rows;
	ListCell   *lc;

	/* Whatever is invalidated from here on is found again by the next use. */
	entry->valid = true;
	entry->context = AllocSetContextCreate(CacheMemoryContext, "aggwin source",
										   ALLOCSET_SMALL_SIZES);
	old_context = MemoryContextSwitchTo(entry->context);
	rows = rollups_of(entry);
	foreach(lc, rows)
	{
		RollupCapture *rollup;
		Sandbox		saved;
		ListCell   *key;

		if (!aggwin_rollup_is_whole(lfirst(lc)))
			continue;
		rollup = palloc0(sizeof(RollupCapture));
		rollup->row = *(RollupRow *) lfirst(lc);
		rollup->owner = aggwin_rollup_owner(&rollup->row);
		rollup->name = aggwin_relation_name(rollup->row.view);
		entry->rollups = lappend(entry->rollups, rollup);

		aggwin_sandbox_enter(&saved, rollup->owner, true);
		rollup->spec = aggwin_load_spec(rollup->row.definition);
		/* Each row is late or not, however many come together. */
		rollup->spec->each_time = rollup->row.drops_late;
		rollup->read = columns_of(entry->table, rollup->spec->source,
								  rollup->spec->columns);
		foreach(key, rollup->spec->keys)
		{
			if (get_typlen(exprType(lfirst(key))) == -1)
				rollup->varlena_keys = true;
		}
		parse_expressions(rollup, entry->table);
		/* What a user has written may be written anew, and give other values. */
		rollup->subtracts = rollup->spec->subtracts && rollup->row.counts_all &&
			rollup->builtin_only;
		if (rollup->builtin_only)
			rollup->kept = aggwin_row_expressions(rollup);
		aggwin_sandbox_leave(&saved);
	}
	MemoryContextSwitchTo(old_context);
}

static bool
expressions_valid(const SourceCapture *entry)
{
	ListCell   *lc;

	foreach(lc, entry->rollups)
	{
		if (!((RollupCapture *) lfirst(lc))->cached->is_valid)
			return false;
	}
	return true;
}

/* The entry of a table, fit for use. The caller counts its use in in_use. */
SourceCapture *
aggwin_source_capture(Oid table)
{
	SourceCapture *entry;
	bool		found;

	if (sources == NULL)
		init_cache();
	entry = hash_search(sources, &table, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->building = false;
		entry->in_use = 0;
		entry->context = NULL;
		entry->ancestors = NIL;
		entry->rollups = NIL;
	}

	if (entry->building)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("a function of a rollup's query writes to the rollup's source \"%s\" while the query is planned",
						get_rel_name(table)),
				 errhint("Functions that are declared IMMUTABLE must not write.")));
	if (entry->in_use == 0 && !(entry->valid && expressions_valid(entry)))
	{
		release(entry);
		entry->building = true;
		PG_TRY();
		{
			build(entry);
		}
		PG_CATCH();
		{
			entry->building = false;
			entry->valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		entry->building = false;
	}
	return entry;
}
