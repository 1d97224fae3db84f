/*
 * program_check.c - aggwin check: are files of pipelines without faults?
 */
#include "promql/base.h"

#include "pipeline/program.h"

#include <getopt.h>

static void
print_help(void)
{
	printf("aggwin check reads files of pipelines and tells their faults. It needs no database.\n\n"
		   "Usage:\n"
		   "  aggwin check [--format text|json|github] FILE...\n\n"
		   "All files are checked together: no two pipelines may write the same metric, and\n"
		   "none may feed itself through others.\n\n"
		   "Options:\n"
		   "  --format=text    faults with their lines, for people (default)\n"
		   "  --format=json    one JSON object\n"
		   "  --format=github  annotations for a workflow of GitHub\n"
		   "  --help           this help\n\n"
		   "Exit status: 0 if there are no faults, 1 if there are, 2 if files could not be\n"
		   "read or the command is wrong.\n");
}

static int
refuse_usage(void)
{
	fprintf(stderr, "Try \"aggwin check --help\".\n");
	return PROGRAM_TROUBLE;
}

/* Reports what is in the files that can be read, even if others cannot. */
static int
check_files(int count, char **names, ReportFormat format)
{
	PipelineRules rules = {0};
	ProgramFile *files = palloc(count * sizeof(ProgramFile));
	int			readable = aggwin_program_read_rules(&rules, count, names, files);
	bool		good;

	good = aggwin_rules_check(&rules);
	aggwin_program_report(&rules, files, readable, format);
	if (!aggwin_program_flush())
		return PROGRAM_TROUBLE;
	if (readable < count)
		return PROGRAM_TROUBLE;
	return good ? PROGRAM_GOOD : PROGRAM_FINDINGS;
}

int
aggwin_program_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"format", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, '?'},
		{NULL, 0, NULL, 0},
	};
	ReportFormat format = REPORT_TEXT;
	int			option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":f:", options, NULL)) != -1)
	{
		switch (option)
		{
			case 'f':
				if (aggwin_program_format(optarg, &format))
					break;
				fprintf(stderr, "aggwin check: there is no format \"%s\"\n", optarg);
				return refuse_usage();
			case ':':
				fprintf(stderr, "aggwin check: option \"%s\" needs a value\n", argv[optind - 1]);
				return refuse_usage();
			default:
				/* getopt says '?' to what it does not know, too, but not of --help. */
				if (strcmp(argv[optind - 1], "--help") == 0 || strcmp(argv[optind - 1], "-?") == 0)
				{
					print_help();
					return PROGRAM_GOOD;
				}
				fprintf(stderr, "aggwin check: there is no option \"%s\"\n", argv[optind - 1]);
				return refuse_usage();
		}
	}
	if (optind == argc)
	{
		fprintf(stderr, "aggwin check: a file is missing\n");
		return refuse_usage();
	}
	return check_files(argc - optind, argv + optind, format);
}
