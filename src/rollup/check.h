/*
 * check.h - which queries a rollup can be made of
 */
#ifndef AGGWIN_CHECK_H
#define AGGWIN_CHECK_H

#include "postgres.h"

#include "rollup/spec.h"

extern int	aggwin_place(const char *text, int location);
extern void aggwin_refuse(const char *text, int location, const char *construct,
						  const char *hint);
extern void aggwin_check_keys(Query *query, const char *text);

#endif							/* AGGWIN_CHECK_H */
