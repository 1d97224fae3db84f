/*
 * percentile_over.c - one percentile of metrics over a range
 *
 * The range is answered by pieces: whole buckets of the coarsest tier in the
 * middle, of finer ones towards the ends.
 *
 *		1 minute   ··                          ···
 *		5 minutes    ····                    ··
 *		1 hour           ····················
 */
#include "postgres.h"

#include "metrics/picked.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "summary/summary.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_percentile_over);

/* Arguments, in order. */
enum
{
	ARG_METRIC,
	ARG_LABELS,
	ARG_FROM,
	ARG_TO,
	ARG_FRACTION,
	ARG_ROLLUP,
};

static const PickedArgs picked_args = {
	.metric = ARG_METRIC, .labels = ARG_LABELS, .from = ARG_FROM, .to = ARG_TO,
	.by = AGGWIN_NO_ARGUMENT, .rollup = ARG_ROLLUP
};

/* Merge what a level has between two times into the others. */
static void
add_piece(const Picked *picked, int level, Datum from, Datum to, ArrayBuildState **states)
{
	Picked		piece = *picked;
	bool		isnull;
	Datum		state;

	if (DatumGetTimestampTz(from) >= DatumGetTimestampTz(to))
		return;
	piece.range.level = level;
	piece.range.shown = *aggwin_tier(&piece.range.names, level);
	piece.range.ends[0] = from;
	piece.range.ends[1] = to;
	aggwin_picked_run(&piece, psprintf("SELECT aggwin.merge(q.percentiles) FROM (%s) AS q",
									   aggwin_picked_answer(&piece)));
	state = aggwin_spi_value(1, &isnull);
	if (!isnull)
		*states = accumArrayResult(*states, state, false, SPI_gettypeid(SPI_tuptable->tupdesc, 1),
								   CurrentMemoryContext);
}

static ArrayBuildState *
read_pieces(Picked *picked)
{
	RangeQuery	inner = picked->range;
	ArrayBuildState *states = NULL;
	int			level = inner.lowest;
	int			top = aggwin_range_top(&inner);

	inner.shown = *aggwin_tier(&inner.names, level);
	aggwin_range_align(&inner, false);
	for (;;)
	{
		Datum		from = inner.ends[0];
		Datum		to = inner.ends[1];

		if (level < top)
			inner.shown = *aggwin_tier(&inner.names, level + 1);
		if (level == top || !aggwin_range_align(&inner, true))
		{
			add_piece(picked, level, from, to, &states);
			return states;
		}
		add_piece(picked, level, from, inner.ends[0], &states);
		add_piece(picked, level, inner.ends[1], to, &states);
		level++;
	}
}

/*
 * aggwin.percentile_over(metric, labels, from, to, fraction, rollup): see
 * doc/reference.md.
 */
Datum
aggwin_percentile_over(PG_FUNCTION_ARGS)
{
	Picked		picked = {0};
	ArrayBuildState *states = NULL;
	double		fraction;
	float8		result = 0;
	bool		isnull = true;
	Sandbox		saved;

	if (PG_ARGISNULL(ARG_FRACTION))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"fraction\" must not be NULL")));
	fraction = PG_GETARG_FLOAT8(ARG_FRACTION);
	aggwin_check_fraction(fraction);
	aggwin_spi_connect();
	if (aggwin_pick(fcinfo, &picked_args, false, &picked))
	{
		aggwin_sandbox_enter(&saved, picked.range.owner, true);
		states = read_pieces(&picked);
		if (states != NULL)
		{
			Oid			types[] = {get_array_type(states->element_type), FLOAT8OID};
			Datum		values[] = {makeArrayResult(states, CurrentMemoryContext), Float8GetDatum(fraction)};

			aggwin_spi_read("SELECT aggwin.percentile(aggwin.merge(s.state), $2) FROM unnest($1) AS s(state)",
							lengthof(types), types, values);
			result = DatumGetFloat8(aggwin_spi_value(1, &isnull));
		}
		aggwin_sandbox_leave(&saved);
	}
	aggwin_spi_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}
