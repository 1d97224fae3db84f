/*
 * program_test_steps.h - unit tests of pipelines: what is done with them
 */
#ifndef AGGWIN_PROGRAM_TEST_STEPS_H
#define AGGWIN_PROGRAM_TEST_STEPS_H

#include "pipeline/program_test_type.h"

#include "libpq-fe.h"

/* An array with room for one more than count; its size is a power of two. */
static inline void *
aggwin_test_grow(void *array, int count, Size size)
{
	if ((count & (count - 1)) != 0)
		return array;
	return array == NULL ? palloc(size) : repalloc(array, Max(2 * count, 1) * size);
}

/* program_test_read.c */
extern void aggwin_test_read(TestFile *file, PipelineRules *findings);

/* program_test_labels.c */
extern const char *aggwin_test_tidy_labels(PipelineLabel *labels, int *count);
extern char *aggwin_test_labels(const PipelineLabel *labels, int count);
extern char *aggwin_test_labels_json(const PipelineLabel *labels, int count);

/* program_test_values.c */
extern bool aggwin_test_values(const char *text, TestSeries *series, PromError *error);
extern bool aggwin_test_number(const char **text, double *value);

/* program_test_run.c */
extern bool aggwin_test_run(PGconn *admin, const char *connection, const char *database,
							const TestFile *file, RuleTest *test);

/* program_test_compare.c */
extern void aggwin_test_compare(RuleTest *test, const PGresult *found);

/* program_test_report.c */
extern void aggwin_test_tell(const TestFile *file, const RuleTest *test);
extern void aggwin_test_report(const TestFile *files, int count, ReportFormat format);
extern bool aggwin_test_junit(const TestFile *files, int count, const char *name);

#endif							/* AGGWIN_PROGRAM_TEST_STEPS_H */
