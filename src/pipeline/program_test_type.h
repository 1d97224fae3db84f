/*
 * program_test_type.h - unit tests of pipelines: what they consist of
 */
#ifndef AGGWIN_PROGRAM_TEST_TYPE_H
#define AGGWIN_PROGRAM_TEST_TYPE_H

#include "pipeline/program.h"

/* Of a test, from its first sample to its last: ten years in milliseconds. */
#define PROGRAM_TEST_MAX_SPAN (INT64CONST(3650) * 86400 * 1000)

typedef enum TestSampleKind
{
	TEST_SAMPLE,
	TEST_GAP,
	TEST_STALE,
} TestSampleKind;

typedef struct TestSample
{
	TestSampleKind kind;
	double		value;
} TestSample;

typedef struct TestSeries
{
	char	   *metric;
	char	   *labels;			/* as aggwin_test_labels() puts them */
	char	   *json;			/* likewise, as an object of JSON */
	TestSample *samples;
	int			sample_count;
} TestSeries;

/* A result that is expected at a time; the times of tests are milliseconds since their start. */
typedef struct TestResult
{
	PromPlace	place;
	char	   *as;
	char	   *labels;
	int64		at;
	bool		none;			/* it is expected not to be there */
	bool		whole;			/* the series has this and what is expected before, and no more until then */
	double		value;
	double		tolerance;		/* a part of the value */
} TestResult;

/* A result that is not what was expected; NULL: there is, or should be, none. */
typedef struct TestDifference
{
	PromPlace	place;
	char	   *as;
	char	   *labels;
	int64		at;
	char	   *expected;
	char	   *got;
} TestDifference;

typedef struct RuleTest
{
	char	   *name;
	PromPlace	place;
	int64		interval;
	TestSeries *series;
	int			series_count;
	TestResult *results;
	int			result_count;
	bool		done;			/* the rest is what became of it */
	double		seconds;
	char	   *error;			/* why it could not be done, or NULL */
	TestDifference *differences;
	int			difference_count;
} RuleTest;

typedef struct TestFile
{
	ProgramFile file;
	PipelineRules rules;
	ProgramFile *rule_files;
	int			rule_file_count;
	RuleTest   *tests;
	int			test_count;
} TestFile;

#endif							/* AGGWIN_PROGRAM_TEST_TYPE_H */
