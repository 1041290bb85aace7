/* The text of a script, read from its file. */
#ifndef SCRIPT_CHUNK_H
#define SCRIPT_CHUNK_H

#include <stddef.h>

/* A library is compiled while the scan goes on, and what can be compiled slowly takes by the square of it. */
enum { CHUNK_FILE = 256 * 1024, CHUNK_LIBRARY = 64 * 1024, CHUNK_REASON = 100 };

/* The text of a regular file of at most `most` bytes, in memory of its own length that is the caller's to free; never
 * waits for the other end of a pipe. NULL: it cannot be read, and `reason` says why; it is "" if there is no such file. */
char *chunk_read(const char *path, size_t most, size_t *length, char reason[CHUNK_REASON]);

#endif
