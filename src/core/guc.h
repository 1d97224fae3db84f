/*
 * guc.h - the settings aggwin.*
 *
 * doc/reference.md describes each of them.
 */
#ifndef AGGWIN_GUC_H
#define AGGWIN_GUC_H

#include "postgres.h"

extern bool aggwin_worker_enabled;
extern int	aggwin_worker_naptime;	/* milliseconds */
extern int	aggwin_launcher_naptime;	/* seconds */
extern int	aggwin_max_backoff; /* seconds */
extern int	aggwin_lock_timeout;	/* milliseconds, 0 waits for ever */
extern int	aggwin_max_future;	/* seconds */
extern int	aggwin_repair_batch;
extern int	aggwin_window_memory;	/* kilobytes */
extern bool aggwin_strict_capture;
extern int	aggwin_log_min_fold_duration;	/* milliseconds, -1 never logs */


/* What to do with samples that aggwin does not store. */
typedef enum RefusedSamplesMode
{
	REFUSED_DROP,
	REFUSED_ERROR,
} RefusedSamplesMode;

/* Of two samples of one series and time, which one stays. */
typedef enum DuplicateSamplesMode
{
	DUPLICATES_NEWEST,
	DUPLICATES_REFUSE,
} DuplicateSamplesMode;

extern int	aggwin_max_past;	/* seconds, 0: no limit */
extern int	aggwin_sample_retention;	/* seconds, 0: for ever */
extern int	aggwin_max_new_series;	/* 0: no limit */
extern int	aggwin_series_cache_size;	/* kilobytes */
extern int	aggwin_refused_samples;
extern int	aggwin_duplicate_samples;

extern void aggwin_define_settings(void);

#endif							/* AGGWIN_GUC_H */
