/*
 * counted.h - has every row of the source been counted?
 */
#ifndef AGGWIN_COUNTED_H
#define AGGWIN_COUNTED_H

#include "postgres.h"

#include "rollup/catalog.h"

extern void aggwin_counts_not_all(int32 rollup_id);
extern void aggwin_counts_not_in(const RollupRow *row, Oid spans_type, Datum spans,
								 bool nulls);

#endif							/* AGGWIN_COUNTED_H */
