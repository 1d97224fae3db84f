/*
 * running_rows.c - the rows of panes, packed
 *
 * A row is its group's number and its inputs, without gaps where all inputs are
 * passed by value:
 *
 *      varint   number of the group << 2 | has NULLs << 1 | is dead
 *      bits     which inputs are NULL, if any are
 *      inputs   smallint, integer, bigint: signed varint; other values: their bytes;
 *               references: as in memory, with a short header where that goes
 *
 * Rows do not move, so what is passed by reference can be pointed to.
 */
#include "postgres.h"

#include "emit/running_rows.h"

#include "common/hashfn.h"
#include "core/compat.h"
#include "core/wire.h"
#include "utils/memutils.h"

/* Chunks grow up to the larger one, so that panes of few rows stay small. */
#define MIN_CHUNK_SIZE 256
#define MAX_CHUNK_SIZE 32768

typedef struct RowChunk
{
	struct RowChunk *next;
	Size		used;
	Size		size;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} RowChunk;

#define DEAD 1
#define HAS_NULLS 2
#define FLAG_BITS 2

RunningPane *
aggwin_running_create_pane(RunningWindow *window, TimestampTz start)
{
	RunningPane *pane = MemoryContextAllocZero(window->content, sizeof(RunningPane));

	pane->start = start;
	pane->resident = true;
	pane->context = AllocSetContextCreate(window->content, "aggwin pane", ALLOCSET_SMALL_SIZES);
	return pane;
}

/* Packing ------------------------------------------------------------------ */

/* Room in window->row for so many bytes more. */
static char *
reserve(RunningWindow *window, char *end, Size more)
{
	Size		used = end - window->row;

	if (used + more > window->row_size)
	{
		Size		size = Max(window->row_size * 2, used + more);
		char	   *row = window->row_size == 0 ? MemoryContextAllocHuge(window->content, size)
			: repalloc_huge(window->row, size);

		memset(row + window->row_size, 0, size - window->row_size);
		window->row = row;
		window->row_size = size;
	}
	return window->row + used;
}

static char *
pack_by_value(RunningWindow *window, char *end, const InputType *type, Datum value)
{
	end = reserve(window, end, WIRE_MAX_VARINT);
	if (type->integer)
		return (char *) wire_put_signed((uint8 *) end, aggwin_input_integer(type, value));
	if (type->length == sizeof(char))
	{
		*end = DatumGetChar(value);
		return end + 1;
	}
	memcpy(end, &value, sizeof(Datum));
	return end + sizeof(Datum);
}

/* Padding is zero, so that equal rows have equal bytes. */
static char *
pad(RunningWindow *window, char *end)
{
	Size		length = end - window->row;
	Size		padding = MAXALIGN(length) - length;

	end = reserve(window, end, padding);
	memset(end, 0, padding);
	return end + padding;
}

static char *
pack_reference(RunningWindow *window, char *end, const InputType *type, Datum value)
{
	struct varlena *varlena;
	Size		size;

	if (type->length > 0 || type->length == -2)
	{
		size = type->length > 0 ? type->length : strlen(DatumGetCString(value)) + 1;
		end = reserve(window, pad(window, end), size);
		memcpy(end, DatumGetPointer(value), size);
		return end + size;
	}
	varlena = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	if (!VARATT_IS_SHORT(varlena) && VARATT_CAN_MAKE_SHORT(varlena))
	{
		size = VARATT_CONVERTED_SHORT_SIZE(varlena);
		end = reserve(window, end, size);
		SET_VARSIZE_SHORT(end, size);
		memcpy(end + 1, VARDATA(varlena), size - 1);
		return end + size;
	}
	/* A short header is never zero, so the zeroes of padding tell them apart. */
	size = VARSIZE_ANY(varlena);
	if (!VARATT_IS_SHORT(varlena))
		end = pad(window, end);
	end = reserve(window, end, size);
	memcpy(end, varlena, size);
	return end + size;
}

/* Pack a row into window->row; returns its length. */
Size
aggwin_running_pack(RunningWindow *window, const RunningGroup *group, const NullableDatum *inputs)
{
	uint64		head = (uint64) group->number << FLAG_BITS;
	char	   *end = reserve(window, window->row, WIRE_MAX_VARINT + window->ninputs / 8 + 1);
	uint8	   *bits;

	for (int i = 0; i < window->ninputs; i++)
		head |= inputs[i].isnull ? HAS_NULLS : 0;
	end = (char *) wire_put_varint((uint8 *) end, head);
	if (head & HAS_NULLS)
	{
		bits = (uint8 *) end;
		end += (window->ninputs + 7) / 8;
		memset(bits, 0, end - (char *) bits);
		for (int i = 0; i < window->ninputs; i++)
			bits[i / 8] |= inputs[i].isnull ? 1 << i % 8 : 0;
	}
	for (int i = 0; i < window->ninputs; i++)
	{
		const InputType *type = &window->inputs[i];

		if (inputs[i].isnull)
			continue;
		end = type->by_value ? pack_by_value(window, end, type, inputs[i].value)
			: pack_reference(window, end, type, inputs[i].value);
	}
	return end - window->row;
}

/* Put a packed row into a pane. */
void
aggwin_running_append(RunningWindow *window, RunningPane *pane, const char *row, Size length)
{
	RowChunk   *chunk = pane->last;
	Size		offset = chunk ? TYPEALIGN(window->row_align, chunk->used) : 0;

	if (chunk == NULL || offset + length > chunk->size)
	{
		Size		size = chunk ? Min(chunk->size * 2, MAX_CHUNK_SIZE) : MIN_CHUNK_SIZE;

		size = Max(size, length);
		chunk = MemoryContextAllocHuge(pane->context, offsetof(RowChunk, bytes) + size);
		chunk->next = NULL;
		chunk->size = size;
		offset = 0;
		if (pane->last)
			pane->last->next = chunk;
		else
			pane->first = chunk;
		pane->last = chunk;
	}
	memcpy(chunk->bytes + offset, row, length);
	chunk->used = offset + length;
	pane->rows++;
	pane->checksum += hash_bytes_extended((const unsigned char *) row, length, 0);
}

/* Unpacking ---------------------------------------------------------------- */

static Datum
unpack_by_value(const InputType *type, WireReader *reader)
{
	Datum		value;
	int64		number;

	if (!type->integer)
	{
		if (type->length == sizeof(char))
			return CharGetDatum(*reader->next++);
		memcpy(&value, reader->next, sizeof(Datum));
		reader->next += sizeof(Datum);
		return value;
	}
	number = wire_get_signed(reader);
	switch (type->length)
	{
		case sizeof(int16):
			return Int16GetDatum((int16) number);
		case sizeof(int32):
			return Int32GetDatum((int32) number);
		default:
			return Int64GetDatum(number);
	}
}

static Datum
unpack_reference(const InputType *type, WireReader *reader, const char *row)
{
	const char *start = (const char *) reader->next;

	if (type->length != -1 || *start == 0 || !VARATT_IS_1B(start))
		start = row + MAXALIGN(start - row);
	if (type->length > 0)
		reader->next = (const uint8 *) start + type->length;
	else if (type->length == -2)
		reader->next = (const uint8 *) start + strlen(start) + 1;
	else
		reader->next = (const uint8 *) start + VARSIZE_ANY(start);
	return PointerGetDatum(start);
}

static uint64
unpack(const RunningWindow *window, WireReader *reader, RunningRow *row)
{
	uint64		head = wire_get_varint(reader);
	const uint8 *bits = reader->next;

	if (head & HAS_NULLS)
		reader->next += (window->ninputs + 7) / 8;
	for (int i = 0; i < window->ninputs; i++)
	{
		const InputType *type = &window->inputs[i];
		NullableDatum *input = &row->inputs[i];

		input->isnull = (head & HAS_NULLS) && (bits[i / 8] & 1 << i % 8);
		if (!input->isnull)
			input->value = type->by_value ? unpack_by_value(type, reader)
				: unpack_reference(type, reader, row->bytes);
	}
	row->group = running_group(window, head >> FLAG_BITS);
	row->length = (const char *) reader->next - row->bytes;
	return head;
}

/* A row that is not in a pane (yet); bytes are aligned as in one. */
void
aggwin_running_unpack(const RunningWindow *window, const char *bytes, RunningRow *row)
{
	WireReader	reader = {.next = (const uint8 *) bytes, .end = (const uint8 *) PG_UINT64_MAX};

	row->bytes = bytes;
	(void) unpack(window, &reader, row);
}

/* The next row of a pane, dead ones passed over; row->inputs is the caller's. */
bool
aggwin_running_next_row(const RunningWindow *window, RowCursor *cursor, RunningRow *row)
{
	uint64		head;

	do
	{
		WireReader	reader;

		while (cursor->chunk != NULL && cursor->offset >= cursor->chunk->used)
		{
			cursor->chunk = cursor->chunk->next;
			cursor->offset = 0;
		}
		if (cursor->chunk == NULL)
			return false;
		row->bytes = cursor->chunk->bytes + cursor->offset;
		reader.next = (const uint8 *) row->bytes;
		reader.end = (const uint8 *) cursor->chunk->bytes + cursor->chunk->used;
		reader.bad = false;
		head = unpack(window, &reader, row);
		cursor->offset = TYPEALIGN(window->row_align, cursor->offset + row->length);
	} while (head & DEAD);
	return true;
}

/* A row that is not to be read any more. */
void
aggwin_running_kill(RunningPane *pane, const RunningRow *row)
{
	pane->rows--;
	pane->checksum -= hash_bytes_extended((const unsigned char *) row->bytes, row->length, 0);
	*unconstify(char *, row->bytes) |= DEAD;
}

/* Only their number and checksum stay. */
void
aggwin_running_drop_rows(RunningPane *pane)
{
	MemoryContextReset(pane->context);
	pane->first = pane->last = NULL;
	pane->resident = false;
}
