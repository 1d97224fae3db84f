/*
 * base.h - what the language needs of PostgreSQL, in a server and in a program
 *
 * Everything in this folder is compiled twice: into the server's module, and with
 * FRONTEND into programs. Both have palloc, which in a program ends it when there
 * is no memory. Nothing here raises an error: a function that can fail returns
 * false and fills a PromError. Texts are UTF-8, whatever the database's encoding.
 */
#ifndef AGGWIN_BASE_H
#define AGGWIN_BASE_H

#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "lib/stringinfo.h"

#endif							/* AGGWIN_BASE_H */
