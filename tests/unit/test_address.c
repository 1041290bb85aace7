/* net/address: addresses read, printed and compared. */
#include "net/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void reads_and_prints(void **state)
{
	static const struct {
		const char *text, *shown;
		int         family;
	} cases[] = {
		{ "192.0.2.7", "192.0.2.7", AF_INET },
		{ "0.0.0.0", "0.0.0.0", AF_INET },
		{ "255.255.255.255", "255.255.255.255", AF_INET },
		{ "10.20.99.100", "10.20.99.100", AF_INET },
		{ "2001:db8::1", "2001:db8::1", AF_INET6 },
		{ "2001:0DB8:0:0:0:0:0:1", "2001:db8::1", AF_INET6 },
		{ "::", "::", AF_INET6 },
		{ "::1", "::1", AF_INET6 },
		{ "fe80::1", "fe80::1", AF_INET6 },
		{ "fe80::1%lo", "fe80::1%lo", AF_INET6 },
		{ "fe80::1%1", "fe80::1%lo", AF_INET6 },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  AF_INET6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address address;
		char           text[ADDRESS_TEXT];

		memset(&address, 0xaa, sizeof address);
		if (!address_parse(&address, cases[i].text))
			fail_msg("%s is refused", cases[i].text);
		assert_int_equal(address_family(&address), cases[i].family);
		assert_int_equal(address_port(&address), 0);
		address_format(&address, text);
		assert_string_equal(text, cases[i].shown);
	}
}

static void refuses_what_is_none(void **state)
{
	static const char *const cases[] = {
		"",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"256.1.1.1",
		"1.2.3.-4",
		"01.2.3.4x",
		"1.2.3.4 ",
		" 1.2.3.4",
		"0x7f.0.0.1",
		"localhost",
		":",
		":::",
		"1::2::3",
		"12345::",
		"::g",
		"[::1]",
		"::1]",
		"::1:",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::1%",
		"fe80::1%nosuch0",
		"fe80::1%0",
		"fe80::1%4294967297",
		"fe80::1%-1",
		"fe80::1%+1",
		"fe80::1% 1",
		"1.2.3.4%lo",
		"::1/64",
		"::ffff:1.2.3",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555555555555555",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address address;

		if (address_parse(&address, cases[i]))
			fail_msg("%s is accepted", cases[i]);
	}
}

static void prints_every_number(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 256; i++) {
		struct address address = { .socket.ipv4 = { .sin_family = AF_INET } };
		char           text[ADDRESS_TEXT], wanted[ADDRESS_TEXT];

		address.socket.ipv4.sin_addr.s_addr = htonl(i << 24 | (255 - i) << 16 | i << 8 | (i ^ 0x55));
		address_format(&address, text);
		inet_ntop(AF_INET, &address.socket.ipv4.sin_addr, wanted, sizeof wanted);
		assert_string_equal(text, wanted);
	}
}

static void takes_the_kernels_addresses(void **state)
{
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(25) };
	struct sockaddr     local = { .sa_family = AF_UNIX };
	struct address      address;
	char                text[ADDRESS_TEXT];

	(void)state;
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &mapped.sin6_addr);
	assert_true(address_from(&address, (const struct sockaddr *)&mapped));
	assert_int_equal(address_family(&address), AF_INET);
	assert_int_equal(address_port(&address), 25);
	address_format(&address, text);
	assert_string_equal(text, "192.0.2.7");
	assert_false(address_from(&address, &local));
}

static void keeps_ports(void **state)
{
	static const char *const texts[] = { "192.0.2.7", "2001:db8::7" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct address address;

		address_parse(&address, texts[i]);
		address_set_port(&address, 65535);
		assert_int_equal(address_port(&address), 65535);
		address_set_port(&address, 1);
		assert_int_equal(address_port(&address), 1);
		assert_int_equal(address_length(&address),
		                 i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	}
}

static void compares_without_ports(void **state)
{
	static const char *const texts[] = { "0.0.0.0", "::",      "192.0.2.7",  "192.0.2.8",       "::1",
		                             "::2",     "fe80::1", "fe80::1%lo", "::ffff:192.0.2.7" };
	size_t                   count = sizeof texts / sizeof *texts;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			struct address one, other;

			address_parse(&one, texts[i]);
			address_parse(&other, texts[j]);
			address_set_port(&other, 99);
			assert_int_equal(address_same(&one, &other), i == j);
		}
	}
}

static void knows_a_missing_zone(void **state)
{
	static const struct {
		const char *text;
		bool        lacks;
	} cases[] = {
		{ "fe80::1", true },  { "fe80::1%lo", false }, { "febf::1", true },
		{ "fec0::1", false }, { "::1", false },        { "169.254.1.1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address address;

		address_parse(&address, cases[i].text);
		assert_int_equal(address_lacks_zone(&address), cases[i].lacks);
	}
}

static void knows_what_is_special(void **state)
{
	static const struct {
		const char *text, *special;
	} cases[] = {
		{ "127.0.0.1", "this machine" },
		{ "127.255.0.9", "this machine" },
		{ "0.0.0.0", "this machine" },
		{ "::1", "this machine" },
		{ "::", "this machine" },
		{ "169.254.7.7", "a host on the same link" },
		{ "fe80::1%lo", "a host on the same link" },
		{ "224.0.0.1", "a group of hosts" },
		{ "ff02::1", "a group of hosts" },
		{ "255.255.255.255", "all hosts on the link" },
		{ "169.253.255.255", NULL },
		{ "128.0.0.1", NULL },
		{ "192.0.2.7", NULL },
		{ "2001:db8::1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address address;
		const char    *special;

		assert_true(address_parse(&address, cases[i].text));
		special = address_special(&address);
		assert_int_equal(special == NULL, cases[i].special == NULL);
		if (special)
			assert_string_equal(special, cases[i].special);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_prints),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(prints_every_number),
		cmocka_unit_test(takes_the_kernels_addresses),
		cmocka_unit_test(keeps_ports),
		cmocka_unit_test(knows_what_is_special),
		cmocka_unit_test(compares_without_ports),
		cmocka_unit_test(knows_a_missing_zone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
