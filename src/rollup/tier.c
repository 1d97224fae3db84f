/*
 * tier.c - widths of tiers: what they are called, and whether they nest
 */
#include "postgres.h"

#include "rollup/tier.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

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
 * Does a bucket of the tier begin wherever one of the tier below would be cut
 * in two? Both grids have a point in common, or points that are whole days
 * apart, and with a time zone the same holds on the local clock.
 */
static bool
nests(const Tier *tier, const Tier *below)
{
	const Interval *wide = tier->interval;
	const Interval *narrow = below->interval;

	if (wide == NULL)
		return tier->int_width > below->int_width && tier->int_width % below->int_width == 0;
	if (narrow->month > 0)
		return wide->month > narrow->month && wide->month % narrow->month == 0;
	if (wide->month > 0)
		return USECS_PER_DAY % microseconds(narrow) == 0;
	return microseconds(wide) > microseconds(narrow) &&
		microseconds(wide) % microseconds(narrow) == 0;
}

void
aggwin_check_nesting(const Tier *tier, const Tier *below)
{
	if (nests(tier, below))
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
