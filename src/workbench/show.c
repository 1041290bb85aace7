#include "workbench/show.h"

#include "base/escape.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Of longer strings and tables the beginning is shown; tables in tables DEPTH deep. ONE_LINE is room enough for what
 * may stand on one line. */
enum { STRING_BYTES = 4096, KEYS = 200, DEPTH = 5, ONE_LINE = 400 };

/* --- strings --------------------------------------------------------------------------------- */

static const char *short_escape(char byte)
{
	switch (byte) {
	case '\r':
		return "\\r";
	case '\n':
		return "\\n";
	case '\t':
		return "\\t";
	case '\\':
		return "\\\\";
	case '"':
		return "\\\"";
	default:
		return NULL;
	}
}

/* Stretches without a short escape go through the terminal's own. */
static void show_string(lua_State *L, int index, struct buffer *out)
{
	size_t      length;
	const char *text = lua_tolstring(L, index, &length);
	size_t      shown = length > STRING_BYTES ? STRING_BYTES : length, from = 0;

	buffer_text(out, "\"");
	for (size_t i = 0; i <= shown; i++) {
		const char *escape = i < shown ? short_escape(text[i]) : "";

		if (!escape)
			continue;
		escape_terminal(out, text + from, i - from, STRING_BYTES * 8);
		buffer_text(out, escape);
		from = i + 1;
	}
	buffer_text(out, "\"");
	if (shown < length)
		buffer_format(out, "... (%zu bytes)", length);
}

/* --- tables ---------------------------------------------------------------------------------- */

static bool is_name(lua_State *L, int index)
{
	size_t      length;
	const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &length) : NULL;
	const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	return text && length > 0 && strspn(text, letters) == length && !(text[0] >= '0' && text[0] <= '9');
}

/* Numbers, then texts, each in their order, then the rest as it comes. The keys stand in the list at `keys`. */
static bool before(lua_State *L, int one, int other)
{
	int type = lua_type(L, one), other_type = lua_type(L, other);

	if (type != other_type)
		return type == LUA_TNUMBER || (type == LUA_TSTRING && other_type != LUA_TNUMBER);
	return (type == LUA_TNUMBER || type == LUA_TSTRING) && lua_compare(L, one, other, LUA_OPLT);
}

/* [-0, +1, e] The keys of the table at `index` as a list in order; *more: there are others. */
static int push_keys(lua_State *L, int index, bool *more)
{
	int keys, count = 0;

	lua_newtable(L);
	keys = lua_gettop(L);
	lua_pushnil(L);
	for (*more = false; lua_next(L, index) != 0;) {
		int place = count;

		lua_pop(L, 1);
		if (count == KEYS) {
			*more = true;
			lua_pop(L, 1);
			break;
		}
		for (; place > 0 && lua_rawgeti(L, keys, place) && before(L, -2, -1); place--)
			lua_rawseti(L, keys, place + 1);
		if (place > 0)
			lua_pop(L, 1);
		lua_pushvalue(L, -1);
		lua_rawseti(L, keys, place + 1);
		count++;
	}
	return count;
}

struct showing {
	struct buffer *out;
	size_t         width;
	const void   **parents; /* the tables that we are in, by depth; each shows itself as {...} */
};

static void show(lua_State *L, int index, int depth, size_t indent, const struct showing *showing);

static void show_key(lua_State *L, int index, lua_Integer next, const struct showing *showing)
{
	if (lua_isinteger(L, index) && lua_tointeger(L, index) == next)
		return;
	if (is_name(L, index)) {
		buffer_text(showing->out, lua_tostring(L, index));
	} else {
		buffer_text(showing->out, "[");
		show(L, index, 0, 0, showing);
		buffer_text(showing->out, "]");
	}
	buffer_text(showing->out, " = ");
}

static void start_line(struct buffer *out, size_t indent)
{
	buffer_text(out, "\n");
	for (size_t i = 0; i < indent; i++)
		buffer_text(out, " ");
}

/* The table at `index` by its keys, on one line or on a line each. */
static void show_pairs(lua_State *L, int index, int depth, size_t indent, bool broken,
                       const struct showing *showing)
{
	bool more;
	int  count = push_keys(L, index, &more), keys = lua_gettop(L);

	buffer_text(showing->out, count == 0 ? "{" : broken ? "{" : "{ ");
	for (int i = 1; i <= count; i++) {
		if (broken)
			start_line(showing->out, indent + 2);
		lua_rawgeti(L, keys, i);
		show_key(L, keys + 1, i, showing);
		lua_rawget(L, index);
		show(L, keys + 1, depth - 1, indent + 2, showing);
		lua_pop(L, 1);
		buffer_text(showing->out, i < count || more ? (broken ? "," : ", ") : "");
	}
	if (more)
		buffer_text(showing->out, "...");
	if (broken && count > 0)
		start_line(showing->out, indent);
	buffer_text(showing->out, count > 0 && !broken ? " }" : "}");
	lua_pop(L, 1);
}

static bool is_inside(const struct showing *showing, const void *table, int depth)
{
	while (++depth <= DEPTH)
		if (showing->parents[depth] == table)
			return true;
	return false;
}

static void show_table(lua_State *L, int index, int depth, size_t indent, const struct showing *showing)
{
	struct buffer  line;
	struct showing narrow = { &line, SIZE_MAX, showing->parents };
	bool           fits;

	if (depth == 0 || is_inside(showing, lua_topointer(L, index), depth)) {
		buffer_text(showing->out, "{...}");
		return;
	}
	luaL_checkstack(L, 10, NULL);
	showing->parents[depth] = lua_topointer(L, index);
	if (showing->width == SIZE_MAX) {
		show_pairs(L, index, depth, indent, false, showing);
		return;
	}
	buffer_init(&line, ONE_LINE);
	show_pairs(L, index, depth, indent, false, &narrow);
	fits = buffer_length(&line) < ONE_LINE - 8 && indent + buffer_length(&line) <= showing->width;
	if (fits)
		buffer_append(showing->out, buffer_bytes(&line), buffer_length(&line));
	buffer_free(&line);
	if (!fits)
		show_pairs(L, index, depth, indent, true, showing);
}

/* --- all ------------------------------------------------------------------------------------- */

static void show_other(lua_State *L, int index, const struct showing *showing)
{
	size_t      length;
	const char *text = luaL_tolstring(L, index, &length);

	escape_terminal(showing->out, text, length, STRING_BYTES);
	lua_pop(L, 1);
}

static void show(lua_State *L, int index, int depth, size_t indent, const struct showing *showing)
{
	bool worded = luaL_getmetafield(L, index, "__tostring") != LUA_TNIL;

	lua_pop(L, worded);
	if (lua_type(L, index) == LUA_TSTRING)
		show_string(L, index, showing->out);
	else if (lua_istable(L, index) && !worded)
		show_table(L, index, depth, indent, showing);
	else if (lua_isfunction(L, index))
		buffer_text(showing->out, "function");
	else
		show_other(L, index, showing);
}

void show_value(lua_State *L, int index, size_t width, struct buffer *out)
{
	const void    *parents[DEPTH + 1] = { NULL };
	struct showing showing = { out, width, parents };

	show(L, lua_absindex(L, index), DEPTH, 0, &showing);
}

/* --- bytes ----------------------------------------------------------------------------------- */

static void show_row(struct buffer *out, size_t offset, const unsigned char *bytes, size_t length)
{
	buffer_format(out, "%08zx ", offset);
	for (size_t i = 0; i < 16; i++) {
		buffer_text(out, i == 8 ? "  " : " ");
		if (i < length)
			buffer_format(out, "%02x", bytes[i]);
		else
			buffer_text(out, "  ");
	}
	buffer_text(out, "  |");
	for (size_t i = 0; i < length; i++)
		buffer_append(out, bytes[i] >= 0x20 && bytes[i] < 0x7f ? (const char *)&bytes[i] : ".", 1);
	buffer_text(out, "|\n");
}

void show_hex(struct buffer *out, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length; at += 16)
		show_row(out, at, (const unsigned char *)bytes + at, length - at < 16 ? length - at : 16);
}
