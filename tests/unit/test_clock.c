/* base/clock: monotonic moments, and deadlines that neither wrap nor reach "never". */
#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static const moment second = 1000000000;

static void runs_forwards(void **state)
{
	moment before = clock_now();

	(void)state;
	assert_true(before > 0);
	for (int i = 0; i < 1000; i++) {
		moment now = clock_now();

		assert_true(now >= before);
		assert_true(now < MOMENT_NEVER);
		before = now;
	}
}

static moment system_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (moment)now.tv_sec * second + (moment)now.tv_nsec;
}

static void counts_nanoseconds_of_the_monotonic_clock(void **state)
{
	moment before = system_clock(), now = clock_now(), after = system_clock();

	(void)state;
	assert_true(before <= now && now <= after);
}

static void a_deadline_lies_ahead(void **state)
{
	(void)state;
	assert_int_equal(clock_after(5 * second, 1), 6 * second);
	assert_int_equal(clock_after(5 * second, 0.25), 5 * second + 250000000);
	assert_int_equal(clock_after(5 * second, 1e-9), 5 * second + 1);
	assert_int_equal(clock_after(0, 86400), 86400 * second);
	assert_int_equal(clock_after(7, 0), 7);
}

static void what_is_no_length_of_time_counts_as_none(void **state)
{
	(void)state;
	assert_int_equal(clock_after(5 * second, -1), 5 * second);
	assert_int_equal(clock_after(5 * second, -INFINITY), 5 * second);
	assert_int_equal(clock_after(5 * second, (double)NAN), 5 * second);
}

/* Around the end of the count, where doubles are coarser than nanoseconds. */
static void a_deadline_is_never_never(void **state)
{
	/* clang-format off */
	static const moment starts[] = {
		0, 1, 5000000000, 1ULL << 62, 1ULL << 63, MOMENT_NEVER - 2048, MOMENT_NEVER - 2, MOMENT_NEVER - 1,
	};
	static const double seconds[] = {
		1e-9, 1, 1e9, 9223372036.854776, 18446744073.709549, 18446744073.709551, 18446744073.709555, 1e11,
		1e300, INFINITY,
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		for (size_t j = 0; j < sizeof seconds / sizeof *seconds; j++) {
			double just_less = seconds[j] * (1 - 0x1p-53);
			moment after = clock_after(starts[i], seconds[j]);

			assert_true(after >= starts[i] && after < MOMENT_NEVER);
			assert_true(clock_after(starts[i], just_less) <= after);
			assert_true(clock_after(starts[i], just_less) >= starts[i]);
		}
	}
	assert_int_equal(clock_after(0, INFINITY), MOMENT_NEVER - 1);
	assert_int_equal(clock_after(5 * second, 1e300), MOMENT_NEVER - 1);
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-6;
}

static void measures_milliseconds(void **state)
{
	(void)state;
	assert_true(near(clock_ms(5 * second, 6 * second), 1000));
	assert_true(near(clock_ms(0, 12400000), 12.4));
	assert_true(near(clock_ms(5 * second, 5 * second), 0));
	assert_true(near(clock_ms(6 * second, 5 * second), 0));
	assert_true(clock_ms(0, MOMENT_NEVER - 1) > 1e13);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_forwards),
		cmocka_unit_test(counts_nanoseconds_of_the_monotonic_clock),
		cmocka_unit_test(a_deadline_lies_ahead),
		cmocka_unit_test(what_is_no_length_of_time_counts_as_none),
		cmocka_unit_test(a_deadline_is_never_never),
		cmocka_unit_test(measures_milliseconds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
