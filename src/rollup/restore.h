/*
 * restore.h - rollups that come out of a dump
 */
#ifndef AGGWIN_RESTORE_H
#define AGGWIN_RESTORE_H

#include "postgres.h"

#include "rollup/catalog.h"

extern bool aggwin_take_up(const RollupRow *row);
extern void aggwin_create_guard(const char *table, int32 rollup_id);

#endif							/* AGGWIN_RESTORE_H */
