/*
 * guc.c - the settings aggwin.*
 *
 * Settings belong to the server, not to a session (PGC_SIGHUP): what a worker
 * folds and what refresh() folds must be the same, whoever calls it. Only how
 * capture treats errors may differ from session to session.
 */
#include "postgres.h"

#include "core/guc.h"

#include <limits.h>

#include "utils/guc.h"

bool		aggwin_worker_enabled = true;
int			aggwin_worker_naptime = 1000;
int			aggwin_launcher_naptime = 60;
int			aggwin_max_backoff = 300;
int			aggwin_lock_timeout = 10000;
int			aggwin_max_future = 86400;
int			aggwin_repair_batch = 250000;
int			aggwin_window_memory = 262144;
bool		aggwin_strict_capture = false;
int			aggwin_log_min_fold_duration = -1;
int			aggwin_max_past = 3650 * 86400;
int			aggwin_sample_retention = 0;
int			aggwin_max_new_series = 100000;
int			aggwin_series_cache_size = 32768;
int			aggwin_refused_samples = REFUSED_DROP;
int			aggwin_duplicate_samples = DUPLICATES_NEWEST;

static const struct config_enum_entry refused_samples_modes[] = {
	{"drop", REFUSED_DROP, false},
	{"error", REFUSED_ERROR, false},
	{NULL, 0, false}
};

static const struct config_enum_entry duplicate_samples_modes[] = {
	{"newest", DUPLICATES_NEWEST, false},
	{"refuse", DUPLICATES_REFUSE, false},
	{NULL, 0, false}
};

static void
define_worker_settings(void)
{
	DefineCustomBoolVariable("aggwin.worker_enabled",
							 "Whether the launcher keeps a worker in every database that has aggwin.",
							 "Needs aggwin in shared_preload_libraries. Turned off, the workers that the launcher started end; those of aggwin.start_worker() stay.",
							 &aggwin_worker_enabled,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	/*
	 * DROP DATABASE waits five seconds for other sessions to leave, and a
	 * worker only sees that it is in the way when it wakes.
	 */
	DefineCustomIntVariable("aggwin.worker_naptime",
							"The longest time that a worker sleeps.",
							"New rollups, DROP EXTENSION and sessions that want the database to themselves are noticed this late.",
							&aggwin_worker_naptime,
							1000, 10, 3000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("aggwin.launcher_naptime",
							"How often the launcher probes databases that have no worker.",
							"Databases that CREATE EXTENSION does not announce, such as restored or copied ones, get their worker this late.",
							&aggwin_launcher_naptime,
							60, 1, 86400,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("aggwin.max_backoff",
							"The longest pause between two attempts to fold a rollup that fails.",
							"The pause starts at the rollup's refresh interval and doubles with each failure in a row.",
							&aggwin_max_backoff,
							300, 1, 86400,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("aggwin.lock_timeout",
							"How long a worker waits for a lock before it gives up the fold for now.",
							"It counts as a failure of that rollup only, so that a rollup that cannot be locked does not hold up the others. Zero waits without limit.",
							&aggwin_lock_timeout,
							10000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("aggwin.log_min_fold_duration",
							"Logs every fold of a worker that took at least this long.",
							"Zero logs all folds that found something to do, -1 none.",
							&aggwin_log_min_fold_duration,
							-1, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

static void
define_fold_settings(void)
{
	DefineCustomIntVariable("aggwin.max_future",
							"How far ahead of the clock an event may be and still advance the watermark.",
							"Rows further ahead are counted in their bucket all the same. Samples of metrics are refused.",
							&aggwin_max_future,
							86400, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("aggwin.repair_batch",
							"How many rows of a source a worker aggregates anew in one transaction.",
							"Larger repairs, such as the first one of a rollup, are done in pieces, newest first. A single bucket is never split, and without an index on the event time all is done at once.",
							&aggwin_repair_batch,
							250000, 1, INT_MAX,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);
}

static void
define_window_settings(void)
{
	DefineCustomIntVariable("aggwin.window_memory",
							"Memory of one session for keeping overlapping windows up to date.",
							"Beyond it, panes that leave a window are read once more, or, where aggregates can only be merged, windows are computed anew each time. Groups and what has to be kept of them count, too.",
							&aggwin_window_memory,
							262144, 64, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

/*
 * Not for everybody to set: where a table's owner relies on it to keep rows out
 * that a rollup cannot count, a writer must not turn it off.
 */
static void
define_capture_settings(void)
{
	DefineCustomBoolVariable("aggwin.strict_capture",
							 "Whether a statement fails when an expression of a rollup fails for its new rows.",
							 "Otherwise the statement succeeds, and the rollup's view answers the buckets of these rows from the source, error included, until the rows are changed or removed.",
							 &aggwin_strict_capture,
							 false,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
}

/*
 * What protects the tables is not for everybody to set; what only says how a
 * session's own samples are treated is.
 */
static void
define_metric_settings(void)
{
	DefineCustomIntVariable("aggwin.max_past",
							"How far behind the clock a sample may be.",
							"Older ones are refused. Zero sets no limit.",
							&aggwin_max_past,
							3650 * 86400, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("aggwin.sample_retention",
							"How long samples are kept.",
							"Days that are over for as long are dropped by maintain_samples(), and older samples are refused. Zero keeps all.",
							&aggwin_sample_retention,
							0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("aggwin.max_new_series",
							"How many new series a metric may get in an hour.",
							"Samples of more are refused. Zero sets no limit.",
							&aggwin_max_new_series,
							100000, 0, INT_MAX,
							PGC_SUSET, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("aggwin.series_cache_size",
							"How much memory a session takes to remember series.",
							"When it is full it begins again.",
							&aggwin_series_cache_size,
							32768, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("aggwin.refused_samples",
							 "What happens to samples that are refused.",
							 "They are dropped and counted, or the statement fails.",
							 &aggwin_refused_samples,
							 REFUSED_DROP, refused_samples_modes,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	DefineCustomEnumVariable("aggwin.duplicate_samples",
							 "What happens to a sample whose series and time are there with another value.",
							 "The newest stays, or it is refused.",
							 &aggwin_duplicate_samples,
							 DUPLICATES_NEWEST, duplicate_samples_modes,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
}

void
aggwin_define_settings(void)
{
	define_worker_settings();
	define_fold_settings();
	define_window_settings();
	define_capture_settings();
	define_metric_settings();
	MarkGUCPrefixReserved("aggwin");
}
