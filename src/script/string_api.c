#include "script/string_api.h"

#include "script/pattern.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <string.h>

enum { REPEATED = 1024 * 1024 }; /* bytes that string.rep makes */

/* --- matching -------------------------------------------------------------------------------- */

/* Find the next match and say whether there is one; raises what is wrong with the pattern. [-0, +0, e] */
static bool find_next(lua_State *L, const struct pattern_search *search, size_t start, size_t barred,
                      struct pattern_match *match)
{
	enum pattern_result result = pattern_find(search, start, barred, &vm_of(L)->steps, match);

	if (result != PATTERN_NONE && result != PATTERN_FOUND)
		luaL_error(L, "%s", match->fault);
	return result == PATTERN_FOUND;
}

/* Work beside the matching proper counts too. [-0, +0, e] */
static void spend(lua_State *L, size_t steps)
{
	struct vm *vm = vm_of(L);

	if (steps > vm->steps) {
		vm->steps = 0;
		luaL_error(L, "pattern too complex");
	}
	vm->steps -= steps;
}

/* Mostly it is a string; Lua's own way to say what it is instead takes longer. [-0, +0, e] */
static inline const char *check_string(lua_State *L, int index, size_t *length)
{
	const char *text = lua_tolstring(L, index, length);

	return text ? text : luaL_checklstring(L, index, length);
}

/* Arguments 1 and 2 of all four. */
static inline struct pattern_search check_search(lua_State *L)
{
	size_t      length, pattern_length;
	const char *subject = check_string(L, 1, &length);
	const char *pattern = check_string(L, 2, &pattern_length);

	return pattern_search(subject, length, pattern, pattern_length);
}

/* Where to begin, from argument 3, in bytes from the first; past the end: anything longer than `length`. */
static inline size_t check_start(lua_State *L, size_t length)
{
	lua_Integer init;
	int         is_number;

	if (lua_gettop(L) < 3)
		return 0;
	init = lua_tointegerx(L, 3, &is_number);
	if (!is_number)
		init = luaL_optinteger(L, 3, 1);
	if (init > 0)
		return (size_t)init - 1;
	if (init == 0 || init < -(lua_Integer)length)
		return 0;
	return (size_t)((lua_Integer)length + init);
}

/* --- captures -------------------------------------------------------------------------------- */

/* [-0, +1, e] Capture `index`, from 0; the whole match where there are no captures. */
static void push_capture(lua_State *L, const char *subject, const struct pattern_match *match, size_t index)
{
	const struct pattern_capture *capture = &match->captures[index];

	if (match->count == 0 && index == 0)
		lua_pushlstring(L, subject + match->start, match->end - match->start);
	else if (index >= match->count)
		luaL_error(L, "invalid capture index %%%d", (int)index + 1);
	else if (capture->length == PATTERN_OPEN)
		luaL_error(L, "unfinished capture");
	else if (capture->length == PATTERN_POSITION)
		lua_pushinteger(L, (lua_Integer)capture->start + 1);
	else
		lua_pushlstring(L, subject + capture->start, (size_t)capture->length);
}

int string_api_push_captures(lua_State *L, const char *subject, const struct pattern_match *match)
{
	if (match->count > LUA_MINSTACK / 2)
		luaL_checkstack(L, (int)match->count, "too many captures");
	for (size_t i = 0; i < match->count; i++)
		push_capture(L, subject, match, i);
	return (int)match->count;
}

/* [-0, +n, e] All captures, or the whole match where there are none. */
static int push_results(lua_State *L, const char *subject, const struct pattern_match *match)
{
	if (match->count > 0)
		return string_api_push_captures(L, subject, match);
	push_capture(L, subject, match, 0);
	return 1;
}

/* --- find and match -------------------------------------------------------------------------- */

static int push_range(lua_State *L, size_t start, size_t end)
{
	lua_pushinteger(L, (lua_Integer)start + 1);
	lua_pushinteger(L, (lua_Integer)end);
	return 2;
}

/* The text itself is looked for, no pattern. */
static int find_plain(lua_State *L, const struct pattern_search *search, size_t start)
{
	const char *subject = search->subject + start;
	const char *wanted = search->pattern - search->anchored;
	size_t length = search->length - start, wanted_length = search->pattern_length + search->anchored;
	const char *found = pattern_text(subject, length, wanted, wanted_length);

	spend(L, length / 64);
	if (!found) {
		lua_pushnil(L);
		return 1;
	}
	start += (size_t)(found - subject);
	return push_range(L, start, start + wanted_length);
}

/* string.find(s, pattern [, init [, plain]]) */
static int find(lua_State *L)
{
	struct pattern_search search = check_search(L);
	size_t                start = check_start(L, search.length);
	struct pattern_match  match;

	if (start > search.length) {
		lua_pushnil(L);
		return 1;
	}
	if (lua_toboolean(L, 4) || (!search.anchored && pattern_plain(search.pattern, search.pattern_length)))
		return find_plain(L, &search, start);
	if (!find_next(L, &search, start, SIZE_MAX, &match)) {
		lua_pushnil(L);
		return 1;
	}
	push_range(L, match.start, match.end);
	return 2 + string_api_push_captures(L, search.subject, &match);
}

/* string.match(s, pattern [, init]) */
static int match(lua_State *L)
{
	struct pattern_search search = check_search(L);
	size_t                start = check_start(L, search.length);
	struct pattern_match  found;

	if (start <= search.length && find_next(L, &search, start, SIZE_MAX, &found))
		return push_results(L, search.subject, &found);
	lua_pushnil(L);
	return 1;
}

/* --- gmatch ---------------------------------------------------------------------------------- */

/* The upvalues of the function that gmatch gives. LAST: where the last match ended, -1 before it. */
enum { SUBJECT = 1, PATTERN, NEXT, LAST };

static size_t upvalue(lua_State *L, int index)
{
	return (size_t)lua_tointeger(L, lua_upvalueindex(index));
}

static void set_upvalue(lua_State *L, int index, size_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
	lua_replace(L, lua_upvalueindex(index));
}

static int next_match(lua_State *L)
{
	struct pattern_search search = { 0 };
	struct pattern_match  found;
	size_t                start = upvalue(L, NEXT);

	search.subject = lua_tolstring(L, lua_upvalueindex(SUBJECT), &search.length);
	search.pattern = lua_tolstring(L, lua_upvalueindex(PATTERN), &search.pattern_length);
	if (start > search.length || !find_next(L, &search, start, upvalue(L, LAST), &found))
		return 0;
	set_upvalue(L, NEXT, found.end);
	set_upvalue(L, LAST, found.end);
	return push_results(L, search.subject, &found);
}

/* string.gmatch(s, pattern [, init]): a '^' is no anchor here */
static int gmatch(lua_State *L)
{
	size_t length = check_search(L).length;
	size_t start = check_start(L, length);

	lua_settop(L, 2);
	lua_pushinteger(L, (lua_Integer)(start > length ? length + 1 : start));
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, next_match, 4);
	return 1;
}

/* --- gsub ------------------------------------------------------------------------------------ */

struct substitution {
	struct pattern_search search;
	struct pattern_match  match;
	lua_Integer           most, count; /* replacements */
	size_t                copied;      /* bytes of the subject that are done with */
	bool                  changed;
};

/* [-0, +0, e] What an escape in the replacement stands for. */
static void add_escape(lua_State *L, const struct substitution *work, luaL_Buffer *result, char letter)
{
	const struct pattern_match *match = &work->match;

	if (letter == '%') {
		luaL_addchar(result, '%');
	} else if (letter == '0') {
		luaL_addlstring(result, work->search.subject + match->start, match->end - match->start);
	} else if (letter >= '1' && letter <= '9') {
		push_capture(L, work->search.subject, match, (size_t)(letter - '1'));
		luaL_addvalue(result);
	} else {
		luaL_error(L, "invalid use of '%%' in replacement string");
	}
}

/* [-0, +0, e] The replacement is a text. */
static void add_text(lua_State *L, struct substitution *work, luaL_Buffer *result)
{
	size_t      length;
	const char *text = lua_tolstring(L, 3, &length);
	const char *end = text + length, *percent;

	while ((percent = memchr(text, '%', (size_t)(end - text))) != NULL) {
		spend(L, 1);
		luaL_addlstring(result, text, (size_t)(percent - text));
		add_escape(L, work, result, percent + 1 < end ? percent[1] : '\0');
		text = percent + 2;
	}
	luaL_addlstring(result, text, (size_t)(end - text));
	work->changed = true;
}

/* [-0, +1, e] Ask the function or the table what is to stand for the match. */
static void ask(lua_State *L, const struct substitution *work)
{
	if (lua_type(L, 3) == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		lua_call(L, push_results(L, work->search.subject, &work->match), 1);
	} else {
		push_capture(L, work->search.subject, &work->match, 0);
		lua_gettable(L, 3);
	}
}

/* [-0, +0, e] */
static void add_answer(lua_State *L, struct substitution *work, luaL_Buffer *result)
{
	const struct pattern_match *match = &work->match;

	ask(L, work);
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(result, work->search.subject + match->start, match->end - match->start);
	} else if (!lua_isstring(L, -1)) {
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	} else {
		luaL_addvalue(result);
		work->changed = true;
	}
}

/* [-0, +0, e] */
static void replace(lua_State *L, struct substitution *work, luaL_Buffer *result)
{
	const struct pattern_match *match = &work->match;

	vm_check(L);
	luaL_addlstring(result, work->search.subject + work->copied, match->start - work->copied);
	if (lua_type(L, 3) == LUA_TNUMBER || lua_type(L, 3) == LUA_TSTRING)
		add_text(L, work, result);
	else
		add_answer(L, work, result);
	work->copied = match->end;
	work->count++;
}

/* [-0, +1, e] The first match is found: replace it, and go on. */
static void substitute(lua_State *L, struct substitution *work)
{
	const struct pattern_search *search = &work->search;
	luaL_Buffer                  result;

	luaL_buffinit(L, &result);
	do
		replace(L, work, &result);
	while (work->count < work->most && !search->anchored &&
	       find_next(L, search, work->copied, work->copied, &work->match));
	if (work->changed) {
		luaL_addlstring(&result, search->subject + work->copied, search->length - work->copied);
		luaL_pushresult(&result);
	} else {
		lua_pushvalue(L, 1);
	}
}

/* string.gsub(s, pattern, replacement [, n]) */
static int gsub(lua_State *L)
{
	struct substitution work;
	int                 type;

	work.search = check_search(L);
	type = lua_type(L, 3);
	work.most = luaL_optinteger(L, 4, (lua_Integer)work.search.length + 1);
	luaL_argexpected(
	    L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
	    "string/function/table");
	work.count = 0;
	work.copied = 0;
	work.changed = false;
	if (work.most > 0 && find_next(L, &work.search, 0, SIZE_MAX, &work.match))
		substitute(L, &work);
	else
		lua_pushvalue(L, 1);
	lua_pushinteger(L, work.count);
	return 2;
}

/* --- rep ------------------------------------------------------------------------------------- */

/* Fill `size` bytes whose first `made` are there with copies of those. */
static void repeat(char *bytes, size_t made, size_t size)
{
	while (made < size) {
		size_t more = made < size - made ? made : size - made;

		memcpy(bytes + made, bytes, more);
		made += more;
	}
}

/* string.rep(s, n [, separator]) */
static int rep(lua_State *L)
{
	size_t       length, between;
	const char  *text = luaL_checklstring(L, 1, &length);
	lua_Integer  count = luaL_checkinteger(L, 2);
	const char  *separator = luaL_optlstring(L, 3, "", &between);
	lua_Unsigned further = count > 0 ? (lua_Unsigned)count - 1 : 0;
	luaL_Buffer  result;
	size_t       size;
	char        *bytes;

	if (count <= 0 || length + between == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if (length > REPEATED || further > (REPEATED - length) / (length + between))
		return luaL_error(L, "resulting string too large");
	size = length + (size_t)further * (length + between);
	/* A byte more, for Lua's buffer must not look like a table that is too large: see vm.c. */
	bytes = luaL_buffinitsize(L, &result, (size + between) | 1);
	memcpy(bytes, text, length);
	memcpy(bytes + length, separator, between);
	repeat(bytes, length + between, size);
	luaL_pushresultsize(&result, size);
	return 1;
}

void string_api_register(lua_State *L)
{
	static const luaL_Reg functions[] = { { "find", find }, { "match", match }, { "gmatch", gmatch },
		                              { "gsub", gsub }, { "rep", rep },     { NULL, NULL } };

	luaL_setfuncs(L, functions, 0);
}
