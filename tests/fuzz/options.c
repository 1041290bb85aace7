/* Fuzzing of the command line: the words of the input are divided by NUL or by LF. */
#include "options.h"
#include "fuzz.h"

#include "base/nearest.h"

enum { WORDS = 64 };

/* One word more than `words` is named by the message of an unknown one: the nearest must be among the known. */
static void check_nearest(char *const *words, size_t count)
{
	const char *nearest = count > 1 ? nearest_name(words[0], (const char *const *)words + 1, count - 1)
	                                : NULL;
	bool        known = nearest == NULL;

	for (size_t i = 1; i < count; i++)
		known = known || words[i] == nearest;
	demand(known, "the nearest name is one of the names");
}

static void check_scan(const struct options *options)
{
	demand(options->targets.count + options->files.count > 0, "a scan has targets");
	demand(options->connect_timeout > 0 && options->reply_timeout > 0 && options->deadline > 0,
	       "times are positive");
	demand(options->parallel > 0 && options->per_host > 0, "something may be in flight");
	demand(options->rate >= 0, "a rate is no less than nothing");
	demand(options->shard >= 1 && options->shard <= options->shards, "there is such a shard");
}

static void check_words(const struct words *words, char *const *argv, size_t count)
{
	for (size_t i = 0; i < words->count; i++) {
		bool known = false;

		for (size_t j = 1; j < count; j++)
			known = known ||
			        (words->word[i] >= argv[j] && words->word[i] <= argv[j] + strlen(argv[j]));
		demand(known, "words are those of the command line");
	}
}

static void check(char **argv, size_t count)
{
	struct options options;
	char           error[OPTIONS_ERROR_TEXT] = "";

	if (options_parse(&options, (int)count, argv, error)) {
		if (options.action == ACTION_SCAN)
			check_scan(&options);
		check_words(&options.targets, argv, count);
		check_words(&options.scripts, argv, count);
		check_words(&options.arguments, argv, count);
	} else {
		demand_message(error, sizeof error);
		demand_safe(error, strlen(error), false);
	}
	options_free(&options);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = input_of(bytes, size);
	char        *argv[WORDS + 2] = { "scan" };
	size_t       count = 1;
	bool         lines = size > 0 && memchr(bytes, '\n', size) && !memchr(bytes, '\0', size);

	while (input.left > 0 && count <= WORDS)
		argv[count++] = text_of(take_until(&input, lines ? '\n' : '\0'));
	check(argv, count);
	check_nearest(argv, count);
	for (size_t i = 1; i < count; i++)
		free(argv[i]);
	return 0;
}
