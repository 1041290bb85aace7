#include "scan/targets.h"

#include "base/escape.h"
#include "scan/lines.h"
#include "scan/range.h"
#include "scan/shuffle.h"
#include "scan/target_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ERROR_TEXT = 1024 };
enum { PATIENCE = 4096 }; /* targets that are passed over at a time */

/* What one word stands for: a host, or a range of them. */
struct entry {
	bool          is_range;
	struct range  range;
	struct target target;
	uint64_t      before; /* targets of the words before it */
};

struct targets {
	struct targets_setup setup;
	struct entry        *entries;
	uint64_t             total; /* of the words, all shards */

	struct shuffle order; /* of the words' targets that are this shard's */
	uint64_t       place; /* in that order */

	struct lines     **files;
	size_t             file;  /* the one being read */
	struct target_line line;  /* its current line */
	struct entry       entry; /* of which this range is not exhausted */
	struct shuffle     entry_order;
	uint64_t           entry_place;
	uint64_t           file_index; /* targets of the files so far, all shards */
	int                patience;   /* how many more may be passed over before a pause */
	bool               flawed;
	uint64_t           given, excluded; /* so far */
};

/* --- entries --------------------------------------------------------------------------------- */

static uint64_t entry_count(const struct entry *entry)
{
	return entry->is_range ? entry->range.count : 1;
}

static bool entry_parse(struct entry *entry, const char *word, int family, char *error, size_t size)
{
	const char *fault;

	memset(entry, 0, sizeof *entry);
	switch (range_parse(&entry->range, word, &fault)) {
	case RANGE_NONE:
		return target_parse(&entry->target, word, family, error, size);
	case RANGE_BAD:
		snprintf(error, size, "target \"%s\": %s", word, fault);
		return false;
	case RANGE_GOOD:
		break;
	}
	entry->is_range = true;
	if (family == AF_UNSPEC || family == address_family(&entry->range.first))
		return true;
	snprintf(error, size, "target \"%s\": not %s, which -%c asks for", word,
	         family == AF_INET ? "IPv4" : "IPv6", family == AF_INET ? '4' : '6');
	return false;
}

static void entry_target(const struct entry *entry, uint64_t index, struct target *target)
{
	if (!entry->is_range) {
		*target = entry->target;
		return;
	}
	target->literal = true;
	target->port = 0;
	target->address = range_address(&entry->range, index);
	address_format(&target->address, target->name);
}

static bool is_excluded(const struct exclude *exclude, const struct target *target)
{
	if (!exclude)
		return false;
	return target->literal ? exclude_address(exclude, &target->address)
	                       : exclude_name(exclude, target->name);
}

static bool admit(struct targets *targets, const struct target *target)
{
	bool excluded = is_excluded(targets->setup.exclude, target);

	targets->given += !excluded;
	targets->excluded += excluded;
	return !excluded;
}

/* --- words ----------------------------------------------------------------------------------- */

/* How many of `count` numbers from 0 are this shard's: those that are shard-1 modulo shards. */
static uint64_t share(const struct targets *targets, uint64_t count)
{
	uint64_t shard = targets->setup.shard - 1, shards = targets->setup.shards;

	return count > shard ? (count - shard - 1) / shards + 1 : 0;
}

static const struct entry *entry_at(const struct targets *targets, uint64_t index)
{
	size_t low = 0, high = targets->setup.word_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (targets->entries[middle].before <= index)
			low = middle;
		else
			high = middle;
	}
	return &targets->entries[low];
}

static bool next_of_words(struct targets *targets, struct target *target)
{
	while (targets->place < targets->order.count && targets->patience-- > 0) {
		uint64_t place = targets->place++;
		uint64_t index = targets->setup.shuffle ? shuffle_at(&targets->order, place) : place;

		const struct entry *entry;

		index = targets->setup.shard - 1 + index * targets->setup.shards;
		entry = entry_at(targets, index);
		entry_target(entry, index - entry->before, target);
		if (admit(targets, target))
			return true;
	}
	return false;
}

static bool read_words(struct targets *targets, char *error, size_t size)
{
	targets->entries = calloc(targets->setup.word_count + 1, sizeof *targets->entries);
	if (!targets->entries)
		return false;
	for (size_t i = 0; i < targets->setup.word_count; i++) {
		struct entry *entry = &targets->entries[i];

		if (!entry_parse(entry, targets->setup.words[i], targets->setup.family, error, size))
			return false;
		entry->before = targets->total;
		if (targets->total > UINT64_MAX - entry_count(entry)) {
			snprintf(error, size, "more targets than can be counted");
			return false;
		}
		targets->total += entry_count(entry);
	}
	shuffle_init(&targets->order, share(targets, targets->total), targets->setup.seed);
	return true;
}

/* --- files ----------------------------------------------------------------------------------- */

static void flaw(struct targets *targets, size_t number, const char *why)
{
	char text[2 * ERROR_TEXT];

	targets->flawed = true;
	snprintf(text, sizeof text, "%s:%zu: %s", lines_path(targets->files[targets->file]), number, why);
	targets->setup.complain(text);
}

/* The next target of the range, or host, that the current word stands for; this shard's only. */
static bool next_of_entry(struct targets *targets, struct target *target)
{
	uint64_t count = targets->entry_order.count;

	while (targets->entry_place < count && targets->patience-- > 0) {
		uint64_t place = targets->entry_place++;
		uint64_t index = targets->setup.shuffle ? shuffle_at(&targets->entry_order, place) : place;

		if ((targets->file_index + index) % targets->setup.shards != targets->setup.shard - 1)
			continue;
		entry_target(&targets->entry, index, target);
		if (admit(targets, target))
			return true;
	}
	return false;
}

static void begin_entry(struct targets *targets, const char *word, size_t number)
{
	char why[ERROR_TEXT];

	targets->file_index += targets->entry_order.count;
	targets->entry_place = 0;
	targets->entry_order.count = 0;
	if (entry_parse(&targets->entry, word, targets->setup.family, why, sizeof why))
		shuffle_init(&targets->entry_order, entry_count(&targets->entry), targets->setup.seed);
	else
		flaw(targets, number, why);
}

/* Read on until there is a word. */
static enum targets_step next_word(struct targets *targets)
{
	char            text[LINES_LENGTH];
	const char     *fault, *word;
	size_t          number;
	enum lines_step step;

	for (;;) {
		word = target_line_word(&targets->line);
		if (word) {
			begin_entry(targets, word, targets->line.number);
			return TARGETS_ONE;
		}
		if (targets->file == targets->setup.file_count)
			return TARGETS_END;
		step = lines_next(targets->files[targets->file], text, &number, &fault);
		if (step == LINES_LATER)
			return TARGETS_LATER;
		if (step == LINES_END) {
			targets->file++;
			target_line_read(&targets->line, "", 0);
		} else if (fault) {
			flaw(targets, number, fault);
		} else {
			target_line_read(&targets->line, text, number);
		}
	}
}

static bool open_files(struct targets *targets, char *error, size_t size)
{
	targets->files = calloc(targets->setup.file_count + 1, sizeof(struct lines *));
	if (!targets->files)
		return false;
	for (size_t i = 0; i < targets->setup.file_count; i++) {
		targets->files[i] = lines_open(targets->setup.files[i]);
		if (!targets->files[i]) {
			snprintf(error, size, "%s: %s", targets->setup.files[i], strerror(errno));
			return false;
		}
	}
	return true;
}

/* --- the sequence ---------------------------------------------------------------------------- */

struct targets *targets_new(const struct targets_setup *setup, char *error, size_t size)
{
	struct targets *targets = calloc(1, sizeof *targets);

	snprintf(error, size, "not enough memory");
	if (!targets)
		return NULL;
	targets->setup = *setup;
	if (read_words(targets, error, size) && open_files(targets, error, size))
		return targets;
	targets_free(targets);
	return NULL;
}

void targets_free(struct targets *targets)
{
	if (!targets)
		return;
	for (size_t i = 0; targets->files && i < targets->setup.file_count && targets->files[i]; i++)
		lines_close(targets->files[i]);
	free(targets->files);
	free(targets->entries);
	free(targets);
}

enum targets_step targets_next(struct targets *targets, struct target *target)
{
	enum targets_step step;

	targets->patience = PATIENCE;
	if (next_of_words(targets, target))
		return TARGETS_ONE;
	if (targets->place < targets->order.count)
		return TARGETS_AGAIN;
	for (;;) {
		if (next_of_entry(targets, target))
			return TARGETS_ONE;
		if (targets->entry_place < targets->entry_order.count)
			return TARGETS_AGAIN;
		step = next_word(targets);
		if (step != TARGETS_ONE)
			return step;
	}
}

void targets_listen(struct targets *targets, void (*nudge)(void *owner), void *owner)
{
	for (size_t i = 0; i < targets->setup.file_count; i++)
		lines_listen(targets->files[i], nudge, owner);
}

uint64_t targets_total(const struct targets *targets)
{
	return targets->setup.file_count == 0 ? targets->order.count : 0;
}

bool targets_ports(const struct targets *targets)
{
	for (size_t i = 0; i < targets->setup.word_count; i++)
		if (targets->entries[i].is_range || targets->entries[i].target.port == 0)
			return true;
	return targets->setup.file_count > 0;
}

bool targets_flawed(const struct targets *targets)
{
	return targets->flawed;
}

const char *targets_missing(const struct targets *targets)
{
	if (targets->given > 0)
		return NULL;
	if (targets->excluded > 0)
		return "all were excluded";
	if (targets->setup.shards > 1)
		return "this shard has no target";
	return targets->setup.file_count > 1 ? "the lists hold no target" : "the list holds no target";
}
