/*
 * attempt.h - run one step of a worker so that its error stops nothing else
 */
#ifndef AGGWIN_ATTEMPT_H
#define AGGWIN_ATTEMPT_H

#include "postgres.h"

extern ErrorData *aggwin_attempt(void (*step) (void *), void *arg);

#endif							/* AGGWIN_ATTEMPT_H */
