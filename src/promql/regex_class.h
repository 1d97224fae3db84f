/*
 * regex_class.h - sets of characters in regular expressions
 */
#ifndef AGGWIN_REGEX_CLASS_H
#define AGGWIN_REGEX_CLASS_H

#include "promql/base.h"

typedef struct RegexRange
{
	uint32		first;
	uint32		last;
} RegexRange;

typedef struct RegexClass
{
	RegexRange *ranges;
	int			count;
	int			capacity;
} RegexClass;

#define AGGWIN_LAST_CHARACTER 0x10FFFF

extern void aggwin_class_add(RegexClass *class, uint32 first, uint32 last);
extern bool aggwin_class_add_folded(RegexClass *class, uint32 first, uint32 last);
extern bool aggwin_class_add_named(RegexClass *class, const char *name, int length, bool fold,
								   bool negated);
extern bool aggwin_class_add_letter(RegexClass *class, char letter, bool fold);
extern void aggwin_class_negate(RegexClass *class);
extern void aggwin_class_write(RegexClass *class, StringInfo out);
extern void aggwin_regex_write_character(uint32 character, StringInfo out);

#endif							/* AGGWIN_REGEX_CLASS_H */
