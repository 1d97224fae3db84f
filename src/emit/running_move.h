/*
 * running_move.h - a window moves on
 */
#ifndef AGGWIN_EMIT_RUNNING_MOVE_H
#define AGGWIN_EMIT_RUNNING_MOVE_H

#include "postgres.h"

#include "emit/running_state.h"

extern void aggwin_running_empty(RunningWindow *window);
extern bool aggwin_running_move(RunningWindow *window, const WindowBounds *bounds,
								const WindowBounds *touched, int ntouched);
extern bool aggwin_running_rebuild(RunningWindow *window, const WindowBounds *bounds);

#endif							/* AGGWIN_EMIT_RUNNING_MOVE_H */
