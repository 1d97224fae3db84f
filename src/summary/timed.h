/*
 * timed.h - a value of any type with its time: the state of first() and last()
 */
#ifndef AGGWIN_TIMED_H
#define AGGWIN_TIMED_H

#include "postgres.h"

#include "summary/summary.h"

/* What a time is, in every value: never renumber. */
typedef enum TimedKind
{
	TIMED_TIMESTAMPTZ = 1,
	TIMED_TIMESTAMP = 2,
	TIMED_DATE = 3,
	TIMED_INT8 = 4,
} TimedKind;

/* What has to be known about the type of a value. */
typedef struct TimedType
{
	Oid			id;
	int16		length;			/* -1: varlena, -2: C string */
	bool		by_value;
	Oid			collation;		/* of the type */
	FmgrInfo   *compare;		/* NULL: the type has no order */
} TimedType;

typedef struct Timed
{
	TimedKind	kind;
	Oid			type;
	int64		time;
	Datum		value;
} Timed;

/*
 * The working layout. The value is the datum itself, or what it points to: a
 * varlena has a header of four bytes and is aligned.
 */
typedef struct TimedState
{
	int64		time;
	Oid			type;
	uint8		kind;
	bool		by_value;
	uint16		unused;			/* zero */
	uint32		length;			/* of the value in bytes; 0 if it is by value */
	uint32		capacity;		/* for it */
	Datum		value[FLEXIBLE_ARRAY_MEMBER];
} TimedState;

static inline TimedState *
aggwin_timed_state_of(Summary *summary)
{
	return (TimedState *) SUMMARY_PAYLOAD(summary);
}

extern Oid	aggwin_timed_kind_type(TimedKind kind);
extern void aggwin_timed_lookup(TimedType *type, Oid id);
extern void aggwin_timed_get(Timed *timed, Summary *summary, TimedType *type);
extern Summary *aggwin_timed_encode(const Timed *timed, const TimedType *type);
extern Summary *aggwin_timed_set(Summary *state, const Timed *timed, const TimedType *type);
extern int	aggwin_timed_compare(const TimedType *type, Datum a, Datum b);

#endif							/* AGGWIN_TIMED_H */
