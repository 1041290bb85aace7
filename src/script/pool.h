/* Memory for a Lua state: small blocks from lists by size, large ones from malloc.
 *
 * A probe allocates some sixty small blocks and drops them again; taking them from a list costs a few
 * instructions each. What a pool took from the system it keeps until it is freed.
 */
#ifndef SCRIPT_POOL_H
#define SCRIPT_POOL_H

#include <stddef.h>

enum { POOL_STEP = 16, POOL_LARGEST = 256 };

struct pool {
	struct block *lists[POOL_LARGEST / POOL_STEP]; /* free blocks by size */
	struct slab  *slabs;                           /* all that was taken from the system for them */
	char         *fresh;                           /* of the newest slab: */
	size_t        left;                            /* bytes never handed out */
	size_t        held;                            /* bytes of all slabs */
};

/* A zeroed struct is an empty pool. */
void pool_free(struct pool *pool);

/* A block of `size` bytes, larger than 0; NULL: no memory. Whoever has it remembers its size. */
void *pool_take(struct pool *pool, size_t size);
void  pool_give(struct pool *pool, void *block, size_t size); /* a NULL block is fine */

/* The block with another size, moved if need be; NULL: no memory, and the block is as it was. */
void *pool_resize(struct pool *pool, void *block, size_t old_size, size_t size);

#endif
