/* scan/range: runs of addresses. */
#include "scan/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect_address(struct address address, const char *wanted)
{
	char text[ADDRESS_TEXT];

	address_format(&address, text);
	assert_string_equal(text, wanted);
	assert_int_equal(address_port(&address), 0);
}

static void knows_first_last_and_count(void **state)
{
	static const struct {
		const char *text, *first, *last;
		uint64_t    count;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", "192.0.2.255", 256 },
		{ "192.0.2.77/24", "192.0.2.0", "192.0.2.255", 256 },
		{ "192.0.2.7/32", "192.0.2.7", "192.0.2.7", 1 },
		{ "192.0.2.7/31", "192.0.2.6", "192.0.2.7", 2 },
		{ "10.0.0.0/8", "10.0.0.0", "10.255.255.255", 1 << 24 },
		{ "0.0.0.0/0", "0.0.0.0", "255.255.255.255", (uint64_t)1 << 32 },
		{ "255.255.255.255/1", "128.0.0.0", "255.255.255.255", (uint64_t)1 << 31 },
		{ "192.0.2.10-40", "192.0.2.10", "192.0.2.40", 31 },
		{ "192.0.2.10-10", "192.0.2.10", "192.0.2.10", 1 },
		{ "192.0.2.0-255", "192.0.2.0", "192.0.2.255", 256 },
		{ "192.0.2.250-192.0.3.5", "192.0.2.250", "192.0.3.5", 12 },
		{ "0.0.0.0-255.255.255.255", "0.0.0.0", "255.255.255.255", (uint64_t)1 << 32 },
		{ "2001:db8::/120", "2001:db8::", "2001:db8::ff", 256 },
		{ "2001:db8::abcd/120", "2001:db8::ab00", "2001:db8::abff", 256 },
		{ "2001:db8::1/128", "2001:db8::1", "2001:db8::1", 1 },
		{ "2001:db8::/65", "2001:db8::", "2001:db8::7fff:ffff:ffff:ffff", (uint64_t)1 << 63 },
		{ "2001:db8::fffe-2001:db8::1:1", "2001:db8::fffe", "2001:db8::1:1", 4 },
		{ "fe80::1%lo-fe80::3%lo", "fe80::1%lo", "fe80::3%lo", 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct range range;
		const char  *fault = "none";

		if (range_parse(&range, cases[i].text, &fault) != RANGE_GOOD)
			fail_msg("%s is refused: %s", cases[i].text, fault);
		assert_true(range.count == cases[i].count);
		expect_address(range_address(&range, 0), cases[i].first);
		expect_address(range_address(&range, range.count - 1), cases[i].last);
	}
}

static void says_what_is_wrong(void **state)
{
	static const char *const cases[] = {
		"192.0.2.0/33",
		"192.0.2.0/-1",
		"192.0.2.0/",
		"192.0.2.0/24x",
		"192.0.2.0/24/8",
		"192.0.2.0/999999999999",
		"192.0.2.40-10",
		"192.0.2.10-256",
		"192.0.2.10-",
		"192.0.2.10-x",
		"192.0.3.0-192.0.2.255",
		"192.0.2.1-2001:db8::1",
		"2001:db8::/129",
		"2001:db8::/64",
		"2001:db8::/0",
		"2001:db8::2-2001:db8::1",
		"2001:db8::1-2001:db9::1",
		"2001:db8::-2001:db8::ffff:ffff:ffff:ffff",
		"2001:db8::1-9",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct range range;
		const char  *fault = "";

		if (range_parse(&range, cases[i], &fault) != RANGE_BAD)
			fail_msg("%s is not refused", cases[i]);
		assert_true(strlen(fault) > 5);
	}
}

static void leaves_alone_what_is_no_range(void **state)
{
	static const char *const cases[] = {
		"192.0.2.7",
		"2001:db8::1",
		"mail.example",
		"mail-1.example",
		"a-b",
		"",
		"-",
		"/",
		"mail/24",
		"-1.2.3.4",
		"192.0.2-host.example",
		"xn--bcher-kva.example",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct range range;
		const char  *fault = "";

		if (range_parse(&range, cases[i], &fault) != RANGE_NONE)
			fail_msg("%s is taken for a range", cases[i]);
	}
}

static void contains_what_it_gives_and_nothing_else(void **state)
{
	static const char *const cases[] = { "192.0.2.250-192.0.3.5", "2001:db8::fffe-2001:db8::1:1",
		                             "0.0.0.0-3", "255.255.255.252/30" };
	static const char *const others[] = { "192.0.2.249",
		                              "192.0.3.6",
		                              "2001:db8::fffd",
		                              "2001:db8::1:2",
		                              "2001:db9::ffff",
		                              "0.0.0.4",
		                              "255.255.255.251",
		                              "::",
		                              "::3" };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct range   range;
		struct address address;
		const char    *fault;

		assert_int_equal(range_parse(&range, cases[i], &fault), RANGE_GOOD);
		for (uint64_t j = 0; j < range.count; j++) {
			address = range_address(&range, j);
			assert_true(range_contains(&range, &address));
		}
		for (size_t j = 0; j < sizeof others / sizeof *others; j++) {
			assert_true(address_parse(&address, others[j]));
			assert_false(range_contains(&range, &address));
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_first_last_and_count),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(leaves_alone_what_is_no_range),
		cmocka_unit_test(contains_what_it_gives_and_nothing_else),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
