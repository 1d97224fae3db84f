/*
 * panes.h - which rollup the windows of a pipeline are made of
 */
#ifndef AGGWIN_PIPELINE_PANES_H
#define AGGWIN_PIPELINE_PANES_H

#include "postgres.h"

extern void aggwin_lock_panes(void);
extern Oid	aggwin_panes_for(int64 range_ms, const char *schema);

#endif							/* AGGWIN_PIPELINE_PANES_H */
