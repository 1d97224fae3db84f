/*
 * regex.c - regular expressions: RE2's language, for the server's engine
 *
 * Prometheus matches whole values by RE2's regular expressions (those of Go); the
 * server has its own, POSIX' advanced ones. What is read here is checked by RE2's
 * rules and written anew, so that `value ~ regex COLLATE "C"` says what Prometheus
 * would say. As only yes or no is asked for, and of the whole value, it does not
 * matter which of several ways a match goes: groups do not capture, and lazy
 * repetitions are like others. What is different:
 *
 *		RE2						server
 *		(?i)ab  (?i:ab)			[Aa][Bb]; the server has options for the whole only
 *		\b \B					\y \Y; there \b is a backspace
 *		^ $ after (?m)			(?:^|(?<=\n)) and (?:$|(?=\n))
 *		. after (?-s)			[^\n]
 *		\d [[:^alpha:]x]		the characters, spelled out
 *		\Qa.b\E  \x{e4}			a\.b  ä
 *		a{300}					(?:a{255}a{45}); the server counts to 255
 *		^* \b+					nothing, \y; there assertions cannot be repeated
 *
 * A dot is any character, a line feed, too, as in Prometheus since version 3.
 *
 * Sources: RE2's syntax, as Go's package regexp/syntax has it with the flags of
 * Perl; PostgreSQL's documentation, "POSIX Regular Expressions".
 */
#include "promql/base.h"

#include "promql/regex.h"

#include "mb/pg_wchar.h"
#include "promql/regex_class.h"
#include "promql/regex_reader.h"

/* Parentheses within each other. RE2 allows 1000; nobody needs them. */
#define MAX_DEPTH 100

static const RegexAtom nothing = {.start = -1, .repeats = 1, .bare = true, .empty = true};

static bool read_branches(RegexReader *r, int depth, RegexAtom *whole);

/* One character. */
static RegexAtom
single(int start)
{
	return (RegexAtom) {.start = start, .size = 1, .repeats = 1};
}

bool
aggwin_regex_fail(RegexReader *r, const char *at, const char *hint, const char *message)
{
	PromPlace	start = {1, 1};

	return aggwin_promql_fail(r->error, aggwin_promql_place(start, r->text, at), hint,
							  "invalid regular expression: %s", message);
}

/* Groups ------------------------------------------------------------------ */

static const struct
{
	const char *start;
	const char *message;
}			refused_groups[] = {
	{"(?=", "lookahead (?= is not supported by RE2"},
	{"(?!", "negative lookahead (?! is not supported by RE2"},
	{"(?<=", "lookbehind (?<= is not supported by RE2"},
	{"(?<!", "negative lookbehind (?<! is not supported by RE2"},
	{"(?>", "atomic groups (?> are not supported by RE2"},
	{"(?#", "comments (?# are not supported by RE2"},
	{"(?P=", "backreferences (?P= are not supported by RE2"},
	{"(?P>", "recursion (?P> is not supported by RE2"},
	{"(?R", "recursion (?R is not supported by RE2"},
	{"(?&", "recursion (?& is not supported by RE2"},
	{"(?|", "branch reset (?| is not supported by RE2"},
	{"(?(", "conditions (?( are not supported by RE2"},
};

static bool
refuse_group(RegexReader *r, const char *start)
{
	for (int i = 0; i < lengthof(refused_groups); i++)
	{
		if (strncmp(start, refused_groups[i].start, strlen(refused_groups[i].start)) == 0)
			return aggwin_regex_fail(r, start, strstr(refused_groups[i].message, "look") == NULL ? NULL :
									 "Values can be left out by a matcher of their own, with != or !~.",
									 refused_groups[i].message);
	}
	return aggwin_regex_fail(r, start, "There are (?:...), (?P<name>...) and the flags i, m, s and U.",
							 "this group is not supported by RE2");
}

/* Behind "(?P<" or "(?<". */
static bool
read_name(RegexReader *r, const char *start)
{
	const char *name = r->at;

	while (*r->at == '_' || (*r->at >= '0' && *r->at <= '9') ||
		   (*r->at >= 'a' && *r->at <= 'z') || (*r->at >= 'A' && *r->at <= 'Z'))
		r->at++;
	if (r->at == name || *r->at != '>')
		return aggwin_regex_fail(r, start, "Names consist of letters, digits and underscores.",
								 "invalid name of a group");
	r->at++;
	return true;
}

/*
 * Behind "(?": flags, then ":" if a group begins, or ")" if they hold for the rest
 * of this one.
 */
static bool
read_flags(RegexReader *r, const char *start, bool *group)
{
	bool		on = true;
	bool		any = true;
	RegexFlags	flags = r->flags;

	for (;; r->at++)
	{
		switch (*r->at)
		{
			case 'i':
				flags.fold = on;
				any = true;
				break;
			case 'm':
				flags.lines = on;
				any = true;
				break;
			case 's':
				flags.dot_all = on;
				any = true;
				break;
			case 'U':
				any = true;
				break;
			case '-':
				if (!on)
					return refuse_group(r, start);
				on = false;
				any = false;
				break;
			case ':':
			case ')':
				if (!any)
					return refuse_group(r, start);
				*group = *r->at++ == ':';
				r->flags = flags;
				return true;
			default:
				return refuse_group(r, start);
		}
	}
}

/* "(", or "(?i)", which is no group. */
static bool
read_group(RegexReader *r, int depth, RegexAtom *atom)
{
	const char *start = r->at;
	RegexFlags	outer = r->flags;
	bool		group = true;
	RegexAtom		inner;
	int			begin = r->out->len;

	r->at++;
	if (*r->at == '?')
	{
		r->at++;
		if (strncmp(r->at, "P<", 2) == 0 ||
			(*r->at == '<' && r->at[1] != '=' && r->at[1] != '!'))
		{
			r->at += *r->at == 'P' ? 2 : 1;
			if (!read_name(r, start))
				return false;
		}
		else if (!read_flags(r, start, &group))
			return false;
	}
	if (!group)
		return true;
	if (depth == MAX_DEPTH)
		return aggwin_regex_fail(r, start, NULL, "parentheses are too deep");

	appendStringInfoString(r->out, "(?:");
	if (!read_branches(r, depth + 1, &inner))
		return false;
	if (*r->at != ')')
		return aggwin_regex_fail(r, start, NULL, "the parenthesis is not closed");
	r->at++;
	appendStringInfoChar(r->out, ')');
	r->flags = outer;
	*atom = inner;
	atom->start = begin;
	atom->repeated = false;
	return true;
}

/* The whole --------------------------------------------------------------- */

static bool
read_item(RegexReader *r, int depth, RegexAtom *atom)
{
	int			begin = r->out->len;
	bool		assertion = false;

	switch (*r->at)
	{
		case '(':
			return read_group(r, depth, atom);
		case '\\':
			if (r->at[1] == 'Q')
			{
				r->quoted = r->at;
				r->at += 2;
				return true;
			}
			if (!aggwin_regex_read_escape(r, &assertion))
				return false;
			break;
		case '^':
			r->at++;
			appendStringInfoString(r->out, r->flags.lines ? "(?:^|(?<=\n))" : "^");
			assertion = true;
			break;
		case '$':
			r->at++;
			appendStringInfoString(r->out, r->flags.lines ? "(?:$|(?=\n))" : "$");
			assertion = true;
			break;
		case '.':
			r->at++;
			appendStringInfoString(r->out, r->flags.dot_all ? "." : "[^\n]");
			break;
		case '[':
			if (!aggwin_regex_read_class(r))
				return false;
			break;
		default:
			if (!aggwin_regex_read_literal(r))
				return false;
	}
	*atom = single(begin);
	if (assertion)
	{
		/* All of them hold in an empty text but \b. */
		atom->size = 0;
		atom->assertion = atom->bare = true;
		/* The server looks both ahead and behind for the edge of a word. */
		atom->assertions = atom->run = r->out->data[begin] == '\\' ? 2 : 1;
		atom->empty = strcmp(r->out->data + begin, "\\y") != 0;
		atom->optional = atom->empty ? 1 : 0;
	}
	return true;
}

/* The next of the characters behind \Q, or \E. */
static bool
read_quoted(RegexReader *r, RegexAtom *atom)
{
	int			begin = r->out->len;

	if (strncmp(r->at, "\\E", 2) == 0)
	{
		r->at += 2;
		r->quoted = NULL;
		return true;
	}
	if (!aggwin_regex_read_literal(r))
		return false;
	*atom = single(begin);
	return true;
}

/* What one atom behind another makes. */
static RegexAtom
joined(const RegexAtom *before, const RegexAtom *atom)
{
	RegexAtom		result = *before;

	result.size += atom->size;
	result.repeats = Max(result.repeats, atom->repeats);
	/* In a row they are added up; the longest row counts. */
	result.optional = atom->empty ? result.optional + atom->optional :
		Max(result.optional, atom->optional);
	result.run = atom->bare ? result.run + atom->assertions : atom->run;
	result.assertions = Max(Max(result.assertions, atom->assertions), result.run);
	result.bare = result.bare && atom->bare;
	result.empty = result.empty && atom->empty;
	return result;
}

/* One item behind the other, to the end of the branch. */
static bool
read_branch(RegexReader *r, int depth, RegexAtom *branch)
{
	RegexAtom		before = nothing;	/* everything but the atom */
	RegexAtom		atom = nothing;

	*branch = nothing;
	r->after_repeat = false;
	while (*r->at != '\0' && (r->quoted != NULL || (*r->at != ')' && *r->at != '|')))
	{
		bool		found = false;
		int			written = r->out->len;
		RegexAtom		last = atom;

		if (r->quoted != NULL)
		{
			if (!read_quoted(r, &atom))
				return false;
		}
		else if (!aggwin_regex_read_repeat(r, &atom, &found))
			return false;
		else if (!found && !read_item(r, depth, &atom))
			return false;
		r->after_repeat = found;

		/* Flags and the like write nothing, and leave the atom as it is. */
		if (!found && r->out->len > written)
			before = joined(&before, &last);
		*branch = joined(&before, &atom);
		if (!aggwin_regex_check_size(r, branch))
			return false;
	}
	return true;
}

/* One branch or another, to the end or a parenthesis. */
static bool
read_branches(RegexReader *r, int depth, RegexAtom *whole)
{
	RegexAtom		branch;

	if (!read_branch(r, depth, whole))
		return false;
	while (*r->at == '|')
	{
		r->at++;
		appendStringInfoChar(r->out, '|');
		if (!read_branch(r, depth, &branch))
			return false;
		whole->size += branch.size;
		whole->repeats = Max(whole->repeats, branch.repeats);
		/* Those that may be left out do so beside each other. */
		whole->optional = whole->empty && branch.empty ? whole->optional + branch.optional :
			Max(whole->optional, branch.optional);
		whole->assertions = whole->bare && branch.bare ? whole->assertions + branch.assertions :
			Max(whole->assertions, branch.assertions);
		whole->run = whole->assertions;
		whole->bare = whole->bare || branch.bare;
		whole->empty = whole->empty || branch.empty;
		if (!aggwin_regex_check_size(r, whole))
			return false;
	}
	return true;
}

/*
 * Check a regular expression of RE2's and write it for the server's operator ~,
 * for a value as a whole. Where something is wrong, the error's line and column
 * count in the regular expression, from its first character.
 */
bool
aggwin_promql_regex(const char *re2, char **regex, PromError *error)
{
	bool		matches_empty;

	return aggwin_promql_translate(re2, regex, &matches_empty, error);
}

/* Likewise; does it match the empty text, too, as which a missing label counts? */
bool
aggwin_promql_translate(const char *re2, char **regex, bool *matches_empty, PromError *error)
{
	RegexReader r = {0};
	StringInfoData out;
	RegexAtom		whole;
	int			length = strlen(re2);
	int			valid = pg_encoding_verifymbstr(PG_UTF8, re2, length);

	memset(error, 0, sizeof(*error));
	initStringInfo(&out);
	r.text = r.at = re2;
	r.out = &out;
	r.flags.dot_all = true;
	r.error = error;
	if (valid != length)
		return aggwin_regex_fail(&r, re2 + valid, NULL, "this is not UTF-8");

	appendStringInfoString(&out, "^(?:");
	if (!read_branches(&r, 0, &whole))
		return false;
	if (r.quoted != NULL)
		return aggwin_regex_fail(&r, r.quoted, "Write \\E behind the text.", "\\Q is not closed");
	if (*r.at == ')')
		return aggwin_regex_fail(&r, r.at, "Write \\) if the character is meant.",
								 "there is no parenthesis to close");
	appendStringInfoString(&out, ")$");
	*regex = out.data;
	*matches_empty = whole.empty;
	return true;
}
