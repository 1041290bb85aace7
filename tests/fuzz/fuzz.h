/* What the fuzz targets share: how one says that something is wrong, and how bytes become choices and texts.
 *
 * A target is one file, linked with all of src but main. `make check-fuzz` builds and runs them, see ./run.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/buffer.h"
#include "base/escape.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* --- what must hold -------------------------------------------------------------------------- */

/* Unless it does, say so, show `shown` where that helps, and stop: the input is a finding. */
static inline void demand_of(bool holds, const char *what, const char *shown, size_t length)
{
	if (holds)
		return;
	fprintf(stderr, "WRONG: %s\n", what);
	if (shown) {
		fwrite(shown, 1, length, stderr);
		fputc('\n', stderr);
	}
	abort();
}

static inline void demand(bool holds, const char *what)
{
	demand_of(holds, what, NULL, 0);
}

/* jansson's idea of UTF-8, which is not ours. */
static inline bool is_utf8(const char *text, size_t length)
{
	json_t *string = json_stringn(text, length);
	bool    good = string != NULL;

	json_decref(string);
	return good;
}

/* May a terminal get it? Of what is below a space only LF, and that only if there may be `lines`. */
static inline void demand_safe(const char *text, size_t length, bool lines)
{
	uint32_t code;
	size_t   taken;

	demand_of(is_utf8(text, length), "what is shown is UTF-8", text, length);
	for (size_t at = 0; at < length; at += taken) {
		taken = 1;
		if (text[at] >= ' ' && text[at] <= '~')
			continue;
		taken = utf8_decode(text + at, length - at, &code);
		demand_of(taken > 0, "what is shown is UTF-8", text, length);
		demand_of((lines && code == '\n') || !escape_hidden(code), "what is shown cannot do harm",
		          text, length);
	}
}

/* A message to the user: there is one, on one line, safe, and whole. */
static inline void demand_message(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	demand(length > 0, "an error is explained");
	demand(length < size, "an explanation ends");
	demand_of(!memchr(text, '\n', length), "an explanation is one line", text, length);
}

/* --- choices --------------------------------------------------------------------------------- */

struct input {
	const char *bytes;
	size_t      left;
};

static inline struct input input_of(const uint8_t *bytes, size_t size)
{
	return (struct input){ (const char *)bytes, size };
}

/* 0 to 255; 0 when the bytes are used up. */
static inline unsigned take_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return (unsigned char)*input->bytes++;
}

/* Below `limit`. */
static inline unsigned take_below(struct input *input, unsigned limit)
{
	return take_byte(input) % limit;
}

/* What comes before the next `mark`, which is passed over, or all the rest. */
static inline struct input take_until(struct input *input, char mark)
{
	const char  *end = input->left > 0 ? memchr(input->bytes, mark, input->left) : NULL;
	struct input taken = { input->bytes, end ? (size_t)(end - input->bytes) : input->left };

	input->bytes += taken.left + (end != NULL);
	input->left -= taken.left + (end != NULL);
	return taken;
}

/* A copy with a NUL behind it, to be freed: an overrun of it is seen. It ends where the bytes have a NUL. */
static inline char *text_of(struct input input)
{
	char *text = input.left > 0 ? strndup(input.bytes, input.left) : strdup("");

	if (!text)
		exit(0);
	return text;
}

#endif
