/*
 * scanner.h - the words of PromQL
 */
#ifndef AGGWIN_SCANNER_H
#define AGGWIN_SCANNER_H

#include "promql/reader.h"

/* keyword.c */
extern int	aggwin_promql_keyword(PromToken token);

/* scanner.l */
extern bool aggwin_promql_read(PromReader *reader, int start_token);

#endif							/* AGGWIN_SCANNER_H */
