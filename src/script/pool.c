#include "script/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SLAB = 32 * 1024 };

struct block {
	struct block *next;
};

struct slab {
	_Alignas(POOL_STEP) struct slab *next;
};

void pool_free(struct pool *pool)
{
	while (pool->slabs) {
		struct slab *next = pool->slabs->next;

		free(pool->slabs);
		pool->slabs = next;
	}
	memset(pool, 0, sizeof *pool);
}

static size_t class_of(size_t size)
{
	return (size - 1) / POOL_STEP;
}

/* What is left of the slab before is lost, a block's size at the most. */
static bool add_slab(struct pool *pool)
{
	struct slab *slab = malloc(SLAB);

	if (!slab)
		return false;
	pool->held += SLAB;
	slab->next = pool->slabs;
	pool->slabs = slab;
	pool->fresh = (char *)(slab + 1);
	pool->left = SLAB - sizeof *slab;
	return true;
}

/* A block that was never used, of a size that is a multiple of POOL_STEP. */
static void *take_fresh(struct pool *pool, size_t size)
{
	void *block;

	if (pool->left < size && !add_slab(pool))
		return NULL;
	block = pool->fresh;
	pool->fresh += size;
	pool->left -= size;
	return block;
}

void *pool_take(struct pool *pool, size_t size)
{
	struct block **list;
	struct block  *block;

	if (size > POOL_LARGEST)
		return malloc(size);
	list = &pool->lists[class_of(size)];
	block = *list;
	if (!block)
		return take_fresh(pool, (class_of(size) + 1) * POOL_STEP);
	*list = block->next;
	return block;
}

void pool_give(struct pool *pool, void *block, size_t size)
{
	struct block **list;

	if (!block)
		return;
	if (size > POOL_LARGEST) {
		free(block);
		return;
	}
	list = &pool->lists[class_of(size)];
	((struct block *)block)->next = *list;
	*list = block;
}

void *pool_resize(struct pool *pool, void *block, size_t old_size, size_t size)
{
	void *moved;

	if (old_size > POOL_LARGEST && size > POOL_LARGEST)
		return realloc(block, size);
	if (old_size <= POOL_LARGEST && size <= POOL_LARGEST && class_of(old_size) == class_of(size))
		return block;
	moved = pool_take(pool, size);
	if (!moved)
		return NULL;
	memcpy(moved, block, old_size < size ? old_size : size);
	pool_give(pool, block, old_size);
	return moved;
}
