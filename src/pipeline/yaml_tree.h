/*
 * yaml_tree.h - a YAML file as a tree, with places
 */
#ifndef AGGWIN_YAML_TREE_H
#define AGGWIN_YAML_TREE_H

#include "promql/error.h"

typedef enum YamlKind
{
	AGGWIN_YAML_SCALAR,
	AGGWIN_YAML_LIST,
	AGGWIN_YAML_MAP,
} YamlKind;

typedef enum YamlStyle
{
	AGGWIN_YAML_PLAIN,
	AGGWIN_YAML_SINGLE_QUOTED,
	AGGWIN_YAML_DOUBLE_QUOTED,
	AGGWIN_YAML_BLOCK,
} YamlStyle;

typedef struct YamlNode
{
	YamlKind	kind;
	YamlStyle	style;			/* of scalars */
	PromPlace	place;
	int			last_line;		/* of scalars */
	char	   *text;			/* of scalars */
	struct YamlNode **nodes;	/* of lists; of maps: keys, each followed by its value */
	int			node_count;
} YamlNode;

extern bool aggwin_yaml_read(const char *text, size_t length, YamlNode **root, PromError *error);
extern bool aggwin_yaml_place(const char *text, const YamlNode *scalar, PromPlace inside, PromPlace *place);

#endif							/* AGGWIN_YAML_TREE_H */
