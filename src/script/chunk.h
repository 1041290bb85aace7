/* The text of a script, read from its file. */
#ifndef SCRIPT_CHUNK_H
#define SCRIPT_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

/* A library is compiled while the scan goes on, and what can be compiled slowly takes by the square of it. */
enum { CHUNK_FILE = 256 * 1024, CHUNK_LIBRARY = 64 * 1024, CHUNK_REASON = 100 };

/* Read a regular file of at most `room` bytes; never waits for the other end of a pipe. False: it cannot be
 * read, and `reason` says why; it is "" if there is no such file. */
bool chunk_read(const char *path, char *bytes, size_t room, size_t *length, char reason[CHUNK_REASON]);

#endif
