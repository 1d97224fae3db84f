/*
 * spec.h - what a rollup computes, as read from its definition
 *
 * A spec is derived from the parse tree of the definition view, never from
 * text, and holds the SQL fragments that capture, fold, repair and the
 * rollup's view are put together from. In all fragments the source goes by
 * the alias "e" and the merged partials by "u".
 *
 * Where the time key is a session, "bucket" stands for its range.
 */
#ifndef AGGWIN_SPEC_H
#define AGGWIN_SPEC_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

/* How the types that can hold event time are written in SQL. */
typedef struct TimeType
{
	Oid			type;
	const char *name;
	const char *range;
	const char *multirange;
	const char *lowest;			/* no value is less */
	const char *highest;		/* no value is greater */
	const char *clock;			/* the present on this scale, NULL for integers */
} TimeType;

/* One stored column that the aggregates of a query are answered from. */
typedef struct Partial
{
	char	   *aggregate;		/* over rows of the source */
	char	   *row;			/* the same for a single row, no aggregate;
								 * NULL of its type if the spec is batch_only */
	const char *merge;			/* name of the aggregate that merges stored values */
	const char *combine;		/* format of two stored values, may be NULL each */
	const char *exact;			/* name of the function that says of a merged
								 * value whether it is what all rows would have
								 * given; NULL: it always is */
} Partial;

/* An aggregate call of the query and how to answer it from merged partials. */
typedef struct AggregateFinal
{
	Aggref	   *aggref;
	char	   *text;
} AggregateFinal;

typedef struct RollupSpec
{
	Oid			source;
	const TimeType *time;
	List	   *keys;			/* Node *, the bucket first */
	List	   *key_texts;		/* char *, likewise */
	Node	   *event_time_expr;	/* the time_bucket call's argument */
	char	   *event_time;		/* likewise */
	char	   *bucket_args;	/* format: arguments for time %1$s, width %2$s */
	char	   *bucket_width;	/* of the base, SQL literal */
	Oid			width_type;
	char	   *gap;			/* of sessions, SQL literal; NULL: buckets of a width */
	bool		each_time;		/* rows of each time stay apart, see capture */
	char	   *where;			/* NULL: all rows */
	List	   *partials;		/* Partial * */
	bool		batch_only;		/* a row's partials are known to aggregates only */
	List	   *finals;			/* AggregateFinal * */
	List	   *targets;		/* TargetEntry * that the user sees */
	Node	   *having;
	bool		subtracts;		/* rows can be taken away from partials exactly */
	Bitmapset  *columns;		/* attribute numbers of the source it reads */
} RollupSpec;

extern const TimeType *aggwin_time_type(Oid type);
extern char *aggwin_sql_utc(const TimeType *time, const char *value);
extern Datum aggwin_time_argument(FunctionCallInfo fcinfo, int number,
								  const TimeType *time, bool *isnull);
extern RollupSpec *aggwin_load_spec(Oid definition);
extern FuncExpr *aggwin_time_key(Node *key);
extern bool aggwin_is_session(Node *node);
extern char *aggwin_column_definitions(const char *sql);
extern bool aggwin_has_time_index(const RollupSpec *spec);

/* check.c */
extern void aggwin_check_raw_query(SelectStmt *stmt, const char *text);
extern Oid	aggwin_check_query(Query *query, const char *text);

/* source.c */
extern void aggwin_check_source(Oid relid);
extern void aggwin_check_partition(Oid relid);

/* subtract.c */
extern bool aggwin_query_subtracts(Query *query, List *keys);

/* session_sql.c */
extern char *aggwin_sql_session(const RollupSpec *spec, const char *first, const char *last);

/* partial.c */
extern bool aggwin_knows_aggregate(Aggref *aggref);
extern bool aggwin_decomposable(Aggref *aggref);
extern char *aggwin_decompose(RollupSpec *spec, Aggref *aggref, List *context);

#endif							/* AGGWIN_SPEC_H */
