#include "output/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct record {
	struct record *next;
	size_t         length;
	char           bytes[];
};

struct writer {
	int         fd;
	bool        own; /* the descriptor is ours to close */
	uv_thread_t thread;
	uv_mutex_t  lock;
	uv_cond_t   more;

	struct record *first, **last;
	size_t         queued; /* bytes */
	bool           closing, was_full;
	int            error; /* of the first write that failed */

	void (*nudge)(void *owner);
	void *owner;
};

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(fd, bytes, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno;
		bytes += count;
		length -= (size_t)count;
	}
	return 0;
}

/* Take the whole queue, waiting for one; NULL: there will be no more. */
static struct record *take(struct writer *writer)
{
	struct record *records;

	uv_mutex_lock(&writer->lock);
	while (!writer->first && !writer->closing)
		uv_cond_wait(&writer->more, &writer->lock);
	records = writer->first;
	writer->first = NULL;
	writer->last = &writer->first;
	uv_mutex_unlock(&writer->lock);
	return records;
}

/* One record is out, or given up: count it, and say so if somebody may be waiting for that. */
static void settle(struct writer *writer, size_t length, int error)
{
	bool tell;

	uv_mutex_lock(&writer->lock);
	writer->queued -= length;
	tell = writer->was_full && writer->queued <= WRITER_QUEUE / 2;
	if (tell)
		writer->was_full = false;
	if (error != 0 && writer->error == 0) {
		writer->error = error;
		tell = true;
	}
	uv_mutex_unlock(&writer->lock);
	if (tell && writer->nudge)
		writer->nudge(writer->owner);
}

static void run(void *argument)
{
	struct writer *writer = argument;
	struct record *records;
	int            error = 0;

	while ((records = take(writer)) != NULL) {
		while (records) {
			struct record *next = records->next;

			if (error == 0)
				error = write_all(writer->fd, records->bytes, records->length);
			settle(writer, records->length, error);
			free(records);
			records = next;
		}
	}
}

/* Take off what stands behind the last LF: the beginning of a record that was never finished. */
static void cut_unfinished(int fd)
{
	off_t length = lseek(fd, 0, SEEK_END);
	char  byte;

	while (length > 0 && pread(fd, &byte, 1, length - 1) == 1 && byte != '\n')
		length--;
	if (ftruncate(fd, length) < 0)
		return; /* not a file that can be cut; then a reader has to pass over one bad line */
}

static int open_file(const char *path, bool append)
{
	int flags = append ? O_RDWR | O_APPEND : O_WRONLY | O_TRUNC;
	int fd = open(path, flags | O_CREAT | O_CLOEXEC, 0666);

	if (fd >= 0 && append)
		cut_unfinished(fd);
	return fd;
}

struct writer *writer_open(const char *path, bool append)
{
	struct writer *writer = calloc(1, sizeof *writer);

	if (!writer)
		return NULL;
	writer->own = path != NULL;
	writer->fd = path ? open_file(path, append) : STDOUT_FILENO;
	if (writer->fd < 0) {
		free(writer);
		return NULL;
	}
	writer->last = &writer->first;
	uv_mutex_init(&writer->lock);
	uv_cond_init(&writer->more);
	if (uv_thread_create(&writer->thread, run, writer) != 0) {
		if (writer->own)
			close(writer->fd);
		free(writer);
		errno = EAGAIN;
		return NULL;
	}
	return writer;
}

void writer_listen(struct writer *writer, void (*nudge)(void *owner), void *owner)
{
	uv_mutex_lock(&writer->lock);
	writer->nudge = nudge;
	writer->owner = owner;
	uv_mutex_unlock(&writer->lock);
}

void writer_put(struct writer *writer, const char *bytes, size_t length)
{
	struct record *record = malloc(sizeof *record + length);

	uv_mutex_lock(&writer->lock);
	if (!record && writer->error == 0)
		writer->error = ENOMEM;
	if (record && writer->error == 0) {
		*record = (struct record){ .length = length };
		memcpy(record->bytes, bytes, length);
		*writer->last = record;
		writer->last = &record->next;
		writer->queued += length;
		record = NULL;
		uv_cond_signal(&writer->more);
	}
	uv_mutex_unlock(&writer->lock);
	free(record);
}

bool writer_full(struct writer *writer)
{
	bool full;

	uv_mutex_lock(&writer->lock);
	full = writer->queued >= WRITER_QUEUE;
	if (full)
		writer->was_full = true;
	uv_mutex_unlock(&writer->lock);
	return full;
}

bool writer_broken(struct writer *writer)
{
	bool broken;

	uv_mutex_lock(&writer->lock);
	broken = writer->error != 0;
	uv_mutex_unlock(&writer->lock);
	return broken;
}

bool writer_terminal(const struct writer *writer)
{
	return isatty(writer->fd);
}

int writer_close(struct writer *writer)
{
	int error;

	uv_mutex_lock(&writer->lock);
	writer->closing = true;
	uv_cond_signal(&writer->more);
	uv_mutex_unlock(&writer->lock);
	uv_thread_join(&writer->thread);
	error = writer->error;
	if (writer->own && close(writer->fd) < 0 && error == 0)
		error = errno;
	uv_mutex_destroy(&writer->lock);
	uv_cond_destroy(&writer->more);
	free(writer);
	return error;
}
