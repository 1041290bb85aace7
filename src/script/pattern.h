/* Lua's patterns (reference manual, section 6.4.1) over bytes, with a bound on the work.
 *
 * Results and error texts are those of Lua 5.4; but every step is counted, so that no pattern and no
 * subject takes longer than the budget allows: a step is a few nanoseconds. No Lua state is needed,
 * nothing is allocated, and nothing recurses.
 */
#ifndef SCRIPT_PATTERN_H
#define SCRIPT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum { PATTERN_CAPTURES = 32 };

/* What may stand for the length of a capture. */
enum { PATTERN_POSITION = -1, PATTERN_OPEN = -2 };

struct pattern_capture {
	size_t    start;
	ptrdiff_t length; /* bytes; or PATTERN_POSITION for "()"; or PATTERN_OPEN: its ")" was not reached */
};

/* The captures and the fault are good until the thread's next search. */
struct pattern_match {
	size_t                        start, end; /* of the whole match, in bytes from the subject's first */
	size_t                        count;      /* of captures */
	const struct pattern_capture *captures;
	const char                   *fault; /* set with PATTERN_MALFORMED and PATTERN_COMPLEX */
};

/* What is looked for, and where. Nothing is copied, neither need end with a NUL. */
struct pattern_search {
	const char *subject;
	size_t      length;
	const char *pattern; /* without the '^' of an anchored one */
	size_t      pattern_length;
	bool        anchored; /* only at the very start of the search */
};

enum pattern_result {
	PATTERN_NONE,
	PATTERN_FOUND,
	PATTERN_MALFORMED, /* told only when the match comes to the faulty place, as Lua does */
	PATTERN_COMPLEX,   /* the budget is used up, or too many choices are open at once */
};

/* A search for a pattern as it is written, '^' and all. */
static inline struct pattern_search pattern_search(const char *subject, size_t length, const char *pattern,
                                                   size_t pattern_length)
{
	bool anchored = pattern_length > 0 && pattern[0] == '^';

	return (struct pattern_search){ subject, length, pattern + anchored, pattern_length - anchored,
		                        anchored };
}

/* Find the first match at or after byte `start` (at most the subject's length) that does not end at
 * byte `barred` (SIZE_MAX: any will do). What it took is subtracted from `*budget`. */
enum pattern_result pattern_find(const struct pattern_search *search, size_t start, size_t barred,
                                 size_t *budget, struct pattern_match *match);

/* What is wrong with a pattern, anywhere in it; NULL: nothing. Good until the thread's next search. */
const char *pattern_fault(const char *pattern, size_t length);

/* Has the text none of the characters that mean something in a pattern? */
bool pattern_plain(const char *pattern, size_t length);

/* Find the text itself; NULL if it is not there. */
const char *pattern_text(const char *subject, size_t length, const char *text, size_t text_length);

#endif
