/*
 * vacuum.h - removing what folds leave behind, sooner than autovacuum would
 */
#ifndef AGGWIN_VACUUM_H
#define AGGWIN_VACUUM_H

#include "postgres.h"

typedef struct AggwinVacuum AggwinVacuum;

extern AggwinVacuum *aggwin_vacuum_create(void);
extern void aggwin_vacuum_look(AggwinVacuum *vacuum, double snapshot_age_ms);
extern bool aggwin_vacuum_next(AggwinVacuum *vacuum);

#endif							/* AGGWIN_VACUUM_H */
