%code top {
/*
 * grammar.y - the grammar of PromQL, as far as it is taken
 *
 * What pipelines can compute is read into a tree; what else PromQL has is known
 * by its first word and refused there. So only the first fault of a text is told,
 * and a text that is refused may have others behind it.
 *
 * Names of functions and labels are checked after this, in check.c; what a
 * matcher's value means, at once.
 *
 * Source: Prometheus' documentation, "Querying basics" and "Operators".
 */
#include "promql/base.h"
}

%code requires {
#include "promql/reader.h"
}

%code {
/* So that nothing is left behind when a server's function ends by an error. */
#define YYMALLOC palloc
#define YYFREE pfree

/* A rule's place is that of its first word. */
#define YYLLOC_DEFAULT(current, right, count) \
	((current) = (count) > 0 ? YYRHSLOC(right, 1) : YYRHSLOC(right, 0))

/* Take a step that may fail, having noted why. */
#define CHECK(step) do { if (!(step)) YYABORT; } while (0)

/* End here, as this is no part of the language that is taken. */
#define REFUSE(token) do { (void) aggwin_promql_refuse(reader, token); YYABORT; } while (0)
#define FAIL(place, hint, ...) do { \
	(void) aggwin_promql_fail(reader->error, place, hint, __VA_ARGS__); YYABORT; } while (0)

extern int	yylex(YYSTYPE *value, YYLTYPE *place, void *scanner);
static void yyerror(YYLTYPE *place, PromReader *reader, void *scanner, const char *message);
}

%require "3.0"
%expect 0
%define api.pure full
%define api.prefix {aggwin_promql_yy}
%define api.location.type {PromPlace}
%locations
%initial-action { @$ = (PromPlace) {1, 1}; }
%parse-param { PromReader *reader } { void *scanner }
%lex-param { void *scanner }

%union
{
	PromToken	token;
	PromMatch	match;
	PromSelector *selector;
	PromExpr   *expr;
	PromGrouping grouping;
}

%token			START_SELECTOR START_EXPR UNREADABLE
%token <token>	NAME METRIC NUMBER STRING DURATION
%token <token>	BY WITHOUT SET_OPERATOR OFFSET MODIFIER
%token <token>	OPERATOR MATCH NOT_MATCH NOT_EQUAL AT
%token <token>	'=' '{' '}' '(' ')' '[' ']' ',' ':'

%type <token>	metric_name label operator
%type <match>	match
%type <selector> selector braces matchers
%type <expr>	expr primary vector other call arguments argument_list
%type <grouping> grouping labels

%%

start:
			START_SELECTOR
				{ reader->selector = palloc0(sizeof(PromSelector)); }
			| START_SELECTOR selector
				{ reader->selector = $2; }
			| START_SELECTOR selector '['
				{ FAIL(@3, "Ask for the times beside it.", "a selector has no range here"); }
			| START_EXPR expr
				{
					reader->expr = $2;
					/* Bison counts faults, and compilers see that nobody asks. */
					(void) yynerrs;
				}
		;

/* Selectors: m{a="b",c=~"d"} */

selector:
			metric_name
				{
					$$ = palloc0(sizeof(PromSelector));
					CHECK(aggwin_promql_name_selector(reader, $$, $1));
				}
			| metric_name braces
				{
					$$ = $2;
					CHECK(aggwin_promql_name_selector(reader, $$, $1));
				}
			| braces
				{
					$$ = $1;
					CHECK(aggwin_promql_finish_selector(reader, $$));
				}
		;

metric_name:
			NAME | METRIC | BY | WITHOUT | SET_OPERATOR | OFFSET
		;

braces:
			'{' '}'
				{
					$$ = palloc0(sizeof(PromSelector));
					$$->place = @1;
				}
			| '{' matchers '}'
				{
					$$ = $2;
					$$->place = @1;
				}
			| '{' matchers ',' '}'
				{
					$$ = $2;
					$$->place = @1;
				}
		;

matchers:
			label match STRING
				{
					$$ = palloc0(sizeof(PromSelector));
					CHECK(aggwin_promql_add_matcher(reader, $$, $1, $2, $3));
				}
			| matchers ',' label match STRING
				{
					$$ = $1;
					CHECK(aggwin_promql_add_matcher(reader, $$, $3, $4, $5));
				}
			| STRING
				{
					$$ = NULL;
					FAIL(@1, "Names of metrics and labels are written without quotes: m{a=\"b\"}.",
						 "names in quotes are not supported");
				}
			| matchers ',' STRING
				{
					$$ = NULL;
					FAIL(@3, "Names of metrics and labels are written without quotes: m{a=\"b\"}.",
						 "names in quotes are not supported");
				}
		;

label:
			metric_name | MODIFIER
		;

match:
			'='				{ $$ = PROM_EQUAL; }
			| NOT_EQUAL		{ $$ = PROM_NOT_EQUAL; }
			| MATCH			{ $$ = PROM_MATCH; }
			| NOT_MATCH		{ $$ = PROM_NOT_MATCH; }
		;

/* Expressions: histogram_quantile(0.9, sum by (le) (increase(m[5m]))) */

expr:
			primary
			| OPERATOR primary
				{
					$$ = $2;
					if ($2->kind != PROM_NUMBER || strchr("+-", *$1.start) == NULL)
						CHECK(aggwin_promql_refuse_sign(reader, $1));
					$$->place = @1;
					if (*$1.start == '-')
						$$->number = -$$->number;
				}
			| expr operator
				{ REFUSE($2); }
		;

operator:
			OPERATOR | NOT_EQUAL | SET_OPERATOR | OFFSET | AT
		;

primary:
			vector | other
		;

vector:
			selector
				{
					$$ = aggwin_promql_expr(PROM_SELECT, @1);
					$$->selector = *$1;
				}
			| selector '[' DURATION ']'
				{
					$$ = aggwin_promql_expr(PROM_SELECT, @1);
					$$->selector = *$1;
					CHECK(aggwin_promql_duration($3, &$$->range, reader->error));
				}
			| selector '[' DURATION ':'
				{
					$$ = NULL;
					REFUSE($4);
				}
			| selector '[' ']'
				{
					$$ = NULL;
					FAIL(@2, "Write the window's width in them: [1m].", "the brackets are empty");
				}
		;

other:
			call
			| NUMBER
				{
					$$ = aggwin_promql_expr(PROM_NUMBER, @1);
					CHECK(aggwin_promql_number($1, &$$->number, reader->error));
				}
			| STRING
				{
					$$ = aggwin_promql_expr(PROM_STRING, @1);
					CHECK(aggwin_promql_string($1, &$$->text, reader->error));
				}
			| '(' expr ')'
				{ $$ = $2; }
			| other '[' DURATION ':'
				{ REFUSE($4); }
			| other '[' DURATION ']'
				{
					FAIL(@2, "Write the range behind the name of the metric and its matchers.",
						 "a range can follow a selector only");
				}
		;

call:
			NAME '(' arguments ')'
				{
					$$ = $3;
					$$->text = pnstrdup($1.start, $1.length);
					$$->place = @1;
				}
			| NAME '(' arguments ')' grouping
				{
					$$ = $3;
					$$->text = pnstrdup($1.start, $1.length);
					$$->place = @1;
					$$->grouping = $5;
				}
			| NAME grouping '(' arguments ')'
				{
					$$ = $4;
					$$->text = pnstrdup($1.start, $1.length);
					$$->place = @1;
					$$->grouping = $2;
				}
			| NAME grouping '(' arguments ')' grouping
				{
					$$ = NULL;
					FAIL(@6, "Write it before the parentheses or behind them.",
						 "\"%s\" is grouped twice", aggwin_promql_shown($1.start, $1.length));
				}
		;

arguments:
			%empty
				{ $$ = aggwin_promql_expr(PROM_CALL, @$); }
			| argument_list
		;

argument_list:
			expr
				{
					$$ = aggwin_promql_expr(PROM_CALL, @1);
					aggwin_promql_add_argument($$, $1);
				}
			| argument_list ',' expr
				{
					$$ = $1;
					aggwin_promql_add_argument($$, $3);
				}
		;

grouping:
			BY '(' ')'
				{ $$ = (PromGrouping) {PROM_BY, NULL, 0, @1}; }
			| BY '(' labels ')'
				{
					$$ = $3;
					$$.kind = PROM_BY;
					$$.place = @1;
				}
			| BY '(' labels ',' ')'
				{
					$$ = $3;
					$$.kind = PROM_BY;
					$$.place = @1;
				}
			| WITHOUT '(' ')'
				{ $$ = (PromGrouping) {PROM_WITHOUT, NULL, 0, @1}; }
			| WITHOUT '(' labels ')'
				{
					$$ = $3;
					$$.kind = PROM_WITHOUT;
					$$.place = @1;
				}
			| WITHOUT '(' labels ',' ')'
				{
					$$ = $3;
					$$.kind = PROM_WITHOUT;
					$$.place = @1;
				}
		;

labels:
			label
				{
					$$ = (PromGrouping) {PROM_BY, NULL, 0, @1};
					CHECK(aggwin_promql_add_label(reader, &$$, $1));
				}
			| labels ',' label
				{
					$$ = $1;
					CHECK(aggwin_promql_add_label(reader, &$$, $3));
				}
		;

%%

static void
yyerror(YYLTYPE *place, PromReader *reader, void *scanner, const char *message)
{
	PromToken	last = reader->last;

	if (last.length == 0)
		(void) aggwin_promql_fail(reader->error, last.place,
								  reader->depth > 0 ? "A parenthesis is not closed." : NULL,
								  "syntax error at the end");
	else
		(void) aggwin_promql_fail(reader->error, last.place, NULL, "syntax error at or near \"%s\"",
								  aggwin_promql_shown(last.start, last.length));
}
