/*
 * exp_index.c - buckets whose bounds are powers of 2^(2^-scale)
 *
 * Such buckets are those of OpenTelemetry's exponential histograms (metrics data
 * model, "ExponentialHistogram") and Prometheus' native histograms (schema =
 * scale): the upper bound belongs to the bucket.
 *
 * Logarithms are inexact just where it matters, at the bounds, and differ from
 * one C library to the next. So the bounds of one octave are computed in 128-bit
 * integers; those of scale 12 hold all others. A value finds its bucket from the
 * bits of its mantissa: they choose a slice, which meets one bound at most, and
 * the comparison with that bound decides.
 *
 * The tables (16 bytes times 2^(scale+1)) are made for a scale when a process
 * first needs it, and kept.
 */
#include "postgres.h"

#include "summary/exp_index.h"

#include <float.h>
#include <math.h>

#include "utils/float.h"
#include "utils/memutils.h"

const ExpSlice *aggwin_exp_slices[EXP_MAX_SCALE + 1];

/* A number of [1,2) with 127 bits after the point. */
typedef struct Fixed
{
	uint64		high;
	uint64		low;
} Fixed;

/* roots[k] = 2^(2^-(k+1)), rounded down */
static const Fixed roots[EXP_MAX_SCALE] = {
	{UINT64CONST(0xb504f333f9de6484), UINT64CONST(0x597d89b3754abe9f)},
	{UINT64CONST(0x9837f0518db8a96f), UINT64CONST(0x46ad23182e42f6f6)},
	{UINT64CONST(0x8b95c1e3ea8bd6e6), UINT64CONST(0xfbe4628758a53c90)},
	{UINT64CONST(0x85aac367cc487b14), UINT64CONST(0xc5c95b8c2154c1b2)},
	{UINT64CONST(0x82cd8698ac2ba1d7), UINT64CONST(0x3e2a475b46520bff)},
	{UINT64CONST(0x8164d1f3bc030773), UINT64CONST(0x7be56527bd14def4)},
	{UINT64CONST(0x80b1ed4fd999ab6c), UINT64CONST(0x25335719b6e6fd20)},
	{UINT64CONST(0x8058d7d2d5e5f6b0), UINT64CONST(0x94d589f608ee4aa2)},
	{UINT64CONST(0x802c6436d0e04f50), UINT64CONST(0xff8ce94a6797b3ce)},
	{UINT64CONST(0x8016302f17467628), UINT64CONST(0x3690dfe44d11d008)},
	{UINT64CONST(0x800b179c82028fd0), UINT64CONST(0x945e54e2ae18f2f0)},
	{UINT64CONST(0x80058baf7fee3b5d), UINT64CONST(0x1c718b38e549cb93)},
};

/* The product of two numbers of [1,2) that is below 2 itself, rounded down. */
static Fixed
multiply(Fixed a, Fixed b)
{
	uint64		x[4] = {a.low & PG_UINT32_MAX, a.low >> 32, a.high & PG_UINT32_MAX, a.high >> 32};
	uint64		y[4] = {b.low & PG_UINT32_MAX, b.low >> 32, b.high & PG_UINT32_MAX, b.high >> 32};
	uint64		product[8] = {0};
	Fixed		result;

	for (int i = 0; i < 4; i++)
	{
		uint64		carry = 0;

		for (int j = 0; j < 4; j++)
		{
			carry += product[i + j] + x[i] * y[j];
			product[i + j] = carry & PG_UINT32_MAX;
			carry >>= 32;
		}
		product[i + 4] = carry;
	}
	/* 254 bits after the point: drop 127 */
	result.high = product[7] << 33 | product[6] << 1 | product[5] >> 31;
	result.low = product[5] << 33 | product[4] << 1 | product[3] >> 31;
	return result;
}

/*
 * The mantissa of 2^(i/2^scale), 0 < i < 2^scale, rounded down. It is irrational,
 * so magnitudes are above it just if their mantissa is greater.
 */
static uint64
bound_mantissa(int32 i, int scale)
{
	Fixed		power = {UINT64CONST(1) << 63, 0};

	for (int k = 0; k < scale; k++)
		if (i & (1 << (scale - 1 - k)))
			power = multiply(power, roots[k]);
	return (power.high >> (63 - EXP_MANTISSA_BITS)) & EXP_MANTISSA_MASK;
}

/* Make the tables of a scale; harmless when they are there, or none are needed. */
void
aggwin_exp_index_prepare(int scale)
{
	ExpSlice   *slices;
	int32		bucket = 0;
	int32		buckets;
	uint64		bound;

	Assert(scale >= EXP_MIN_SCALE && scale <= EXP_MAX_SCALE);
	if (scale < 0 || aggwin_exp_slices[scale] != NULL)
		return;

	buckets = 1 << scale;
	slices = MemoryContextAlloc(TopMemoryContext, sizeof(ExpSlice) * 2 * buckets);
	bound = buckets > 1 ? bound_mantissa(1, scale) : PG_UINT64_MAX;
	for (int32 i = 0; i < 2 * buckets; i++)
	{
		uint64		start = (uint64) i << (EXP_MANTISSA_BITS - 1 - scale);

		if (start >= bound)
		{
			bucket++;
			bound = bucket + 1 < buckets ? bound_mantissa(bucket + 1, scale) : PG_UINT64_MAX;
		}
		slices[i].bound = bound;
		slices[i].bucket = bucket;
	}
	aggwin_exp_slices[scale] = slices;
}

/* The bucket of any positive number, infinity included. */
int32
aggwin_exp_index(double magnitude, int scale)
{
	uint64		bits;
	int32		shift = 0;
	int32		octave;

	Assert(magnitude > 0);

	/* Infinity has the bucket after that of the greatest number. */
	if (isinf(magnitude))
		return scale >= 0 ? 1024 * (1 << scale) : 1024 >> -scale;

	/* subnormal numbers: there are fewer bits, all of them count */
	if (magnitude < DBL_MIN)
	{
		shift = 54;
		magnitude = ldexp(magnitude, shift);
	}
	memcpy(&bits, &magnitude, sizeof(bits));
	bits--;
	if (scale < 0)
	{
		octave = (int32) (bits >> EXP_MANTISSA_BITS) - EXP_BIAS - shift;
		return octave >> -scale;
	}
	aggwin_exp_index_prepare(scale);
	return aggwin_exp_index_of_bits(bits, aggwin_exp_slices[scale], scale) -
		shift * (1 << scale);
}

/* The greatest number that is not above the lower bound of a bucket. */
double
aggwin_exp_bound(int32 index, int scale)
{
	uint64		bits;
	double		mantissa;
	int32		octave;
	int32		within;

	if (scale <= 0)
		return ldexp(1.0, index * (1 << -scale));

	octave = index >> scale;
	within = index & ((1 << scale) - 1);
	bits = (uint64) EXP_BIAS << EXP_MANTISSA_BITS;
	if (within > 0)
		bits |= bound_mantissa(within, scale);
	memcpy(&mantissa, &bits, sizeof(mantissa));
	return ldexp(mantissa, octave);
}

/*
 * The number whose relative distance to everything in the bucket is smallest:
 * the harmonic mean of the bounds.
 */
double
aggwin_exp_middle(int32 index, int scale)
{
	double		lower = aggwin_exp_bound(index, scale);
	double		upper = aggwin_exp_bound(index + 1, scale);

	/* bounds that no double has, at the ends of the range */
	if (isinf(lower))
		return lower;
	return 2 * (lower / (1 + lower / upper));
}

/* The relative distance of that number to the bounds, of [0,1]. */
double
aggwin_exp_relative_error(int scale)
{
	/* (base - 1) / (base + 1) */
	return tanh(0.5 * M_LN2 * ldexp(1.0, -scale));
}

/* The lowest scale that keeps an error; EXP_MAX_SCALE + 1 if none does. */
int
aggwin_exp_scale_for(double relative_error)
{
	int			scale = EXP_MIN_SCALE;

	while (scale <= EXP_MAX_SCALE && aggwin_exp_relative_error(scale) > relative_error)
		scale++;
	return scale;
}
