/* An array that grows by one: its allocation doubles when its count is a power of two, so the count tells its size. */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stddef.h>

/* The array, which is the caller's to free, with one more element of `size` bytes at its end, cleared; `*count` counts
 * it. NULL: no memory, and all is as it was. */
void *array_grow(void *array, size_t *count, size_t size);

#endif
