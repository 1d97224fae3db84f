/*
 * print.h - back to text
 */
#ifndef AGGWIN_PRINT_H
#define AGGWIN_PRINT_H

#include "promql/rule.h"

extern char *aggwin_promql_print(const PromExpr *expr);
extern char *aggwin_promql_print_selector(const PromSelector *selector);
extern char *aggwin_promql_print_rule(const PromRule *rule);

#endif							/* AGGWIN_PRINT_H */
