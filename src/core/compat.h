/*
 * compat.h - what differs between the server versions that aggwin supports
 *
 * PostgreSQL 15 is the oldest. Nothing outside this file asks for
 * PG_VERSION_NUM.
 */
#ifndef AGGWIN_COMPAT_H
#define AGGWIN_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "aggwin needs PostgreSQL 15 or later"
#endif

#endif							/* AGGWIN_COMPAT_H */
