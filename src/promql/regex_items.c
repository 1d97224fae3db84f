/*
 * regex_items.c - characters, escapes and sets of a regular expression
 */
#include "promql/base.h"

#include "promql/regex_reader.h"

#include "mb/pg_wchar.h"
#include "promql/regex_class.h"

static const char case_hint[] =
"Without (?i), write both cases: [\xC3\xA4\xC3\x84].";

static uint32
read_character(RegexReader *r)
{
	uint32		character = utf8_to_unicode((const unsigned char *) r->at);

	r->at += pg_utf_mblen((const unsigned char *) r->at);
	return character;
}

static bool
is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Behind "\x": two digits, or any in braces. */
static bool
read_hex(RegexReader *r, const char *start, uint32 *character)
{
	static const char hint[] = "Write \\x41 or \\x{41}, up to \\x{10FFFF}.";
	bool		braces = *r->at == '{';
	int			digits = 0;

	*character = 0;
	if (braces)
		r->at++;
	while (hex_digit(*r->at) >= 0 && (braces || digits < 2))
	{
		*character = *character * 16 + hex_digit(*r->at++);
		digits++;
		if (*character > AGGWIN_LAST_CHARACTER)
			return aggwin_regex_fail(r, start, hint, "there is no such character");
	}
	if (braces ? (digits == 0 || *r->at != '}') : digits != 2)
		return aggwin_regex_fail(r, start, hint, "invalid escape sequence");
	if (braces)
		r->at++;
	return true;
}

static bool
refuse_escape(RegexReader *r, const char *start)
{
	char		c = start[1];

	if (c == 'p' || c == 'P')
		return aggwin_regex_fail(r, start, "Write the characters as ranges: [a-z\xC3\xA0-\xC3\xBF].",
								 psprintf("classes of Unicode, \\%c, are not supported here", c));
	if (c >= '1' && c <= '9')
		return aggwin_regex_fail(r, start, NULL, "backreferences are not supported by RE2");
	if (c == 'k' || c == 'g')
		return aggwin_regex_fail(r, start, NULL,
								 psprintf("backreferences, \\%c, are not supported by RE2", c));
	if (c == 'Z')
		return aggwin_regex_fail(r, start, "Write \\z.", "\\Z is not supported by RE2");
	if (c == '\0')
		return aggwin_regex_fail(r, start, "Write \\\\ if the character is meant.",
								 "there is nothing behind the backslash");
	return aggwin_regex_fail(r, start, "Write \\\\ if a backslash is meant.",
							 psprintf("\\%.*s is no escape sequence of RE2",
									  pg_utf_mblen((const unsigned char *) start + 1), start + 1));
}

/* An escape sequence that is a character. */
static bool
read_escaped_character(RegexReader *r, uint32 *character)
{
	static const char controls[] = "a\af\fn\nr\rt\tv\v";
	const char *start = r->at;
	char		c = start[1];

	r->at += 2;
	if (c == 'x')
		return read_hex(r, start, character);
	if (c == '0' || (is_octal(c) && is_octal(*r->at)))
	{
		*character = c - '0';
		for (int i = 0; i < 2 && is_octal(*r->at); i++)
			*character = *character * 8 + (*r->at++ - '0');
		return true;
	}
	for (const char *control = controls; *control != '\0'; control += 2)
	{
		if (c == control[0])
		{
			*character = control[1];
			return true;
		}
	}
	if (c != '\0' && (unsigned char) c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
	{
		*character = c;
		return true;
	}
	return refuse_escape(r, start);
}

/* Add a range to a set; start is where it stands. */
static bool
add_range(RegexReader *r, const char *start, RegexClass *class, uint32 first, uint32 last)
{
	if (!r->flags.fold)
		aggwin_class_add(class, first, last);
	else if (!aggwin_class_add_folded(class, first, last))
		return aggwin_regex_fail(r, start, case_hint,
								 "case can be ignored for letters of ASCII only");
	return true;
}

static bool
write_character(RegexReader *r, const char *start, uint32 character)
{
	RegexClass	class = {0};

	if (!add_range(r, start, &class, character, character))
		return false;
	aggwin_class_write(&class, r->out);
	if (class.ranges != NULL)
		pfree(class.ranges);
	return true;
}

/* A character that means itself. */
bool
aggwin_regex_read_literal(RegexReader *r)
{
	const char *start = r->at;

	return write_character(r, start, read_character(r));
}

/* A backslash and what it is for, but not \Q. */
bool
aggwin_regex_read_escape(RegexReader *r, bool *assertion)
{
	const char *start = r->at;
	RegexClass	class = {0};
	uint32		character;

	*assertion = true;
	switch (start[1])
	{
		case 'A':
			appendStringInfoChar(r->out, '^');
			break;
		case 'z':
			appendStringInfoChar(r->out, '$');
			break;
		case 'b':
			appendStringInfoString(r->out, "\\y");
			break;
		case 'B':
			appendStringInfoString(r->out, "\\Y");
			break;
		default:
			*assertion = false;
			if (!aggwin_class_add_letter(&class, start[1], r->flags.fold))
				return read_escaped_character(r, &character) && write_character(r, start, character);
			aggwin_class_write(&class, r->out);
	}
	r->at += 2;
	return true;
}

/* Sets -------------------------------------------------------------------- */

/* [:alpha:]; found is false if these are characters. */
static bool
read_named(RegexReader *r, RegexClass *class, bool *found)
{
	const char *name = r->at + 2;
	const char *end = strstr(name, ":]");
	bool		negated = *name == '^';

	*found = end != NULL;
	if (end == NULL)
		return true;
	if (negated)
		name++;
	if (!aggwin_class_add_named(class, name, end - name, r->flags.fold, negated))
		return aggwin_regex_fail(r, r->at, "There are alnum, alpha, ascii, blank, cntrl, digit, graph, lower, print, punct, space, upper, word and xdigit.",
								 "there is no class of this name");
	r->at = end + 2;
	return true;
}

static bool
read_class_character(RegexReader *r, const char *bracket, uint32 *character)
{
	if (*r->at == '\0')
		return aggwin_regex_fail(r, bracket, "Write \\[ if the character is meant.",
								 "the bracket is not closed");
	if (*r->at == '\\')
		return read_escaped_character(r, character);
	*character = read_character(r);
	return true;
}

/* The next part of a set: a class, a character or a range. */
static bool
read_part(RegexReader *r, const char *bracket, RegexClass *class)
{
	const char *start = r->at;
	uint32		first;
	uint32		last;

	if (start[0] == '[' && start[1] == ':')
	{
		bool		found;

		if (!read_named(r, class, &found))
			return false;
		if (found)
			return true;
	}
	if (start[0] == '\\' && aggwin_class_add_letter(class, start[1], r->flags.fold))
	{
		r->at += 2;
		return true;
	}
	if (!read_class_character(r, bracket, &first))
		return false;
	last = first;
	if (r->at[0] == '-' && r->at[1] != '\0' && r->at[1] != ']')
	{
		r->at++;
		if (!read_class_character(r, bracket, &last))
			return false;
		if (last < first)
			return aggwin_regex_fail(r, start, NULL, "the range ends before it begins");
	}
	return add_range(r, start, class, first, last);
}

bool
aggwin_regex_read_class(RegexReader *r)
{
	const char *bracket = r->at++;
	RegexClass	class = {0};
	bool		negated = *r->at == '^';
	bool		first = true;

	if (negated)
		r->at++;
	/* A bracket that comes first is a character. */
	for (; *r->at != ']' || first; first = false)
	{
		if (!read_part(r, bracket, &class))
			return false;
	}
	r->at++;
	if (negated)
		aggwin_class_negate(&class);
	aggwin_class_write(&class, r->out);
	return true;
}
