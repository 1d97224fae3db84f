/*
 * exp_index.h - buckets whose bounds are powers of 2^(2^-scale)
 *
 * Bucket i of a scale holds the magnitudes in (2^(i/2^scale), 2^((i+1)/2^scale)].
 * Two neighbours 2i and 2i+1 are bucket i of the next lower scale, exactly, so
 * halving the resolution is i >> 1.
 */
#ifndef AGGWIN_EXP_INDEX_H
#define AGGWIN_EXP_INDEX_H

#include "postgres.h"

#define EXP_MIN_SCALE	(-10)
#define EXP_MAX_SCALE	12

/* One slice of the octave, half as wide as the buckets: it meets one bound at most. */
typedef struct ExpSlice
{
	uint64		bound;			/* mantissas from here on are in the next bucket */
	uint64		bucket;			/* the bucket that the slice begins in */
} ExpSlice;

/* By scale from 0 up; NULL until aggwin_exp_index_prepare() was called for it. */
extern const ExpSlice *aggwin_exp_slices[EXP_MAX_SCALE + 1];

extern void aggwin_exp_index_prepare(int scale);
extern int32 aggwin_exp_index(double magnitude, int scale);
extern double aggwin_exp_bound(int32 index, int scale);
extern double aggwin_exp_middle(int32 index, int scale);
extern double aggwin_exp_relative_error(int scale);
extern int	aggwin_exp_scale_for(double relative_error);

#define EXP_MANTISSA_BITS	52
#define EXP_MANTISSA_MASK	((UINT64CONST(1) << EXP_MANTISSA_BITS) - 1)
#define EXP_BIAS			1023

/*
 * The bucket of a normal number, given its bits minus one (which turns an upper
 * bound that belongs to the bucket into the lower bound of the next); scale >= 0.
 */
static inline int32
aggwin_exp_index_of_bits(uint64 bits, const ExpSlice *slices, int scale)
{
	uint64		mantissa = bits & EXP_MANTISSA_MASK;
	const ExpSlice *slice = &slices[mantissa >> (EXP_MANTISSA_BITS - 1 - scale)];
	int32		octave = (int32) (bits >> EXP_MANTISSA_BITS) - EXP_BIAS;

	return octave * (1 << scale) + (int32) slice->bucket + (mantissa >= slice->bound);
}

#endif							/* AGGWIN_EXP_INDEX_H */
