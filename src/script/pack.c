#include "script/pack.h"

#include "base/escape.h"

#include <string.h>

enum {
	HEAD = 1 + sizeof(uint32_t), /* of a text, an array, an object */
	NUMBER = 1 + sizeof(int64_t),
	TYPE = 0x3f, /* in the first byte of a node */
	PLAIN = 0x40,
	BROKEN = 0x80,
	USUAL = 500, /* room for what most probes report */
};

void pack_init(struct pack *pack, size_t budget)
{
	*pack = (struct pack){ .budget = budget };
	buffer_init(&pack->bytes, budget < UINT32_MAX / 2 ? 2 * budget : UINT32_MAX);
}

void pack_free(struct pack *pack)
{
	buffer_free(&pack->bytes);
	pack->begun = 0;
}

bool pack_afford(struct pack *pack, size_t bytes)
{
	if (bytes > pack->budget) {
		pack->fault = "a probe reports at most 256 KiB";
		return false;
	}
	pack->budget -= bytes;
	pack->spent += bytes;
	return true;
}

/* --- writing --------------------------------------------------------------------------------- */

/* Where the next `length` bytes go; NULL: no memory. */
static char *extend(struct pack *pack, size_t length)
{
	struct buffer *bytes = &pack->bytes;

	if (length > bytes->capacity - bytes->end && !buffer_grow(bytes, length)) {
		pack->fault = "not enough memory";
		return NULL;
	}
	bytes->end += length;
	return bytes->bytes + bytes->end - length;
}

bool pack_simple(struct pack *pack, enum pack_type type)
{
	char *at = pack_afford(pack, PACK_NODE) ? extend(pack, 1) : NULL;

	if (at)
		*at = (char)type;
	return at != NULL;
}

static bool put_number(struct pack *pack, enum pack_type type, const void *number)
{
	char *at = pack_afford(pack, PACK_NODE) ? extend(pack, NUMBER) : NULL;

	if (!at)
		return false;
	*at = (char)type;
	memcpy(at + 1, number, sizeof(int64_t));
	return true;
}

bool pack_integer(struct pack *pack, int64_t number)
{
	return put_number(pack, PACK_INTEGER, &number);
}

bool pack_real(struct pack *pack, double number)
{
	_Static_assert(sizeof number == sizeof(int64_t), "a real takes as much as an integer");
	return put_number(pack, PACK_REAL, &number);
}

/* A text is looked through here, once, for whoever writes it. */
static char kind_of(const char *bytes, size_t length)
{
	size_t plain = json_plain(bytes, length);

	if (plain == length)
		return (char)(PACK_TEXT | PLAIN);
	return (char)(utf8_valid(bytes + plain, length - plain) ? PACK_TEXT : PACK_TEXT | BROKEN);
}

static bool put_text(struct pack *pack, const char *bytes, size_t length)
{
	uint32_t size = (uint32_t)length;
	char    *at = extend(pack, HEAD + length + 1);

	if (!at)
		return false;
	*at = kind_of(bytes, length);
	memcpy(at + 1, &size, sizeof size);
	memcpy(at + HEAD, bytes, length);
	at[HEAD + length] = '\0';
	return true;
}

bool pack_text(struct pack *pack, const char *bytes, size_t length)
{
	return pack_afford(pack, PACK_NODE) && pack_afford(pack, length) && put_text(pack, bytes, length);
}

bool pack_key(struct pack *pack, const char *key)
{
	size_t length = strlen(key);

	return pack_afford(pack, length) && put_text(pack, key, length);
}

bool pack_open(struct pack *pack, enum pack_type type, size_t *place)
{
	char *at = pack_afford(pack, PACK_NODE) ? extend(pack, HEAD) : NULL;

	if (!at)
		return false;
	*at = (char)type;
	*place = (size_t)(at - pack->bytes.bytes);
	return true;
}

static bool any_broken(const char *at, const char *end)
{
	struct pack_node node;

	while (at < end) {
		at = pack_read(at, &node);
		if (node.type == PACK_TEXT && node.broken)
			return true;
	}
	return false;
}

void pack_close(struct pack *pack, size_t place)
{
	char    *at = pack->bytes.bytes + place, *end = pack->bytes.bytes + pack->bytes.end;
	uint32_t length = (uint32_t)(end - at - HEAD);

	memcpy(at + 1, &length, sizeof length);
	if (*at == PACK_ARRAY && any_broken(at + HEAD, end))
		*at = (char)(PACK_ARRAY | BROKEN);
}

/* --- members --------------------------------------------------------------------------------- */

/* Where the member with this key begins, or where all end. */
static size_t find(const struct pack *pack, const char *key, size_t length)
{
	const char *first = pack_first(pack), *at = first;

	while (at < first + pack->begun) {
		struct pack_node name, value;
		const char      *next = pack_read(pack_read(at, &name), &value);

		if (name.length == length && memcmp(name.bytes, key, length) == 0)
			break;
		at = next;
	}
	return (size_t)(at - first);
}

bool pack_begin(struct pack *pack, const char *key)
{
	size_t length = strlen(key);

	if (pack_empty(pack))
		buffer_grow(&pack->bytes, USUAL); /* whether it could is seen when the room is needed */
	pack->older = find(pack, key, length);
	pack->spent = 0;
	return (pack->older < pack->begun || pack_afford(pack, length)) && put_text(pack, key, length);
}

void pack_cancel(struct pack *pack)
{
	pack->bytes.end = pack->begun;
	pack->budget += pack->spent;
	pack->spent = 0;
}

/* What these nodes took from the budget; those of an object, where every other one is a key. */
static size_t cost_of(const char *at, const char *end, bool keyed)
{
	struct pack_node node;
	size_t           cost = 0;

	while (at < end) {
		if (keyed) {
			at = pack_read(at, &node);
			cost += node.length;
		}
		at = pack_read(at, &node);
		cost += PACK_NODE;
		if (node.type == PACK_TEXT)
			cost += node.length;
		else if (node.type == PACK_ARRAY || node.type == PACK_OBJECT)
			cost += cost_of(node.bytes, node.bytes + node.length, node.type == PACK_OBJECT);
	}
	return cost;
}

static void reverse(char *first, char *end)
{
	while (first < end) {
		char byte = *first;

		*first++ = *--end;
		*end = byte;
	}
}

/* Let what stands from `middle` on stand before what stands from `first` on. */
static void rotate(char *first, char *middle, char *end)
{
	if (first == middle)
		return;
	reverse(first, middle);
	reverse(middle, end);
	reverse(first, end);
}

/* Let the last member take the place of the one at `older`. */
static void replace(struct pack *pack, char *older)
{
	struct pack_node name, value;
	const char      *begin = pack_read(older, &name), *next = pack_read(begin, &value);
	size_t           length = (size_t)(next - older), begun = pack->begun - length;

	pack->budget += cost_of(begin, next, false);
	memmove(older, next, pack->bytes.end - pack->older - length);
	pack->bytes.end -= length;
	rotate(older, pack->bytes.bytes + begun, pack->bytes.bytes + pack->bytes.end);
}

void pack_commit(struct pack *pack)
{
	if (pack->older < pack->begun)
		replace(pack, pack->bytes.bytes + pack->older);
	pack->begun = pack->bytes.end;
	pack->spent = 0;
}

/* --- reading --------------------------------------------------------------------------------- */

const char *pack_first(const struct pack *pack)
{
	return buffer_bytes(&pack->bytes);
}

const char *pack_end(const struct pack *pack)
{
	return pack_first(pack) + pack->begun;
}

static const char *read_run(const char *at, struct pack_node *node)
{
	uint32_t length;

	memcpy(&length, at, sizeof length);
	node->length = length;
	node->bytes = at + sizeof length;
	return node->bytes + length + (node->type == PACK_TEXT);
}

const char *pack_read(const char *at, struct pack_node *node)
{
	unsigned char first = (unsigned char)*at++;

	*node = (struct pack_node){ .type = (enum pack_type)(first & TYPE),
		                    .plain = first & PLAIN,
		                    .broken = first & BROKEN,
		                    .bytes = at };
	if (node->type >= PACK_TEXT)
		return read_run(at, node);
	if (node->type < PACK_INTEGER)
		return at;
	memcpy(&node->integer, at, sizeof node->integer); /* or what has the same place, and as many bytes */
	return at + sizeof node->integer;
}

/* --- trees ----------------------------------------------------------------------------------- */

static json_t *tree_of(const struct pack_node *node);

static json_t *array_of(const char *at, const char *end)
{
	json_t          *array = json_array();
	struct pack_node element;

	while (array && at < end) {
		at = pack_read(at, &element);
		if (json_array_append_new(array, tree_of(&element)) == 0)
			continue;
		json_decref(array);
		array = NULL;
	}
	return array;
}

static json_t *object_of(const char *at, const char *end)
{
	json_t          *object = json_object();
	struct pack_node key, value;

	while (object && at < end) {
		at = pack_read(pack_read(at, &key), &value);
		if (json_object_set_new_nocheck(object, key.bytes, tree_of(&value)) == 0)
			continue;
		json_decref(object);
		object = NULL;
	}
	return object;
}

static json_t *tree_of(const struct pack_node *node)
{
	switch (node->type) {
	case PACK_NULL:
		return json_null();
	case PACK_FALSE:
	case PACK_TRUE:
		return json_boolean(node->type == PACK_TRUE);
	case PACK_INTEGER:
		return json_integer(node->integer);
	case PACK_REAL:
		return json_real(node->real);
	case PACK_TEXT:
		return json_stringn_nocheck(node->bytes, node->length);
	case PACK_ARRAY:
		return array_of(node->bytes, node->bytes + node->length);
	case PACK_OBJECT:
		return object_of(node->bytes, node->bytes + node->length);
	}
	return NULL;
}

json_t *pack_member(const struct pack *pack, const char *key)
{
	struct pack_node name, value;
	size_t           place = find(pack, key, strlen(key));

	if (place == pack->begun)
		return NULL;
	pack_read(pack_read(pack->bytes.bytes + place, &name), &value);
	return tree_of(&value);
}

json_t *pack_members(const struct pack *pack)
{
	return object_of(pack_first(pack), pack_end(pack));
}

static bool pack_elements(struct pack *pack, const json_t *array, int depth)
{
	const json_t *element;
	size_t        place, index;

	if (!pack_open(pack, PACK_ARRAY, &place))
		return false;
	json_array_foreach (array, index, element)
		if (!pack_tree(pack, element, depth))
			return false;
	pack_close(pack, place);
	return true;
}

static bool pack_pairs(struct pack *pack, const json_t *object, int depth)
{
	const char *key;
	json_t     *value;
	size_t      place;

	if (!pack_open(pack, PACK_OBJECT, &place))
		return false;
	json_object_foreach ((json_t *)object, key, value)
		if (!pack_key(pack, key) || !pack_tree(pack, value, depth))
			return false;
	pack_close(pack, place);
	return true;
}

bool pack_tree(struct pack *pack, const json_t *tree, int depth)
{
	switch (depth > 0 && tree ? json_typeof(tree) : JSON_NULL) {
	case JSON_OBJECT:
		return pack_pairs(pack, tree, depth - 1);
	case JSON_ARRAY:
		return pack_elements(pack, tree, depth - 1);
	case JSON_STRING:
		return pack_text(pack, json_string_value(tree), json_string_length(tree));
	case JSON_INTEGER:
		return pack_integer(pack, json_integer_value(tree));
	case JSON_REAL:
		return pack_real(pack, json_real_value(tree));
	case JSON_TRUE:
	case JSON_FALSE:
		return pack_simple(pack, json_is_true(tree) ? PACK_TRUE : PACK_FALSE);
	case JSON_NULL:
		break;
	}
	return pack_simple(pack, PACK_NULL);
}
