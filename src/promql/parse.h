/*
 * parse.h - reading PromQL
 *
 * Texts end with a NUL and are UTF-8; what is not is an error like others.
 */
#ifndef AGGWIN_PARSE_H
#define AGGWIN_PARSE_H

#include "promql/ast.h"

/* Bytes of an expression. */
#define AGGWIN_PROMQL_MAX_LENGTH 65536

extern bool aggwin_promql_selector(const char *text, PromSelector *selector, PromError *error);
extern bool aggwin_promql_parse(const char *text, PromExpr **expr, PromError *error);
extern bool aggwin_promql_parse_duration(const char *text, int64 *milliseconds, PromError *error);

#endif							/* AGGWIN_PARSE_H */
