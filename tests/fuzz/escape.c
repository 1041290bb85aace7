/* Fuzzing of what is shown and encoded: base/escape, and the quotations of base/failure.
 *
 * The input: a number of columns, a size for the buffer, and the text.
 */
#include "fuzz.h"

#include "base/failure.h"

#include <locale.h>
#include <openssl/evp.h>
#include <wchar.h>

enum { LARGE = 1024 * 1024 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	setlocale(LC_CTYPE, "C.UTF-8"); /* for wcwidth */
	return 0;
}

/* The columns that the system's own table counts; it says nothing of what it does not know. */
static size_t columns_of(const char *text, size_t length)
{
	size_t   columns = 0;
	uint32_t code;

	for (size_t at = 0; at < length; at += utf8_decode(text + at, length - at, &code)) {
		int width;

		utf8_decode(text + at, length - at, &code);
		width = wcwidth((wchar_t)code);
		columns += width > 0 ? (size_t)width : 0;
	}
	return columns;
}

static void check_terminal(struct input text, size_t columns, size_t room)
{
	struct buffer out, small;

	buffer_init(&out, LARGE);
	buffer_init(&small, room);
	escape_terminal(&out, text.bytes, text.left, columns);
	escape_terminal(&small, text.bytes, text.left, columns);
	demand_safe(buffer_bytes(&out), buffer_length(&out), false);
	demand_safe(buffer_bytes(&small), buffer_length(&small), false);
	demand(columns_of(buffer_bytes(&out), buffer_length(&out)) <= columns, "a text keeps to its columns");
	demand(buffer_length(&small) <= room, "a buffer keeps to its maximum");
	demand(buffer_length(&out) > room || buffer_length(&small) == buffer_length(&out),
	       "what fits is there");
	buffer_free(&out);
	buffer_free(&small);
}

static void check_utf8(struct input text)
{
	struct buffer out;
	bool          valid = utf8_valid(text.bytes, text.left);

	demand(valid == is_utf8(text.bytes, text.left), "utf8_valid and jansson agree");
	buffer_init(&out, LARGE);
	escape_utf8(&out, text.bytes, text.left);
	demand(is_utf8(buffer_bytes(&out), buffer_length(&out)), "escape_utf8 gives UTF-8");
	if (valid)
		demand(buffer_length(&out) == text.left &&
		           memcmp(buffer_bytes(&out), text.bytes, text.left) == 0,
		       "escape_utf8 leaves what is UTF-8 as it is");
	buffer_free(&out);
}

static void check_base64(struct input text)
{
	struct buffer  out;
	unsigned char *back;
	int            length;

	buffer_init(&out, LARGE);
	escape_base64(&out, text.bytes, text.left);
	demand(buffer_length(&out) == (text.left + 2) / 3 * 4, "base64 is padded");
	back = malloc(buffer_length(&out) + 1);
	length = EVP_DecodeBlock(back, (const unsigned char *)buffer_bytes(&out), (int)buffer_length(&out));
	demand(length >= (int)text.left && memcmp(back, text.bytes, text.left) == 0,
	       "base64 can be read back");
	free(back);
	buffer_free(&out);
}

static void check_quote(struct input text)
{
	struct failure failure = { 0 };
	char          *words = text_of(text);

	failure_quote(&failure, PHASE_READ, "not-protocol", "said", text.bytes, text.left);
	demand(strnlen(failure.message, sizeof failure.message) < sizeof failure.message, "a quotation ends");
	failure_set(&failure, PHASE_READ, words, "%s", words);
	demand(strnlen(failure.message, sizeof failure.message) < sizeof failure.message, "a message ends");
	demand(!utf8_valid(words, strlen(words)) || utf8_valid(failure.message, strlen(failure.message)),
	       "a message is not cut inside a character");
	free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input text = input_of(bytes, size);
	size_t       columns = take_byte(&text), room = take_byte(&text);

	if (text.left == 0)
		text.bytes = ""; /* libFuzzer gives NULL */
	check_terminal(text, columns, room);
	check_utf8(text);
	check_base64(text);
	check_quote(text);
	return 0;
}
