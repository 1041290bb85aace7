/* script/pattern and script/string_api: the results are those of Lua's own functions, the work is bounded. */
#include "rivals.h"

#include "script/pattern.h"
#include "script/sandbox.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- the matcher by itself ------------------------------------------------------------------- */

static enum pattern_result look(const char *subject, const char *pattern, size_t budget,
                                struct pattern_match *match)
{
	struct pattern_search search = pattern_search(subject, strlen(subject), pattern, strlen(pattern));

	return pattern_find(&search, 0, SIZE_MAX, &budget, match);
}

static void assert_found(const char *subject, const char *pattern, size_t start, size_t end)
{
	struct pattern_match match;

	if (look(subject, pattern, 1000, &match) != PATTERN_FOUND)
		fail_msg("\"%s\" is not found in \"%s\"", pattern, subject);
	if (match.start != start || match.end != end)
		fail_msg("\"%s\" in \"%s\": %zu to %zu", pattern, subject, match.start, match.end);
}

static void assert_absent(const char *subject, const char *pattern)
{
	struct pattern_match match;

	if (look(subject, pattern, 1000, &match) != PATTERN_NONE)
		fail_msg("\"%s\" is found in \"%s\"", pattern, subject);
}

static void assert_fault(const char *pattern, const char *fault)
{
	struct pattern_match match;

	assert_int_equal(look("abc", pattern, 1000, &match), PATTERN_MALFORMED);
	assert_string_equal(match.fault, fault);
}

static void finds_what_the_manual_says(void **state)
{
	(void)state;
	assert_found("SSH-2.0-x", "^SSH%-%d", 0, 5);
	assert_found("220-hello", "^220[ -]", 0, 4);
	assert_absent("x220 hello", "^220[ -]");
	assert_found("hello world", "o w", 4, 7);
	assert_found("hello", "l+", 2, 4);
	assert_found("hello", "l-o", 2, 5);
	assert_found("hello", "x*", 0, 0);
	assert_found("hello", "lo?$", 3, 5);
	assert_found("f(a(b)c)d", "%b()", 1, 8);
	assert_found("THE (quick) fox", "%f[%a]%a+%f[%A]", 0, 3);
	assert_found("x = 'it' \"x\"", "(['\"]).-%1", 4, 8);
	assert_found("[x]", "[]x]+", 1, 3);
	assert_found("a-c", "[a-]+", 0, 2);
	assert_found("10.5%", "%d+%.%d%%", 0, 5);
	assert_absent("hello", "$l");
	assert_found("a$b", "a$b", 0, 3);
	assert_absent("", ".");
	assert_found("", "", 0, 0);
}

/* Sets of two bytes or one range, and those that look as if they were. */
static void short_sets(void **state)
{
	static const struct {
		const char *set, *taken, *not_taken;
	} sets[] = {
		{ "[Xx]", "Xx", "]-y[" },  { "[a-c]", "abc", "-d]" },   { "[a-]", "a-", "b]" },
		{ "[]x]", "]x", "[a" },    { "[%]a]", "]a", "%[b" },    { "[a%]]", "a]", "%b" },
		{ "[^a]", "b^]", "a" },    { "[^-a]", "b^", "-a" },     { "[%d]", "07", "%d]" },
		{ "[%a-]", "az-", "%0]" }, { "[]-a]", "]^_`a", "-b[" }, { "[a-%]]", "]", "a%-b" },
		{ "[abc]", "abc", "-d]" }, { "[a]", "a", "]b" },        { "[--0]", "-./0", "1," },
		{ "[c-a]", "", "abc-" },   { "[-a]", "-a", "b]" },
	};
	char subject[3] = "?.", pattern[16];

	(void)state;
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		snprintf(pattern, sizeof pattern, "^%s%%.", sets[i].set);
		for (const char *byte = sets[i].taken; (*subject = *byte) != '\0'; byte++)
			assert_found(subject, pattern, 0, 2);
		for (const char *byte = sets[i].not_taken; (*subject = *byte) != '\0'; byte++)
			assert_absent(subject, pattern);
	}
	assert_found("ab", "^[ab][ab]", 0, 2);
	assert_found("a].", "^[a]]%.", 0, 3);
	assert_found("ab-", "^[a-c]+-$", 0, 3);
	assert_found("]", "^[ab]?]", 0, 1);
}

static void captures(void **state)
{
	struct pattern_match match;

	(void)state;
	assert_int_equal(look("key = value", "^(%w+)%s*=()%s*((v)a)", 1000, &match), PATTERN_FOUND);
	assert_int_equal(match.count, 4);
	assert_int_equal(match.captures[0].start, 0);
	assert_int_equal(match.captures[0].length, 3);
	assert_int_equal(match.captures[1].start, 5);
	assert_int_equal(match.captures[1].length, PATTERN_POSITION);
	assert_int_equal(match.captures[2].start, 6);
	assert_int_equal(match.captures[2].length, 2);
	assert_int_equal(match.captures[3].length, 1);
	assert_int_equal(look("ab", "(a", 1000, &match), PATTERN_FOUND);
	assert_int_equal(match.captures[0].length, PATTERN_OPEN);
}

/* Whoever goes back to a choice has the captures as they were then. */
static void captures_are_taken_back(void **state)
{
	struct pattern_match match;

	(void)state;
	assert_int_equal(look("a", "^(a?)(a?)(a)$", 1000, &match), PATTERN_FOUND);
	assert_int_equal(match.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(match.captures[i].start, 0);
		assert_int_equal(match.captures[i].length, i == 2);
	}
	assert_int_equal(look("aab", "^(a-(a))(b)", 1000, &match), PATTERN_FOUND);
	assert_int_equal(match.count, 3);
	assert_int_equal(match.captures[0].length, 2);
	assert_int_equal(match.captures[1].start, 1);
	assert_int_equal(match.captures[2].start, 2);
	assert_int_equal(look("(a", "%((a?(a", 1000, &match), PATTERN_FOUND);
	assert_int_equal(match.captures[0].length, PATTERN_OPEN);
	assert_int_equal(match.captures[1].length, PATTERN_OPEN);
	assert_fault("((a?)b?%1)c", "invalid capture index %1");
}

static void says_what_is_wrong(void **state)
{
	(void)state;
	assert_fault("a%", "malformed pattern (ends with '%')");
	assert_fault("[a", "malformed pattern (missing ']')");
	assert_fault("[]", "malformed pattern (missing ']')");
	assert_fault("%ba", "malformed pattern (missing arguments to '%b')");
	assert_fault("%fa", "missing '[' after '%f' in pattern");
	assert_fault("(a)%2", "invalid capture index %2");
	assert_fault("(%1", "invalid capture index %1");
	assert_fault("%0", "invalid capture index %0");
	assert_fault("a)", "invalid pattern capture");
	assert_fault("()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()",
	             "too many captures");
	assert_absent("xyz", "a%"); /* it does not come to the fault */
}

static void assert_wrong(const char *pattern, const char *why)
{
	const char *wrong = pattern_fault(pattern, strlen(pattern));

	assert_non_null(wrong);
	assert_string_equal(wrong, why);
}

static void sees_what_is_wrong_anywhere(void **state)
{
	static const char *const good[] = { "",           "^",   "^(OK)", "()(a(b)%3)%2", "[]]", "[^]%]]$",
		                            "%b()%f[%a]", "a$b", "%(a",   "x%)",          "[(]", "$" };

	(void)state;
	assert_wrong("^(OK", "unfinished capture");
	assert_wrong("a(b(c)", "unfinished capture");
	assert_wrong("a)", "invalid pattern capture");
	assert_wrong("(a))", "invalid pattern capture");
	assert_wrong("x*())", "invalid pattern capture");
	assert_wrong("abc[%]", "malformed pattern (missing ']')");
	assert_wrong("abc[^]", "malformed pattern (missing ']')");
	assert_wrong("abc%f[a", "malformed pattern (missing ']')");
	assert_wrong("abc%f", "missing '[' after '%f' in pattern");
	assert_wrong("abc%b(", "malformed pattern (missing arguments to '%b')");
	assert_wrong("abc%", "malformed pattern (ends with '%')");
	assert_wrong("abc(d)%2", "invalid capture index %2");
	assert_wrong("abc(d%1)", "invalid capture index %1");
	assert_wrong("x()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()",
	             "too many captures");
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_null(pattern_fault(good[i], strlen(good[i])));
}

/* Neither the subject nor the pattern need end with a NUL, and both may hold some. */
static void takes_any_bytes(void **state)
{
	static const char subject[] = { 'a', '\0', '\xff', 'b' },
			  pattern[] = { '\0', '[', '\x80', '-', '\xff', ']' };
	struct pattern_search search = pattern_search(subject, sizeof subject, pattern, sizeof pattern);
	struct pattern_match  match;
	size_t                budget = 100;

	(void)state;
	assert_int_equal(pattern_find(&search, 0, SIZE_MAX, &budget, &match), PATTERN_FOUND);
	assert_int_equal(match.start, 1);
	assert_int_equal(match.end, 3);
	assert_int_equal(pattern_find(&search, 2, SIZE_MAX, &budget, &match), PATTERN_NONE);
	assert_true(budget < 100);
}

/* --- the bound on the work ------------------------------------------------------------------- */

static char *repeat(const char *text, size_t count, const char *last)
{
	char *all = malloc(strlen(text) * count + strlen(last) + 1), *end = all;

	assert_non_null(all);
	for (size_t i = 0; i < count; i++)
		end = stpcpy(end, text);
	stpcpy(end, last);
	return all;
}

/* It gives up, within the budget: more than a million steps would be needed for each of these. */
static void assert_too_much(char *subject, char *pattern)
{
	struct pattern_search search = pattern_search(subject, strlen(subject), pattern, strlen(pattern));
	struct pattern_match  match;
	size_t                budget = 1000000;

	assert_int_equal(pattern_find(&search, 0, SIZE_MAX, &budget, &match), PATTERN_COMPLEX);
	assert_string_equal(match.fault, "pattern too complex");
	assert_int_equal(budget, 0);
	free(subject);
	free(pattern);
}

static void stops_where_it_would_take_for_ever(void **state)
{
	(void)state;
	assert_too_much(repeat("a", 30, ""), repeat(".-", 12, "b"));
	assert_too_much(repeat("a", 30, ""), repeat("a*", 30, "b"));
	assert_too_much(repeat("a", 40, ""), repeat("a?", 40, "b"));
	assert_too_much(repeat(" ", 65536, "x"), repeat("%s+$", 1, ""));
	assert_too_much(repeat("(", 65536, ""), repeat("%b()", 1, ""));
	assert_too_much(repeat("a", 65536, ""), repeat("(.*)%1b", 1, ""));
}

/* A set that is as long as the subject: each byte is held against each element. */
static void counts_the_elements_of_a_set(void **state)
{
	char *pattern = repeat("b", 5000, "]");

	(void)state;
	pattern[0] = '[';
	assert_too_much(repeat("a", 5000, ""), pattern);
}

/* With a step less than it takes, it is too much. */
static void assert_steps(const char *subject, const char *pattern, size_t steps)
{
	struct pattern_match match;

	assert_int_equal(look(subject, pattern, steps, &match), PATTERN_FOUND);
	assert_int_equal(look(subject, pattern, steps - 1, &match), PATTERN_COMPLEX);
}

/* A step for where it begins and for each item; what is taken, or looked through, at once is counted too. */
static void counts_what_goes_quickly(void **state)
{
	char *subject = repeat("a", 1600, ""), *with_b = repeat("ba", 1, subject);

	(void)state;
	assert_steps("aaaa", "^a%aa.", 5);
	assert_steps(subject, "^.*", 2 + 1599);
	assert_steps(subject, "^.+", 2 + 1599);
	assert_steps(with_b, "^.*b", 2 + 1601 + 1 + 1602 / 16 + 1 + 1);
	assert_steps("b", "^[ab]x?", 3 + 2);
	assert_steps("b", "^[a-c]x?", 3 + 3);
	assert_steps("b", "^[abc]x?", 3 + 3);
	free(with_b);
	free(subject);
}

static void stops_at_as_many_choices_as_lua(void **state)
{
	struct pattern_match match;
	char                *subject = repeat("a", 300, ""), *pattern = repeat("a?", 199, "");

	(void)state;
	assert_int_equal(look(subject, pattern, 1000000, &match), PATTERN_FOUND);
	free(pattern);
	pattern = repeat("a?", 200, "");
	assert_int_equal(look(subject, pattern, 1000000, &match), PATTERN_COMPLEX);
	free(pattern);
	pattern = repeat("a?", 197, "()()"); /* a bracket counts like a choice */
	assert_int_equal(look(subject, pattern, 1000000, &match), PATTERN_FOUND);
	free(pattern);
	pattern = repeat("a?", 197, "(a)()");
	assert_int_equal(look(subject, pattern, 1000000, &match), PATTERN_COMPLEX);
	free(pattern);
	pattern = repeat("x?", 5000, ""); /* none is taken: nothing is open */
	assert_int_equal(look(subject, pattern, 1000000, &match), PATTERN_FOUND);
	free(pattern);
	free(subject);
}

/* --- beside stock Lua ------------------------------------------------------------------------ */

enum { CALLS = 300000, BYTES = 160 };

/* splitmix64: the same calls on every machine. */
static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void fill(uint8_t *bytes, uint64_t *seed)
{
	for (size_t i = 0; i < BYTES; i += sizeof *seed) {
		uint64_t word = next(seed);

		memcpy(bytes + i, &word, sizeof word);
	}
}

/* PATTERN_CALLS and PATTERN_SEED are for longer runs by hand. */
static uint64_t wanted(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void agrees_with_lua(void **state)
{
	struct rivals        *rivals = rivals_new();
	uint64_t              seed = wanted("PATTERN_SEED", 1), calls = wanted("PATTERN_CALLS", CALLS);
	uint8_t               bytes[BYTES];
	char                  difference[6000];
	struct rivals_figures figures;

	(void)state;
	assert_non_null(rivals);
	for (uint64_t i = 0; i < calls; i++) {
		fill(bytes, &seed);
		if (!rivals_agree(rivals, bytes, sizeof bytes, difference, sizeof difference))
			fail_msg("call %llu: %s", (unsigned long long)i, difference);
	}
	figures = rivals_figures(rivals);
	print_message("# %zu calls: %zu found something, %zu raised, %zu not compared\n", figures.calls,
	              figures.found, figures.raised, figures.dropped);
	assert_true(figures.found > figures.calls / 4);
	assert_true(figures.raised > figures.calls / 100);
	assert_true(figures.dropped < figures.calls / 1000);
	rivals_free(rivals);
}

/* All places to start at, and every byte in every class. */
static void agrees_on_every_byte_and_place(void **state)
{
	struct rivals *rivals = rivals_new();
	char           difference[6000], pattern[] = "%?", subject;

	(void)state;
	assert_non_null(rivals);
	for (int class = 1; class < 256; class ++)
		for (int byte = 0; byte < 256; byte++) {
			pattern[1] = (char)class;
			subject = (char)byte;
			if (!rivals_find(rivals, &subject, 1, pattern, 2, 0, difference, sizeof difference))
				fail_msg("%s", difference);
		}
	for (int start = -9; start <= 9; start++)
		if (!rivals_find(rivals, "abcab", 5, "()a?b", 5, start, difference, sizeof difference) ||
		    !rivals_find(rivals, "abcab", 5, "", 0, start, difference, sizeof difference) ||
		    !rivals_find(rivals, "abcab", 5, "ab", 2, start, difference, sizeof difference))
			fail_msg("%s", difference);
	rivals_free(rivals);
}

/* --- as scripts see it ----------------------------------------------------------------------- */

/* Run it in a script's environment with so many steps, 0: as many as there are; the error, or "". */
struct run {
	const char *code;
	size_t      steps, began_with;
	char        error[300];
};

static int run_code(lua_State *L)
{
	struct run *run = lua_touserdata(L, 1);

	run->began_with = vm_of(L)->steps;
	if (run->steps > 0)
		vm_of(L)->steps = run->steps;
	if (!sandbox_compile(L, "x.lua", run->code, strlen(run->code)))
		return lua_error(L);
	lua_call(L, 0, 0);
	return 0;
}

static void assert_raises_with(size_t steps, const char *code, const char *error)
{
	static const struct catalogue nothing;
	struct vm                    *vm = vm_new(&nothing, NULL, NULL);
	struct run                    run = { .code = code, .steps = steps };

	assert_non_null(vm);
	for (int i = 0; i < 2; i++) {
		run.error[0] = '\0';
		vm_protected(vm, run_code, &run, run.error, sizeof run.error);
		assert_string_equal(run.error, error);
		assert_int_equal(run.began_with, VM_STEPS); /* whatever was used up before */
	}
	vm_free(vm);
}

static void assert_raises(const char *code, const char *error)
{
	assert_raises_with(0, code, error);
}

static void scripts_have_these_functions(void **state)
{
	(void)state;
	assert_raises("assert(('hello'):find('l+') == 3)\n"
	              "assert(('a=1'):match('(%w)=(%d)') == 'a')\n"
	              "assert(('hello'):gsub('l', '%0%0') == 'hellllo')\n"
	              "local n = 0 for _ in ('hello'):gmatch('l') do n = n + 1 end assert(n == 2)\n"
	              "assert(string.find == ('').find and string.gmatch == ('').gmatch)",
	              "");
	assert_raises(
	    "assert(select(2, ('a^b'):find('^b', 1, true)) == 3 and not ('b'):find('^b', 1, true))\n"
	    "assert(('abab'):find('a', '2') == 3 and ('abab'):find('a', 2.0) == 3)\n"
	    "assert(('abab'):find('a', nil, true) == 1 and ('abab'):match('()b', -1) == 4)\n"
	    "assert(string.find(12, 2) == 2 and string.match(12, 2) == '2')\n"
	    "assert(select('#', ('x'):match(('()'):rep(32))) == 32)",
	    "");
	assert_raises("return ('x'):find('x', 1.5)",
	              "x.lua:1: bad argument #2 to 'find' (number has no integer representation)");
	assert_raises("return ('x'):match('x', {})",
	              "x.lua:1: bad argument #2 to 'match' (number expected, got table)");
	assert_raises("return ('x'):find('(')", "x.lua:1: unfinished capture");
	assert_raises("\nreturn ('x'):gsub('x', '%2')", "x.lua:2: invalid capture index %2");
	assert_raises("return ('x'):match({})",
	              "x.lua:1: bad argument #1 to 'match' (string expected, got table)");
}

static void rep_is_bounded(void **state)
{
	(void)state;
	assert_raises(
	    "assert(('ab'):rep(3, '-') == 'ab-ab-ab' and ('ab'):rep(0) == '' and (''):rep(1 << 62) == '')\n"
	    "assert(('x'):rep(1, 'yy') == 'x' and ('x'):rep(-5) == '' and (''):rep(3, 'y') == 'yy')\n"
	    "assert(('abc'):rep(5) == 'abcabcabcabcabc' and #('x'):rep(1 << 20) == 1 << 20)",
	    "");
	assert_raises("return ('x'):rep((1 << 20) + 1)", "x.lua:1: resulting string too large");
	assert_raises("return ('x'):rep(2, ('y'):rep(1 << 20))", "x.lua:1: resulting string too large");
	assert_raises("return ('x'):rep(1 << 62)", "x.lua:1: resulting string too large");
	assert_raises("return ('x'):rep(1 << 62, 'y')", "x.lua:1: resulting string too large");
}

/* What is used up in one call is missing in the next, whatever was caught; all that goes on inside C counts. */
static void the_budget_is_of_a_resume(void **state)
{
	(void)state;
	assert_raises_with(20000,
	                   "local s = ('a'):rep(100)\n"
	                   "for i = 1, 1000 do s:find('a*b') end",
	                   "x.lua:2: pattern too complex");
	assert_raises_with(20000,
	                   "local s = ('a'):rep(30)\n"
	                   "assert(not pcall(s.find, s, ('.-'):rep(12) .. 'b'))\n"
	                   "return s:match('a')",
	                   "x.lua:3: pattern too complex");
	assert_raises_with(20000,
	                   "local s = ('%1'):rep(1000)\n"
	                   "return ('x'):rep(1000):gsub('(x-)', s)",
	                   "x.lua:2: pattern too complex");
	assert_raises_with(20000,
	                   "local s = ('a'):rep(1 << 20)\n"
	                   "for i = 1, 1000 do s:find('b', 1, true) end",
	                   "x.lua:2: pattern too complex");
	assert_raises_with(20000, "return ('a'):rep(30000):gsub('', 'x')", "x.lua:1: pattern too complex");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_the_manual_says),
		cmocka_unit_test(short_sets),
		cmocka_unit_test(captures),
		cmocka_unit_test(captures_are_taken_back),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(sees_what_is_wrong_anywhere),
		cmocka_unit_test(takes_any_bytes),
		cmocka_unit_test(stops_where_it_would_take_for_ever),
		cmocka_unit_test(counts_the_elements_of_a_set),
		cmocka_unit_test(counts_what_goes_quickly),
		cmocka_unit_test(stops_at_as_many_choices_as_lua),
		cmocka_unit_test(agrees_with_lua),
		cmocka_unit_test(agrees_on_every_byte_and_place),
		cmocka_unit_test(scripts_have_these_functions),
		cmocka_unit_test(rep_is_bounded),
		cmocka_unit_test(the_budget_is_of_a_resume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
