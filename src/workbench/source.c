#include "workbench/source.h"

#include "base/buffer.h"
#include "base/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* DEPTH: Lua itself refuses deeper nesting. TEXT: the longest text of a script. */
enum { DEPTH = 250, TEXT = 256 * 1024, LOCALS = 4096, PATH_TEXT = 200 };

struct source_text {
	struct source_text *next;
	size_t              length;
	char                bytes[];
};

enum type { T_END, T_NAME, T_WORD, T_TEXT, T_NUMBER, T_SIGN };

struct token {
	enum type   type;
	unsigned    line;
	const char *text; /* of a T_TEXT without quotes and escapes */
	size_t      length;
};

/* A variable that is in scope. */
struct variable {
	const char   *name;
	struct origin origin;
};

struct reader {
	struct source  *source;
	const char     *at, *end;
	unsigned        line;
	struct token    now, next;
	struct variable locals[LOCALS];
	size_t          local_count;
	size_t          function;
	unsigned        depth;
	bool            bad;
};

/* What an expression is, as far as can be read off the page. */
struct value {
	struct origin origin;
	const char   *name; /* of a variable that stands alone */
	const char   *text; /* of a literal */
	size_t        length;
	bool          is_true;
	size_t        sighting; /* index + 1 of the last of a name or member, which may turn out to be set */
};

/* --- keeping --------------------------------------------------------------------------------- */

static const char *keep(struct reader *reader, const char *bytes, size_t length)
{
	struct source_text *text = malloc(sizeof *text + length + 1);

	if (!text) {
		reader->bad = true;
		return "";
	}
	text->length = length;
	memcpy(text->bytes, bytes, length);
	text->bytes[length] = '\0';
	text->next = reader->source->texts;
	reader->source->texts = text;
	return text->bytes;
}

/* One more element, zeroed, of an array that doubles; NULL: no memory. */
static void *grow(struct reader *reader, void *array, size_t *count, size_t size)
{
	size_t had = *count;
	char  *grown = array;

	if ((had & (had - 1)) == 0)
		grown = realloc(array, (had > 0 ? 2 * had : 1) * size);
	if (!grown) {
		reader->bad = true;
		return NULL;
	}
	memset(grown + had * size, 0, size);
	++*count;
	return grown;
}

static struct sighting *see(struct reader *reader, enum sight kind, unsigned line, const char *name)
{
	static struct sighting none;
	struct source         *source = reader->source;
	struct sighting *grown = grow(reader, source->sightings, &source->sighting_count, sizeof *grown);
	struct sighting *sighting;

	if (!grown) {
		none = (struct sighting){ 0 };
		return &none;
	}
	source->sightings = grown;
	sighting = &grown[source->sighting_count - 1];
	sighting->kind = kind;
	sighting->line = line;
	sighting->name = name;
	sighting->function = reader->function;
	return sighting;
}

/* --- tokens ---------------------------------------------------------------------------------- */

static char peek(const struct reader *reader, size_t ahead)
{
	return ahead < (size_t)(reader->end - reader->at) ? reader->at[ahead] : '\0';
}

/* The level of the long bracket that opens or closes here, "[==[" is 2; -1: none does. */
static int long_bracket(const struct reader *reader, char bracket)
{
	size_t level = 0;

	if (peek(reader, 0) != bracket)
		return -1;
	while (peek(reader, 1 + level) == '=')
		level++;
	return peek(reader, 1 + level) == bracket ? (int)level : -1;
}

/* Behind the opening bracket, up to and with the closing one. */
static struct token read_long(struct reader *reader, int level)
{
	struct token token = { .type = T_TEXT, .line = reader->line };
	const char  *start;

	reader->at += level + 2;
	if (peek(reader, 0) == '\r')
		reader->at++;
	if (peek(reader, 0) == '\n') {
		reader->line++;
		reader->at++;
	}
	start = reader->at;
	while (reader->at < reader->end && long_bracket(reader, ']') != level)
		reader->line += *reader->at++ == '\n';
	token.length = (size_t)(reader->at - start);
	token.text = keep(reader, start, token.length);
	if (reader->at < reader->end)
		reader->at += level + 2;
	return token;
}

static void note_comment(struct reader *reader, const char *text, size_t length)
{
	static const char excuse[] = "check: ok";
	struct source    *source = reader->source;

	for (size_t i = 0; i + sizeof excuse - 1 <= length; i++)
		if (memcmp(text + i, excuse, sizeof excuse - 1) == 0 && reader->line < source->lines)
			source->excused[reader->line] = true;
}

static void skip_comment(struct reader *reader)
{
	const char *start = reader->at;

	reader->at += 2;
	if (long_bracket(reader, '[') >= 0) {
		read_long(reader, long_bracket(reader, '['));
		return;
	}
	while (reader->at < reader->end && *reader->at != '\n')
		reader->at++;
	note_comment(reader, start, (size_t)(reader->at - start));
}

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end) {
		if (*reader->at == '-' && peek(reader, 1) == '-')
			skip_comment(reader);
		else if (strchr(" \t\r\n\f\v", *reader->at) && *reader->at)
			reader->line += *reader->at++ == '\n';
		else
			break;
	}
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_keyword(const char *name)
{
	static const char *const words[] = { "and",   "break", "do",       "else", "elseif", "end",
		                             "false", "for",   "function", "goto", "if",     "in",
		                             "local", "nil",   "not",      "or",   "repeat", "return",
		                             "then",  "true",  "until",    "while" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i], name) == 0)
			return true;
	return false;
}

static struct token read_name(struct reader *reader)
{
	struct token token = { .line = reader->line };
	const char  *start = reader->at;

	while (is_letter(peek(reader, 0)) || is_digit(peek(reader, 0)))
		reader->at++;
	token.length = (size_t)(reader->at - start);
	token.text = keep(reader, start, token.length);
	token.type = is_keyword(token.text) ? T_WORD : T_NAME;
	return token;
}

static struct token read_number(struct reader *reader)
{
	struct token token = { .type = T_NUMBER, .line = reader->line, .text = "0", .length = 1 };
	bool         hex = peek(reader, 0) == '0' && (peek(reader, 1) == 'x' || peek(reader, 1) == 'X');

	for (;;) {
		char c = peek(reader, 0);
		bool exponent = hex ? c == 'p' || c == 'P' : c == 'e' || c == 'E';

		if (exponent && (peek(reader, 1) == '+' || peek(reader, 1) == '-'))
			reader->at++;
		else if (!is_letter(c) && !is_digit(c) && c != '.')
			break;
		reader->at++;
	}
	return token;
}

static unsigned hex_of(char c)
{
	return is_digit(c) ? (unsigned)(c - '0') : ((unsigned)(c | 0x20) - 'a' + 10) & 15;
}

/* Behind a backslash. */
static void read_escape(struct reader *reader, struct buffer *text)
{
	static const char letters[] = "abfnrtv", bytes[] = "\a\b\f\n\r\t\v";
	char              c = peek(reader, 0);
	const char       *letter = c ? strchr(letters, c) : NULL;
	unsigned          value = 0;

	reader->at += reader->at < reader->end;
	if (letter) {
		c = bytes[letter - letters];
	} else if (c == 'x') {
		c = (char)(hex_of(peek(reader, 0)) << 4 | hex_of(peek(reader, 1)));
		reader->at += 2;
	} else if (is_digit(c)) {
		reader->at--;
		for (int i = 0; i < 3 && is_digit(peek(reader, 0)); i++)
			value = value * 10 + (unsigned)(*reader->at++ - '0');
		c = (char)value;
	} else if (c == 'z') {
		skip_space(reader);
		return;
	} else if (c == 'u') {
		while (reader->at < reader->end && *reader->at++ != '}')
			;
		c = '?';
	} else if (c == '\n') {
		reader->line++;
	}
	buffer_append(text, &c, 1);
}

static struct token read_text(struct reader *reader)
{
	struct token  token = { .type = T_TEXT, .line = reader->line };
	char          quote = *reader->at++;
	struct buffer text;

	buffer_init(&text, TEXT);
	while (reader->at < reader->end && *reader->at != quote && *reader->at != '\n') {
		if (*reader->at == '\\') {
			reader->at++;
			read_escape(reader, &text);
		} else {
			buffer_append(&text, reader->at++, 1);
		}
	}
	reader->at += reader->at < reader->end;
	token.length = buffer_length(&text);
	token.text = keep(reader, buffer_bytes(&text), token.length);
	buffer_free(&text);
	return token;
}

static struct token read_sign(struct reader *reader)
{
	static const char *const signs[] = { "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>" };
	struct token             token = { .type = T_SIGN, .line = reader->line, .length = 1 };

	for (size_t i = 0; i < sizeof signs / sizeof *signs && token.length == 1; i++)
		if ((size_t)(reader->end - reader->at) >= strlen(signs[i]) &&
		    memcmp(reader->at, signs[i], strlen(signs[i])) == 0)
			token.length = strlen(signs[i]);
	token.text = keep(reader, reader->at, token.length);
	reader->at += token.length;
	return token;
}

static struct token read_token(struct reader *reader)
{
	char c;

	skip_space(reader);
	c = peek(reader, 0);
	if (reader->at >= reader->end)
		return (struct token){ .type = T_END, .line = reader->line, .text = "" };
	if (is_letter(c))
		return read_name(reader);
	if (is_digit(c) || (c == '.' && is_digit(peek(reader, 1))))
		return read_number(reader);
	if (c == '"' || c == '\'')
		return read_text(reader);
	if (long_bracket(reader, '[') >= 0)
		return read_long(reader, long_bracket(reader, '['));
	return read_sign(reader);
}

static void advance(struct reader *reader)
{
	reader->now = reader->next;
	reader->next = read_token(reader);
}

static bool is(const struct reader *reader, const char *word)
{
	return (reader->now.type == T_WORD || reader->now.type == T_SIGN) &&
	       strcmp(reader->now.text, word) == 0;
}

static bool accept(struct reader *reader, const char *word)
{
	if (!is(reader, word))
		return false;
	advance(reader);
	return true;
}

/* The text compiles, so what must be there is; if not, this reader has a fault, and gives up. */
static void want(struct reader *reader, const char *word)
{
	if (!accept(reader, word))
		reader->bad = true;
}

static const char *want_name(struct reader *reader)
{
	const char *name = reader->now.text;

	if (reader->now.type != T_NAME)
		reader->bad = true;
	else
		advance(reader);
	return name;
}

/* --- variables ------------------------------------------------------------------------------- */

static void declare(struct reader *reader, const char *name, struct origin origin)
{
	if (reader->local_count == LOCALS)
		reader->bad = true;
	else
		reader->locals[reader->local_count++] = (struct variable){ name, origin };
}

static const struct variable *find_local(const struct reader *reader, const char *name)
{
	for (size_t i = reader->local_count; i-- > 0;)
		if (strcmp(reader->locals[i].name, name) == 0)
			return &reader->locals[i];
	return NULL;
}

static const char *nearest_local(const struct reader *reader, const char *name)
{
	const char **names = calloc(reader->local_count + 1, sizeof *names);
	const char  *nearest;

	for (size_t i = 0; names && i < reader->local_count; i++)
		names[i] = reader->locals[i].name;
	nearest = names ? nearest_name(name, names, reader->local_count) : NULL;
	free(names);
	return nearest;
}

static void         read_block(struct reader *reader);
static struct value read_expression(struct reader *reader);
static struct value read_table(struct reader *reader, const char *path);

/* --- functions ------------------------------------------------------------------------------- */

static size_t add_function(struct reader *reader, unsigned line, const char *name)
{
	struct source   *source = reader->source;
	struct function *grown = grow(reader, source->functions, &source->function_count, sizeof *grown);

	if (!grown)
		return 0;
	source->functions = grown;
	grown[source->function_count - 1] = (struct function){ .line = line, .name = name };
	return source->function_count - 1;
}

static void add_parameter(struct reader *reader, size_t number, const char *name)
{
	struct function *function = &reader->source->functions[number];
	struct origin    origin = { ORIGIN_PARAMETER, NULL, number, function->parameter_count };

	if (function->parameter_count < FUNCTION_PARAMETERS)
		function->parameters[function->parameter_count++] = name;
	else
		origin.kind = ORIGIN_UNKNOWN;
	declare(reader, name, origin);
}

/* From the parameters to the end. */
static void read_body(struct reader *reader, size_t number, bool method)
{
	size_t locals = reader->local_count, outer = reader->function;

	reader->function = number;
	if (method)
		add_parameter(reader, number, "self");
	want(reader, "(");
	while (!reader->bad && !is(reader, ")")) {
		if (!accept(reader, "..."))
			add_parameter(reader, number, want_name(reader));
		if (!accept(reader, ","))
			break;
	}
	want(reader, ")");
	read_block(reader);
	want(reader, "end");
	reader->function = outer;
	reader->local_count = locals;
}

static struct value read_function(struct reader *reader, const char *name)
{
	size_t number = add_function(reader, reader->now.line, name);

	want(reader, "function");
	read_body(reader, number, false);
	return (struct value){ .origin = { ORIGIN_FUNCTION, NULL, number, 0 } };
}

/* --- calls ----------------------------------------------------------------------------------- */

static struct given given_of(const struct value *value)
{
	return (struct given){ value->origin, value->text, value->length, value->is_true };
}

static bool at_arguments(const struct reader *reader)
{
	return is(reader, "(") || is(reader, "{") || reader->now.type == T_TEXT;
}

static void read_arguments(struct reader *reader, struct given *given, size_t *count)
{
	struct value value;

	if (reader->now.type == T_TEXT) {
		given[(*count)++] = (struct given){ .text = reader->now.text, .length = reader->now.length };
		advance(reader);
	} else if (is(reader, "{")) {
		value = read_table(reader, NULL);
		given[(*count)++] = given_of(&value);
	} else {
		want(reader, "(");
		while (!reader->bad && !is(reader, ")")) {
			value = read_expression(reader);
			if (*count < CALL_ARGUMENTS)
				given[(*count)++] = given_of(&value);
			if (!accept(reader, ","))
				break;
		}
		want(reader, ")");
	}
}

/* What comes of base(...): a library, or nothing that is known. */
static struct origin result_of(const struct origin *base, const char *member, const struct given *given,
                               size_t count)
{
	if (base->kind == ORIGIN_GLOBAL && !member && strcmp(base->name, "require") == 0 && count > 0 &&
	    given[0].text)
		return (struct origin){ .kind = ORIGIN_LIBRARY, .name = given[0].text };
	if (base->kind == ORIGIN_GLOBAL && member && strcmp(base->name, "scan") == 0 &&
	    strcmp(member, "connect") == 0)
		return (struct origin){ .kind = ORIGIN_CONNECTION };
	return (struct origin){ ORIGIN_UNKNOWN, NULL, 0, 0 };
}

static struct value read_call(struct reader *reader, const struct value *base, enum sight kind,
                              const char *member, unsigned line)
{
	struct given     given[CALL_ARGUMENTS];
	size_t           count = 0;
	struct sighting *sighting;
	struct value     result = { .origin = { ORIGIN_UNKNOWN, NULL, 0, 0 } };

	read_arguments(reader, given, &count);
	sighting = see(reader, kind, line, member);
	sighting->base = base->origin;
	sighting->base_name = base->name;
	sighting->called = true;
	sighting->given_count = count;
	memcpy(sighting->given, given, count * sizeof *given);
	if (kind != SIGHT_METHOD)
		result.origin = result_of(&base->origin, member, given, count);
	return result;
}

/* --- expressions ----------------------------------------------------------------------------- */

static struct value read_variable(struct reader *reader)
{
	unsigned               line = reader->now.line;
	const char            *name = want_name(reader);
	const struct variable *local = find_local(reader, name);
	struct value           value = { .name = name };
	struct sighting       *sighting;

	if (local) {
		value.origin = local->origin;
		return value;
	}
	value.origin = (struct origin){ ORIGIN_GLOBAL, name, 0, 0 };
	sighting = see(reader, SIGHT_READ, line, name);
	sighting->nearest = nearest_local(reader, name);
	value.sighting = reader->source->sighting_count;
	return value;
}

/* base.name, with what is done to it next. */
static struct value read_member(struct reader *reader, const struct value *base)
{
	unsigned         line = reader->now.line;
	const char      *name = want_name(reader);
	struct value     value = { .origin = { ORIGIN_UNKNOWN, NULL, 0, 0 } };
	struct sighting *sighting;

	if (at_arguments(reader))
		return read_call(reader, base, SIGHT_MEMBER, name, line);
	sighting = see(reader, SIGHT_MEMBER, line, name);
	sighting->base = base->origin;
	sighting->base_name = base->name;
	if (is(reader, ".") && reader->next.type == T_NAME)
		sighting->below = reader->next.text;
	value.sighting = reader->source->sighting_count;
	return value;
}

static struct value read_suffixed(struct reader *reader)
{
	struct value value = { .origin = { ORIGIN_UNKNOWN, NULL, 0, 0 } };
	unsigned     line = reader->now.line;

	if (accept(reader, "(")) {
		value = read_expression(reader);
		value.sighting = 0;
		want(reader, ")");
	} else {
		value = read_variable(reader);
	}
	while (!reader->bad) {
		if (accept(reader, ".")) {
			value = read_member(reader, &value);
		} else if (accept(reader, "[")) {
			read_expression(reader);
			want(reader, "]");
			value = (struct value){ .origin = { ORIGIN_UNKNOWN, NULL, 0, 0 } };
		} else if (is(reader, ":") && reader->next.type == T_NAME) {
			const char *name = reader->next.text;

			line = reader->next.line;
			advance(reader);
			advance(reader);
			value = read_call(reader, &value, SIGHT_METHOD, name, line);
		} else if (at_arguments(reader)) {
			value = read_call(reader, &value, SIGHT_CALL, NULL, line);
		} else {
			break;
		}
	}
	return value;
}

static struct value read_literal(struct reader *reader)
{
	struct value value = { .origin = { ORIGIN_UNKNOWN, NULL, 0, 0 } };

	if (reader->now.type == T_TEXT) {
		value.text = reader->now.text;
		value.length = reader->now.length;
	}
	value.is_true = is(reader, "true");
	advance(reader);
	return value;
}

static struct value read_operand(struct reader *reader)
{
	while (is(reader, "not") || is(reader, "-") || is(reader, "#") || is(reader, "~"))
		advance(reader);
	if (is(reader, "function"))
		return read_function(reader, NULL);
	if (is(reader, "{"))
		return read_table(reader, NULL);
	if (reader->now.type == T_NAME || is(reader, "("))
		return read_suffixed(reader);
	if (reader->now.type == T_END)
		reader->bad = true;
	return read_literal(reader);
}

static bool at_operator(const struct reader *reader)
{
	static const char *const signs[] = { "+",  "-", "*",  "/", "//", "%", "^",  "..", "==",  "~=", "<",
		                             "<=", ">", ">=", "&", "|",  "~", "<<", ">>", "and", "or" };

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (is(reader, signs[i]))
			return true;
	return false;
}

static struct value read_expression(struct reader *reader)
{
	struct value value = { .origin = { ORIGIN_UNKNOWN, NULL, 0, 0 } };

	if (reader->depth++ > DEPTH)
		reader->bad = true;
	if (!reader->bad)
		value = read_operand(reader);
	while (!reader->bad && at_operator(reader)) {
		advance(reader);
		read_operand(reader);
		value = (struct value){ .origin = { ORIGIN_UNKNOWN, NULL, 0, 0 } };
	}
	reader->depth--;
	return value;
}

/* --- tables ---------------------------------------------------------------------------------- */

/* The function that is the table's `probe`, be it written there or before. */
static void note_probe(struct reader *reader, const char *path, const struct value *value)
{
	if (strcmp(path, "probe") == 0 && value->origin.kind == ORIGIN_FUNCTION)
		reader->source->functions[value->origin.function].probe = true;
}

/* A value of the table that the file returns, which is at `path` there. */
static void read_known(struct reader *reader, const char *path, unsigned line)
{
	struct value value;

	see(reader, SIGHT_FIELD, line, keep(reader, path, strlen(path)));
	if (is(reader, "{")) {
		read_table(reader, path);
		return;
	}
	value = read_expression(reader);
	note_probe(reader, path, &value);
}

static void read_field(struct reader *reader, const char *path, size_t *position)
{
	bool named = reader->now.type == T_NAME && reader->next.type == T_SIGN &&
	             strcmp(reader->next.text, "=") == 0;
	unsigned line = reader->now.line;
	char     below[PATH_TEXT];

	if (accept(reader, "[")) {
		read_expression(reader);
		want(reader, "]");
		want(reader, "=");
		read_expression(reader);
		return;
	}
	if (named)
		snprintf(below, sizeof below, "%s%s%s", path ? path : "", path && *path ? "." : "",
		         reader->now.text);
	else
		snprintf(below, sizeof below, "%s[%zu]", path ? path : "", ++*position);
	if (named) {
		advance(reader);
		advance(reader);
	}
	if (path)
		read_known(reader, below, line);
	else
		read_expression(reader);
}

static struct value read_table(struct reader *reader, const char *path)
{
	size_t position = 0;

	if (reader->depth++ > DEPTH)
		reader->bad = true;
	want(reader, "{");
	while (!reader->bad && !is(reader, "}")) {
		read_field(reader, path, &position);
		if (!accept(reader, ",") && !accept(reader, ";"))
			break;
	}
	want(reader, "}");
	reader->depth--;
	return (struct value){ .origin = { ORIGIN_UNKNOWN, NULL, 0, 0 } };
}

/* --- statements ------------------------------------------------------------------------------ */

/* A block of its own, up to the word that ends it. */
static void read_scope(struct reader *reader)
{
	size_t locals = reader->local_count;

	read_block(reader);
	reader->local_count = locals;
}

static void read_if(struct reader *reader)
{
	do {
		read_expression(reader);
		want(reader, "then");
		read_scope(reader);
	} while (!reader->bad && accept(reader, "elseif"));
	if (accept(reader, "else"))
		read_scope(reader);
	want(reader, "end");
}

static size_t read_list(struct reader *reader, struct value *values, size_t room)
{
	size_t count = 0;

	do {
		struct value value = read_expression(reader);

		if (count < room)
			values[count++] = value;
	} while (!reader->bad && accept(reader, ","));
	return count;
}

static void read_for(struct reader *reader)
{
	const char *names[FUNCTION_PARAMETERS];
	size_t      count = 0, locals = reader->local_count;

	do {
		const char *name = want_name(reader);

		if (count < FUNCTION_PARAMETERS)
			names[count++] = name;
	} while (!reader->bad && accept(reader, ","));
	if (!accept(reader, "="))
		want(reader, "in");
	read_list(reader, NULL, 0);
	want(reader, "do");
	for (size_t i = 0; i < count; i++)
		declare(reader, names[i], (struct origin){ ORIGIN_UNKNOWN, NULL, 0, 0 });
	read_block(reader);
	want(reader, "end");
	reader->local_count = locals;
}

static void read_repeat(struct reader *reader)
{
	size_t locals = reader->local_count;

	read_block(reader);
	want(reader, "until");
	read_expression(reader); /* which sees the block's locals */
	reader->local_count = locals;
}

/* function a.b:c() ... end */
static void read_named_function(struct reader *reader)
{
	unsigned     line = reader->now.line;
	struct value base = read_variable(reader);
	char         name[PATH_TEXT];
	bool         method = false, plain = true;
	size_t       number;

	snprintf(name, sizeof name, "%s", base.name);
	while (!reader->bad && !method && (is(reader, ".") || is(reader, ":"))) {
		method = is(reader, ":");
		plain = false;
		advance(reader);
		snprintf(name + strlen(name), sizeof name - strlen(name), ".%s", want_name(reader));
	}
	if (plain && base.sighting > 0)
		reader->source->sightings[base.sighting - 1].kind = SIGHT_SET;
	number = add_function(reader, line, keep(reader, name, strlen(name)));
	if (strlen(name) > 6 && strcmp(name + strlen(name) - 6, ".probe") == 0 && !reader->bad)
		reader->source->functions[number].probe = true;
	read_body(reader, number, method);
}

static void read_local_function(struct reader *reader)
{
	unsigned    line = reader->now.line;
	const char *name = want_name(reader);
	size_t      number = add_function(reader, line, name);

	declare(reader, name, (struct origin){ ORIGIN_FUNCTION, NULL, number, 0 });
	read_body(reader, number, false);
}

/* local a <const>, b = ... */
static void read_local(struct reader *reader)
{
	const char  *names[FUNCTION_PARAMETERS];
	struct value values[FUNCTION_PARAMETERS];
	size_t       count = 0, given = 0;

	do {
		const char *name = want_name(reader);

		if (count < FUNCTION_PARAMETERS)
			names[count++] = name;
		if (accept(reader, "<")) {
			want_name(reader);
			want(reader, ">");
		}
	} while (!reader->bad && accept(reader, ","));
	if (accept(reader, "="))
		given = read_list(reader, values, FUNCTION_PARAMETERS);
	for (size_t i = 0; i < count; i++)
		declare(reader, names[i],
		        i < given ? values[i].origin : (struct origin){ ORIGIN_UNKNOWN, NULL, 0, 0 });
}

static void note_set(struct reader *reader, const struct value *target)
{
	struct sighting *sighting = target->sighting > 0 ? &reader->source->sightings[target->sighting - 1]
	                                                 : NULL;

	if (sighting && sighting->kind == SIGHT_READ)
		sighting->kind = SIGHT_SET;
	else if (sighting && sighting->kind == SIGHT_MEMBER)
		sighting->set = true;
}

/* A local that is given another value comes from nowhere in particular any more. */
static void forget_origin(struct reader *reader, const struct value *target)
{
	for (size_t i = reader->local_count; target->name && i-- > 0;) {
		if (strcmp(reader->locals[i].name, target->name) == 0) {
			reader->locals[i].origin.kind = ORIGIN_UNKNOWN;
			return;
		}
	}
}

static void read_expression_statement(struct reader *reader)
{
	struct value targets[FUNCTION_PARAMETERS];
	size_t       count = 0;

	do {
		struct value target = read_suffixed(reader);

		if (count < FUNCTION_PARAMETERS)
			targets[count++] = target;
	} while (!reader->bad && accept(reader, ","));
	if (!accept(reader, "="))
		return;
	read_list(reader, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		note_set(reader, &targets[i]);
		if (targets[i].sighting == 0)
			forget_origin(reader, &targets[i]);
	}
}

static bool at_block_end(const struct reader *reader)
{
	return reader->now.type == T_END || is(reader, "end") || is(reader, "else") || is(reader, "elseif") ||
	       is(reader, "until");
}

static void read_return(struct reader *reader)
{
	if (reader->function == 0)
		reader->source->return_line = reader->now.line;
	advance(reader);
	if (reader->function == 0 && is(reader, "{"))
		read_table(reader, "");
	else if (!at_block_end(reader) && !is(reader, ";"))
		read_list(reader, NULL, 0);
	accept(reader, ";");
}

static void read_statement(struct reader *reader)
{
	if (accept(reader, ";") || accept(reader, "break"))
		return;
	if (accept(reader, "::")) {
		want_name(reader);
		want(reader, "::");
	} else if (reader->now.type == T_WORD && accept(reader, "goto")) {
		want_name(reader);
	} else if (accept(reader, "do")) {
		read_scope(reader);
		want(reader, "end");
	} else if (accept(reader, "while")) {
		read_expression(reader);
		want(reader, "do");
		read_scope(reader);
		want(reader, "end");
	} else if (accept(reader, "repeat")) {
		read_repeat(reader);
	} else if (accept(reader, "if")) {
		read_if(reader);
	} else if (accept(reader, "for")) {
		read_for(reader);
	} else if (accept(reader, "function")) {
		read_named_function(reader);
	} else if (accept(reader, "local")) {
		if (accept(reader, "function"))
			read_local_function(reader);
		else
			read_local(reader);
	} else if (is(reader, "return")) {
		read_return(reader);
	} else {
		read_expression_statement(reader);
	}
}

static void read_block(struct reader *reader)
{
	if (reader->depth++ > DEPTH)
		reader->bad = true;
	while (!reader->bad && !at_block_end(reader))
		read_statement(reader);
	reader->depth--;
}

/* --- life ------------------------------------------------------------------------------------ */

static unsigned count_lines(const char *text, size_t length)
{
	unsigned lines = 2;

	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	return lines;
}

bool source_read(struct source *source, const char *text, size_t length)
{
	struct reader *reader = calloc(1, sizeof *reader);
	bool           good;

	*source = (struct source){ .lines = count_lines(text, length) };
	source->excused = calloc(source->lines, sizeof *source->excused);
	if (!reader || !source->excused) {
		free(reader);
		return false;
	}
	reader->source = source;
	reader->at = text;
	reader->end = text + length;
	reader->line = 1;
	while (length > 0 && *text == '#' && reader->at < reader->end && *reader->at != '\n')
		reader->at++; /* "#!" */
	add_function(reader, 1, NULL);
	advance(reader);
	advance(reader);
	read_block(reader);
	good = !reader->bad && reader->now.type == T_END;
	free(reader);
	return good;
}

void source_free(struct source *source)
{
	while (source->texts) {
		struct source_text *next = source->texts->next;

		free(source->texts);
		source->texts = next;
	}
	free(source->sightings);
	free(source->functions);
	free(source->excused);
	*source = (struct source){ 0 };
}
