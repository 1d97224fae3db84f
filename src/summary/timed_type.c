/*
 * timed_type.c - the SQL type timed: its forms
 *
 * Text and binary form name the type of the value, and have the value as that
 * type's functions write it. So both outlive a dump, and are only as stable as
 * what those functions give.
 *
 * The value may itself be of this type, or have one inside, hence the checks of
 * the stack.
 *
 * binary:   version, kind of time (a byte each), time (8 bytes), length and name
 *           of the type, length and binary form of the value
 */
#include "postgres.h"

#include "core/json.h"
#include "summary/timed.h"

#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_timed_in);
PG_FUNCTION_INFO_V1(aggwin_timed_out);
PG_FUNCTION_INFO_V1(aggwin_timed_recv);
PG_FUNCTION_INFO_V1(aggwin_timed_send);

static const char *const fields[] = {"time_type", "time", "type", "value"};

/* Any integer is a time of this type; of timestamps and dates not all are. */
static bool
is_time(TimedKind kind, int64 time)
{
	switch (kind)
	{
		case TIMED_TIMESTAMPTZ:
		case TIMED_TIMESTAMP:
			return IS_VALID_TIMESTAMP(time) || TIMESTAMP_NOT_FINITE(time);
		case TIMED_DATE:
			return time == (DateADT) time &&
				(IS_VALID_DATE(time) || DATE_NOT_FINITE(time));
		case TIMED_INT8:
			return true;
	}
	return false;
}

/*
 * The type of a name, which has to be the one that it is written with. Looked up
 * as a regtype, so that the server's rules for names hold.
 */
static Oid
type_of_name(const char *name)
{
	Oid			id;

	/* a regtype may be a number, even one that no type has; a name is none */
	if (*name >= '0' && *name <= '9')
		return InvalidOid;
	id = DatumGetObjectId(DirectFunctionCall1(regtypein, CStringGetDatum(name)));
	if (!OidIsValid(id) || strcmp(name, format_type_be_qualified(id)) != 0)
		return InvalidOid;
	return id;
}

Datum
aggwin_timed_out(PG_FUNCTION_ARGS)
{
	TimedType	type = {0};
	Timed		timed;
	Oid			output;
	bool		is_varlena;
	StringInfoData buf;

	check_stack_depth();
	aggwin_timed_get(&timed, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_TIMED), &type);
	getTypeOutputInfo(timed.type, &output, &is_varlena);
	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"time_type\": \"%s\", \"time\": ",
					 format_type_be(aggwin_timed_kind_type(timed.kind)));
	aggwin_json_put_time(&buf, timed.time, aggwin_timed_kind_type(timed.kind));
	appendStringInfoString(&buf, ", \"type\": ");
	escape_json(&buf, format_type_be_qualified(timed.type));
	appendStringInfoString(&buf, ", \"value\": ");
	escape_json(&buf, OidOutputFunctionCall(output, timed.value));
	appendStringInfoChar(&buf, '}');
	PG_RETURN_CSTRING(buf.data);
}

Datum
aggwin_timed_in(PG_FUNCTION_ARGS)
{
	JsonReader	reader;
	TimedType	type = {0};
	Timed		timed = {0};
	char	   *time_type;
	Oid			input;
	Oid			parameter;

	check_stack_depth();
	aggwin_json_open(&reader, "aggwin.timed", PG_GETARG_CSTRING(0), fields, lengthof(fields));
	time_type = aggwin_json_string(&reader, "time_type");
	for (TimedKind kind = TIMED_TIMESTAMPTZ; kind <= TIMED_INT8; kind++)
		if (strcmp(time_type, format_type_be(aggwin_timed_kind_type(kind))) == 0)
			timed.kind = kind;
	if (timed.kind == 0)
		aggwin_json_refuse(&reader, "\"time_type\" has to be a type of times.");
	timed.time = aggwin_json_time(&reader, "time", aggwin_timed_kind_type(timed.kind));
	timed.type = type_of_name(aggwin_json_string(&reader, "type"));
	if (!OidIsValid(timed.type))
		aggwin_json_refuse(&reader, "\"type\" has to be the full name of a type.");
	aggwin_timed_lookup(&type, timed.type);
	getTypeInputInfo(timed.type, &input, &parameter);
	timed.value = OidInputFunctionCall(input, aggwin_json_string(&reader, "value"), parameter, -1);
	if (type.length == -1)
		timed.value = PointerGetDatum(PG_DETOAST_DATUM(timed.value));
	PG_RETURN_POINTER(aggwin_timed_encode(&timed, &type));
}

/* The binary form of a value. */
static bytea *
send_value(const Timed *timed)
{
	Oid			send;
	bool		is_varlena;

	getTypeBinaryOutputInfo(timed->type, &send, &is_varlena);
	return OidSendFunctionCall(send, timed->value);
}

Datum
aggwin_timed_send(PG_FUNCTION_ARGS)
{
	TimedType	type = {0};
	Timed		timed;
	char	   *name;
	bytea	   *value;
	StringInfoData buf;

	check_stack_depth();
	aggwin_timed_get(&timed, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_TIMED), &type);
	value = send_value(&timed);
	name = format_type_be_qualified(timed.type);
	name = pg_server_to_client(name, strlen(name));

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SUMMARY_VERSION);
	pq_sendbyte(&buf, timed.kind);
	pq_sendint64(&buf, timed.time);
	pq_sendint32(&buf, strlen(name));
	pq_sendbytes(&buf, name, strlen(name));
	pq_sendint32(&buf, VARSIZE(value) - VARHDRSZ);
	pq_sendbytes(&buf, VARDATA(value), VARSIZE(value) - VARHDRSZ);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* A length and so many bytes of the message, which are there. */
static const char *
get_counted(StringInfo message, int *length)
{
	*length = pq_getmsgint(message, 4);
	if (*length < 0 || *length > message->len - message->cursor)
		aggwin_summary_refuse(SUMMARY_TIMED, "Its length is wrong.");
	return pq_getmsgbytes(message, *length);
}

Datum
aggwin_timed_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(message);
	TimedType	type = {0};
	Timed		timed;
	Oid			receive;
	Oid			parameter;
	const char *bytes;
	char	   *name;
	int			length;
	StringInfoData value;
	bytea	   *canonical;

	check_stack_depth();
	if (version != SUMMARY_VERSION)
		aggwin_summary_refuse(SUMMARY_TIMED, psprintf("Its format version is %d.", version));
	timed.kind = (TimedKind) pq_getmsgbyte(message);
	timed.time = pq_getmsgint64(message);
	if (!OidIsValid(aggwin_timed_kind_type(timed.kind)) || !is_time(timed.kind, timed.time))
		aggwin_summary_refuse(SUMMARY_TIMED, "Its time is out of range.");

	bytes = get_counted(message, &length);
	name = pg_client_to_server(bytes, length);
	if (name == bytes)
		name = pnstrdup(bytes, length);
	timed.type = type_of_name(name);
	if (!OidIsValid(timed.type))
		aggwin_summary_refuse(SUMMARY_TIMED, "Its type does not have its full name.");
	aggwin_timed_lookup(&type, timed.type);

	/* receive functions want a byte after the end that they may write to */
	bytes = get_counted(message, &length);
	initStringInfo(&value);
	appendBinaryStringInfo(&value, bytes, length);
	getTypeBinaryInputInfo(timed.type, &receive, &parameter);
	timed.value = OidReceiveFunctionCall(receive, &value, parameter, -1);
	if (value.cursor != value.len || message->cursor != message->len)
		aggwin_summary_refuse(SUMMARY_TIMED, "It is longer than its value.");
	if (type.length == -1)
		timed.value = PointerGetDatum(PG_DETOAST_DATUM(timed.value));
	canonical = send_value(&timed);
	if (VARSIZE(canonical) - VARHDRSZ != length || memcmp(VARDATA(canonical), bytes, length) != 0)
		aggwin_summary_refuse(SUMMARY_TIMED, "Its value is not written as its type writes it.");
	PG_RETURN_POINTER(aggwin_timed_encode(&timed, &type));
}
