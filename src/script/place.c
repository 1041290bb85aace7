#include "script/place.h"

#include <ctype.h>
#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A recursion that went astray is that deep; the stack is walked from its top for each level that is asked for. */
enum { LEVELS = 64 };

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

/* How many levels there are: found by doubling, and then by halves. */
static int depth(lua_State *L)
{
	lua_Debug place;
	int       there = 0, beyond = 1;

	while (lua_getstack(L, beyond, &place)) {
		there = beyond;
		beyond *= 2;
	}
	while (beyond - there > 1) {
		int middle = there + (beyond - there) / 2;

		if (lua_getstack(L, middle, &place))
			there = middle;
		else
			beyond = middle;
	}
	return beyond;
}

/* The outermost function of Lua; false: there is none. */
static bool outermost(lua_State *L, lua_Debug *place)
{
	int last = depth(L) - 1;

	for (int level = last; level >= 0 && level > last - LEVELS; level--)
		if (running_line(L, level, place) && place->currentline > 0)
			return true;
	return false;
}

void place_own(lua_State *L, char *text, size_t size)
{
	lua_Debug own, place;

	text[0] = '\0';
	if (!outermost(L, &own))
		return;
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
