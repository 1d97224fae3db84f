/*
 * plot.c - buckets as a bar chart of text
 *
 * One row a bucket, bounds and counts aligned to the right, the longest bar as
 * wide as asked for. A bucket that is not empty has at least the thinnest bar.
 * Bars are block elements in eighths of a character where the server's encoding
 * has them, and otherwise hashes.
 */
#include "postgres.h"

#include "summary/plot.h"

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

static char *
bar(int64 count, int64 most, int width)
{
	static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	bool		blocks = GetDatabaseEncoding() == PG_UTF8;
	int			steps = blocks ? 8 : 1;
	int			length = (int) ((double) count / most * width * steps + 0.5);
	StringInfoData buf;

	if (count > 0 && length == 0)
		length = 1;
	initStringInfo(&buf);
	for (int i = 0; i < length / steps; i++)
		appendStringInfoString(&buf, blocks ? "█" : "#");
	if (blocks)
		appendStringInfoString(&buf, eighths[length % 8]);
	return buf.data;
}

/* The rows of a set-returning function of text. */
void
aggwin_plot(FunctionCallInfo fcinfo, const PlotBucket *buckets, int length, int width)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	  **lower = palloc(length * sizeof(char *));
	char	  **upper = palloc(length * sizeof(char *));
	char	  **count = palloc(length * sizeof(char *));
	int			widest[3] = {0};
	int64		most = 1;

	if (width < 1 || width > PLOT_MAX_WIDTH)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("width %d is out of range", width),
				 errdetail("A bar is 1 to %d characters long.", PLOT_MAX_WIDTH)));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (int i = 0; i < length; i++)
	{
		lower[i] = psprintf("%.4g", buckets[i].lower);
		upper[i] = psprintf("%.4g", buckets[i].upper);
		count[i] = psprintf(INT64_FORMAT, buckets[i].count);
		widest[0] = Max(widest[0], strlen(lower[i]));
		widest[1] = Max(widest[1], strlen(upper[i]));
		widest[2] = Max(widest[2], strlen(count[i]));
		most = Max(most, buckets[i].count);
	}
	for (int i = 0; i < length; i++)
	{
		char	   *line = psprintf("%*s .. %*s  %*s  %s", widest[0], lower[i], widest[1], upper[i],
									widest[2], count[i], bar(buckets[i].count, most, width));
		Datum		value = CStringGetTextDatum(line);
		bool		null = false;

		tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
	}
}
