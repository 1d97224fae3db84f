/*
 * program_file.c - files and formats of the command-line tool
 */
#include "promql/base.h"

#include "pipeline/program.h"

#include <sys/stat.h>

/* By its name; false if there is none of it. */
bool
aggwin_program_format(const char *name, ReportFormat *format)
{
	static const char *const names[] = {"text", "json", "github"};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(name, names[i]) == 0)
		{
			*format = i;
			return true;
		}
	}
	return false;
}

static bool
fail_file(const char *name, FILE *stream)
{
	fprintf(stderr, "aggwin: could not read file \"%s\": %s\n", name, strerror(errno));
	if (stream != NULL)
		fclose(stream);
	return false;
}

/*
 * Read a file; one byte more than rules may have is enough to tell that it is too
 * large. A NUL follows the text. False, and it was said why, if it cannot be read.
 */
bool
aggwin_program_read_file(const char *name, ProgramFile *file)
{
	FILE	   *stream = fopen(name, "r");
	struct stat status;

	file->name = name;
	if (stream == NULL)
		return fail_file(name, NULL);
	if (fstat(fileno(stream), &status) != 0)
		return fail_file(name, stream);
	if (S_ISDIR(status.st_mode))
	{
		errno = EISDIR;
		return fail_file(name, stream);
	}
	file->text = palloc(AGGWIN_RULES_MAX_SIZE + 2);
	file->length = fread(file->text, 1, AGGWIN_RULES_MAX_SIZE + 1, stream);
	if (ferror(stream))
		return fail_file(name, stream);
	fclose(stream);
	file->text[file->length] = '\0';
	return true;
}

/*
 * Read the pipelines of files, and their faults, of each alone. Returns how many could
 * be read, which are at the beginning of files; why others could not was said.
 */
int
aggwin_program_read_rules(PipelineRules *rules, int count, char **names, ProgramFile *files)
{
	int			readable = 0;

	for (int i = 0; i < count; i++)
	{
		ProgramFile *file = &files[readable];

		if (!aggwin_program_read_file(names[i], file))
			continue;
		readable++;
		(void) aggwin_rules_read(rules, file->name, file->text, file->length);
	}
	return readable;
}
