#include "output/writer.h"

#include "base/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

/* Beyond the size at which the writer is full there is room for what is under way. */
enum { MAXIMUM = 64 * 1024 * 1024 };

struct writer {
	int         fd;
	bool        own;  /* the descriptor is ours to close */
	size_t      most; /* bytes a write */
	uv_thread_t thread;
	uv_mutex_t  lock;
	uv_cond_t   more;

	struct buffer queue;   /* what waits */
	struct buffer writing; /* what the thread is writing; touched by no other */
	bool          closing, was_full, asleep;
	int           error; /* of the first write that failed */

	void (*nudge)(void *owner);
	void *owner;
};

/* As many lines as one write may take; one line alone may be longer. */
static size_t piece(const char *bytes, size_t length, size_t most)
{
	const char *lf;

	if (length <= most)
		return length;
	lf = memrchr(bytes, '\n', most);
	if (!lf)
		lf = memchr(bytes + most, '\n', length - most);
	return lf ? (size_t)(lf - bytes) + 1 : length;
}

static int write_all(const struct writer *writer, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(writer->fd, bytes, piece(bytes, length, writer->most));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno;
		bytes += count;
		length -= (size_t)count;
	}
	return 0;
}

/* Take the whole queue, waiting for one; false: there will be no more. */
static bool take(struct writer *writer)
{
	struct buffer empty = writer->writing;
	bool          some;

	uv_mutex_lock(&writer->lock);
	while (buffer_length(&writer->queue) == 0 && !writer->closing) {
		writer->asleep = true;
		uv_cond_wait(&writer->more, &writer->lock);
	}
	writer->asleep = false;
	writer->writing = writer->queue;
	writer->queue = empty;
	some = buffer_length(&writer->writing) > 0;
	uv_mutex_unlock(&writer->lock);
	return some;
}

/* What was taken is out, or given up: say so if somebody may be waiting for that. */
static void settle(struct writer *writer, int error)
{
	bool tell;

	buffer_clear(&writer->writing);
	uv_mutex_lock(&writer->lock);
	tell = writer->was_full;
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
	int            error = 0;

	while (take(writer)) {
		if (error == 0)
			error = write_all(writer, buffer_bytes(&writer->writing),
			                  buffer_length(&writer->writing));
		settle(writer, error);
	}
}

/* A pipe takes so much whole or not at all: who ends the process while nobody reads leaves no part of a line. */
static size_t most_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) ? PIPE_BUF : SIZE_MAX;
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
	writer->most = most_of(writer->fd);
	buffer_init(&writer->queue, MAXIMUM);
	buffer_init(&writer->writing, MAXIMUM);
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
	uv_mutex_lock(&writer->lock);
	if (writer->error == 0 && !buffer_append(&writer->queue, bytes, length))
		writer->error = ENOMEM;
	uv_mutex_unlock(&writer->lock);
}

void writer_flush(struct writer *writer)
{
	uv_mutex_lock(&writer->lock);
	if (writer->asleep && buffer_length(&writer->queue) > 0) {
		writer->asleep = false; /* one call wakes it */
		uv_cond_signal(&writer->more);
	}
	uv_mutex_unlock(&writer->lock);
}

bool writer_full(struct writer *writer)
{
	bool full;

	uv_mutex_lock(&writer->lock);
	full = buffer_length(&writer->queue) >= WRITER_QUEUE;
	if (full)
		writer->was_full = true;
	uv_mutex_unlock(&writer->lock);
	return full;
}

/* The reader of a pipe has gone. A write would say so, but it may be long until there is one. */
static bool abandoned(const struct writer *writer)
{
	struct pollfd pipe = { .fd = writer->fd };

	return poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR);
}

bool writer_broken(struct writer *writer)
{
	bool broken;

	uv_mutex_lock(&writer->lock);
	if (writer->error == 0 && abandoned(writer))
		writer->error = EPIPE;
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
	buffer_free(&writer->queue);
	buffer_free(&writer->writing);
	free(writer);
	return error;
}
