/*
 * running.h - windows that are kept up to date, instead of computed anew
 */
#ifndef AGGWIN_EMIT_RUNNING_H
#define AGGWIN_EMIT_RUNNING_H

#include "postgres.h"

#include "access/transam.h"
#include "emit/bounds.h"
#include "emit/window.h"

/* What a step asks for. Times that may have changed since the last step: touched. */
typedef struct RunningRequest
{
	const WindowRow *window;
	WindowBounds bounds;
	const WindowBounds *touched;
	int			ntouched;
	FullTransactionId version;	/* of the last step that has committed */
	bool		for_revisions;	/* of windows that were closed before */
} RunningRequest;

extern const char *aggwin_running_seek(const RunningRequest *request);
extern bool aggwin_running_stored(int32 window_id);
extern const char *aggwin_running_refusal(const WindowRow *window);

#endif							/* AGGWIN_EMIT_RUNNING_H */
