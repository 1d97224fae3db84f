/*
 * yaml_tree.c - a YAML file as a tree, with places
 *
 * libyaml reads; this builds the tree from its events, and refuses what nobody
 * needs in a file of rules: anchors, aliases and tags, several documents, keys that
 * are not scalars, depth. What libyaml allocates is freed in any case, what is
 * palloc'ed belongs to the caller's context.
 */
#include "promql/base.h"

#include "pipeline/yaml_tree.h"

#include <yaml.h>

#include "mb/pg_wchar.h"

/* Lists and maps within each other. */
#define MAX_DEPTH 10

typedef struct YamlReader
{
	yaml_parser_t parser;
	PromError  *error;
} YamlReader;

static bool read_node(YamlReader *r, const yaml_event_t *event, int depth, YamlNode **node);

static PromPlace
place_of(yaml_mark_t mark)
{
	return (PromPlace) {mark.line + 1, mark.column + 1};
}

/* What libyaml says of a file that is no YAML. */
static bool
fail_parser(YamlReader *r)
{
	yaml_parser_t *parser = &r->parser;
	const char *problem = parser->problem != NULL ? parser->problem : "out of memory";
	const char *hint = NULL;

	if (strstr(problem, "cannot start any token") != NULL)
		hint = "Indent by blanks, not by tabs, and put text with characters like @, %, ` or & in quotes.";
	else if (strstr(problem, "mapping values are not allowed") != NULL)
		hint = "Put text that has a colon followed by a blank in quotes, and indent keys alike.";
	else if (strstr(problem, "did not find expected") != NULL)
		hint = "Indent keys alike, and put promql in single quotes.";
	return aggwin_promql_fail(r->error, place_of(parser->problem_mark), hint, "invalid YAML: %s%s%s",
							  problem, parser->context != NULL ? " " : "",
							  parser->context != NULL ? parser->context : "");
}

/* The next event, which the caller deletes. */
static bool
next_event(YamlReader *r, yaml_event_t *event)
{
	if (yaml_parser_parse(&r->parser, event))
		return true;
	return fail_parser(r);
}

/* Without anchor and tag? "!" alone is that of quotes. */
static bool
check_plainness(YamlReader *r, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		return aggwin_promql_fail(r->error, place_of(event->start_mark), "Write it out in each place.",
								  "anchors are not supported");
	if (tag != NULL)
		return aggwin_promql_fail(r->error, place_of(event->start_mark), "Leave it out.",
								  "tags are not supported");
	return true;
}

static void
add_node(YamlNode *parent, YamlNode *child)
{
	/* Grows at every power of two. */
	if ((parent->node_count & (parent->node_count - 1)) == 0)
	{
		Size		size = Max(2 * parent->node_count, 1) * sizeof(YamlNode *);

		parent->nodes = parent->nodes == NULL ? palloc(size) : repalloc(parent->nodes, size);
	}
	parent->nodes[parent->node_count++] = child;
}

static bool
read_scalar(YamlReader *r, const yaml_event_t *event, YamlNode *node)
{
	const char *text = (const char *) event->data.scalar.value;

	node->kind = AGGWIN_YAML_SCALAR;
	node->last_line = event->end_mark.line + 1;
	switch (event->data.scalar.style)
	{
		case YAML_PLAIN_SCALAR_STYLE:
			node->style = AGGWIN_YAML_PLAIN;
			break;
		case YAML_SINGLE_QUOTED_SCALAR_STYLE:
			node->style = AGGWIN_YAML_SINGLE_QUOTED;
			break;
		case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
			node->style = AGGWIN_YAML_DOUBLE_QUOTED;
			break;
		default:
			node->style = AGGWIN_YAML_BLOCK;
	}
	if (strlen(text) != event->data.scalar.length)
		return aggwin_promql_fail(r->error, node->place, NULL, "the character NUL is not allowed");
	node->text = pstrdup(text);
	return true;
}

/* The nodes of a list or map, to its end. */
static bool
read_nodes(YamlReader *r, int depth, YamlNode *parent)
{
	yaml_event_type_t end = parent->kind == AGGWIN_YAML_LIST ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT;

	for (;;)
	{
		yaml_event_t event;
		YamlNode   *child;
		bool		done;
		bool		good;

		if (!next_event(r, &event))
			return false;
		done = event.type == end;
		good = done || read_node(r, &event, depth, &child);
		yaml_event_delete(&event);
		if (done || !good)
			return good;
		if (parent->kind == AGGWIN_YAML_MAP && parent->node_count % 2 == 0 &&
			child->kind != AGGWIN_YAML_SCALAR)
			return aggwin_promql_fail(r->error, child->place, NULL, "a key has to be a word");
		add_node(parent, child);
	}
}

/* A node that an event begins. */
static bool
read_node(YamlReader *r, const yaml_event_t *event, int depth, YamlNode **node)
{
	*node = palloc0(sizeof(YamlNode));
	(*node)->place = place_of(event->start_mark);
	switch (event->type)
	{
		case YAML_SCALAR_EVENT:
			return check_plainness(r, event, event->data.scalar.anchor, event->data.scalar.tag) &&
				read_scalar(r, event, *node);
		case YAML_SEQUENCE_START_EVENT:
			(*node)->kind = AGGWIN_YAML_LIST;
			if (!check_plainness(r, event, event->data.sequence_start.anchor, event->data.sequence_start.tag))
				return false;
			break;
		case YAML_MAPPING_START_EVENT:
			(*node)->kind = AGGWIN_YAML_MAP;
			if (!check_plainness(r, event, event->data.mapping_start.anchor, event->data.mapping_start.tag))
				return false;
			break;
		case YAML_ALIAS_EVENT:
			return aggwin_promql_fail(r->error, (*node)->place,
									  "Write it out in each place; text that begins with * stands in quotes.",
									  "aliases are not supported");
		default:
			return aggwin_promql_fail(r->error, (*node)->place, NULL, "invalid YAML: a value is expected");
	}
	if (depth == MAX_DEPTH)
		return aggwin_promql_fail(r->error, (*node)->place, NULL, "lists and maps are too deep");
	return read_nodes(r, depth + 1, *node);
}

/* The one document that there is. Root is NULL if there is none. */
static bool
read_document(YamlReader *r, YamlNode **root)
{
	*root = NULL;
	for (;;)
	{
		yaml_event_t event;
		bool		end;
		bool		good = true;

		if (!next_event(r, &event))
			return false;
		end = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && *root != NULL)
			good = aggwin_promql_fail(r->error, place_of(event.start_mark), "Use a file for each.",
									  "there is more than one document");
		else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT &&
				 event.type != YAML_DOCUMENT_END_EVENT && !end)
			good = read_node(r, &event, 0, root);
		yaml_event_delete(&event);
		if (end || !good)
			return good;
	}
}

/* Read a file, which a NUL follows. Its root is NULL if there is nothing in it. */
bool
aggwin_yaml_read(const char *text, size_t length, YamlNode **root, PromError *error)
{
	static const PromPlace start = {1, 1};
	YamlReader	r;
	int			valid;
	bool		good;

	memset(error, 0, sizeof(*error));
	valid = pg_encoding_verifymbstr(PG_UTF8, text, length);
	if (valid != length && text[valid] == '\0')
		return aggwin_promql_fail(error, aggwin_promql_place(start, text, text + valid), NULL,
								  "the file holds the character NUL");
	if (valid != length)
		return aggwin_promql_fail(error, aggwin_promql_place(start, text, text + valid),
								  "Save the file as UTF-8.", "the file is not UTF-8");
	r.error = error;
	if (!yaml_parser_initialize(&r.parser))
		return aggwin_promql_fail(error, start, NULL, "out of memory");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *) text, length);
	good = read_document(&r, root);
	yaml_parser_delete(&r.parser);
	return good;
}

/* Places ------------------------------------------------------------------ */

/*
 * The place in the file of a place in a scalar's text. False if that is not to be
 * told: the scalar goes over several lines, or has escapes.
 */
bool
aggwin_yaml_place(const char *text, const YamlNode *scalar, PromPlace inside, PromPlace *place)
{
	const char *at = text;
	bool		quoted = scalar->style != AGGWIN_YAML_PLAIN;

	if (scalar->style == AGGWIN_YAML_BLOCK || scalar->last_line != scalar->place.line || inside.line != 1)
		return false;
	/* libyaml knows of more ends of lines; then this may come to no line. */
	for (int line = 1; line < scalar->place.line; line++)
	{
		at = strchr(at, '\n');
		if (at == NULL)
			return false;
		at++;
	}
	for (int column = 1; column < scalar->place.column + (quoted ? 1 : 0); column++)
	{
		if (*at == '\0' || *at == '\n')
			return false;
		at += pg_utf_mblen((const unsigned char *) at);
	}
	*place = scalar->place;
	if (quoted)
		place->column++;
	for (int column = 1; column < inside.column; column++)
	{
		if (scalar->style == AGGWIN_YAML_DOUBLE_QUOTED && *at == '\\')
			return false;
		/* Two single quotes mean one. */
		if (scalar->style == AGGWIN_YAML_SINGLE_QUOTED && *at == '\'' && at[1] == '\'')
		{
			at++;
			place->column++;
		}
		if (*at == '\0' || *at == '\n')
			return false;
		at += pg_utf_mblen((const unsigned char *) at);
		place->column++;
	}
	return true;
}
