/*
 * triggers.h - the triggers that capture changes of a source
 */
#ifndef AGGWIN_TRIGGERS_H
#define AGGWIN_TRIGGERS_H

#include "postgres.h"

extern void aggwin_create_triggers(Oid table);
extern void aggwin_drop_triggers(Oid table);

extern bool aggwin_has_row_trigger(Oid table);
extern void aggwin_create_row_trigger(Oid table);
extern void aggwin_drop_row_trigger(Oid table);

/* capture_applied.c */
extern void aggwin_follow_subscriptions(Oid source);

#endif							/* AGGWIN_TRIGGERS_H */
