/* base/escape: what a server may and may not do to a terminal, UTF-8 and base64. */
#include "base/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROOM = 65536, ALL = 100000 };

/* The results of the functions under test as strings; each overwrites the one before. */

static char   result[ROOM + 1];
static size_t result_length;

static const char *take(struct buffer *out)
{
	result_length = buffer_length(out);
	memcpy(result, buffer_bytes(out), result_length);
	result[result_length] = '\0';
	buffer_free(out);
	return result;
}

static const char *terminal(const char *bytes, size_t length, size_t columns)
{
	struct buffer out;

	buffer_init(&out, ROOM);
	escape_terminal(&out, bytes, length, columns);
	return take(&out);
}

static const char *utf8(const char *bytes, size_t length, size_t maximum)
{
	struct buffer out;

	buffer_init(&out, maximum);
	escape_utf8(&out, bytes, length);
	return take(&out);
}

static const char *base64(const char *bytes, size_t length, size_t maximum)
{
	struct buffer out;

	buffer_init(&out, maximum);
	escape_base64(&out, bytes, length);
	return take(&out);
}

static const char *hex(const char *bytes, size_t length)
{
	char text[HEX_ROOM(16)];

	hex_encode(text, bytes, length);
	memcpy(result, text, result_length = HEX_ROOM(length));
	result[result_length] = '\0';
	return result;
}

/* What a text stands for; NULL if it is wrong. */
static const char *decoded(bool (*decode)(char *, size_t *, const char *, size_t), const char *text)
{
	if (!decode(result, &result_length, text, strlen(text)))
		return NULL;
	result[result_length] = '\0';
	return result;
}

/* An encoder of our own, to check the decoder with: surrogates and all. */
static size_t encode(char *out, uint32_t code)
{
	size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	if (size == 1) {
		out[0] = (char)code;
		return 1;
	}
	for (size_t i = size - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)((0xf00U >> size & 0xf0) | code);
	return size;
}

/* For the terminal */

static void shows_text_and_spells_the_rest(void **state)
{
	static const struct {
		const char *bytes, *shown;
	} cases[] = {
		{ "", "" },
		{ "220 mail.example ESMTP", "220 mail.example ESMTP" },
		{ " ~ leading and trailing ~ ", " ~ leading and trailing ~ " },
		{ "C:\\x1b stays", "C:\\x1b stays" },
		{ "\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m" },
		{ "\x1b]0;title\x07", "\\x1b]0;title\\x07" },
		{ "a\tb\rc\nd\be\x7f", "a\\x09b\\x0dc\\x0ad\\x08e\\x7f" },
		/* characters stay */
		{ "caf\u00e9 \u20ac \u0416 \u6f22\u5b57 \U0001f600",
		  "caf\u00e9 \u20ac \u0416 \u6f22\u5b57 \U0001f600" },
		{ "\u00a0\u3000", "\u00a0\u3000" },
		{ "\ufffd", "\ufffd" },
		/* bytes of other encodings */
		{ "caf\xe9", "caf\\xe9" },
		{ "\x9b[2J", "\\x9b[2J" },
		{ "\xff\xfe", "\\xff\\xfe" },
		/* bad UTF-8, byte by byte; what follows is read afresh */
		{ "\x80", "\\x80" },
		{ "\xc3", "\\xc3" },
		{ "\xc3(", "\\xc3(" },
		{ "\xe2\x82", "\\xe2\\x82" },
		{ "\xe2\x82\xc3\xa9", "\\xe2\\x82\u00e9" },
		{ "\xf0\x9f\x98", "\\xf0\\x9f\\x98" },
		{ "\xc0\xaf", "\\xc0\\xaf" },
		{ "\xc1\x81", "\\xc1\\x81" },
		{ "\xe0\x9b\x81", "\\xe0\\x9b\\x81" },
		{ "\xf0\x82\x82\xac", "\\xf0\\x82\\x82\\xac" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" },
		/* two combining marks in a row, not three; a letter starts a new row, an escaped mark does not */
		{ "e\u0301\u0323", "e\u0301\u0323" },
		{ "e\u0301\u0323\u0301", "e\u0301\u0323\\u{301}" },
		{ "e\u0301\u0323\u0301\u0302", "e\u0301\u0323\\u{301}\\u{302}" },
		{ "e\u0301\u0323a\u0301\u0323", "e\u0301\u0323a\u0301\u0323" },
		{ "\u6f22\u0301\u0323\u6f22\u0301\u0323", "\u6f22\u0301\u0323\u6f22\u0301\u0323" },
		{ "\u0e19\u0e49\u0e33", "\u0e19\u0e49\u0e33" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(terminal(cases[i].bytes, strlen(cases[i].bytes), 200), cases[i].shown);
	assert_string_equal(terminal("a\0b", 3, 200), "a\\x00b");
	assert_string_equal(terminal(NULL, 0, 200), "");
}

static void spells_what_cannot_be_seen(void **state)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0x80, 0x9f },       { 0xad, 0xad },         { 0x34f, 0x34f },     { 0x61c, 0x61c },
		{ 0x115f, 0x1160 },   { 0x180e, 0x180e },     { 0x200b, 0x200f },   { 0x2028, 0x2029 },
		{ 0x202a, 0x202e },   { 0x2060, 0x2064 },     { 0x2066, 0x2069 },   { 0x206a, 0x206f },
		{ 0x3164, 0x3164 },   { 0xe000, 0xf8ff },     { 0xfdd0, 0xfdef },   { 0xfe00, 0xfe0f },
		{ 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },     { 0xfff9, 0xfffb },   { 0xfffe, 0xffff },
		{ 0x1fffe, 0x1ffff }, { 0x3fffe, 0x3ffff },   { 0xe0000, 0xe0fff }, { 0xefffe, 0xeffff },
		{ 0xf0000, 0xf00ff }, { 0x10ff00, 0x10ffff },
	};

	(void)state;
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
		for (uint32_t code = hidden[i].first; code <= hidden[i].last; code++) {
			char bytes[4], shown[16];

			snprintf(shown, sizeof shown, "\\u{%x}", (unsigned)code);
			assert_string_equal(terminal(bytes, encode(bytes, code), 200), shown);
		}
	}
}

static void leaves_scripts_of_the_world_alone(void **state)
{
	static const uint32_t shown[] = {
		0xa0,   0xff,   0x3b1,  0x416,  0x5d0,  0x627,  0x915,   0xe01,   0x10d0,  0x1100,
		0x1e9e, 0x2007, 0x2014, 0x2027, 0x202f, 0x2030, 0x205f,  0x2070,  0x20ac,  0x2500,
		0x2713, 0x3042, 0x4e2d, 0xac00, 0xfffc, 0xfffd, 0x10330, 0x1d11e, 0x1f600, 0x20000,
	};

	(void)state;
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
		char bytes[5] = "";

		assert_string_equal(terminal(bytes, encode(bytes, shown[i]), 200), bytes);
	}
}

static void keeps_within_the_columns(void **state)
{
	static const struct {
		const char *bytes;
		size_t      columns;
		const char *shown;
	} cases[] = {
		{ "abcdef", 7, "abcdef" },
		{ "abcdef", 6, "abcdef" },
		{ "abcdef", 5, "ab..." },
		{ "abcdef", 4, "a..." },
		{ "abcdef", 3, "..." },
		{ "abcdef", 2, ".." },
		{ "abcdef", 1, "." },
		{ "abcdef", 0, "" },
		{ "", 0, "" },
		{ "abc", 3, "abc" },
		{ "a", 1, "a" },
		{ "a", 0, "" },
		/* an escape is shown whole or not at all */
		{ "gh\x01ij", 8, "gh\\x01ij" },
		{ "gh\x01ij", 7, "gh..." },
		{ "gh\x01ijklmn", 9, "gh\\x01..." },
		{ "gh\x01ijklmn", 8, "gh..." },
		{ "\u202eabc", 11, "\\u{202e}abc" },
		{ "\u202eabcd", 11, "\\u{202e}..." },
		{ "\u202eabcd", 10, "..." },
		/* a character counts its columns, not its bytes */
		{ "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", 6, "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9" },
		{ "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", 5, "\u00e9\u00e9..." },
		{ "\u6f22\u6f22\u6f22", 6, "\u6f22\u6f22\u6f22" },
		{ "\u6f22\u6f22\u6f22", 5, "\u6f22..." },
		{ "\u6f22\u6f22\u6f22", 4, "..." },
		{ "\u3042\uac00\uff21", 6, "\u3042\uac00\uff21" },
		{ "\u3042\uac00\uff21", 5, "\u3042..." },
		{ "\U0001f600\U0001f680\U0001fac0", 5, "\U0001f600..." },
		{ "\U00020000\U00020000", 3, "..." },
		{ "\u2713\u2713\u2713\u2713", 4, "\u2713\u2713\u2713\u2713" },
		/* marks take none, and stay with their letter */
		{ "e\u0301e\u0301e\u0301e\u0301", 4, "e\u0301e\u0301e\u0301e\u0301" },
		{ "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", 5, "e\u0301e\u0301..." },
		{ "\u05d1\u05bc\u05d1\u05bc", 2, "\u05d1\u05bc\u05d1\u05bc" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(terminal(cases[i].bytes, strlen(cases[i].bytes), cases[i].columns),
		                    cases[i].shown);
}

static void a_full_buffer_ends_the_text(void **state)
{
	static const struct {
		size_t      maximum;
		const char *bytes, *shown; /* in 12 columns */
	} cases[] = {
		{ 0, "abc", "" },
		{ 2, "abc", "ab" },
		{ 4, "g\x01h", "g" },
		{ 5, "g\x01h", "g\\x01" },
		{ 2, "a\u00e9", "a" },
		{ 3, "\u00e9\u00e9", "\u00e9" },
		{ 7, "\u202eabc", "" },
		{ 6, "ghi\x01jklmnopqr", "ghi" },
		{ 11, "ghi\x01jklmnopqr", "ghi\\x01jk" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer out;

		buffer_init(&out, cases[i].maximum);
		escape_terminal(&out, cases[i].bytes, strlen(cases[i].bytes), 12);
		assert_string_equal(take(&out), cases[i].shown);
	}
}

static void appends_to_what_is_there(void **state)
{
	struct buffer out;

	(void)state;
	buffer_init(&out, ROOM);
	buffer_text(&out, "port 25: ");
	escape_terminal(&out, "hello", 5, 4);
	escape_utf8(&out, " ok", 3);
	escape_base64(&out, "abc", 3);
	assert_string_equal(take(&out), "port 25: h... okYWJj");
}

/* Random texts */

static uint64_t seed;

static size_t below(size_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed >> 11) % limit;
}

/* Half of what an attacker would put together; no backslash, so that one in the result opens an escape. */
/* clang-format off */
static const char *const fragments[] = {
	"a",          "220 ",       "ESMTP",      "\x1b[2J",        "\x1b]0;x\x07",     "\r\n",
	"\t",         "\x7f",       "\x80",       "\x9b",           "\xff",             "\xc3",
	"\xe2\x82",   "\xf0\x9f",   "\xc0\x80",   "\xed\xa0\x80",   "\xf4\x90\x80\x80", "\xf0\x80\x80\x9b",
	"\xc2\x9b",   "\u00ad",     "\u00e9",     "\u0301",         "\u0323",           "\u20dd",
	"\u202e",     "\u2066",     "\u200b",     "\u200f",         "\ufeff",           "\u2028",
	"\u6f22",     "\uff21",     "\u3042",     "\U0001f600",     "\U0001f1e9",       "\ue000",
	"\ufffe",     "\ufe0f",     "\U000e0041", "\U000e0100",     "\U0010ffff",       "\U00020000",
};
/* clang-format on */

static size_t make_text(char *bytes, size_t size)
{
	size_t length = 0, pieces = below(24);

	if (below(2)) {
		for (; length < pieces; length++) {
			bytes[length] = (char)below(256);
			if (bytes[length] == '\\')
				bytes[length] = '/';
		}
		return length;
	}
	while (pieces-- > 0) {
		const char *fragment = fragments[below(sizeof fragments / sizeof *fragments)];

		assert_true(length + strlen(fragment) <= size);
		memcpy(bytes + length, fragment, strlen(fragment));
		length += strlen(fragment);
	}
	return length;
}

static bool may_reach_a_terminal(uint32_t code)
{
	return code >= 0x20 && !(code >= 0x7f && code <= 0x9f) && code != 0xad && code != 0x61c &&
	       !(code >= 0x200b && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202e) &&
	       !(code >= 0x2060 && code <= 0x206f) && !(code >= 0xe000 && code <= 0xf8ff) &&
	       !(code >= 0xfe00 && code <= 0xfe0f) && code != 0xfeff && !(code >= 0xfff9 && code <= 0xfffb) &&
	       !(code >= 0xe0000 && code <= 0xe0fff) && code < 0xf0000 && (code & 0xfffe) != 0xfffe;
}

static bool is_mark(uint32_t code)
{
	return (code >= 0x300 && code <= 0x36f) || (code >= 0x20d0 && code <= 0x20f0);
}

/* At least so many columns: right for the fragments, near enough for what random bytes make. */
static size_t columns_at_least(uint32_t code)
{
	if (code < 0x300)
		return 1;
	if (code < 0x1100 || is_mark(code))
		return code >= 0x370 && code < 0x483;
	return (code >= 0x3041 && code <= 0x9fff) || (code >= 0xff01 && code <= 0xff60) ||
	               (code >= 0x1f1e6 && code <= 0x1f64f) || (code >= 0x20000 && code <= 0x3ffff)
	           ? 2
	           : 0;
}

static void check_safe(const char *shown, size_t length, size_t columns)
{
	size_t used = 0, row = 0, size;

	for (size_t at = 0; at < length; at += size) {
		uint32_t code = 0;

		size = utf8_decode(shown + at, length - at, &code);
		assert_in_range(size, 1, 4);
		assert_true(may_reach_a_terminal(code));
		row = is_mark(code) ? row + 1 : 0;
		assert_in_range(row, 0, 2);
		used += columns_at_least(code);
	}
	assert_in_range(used, 0, columns);
}

/* A cut text is the start of the whole one, up to the end of a character or an escape, and dots. */
static void check_cut(const char *shown, size_t length, const char *whole, size_t whole_length,
                      size_t columns)
{
	size_t      dots = columns < 3 ? columns : 3;
	const char *escape;

	if (length == whole_length && memcmp(shown, whole, length) == 0)
		return;
	assert_true(length >= dots);
	length -= dots;
	assert_memory_equal(shown + length, "...", dots);
	assert_true(length < whole_length);
	assert_memory_equal(shown, whole, length);
	assert_true((whole[length] & 0xc0) != 0x80);
	escape = memrchr(whole, '\\', length);
	if (escape)
		assert_true(escape + (escape[1] == 'x' ? 4 : strcspn(escape, "}") + 1) <= whole + length);
}

static void random_texts_are_safe_and_within_columns(void **state)
{
	(void)state;
	seed = 0x9e3779b97f4a7c15;
	for (int i = 0; i < 200000; i++) {
		char   bytes[256], whole[1024];
		size_t length = make_text(bytes, sizeof bytes), columns = below(48), whole_length;

		terminal(bytes, length, ALL);
		check_safe(result, result_length, ALL);
		assert_true(result_length < sizeof whole);
		memcpy(whole, result, result_length + 1);
		whole_length = result_length;

		terminal(bytes, length, columns);
		check_safe(result, result_length, columns);
		check_cut(result, result_length, whole, whole_length, columns);

		utf8(bytes, length, ROOM);
		assert_true(utf8_valid(result, result_length));
	}
}

/* The text ends where memory ends: one byte read too far is a crash. */
static void never_reads_past_the_end(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char  *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	seed = 20240229;
	for (int i = 0; i < 20000; i++) {
		char     bytes[256];
		size_t   length = make_text(bytes, sizeof bytes);
		char    *flush = pages + page - length;
		uint32_t code;

		memcpy(flush, bytes, length);
		terminal(flush, length, below(48));
		utf8(flush, length, ROOM);
		base64(flush, length, ROOM);
		utf8_valid(flush, length);
		utf8_decode(flush, length, &code);
	}
	munmap(pages, 2 * page);
}

/* UTF-8 */

static void decodes_every_code_point(void **state)
{
	(void)state;
	for (uint32_t code = 0; code < 0x120000; code++) {
		char     bytes[4];
		size_t   size = encode(bytes, code);
		bool     right = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
		uint32_t decoded = 0;

		if (utf8_decode(bytes, size, &decoded) != (right ? size : 0) || (right && decoded != code))
			fail_msg("U+%04X", (unsigned)code);
		for (size_t part = 0; part < size; part++)
			if (utf8_decode(bytes, part, &decoded) != 0)
				fail_msg("a part of U+%04X", (unsigned)code);
	}
}

static void refuses_what_is_not_utf8(void **state)
{
	/* clang-format off */
	static const char *const bad[] = {
		"\x80",         "\xbf",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80",
		"\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",     "\xed\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe",     "\xff",
		"\xc3",         "\xc3Z",     "\xe2\x82Z",     "\xe2Z\x82",     "\xf0\x9f\x98Z",
	};
	/* clang-format on */
	uint32_t code;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[16];

		assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &code), 0);
		snprintf(text, sizeof text, "ok %s ok", bad[i]);
		assert_false(utf8_valid(text, strlen(text)));
	}
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("plain\0text\x1b", 11));
	assert_true(utf8_valid("caf\u00e9 \u20ac \U0001f600", 14));
	assert_false(utf8_valid("caf\u00e9", 4));
}

static void makes_valid_utf8(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		{ "", "" },
		{ "plain \x1b\x7f\r\n", "plain \x1b\x7f\r\n" },
		{ "caf\u00e9 \u202e \U0010ffff", "caf\u00e9 \u202e \U0010ffff" },
		{ "caf\xe9", "caf\ufffd" },
		{ "\xe9t\xe9", "\ufffdt\ufffd" },
		{ "\xe2\x82", "\ufffd\ufffd" },
		{ "\xed\xa0\x80", "\ufffd\ufffd\ufffd" },
		{ "\xf4\x90\x80\x80.", "\ufffd\ufffd\ufffd\ufffd." },
		{ "\xe2\x82\u00e9", "\ufffd\ufffd\u00e9" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(utf8(cases[i].bytes, strlen(cases[i].bytes), ROOM), cases[i].text);
	utf8("a\0\xff", 3, ROOM);
	assert_int_equal(result_length, 5);
	assert_memory_equal(result, "a\0\ufffd", 5);
	/* a full buffer ends the text, never within a character */
	assert_string_equal(utf8("abcdef", 6, 4), "abcd");
	assert_string_equal(utf8("ab\u20ac", 5, 4), "ab");
	assert_string_equal(utf8("ab\xff", 3, 4), "ab");
	assert_string_equal(utf8("\xffxyz", 4, 2), "");
}

static void encodes_base64(void **state)
{
	static const struct {
		const char *bytes;
		size_t      length;
		const char *text;
	} cases[] = {
		/* RFC 4648, section 10 */
		{ "", 0, "" },
		{ "f", 1, "Zg==" },
		{ "fo", 2, "Zm8=" },
		{ "foo", 3, "Zm9v" },
		{ "foob", 4, "Zm9vYg==" },
		{ "fooba", 5, "Zm9vYmE=" },
		{ "foobar", 6, "Zm9vYmFy" },
		/* every digit: the alphabet is what 64 rising groups of six bits spell */
		{ "\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51"
		  "\x55\x97\x61\x96\x9b\x71\xd7\x9f\x82\x18\xa3\x92\x59\xa7"
		  "\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf",
		  48, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" },
		{ "\xff\xff\xff\x00", 4, "////AA==" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(base64(cases[i].bytes, cases[i].length, ROOM), cases[i].text);
	assert_string_equal(base64("foobar", 6, 7), "Zm9v");
}

static void encodes_hex(void **state)
{
	(void)state;
	assert_string_equal(hex("", 0), "");
	assert_string_equal(hex("\x00\x7f\x80\xff", 4), "007f80ff");
}

static void decodes_hex(void **state)
{
	(void)state;
	assert_string_equal(decoded(hex_decode, ""), "");
	assert_string_equal(decoded(hex_decode, "4a4B 4C\r\n\t4d"), "JKLM");
	assert_string_equal(decoded(hex_decode, "4 a"), "J");
	assert_null(decoded(hex_decode, "4"));
	assert_null(decoded(hex_decode, "4a4"));
	assert_null(decoded(hex_decode, "0x4a"));
	assert_null(decoded(hex_decode, "4g"));
	assert_false(hex_decode(result, &result_length,
	                        "\0"
	                        "4a",
	                        3));
}

static void decodes_base64(void **state)
{
	static const char *const good[][2] = {
		{ "", "" },        { "Zg==", "f" },   { "Zm8=", "fo" },           { "Zm9v", "foo" },
		{ "Zg", "f" },     { "Zm8", "fo" },   { "Zm9v\r\nYg==", "foob" }, { " Z m 8 = ", "fo" },
		{ "Pz8/", "???" }, { "fn5+", "~~~" },
	};
	static const char *const bad[] = { "Z",     "Zm9vZ", "Zg=",   "Zg===",    "=",    "==",
		                           "Zm9v=", "Zm8==", "Z=g=",  "Zg==Zg==", "Zh==", "Zm9=",
		                           "Zm_v",  "Zm-v",  "Zm9v!", "Zm\x80v" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_non_null(decoded(base64_decode, good[i][0]));
		assert_string_equal(result, good[i][1]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_null(decoded(base64_decode, bad[i]));
	assert_false(base64_decode(result, &result_length, "Zg\0=", 4));
}

/* What is encoded is decoded to the same, whatever its length. */
static void decodes_what_is_encoded(void **state)
{
	char   bytes[256], text[HEX_ROOM(256)];
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 167 + 13);
	for (size_t length = 0; length <= sizeof bytes; length++) {
		base64_encode(text, bytes, length);
		assert_true(base64_decode(result, &count, text, BASE64_ROOM(length)));
		assert_int_equal(count, length);
		assert_memory_equal(result, bytes, length);
		hex_encode(text, bytes, length);
		assert_true(hex_decode(result, &count, text, HEX_ROOM(length)));
		assert_int_equal(count, length);
		assert_memory_equal(result, bytes, length);
	}
}

static bool is_plain(unsigned char byte)
{
	return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
}

/* Each byte at each place of texts of each length, which end where the memory does. */
static void knows_what_json_takes_as_it_is(void **state)
{
	(void)state;
	for (size_t length = 0; length < 40; length++)
		for (size_t place = 0; place < length; place++)
			for (int byte = 0; byte < 256; byte++) {
				char  *text = malloc(length);
				size_t run;

				assert_non_null(text);
				memset(text, byte % 2 ? ' ' : '~', length);
				text[place] = (char)byte;
				run = json_plain(text, length);
				free(text);
				assert_int_equal(run, is_plain((unsigned char)byte) ? length : place);
			}
	assert_int_equal(json_plain("", 0), 0);
}

/* What stands behind the first byte that is not plain does not count: it may be any. */
static void ends_at_the_first_that_is_not(void **state)
{
	(void)state;
	seed = 5;
	for (int round = 0; round < 100000; round++) {
		char   text[24];
		size_t length = below(sizeof text + 1), run = 0;

		for (size_t i = 0; i < length; i++)
			text[i] = (char)(below(8) ? 0x20 + below(0x5f) : below(256));
		while (run < length && is_plain((unsigned char)text[run]))
			run++;
		assert_int_equal(json_plain(text, length), run);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_text_and_spells_the_rest),
		cmocka_unit_test(spells_what_cannot_be_seen),
		cmocka_unit_test(leaves_scripts_of_the_world_alone),
		cmocka_unit_test(keeps_within_the_columns),
		cmocka_unit_test(a_full_buffer_ends_the_text),
		cmocka_unit_test(appends_to_what_is_there),
		cmocka_unit_test(random_texts_are_safe_and_within_columns),
		cmocka_unit_test(never_reads_past_the_end),
		cmocka_unit_test(decodes_every_code_point),
		cmocka_unit_test(refuses_what_is_not_utf8),
		cmocka_unit_test(makes_valid_utf8),
		cmocka_unit_test(knows_what_json_takes_as_it_is),
		cmocka_unit_test(ends_at_the_first_that_is_not),
		cmocka_unit_test(encodes_base64),
		cmocka_unit_test(encodes_hex),
		cmocka_unit_test(decodes_hex),
		cmocka_unit_test(decodes_base64),
		cmocka_unit_test(decodes_what_is_encoded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
