/*
 * mergeable.h - aggregates whose results another aggregate merges
 */
#ifndef AGGWIN_MERGEABLE_H
#define AGGWIN_MERGEABLE_H

#include "postgres.h"

#include "rollup/spec.h"
#include "utils/array.h"

/* Columns of aggwin.mergeable. */
enum
{
	Anum_mergeable_extension = 1,
	Anum_mergeable_aggregate,
	Anum_mergeable_stored,
	Anum_mergeable_constants,
	Anum_mergeable_merge,
	Anum_mergeable_final,
	Anum_mergeable_exact,
	Anum_mergeable_preset,
};

/* A row of the table, and what its names mean now: InvalidOid, if nothing. */
typedef struct Mergeable
{
	char	   *extension;		/* of the aggregate, NULL: none */
	char	   *aggregate_name;
	char	   *stored_name;
	char	   *merge_name;
	char	   *final_name;		/* NULL: the merged result is the answer */
	char	   *exact_name;		/* NULL: merging never loses anything */
	List	   *constants;		/* char *, arguments of stored beyond aggregate's */
	bool		preset;
	Oid			aggregate;
	Oid			stored;
	Oid			merge;
	Oid			final;
	Oid			exact;
} Mergeable;

/* mergeable.c */
extern char *aggwin_mergeable_name(Oid funcid, Oid extension);
extern List *aggwin_text_list(ArrayType *array);
extern List *aggwin_registered_mergeables(void);
extern Mergeable *aggwin_find_mergeable(Oid aggregate);
extern bool aggwin_mergeable_is_whole(const Mergeable *row);

/* mergeable_check.c */
extern void aggwin_check_mergeable(const Mergeable *row);
extern List *aggwin_mergeable_constants(const Mergeable *row);

/* mergeable_sql.c */
extern bool aggwin_mergeable_partial(const Mergeable *row, Aggref *aggref,
									 List *context, Partial *partial);
extern char *aggwin_mergeable_final(const Mergeable *row, Aggref *aggref, char *merged);

#endif							/* AGGWIN_MERGEABLE_H */
