/*
 * zone.c - a time zone as a step function from instants to UTC offsets
 *
 * Names are resolved as AT TIME ZONE resolves them, in its order: abbreviation
 * with a fixed offset, abbreviation whose offset depends on the date, zone
 * name or POSIX specification. Nothing is cached here; the server keeps its
 * own tables of loaded zones.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "window/zone.h"

/* seconds from the Unix epoch to PostgreSQL's */
#define EPOCH_SHIFT \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/*
 * The abbreviation's kind (TZ, DTZ, DYNTZ) or UNKNOWN_FIELD. PostgreSQL 16,
 * which brought DTERR_BAD_ZONE_ABBREV, changed how the server returns this.
 */
static int
decode_abbrev(const char *lower, int *seconds_east, pg_tz **tz)
{
#ifdef DTERR_BAD_ZONE_ABBREV
	DateTimeErrorExtra extra;
	int			kind;

	if (DecodeTimezoneAbbrev(0, lower, &kind, seconds_east, tz, &extra) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("time zone \"%s\" not recognized", extra.dtee_timezone),
				 errdetail("This time zone name appears in the configuration file for time zone abbreviation \"%s\".",
						   extra.dtee_abbrev),
				 errhint("Correct the file that timezone_abbreviations names, or use a full time zone name.")));
	return kind;
#else
	return DecodeTimezoneAbbrev(0, unconstify(char *, lower), seconds_east, tz);
#endif
}

/*
 * Fills *zone for a name that AT TIME ZONE accepts; the name must outlive it.
 * Any other name raises ERRCODE_INVALID_PARAMETER_VALUE.
 */
void
aggwin_zone_lookup(AggwinZone *zone, const char *name)
{
	char		lower[TZ_STRLEN_MAX + 1];
	int			len = 0;
	int			seconds_east = 0;

	while (name[len] != '\0' && len < TZ_STRLEN_MAX)
	{
		lower[len] = pg_tolower((unsigned char) name[len]);
		len++;
	}
	lower[len] = '\0';

	zone->tz = NULL;
	zone->abbrev = NULL;
	zone->offset = 0;

	switch (decode_abbrev(lower, &seconds_east, &zone->tz))
	{
		case TZ:
		case DTZ:
			zone->tz = NULL;
			zone->offset = seconds_east * USECS_PER_SEC;
			return;
		case DYNTZ:
			zone->abbrev = name;
			return;
		default:
			break;
	}

	zone->tz = pg_tzset(name);
	if (zone->tz == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", name),
				 errhint("The view pg_timezone_names lists the names. To pass an origin, write origin => '2000-01-03'.")));
}

/*
 * The offset of local wall time from UTC at ts, in microseconds, positive in
 * the east. *until is an instant after ts up to which it holds: usually the
 * next change, DT_NOEND if there is none in the range of timestamps.
 */
int64
aggwin_zone_offset(const AggwinZone *zone, TimestampTz ts, TimestampTz *until)
{
	int64		second;
	pg_time_t	t;
	pg_time_t	change = 0;
	long int	before;
	long int	after;
	int			before_isdst;
	int			after_isdst;
	int			found;

	*until = DT_NOEND;
	if (zone->tz == NULL)
		return zone->offset;

	second = ts / USECS_PER_SEC;
	if (ts % USECS_PER_SEC < 0)
		second--;
	t = second + EPOCH_SHIFT;

	found = pg_next_dst_boundary(&t, &before, &before_isdst,
								 &change, &after, &after_isdst, zone->tz);
	if (found == 0)
	{
		/*
		 * At the very last change of the zone's table the server finds no
		 * later one, though it extrapolates from a second later on.
		 */
		long int	ignored;
		int			ignored_isdst;

		t++;
		found = pg_next_dst_boundary(&t, &ignored, &ignored_isdst,
									 &change, &after, &after_isdst, zone->tz);
	}
	if (found < 0)
		elog(ERROR, "could not find the next change of time zone \"%s\"",
			 pg_get_timezone_name(zone->tz));

	if (found > 0 &&
		pg_mul_s64_overflow(change - EPOCH_SHIFT, USECS_PER_SEC, until))
		*until = DT_NOEND;

	if (zone->abbrev != NULL)
		return -USECS_PER_SEC *
			DetermineTimeZoneAbbrevOffsetTS(second * USECS_PER_SEC, zone->abbrev,
											zone->tz, &before_isdst);
	return before * USECS_PER_SEC;
}
