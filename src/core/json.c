/*
 * json.c - the text form of stored values: a JSON object with fixed fields
 */
#include "postgres.h"

#include "core/json.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

void
aggwin_json_refuse(JsonReader *reader, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input for type %s", reader->type),
			 errdetail("%s", detail)));
}

static JsonbValue *
field_value(JsonReader *reader, const char *field)
{
	JsonbValue *value = getKeyJsonValueFromContainer(reader->object, field,
													 strlen(field), NULL);

	if (value == NULL)
		aggwin_json_refuse(reader, psprintf("The field \"%s\" is missing.", field));
	return value;
}

/* The reader's object has to have just these fields. */
static void
check_fields(JsonReader *reader, const char *const *fields, int nfields)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	iterator = JsonbIteratorInit(reader->object);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		bool		known = false;

		if (token != WJB_KEY)
			continue;
		for (int i = 0; i < nfields; i++)
			if (value.val.string.len == strlen(fields[i]) &&
				memcmp(value.val.string.val, fields[i], value.val.string.len) == 0)
				known = true;
		if (!known)
			aggwin_json_refuse(reader, psprintf("There is no field \"%s\".",
												pnstrdup(value.val.string.val,
														 value.val.string.len)));
	}
	for (int i = 0; i < nfields; i++)
		(void) field_value(reader, fields[i]);
}

/* Parse text, which has to be an object of just these fields. */
void
aggwin_json_open(JsonReader *reader, const char *type, const char *text,
				 const char *const *fields, int nfields)
{
	Datum		parsed = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));

	reader->type = type;
	reader->object = &DatumGetJsonbP(parsed)->root;
	if (!JsonContainerIsObject(reader->object))
		aggwin_json_refuse(reader, "It is not a JSON object.");
	check_fields(reader, fields, nfields);
}

static double
as_float8(JsonReader *reader, const char *what, JsonbValue *value)
{
	if (value->type == jbvNumeric)
		return DatumGetFloat8(DirectFunctionCall1(numeric_float8,
												  NumericGetDatum(value->val.numeric)));
	if (value->type == jbvString)
	{
		char	   *string = pnstrdup(value->val.string.val, value->val.string.len);

		if (strcmp(string, "Infinity") == 0)
			return get_float8_infinity();
		if (strcmp(string, "-Infinity") == 0)
			return -get_float8_infinity();
		if (strcmp(string, "NaN") == 0)
			return get_float8_nan();
	}
	aggwin_json_refuse(reader, psprintf("\"%s\" has to be a number.", what));
}

static int64
as_int8(JsonReader *reader, const char *what, JsonbValue *value)
{
	if (value->type == jbvNumeric)
	{
		char	   *digits = DatumGetCString(DirectFunctionCall1(numeric_out,
																 NumericGetDatum(value->val.numeric)));
		char	   *end;
		int64		result;

		errno = 0;
		result = strtoi64(digits, &end, 10);
		if (errno == 0 && *end == '\0')
			return result;
	}
	aggwin_json_refuse(reader, psprintf("\"%s\" has to be a whole number of at most 64 bits.",
										what));
}

double
aggwin_json_float8(JsonReader *reader, const char *field)
{
	return as_float8(reader, field, field_value(reader, field));
}

int64
aggwin_json_int8(JsonReader *reader, const char *field)
{
	return as_int8(reader, field, field_value(reader, field));
}

static char *
as_string(JsonReader *reader, const char *what, JsonbValue *value)
{
	if (value->type != jbvString)
		aggwin_json_refuse(reader, psprintf("\"%s\" has to be a string.", what));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

char *
aggwin_json_string(JsonReader *reader, const char *field)
{
	return as_string(reader, field, field_value(reader, field));
}

bool
aggwin_json_bool(JsonReader *reader, const char *field)
{
	JsonbValue *value = field_value(reader, field);

	if (value->type != jbvBool)
		aggwin_json_refuse(reader, psprintf("\"%s\" has to be true or false.", field));
	return value->val.boolean;
}

static JsonbContainer *
as_array(JsonReader *reader, const char *what, JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		aggwin_json_refuse(reader, psprintf("\"%s\" has to be an array.", what));
	return value->val.binary.data;
}

JsonbContainer *
aggwin_json_array(JsonReader *reader, const char *field)
{
	return as_array(reader, field, field_value(reader, field));
}

static JsonbValue *
element_value(JsonbContainer *array, int position)
{
	JsonbValue *value = getIthJsonbValueFromContainer(array, position);

	Assert(value != NULL);
	return value;
}

double
aggwin_json_element_float8(JsonReader *reader, const char *what,
						   JsonbContainer *array, int position)
{
	return as_float8(reader, what, element_value(array, position));
}

int64
aggwin_json_element_int8(JsonReader *reader, const char *what,
						 JsonbContainer *array, int position)
{
	return as_int8(reader, what, element_value(array, position));
}

char *
aggwin_json_element_string(JsonReader *reader, const char *what,
						   JsonbContainer *array, int position)
{
	JsonbValue *value = element_value(array, position);

	if (value->type != jbvString)
		aggwin_json_refuse(reader, psprintf("\"%s\" has to hold strings.", what));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* An element that is itself an object, of just these fields; element reads it. */
void
aggwin_json_element_object(JsonReader *element, JsonReader *reader, const char *what,
						   JsonbContainer *array, int position,
						   const char *const *fields, int nfields)
{
	JsonbValue *value = element_value(array, position);

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		aggwin_json_refuse(reader, psprintf("\"%s\" has to hold objects.", what));
	element->type = reader->type;
	element->object = value->val.binary.data;
	check_fields(element, fields, nfields);
}

/* An element that is itself an array, of just so many elements. */
JsonbContainer *
aggwin_json_element_array(JsonReader *reader, const char *what,
						  JsonbContainer *array, int position, int length)
{
	JsonbContainer *element = as_array(reader, what, element_value(array, position));

	if (JsonContainerSize(element) != length)
		aggwin_json_refuse(reader, psprintf("\"%s\" has to hold arrays of %d elements.",
											what, length));
	return element;
}

/* The shortest decimal that reads back as the same value, whatever the settings. */
void
aggwin_json_put_float8(StringInfo buf, double value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (isnan(value))
		appendStringInfoString(buf, "\"NaN\"");
	else if (isinf(value))
		appendStringInfoString(buf, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	else
	{
		double_to_shortest_decimal_buf(value, digits);
		appendStringInfoString(buf, digits);
	}
}

/* As aggwin_json_put_time() writes it, without quotes. */
static char *
time_text(int64 time, Oid type)
{
	char	   *text = palloc(MAXDATELEN + 1);
	int			utc = 0;
	Datum		datum;

	if (type == DATEOID)
		datum = DateADTGetDatum((DateADT) time);
	else
		datum = Int64GetDatum(time);
	JsonEncodeDateTime(text, datum, type, type == TIMESTAMPTZOID ? &utc : NULL);
	return text;
}

/* ISO 8601, whatever the settings; a plain number for int8. */
void
aggwin_json_put_time(StringInfo buf, int64 time, Oid type)
{
	if (type == INT8OID)
		appendStringInfo(buf, INT64_FORMAT, time);
	else
		appendStringInfo(buf, "\"%s\"", time_text(time, type));
}

/* A time in just the form that it is written in, so that no setting matters. */
int64
aggwin_json_time(JsonReader *reader, const char *field, Oid type)
{
	char	   *text;
	char	   *written;
	int64		time;

	if (type == INT8OID)
		return aggwin_json_int8(reader, field);

	text = aggwin_json_string(reader, field);
	if (type == DATEOID)
		time = DatumGetDateADT(DirectFunctionCall1(date_in, CStringGetDatum(text)));
	else
		time = DatumGetInt64(DirectFunctionCall3(type == TIMESTAMPTZOID ? timestamptz_in : timestamp_in,
												 CStringGetDatum(text),
												 ObjectIdGetDatum(InvalidOid),
												 Int32GetDatum(-1)));
	written = time_text(time, type);
	if (strcmp(text, written) != 0)
		aggwin_json_refuse(reader, psprintf("\"%s\" has to be written as %s.", field, written));
	return time;
}
