/*
 * program.h - the command-line tool
 */
#ifndef AGGWIN_PROGRAM_H
#define AGGWIN_PROGRAM_H

#include "pipeline/rules.h"

/* What the tool ends with. */
#define PROGRAM_GOOD 0
#define PROGRAM_FINDINGS 1
#define PROGRAM_TROUBLE 2		/* wrong use, or a file that cannot be read */

typedef enum ReportFormat
{
	REPORT_TEXT,				/* for people */
	REPORT_JSON,
	REPORT_GITHUB,				/* annotations of a workflow */
} ReportFormat;

/* A file that was read. */
typedef struct ProgramFile
{
	const char *name;
	char	   *text;
	size_t		length;
} ProgramFile;

/* program_check.c */
extern int	aggwin_program_check(int argc, char **argv);

/* program_file.c */
extern bool aggwin_program_read_file(const char *name, ProgramFile *file);
extern bool aggwin_program_format(const char *name, ReportFormat *format);

/* program_report.c */
extern void aggwin_program_report(const PipelineRules *rules, const ProgramFile *files, int file_count,
								  ReportFormat format);

#endif							/* AGGWIN_PROGRAM_H */
