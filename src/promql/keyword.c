/*
 * keyword.c - PromQL's words, and what is refused by name
 */
#include "promql/base.h"

#include "promql/scanner.h"

#include "promql/grammar.h"

static const struct
{
	const char *word;
	int			token;
}			keywords[] = {
	{"and", SET_OPERATOR},
	{"atan2", SET_OPERATOR},
	{"bool", MODIFIER},
	{"by", BY},
	{"group_left", MODIFIER},
	{"group_right", MODIFIER},
	{"ignoring", MODIFIER},
	{"inf", MODIFIER},
	{"nan", MODIFIER},
	{"offset", OFFSET},
	{"on", MODIFIER},
	{"or", SET_OPERATOR},
	{"unless", SET_OPERATOR},
	{"without", WITHOUT},
};

/* The token of a name, which is a keyword in whatever case. */
int
aggwin_promql_keyword(PromToken token)
{
	for (int i = 0; i < lengthof(keywords); i++)
	{
		if (strlen(keywords[i].word) == token.length &&
			pg_strncasecmp(keywords[i].word, token.start, token.length) == 0)
			return keywords[i].token;
	}
	return NAME;
}

static bool
has_only(const char *name, bool colons)
{
	static const char letters[] = ":abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	if (*name == '\0' || (*name >= '0' && *name <= '9'))
		return false;
	return name[strspn(name, colons ? letters : letters + 1)] == '\0';
}

/* Is it the name of a label? */
bool
aggwin_promql_is_label(const char *name)
{
	return has_only(name, false);
}

/*
 * Can it stand before braces? Names that are words of the language in this place,
 * inf and nan among them, which are numbers, can be matched by __name__ only.
 */
bool
aggwin_promql_is_metric(const char *name)
{
	PromToken	token = {name, strlen(name), {1, 1}};

	return has_only(name, true) && aggwin_promql_keyword(token) != MODIFIER;
}

/* A sign, or another operator, before what is no number. */
bool
aggwin_promql_refuse_sign(PromReader *reader, PromToken token)
{
	return aggwin_promql_fail(reader->error, token.place,
							  "Compute with the results where they are read.",
							  "operator \"%.*s\" is not supported", token.length, token.start);
}

/* A word that begins what PromQL has and pipelines have not. */
bool
aggwin_promql_refuse(PromReader *reader, PromToken token)
{
	static const char other_time[] = "A result is stamped with the end of its window; ask for an earlier one where it is read.";
	char	   *word = pnstrdup(token.start, token.length);

	if (*word == '@')
		return aggwin_promql_fail(reader->error, token.place, other_time,
								  "modifier \"@\" is not supported");
	if (*word == ':')
		return aggwin_promql_fail(reader->error, token.place,
								  "Make what is inside a pipeline of its own, and use its result.",
								  "subqueries are not supported");
	if (pg_strcasecmp(word, "offset") == 0)
		return aggwin_promql_fail(reader->error, token.place, other_time,
								  "modifier \"offset\" is not supported");
	return aggwin_promql_fail(reader->error, token.place,
							  "Make each side a pipeline of its own, and compute with their results where they are read.",
							  "operator \"%s\" is not supported", word);
}
