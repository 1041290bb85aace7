#include "script/vm.h"

#include "script/place.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A script of a trusted state looks up from its work after so many instructions, whether it is interrupted. */
enum { LOOK_EVERY = 10000 };

/* Garbage is looked for when memory is at so many per cent of what the last look left. Lua's own 200 would let a
 * thousand talkative servers take twice the room that they need. */
enum { GC_PAUSE = 150 };

/* --- memory ---------------------------------------------------------------------------------- */

/* Is a table to get a hash part so large? It is told by its size, a power of two of Lua's nodes, and by its being
 * new and no object, whose type Lua would give in place of the old size.
 *
 * A script can choose numbers as keys so that all fall onto one place when the table grows: moving them there takes
 * by the square of their number, seconds for some ten thousand, within a single instruction. */
static bool is_large_hash(const void *block, size_t old, size_t size)
{
	enum { NODE = 24 };
	size_t nodes = size / NODE;

	return size > VM_KEYS * NODE && !block && old == 0 && size % NODE == 0 && (nodes & (nodes - 1)) == 0;
}

/* Which limit would be broken by a block of that size in place of one of `held` bytes; NULL: none. */
static const char *excess(const struct vm *vm, const void *block, size_t old, size_t held, size_t size)
{
	size_t limit = vm->memory_limit + vm->task_count * VM_PROBE_MEMORY;

	if (size > held && vm->memory - held + size > limit)
		return "used more memory than the 16 MiB that there are for all";
	if (!vm->trusted && is_large_hash(block, old, size))
		return "made a table of more than 8192 keys";
	return NULL;
}

/* Lua's allocator. It never refuses to make a block smaller, which Lua relies on. */
static void *allocate(void *context, void *block, size_t old, size_t size)
{
	struct vm *vm = context;
	size_t     held = block ? old : 0;
	void      *moved;

	if (size == 0) {
		pool_give(&vm->pool, block, held);
		vm->memory -= held;
		return NULL;
	}
	vm->excess = excess(vm, block, old, held, size);
	if (vm->excess) {
		vm->retired = true;
		return NULL;
	}
	vm->retired = vm->retired || (!vm->trusted && vm->pool.held > 2 * VM_MEMORY);
	moved = block ? pool_resize(&vm->pool, block, held, size) : pool_take(&vm->pool, size);
	if (!moved && size <= held)
		moved = block; /* larger than it has to be */
	if (moved)
		vm->memory = vm->memory - held + size;
	if (vm->memory > vm->memory_peak)
		vm->memory_peak = vm->memory;
	return moved;
}

/* --- CPU time -------------------------------------------------------------------------------- */

/* The Lua state whose script this thread is running, for the timer's signal handler. */
static _Thread_local struct vm *volatile watched;

static const char used_up[] = "the script used up its CPU time";

/* Past the budget a coroutine is yielded away, which no pcall catches; where it cannot yield it is
 * interrupted at every instruction until it is out. */
static void interrupt(lua_State *L, lua_Debug *debug)
{
	(void)debug;
	lua_sethook(L, interrupt, LUA_MASKCOUNT, 1);
	if (lua_isyieldable(L)) {
		lua_yield(L, 0);
		return;
	}
	luaL_where(L, 0);
	lua_pushstring(L, used_up);
	lua_concat(L, 2);
	lua_error(L);
}

void vm_check(lua_State *L)
{
	if (vm_of(L)->killed)
		luaL_error(L, "%s", used_up);
}

/* Runs in the thread that runs the script, in the middle of it. Setting a hook is what Lua allows to
 * be done from a signal handler, and all that is done here; the script stops at its next instruction. */
static void tick(int signal)
{
	struct vm *vm = watched;

	(void)signal;
	if (!vm || !vm->on_processor || vm->trusted)
		return;
	vm->slice++;
	if (vm->slice <= VM_RESUME_TICKS && vm->spent + vm->slice <= VM_PROBE_TICKS)
		return;
	vm->killed = true;
	lua_sethook(vm->on_processor, interrupt, LUA_MASKCOUNT, 1);
}

/* Of every coroutine of a trusted state: those that a script makes inherit it. */
static void look_up(lua_State *L, lua_Debug *debug)
{
	struct vm *vm = vm_of(L);

	(void)debug;
	if (!vm->interrupted)
		return;
	vm->interrupted = false;
	luaL_error(L, "interrupted");
}

void vm_interrupt(struct vm *vm)
{
	vm->interrupted = vm->on_processor != NULL;
}

/* Of this thread, if it has one. */
static _Thread_local timer_t timer;
static _Thread_local bool    has_timer;

bool vm_watch_thread(void)
{
	struct itimerspec every = { { 0, VM_TICK * 1000000 }, { 0, VM_TICK * 1000000 } };
	struct sigaction  action = { .sa_handler = tick, .sa_flags = SA_RESTART };
	struct sigevent   event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };

	if (has_timer)
		return true;
	event._sigev_un._tid = gettid();
	has_timer = sigaction(SIGRTMIN, &action, NULL) == 0 &&
	            timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0;
	if (has_timer && timer_settime(timer, 0, &every, NULL) != 0)
		vm_unwatch_thread();
	return has_timer;
}

void vm_unwatch_thread(void)
{
	if (has_timer)
		timer_delete(timer);
	has_timer = false;
}

void vm_enter(struct vm *vm, lua_State *thread, struct task *task, unsigned spent)
{
	vm->running = task;
	vm->slice = 0;
	vm->spent = spent;
	vm->steps = VM_STEPS;
	vm->killed = false;
	vm->interrupted = false;
	watched = vm;
	vm->on_processor = thread;
}

void vm_pause(struct vm *vm)
{
	vm->on_processor = NULL;
}

void vm_go_on(struct vm *vm, lua_State *thread)
{
	vm->on_processor = thread;
}

unsigned vm_leave(struct vm *vm)
{
	vm->on_processor = NULL;
	watched = NULL; /* the timer goes on, maybe longer than this state lives */
	vm->running = NULL;
	return vm->spent + vm->slice;
}

/* --- life ------------------------------------------------------------------------------------ */

struct vm *vm_of(lua_State *L)
{
	return *(struct vm **)lua_getextraspace(L);
}

/* The message of an error says where it was raised. */
static int explain(lua_State *L)
{
	char text[600], raised[400];

	if (lua_type(L, 1) == LUA_TSTRING || lua_istable(L, 1)) {
		place_tell(L, place_raised(L, raised, sizeof raised), text, sizeof text);
		lua_pushstring(L, text);
	}
	return 1;
}

bool vm_protected(struct vm *vm, lua_CFunction function, void *argument, char *error, size_t size)
{
	lua_State *L = vm->state;
	char       raised[400];
	bool       good;

	vm_enter(vm, L, NULL, 0);
	lua_pushcfunction(L, explain);
	lua_pushcfunction(L, function);
	lua_pushlightuserdata(L, argument);
	good = lua_pcall(L, 1, 0, -3) == LUA_OK;
	if (!good)
		snprintf(error, size, "%s", place_raised(L, raised, sizeof raised));
	lua_settop(L, 0);
	vm_leave(vm);
	if (vm->killed)
		lua_sethook(L, NULL, 0, 0);
	return good;
}

static struct vm *make(const struct catalogue *catalogue, struct loop *loop, struct tls_context *tls,
                       bool trusted)
{
	struct vm *vm = calloc(1, sizeof *vm);
	char       error[200];

	if (!vm || (!trusted && !vm_watch_thread())) {
		free(vm);
		return NULL;
	}
	vm->trusted = trusted;
	vm->catalogue = catalogue;
	vm->loop = loop;
	vm->tls = tls;
	vm->memory_limit = SIZE_MAX;
	vm->state = lua_newstate(allocate, vm);
	if (!vm->state)
		goto failed;
	*(struct vm **)lua_getextraspace(vm->state) = vm;
	lua_gc(vm->state, LUA_GCINC, GC_PAUSE, 0, 0);
	if (!vm_protected(vm, trusted ? sandbox_prepare_trusted : sandbox_prepare, NULL, error, sizeof error))
		goto failed;
	vm->memory_limit = trusted ? SIZE_MAX / 2 : vm->memory + VM_MEMORY;
	return vm;
failed:
	vm_free(vm);
	return NULL;
}

struct vm *vm_new(const struct catalogue *catalogue, struct loop *loop, struct tls_context *tls)
{
	return make(catalogue, loop, tls, false);
}

struct vm *vm_new_trusted(const struct catalogue *catalogue, struct loop *loop, struct tls_context *tls)
{
	return make(catalogue, loop, tls, true);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	if (watched == vm)
		watched = NULL; /* the timer goes on */
	if (vm->state)
		lua_close(vm->state);
	pool_free(&vm->pool);
	free(vm->probes);
	free(vm);
}

/* --- probes and coroutines ------------------------------------------------------------------- */

/* [-0, +1, e] Run the script's file and push its `probe`. */
static void load_probe(lua_State *L, const struct script *script)
{
	if (!sandbox_compile(L, script->path, script->source, script->length))
		lua_error(L);
	lua_call(L, 0, 1);
	if (!lua_istable(L, -1))
		luaL_error(L, "%s: the script returned no table", script->path);
	lua_getfield(L, -1, "probe");
	lua_remove(L, -2);
}

void vm_push_probe(lua_State *L, const struct script *script)
{
	struct vm *vm = vm_of(L);

	if (!vm->probes)
		vm->probes = calloc(vm->catalogue->script_count + 1, sizeof *vm->probes);
	if (!vm->probes)
		luaL_error(L, "not enough memory");
	if (vm->probes[script->index] == 0) {
		size_t before = vm->memory;

		load_probe(L, script);
		vm->probes[script->index] = luaL_ref(L, LUA_REGISTRYINDEX);
		if (vm->memory > before && !vm->trusted)
			vm->memory_limit += vm->memory - before;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, vm->probes[script->index]);
}

lua_State *vm_take_thread(lua_State *L, int *reference)
{
	struct vm *vm = vm_of(L);
	lua_State *thread;

	if (vm->idle_count > 0) {
		vm->idle_count--;
		*reference = vm->idle[vm->idle_count].reference;
		return vm->idle[vm->idle_count].thread;
	}
	thread = lua_newthread(L);
	if (vm->trusted)
		lua_sethook(thread, look_up, LUA_MASKCOUNT, LOOK_EVERY);
	*reference = luaL_ref(L, LUA_REGISTRYINDEX);
	return thread;
}

void vm_give_thread(lua_State *L, lua_State *thread, int reference, bool reusable)
{
	struct vm *vm = vm_of(L);

	if (!reusable || vm->trusted || vm->idle_count == VM_IDLE) {
		luaL_unref(L, LUA_REGISTRYINDEX, reference);
		return;
	}
	lua_settop(thread, 0);
	vm->idle[vm->idle_count].thread = thread;
	vm->idle[vm->idle_count].reference = reference;
	vm->idle_count++;
}
