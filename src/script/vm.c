#include "script/vm.h"

#include "script/chunk.h"
#include "script/conn_api.h"
#include "script/place.h"
#include "script/report_api.h"
#include "script/scan_api.h"
#include "script/string_api.h"
#include "script/table_api.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
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

bool vm_watch_thread(void)
{
	static _Thread_local bool done;
	struct itimerspec         every = { { 0, VM_TICK * 1000000 }, { 0, VM_TICK * 1000000 } };
	struct sigaction          action = { .sa_handler = tick, .sa_flags = SA_RESTART };
	struct sigevent           event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	timer_t                   timer;

	if (done)
		return true;
	event._sigev_un._tid = gettid();
	done = sigaction(SIGRTMIN, &action, NULL) == 0 &&
	       timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) == 0 &&
	       timer_settime(timer, 0, &every, NULL) == 0;
	return done;
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

/* --- the sandbox ----------------------------------------------------------------------------- */

static int require(lua_State *L);

static const char *const globals[] = { "assert",   "error",    "getmetatable", "ipairs",  "next",   "pairs",
	                               "pcall",    "rawequal", "rawget",       "rawlen",  "rawset", "select",
	                               "tonumber", "tostring", "type",         "_VERSION" };
static const char *const libraries[] = { LUA_STRLIBNAME, LUA_TABLIBNAME, LUA_MATHLIBNAME, LUA_UTF8LIBNAME };

static int count_fields(lua_State *L, int index)
{
	int count = 0;

	lua_pushnil(L);
	for (; lua_next(L, index) != 0; count++)
		lua_pop(L, 1);
	return count;
}

/* [-0, +0, m] Copy field `name` of the table at `from` to a new table's field in the one on top. A table that grows
 * as it is filled takes several times as long. */
static void copy_library(lua_State *L, int from, const char *name)
{
	int count;

	lua_getfield(L, from, name);
	count = count_fields(L, lua_gettop(L));
	lua_createtable(L, 0, count);
	lua_insert(L, -2);
	lua_pushnil(L);
	while (lua_next(L, -2) != 0) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_settable(L, -5);
	}
	lua_pop(L, 1);
	lua_setfield(L, -2, name);
}

enum { ENVIRONMENT = 32 }; /* names in one, about */

static const char pristine_key = 0; /* registry[&pristine_key] = the globals as Lua made them */

void vm_environment(lua_State *L)
{
	int pristine;

	luaL_checkstack(L, 12, NULL);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &pristine_key);
	pristine = lua_gettop(L);
	lua_createtable(L, 0, ENVIRONMENT);
	for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
		lua_getfield(L, pristine, globals[i]);
		lua_setfield(L, -2, globals[i]);
	}
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
		copy_library(L, pristine, libraries[i]);
	table_api_push_setmetatable(L);
	lua_setfield(L, -2, "setmetatable");
	lua_newtable(L);
	lua_pushcclosure(L, require, 1);
	lua_setfield(L, -2, "require");
	scan_api_push(L);
	lua_setfield(L, -2, "scan");
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "_G");
	lua_remove(L, pristine);
}

/* [-0, +1, m] The environment of a trusted script: all there is, but what it adds is its own. */
static void copy_globals(lua_State *L)
{
	luaL_checkstack(L, 6, NULL);
	lua_newtable(L);
	lua_pushglobaltable(L);
	lua_pushnil(L);
	while (lua_next(L, -2) != 0) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_settable(L, -5);
	}
	lua_pop(L, 1);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "_G");
}

/* [-0, +0, m] Give the function on top an environment of its own. */
static void use_environment(lua_State *L)
{
	if (vm_of(L)->trusted)
		copy_globals(L);
	else
		vm_environment(L);
	lua_setupvalue(L, -2, 1);
}

/* [-0, +1, m] The function, without environment, or the error; `mode` is of luaL_loadbufferx. */
static bool compile(lua_State *L, const char *path, const char *code, size_t length, const char *mode)
{
	const char *name = lua_pushfstring(L, "@%s", path);
	bool        good = luaL_loadbufferx(L, code, length, name, mode) == LUA_OK;

	lua_remove(L, -2);
	return good;
}

bool vm_compile(lua_State *L, const char *path, const char *source, size_t length)
{
	if (!compile(L, path, source, length, "t"))
		return false;
	use_environment(L);
	return true;
}

/* --- libraries of lib/ ------------------------------------------------------------------------ */

/* More than the 64 KiB of a library's text are compiled to. */
enum { LIBRARY_CODE = 1024 * 1024 };

/* [-0, +1, e] The text of a library file of the scripts; nil if it is not there. */
static void push_file(lua_State *L, const char *path)
{
	size_t room = vm_of(L)->trusted ? CHUNK_FILE : CHUNK_LIBRARY, length;
	char  *bytes = lua_newuserdatauv(L, room, 0);
	char   reason[CHUNK_REASON];

	if (chunk_read(path, bytes, room, &length, reason))
		lua_pushlstring(L, bytes, length);
	else if (reason[0])
		luaL_error(L, "%s: %s", path, reason);
	else
		lua_pushnil(L);
	lua_remove(L, -2);
}

static bool plain_name(const char *name)
{
	return *name != '\0' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
	           strlen(name);
}

static int append(lua_State *L, const void *bytes, size_t length, void *code)
{
	(void)L;
	return buffer_append(code, bytes, length) ? 0 : 1;
}

/* Keep what stands on top, the function that this file was compiled to. */
static void keep_library(lua_State *L, const char *path)
{
	struct catalogue *keeper = vm_of(L)->keeper;
	struct buffer     code;

	if (!keeper)
		return;
	buffer_init(&code, LIBRARY_CODE);
	if (lua_dump(L, append, &code, false) == 0)
		catalogue_keep(keeper, path, buffer_bytes(&code), buffer_length(&code));
	buffer_free(&code);
}

/* [-0, +1, e] The function that this file is, from its text or as it was compiled before; nil if it is not there. */
static void push_library(lua_State *L, const char *path)
{
	const struct library *library = catalogue_library(vm_of(L)->catalogue, path);
	const char           *source;
	size_t                length;

	if (library) {
		if (!compile(L, path, library->code, library->length, "b"))
			lua_error(L);
		return;
	}
	push_file(L, path);
	source = lua_tolstring(L, -1, &length);
	if (!source)
		return;
	if (!compile(L, path, source, length, "t"))
		lua_error(L);
	keep_library(L, path);
	lua_remove(L, -2);
}

/* [-0, +1, e] Load lib/NAME.lua from the first folder that has it, and push what it returns. */
static void load_library(lua_State *L, const char *name)
{
	const struct catalogue *catalogue = vm_of(L)->catalogue;

	for (size_t i = 0; i < catalogue->folder_count; i++) {
		const char *path = lua_pushfstring(L, "%s/lib/%s.lua", catalogue->folders[i], name);

		push_library(L, path);
		lua_remove(L, -2);
		if (!lua_isnil(L, -1)) {
			use_environment(L);
			lua_call(L, 0, 1);
			return;
		}
		lua_pop(L, 1);
	}
	if (catalogue->tolerant)
		lua_newtable(L);
	else
		luaL_error(L, "there is no library \"%s\" (lib/%s.lua) beside the probes", name, name);
}

/* require(name): a library of lib/, loaded once an environment. Upvalue 1 holds the loaded ones. */
static int require(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	lua_settop(L, 1);
	if (!plain_name(name))
		return luaL_error(L, "require wants the plain name of a library of lib/, not \"%s\"", name);
	if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL)
		return 1;
	load_library(L, name);
	lua_pushvalue(L, -1);
	lua_setfield(L, lua_upvalueindex(1), name);
	return 1;
}

/* --- preparing a state ------------------------------------------------------------------------ */

/* [-0, +0, e] Open the libraries, keep them pristine, and lock what all scripts share. */
static int prepare(lua_State *L)
{
	static const luaL_Reg opened[] = { { LUA_GNAME, luaopen_base },
		                           { LUA_STRLIBNAME, luaopen_string },
		                           { LUA_TABLIBNAME, luaopen_table },
		                           { LUA_MATHLIBNAME, luaopen_math },
		                           { LUA_UTF8LIBNAME, luaopen_utf8 } };

	for (size_t i = 0; i < sizeof opened / sizeof *opened; i++)
		luaL_requiref(L, opened[i].name, opened[i].func, 1);
	lua_settop(L, 0);
	lua_pushglobaltable(L);
	lua_getfield(L, 1, LUA_STRLIBNAME);
	lua_pushnil(L);
	lua_setfield(L, 2, "dump");
	string_api_register(L);
	lua_getfield(L, 1, LUA_TABLIBNAME);
	table_api_register(L);
	lua_pop(L, 2);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &pristine_key);
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	conn_api_register(L);
	report_api_register(L);
	return 0;
}

/* [-0, +0, e] Let require look into the folders of the scripts first. */
static void extend_path(lua_State *L)
{
	const struct catalogue *catalogue = vm_of(L)->catalogue;

	lua_getglobal(L, LUA_LOADLIBNAME);
	lua_getfield(L, -1, "path");
	for (size_t i = catalogue->folder_count; i-- > 0;) {
		lua_pushfstring(L, "%s/lib/?.lua;%s", catalogue->folders[i], lua_tostring(L, -1));
		lua_replace(L, -2);
	}
	lua_setfield(L, -2, "path");
	lua_pop(L, 1);
}

/* [-0, +0, e] The same for a state without sandbox. */
static int prepare_trusted(lua_State *L)
{
	luaL_openlibs(L);
	extend_path(L);
	conn_api_register(L);
	report_api_register(L);
	scan_api_push(L);
	lua_setglobal(L, "scan");
	return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

struct vm *vm_of(lua_State *L)
{
	return *(struct vm **)lua_getextraspace(L);
}

/* The message of an error says where it was raised. */
static int explain(lua_State *L)
{
	char text[600];

	if (lua_type(L, 1) == LUA_TSTRING) {
		place_tell(L, lua_tostring(L, 1), text, sizeof text);
		lua_pushstring(L, text);
	}
	return 1;
}

bool vm_protected(struct vm *vm, lua_CFunction function, void *argument, char *error, size_t size)
{
	lua_State *L = vm->state;
	bool       good;

	vm_enter(vm, L, NULL, 0);
	lua_pushcfunction(L, explain);
	lua_pushcfunction(L, function);
	lua_pushlightuserdata(L, argument);
	good = lua_pcall(L, 1, 0, -3) == LUA_OK;
	if (!good) {
		const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
		                                                     : "the error is not a text";

		snprintf(error, size, "%s", message);
	}
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
	if (!vm_protected(vm, trusted ? prepare_trusted : prepare, NULL, error, sizeof error))
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
	if (!vm_compile(L, script->path, script->source, script->length))
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
