/*
 * exposition.c - damaged texts for the parser of metrics, under sanitizers
 *
 *		exposition CASES SEED
 *
 * Each text is a good one with up to three bytes changed, lost or added, or cut
 * off. It lies in a block of its own size, so that the sanitizer sees a read beyond
 * it. Whatever the parser says of it must lie inside of it. Ends by a signal, or
 * a sanitizer's report, when there was something to find.
 */
#include "postgres.h"

#undef printf
#include <stdio.h>

#include "metrics/exposition.h"

/* Ways to damage a text */
#define WAYS 4

static const char *const pages[] = {
	"# HELP a_total h\\\\elp\n# TYPE a_total counter\n"
	"a_total{b=\"c\\n\",d=\"e\"} 1.5e3 1577836800000\n# x\n\na_total 2\nnan NaN -3\n",
	"# TYPE a counter\n# UNIT a_s s\n# HELP a h\\n\n"
	"a_total{b=\"c\",d=\"\\\"e\"} 1.5 1577836800.5 # {t=\"x\"} 0.5 1\na_created 2\n# EOF\n",
	"# TYPE h histogram\r\nh_bucket{le=\"+Inf\",} +Inf 9223372036854775807\r\nh_sum -inf\n",
};
static const char bytes[] = "{}\"=,\\# \n\r\teE+-.0123456789aN_:\xc3\xa9\xffTYPEHLUOF";

/* What the parser needs of the server. */
void *
palloc(Size size)
{
	void	   *result = malloc(size);

	if (result == NULL)
		abort();
	return result;
}

void *
repalloc(void *pointer, Size size)
{
	void	   *result = realloc(pointer, size);

	if (result == NULL)
		abort();
	return result;
}

int
pg_strncasecmp(const char *a, const char *b, size_t length)
{
	return strncasecmp(a, b, length);
}

/* A damaged copy of a page, and a NUL behind it. */
static char *
damaged(const char *page, int *length)
{
	char		text[1024];
	char	   *result;
	int			size = strlen(page);

	memcpy(text, page, size);
	for (int n = 1 + rand() % 3; n > 0 && size > 0; n--)
	{
		int			at = rand() % size;

		switch (rand() % WAYS)
		{
			case 0:
				text[at] = bytes[rand() % (sizeof(bytes) - 1)];
				break;
			case 1:
				size = at;
				break;
			case 2:
				memmove(text + at, text + at + 1, --size - at);
				break;
			default:
				memmove(text + at + 1, text + at, size++ - at);
				text[at] = bytes[rand() % (sizeof(bytes) - 1)];
		}
	}
	result = palloc(size + 1);
	memcpy(result, text, size);
	result[size] = '\0';
	*length = size;
	return result;
}

static void
check_inside(const Exposition *e, Slice slice)
{
	if (slice.length < 0 || slice.start < e->text || slice.start + slice.length > e->end)
		abort();
}

static void
check_unescaped(const Exposition *e, Slice slice)
{
	int			length;

	check_inside(e, slice);
	free(aggwin_text_unescape(slice, &length));
	if (length > slice.length)
		abort();
}

static void
check_item(const Exposition *e, ExpositionItem item)
{
	check_inside(e, e->name);
	if (item != EXPOSITION_SAMPLE)
	{
		check_unescaped(e, e->about);
		return;
	}
	check_inside(e, e->series);
	for (int i = 0; i < e->label_count; i++)
	{
		check_inside(e, e->labels[i].name);
		check_unescaped(e, e->labels[i].value);
	}
	(void) aggwin_exposition_belongs(rand() % 2 ? "summary" : "histogram", (Slice) {"a", 1},
									 e->name, e->open_metrics);
}

/* Was the whole text taken? */
static bool
read_text(const char *text, int length)
{
	Exposition	e;
	ExpositionItem item;
	const char *before = text;

	(void) aggwin_exposition_ends_with_eof(text, length);
	aggwin_exposition_begin(&e, text, length, rand() % 2);
	while ((item = aggwin_exposition_next(&e)) != EXPOSITION_END && item != EXPOSITION_ERROR)
	{
		check_item(&e, item);
		if (e.at <= before)
			abort();			/* it does not come on */
		before = e.at;
	}
	if (item == EXPOSITION_ERROR && (e.error_at < e.text || e.error_at > e.end))
		abort();
	free(e.labels);
	return item == EXPOSITION_END;
}

int
main(int argc, char **argv)
{
	long		cases = argc > 1 ? atol(argv[1]) : 200000;
	unsigned	seed = argc > 2 ? atoi(argv[2]) : 1;
	long		taken = 0;

	srand(seed);
	for (long i = 0; i < cases; i++)
	{
		int			length;
		char	   *text = damaged(pages[rand() % lengthof(pages)], &length);

		taken += read_text(text, length);
		free(text);
	}
	printf("exposition: %ld texts, %ld taken, seed %u\n", cases, taken, seed);
	return taken > 0 && taken < cases ? 0 : 1;
}
