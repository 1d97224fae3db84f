/*
 * ingest_text.c - storing what an exporter tells
 *
 * aggwin.ingest_text(): see exposition.c for the formats. A series that this
 * backend has met is found by its piece of text, so the text of a target that is
 * scraped again and again is not taken apart.
 *
 * What is said of a family (TYPE, HELP, UNIT) is put down for each name that its
 * samples have. A family's lines need not be together, but its type must stand
 * before its samples, once.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "metrics/exposition.h"
#include "metrics/ingest.h"
#include "metrics/metadata.h"
#include "metrics/names.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_ingest_text);

/* What tells these bytes from those of other forms of a series */
#define FORM 't'

/* The unix epoch in the server's time */
#define UNIX_EPOCH ((UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)

/* Lines between two looks at whether somebody wants this to stop */
#define LINES_PER_CHECK 4096

typedef struct Family
{
	char	   *name;
	char	   *type;
	char	   *help;
	char	   *unit;
	bool		has_samples;
} Family;

typedef struct TextInput
{
	Exposition	exposition;
	IngestBatch *batch;
	MemoryContext scratch;		/* of one series that is new */
	TimestampTz ts;				/* of samples without a time */
	LabelPair  *extra;
	int			extra_count;
	StringInfoData bytes;		/* what a series came as */
	int			prefix;			/* bytes that all have in common */

	Family	   *families;
	int			family_count;
	int			family_capacity;
	int			current;		/* the family that was told of last, -1: none */
	SeriesMap  *family_places;	/* by name, counted from one */
	SeriesMap  *name_families;	/* of names of samples, likewise */
	Slice		last_name;		/* the name of the sample before */
} TextInput;

/* Errors ------------------------------------------------------------------ */

static int
line_number(const TextInput *input, const char *at, const char **start)
{
	int			line = 1;

	*start = input->exposition.text;
	for (const char *p = *start; p < at && (p = memchr(p, '\n', at - p)) != NULL; p++)
	{
		line++;
		*start = p + 1;
	}
	return line;
}

pg_noreturn static void
fail_at(const TextInput *input, const char *at, const char *error, const char *hint)
{
	const char *start;
	int			line = line_number(input, at, &start);
	const char *end = memchr(start, '\n', input->exposition.end - start);
	int			length = (end != NULL ? end : input->exposition.end) - start;
	int			clipped = pg_mbcliplen(start, length, 200);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("line %d, column %d: %s", line, pg_mbstrlen_with_len(start, at - start) + 1, error),
			 errdetail("The line is: %.*s%s", clipped, start, clipped < length ? "…" : ""),
			 hint != NULL ? errhint("%s", hint) : 0));
}

static void
line_callback(void *arg)
{
	const TextInput *input = arg;
	const char *start;

	errcontext("line %d of the text", line_number(input, input->exposition.series.start, &start));
}

/* Families ---------------------------------------------------------------- */

static SeriesBytes
slice_bytes(Slice slice)
{
	return aggwin_series_bytes(slice.start, slice.length);
}

/* The place of a family, which is made if it is new. */
static int
family_place(TextInput *input, Slice name)
{
	bool		found;
	int64	   *place = aggwin_series_map_put(input->family_places, slice_bytes(name), &found);

	if (!found)
	{
		if (input->family_count == input->family_capacity)
		{
			input->family_capacity *= 2;
			input->families = repalloc(input->families, input->family_capacity * sizeof(Family));
		}
		input->families[input->family_count++] = (Family) {
			.name = pnstrdup(name.start, name.length),
		};
		*place = input->family_count;
	}
	return *place - 1;
}

static char **
aspect(Family *family, ExpositionItem item)
{
	return item == EXPOSITION_TYPE ? &family->type :
		item == EXPOSITION_HELP ? &family->help : &family->unit;
}

/* A line TYPE, HELP or UNIT. */
static void
add_about(TextInput *input, ExpositionItem item)
{
	const Exposition *e = &input->exposition;
	int			place = family_place(input, e->name);
	Family	   *family = &input->families[place];
	char	  **to = aspect(family, item);
	int			length;

	if (*to != NULL)
		fail_at(input, e->name.start, item == EXPOSITION_TYPE ? "the type of this metric is given twice"
				: item == EXPOSITION_HELP ? "the help text of this metric is given twice"
				: "the unit of this metric is given twice", NULL);
	if (item == EXPOSITION_TYPE && family->has_samples)
		fail_at(input, e->name.start, "the type of this metric is given after its samples",
				"The line \"# TYPE\" must be the first of a metric, but for \"# HELP\".");
	if (item == EXPOSITION_HELP)
		*to = aggwin_text_unescape(e->about, &length);
	else
		*to = pnstrdup(e->about.start, e->about.length);
	if (item == EXPOSITION_TYPE && strcmp(*to, "untyped") == 0)
		*to = "unknown";
	input->current = place;
}

/* Put down which family the name of a sample belongs to. */
static void
note_name(TextInput *input)
{
	const Exposition *e = &input->exposition;
	bool		found;
	int64	   *place;
	int			family = input->current;

	if (e->name.length == input->last_name.length &&
		memcmp(e->name.start, input->last_name.start, e->name.length) == 0)
		return;
	input->last_name = e->name;
	place = aggwin_series_map_put(input->name_families, slice_bytes(e->name), &found);
	if (found)
		return;
	if (family < 0 ||
		!aggwin_exposition_belongs(input->families[family].type ? input->families[family].type : "unknown",
								   (Slice) {input->families[family].name, strlen(input->families[family].name)},
								   e->name, e->open_metrics))
		family = family_place(input, e->name);
	input->families[family].has_samples = true;
	*place = family + 1;
}

/* Samples ----------------------------------------------------------------- */

static bool
has_label(const LabelPair *pairs, int count, const char *name, int length)
{
	for (int i = 0; i < count; i++)
	{
		if (pairs[i].name_length == length && memcmp(pairs[i].name, name, length) == 0)
			return true;
	}
	return false;
}

/*
 * The sample's labels and the extra ones. As where Prometheus scrapes, a label that
 * the target has as well as the caller keeps its value as exported_….
 */
static SeriesKey *
make_key(TextInput *input)
{
	const Exposition *e = &input->exposition;
	LabelPair  *pairs = palloc((e->label_count + input->extra_count + 1) * sizeof(LabelPair));
	int			count = e->label_count;

	for (int i = 0; i < count; i++)
	{
		pairs[i].name = e->labels[i].name.start;
		pairs[i].name_length = e->labels[i].name.length;
		pairs[i].value = aggwin_text_unescape(e->labels[i].value, &pairs[i].value_length);
	}
	for (int i = 0; i < input->extra_count; i++)
	{
		const LabelPair *extra = &input->extra[i];

		for (int j = 0; j < e->label_count; j++)
		{
			char	   *name;

			if (!has_label(&pairs[j], 1, extra->name, extra->name_length))
				continue;
			name = pnstrdup(extra->name, extra->name_length);
			do
			{
				name = psprintf("exported_%s", name);
			} while (has_label(pairs, e->label_count, name, strlen(name)) ||
					 has_label(input->extra, input->extra_count, name, strlen(name)));
			pairs[j].name = name;
			pairs[j].name_length = strlen(name);
		}
		pairs[count++] = *extra;
	}
	return aggwin_series_key(e->name.start, e->name.length, pairs, count);
}

static int64
learn(TextInput *input, SeriesBytes bytes)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = line_callback,
		.arg = input,
	};
	MemoryContext old_context = MemoryContextSwitchTo(input->scratch);
	SeriesKey  *key;
	int64		handle;

	error_context_stack = &callback;
	key = make_key(input);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old_context);
	handle = aggwin_ingest_learn(input->batch, bytes, key);
	MemoryContextReset(input->scratch);
	return handle;
}

static TimestampTz
sample_time(TextInput *input)
{
	const Exposition *e = &input->exposition;

	if (!e->has_time)
		return input->ts;
	if (e->time < PG_INT64_MIN - UNIX_EPOCH || !IS_VALID_TIMESTAMP(e->time + UNIX_EPOCH))
		fail_at(input, e->series.start, "the time of this sample is out of range", NULL);
	return e->time + UNIX_EPOCH;
}

static void
add_sample(TextInput *input)
{
	const Exposition *e = &input->exposition;
	TimestampTz ts = sample_time(input);
	SeriesBytes bytes;
	int64		handle;

	note_name(input);
	if (aggwin_ingest_refuses(input->batch, e->name.start, e->name.length, ts))
		return;
	input->bytes.len = input->prefix;
	appendBinaryStringInfo(&input->bytes, e->series.start, e->series.length);
	bytes = aggwin_series_bytes(input->bytes.data, input->bytes.len);
	handle = aggwin_ingest_find(input->batch, bytes);
	if (handle == 0)
		handle = learn(input, bytes);
	aggwin_ingest_put(input->batch, handle, ts, e->value);
}

/* The whole --------------------------------------------------------------- */

static void
read_all(TextInput *input)
{
	Exposition *e = &input->exposition;
	ExpositionItem item;

	for (int64 lines = 1; (item = aggwin_exposition_next(e)) != EXPOSITION_END; lines++)
	{
		if (lines % LINES_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		if (item == EXPOSITION_ERROR)
			fail_at(input, e->error_at, e->error, e->hint);
		if (item == EXPOSITION_SAMPLE)
			add_sample(input);
		else
			add_about(input, item);
	}
}

typedef struct Told
{
	TextInput  *input;
	Metadata   *metadata;
	int			count;
} Told;

static void
tell(SeriesBytes key, int64 place, void *arg)
{
	Told	   *told = arg;
	const Family *family = &told->input->families[place - 1];

	if (family->type == NULL && family->help == NULL && family->unit == NULL)
		return;
	told->metadata[told->count++] = (Metadata) {
		.metric = pnstrdup(key.bytes, key.length),
			.family = family->name,
			.type = family->type,
			.help = family->help,
			.unit = family->unit,
	};
}

static int
compare_metadata(const void *a, const void *b)
{
	return strcmp(((const Metadata *) a)->metric, ((const Metadata *) b)->metric);
}

static void
store_metadata(TextInput *input, int names)
{
	Told		told = {.input = input};

	told.metadata = palloc(Max(names, 1) * sizeof(Metadata));
	aggwin_series_map_each(input->name_families, tell, &told);
	qsort(told.metadata, told.count, sizeof(Metadata), compare_metadata);
	aggwin_store_metadata(aggwin_ingest_tables(input->batch), told.metadata, told.count);
}

static bool
is_open_metrics(const char *format, const char *text, int length)
{
	if (strcmp(format, "auto") == 0)
		return aggwin_exposition_ends_with_eof(text, length);
	if (strcmp(format, "openmetrics") == 0)
		return true;
	if (strcmp(format, "prometheus") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid format: \"%s\"", format),
				 errhint("Formats are \"auto\", \"prometheus\" and \"openmetrics\".")));
	return false;
}

/*
 * aggwin.ingest_text(exposition, ts, labels, format): store all samples of a text,
 * or none. ts is for samples without a time; NULL: the clock. labels are added to
 * each. format "auto" takes a text that ends with "# EOF" for OpenMetrics. The
 * number of samples that were not refused.
 */
Datum
aggwin_ingest_text(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"exposition"};
	char	   *content;
	Jsonb	   *labels = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	TextInput	input = {.current = -1};
	int			length;

	aggwin_require_args(fcinfo, lengthof(names), names);
	content = text_to_cstring(PG_GETARG_TEXT_PP(0));
	length = strlen(content);
	aggwin_exposition_begin(&input.exposition, content, length,
							is_open_metrics(PG_ARGISNULL(3) ? "auto" : text_to_cstring(PG_GETARG_TEXT_PP(3)),
											content, length));
	input.batch = aggwin_ingest_begin(CurrentMemoryContext);
	aggwin_ingest_check_rights(input.batch);
	input.scratch = AllocSetContextCreate(CurrentMemoryContext, "aggwin labels", ALLOCSET_SMALL_SIZES);
	input.ts = PG_ARGISNULL(1) ? aggwin_ingest_now(input.batch) : PG_GETARG_TIMESTAMPTZ(1);
	if (labels != NULL)
		input.extra_count = aggwin_label_pairs(labels, &input.extra);

	initStringInfo(&input.bytes);
	appendStringInfoChar(&input.bytes, FORM);
	if (labels != NULL)
		appendBinaryStringInfo(&input.bytes, (const char *) labels, VARSIZE(labels));
	input.prefix = input.bytes.len;

	input.family_capacity = 64;
	input.families = palloc(input.family_capacity * sizeof(Family));
	input.family_places = aggwin_series_map_create(CurrentMemoryContext);
	input.name_families = aggwin_series_map_create(CurrentMemoryContext);

	read_all(&input);
	store_metadata(&input, aggwin_series_map_count(input.name_families));
	PG_RETURN_INT64(aggwin_ingest_end(input.batch));
}
