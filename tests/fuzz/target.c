/* Fuzzing of what names the targets of a scan: words, ranges, lists of other scanners, what is excluded.
 *
 * The input: a byte of choices, and lines. Each line is a line of a list; its words are targets; all of it is a
 * list of what to exclude.
 */
#include "scan/target.h"
#include "fuzz.h"

#include "scan/exclude.h"
#include "scan/range.h"
#include "scan/shuffle.h"
#include "scan/target_line.h"
#include "scan/targets.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ERROR = 1024, WALKED = 600, PASSED = 70000 };

static void check_address(const struct address *address)
{
	struct address again;
	char           text[ADDRESS_TEXT];

	address_format(address, text);
	demand(address_parse(&again, text), "an address that is printed can be read");
	demand_of(address_same(address, &again), "and is the same then", text, strlen(text));
}

static void check_target(const char *word, int family)
{
	struct target target;
	char          error[ERROR] = "";

	if (!target_parse(&target, word, family, error, sizeof error)) {
		demand_message(error, sizeof error);
		demand_safe(error, strlen(error), false);
		return;
	}
	demand(target.name[0] != '\0' && memchr(target.name, '\0', sizeof target.name),
	       "a target has a name");
	if (target.literal)
		check_address(&target.address);
}

static void check_range(const char *word)
{
	struct range   range;
	struct address first, last;
	const char    *fault = NULL;

	switch (range_parse(&range, word, &fault)) {
	case RANGE_NONE:
		return;
	case RANGE_BAD:
		demand(fault && *fault, "an error is explained");
		return;
	case RANGE_GOOD:
		break;
	}
	demand(range.count > 0, "a range is not empty");
	first = range_address(&range, 0);
	last = range_address(&range, range.count - 1);
	check_address(&first);
	check_address(&last);
	demand(range_contains(&range, &first) && range_contains(&range, &last), "a range contains its ends");
}

/* Each word of a line is read as the scan would. */
static void check_line(const char *text, int family)
{
	struct target_line line = { 0 };
	const char        *word;
	size_t             count = 0;

	target_line_read(&line, text, 1);
	while ((word = target_line_word(&line)) != NULL) {
		demand(*word != '\0', "a word is not empty");
		demand(++count <= strlen(text) + 2, "words come to an end");
		check_target(word, family);
		check_range(word);
	}
	target_line_read(&line, "", 0);
	while ((word = target_line_word(&line)) != NULL)
		check_target(word, family);
}

/* --- what is excluded ------------------------------------------------------------------------ */

static bool is_excluded(const struct exclude *exclude, const struct target *target)
{
	return target->literal ? exclude_address(exclude, &target->address)
	                       : exclude_name(exclude, target->name);
}

static struct exclude *read_exclude(const char *path)
{
	struct exclude *exclude = exclude_new();
	char            error[ERROR] = "";

	if (exclude && exclude_add(exclude, path, error, sizeof error))
		return exclude;
	demand(error[0] != '\0', "an error is explained");
	exclude_free(exclude);
	return NULL;
}

/* --- all of it ------------------------------------------------------------------------------- */

static void ignore(const char *text)
{
	demand(text && *text, "a complaint says something");
}

/* Walk over the first targets of the words: none may be excluded, and in order or shuffled there are so many. What
 * is excluded is passed over one by one, for which a large range takes too long. */
static void check_sequence(const struct targets_setup *setup)
{
	struct targets *targets;
	struct target   target;
	char            error[ERROR] = "";
	uint64_t        total, count = 0;

	targets = targets_new(setup, error, sizeof error);
	if (!targets) {
		demand(error[0] != '\0', "an error is explained");
		return;
	}
	total = targets_total(targets);
	if (setup->exclude && total > PASSED) {
		targets_free(targets);
		return;
	}
	while (count < WALKED && targets_next(targets, &target) == TARGETS_ONE) {
		count++;
		if (target.literal)
			check_address(&target.address);
		demand(!setup->exclude || !is_excluded(setup->exclude, &target),
		       "what is excluded does not come");
	}
	demand(count <= total, "there are no more targets than was said");
	demand(setup->exclude || count == WALKED || count == total, "and no less");
	targets_free(targets);
}

static void check_words(char **words, size_t count, unsigned choices, const struct exclude *exclude)
{
	uint64_t shards = 1 + (choices >> 4 & 3);

	check_sequence(&(struct targets_setup){
	    .words = (const char *const *)words,
	    .word_count = count,
	    .family = AF_UNSPEC,
	    .exclude = exclude,
	    .shuffle = choices & 4,
	    .seed = choices,
	    .shard = 1 + choices % shards,
	    .shards = shards,
	    .complain = ignore,
	});
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6, AF_UNSPEC };
	struct input     input = input_of(bytes, size), whole;
	unsigned         choices = take_byte(&input);
	struct exclude  *exclude;
	char            *lines[16], path[40];
	size_t           count = 0;
	int              file = memfd_create("list", MFD_CLOEXEC);

	whole = input;
	if (file < 0 || (whole.left > 0 && write(file, whole.bytes, whole.left) < 0))
		exit(0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	exclude = read_exclude(path);
	while (input.left > 0 && count < sizeof lines / sizeof *lines)
		lines[count++] = text_of(take_until(&input, '\n'));
	for (size_t i = 0; i < count; i++)
		check_line(lines[i], families[choices & 3]);
	check_words(lines, count, choices, choices & 8 ? exclude : NULL);
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	exclude_free(exclude);
	close(file);
	return 0;
}
