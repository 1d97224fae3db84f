/*
 * program_test_labels.c - labels of series and results
 */
#include "promql/base.h"

#include "pipeline/program_test_steps.h"

static int
compare_labels(const void *a, const void *b)
{
	return strcmp(((const PipelineLabel *) a)->name, ((const PipelineLabel *) b)->name);
}

/*
 * Put labels into the order of their names, without empty ones, which are as good as
 * none. Returns a name that is there twice, or NULL.
 */
const char *
aggwin_test_tidy_labels(PipelineLabel *labels, int *count)
{
	int			kept = 0;

	qsort(labels, *count, sizeof(PipelineLabel), compare_labels);
	for (int i = 1; i < *count; i++)
	{
		if (strcmp(labels[i - 1].name, labels[i].name) == 0)
			return labels[i].name;
	}
	for (int i = 0; i < *count; i++)
	{
		if (labels[i].value[0] != '\0')
			labels[kept++] = labels[i];
	}
	*count = kept;
	return NULL;
}

/* Labels as they are shown and compared: {a="b", c="d"}; without any, {}. */
char *
aggwin_test_labels(const PipelineLabel *labels, int count)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoChar(&s, '{');
	for (int i = 0; i < count; i++)
	{
		appendStringInfo(&s, "%s%s=", i > 0 ? ", " : "", labels[i].name);
		aggwin_program_append_json(&s, labels[i].value);
	}
	appendStringInfoChar(&s, '}');
	return s.data;
}

/* Labels as an object of JSON. */
char *
aggwin_test_labels_json(const PipelineLabel *labels, int count)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoChar(&s, '{');
	for (int i = 0; i < count; i++)
	{
		appendStringInfoString(&s, i > 0 ? ", " : "");
		aggwin_program_append_json(&s, labels[i].name);
		appendStringInfoString(&s, ": ");
		aggwin_program_append_json(&s, labels[i].value);
	}
	appendStringInfoChar(&s, '}');
	return s.data;
}
