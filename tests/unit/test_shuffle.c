/* scan/shuffle: each number once, in an order that the seed decides. */
#include "scan/shuffle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_permutation(uint64_t count, uint64_t seed)
{
	struct shuffle shuffle;
	unsigned char *seen = calloc(count, 1);

	shuffle_init(&shuffle, count, seed);
	for (uint64_t place = 0; place < count; place++) {
		uint64_t number = shuffle_at(&shuffle, place);

		assert_true(number < count);
		assert_int_equal(seen[number]++, 0);
	}
	free(seen);
}

static void has_every_number_once(void **state)
{
	(void)state;
	for (uint64_t count = 1; count <= 300; count++)
		for (uint64_t seed = 0; seed < 3; seed++)
			check_permutation(count, seed);
	for (unsigned bits = 9; bits <= 17; bits++) {
		check_permutation(((uint64_t)1 << bits) - 1, bits);
		check_permutation((uint64_t)1 << bits, UINT64_MAX - bits);
		check_permutation(((uint64_t)1 << bits) + 1, 0);
	}
}

static void repeats_itself_by_the_seed(void **state)
{
	struct shuffle one, again, other;
	int            differ = 0;

	(void)state;
	shuffle_init(&one, 1000, 42);
	shuffle_init(&again, 1000, 42);
	shuffle_init(&other, 1000, 43);
	for (uint64_t place = 0; place < 1000; place++) {
		assert_int_equal(shuffle_at(&one, place), shuffle_at(&again, place));
		differ += shuffle_at(&one, place) != shuffle_at(&other, place);
	}
	assert_true(differ > 950);
}

/* Not a test of randomness: of what a network would notice. */
static void visits_no_neighbourhood_in_a_row(void **state)
{
	struct shuffle shuffle;
	uint64_t       count = (uint64_t)1 << 24, before = 0;
	int            parts[16] = { 0 }, steps = 0;

	(void)state;
	shuffle_init(&shuffle, count, 1);
	for (uint64_t place = 0; place < 1600; place++) {
		uint64_t number = shuffle_at(&shuffle, place);

		parts[number >> 20]++;
		steps += number > before ? number - before < 256 : before - number < 256;
		before = number;
	}
	assert_true(steps <= 3);
	for (int i = 0; i < 16; i++)
		assert_in_range(parts[i], 50, 150);
}

static void goes_up_to_the_largest_number(void **state)
{
	static const uint64_t counts[] = { (uint64_t)1 << 32, ((uint64_t)1 << 62) + 1, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct shuffle shuffle;

		shuffle_init(&shuffle, counts[i], 9);
		for (uint64_t place = 0; place < 1000; place++) {
			assert_true(shuffle_at(&shuffle, place) < counts[i]);
			assert_true(shuffle_at(&shuffle, counts[i] - 1 - place) < counts[i]);
			assert_true(shuffle_at(&shuffle, place) != shuffle_at(&shuffle, place + 1));
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_every_number_once),
		cmocka_unit_test(repeats_itself_by_the_seed),
		cmocka_unit_test(visits_no_neighbourhood_in_a_row),
		cmocka_unit_test(goes_up_to_the_largest_number),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
