#include "script/chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct text {
	char  *bytes;
	size_t length;
};

/* Read on until there are `room` bytes or the file ends, which it does, without being asked again, where it said that
 * it would. */
static bool fill(int fd, struct text *text, size_t room, size_t told)
{
	ssize_t got;

	do {
		got = read(fd, text->bytes + text->length, room - text->length);
		text->length += got > 0 ? (size_t)got : 0;
	} while (got < 0 ? errno == EINTR : got > 0 && text->length < room && text->length != told);
	return got >= 0;
}

/* Have a byte more than `size`: that there is none to fill it shows the end. */
static bool make_room(struct text *text, size_t size)
{
	char *bytes = realloc(text->bytes, size + 1);

	if (bytes)
		text->bytes = bytes;
	return bytes != NULL;
}

/* A file may grow while it is read; what is in /proc says that it has no length at all. */
static bool read_text(int fd, struct text *text, size_t told, size_t most)
{
	return make_room(text, told) && fill(fd, text, told + 1, told) &&
	       (text->length <= told || told == most ||
	        (make_room(text, most) && fill(fd, text, most + 1, most + 1)));
}

static bool take(int fd, struct text *text, size_t most, char *reason)
{
	struct stat status;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		snprintf(reason, CHUNK_REASON, "not a regular file");
		return false;
	}
	if (status.st_size <= (off_t)most && !read_text(fd, text, (size_t)status.st_size, most)) {
		snprintf(reason, CHUNK_REASON, "%s", errno == ENOMEM ? "not enough memory" : strerror(errno));
		return false;
	}
	if (status.st_size > (off_t)most || text->length > most) {
		snprintf(reason, CHUNK_REASON, "larger than %zu KiB", most / 1024);
		return false;
	}
	return true;
}

char *chunk_read(const char *path, size_t most, size_t *length, char reason[CHUNK_REASON])
{
	int         fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct text text = { NULL, 0 };
	bool        good;

	if (fd < 0) {
		snprintf(reason, CHUNK_REASON, "%s", errno == ENOENT ? "" : strerror(errno));
		return NULL;
	}
	good = take(fd, &text, most, reason);
	close(fd);
	if (!good) {
		free(text.bytes);
		return NULL;
	}
	*length = text.length;
	return text.bytes;
}
