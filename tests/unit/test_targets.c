/* scan/targets: words and files as one sequence; shards and order. */
#include "scan/targets.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/scan-targets-XXXXXX";
static char paths[2][64];
static char error[1000], complaints[4000];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	for (int i = 0; i < 2; i++)
		snprintf(paths[i], sizeof paths[i], "%s/%d", folder, i);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		unlink(paths[i]);
	return rmdir(folder);
}

static const char *write_file(int number, const char *text)
{
	FILE *file = fopen(paths[number], "we");

	fputs(text, file);
	fclose(file);
	return paths[number];
}

static void keep_complaint(const char *text)
{
	strcat(complaints, text);
	strcat(complaints, "\n");
}

/* --- walking --------------------------------------------------------------------------------- */

/* Words and files as on a command line: "-f" stands before a file. */
static struct targets *open_targets(struct targets_setup setup, const char *const *words)
{
	static const char *plain[20], *files[20]; /* must last as long as the targets */

	setup.words = plain;
	setup.files = files;
	setup.complain = keep_complaint;
	if (setup.shards == 0)
		setup.shard = setup.shards = 1;
	complaints[0] = '\0';
	for (; *words; words++) {
		if (strcmp(*words, "-f") == 0)
			files[setup.file_count++] = *++words;
		else
			plain[setup.word_count++] = *words;
	}
	return targets_new(&setup, error, sizeof error);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void show_target(const struct target *target, char *text, size_t size)
{
	char address[ADDRESS_TEXT] = "";

	if (target->literal) {
		address_format(&target->address, address);
		assert_string_equal(target->name, address);
	}
	if (target->port != 0)
		snprintf(text, size, "%s:%u ", target->name, target->port);
	else
		snprintf(text, size, "%s ", target->name);
}

/* The next one; a file that is read by another thread may need a moment. */
static bool next(struct targets *targets, struct target *target)
{
	for (int i = 0; i < 5000; i++) {
		switch (targets_next(targets, target)) {
		case TARGETS_ONE:
			return true;
		case TARGETS_END:
			return false;
		case TARGETS_AGAIN:
			break;
		case TARGETS_LATER:
			usleep(1000);
		}
	}
	fail_msg("the list does not go on");
	return false;
}

static const char *walk(struct targets *targets)
{
	static char   text[100000];
	struct target target;
	size_t        length = 0;

	text[0] = '\0';
	while (next(targets, &target)) {
		show_target(&target, text + length, sizeof text - length);
		length += strlen(text + length);
	}
	assert_false(next(targets, &target)); /* and so it stays */
	return text;
}

static const char *list(struct targets_setup setup, const char *const *words)
{
	struct targets *targets = open_targets(setup, words);
	const char     *text;

	if (!targets)
		fail_msg("%s", error);
	text = walk(targets);
	targets_free(targets);
	return text;
}

static const struct targets_setup as_usual;

/* --- the sequence ---------------------------------------------------------------------------- */

static void words_then_files_each_in_order(void **state)
{
	const char *one = write_file(0, "# one\n192.0.2.1\n\n192.0.2.2-3\n"),
		   *two = write_file(1, "mail.example:25");

	(void)state;
	assert_string_equal(list(as_usual, WORDS("mx.example", "192.0.2.8/31", "[::1]:25")),
	                    "mx.example 192.0.2.8 192.0.2.9 ::1:25 ");
	assert_string_equal(list(as_usual, WORDS("-f", one)), "192.0.2.1 192.0.2.2 192.0.2.3 ");
	assert_string_equal(list(as_usual, WORDS("-f", two, "::1", "-f", one, "-f", two)),
	                    "::1 mail.example:25 192.0.2.1 192.0.2.2 192.0.2.3 mail.example:25 ");
	assert_string_equal(list(as_usual, WORDS("-f", write_file(0, ""))), "");
}

static void a_wrong_word_is_refused_a_wrong_line_is_told(void **state)
{
	struct targets *targets;
	char            wanted[100];

	(void)state;
	assert_null(open_targets(as_usual, WORDS("192.0.2.1", "a..b")));
	assert_non_null(strstr(error, "a..b"));
	assert_null(open_targets(as_usual, WORDS("192.0.2.0/40")));
	assert_non_null(strstr(error, "192.0.2.0/40"));
	assert_null(open_targets(as_usual, WORDS("-f", "/proc/nonexistent/list")));
	assert_non_null(strstr(error, "/proc/nonexistent/list"));

	targets = open_targets(as_usual, WORDS("-f", write_file(0, "192.0.2.1\na..b\n192.0.2.2\n")));
	assert_false(targets_flawed(targets));
	assert_string_equal(walk(targets), "192.0.2.1 192.0.2.2 ");
	assert_true(targets_flawed(targets));
	snprintf(wanted, sizeof wanted, "%s:2: ", paths[0]);
	assert_memory_equal(complaints, wanted, strlen(wanted));
	targets_free(targets);
}

static void the_family_goes_for_ranges_too(void **state)
{
	struct targets_setup four = { .family = AF_INET }, six = { .family = AF_INET6 };

	(void)state;
	assert_string_equal(list(four, WORDS("192.0.2.8/31", "mx.example")),
	                    "192.0.2.8 192.0.2.9 mx.example ");
	assert_null(open_targets(six, WORDS("192.0.2.8/31")));
	assert_null(open_targets(four, WORDS("2001:db8::/127")));
	assert_string_equal(list(six, WORDS("-f", write_file(0, "192.0.2.1\n::1\n"))), "::1 ");
	assert_non_null(strstr(complaints, "192.0.2.1"));
}

static void totals_are_known_of_words_only(void **state)
{
	static const struct {
		const char *word;
		uint64_t    shard, shards, total;
	} cases[] = {
		{ "192.0.2.0/24", 1, 1, 256 },
		{ "mail.example", 1, 1, 1 },
		{ "192.0.2.0/24", 1, 3, 86 },
		{ "192.0.2.0/24", 2, 3, 85 },
		{ "192.0.2.0/24", 3, 3, 85 },
		{ "mail.example", 2, 2, 0 },
		{ "0.0.0.0/0", 1, 1, (uint64_t)1 << 32 },
		{ "2001:db8::/65", 5, 8, (uint64_t)1 << 60 },
	};

	struct targets *targets;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct targets_setup setup = { .shard = cases[i].shard, .shards = cases[i].shards };

		targets = open_targets(setup, WORDS(cases[i].word));

		assert_true(targets_total(targets) == cases[i].total);
		targets_free(targets);
	}
	targets = open_targets(as_usual, WORDS("192.0.2.0/24", "-f", write_file(0, "")));
	assert_true(targets_total(targets) == 0);
	targets_free(targets);
	assert_null(open_targets(as_usual, WORDS("2001:db8::/65", "2001:db8::/65")));
	assert_non_null(strstr(error, "count"));
}

static void knows_whether_services_need_ports(void **state)
{
	const struct {
		const char *const *words;
		bool               wanted;
	} cases[] = {
		{ WORDS("mail.example"), true },
		{ WORDS("mail.example:25"), false },
		{ WORDS("mail.example:25", "192.0.2.0/30"), true },
		{ WORDS("-f", paths[0]), true },
	};

	(void)state;
	write_file(0, "");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct targets *targets = open_targets(as_usual, cases[i].words);

		assert_int_equal(targets_ports(targets), cases[i].wanted);
		targets_free(targets);
	}
}

static void excluded_ones_are_left_out(void **state)
{
	struct exclude      *exclude = exclude_new();
	struct targets_setup setup = { .exclude = exclude };

	(void)state;
	assert_true(exclude_add(exclude, "192.0.2.2,mail.example.,2001:db8::/64", error, sizeof error));
	assert_string_equal(list(setup, WORDS("192.0.2.1-3", "MAIL.example:25", "2001:db8::9", "mx.example",
	                                      "-f", write_file(0, "192.0.2.0/30\nmail.example"))),
	                    "192.0.2.1 192.0.2.3 mx.example 192.0.2.0 192.0.2.1 192.0.2.3 ");
	exclude_free(exclude);
}

/* --- shards and order ------------------------------------------------------------------------ */

static int by_text(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

/* The targets of a list in the order of the alphabet, so that lists compare whatever their order. */
static const char *sorted(const char *text)
{
	static char result[100000];
	static char copy[100000];
	char       *words[3000], *place;
	size_t      count = 0;

	strcpy(copy, text);
	for (char *word = strtok_r(copy, " ", &place); word; word = strtok_r(NULL, " ", &place))
		words[count++] = word;
	qsort(words, count, sizeof *words, by_text);
	result[0] = '\0';
	for (size_t i = 0; i < count; i++)
		strcat(strcat(result, words[i]), " ");
	return result;
}

static const char *const *many(void)
{
	static const char *const words[] = { "192.0.2.0/28", "mx.example", "192.0.2.200-207",
		                             "[::1]:25",     "-f",         paths[0],
		                             "-f",           paths[1],     NULL };

	write_file(0, "192.0.3.0/27\nwrong..line\nhost:99\n192.0.4.1-5\n\nlast.example\n");
	write_file(1, "2001:db8::/124\n");
	return words;
}

static void shards_have_each_target_once(void **state)
{
	static char whole[20000];

	(void)state;
	strcpy(whole, sorted(list(as_usual, many())));
	for (uint64_t shards = 1; shards <= 12; shards++) {
		for (int shuffle = 0; shuffle < 2; shuffle++) {
			static char together[20000];

			together[0] = '\0';
			for (uint64_t shard = 1; shard <= shards; shard++) {
				struct targets_setup setup = {
					.shard = shard, .shards = shards, .shuffle = shuffle, .seed = 7
				};

				strcat(together, list(setup, many()));
			}
			assert_string_equal(sorted(together), whole);
		}
	}
}

static void check_shuffle(const char *const *words)
{
	struct targets_setup one = { .shuffle = true, .seed = 1 }, two = { .shuffle = true, .seed = 2 };
	static char          plain[20000], first[20000];

	strcpy(plain, list(as_usual, words));
	strcpy(first, list(one, words));
	assert_string_not_equal(first, plain);
	assert_string_equal(list(one, words), first);
	assert_string_not_equal(list(two, words), first);
	strcpy(plain, sorted(plain));
	assert_string_equal(sorted(first), plain);
}

static void a_shuffle_has_each_target_once_in_the_seeds_order(void **state)
{
	(void)state;
	check_shuffle(many());
	check_shuffle(WORDS("192.0.2.0/28"));
	check_shuffle(WORDS("a.example", "b.example", "c.example", "d.example", "e.example", "f.example"));
	check_shuffle(WORDS("-f", write_file(0, "192.0.2.0/28\n")));
}

static void more_shards_than_targets_leave_some_empty(void **state)
{
	struct targets_setup setup = { .shard = 4, .shards = 5, .shuffle = true };

	(void)state;
	assert_string_equal(list(setup, WORDS("192.0.2.1-3")), "");
	setup.shards = UINT64_MAX;
	assert_string_equal(list(setup, WORDS("192.0.2.1-3", "-f", write_file(0, "192.0.2.1\n"))), "");
}

/* --- pipes ----------------------------------------------------------------------------------- */

static atomic_int nudges;

static void nudge(void *owner)
{
	assert_ptr_equal(owner, &nudges);
	atomic_fetch_add(&nudges, 1);
}

static void expect_later(struct targets *targets)
{
	struct target target;

	assert_int_equal(targets_next(targets, &target), TARGETS_LATER);
}

static void expect_after_nudge(struct targets *targets, enum targets_step step, const char *text)
{
	struct target target;
	char          shown[300];

	for (int i = 0; i < 5000 && atomic_load(&nudges) == 0; i++)
		usleep(1000);
	assert_true(atomic_exchange(&nudges, 0) > 0);
	assert_int_equal(targets_next(targets, &target), step);
	if (step != TARGETS_ONE)
		return;
	show_target(&target, shown, sizeof shown);
	assert_string_equal(shown, text);
}

static void a_pipe_that_says_nothing_yet_is_for_later(void **state)
{
	struct targets *targets;
	FILE           *pipe;

	(void)state;
	unlink(paths[0]);
	assert_int_equal(mkfifo(paths[0], 0600), 0);
	pipe = fopen(paths[0], "r+e"); /* so that opening it waits for nobody */
	targets = open_targets(as_usual, WORDS("-f", paths[0]));
	atomic_store(&nudges, 0);
	targets_listen(targets, nudge, &nudges);
	expect_later(targets);
	fputs("192.0.2.1\n", pipe);
	fflush(pipe);
	expect_after_nudge(targets, TARGETS_ONE, "192.0.2.1 ");
	expect_later(targets);
	fputs("192.0.2.2", pipe);
	fflush(pipe);
	expect_later(targets); /* half a line is none, and no reason for a nudge */
	assert_int_equal(atomic_load(&nudges), 0);
	fputs("2\n", pipe);
	fflush(pipe);
	expect_after_nudge(targets, TARGETS_ONE, "192.0.2.22 ");
	expect_later(targets);
	fclose(pipe);
	expect_after_nudge(targets, TARGETS_END, NULL);
	targets_free(targets);
	unlink(paths[0]);
}

static void a_long_file_does_not_wait_for_its_reader(void **state)
{
	struct targets *targets;
	struct target   target;
	FILE           *file = fopen(paths[0], "we");
	char            wanted[40];

	(void)state;
	for (int i = 0; i < 20000; i++)
		fprintf(file, "192.0.%d.%d\n", i / 256, i % 256);
	fclose(file);
	targets = open_targets(as_usual, WORDS("-f", paths[0]));
	for (int i = 0; i < 20000; i++) {
		assert_true(next(targets, &target));
		snprintf(wanted, sizeof wanted, "192.0.%d.%d", i / 256, i % 256);
		assert_string_equal(target.name, wanted);
	}
	assert_false(next(targets, &target));
	targets_free(targets);
	targets = open_targets(as_usual, WORDS("-f", paths[0])); /* given up half way */
	assert_true(next(targets, &target));
	targets_free(targets);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_then_files_each_in_order),
		cmocka_unit_test(a_wrong_word_is_refused_a_wrong_line_is_told),
		cmocka_unit_test(the_family_goes_for_ranges_too),
		cmocka_unit_test(totals_are_known_of_words_only),
		cmocka_unit_test(knows_whether_services_need_ports),
		cmocka_unit_test(excluded_ones_are_left_out),
		cmocka_unit_test(shards_have_each_target_once),
		cmocka_unit_test(a_shuffle_has_each_target_once_in_the_seeds_order),
		cmocka_unit_test(more_shards_than_targets_leave_some_empty),
		cmocka_unit_test(a_pipe_that_says_nothing_yet_is_for_later),
		cmocka_unit_test(a_long_file_does_not_wait_for_its_reader),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
