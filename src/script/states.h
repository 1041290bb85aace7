/* The Lua states of one thread: each script has one of its own, made when its first probe runs. So what a
 * script does to the state that it runs in, however it fills its memory, no other script can feel.
 */
#ifndef SCRIPT_STATES_H
#define SCRIPT_STATES_H

#include "script/vm.h"

struct states;

/* As for vm_new; nothing is made yet. NULL: no memory. */
struct states *states_new(const struct catalogue *catalogue, struct loop *loop, struct tls_context *tls);

/* No task may be left. NULL is fine. */
void states_free(struct states *states);

/* The state for the next probe of `script`; NULL: no memory. One in which a limit was broken is replaced, and
 * freed after its last task. */
struct vm *states_for(struct states *states, const struct script *script);

/* Bytes of Lua: for each script the most that a state of it had, all together. */
size_t states_memory(const struct states *states);

#endif
