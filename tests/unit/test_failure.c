/* base/failure: the phase, the short name and the words of what went wrong. */
#include "base/failure.h"

#include "base/escape.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGE = sizeof((struct failure *)0)->message };

static void names_every_phase(void **state)
{
	static const struct {
		enum phase  phase;
		const char *name;
	} cases[] = {
		{ PHASE_RESOLVE, "resolve" }, { PHASE_CONNECT, "connect" }, { PHASE_TLS, "tls" },
		{ PHASE_READ, "read" },       { PHASE_WRITE, "write" },     { PHASE_DEADLINE, "deadline" },
		{ PHASE_SCRIPT, "script" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_string_equal(phase_name(cases[i].phase), cases[i].name);
		assert_int_equal(phase_of_name(cases[i].name), cases[i].phase);
	}
	assert_non_null(phase_name(PHASE_NONE));
	assert_int_equal(phase_of_name(phase_name(PHASE_NONE)), PHASE_NONE);
	assert_int_equal(phase_of_name("reading"), PHASE_NONE);
	assert_int_equal(phase_of_name(""), PHASE_NONE);
}

static void is_there_between_set_and_clear(void **state)
{
	struct failure failure;

	(void)state;
	failure_clear(&failure);
	assert_false(failure_present(&failure));
	assert_string_equal(failure.message, "");

	failure_set(&failure, PHASE_READ, "timeout", "no greeting within %d s", 10);
	assert_true(failure_present(&failure));
	assert_int_equal(failure.phase, PHASE_READ);
	assert_string_equal(failure.code, "timeout");
	assert_string_equal(failure.message, "no greeting within 10 s");
	assert_int_equal(failure.error, 0);

	failure_clear(&failure);
	assert_false(failure_present(&failure));
	assert_string_equal(failure.message, "");
	assert_int_equal(failure.error, 0);
}

static void gives_the_systems_number_and_words(void **state)
{
	struct failure failure;

	(void)state;
	failure_errno(&failure, PHASE_CONNECT, ECONNREFUSED);
	assert_int_equal(failure.phase, PHASE_CONNECT);
	assert_string_equal(failure.code, "refused");
	assert_string_equal(failure.message, "Connection refused");
	assert_int_equal(failure.error, ECONNREFUSED);

	failure_set(&failure, PHASE_TLS, "tls", "no errno here"); /* the old number does not linger */
	assert_int_equal(failure.error, 0);
}

static void knows_the_short_names(void **state)
{
	static const struct {
		int         error;
		const char *code;
	} cases[] = {
		{ ECONNREFUSED, "refused" },
		{ ECONNRESET, "reset" },
		{ EPIPE, "reset" },
		{ ETIMEDOUT, "timeout" },
		{ EHOSTUNREACH, "unreachable" },
		{ ENETUNREACH, "unreachable" },
		{ EACCES, "blocked-here" },
		{ EPERM, "blocked-here" },
		{ EMFILE, "local-limit" },
		{ EADDRNOTAVAIL, "local-limit" },
		{ EXDEV, "system" },
		{ 0, "system" },
		{ -1, "system" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(failure_code_of(cases[i].error), cases[i].code);
}

/* `bytes` behind so many letters that the message's end falls at each place in and around them. */
static void check_cuts(const char *bytes)
{
	struct failure failure;
	char           text[MESSAGE + 16];

	for (size_t letters = MESSAGE - 8; letters < MESSAGE + 4; letters++) {
		size_t whole = letters + strlen(bytes), kept;

		memset(text, 'x', letters);
		strcpy(text + letters, bytes);
		failure_set(&failure, PHASE_READ, "reply", "%s", text);
		kept = strlen(failure.message);
		assert_true(utf8_valid(failure.message, kept));
		assert_memory_equal(failure.message, text, kept);
		assert_true(whole < MESSAGE ? kept == whole : kept >= MESSAGE - 5);
	}
}

static void is_never_cut_inside_a_sequence(void **state)
{
	(void)state;
	check_cuts("");
	check_cuts("\u00e9");
	check_cuts("\u20ac");
	check_cuts("\U0001f600");
	check_cuts("\u00e9x");
	check_cuts("\u20acx");
	check_cuts("\U0001f600x");
	check_cuts("\u20ac\u20ac");
}

static void survives_bytes_that_are_not_text(void **state)
{
	struct failure failure;
	char           bytes[2 * MESSAGE];

	(void)state;
	for (int byte = 0x80; byte <= 0xff; byte++) {
		memset(bytes, byte, sizeof bytes - 1);
		bytes[sizeof bytes - 1] = '\0';
		failure_set(&failure, PHASE_READ, "reply", "%s", bytes);
		assert_in_range(strlen(failure.message), MESSAGE - 5, MESSAGE - 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_every_phase),
		cmocka_unit_test(is_there_between_set_and_clear),
		cmocka_unit_test(gives_the_systems_number_and_words),
		cmocka_unit_test(knows_the_short_names),
		cmocka_unit_test(is_never_cut_inside_a_sequence),
		cmocka_unit_test(survives_bytes_that_are_not_text),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
