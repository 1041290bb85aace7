/* net/resolve: looking up names without leaving the machine: what is local, what is no name at all. The rest is
 * tried by tests/cli/world.t with a name server of its own. */
#include "net/alarm.h"
#include "net/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct loop   *loop;
static struct failure refused;

static struct {
	int              calls;
	struct addresses addresses;
	struct failure   failure;
} answer;

static int open_loop(void **state)
{
	(void)state;
	loop = loop_new();
	memset(&answer, 0, sizeof answer);
	return loop ? 0 : -1;
}

static int close_loop(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void keep(void *owner, const struct addresses *addresses, const struct failure *failure)
{
	assert_ptr_equal(owner, &answer);
	assert_true((addresses == NULL) != (failure == NULL));
	answer.calls++;
	if (addresses)
		answer.addresses = *addresses;
	else
		answer.failure = *failure;
	loop_stop(loop);
}

static void look_up(const char *name, int family)
{
	memset(&answer, 0, sizeof answer);
	assert_non_null(resolve_start(loop, name, family, keep, &answer, &refused));
	assert_int_equal(answer.calls, 0); /* never from inside the call */
	assert_true(resolve_under_way());
	loop_run(loop, NULL, NULL);
	assert_int_equal(answer.calls, 1);
	assert_false(resolve_under_way());
}

static void expect_address(const char *text)
{
	char shown[ADDRESS_TEXT];

	assert_int_equal(answer.addresses.count, 1);
	assert_int_equal(address_port(&answer.addresses.address[0]), 0);
	address_format(&answer.addresses.address[0], shown);
	assert_string_equal(shown, text);
}

static void finds_what_is_local(void **state)
{
	(void)state;
	look_up("localhost", AF_INET);
	expect_address("127.0.0.1");
	look_up("127.0.0.9", AF_UNSPEC);
	expect_address("127.0.0.9");
	look_up("::1", AF_UNSPEC);
	expect_address("::1");
}

static void says_what_is_no_name(void **state)
{
	(void)state;
	look_up("127.0.0.1", AF_INET6);
	assert_string_equal(phase_name(answer.failure.phase), "resolve");
	assert_string_equal(answer.failure.code, "no-name");
	assert_true(answer.failure.message[0] != '\0');
}

static void does_not_start_with_nonsense(void **state)
{
	char endless[400];

	(void)state;
	memset(endless, 'x', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	assert_null(resolve_start(loop, endless, AF_UNSPEC, keep, &answer, &refused));
	assert_null(resolve_start(loop, "", AF_UNSPEC, keep, &answer, &refused));
	assert_int_equal(answer.calls, 0);
	assert_false(resolve_under_way());
}

static void ring(struct alarm *alarm)
{
	(void)alarm;
	loop_stop(loop);
}

static bool until_over(void *owner)
{
	(void)owner;
	if (!resolve_under_way())
		loop_stop(loop);
	return false;
}

static void calls_nobody_once_cancelled(void **state)
{
	struct alarm    soon = { .ring = ring };
	struct resolve *resolve = resolve_start(loop, "127.0.0.1", AF_UNSPEC, keep, &answer, &refused);

	(void)state;
	assert_non_null(resolve);
	resolve_cancel(resolve);
	resolve_cancel(NULL);
	loop_run(loop, until_over, NULL);
	alarm_set(loop, &soon, clock_after(clock_now(), 0.02));
	loop_run(loop, NULL, NULL);
	assert_int_equal(answer.calls, 0);
}

static void looks_up_many_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		assert_non_null(resolve_start(loop, "localhost", AF_INET, keep, &answer, &refused));
	while (answer.calls < 20)
		loop_run(loop, NULL, NULL);
	assert_false(resolve_under_way());
}

#define with_loop(test) cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_loop(finds_what_is_local),          with_loop(says_what_is_no_name),
		with_loop(does_not_start_with_nonsense), with_loop(calls_nobody_once_cancelled),
		with_loop(looks_up_many_at_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
