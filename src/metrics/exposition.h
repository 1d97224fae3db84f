/*
 * exposition.h - reading metrics in Prometheus' text formats
 */
#ifndef AGGWIN_EXPOSITION_H
#define AGGWIN_EXPOSITION_H

#include "postgres.h"

#include "metrics/exposition_parts.h"

extern bool aggwin_exposition_ends_with_eof(const char *text, int length);
extern void aggwin_exposition_begin(Exposition *e, const char *text, int length,
									bool open_metrics);
extern ExpositionItem aggwin_exposition_next(Exposition *e);
extern bool aggwin_exposition_belongs(const char *type, Slice family, Slice name,
									  bool open_metrics);

#endif							/* AGGWIN_EXPOSITION_H */
