#include "script/pattern.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* --- what stands in a pattern ---------------------------------------------------------------- */

enum {
	REPEATS = 1, /* behind an item: how often */
	BEGINS = 2,  /* in an item's place: something else than the byte itself */
	ESCAPED = 4, /* behind a '%': something else than a single byte */
	TELLS = 8,   /* anywhere: that it is a pattern, for Lua's string.find */
};

static const uint8_t meanings[UCHAR_MAX + 1] = {
	['*'] = REPEATS | TELLS, ['+'] = REPEATS | TELLS, ['-'] = REPEATS | TELLS, ['?'] = REPEATS | TELLS,
	['%'] = BEGINS | TELLS,  ['.'] = BEGINS | TELLS,  ['['] = BEGINS | TELLS,  ['$'] = BEGINS | TELLS,
	['('] = BEGINS | TELLS,  [')'] = BEGINS,          ['^'] = TELLS,           ['b'] = ESCAPED,
	['f'] = ESCAPED,         ['0'] = ESCAPED,         ['1'] = ESCAPED,         ['2'] = ESCAPED,
	['3'] = ESCAPED,         ['4'] = ESCAPED,         ['5'] = ESCAPED,         ['6'] = ESCAPED,
	['7'] = ESCAPED,         ['8'] = ESCAPED,         ['9'] = ESCAPED,
};

static inline bool means(char byte, int meaning)
{
	return meanings[(unsigned char)byte] & meaning;
}

/* Can what stands at `p` only go on with the byte that is written there? */
static bool is_literal(const char *p, const char *end)
{
	return p < end && !means(*p, BEGINS) && (p + 1 == end || p[1] == '+' || !means(p[1], REPEATS));
}

/* --- the machine ----------------------------------------------------------------------------- */

/* What can be taken back when the match gets stuck. */
enum kind {
	GREEDY,   /* x* or x+ took bytes from `least` up to `now`: give one back */
	LAZY,     /* x- has not taken the byte at `now`: take it */
	OPTIONAL, /* x? took the byte before `now`: do without */
};

/* How far the captures are. Whoever goes back to a choice has them as they were then: what is small is copied. */
struct progress {
	uint32_t unclosed; /* bit n: the ")" of capture n was not reached */
	uint16_t count;    /* of captures */
	uint16_t brackets; /* that were passed */
};

struct choice {
	enum kind       kind;
	struct progress progress;
	const char     *least, *now; /* in the subject */
	const char     *item, *next; /* in the pattern: x, and what follows it */
};

/* As many choices and brackets as Lua allows; more is "pattern too complex". */
enum { CHOICES = 199, FAULT = 48 };

/* Of the search that goes on; it calls nobody back, so that there is one at a time. */
static _Thread_local struct choice          choices[CHOICES];
static _Thread_local struct pattern_capture captures[PATTERN_CAPTURES];
static _Thread_local char                   fault[FAULT];

struct matcher {
	const char         *subject, *subject_end;
	const char         *pattern_end;
	size_t              budget;
	size_t              open; /* choices that can be taken back */
	struct progress     progress;
	enum pattern_result result;
};

/* Where a match has come to. Passed by value, for it fits into registers. */
struct place {
	const char *s; /* in the subject; NULL: the match is stuck */
	const char *p; /* in the pattern */
};

static const struct place stuck = { NULL, NULL };

static const char missing_bounds[] = "malformed pattern (missing arguments to '%b')";
static const char missing_set[] = "missing '[' after '%f' in pattern";

static struct place refuse(struct matcher *m, const char *why)
{
	m->result = PATTERN_MALFORMED;
	snprintf(fault, sizeof fault, "%s", why);
	return stuck;
}

static struct place refuse_index(struct matcher *m, int index)
{
	m->result = PATTERN_MALFORMED;
	snprintf(fault, sizeof fault, "invalid capture index %%%d", index);
	return stuck;
}

static bool give_up(struct matcher *m)
{
	m->budget = 0;
	m->result = PATTERN_COMPLEX;
	snprintf(fault, sizeof fault, "pattern too complex");
	return false;
}

static inline bool spend(struct matcher *m, size_t steps)
{
	if (m->budget < steps)
		return give_up(m);
	m->budget -= steps;
	return true;
}

static bool stopped(const struct matcher *m)
{
	return m->result != PATTERN_NONE;
}

/* --- a single byte: x, ., %a, [a-z] ---------------------------------------------------------- */

static bool within(unsigned char byte, char first, char last)
{
	return byte >= (unsigned char)first && byte <= (unsigned char)last;
}

static unsigned char lower(unsigned char byte)
{
	return byte | 0x20;
}

static bool is_alpha(unsigned char byte)
{
	return within(lower(byte), 'a', 'z');
}

static bool is_digit(unsigned char byte)
{
	return within(byte, '0', '9');
}

static bool is_graph(unsigned char byte)
{
	return within(byte, '!', '~');
}

/* %d and its like, in ASCII alone, whatever the user's locale is. A letter in upper case takes all that the
 * lower one does not, and what names no class stands for itself. */
static bool escape_takes(unsigned char byte, char letter)
{
	bool taken;

	switch (lower((unsigned char)letter)) {
	case 'a':
		taken = is_alpha(byte);
		break;
	case 'c':
		taken = byte < ' ' || byte == 0x7f;
		break;
	case 'd':
		taken = is_digit(byte);
		break;
	case 'g':
		taken = is_graph(byte);
		break;
	case 'l':
		taken = within(byte, 'a', 'z');
		break;
	case 'p':
		taken = is_graph(byte) && !is_alpha(byte) && !is_digit(byte);
		break;
	case 's':
		taken = byte == ' ' || within(byte, '\t', '\r');
		break;
	case 'u':
		taken = within(byte, 'A', 'Z');
		break;
	case 'w':
		taken = is_alpha(byte) || is_digit(byte);
		break;
	case 'x':
		taken = is_digit(byte) || within(lower(byte), 'a', 'f');
		break;
	case 'z': /* of old */
		taken = byte == 0;
		break;
	default:
		return byte == (unsigned char)letter;
	}
	return taken != within((unsigned char)letter, 'A', 'Z');
}

/* `p` is at the '[' and `end` behind the ']'. */
static bool set_takes(struct matcher *m, unsigned char byte, const char *p, const char *end)
{
	const char *last = end - 1;
	bool        wanted = p[1] != '^';

	p += wanted ? 1 : 2;
	if (!spend(m, (size_t)(last - p)))
		return false;
	while (p < last) {
		if (*p == '%') {
			if (escape_takes(byte, p[1]))
				return wanted;
			p += 2;
		} else if (last - p > 2 && p[1] == '-') {
			if (within(byte, p[0], p[2]))
				return wanted;
			p += 3;
		} else if ((unsigned char)*p++ == byte) {
			return wanted;
		}
	}
	return !wanted;
}

/* Does the item at `p`, which ends at `end`, take the byte? */
static inline bool takes(struct matcher *m, unsigned char byte, const char *p, const char *end)
{
	switch (*p) {
	case '.':
		return true;
	case '%':
		return p[1] == 'd' ? is_digit(byte) : escape_takes(byte, p[1]);
	case '[':
		return set_takes(m, byte, p, end);
	default:
		return byte == (unsigned char)*p;
	}
}

/* Where the set that begins at `p` ends. Its first byte is never the end of it. */
static const char *set_end(struct matcher *m, const char *p)
{
	const char *end = m->pattern_end;

	p += p + 1 < end && p[1] == '^' ? 2 : 1;
	while (p < end) {
		p += *p == '%' ? 2 : 1;
		if (p < end && *p == ']')
			return p + 1;
	}
	refuse(m, "malformed pattern (missing ']')");
	return NULL;
}

/* What set_takes and set_end say, of the sets that are met most: "[Xx]" and "[a-z]". NULL: it is another. */
static inline const char *short_set(struct matcher *m, unsigned char byte, const char *p, bool *taken)
{
	if (m->pattern_end - p < 4 || p[1] == '^' || p[1] == '%')
		return NULL;
	if (p[3] == ']' && p[2] != ']' && p[2] != '%') {
		*taken = byte == (unsigned char)p[1] || byte == (unsigned char)p[2];
		return spend(m, 2) ? p + 4 : NULL;
	}
	if (p[2] == '-' && p[3] != '%' && m->pattern_end - p > 4 && p[4] == ']') {
		*taken = within(byte, p[1], p[3]);
		return spend(m, 3) ? p + 5 : NULL;
	}
	return NULL;
}

/* Where the item at `p` ends; NULL, with the fault told, if it does not. */
static inline const char *item_end(struct matcher *m, const char *p)
{
	if (*p == '[')
		return set_end(m, p);
	if (*p != '%')
		return p + 1;
	if (p + 1 < m->pattern_end)
		return p + 2;
	refuse(m, "malformed pattern (ends with '%')");
	return NULL;
}

/* --- taking back ----------------------------------------------------------------------------- */

/* For one more choice or bracket; gives up where there is none. */
static inline bool has_room(struct matcher *m)
{
	return m->open + m->progress.brackets < CHOICES || give_up(m);
}

/* A choice to be filled in; NULL: there are too many. */
static inline struct choice *open_choice(struct matcher *m, enum kind kind)
{
	if (!has_room(m))
		return NULL;
	choices[m->open].kind = kind;
	choices[m->open].progress = m->progress;
	return &choices[m->open++];
}

/* Give back one byte, or at once as many as it takes to come to one with which the match can go on. */
static struct place give_back(struct matcher *m, struct choice *choice)
{
	const char *from = choice->now, *next = choice->next, *least = choice->least;

	choice->now = from > least ? from - 1 : NULL;
	if (is_literal(next, m->pattern_end))
		choice->now = memrchr(least, *next, (size_t)(from - least));
	if (!spend(m, (size_t)(from - (choice->now ? choice->now : least)) / 16))
		return stuck;
	return (struct place){ choice->now, next };
}

/* Where to go on with the topmost choice made another way; stuck if there is no other. */
static struct place change(struct matcher *m, struct choice *choice)
{
	switch (choice->kind) {
	case GREEDY:
		return give_back(m, choice);
	case LAZY:
		if (choice->now == m->subject_end ||
		    !takes(m, (unsigned char)*choice->now, choice->item, choice->next - 1))
			return stuck;
		return (struct place){ ++choice->now, choice->next };
	case OPTIONAL:
		m->open--;
		return (struct place){ choice->now - 1, choice->next };
	}
	return stuck;
}

/* The match is stuck: go back to where it can go on in another way. */
static struct place retreat(struct matcher *m)
{
	while (m->open > 0 && !stopped(m)) {
		struct choice *choice = &choices[m->open - 1];
		struct place   at = change(m, choice);

		m->progress = choice->progress;
		if (at.s)
			return spend(m, 1) ? at : stuck;
		m->open--;
	}
	return stuck;
}

/* --- going on: where the match is after what stands at its place; stuck if that does not fit ----- */

/* From `least` on the item has not to be taken, but is, as often as possible. */
static struct place expand(struct matcher *m, struct place at, const char *end, const char *least)
{
	const char    *from = at.s;
	struct choice *choice;

	if (*at.p == '.')
		at.s = m->subject_end;
	while (at.s < m->subject_end && takes(m, (unsigned char)*at.s, at.p, end))
		at.s++;
	choice = spend(m, (size_t)(at.s - from)) ? open_choice(m, GREEDY) : NULL;
	if (!choice)
		return stuck;
	choice->least = least;
	choice->now = at.s;
	choice->next = end + 1;
	return (struct place){ at.s, end + 1 };
}

/* An item that ends at `end`, is repeated, and can be taken at least once. */
static struct place repeat(struct matcher *m, struct place at, const char *end)
{
	struct choice *choice;

	if (*end == '*' || *end == '+')
		return expand(m, (struct place){ at.s + 1, at.p }, end, at.s + (*end == '+'));
	choice = open_choice(m, *end == '?' ? OPTIONAL : LAZY);
	if (!choice)
		return stuck;
	at.s += *end == '?';
	choice->now = at.s;
	choice->item = at.p;
	choice->next = end + 1;
	return (struct place){ at.s, end + 1 };
}

/* An item, repeated or not. */
static inline struct place single(struct matcher *m, struct place at)
{
	bool        there = at.s < m->subject_end, taken = false;
	const char *end = there && *at.p == '[' ? short_set(m, (unsigned char)*at.s, at.p, &taken) : NULL;

	if (!end) {
		end = item_end(m, at.p);
		if (!end)
			return stuck;
		taken = there && takes(m, (unsigned char)*at.s, at.p, end);
	}
	if (end == m->pattern_end || !means(*end, REPEATS))
		return taken ? (struct place){ at.s + 1, end } : stuck;
	if (taken)
		return repeat(m, at, end);
	/* As in Lua, what cannot be taken even once leaves no choice open. */
	return *end == '+' ? stuck : (struct place){ at.s, end + 1 };
}

static inline struct place open_capture(struct matcher *m, struct place at)
{
	struct progress        *progress = &m->progress;
	struct pattern_capture *capture = &captures[progress->count];
	bool                    position = at.p + 1 < m->pattern_end && at.p[1] == ')';

	if (progress->count == PATTERN_CAPTURES)
		return refuse(m, "too many captures");
	if (!has_room(m))
		return stuck;
	progress->brackets++;
	capture->start = (size_t)(at.s - m->subject);
	if (position)
		capture->length = PATTERN_POSITION;
	else
		progress->unclosed |= UINT32_C(1) << progress->count;
	progress->count++;
	return (struct place){ at.s, at.p + (position ? 2 : 1) };
}

/* Which of the captures that are not closed was opened last? From now on it is closed. */
static inline size_t close_last(struct progress *progress)
{
	size_t index = 31 - (size_t)__builtin_clz(progress->unclosed);

	progress->unclosed -= UINT32_C(1) << index;
	return index;
}

static inline struct place close_capture(struct matcher *m, struct place at)
{
	struct pattern_capture *capture;

	if (m->progress.unclosed == 0)
		return refuse(m, "invalid pattern capture");
	if (!has_room(m))
		return stuck;
	m->progress.brackets++;
	capture = &captures[close_last(&m->progress)];
	capture->length = at.s - m->subject - (ptrdiff_t)capture->start;
	return (struct place){ at.s, at.p + 1 };
}

/* Is there a capture of this number, and is it closed? */
static bool refers(const struct matcher *m, int number)
{
	return number > 0 && number <= m->progress.count && !(m->progress.unclosed >> (number - 1) & 1);
}

/* %1: what that capture holds, once more. */
static struct place same_again(struct matcher *m, struct place at)
{
	int                           number = at.p[1] - '0';
	const struct pattern_capture *capture = &captures[number - (number > 0)];

	if (!refers(m, number))
		return refuse_index(m, number);
	if (capture->length < 0 || m->subject_end - at.s < capture->length ||
	    !spend(m, (size_t)capture->length / 16) ||
	    memcmp(m->subject + capture->start, at.s, (size_t)capture->length) != 0)
		return stuck;
	return (struct place){ at.s + capture->length, at.p + 2 };
}

/* %bxy */
static struct place balanced(struct matcher *m, struct place at)
{
	const char *s = at.s;
	size_t      depth = 1;

	if (m->pattern_end - at.p < 4)
		return refuse(m, missing_bounds);
	if (s == m->subject_end || *s != at.p[2])
		return stuck;
	while (++s < m->subject_end && depth > 0) {
		if (*s == at.p[3])
			depth--;
		else if (*s == at.p[2])
			depth++;
	}
	if (!spend(m, (size_t)(s - at.s)) || depth > 0)
		return stuck;
	return (struct place){ s, at.p + 4 };
}

/* %f[set]: from a byte that is not in the set to one that is; there is a NUL around the subject. */
static struct place frontier(struct matcher *m, struct place at)
{
	const char   *set = at.p + 2;
	unsigned char before = at.s == m->subject ? 0 : (unsigned char)at.s[-1];
	unsigned char after = at.s == m->subject_end ? 0 : (unsigned char)*at.s;
	const char   *end;

	if (set >= m->pattern_end || *set != '[')
		return refuse(m, missing_set);
	end = set_end(m, set);
	if (!end || set_takes(m, before, set, end) || !set_takes(m, after, set, end))
		return stuck;
	return (struct place){ at.s, end };
}

static inline struct place step(struct matcher *m, struct place at)
{
	const char *next = at.p + 1;

	switch (*at.p) {
	case '(':
		return open_capture(m, at);
	case ')':
		return close_capture(m, at);
	case '$':
		if (next < m->pattern_end)
			break;
		return at.s == m->subject_end ? (struct place){ at.s, next } : stuck;
	case '%':
		if (next == m->pattern_end || !means(*next, ESCAPED))
			break;
		if (*next == 'b')
			return balanced(m, at);
		return *next == 'f' ? frontier(m, at) : same_again(m, at);
	default:
		break;
	}
	return single(m, at);
}

/* Where the match that begins at `s` ends; NULL if there is none. */
static const char *match_at(struct matcher *m, const char *s, const char *pattern)
{
	struct place at = { s, pattern };

	m->open = 0;
	m->progress = (struct progress){ 0 };
	if (!spend(m, 1))
		return NULL;
	while (at.p < m->pattern_end) {
		if (!spend(m, 1))
			return NULL;
		at = step(m, at);
		if (!at.s)
			at = retreat(m);
		if (!at.s)
			return NULL;
	}
	return stopped(m) ? NULL : at.s;
}

/* --- searching ------------------------------------------------------------------------------- */

bool pattern_plain(const char *pattern, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (means(pattern[i], TELLS))
			return false;
	return true;
}

/* The next place at or after `s` where a match may begin; NULL: there is none. */
static const char *next_place(struct matcher *m, const char *s, const struct pattern_search *search,
                              bool plainly)
{
	const char *found;

	if (!plainly)
		return s;
	found = memchr(s, search->pattern[0], (size_t)(m->subject_end - s));
	return found && spend(m, (size_t)(found - s) / 16) ? found : NULL;
}

static void look(struct matcher *m, const struct pattern_search *search, size_t start, size_t barred,
                 struct pattern_match *match)
{
	const char *s = m->subject + start, *end;
	bool        plainly = !search->anchored && is_literal(search->pattern, m->pattern_end);

	while ((s = next_place(m, s, search, plainly)) != NULL) {
		end = match_at(m, s, search->pattern);
		if (end && (size_t)(end - m->subject) != barred) {
			m->result = PATTERN_FOUND;
			match->start = (size_t)(s - m->subject);
			match->end = (size_t)(end - m->subject);
			while (m->progress.unclosed > 0)
				captures[close_last(&m->progress)].length = PATTERN_OPEN;
		}
		if (stopped(m) || s == m->subject_end || search->anchored)
			return;
		s++;
	}
}

enum pattern_result pattern_find(const struct pattern_search *search, size_t start, size_t barred,
                                 size_t *budget, struct pattern_match *match)
{
	struct matcher m = {
		.subject = search->subject,
		.subject_end = search->subject + search->length,
		.pattern_end = search->pattern + search->pattern_length,
		.budget = *budget,
		.result = PATTERN_NONE,
	};

	look(&m, search, start, barred, match);
	*budget = m.budget;
	match->count = m.progress.count;
	match->captures = captures;
	match->fault = fault;
	return m.result;
}

/* --- faults ---------------------------------------------------------------------------------- */

/* Where what stands at `p` ends, with what repeats it; NULL: with the fault told. */
static const char *part_end(struct matcher *m, const char *p)
{
	char        letter = *p == '%' && p + 1 < m->pattern_end ? p[1] : '\0';
	const char *end;

	if (*p == '(')
		return open_capture(m, (struct place){ m->subject, p }).p;
	if (*p == ')')
		return close_capture(m, (struct place){ m->subject, p }).p;
	if (letter == 'b')
		return m->pattern_end - p < 4 ? refuse(m, missing_bounds).p : p + 4;
	if (letter == 'f')
		return p + 2 < m->pattern_end && p[2] == '[' ? set_end(m, p + 2) : refuse(m, missing_set).p;
	if (means(letter, ESCAPED))
		return refers(m, letter - '0') ? p + 2 : refuse_index(m, letter - '0').p;
	end = item_end(m, p);
	return end && end < m->pattern_end && means(*end, REPEATS) ? end + 1 : end;
}

const char *pattern_fault(const char *pattern, size_t length)
{
	struct pattern_search search = pattern_search("", 0, pattern, length);
	struct matcher        m = { .subject = search.subject,
		                    .subject_end = search.subject,
		                    .pattern_end = pattern + length,
		                    .result = PATTERN_NONE };
	const char           *p = search.pattern;

	while (p && p < m.pattern_end)
		p = part_end(&m, p);
	if (p && m.progress.unclosed > 0)
		refuse(&m, "unfinished capture");
	return stopped(&m) ? fault : NULL;
}

/* --- texts ----------------------------------------------------------------------------------- */

/* Mostly the first byte tells; where it does not, memmem is sure to take no longer than it must. */
const char *pattern_text(const char *subject, size_t length, const char *text, size_t text_length)
{
	enum { TRIES = 8 };
	const char *end = subject + length;

	for (int i = 0; i < TRIES && text_length > 0 && (size_t)(end - subject) >= text_length; i++) {
		subject = memchr(subject, text[0], (size_t)(end - subject) - text_length + 1);
		if (!subject || memcmp(subject, text, text_length) == 0)
			return subject;
		subject++;
	}
	return memmem(subject, (size_t)(end - subject), text, text_length);
}
