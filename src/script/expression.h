/* A question about a host's record, as a Lua expression: `ssh.open and https.tls.days_left > 14`.
 *
 * A name stands for a service of the scan, what follows its dots for a field of its record. Names are
 * checked before the scan: a misspelt service, or a field that the service cannot have, is an error. What
 * is not there in a record is nil, and a comparison with nil makes the whole expression false.
 */
#ifndef SCRIPT_EXPRESSION_H
#define SCRIPT_EXPRESSION_H

#include "base/buffer.h"
#include "script/catalogue.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct expression;

/* `services` are those of the scan. NULL: `error` says what is wrong with the text, and the way out. */
struct expression *expression_new(const struct catalogue *catalogue, const char *text,
                                  const struct service *const *services, size_t count, char *error,
                                  size_t size);
void               expression_free(struct expression *expression); /* NULL is fine */

/* The value of a path like "https.tls.days_left", a new reference, or NULL. */
typedef json_t *expression_field(void *owner, const char *path);

/* Not from two threads at a time. */
bool expression_holds(struct expression *expression, expression_field *field, void *owner);

/* Why it does not hold: the first of the parts between its `and`s that is false, and what the fields in it are, as
 * "https.tls.days_left > 14 (https.tls.days_left is 3)". Nothing if it holds. Not yet safe for a terminal. */
void expression_explain(struct expression *expression, expression_field *field, void *owner,
                        struct buffer *out);

#endif
