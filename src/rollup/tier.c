/*
 * tier.c - widths of tiers: reading them, their names, and whether they nest
 */
#include "postgres.h"

#include "rollup/tier.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* An argument of any type as a width of the kind that another tier has. */
void
aggwin_read_width(FunctionCallInfo fcinfo, int number, const Tier *like, Tier *tier)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, number);
	Oid			output;
	bool		is_varlena;
	char	   *text;

	tier->interval = NULL;
	if (type == INTERVALOID && like->interval != NULL)
	{
		tier->interval = PG_GETARG_INTERVAL_P(number);
		return;
	}
	if (type != TEXTOID && (like->interval != NULL ||
							(type != INT2OID && type != INT4OID && type != INT8OID)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the width is not of the type of the rollup's bucket width"),
				 errhint("Widths are integers if the rollup's times are, and intervals otherwise.")));
	getTypeOutputInfo(type, &output, &is_varlena);
	text = OidOutputFunctionCall(output, PG_GETARG_DATUM(number));
	if (like->interval == NULL)
		tier->int_width = pg_strtoint64(text);
	else
		tier->interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
															   ObjectIdGetDatum(InvalidOid),
															   Int32GetDatum(-1)));
}

/* For messages: as the session writes intervals. */
char *
aggwin_tier_width_text(const Tier *tier)
{
	if (tier->interval == NULL)
		return psprintf(INT64_FORMAT, tier->int_width);
	return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(tier->interval)));
}

/* For SQL: a literal that reads the same under all settings. */
char *
aggwin_tier_width_literal(const Tier *tier)
{
	const Interval *interval = tier->interval;

	if (interval == NULL)
		return psprintf("'" INT64_FORMAT "'::bigint", tier->int_width);
	return psprintf("'%d months %d days " INT64_FORMAT " microseconds'::interval",
					interval->month, interval->day, interval->time);
}

/* A width without months in microseconds; days have 24 hours on every grid. */
static int64
microseconds(const Interval *interval)
{
	return interval->day * USECS_PER_DAY + interval->time;
}

/*
 * Are the tier's buckets made of whole buckets of the tier below? Both grids have a point in common, or points that are whole days
 * apart, and with a time zone the same holds on the local clock.
 */
bool
aggwin_tier_nests(const Tier *tier, const Tier *below)
{
	const Interval *wide = tier->interval;
	const Interval *narrow = below->interval;

	if (wide == NULL)
		return tier->int_width % below->int_width == 0;
	if (narrow->month > 0)
		return wide->month > 0 && wide->month % narrow->month == 0;
	if (wide->month > 0)
		return USECS_PER_DAY % microseconds(narrow) == 0;
	return microseconds(wide) % microseconds(narrow) == 0;
}

static bool
is_wider(const Tier *tier, const Tier *below)
{
	if (tier->interval == NULL)
		return tier->int_width > below->int_width;
	if (tier->interval->month != below->interval->month)
		return tier->interval->month > below->interval->month;
	return microseconds(tier->interval) > microseconds(below->interval);
}

void
aggwin_check_nesting(const Tier *tier, const Tier *below)
{
	if (is_wider(tier, below) && aggwin_tier_nests(tier, below))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("buckets of %s are not made of whole buckets of %s",
					aggwin_tier_width_text(tier), aggwin_tier_width_text(below)),
			 errdetail("Each tier is computed from the one below."),
			 errhint("Order the tiers by width, each a multiple of the one before. Months and years are not made of weeks.")));
}

/*
 * What is put behind the rollup's name: the largest unit that the width is a
 * multiple of.
 */
char *
aggwin_tier_suffix(const Tier *tier)
{
	static const struct
	{
		int64		size;
		const char *name;
	}			units[] = {
		{7 * USECS_PER_DAY, "w"}, {USECS_PER_DAY, "d"}, {USECS_PER_HOUR, "h"},
		{USECS_PER_MINUTE, "m"}, {USECS_PER_SEC, "s"}, {1000, "ms"}, {1, "us"},
	};
	int64		size;

	if (tier->interval == NULL)
		return psprintf("_" INT64_FORMAT, tier->int_width);
	if (tier->interval->month > 0)
		return tier->interval->month % MONTHS_PER_YEAR == 0
			? psprintf("_%dy", tier->interval->month / MONTHS_PER_YEAR)
			: psprintf("_%dmon", tier->interval->month);
	size = microseconds(tier->interval);
	for (int i = 0; i < lengthof(units); i++)
	{
		if (size % units[i].size == 0)
			return psprintf("_" INT64_FORMAT "%s", size / units[i].size, units[i].name);
	}
	elog(ERROR, "no unit of the width");
}
