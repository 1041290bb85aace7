#include "scan/lines.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { QUEUE = 256 };

struct line {
	size_t      number;
	const char *fault;
	char       *text;
};

/* A ring of lines between the reading thread and the scan. */
struct lines {
	FILE       *file;
	char       *path;
	uv_thread_t thread;
	uv_mutex_t  lock;
	uv_cond_t   room;

	struct line ring[QUEUE];
	size_t      first, count;
	bool        ended, closing, wanted;

	void (*nudge)(void *owner);
	void *owner;
};

size_t lines_mark(const char *text)
{
	static const char mark[] = "\xef\xbb\xbf";

	return strncmp(text, mark, sizeof mark - 1) == 0 ? sizeof mark - 1 : 0;
}

/* --- the reading thread ---------------------------------------------------------------------- */

/* Read up to LF into `text`; false at the end of the file. */
static bool read_line(FILE *file, char *text, const char **fault)
{
	size_t length = 0;
	int    byte;

	*fault = NULL;
	while ((byte = getc(file)) != EOF && byte != '\n') {
		if (byte == '\0')
			*fault = "the line holds a NUL byte";
		else if (length == LINES_LENGTH - 1)
			*fault = "the line is longer than 4,095 bytes";
		else
			text[length++] = (char)byte;
	}
	if (length > 0 && text[length - 1] == '\r')
		length--;
	text[*fault ? 0 : length] = '\0';
	return byte != EOF || length > 0 || *fault;
}

/* Under the lock, so that nobody is nudged any more once lines_listen has said so. */
static void tell(struct lines *lines)
{
	if (!lines->wanted || !lines->nudge)
		return;
	lines->wanted = false;
	lines->nudge(lines->owner);
}

/* Put a line into the ring, waiting for room; false: nobody wants any more. */
static bool put(struct lines *lines, const struct line *line)
{
	bool closing;

	uv_mutex_lock(&lines->lock);
	while (lines->count == QUEUE && !lines->closing)
		uv_cond_wait(&lines->room, &lines->lock);
	closing = lines->closing;
	if (!closing) {
		lines->ring[(lines->first + lines->count++) % QUEUE] = *line;
		tell(lines);
	}
	uv_mutex_unlock(&lines->lock);
	if (closing)
		free(line->text);
	return !closing;
}

static void release(struct lines *lines)
{
	for (; lines->count > 0; lines->count--) {
		free(lines->ring[lines->first].text);
		lines->first = (lines->first + 1) % QUEUE;
	}
	if (lines->file != stdin)
		fclose(lines->file);
	uv_mutex_destroy(&lines->lock);
	uv_cond_destroy(&lines->room);
	free(lines->path);
	free(lines);
}

static void finish(struct lines *lines)
{
	bool closing;

	uv_mutex_lock(&lines->lock);
	lines->ended = true;
	closing = lines->closing;
	tell(lines);
	uv_mutex_unlock(&lines->lock);
	if (closing)
		release(lines);
}

/* What is behind this line is not read: that is said in place of the next one. */
static void break_off(struct lines *lines, struct line *line, const char *fault)
{
	line->number++;
	line->fault = fault;
	line->text = calloc(1, 1);
	if (line->text)
		put(lines, line);
}

static void run(void *argument)
{
	struct lines *lines = argument;
	char          text[LINES_LENGTH];
	struct line   line = { 0 };

	while (read_line(lines->file, text, &line.fault)) {
		line.text = strdup(line.number++ == 0 ? text + lines_mark(text) : text);
		if (!line.text || !put(lines, &line))
			break;
	}
	if (ferror(lines->file))
		break_off(lines, &line, "cannot be read; nor can what is behind it");
	else if (line.number > 0 && !line.text)
		break_off(lines, &line, "not enough memory for it, and for what is behind it");
	finish(lines);
}

/* --- the scan's side ------------------------------------------------------------------------- */

struct lines *lines_open(const char *path)
{
	struct lines *lines = calloc(1, sizeof *lines);

	if (!lines)
		return NULL;
	lines->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	lines->path = strdup(strcmp(path, "-") == 0 ? "standard input" : path);
	uv_mutex_init(&lines->lock);
	uv_cond_init(&lines->room);
	if (lines->file && lines->path && uv_thread_create(&lines->thread, run, lines) == 0)
		return lines;
	if (lines->file)
		errno = EAGAIN;
	free(lines->path);
	free(lines);
	return NULL;
}

void lines_listen(struct lines *lines, void (*nudge)(void *owner), void *owner)
{
	uv_mutex_lock(&lines->lock);
	lines->nudge = nudge;
	lines->owner = owner;
	uv_mutex_unlock(&lines->lock);
}

enum lines_step lines_next(struct lines *lines, char text[LINES_LENGTH], size_t *number, const char **fault)
{
	enum lines_step step = LINES_ONE;
	struct line     line = { 0 };

	uv_mutex_lock(&lines->lock);
	if (lines->count > 0) {
		line = lines->ring[lines->first];
		lines->first = (lines->first + 1) % QUEUE;
		lines->count--;
		uv_cond_signal(&lines->room);
	} else {
		step = lines->ended ? LINES_END : LINES_LATER;
		lines->wanted = true;
	}
	uv_mutex_unlock(&lines->lock);
	if (step != LINES_ONE)
		return step;
	strcpy(text, line.text);
	free(line.text);
	*number = line.number;
	*fault = line.fault;
	return LINES_ONE;
}

const char *lines_path(const struct lines *lines)
{
	return lines->path;
}

/* A thread that is still reading, perhaps a pipe that says nothing, is let go, and frees what it uses when
 * it comes to its end. */
void lines_close(struct lines *lines)
{
	uv_thread_t thread = lines->thread;
	bool        ended;

	uv_mutex_lock(&lines->lock);
	lines->closing = true;
	lines->nudge = NULL;
	uv_cond_signal(&lines->room);
	ended = lines->ended;
	uv_mutex_unlock(&lines->lock);
	if (!ended) {
		pthread_detach(thread);
		return;
	}
	uv_thread_join(&thread);
	release(lines);
}
