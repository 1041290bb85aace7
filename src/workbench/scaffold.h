/* --new NAME: a probe to begin with, and the conversation that tests it, in the current folder. */
#ifndef WORKBENCH_SCAFFOLD_H
#define WORKBENCH_SCAFFOLD_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Write NAME.lua and NAME.conversation, or neither; files that are there are never overwritten. `port` may be 0:
 * the probe has none of its own then. `said` tells what was done and what to do next, or why not. */
bool scaffold_make(const char *name, uint16_t port, char *said, size_t size);

/* The same with these texts. `said` is set only where it could not be done. */
bool scaffold_write(const char *name, const struct buffer *script, const struct buffer *talk, char *said,
                    size_t size);

#endif
