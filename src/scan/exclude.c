#include "scan/exclude.h"

#include "scan/lines.h"
#include "scan/range.h"
#include "scan/target.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REASON_TEXT = 1024 };

/* An IPv6 network that is larger than a range can be: what all its addresses begin with. */
struct network {
	struct in6_addr prefix;
	unsigned        bits; /* 0 to 64 */
};

/* Ranges are kept sorted by family and first address, and merged, so that a look-up is a search. */
struct exclude {
	struct range   *ranges;
	size_t          range_count, range_capacity;
	bool            sorted;
	struct network *networks;
	size_t          network_count;
	char          **names;
	size_t          name_count;
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
	free(exclude->networks);
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

	if (exclude->range_count > 1)
		qsort(exclude->ranges, exclude->range_count, sizeof *exclude->ranges, by_address);
	for (size_t i = 0; i < exclude->range_count; i++) {
		const struct range *range = &exclude->ranges[i];
		struct address      last = range_address(range, range->count - 1);
		const struct range *before = kept > 0 ? &exclude->ranges[kept - 1] : NULL;

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

static bool parse_network(struct network *network, const char *word)
{
	size_t         length = strcspn(word, "/");
	char           text[ADDRESS_TEXT];
	struct address address;
	int            taken = 0;

	if (length >= sizeof text)
		return false;
	memcpy(text, word, length);
	text[length] = '\0';
	if (!address_parse(&address, text) || address_family(&address) != AF_INET6)
		return false;
	network->prefix = address.socket.ipv6.sin6_addr;
	return sscanf(word + length, "/%2u%n", &network->bits, &taken) == 1 &&
	       word[length + (size_t)taken] == '\0' && network->bits <= 64;
}

static bool add_network(struct exclude *exclude, const struct network *network)
{
	struct network *grown = realloc(exclude->networks, (exclude->network_count + 1) * sizeof *grown);

	if (!grown)
		return false;
	exclude->networks = grown;
	grown[exclude->network_count++] = *network;
	return true;
}

/* A list that is misspelt must not pass for a name, and what it holds be scanned. No top-level domain is
 * called like these; and "host.txt." is a name. */
static bool looks_like_file(const char *word)
{
	static const char *const endings[] = { ".txt", ".list",  ".lst",  ".csv",   ".tsv", ".conf",
		                               ".log", ".gnmap", ".json", ".jsonl", ".xml" };
	const char              *ending = strrchr(word, '.');

	if (strchr(word, '/'))
		return true;
	for (size_t i = 0; ending && i < sizeof endings / sizeof *endings; i++)
		if (strcasecmp(ending, endings[i]) == 0)
			return true;
	return false;
}

static bool add_word(struct exclude *exclude, const char *word, char *error, size_t size)
{
	struct network network;
	struct range   range;
	struct target  target;
	const char    *fault;

	if (parse_network(&network, word))
		return add_network(exclude, &network);
	switch (range_parse(&range, word, &fault)) {
	case RANGE_GOOD:
		return add_range(exclude, &range);
	case RANGE_BAD:
		snprintf(error, size, "--exclude \"%s\": %s", word, fault);
		return false;
	case RANGE_NONE:
		break;
	}
	if (looks_like_file(word)) {
		snprintf(error, size,
		         "--exclude \"%s\": neither an address, nor a name, nor a file that is there", word);
		return false;
	}
	if (!target_parse(&target, word, AF_UNSPEC, error, size))
		return false;
	if (target.port != 0) {
		snprintf(error, size, "--exclude \"%s\": takes no port; without it, all of %s is left out",
		         word, target.name);
		return false;
	}
	if (!target.literal)
		return add_name(exclude, target.name);
	range.count = 1;
	return address_from(&range.first, &target.address.socket.any) && add_range(exclude, &range);
}

static const char between[] = ", \t\r\n";

/* Words are divided by commas and white space; # begins a comment. */
static bool add_line(struct exclude *exclude, char *text, char *error, size_t size)
{
	char *place = NULL;

	text[strcspn(text, "#")] = '\0';
	for (char *word = strtok_r(text, between, &place); word; word = strtok_r(NULL, between, &place))
		if (!add_word(exclude, word, error, size))
			return false;
	return true;
}

/* What is not understood, or cannot be read, must not be passed over: it would be scanned. */
static bool add_lines(struct exclude *exclude, FILE *file, const char *path, char *error, size_t size)
{
	char    *line = NULL, reason[REASON_TEXT] = "not enough memory";
	size_t   room = 0, mark;
	unsigned number = 0;
	bool     good = true;

	while (good && getline(&line, &room, file) >= 0) {
		mark = number++ == 0 ? lines_mark(line) : 0;
		good = add_line(exclude, line + mark, reason, sizeof reason);
		if (!good)
			snprintf(error, size, "%s:%u: %s", path, number, reason);
	}
	if (good && ferror(file)) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		good = false;
	}
	free(line);
	return good;
}

/* The file of this name, if there is one: *found. */
static bool add_file(struct exclude *exclude, const char *path, bool *found, char *error, size_t size)
{
	FILE *file = fopen(path, "re");
	bool  good;

	if (!file)
		snprintf(error, size, "--exclude %s: %s", path, strerror(errno));
	*found = file || access(path, F_OK) == 0;
	if (!file)
		return false;
	good = add_lines(exclude, file, path, error, size);
	fclose(file);
	return good;
}

/* Is there such a host? If the word was to be a file and is misspelt, nobody would be left out. "name." is taken
 * without being looked up. It takes the time that it takes; the scan has not begun. */
static bool known(const char *word, char *error, size_t size)
{
	struct addrinfo  hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	size_t           length = strlen(word);
	int status = length > 0 && word[length - 1] == '.' ? 0 : getaddrinfo(word, NULL, &hints, &found);

	if (status != 0)
		snprintf(error, size,
		         "--exclude \"%s\": there is no such file, nor such a name (%s); "
		         "\"%s.\" is a name that is not looked up",
		         word, status == EAI_SYSTEM ? strerror(errno) : gai_strerror(status), word);
	if (found)
		freeaddrinfo(found);
	return status == 0;
}

/* A word of the command line that is no file. */
static bool add_given(struct exclude *exclude, const char *word, char *error, size_t size)
{
	size_t names = exclude->name_count;

	return add_word(exclude, word, error, size) &&
	       (exclude->name_count == names || known(word, error, size));
}

/* The words of a list, each of which may be a file. */
static bool add_list(struct exclude *exclude, char *list, char *error, size_t size)
{
	char *place = NULL;
	bool  good = true, found;

	list[strcspn(list, "#")] = '\0';
	for (char *word = strtok_r(list, between, &place); good && word;
	     word = strtok_r(NULL, between, &place)) {
		good = add_file(exclude, word, &found, error, size);
		if (!found) {
			snprintf(error, size, "not enough memory");
			good = add_given(exclude, word, error, size);
		}
	}
	return good;
}

bool exclude_add(struct exclude *exclude, const char *list_or_file, char *error, size_t size)
{
	bool  found, good;
	char *list;

	good = add_file(exclude, list_or_file, &found, error, size); /* its name may have a blank in it */
	if (!found) {
		snprintf(error, size, "not enough memory");
		list = strdup(list_or_file);
		good = list && add_list(exclude, list, error, size);
		free(list);
	}
	if (good)
		sort(exclude);
	return good;
}

/* --- asking ---------------------------------------------------------------------------------- */

static bool in_network(const struct network *network, const struct address *address)
{
	const uint8_t *bytes = address->socket.ipv6.sin6_addr.s6_addr;
	size_t         whole = network->bits / 8;
	uint8_t        mask = (uint8_t)(0xff << (8 - network->bits % 8));

	return memcmp(bytes, network->prefix.s6_addr, whole) == 0 &&
	       ((bytes[whole] ^ network->prefix.s6_addr[whole]) & mask) == 0;
}

static bool in_networks(const struct exclude *exclude, const struct address *address)
{
	for (size_t i = 0; i < exclude->network_count && address_family(address) == AF_INET6; i++)
		if (in_network(&exclude->networks[i], address))
			return true;
	return false;
}

/* After sorting, a range that holds the address is among those that begin at or before it; as nested
 * ones are gone, ends rise with beginnings, and the last such range is it. */
static bool in_ranges(const struct exclude *exclude, const struct address *address)
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

/* ::ffff:192.0.2.7 leads to 192.0.2.7. */
bool exclude_address(const struct exclude *exclude, const struct address *address)
{
	struct address plain;

	return address_from(&plain, &address->socket.any) &&
	       (in_networks(exclude, &plain) || in_ranges(exclude, &plain));
}

/* "host.example." is host.example. */
static size_t length_of(const char *name)
{
	size_t length = strlen(name);

	return length > 1 && name[length - 1] == '.' ? length - 1 : length;
}

bool exclude_name(const struct exclude *exclude, const char *name)
{
	size_t length = length_of(name);

	for (size_t i = 0; i < exclude->name_count; i++)
		if (length_of(exclude->names[i]) == length &&
		    strncasecmp(exclude->names[i], name, length) == 0)
			return true;
	return false;
}
