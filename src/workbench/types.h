/* --types: what the API is, for editors (annotations of the Lua language server). */
#ifndef WORKBENCH_TYPES_H
#define WORKBENCH_TYPES_H

#include "base/buffer.h"

/* Append a file of Lua that describes what probes and programs can call. It is for editors only: nothing loads it. */
void types_write(struct buffer *out);

#endif
