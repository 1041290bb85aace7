/* What a half-typed word could become: globals, fields, methods, the shell's commands. */
#ifndef WORKBENCH_COMPLETE_H
#define WORKBENCH_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

struct program;

enum { COMPLETE_MOST = 100, COMPLETE_NAME = 64 };

struct completion {
	size_t typed; /* bytes of the last part that stand there already */
	size_t count;
	char   names[COMPLETE_MOST][COMPLETE_NAME]; /* the whole last parts, in order */
};

/* The continuations of `line`, whose cursor is at its end. Runs no code of the user's. */
void complete_line(struct program *program, const char *line, size_t length, struct completion *completion);

/* How many bytes all the names have in common. */
size_t complete_common(const struct completion *completion);

#endif
