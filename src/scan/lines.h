/* Target lists from files and pipes, a line at a time, read by a thread of its own: a slow pipe never
 * holds up a scan that is under way. */
#ifndef SCAN_LINES_H
#define SCAN_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum { LINES_LENGTH = 4096 };

struct lines;

/* Open `path`, or standard input for "-". NULL: errno says why. */
struct lines *lines_open(const char *path);
void          lines_close(struct lines *lines); /* does not wait for a pipe that says nothing */

/* `nudge` is called from the reading thread when lines_next had said LINES_LATER and there is more now; after
 * a call with NULL it is called no more. It must not call back. */
void lines_listen(struct lines *lines, void (*nudge)(void *owner), void *owner);

enum lines_step { LINES_ONE, LINES_LATER, LINES_END };

/* The next line without its LF or CRLF, and its number from 1; the first without its mark. A line that is
 * too long or holds a NUL comes with `fault` set (static text) and is empty. */
enum lines_step lines_next(struct lines *lines, char line[LINES_LENGTH], size_t *number, const char **fault);

/* The length of the mark of UTF-8 that some editors put before a text; 0: it has none. */
size_t lines_mark(const char *text);

const char *lines_path(const struct lines *lines);

#endif
