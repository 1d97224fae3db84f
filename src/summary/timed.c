/*
 * timed.c - a value of any type with its time: its layouts and its order
 *
 * stored:   kind of time (varint), time (signed), OID of the type (varint), then
 *           the value up to the end: the bytes of a varlena without its header,
 *           a C string without its end, or the memory of a type of fixed length
 * working:  struct TimedState
 *
 * Values are what the server has in memory, as in every table, so this stored
 * form is not that of other machines; the binary form of COPY is.
 *
 * Of values of one time, first() takes the smallest and last() the greatest, for
 * the answer must not depend on the order of rows. Smaller and greater is what
 * the type's default btree order says in its own collation, since partial states
 * know no other; what is equal there, or has no order, goes by its bytes.
 */
#include "postgres.h"

#include "summary/timed.h"

#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#define STATE_SIZE(capacity) \
	(sizeof(Summary) + offsetof(TimedState, value) + (Size) (capacity))

Oid
aggwin_timed_kind_type(TimedKind kind)
{
	switch (kind)
	{
		case TIMED_TIMESTAMPTZ:
			return TIMESTAMPTZOID;
		case TIMED_TIMESTAMP:
			return TIMESTAMPOID;
		case TIMED_DATE:
			return DATEOID;
		case TIMED_INT8:
			return INT8OID;
	}
	return InvalidOid;
}

/* Look a type up, unless that is done. */
void
aggwin_timed_lookup(TimedType *type, Oid id)
{
	TypeCacheEntry *entry;

	if (type->id == id)
		return;
	entry = lookup_type_cache(id, TYPECACHE_CMP_PROC_FINFO);
	if (entry->typtype == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("values of type %s cannot be kept", format_type_be(id)),
				 errdetail("It is not a type that a column can have."),
				 errhint("Cast the value to such a type; a row to a composite type.")));
	type->id = id;
	type->length = entry->typlen;
	type->by_value = entry->typbyval;
	type->collation = entry->typcollation;
	type->compare = OidIsValid(entry->cmp_proc_finfo.fn_oid) ? &entry->cmp_proc_finfo : NULL;
}

/* The bytes of a value that is not passed by value. A varlena is detoasted. */
static const char *
bytes_of(const TimedType *type, Datum value, Size *length)
{
	if (type->length == -1)
	{
		*length = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
		return VARDATA_ANY(DatumGetPointer(value));
	}
	*length = type->length == -2 ? strlen(DatumGetCString(value)) : type->length;
	return DatumGetPointer(value);
}

/* Negative, zero or positive, as a is before, the same as, or after b. */
int
aggwin_timed_compare(const TimedType *type, Datum a, Datum b)
{
	const char *bytes_a;
	const char *bytes_b;
	Size		length_a;
	Size		length_b;
	int			result = 0;

	if (type->compare != NULL)
		result = DatumGetInt32(FunctionCall2Coll(type->compare, type->collation, a, b));
	if (result != 0)
		return result;
	if (type->by_value)
		return (a > b) - (a < b);
	bytes_a = bytes_of(type, a, &length_a);
	bytes_b = bytes_of(type, b, &length_b);
	result = memcmp(bytes_a, bytes_b, Min(length_a, length_b));
	return result != 0 ? result : (length_a > length_b) - (length_a < length_b);
}

static Datum
read_value(WireReader *reader, const TimedType *type)
{
	Size		length = reader->end - reader->next;
	const uint8 *bytes = wire_get_bytes(reader, length);
	char	   *copy;

	if (type->by_value)
	{
		if (length != type->length)
			aggwin_summary_corrupt(SUMMARY_TIMED, "Its length is wrong.");
		copy = palloc(sizeof(Datum));
		memcpy(copy, bytes, length);
		return fetch_att(copy, true, type->length);
	}
	if (type->length == -1)
	{
		copy = palloc(length + VARHDRSZ);
		SET_VARSIZE(copy, length + VARHDRSZ);
		memcpy(VARDATA(copy), bytes, length);
		return PointerGetDatum(copy);
	}
	if (type->length > 0 && length != type->length)
		aggwin_summary_corrupt(SUMMARY_TIMED, "Its length is wrong.");
	copy = palloc0(length + 1);
	memcpy(copy, bytes, length);
	return PointerGetDatum(copy);
}

/*
 * What is in a summary of either layout, and its type. The value may be inside of
 * the summary.
 */
void
aggwin_timed_get(Timed *timed, Summary *summary, TimedType *type)
{
	WireReader	reader;
	uint64		id;

	if (summary->layout != SUMMARY_STORED)
	{
		TimedState *state = aggwin_timed_state_of(summary);

		if (VARSIZE(summary) < STATE_SIZE(sizeof(Datum)) ||
			VARSIZE(summary) != STATE_SIZE(state->capacity) ||
			state->length > state->capacity)
			aggwin_summary_corrupt(SUMMARY_TIMED, "Its working state is not whole.");
		timed->kind = state->kind;
		timed->type = state->type;
		timed->time = state->time;
		timed->value = state->by_value ? state->value[0] : PointerGetDatum(state->value);
		aggwin_timed_lookup(type, timed->type);
		return;
	}
	aggwin_summary_reader(&reader, summary);
	timed->kind = (TimedKind) wire_get_varint(&reader);
	timed->time = wire_get_signed(&reader);
	id = wire_get_varint(&reader);
	if (reader.bad || !OidIsValid(aggwin_timed_kind_type(timed->kind)) || id > PG_UINT32_MAX)
		aggwin_summary_corrupt(SUMMARY_TIMED, "It cannot be read.");
	timed->type = (Oid) id;
	aggwin_timed_lookup(type, timed->type);
	timed->value = read_value(&reader, type);
}

/* The stored form. A varlena has to be detoasted. */
Summary *
aggwin_timed_encode(const Timed *timed, const TimedType *type)
{
	Datum		aligned = 0;
	const char *bytes = (const char *) &aligned;
	Size		length = type->length;
	Summary    *summary;
	uint8	   *to;

	if (type->by_value)
		store_att_byval(&aligned, timed->value, type->length);
	else
		bytes = bytes_of(type, timed->value, &length);
	summary = aggwin_summary_alloc(SUMMARY_TIMED, SUMMARY_STORED,
								   sizeof(Summary) + 3 * WIRE_MAX_VARINT + length);
	to = SUMMARY_PAYLOAD(summary);
	to = wire_put_varint(to, timed->kind);
	to = wire_put_signed(to, timed->time);
	to = wire_put_varint(to, timed->type);
	to = wire_put_bytes(to, bytes, length);
	return aggwin_summary_finish(summary, to);
}

/*
 * Put a value into a working state, in place if there is room, otherwise into a
 * new one; state is NULL if there is none yet. A varlena has to be detoasted.
 */
Summary *
aggwin_timed_set(Summary *state, const Timed *timed, const TimedType *type)
{
	const char *bytes = NULL;
	Size		length = 0;
	Size		needed = sizeof(Datum);
	TimedState *to;

	if (!type->by_value)
	{
		bytes = bytes_of(type, timed->value, &length);
		needed = length + (type->length == -1 ? VARHDRSZ : type->length == -2 ? 1 : 0);
	}
	if (state == NULL || aggwin_timed_state_of(state)->capacity < needed)
	{
		Size		capacity = MAXALIGN(needed);

		/* the next value will not be of just that length either */
		if (state != NULL && capacity < MaxAllocSize / 4)
			capacity += capacity / 2;
		capacity = MAXALIGN(capacity);
		state = aggwin_summary_alloc(SUMMARY_TIMED, SUMMARY_WORKING, STATE_SIZE(capacity));
		aggwin_timed_state_of(state)->capacity = (uint32) capacity;
	}
	to = aggwin_timed_state_of(state);
	to->kind = timed->kind;
	to->type = timed->type;
	to->time = timed->time;
	to->by_value = type->by_value;
	if (type->by_value)
		to->value[0] = timed->value;
	else if (type->length == -1)
	{
		SET_VARSIZE(to->value, length + VARHDRSZ);
		memcpy(VARDATA(to->value), bytes, length);
	}
	else
	{
		memcpy(to->value, bytes, length);
		if (type->length == -2)
			((char *) to->value)[length] = '\0';
	}
	to->length = type->by_value ? 0 : (uint32) needed;
	return state;
}
