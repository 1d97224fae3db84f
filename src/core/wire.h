/*
 * wire.h - encoding stored values byte by byte
 *
 * Integers are varints: seven bits a byte, the least significant first, the
 * eighth bit set on all but the last byte. Each number has one encoding, the
 * shortest; readers refuse longer ones, so that equal values are equal bytes.
 * Floats are the eight bytes of IEEE 754, the least significant first; all NaNs
 * are written as one. Neither depends on the machine, so the stored form is the
 * binary form of COPY, too.
 *
 * Writers trust that there is room. Readers trust nothing: the first read
 * beyond the end, or of what no writer writes, sets bad, and from then on all
 * reads give 0. Ask for bad once, at the end.
 */
#ifndef AGGWIN_WIRE_H
#define AGGWIN_WIRE_H

#include "postgres.h"

#include <math.h>

#include "utils/float.h"

/* Bytes that a varint takes at most. */
#define WIRE_MAX_VARINT		10
#define WIRE_FLOAT8			8

typedef struct WireReader
{
	const uint8 *next;
	const uint8 *end;
	bool		bad;
} WireReader;

static inline uint8 *
wire_put_varint(uint8 *to, uint64 value)
{
	while (value >= 0x80)
	{
		*to++ = (uint8) (value | 0x80);
		value >>= 7;
	}
	*to++ = (uint8) value;
	return to;
}

/* Signed integers: small ones of either sign are short. */
static inline uint8 *
wire_put_signed(uint8 *to, int64 value)
{
	return wire_put_varint(to, ((uint64) value << 1) ^ (value < 0 ? ~UINT64CONST(0) : 0));
}

static inline uint8 *
wire_put_float8(uint8 *to, double value)
{
	uint64		bits;

	if (unlikely(isnan(value)))
		value = get_float8_nan();
	memcpy(&bits, &value, sizeof(bits));
	for (int i = 0; i < WIRE_FLOAT8; i++)
		*to++ = (uint8) (bits >> (8 * i));
	return to;
}

static inline uint8 *
wire_put_bytes(uint8 *to, const void *bytes, size_t length)
{
	memcpy(to, bytes, length);
	return to + length;
}

static inline uint64
wire_get_varint_slow(WireReader *reader)
{
	uint64		value = 0;

	for (int shift = 0; shift < 64 && reader->next < reader->end; shift += 7)
	{
		uint8		byte = *reader->next++;

		value |= (uint64) (byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
		{
			/* too long, or more than 64 bits */
			if ((byte == 0 && shift > 0) || (shift == 63 && byte > 1))
				break;
			return value;
		}
	}
	reader->bad = true;
	reader->next = reader->end;
	return 0;
}

static inline uint64
wire_get_varint(WireReader *reader)
{
	if (likely(reader->next < reader->end && *reader->next < 0x80))
		return *reader->next++;
	return wire_get_varint_slow(reader);
}

static inline int64
wire_get_signed(WireReader *reader)
{
	uint64		value = wire_get_varint(reader);

	return (int64) ((value >> 1) ^ ((value & 1) ? ~UINT64CONST(0) : 0));
}

/* The next length bytes, in place; NULL if there are not so many. */
static inline const uint8 *
wire_get_bytes(WireReader *reader, uint64 length)
{
	const uint8 *bytes = reader->next;

	if ((uint64) (reader->end - bytes) < length)
	{
		reader->bad = true;
		reader->next = reader->end;
		return NULL;
	}
	reader->next += length;
	return bytes;
}

static inline double
wire_get_float8(WireReader *reader)
{
	const uint8 *bytes = wire_get_bytes(reader, WIRE_FLOAT8);
	uint64		bits = 0;
	double		value;

	if (bytes == NULL)
		return 0;
	for (int i = 0; i < WIRE_FLOAT8; i++)
		bits |= (uint64) bytes[i] << (8 * i);
	memcpy(&value, &bits, sizeof(value));
	return value;
}

#endif							/* AGGWIN_WIRE_H */
