/*
 * capture.h - recording what statements do to a source
 */
#ifndef AGGWIN_CAPTURE_H
#define AGGWIN_CAPTURE_H

#include "postgres.h"

#include "commands/trigger.h"

extern void aggwin_capture_changes(TriggerData *trigger);

#endif							/* AGGWIN_CAPTURE_H */
