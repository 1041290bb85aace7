#include "workbench/phrase.h"

#include "base/escape.h"
#include "base/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One character of text takes at most so many bytes when it is quoted. */
enum { QUOTED = 16 };

static const struct {
	const char *name, *example;
	enum mark   mark;
} marks[] = {
	{ "any", "any", MARK_ANY },
	{ "word", "word", MARK_WORD },
	{ "number", "1234", MARK_NUMBER },
	{ "date", "Thu, 01 Jan 1970 00:00:00 +0000", MARK_DATE },
};

enum { MARKS = sizeof marks / sizeof *marks };

/* --- reading --------------------------------------------------------------------------------- */

/* What is being read. */
struct reading {
	struct phrase     *phrase;
	const char        *at, *end;
	const struct fact *facts;
	const char        *fault;
	bool               escapes;
};

static bool add(struct phrase *phrase, struct token token)
{
	size_t count = phrase->count;

	if ((count & (count - 1)) == 0) { /* a power of two, or none: full */
		struct token *grown = realloc(phrase->tokens, (count > 0 ? 2 * count : 1) * sizeof *grown);

		if (!grown)
			return false;
		phrase->tokens = grown;
	}
	phrase->tokens[phrase->count++] = token;
	return true;
}

bool phrase_add(struct phrase *phrase, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!add(phrase, (struct token){ .byte = (unsigned char)bytes[i] }))
			return false;
	return true;
}

static bool refuse(struct reading *reading, const char *fault)
{
	reading->fault = fault;
	return false;
}

static bool add_byte(struct reading *reading, unsigned byte)
{
	return add(reading->phrase, (struct token){ .byte = (unsigned char)byte }) ||
	       refuse(reading, "not enough memory");
}

static int hex_digit(char digit)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char       *found = digit ? strchr(digits, digit) : NULL;

	return found ? (int)(found - digits) % 16 : -1;
}

/* Behind a backslash. */
static bool read_escape(struct reading *reading)
{
	static const char letters[] = "rnt0e\\", bytes[] = "\r\n\t\0\033\\";
	size_t            left = (size_t)(reading->end - reading->at);
	const char       *letter = left > 0 && *reading->at ? strchr(letters, *reading->at) : NULL;

	if (letter) {
		reading->at++;
		return add_byte(reading, (unsigned char)bytes[letter - letters]);
	}
	if (left < 3 || *reading->at != 'x' || hex_digit(reading->at[1]) < 0 || hex_digit(reading->at[2]) < 0)
		return refuse(reading, "a backslash wants r, n, t, 0, e, xNN or another one behind it");
	reading->at += 3;
	return add_byte(reading,
	                (unsigned)hex_digit(reading->at[-2]) << 4 | (unsigned)hex_digit(reading->at[-1]));
}

static bool is_word(const char *name, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(name, word, length) == 0;
}

/* "{any:12}" */
static bool read_width(struct reading *reading, const char *digits, size_t length)
{
	unsigned width = 0;

	for (size_t i = 0; i < length && width <= UINT16_MAX; i++)
		width = digits[i] >= '0' && digits[i] <= '9' ? width * 10 + (unsigned)(digits[i] - '0')
		                                             : UINT16_MAX + 1;
	if (width == 0 || width > UINT16_MAX)
		return refuse(reading,
		              "{any:N} wants a number from 1 to 65535; a brace that is none is \\x7b");
	return add(reading->phrase, (struct token){ .mark = MARK_BYTES, .width = (unsigned short)width }) ||
	       refuse(reading, "not enough memory");
}

/* At a brace: braces around what is no mark stand for themselves. */
static bool read_mark(struct reading *reading)
{
	const char *name = reading->at + 1;
	const char *close = memchr(name, '}', (size_t)(reading->end - name));
	size_t      length = close ? (size_t)(close - name) : 0;

	if (close)
		reading->at = close + 1;
	if (reading->escapes && length > 4 && memcmp(name, "any:", 4) == 0)
		return read_width(reading, name + 4, length - 4);
	for (size_t i = 0; i < MARKS; i++)
		if (is_word(name, length, marks[i].name))
			return add(reading->phrase, (struct token){ .mark = (unsigned char)marks[i].mark }) ||
			       refuse(reading, "not enough memory");
	for (const struct fact *fact = reading->facts; length > 0 && fact && fact->name; fact++)
		if (is_word(name, length, fact->name))
			return phrase_add(reading->phrase, fact->value, strlen(fact->value)) ||
			       refuse(reading, "not enough memory");
	reading->at = name;
	return add_byte(reading, '{');
}

bool phrase_read(struct phrase *phrase, const char *text, size_t length, bool escapes,
                 const struct fact *facts, const char **fault)
{
	struct reading reading = {
		.phrase = phrase, .at = text, .end = text + length, .escapes = escapes, .facts = facts
	};
	bool good = true;

	*phrase = (struct phrase){ 0 };
	while (good && reading.at < reading.end) {
		if (*reading.at == '{') {
			good = read_mark(&reading);
		} else if (*reading.at == '\\' && escapes) {
			reading.at++;
			good = read_escape(&reading);
		} else {
			good = add_byte(&reading, (unsigned char)*reading.at++);
		}
	}
	*fault = reading.fault;
	return good;
}

const char *phrase_misspelt(const char *text, const char **at)
{
	static const char *const names[] = { "any",  "word",    "number", "date",
		                             "host", "address", "local",  "port" };
	const size_t             count = sizeof names / sizeof *names;
	char                     name[16];

	for (*at = strchr(text, '{'); *at; *at = strchr(*at + 1, '{')) {
		size_t      length = strcspn(*at + 1, "{}:");
		const char *nearest;

		if ((*at)[1 + length] != '}' || length == 0 || length >= sizeof name)
			continue;
		memcpy(name, *at + 1, length);
		name[length] = '\0';
		nearest = nearest_name(name, names, count);
		if (nearest && strcmp(nearest, name) != 0)
			return nearest;
	}
	return NULL;
}

void phrase_free(struct phrase *phrase)
{
	free(phrase->tokens);
	*phrase = (struct phrase){ 0 };
}

/* --- fitting --------------------------------------------------------------------------------- */

static bool is_stretch(const struct token *token)
{
	return token->mark != MARK_NONE && token->mark != MARK_BYTES;
}

bool phrase_stretches(const struct phrase *phrase)
{
	for (size_t i = 0; i < phrase->count; i++)
		if (is_stretch(&phrase->tokens[i]))
			return true;
	return false;
}

static size_t token_width(const struct token *token)
{
	return token->mark == MARK_BYTES ? token->width : 1;
}

size_t phrase_width(const struct phrase *phrase)
{
	size_t width = 0;

	for (size_t i = 0; i < phrase->count; i++)
		width += token_width(&phrase->tokens[i]);
	return width;
}

static bool takes(const struct token *token, unsigned char byte)
{
	switch ((enum mark)token->mark) {
	case MARK_NONE:
		return byte == token->byte;
	case MARK_BYTES:
		return true;
	case MARK_ANY:
		return byte != '\r' && byte != '\n';
	case MARK_WORD:
		return byte > ' ' && byte != 0x7f;
	case MARK_NUMBER:
		return byte >= '0' && byte <= '9';
	case MARK_DATE:
		return byte != '\0' &&
		       strchr("0123456789 ,:.+-/()ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
		              byte);
	}
	return false;
}

/* How many bytes the tokens from `token` up to the next mark that stretches, or the end, take from the front of
 * `bytes`; SIZE_MAX: they do not fit. */
static size_t fixed(const struct token *token, const struct token *end, const char *bytes, size_t length)
{
	size_t taken = 0;

	for (; token < end && !is_stretch(token); token++)
		for (size_t i = token_width(token); i > 0; i--, taken++)
			if (taken == length || !takes(token, (unsigned char)bytes[taken]))
				return SIZE_MAX;
	return taken;
}

static size_t count_fixed(const struct token *token, const struct token *end)
{
	size_t count = 0;

	while (token + count < end && !is_stretch(token + count))
		count++;
	return count;
}

/* reach[i]: can the tokens so far take just the first i bytes? One mark at a time, so that no phrase takes
 * long. */
static void stretch(bool *reach, const struct token *token, const char *bytes, size_t length)
{
	bool   least = token->mark != MARK_ANY; /* wants a byte at least */
	bool   before = false, now;
	size_t i;

	for (i = 0; i <= length; i++) {
		now = i > 0 && before && takes(token, (unsigned char)bytes[i - 1]);
		before = now || reach[i];
		reach[i] = now || (!least && reach[i]);
	}
}

static void step(bool *reach, const struct token *token, const struct token *end, const char *bytes,
                 size_t length)
{
	for (size_t i = length + 1; i-- > 0;) {
		size_t taken = reach[i] ? fixed(token, end, bytes + i, length - i) : SIZE_MAX;

		reach[i] = false;
		if (taken != SIZE_MAX)
			reach[i + taken] = true;
	}
}

bool phrase_fits(const struct phrase *phrase, const char *bytes, size_t length)
{
	const struct token *token = phrase->tokens, *end = phrase->count > 0 ? token + phrase->count : token;
	bool               *reach = calloc(length + 1, sizeof *reach);
	bool                fits;

	if (!reach)
		return false;
	reach[0] = true;
	while (token < end) {
		size_t count = count_fixed(token, end);

		if (count > 0)
			step(reach, token, end, bytes, length);
		else
			stretch(reach, token, bytes, length);
		token += count > 0 ? count : 1;
	}
	fits = reach[length];
	free(reach);
	return fits;
}

/* --- giving ---------------------------------------------------------------------------------- */

static bool give(const struct token *token, struct buffer *out)
{
	if (token->mark == MARK_NONE)
		return buffer_append(out, &token->byte, 1);
	for (size_t i = 0; i < MARKS; i++)
		if (marks[i].mark == (enum mark)token->mark)
			return buffer_text(out, marks[i].example);
	for (size_t i = 0; i < token->width; i++)
		if (!buffer_append(out, "x", 1))
			return false;
	return true;
}

bool phrase_example(const struct phrase *phrase, struct buffer *out)
{
	for (size_t i = 0; i < phrase->count; i++)
		if (!give(&phrase->tokens[i], out))
			return false;
	return true;
}

/* Would somebody who reads the text see this character as what it is? */
static bool readable(const char *bytes, size_t taken)
{
	struct buffer shown;
	bool          same;

	buffer_init(&shown, QUOTED);
	escape_terminal(&shown, bytes, taken, QUOTED);
	same = buffer_length(&shown) == taken && memcmp(buffer_bytes(&shown), bytes, taken) == 0;
	buffer_free(&shown);
	return same;
}

/* Would what begins here with a brace be read as a mark? It may be one that is not known. */
static bool opens(const char *bytes, size_t length)
{
	const char *close = length > 2 && *bytes == '{' ? memchr(bytes, '}', length) : NULL;

	return close && bytes[1] >= 'a' && bytes[1] <= 'z';
}

static bool quote_byte(struct buffer *out, unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";
	const char        hex[] = { '\\', 'x', digits[byte >> 4], digits[byte & 15] };

	switch (byte) {
	case '\r':
		return buffer_append(out, "\\r", 2);
	case '\n':
		return buffer_append(out, "\\n", 2);
	case '\t':
		return buffer_append(out, "\\t", 2);
	case '\\':
		return buffer_append(out, "\\\\", 2);
	default:
		return buffer_append(out, hex, sizeof hex);
	}
}

/* One character; returns how many bytes it had, 0 if there is no room for it. */
static size_t quote_one(struct buffer *out, const char *bytes, size_t length)
{
	uint32_t code;
	size_t   taken = utf8_decode(bytes, length, &code);
	bool     last_space = *bytes == ' ' && length == 1; /* which editors remove */
	bool     plain = taken > 0 && *bytes != '\\' && !last_space && !opens(bytes, length);

	if (plain && (taken == 1 ? *bytes >= ' ' && *bytes < 0x7f : readable(bytes, taken)))
		return buffer_append(out, bytes, taken) ? taken : 0;
	return quote_byte(out, (unsigned char)*bytes) ? 1 : 0;
}

bool phrase_quote(struct buffer *out, const char *bytes, size_t length)
{
	for (size_t taken; length > 0; bytes += taken, length -= taken) {
		taken = quote_one(out, bytes, length);
		if (taken == 0)
			return false;
	}
	return true;
}
