/*
 * restore.h - rollups that come out of a dump
 */
#ifndef AGGWIN_RESTORE_H
#define AGGWIN_RESTORE_H

#include "postgres.h"

#include "rollup/catalog.h"

extern bool aggwin_take_up(const RollupRow *row);

#endif							/* AGGWIN_RESTORE_H */
