/*
 * publish.h - one revision of one window: computed, stored, told of
 */
#ifndef AGGWIN_EMIT_PUBLISH_H
#define AGGWIN_EMIT_PUBLISH_H

#include "postgres.h"

#include "emit/window.h"
#include "utils/snapshot.h"

/* The windows of one output that a step publishes, and how far it has come. */
typedef struct Publisher
{
	WindowRow  *window;
	Snapshot	snapshot;
	List	   *columns;
	const char *from;			/* the relation with the rows of a window */

	int64		position;		/* of the last revision */
	int64		closed;
	int64		revised;
	int64		not_notified;
} Publisher;

extern int64 aggwin_publish_final(Publisher *publisher, TimestampTz end, bool even_if_empty);
extern bool aggwin_publish_revision(Publisher *publisher, TimestampTz end);

#endif							/* AGGWIN_EMIT_PUBLISH_H */
