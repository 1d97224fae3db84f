/*
 * names.h - Prometheus' rules for the names of metrics and labels
 */
#ifndef AGGWIN_NAMES_H
#define AGGWIN_NAMES_H

#include "postgres.h"

/* The label that holds the name of the metric in Prometheus' own model. */
#define AGGWIN_NAME_LABEL "__name__"

/* Bytes of a name, so that indexes can hold it. */
#define AGGWIN_MAX_NAME 1024

/* Bytes of all names and values of a series' labels. */
#define AGGWIN_MAX_LABELS 65536

static inline bool
aggwin_begins_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline bool
aggwin_continues_name(char c)
{
	return aggwin_begins_name(c) || (c >= '0' && c <= '9');
}

/* The length of the label's name at the beginning of a text; 0 if it is none. */
static inline int
aggwin_label_name_length(const char *text, const char *end)
{
	const char *at = text;

	if (at == end || !aggwin_begins_name(*at))
		return 0;
	while (at < end && aggwin_continues_name(*at))
		at++;
	return at - text;
}

/* Likewise of a metric's name, where colons are letters. */
static inline int
aggwin_metric_name_length(const char *text, const char *end)
{
	const char *at = text;

	if (at == end || !(aggwin_begins_name(*at) || *at == ':'))
		return 0;
	while (at < end && (aggwin_continues_name(*at) || *at == ':'))
		at++;
	return at - text;
}

#endif							/* AGGWIN_NAMES_H */
