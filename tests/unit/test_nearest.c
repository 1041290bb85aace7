/* base/nearest: which name is meant by a mistyped one, and when none is. */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const services[] = {
	"telnet", "ssh", "smtp", "submission", "smtps", "pop2", "pop3",     "imap",  "imaps",
	"pop3s",  "ftp", "http", "https",      "ipp",   "ldap", "kerberos", "ldaps",
};

enum { SERVICES = sizeof services / sizeof *services };

struct slip {
	const char *wanted, *meant; /* NULL: none */
};

static void check(const struct slip *slips, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = nearest_name(slips[i].wanted, services, SERVICES);

		if ((name == NULL) != (slips[i].meant == NULL) || (name && strcmp(name, slips[i].meant) != 0))
			fail_msg("\"%s\" gives %s, not %s", slips[i].wanted, name ? name : "none",
			         slips[i].meant ? slips[i].meant : "none");
	}
}

static void finds_the_name_meant(void **state)
{
	static const struct slip slips[] = {
		{ "ssh", "ssh" },     /* nothing wrong at all */
		{ "sssh", "ssh" },    /* a letter too many */
		{ "sh", "ssh" },      /* one too few */
		{ "sch", "ssh" },     /* another one */
		{ "shs", "ssh" },     /* two swapped */
		{ "hssh", "ssh" },    /* at the front */
		{ "mstp", "smtp" },   /* swapped at the front */
		{ "smpt", "smtp" },   /* and at the end */
		{ "SMTP", "smtp" },   /* case does not count */
		{ "Htpts", "https" }, /* nor with a slip */
		{ "kerberso", "kerberos" },
		{ "cerveros", "kerberos" }, /* two slips in eight letters */
		{ "submision", "submission" },
		{ "sumbisson", "submission" }, /* three in nine */
		{ "pop33s", "pop3s" },
	};

	(void)state;
	check(slips, sizeof slips / sizeof *slips);
	assert_non_null(nearest_name("AZZA", (const char *const[]){ "azza" }, 1));
	assert_null(nearest_name("@@[[", (const char *const[]){ "``{{" }, 1)); /* beside the letters */
}

static void a_beginning_is_near(void **state)
{
	static const struct slip slips[] = {
		{ "sub", "submission" }, { "k", "kerberos" },
		{ "TEL", "telnet" },     { "ht", "http" }, /* the shorter of two */
		{ "pop", "pop2" },                         /* the first of two as near */
	};

	(void)state;
	check(slips, sizeof slips / sizeof *slips);
}

static void nothing_is_near_to_nonsense(void **state)
{
	static const struct slip slips[] = {
		{ "", NULL },
		{ "x", NULL },
		{ "xy", NULL },
		{ "gopher", NULL },
		{ "sxh2", NULL },     /* two slips in four */
		{ "berkeras", NULL }, /* three in eight */
		{ "submission-please", NULL },
	};

	(void)state;
	check(slips, sizeof slips / sizeof *slips);
	assert_null(nearest_name("ssh", services, 0));
	assert_null(nearest_name("x", (const char *const[]){ "y" }, 1)); /* nothing of it is left */
}

static void the_least_distance_wins_wherever_it_stands(void **state)
{
	static const char *const names[] = { "abcxyz", "abcdxy", "abcdex", "abcdxf" };

	(void)state;
	assert_ptr_equal(nearest_name("abcdef", names, 4), names[2]);
	assert_ptr_equal(nearest_name("abcdef", names, 2), names[1]);
	assert_ptr_equal(nearest_name("abcdef", names + 2, 2), names[2]); /* a draw: the first */
}

static void long_names_are_not_compared(void **state)
{
	char              longest[65], longer[66], wanted[65];
	const char *const names[] = { longer, longest };

	(void)state;
	memset(longest, 'a', 64);
	memset(longer, 'a', 65);
	memset(wanted, 'a', 64);
	longest[64] = longer[65] = wanted[64] = '\0';
	assert_ptr_equal(nearest_name(wanted, names, 2), longest);
	wanted[0] = 'b';
	assert_ptr_equal(nearest_name(wanted, names, 2), longest);
	assert_null(nearest_name(wanted, names, 1));
	assert_null(nearest_name(longer, names, 2));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_name_meant),
		cmocka_unit_test(a_beginning_is_near),
		cmocka_unit_test(nothing_is_near_to_nonsense),
		cmocka_unit_test(the_least_distance_wins_wherever_it_stands),
		cmocka_unit_test(long_names_are_not_compared),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
