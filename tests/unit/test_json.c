/* output/json: one record as one line, valid whatever it holds. Read back with jansson's decoder. */
#include "output/json.h"

#include "../reporting.h"
#include "base/escape.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct host    host;
static struct outcome outcome;
static struct buffer  line;

static int begin(void **state)
{
	(void)state;
	memset(&host, 0, sizeof host);
	strcpy(host.target.name, "mail.example");
	outcome_init(&outcome, "smtp", 25);
	outcome.state = STATE_OPEN;
	outcome.finished = true;
	buffer_init(&line, 8 * 1024 * 1024);
	return 0;
}

static int end(void **state)
{
	(void)state;
	outcome_free(&outcome);
	buffer_free(&line);
	return 0;
}

/* The record, read back; it must be one line of valid UTF-8 without a control. */
static json_t *record(void)
{
	json_error_t error;
	json_t      *value;

	buffer_clear(&line);
	assert_true(json_record(&line, &host, &outcome));
	assert_true(utf8_valid(buffer_bytes(&line), buffer_length(&line)));
	assert_int_equal(buffer_bytes(&line)[buffer_length(&line) - 1], '\n');
	for (size_t i = 0; i + 1 < buffer_length(&line); i++)
		assert_true((unsigned char)buffer_bytes(&line)[i] >= 0x20 && buffer_bytes(&line)[i] != 0x7f);
	value = json_loadb(buffer_bytes(&line), buffer_length(&line), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
	                   &error);
	if (!value)
		fail_msg("%s: %s", error.text, buffer_bytes(&line));
	return value;
}

static void expect(const char *wanted)
{
	size_t length = strlen(wanted);

	buffer_clear(&line);
	assert_true(json_record(&line, &host, &outcome));
	assert_true(buffer_append(&line, "", 1));
	buffer_bytes(&line);
	assert_string_equal(buffer_bytes(&line), wanted);
	assert_int_equal(buffer_length(&line), length + 1);
}

/* --- exactly --------------------------------------------------------------------------------- */

static void an_open_service(void **state)
{
	(void)state;
	address_parse(&outcome.address, "192.0.2.7");
	outcome.ms = 12.3456;
	report_tree(&outcome.report, "banner", json_string("220 mail.example ESMTP"));
	report_warn(&outcome.report, "odd", "what?", 5);
	expect(
	    "{\"schema\":1,\"host\":\"mail.example\",\"address\":\"192.0.2.7\",\"port\":25,\"service\":"
	    "\"smtp\","
	    "\"state\":\"open\",\"ms\":12.346,\"data\":{\"banner\":\"220 mail.example ESMTP\"},\"tls\":null,"
	    "\"warnings\":[{\"code\":\"odd\",\"text\":\"what?\"}],\"error\":null}\n");
}

static void a_closed_one_and_one_without_an_address(void **state)
{
	(void)state;
	outcome.state = STATE_CLOSED;
	address_parse(&outcome.address, "2001:db8::7");
	failure_errno(&outcome.failure, PHASE_CONNECT, ECONNREFUSED);
	expect("{\"schema\":1,\"host\":\"mail.example\",\"address\":\"2001:db8::7\",\"port\":25,\"service\":"
	       "\"smtp\","
	       "\"state\":\"closed\",\"ms\":0.000,\"data\":{},\"tls\":null,\"warnings\":[],\"error\":{"
	       "\"phase\":\"connect\","
	       "\"code\":\"refused\",\"message\":\"Connection refused\",\"errno\":111}}\n");
	outcome.state = STATE_FAILED;
	memset(&outcome.address, 0, sizeof outcome.address);
	failure_set(&outcome.failure, PHASE_RESOLVE, "no-name", "no such name");
	expect("{\"schema\":1,\"host\":\"mail.example\",\"address\":null,\"port\":25,\"service\":\"smtp\","
	       "\"state\":\"failed\",\"ms\":0.000,\"data\":{},\"tls\":null,\"warnings\":[],\"error\":{"
	       "\"phase\":\"resolve\","
	       "\"code\":\"no-name\",\"message\":\"no such name\",\"errno\":null}}\n");
}

static void milliseconds_are_rounded_and_never_odd(void **state)
{
	static const struct {
		double      ms;
		const char *wanted;
	} cases[] = {
		{ 0, "\"ms\":0.000," },
		{ 0.0004, "\"ms\":0.000," },
		{ 0.0006, "\"ms\":0.001," },
		{ 0.9996, "\"ms\":1.000," },
		{ 99.9999, "\"ms\":100.000," },
		{ 1.05, "\"ms\":1.050," },
		{ 86400000, "\"ms\":86400000.000," },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		outcome.ms = cases[i].ms;
		json_decref(record());
		buffer_append(&line, "", 1);
		assert_non_null(strstr(buffer_bytes(&line), cases[i].wanted));
	}
}

/* --- bytes that are no text ------------------------------------------------------------------ */

static void set_bytes(const char *key, const char *bytes, size_t length)
{
	report_tree(&outcome.report, key, json_stringn_nocheck(bytes, length));
}

static const json_t *data(const json_t *value, const char *key)
{
	return json_object_get(json_object_get(value, "data"), key);
}

static void text_comes_back_as_it_went(void **state)
{
	static const char *const texts[] = {
		"",
		"plain",
		"\"quoted\" \\ back",
		"tab\tnew\nline\rcr\b\f\033[2J\177",
		"gr\u00fc\u00df \u4e2d\u6587 \U0001f600",
		"\xc2\x80\xc2\x9f\u00ad\u200b\u200f\u2028\u2029\u202e\u2066\u2069\ufeff\U000e0041",
		"\ufffd",
		"%n%s",
	};
	char key[20];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		json_t *value;

		snprintf(key, sizeof key, "k%zu", i);
		set_bytes(key, texts[i], strlen(texts[i]));
		value = record();
		assert_string_equal(json_string_value(data(value, key)), texts[i]);
		json_decref(value);
	}
	buffer_append(&line, "", 1);
	assert_null(strstr(buffer_bytes(&line), "_base64"));
	assert_null(strstr(buffer_bytes(&line), "\u202e"));
	assert_null(strstr(buffer_bytes(&line), "\xc2\x9f"));
}

static void a_nul_is_a_byte_like_others(void **state)
{
	json_t *value;

	(void)state;
	set_bytes("k", "a\0b", 3);
	value = record();
	assert_int_equal(json_string_length(data(value, "k")), 3);
	assert_memory_equal(json_string_value(data(value, "k")), "a\0b", 3);
	json_decref(value);
}

static void bytes_that_are_no_utf8_are_there_in_base64(void **state)
{
	static const struct {
		const char *bytes;
		size_t      length;
		const char *shown, *exact;
	} cases[] = {
		{ "\xff", 1, "\ufffd", "/w==" },           { "a\xffz", 3, "a\ufffdz", "Yf96" },
		{ "\xc0\x80", 2, "\ufffd\ufffd", "wIA=" }, { "\0\xff", 2, NULL, "AP8=" },
		{ "\xe2\x82", 2, NULL, "4oI=" },           { "\xed\xa0\x80", 3, NULL, "7aCA" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *value;

		set_bytes("k", cases[i].bytes, cases[i].length);
		value = record();
		assert_string_equal(json_string_value(data(value, "k_base64")), cases[i].exact);
		if (cases[i].shown)
			assert_string_equal(json_string_value(data(value, "k")), cases[i].shown);
		json_decref(value);
	}
}

static void lists_and_trees_are_looked_through(void **state)
{
	json_t *list = json_array(), *tree = json_object(), *value;

	(void)state;
	json_array_append_new(list, json_string("good"));
	json_array_append_new(list, json_stringn_nocheck("\xff", 1));
	json_array_append_new(list, json_integer(-7));
	json_object_set_new_nocheck(tree, "deep", json_stringn_nocheck("\xfe", 1));
	json_object_set_new_nocheck(tree, "yes", json_true());
	json_object_set_new_nocheck(tree, "half", json_real(-0.5));
	json_object_set_new_nocheck(tree, "least", json_integer(INT64_MIN));
	report_tree(&outcome.report, "list", list);
	report_tree(&outcome.report, "tree", tree);
	value = record();
	assert_int_equal(json_array_size(data(value, "list_base64")), 3);
	assert_true(json_is_null(json_array_get(data(value, "list_base64"), 2)));
	assert_string_equal(json_string_value(json_object_get(data(value, "tree"), "deep_base64")), "/g==");
	assert_true(json_integer_value(json_object_get(data(value, "tree"), "least")) == INT64_MIN);
	assert_true(json_real_value(json_object_get(data(value, "tree"), "half")) == -0.5);
	json_decref(value);
}

static void every_place_for_foreign_bytes_is_looked_at(void **state)
{
	json_t *value;

	(void)state;
	strcpy(host.target.name, "h\xff");
	failure_set(&outcome.failure, PHASE_TLS, "not-tls", "what: %s", "\xfe\033");
	report_warn(&outcome.report, "odd", "\xfd", 1);
	outcome.tls = json_pack("{s:s}", "version", "TLSv1.3");
	json_object_set_new_nocheck(outcome.tls, "subject", json_stringn_nocheck("\xfc", 1));
	set_bytes("bad \xfb key", "x", 1);
	value = record();
	assert_string_equal(json_string_value(json_object_get(value, "host_base64")), "aP8=");
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(value, "error"), "message_base64")),
	    "d2hhdDog/hs=");
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(value, "tls"), "subject_base64")), "/A==");
	assert_string_equal(json_string_value(json_object_get(
				json_array_get(json_object_get(value, "warnings"), 0), "text_base64")),
	                    "/Q==");
	assert_string_equal(json_string_value(data(value, "bad \ufffd key")), "x");
	json_decref(value);
}

static void any_bytes_at_all_make_a_record(void **state)
{
	unsigned seed = 11;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char   bytes[64];
		size_t length = (size_t)rand_r(&seed) % sizeof bytes;

		for (size_t i = 0; i < length; i++)
			bytes[i] = (char)(rand_r(&seed) % 3 == 0 ? rand_r(&seed) : 0x80 | rand_r(&seed));
		set_bytes("k", bytes, length);
		json_decref(record());
	}
}

/* What does not fit is not left out: there is no record then. */
static void a_full_buffer_is_said_to_be_full(void **state)
{
	static char text[500];
	size_t      whole;

	(void)state;
	memset(text, 'x', sizeof text);
	set_bytes("k", text, sizeof text);
	json_decref(record());
	whole = buffer_length(&line);
	for (size_t maximum = 0; maximum <= whole; maximum++) {
		struct buffer small;

		buffer_init(&small, maximum);
		assert_int_equal(json_record(&small, &host, &outcome), maximum == whole);
		buffer_free(&small);
	}
}

#define with_record(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_record(an_open_service),
		with_record(a_closed_one_and_one_without_an_address),
		with_record(milliseconds_are_rounded_and_never_odd),
		with_record(text_comes_back_as_it_went),
		with_record(a_nul_is_a_byte_like_others),
		with_record(bytes_that_are_no_utf8_are_there_in_base64),
		with_record(lists_and_trees_are_looked_through),
		with_record(every_place_for_foreign_bytes_is_looked_at),
		with_record(any_bytes_at_all_make_a_record),
		with_record(a_full_buffer_is_said_to_be_full),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
