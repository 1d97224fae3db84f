/*
 * options.h - what the options of a window output can be
 */
#ifndef AGGWIN_EMIT_OPTIONS_H
#define AGGWIN_EMIT_OPTIONS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "emit/window.h"

extern int64 aggwin_duration(const char *name, const Interval *interval);
extern int64 aggwin_positive_duration(const char *name, const Interval *interval);
extern int64 aggwin_duration_not_negative(const char *name, const Interval *interval);
extern bool aggwin_emits_changes(text *emit);
extern void aggwin_follow_owner(const WindowRow *window);

#endif							/* AGGWIN_EMIT_OPTIONS_H */
