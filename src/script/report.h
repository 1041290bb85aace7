/* What a probe reports: data for the record, lines for the reader, warnings for both. */
#ifndef SCRIPT_REPORT_H
#define SCRIPT_REPORT_H

#include "base/buffer.h"
#include "script/pack.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { REPORT_LINES = 64 * 1024, REPORT_BYTES = 256 * 1024 };

struct report {
	struct pack   data;     /* its budget, REPORT_BYTES, is that of the warnings too */
	json_t       *warnings; /* array of {code, text}, or NULL while empty */
	struct buffer lines;    /* see report_next */
	bool          wordless; /* nobody wants them: they are not kept */
	bool          held;     /* what follows these is not shown yet: */
	size_t        hold;     /* bytes of `lines` */
	/* Called after each line, if set, so that a reader sees it as soon as it is known. */
	void (*changed)(void *owner);
	void *owner;
};

void report_init(struct report *report);
void report_free(struct report *report);

/* Add text for the reader: each of its lines, split at LF, becomes a line. */
void report_print(struct report *report, const char *text, size_t length);

/* Add a warning to the record and its text for the reader. Both are bytes as a server sent them. */
void report_warn(struct report *report, const char *code, const char *text, size_t length);

/* A warning for the record only; one for the reader only. */
void report_note(struct report *report, const char *code, const char *text, size_t length);
void report_remark(struct report *report, const char *text, size_t length);

/* The same conversation will be tried once more: lines from here on are not shown until it is known which
 * of the two counts. */
void report_hold(struct report *report);
void report_release(struct report *report); /* the first one does */

/* The second one does: take over all that `other` has. As many of its lines as were shown of the first are
 * taken to be the same, and not shown again. */
void report_replace(struct report *report, struct report *other);

/* Walk the lines: `place` starts at 0. False when there is none at `place`. */
struct report_line {
	const char *bytes;
	size_t      length;
	bool        warning; /* ours, not the server's */
};
bool report_next(const struct report *report, size_t *place, struct report_line *line);

#endif
