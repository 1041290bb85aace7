/* What a probe reports, packed: members, each a key and a value, in the order in which their keys first came. It is
 * written once, from the values of a script, and read once, by whoever writes the record; so all of it is in one
 * run of bytes, and a value is no allocation of its own. Who needs a part of it as a tree asks for one.
 *
 * The bytes are nodes, a key and a value in turn. A node begins with a byte that says its type and what is known of it.
 * Behind it, in the byte order of the machine and aligned to nothing, have
 *     an integer, a real          8 bytes
 *     a text                      its length in 4 bytes, its bytes, a NUL
 *     an array, an object         its length in 4 bytes, its nodes: values; or a key and a value in turn
 * A key is a text without a NUL. A text may hold any bytes, and says of itself whether it can stand in JSON as it is.
 *
 * Bounds: a budget, of which each value takes PACK_NODE bytes, and each text and key its length. What takes the place of
 * another gives back what that one took, once it is there. The bytes are never more than twice the budget.
 *
 * Errors: a call that returns false says why in `fault`, a static text, and has changed nothing but what pack_begin
 * began; pack_cancel undoes that. Nothing here raises.
 *
 * Owner: whoever embeds the struct; pack_free releases the bytes and may be called twice.
 */
#ifndef SCRIPT_PACK_H
#define SCRIPT_PACK_H

#include "base/buffer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACK_NODE = 8 };

struct pack {
	struct buffer bytes;
	size_t        budget; /* that is left */
	size_t        begun;  /* the end of the members that are whole */
	size_t        older;  /* since pack_begin: where the member is that has the same key; */
	size_t        spent;  /* and what was taken from the budget */
	const char   *fault;
};

void pack_init(struct pack *pack, size_t budget);
void pack_free(struct pack *pack);

/* Take this from the budget, for something else than a value. */
bool pack_afford(struct pack *pack, size_t bytes);

/* --- writing --------------------------------------------------------------------------------- */

/* A member: pack_begin, one value, and pack_commit, which lets it take the place of one with the same key; or, at
 * any time before, pack_cancel. */
bool pack_begin(struct pack *pack, const char *key);
void pack_commit(struct pack *pack);
void pack_cancel(struct pack *pack);

enum pack_type {
	PACK_NULL,
	PACK_FALSE,
	PACK_TRUE,
	PACK_INTEGER,
	PACK_REAL,
	PACK_TEXT,
	PACK_ARRAY,
	PACK_OBJECT,
};

bool pack_simple(struct pack *pack, enum pack_type type); /* null, false, true */
bool pack_integer(struct pack *pack, int64_t number);
bool pack_real(struct pack *pack, double number);
bool pack_text(struct pack *pack, const char *bytes, size_t length);

/* What is written between them are the values of an array, or the keys and values of an object. */
bool pack_open(struct pack *pack, enum pack_type type, size_t *place);
bool pack_key(struct pack *pack, const char *key);
void pack_close(struct pack *pack, size_t place);

/* A tree, of which what is nested deeper than `depth` is null; NULL is null. */
bool pack_tree(struct pack *pack, const json_t *tree, int depth);

/* --- reading --------------------------------------------------------------------------------- */

struct pack_node {
	enum pack_type type;
	bool           plain;  /* a text: of characters that JSON takes as they are, ASCII, and shown */
	bool           broken; /* a text: it is not UTF-8; an array: one of its texts is not */
	size_t         length; /* a text, an array, an object: */
	const char    *bytes;  /* what it holds */
	union {
		int64_t integer;
		double  real;
	};
};

/* The node at `at`; returns where the next one is. */
const char *pack_read(const char *at, struct pack_node *node);

/* All members: keys and values from the first place to the other. */
const char *pack_first(const struct pack *pack);
const char *pack_end(const struct pack *pack);

static inline bool pack_empty(const struct pack *pack)
{
	return pack->begun == 0;
}

/* The value of a member, or all members, as a new tree; NULL: there is none, or no memory. */
json_t *pack_member(const struct pack *pack, const char *key);
json_t *pack_members(const struct pack *pack);

#endif
