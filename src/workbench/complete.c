#include "workbench/complete.h"

#include "script/conn_api.h"
#include "script/serve_api.h"
#include "workbench/help.h"
#include "workbench/program.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct looking {
	struct completion *completion;
	const char        *word; /* "conn:read", a path that ends in what is half typed */
	size_t             length;
	const char        *last; /* its last part */
	size_t             last_length;
};

static bool in_name(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       byte == '_';
}

static bool in_path(char byte)
{
	return in_name(byte) || byte == '.' || byte == ':';
}

static void add(const struct looking *looking, const char *name)
{
	struct completion *completion = looking->completion;
	size_t             length = strlen(name);

	if (length < looking->last_length || length >= COMPLETE_NAME ||
	    memcmp(name, looking->last, looking->last_length) != 0 || completion->count == COMPLETE_MOST)
		return;
	for (size_t i = 0; i < length; i++)
		if (!in_name(name[i]) && name[i] != ':')
			return;
	for (size_t i = 0; i < completion->count; i++)
		if (strcmp(completion->names[i], name) == 0)
			return;
	strcpy(completion->names[completion->count++], name);
}

/* The text keys of the table on top; of functions only, if a method is wanted. */
static void add_keys(lua_State *L, const struct looking *looking, bool methods)
{
	lua_pushnil(L);
	while (lua_next(L, -2) != 0) {
		if (lua_type(L, -2) == LUA_TSTRING && (!methods || lua_isfunction(L, -1)))
			add(looking, lua_tostring(L, -2));
		lua_pop(L, 1);
	}
}

typedef const char *member(size_t n, bool *is_method);

static void add_members(const struct looking *looking, member *of, bool methods)
{
	const char *name;
	bool        is_method;

	for (size_t n = 0; (name = of(n, &is_method)) != NULL; n++)
		if (is_method == methods)
			add(looking, name);
}

/* Of the value on top. */
static void add_fields(lua_State *L, const struct looking *looking, bool methods)
{
	if (lua_istable(L, -1)) {
		add_keys(L, looking, methods);
	} else if (conn_api_handle(L, -1)) {
		add_members(looking, conn_api_member, methods);
	} else if (serve_api_listens(L, -1)) {
		add_members(looking, serve_api_member, methods);
	} else if (luaL_getmetafield(L, -1, "__index") == LUA_TTABLE) {
		add_keys(L, looking, methods);
		lua_pop(L, 1);
	}
}

/* Replace the value on top by its field, without asking a metamethod; false: it has no fields. */
static bool enter(lua_State *L, const char *name, size_t length)
{
	if (!lua_istable(L, -1))
		return false;
	lua_pushlstring(L, name, length);
	lua_rawget(L, -2);
	lua_remove(L, -2);
	return true;
}

static int look(lua_State *L)
{
	const struct looking *looking = lua_touserdata(L, 1);
	const char           *at = looking->word;
	char                  separator = '.';

	lua_pushglobaltable(L);
	while (at < looking->last) {
		size_t length = strcspn(at, ".:");

		if (separator != '.' || !enter(L, at, length))
			return 0;
		separator = at[length];
		at += length + 1;
	}
	add_fields(L, looking, separator == ':');
	return 0;
}

static int by_text(const void *one, const void *other)
{
	return strcmp(one, other);
}

static void add_commands(const struct looking *looking)
{
	const struct entry *entry;

	for (size_t n = 0; (entry = help_entry(n)) != NULL && entry->name[0] == ':'; n++)
		add(looking, entry->name);
}

void complete_line(struct program *program, const char *line, size_t length, struct completion *completion)
{
	const char    *end = line + length, *word = end, *last = end;
	struct looking looking = { .completion = completion };

	completion->count = 0;
	while (word > line && in_path(word[-1]))
		word--;
	while (last > word && in_name(last[-1]))
		last--;
	if (word == line && *line == ':' && last == line + 1)
		last = word;
	completion->typed = (size_t)(end - last);
	looking.word = word;
	looking.length = (size_t)(end - word);
	looking.last = last;
	looking.last_length = completion->typed;
	if (word == line && *line == ':')
		add_commands(&looking);
	else
		program_inspect(program, look, &looking);
	qsort(completion->names, completion->count, sizeof *completion->names, by_text);
}

size_t complete_common(const struct completion *completion)
{
	size_t common = completion->count > 0 ? strlen(completion->names[0]) : 0;

	for (size_t i = 1; i < completion->count; i++)
		while (strncmp(completion->names[0], completion->names[i], common) != 0)
			common--;
	return common;
}
