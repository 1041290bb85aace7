#include "script/expression.h"

#include "base/buffer.h"
#include "base/escape.h"
#include "base/nearest.h"
#include "script/sandbox.h"
#include "script/value.h"
#include "script/vm.h"

#include <ctype.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODE = 64 * 1024, PATH = 256, PARTS = 32, VALUE = 100 };

/* What stands between the `and`s of an expression; where there are more than PARTS, the last has the rest. */
struct part {
	char *text;
	int   function; /* registry reference */
};

struct expression {
	struct vm        *vm;
	int               function;            /* registry reference */
	int               compiled, evaluated; /* the last that was, the one that is */
	struct part       parts[PARTS];
	size_t            part_count;
	struct buffer     code;  /* the text with each path turned into a call */
	expression_field *field; /* of the evaluation under way */
	void             *owner;
	json_t           *value; /* of the field that was asked for last */
	struct buffer    *seen;  /* takes what the fields were; NULL: nobody asked */
	bool              holds;
};

/* Checking and rewriting. */
struct reading {
	const struct service *const *services;
	size_t                       count;
	struct buffer               *code;
	char                        *error;
	size_t                       size;
};

static const char *const words[] = { "and",  "or",   "not",      "nil",      "true", "false", "string",
	                             "math", "type", "tostring", "tonumber", "utf8", "select" };

/* Fields that every record has; "tls." and "error." have these below them. */
static const char *const record_fields[] = { "open", "state", "port",     "address", "ms",
	                                     "tls",  "error", "warnings", "data" };
static const char *const tls_fields[] = { "version",   "cipher",     "subject",   "issuer",
	                                  "names",     "not_before", "not_after", "days_left",
	                                  "key",       "sha256",     "verified",  "verify_error",
	                                  "handshake", "settings",   "problems",  "client_certificate" };
static const char *const error_fields[] = { "phase", "code", "message", "errno" };

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* --- fields ---------------------------------------------------------------------------------- */

static bool refuse_field(const struct reading *reading, const char *path, const char *name,
                         const char *const *names, size_t count)
{
	const char *nearest = nearest_name(name, names, count);

	snprintf(reading->error, reading->size, "\"%s\": there is no field \"%s\"%s%s%s", path, name,
	         nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	return false;
}

/* A script that declares its fields is held to them: "starttls.accepted" allows that and "starttls". */
static bool declared(const struct script *script, const char *rest)
{
	size_t length = strlen(rest);

	for (size_t i = 0; i < script->field_count; i++) {
		const char *field = script->fields[i];

		if (strncmp(field, rest, length) == 0 && (field[length] == '\0' || field[length] == '.'))
			return true;
	}
	return script->field_count == 0;
}

static bool check_data(const struct reading *reading, const struct script *script, const char *path,
                       const char *rest)
{
	const char *names[COUNT(record_fields) + 64];
	size_t      count = COUNT(record_fields);

	if (declared(script, rest))
		return true;
	memcpy(names, record_fields, sizeof record_fields);
	for (size_t i = 0; i < script->field_count && i < 64; i++)
		names[count++] = script->fields[i];
	return refuse_field(reading, path, rest, names, count);
}

/* The part of the path behind "service.". */
static bool check_field(const struct reading *reading, const struct service *service, const char *path,
                        char *rest)
{
	char *dot = strchr(rest, '.');

	if (!dot && among(rest, record_fields, COUNT(record_fields)))
		return true;
	if (strncmp(rest, "tls.", 4) == 0)
		return among(rest + 4, tls_fields, COUNT(tls_fields)) ||
		       refuse_field(reading, path, rest + 4, tls_fields, COUNT(tls_fields));
	if (strncmp(rest, "error.", 6) == 0)
		return among(rest + 6, error_fields, COUNT(error_fields)) ||
		       refuse_field(reading, path, rest + 6, error_fields, COUNT(error_fields));
	if (strncmp(rest, "data.", 5) == 0)
		rest += 5;
	return check_data(reading, service->script, path, rest);
}

static bool refuse_service(const struct reading *reading, const char *name)
{
	const char **names = calloc(reading->count + 1, sizeof *names);
	const char  *nearest = NULL;

	for (size_t i = 0; names && i < reading->count; i++)
		names[i] = reading->services[i]->name;
	if (names)
		nearest = nearest_name(name, names, reading->count);
	snprintf(reading->error, reading->size, "\"%s\" is no service of this scan%s%s%s", name,
	         nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	free(names);
	return false;
}

/* A service that is tried at two ports has two records: which one is meant? */
static bool is_one(const struct reading *reading, size_t index)
{
	for (size_t i = index + 1; i < reading->count; i++)
		if (reading->services[i] == reading->services[index]) {
			snprintf(reading->error, reading->size,
			         "\"%s\" is tried at more than one port, and could be either",
			         reading->services[index]->name);
			return false;
		}
	return true;
}

static bool check_path(const struct reading *reading, const char *path)
{
	char  copy[PATH];
	char *dot;

	snprintf(copy, sizeof copy, "%s", path);
	dot = strchr(copy, '.');
	if (!dot && (strcmp(copy, "host") == 0 || strcmp(copy, "address") == 0))
		return true;
	if (dot)
		*dot = '\0';
	for (size_t i = 0; i < reading->count; i++)
		if (strcmp(reading->services[i]->name, copy) == 0)
			return is_one(reading, i) &&
			       (!dot || check_field(reading, reading->services[i], path, dot + 1));
	return refuse_service(reading, copy);
}

/* --- rewriting ------------------------------------------------------------------------------- */

static bool name_start(char byte)
{
	return isalpha((unsigned char)byte) || byte == '_';
}

static bool name_part(char byte)
{
	return isalnum((unsigned char)byte) || byte == '_';
}

/* The end of a quoted string that begins at `text`. */
static const char *skip_string(const char *text)
{
	const char quote = *text++;

	while (*text && *text != quote)
		text += *text == '\\' && text[1] ? 2 : 1;
	return *text ? text + 1 : text;
}

/* The end of "name.name.name"; what comes before a ':' or a call is a path, the method is not. */
static const char *skip_path(const char *text)
{
	while (name_part(*text))
		text++;
	while (*text == '.' && name_start(text[1])) {
		text++;
		while (name_part(*text))
			text++;
	}
	return text;
}

static bool rewrite_path(const struct reading *reading, const char *start, const char *end)
{
	char   path[PATH];
	size_t length = (size_t)(end - start);
	size_t root = strcspn(start, ".");

	if (length >= sizeof path) {
		snprintf(reading->error, reading->size, "a name is too long");
		return false;
	}
	memcpy(path, start, length);
	path[length] = '\0';
	if (root < length)
		path[root] = '\0';
	if (among(path, words, COUNT(words)))
		return buffer_append(reading->code, start, length);
	if (root < length)
		path[root] = '.';
	return check_path(reading, path) && buffer_format(reading->code, "field(\"%s\")", path);
}

static const char *skip_token(const char *text)
{
	const char *end = text + 1;

	if (*text == '"' || *text == '\'')
		return skip_string(text);
	if (name_start(*text))
		return skip_path(text);
	while (isdigit((unsigned char)*text) && (name_part(*end) || *end == '.'))
		end++;
	return end;
}

/* One token of the text, copied or rewritten; its end, or NULL after an error. */
static const char *rewrite_token(const struct reading *reading, const char *text, char before)
{
	const char *end = skip_token(text);
	bool        path = name_start(*text) && before != ':';
	bool        good = path ? rewrite_path(reading, text, end)
	                        : buffer_append(reading->code, text, (size_t)(end - text));

	return good ? end : NULL;
}

/* (field("a.b")) may be followed by :method(), so each path stands alone. */
static bool rewrite(const struct reading *reading, const char *text)
{
	char before = ' ';

	if (!buffer_text(reading->code, "return "))
		return false;
	while (*text) {
		const char *end = rewrite_token(reading, text, before);

		if (!end)
			return false;
		if (!isspace((unsigned char)*text))
			before = end[-1];
		text = end;
	}
	return true;
}

/* --- evaluation ------------------------------------------------------------------------------ */

static json_t *readable(const json_t *value);

static json_t *readable_text(const char *bytes, size_t length)
{
	struct buffer text;
	json_t       *result;

	buffer_init(&text, 3 * length); /* U+FFFD takes three bytes */
	escape_utf8(&text, bytes, length);
	result = json_stringn(buffer_bytes(&text), buffer_length(&text));
	buffer_free(&text);
	return result;
}

static json_t *readable_array(const json_t *array)
{
	json_t       *result = json_array();
	const json_t *element;
	size_t        index;

	json_array_foreach (array, index, element)
		json_array_append_new(result, readable(element));
	return result;
}

static json_t *readable_object(const json_t *object)
{
	json_t     *result = json_object(), *name;
	const char *key;
	json_t     *value;

	json_object_foreach ((json_t *)object, key, value) {
		name = readable_text(key, strlen(key));
		if (name)
			json_object_set_new(result, json_string_value(name), readable(value));
		json_decref(name);
	}
	return result;
}

/* The value as jansson writes it: servers say what is not UTF-8, too. A new tree; NULL: no memory. */
static json_t *readable(const json_t *value)
{
	if (json_is_string(value))
		return readable_text(json_string_value(value), json_string_length(value));
	if (json_is_array(value))
		return readable_array(value);
	return json_is_object(value) ? readable_object(value) : json_copy((json_t *)value);
}

static void put_value(struct buffer *out, const json_t *value)
{
	json_t *tree = readable(value);
	char *text = tree ? json_dumps(tree, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	if (text)
		buffer_format(out, "%.*s%s", VALUE, text, strlen(text) > VALUE ? "..." : "");
	free(text);
	json_decref(tree);
}

/* "NAME is VALUE", once for each name. */
static void note(struct expression *expression, const char *path)
{
	static const char separator[] = ", ";
	struct buffer    *seen = expression->seen;
	char              name[PATH + 8];

	snprintf(name, sizeof name, "%s%s is ", separator, path);
	if (memmem(buffer_bytes(seen), buffer_length(seen), name, strlen(name)))
		return;
	buffer_text(seen, name);
	if (expression->value)
		put_value(seen, expression->value);
	else
		buffer_text(seen, "not there");
}

static int field(lua_State *L)
{
	struct expression *expression = lua_touserdata(L, lua_upvalueindex(1));
	const char        *path = luaL_checkstring(L, 1);

	json_decref(expression->value); /* kept until now, for to push it may raise */
	expression->value = expression->field(expression->owner, path);
	if (expression->seen)
		note(expression, path);
	value_push(L, expression->value);
	return 1;
}

/* [-0, +0, e] */
static int compile(lua_State *L)
{
	struct expression *expression = lua_touserdata(L, 1);

	if (!sandbox_compile(L, "expression", buffer_bytes(&expression->code),
	                     buffer_length(&expression->code)))
		return lua_error(L);
	lua_getupvalue(L, -1, 1);
	lua_pushlightuserdata(L, expression);
	lua_pushcclosure(L, field, 1);
	lua_setfield(L, -2, "field");
	lua_pop(L, 1);
	expression->compiled = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static int evaluate(lua_State *L)
{
	struct expression *expression = lua_touserdata(L, 1);

	lua_rawgeti(L, LUA_REGISTRYINDEX, expression->evaluated);
	lua_call(L, 0, 1);
	expression->holds = lua_toboolean(L, -1);
	return 0;
}

static bool holds(struct expression *expression, int function)
{
	char error[200];

	expression->evaluated = function;
	expression->holds = false;
	return vm_protected(expression->vm, evaluate, expression, error, sizeof error) && expression->holds;
}

bool expression_holds(struct expression *expression, expression_field *look_up, void *owner)
{
	expression->field = look_up;
	expression->owner = owner;
	return holds(expression, expression->function);
}

void expression_explain(struct expression *expression, expression_field *look_up, void *owner,
                        struct buffer *out)
{
	struct buffer seen;
	bool          found = false;

	buffer_init(&seen, CODE);
	expression->field = look_up;
	expression->owner = owner;
	expression->seen = &seen;
	for (size_t i = 0; i < expression->part_count && !found; i++) {
		buffer_clear(&seen);
		found = !holds(expression, expression->parts[i].function);
		if (found)
			buffer_text(out, expression->parts[i].text);
	}
	expression->seen = NULL;
	buffer_consume(&seen, strlen(", "));
	if (found && buffer_length(&seen) > 0)
		buffer_format(out, " (%.*s)", (int)buffer_length(&seen), buffer_bytes(&seen));
	buffer_free(&seen);
}

/* --- life ------------------------------------------------------------------------------------ */

static bool is_word(const char *word, const char *start, const char *end)
{
	return strlen(word) == (size_t)(end - start) && memcmp(word, start, strlen(word)) == 0;
}

/* A comment, or a string in long brackets. */
static bool starts_long(const char *text)
{
	return strncmp(text, "--", 2) == 0 || strncmp(text, "[[", 2) == 0 || strncmp(text, "[=", 2) == 0;
}

/* Where the next `and` stands that is in no brackets; NULL: there is none, or there is an `or`, which binds less, or
 * what is not looked into. */
static const char *next_and(const char *text)
{
	const char *found = NULL;
	int         depth = 0;

	while (*text) {
		const char *end = skip_token(text);

		depth += (strchr("([{", *text) != NULL) - (strchr(")]}", *text) != NULL);
		if ((depth == 0 && is_word("or", text, end)) || starts_long(text))
			return NULL;
		if (depth == 0 && !found && is_word("and", text, end))
			found = text;
		text = end;
	}
	return found;
}

static bool build(struct expression *expression, const struct reading *reading, const char *text,
                  int *function)
{
	bool good;

	buffer_clear(&expression->code);
	good = rewrite(reading, text) &&
	       vm_protected(expression->vm, compile, expression, reading->error, reading->size);
	*function = expression->compiled;
	return good;
}

static bool add_part(struct expression *expression, const struct reading *reading, const char *text,
                     size_t length)
{
	struct part *part = &expression->parts[expression->part_count];

	while (length > 0 && isspace((unsigned char)*text))
		text++, length--;
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	part->text = strndup(text, length);
	expression->part_count++;
	return part->text && build(expression, reading, part->text, &part->function);
}

static bool split(struct expression *expression, const struct reading *reading, const char *text)
{
	const char *end = next_and(text);

	while (end && expression->part_count < PARTS - 1) {
		if (!add_part(expression, reading, text, (size_t)(end - text)))
			return false;
		text = end + strlen("and");
		end = next_and(text);
	}
	return add_part(expression, reading, text, strlen(text));
}

struct expression *expression_new(const struct catalogue *catalogue, const char *text,
                                  const struct service *const *services, size_t count, char *error,
                                  size_t size)
{
	struct expression *expression = calloc(1, sizeof *expression);
	struct reading     reading = { services, count, NULL, error, size };

	snprintf(error, size, "not enough memory");
	if (!expression)
		return NULL;
	buffer_init(&expression->code, CODE);
	reading.code = &expression->code;
	expression->vm = vm_new(catalogue, NULL, NULL);
	/* First the whole, for what is wrong with it is told in its words. */
	if (expression->vm && build(expression, &reading, text, &expression->function) &&
	    split(expression, &reading, text))
		return expression;
	expression_free(expression);
	return NULL;
}

void expression_free(struct expression *expression)
{
	if (!expression)
		return;
	for (size_t i = 0; i < expression->part_count; i++)
		free(expression->parts[i].text);
	vm_free(expression->vm);
	json_decref(expression->value);
	buffer_free(&expression->code);
	free(expression);
}
