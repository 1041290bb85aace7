#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void buffer_init(struct buffer *buffer, size_t maximum)
{
	*buffer = (struct buffer){ .maximum = maximum };
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->bytes);
	buffer_init(buffer, buffer->maximum);
}

const char *buffer_bytes(const struct buffer *buffer)
{
	return buffer->bytes ? buffer->bytes + buffer->start : "";
}

size_t buffer_length(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

size_t buffer_room(const struct buffer *buffer)
{
	return buffer->maximum - buffer_length(buffer);
}

/* Move what is held to the front of the allocation. */
static void compact(struct buffer *buffer)
{
	size_t length = buffer_length(buffer);

	if (buffer->start > 0 && length > 0)
		memmove(buffer->bytes, buffer->bytes + buffer->start, length);
	buffer->start = 0;
	buffer->end = length;
}

static size_t grown(const struct buffer *buffer, size_t wanted)
{
	size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;

	while (capacity < wanted && capacity <= SIZE_MAX / 2)
		capacity *= 2;
	if (capacity < wanted || capacity > buffer->maximum)
		capacity = buffer->maximum;
	return capacity;
}

static bool refuse(struct buffer *buffer)
{
	buffer->refused = true;
	return false;
}

bool buffer_grow(struct buffer *buffer, size_t length)
{
	size_t capacity;
	char  *bytes;

	if (length > buffer_room(buffer))
		return refuse(buffer);
	if (length <= buffer->capacity - buffer->end)
		return true;
	compact(buffer);
	if (length <= buffer->capacity - buffer->end)
		return true;
	capacity = grown(buffer, buffer->end + length);
	bytes = realloc(buffer->bytes, capacity);
	if (!bytes)
		return refuse(buffer);
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	return true;
}

bool buffer_format(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	char   *text;
	int     length;
	bool    good;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return refuse(buffer);
	good = buffer_append(buffer, text, (size_t)length);
	free(text);
	return good;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
	if (length >= buffer_length(buffer))
		buffer_clear(buffer);
	else
		buffer->start += length;
}

void buffer_clear(struct buffer *buffer)
{
	buffer->start = 0;
	buffer->end = 0;
	buffer->refused = false;
}
