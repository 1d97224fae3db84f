/*
 * export.c - pipelines as rules again
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "metrics/labels.h"
#include "pipeline/read.h"
#include "pipeline/rules.h"
#include "pipeline/tables.h"
#include "promql/reader.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(aggwin_export_pipelines);

/*
 * A scalar of YAML between quotes, in which every character but the backslash, the
 * quote and control characters stands for itself.
 */
static void
append_scalar(StringInfo s, const char *text, int length)
{
	appendStringInfoChar(s, '"');
	for (int i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (c == '"' || c == '\\')
			appendStringInfo(s, "\\%c", c);
		else if (c == '\n')
			appendStringInfoString(s, "\\n");
		else if (c < 0x20 || c == 0x7f)
			appendStringInfo(s, "\\x%02x", c);
		else
			appendStringInfoChar(s, c);
	}
	appendStringInfoChar(s, '"');
}

static void
append_duration(StringInfo s, const char *key, int64 milliseconds)
{
	appendStringInfo(s, "  %s: ", key);
	if (milliseconds == 0)
		appendStringInfoString(s, "0s");
	else
		aggwin_promql_write_duration(s, milliseconds);
	appendStringInfoChar(s, '\n');
}

static void
append_labels(StringInfo s, Jsonb *labels)
{
	LabelPair  *pairs;
	int			count = aggwin_label_pairs(labels, &pairs);

	if (count > 0)
		appendStringInfoString(s, "  labels:\n");
	for (int i = 0; i < count; i++)
	{
		appendStringInfo(s, "    %.*s: ", pairs[i].name_length, pairs[i].name);
		append_scalar(s, pairs[i].value, pairs[i].value_length);
		appendStringInfoChar(s, '\n');
	}
}

/*
 * aggwin.export_pipelines(source): rules that stand for the pipelines of a source, in
 * their order; NULL: of all sources. An empty text if there are none. Who may read
 * aggwin.pipeline may call it.
 */
Datum
aggwin_export_pipelines(PG_FUNCTION_ARGS)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0)};
	MemoryContext caller = CurrentMemoryContext;
	StringInfoData s;
	bool		isnull;

	initStringInfo(&s);
	if (!aggwin_pipelines_exist())
		PG_RETURN_TEXT_P(cstring_to_text(""));
	aggwin_spi_connect();
	if (SPI_execute_with_args("SELECT p.metric, p.promql, p.labels, (extract(epoch FROM p.grace) * 1000)::bigint,"
							  " (extract(epoch FROM p.retention) * 1000)::bigint, p.max_series, p.result_limit, p.paused"
							  " FROM aggwin.pipeline AS p WHERE $1 IS NULL OR p.source = $1 ORDER BY p.source, p.place",
							  lengthof(types), types, values, PG_ARGISNULL(0) ? "n" : NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read aggwin.pipeline");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *promql = SPI_getvalue(row, desc, 2);

		appendStringInfoString(&s, "- promql: ");
		append_scalar(&s, promql, strlen(promql));
		appendStringInfo(&s, "\n  as: %s\n", SPI_getvalue(row, desc, 1));
		append_labels(&s, DatumGetJsonbP(SPI_getbinval(row, desc, 3, &isnull)));
		append_duration(&s, "grace", DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull)));
		append_duration(&s, "retention", DatumGetInt64(SPI_getbinval(row, desc, 5, &isnull)));
		appendStringInfo(&s, "  max_series: %s\n  limit: %s\n", SPI_getvalue(row, desc, 6), SPI_getvalue(row, desc, 7));
		if (DatumGetBool(SPI_getbinval(row, desc, 8, &isnull)))
			appendStringInfoString(&s, "  paused: true\n");
	}
	MemoryContextSwitchTo(caller);
	values[0] = PointerGetDatum(cstring_to_text_with_len(s.data, s.len));
	aggwin_spi_finish();
	return values[0];
}
