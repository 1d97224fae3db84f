/*
 * program.h - the command-line tool
 */
#ifndef AGGWIN_PROGRAM_H
#define AGGWIN_PROGRAM_H

#include "pipeline/rules.h"

/* What the tool ends with. */
#define PROGRAM_GOOD 0
#define PROGRAM_FINDINGS 1
#define PROGRAM_TROUBLE 2		/* wrong use, a file that cannot be read, no database */
#define PROGRAM_CHANGES 3		/* if that is asked for */

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

/* What a command is called with; see program_option.c. */
typedef struct ProgramOptions
{
	const char *connection;		/* NULL: what the environment says */
	const char *source;			/* NULL: not said */
	bool		keep;			/* pipelines that are not in the rules */
	bool		detailed;		/* the exit status tells of changes */
	ReportFormat format;
	const char *junit;			/* NULL: no such file */
	char	  **files;
	int			file_count;
} ProgramOptions;

/* Empty where there are no colours. */
typedef struct ProgramColours
{
	const char *bold;
	const char *red;
	const char *green;
	const char *yellow;
	const char *end;
} ProgramColours;

/* The commands. */
extern int	aggwin_program_check(int argc, char **argv);
extern int	aggwin_program_plan(int argc, char **argv);
extern int	aggwin_program_apply(int argc, char **argv);
extern int	aggwin_program_export(int argc, char **argv);
extern int	aggwin_program_test(int argc, char **argv);

/* program_file.c */
extern bool aggwin_program_read_file(const char *name, ProgramFile *file);
extern int	aggwin_program_read_rules(PipelineRules *rules, int count, char **names, ProgramFile *files);
extern bool aggwin_program_format(const char *name, ReportFormat *format);

/* program_join.c */
extern char *aggwin_program_join(const PipelineRules *rules);

/* program_option.c */
extern bool aggwin_program_options(int argc, char **argv, const char *letters, const char *help,
								   ProgramOptions *options, int *status);

/* program_print.c */
extern ProgramColours aggwin_program_colours(void);
extern void aggwin_program_clean(StringInfo s, const char *text);
extern void aggwin_program_append_json(StringInfo s, const char *text);
extern void aggwin_program_json(const char *text);
extern void aggwin_program_github(const char *text, bool property);
extern bool aggwin_program_flush(void);

/* program_report.c */
extern void aggwin_program_report(const PipelineRules *rules, const ProgramFile *files, int file_count,
								  ReportFormat format);

#endif							/* AGGWIN_PROGRAM_H */
