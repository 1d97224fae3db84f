/*
 * program_plan.h - showing what the server answered
 */
#ifndef AGGWIN_PROGRAM_PLAN_H
#define AGGWIN_PROGRAM_PLAN_H

#include "pipeline/program.h"

#include "libpq-fe.h"

extern bool aggwin_program_show_plan(const PGresult *plan, const PipelineRules *rules,
									 const ProgramOptions *options, bool dry_run);

#endif							/* AGGWIN_PROGRAM_PLAN_H */
