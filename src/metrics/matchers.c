/*
 * matchers.c - which series are meant: a selector of PromQL, or labels as JSON
 */
#include "postgres.h"

#include "metrics/matchers.h"

#include "mb/pg_wchar.h"
#include "metrics/labels.h"
#include "metrics/names.h"
#include "nodes/value.h"
#include "promql/parse.h"
#include "utils/builtins.h"

void
aggwin_matchers_init(Matchers *matchers)
{
	initStringInfo(&matchers->condition);
	appendStringInfoString(&matchers->condition, "true");
	matchers->labels = NIL;
	matchers->count = 0;
}

/*
 * A label that is not there is an empty one. What the index of labels can find is
 * asked in its way.
 */
static void
add_matcher(Matchers *matchers, const char *label, PromMatch match, const char *value,
			const char *regex)
{
	bool		is_name = strcmp(label, AGGWIN_NAME_LABEL) == 0;
	char	   *operand = is_name ? pstrdup("s.metric")
		: psprintf("coalesce(s.labels ->> %s, '')", quote_literal_cstr(label));
	StringInfo	s = &matchers->condition;

	matchers->count++;
	if (!is_name)
		matchers->labels = list_append_unique(matchers->labels, makeString(pstrdup(label)));
	appendStringInfoString(s, " AND ");
	if (match == PROM_EQUAL && !is_name && value[0] != '\0')
		appendStringInfo(s, "s.labels @> jsonb_build_object(%s::text, %s::text)",
						 quote_literal_cstr(label), quote_literal_cstr(value));
	else if (match == PROM_EQUAL || match == PROM_NOT_EQUAL)
		appendStringInfo(s, "%s %s %s", operand, match == PROM_EQUAL ? "=" : "<>",
						 quote_literal_cstr(value));
	else
		appendStringInfo(s, "%s %s %s COLLATE \"C\"", operand, match == PROM_MATCH ? "~" : "!~",
						 quote_literal_cstr(regex));
}

/* From the language's encoding to the database's. */
char *
aggwin_from_utf8(const char *string)
{
	return string == NULL ? NULL : pg_any_to_server(string, strlen(string), PG_UTF8);
}

/* A selector that has been read. */
void
aggwin_add_parsed(Matchers *matchers, const PromSelector *selector)
{
	if (selector->metric != NULL)
		add_matcher(matchers, AGGWIN_NAME_LABEL, PROM_EQUAL, aggwin_from_utf8(selector->metric), NULL);
	for (int i = 0; i < selector->matcher_count; i++)
	{
		PromMatcher *matcher = &selector->matchers[i];

		add_matcher(matchers, matcher->label, matcher->match, aggwin_from_utf8(matcher->value),
					aggwin_from_utf8(matcher->regex));
	}
}

/* A selector of PromQL. argument is what it came as, for messages. */
void
aggwin_add_selector(Matchers *matchers, const char *argument, text *selector)
{
	char	   *text = text_to_cstring(selector);
	PromSelector parsed;
	PromError	error;

	if (!aggwin_promql_selector(pg_server_to_any(text, strlen(text), PG_UTF8), &parsed, &error))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("argument \"%s\", line %d, column %d: %s", argument, error.line, error.column,
						aggwin_from_utf8(error.message)),
				 errdetail("It is: %s", text),
				 error.hint ? errhint("%s", aggwin_from_utf8(error.hint)) : 0));
	aggwin_add_parsed(matchers, &parsed);
}

/* Labels that are to be equal; an empty one is not to be there. */
void
aggwin_add_labels(Matchers *matchers, Jsonb *labels)
{
	LabelPair  *pairs;
	int			count = aggwin_label_pairs(labels, &pairs);

	for (int i = 0; i < count; i++)
		add_matcher(matchers, pnstrdup(pairs[i].name, pairs[i].name_length), PROM_EQUAL,
					pnstrdup(pairs[i].value, pairs[i].value_length), NULL);
}

/* In PromQL names of labels have no quotes. */
bool
aggwin_looks_like_json(const char *text)
{
	const char *blanks = " \t\n\r";

	text += strspn(text, blanks);
	if (*text++ != '{')
		return false;
	text += strspn(text, blanks);
	return *text == '"';
}
