/*
 * subtract.c - can rows be taken away from what is stored?
 *
 * Where every partial of a rollup subtracts exactly, DELETE and UPDATE append
 * deltas of the old rows with the sign changed, instead of making their buckets
 * invalid. Such partials are counts, and sums of integers and of numerics of
 * one scale:
 *
 *      n, count              -1
 *      sum, sum of squares   -x        as text, too: the scale is the same
 *      NULL                  NULL      a count tells when nothing is left
 *
 * All others are computed anew. A float sum loses what is small, (1e20 + 1) -
 * 1e20 = 0; the scale of a sum of numerics of several scales is that of one of
 * the rows; extremes, bits and summaries do not know what is left. A rollup
 * with one of these is repaired as a whole, so the others are not subtracted
 * either.
 *
 * The same goes for rollups with a key whose equal values may look different,
 * such as 1.0 and 1.00: a group keeps the looks of a row that may go.
 */
#include "postgres.h"

#include "rollup/spec.h"

#include "access/nbtree.h"
#include "access/transam.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static const char *const subtracting[] = {
	"sum", "avg", "stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop"
};

/* Have all values of the expression the same scale? */
static bool
has_fixed_scale(Node *argument)
{
	switch (exprType(argument))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return true;
		case NUMERICOID:
			return exprTypmod(argument) >= 0;
		default:
			return false;
	}
}

static bool
call_subtracts(Aggref *aggref)
{
	char	   *name = get_func_name(aggref->aggfnoid);

	if (get_func_namespace(aggref->aggfnoid) != PG_CATALOG_NAMESPACE || name == NULL)
		return false;
	if (strcmp(name, "count") == 0)
		return true;
	for (int i = 0; i < lengthof(subtracting); i++)
	{
		if (strcmp(name, subtracting[i]) == 0)
			return has_fixed_scale((Node *) linitial_node(TargetEntry, aggref->args)->expr);
	}
	return false;
}

static bool
other_call_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
		return !call_subtracts((Aggref *) node);
	return expression_tree_walker(node, other_call_walker, context);
}

/* Are equal values of the key's type the same bytes? The server knows of some. */
static bool
equal_is_same(Node *key)
{
	TypeCacheEntry *type = lookup_type_cache(exprType(key), TYPECACHE_BTREE_OPFAMILY);
	Oid			function;

	/* Blanks at the end of one without a length do not count. */
	if (!OidIsValid(type->btree_opf) ||
		(exprType(key) == BPCHAROID && exprTypmod(key) < 0))
		return false;
	function = get_opfamily_proc(type->btree_opf, type->btree_opintype,
								 type->btree_opintype, BTEQUALIMAGE_PROC);
	return OidIsValid(function) && function < FirstNormalObjectId &&
		DatumGetBool(OidFunctionCall1Coll(function, exprCollation(key),
										  ObjectIdGetDatum(type->btree_opintype)));
}

/* Can rows be taken away exactly from what is stored for this query? */
bool
aggwin_query_subtracts(Query *query, List *keys)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		if (!equal_is_same(lfirst(lc)))
			return false;
	}
	return !other_call_walker((Node *) query->targetList, NULL) &&
		!other_call_walker(query->havingQual, NULL);
}
