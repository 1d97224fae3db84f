/*
 * parse.c - reading PromQL
 */
#include "promql/base.h"

#include "promql/parse.h"

#include "mb/pg_wchar.h"
#include "promql/grammar.h"
#include "promql/scanner.h"

static bool
read_text(const char *text, int start_token, PromReader *reader, PromError *error)
{
	static const PromPlace start = {1, 1};
	Size		length = strlen(text);
	int			valid;

	memset(error, 0, sizeof(*error));
	memset(reader, 0, sizeof(*reader));
	reader->text = text;
	reader->error = error;
	if (length > AGGWIN_PROMQL_MAX_LENGTH)
		return aggwin_promql_fail(error, start, "Select by fewer matchers, or by shorter ones.",
								  "the text is too long: %zu bytes, at most %d are allowed",
								  length, AGGWIN_PROMQL_MAX_LENGTH);
	valid = pg_encoding_verifymbstr(PG_UTF8, text, length);
	if (valid != length)
		return aggwin_promql_fail(error, aggwin_promql_place(start, text, text + valid), NULL,
								  "the text is not UTF-8");
	return aggwin_promql_read(reader, start_token);
}

/*
 * Read a selector: m, m{a="b",c=~"d"}, {a="b"}. The empty text and empty braces
 * select everything.
 *
 * A name before the braces and a single {__name__="m"} are the selector's metric;
 * other matchers of __name__ stay matchers, of a label of this name. Returns false
 * and fills the error if the text is none.
 */
bool
aggwin_promql_selector(const char *text, PromSelector *selector, PromError *error)
{
	PromReader	reader;

	if (!read_text(text, START_SELECTOR, &reader, error))
		return false;
	*selector = *reader.selector;
	return true;
}

/*
 * Read an expression. It may still be one that no pipeline can compute, or that
 * makes no sense: aggwin_promql_check() knows.
 */
bool
aggwin_promql_parse(const char *text, PromExpr **expr, PromError *error)
{
	PromReader	reader;

	if (!read_text(text, START_EXPR, &reader, error))
		return false;
	*expr = reader.expr;
	return true;
}

/* Read a duration alone: 1h30m, more than 0. */
bool
aggwin_promql_parse_duration(const char *text, int64 *milliseconds, PromError *error)
{
	PromToken	token = {text, strlen(text), {1, 1}};

	memset(error, 0, sizeof(*error));
	return aggwin_promql_duration(token, milliseconds, error);
}
