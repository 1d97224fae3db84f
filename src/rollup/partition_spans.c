/*
 * partition_spans.c - the event time that a partition holds
 *
 * Where the first column of a partition key is the event time of a rollup, the
 * bounds of a partition are spans of it. On each level of the tree that may be
 * so or not; a partition holds what all levels above it let through.
 *
 *      events            by range (ts)
 *        february        [feb 1, mar 1)          and that is all:
 *          february_eu   by list (region)        [feb 1, mar 1)
 *        others          DEFAULT                 all but [feb 1, mar 1)
 *
 * Spans may be too wide, as where more columns than one bound a range, never
 * too narrow.
 */
#include "postgres.h"

#include "rollup/partition_spans.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "core/spi_util.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "partitioning/partbounds.h"
#include "rollup/tier.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/*
 * Is a table partitioned by the event time, alone or first? Compared as text:
 * the columns of levels have the same names, but not the same numbers.
 */
static bool
by_event_time(const RollupSpec *spec, Relation parent)
{
	PartitionKey key = RelationGetPartitionKey(parent);
	Oid			opclass = GetDefaultOpClass(spec->time->type, BTREE_AM_OID);
	Node	   *first;

	if (key->strategy == PARTITION_STRATEGY_HASH ||
		key->parttypid[0] != spec->time->type ||
		key->partopfamily[0] != get_opclass_family(opclass))
		return false;
	if (key->partattrs[0] == 0)
		first = linitial(key->partexprs);
	else
		first = (Node *) makeVar(1, key->partattrs[0], key->parttypid[0],
								 key->parttypmod[0], key->parttypcoll[0], 0);
	return strcmp(deparse_expression(first,
									 deparse_context_for("e", RelationGetRelid(parent)),
									 true, true),
				  spec->event_time) == 0;
}

static PartitionBoundSpec *
bound_of(Oid partition)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(partition));
	PartitionBoundSpec *bound;
	Datum		value;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", partition);
	value = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is not a partition any more", aggwin_relation_name(partition)),
				 errdetail("Another session has detached it at the same time."),
				 errhint("Try again.")));
	bound = stringToNode(TextDatumGetCString(value));
	ReleaseSysCache(tuple);
	return castNode(PartitionBoundSpec, bound);
}

static char *
literal(const RollupSpec *spec, Const *value)
{
	return aggwin_sql_literal(value->constvalue, spec->time->type);
}

/* The next value, before which a range ends that holds this one. */
static char *
after(const RollupSpec *spec, Const *value)
{
	bool		is_last;

	switch (spec->time->type)
	{
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			is_last = DatumGetTimestamp(value->constvalue) >= END_TIMESTAMP - 1;
			break;
		case DATEOID:
			is_last = DatumGetDateADT(value->constvalue) >= DATE_END_JULIAN - POSTGRES_EPOCH_JDATE - 1;
			break;
		case INT8OID:
			is_last = DatumGetInt64(value->constvalue) == PG_INT64_MAX;
			break;
		default:
			is_last = DatumGetInt32(value->constvalue) == PG_INT32_MAX;
			break;
	}
	if (is_last)
		return "NULL";
	return psprintf("(%s + %s)", literal(spec, value),
					spec->time->type == TIMESTAMPOID || spec->time->type == TIMESTAMPTZOID
					? "interval '1 microsecond'" : "1");
}

/* The values of a list partition. */
static char *
list_spans(const RollupSpec *spec, List *values, bool *nulls)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfo(&s, "'{}'::%s", spec->time->multirange);
	*nulls = false;
	foreach(lc, values)
	{
		Const	   *value = lfirst_node(Const, lc);

		if (value->constisnull)
			*nulls = true;
		else
			appendStringInfo(&s, " + %s(%s(%s, %s))", spec->time->multirange,
							 spec->time->range, literal(spec, value), after(spec, value));
	}
	return s.data;
}

/* The value that bounds a range partition, if one does. */
static Const *
first_bound(List *datums)
{
	PartitionRangeDatum *first = linitial_node(PartitionRangeDatum, datums);

	if (first->kind != PARTITION_RANGE_DATUM_VALUE)
		return NULL;
	return castNode(Const, first->value);
}

/*
 * The spans of a range partition. With more columns than one, rows at either
 * end may belong to the neighbour; inner leaves them out.
 */
static char *
range_spans(const RollupSpec *spec, PartitionBoundSpec *bound, bool inner)
{
	Const	   *lower = first_bound(bound->lowerdatums);
	Const	   *upper = first_bound(bound->upperdatums);
	bool		shared = list_length(bound->lowerdatums) > 1;
	const char *end = "NULL";

	if (upper != NULL)
		end = shared && !inner ? after(spec, upper) : literal(spec, upper);
	return psprintf("%s(%s(%s, %s, '%s'))", spec->time->multirange,
					spec->time->range, lower ? literal(spec, lower) : "NULL", end,
					shared && inner ? "()" : "[)");
}

static char *
default_spans(const RollupSpec *spec, Oid parent, Oid partition, bool *nulls)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfo(&s, "'{(,)}'::%s", spec->time->multirange);
	*nulls = true;
	foreach(lc, find_inheritance_children(parent, NoLock))
	{
		PartitionBoundSpec *bound;
		char	   *spans;

		if (lfirst_oid(lc) == partition)
			continue;
		bound = bound_of(lfirst_oid(lc));
		if (bound->strategy == PARTITION_STRATEGY_LIST)
		{
			bool		takes_nulls;

			spans = list_spans(spec, bound->listdatums, &takes_nulls);
			*nulls = *nulls && !takes_nulls;
		}
		else
			spans = range_spans(spec, bound, true);
		appendStringInfo(&s, " - (%s)", spans);
	}
	return s.data;
}

/*
 * The event time that a partition of spec->source can hold, on any level. The
 * caller holds a lock on the partition and has pinned the settings.
 */
PartitionTime
aggwin_partition_time(const RollupSpec *spec, Oid partition)
{
	PartitionTime result = {NULL, true, false};
	ListCell   *lc;

	foreach(lc, get_partition_ancestors(partition))
	{
		Oid			parent = lfirst_oid(lc);
		Relation	rel = table_open(parent, AccessShareLock);

		if (by_event_time(spec, rel))
		{
			PartitionBoundSpec *bound = bound_of(partition);
			bool		nulls = false;
			char	   *spans;

			if (bound->is_default)
				spans = default_spans(spec, parent, partition, &nulls);
			else if (bound->strategy == PARTITION_STRATEGY_LIST)
				spans = list_spans(spec, bound->listdatums, &nulls);
			else
				spans = range_spans(spec, bound, false);
			result.by_default = result.by_default || bound->is_default;
			result.nulls = result.nulls && nulls;
			result.spans = result.spans == NULL ? psprintf("(%s)", spans)
				: psprintf("%s * (%s)", result.spans, spans);
		}
		table_close(rel, AccessShareLock);
		partition = parent;
		if (parent == spec->source)
			break;
	}
	return result;
}

/* Spans widened to whole buckets of the rollup, not NULL. */
char *
aggwin_sql_partition_spans(const RollupSpec *spec, const char *spans)
{
	const Tier	base = {.all_keys = true};
	const char *lower;
	const char *upper;
	char	   *span;

	/*
	 * Bounds that are infinite bound nothing, nor do those so low that their
	 * bucket might begin before all times.
	 */
	if (spec->time->clock != NULL)
	{
		lower = psprintf("CASE WHEN isfinite(lower(r.span)) AND lower(r.span) >= '0001-01-01'::%s THEN lower(r.span) END",
						 spec->time->name);
		upper = "CASE WHEN isfinite(upper(r.span)) THEN upper(r.span) END";
	}
	else
	{
		lower = psprintf("CASE WHEN lower(r.span) >= %s + %s THEN lower(r.span) END",
						 spec->time->lowest, spec->bucket_width);
		upper = "upper(r.span)";
	}
	span = psprintf("%1$s(%2$s, CASE WHEN %3$s = %4$s THEN upper(r.span) ELSE %5$s END)",
					spec->time->range, aggwin_sql_bucket(spec, &base, lower), upper,
					aggwin_sql_bucket(spec, &base, upper),
					aggwin_sql_bucket_end(spec, &base, upper));
	return psprintf("coalesce((SELECT range_agg(%s) FROM aggwin.spans(%s) AS r(span)), '{}')",
					span, spans);
}
