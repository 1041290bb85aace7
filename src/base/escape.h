/* Making bytes from elsewhere safe to show, and the encodings that go with it.
 *
 * All functions are pure and append to a buffer; a full buffer ends the text early.
 */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decode one UTF-8 sequence (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
 * Returns its length, 1 to 4, and the code point, or 0 where the bytes are not valid UTF-8. */
size_t utf8_decode(const char *bytes, size_t length, uint32_t *code);
bool   utf8_valid(const char *bytes, size_t length);

/* Is the character invisible, or one that changes how others look: a control, a direction, a zero width, a
 * tag? */
bool escape_hidden(uint32_t code);

/* Append `bytes` as a terminal may show them, in at most `columns` columns, "..." marking the cut.
 * What comes out holds no byte below 0x20, no 0x7f-0x9f control, no bidi, zero-width or other
 * invisible format character: a control or a bad byte is written \xNN, such a character \u{202e},
 * a combining mark past the second in a row likewise. A backslash stays as it is: the text is for
 * eyes, the record for programs. */
void escape_terminal(struct buffer *out, const char *bytes, size_t length, size_t columns);

/* Append `bytes` as valid UTF-8, each byte that is not part of a sequence as U+FFFD. */
void escape_utf8(struct buffer *out, const char *bytes, size_t length);

/* How many bytes at the front can stand in a JSON string as they are, whatever comes behind them: ASCII that is
 * shown, without quotes and backslashes. */
size_t json_plain(const char *bytes, size_t length);

/* Append base64 (RFC 4648, padded, no line breaks). */
void escape_base64(struct buffer *out, const char *bytes, size_t length);

/* The same, and hex of the digits 0-9 and a-f, to where there is room for HEX_ROOM or BASE64_ROOM characters. */
#define HEX_ROOM(length)    (2 * (length))
#define BASE64_ROOM(length) (((length) + 2) / 3 * 4)

void hex_encode(char *text, const char *bytes, size_t length);
void base64_encode(char *text, const char *bytes, size_t length);

/* The way back, to where there is room for `length` bytes; `*count` come of it. White space does not count, nor does
 * the case of hex digits, and base64 needs no padding. False: it is no such text. */
bool hex_decode(char *bytes, size_t *count, const char *text, size_t length);
bool base64_decode(char *bytes, size_t *count, const char *text, size_t length);

#endif
