/* Where results go: a queue with a maximum, and a thread that writes it out.
 *
 * A slow reader makes the queue full, and then the scan starts nothing new; the connections under way
 * are served in time all the same. Once a write fails (closed pipe, full disk) the writer is broken
 * and takes nothing any more.
 */
#ifndef OUTPUT_WRITER_H
#define OUTPUT_WRITER_H

#include <stdbool.h>
#include <stddef.h>

enum { WRITER_QUEUE = 1024 * 1024 };

struct writer;

/* To the file `path`, made anew or, with `append`, added to; to standard output if it is NULL. NULL: errno
 * says why. */
struct writer *writer_open(const char *path, bool append);

/* Call `nudge` from the writer's thread when there is room again, and when it breaks. */
void writer_listen(struct writer *writer, void (*nudge)(void *owner), void *owner);

/* Queue whole lines; each comes out in one write, perhaps together with others. From any thread; never
 * waits. What is queued is written after the next writer_flush at the latest. */
void writer_put(struct writer *writer, const char *bytes, size_t length);
void writer_flush(struct writer *writer);

bool writer_full(struct writer *writer);
bool writer_broken(struct writer *writer);

/* Does it write to a terminal? */
bool writer_terminal(const struct writer *writer);

/* Wait until all is written, and free. 0, or the errno of the first write that failed. */
int writer_close(struct writer *writer);

#endif
