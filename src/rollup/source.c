/*
 * source.c - which tables a rollup can be made of
 *
 * Refused are relations whose changes capture would not see, or not see in
 * full. Asked when a rollup is created and after each change of its source. A
 * partitioned table is a source with all its partitions, on every level.
 */
#include "postgres.h"

#include "rollup/spec.h"

#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "core/spi_util.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static void
refuse_source(Relation rel, const char *what, const char *detail,
			  const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("%s \"%s\" cannot be the source of a rollup", what,
					RelationGetRelationName(rel)),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}

static void
refuse_partition(Oid relid, const char *what, const char *detail,
				 const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("%s \"%s\" cannot be a partition of the source of a rollup",
					what, get_rel_name(relid)),
			 errdetail("%s", detail),
			 hint ? errhint("%s", hint) : 0));
}

/* An error unless the table can be a partition of a source, on any level. */
static void
check_partition(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	FormData_pg_class form;

	/* Dropped meanwhile, where no lock keeps it. */
	if (!HeapTupleIsValid(tuple))
		return;
	form = *(Form_pg_class) GETSTRUCT(tuple);
	ReleaseSysCache(tuple);

	if (form.relkind == RELKIND_FOREIGN_TABLE)
		refuse_partition(relid, "foreign table",
						 "Changes made on the foreign server fire no triggers here.", NULL);
	if (form.relpersistence == RELPERSISTENCE_UNLOGGED)
		refuse_partition(relid, "unlogged table",
						 "A crash empties the table but not the rollup.",
						 "Use ALTER TABLE … SET LOGGED.");
	if (form.relrowsecurity)
		refuse_partition(relid, "table with row-level security",
						 "The rollup would show aggregates of rows that its readers may not see.",
						 NULL);
}

/*
 * An error unless a table can be a partition of a source, with all partitions
 * of its own. Nothing is locked.
 */
void
aggwin_check_partition(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
		check_partition(lfirst_oid(lc));
}

/* An error unless relid can be a source, with all its partitions. */
void
aggwin_check_source(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			refuse_source(rel, "view", "Rows are inserted into tables only.",
						  "Create the rollup on the table below the view.");
			break;
		case RELKIND_MATVIEW:
			refuse_source(rel, "materialized view",
						  "Rows are inserted into tables only.",
						  "Create the rollup on the table below the view.");
			break;
		case RELKIND_FOREIGN_TABLE:
			refuse_source(rel, "foreign table",
						  "Changes made on the foreign server fire no triggers here.",
						  NULL);
			break;
		default:
			refuse_source(rel, "relation", NULL, NULL);
			break;
	}

	if (IsSystemRelation(rel))
		refuse_source(rel, "system catalog", NULL, NULL);
	if (RelationGetNamespace(rel) == aggwin_schema() &&
		strcmp(RelationGetRelationName(rel), "samples") != 0)
		refuse_source(rel, "table of the extension", NULL, NULL);
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		refuse_source(rel, "temporary table",
					  "Only its own session could read it.", NULL);
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		refuse_source(rel, "unlogged table",
					  "A crash empties the table but not the rollup.",
					  "Use ALTER TABLE … SET LOGGED.");
	if (rel->rd_rel->relispartition)
		refuse_source(rel, "partition",
					  "Rows inserted through the partitioned table would not be seen.",
					  "Create the rollup on the partitioned table.");
	if (rel->rd_rel->relkind == RELKIND_RELATION &&
		(has_superclass(relid) || find_inheritance_children(relid, NoLock) != NIL))
		refuse_source(rel, "inherited table",
					  "Rows inserted into a table that inherits would not be seen.",
					  NULL);
	if (rel->rd_rel->relrowsecurity)
		refuse_source(rel, "table with row-level security",
					  "The rollup would show aggregates of rows that its readers may not see.",
					  NULL);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		ListCell   *lc;

		foreach(lc, find_inheritance_children(relid, NoLock))
			aggwin_check_partition(lfirst_oid(lc));
	}
	relation_close(rel, AccessShareLock);
}
