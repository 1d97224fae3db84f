/*
 * mergeable.c - reading the table aggwin.mergeable
 *
 * The table names functions, because nothing else outlives a dump or an upgrade
 * of the server. A name is a signature: arguments in the server's notation,
 * without spaces between them,
 *
 *   public.tally(integer,public.mood)      a function of nobody's
 *   hll_add_agg(hll_hashval,integer)       in a row whose extension is hll
 *
 * Functions and types of the row's extension stand there without a schema, as
 * the extension may be in any. Everything else has its schema, types of
 * pg_catalog excepted: those are written in the same way by all versions of the
 * server, and do not depend on search_path.
 *
 * Scans use a catalog snapshot, the latest there is (see catalog.c).
 */
#include "postgres.h"

#include "rollup/mergeable.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "core/spi_util.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/* Names ------------------------------------------------------------------- */

static void
append_type(StringInfo s, Oid type, Oid extension)
{
	Oid			element = get_element_type(type);
	Oid			base = OidIsValid(element) ? element : type;
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(base));
	const char *name = format_type_be_qualified(type);
	Oid			namespace;
	char	   *prefix;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", base);
	namespace = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);

	/* Which types of pg_catalog are qualified differs between versions. */
	if (namespace == PG_CATALOG_NAMESPACE ||
		(OidIsValid(extension) &&
		 getExtensionOfObject(TypeRelationId, base) == extension))
	{
		prefix = psprintf("%s.", quote_identifier(get_namespace_name(namespace)));
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			name += strlen(prefix);
	}
	appendStringInfoString(s, name);
}

/* What a function is called in a row of an extension, or of none. */
char *
aggwin_mergeable_name(Oid funcid, Oid extension)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Form_pg_proc form;
	StringInfoData s;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", funcid)));
	form = (Form_pg_proc) GETSTRUCT(tuple);

	initStringInfo(&s);
	if (!OidIsValid(extension) ||
		getExtensionOfObject(ProcedureRelationId, funcid) != extension)
		appendStringInfo(&s, "%s.", quote_identifier(get_namespace_name(form->pronamespace)));
	appendStringInfo(&s, "%s(", quote_identifier(NameStr(form->proname)));
	for (int i = 0; i < form->pronargs; i++)
	{
		if (i > 0)
			appendStringInfoChar(&s, ',');
		append_type(&s, form->proargtypes.values[i], extension);
	}
	appendStringInfoChar(&s, ')');
	ReleaseSysCache(tuple);
	return s.data;
}

/* The name of a function in its signature, NULL if that is none. */
static char *
function_name(const char *signature)
{
	char	   *copy = pstrdup(signature);
	bool		quoted = false;

	for (char *c = copy; *c; c++)
	{
		List	   *parts;

		if (*c == '"')
			quoted = !quoted;
		if (*c != '(' || quoted)
			continue;
		*c = '\0';
		if (!SplitIdentifierString(copy, '.', &parts) || parts == NIL)
			return NULL;
		return llast(parts);
	}
	return NULL;
}

/* The function that aggwin_mergeable_name() gives this signature. */
static Oid
function_of(const char *signature, Oid extension)
{
	char	   *name = function_name(signature);
	Oid			found = InvalidOid;
	CatCList   *candidates;

	if (name == NULL)
		return InvalidOid;
	candidates = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	for (int i = 0; i < candidates->n_members && !OidIsValid(found); i++)
	{
		HeapTuple	tuple = &candidates->members[i]->tuple;
		Oid			funcid = ((Form_pg_proc) GETSTRUCT(tuple))->oid;

		if (strcmp(aggwin_mergeable_name(funcid, extension), signature) == 0)
			found = funcid;
	}
	ReleaseSysCacheList(candidates);
	return found;
}

/* Rows -------------------------------------------------------------------- */

static char *
text_column(HeapTuple tuple, AttrNumber attno, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attno, desc, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Mergeable *
read_row(HeapTuple tuple, TupleDesc desc)
{
	Mergeable  *row = palloc0(sizeof(Mergeable));
	bool		isnull;
	Datum		value;

	value = heap_getattr(tuple, Anum_mergeable_extension, desc, &isnull);
	if (!isnull)
		row->extension = pstrdup(NameStr(*DatumGetName(value)));
	row->aggregate_name = text_column(tuple, Anum_mergeable_aggregate, desc);
	row->stored_name = text_column(tuple, Anum_mergeable_stored, desc);
	row->merge_name = text_column(tuple, Anum_mergeable_merge, desc);
	row->final_name = text_column(tuple, Anum_mergeable_final, desc);
	row->exact_name = text_column(tuple, Anum_mergeable_exact, desc);
	value = heap_getattr(tuple, Anum_mergeable_constants, desc, &isnull);
	row->constants = aggwin_text_list(DatumGetArrayTypeP(value));
	row->preset = DatumGetBool(heap_getattr(tuple, Anum_mergeable_preset, desc, &isnull));
	return row;
}

/* The strings of an array of text that has no NULL in it. */
List *
aggwin_text_list(ArrayType *array)
{
	List	   *strings = NIL;
	Datum	   *elements;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		strings = lappend(strings, TextDatumGetCString(elements[i]));
	return strings;
}

/* Find out what the names of a row mean. */
static void
resolve(Mergeable *row)
{
	Oid			extension = InvalidOid;

	if (row->extension != NULL)
	{
		extension = get_extension_oid(row->extension, true);
		if (!OidIsValid(extension))
			return;
	}
	row->aggregate = function_of(row->aggregate_name, extension);
	row->stored = function_of(row->stored_name, extension);
	row->merge = function_of(row->merge_name, extension);
	if (row->final_name != NULL)
		row->final = function_of(row->final_name, extension);
	if (row->exact_name != NULL)
		row->exact = function_of(row->exact_name, extension);
}

/* What was registered, presets excepted. */
List *
aggwin_registered_mergeables(void)
{
	Relation	rel = table_open(aggwin_relid("mergeable"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *rows = NIL;
	HeapTuple	tuple;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		/* Asked after each DROP: presets are many. */
		if (!DatumGetBool(heap_getattr(tuple, Anum_mergeable_preset, RelationGetDescr(rel), &isnull)))
			rows = lappend(rows, read_row(tuple, RelationGetDescr(rel)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	foreach(lc, rows)
		resolve(lfirst(lc));
	return rows;
}

static bool
same_extension(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* How an aggregate merges, NULL if nobody has said so. */
Mergeable *
aggwin_find_mergeable(Oid aggregate)
{
	Oid			extension = getExtensionOfObject(ProcedureRelationId, aggregate);
	char	   *extension_name = OidIsValid(extension) ? get_extension_name(extension) : NULL;
	char	   *name = aggwin_mergeable_name(aggregate, extension);
	Relation	rel = table_open(aggwin_relid("mergeable"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	Mergeable  *found = NULL;
	HeapTuple	tuple;

	while (found == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Mergeable  *row = read_row(tuple, RelationGetDescr(rel));

		if (same_extension(row->extension, extension_name) &&
			strcmp(row->aggregate_name, name) == 0)
			found = row;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (found != NULL)
		resolve(found);
	return found;
}

/* Does every name of the row mean something? */
bool
aggwin_mergeable_is_whole(const Mergeable *row)
{
	return OidIsValid(row->aggregate) && OidIsValid(row->stored) &&
		OidIsValid(row->merge) && (row->final_name == NULL || OidIsValid(row->final)) &&
		(row->exact_name == NULL || OidIsValid(row->exact));
}
