/*
 * upkeep.c - what a worker does every few minutes
 *
 * It makes the partitions of aggwin.samples ahead, and drops those beyond
 * retention, where metrics are enabled. After an error it comes back as late as
 * otherwise: what is missing is made by whoever needs it.
 */
#include "postgres.h"

#include "worker/upkeep.h"

#include "metrics/days.h"
#include "pgstat.h"
#include "utils/backend_status.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "worker/attempt.h"

#define UPKEEP_PAUSE (5 * USECS_PER_MINUTE)

static void
keep_up_step(void *arg)
{
	MetricTables tables;
	SampleUpkeep done;

	PushActiveSnapshot(GetTransactionSnapshot());
	if (aggwin_find_metric_tables(&tables))
	{
		pgstat_report_activity(STATE_RUNNING, "maintaining aggwin.samples");
		done = aggwin_keep_up_samples(&tables);
		if (done.dropped > 0)
			ereport(LOG, (errmsg_plural("dropped %d partition of aggwin.samples beyond aggwin.sample_retention",
										"dropped %d partitions of aggwin.samples beyond aggwin.sample_retention",
										done.dropped, done.dropped)));
		else if (done.waiting > 0)
			ereport(LOG, (errmsg_plural("%d partition of aggwin.samples is due to be dropped, but in use",
										"%d partitions of aggwin.samples are due to be dropped, but in use",
										done.waiting, done.waiting)));
	}
	PopActiveSnapshot();
}

/* A clock that was set back is no reason to wait until it is where it was. */
void
aggwin_upkeep_if_due(void)
{
	static TimestampTz done_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (done_at != 0 && done_at <= now && now - done_at < UPKEEP_PAUSE)
		return;
	done_at = now;
	(void) aggwin_attempt(keep_up_step, NULL);
}
