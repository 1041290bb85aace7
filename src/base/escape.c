#include "base/escape.h"

#include <stdio.h>
#include <string.h>

struct range {
	uint32_t first, last;
};

/* What a terminal would not show, or would obey: C1 controls, line separators, private use, and of
 * Unicode 14.0 Default_Ignorable_Code_Point and the format characters without a shape of their own. */
static const struct range hidden[] = {
	{ 0x0080, 0x009f },    /* C1 controls */
	{ 0x00ad, 0x00ad },    /* soft hyphen */
	{ 0x034f, 0x034f },    /* combining grapheme joiner */
	{ 0x061c, 0x061c },    /* Arabic letter mark (bidi) */
	{ 0x115f, 0x1160 },    /* Hangul fillers */
	{ 0x17b4, 0x17b5 },    /* Khmer inherent vowels */
	{ 0x180b, 0x180f },    /* Mongolian variation selectors, vowel separator */
	{ 0x200b, 0x200f },    /* zero width, joiners, left-to-right and right-to-left marks */
	{ 0x2028, 0x202e },    /* line and paragraph separators, bidi embeddings and overrides */
	{ 0x2060, 0x206f },    /* word joiner, invisible operators, bidi isolates */
	{ 0x3164, 0x3164 },    /* Hangul filler */
	{ 0xe000, 0xf8ff },    /* private use */
	{ 0xfdd0, 0xfdef },    /* never characters */
	{ 0xfe00, 0xfe0f },    /* variation selectors */
	{ 0xfeff, 0xfeff },    /* byte order mark */
	{ 0xffa0, 0xffa0 },    /* halfwidth Hangul filler */
	{ 0xfff0, 0xfffb },    /* annotation marks */
	{ 0x13430, 0x1343f },  /* hieroglyph joiners */
	{ 0x1bca0, 0x1bca3 },  /* shorthand controls */
	{ 0x1d173, 0x1d17a },  /* musical controls */
	{ 0xe0000, 0xe0fff },  /* tags, more variation selectors */
	{ 0xf0000, 0x10ffff }, /* private use */
};

/* Combining marks: general categories Mn and Me of Unicode 14.0, without the hidden ones; gaps that
 * hold no character are closed. */
static const struct range marks[] = {
	{ 0x0300, 0x036f },   { 0x0483, 0x0489 },   { 0x0591, 0x05bd },   { 0x05bf, 0x05bf },
	{ 0x05c1, 0x05c2 },   { 0x05c4, 0x05c5 },   { 0x05c7, 0x05c7 },   { 0x0610, 0x061a },
	{ 0x064b, 0x065f },   { 0x0670, 0x0670 },   { 0x06d6, 0x06dc },   { 0x06df, 0x06e4 },
	{ 0x06e7, 0x06e8 },   { 0x06ea, 0x06ed },   { 0x0711, 0x0711 },   { 0x0730, 0x074a },
	{ 0x07a6, 0x07b0 },   { 0x07eb, 0x07f3 },   { 0x07fd, 0x07fd },   { 0x0816, 0x0819 },
	{ 0x081b, 0x0823 },   { 0x0825, 0x0827 },   { 0x0829, 0x082d },   { 0x0859, 0x085b },
	{ 0x0898, 0x089f },   { 0x08ca, 0x08e1 },   { 0x08e3, 0x0902 },   { 0x093a, 0x093a },
	{ 0x093c, 0x093c },   { 0x0941, 0x0948 },   { 0x094d, 0x094d },   { 0x0951, 0x0957 },
	{ 0x0962, 0x0963 },   { 0x0981, 0x0981 },   { 0x09bc, 0x09bc },   { 0x09c1, 0x09c4 },
	{ 0x09cd, 0x09cd },   { 0x09e2, 0x09e3 },   { 0x09fe, 0x0a02 },   { 0x0a3c, 0x0a3c },
	{ 0x0a41, 0x0a51 },   { 0x0a70, 0x0a71 },   { 0x0a75, 0x0a75 },   { 0x0a81, 0x0a82 },
	{ 0x0abc, 0x0abc },   { 0x0ac1, 0x0ac8 },   { 0x0acd, 0x0acd },   { 0x0ae2, 0x0ae3 },
	{ 0x0afa, 0x0b01 },   { 0x0b3c, 0x0b3c },   { 0x0b3f, 0x0b3f },   { 0x0b41, 0x0b44 },
	{ 0x0b4d, 0x0b56 },   { 0x0b62, 0x0b63 },   { 0x0b82, 0x0b82 },   { 0x0bc0, 0x0bc0 },
	{ 0x0bcd, 0x0bcd },   { 0x0c00, 0x0c00 },   { 0x0c04, 0x0c04 },   { 0x0c3c, 0x0c3c },
	{ 0x0c3e, 0x0c40 },   { 0x0c46, 0x0c56 },   { 0x0c62, 0x0c63 },   { 0x0c81, 0x0c81 },
	{ 0x0cbc, 0x0cbc },   { 0x0cbf, 0x0cbf },   { 0x0cc6, 0x0cc6 },   { 0x0ccc, 0x0ccd },
	{ 0x0ce2, 0x0ce3 },   { 0x0d00, 0x0d01 },   { 0x0d3b, 0x0d3c },   { 0x0d41, 0x0d44 },
	{ 0x0d4d, 0x0d4d },   { 0x0d62, 0x0d63 },   { 0x0d81, 0x0d81 },   { 0x0dca, 0x0dca },
	{ 0x0dd2, 0x0dd6 },   { 0x0e31, 0x0e31 },   { 0x0e34, 0x0e3a },   { 0x0e47, 0x0e4e },
	{ 0x0eb1, 0x0eb1 },   { 0x0eb4, 0x0ebc },   { 0x0ec8, 0x0ecd },   { 0x0f18, 0x0f19 },
	{ 0x0f35, 0x0f35 },   { 0x0f37, 0x0f37 },   { 0x0f39, 0x0f39 },   { 0x0f71, 0x0f7e },
	{ 0x0f80, 0x0f84 },   { 0x0f86, 0x0f87 },   { 0x0f8d, 0x0fbc },   { 0x0fc6, 0x0fc6 },
	{ 0x102d, 0x1030 },   { 0x1032, 0x1037 },   { 0x1039, 0x103a },   { 0x103d, 0x103e },
	{ 0x1058, 0x1059 },   { 0x105e, 0x1060 },   { 0x1071, 0x1074 },   { 0x1082, 0x1082 },
	{ 0x1085, 0x1086 },   { 0x108d, 0x108d },   { 0x109d, 0x109d },   { 0x135d, 0x135f },
	{ 0x1712, 0x1714 },   { 0x1732, 0x1733 },   { 0x1752, 0x1753 },   { 0x1772, 0x1773 },
	{ 0x17b7, 0x17bd },   { 0x17c6, 0x17c6 },   { 0x17c9, 0x17d3 },   { 0x17dd, 0x17dd },
	{ 0x1885, 0x1886 },   { 0x18a9, 0x18a9 },   { 0x1920, 0x1922 },   { 0x1927, 0x1928 },
	{ 0x1932, 0x1932 },   { 0x1939, 0x193b },   { 0x1a17, 0x1a18 },   { 0x1a1b, 0x1a1b },
	{ 0x1a56, 0x1a56 },   { 0x1a58, 0x1a60 },   { 0x1a62, 0x1a62 },   { 0x1a65, 0x1a6c },
	{ 0x1a73, 0x1a7f },   { 0x1ab0, 0x1b03 },   { 0x1b34, 0x1b34 },   { 0x1b36, 0x1b3a },
	{ 0x1b3c, 0x1b3c },   { 0x1b42, 0x1b42 },   { 0x1b6b, 0x1b73 },   { 0x1b80, 0x1b81 },
	{ 0x1ba2, 0x1ba5 },   { 0x1ba8, 0x1ba9 },   { 0x1bab, 0x1bad },   { 0x1be6, 0x1be6 },
	{ 0x1be8, 0x1be9 },   { 0x1bed, 0x1bed },   { 0x1bef, 0x1bf1 },   { 0x1c2c, 0x1c33 },
	{ 0x1c36, 0x1c37 },   { 0x1cd0, 0x1cd2 },   { 0x1cd4, 0x1ce0 },   { 0x1ce2, 0x1ce8 },
	{ 0x1ced, 0x1ced },   { 0x1cf4, 0x1cf4 },   { 0x1cf8, 0x1cf9 },   { 0x1dc0, 0x1dff },
	{ 0x20d0, 0x20f0 },   { 0x2cef, 0x2cf1 },   { 0x2d7f, 0x2d7f },   { 0x2de0, 0x2dff },
	{ 0x302a, 0x302d },   { 0x3099, 0x309a },   { 0xa66f, 0xa672 },   { 0xa674, 0xa67d },
	{ 0xa69e, 0xa69f },   { 0xa6f0, 0xa6f1 },   { 0xa802, 0xa802 },   { 0xa806, 0xa806 },
	{ 0xa80b, 0xa80b },   { 0xa825, 0xa826 },   { 0xa82c, 0xa82c },   { 0xa8c4, 0xa8c5 },
	{ 0xa8e0, 0xa8f1 },   { 0xa8ff, 0xa8ff },   { 0xa926, 0xa92d },   { 0xa947, 0xa951 },
	{ 0xa980, 0xa982 },   { 0xa9b3, 0xa9b3 },   { 0xa9b6, 0xa9b9 },   { 0xa9bc, 0xa9bd },
	{ 0xa9e5, 0xa9e5 },   { 0xaa29, 0xaa2e },   { 0xaa31, 0xaa32 },   { 0xaa35, 0xaa36 },
	{ 0xaa43, 0xaa43 },   { 0xaa4c, 0xaa4c },   { 0xaa7c, 0xaa7c },   { 0xaab0, 0xaab0 },
	{ 0xaab2, 0xaab4 },   { 0xaab7, 0xaab8 },   { 0xaabe, 0xaabf },   { 0xaac1, 0xaac1 },
	{ 0xaaec, 0xaaed },   { 0xaaf6, 0xaaf6 },   { 0xabe5, 0xabe5 },   { 0xabe8, 0xabe8 },
	{ 0xabed, 0xabed },   { 0xfb1e, 0xfb1e },   { 0xfe20, 0xfe2f },   { 0x101fd, 0x101fd },
	{ 0x102e0, 0x102e0 }, { 0x10376, 0x1037a }, { 0x10a01, 0x10a0f }, { 0x10a38, 0x10a3f },
	{ 0x10ae5, 0x10ae6 }, { 0x10d24, 0x10d27 }, { 0x10eab, 0x10eac }, { 0x10f46, 0x10f50 },
	{ 0x10f82, 0x10f85 }, { 0x11001, 0x11001 }, { 0x11038, 0x11046 }, { 0x11070, 0x11070 },
	{ 0x11073, 0x11074 }, { 0x1107f, 0x11081 }, { 0x110b3, 0x110b6 }, { 0x110b9, 0x110ba },
	{ 0x110c2, 0x110c2 }, { 0x11100, 0x11102 }, { 0x11127, 0x1112b }, { 0x1112d, 0x11134 },
	{ 0x11173, 0x11173 }, { 0x11180, 0x11181 }, { 0x111b6, 0x111be }, { 0x111c9, 0x111cc },
	{ 0x111cf, 0x111cf }, { 0x1122f, 0x11231 }, { 0x11234, 0x11234 }, { 0x11236, 0x11237 },
	{ 0x1123e, 0x1123e }, { 0x112df, 0x112df }, { 0x112e3, 0x112ea }, { 0x11300, 0x11301 },
	{ 0x1133b, 0x1133c }, { 0x11340, 0x11340 }, { 0x11366, 0x11374 }, { 0x11438, 0x1143f },
	{ 0x11442, 0x11444 }, { 0x11446, 0x11446 }, { 0x1145e, 0x1145e }, { 0x114b3, 0x114b8 },
	{ 0x114ba, 0x114ba }, { 0x114bf, 0x114c0 }, { 0x114c2, 0x114c3 }, { 0x115b2, 0x115b5 },
	{ 0x115bc, 0x115bd }, { 0x115bf, 0x115c0 }, { 0x115dc, 0x115dd }, { 0x11633, 0x1163a },
	{ 0x1163d, 0x1163d }, { 0x1163f, 0x11640 }, { 0x116ab, 0x116ab }, { 0x116ad, 0x116ad },
	{ 0x116b0, 0x116b5 }, { 0x116b7, 0x116b7 }, { 0x1171d, 0x1171f }, { 0x11722, 0x11725 },
	{ 0x11727, 0x1172b }, { 0x1182f, 0x11837 }, { 0x11839, 0x1183a }, { 0x1193b, 0x1193c },
	{ 0x1193e, 0x1193e }, { 0x11943, 0x11943 }, { 0x119d4, 0x119db }, { 0x119e0, 0x119e0 },
	{ 0x11a01, 0x11a0a }, { 0x11a33, 0x11a38 }, { 0x11a3b, 0x11a3e }, { 0x11a47, 0x11a47 },
	{ 0x11a51, 0x11a56 }, { 0x11a59, 0x11a5b }, { 0x11a8a, 0x11a96 }, { 0x11a98, 0x11a99 },
	{ 0x11c30, 0x11c3d }, { 0x11c3f, 0x11c3f }, { 0x11c92, 0x11ca7 }, { 0x11caa, 0x11cb0 },
	{ 0x11cb2, 0x11cb3 }, { 0x11cb5, 0x11cb6 }, { 0x11d31, 0x11d45 }, { 0x11d47, 0x11d47 },
	{ 0x11d90, 0x11d91 }, { 0x11d95, 0x11d95 }, { 0x11d97, 0x11d97 }, { 0x11ef3, 0x11ef4 },
	{ 0x16af0, 0x16af4 }, { 0x16b30, 0x16b36 }, { 0x16f4f, 0x16f4f }, { 0x16f8f, 0x16f92 },
	{ 0x16fe4, 0x16fe4 }, { 0x1bc9d, 0x1bc9e }, { 0x1cf00, 0x1cf46 }, { 0x1d167, 0x1d169 },
	{ 0x1d17b, 0x1d182 }, { 0x1d185, 0x1d18b }, { 0x1d1aa, 0x1d1ad }, { 0x1d242, 0x1d244 },
	{ 0x1da00, 0x1da36 }, { 0x1da3b, 0x1da6c }, { 0x1da75, 0x1da75 }, { 0x1da84, 0x1da84 },
	{ 0x1da9b, 0x1daaf }, { 0x1e000, 0x1e02a }, { 0x1e130, 0x1e136 }, { 0x1e2ae, 0x1e2ae },
	{ 0x1e2ec, 0x1e2ef }, { 0x1e8d0, 0x1e8d6 }, { 0x1e944, 0x1e94a },
};

/* Two columns: East_Asian_Width W and F of Unicode 14.0, the symbols that 16.0 made wide, and the
 * emoji blocks whole. Where terminals differ the wider answer stands, so that a line never passes
 * its columns. */
static const struct range wide[] = {
	{ 0x1100, 0x115f },   { 0x231a, 0x231b },   { 0x2329, 0x232a },   { 0x23e9, 0x23ec },
	{ 0x23f0, 0x23f0 },   { 0x23f3, 0x23f3 },   { 0x25fd, 0x25fe },   { 0x2614, 0x2615 },
	{ 0x2630, 0x2637 },   { 0x2648, 0x2653 },   { 0x267f, 0x267f },   { 0x268a, 0x268f },
	{ 0x2693, 0x2693 },   { 0x26a1, 0x26a1 },   { 0x26aa, 0x26ab },   { 0x26bd, 0x26be },
	{ 0x26c4, 0x26c5 },   { 0x26ce, 0x26ce },   { 0x26d4, 0x26d4 },   { 0x26ea, 0x26ea },
	{ 0x26f2, 0x26f3 },   { 0x26f5, 0x26f5 },   { 0x26fa, 0x26fa },   { 0x26fd, 0x26fd },
	{ 0x2705, 0x2705 },   { 0x270a, 0x270b },   { 0x2728, 0x2728 },   { 0x274c, 0x274c },
	{ 0x274e, 0x274e },   { 0x2753, 0x2755 },   { 0x2757, 0x2757 },   { 0x2795, 0x2797 },
	{ 0x27b0, 0x27b0 },   { 0x27bf, 0x27bf },   { 0x2b1b, 0x2b1c },   { 0x2b50, 0x2b50 },
	{ 0x2b55, 0x2b55 },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },   { 0xa960, 0xa97f },
	{ 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe10, 0xfe1f },   { 0xfe30, 0xfe6f },
	{ 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },   { 0x16fe0, 0x18dff }, { 0x1aff0, 0x1b2ff },
	{ 0x1d300, 0x1d376 }, { 0x1f004, 0x1f004 }, { 0x1f0cf, 0x1f0cf }, { 0x1f18e, 0x1f18e },
	{ 0x1f191, 0x1f19a }, { 0x1f1e6, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f7e0, 0x1f7ff },
	{ 0x1f900, 0x1f9ff }, { 0x1fa70, 0x1faff }, { 0x20000, 0x3ffff },
};

enum {
	HIDDEN = -1,     /* in place of a number of columns */
	MARKS_SHOWN = 2, /* in a row; more of them would climb over the lines above */
};

static bool within(const struct range *ranges, size_t count, uint32_t code)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (code > ranges[middle].last)
			low = middle + 1;
		else if (code < ranges[middle].first)
			high = middle;
		else
			return true;
	}
	return false;
}

/* The columns a code point takes, 0 for a combining mark; or HIDDEN. */
bool escape_hidden(uint32_t code)
{
	return code < 0x20 || code == 0x7f || within(hidden, sizeof hidden / sizeof *hidden, code);
}

static int columns_of(uint32_t code)
{
	if (code < 0x7f)
		return code < 0x20 ? HIDDEN : 1;
	if (code == 0x7f || within(hidden, sizeof hidden / sizeof *hidden, code))
		return HIDDEN;
	if ((code & 0xfffe) == 0xfffe) /* the last two of a plane are never characters */
		return HIDDEN;
	if (within(marks, sizeof marks / sizeof *marks, code))
		return 0;
	return within(wide, sizeof wide / sizeof *wide, code) ? 2 : 1;
}

/* How long the sequence is that `lead` opens; 0 for a byte that opens none. */
static size_t sequence_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	if (lead < 0xe0)
		return 2;
	return lead < 0xf0 ? 3 : 4;
}

size_t utf8_decode(const char *bytes, size_t length, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t                size = length > 0 ? sequence_length((unsigned char)bytes[0]) : 0;
	uint32_t              value;

	if (size == 0 || size > length)
		return 0;
	value = (unsigned char)bytes[0] & (size == 1 ? 0x7fU : 0x7fU >> size);
	for (size_t at = 1; at < size; at++) {
		unsigned char byte = (unsigned char)bytes[at];

		if ((byte & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (byte & 0x3fU);
	}
	if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code = value;
	return size;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many bytes at the front lie from `low` to `high`. */
static size_t run_length(const char *bytes, size_t length, unsigned char low, unsigned char high)
{
	size_t run = 0;

	while (run < length && (unsigned char)bytes[run] >= low && (unsigned char)bytes[run] <= high)
		run++;
	return run;
}

static size_t ascii_run(const char *bytes, size_t length)
{
	return run_length(bytes, length, 0x00, 0x7f);
}

static size_t printable_run(const char *bytes, size_t length)
{
	return run_length(bytes, length, 0x20, 0x7e);
}

bool utf8_valid(const char *bytes, size_t length)
{
	uint32_t code;

	for (size_t at = 0; at < length;) {
		size_t size = ascii_run(bytes + at, length - at);

		if (size == 0)
			size = utf8_decode(bytes + at, length - at, &code);
		if (size == 0)
			return false;
		at += size;
	}
	return true;
}

/* Append single-byte characters; false if only the first of them fitted. */
static bool append_run(struct buffer *out, const char *bytes, size_t length)
{
	size_t fitting = smaller(length, buffer_room(out));

	return buffer_append(out, bytes, fitting) && fitting == length;
}

/* The smallest step over a text, shown whole or not at all. */
struct piece {
	size_t length;   /* bytes read */
	size_t columns;  /* that it takes */
	size_t size;     /* bytes of `text` */
	char   text[16]; /* what is shown: the character itself, or its escape */
};

/* `size` is that of the sequence, 0 for a byte that belongs to none. */
static struct piece escaped_piece(unsigned char byte, size_t size, uint32_t code)
{
	struct piece piece = { .length = size > 0 ? size : 1 };
	int          written;

	if (size > 1)
		written = snprintf(piece.text, sizeof piece.text, "\\u{%x}", (unsigned)code);
	else
		written = snprintf(piece.text, sizeof piece.text, "\\x%02x", (unsigned)byte);
	piece.size = piece.columns = (size_t)written;
	return piece;
}

/* The piece at the front of a text that is not empty. `row` counts combining marks in a row. */
static struct piece next_piece(const char *bytes, size_t length, size_t *row)
{
	uint32_t     code = 0;
	size_t       size = utf8_decode(bytes, length, &code);
	int          columns = size > 0 ? columns_of(code) : HIDDEN;
	struct piece piece = { .length = size, .size = size };

	*row = columns == 0 ? *row + 1 : 0;
	if (columns == HIDDEN || *row > MARKS_SHOWN)
		return escaped_piece((unsigned char)*bytes, size, code);
	memcpy(piece.text, bytes, size);
	piece.columns = (size_t)columns;
	return piece;
}

/* Walk over as much of the text as shows in `columns`, appending it unless `out` is NULL.
 * Returns how many bytes were walked over. */
static size_t walk(struct buffer *out, const char *bytes, size_t length, size_t columns)
{
	size_t at = 0, row = 0;

	while (at < length) {
		size_t       run = printable_run(bytes + at, smaller(length - at, columns));
		struct piece piece;

		if (run > 0) { /* the common case: plain ASCII, whole */
			if (out && !append_run(out, bytes + at, run))
				break;
			at += run;
			columns -= run;
			row = 0;
			continue;
		}
		piece = next_piece(bytes + at, length - at, &row);
		if (piece.columns > columns || (out && !buffer_append(out, piece.text, piece.size)))
			break;
		at += piece.length;
		columns -= piece.columns;
	}
	return at;
}

void escape_terminal(struct buffer *out, const char *bytes, size_t length, size_t columns)
{
	static const char dots[] = "...";
	size_t            cut = smaller(columns, sizeof dots - 1);
	size_t            kept;

	if (walk(NULL, bytes, length, columns) == length) {
		walk(out, bytes, length, columns);
		return;
	}
	kept = walk(NULL, bytes, length, columns - cut);
	if (walk(out, bytes, kept, columns - cut) == kept)
		buffer_append(out, dots, cut);
}

void escape_utf8(struct buffer *out, const char *bytes, size_t length)
{
	static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
	bool              room = true;
	uint32_t          code;

	for (size_t at = 0; at < length && room;) {
		size_t size = ascii_run(bytes + at, length - at);

		if (size > 0) {
			room = append_run(out, bytes + at, size);
		} else if ((size = utf8_decode(bytes + at, length - at, &code)) > 0) {
			room = buffer_append(out, bytes + at, size);
		} else {
			size = 1;
			room = buffer_append(out, replacement, sizeof replacement - 1);
		}
		at += size;
	}
}

/* Is one of the eight bytes below 0x20, above 0x7e, a quote or a backslash? What is subtracted or added below sets the
 * highest bit of such a byte; a borrow can mark only what lies above one that is marked. */
static bool any_special(uint64_t eight)
{
	const uint64_t each = 0x0101010101010101, highest = 0x80 * each;
	uint64_t       quote = eight ^ '"' * each, backslash = eight ^ '\\' * each;

	return ((eight | (eight - 0x20 * each) | (eight + each) | (quote - each) | (backslash - each)) &
	        highest) != 0;
}

static bool is_special(unsigned char byte)
{
	return (unsigned char)(byte - 0x20) >= 0x7f - 0x20 || byte == '"' || byte == '\\';
}

static uint64_t load_eight(const char *bytes)
{
	uint64_t eight;

	memcpy(&eight, bytes, sizeof eight);
	return eight;
}

size_t json_plain(const char *bytes, size_t length)
{
	size_t run = 0;

	while (length - run >= 8 && !any_special(load_eight(bytes + run)))
		run += 8;
	if (length >= 8 && length - run < 8 && !any_special(load_eight(bytes + length - 8)))
		return length;
	while (run < length && !is_special((unsigned char)bytes[run]))
		run++;
	return run;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Four characters for `count` bytes, three at most. */
static void encode_group(char group[4], const char *bytes, size_t count)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 3; i++)
		bits = bits << 8 | (i < count ? (unsigned char)bytes[i] : 0);
	for (size_t i = 0; i < 4; i++)
		group[i] = i <= count ? alphabet[bits >> (18 - 6 * i) & 0x3f] : '=';
}

void base64_encode(char *text, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length; at += 3, text += 4)
		encode_group(text, bytes + at, smaller(3, length - at));
}

void escape_base64(struct buffer *out, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length; at += 3) {
		char group[4];

		encode_group(group, bytes + at, smaller(3, length - at));
		if (!buffer_append(out, group, sizeof group))
			return;
	}
}

void hex_encode(char *text, const char *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		*text++ = digits[byte >> 4];
		*text++ = digits[byte & 0xf];
	}
}

static bool is_space(char character)
{
	return character == ' ' || (character >= '\t' && character <= '\r');
}

/* The value of a digit; -1: it is none. */
static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

static int base64_value(char digit)
{
	const char *found = digit == '\0' ? NULL : strchr(alphabet, digit);

	return found ? (int)(found - alphabet) : -1;
}

/* Bytes, and the bits that are not yet one. */
struct bits {
	char    *bytes;
	size_t   length;
	unsigned value, count;
};

static void add_bits(struct bits *bits, int value, unsigned width)
{
	bits->value = bits->value << width | (unsigned)value;
	bits->count += width;
	if (bits->count < 8)
		return;
	bits->count -= 8;
	bits->bytes[bits->length++] = (char)(bits->value >> bits->count);
	bits->value &= (1U << bits->count) - 1;
}

bool hex_decode(char *bytes, size_t *count, const char *text, size_t length)
{
	struct bits bits = { .bytes = bytes };

	for (size_t i = 0; i < length; i++) {
		int value = hex_value(text[i]);

		if (is_space(text[i]))
			continue;
		if (value < 0)
			return false;
		add_bits(&bits, value, 4);
	}
	*count = bits.length;
	return bits.count == 0;
}

bool base64_decode(char *bytes, size_t *count, const char *text, size_t length)
{
	struct bits bits = { .bytes = bytes };
	size_t      digits = 0, padding = 0;

	for (size_t i = 0; i < length; i++) {
		int value = base64_value(text[i]);

		if (is_space(text[i]))
			continue;
		if (text[i] == '=') {
			padding++;
		} else if (value >= 0 && padding == 0) {
			add_bits(&bits, value, 6);
			digits++;
		} else {
			return false;
		}
	}
	*count = bits.length;
	if (digits % 4 == 1 || bits.value != 0) /* a digit is missing, or says what no byte has */
		return false;
	return padding == 0 || (padding <= 2 && (digits + padding) % 4 == 0);
}
