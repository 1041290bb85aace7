/* base/buffer: bytes in at the end, out at the front, and never more than the maximum. */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_holds(const struct buffer *buffer, const char *bytes, size_t length)
{
	assert_int_equal(buffer_length(buffer), length);
	assert_memory_equal(buffer_bytes(buffer), bytes, length);
}

static void assert_text(const struct buffer *buffer, const char *text)
{
	assert_holds(buffer, text, strlen(text));
}

static void an_idle_buffer_costs_its_struct(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 100);
	assert_null(buffer.bytes);
	assert_non_null(buffer_bytes(&buffer));
	assert_int_equal(buffer_length(&buffer), 0);
	assert_int_equal(buffer_room(&buffer), 100);
	buffer_consume(&buffer, 5);
	buffer_clear(&buffer);
	assert_true(buffer_append(&buffer, NULL, 0));
	assert_true(buffer_text(&buffer, ""));
	assert_int_equal(buffer_length(&buffer), 0);
	assert_null(buffer.bytes);
	buffer_free(&buffer);
}

static void keeps_bytes_in_order(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 100);
	assert_true(buffer_append(&buffer, "a\0b", 3));
	assert_true(buffer_text(&buffer, "cd"));
	assert_true(buffer_format(&buffer, "%s-%d", "e", 7));
	assert_holds(&buffer, "a\0bcde-7", 8);
	assert_int_equal(buffer_room(&buffer), 92);
	buffer_consume(&buffer, 3);
	assert_text(&buffer, "cde-7");
	assert_int_equal(buffer_room(&buffer), 95);
	buffer_consume(&buffer, 0);
	assert_text(&buffer, "cde-7");
	buffer_consume(&buffer, 6); /* more than there is: all */
	assert_text(&buffer, "");
	assert_true(buffer_text(&buffer, "again"));
	assert_text(&buffer, "again");
	buffer_clear(&buffer);
	assert_text(&buffer, "");
	assert_int_equal(buffer_room(&buffer), 100);
	buffer_free(&buffer);
}

static void refuses_whole_what_does_not_fit(void **state)
{
	volatile size_t endless = SIZE_MAX; /* the compiler would object if it saw it */
	struct buffer   buffer;

	(void)state;
	buffer_init(&buffer, 8);
	assert_true(buffer_text(&buffer, "12345"));
	assert_false(buffer_text(&buffer, "6789"));
	assert_false(buffer_format(&buffer, "%d", 6789));
	assert_false(buffer_append(&buffer, "6", endless));
	assert_text(&buffer, "12345");
	assert_true(buffer_text(&buffer, "678"));
	assert_int_equal(buffer_room(&buffer), 0);
	assert_true(buffer_text(&buffer, ""));
	assert_false(buffer_text(&buffer, "9"));
	buffer_consume(&buffer, 1); /* what leaves at the front makes room at the end */
	assert_true(buffer_text(&buffer, "9"));
	assert_text(&buffer, "23456789");
	buffer_free(&buffer);
}

static void a_maximum_of_nothing_holds_nothing(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 0);
	assert_int_equal(buffer_room(&buffer), 0);
	assert_false(buffer_text(&buffer, "a"));
	assert_true(buffer_text(&buffer, ""));
	assert_text(&buffer, "");
	buffer_free(&buffer);
}

static void formats_any_length(void **state)
{
	struct buffer buffer;
	char          spaces[3000];

	(void)state;
	memset(spaces, ' ', sizeof spaces);
	buffer_init(&buffer, sizeof spaces);
	assert_true(buffer_format(&buffer, "%*s", (int)sizeof spaces, ""));
	assert_holds(&buffer, spaces, sizeof spaces);
	assert_false(buffer_format(&buffer, "%s", "x"));
	buffer_free(&buffer);
}

static void can_be_freed_twice_and_used_again(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 5);
	assert_true(buffer_text(&buffer, "12345"));
	buffer_free(&buffer);
	buffer_free(&buffer);
	assert_text(&buffer, "");
	assert_int_equal(buffer_room(&buffer), 5);
	assert_true(buffer_text(&buffer, "54321"));
	assert_text(&buffer, "54321");
	buffer_free(&buffer);
}

static uint64_t seed;

static size_t below(size_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed >> 11) % limit;
}

/* Many appends and consumes against the simplest thing that does the same: an array and memmove. */
static void behaves_like_an_array(void **state)
{
	enum { MAXIMUM = 2000 };
	struct buffer buffer;
	char          held[MAXIMUM], more[700];
	size_t        length = 0;

	(void)state;
	seed = 0x2545f4914f6cdd1d;
	buffer_init(&buffer, MAXIMUM);
	for (int i = 0; i < 50000; i++) {
		size_t count = below(below(8) ? 40 : sizeof more);

		if (below(2)) {
			bool fits = count <= MAXIMUM - length;

			memset(more, 'a' + i % 26, count);
			assert_int_equal(buffer_append(&buffer, more, count), fits);
			if (fits) {
				memcpy(held + length, more, count);
				length += count;
			}
		} else {
			size_t gone = count < length ? count : length;

			buffer_consume(&buffer, count);
			memmove(held, held + gone, length - gone);
			length -= gone;
		}
		assert_holds(&buffer, held, length);
		assert_int_equal(buffer_room(&buffer), MAXIMUM - length);
		assert_in_range(buffer.capacity, 0, MAXIMUM);
	}
	buffer_free(&buffer);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_buffer_costs_its_struct),
		cmocka_unit_test(keeps_bytes_in_order),
		cmocka_unit_test(refuses_whole_what_does_not_fit),
		cmocka_unit_test(a_maximum_of_nothing_holds_nothing),
		cmocka_unit_test(formats_any_length),
		cmocka_unit_test(can_be_freed_twice_and_used_again),
		cmocka_unit_test(behaves_like_an_array),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
