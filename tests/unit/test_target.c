/* scan/target: one word for one host. */
#include "scan/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct target target;
static char          error[1000];

static void reads_names_addresses_and_ports(void **state)
{
	static const struct {
		const char *word, *name, *address; /* NULL: a name */
		uint16_t    port;
	} cases[] = {
		{ "mail.example", "mail.example", NULL, 0 },
		{ "mail.example:25", "mail.example", NULL, 25 },
		{ "mail.example.", "mail.example.", NULL, 0 },
		{ "a", "a", NULL, 0 },
		{ "MiXed-1_x.example", "MiXed-1_x.example", NULL, 0 },
		{ "b\u00fccher.example", "b\u00fccher.example", NULL, 0 },
		{ "1und1.example", "1und1.example", NULL, 0 },
		{ "face", "face", NULL, 0 },
		{ "192.0.2.7", "192.0.2.7", "192.0.2.7", 0 },
		{ "192.0.2.7:1", "192.0.2.7", "192.0.2.7", 1 },
		{ "192.0.2.7:65535", "192.0.2.7", "192.0.2.7", 65535 },
		{ "[192.0.2.7]:25", "192.0.2.7", "192.0.2.7", 25 },
		{ "2001:db8::1", "2001:db8::1", "2001:db8::1", 0 },
		{ "[2001:db8::1]", "2001:db8::1", "2001:db8::1", 0 },
		{ "[2001:DB8::1]:25", "2001:DB8::1", "2001:db8::1", 25 },
		{ "2001:db8::1:25", "2001:db8::1:25", "2001:db8::1:25", 0 },
		{ "fe80::1%lo", "fe80::1%lo", "fe80::1%lo", 0 },
		{ "[fe80::1%lo]:25", "fe80::1%lo", "fe80::1%lo", 25 },
		{ "127.1", "127.0.0.1", "127.0.0.1", 0 },
		{ "2130706433:80", "127.0.0.1", "127.0.0.1", 80 },
		{ "0x7f.0.0.1", "127.0.0.1", "127.0.0.1", 0 },
		{ "0177.0.0.1", "127.0.0.1", "127.0.0.1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[ADDRESS_TEXT];

		memset(&target, 0xaa, sizeof target);
		if (!target_parse(&target, cases[i].word, AF_UNSPEC, error, sizeof error))
			fail_msg("%s is refused: %s", cases[i].word, error);
		assert_string_equal(target.name, cases[i].name);
		assert_int_equal(target.literal, cases[i].address != NULL);
		assert_int_equal(target.port, cases[i].port);
		if (!target.literal)
			continue;
		address_format(&target.address, text);
		assert_string_equal(text, cases[i].address);
		assert_int_equal(address_port(&target.address), 0);
	}
}

/* The error names the word, and in these parts the way out. */
static void says_what_is_wrong(void **state)
{
	static const struct {
		const char *word, *part;
	} cases[] = {
		{ "", "missing" },
		{ ":25", "missing" },
		{ "[]:25", "missing" },
		{ "host:", "1 to 65535" },
		{ "host:0", "1 to 65535" },
		{ "host:65536", "1 to 65535" },
		{ "host:-1", "1 to 65535" },
		{ "host:25x", "1 to 65535" },
		{ "host:99999999999999999999", "1 to 65535" },
		{ "[::1", "]" },
		{ "[::1]25", ":port" },
		{ "[::1]:", "1 to 65535" },
		{ "1:2:3", "[address]:port" },
		{ "2001:db8::g", "[address]:port" },
		{ "fe80::1", "fe80::1%" },
		{ "[fe80::1]:25", "fe80::1%" },
		{ "fe80::1%nosuch0", "interface" },
		{ "a..b", "empty" },
		{ ".a", "empty" },
		{ "-a", "begin" },
		{ "a b", "letters" },
		{ "a/b", "neither" },
		{ "a,b", "neither" },
		{ "http://mail.example", "" },
		{ "user@mail.example", "letters" },
		{ "a\tb", "letters" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (target_parse(&target, cases[i].word, AF_UNSPEC, error, sizeof error))
			fail_msg("%s is accepted", cases[i].word);
		if (!strstr(error, cases[i].part) ||
		    (!strchr(cases[i].word, '\t') && !strstr(error, cases[i].word)))
			fail_msg("%s: %s", cases[i].word, error);
	}
}

static void bounds_names_and_their_parts(void **state)
{
	char word[400];

	(void)state;
	for (size_t length = 60; length <= 66; length++) {
		memset(word, 'x', length);
		strcpy(word + length, ".example");
		assert_int_equal(target_parse(&target, word, AF_UNSPEC, error, sizeof error), length <= 63);
	}
	for (size_t length = 250; length <= 300; length++) {
		for (size_t i = 0; i < length; i++)
			word[i] = i % 50 == 49 ? '.' : 'x';
		word[length - 1] = 'y';
		word[length] = '\0';
		assert_int_equal(target_parse(&target, word, AF_UNSPEC, error, sizeof error), length <= 253);
		strcpy(word + length, ":25");
		assert_int_equal(target_parse(&target, word, AF_UNSPEC, error, sizeof error), length <= 253);
	}
}

static void heeds_the_family(void **state)
{
	static const struct {
		const char *word;
		bool        four, six;
	} cases[] = {
		{ "192.0.2.7", true, false },
		{ "2001:db8::1", false, true },
		{ "127.1", true, false },
		{ "mail.example", true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(target_parse(&target, cases[i].word, AF_INET, error, sizeof error),
		                 cases[i].four);
		if (!cases[i].four)
			assert_non_null(strstr(error, "-4"));
		assert_int_equal(target_parse(&target, cases[i].word, AF_INET6, error, sizeof error),
		                 cases[i].six);
		if (!cases[i].six)
			assert_non_null(strstr(error, "-6"));
	}
}

static void errors_are_safe_to_show(void **state)
{
	static const char *const words[] = { "\033[2J", "a\nb", "\u202e", "\xff:99999", "[\033" };
	char                     small[20];

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (target_parse(&target, words[i], AF_UNSPEC, error, sizeof error))
			continue;
		for (const char *at = error; *at; at++)
			assert_true((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
	}
	assert_false(target_parse(&target, "a..b", AF_UNSPEC, small, sizeof small));
	assert_true(strlen(small) < sizeof small);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_names_addresses_and_ports), cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(bounds_names_and_their_parts),    cmocka_unit_test(heeds_the_family),
		cmocka_unit_test(errors_are_safe_to_show),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
