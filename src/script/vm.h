/* One Lua state: its memory, its sandbox, its limits. A worker thread has one for each script, see states.h.
 *
 * Every script file runs in an environment of its own (base, string, table, math, utf8, scan and
 * require of lib/ only), so what one does to its globals no other sees. Memory is capped, CPU time
 * is counted: a script that breaks a limit is killed, in a way it cannot catch, and the state is
 * marked for retirement. A trusted state has none of this.
 *
 * Functions that take a lua_State first may raise a Lua error; all others never do.
 */
#ifndef SCRIPT_VM_H
#define SCRIPT_VM_H

#include "net/loop.h"
#include "net/tls.h"
#include "script/catalogue.h"
#include "script/pool.h"

#include <stdbool.h>
#include <stddef.h>

struct lua_State;
struct task;

/* Beyond what the scripts themselves take; and for each probe that is running as much again as a server can
 * make it hold, so that no number of talkative servers uses up what is there for all. */
enum { VM_MEMORY = 16 * 1024 * 1024, VM_PROBE_MEMORY = 128 * 1024 };
enum { VM_KEYS = 8192 }; /* of a table that are not 1 to n */
enum { VM_IDLE = 1024 }; /* coroutines kept for later use */

struct vm {
	struct lua_State       *state;
	const struct catalogue *catalogue;
	struct catalogue   *keeper; /* the same while it is being filled: compiled libraries are kept there */
	struct loop        *loop;   /* NULL while scripts are only declared, not run */
	struct tls_context *tls;
	struct task        *running; /* whose coroutine is on the processor */
	size_t              task_count;
	bool
	    retired; /* a limit was broken: another state takes over once there is room for it, see states.h */
	bool trusted; /* no sandbox: see vm_new_trusted */

	size_t      memory, memory_limit, memory_peak; /* bytes */
	const char *excess; /* the limit that the last block asked for would have broken, or NULL */
	struct pool pool;
	size_t      steps; /* of matching strings, left to this resume */

	/* CPU time, counted by the ticks of a timer of the thread while a script is on the processor. */
	struct lua_State *on_processor; /* NULL: none is */
	volatile unsigned slice, spent; /* ticks: of this resume; of the task before it */
	volatile bool     killed;       /* the coroutine went past its budget */
	volatile bool     interrupted;  /* see vm_interrupt */

	int *probes; /* registry references of the probes loaded so far, by script index */

	/* Coroutines that have ended and can be used again, with their registry references. */
	struct {
		struct lua_State *thread;
		int               reference;
	} idle[VM_IDLE];
	size_t idle_count;
};

/* `loop` and `tls` may be NULL for a state that only reads declarations. NULL: no memory. */
struct vm *vm_new(const struct catalogue *catalogue, struct loop *loop, struct tls_context *tls);

/* Without sandbox, for what the user wrote or vouches for: all of Lua's libraries, `require` of Lua's usual path
 * behind the scripts' own lib/, the whole of `scan`, no limit of memory or CPU time. */
struct vm *vm_new_trusted(const struct catalogue *catalogue, struct loop *loop, struct tls_context *tls);

/* Stop the script that is on the processor, if there is one, with the error "interrupted". For a signal handler of
 * the thread that runs it. */
void vm_interrupt(struct vm *vm);

/* No task may be left. NULL is fine. */
void vm_free(struct vm *vm);

/* The vm that a state or coroutine belongs to. */
struct vm *vm_of(struct lua_State *L);

/* Run `function` protected, with `argument` as its only argument, a light userdata, outside any
 * task, under the CPU budget. On failure the message goes to `error`. */
bool vm_protected(struct vm *vm, int (*function)(struct lua_State *L), void *argument, char *error,
                  size_t size);

/* Push the probe function of `script`, loading it on its first use. [-0, +1, e] */
void vm_push_probe(struct lua_State *L, const struct script *script);

/* A coroutine to run a task in, anchored until it is given back; `reusable` only if it ended in
 * good order. [-0, +0, m] */
struct lua_State *vm_take_thread(struct lua_State *L, int *reference);
void              vm_give_thread(struct lua_State *L, struct lua_State *thread, int reference, bool reusable);

/* Bracket for the time that a coroutine is on the processor. Ticks come every VM_TICK ms of CPU time. */
enum { VM_TICK = 10, VM_RESUME_TICKS = 50 / VM_TICK, VM_PROBE_TICKS = 250 / VM_TICK };
enum { VM_STEPS = 1000000 }; /* of matching strings, while it is there */
void     vm_enter(struct vm *vm, struct lua_State *thread, struct task *task, unsigned spent);
unsigned vm_leave(struct vm *vm); /* ticks spent so far in all */

/* Raise if the script that is running is past its CPU time: for functions of C that may run for long. [-0, +0, e] */
void vm_check(struct lua_State *L);

/* What C does for a script, like the arithmetic of a handshake, is not the script's CPU time. */
void vm_pause(struct vm *vm);
void vm_go_on(struct vm *vm, struct lua_State *thread);

/* Start the timer of the calling thread, once for each thread that runs scripts. Without it a script
 * could run for ever; false: the system gives none. */
bool vm_watch_thread(void);

/* Stop it again, before a thread ends that the process outlives. */
void vm_unwatch_thread(void);

#endif
