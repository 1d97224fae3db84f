/*
 * worker.h - the process that keeps the rollups of one database folded
 */
#ifndef AGGWIN_WORKER_H
#define AGGWIN_WORKER_H

#include "postgres.h"

extern PGDLLEXPORT void aggwin_worker_main(Datum main_arg);

#endif							/* AGGWIN_WORKER_H */
