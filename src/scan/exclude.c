#include "scan/exclude.h"

#include "scan/range.h"
#include "scan/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { LINE_TEXT = 4096 };

/* Ranges are kept sorted by family and first address, and merged, so that a look-up is a search. */
struct exclude {
	struct range *ranges;
	size_t        range_count, range_capacity;
	bool          sorted;
	char        **names;
	size_t        name_count;
};

struct exclude *exclude_new(void)
{
	return calloc(1, sizeof(struct exclude));
}

void exclude_free(struct exclude *exclude)
{
	if (!exclude)
		return;
	for (size_t i = 0; i < exclude->name_count; i++)
		free(exclude->names[i]);
	free(exclude->names);
	free(exclude->ranges);
	free(exclude);
}

/* --- sorting --------------------------------------------------------------------------------- */

static int compare_addresses(const struct address *one, const struct address *other)
{
	if (address_family(one) != address_family(other))
		return address_family(one) < address_family(other) ? -1 : 1;
	if (address_family(one) == AF_INET)
		return memcmp(&one->socket.ipv4.sin_addr, &other->socket.ipv4.sin_addr, 4);
	return memcmp(&one->socket.ipv6.sin6_addr, &other->socket.ipv6.sin6_addr, 16);
}

static int by_address(const void *one, const void *other)
{
	return compare_addresses(&((const struct range *)one)->first, &((const struct range *)other)->first);
}

/* Drop what lies inside the range before it; what overlaps it only in part stays, both are found. */
static void sort(struct exclude *exclude)
{
	size_t kept = 0;

	qsort(exclude->ranges, exclude->range_count, sizeof *exclude->ranges, by_address);
	for (size_t i = 0; i < exclude->range_count; i++) {
		const struct range  *range = &exclude->ranges[i];
		struct address       last = range_address(range, range->count - 1);
		const struct range  *before = kept > 0 ? &exclude->ranges[kept - 1] : NULL;

		if (!before || !range_contains(before, &range->first) || !range_contains(before, &last))
			exclude->ranges[kept++] = *range;
	}
	exclude->range_count = kept;
	exclude->sorted = true;
}

/* --- adding ---------------------------------------------------------------------------------- */

static bool add_range(struct exclude *exclude, const struct range *range)
{
	size_t        capacity = exclude->range_capacity ? exclude->range_capacity * 2 : 16;
	struct range *grown;

	if (exclude->range_count == exclude->range_capacity) {
		grown = realloc(exclude->ranges, capacity * sizeof *grown);
		if (!grown)
			return false;
		exclude->ranges = grown;
		exclude->range_capacity = capacity;
	}
	exclude->ranges[exclude->range_count++] = *range;
	exclude->sorted = false;
	return true;
}

static bool add_name(struct exclude *exclude, const char *name)
{
	char **grown = realloc(exclude->names, (exclude->name_count + 1) * sizeof *grown);

	if (!grown)
		return false;
	exclude->names = grown;
	grown[exclude->name_count] = strdup(name);
	return grown[exclude->name_count++] != NULL;
}

static bool add_word(struct exclude *exclude, const char *word, char *error, size_t size)
{
	struct range  range;
	struct target target;
	const char   *fault;

	switch (range_parse(&range, word, &fault)) {
	case RANGE_GOOD:
		return add_range(exclude, &range);
	case RANGE_BAD:
		snprintf(error, size, "--exclude \"%s\": %s", word, fault);
		return false;
	case RANGE_NONE:
		break;
	}
	if (!target_parse(&target, word, AF_UNSPEC, error, size))
		return false;
	if (!target.literal)
		return add_name(exclude, target.name);
	range = (struct range){ .first = target.address, .count = 1 };
	return add_range(exclude, &range);
}

/* Words are divided by commas and white space; # begins a comment. */
static bool add_words(struct exclude *exclude, char *text, char *error, size_t size)
{
	char *place = NULL;

	text[strcspn(text, "#")] = '\0';
	for (char *word = strtok_r(text, ", \t\r\n", &place); word; word = strtok_r(NULL, ", \t\r\n", &place))
		if (!add_word(exclude, word, error, size))
			return false;
	return true;
}

static bool add_file(struct exclude *exclude, FILE *file, const char *path, char *error, size_t size)
{
	char     line[LINE_TEXT], reason[LINE_TEXT];
	unsigned number = 0;

	while (fgets(line, sizeof line, file)) {
		number++;
		if (add_words(exclude, line, reason, sizeof reason))
			continue;
		snprintf(error, size, "%s:%u: %s", path, number, reason);
		return false;
	}
	return true;
}

bool exclude_add(struct exclude *exclude, const char *list_or_file, char *error, size_t size)
{
	FILE *file = fopen(list_or_file, "re");
	char *words;
	bool  good;

	snprintf(error, size, "not enough memory");
	if (file) {
		good = add_file(exclude, file, list_or_file, error, size);
		fclose(file);
	} else {
		words = strdup(list_or_file);
		good = words && add_words(exclude, words, error, size);
		free(words);
	}
	if (good)
		sort(exclude);
	return good;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* After sorting, a range that holds the address is among those that begin at or before it; as nested
 * ones are gone, ends rise with beginnings, and the last such range is it. */
bool exclude_address(const struct exclude *exclude, const struct address *address)
{
	size_t low = 0, high = exclude->range_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_addresses(&exclude->ranges[middle].first, address) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && range_contains(&exclude->ranges[low - 1], address);
}

bool exclude_name(const struct exclude *exclude, const char *name)
{
	for (size_t i = 0; i < exclude->name_count; i++)
		if (strcasecmp(exclude->names[i], name) == 0)
			return true;
	return false;
}
