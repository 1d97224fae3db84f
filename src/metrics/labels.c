/*
 * labels.c - what makes a series: the name of its metric and its labels
 *
 * The normal form: labels are a JSON object of strings, in the order of jsonb,
 * without the empty ones, for in Prometheus' model an empty label is one that is
 * not there, and without __name__, which is the metric's name. Two series are the
 * same if their hashes are: SHA-256 of the name, a zero byte, and the object as
 * text. So the length of labels does not matter to the index.
 */
#include "postgres.h"

#include "metrics/labels.h"

#include "common/cryptohash.h"
#include "core/compat.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "metrics/names.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(aggwin_series_hash);

/* Enough of a name or value that is refused, for messages. */
static char *
shown(const char *text, int length)
{
	int			clipped = pg_mbcliplen(text, length, 64);

	return psprintf("%.*s%s", clipped, text, clipped < length ? "…" : "");
}

/* A metric's or label's name, or an error that says what is wrong with it. */
static void
check_name(const char *what, const char *name, int length, int valid, const char *letters)
{
	if (length > AGGWIN_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("name of a %s is too long: \"%s\"", what, shown(name, length)),
				 errdetail("It has %d bytes, at most %d are allowed.", length, AGGWIN_MAX_NAME)));
	if (length == 0 || valid != length)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid name of a %s: \"%s\"", what, shown(name, length)),
				 errdetail("Names of %ss consist of letters, digits%s, and do not begin with a digit.",
						   what, letters),
				 errhint("Replace other characters by underscores, as Prometheus' exporters do.")));
}

static void
hash_series(const char *metric, int length, Jsonb *labels, uint8 *hash)
{
	char	   *text = JsonbToCString(NULL, &labels->root, VARSIZE(labels));
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	bool		done = pg_cryptohash_init(context) >= 0 &&
		pg_cryptohash_update(context, (const uint8 *) metric, length) >= 0 &&
		pg_cryptohash_update(context, (const uint8 *) "", 1) >= 0 &&
		pg_cryptohash_update(context, (const uint8 *) text, strlen(text)) >= 0 &&
		pg_cryptohash_final(context, hash, PG_SHA256_DIGEST_LENGTH) >= 0;

	if (!done)
		elog(ERROR, "could not compute the hash of a series: %s", pg_cryptohash_error(context));
	pg_cryptohash_free(context);
	pfree(text);
}

/*
 * aggwin.series_hash(text, jsonb): what tells series apart. The labels are taken
 * as they are, in the normal form.
 */
Datum
aggwin_series_hash(PG_FUNCTION_ARGS)
{
	text	   *metric = PG_GETARG_TEXT_PP(0);
	Jsonb	   *labels = PG_GETARG_JSONB_P(1);
	bytea	   *result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);

	SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	hash_series(VARDATA_ANY(metric), VARSIZE_ANY_EXHDR(metric), labels, (uint8 *) VARDATA(result));
	PG_RETURN_BYTEA_P(result);
}

pg_noreturn static void
refuse_labels(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("labels must be a JSON object of strings"),
			 errdetail("%s", detail),
			 errhint("Write them like this: {\"job\": \"api\", \"code\": \"200\"}.")));
}

static const char *
type_name(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvNumeric:
			return "a number";
		case jbvBool:
			return "true or false";
		default:
			return "an array or object";
	}
}

/* The members of an object; their number. They point into it. */
int
aggwin_label_pairs(Jsonb *labels, LabelPair **pairs)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	int			count = 0;

	if (!JB_ROOT_IS_OBJECT(labels))
		refuse_labels("This is another kind of value.");
	*pairs = palloc(Max(JB_ROOT_COUNT(labels), 1) * sizeof(LabelPair));
	iterator = JsonbIteratorInit(&labels->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			(*pairs)[count].name = value.val.string.val;
			(*pairs)[count].name_length = value.val.string.len;
		}
		else if (token == WJB_VALUE)
		{
			if (value.type != jbvString)
				refuse_labels(psprintf("Label \"%s\" is %s.",
									   shown((*pairs)[count].name, (*pairs)[count].name_length),
									   type_name(&value)));
			(*pairs)[count].value = value.val.string.val;
			(*pairs)[count].value_length = value.val.string.len;
			count++;
		}
	}
	return count;
}

/* Any order in which equal names are neighbours. */
static int
compare_pairs(const void *a, const void *b)
{
	const LabelPair *x = a;
	const LabelPair *y = b;

	if (x->name_length != y->name_length)
		return x->name_length < y->name_length ? -1 : 1;
	return memcmp(x->name, y->name, x->name_length);
}

static Jsonb *
make_object(const LabelPair *pairs, int count)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < count; i++)
	{
		JsonbValue	string = {.type = jbvString};

		string.val.string.val = unconstify(char *, pairs[i].name);
		string.val.string.len = pairs[i].name_length;
		pushJsonbValue(&state, WJB_KEY, &string);
		string.val.string.val = unconstify(char *, pairs[i].value);
		string.val.string.len = pairs[i].value_length;
		pushJsonbValue(&state, WJB_VALUE, &string);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(object);
}

/*
 * The normal form of a metric's name (NULL: a label __name__ tells it) and
 * labels, which are put into another order. Names that Prometheus would refuse are
 * errors, as are a name that comes twice and more than AGGWIN_MAX_LABELS.
 */
SeriesKey *
aggwin_series_key(const char *metric, int length, LabelPair *pairs, int count)
{
	SeriesKey  *key = palloc(sizeof(SeriesKey));
	Size		size = 0;
	int			kept = 0;

	for (int i = 0; i < count; i++)
	{
		LabelPair	pair = pairs[i];

		check_name("label", pair.name, pair.name_length,
				   aggwin_label_name_length(pair.name, pair.name + pair.name_length),
				   " and underscores");
		if (pair.name_length == strlen(AGGWIN_NAME_LABEL) &&
			memcmp(pair.name, AGGWIN_NAME_LABEL, pair.name_length) == 0)
		{
			if (metric != NULL && (length != pair.value_length ||
								   memcmp(metric, pair.value, length) != 0))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("the name of the metric is given twice"),
						 errdetail("It is \"%s\", and label \"%s\" is \"%s\".", shown(metric, length),
								   AGGWIN_NAME_LABEL, shown(pair.value, pair.value_length))));
			metric = pair.value;
			length = pair.value_length;
			continue;
		}
		/* Of a name that comes twice the empty one is no less an error. */
		pairs[kept++] = pair;
		size += pair.name_length + pair.value_length;
	}
	if (size > AGGWIN_MAX_LABELS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the labels of a series are too long"),
				 errdetail("Their names and values have %zu bytes, at most %d are allowed.",
						   size, AGGWIN_MAX_LABELS)));
	if (metric == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a sample needs the name of its metric")));
	check_name("metric", metric, length, aggwin_metric_name_length(metric, metric + length),
			   ", underscores and colons");

	count = kept;
	qsort(pairs, count, sizeof(LabelPair), compare_pairs);
	kept = 0;
	for (int i = 0; i < count; i++)
	{
		if (i > 0 && compare_pairs(&pairs[i - 1], &pairs[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("label \"%s\" is given twice", shown(pairs[i].name, pairs[i].name_length))));
	}
	for (int i = 0; i < count; i++)
	{
		if (pairs[i].value_length > 0)
			pairs[kept++] = pairs[i];
	}
	key->metric = pnstrdup(metric, length);
	key->labels = make_object(pairs, kept);
	hash_series(key->metric, length, key->labels, key->hash);
	return key;
}
