/*
 * program_test.c - aggwin test: unit tests of pipelines
 */
#include "promql/base.h"

#include "pipeline/program_test_steps.h"

#include <sys/time.h>
#include <unistd.h>

#include "pipeline/program_connect.h"

static const char help[] =
"aggwin test runs unit tests of pipelines: samples that come, and results that are\n"
"expected. doc/gitops.md says how they are written.\n\n"
"Usage:\n"
"  aggwin test [OPTION]... FILE...\n\n"
"Every test has a database of its own on the server, which is made for it and dropped\n"
"when it is over. The server has to have aggwin installed, and the role has to be a\n"
"superuser; so this is for a server that is there for tests.\n\n"
"Options:\n"
"  -d, --dbname=CONNECTION  connection string or name of a database of that server;\n"
"                           without it, what PGHOST, PGDATABASE and the like say\n"
"  --junit=FILE             write a report in the format of JUnit, too\n"
"  --format=text            for people (default)\n"
"  --format=json            one JSON object\n"
"  --format=github          annotations for a workflow of GitHub\n"
"  --help                   this help\n\n"
"Exit status: 0 if all tests passed, 1 if one did not or there are faults in the\n"
"files, 2 if files could not be read, the command is wrong or the server cannot be\n"
"used.\n";

/* Read all files. Returns how many could be read. */
static int
read_files(const ProgramOptions *options, TestFile *files, PipelineRules *findings)
{
	int			readable = 0;

	for (int i = 0; i < options->file_count; i++)
	{
		if (aggwin_program_read_file(options->files[i], &files[readable].file))
			aggwin_test_read(&files[readable++], findings);
	}
	return readable;
}

static bool
is_same_finding(const RulesFinding *a, const RulesFinding *b)
{
	return strcmp(a->file, b->file) == 0 && a->error.line == b->error.line &&
		a->error.column == b->error.column && strcmp(a->error.message, b->error.message) == 0;
}

/* Tell faults once, also of rules that several files of tests have. */
static void
report_findings(PipelineRules *findings, const TestFile *files, int count, ReportFormat format)
{
	ProgramFile *all = NULL;
	int			all_count = 0;
	int			kept = 0;

	for (int i = 0; i < findings->finding_count; i++)
	{
		int			other = 0;

		while (other < kept && !is_same_finding(&findings->findings[other], &findings->findings[i]))
			other++;
		if (other == kept)
			findings->findings[kept++] = findings->findings[i];
	}
	findings->finding_count = kept;
	for (int i = 0; i < count; i++)
	{
		all = aggwin_test_grow(all, all_count, sizeof(ProgramFile));
		all[all_count++] = files[i].file;
		for (int n = 0; n < files[i].rule_file_count; n++)
		{
			all = aggwin_test_grow(all, all_count, sizeof(ProgramFile));
			all[all_count++] = files[i].rule_files[n];
		}
	}
	aggwin_program_report(findings, all, all_count, format);
}

/* A name that nobody else takes at this moment; if somebody does, making it fails. */
static char *
name_database(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return psprintf("aggwin_test_%d_%08x", (int) getpid(), (uint32) (now.tv_sec * 1000000 + now.tv_usec));
}

/* False if they could not all be run. */
static bool
run_tests(const ProgramOptions *options, TestFile *files, int count, bool *passed)
{
	PGconn	   *admin = aggwin_program_connect(options->connection, NULL);
	char	   *database = name_database();
	bool		good = admin != NULL;

	*passed = true;
	for (int i = 0; i < count && good; i++)
	{
		for (int n = 0; n < files[i].test_count && good; n++)
		{
			RuleTest   *test = &files[i].tests[n];

			good = aggwin_test_run(admin, options->connection, database, &files[i], test);
			*passed = *passed && test->error == NULL && test->difference_count == 0;
			if (test->done && options->format == REPORT_TEXT)
				aggwin_test_tell(&files[i], test);
		}
	}
	PQfinish(admin);
	return good;
}

int
aggwin_program_test(int argc, char **argv)
{
	ProgramOptions options;
	PipelineRules findings = {0};
	TestFile   *files;
	int			readable;
	bool		good;
	bool		passed;
	int			status;

	if (!aggwin_program_options(argc, argv, "dfj", help, &options, &status))
		return status;
	if (options.file_count == 0)
	{
		fprintf(stderr, "aggwin test: a file is missing\nTry \"aggwin test --help\".\n");
		return PROGRAM_TROUBLE;
	}
	files = palloc0(options.file_count * sizeof(TestFile));
	readable = read_files(&options, files, &findings);
	/* There are no pipelines in these; so this puts them in order. */
	if (!aggwin_rules_check(&findings))
	{
		report_findings(&findings, files, readable, options.format);
		if (!aggwin_program_flush())
			return PROGRAM_TROUBLE;
		return readable < options.file_count ? PROGRAM_TROUBLE : PROGRAM_FINDINGS;
	}
	if (readable < options.file_count)
		return PROGRAM_TROUBLE;
	good = run_tests(&options, files, readable, &passed);
	if (good)
	{
		aggwin_test_report(files, readable, options.format);
		good = aggwin_program_flush();
		if (options.junit != NULL)
			good = aggwin_test_junit(files, readable, options.junit) && good;
	}
	return aggwin_program_end(!good ? PROGRAM_TROUBLE : passed ? PROGRAM_GOOD : PROGRAM_FINDINGS);
}
