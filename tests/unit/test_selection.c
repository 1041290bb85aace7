/* scan/selection: which services, on which ports, in which order. */
#include "scan/selection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A catalogue by hand: "two" is optional, "free" has no port, "late" is in no group. */
static struct script  probes[] = { { .name = "first", .about = "" },
	                           { .name = "second", .about = "" },
	                           { .name = "broken", .about = "", .broken = true } };
static struct service of_first[] = {
	{ .name = "one", .port = 1, .script = &probes[0] },
	{ .name = "two", .port = 2, .optional = true, .script = &probes[0] },
	{ .name = "late", .port = 9, .script = &probes[0] },
};
static struct service of_second[] = {
	{ .name = "three", .port = 3, .tls = true, .script = &probes[1] },
	{ .name = "free", .optional = true, .script = &probes[1] },
	{ .name = "one", .port = 111, .script = &probes[1] }, /* hidden by the first of the name */
};
static struct service of_broken[] = { { .name = "gone", .port = 4, .script = &probes[2] } };
static const char    *defaults[] = { "three", "gone", "one" }, *pair[] = { "two", "one", "free" };
static struct group   groups[] = { { "default", defaults, 3 }, { "pair", pair, 3 } };
static struct script *scripts[] = { &probes[0], &probes[1], &probes[2] };

static struct catalogue catalogue = {
	.scripts = scripts, .script_count = 3, .groups = groups, .group_count = 2
};
static struct selection selection;
static char             error[500];

static int fill(void **state)
{
	(void)state;
	probes[0].services = of_first;
	probes[0].service_count = 3;
	probes[1].services = of_second;
	probes[1].service_count = 3;
	probes[2].services = of_broken;
	probes[2].service_count = 1;
	return 0;
}

static const char *shown(void)
{
	static char text[500];

	text[0] = '\0';
	for (size_t i = 0; i < selection.count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s=%u ",
		         selection.choices[i].service->name, selection.choices[i].port);
	return text;
}

static void expect(const char *list, const char *wanted)
{
	if (!selection_parse(&selection, &catalogue, list, error, sizeof error))
		fail_msg("%s is refused: %s", list, error);
	assert_string_equal(shown(), wanted);
	assert_int_equal(selection.named, list != NULL);
	selection_free(&selection);
	selection_free(&selection);
}

static void refuse(const char *list, const char *part)
{
	if (selection_parse(&selection, &catalogue, list, error, sizeof error))
		fail_msg("%s is accepted", list);
	if (!strstr(error, part))
		fail_msg("%s: %s", list, error);
	selection_free(&selection);
}

static void the_default_is_its_group_then_all_that_is_not_optional(void **state)
{
	(void)state;
	expect(NULL, "three=3 one=1 late=9 ");
	expect("@default", "three=3 one=1 late=9 ");
}

static void lists_keep_their_order(void **state)
{
	(void)state;
	expect("one", "one=1 ");
	expect("three,one", "three=3 one=1 ");
	expect("two,free=77", "two=2 free=77 ");
	expect("free", "free=0 "); /* whoever runs it looks for a port */
	expect("one=2222", "one=2222 ");
	expect("one=65535,one,one=1", "one=65535 one=1 "); /* the same twice is tried once */
	expect("@pair", "two=2 one=1 ");
	expect("late,@pair,@default", "late=9 two=2 one=1 three=3 ");
}

static void what_is_wrong_is_named_with_what_is_near(void **state)
{
	(void)state;
	refuse("oen", "did you mean one?");
	refuse("one,trhee", "\"trhee\"; did you mean three?");
	refuse("somethingelse", "\"somethingelse\"; --list");
	refuse("gone", "gone"); /* its script is broken */
	refuse("@piar", "did you mean @pair?");
	refuse("@", "@");
	refuse("", "empty");
	refuse("one,", "empty");
	refuse(",one", "empty");
	refuse("one,,three", "empty");
	refuse("one=", "one=");
	refuse("one=0", "1 to 65535");
	refuse("one=65536", "1 to 65535");
	refuse("one=-1", "1 to 65535");
	refuse("one=+1", "1 to 65535");
	refuse("one= 1", "1 to 65535");
	refuse("one=1x", "1 to 65535");
	refuse("one=99999999999999999999", "1 to 65535");
	refuse("@pair=25", "@pair=25");
}

static void expect_for_port(const char *list, uint16_t port, const char *wanted)
{
	struct selection general;

	assert_true(selection_parse(&general, &catalogue, list, error, sizeof error));
	assert_true(selection_for_port(&selection, &catalogue, &general, port));
	assert_string_equal(shown(), wanted);
	selection_free(&selection);
	selection_free(&general);
}

static void a_port_of_a_target_chooses(void **state)
{
	(void)state;
	expect_for_port(NULL, 3, "three=3 ");
	expect_for_port(NULL, 2, "two=2 "); /* optional, but meant */
	expect_for_port(NULL, 4, "unknown=4 ");
	expect_for_port(NULL, 8080, "unknown=8080 ");
	expect_for_port("one", 8080, "one=8080 ");
	expect_for_port("one,three=7", 8080, "one=8080 three=8080 ");
	expect_for_port("one=5,one=6", 8080, "one=8080 ");
}

static void without_probes_there_is_nothing_to_do(void **state)
{
	struct catalogue empty = { 0 };

	(void)state;
	assert_false(selection_parse(&selection, &empty, NULL, error, sizeof error));
	assert_true(strlen(error) > 10);
	selection_free(&selection);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_is_its_group_then_all_that_is_not_optional),
		cmocka_unit_test(lists_keep_their_order),
		cmocka_unit_test(what_is_wrong_is_named_with_what_is_near),
		cmocka_unit_test(a_port_of_a_target_chooses),
		cmocka_unit_test(without_probes_there_is_nothing_to_do),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, fill, NULL);
}
