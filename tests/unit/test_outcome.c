/* scan/outcome: what a failed connect says of a port. */
#include "scan/outcome.h"

#include "../reporting.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Only the server's own no is "closed"; what this machine lacks is never put on the server. */
static void every_failure_leaves_the_right_state(void **state)
{
	static const struct {
		int         error;
		const char *wanted;
	} cases[] = {
		{ ECONNREFUSED, "closed" },   { ECONNRESET, "closed" },    { ETIMEDOUT, "filtered" },
		{ EHOSTUNREACH, "filtered" }, { ENETUNREACH, "filtered" }, { EHOSTDOWN, "filtered" },
		{ EMFILE, "failed" },         { ENFILE, "failed" },        { ENOMEM, "failed" },
		{ ENOBUFS, "failed" },        { EADDRNOTAVAIL, "failed" }, { EACCES, "failed" },
		{ EPERM, "failed" },          { EAGAIN, "failed" },        { EXDEV, "failed" },
		{ 9999, "failed" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct failure failure;

		failure_errno(&failure, PHASE_CONNECT, cases[i].error);
		if (strcmp(outcome_state_name(outcome_state_of(&failure)), cases[i].wanted) != 0)
			fail_msg("%s leaves %s", failure.message,
			         outcome_state_name(outcome_state_of(&failure)));
	}
}

static void a_name_that_is_not_found_is_no_verdict(void **state)
{
	static const char *const codes[] = { "no-name", "timeout", "refused", "excluded" };

	(void)state;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		struct failure failure;

		failure_set(&failure, PHASE_RESOLVE, codes[i], "whatever");
		assert_int_equal(outcome_state_of(&failure), STATE_FAILED);
	}
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(outcome_state_name(STATE_OPEN), "open");
	assert_string_equal(outcome_state_name(STATE_CLOSED), "closed");
	assert_string_equal(outcome_state_name(STATE_FILTERED), "filtered");
	assert_string_equal(outcome_state_name(STATE_FAILED), "failed");
}

static void begins_empty_and_ends_so(void **state)
{
	struct outcome outcome;

	(void)state;
	memset(&outcome, 0xaa, sizeof outcome);
	outcome_init(&outcome, "ssh", 22);
	assert_string_equal(outcome.service, "ssh");
	assert_int_equal(outcome.port, 22);
	assert_int_equal(outcome.state, STATE_PENDING);
	assert_false(outcome.finished || outcome.broken || failure_present(&outcome.failure));
	assert_int_equal(address_family(&outcome.address), AF_UNSPEC);
	outcome.tls = json_object();
	report_tree(&outcome.report, "x", json_true());
	report_print(&outcome.report, "x", 1);
	outcome_free(&outcome);
	outcome_free(&outcome);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_leaves_the_right_state),
		cmocka_unit_test(a_name_that_is_not_found_is_no_verdict),
		cmocka_unit_test(states_have_names),
		cmocka_unit_test(begins_empty_and_ends_so),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
