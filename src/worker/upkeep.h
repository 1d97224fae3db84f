/*
 * upkeep.h - what a worker does every few minutes
 */
#ifndef AGGWIN_UPKEEP_H
#define AGGWIN_UPKEEP_H

#include "postgres.h"

extern void aggwin_upkeep_if_due(void);

#endif							/* AGGWIN_UPKEEP_H */
