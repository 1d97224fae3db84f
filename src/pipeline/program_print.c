/*
 * program_print.c - what reports are put together from
 */
#include "promql/base.h"

#include "pipeline/program.h"

#include <unistd.h>

#include "mb/pg_wchar.h"

/* On terminals only; see no-color.org for the variable. */
ProgramColours
aggwin_program_colours(void)
{
	const char *none = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	if (isatty(STDOUT_FILENO) && (none == NULL || *none == '\0') &&
		terminal != NULL && strcmp(terminal, "dumb") != 0)
		return (ProgramColours) {"\033[1m", "\033[1;31m", "\033[32m", "\033[33m", "\033[0m"};
	return (ProgramColours) {"", "", "", "", ""};
}

/* Text without what is no UTF-8, and without what moves a cursor: of these, a '?'. */
void
aggwin_program_clean(StringInfo s, const char *text)
{
	const char *end = text + strlen(text);

	for (const char *at = text; at < end;)
	{
		int			length = pg_utf_mblen((const unsigned char *) at);

		if (end - at < length || pg_encoding_verifymbchar(PG_UTF8, at, end - at) != length)
			length = 0;
		if (length == 0 || (pg_encoding_dsplen(PG_UTF8, at) < 0 && *at != '\n' && *at != '\t'))
			appendStringInfoChar(s, '?');
		else
			appendBinaryStringInfo(s, at, length);
		at += Max(length, 1);
	}
}

/*
 * A string of JSON, as the server writes it. Names of files may be in any encoding;
 * what is no UTF-8 becomes '?'.
 */
void
aggwin_program_append_json(StringInfo s, const char *text)
{
	static const char short_ones[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	const char *end = text + strlen(text);

	appendStringInfoChar(s, '"');
	for (const char *at = text; at < end;)
	{
		int			length = pg_utf_mblen((const unsigned char *) at);
		const char *found;

		if (end - at < length || pg_encoding_verifymbchar(PG_UTF8, at, end - at) != length)
		{
			appendStringInfoChar(s, '?');
			at++;
			continue;
		}
		for (found = short_ones; *found != '\0' && *found != *at;)
			found += 2;
		if (*found != '\0')
			appendStringInfo(s, "\\%c", found[1]);
		else if ((unsigned char) *at < ' ')
			appendStringInfo(s, "\\u%04x", *at);
		else
			appendBinaryStringInfo(s, at, length);
		at += length;
	}
	appendStringInfoChar(s, '"');
}

void
aggwin_program_json(const char *text)
{
	StringInfoData s;

	initStringInfo(&s);
	aggwin_program_append_json(&s, text);
	fwrite(s.data, 1, s.len, stdout);
	pfree(s.data);
}

/* Text of a workflow's command; in its properties more has to be escaped. */
void
aggwin_program_github(const char *text, bool property)
{
	for (; *text != '\0'; text++)
	{
		if (*text == '%' || *text == '\r' || *text == '\n' || (property && (*text == ':' || *text == ',')))
			printf("%%%02X", *text);
		else
			putchar(*text);
	}
}

/* Was all of the report written? If not, it is said why. */
bool
aggwin_program_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	fprintf(stderr, "aggwin: could not write the report: %s\n", strerror(errno));
	return false;
}
