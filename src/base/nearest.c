#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

/* Nobody mistypes a longer name, and comparing takes the product of the lengths. */
enum { LONGEST = 64 };

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ASCII alone: names do not depend on the locale. */
static char folded(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(char a, char b)
{
	return folded(a) == folded(b);
}

static bool swapped(const char *a, const char *b, size_t i, size_t j)
{
	return i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]);
}

/* The restricted Damerau-Levenshtein distance: row i of the table needs only the two before it. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t  rows[3][LONGEST + 1];
	size_t *row = rows[0], *above = rows[1], *above_that = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *freed = above_that;

		above_that = above;
		above = row;
		row = freed;
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = above[j - 1] + !same(a[i - 1], b[j - 1]);
			row[j] = smaller(row[j], smaller(above[j], row[j - 1]) + 1);
			if (swapped(a, b, i, j))
				row[j] = smaller(row[j], above_that[j - 2] + 1);
		}
	}
	return row[b_length];
}

static bool begins(const char *name, size_t name_length, const char *start, size_t start_length)
{
	size_t at = 0;

	while (at < start_length && at < name_length && same(name[at], start[at]))
		at++;
	return at == start_length;
}

/* Few enough slips for the length; and something of what was typed must be left. */
static bool near(size_t slips, size_t length)
{
	return slips <= (length < 3 ? 1 : length / 3) && slips < length;
}

const char *nearest_name(const char *wanted, const char *const *names, size_t count)
{
	size_t      length = strlen(wanted);
	size_t      least = (size_t)-1;
	const char *nearest = NULL;

	if (length == 0 || length > LONGEST)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t name_length = strlen(names[i]);
		size_t slips;

		if (name_length > LONGEST)
			continue;
		slips = distance(wanted, length, names[i], name_length);
		if (slips < least && (near(slips, length) || begins(names[i], name_length, wanted, length))) {
			least = slips;
			nearest = names[i];
		}
	}
	return nearest;
}
