/* scan/exclude: what must not be touched is not. */
#include "scan/exclude.h"

#include "scan/range.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct exclude *exclude;
static char            error[1000];

static int make(void **state)
{
	(void)state;
	exclude = exclude_new();
	return exclude ? 0 : -1;
}

static int unmake(void **state)
{
	(void)state;
	exclude_free(exclude);
	exclude_free(NULL);
	return 0;
}

static void add(const char *list)
{
	if (!exclude_add(exclude, list, error, sizeof error))
		fail_msg("%s is refused: %s", list, error);
}

static bool has(const char *text)
{
	struct address address;

	assert_true(address_parse(&address, text));
	address_set_port(&address, 80);
	return exclude_address(exclude, &address);
}

static void holds_nothing_at_first(void **state)
{
	(void)state;
	assert_false(has("192.0.2.7"));
	assert_false(has("::1"));
	assert_false(exclude_name(exclude, "mail.example"));
	add("");
	add(" , ,, # nothing");
	assert_false(has("192.0.2.7"));
}

static void holds_what_was_added(void **state)
{
	(void)state;
	add("192.0.2.7, 192.0.2.16/28\t198.51.100.10-20,2001:db8::/120,Mail.Example.");
	add("203.0.113.5");
	assert_true(has("192.0.2.7"));
	assert_false(has("192.0.2.8"));
	assert_false(has("192.0.2.15"));
	assert_true(has("192.0.2.16"));
	assert_true(has("192.0.2.31"));
	assert_false(has("192.0.2.32"));
	assert_false(has("198.51.100.9"));
	assert_true(has("198.51.100.10"));
	assert_true(has("198.51.100.20"));
	assert_false(has("198.51.100.21"));
	assert_true(has("2001:db8::ff"));
	assert_false(has("2001:db8::100"));
	assert_false(has("2001:db9::1"));
	assert_true(has("203.0.113.5"));
	assert_true(exclude_name(exclude, "mail.example"));
	assert_true(exclude_name(exclude, "MAIL.EXAMPLE"));
	assert_false(exclude_name(exclude, "mail.example.org"));
	assert_false(exclude_name(exclude, "mail"));
}

static void holds_large_networks(void **state)
{
	(void)state;
	add("2001:db8::/32,2001:dba::/33,fd00::/8,1:2:3:4::/64");
	assert_true(has("2001:db8::1"));
	assert_true(has("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
	assert_false(has("2001:db9::1"));
	assert_true(has("2001:dba:7fff::1"));
	assert_false(has("2001:dba:8000::1"));
	assert_true(has("fdff::1"));
	assert_false(has("fe00::1"));
	assert_true(has("1:2:3:4:5::6"));
	assert_false(has("1:2:3:5::6"));
	assert_false(has("192.0.2.1"));
	add("::/0");
	assert_true(has("fe00::1"));
	assert_false(has("192.0.2.1"));
	add("0.0.0.0/0");
	assert_true(has("192.0.2.1"));
}

static void sees_through_mapped_addresses(void **state)
{
	(void)state;
	add("192.0.2.7");
	assert_true(has("::ffff:192.0.2.7"));
	assert_false(has("::ffff:192.0.2.8"));
	add("::ffff:192.0.2.9");
	assert_true(has("192.0.2.9"));
}

static void says_which_word_is_wrong(void **state)
{
	static const char *const words[] = { "192.0.2.0/33", "192.0.2.9-3", "a..b", "::1::2",
		                             "2001:db8::/129" };
	char                     list[100];

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		snprintf(list, sizeof list, "192.0.2.1,%s,192.0.2.2", words[i]);
		assert_false(exclude_add(exclude, list, error, sizeof error));
		assert_non_null(strstr(error, words[i]));
	}
}

/* Whatever overlaps or lies within what: a search must find what a walk over all finds. */
static void finds_what_a_walk_would_find(void **state)
{
	unsigned seed = 5;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct range ranges[20];
		const char  *fault;

		exclude_free(exclude);
		exclude = exclude_new();
		for (int i = 0; i < 20; i++) {
			int first = rand_r(&seed) % 200, last = first + rand_r(&seed) % (i % 3 == 0 ? 56 : 8);
			char text[60];

			if (i % 5 == 0)
				snprintf(text, sizeof text, "10.0.0.%d/%d", first, 24 + rand_r(&seed) % 9);
			else
				snprintf(text, sizeof text, "10.0.0.%d-%d", first, last);
			assert_int_equal(range_parse(&ranges[i], text, &fault), RANGE_GOOD);
			add(text);
		}
		for (unsigned last = 0; last < 256; last++) {
			struct address address = { .socket.ipv4 = { .sin_family = AF_INET } };
			bool           wanted = false;

			address.socket.ipv4.sin_addr.s_addr = htonl(0x0a000000 | last);
			for (int i = 0; i < 20; i++)
				wanted = wanted || range_contains(&ranges[i], &address);
			assert_int_equal(exclude_address(exclude, &address), wanted);
		}
	}
}

/* --- files ----------------------------------------------------------------------------------- */

static char path[] = "/tmp/scan-exclude-XXXXXX";

static void write_file(const char *text)
{
	FILE *file = fopen(path, "we");

	fputs(text, file);
	fclose(file);
}

static void reads_files(void **state)
{
	(void)state;
	write_file("# ours\n192.0.2.1 # and why\r\n192.0.2.2,192.0.2.3 192.0.2.4\n\n\tmail.example");
	add(path);
	assert_true(has("192.0.2.1") && has("192.0.2.2") && has("192.0.2.3") && has("192.0.2.4"));
	assert_false(has("192.0.2.5"));
	assert_true(exclude_name(exclude, "mail.example"));
}

static void reads_lines_of_any_length(void **state)
{
	(void)state;
	for (int blanks = 4070; blanks < 4110; blanks++) {
		char text[5000];

		exclude_free(exclude);
		exclude = exclude_new();
		snprintf(text, sizeof text, "192.0.2.1,%*s192.0.2.199\n", blanks, "");
		write_file(text);
		add(path);
		assert_true(has("192.0.2.199"));
		assert_false(has("192.0.2.19"));
	}
}

static void says_which_line_is_wrong(void **state)
{
	char wanted[100];

	(void)state;
	write_file("192.0.2.1\n\n192.0.2.0/99\n");
	assert_false(exclude_add(exclude, path, error, sizeof error));
	snprintf(wanted, sizeof wanted, "%s:3: ", path);
	assert_memory_equal(error, wanted, strlen(wanted));
	assert_non_null(strstr(error, "192.0.2.0/99"));
}

static void a_folder_is_no_list(void **state)
{
	(void)state;
	assert_false(exclude_add(exclude, "/tmp", error, sizeof error));
	assert_non_null(strstr(error, "/tmp"));
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

#define with_exclude(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_exclude(holds_nothing_at_first),
		with_exclude(holds_what_was_added),
		with_exclude(holds_large_networks),
		with_exclude(sees_through_mapped_addresses),
		with_exclude(says_which_word_is_wrong),
		with_exclude(finds_what_a_walk_would_find),
		with_exclude(reads_files),
		with_exclude(reads_lines_of_any_length),
		with_exclude(says_which_line_is_wrong),
		with_exclude(a_folder_is_no_list),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
