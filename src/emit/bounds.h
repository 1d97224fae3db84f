/*
 * bounds.h - the window that is being computed in this process
 */
#ifndef AGGWIN_BOUNDS_H
#define AGGWIN_BOUNDS_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* A half-open interval of event time; times without zone are taken as UTC. */
typedef struct WindowBounds
{
	TimestampTz start;
	TimestampTz end;
} WindowBounds;

extern const WindowBounds *aggwin_current_bounds(void);
extern const WindowBounds *aggwin_required_bounds(void);
extern void aggwin_with_bounds(const WindowBounds *bounds, void (*step) (void *), void *arg);

#endif							/* AGGWIN_BOUNDS_H */
