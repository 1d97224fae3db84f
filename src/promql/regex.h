/*
 * regex.h - regular expressions: RE2's language, for the server's engine
 */
#ifndef AGGWIN_REGEX_H
#define AGGWIN_REGEX_H

#include "promql/error.h"

extern bool aggwin_promql_regex(const char *re2, char **regex, PromError *error);
extern bool aggwin_promql_translate(const char *re2, char **regex, bool *matches_empty,
									PromError *error);

#endif							/* AGGWIN_REGEX_H */
