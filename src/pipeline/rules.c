/*
 * rules.c - reading the pipelines of a file
 *
 * A fault in one pipeline is noted, and the next one is read; so all faults of a
 * file are told at once. Only a file that is no YAML ends with the first.
 */
#include "promql/base.h"

#include "pipeline/rules.h"

#include "pipeline/yaml_tree.h"
#include "promql/parse.h"

/* What a key's value is for. */
typedef enum PipelineKey
{
	KEY_PROMQL,
	KEY_AS,
	KEY_LABELS,
	KEY_GRACE,
	KEY_RETENTION,
	KEY_MAX_SERIES,
	KEY_LIMIT,
	KEY_HISTOGRAM,
	KEY_PAUSED,
} PipelineKey;

static const char *const keys[] = {
	"promql", "as", "labels", "grace", "retention", "max_series", "limit", "histogram", "paused",
};

/* A pipeline while it is read. */
typedef struct Reading
{
	PipelineRules *rules;
	const char *file;
	const char *text;			/* of the file */
	Pipeline	pipeline;
} Reading;

/* Note a fault. False, so that it ends a function that failed. */
bool
aggwin_rules_note(PipelineRules *rules, const char *file, const PromError *error)
{
	if (rules->finding_count == AGGWIN_RULES_MAX_FINDINGS)
		return false;
	if (rules->findings == NULL)
		rules->findings = palloc(AGGWIN_RULES_MAX_FINDINGS * sizeof(RulesFinding));
	rules->findings[rules->finding_count].file = file;
	rules->findings[rules->finding_count++].error = *error;
	return false;
}

/* The same, by its text. */
bool
aggwin_rules_fail(PipelineRules *rules, const char *file, PromPlace place, const char *hint,
				  const char *format,...)
{
	char		message[512];
	PromError	error = {0};
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	(void) aggwin_promql_fail(&error, place, hint, "%s", message);
	return aggwin_rules_note(rules, file, &error);
}

#define fail(r, ...) aggwin_rules_fail((r)->rules, (r)->file, __VA_ARGS__)

/* A fault inside of a scalar, put where it is in the file. */
static bool
fail_inside(Reading *r, const YamlNode *scalar, const char *what, const PromError *inside)
{
	PromError	error = *inside;
	PromPlace	place = {inside->line, inside->column};

	if (!aggwin_yaml_place(r->text, scalar, place, &place))
	{
		error.message = psprintf("%s (line %d, column %d of %s)", inside->message, inside->line, inside->column, what);
		place = scalar->place;
	}
	error.line = place.line;
	error.column = place.column;
	return aggwin_rules_note(r->rules, r->file, &error);
}

/* Values ------------------------------------------------------------------ */

static bool
check_scalar(Reading *r, const char *key, const YamlNode *value)
{
	if (value->kind != AGGWIN_YAML_SCALAR)
		return fail(r, value->place, NULL, "the value of \"%s\" has to be one word or text, not a %s", key,
					value->kind == AGGWIN_YAML_LIST ? "list" : "map");
	if (value->text[0] == '\0')
		return fail(r, value->place, NULL, "there is no value for \"%s\"", key);
	return true;
}

static bool
read_bool(Reading *r, const char *key, const YamlNode *value, bool *result)
{
	*result = strcmp(value->text, "true") == 0;
	if (*result || strcmp(value->text, "false") == 0)
		return true;
	return fail(r, value->place, NULL, "\"%s\" has to be true or false", key);
}

static bool
read_count(Reading *r, const char *key, const YamlNode *value, int64 *result)
{
	*result = 0;
	for (const char *c = value->text; *c != '\0'; c++)
	{
		if (*c < '0' || *c > '9' || *result > PG_INT64_MAX / 100)
		{
			*result = 0;
			break;
		}
		*result = *result * 10 + (*c - '0');
	}
	return *result > 0 ||
		fail(r, value->place, NULL, "\"%s\" has to be a whole number, more than 0", key);
}

static bool
read_duration(Reading *r, const char *key, const YamlNode *value, bool zero, int64 *result)
{
	PromError	error;

	*result = 0;
	if (zero && strspn(value->text, "0smh") == strlen(value->text) && value->text[0] == '0')
		return true;
	return aggwin_promql_parse_duration(value->text, result, &error) ||
		fail_inside(r, value, psprintf("the value of \"%s\"", key), &error);
}

static bool
read_as(Reading *r, const YamlNode *value)
{
	r->pipeline.as = value->text;
	r->pipeline.as_place = value->place;
	if (strlen(value->text) > AGGWIN_PIPELINE_MAX_NAME)
		return fail(r, value->place, NULL, "the name of a result is too long: %zu bytes, at most %d are allowed",
					strlen(value->text), AGGWIN_PIPELINE_MAX_NAME);
	if (!aggwin_promql_is_metric(value->text))
		return fail(r, value->place,
					"Names of metrics consist of letters, digits, underscores and colons, and do not begin with a digit.",
					"invalid name of a metric: \"%s\"",
					aggwin_promql_shown(value->text, strlen(value->text)));
	return true;
}

static bool
read_promql(Reading *r, const YamlNode *value)
{
	PromExpr   *expr;
	PromError	error;

	r->pipeline.promql = value->text;
	r->pipeline.promql_place = value->place;
	if (aggwin_promql_parse(value->text, &expr, &error) &&
		aggwin_promql_check(expr, &r->pipeline.rule, &error))
		return true;
	return fail_inside(r, value, "the expression", &error);
}

static bool
check_label(Reading *r, const YamlNode *name, const YamlNode *value)
{
	if (!aggwin_promql_is_label(name->text))
		return fail(r, name->place, "Names of labels consist of letters, digits and underscores, and do not begin with a digit.",
					"invalid name of a label: \"%s\"", aggwin_promql_shown(name->text, strlen(name->text)));
	if (strncmp(name->text, "__", 2) == 0)
		return fail(r, name->place, NULL, "labels whose names begin with two underscores are reserved: \"%s\"",
					aggwin_promql_shown(name->text, strlen(name->text)));
	return check_scalar(r, name->text, value);
}

static int
compare_labels(const void *a, const void *b)
{
	return strcmp(((const PipelineLabel *) a)->name, ((const PipelineLabel *) b)->name);
}

static bool
read_labels(Reading *r, const YamlNode *map)
{
	bool		good = true;

	if (map->kind != AGGWIN_YAML_MAP)
		return fail(r, map->place, "Write {name: value}.", "the value of \"labels\" has to be a map");
	r->pipeline.labels = palloc(Max(map->node_count / 2, 1) * sizeof(PipelineLabel));
	for (int i = 0; i < map->node_count && r->rules->finding_count < AGGWIN_RULES_MAX_FINDINGS; i += 2)
	{
		PipelineLabel label = {map->nodes[i]->text, map->nodes[i + 1]->text};

		if (!check_label(r, map->nodes[i], map->nodes[i + 1]))
			good = false;
		else
			r->pipeline.labels[r->pipeline.label_count++] = label;
	}
	qsort(r->pipeline.labels, r->pipeline.label_count, sizeof(PipelineLabel), compare_labels);
	for (int i = 1; i < r->pipeline.label_count; i++)
	{
		if (strcmp(r->pipeline.labels[i - 1].name, r->pipeline.labels[i].name) == 0)
			good = fail(r, map->place, NULL, "label \"%s\" is there twice", r->pipeline.labels[i].name);
	}
	return good;
}

/* Pipelines --------------------------------------------------------------- */

static bool
read_value(Reading *r, PipelineKey key, const YamlNode *value)
{
	Pipeline   *pipeline = &r->pipeline;
	const char *name = keys[key];

	if (key == KEY_LABELS)
		return read_labels(r, value);
	if (!check_scalar(r, name, value))
		return false;
	switch (key)
	{
		case KEY_PROMQL:
			return read_promql(r, value);
		case KEY_AS:
			return read_as(r, value);
		case KEY_GRACE:
			return read_duration(r, name, value, true, &pipeline->grace);
		case KEY_RETENTION:
			return read_duration(r, name, value, false, &pipeline->retention);
		case KEY_MAX_SERIES:
			return read_count(r, name, value, &pipeline->max_series);
		case KEY_LIMIT:
			return read_count(r, name, value, &pipeline->limit);
		case KEY_HISTOGRAM:
			return read_bool(r, name, value, &pipeline->histogram);
		case KEY_PAUSED:
			return read_bool(r, name, value, &pipeline->paused);
		case KEY_LABELS:
			break;
	}
	return false;
}

/* Keys of Prometheus' rules stand for those that they are here, as what is missing goes. */
static bool
refuse_key(Reading *r, const YamlNode *key, bool *seen)
{
	const char *hint = "There are promql, as, labels, grace, retention, max_series, limit, histogram and paused.";

	if (strcmp(key->text, "expr") == 0)
	{
		hint = "Write promql.";
		seen[KEY_PROMQL] = true;
	}
	else if (strcmp(key->text, "record") == 0)
	{
		hint = "Write as.";
		seen[KEY_AS] = true;
	}
	else if (strcmp(key->text, "source") == 0)
		hint = "The source is named where the files are applied.";
	return fail(r, key->place, hint, "unknown key \"%s\"", aggwin_promql_shown(key->text, strlen(key->text)));
}

/* The keys of a pipeline and their values, whatever is wrong with one of them. */
static bool
read_keys(Reading *r, const YamlNode *map)
{
	bool		seen[lengthof(keys)] = {false};
	bool		good = true;

	for (int i = 0; i < map->node_count && r->rules->finding_count < AGGWIN_RULES_MAX_FINDINGS; i += 2)
	{
		const YamlNode *key = map->nodes[i];
		int			found = 0;

		while (found < lengthof(keys) && strcmp(keys[found], key->text) != 0)
			found++;
		if (found == lengthof(keys))
			good = refuse_key(r, key, seen);
		else if (seen[found])
			good = fail(r, key->place, NULL, "key \"%s\" is there twice", key->text);
		else
		{
			seen[found] = true;
			good = read_value(r, found, map->nodes[i + 1]) && good;
		}
	}
	for (int needed = KEY_PROMQL; needed <= KEY_AS; needed++)
	{
		if (!seen[needed])
			good = fail(r, map->place, "A pipeline has at least promql and as.",
						"there is no key \"%s\"", keys[needed]);
	}
	return good;
}

static void
add_pipeline(PipelineRules *rules, const Pipeline *pipeline)
{
	/* Grows at every power of two. */
	if ((rules->pipeline_count & (rules->pipeline_count - 1)) == 0)
	{
		Size		size = Max(2 * rules->pipeline_count, 1) * sizeof(Pipeline);

		rules->pipelines = rules->pipelines == NULL ? palloc(size) : repalloc(rules->pipelines, size);
	}
	rules->pipelines[rules->pipeline_count++] = *pipeline;
}

static bool
read_pipeline(Reading *r, const YamlNode *node)
{
	PromError	error = {0};

	memset(&r->pipeline, 0, sizeof(r->pipeline));
	r->pipeline.file = r->file;
	r->pipeline.place = node->place;
	r->pipeline.limit = AGGWIN_PIPELINE_LIMIT;
	if (node->kind != AGGWIN_YAML_MAP)
		return fail(r, node->place, "Write its keys one below the other: promql and as, at least.",
					"a pipeline has to be a map");
	if (!read_keys(r, node))
		return false;
	if (!aggwin_pipeline_check(&r->pipeline, &error))
		return aggwin_rules_note(r->rules, r->file, &error);
	add_pipeline(r->rules, &r->pipeline);
	return true;
}

/*
 * Read a file, adding its pipelines, and its faults, to those that are there. Its
 * text ends with a NUL, which does not count for its length; name and text have to
 * last as long as the rules. Returns whether it is without faults, as far as can be
 * said of it alone: aggwin_rules_check() says the rest.
 */
bool
aggwin_rules_read(PipelineRules *rules, const char *file, const char *text, size_t length)
{
	static const PromPlace start = {1, 1};
	Reading		r = {.rules = rules, .file = file, .text = text};
	YamlNode   *root;
	PromError	error = {0};
	bool		good = true;

	if (length > AGGWIN_RULES_MAX_SIZE)
		return fail(&r, start, "Use several files.", "the file is too large: at most %d bytes are allowed",
					AGGWIN_RULES_MAX_SIZE);
	/* A byte order mark */
	if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
	{
		r.text += 3;
		length -= 3;
	}
	if (!aggwin_yaml_read(r.text, length, &root, &error))
		return aggwin_rules_note(rules, file, &error);
	if (root == NULL || (root->kind == AGGWIN_YAML_SCALAR && root->text[0] == '\0'))
		return true;
	if (root->kind != AGGWIN_YAML_LIST)
		return fail(&r, root->place, "Begin each pipeline with a dash and a blank: - promql: ...",
					"a list of pipelines is expected");
	/* What is not told need not be found. */
	for (int i = 0; i < root->node_count && rules->finding_count < AGGWIN_RULES_MAX_FINDINGS; i++)
		good = read_pipeline(&r, root->nodes[i]) && good;
	return good;
}
