/*
 * program_test_read.c - reading files of tests
 *
 * A fault is noted, and what comes after it is read all the same, as with rules.
 */
#include "promql/base.h"

#include "pipeline/program_test_steps.h"

#include <glob.h>

#include "pipeline/yaml_tree.h"
#include "promql/parse.h"
#include "promql/reader.h"

/* As in Prometheus. */
#define DEFAULT_INTERVAL 60000

/* Sums depend on the order of what is added up by a little. */
#define DEFAULT_TOLERANCE 1e-9

/* The keys of a map; the values are found by the same numbers. */
#define MAX_KEYS 6

typedef enum FileKey
{
	FILE_RULES,
	FILE_INTERVAL,
	FILE_TESTS,
} FileKey;

typedef enum TestKey
{
	TEST_NAME,
	TEST_INTERVAL,
	TEST_INPUT,
	TEST_EXPECT,
} TestKey;

typedef enum SeriesKey
{
	SERIES_NAME,
	SERIES_VALUES,
} SeriesKey;

typedef enum ExpectKey
{
	EXPECT_AS,
	EXPECT_LABELS,
	EXPECT_AT,
	EXPECT_VALUE,
	EXPECT_SAMPLES,
	EXPECT_TOLERANCE,
} ExpectKey;

static const char *const file_keys[MAX_KEYS] = {"rule_files", "evaluation_interval", "tests"};
static const char *const test_keys[MAX_KEYS] = {"name", "interval", "input_series", "expect"};
static const char *const series_keys[MAX_KEYS] = {"series", "values"};
static const char *const expect_keys[MAX_KEYS] = {"as", "labels", "at", "value", "samples", "tolerance"};
static const char *const sample_keys[MAX_KEYS] = {[EXPECT_AT] = "at", [EXPECT_VALUE] = "value"};

typedef struct Reading
{
	TestFile   *file;
	PipelineRules *findings;
	const char *text;
	int64		interval;		/* where a test does not say */
} Reading;

/* Faults -------------------------------------------------------------------*/

#define fail(r, ...) aggwin_rules_fail((r)->findings, (r)->file->file.name, __VA_ARGS__)

/* A fault inside of a scalar: where it is in the file, as far as that can be told. */
static bool
fail_inside(Reading *r, const YamlNode *scalar, const PromError *inside)
{
	PromPlace	place = {inside->line, inside->column};

	if (!aggwin_yaml_place(r->text, scalar, place, &place))
		place = scalar->place;
	return fail(r, place, inside->hint, "%s", inside->message);
}

/* Maps and scalars ---------------------------------------------------------*/

static const char *
hint_for_key(const char *key, const char *const *keys)
{
	StringInfoData s;

	if (strcmp(key, "promql_expr_test") == 0)
		return "Write expect, with the results of pipelines.";
	if (strcmp(key, "alert_rule_test") == 0)
		return "Pipelines have no alerts.";
	initStringInfo(&s);
	for (int i = 0; i < MAX_KEYS; i++)
	{
		if (keys[i] != NULL)
			appendStringInfo(&s, "%s%s", s.len > 0 ? ", " : "There are ", keys[i]);
	}
	appendStringInfoChar(&s, '.');
	return s.data;
}

/*
 * The values of a map by the numbers of their keys, NULL where there are none. What is
 * wrong with keys is noted, and does not keep the rest from being read.
 */
static bool
read_map(Reading *r, const YamlNode *map, const char *const *keys, const YamlNode **values)
{
	memset(values, 0, MAX_KEYS * sizeof(YamlNode *));
	if (map->kind != AGGWIN_YAML_MAP)
		return fail(r, map->place, hint_for_key("", keys), "a map is expected here");
	for (int i = 0; i < map->node_count; i += 2)
	{
		const YamlNode *key = map->nodes[i];
		int			found = 0;

		while (found < MAX_KEYS && (keys[found] == NULL || strcmp(keys[found], key->text) != 0))
			found++;
		if (found == MAX_KEYS)
			(void) fail(r, key->place, hint_for_key(key->text, keys), "unknown key \"%s\"",
						aggwin_promql_shown(key->text, strlen(key->text)));
		else if (values[found] != NULL)
			(void) fail(r, key->place, NULL, "key \"%s\" is there twice", key->text);
		else
			values[found] = map->nodes[i + 1];
	}
	return true;
}

static bool
need(Reading *r, const YamlNode *map, const char *key, const YamlNode *value)
{
	return value != NULL || fail(r, map->place, NULL, "there is no key \"%s\"", key);
}

static bool
need_list(Reading *r, const YamlNode *map, const char *key, const YamlNode *value)
{
	if (!need(r, map, key, value))
		return false;
	return value->kind == AGGWIN_YAML_LIST ||
		fail(r, value->place, "Begin each item with a dash and a blank.", "the value of \"%s\" has to be a list", key);
}

static bool
need_text(Reading *r, const YamlNode *map, const char *key, const YamlNode *value)
{
	if (!need(r, map, key, value))
		return false;
	return (value->kind == AGGWIN_YAML_SCALAR && value->text[0] != '\0') ||
		fail(r, value->place, NULL, "the value of \"%s\" has to be one word or text", key);
}

static bool
read_duration(Reading *r, const YamlNode *map, const char *key, const YamlNode *value, int64 *result)
{
	PromError	error;

	if (!need_text(r, map, key, value))
		return false;
	return aggwin_promql_parse_duration(value->text, result, &error) || fail_inside(r, value, &error);
}

static bool
read_number(Reading *r, const YamlNode *map, const char *key, const YamlNode *value, double *result)
{
	const char *at;

	if (!need_text(r, map, key, value))
		return false;
	at = value->text;
	return (aggwin_test_number(&at, result) && *at == '\0') ||
		fail(r, value->place, NULL, "the value of \"%s\" has to be a number, NaN, Inf or -Inf", key);
}

/* Labels -------------------------------------------------------------------*/

static bool
tidy_labels(Reading *r, PromPlace place, PipelineLabel *labels, int *count)
{
	const char *twice = aggwin_test_tidy_labels(labels, count);

	return twice == NULL || fail(r, place, NULL, "label \"%s\" is there twice", twice);
}

/* name{a="b"} or {a="b"}: one series, so every label is said. */
static bool
read_selector(Reading *r, const YamlNode *node, char **metric, PipelineLabel **labels, int *count)
{
	PromSelector selector;
	PromError	error;

	if (!aggwin_promql_selector(node->text, &selector, &error))
		return fail_inside(r, node, &error);
	*metric = selector.metric;
	*labels = palloc(Max(selector.matcher_count, 1) * sizeof(PipelineLabel));
	*count = selector.matcher_count;
	for (int i = 0; i < selector.matcher_count; i++)
	{
		const PromMatcher *matcher = &selector.matchers[i];

		if (matcher->match != PROM_EQUAL)
		{
			(void) aggwin_promql_fail(&error, matcher->place, "Write a=\"b\".", "only labels with their values stand here");
			return fail_inside(r, node, &error);
		}
		(*labels)[i] = (PipelineLabel) {matcher->label, matcher->value};
	}
	return tidy_labels(r, node->place, *labels, count);
}

/* A map, or text like that of a selector. */
static bool
read_labels(Reading *r, const YamlNode *node, char **result)
{
	PipelineLabel *labels = NULL;
	int			count = 0;
	char	   *metric;

	if (node == NULL)
		;
	else if (node->kind == AGGWIN_YAML_SCALAR)
	{
		if (!read_selector(r, node, &metric, &labels, &count))
			return false;
		if (metric != NULL)
			return fail(r, node->place, "The name is that of \"as\".", "there is a name of a metric among labels");
	}
	else
	{
		if (node->kind != AGGWIN_YAML_MAP)
			return fail(r, node->place, "Write {name: value}.", "the value of \"labels\" has to be a map");
		labels = palloc(Max(node->node_count, 1) * sizeof(PipelineLabel));
		for (int i = 0; i < node->node_count; i += 2)
		{
			if (node->nodes[i + 1]->kind != AGGWIN_YAML_SCALAR)
				return fail(r, node->nodes[i + 1]->place, NULL, "the value of a label has to be one word or text");
			labels[count++] = (PipelineLabel) {node->nodes[i]->text, node->nodes[i + 1]->text};
		}
		if (!tidy_labels(r, node->place, labels, &count))
			return false;
	}
	*result = aggwin_test_labels(labels, count);
	return true;
}

/* Input --------------------------------------------------------------------*/

static bool
read_series(Reading *r, const YamlNode *node, RuleTest *test)
{
	const YamlNode *values[MAX_KEYS];
	PipelineLabel *labels;
	int			count;
	TestSeries	series = {0};
	PromError	error;

	if (!read_map(r, node, series_keys, values) ||
		!need_text(r, node, "series", values[SERIES_NAME]) ||
		!need_text(r, node, "values", values[SERIES_VALUES]) ||
		!read_selector(r, values[SERIES_NAME], &series.metric, &labels, &count))
		return false;
	if (series.metric == NULL)
		return fail(r, values[SERIES_NAME]->place, "Write name{label=\"value\"}.", "there is no name of a metric");
	if (!aggwin_test_values(values[SERIES_VALUES]->text, &series, &error))
		return fail_inside(r, values[SERIES_VALUES], &error);
	if (series.sample_count > PROGRAM_TEST_MAX_SPAN / test->interval)
		return fail(r, values[SERIES_VALUES]->place, "Use a shorter interval.",
					"samples must not go over more than ten years");
	series.labels = aggwin_test_labels(labels, count);
	series.json = aggwin_test_labels_json(labels, count);
	for (int i = 0; i < test->series_count; i++)
	{
		if (strcmp(test->series[i].metric, series.metric) == 0 && strcmp(test->series[i].labels, series.labels) == 0)
			return fail(r, values[SERIES_NAME]->place, NULL, "this series is there twice");
	}
	test->series = aggwin_test_grow(test->series, test->series_count, sizeof(TestSeries));
	test->series[test->series_count++] = series;
	return true;
}

/* Expectations ---------------------------------------------------------------*/

/* The rule that writes a result. */
static bool
find_rule(const TestFile *file, const char *name, PromRule *rule)
{
	for (int i = 0; i < file->rules.pipeline_count; i++)
	{
		for (int part = 0; part < aggwin_pipeline_parts(&file->rules.pipelines[i]); part++)
		{
			char	   *as;

			aggwin_pipeline_part(&file->rules.pipelines[i], part, &as, rule);
			if (strcmp(as, name) == 0)
				return true;
		}
	}
	return false;
}

/* "at" and "value" of a map. */
static bool
read_result(Reading *r, RuleTest *test, const YamlNode *map, const YamlNode **values, const PromRule *rule,
			TestResult *result)
{
	result->place = map->place;
	if (!read_duration(r, map, "at", values[EXPECT_AT], &result->at) ||
		!need_text(r, map, "value", values[EXPECT_VALUE]))
		return false;
	if (result->at % rule->range != 0)
	{
		StringInfoData range;

		initStringInfo(&range);
		aggwin_promql_write_duration(&range, rule->range);
		return fail(r, values[EXPECT_AT]->place, "Results have the time of their windows' ends.",
					"no window of \"%s\" ends at this time: its windows are %s wide", result->as, range.data);
	}
	result->none = strcmp(values[EXPECT_VALUE]->text, "none") == 0;
	if (!result->none && !read_number(r, map, "value", values[EXPECT_VALUE], &result->value))
		return false;
	test->results = aggwin_test_grow(test->results, test->result_count, sizeof(TestResult));
	test->results[test->result_count++] = *result;
	return true;
}

/* All samples that a series has until the last of them. */
static bool
read_samples(Reading *r, RuleTest *test, const YamlNode *list, const PromRule *rule, TestResult *result)
{
	int			first = test->result_count;
	bool		good = true;

	if (list->node_count == 0)
		return fail(r, list->place, "Write at, and value: none.", "there are no samples");
	for (int i = 0; i < list->node_count; i++)
	{
		const YamlNode *values[MAX_KEYS];

		good = read_map(r, list->nodes[i], sample_keys, values) &&
			read_result(r, test, list->nodes[i], values, rule, result) && good;
	}
	for (int i = first; i < test->result_count; i++)
		test->results[i].whole = true;
	return good;
}

static bool
read_expectation(Reading *r, const YamlNode *node, RuleTest *test)
{
	const YamlNode *values[MAX_KEYS];
	TestResult	result = {.tolerance = DEFAULT_TOLERANCE};
	PromRule	rule;

	if (!read_map(r, node, expect_keys, values) || !need_text(r, node, "as", values[EXPECT_AS]))
		return false;
	result.as = values[EXPECT_AS]->text;
	if (!find_rule(r->file, result.as, &rule))
		return fail(r, values[EXPECT_AS]->place, "Look at \"as\" in the files of \"rule_files\".",
					"no pipeline writes \"%s\"", aggwin_promql_shown(result.as, strlen(result.as)));
	if (!read_labels(r, values[EXPECT_LABELS], &result.labels))
		return false;
	if (values[EXPECT_TOLERANCE] != NULL &&
		(!read_number(r, node, "tolerance", values[EXPECT_TOLERANCE], &result.tolerance) ||
		 !(result.tolerance >= 0 && result.tolerance <= 1)))
		return fail(r, values[EXPECT_TOLERANCE]->place, "Write 0.01 for one in a hundred.",
					"the value of \"tolerance\" has to be between 0 and 1");
	if (values[EXPECT_SAMPLES] == NULL)
		return read_result(r, test, node, values, &rule, &result);
	if (values[EXPECT_AT] != NULL || values[EXPECT_VALUE] != NULL)
		return fail(r, node->place, "Write at and value, or samples.",
					"\"samples\" does not go together with \"at\" and \"value\"");
	return need_list(r, node, "samples", values[EXPECT_SAMPLES]) &&
		read_samples(r, test, values[EXPECT_SAMPLES], &rule, &result);
}

/* Files --------------------------------------------------------------------*/

static bool
read_test(Reading *r, const YamlNode *node, RuleTest *test)
{
	const YamlNode *values[MAX_KEYS];
	bool		good = true;

	test->place = node->place;
	test->interval = r->interval;
	if (!read_map(r, node, test_keys, values) ||
		!need_list(r, node, "input_series", values[TEST_INPUT]) ||
		!need_list(r, node, "expect", values[TEST_EXPECT]))
		return false;
	if (values[TEST_NAME] != NULL && !need_text(r, node, "name", values[TEST_NAME]))
		return false;
	test->name = values[TEST_NAME] != NULL ? values[TEST_NAME]->text
		: psprintf("test %d", r->file->test_count + 1);
	if (values[TEST_INTERVAL] != NULL && !read_duration(r, node, "interval", values[TEST_INTERVAL], &test->interval))
		return false;
	for (int i = 0; i < values[TEST_INPUT]->node_count; i++)
		good = read_series(r, values[TEST_INPUT]->nodes[i], test) && good;
	for (int i = 0; i < values[TEST_EXPECT]->node_count; i++)
		good = read_expectation(r, values[TEST_EXPECT]->nodes[i], test) && good;
	if (good && test->result_count == 0)
		return fail(r, values[TEST_EXPECT]->place, NULL, "the test expects nothing");
	return good;
}

/* A pattern is relative to the folder of the file of tests. */
static char *
beside(const char *file, const char *pattern)
{
	const char *slash = strrchr(file, '/');
	StringInfoData s;

	if (slash == NULL || pattern[0] == '/')
		return pstrdup(pattern);
	initStringInfo(&s);
	for (const char *c = file; c <= slash; c++)
	{
		if (strchr("*?[]\\", *c) != NULL)
			appendStringInfoChar(&s, '\\');
		appendStringInfoChar(&s, *c);
	}
	appendStringInfoString(&s, pattern);
	return s.data;
}

static bool
read_rules(Reading *r, const YamlNode *pattern)
{
	TestFile   *file = r->file;
	glob_t		found;
	bool		good = true;

	if (pattern->kind != AGGWIN_YAML_SCALAR)
		return fail(r, pattern->place, NULL, "the name of a file is expected here");
	if (glob(beside(file->file.name, pattern->text), 0, NULL, &found) != 0)
		return fail(r, pattern->place, "Names are relative to the folder of this file.", "there is no such file: \"%s\"",
					aggwin_promql_shown(pattern->text, strlen(pattern->text)));
	for (size_t i = 0; i < found.gl_pathc; i++)
	{
		ProgramFile *rules;

		file->rule_files = aggwin_test_grow(file->rule_files, file->rule_file_count, sizeof(ProgramFile));
		rules = &file->rule_files[file->rule_file_count];
		if (!aggwin_program_read_file(pstrdup(found.gl_pathv[i]), rules))
		{
			good = fail(r, pattern->place, NULL, "file \"%s\" could not be read", found.gl_pathv[i]);
			continue;
		}
		file->rule_file_count++;
		(void) aggwin_rules_read(&file->rules, rules->name, rules->text, rules->length);
	}
	globfree(&found);
	return good;
}

/*
 * Read a file of tests, whose text is there, and the rules that it names. Faults of
 * both are noted with the findings. If there are some in the rules, tests are not read,
 * since what they expect may be in what could not be.
 */
void
aggwin_test_read(TestFile *file, PipelineRules *findings)
{
	static const PromPlace start = {1, 1};
	Reading		r = {.file = file, .findings = findings, .text = file->file.text, .interval = DEFAULT_INTERVAL};
	const YamlNode *values[MAX_KEYS];
	size_t		length = file->file.length;
	YamlNode   *root;
	PromError	error;
	bool		good = true;

	if (length > AGGWIN_RULES_MAX_SIZE)
	{
		(void) fail(&r, start, "Use several files.", "the file is too large: at most %d bytes are allowed",
					AGGWIN_RULES_MAX_SIZE);
		return;
	}
	/* A byte order mark */
	if (strncmp(r.text, "\xEF\xBB\xBF", 3) == 0)
	{
		r.text += 3;
		length -= 3;
	}
	if (!aggwin_yaml_read(r.text, length, &root, &error))
	{
		(void) aggwin_rules_note(findings, file->file.name, &error);
		return;
	}
	if (root == NULL)
	{
		(void) fail(&r, start, NULL, "there are no tests in the file");
		return;
	}
	if (!read_map(&r, root, file_keys, values) ||
		!need_list(&r, root, "rule_files", values[FILE_RULES]) ||
		!need_list(&r, root, "tests", values[FILE_TESTS]))
		return;
	if (values[FILE_INTERVAL] != NULL &&
		!read_duration(&r, root, "evaluation_interval", values[FILE_INTERVAL], &r.interval))
		r.interval = DEFAULT_INTERVAL;
	for (int i = 0; i < values[FILE_RULES]->node_count; i++)
		good = read_rules(&r, values[FILE_RULES]->nodes[i]) && good;
	good = aggwin_rules_check(&file->rules) && good;
	for (int i = 0; i < file->rules.finding_count; i++)
		(void) aggwin_rules_note(findings, file->rules.findings[i].file, &file->rules.findings[i].error);
	if (!good)
		return;
	for (int i = 0; i < values[FILE_TESTS]->node_count; i++)
	{
		RuleTest	test = {0};

		if (!read_test(&r, values[FILE_TESTS]->nodes[i], &test))
			continue;
		file->tests = aggwin_test_grow(file->tests, file->test_count, sizeof(RuleTest));
		file->tests[file->test_count++] = test;
	}
}
