/*
 * running_apply.h - rows come to groups and leave them
 */
#ifndef AGGWIN_EMIT_RUNNING_APPLY_H
#define AGGWIN_EMIT_RUNNING_APPLY_H

#include "postgres.h"

#include "emit/running_rows.h"

/* running_apply.c */
extern void aggwin_running_add_row(RunningWindow *window, RunningPane *pane, RunningRow *row);
extern void aggwin_running_remove_row(RunningWindow *window, RunningRow *row);
extern void aggwin_running_list(RunningWindow *window, RunningGroup *group);
extern bool aggwin_running_settle(RunningWindow *window);

/* running_stacks.c */
extern StackEntry *aggwin_running_entry(RunningWindow *window, RunningGroup *group, RunningPane *pane);
extern void aggwin_running_leave(RunningWindow *window, RunningGroup *group, const RunningPane *pane);
extern void aggwin_running_merge_back(RunningWindow *window, RunningGroup *group);
extern void aggwin_running_clear_stacks(RunningWindow *window, RunningGroup *group);
extern Datum aggwin_running_stacks_final(RunningWindow *window, RunningGroup *group,
										 RunningAggregate *aggregate, bool *isnull);

#endif							/* AGGWIN_EMIT_RUNNING_APPLY_H */
