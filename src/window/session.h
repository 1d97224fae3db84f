/*
 * session.h - sessions: stretches of time without a gap
 */
#ifndef AGGWIN_SESSION_H
#define AGGWIN_SESSION_H

#include "postgres.h"

#include "datatype/timestamp.h"

extern int64 aggwin_session_gap(const Interval *gap);

#endif							/* AGGWIN_SESSION_H */
