/*
 * catch.h - running code whose errors need not be the caller's
 */
#ifndef AGGWIN_CATCH_H
#define AGGWIN_CATCH_H

#include "postgres.h"

extern ErrorData *aggwin_catch(void (*step) (void *), void *arg);
extern ErrorData *aggwin_catch_all(void (*step) (void *), void *arg);

#endif							/* AGGWIN_CATCH_H */
