/* script/report: what a probe says, for the record and for the reader. */
#include "script/report.h"

#include "../reporting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct report report;
static int           changes;

static void changed(void *owner)
{
	assert_ptr_equal(owner, &changes);
	changes++;
}

static int begin(void **state)
{
	(void)state;
	report_init(&report);
	report.changed = changed;
	report.owner = &changes;
	changes = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	report_free(&report);
	report_free(&report);
	return 0;
}

/* All lines, each followed by a |, a warning of ours in brackets. */
static const char *lines_of(const struct report *what)
{
	static char        text[1000];
	struct report_line line;
	size_t             place = 0;

	text[0] = '\0';
	while (report_next(what, &place, &line)) {
		strcat(text, line.warning ? "[" : "");
		strncat(text, line.bytes, line.length);
		strcat(text, line.warning ? "]|" : "|");
	}
	return text;
}

static void expect(const char *key, const char *bytes, size_t length)
{
	json_t *value = pack_member(&report.data, key);

	assert_int_equal(json_string_length(value), length);
	assert_memory_equal(json_string_value(value), bytes, length);
	json_decref(value);
}

static void print(struct report *what, const char *text)
{
	report_print(what, text, strlen(text));
}

static void texts_are_divided_into_lines(void **state)
{
	(void)state;
	assert_string_equal(lines_of(&report), "");
	print(&report, "one");
	print(&report, "two\nthree\n\nfive");
	print(&report, "");
	print(&report, "end\n");
	assert_string_equal(lines_of(&report), "one|two|three||five||end||");
	assert_int_equal(changes, 8);
	assert_true(pack_empty(&report.data));
}

static void a_line_may_hold_any_byte_but_an_end(void **state)
{
	struct report_line line;
	size_t             place = 0;

	(void)state;
	report_print(&report, "a\0b\xff\r", 5);
	assert_true(report_next(&report, &place, &line));
	assert_int_equal(line.length, 5);
	assert_memory_equal(line.bytes, "a\0b\xff\r", 5);
	assert_false(report_next(&report, &place, &line));
}

static void one_can_walk_while_it_grows(void **state)
{
	struct report_line line;
	size_t             place = 0;

	(void)state;
	print(&report, "one");
	assert_true(report_next(&report, &place, &line));
	assert_false(report_next(&report, &place, &line));
	print(&report, "two");
	assert_true(report_next(&report, &place, &line));
	assert_int_equal(line.length, 3);
	assert_memory_equal(line.bytes, "two", 3);
	assert_false(report_next(&report, &place, &line));
}

static void too_many_lines_are_left_out_whole(void **state)
{
	static char        much[REPORT_LINES];
	struct report_line line;
	size_t             place = 0, count = 0;

	(void)state;
	memset(much, 'x', sizeof much);
	for (int i = 0; i < 100; i++)
		report_print(&report, much, 1000);
	report_print(&report, much, sizeof much);
	print(&report, "the end");
	for (; report_next(&report, &place, &line) && line.length == 1000; count++)
		assert_memory_equal(line.bytes, much, 1000);
	assert_in_range(count, 60, 65);
	assert_int_equal(line.length, 7);
	assert_memory_equal(line.bytes, "the end", 7);
}

static void values_are_kept_the_last_of_a_key(void **state)
{
	(void)state;
	report_tree(&report, "banner", json_string("one"));
	report_tree(&report, "banner", json_string("two"));
	report_tree(&report, "odd", json_stringn_nocheck("a\0\xff", 3));
	report_tree(&report, "none", NULL);
	expect("banner", "two", 3);
	expect("odd", "a\0\xff", 3);
	assert_string_equal(lines_of(&report), "");
}

static void warnings_are_for_both_notes_for_the_record(void **state)
{
	const json_t *warning;

	(void)state;
	assert_null(report.warnings);
	report_warn(&report, "odd", "what was that?", 14);
	report_note(&report, "quiet", "for programs", 12);
	print(&report, "warning: this is what the server says");
	assert_string_equal(lines_of(&report),
	                    "[warning: what was that?]|warning: this is what the server says|");
	assert_int_equal(json_array_size(report.warnings), 2);
	warning = json_array_get(report.warnings, 0);
	assert_string_equal(json_string_value(json_object_get(warning, "code")), "odd");
	assert_string_equal(json_string_value(json_object_get(warning, "text")), "what was that?");
	assert_string_equal(json_string_value(json_object_get(json_array_get(report.warnings, 1), "code")),
	                    "quiet");
}

static void warnings_have_an_end(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++)
		report_note(&report, "odd", "what was that?", 14);
	assert_in_range(json_array_size(report.warnings), 100, REPORT_BYTES / 14);
}

/* What the one has taken is not there for the other. */
static void warnings_and_values_have_one_end(void **state)
{
	static char much[REPORT_BYTES - 100];

	(void)state;
	report_tree(&report, "much", json_stringn_nocheck(much, sizeof much));
	report_note(&report, "odd", much, 100);
	assert_null(report.warnings);
	report_tree(&report, "much", json_null());
	report_note(&report, "odd", much, sizeof much);
	assert_int_equal(json_array_size(report.warnings), 1);
	assert_false(pack_begin(&report.data, "more") && pack_text(&report.data, much, 100));
	assert_string_equal(report.data.fault, "a probe reports at most 256 KiB");
	pack_cancel(&report.data);
	expect("much", "", 0);
}

/* --- a conversation that is tried twice ------------------------------------------------------ */

static void what_is_held_is_shown_when_released(void **state)
{
	(void)state;
	print(&report, "one");
	report_hold(&report);
	print(&report, "two");
	report_hold(&report); /* again: nothing new */
	assert_string_equal(lines_of(&report), "one|");
	report_release(&report);
	assert_string_equal(lines_of(&report), "one|two|");
	print(&report, "three");
	assert_string_equal(lines_of(&report), "one|two|three|");
}

static void another_takes_the_place_of_what_was_held(void **state)
{
	struct report other;

	(void)state;
	report_init(&other);
	print(&report, "greeting");
	report_tree(&report, "banner", json_string("first"));
	report_hold(&report);
	print(&report, "it fails");
	report_warn(&report, "bad", "it fails", 8);
	print(&other, "greeting");
	print(&other, "it works");
	report_tree(&other, "banner", json_string("second"));
	report_replace(&report, &other);
	assert_string_equal(lines_of(&report), "greeting|it works|");
	expect("banner", "second", 6);
	assert_true(pack_empty(&other.data));
	assert_int_equal(report.data.budget, REPORT_BYTES - strlen("banner") - strlen("second") - PACK_NODE);
	assert_null(report.warnings);
	report_free(&other);
}

#define with_report(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_report(texts_are_divided_into_lines),
		with_report(a_line_may_hold_any_byte_but_an_end),
		with_report(one_can_walk_while_it_grows),
		with_report(too_many_lines_are_left_out_whole),
		with_report(values_are_kept_the_last_of_a_key),
		with_report(warnings_are_for_both_notes_for_the_record),
		with_report(warnings_have_an_end),
		with_report(warnings_and_values_have_one_end),
		with_report(what_is_held_is_shown_when_released),
		with_report(another_takes_the_place_of_what_was_held),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
