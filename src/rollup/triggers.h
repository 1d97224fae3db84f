/*
 * triggers.h - the triggers that capture changes of a source
 */
#ifndef AGGWIN_TRIGGERS_H
#define AGGWIN_TRIGGERS_H

#include "postgres.h"

extern void aggwin_create_triggers(Oid table);
extern void aggwin_drop_triggers(Oid table);

#endif							/* AGGWIN_TRIGGERS_H */
