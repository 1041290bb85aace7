#include "rivals.h"

#include "script/pattern.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBJECT = 48, PATTERN = 160, TEXT = 64, RESULT = 4096, STEPS = 50000, MATCHES = 60 };

enum function { FIND, MATCH, GMATCH, GSUB, FUNCTIONS };
enum replacement { BY_TEXT, BY_TABLE, BY_FUNCTION, BY_NUMBER, REPLACEMENTS };

struct call {
	enum function    function;
	char             subject[SUBJECT], pattern[PATTERN], text[TEXT];
	size_t           length, pattern_length, text_length;
	bool             given; /* is there a `start`, or a number of replacements? */
	int              start;
	bool             plain;
	enum replacement replacement;
};

struct rivals {
	struct vm            *ours;
	lua_State            *stock;
	struct rivals_figures figures;
};

/* --- from bytes to a call -------------------------------------------------------------------- */

struct reader {
	const uint8_t *bytes;
	size_t         left;
};

/* A number below `limit`; 0 where the bytes are used up. */
static unsigned choose(struct reader *reader, unsigned limit)
{
	if (reader->left == 0)
		return 0;
	reader->left--;
	return *reader->bytes++ % limit;
}

struct writer {
	char  *bytes;
	size_t length, room;
};

static void put(struct writer *writer, char byte)
{
	if (writer->length < writer->room)
		writer->bytes[writer->length++] = byte;
}

static char pick(struct reader *reader, const char *from, size_t count)
{
	return from[choose(reader, (unsigned)count)];
}

static char letter(struct reader *reader)
{
	static const char common[] = { 'a', 'a', 'a', 'b', 'b', 'c' };
	static const char odd[] = "aZ9f-]^[(%).$*+?|_\n\t \0\x7f\x80\xe9\xff\x1b";

	return choose(reader, 4) > 0 ? pick(reader, common, sizeof common) : pick(reader, odd, sizeof odd);
}

static void put_class(struct reader *reader, struct writer *out)
{
	static const char letters[] = "aacdglpsuwxzACDGLPSUWXZbefhBF0.%-]^[()$ q\0";

	put(out, '%');
	put(out, pick(reader, letters, sizeof letters));
}

static void put_set(struct reader *reader, struct writer *out)
{
	put(out, '[');
	if (choose(reader, 3) == 0)
		put(out, '^');
	if (choose(reader, 8) == 0)
		put(out, ']');
	for (unsigned parts = choose(reader, 4); parts > 0; parts--) {
		unsigned kind = choose(reader, 8);

		if (kind < 2)
			put_class(reader, out);
		else
			put(out, letter(reader));
		if (kind == 2 || kind == 3) {
			put(out, '-');
			put(out, letter(reader));
		}
	}
	put(out, letter(reader));
	if (choose(reader, 40) > 0)
		put(out, ']');
}

static void put_balance(struct reader *reader, struct writer *out)
{
	put(out, '%');
	put(out, 'b');
	put(out, letter(reader));
	if (choose(reader, 20) > 0)
		put(out, letter(reader));
}

/* Something that may be repeated. */
static void put_item(struct reader *reader, struct writer *out)
{
	unsigned kind = choose(reader, 10);

	if (kind < 5)
		put(out, letter(reader));
	else if (kind == 5)
		put(out, '.');
	else if (kind < 8)
		put_class(reader, out);
	else
		put_set(reader, out);
	if (choose(reader, 5) < 2)
		put(out, pick(reader, "*+-?", 4));
}

/* Something else; `open` counts the captures that are. */
static void put_odd(struct reader *reader, struct writer *out, unsigned *open)
{
	switch (choose(reader, 8)) {
	case 0:
	case 1:
		put(out, '(');
		++*open;
		break;
	case 2:
	case 3:
		if (*open > 0 || choose(reader, 30) == 0) {
			put(out, ')');
			*open -= *open > 0;
		}
		break;
	case 4:
		put(out, '(');
		put(out, ')');
		break;
	case 5:
		put_balance(reader, out);
		break;
	case 6:
		put(out, '%');
		put(out, 'f');
		put_set(reader, out);
		break;
	case 7:
		put(out, '%');
		put(out, pick(reader, "1111223490", 10));
		break;
	}
}

static void put_pattern(struct reader *reader, struct writer *out)
{
	unsigned open = 0;

	if (choose(reader, 6) == 0)
		put(out, '^');
	for (unsigned parts = 1 + choose(reader, 8); parts > 0; parts--) {
		if (choose(reader, 3) == 0)
			put_odd(reader, out, &open);
		else
			put_item(reader, out);
	}
	while (open-- > 0 && choose(reader, 50) > 0)
		put(out, ')');
	if (choose(reader, 8) == 0)
		put(out, '$');
	if (choose(reader, 60) == 0)
		put(out, '%');
}

static void put_text(struct reader *reader, struct writer *out)
{
	for (unsigned parts = choose(reader, 6); parts > 0; parts--) {
		unsigned kind = choose(reader, 6);

		put(out, kind < 3 ? '%' : letter(reader));
		if (kind < 3)
			put(out, pick(reader, "00111223%%a", 11));
	}
}

static struct call read_call(const uint8_t *bytes, size_t size)
{
	struct reader reader = { bytes, size };
	struct call   call = { .function = choose(&reader, FUNCTIONS) };
	struct writer subject = { call.subject, 0, SUBJECT }, pattern = { call.pattern, 0, PATTERN };
	struct writer text = { call.text, 0, TEXT };

	for (unsigned i = choose(&reader, SUBJECT); i > 0; i--)
		put(&subject, letter(&reader));
	put_pattern(&reader, &pattern);
	call.given = choose(&reader, 3) == 0;
	call.start = (int)choose(&reader, 2 * SUBJECT) - SUBJECT;
	call.plain = choose(&reader, 10) == 0;
	call.replacement = choose(&reader, REPLACEMENTS);
	put_text(&reader, &text);
	call.length = subject.length;
	call.pattern_length = pattern.length;
	call.text_length = text.length;
	return call;
}

/* --- making a call --------------------------------------------------------------------------- */

/* The function with which gsub is asked to replace: what it gives depends on what it gets. */
static int answer(lua_State *L)
{
	size_t      length;
	const char *text = luaL_tolstring(L, 1, &length);

	switch ((length + (size_t)lua_gettop(L)) % 6) {
	case 0:
		return 0;
	case 1:
		lua_pushboolean(L, false);
		return 1;
	case 2:
		lua_pushinteger(L, (lua_Integer)length);
		return 1;
	case 3:
		lua_pushfstring(L, "<%d>", lua_gettop(L));
		return 1;
	default:
		lua_pushlstring(L, text, length);
		lua_pushliteral(L, "%1");
		lua_concat(L, 2);
		return 1;
	}
}

static void push_answers(lua_State *L)
{
	lua_newtable(L);
	lua_pushliteral(L, "A%1");
	lua_setfield(L, -2, "a");
	lua_pushnumber(L, 2.5);
	lua_setfield(L, -2, "b");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "c");
	lua_pushliteral(L, "first");
	lua_rawseti(L, -2, 1);
	lua_pushliteral(L, "-");
	lua_setfield(L, -2, "");
	lua_newtable(L);
	lua_setfield(L, -2, "aaa");
}

static void push_replacement(lua_State *L, const struct call *call)
{
	switch (call->replacement) {
	case BY_TABLE:
		push_answers(L);
		break;
	case BY_FUNCTION:
		lua_pushcfunction(L, answer);
		break;
	case BY_NUMBER:
		lua_pushinteger(L, call->start);
		break;
	default:
		lua_pushlstring(L, call->text, call->text_length);
		break;
	}
}

/* [-0, +n, m] The arguments; their number. */
static int push_arguments(lua_State *L, const struct call *call)
{
	int top = lua_gettop(L);

	lua_pushlstring(L, call->subject, call->length);
	lua_pushlstring(L, call->pattern, call->pattern_length);
	if (call->function == GSUB)
		push_replacement(L, call);
	if (call->given)
		lua_pushinteger(L, call->start);
	if (call->given && call->plain && call->function == FIND)
		lua_pushboolean(L, true);
	return lua_gettop(L) - top;
}

struct outcome {
	char   text[RESULT];
	size_t length;
	bool   raised, found;
};

static void add(struct outcome *outcome, const char *text, size_t length)
{
	size_t room = RESULT - outcome->length;

	if (length > room)
		length = room;
	memcpy(outcome->text + outcome->length, text, length);
	outcome->length += length;
}

static void add_results(lua_State *L, int bottom, struct outcome *outcome)
{
	for (int i = bottom + 1; i <= lua_gettop(L); i++) {
		size_t      length;
		const char *type = luaL_typename(L, i);
		const char *text = luaL_tolstring(L, i, &length);

		add(outcome, type, strlen(type));
		add(outcome, " ", 1);
		add(outcome, text, length);
		add(outcome, "\n", 1);
		lua_pop(L, 1);
	}
}

/* What stands on the stack: the function and its arguments, for the iterator none. */
static bool attempt(lua_State *L, int arguments, struct outcome *outcome)
{
	int bottom = lua_gettop(L) - arguments - 1;

	outcome->raised = lua_pcall(L, arguments, LUA_MULTRET, 0) != LUA_OK;
	outcome->found |= !outcome->raised && lua_gettop(L) > bottom && !lua_isnil(L, bottom + 1);
	return !outcome->raised;
}

static void iterate(lua_State *L, struct outcome *outcome)
{
	int  bottom = lua_gettop(L);
	bool more = true;

	outcome->found = false;
	for (int i = 0; i < MATCHES && more; i++) {
		lua_pushvalue(L, bottom);
		more = attempt(L, 0, outcome) && lua_gettop(L) > bottom && !lua_isnil(L, bottom + 1);
		add_results(L, bottom, outcome);
		lua_settop(L, bottom);
	}
}

static void make(lua_State *L, const struct call *call, struct outcome *outcome)
{
	static const char *const names[] = { "find", "match", "gmatch", "gsub" };
	int                      bottom = lua_gettop(L);

	outcome->length = 0;
	outcome->raised = outcome->found = false;
	lua_pushliteral(L, "");
	luaL_getmetafield(L, -1, "__index");
	lua_getfield(L, -1, names[call->function]);
	lua_replace(L, bottom + 1);
	lua_settop(L, bottom + 1);
	if (attempt(L, push_arguments(L, call), outcome) && call->function == GMATCH)
		iterate(L, outcome);
	else
		add_results(L, bottom, outcome);
	lua_settop(L, bottom);
}

/* --- comparing ------------------------------------------------------------------------------- */

static void quote(char *text, size_t room, const char *bytes, size_t length)
{
	size_t used = 0;

	for (size_t i = 0; i < length && used + 5 < room; i++) {
		bool plain = bytes[i] >= ' ' && bytes[i] <= '~' && bytes[i] != '\\' && bytes[i] != '"';

		used += (size_t)snprintf(text + used, room - used, plain ? "%c" : "\\%03d",
		                         (unsigned char)bytes[i]);
	}
	text[used] = '\0';
}

static void describe(const struct call *call, const struct outcome *ours, const struct outcome *stock,
                     char *difference, size_t room)
{
	char subject[300], pattern[700], text[300], one[2000], other[2000];

	quote(subject, sizeof subject, call->subject, call->length);
	quote(pattern, sizeof pattern, call->pattern, call->pattern_length);
	quote(text, sizeof text, call->text, call->text_length);
	quote(one, sizeof one, ours->text, ours->length);
	quote(other, sizeof other, stock->text, stock->length);
	snprintf(difference, room,
	         "function %d (\"%s\", \"%s\"), replacement %d \"%s\", %s %d%s\nours:  %s\nstock: %s",
	         call->function, subject, pattern, call->replacement, text,
	         call->given ? "given" : "not given", call->start, call->plain ? ", plain" : "", one, other);
}

static bool ends_with(const struct outcome *outcome, const char *text)
{
	size_t length = strlen(text);

	return outcome->length >= length &&
	       memcmp(outcome->text + outcome->length - length, text, length) == 0;
}

/* Ours first: what it finds too much work is not asked of the other, which might be at it for hours. */
static bool compare(struct rivals *rivals, const struct call *call, char *difference, size_t room)
{
	struct outcome ours, stock;

	rivals->figures.calls++;
	rivals->ours->steps = STEPS;
	make(rivals->ours->state, call, &ours);
	if (ours.raised && ends_with(&ours, "pattern too complex\n") && rivals->ours->steps == 0) {
		rivals->figures.dropped++;
		return true;
	}
	make(rivals->stock, call, &stock);
	rivals->figures.found += ours.found;
	rivals->figures.raised += ours.raised;
	if (ours.raised == stock.raised && ours.length == stock.length &&
	    memcmp(ours.text, stock.text, ours.length) == 0)
		return true;
	describe(call, &ours, &stock, difference, room);
	return false;
}

/* The matcher alone, on copies with nothing behind them: a sanitizer sees if it reads there. */
static void match_tightly(const struct call *call)
{
	char                 *subject = malloc(call->length + 1), *pattern = malloc(call->pattern_length + 1);
	struct pattern_search search;
	struct pattern_match  match;
	size_t                budget = STEPS;

	if (subject && pattern) {
		memcpy(subject + 1, call->subject, call->length);
		memcpy(pattern + 1, call->pattern, call->pattern_length);
		search = pattern_search(subject + 1, call->length, pattern + 1, call->pattern_length);
		pattern_find(&search, 0, SIZE_MAX, &budget, &match);
	}
	free(subject);
	free(pattern);
}

bool rivals_agree(struct rivals *rivals, const uint8_t *bytes, size_t size, char *difference, size_t room)
{
	struct call call = read_call(bytes, size);

	match_tightly(&call);
	return compare(rivals, &call, difference, room);
}

bool rivals_find(struct rivals *rivals, const char *subject, size_t length, const char *pattern,
                 size_t pattern_length, int start, char *difference, size_t room)
{
	struct call call = { .function = FIND, .length = length, .pattern_length = pattern_length };

	call.given = start != 0;
	call.start = start;
	memcpy(call.subject, subject, length);
	memcpy(call.pattern, pattern, pattern_length);
	return compare(rivals, &call, difference, room);
}

struct rivals_figures rivals_figures(const struct rivals *rivals)
{
	return rivals->figures;
}

/* --- life ------------------------------------------------------------------------------------ */

void rivals_free(struct rivals *rivals)
{
	if (!rivals)
		return;
	vm_free(rivals->ours);
	if (rivals->stock)
		lua_close(rivals->stock);
	free(rivals);
}

struct rivals *rivals_new(void)
{
	static const struct catalogue nothing;
	struct rivals                *rivals = calloc(1, sizeof *rivals);

	if (!rivals)
		return NULL;
	rivals->ours = vm_new(&nothing, NULL, NULL);
	rivals->stock = luaL_newstate();
	if (!rivals->ours || !rivals->stock) {
		rivals_free(rivals);
		return NULL;
	}
	luaL_openlibs(rivals->stock);
	return rivals;
}
