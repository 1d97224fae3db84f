/*
 * guard.h - running code whose errors need not be the caller's
 */
#ifndef AGGWIN_GUARD_H
#define AGGWIN_GUARD_H

#include "postgres.h"

extern ErrorData *aggwin_guard(void (*step) (void *), void *arg);

#endif							/* AGGWIN_GUARD_H */
