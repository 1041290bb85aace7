/* A growing run of bytes that is born with a maximum.
 *
 * Bytes are appended at the end and consumed at the front. The buffer never grows past its
 * maximum: what does not fit is refused whole, which its owner reports as an ordinary error.
 * Nothing is allocated before the first byte, so an idle buffer costs only its struct.
 *
 * Owner: whoever embeds the struct; buffer_free releases the bytes and may be called twice.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buffer {
	char  *bytes;    /* the allocation, or NULL */
	size_t start;    /* first byte that is still wanted */
	size_t end;      /* one past the last byte */
	size_t capacity; /* size of the allocation */
	size_t maximum;  /* most bytes ever held at once */
	bool   refused;  /* something was, since buffer_init or buffer_clear: a text in pieces may lack one */
};

void buffer_init(struct buffer *buffer, size_t maximum);
void buffer_free(struct buffer *buffer);

/* The bytes held; valid until the next call that changes the buffer. */
const char *buffer_bytes(const struct buffer *buffer);
size_t      buffer_length(const struct buffer *buffer);

/* How many more bytes the maximum leaves room for. */
size_t buffer_room(const struct buffer *buffer);

/* Append; false, with nothing appended, if that would pass the maximum or memory is short. A record is made of some
 * hundred small pieces, so what fits the allocation is appended in place. */
bool buffer_grow(struct buffer *buffer, size_t length); /* room for so many more bytes */

static inline bool buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
	if (length > buffer->capacity - buffer->end && !buffer_grow(buffer, length))
		return false;
	if (length > 0)
		memcpy(buffer->bytes + buffer->end, bytes, length);
	buffer->end += length;
	return true;
}

static inline bool buffer_text(struct buffer *buffer, const char *text)
{
	return buffer_append(buffer, text, strlen(text));
}

bool buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drop `length` bytes (at most all) from the front. */
void buffer_consume(struct buffer *buffer, size_t length);
void buffer_clear(struct buffer *buffer);

#endif
