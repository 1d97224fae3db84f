/*
 * program_main.c - the command-line tool
 *
 * Each command is a function of a file of its own. What a command finds goes to
 * stdout, what keeps it from working to stderr.
 */
#include "promql/base.h"

#include "pipeline/program.h"

static const struct
{
	const char *name;
	int			(*run) (int argc, char **argv);
	const char *summary;
}			commands[] = {
	{"check", aggwin_program_check, "check files of pipelines, without a database"},
	{"test", aggwin_program_test, "run unit tests of pipelines, in databases made for them"},
	{"plan", aggwin_program_plan, "show what applying files of pipelines would do"},
	{"apply", aggwin_program_apply, "make pipelines what files say"},
	{"export", aggwin_program_export, "print the pipelines that there are"},
};

static void
print_help(void)
{
	printf("aggwin works with the pipelines of aggwin, streaming aggregation inside PostgreSQL.\n\n"
		   "Usage:\n"
		   "  aggwin COMMAND [OPTION]... FILE...\n\n"
		   "Commands:\n");
	for (int i = 0; i < lengthof(commands); i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	printf("\nOptions:\n"
		   "  --help     this help, or that of a command\n"
		   "  --version  the version\n");
}

int
main(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0))
	{
		print_help();
		return PROGRAM_GOOD;
	}
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
	{
		printf("aggwin " AGGWIN_VERSION "\n");
		return PROGRAM_GOOD;
	}
	for (int i = 0; argc > 1 && i < lengthof(commands); i++)
	{
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	if (argc > 1)
		fprintf(stderr, "aggwin: there is no command \"%s\"\n", argv[1]);
	else
		fprintf(stderr, "aggwin: a command is missing\n");
	fprintf(stderr, "Try \"aggwin --help\".\n");
	return PROGRAM_TROUBLE;
}
