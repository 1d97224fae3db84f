/*
 * json.h - the text form of stored values: a JSON object with fixed fields
 *
 * Parsing is the server's (jsonb). What is not as it must be is an error that
 * names the type and the field. Floats that JSON has no number for are the
 * strings "Infinity", "-Infinity" and "NaN".
 */
#ifndef AGGWIN_JSON_H
#define AGGWIN_JSON_H

#include "postgres.h"

#include "core/compat.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

typedef struct JsonReader
{
	const char *type;			/* for messages: "aggwin.stats" */
	JsonbContainer *object;
} JsonReader;

extern void aggwin_json_open(JsonReader *reader, const char *type,
							 const char *text, const char *const *fields,
							 int nfields);
extern double aggwin_json_float8(JsonReader *reader, const char *field);
extern int64 aggwin_json_int8(JsonReader *reader, const char *field);
extern char *aggwin_json_string(JsonReader *reader, const char *field);
extern bool aggwin_json_bool(JsonReader *reader, const char *field);
extern JsonbContainer *aggwin_json_array(JsonReader *reader, const char *field);

/* Elements of an array, by position; what names the array in messages. */
extern double aggwin_json_element_float8(JsonReader *reader, const char *what,
										 JsonbContainer *array, int position);
extern int64 aggwin_json_element_int8(JsonReader *reader, const char *what,
									  JsonbContainer *array, int position);
extern char *aggwin_json_element_string(JsonReader *reader, const char *what,
										JsonbContainer *array, int position);
extern void aggwin_json_element_object(JsonReader *element, JsonReader *reader,
									   const char *what,
									   JsonbContainer *array, int position,
									   const char *const *fields, int nfields);
extern JsonbContainer *aggwin_json_element_array(JsonReader *reader,
												 const char *what,
												 JsonbContainer *array,
												 int position, int length);

pg_noreturn extern void aggwin_json_refuse(JsonReader *reader, const char *detail);

extern void aggwin_json_put_float8(StringInfo buf, double value);

/* Times: timestamptz (in UTC), timestamp, date, or int8. */
extern void aggwin_json_put_time(StringInfo buf, int64 time, Oid type);
extern int64 aggwin_json_time(JsonReader *reader, const char *field, Oid type);

#endif							/* AGGWIN_JSON_H */
