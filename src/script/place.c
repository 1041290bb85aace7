#include "script/place.h"

#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* No more of the stack is looked at: a recursion that went astray may be far deeper, and each level that is asked for is
 * looked for from the top. */
enum { MEMBERS = 100, LEVELS = 100 };

static bool running_line(lua_State *L, int level, lua_Debug *place)
{
	return lua_getstack(L, level, place) && lua_getinfo(L, "Sl", place);
}

static void write_place(const lua_Debug *place, char *text, size_t size)
{
	snprintf(text, size, "%s:%d", place->short_src, place->currentline);
}

void place_innermost(lua_State *L, char *text, size_t size)
{
	lua_Debug place;

	text[0] = '\0';
	for (int level = 0; text[0] == '\0' && running_line(L, level, &place); level++)
		if (place.currentline > 0)
			write_place(&place, text, size);
}

/* The outermost function of Lua; false: there is none, or it is too far away. */
static bool outermost(lua_State *L, lua_Debug *own)
{
	lua_Debug place;
	bool      found = false;

	for (int level = 0; level <= LEVELS && running_line(L, level, &place); level++) {
		if (level == LEVELS)
			return false;
		if (place.currentline > 0) {
			*own = place;
			found = true;
		}
	}
	return found;
}

void place_own(lua_State *L, char *text, size_t size)
{
	lua_Debug own, place;

	if (!outermost(L, &own)) {
		place_innermost(L, text, size);
		return;
	}
	write_place(&own, text, size);
	for (int level = 0; level < LEVELS && running_line(L, level, &place); level++) {
		if (place.currentline > 0 && place.source == own.source) {
			write_place(&place, text, size);
			return;
		}
	}
}

/* How much of the error is the place of a function that was running, "file:line: "; 0: it says none. */
static size_t said_place(lua_State *L, const char *raised)
{
	lua_Debug place;

	for (int level = 0; level < LEVELS && lua_getstack(L, level, &place); level++) {
		size_t length, digits;

		lua_getinfo(L, "S", &place);
		length = strlen(place.short_src);
		if (strncmp(raised, place.short_src, length) != 0 || raised[length] != ':')
			continue;
		digits = strspn(raised + length + 1, "0123456789");
		if (digits > 0 && strncmp(raised + length + 1 + digits, ": ", 2) == 0)
			return length + 1 + digits + 2;
	}
	return 0;
}

/* Append "; key: word" if the pair on top is of that key and a text. */
static void tell_member(lua_State *L, const char *key, char *text, size_t size)
{
	size_t length = strlen(text);

	if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING &&
	    strcmp(lua_tostring(L, -2), key) == 0)
		snprintf(text + length, size - length, "; %s: %s", key, lua_tostring(L, -1));
}

/* Neither metamethods nor memory: the state may have run out of it, and nobody would catch what is raised here. */
static void tell_members(lua_State *L, const char *key, char *text, size_t size)
{
	lua_pushnil(L);
	for (int seen = 0; lua_next(L, -2) != 0; seen++) {
		tell_member(L, key, text, size);
		lua_pop(L, 1);
		if (seen == MEMBERS) {
			lua_pop(L, 1);
			return;
		}
	}
}

const char *place_raised(lua_State *L, char *text, size_t size)
{
	if (lua_type(L, -1) == LUA_TSTRING)
		return lua_tostring(L, -1);
	snprintf(text, size, "the error is not a text%s", lua_istable(L, -1) ? " but a table" : "");
	if (lua_istable(L, -1) && lua_checkstack(L, 3)) {
		tell_members(L, "code", text, size);
		tell_members(L, "message", text, size);
	}
	return text;
}

void place_tell(lua_State *L, const char *raised, char *text, size_t size)
{
	char   own[PLACE_TEXT], where[PLACE_TEXT];
	size_t said = said_place(L, raised), file;

	place_own(L, own, sizeof own);
	if (said > 0)
		snprintf(where, sizeof where, "%.*s", (int)said - 2, raised);
	else
		place_innermost(L, where, sizeof where);
	file = strcspn(own, ":");
	if (own[0] == '\0')
		snprintf(text, size, "%s", raised);
	else if (strncmp(own, where, file + 1) == 0)
		snprintf(text, size, "%s: %s", where, raised + said);
	else
		snprintf(text, size, "%s: %s (%s)", own, raised + said, where);
}
