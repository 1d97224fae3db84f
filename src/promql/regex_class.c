/*
 * regex_class.c - sets of characters in regular expressions
 *
 * A set is a list of ranges of code points. It is written as a bracket expression
 * of the server's, with every range spelled out: so neither the classes' names
 * nor escapes inside of brackets, which the two languages understand differently,
 * come through.
 *
 * Case is ignored for ASCII's letters only. RE2 knows that of all scripts; the
 * server, under collation "C", of none. So sets of other letters are refused
 * where case is to be ignored. (RE2 also takes the Kelvin sign for a k, and the
 * long s for an s; that is left out.)
 */
#include "promql/base.h"

#include "promql/regex_class.h"

#include "mb/pg_wchar.h"

#define FIRST_SURROGATE 0xD800
#define LAST_SURROGATE 0xDFFF

typedef struct NamedClass
{
	const char *name;
	RegexRange	ranges[4];		/* as far as first is not 0 */
} NamedClass;

/* RE2's, of ASCII only; its NUL is left out, as no text of the server has one. */
static const NamedClass named_classes[] = {
	{"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
	{"alpha", {{'A', 'Z'}, {'a', 'z'}}},
	{"ascii", {{0x01, 0x7F}}},
	{"blank", {{'\t', '\t'}, {' ', ' '}}},
	{"cntrl", {{0x01, 0x1F}, {0x7F, 0x7F}}},
	{"digit", {{'0', '9'}}},
	{"graph", {{'!', '~'}}},
	{"lower", {{'a', 'z'}}},
	{"print", {{' ', '~'}}},
	{"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
	{"space", {{'\t', '\r'}, {' ', ' '}}},
	{"upper", {{'A', 'Z'}}},
	{"word", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}}},
	{"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
};

/* \d, \s and \w; RE2's \s is without the vertical tab. */
static const NamedClass letter_classes[] = {
	{"d", {{'0', '9'}}},
	{"s", {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}},
	{"w", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}}},
};

/* Where letters with two cases are, generously. */
static const RegexRange cased[] = {
	{0xB5, 0xB5}, {0xC0, 0x2AF}, {0x345, 0x345}, {0x370, 0x587}, {0x10A0, 0x10FF},
	{0x13A0, 0x13FF}, {0x1C80, 0x1CBF}, {0x1D79, 0x1D8E}, {0x1E00, 0x1FFF},
	{0x2126, 0x2188}, {0x24B6, 0x24E9}, {0x2C00, 0x2D2F}, {0xA640, 0xA7FF},
	{0xAB30, 0xABBF}, {0xFF21, 0xFF5A}, {0x10400, 0x105FF}, {0x10C80, 0x10CFF},
	{0x118A0, 0x118DF}, {0x16E40, 0x16E7F}, {0x1E900, 0x1E95F},
};

void
aggwin_class_add(RegexClass *class, uint32 first, uint32 last)
{
	if (class->count == class->capacity)
	{
		class->capacity = class->capacity == 0 ? 8 : 2 * class->capacity;
		class->ranges = class->ranges == NULL ? palloc(class->capacity * sizeof(RegexRange)) :
			repalloc(class->ranges, class->capacity * sizeof(RegexRange));
	}
	class->ranges[class->count].first = first;
	class->ranges[class->count++].last = last;
}

/* Add the part of a range that is in another one, moved by some places. */
static void
add_moved(RegexClass *class, uint32 first, uint32 last, uint32 from, uint32 to, int by)
{
	first = Max(first, from);
	last = Min(last, to);
	if (first <= last)
		aggwin_class_add(class, first + by, last + by);
}

/* Likewise, and what differs from it by its case. False if that is not known here. */
bool
aggwin_class_add_folded(RegexClass *class, uint32 first, uint32 last)
{
	aggwin_class_add(class, first, last);
	add_moved(class, first, last, 'a', 'z', 'A' - 'a');
	add_moved(class, first, last, 'A', 'Z', 'a' - 'A');

	/* A range of everything has both cases of all. */
	if (first <= 0x80 && last == AGGWIN_LAST_CHARACTER)
		return true;
	for (int i = 0; i < lengthof(cased); i++)
	{
		if (first <= cased[i].last && last >= cased[i].first)
			return false;
	}
	return true;
}

static void
add_class(RegexClass *class, const NamedClass *named, bool fold, bool negated)
{
	RegexClass	added = {0};

	for (int i = 0; i < lengthof(named->ranges) && named->ranges[i].first != 0; i++)
	{
		const RegexRange *range = &named->ranges[i];

		if (fold)
			(void) aggwin_class_add_folded(&added, range->first, range->last);
		else
			aggwin_class_add(&added, range->first, range->last);
	}
	if (negated)
		aggwin_class_negate(&added);
	for (int i = 0; i < added.count; i++)
		aggwin_class_add(class, added.ranges[i].first, added.ranges[i].last);
}

/* [:name:]; false if there is none of that name. */
bool
aggwin_class_add_named(RegexClass *class, const char *name, int length, bool fold, bool negated)
{
	for (int i = 0; i < lengthof(named_classes); i++)
	{
		if (strlen(named_classes[i].name) == length && memcmp(named_classes[i].name, name, length) == 0)
		{
			add_class(class, &named_classes[i], fold, negated);
			return true;
		}
	}
	return false;
}

/* \d, \D and their like; false if the letter is none of them. */
bool
aggwin_class_add_letter(RegexClass *class, char letter, bool fold)
{
	for (int i = 0; i < lengthof(letter_classes); i++)
	{
		char		lower = letter_classes[i].name[0];

		if (letter == lower || letter == lower - 'a' + 'A')
		{
			add_class(class, &letter_classes[i], fold, letter != lower);
			return true;
		}
	}
	return false;
}

static int
compare_ranges(const void *a, const void *b)
{
	const RegexRange *x = a;
	const RegexRange *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->last < y->last ? -1 : x->last > y->last;
}

/* In order, and with gaps between the ranges. */
static void
tidy(RegexClass *class)
{
	int			kept = 0;

	if (class->count == 0)
		return;
	qsort(class->ranges, class->count, sizeof(RegexRange), compare_ranges);
	for (int i = 1; i < class->count; i++)
	{
		RegexRange *last = &class->ranges[kept];

		if (class->ranges[i].first <= last->last + 1)
			last->last = Max(last->last, class->ranges[i].last);
		else
			class->ranges[++kept] = class->ranges[i];
	}
	class->count = kept + 1;
}

/* Every character that was not in it. */
void
aggwin_class_negate(RegexClass *class)
{
	RegexClass	others = {0};
	uint32		next = 1;

	tidy(class);
	for (int i = 0; i < class->count; i++)
	{
		if (class->ranges[i].first > next)
			aggwin_class_add(&others, next, class->ranges[i].first - 1);
		next = class->ranges[i].last + 1;
	}
	if (next <= AGGWIN_LAST_CHARACTER)
		aggwin_class_add(&others, next, AGGWIN_LAST_CHARACTER);
	*class = others;
}

/* A character as itself, in and out of brackets. */
void
aggwin_regex_write_character(uint32 character, StringInfo out)
{
	unsigned char bytes[4];

	/* Backslashes before letters and digits mean something, before all else nothing. */
	if (character < 0x7F && character > ' ' && !strchr("_,:;=@~<>/!%&'\"`#", character) &&
		!((character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
		  (character >= 'a' && character <= 'z')))
		appendStringInfoChar(out, '\\');
	(void) unicode_to_utf8(character, bytes);
	appendBinaryStringInfo(out, (const char *) bytes, pg_utf_mblen(bytes));
}

/*
 * Leave out what is in no text, and could not be written: NUL and surrogates. A
 * range that ends in what is left out ends before it.
 */
static void
clip(RegexClass *class)
{
	int			kept = 0;

	tidy(class);
	for (int i = 0; i < class->count; i++)
	{
		RegexRange	range = class->ranges[i];

		if (range.first == 0)
			range.first = 1;
		if (range.first >= FIRST_SURROGATE && range.first <= LAST_SURROGATE)
			range.first = LAST_SURROGATE + 1;
		if (range.last >= FIRST_SURROGATE && range.last <= LAST_SURROGATE)
			range.last = FIRST_SURROGATE - 1;
		if (range.first <= range.last)
			class->ranges[kept++] = range;
	}
	class->count = kept;
}

/* Write the set as something that matches one character of it. */
void
aggwin_class_write(RegexClass *class, StringInfo out)
{
	bool		negated;

	clip(class);
	if (class->count == 0)
	{
		/* Nothing stands behind the end. */
		appendStringInfoString(out, "(?:$x)");
		return;
	}
	negated = class->ranges[class->count - 1].last == AGGWIN_LAST_CHARACTER;
	if (negated)
	{
		aggwin_class_negate(class);
		clip(class);
	}
	if (class->count == 0)
	{
		appendStringInfoChar(out, '.');
		return;
	}
	if (!negated && class->count == 1 && class->ranges[0].first == class->ranges[0].last)
	{
		aggwin_regex_write_character(class->ranges[0].first, out);
		return;
	}
	appendStringInfoString(out, negated ? "[^" : "[");
	for (int i = 0; i < class->count; i++)
	{
		RegexRange *range = &class->ranges[i];

		aggwin_regex_write_character(range->first, out);
		if (range->last > range->first + 1)
			appendStringInfoChar(out, '-');
		if (range->last > range->first)
			aggwin_regex_write_character(range->last, out);
	}
	appendStringInfoChar(out, ']');
}
