/*
 * program_option.c - the options of commands that have several
 */
#include "promql/base.h"

#include "pipeline/program.h"

#include <getopt.h>

/* By letters; the last ones are said in long only. */
static const struct option all_options[] = {
	{"dbname", required_argument, NULL, 'd'},
	{"format", required_argument, NULL, 'f'},
	{"source", required_argument, NULL, 's'},
	{"no-prune", no_argument, NULL, 'n'},
	{"detailed-exitcode", no_argument, NULL, 'x'},
	{"junit", required_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
};

static bool refuse(const char *command, int *status, const char *format,...) pg_attribute_printf(3, 4);

static bool
refuse(const char *command, int *status, const char *format,...)
{
	va_list		arguments;

	fprintf(stderr, "aggwin %s: ", command);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nTry \"aggwin %s --help\".\n", command);
	*status = PROGRAM_TROUBLE;
	return false;
}

/*
 * Read the options of a command that has these of the letters. False if there is
 * nothing more to do than to end with the status.
 */
bool
aggwin_program_options(int argc, char **argv, const char *letters, const char *help,
					   ProgramOptions *options, int *status)
{
	const char *command = argv[0];
	struct option known[lengthof(all_options) + 1] = {0};
	int			known_count = 0;
	int			letter;

	memset(options, 0, sizeof(*options));
	for (int i = 0; i < lengthof(all_options); i++)
	{
		if (all_options[i].val == 'h' || strchr(letters, all_options[i].val) != NULL)
			known[known_count++] = all_options[i];
	}
	opterr = 0;
	while ((letter = getopt_long(argc, argv, strchr(letters, 'f') ? ":d:f:" : ":d:", known, NULL)) != -1)
	{
		switch (letter)
		{
			case 'd':
				options->connection = optarg;
				break;
			case 'f':
				if (!aggwin_program_format(optarg, &options->format))
					return refuse(command, status, "there is no format \"%s\"", optarg);
				break;
			case 's':
				if (*optarg == '\0')
					return refuse(command, status, "the name of a source must not be empty");
				options->source = optarg;
				break;
			case 'n':
				options->keep = true;
				break;
			case 'x':
				options->detailed = true;
				break;
			case 'j':
				options->junit = optarg;
				break;
			case ':':
				return refuse(command, status, "option \"%s\" needs a value", argv[optind - 1]);
			default:
				/* getopt says '?' to what it does not know, too. */
				if (letter == 'h' || strcmp(argv[optind - 1], "-?") == 0)
				{
					fputs(help, stdout);
					*status = PROGRAM_GOOD;
					return false;
				}
				return refuse(command, status, "there is no option \"%s\"", argv[optind - 1]);
		}
	}
	options->files = argv + optind;
	options->file_count = argc - optind;
	return true;
}
