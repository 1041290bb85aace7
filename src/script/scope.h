/* What lives and ends together: the connections and listeners that a script has opened, and the tasks that it
 * has spawned. A probe has a scope of its own, which ends with it; that of a program, or of an interactive
 * session, lasts as long as that.
 *
 * Lua's garbage collector may come first: then one thing leaves the scope alone.
 */
#ifndef SCRIPT_SCOPE_H
#define SCRIPT_SCOPE_H

#include "net/observer.h"

#include <stddef.h>

struct handle;
struct task;
struct task_result;

/* Something of Lua's that has something of C's. Embedded in a userdata; `drop` takes the C part away and
 * leaves the userdata empty. */
struct held {
	struct held **place, *next; /* in the scope's list; place is NULL while in none */
	void (*drop)(struct held *held);
};

struct scope {
	struct held *held;
	struct task *tasks;  /* the spawned ones */
	size_t       opened; /* connections so far */
	int          family; /* of the addresses that names are looked up for */

	/* Both may be NULL. What is said on a connection; a spawned task failed and nobody waited for it. */
	void (*told)(void *owner, const struct handle *handle, double ms, enum event event, const char *bytes,
	             size_t length);
	void (*lost)(void *owner, const struct task_result *result);
	void *owner;
};

void scope_hold(struct scope *scope, struct held *held);

/* Take it out of its scope and drop it. Idempotent. */
void scope_drop(struct held *held);

/* End the tasks, then drop everything. Not from inside a running script. */
void scope_release(struct scope *scope);

#endif
