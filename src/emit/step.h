/*
 * step.h - closing the windows of one rollup
 */
#ifndef AGGWIN_EMIT_STEP_H
#define AGGWIN_EMIT_STEP_H

#include "postgres.h"

#include "emit/window.h"
#include "utils/snapshot.h"

/* A step under way. Datums live in the memory of the SPI connection. */
typedef struct Step
{
	int32		rollup_id;
	Snapshot	snapshot;
	TimestampTz now;
	TimestampTz watermark;		/* of the rollup, DT_NOBEGIN if it has none */
	int			max_windows;	/* of one output, 0 for all */
	int			max_now;		/* of them, in one turn */
	bool		again;			/* an output has a further turn */
	bool		more;			/* some are left to the next turn, or the next step */
	bool		closes_more;	/* and not only windows that have changed */
	bool		wrote;
	int64		published;		/* revisions */
} Step;

extern uint64 aggwin_current_step(void);
extern int64 aggwin_close_windows_of(int32 rollup_id, bool *more);

/* turns.c */
extern void aggwin_give_turns(Step *step, Oid only_for);
extern void aggwin_windows_failed(int32 rollup_id, const char *message);

/* close.c */
extern void aggwin_close_window(Step *step, WindowRow *window);

#endif							/* AGGWIN_EMIT_STEP_H */
