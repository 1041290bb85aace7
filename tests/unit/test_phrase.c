/* workbench/phrase: words with marks, read, held against bytes, and given as an example. */
#include "workbench/phrase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct fact facts[] = { { "host", "mail.example" }, { "port", "25" }, { NULL, NULL } };

static struct phrase read_words(const char *text)
{
	struct phrase phrase;
	const char   *fault;

	if (!phrase_read(&phrase, text, strlen(text), true, facts, &fault))
		fail_msg("\"%s\": %s", text, fault);
	return phrase;
}

static bool fits(const char *text, const char *bytes)
{
	struct phrase phrase = read_words(text);
	bool          result = phrase_fits(&phrase, bytes, strlen(bytes));

	phrase_free(&phrase);
	return result;
}

static void expect_fault(const char *text, const char *part)
{
	struct phrase phrase;
	const char   *fault = NULL;

	assert_false(phrase_read(&phrase, text, strlen(text), true, NULL, &fault));
	if (!strstr(fault, part))
		fail_msg("\"%s\" is refused with \"%s\"", text, fault);
	phrase_free(&phrase);
}

static void words_fit_themselves(void **state)
{
	(void)state;
	assert_true(fits("", ""));
	assert_true(fits("EHLO me", "EHLO me"));
	assert_false(fits("EHLO me", "EHLO m"));
	assert_false(fits("EHLO me", "EHLO me2"));
	assert_false(fits("EHLO me", "ehlo me"));
}

static void escapes_are_bytes(void **state)
{
	struct phrase phrase = read_words("\\r\\n\\t\\0\\e\\x7f\\\\{");

	(void)state;
	assert_int_equal(phrase_width(&phrase), 8);
	assert_true(phrase_fits(&phrase, "\r\n\t\0\033\x7f\\{", 8));
	phrase_free(&phrase);
	expect_fault("\\q", "backslash");
	expect_fault("\\x1", "backslash");
	expect_fault("\\xzz", "backslash");
	expect_fault("\\", "backslash");
}

static void without_escapes_a_backslash_is_itself(void **state)
{
	struct phrase phrase;
	const char   *fault;

	(void)state;
	assert_true(phrase_read(&phrase, "\\x41{any}", 9, false, NULL, &fault));
	assert_true(phrase_fits(&phrase, "\\x41B", 5));
	assert_false(phrase_fits(&phrase, "AB", 2));
	phrase_free(&phrase);
}

static void marks_fit_what_they_say(void **state)
{
	(void)state;
	assert_true(fits("a{any}b", "ab"));
	assert_true(fits("a{any}b", "a xb b"));
	assert_false(fits("a{any}b", "a xb c"));
	assert_false(fits("{any}", "two\r\nlines"));
	assert_true(fits("{word}", "[192.0.2.4]"));
	assert_false(fits("{word}", ""));
	assert_false(fits("{word}", "two words"));
	assert_true(fits("<{word}@{word}>", "<1@2@3>"));
	assert_true(fits("{number} bytes", "65536 bytes"));
	assert_false(fits("{number} bytes", "x bytes"));
	assert_true(fits("Date: {date}", "Date: Mon, 23 Nov 2026 06:11:24 GMT"));
	assert_false(fits("Date: {date}", "Date: {}"));
}

static void widths_are_exact(void **state)
{
	struct phrase phrase = read_words("a{any:3}b");

	(void)state;
	assert_false(phrase_stretches(&phrase));
	assert_int_equal(phrase_width(&phrase), 5);
	assert_true(phrase_fits(&phrase, "a\r\n\0b", 5));
	assert_false(phrase_fits(&phrase, "axxb", 4));
	assert_false(phrase_fits(&phrase, "axxxxb", 6));
	phrase_free(&phrase);
	phrase = read_words("{any}");
	assert_true(phrase_stretches(&phrase));
	phrase_free(&phrase);
	expect_fault("{any:0}", "1 to 65535");
	expect_fault("{any:65536}", "1 to 65535");
	expect_fault("{any:x}", "1 to 65535");
}

static void facts_stand_for_their_values(void **state)
{
	(void)state;
	assert_true(fits("Host: {host}:{port}", "Host: mail.example:25"));
	assert_false(fits("Host: {host}", "Host: other.example"));
}

static void other_braces_stand_for_themselves(void **state)
{
	(void)state;
	assert_true(fits("* TEXT {11}", "* TEXT {11}"));
	assert_true(fits("{}{nothing}{", "{}{nothing}{"));
}

/* A matcher that tries all ways would not come to an end. */
static void many_marks_take_no_time(void **state)
{
	char text[200] = "", bytes[2001];

	(void)state;
	for (int i = 0; i < 20; i++)
		strcat(text, "{any}a");
	memset(bytes, 'a', sizeof bytes - 1);
	bytes[sizeof bytes - 1] = '\0';
	assert_true(fits(text, bytes));
	strcat(text, "b");
	assert_false(fits(text, bytes));
}

static void an_example_fits(void **state)
{
	static const char *const all[] = { "x{any}y", "{word}", "{number}", "{date}", "{any:4}", "{host}" };

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct phrase phrase = read_words(all[i]);
		struct buffer example;

		buffer_init(&example, 1000);
		assert_true(phrase_example(&phrase, &example));
		if (!phrase_fits(&phrase, buffer_bytes(&example), buffer_length(&example)))
			fail_msg("\"%.*s\" does not fit %s", (int)buffer_length(&example),
			         buffer_bytes(&example), all[i]);
		buffer_free(&example);
		phrase_free(&phrase);
	}
}

static void expect_quoted(const char *bytes, size_t length, const char *wanted)
{
	struct phrase phrase;
	struct buffer text;
	const char   *fault;

	buffer_init(&text, 10000);
	assert_true(phrase_quote(&text, bytes, length));
	if (wanted && (buffer_length(&text) != strlen(wanted) ||
	               memcmp(buffer_bytes(&text), wanted, strlen(wanted)) != 0))
		fail_msg("\"%.*s\" is not %s", (int)buffer_length(&text), buffer_bytes(&text), wanted);
	assert_true(phrase_read(&phrase, buffer_bytes(&text), buffer_length(&text), true, facts, &fault));
	assert_false(phrase_stretches(&phrase));
	assert_true(phrase_fits(&phrase, bytes, length));
	phrase_free(&phrase);
	buffer_free(&text);
}

static void what_is_quoted_is_read_back(void **state)
{
	char all[256];

	(void)state;
	expect_quoted("220 mail ESMTP", 14, "220 mail ESMTP");
	expect_quoted("a\\b\r\n\t\0", 7, "a\\\\b\\r\\n\\t\\x00");
	expect_quoted("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
	expect_quoted("\xe2\x80\xae\xff", 4, "\\xe2\\x80\\xae\\xff"); /* turns the text around: not shown */
	expect_quoted("220 ", 4, "220\\x20");                         /* which an editor would take away */
	expect_quoted("{any} {host} {7}", 16, "\\x7bany} \\x7bhost} {7}");
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)i;
	expect_quoted(all, sizeof all, NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_fit_themselves),
		cmocka_unit_test(escapes_are_bytes),
		cmocka_unit_test(without_escapes_a_backslash_is_itself),
		cmocka_unit_test(marks_fit_what_they_say),
		cmocka_unit_test(widths_are_exact),
		cmocka_unit_test(facts_stand_for_their_values),
		cmocka_unit_test(other_braces_stand_for_themselves),
		cmocka_unit_test(many_marks_take_no_time),
		cmocka_unit_test(an_example_fits),
		cmocka_unit_test(what_is_quoted_is_read_back),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
