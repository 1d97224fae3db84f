/*
 * error.c - what is wrong with a text, and where
 */
#include "promql/base.h"

#include "promql/error.h"

/* Characters of a text that a message shows. */
#define SHOWN 40

/*
 * Note what is wrong, unless something is noted already: only the first error
 * means anything. Returns false, so that it ends a function that failed.
 */
bool
aggwin_promql_fail(PromError *error, PromPlace place, const char *hint, const char *format,...)
{
	StringInfoData message;
	int			needed;

	if (error->message != NULL)
		return false;
	initStringInfo(&message);
	for (;;)
	{
		va_list		arguments;

		va_start(arguments, format);
		needed = appendStringInfoVA(&message, format, arguments);
		va_end(arguments);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	error->message = message.data;
	error->hint = hint != NULL ? pstrdup(hint) : NULL;
	error->line = place.line;
	error->column = place.column;
	return false;
}

/*
 * Enough of a piece of text, for a message: one line of it. Messages are shown on
 * terminals, so what would move their cursor, or colour them, is a question mark.
 */
char *
aggwin_promql_shown(const char *text, int length)
{
	StringInfoData out;
	int			characters = 0;

	initStringInfo(&out);
	for (int i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (c == '\n' || ((c & 0xC0) != 0x80 && characters++ == SHOWN))
		{
			appendStringInfoString(&out, "...");
			break;
		}
		/* U+0080 to U+009F, too, the second byte of which is passed over. */
		if (c == 0xC2 && i + 1 < length && (unsigned char) text[i + 1] < 0xA0)
		{
			i++;
			c = 0x7F;
		}
		appendStringInfoChar(&out, c < ' ' || c == 0x7F ? '?' : text[i]);
	}
	return out.data;
}

/* The place of a character in a text, whose first character is at a place itself. */
PromPlace
aggwin_promql_place(PromPlace start, const char *text, const char *at)
{
	PromPlace	place = start;

	for (const char *c = text; c < at; c++)
	{
		if (*c == '\n')
		{
			place.line++;
			place.column = 1;
		}
		else if (((unsigned char) *c & 0xC0) != 0x80)
			place.column++;
	}
	return place;
}
