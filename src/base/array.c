#include "base/array.h"

#include <stdlib.h>
#include <string.h>

void *array_grow(void *array, size_t *count, size_t size)
{
	size_t had = *count;
	char  *grown = array;

	if ((had & (had - 1)) == 0)
		grown = realloc(array, (had > 0 ? 2 * had : 1) * size);
	if (!grown)
		return NULL;
	memset(grown + had * size, 0, size);
	++*count;
	return grown;
}
