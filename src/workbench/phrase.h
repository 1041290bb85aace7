/* Words with marks in them for what differs from one time to the next: "EHLO {any}". */
#ifndef WORKBENCH_PHRASE_H
#define WORKBENCH_PHRASE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

enum mark { MARK_NONE, MARK_ANY, MARK_BYTES, MARK_WORD, MARK_NUMBER, MARK_DATE };

/* A byte, or a mark. */
struct token {
	unsigned char  mark;  /* enum mark */
	unsigned char  byte;  /* MARK_NONE */
	unsigned short width; /* MARK_BYTES */
};

struct phrase {
	struct token *tokens;
	size_t        count;
};

/* A mark that stands for one fixed text, such as {host}. */
struct fact {
	const char *name, *value;
};

/* Read `text`; with `escapes`, \r, \n, \t, \0, \e, \xNN and \\ stand for bytes, and there may be {any:N}.
 * `facts` ends with a NULL name, and may be NULL. False: `fault` says why; static text. */
bool phrase_read(struct phrase *phrase, const char *text, size_t length, bool escapes,
                 const struct fact *facts, const char **fault);
/* The mark that was meant by the first pair of braces in `text` that looks like a misspelt one, which begin at *at;
 * NULL: there is none. */
const char *phrase_misspelt(const char *text, const char **at);

bool phrase_add(struct phrase *phrase, const char *bytes, size_t length); /* false: no memory */
void phrase_free(struct phrase *phrase);

/* Has it marks whose width is not fixed? */
bool   phrase_stretches(const struct phrase *phrase);
size_t phrase_width(const struct phrase *phrase); /* of one that does not */

/* Do all of the bytes fit? */
bool phrase_fits(const struct phrase *phrase, const char *bytes, size_t length);

/* Append an example. */
bool phrase_example(const struct phrase *phrase, struct buffer *out);

/* Append bytes so that phrase_read with `escapes` gives them back. */
bool phrase_quote(struct buffer *out, const char *bytes, size_t length);

#endif
