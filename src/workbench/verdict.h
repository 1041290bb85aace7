/* What came of playing a conversation, held against its file, or against what came of it before. */
#ifndef WORKBENCH_VERDICT_H
#define WORKBENCH_VERDICT_H

#include "base/buffer.h"
#include "workbench/conversation.h"

#include <stdbool.h>

struct verdict {
	char           *fault;  /* what the client did that it should not have, or NULL */
	char           *broken; /* the bug of the script, or NULL */
	struct reported reported;
};

/* False: no memory; then there is nothing to free. */
bool verdict_take(struct verdict *verdict, const char *fault, const struct host *host,
                  const struct outcome *outcome);
void verdict_free(struct verdict *verdict);

/* Is it as the file says? If not, `findings` has a line for each difference. What a file that says nothing of
 * the report could say of it is told there too. */
bool verdict_right(const struct verdict *verdict, const struct conversation *conversation,
                   struct buffer *findings);

/* The same as the first? `how` says what was done otherwise. */
bool verdict_same(const struct verdict *verdict, const struct verdict *first, const char *how,
                  struct buffer *findings);

#endif
