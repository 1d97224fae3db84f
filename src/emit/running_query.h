/*
 * running_query.h - the part of a window's query that can be kept up to date
 */
#ifndef AGGWIN_EMIT_RUNNING_QUERY_H
#define AGGWIN_EMIT_RUNNING_QUERY_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

/*
 * One level of a query: SELECT … FROM the panes WHERE … GROUP BY …. What it is
 * computed from are the columns bucket, keys, inputs of the panes; what it comes
 * to are groups with the columns keys, aggregates.
 */
typedef struct RunningQuery
{
	List	   *keys;			/* Node * */
	List	   *key_operators;	/* Oid, equality */
	List	   *aggregates;		/* Aggref *, each different */
	List	   *inputs;			/* Node *, each different: arguments and filters */
	List	   *sort;			/* SortGroupClause *, NIL if limit is none */
	List	   *sort_exprs;		/* Node *, likewise, over the columns of groups */
	Node	   *having;			/* likewise */
	int64		limit;			/* as many groups are enough, -1: all are asked for */
	bool		with_ties;
	char	   *input_sql;		/* from the panes */
	char	   *groups_sql;		/* the query, reading running_groups() */
} RunningQuery;

/* An Aggref's arguments without those that are only sorted by, as a List of Node *. */
extern List *aggwin_running_arguments(const Aggref *aggref);
extern RunningQuery *aggwin_running_query(int32 window_id, Oid definition, Oid panes,
										  AttrNumber bucket, const char **reason);

#endif							/* AGGWIN_EMIT_RUNNING_QUERY_H */
