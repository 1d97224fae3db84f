/*
 * regex_repeat.c - repetitions in a regular expression, and what bounds them
 */
#include "promql/base.h"

#include "promql/regex_reader.h"

/* What RE2 allows, repetitions within each other multiplied. */
#define MAX_REPEAT 1000

/* What the server allows. */
#define SERVER_MAX_REPEAT 255

/* Characters to match, repetitions counted; up to here the server takes seconds at worst. */
#define MAX_SIZE 16384

/*
 * Parts one behind the other that may be left out, repetitions counted. What it
 * takes the server to compile them grows with the cube: here 0.5 s at most, but
 * half a minute for (?:a?){1000}.
 */
#define MAX_OPTIONAL 300

/*
 * Assertions one behind the other with nothing between that must match a character,
 * repetitions and branches counted, \b and \B twice: the server follows every way
 * through them. So many take a second, 40 in (?:^|$|a)*(?:^|$|a)*... for ever.
 */
#define MAX_ASSERTIONS 12

static bool
read_count(const char **at, int *count)
{
	const char *c = *at;

	if (*c < '0' || *c > '9' || (*c == '0' && c[1] >= '0' && c[1] <= '9'))
		return false;
	for (*count = 0; *c >= '0' && *c <= '9'; c++)
		*count = Min(*count * 10 + (*c - '0'), MAX_REPEAT + 1);
	*at = c;
	return true;
}

/* {2}, {2,} or {2,3}; false if these are braces of the text. A max of -1 is none. */
static bool
read_braces(const char **at, int *min, int *max)
{
	const char *c = *at + 1;

	if (!read_count(&c, min))
		return false;
	*max = *min;
	if (*c == ',')
	{
		c++;
		if (*c == '}')
			*max = -1;
		else if (!read_count(&c, max))
			return false;
	}
	if (*c != '}')
		return false;
	*at = c + 1;
	return true;
}

static void
write_times(StringInfo out, const char *piece, int min, int max)
{
	appendStringInfoString(out, piece);
	if (max < 0)
		appendStringInfo(out, "{%d,}", min);
	else if (min != max)
		appendStringInfo(out, "{%d,%d}", min, max);
	else if (min != 1)
		appendStringInfo(out, "{%d}", min);
}

/* Repeat what was written last. */
static void
write_repeat(RegexReader *r, RegexAtom *atom, int min, int max)
{
	StringInfo	out = r->out;
	char	   *piece = pstrdup(out->data + atom->start);
	int			most = max < 0 ? min : max;

	if (atom->assertion || max == 0)
	{
		/* Once or not at all; where it may be left out, it asserts nothing. */
		if (min == 0)
		{
			out->len = atom->start;
			appendStringInfoString(out, "(?:)");
		}
		return;
	}
	if (atom->repeated)
		piece = psprintf("(?:%s)", piece);
	out->len = atom->start;
	if (min == 0 && max == 1)
		appendStringInfo(out, "%s?", piece);
	else if (min <= 1 && max < 0)
		appendStringInfo(out, "%s%c", piece, min == 0 ? '*' : '+');
	else if (most <= SERVER_MAX_REPEAT)
		write_times(out, piece, min, max);
	else
	{
		int			optional = max < 0 ? 0 : max - min;

		appendStringInfoString(out, "(?:");
		for (; min > 0; min -= Min(min, SERVER_MAX_REPEAT))
			write_times(out, piece, Min(min, SERVER_MAX_REPEAT), Min(min, SERVER_MAX_REPEAT));
		for (; optional > 0; optional -= Min(optional, SERVER_MAX_REPEAT))
			write_times(out, piece, 0, Min(optional, SERVER_MAX_REPEAT));
		if (max < 0)
			appendStringInfo(out, "%s*", piece);
		appendStringInfoChar(out, ')');
	}
	pfree(piece);
}

bool
aggwin_regex_check_size(RegexReader *r, const RegexAtom *atom)
{
	static const char hint[] = "Match less at once, or by several matchers.";

	if (atom->size > MAX_SIZE)
		return aggwin_regex_fail(r, r->text, hint, "it is too large, repetitions counted");
	if (atom->assertions > MAX_ASSERTIONS)
		return aggwin_regex_fail(r, r->text, hint,
								 "too many assertions such as ^ and \\b in a row, repetitions counted");
	return atom->optional <= MAX_OPTIONAL ||
		aggwin_regex_fail(r, r->text, hint,
						  "too many parts in a row that may be left out, repetitions counted");
}

/*
 * Read a repetition, if there is one. Another one must not follow at once.
 */
bool
aggwin_regex_read_repeat(RegexReader *r, RegexAtom *atom, bool *found)
{
	const char *start = r->at;
	int			min = 0;
	int			max = -1;
	int			most;

	*found = true;
	if (*start == '?')
		max = 1;
	else if (*start == '+')
		min = 1;
	if (*start == '*' || *start == '+' || *start == '?')
		r->at++;
	else if (*start != '{' || !read_braces(&r->at, &min, &max))
	{
		*found = false;
		return true;
	}
	if (*start == '{' && (min > MAX_REPEAT || max > MAX_REPEAT))
		return aggwin_regex_fail(r, start, "RE2 counts to 1000.", "too many repetitions");
	if (max >= 0 && min > max)
		return aggwin_regex_fail(r, start, NULL, "the least number of repetitions is more than the most");
	if (*r->at == '?')
		r->at++;
	if (r->after_repeat)
		return aggwin_regex_fail(r, start, "Put what is to be repeated twice in parentheses.",
								 *start == '+' ? "possessive and nested repetitions are not supported by RE2" :
								 "a repetition cannot follow another one");
	if (atom->start < 0)
		return aggwin_regex_fail(r, start, "Write \\ before it if the character is meant.",
								 "there is nothing to repeat");

	most = max < 0 ? min : max;
	if (*start == '{' && (min >= 2 || max >= 2) && most > 0)
	{
		if (atom->repeats > MAX_REPEAT / most)
			return aggwin_regex_fail(r, start, "RE2 counts to 1000, repetitions within each other multiplied.",
									 "too many repetitions");
		atom->repeats *= most;
	}
	atom->size *= Max(most, 1);
	if (atom->empty)
		atom->optional *= Max(most, 1);
	/* An assertion is written once, however often it is repeated. */
	if (atom->bare && !atom->assertion)
		atom->assertions *= Min(Max(most, 1), MAX_ASSERTIONS + 1);
	atom->run = atom->assertions;
	if (min == 0)
	{
		atom->empty = atom->bare = true;
		atom->optional = Max(atom->optional, 1);
	}
	if (!aggwin_regex_check_size(r, atom))
		return false;
	write_repeat(r, atom, min, max);
	atom->repeated = true;
	return true;
}
