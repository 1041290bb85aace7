/* script/pack: members in one run of bytes. Held against jansson's objects, which keep the same promises. */
#include "script/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BUDGET = 1000, DEPTH = 8 };

static struct pack pack;

static int begin(void **state)
{
	(void)state;
	pack_init(&pack, BUDGET);
	return 0;
}

static int end(void **state)
{
	(void)state;
	pack_free(&pack);
	pack_free(&pack);
	return 0;
}

/* The value is stolen. */
static bool set(const char *key, json_t *value)
{
	bool good = pack_begin(&pack, key) && pack_tree(&pack, value, DEPTH);

	if (good)
		pack_commit(&pack);
	else
		pack_cancel(&pack);
	json_decref(value);
	return good;
}

static json_t *text(const char *bytes)
{
	return json_stringn_nocheck(bytes, strlen(bytes));
}

/* The keys in their order, each followed by a space. */
static const char *keys(void)
{
	static char names[200];
	json_t     *tree = pack_members(&pack), *value;
	const char *key;

	names[0] = '\0';
	json_object_foreach (tree, key, value)
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", key);
	json_decref(tree);
	return names;
}

static void expect(const char *key, const char *json)
{
	json_t *value = pack_member(&pack, key), *wanted = json_loads(json, JSON_DECODE_ANY, NULL);

	assert_non_null(wanted);
	if (!json_equal(value, wanted))
		fail_msg("%s is not %s but %s", key, json, json_dumps(value, JSON_ENCODE_ANY));
	json_decref(value);
	json_decref(wanted);
}

/* --- what is kept ---------------------------------------------------------------------------- */

static void values_come_back_as_they_went(void **state)
{
	static const char *const values[] = {
		"null",
		"true",
		"false",
		"0",
		"-1",
		"9223372036854775807",
		"-9223372036854775808",
		"0.5",
		"-1e300",
		"\"\"",
		"\"text\"",
		"\"gr\u00fc\u00df\"",
		"[]",
		"{}",
		"[[],{},[[1]]]",
		"[1,\"two\",[3.5,null],{\"four\":4,\"\":false}]",
		"{\"a\":{\"b\":{\"c\":[1,2]}},\"z\":\"last\"}",
	};
	char key[20];

	(void)state;
	assert_true(pack_empty(&pack));
	assert_null(pack_member(&pack, "k"));
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		snprintf(key, sizeof key, "k%zu", i);
		assert_true(set(key, json_loads(values[i], JSON_DECODE_ANY, NULL)));
	}
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		snprintf(key, sizeof key, "k%zu", i);
		expect(key, values[i]);
	}
	assert_false(pack_empty(&pack));
	assert_null(pack_member(&pack, "k"));
	assert_null(pack_member(&pack, "k99"));
}

static void texts_may_hold_any_byte(void **state)
{
	char    bytes[256];
	json_t *value;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)i;
	assert_true(set("k", json_stringn_nocheck(bytes, sizeof bytes)));
	value = pack_member(&pack, "k");
	assert_int_equal(json_string_length(value), sizeof bytes);
	assert_memory_equal(json_string_value(value), bytes, sizeof bytes);
	json_decref(value);
}

static void what_is_too_deep_is_null(void **state)
{
	(void)state;
	assert_true(pack_begin(&pack, "k"));
	json_t *tree = json_loads("[[1],2,{\"a\":[],\"b\":3}]", 0, NULL);

	assert_true(pack_tree(&pack, tree, 2));
	pack_commit(&pack);
	json_decref(tree);
	expect("k", "[[null],2,{\"a\":null,\"b\":null}]");
	assert_true(set("none", NULL));
	expect("none", "null");
}

/* --- one member for each key ----------------------------------------------------------------- */

static void a_key_keeps_its_place(void **state)
{
	static const char *const names[] = { "first", "middle", "last" };
	static const char *const texts[] = { "longer than what was there", "", "same",
		                             "much longer than all before" };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_true(set(names[i], text("same")));
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
			char quoted[40];

			assert_true(set(names[i], text(texts[j])));
			snprintf(quoted, sizeof quoted, "\"%s\"", texts[j]);
			expect(names[i], quoted);
			expect(names[(i + 1) % 3], i == 2 ? "\"much longer than all before\"" : "\"same\"");
			assert_string_equal(keys(), "first middle last ");
		}
}

/* A key that begins like another, or is empty, is another one. */
static void keys_are_told_apart(void **state)
{
	(void)state;
	assert_true(set("ab", text("1")) && set("a", text("2")) && set("", text("3")) &&
	            set("abc", text("4")));
	assert_true(set("a", text("5")) && set("", text("6")));
	assert_string_equal(keys(), "ab a  abc ");
	expect("a", "\"5\"");
	expect("", "\"6\"");
	expect("ab", "\"1\"");
}

static size_t cost_of(const json_t *value)
{
	const char *key;
	json_t     *child;
	size_t      index, cost = PACK_NODE + json_string_length(value);

	json_array_foreach (value, index, child)
		cost += cost_of(child);
	json_object_foreach ((json_t *)value, key, child)
		cost += strlen(key) + cost_of(child);
	return cost;
}

static json_t *random_tree(unsigned *seed, int depth)
{
	static const char filler[] = "some text that is cut somewhere";
	json_t           *tree;
	char              key[8];

	switch (rand_r(seed) % (depth > 0 ? 6 : 4)) {
	case 0:
		return json_integer(rand_r(seed));
	case 1:
		return json_boolean(rand_r(seed) % 2);
	case 2:
	case 3:
		return json_stringn(filler, (size_t)rand_r(seed) % sizeof filler);
	case 4:
		tree = json_array();
		for (int i = rand_r(seed) % 4; i > 0; i--)
			json_array_append_new(tree, random_tree(seed, depth - 1));
		return tree;
	default:
		tree = json_object();
		for (int i = rand_r(seed) % 4; i > 0; i--) {
			snprintf(key, sizeof key, "%d", i);
			json_object_set_new(tree, key, random_tree(seed, depth - 1));
		}
		return tree;
	}
}

static void check_against(json_t *model)
{
	json_t     *tree = pack_members(&pack), *value;
	void       *at = json_object_iter(tree);
	const char *key;

	assert_true(json_equal(tree, model));
	json_object_foreach (model, key, value) {
		assert_string_equal(json_object_iter_key(at), key);
		at = json_object_iter_next(tree, at);
	}
	assert_null(at);
	json_decref(tree);
}

/* What is left of the budget is what the members that are there have not taken. */
static void as_jansson_does_it(void **state)
{
	json_t  *model = json_object();
	unsigned seed = 7;
	char     key[4];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		json_t *value = random_tree(&seed, 3), *older;
		size_t  budget = pack.budget, wanted = cost_of(value);

		snprintf(key, sizeof key, "%.*s", 1 + rand_r(&seed) % 2, rand_r(&seed) % 2 ? "ab" : "cd");
		older = json_object_get(model, key);
		wanted += older ? 0 : strlen(key);
		if (set(key, json_incref(value))) {
			assert_true(wanted <= budget);
			assert_int_equal(pack.budget, budget - wanted + (older ? cost_of(older) : 0));
			json_object_set_new(model, key, value);
		} else {
			assert_true(wanted > budget);
			assert_int_equal(pack.budget, budget);
			json_decref(value);
		}
		check_against(model);
	}
	json_decref(model);
}

/* --- bounds ---------------------------------------------------------------------------------- */

static void what_is_cancelled_was_never_there(void **state)
{
	char   before[2 * BUDGET];
	size_t length, budget;

	(void)state;
	assert_true(set("a", text("one")) && set("b", text("two")));
	length = (size_t)(pack_end(&pack) - pack_first(&pack));
	memcpy(before, pack_first(&pack), length);
	budget = pack.budget;
	for (int i = 0; i < 4; i++) {
		size_t place;

		assert_true(pack_begin(&pack, i % 2 ? "a" : "c"));
		assert_true(pack_open(&pack, PACK_ARRAY, &place) && pack_text(&pack, "half", 4));
		assert_int_equal(pack_end(&pack) - pack_first(&pack), length);
		pack_cancel(&pack);
		assert_int_equal(pack_end(&pack) - pack_first(&pack), length);
		assert_memory_equal(pack_first(&pack), before, length);
		assert_int_equal(pack.budget, budget);
	}
	assert_true(set("c", text("three")));
	assert_string_equal(keys(), "a b c ");
}

static void the_budget_is_spent_to_the_last_byte(void **state)
{
	char much[BUDGET + 1];

	(void)state;
	memset(much, 'x', sizeof much);
	for (size_t over = 0; over < 2; over++) {
		json_t *value = json_stringn(much, BUDGET - PACK_NODE - strlen("key") + 1 - over);

		assert_int_equal(set("key", value), over == 1);
		assert_int_equal(pack.budget, over == 1 ? 0 : BUDGET);
	}
	assert_string_equal(pack.fault, "a probe reports at most 256 KiB");
	assert_false(set("", json_null()));
	assert_false(set("key", json_null())); /* the old one is there until the new one is */
	assert_string_equal(keys(), "key ");
	assert_false(pack_afford(&pack, 1));
	assert_true(pack_afford(&pack, 0));
}

static void what_is_replaced_takes_no_room(void **state)
{
	char bytes[BUDGET / 2 - 100];

	(void)state;
	memset(bytes, 'x', sizeof bytes);
	for (int i = 0; i < 10000; i++) {
		assert_true(set("one", json_stringn(bytes, (size_t)i % sizeof bytes)));
		assert_true(set(i % 2 ? "two" : "three", json_integer(i)));
	}
	assert_true(pack.bytes.capacity <= 2 * (size_t)BUDGET);
	assert_string_equal(keys(), "one three two ");
	expect("two", "9999");
}

/* Values of the kind that takes most room for what it costs: it is always the budget that says no. */
static void memory_is_twice_the_budget_at_most(void **state)
{
	size_t place;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		bool good = pack_begin(&pack, "") &&
		            pack_open(&pack, kind % 2 ? PACK_OBJECT : PACK_ARRAY, &place);

		while (good)
			good = (kind % 2 == 0 || pack_key(&pack, "")) &&
			       (kind / 2 ? pack_text(&pack, "", 0) : pack_integer(&pack, 7));
		assert_string_equal(pack.fault, "a probe reports at most 256 KiB");
		pack_cancel(&pack);
		assert_int_equal(pack.budget, BUDGET);
	}
	assert_true(pack_empty(&pack));
	assert_true(pack.bytes.capacity <= 2 * (size_t)BUDGET);
}

/* The buffer refuses, as it does when there is no memory, after each number of bytes. */
static void without_memory_all_is_as_it_was(void **state)
{
	size_t needed = 0;

	(void)state;
	assert_true(set("a", text("one")));
	for (size_t room = 0; !needed; room++) {
		struct pack small;
		json_t     *tree = json_loads("[1,\"two\",{\"three\":[true,null]}]", 0, NULL);

		pack_init(&small, BUDGET);
		small.bytes.maximum = room;
		if (pack_begin(&small, "key") && pack_tree(&small, tree, DEPTH)) {
			needed = room;
		} else {
			assert_string_equal(small.fault, "not enough memory");
			pack_cancel(&small);
			assert_true(pack_empty(&small));
			assert_int_equal(small.budget, BUDGET);
		}
		json_decref(tree);
		pack_free(&small);
	}
	assert_in_range(needed, 30, 100);
}

/* --- what a node says of itself -------------------------------------------------------------- */

static struct pack_node node_of(json_t *value)
{
	struct pack_node node, key;

	assert_true(set("k", value));
	pack_read(pack_read(pack_first(&pack), &key), &node);
	assert_int_equal(key.type, PACK_TEXT);
	return node;
}

static void texts_say_how_they_can_be_written(void **state)
{
	static const struct {
		const char *bytes;
		size_t      length;
		bool        plain, broken;
	} cases[] = {
		{ "", 0, true, false },
		{ "plain ~", 7, true, false },
		{ "a longer text, plain all the same", 33, true, false },
		{ "a \"quote\"", 9, false, false },
		{ "back\\slash", 10, false, false },
		{ "\0", 1, false, false },
		{ "tab\t", 4, false, false },
		{ "\x7f", 1, false, false },
		{ "gr\u00fc\u00df", 6, false, false },
		{ "\xff", 1, false, true },
		{ "good\xc3", 5, false, true },
		{ "good \u00fc, and then \x80", 19, false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pack_node node = node_of(json_stringn_nocheck(cases[i].bytes, cases[i].length));

		assert_int_equal(node.type, PACK_TEXT);
		assert_int_equal(node.length, cases[i].length);
		assert_memory_equal(node.bytes, cases[i].bytes, cases[i].length);
		assert_int_equal(node.plain, cases[i].plain);
		assert_int_equal(node.broken, cases[i].broken);
	}
}

/* An array says it of its own texts, not of those of an array within. */
static void arrays_say_whether_a_text_is_broken(void **state)
{
	json_t *inner = json_array(), *outer = json_array();

	(void)state;
	json_array_append_new(inner, text("good"));
	assert_false(node_of(json_incref(inner)).broken);
	json_array_append_new(inner, text("\xff"));
	json_array_append_new(inner, json_integer(1));
	assert_true(node_of(json_incref(inner)).broken);
	json_array_append_new(outer, inner);
	assert_false(node_of(json_incref(outer)).broken);
	json_array_append_new(outer, text("\xfe"));
	assert_true(node_of(outer).broken);
}

#define with_pack(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_pack(values_come_back_as_they_went),
		with_pack(texts_may_hold_any_byte),
		with_pack(what_is_too_deep_is_null),
		with_pack(a_key_keeps_its_place),
		with_pack(keys_are_told_apart),
		with_pack(as_jansson_does_it),
		with_pack(what_is_cancelled_was_never_there),
		with_pack(the_budget_is_spent_to_the_last_byte),
		with_pack(what_is_replaced_takes_no_room),
		with_pack(memory_is_twice_the_budget_at_most),
		with_pack(without_memory_all_is_as_it_was),
		with_pack(texts_say_how_they_can_be_written),
		with_pack(arrays_say_whether_a_text_is_broken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
