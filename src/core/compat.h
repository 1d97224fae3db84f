/*
 * compat.h - what differs between the server versions that aggwin supports
 *
 * PostgreSQL 15 is the oldest. Nothing outside this file asks for
 * PG_VERSION_NUM.
 */
#ifndef AGGWIN_COMPAT_H
#define AGGWIN_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "aggwin needs PostgreSQL 15 or later"
#endif

#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/relcache.h"

/* Macros that postgres.h had before PostgreSQL 16 */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * PostgreSQL 18 lets the columns of a grouped query point to an entry for the
 * grouping step; put the grouping expressions back in their place. The server's
 * flatten_group_exprs() does so, too, but forgets where in the text they stand.
 */
#if PG_VERSION_NUM >= 180000
static inline Node *
compat_group_expr_mutator(Node *node, Query *query)
{
	if (node != NULL && IsA(node, Var))
	{
		RangeTblEntry *rte = rt_fetch(((Var *) node)->varno, query->rtable);

		if (rte->rtekind == RTE_GROUP)
			return copyObject(list_nth(rte->groupexprs,
									   ((Var *) node)->varattno - 1));
	}
	return expression_tree_mutator(node, compat_group_expr_mutator, query);
}
#endif

static inline void
compat_flatten_group_exprs(Query *query)
{
#if PG_VERSION_NUM >= 180000
	ListCell   *rte;
	ListCell   *clause;
	ListCell   *expr;

	foreach(rte, query->rtable)
	{
		/* Two keys that are equal share a column, but have two places. */
		forboth(clause, query->groupClause,
				expr, lfirst_node(RangeTblEntry, rte)->groupexprs)
			get_sortgroupclause_tle(lfirst(clause), query->targetList)->expr =
			lfirst(expr);
	}
	query->targetList = (List *)
		compat_group_expr_mutator((Node *) query->targetList, query);
	query->havingQual = compat_group_expr_mutator(query->havingQual, query);
#endif
}

/* After that, the entry for the grouping step, always the last, is of no use. */
static inline void
compat_drop_group_entry(Query *query)
{
#if PG_VERSION_NUM >= 180000
	if (query->hasGroupRTE)
	{
		query->rtable = list_truncate(query->rtable, list_length(query->rtable) - 1);
		query->hasGroupRTE = false;
	}
#endif
}

/* Have a query read something else, which needs no permissions of a relation. */
static inline void
compat_set_range_table(Query *query, List *entries)
{
	query->rtable = entries;
#if PG_VERSION_NUM >= 160000
	query->rteperminfos = NIL;
#endif
}

/* May a role call a function? */
static inline bool
compat_may_execute(Oid funcid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, funcid, roleid, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(funcid, roleid, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/* A range; bounds that are out of order are an error. */
static inline RangeType *
compat_make_range(TypeCacheEntry *type, RangeBound *lower, RangeBound *upper)
{
#if PG_VERSION_NUM >= 160000
	return make_range(type, lower, upper, false, NULL);
#else
	return make_range(type, lower, upper, false);
#endif
}

/* Columns computed on read hold nothing in a transition table. */
static inline bool
compat_is_virtual_generated(char attgenerated)
{
#if PG_VERSION_NUM >= 180000
	return attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
	return false;
#endif
}

/* Does a role own a function or aggregate, or an owner's rights? */
static inline bool
compat_owns_function(Oid funcid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ProcedureRelationId, funcid, roleid);
#else
	return pg_proc_ownercheck(funcid, roleid);
#endif
}

/* The same of a relation. */
static inline bool
compat_owns_relation(Oid relid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, roleid);
#else
	return pg_class_ownercheck(relid, roleid);
#endif
}

/* One process of the server's table of them; i counts from one. */
#if PG_VERSION_NUM >= 160000
#define compat_backend_status(i) pgstat_get_local_beentry_by_index(i)
#else
#define compat_backend_status(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* Have an entry of a query's range table stand for another relation. */
static inline void
compat_set_relation(Query *query, RangeTblEntry *rte, Oid relid)
{
#if PG_VERSION_NUM >= 160000
	getRTEPermissionInfo(query->rteperminfos, rte)->relid = relid;
#endif
	rte->relid = relid;
}

/* The number of the transaction that a process is in, in its own counting. */
#if PG_VERSION_NUM >= 170000
#define compat_local_transaction(process) ((process)->vxid.lxid)
#else
#define compat_local_transaction(process) ((process)->lxid)
#endif

/* The index of a relation's primary key, InvalidOid if there is none. */
static inline Oid
compat_primary_key(Relation relation)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(relation, false);
#else
	return RelationGetPrimaryKeyIndex(relation);
#endif
}

/* Before a function that does not return; PostgreSQL 18 brings it. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* A database whose DROP was interrupted; unknown before 15.4. */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB (-2)
#endif

#endif							/* AGGWIN_COMPAT_H */
