/* scan/target_line: a line of a list, as people and other scanners write them. */
#include "scan/target_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The words of these lines, and of the end, each followed by a blank. */
static const char *words_of(const char *const *lines, size_t count)
{
	static char        words[TARGET_LINE_TEXT * 2];
	struct target_line line;
	size_t             length = 0;
	const char        *word;

	memset(&line, 0, sizeof line);
	words[0] = '\0';
	for (size_t i = 0; i <= count; i++) {
		target_line_read(&line, i < count ? lines[i] : "", i < count ? i + 1 : 0);
		while ((word = target_line_word(&line)) != NULL) {
			length += (size_t)snprintf(words + length, sizeof words - length, "%s ", word);
			assert_true(length < sizeof words);
		}
		assert_null(target_line_word(&line));
	}
	return words;
}

static const char *words_of_line(const char *line)
{
	return words_of(&line, 1);
}

static void plain_lists(void **state)
{
	(void)state;
	assert_string_equal(words_of_line("mail.example"), "mail.example ");
	assert_string_equal(words_of_line("  192.0.2.0/24\t "), "192.0.2.0/24 ");
	assert_string_equal(words_of_line("[::1]:25 # ours"), "[::1]:25 ");
	assert_string_equal(words_of_line("[::1]:25\t#ours"), "[::1]:25 ");
	assert_string_equal(words_of_line("# comment"), "");
	assert_string_equal(words_of_line("   # comment"), "");
	assert_string_equal(words_of_line(""), "");
	assert_string_equal(words_of_line(" \t "), "");
	assert_string_equal(words_of_line("a#b"),
	                    "a#b "); /* which is no comment, and no name: said by others */
	assert_string_equal(words_of_line("two words"), "two words ");
}

static void masscans_lists(void **state)
{
	(void)state;
	assert_string_equal(words_of_line("open tcp 80 192.0.2.7 1700000000"), "192.0.2.7:80 ");
	assert_string_equal(words_of_line("open tcp 443 2001:db8::7 1700000000"), "[2001:db8::7]:443 ");
	assert_string_equal(words_of_line("open udp 53 192.0.2.7 1700000000"), "");
	assert_string_equal(words_of_line("closed tcp 80 192.0.2.7 1700000000"), "");
	assert_string_equal(words_of_line("banner tcp 80 192.0.2.7 1700000000 http.server nginx"), "");
	assert_string_equal(words_of_line("opens tcp 80 192.0.2.7 1700000000"),
	                    "opens tcp 80 192.0.2.7 1700000000 ");
	assert_string_equal(words_of_line("open tcp 80 192.0.2.7"), "open tcp 80 192.0.2.7 ");
	assert_string_equal(words_of_line("#masscan"), "");
	assert_string_equal(words_of_line("# end"), "");
}

static void zmaps_lists(void **state)
{
	static const char *const records[] = {
		"ttl,saddr,sport", "64,192.0.2.7,22", "64,2001:db8::7,22", "64", ",,22",
		"64,192.0.2.8",    "64,192.0.2.9,",   "192.0.2.10"
	};
	static const char *const none[] = { "saddrs,xsaddr", "192.0.2.7,22" };

	(void)state;
	assert_string_equal(words_of_line("saddr"), "");
	assert_string_equal(words_of(records, 8),
	                    "192.0.2.7:22 [2001:db8::7]:22 64 ,,22 192.0.2.8 192.0.2.9 192.0.2.10 ");
	assert_string_equal(words_of(none, 2), "saddrs,xsaddr 192.0.2.7,22 ");
}

static void nmaps_lists(void **state)
{
	(void)state;
	assert_string_equal(
	    words_of_line("Host: 192.0.2.7 (a.example)\tPorts: 22/open/tcp//ssh///, 25/closed/tcp//smtp///, "
	                  "53/open/udp//domain///, 80/filtered/tcp//http///, 443/open/tcp//https///\t"
	                  "Ignored State: filtered (995)"),
	    "192.0.2.7:22 192.0.2.7:443 ");
	assert_string_equal(words_of_line("Host: 2001:db8::7 ()\tPorts: 22/open/tcp//ssh///"),
	                    "[2001:db8::7]:22 ");
	assert_string_equal(words_of_line("Host: 192.0.2.7 ()\tPorts: 22/closed/tcp//ssh///"), "");
	assert_string_equal(words_of_line("Host: 192.0.2.7 ()\tPorts: "), "");
	assert_string_equal(words_of_line("Host: 192.0.2.7 ()\tStatus: Up"), "192.0.2.7 ");
	assert_string_equal(words_of_line("Host: 192.0.2.7 ()\tStatus: Down"), "");
	assert_string_equal(words_of_line("# Nmap 7.93 scan initiated"), "");
}

static void nmaps_versions_may_hold_anything(void **state)
{
	(void)state;
	assert_string_equal(
	    words_of_line("Host: 192.0.2.7 ()\tPorts: 22/open/tcp//ssh//OpenSSH 9.2, protocol 2.0/, "
	                  "80/open/tcp//http//a|b, c/"),
	    "192.0.2.7:22 192.0.2.7:80 ");
}

/* That a host is up is of use only where nothing more is said of it. */
static void a_host_that_is_up_is_one_target_unless_its_ports_are_known(void **state)
{
	static const char *const known[] = { "Host: 192.0.2.7 ()\tStatus: Up",
		                             "Host: 192.0.2.7 ()\tPorts: 22/open/tcp/////" };
	static const char *const closed[] = { "Host: 192.0.2.7 ()\tStatus: Up",
		                              "Host: 192.0.2.7 ()\tPorts: 22/closed/tcp/////" };
	static const char *const several[] = { "Host: 192.0.2.7 ()\tStatus: Up",
		                               "Host: 192.0.2.8 ()\tStatus: Up", "# done" };
	static const char *const mixed[] = { "Host: 192.0.2.7 ()\tStatus: Up",
		                             "Host: 192.0.2.8 ()\tPorts: 22/open/tcp/////" };

	(void)state;
	assert_string_equal(words_of(known, 2), "192.0.2.7:22 ");
	assert_string_equal(words_of(closed, 2), "");
	assert_string_equal(words_of(several, 3), "192.0.2.7 192.0.2.8 ");
	assert_string_equal(words_of(mixed, 2), "192.0.2.7 192.0.2.8:22 ");
}

static void the_longest_lines_are_whole(void **state)
{
	char line[TARGET_LINE_TEXT], wanted[TARGET_LINE_TEXT + 1];

	(void)state;
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	snprintf(wanted, sizeof wanted, "%s ", line);
	assert_string_equal(words_of_line(line), wanted);
	memcpy(line, "Host: ", 6); /* a host too long to be one */
	assert_string_equal(words_of_line(line), "");
	strcpy(line + 100, " ()\tPorts: 22/open/tcp//ssh///");
	assert_string_equal(words_of_line(line), "");
}

static void keeps_the_number(void **state)
{
	struct target_line line;

	(void)state;
	memset(&line, 0, sizeof line);
	target_line_read(&line, "mail.example", 77);
	assert_non_null(target_line_word(&line));
	assert_int_equal(line.number, 77);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lists),
		cmocka_unit_test(masscans_lists),
		cmocka_unit_test(zmaps_lists),
		cmocka_unit_test(nmaps_lists),
		cmocka_unit_test(nmaps_versions_may_hold_anything),
		cmocka_unit_test(a_host_that_is_up_is_one_target_unless_its_ports_are_known),
		cmocka_unit_test(the_longest_lines_are_whole),
		cmocka_unit_test(keeps_the_number),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
