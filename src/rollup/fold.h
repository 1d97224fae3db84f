/*
 * fold.h - merging what was captured into a rollup's state
 */
#ifndef AGGWIN_FOLD_H
#define AGGWIN_FOLD_H

#include "postgres.h"

extern bool aggwin_fold(int32 rollup_id);

#endif							/* AGGWIN_FOLD_H */
