/*
 * launcher.h - the process that gives each database with aggwin a worker
 */
#ifndef AGGWIN_LAUNCHER_H
#define AGGWIN_LAUNCHER_H

#include "postgres.h"

extern void aggwin_launcher_register(void);
extern PGDLLEXPORT void aggwin_launcher_main(Datum main_arg);

#endif							/* AGGWIN_LAUNCHER_H */
