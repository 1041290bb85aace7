#include "script/declare.h"

#include "base/nearest.h"
#include "script/pattern.h"
#include "script/sandbox.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULT_TEXT = 4096 + 600, FAULTS = 20, LIST = 64, MEMBERS = 1000 };

/* --- a script's table ------------------------------------------------------------------------ */

/* Note that something is wrong with the table, and go on: all that is wrong is told at once. The chunk's line is
 * not known any more once it returned its table. */
__attribute__((format(printf, 2, 3))) static void blame(struct script *script, const char *format, ...)
{
	char    text[FAULT_TEXT];
	int     length = snprintf(text, sizeof text, "%s: ", script->path);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
	va_end(arguments);
	script->flawed = true; /* also where there is no memory to say why */
	if (script->fault_count < FAULTS)
		catalogue_add(&script->faults, &script->fault_count, text);
}

/* [-0, +0, e] Raise "path: ...". */
static _Noreturn void refuse(lua_State *L, const struct script *script, const char *format, ...)
{
	va_list arguments;

	lua_pushfstring(L, "%s: ", script->path);
	va_start(arguments, format);
	lua_pushvfstring(L, format, arguments);
	va_end(arguments);
	lua_concat(L, 2);
	lua_error(L);
	__builtin_unreachable(); /* Lua's header does not say so */
}

/* [-0, +0, e] */
static char *copied(lua_State *L, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		luaL_error(L, "not enough memory");
	return copy;
}

/* [-0, +0, e] Add what stands on top of the stack. */
static void add_top(lua_State *L, const char ***texts, size_t *count)
{
	if (!catalogue_add(texts, count, lua_tostring(L, -1)))
		luaL_error(L, "not enough memory");
}

/* [-0, +0, e] The text field `key` of the table on top; NULL if it is nil. The copy is the caller's. */
static char *text_field(lua_State *L, struct script *script, const char *where, const char *key)
{
	int   type = lua_getfield(L, -1, key);
	char *copy = NULL;

	if (type == LUA_TSTRING)
		copy = copied(L, lua_tostring(L, -1));
	else if (type != LUA_TNIL)
		blame(script, "%s%s must be a text", where, key);
	lua_pop(L, 1);
	return copy;
}

static bool flag_field(lua_State *L, struct script *script, const char *where, const char *key)
{
	int  type = lua_getfield(L, -1, key);
	bool value = lua_toboolean(L, -1);

	if (type != LUA_TBOOLEAN && type != LUA_TNIL)
		blame(script, "%s%s must be true or false", where, key);
	lua_pop(L, 1);
	return value;
}

static uint16_t port_field(lua_State *L, struct script *script, const char *where)
{
	int         type = lua_getfield(L, -1, "port");
	int         whole;
	lua_Integer port = lua_tointegerx(L, -1, &whole);

	if (type != LUA_TNIL && (type != LUA_TNUMBER || !whole || port < 1 || port > 65535))
		blame(script, "%sport must be a whole number from 1 to 65535", where);
	lua_pop(L, 1);
	return (uint16_t)port;
}

/* A misspelt field would be ignored without a word; so fields that nobody knows are refused. */
static void check_fields(lua_State *L, struct script *script, const char *where, const char *const *known)
{
	lua_pushnil(L);
	while (lua_next(L, -2) != 0) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
		const char *nearest;
		size_t      i = 0;

		while (key && known[i] && strcmp(known[i], key) != 0)
			i++;
		nearest = key && !known[i] ? nearest_name(key, known, i) : NULL;
		if (!key || !known[i])
			blame(script, "%s%sunknown field \"%s\"%s%s%s", where, *where ? ": " : "",
			      key ? key : luaL_typename(L, -2), nearest ? "; did you mean " : "",
			      nearest ? nearest : "", nearest ? "?" : "");
		lua_pop(L, 1);
	}
}

static bool good_name(const char *name)
{
	return name && *name != '\0' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name);
}

static void read_service(lua_State *L, struct script *script, int number)
{
	static const char *const known[] = { "name", "port", "tls", "optional", NULL };
	struct service          *grown;
	struct service          *service;
	char                     where[40];

	snprintf(where, sizeof where, "services[%d]", number);
	if (!lua_istable(L, -1)) {
		blame(script, "%s must be a table", where);
		return;
	}
	check_fields(L, script, where, known);
	strcat(where, ".");
	grown = catalogue_grow(script->services, &script->service_count, sizeof *script->services);
	if (!grown)
		luaL_error(L, "not enough memory");
	script->services = grown;
	service = &grown[script->service_count - 1];
	service->script = script;
	service->name = text_field(L, script, where, "name");
	if (!good_name(service->name))
		blame(script, "%sname must be made of a-z, 0-9, - and _", where);
	service->port = port_field(L, script, where);
	service->tls = flag_field(L, script, where, "tls");
	service->optional = flag_field(L, script, where, "optional");
}

/* How many elements the list on top has; with more than anybody needs it may well have holes, and be as long
 * as its largest key. */
static int list_length(lua_State *L, struct script *script, const char *what)
{
	lua_Unsigned length = lua_rawlen(L, -1);

	if (length <= LIST)
		return (int)length;
	blame(script, "%s has more than %d elements", what, LIST);
	return 0;
}

static void read_services(lua_State *L, struct script *script)
{
	bool list = lua_getfield(L, -1, "services") == LUA_TTABLE && lua_rawlen(L, -1) > 0;

	if (!list)
		blame(script, "services must be a list like { { name = \"pop3\", port = 110 } }");
	for (int i = 1, length = list ? list_length(L, script, "services") : 0; i <= length; i++) {
		lua_rawgeti(L, -1, i);
		read_service(L, script, i);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* The default tells the type; none means text. */
static void read_default(lua_State *L, struct script *script, struct argument *argument, const char *where)
{
	char text[64];

	switch (lua_getfield(L, -1, "default")) {
	case LUA_TNIL:
	case LUA_TSTRING:
		argument->initial = lua_isnil(L, -1) ? NULL : copied(L, lua_tostring(L, -1));
		break;
	case LUA_TNUMBER:
		argument->type = ARGUMENT_NUMBER;
		snprintf(text, sizeof text, "%.17g", lua_tonumber(L, -1));
		argument->initial = copied(L, text);
		break;
	case LUA_TBOOLEAN:
		argument->type = ARGUMENT_BOOLEAN;
		argument->initial = copied(L, lua_toboolean(L, -1) ? "true" : "false");
		break;
	default:
		blame(script, "%sdefault must be a text, a number, true or false", where);
	}
	lua_pop(L, 1);
}

/* [-0, +0, e] The pair name, declaration is on top of the stack. */
static void read_argument(lua_State *L, struct script *script)
{
	static const char *const known[] = { "default", "about", NULL };
	const char              *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
	struct argument         *grown;
	struct argument         *argument;
	char                     where[80];

	if (!good_name(name)) {
		blame(script, "the name of an argument must be made of a-z, 0-9, - and _");
		return;
	}
	snprintf(where, sizeof where, "args.%.60s", name);
	if (!lua_istable(L, -1)) {
		blame(script, "args.%s must be a table like { default = \"x\", about = \"what it is\" }",
		      name);
		return;
	}
	check_fields(L, script, where, known);
	strcat(where, ".");
	grown = catalogue_grow(script->arguments, &script->argument_count, sizeof *script->arguments);
	if (!grown)
		luaL_error(L, "not enough memory");
	script->arguments = grown;
	argument = &grown[script->argument_count - 1];
	argument->name = copied(L, name);
	argument->about = text_field(L, script, where, "about");
	if (!argument->about)
		argument->about = copied(L, "");
	read_default(L, script, argument, where);
}

static int by_name(const void *one, const void *other)
{
	return strcmp(((const struct argument *)one)->name, ((const struct argument *)other)->name);
}

static void read_arguments(lua_State *L, struct script *script)
{
	int type = lua_getfield(L, -1, "args");

	if (type != LUA_TTABLE && type != LUA_TNIL)
		blame(script, "args must be a table");
	if (type == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2) != 0) {
			read_argument(L, script);
			lua_pop(L, 1);
		}
		if (script->argument_count > 1)
			qsort(script->arguments, script->argument_count, sizeof *script->arguments, by_name);
	}
	lua_pop(L, 1);
}

/* [-1, +0, e] A malformed pattern would raise in the middle of a scan. */
static void read_greeting(lua_State *L, struct script *script)
{
	size_t      length;
	const char *pattern = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
	const char *wrong = pattern ? pattern_fault(pattern, length) : NULL;

	if (!pattern)
		blame(script, "greeting must be a pattern or a list of patterns");
	if (wrong)
		blame(script, "greeting \"%s\": %s", pattern, wrong);
	if (pattern && strlen(pattern) != length)
		blame(script, "greeting \"%s...\": a pattern is a text without a NUL; %%z stands for one",
		      pattern);
	if (pattern)
		add_top(L, &script->greetings, &script->greeting_count);
	lua_pop(L, 1);
}

static void read_greetings(lua_State *L, struct script *script)
{
	int type = lua_getfield(L, -1, "greeting");

	if (type == LUA_TTABLE) {
		for (int i = 1, length = list_length(L, script, "greeting"); i <= length; i++) {
			lua_rawgeti(L, -1, i);
			read_greeting(L, script);
		}
	} else if (type != LUA_TNIL) {
		lua_pushvalue(L, -1);
		read_greeting(L, script);
	}
	lua_pop(L, 1);
}

static void read_fields(lua_State *L, struct script *script)
{
	int type = lua_getfield(L, -1, "fields");

	if (type != LUA_TTABLE && type != LUA_TNIL)
		blame(script, "fields must be a list of texts like { \"banner\" }");
	for (int i = 1, length = type == LUA_TTABLE ? list_length(L, script, "fields") : 0; i <= length;
	     i++) {
		if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
			blame(script, "fields[%d] must be a text", i);
		else
			add_top(L, &script->fields, &script->field_count);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

static void read_probe(lua_State *L, struct script *script)
{
	int type = lua_getfield(L, -1, "probe");

	if (type != LUA_TFUNCTION && type != LUA_TNIL)
		blame(script, "probe must be a function(conn, report, args)");
	script->has_probe = type == LUA_TFUNCTION;
	lua_pop(L, 1);
}

/* Run the script and fill in what its table declares. */
int declare_script(lua_State *L)
{
	static const char *const known[] = {
		"about", "services", "greeting", "fields", "args", "probe", NULL
	};
	struct script *script = lua_touserdata(L, 1);

	if (!sandbox_compile(L, script->path, script->source, script->length))
		return lua_error(L);
	lua_call(L, 0, 1);
	if (!lua_istable(L, -1)) {
		blame(script,
		      "the script must return a table like { about = ..., services = ..., probe = ... }");
		return 0;
	}
	check_fields(L, script, "", known);
	script->about = text_field(L, script, "", "about");
	if (lua_getfield(L, -1, "about") == LUA_TNIL)
		blame(script, "about is missing: one line that says what the probe is for");
	lua_pop(L, 1);
	read_services(L, script);
	read_arguments(L, script);
	read_greetings(L, script);
	read_fields(L, script);
	read_probe(L, script);
	script->declared = true;
	return 0;
}

/* --- groups ---------------------------------------------------------------------------------- */

/* [-0, +0, e] The pair name, list is on top of the stack. */
static void read_group(lua_State *L, struct grouping *grouping)
{
	const char   *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
	struct group *grown;
	struct group *group;
	char         *copy;

	if (!good_name(name) || !lua_istable(L, -1))
		refuse(L, &grouping->file, "a group is NAME = { \"service\", ... }");
	if (catalogue_group(grouping->catalogue, name))
		return;
	copy = copied(L, name);
	grown = catalogue_grow(grouping->catalogue->groups, &grouping->catalogue->group_count, sizeof *grown);
	if (!grown) {
		free(copy);
		refuse(L, &grouping->file, "not enough memory");
	}
	grouping->catalogue->groups = grown;
	group = &grown[grouping->catalogue->group_count - 1];
	group->name = copy;
	if (lua_rawlen(L, -1) > MEMBERS)
		refuse(L, &grouping->file, "%s has more than %d members", name, MEMBERS);
	for (int i = 1; i <= (int)lua_rawlen(L, -1); i++) {
		if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
			refuse(L, &grouping->file, "%s[%d] must be the name of a service", name, i);
		add_top(L, &group->members, &group->member_count);
		lua_pop(L, 1);
	}
}

/* Lua's own order changes from run to run. */
static int by_group(const void *one, const void *other)
{
	return strcmp(((const struct group *)one)->name, ((const struct group *)other)->name);
}

int declare_groups(lua_State *L)
{
	struct grouping *grouping = lua_touserdata(L, 1);

	if (!sandbox_compile(L, grouping->file.path, grouping->file.source, grouping->file.length))
		return lua_error(L);
	lua_call(L, 0, 1);
	if (!lua_istable(L, -1))
		refuse(L, &grouping->file, "the file must return a table of groups");
	lua_pushnil(L);
	while (lua_next(L, -2) != 0) {
		read_group(L, grouping);
		lua_pop(L, 1);
	}
	if (grouping->catalogue->group_count > 1)
		qsort(grouping->catalogue->groups, grouping->catalogue->group_count,
		      sizeof *grouping->catalogue->groups, by_group);
	return 0;
}
