#include "script/pattern.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* --- the machine ----------------------------------------------------------------------------- */

/* What can be taken back when the match gets stuck. */
enum kind {
	GREEDY,   /* x* or x+ took bytes from `least` up to `now`: give one back */
	LAZY,     /* x- has not taken the byte at `now`: take it */
	OPTIONAL, /* x? took the byte before `now`: do without */
	OPENED,   /* a capture was opened: forget it */
	CLOSED,   /* the capture `index` was closed: open it again */
};

struct choice {
	enum kind   kind;
	size_t      index;
	const char *least, *now; /* in the subject */
	const char *item, *next; /* in the pattern: x, and what follows it */
};

/* As many as Lua allows; more is "pattern too complex". */
enum { CHOICES = 199, FAULT = 48 };

/* Of the search that goes on; it calls nobody back, so that there is one at a time. */
static _Thread_local struct choice          choices[CHOICES];
static _Thread_local struct pattern_capture captures[PATTERN_CAPTURES];
static _Thread_local char                   fault[FAULT];

struct matcher {
	const char         *subject, *subject_end;
	const char         *pattern_end;
	size_t              budget;
	size_t              open;  /* choices that can be taken back */
	size_t              count; /* of captures */
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
	const char *end = m->pattern_end, *first = p + 1;

	if (first < end && *first == '^')
		first++;
	for (p = first; p < end; p++) {
		if (*p == ']' && p > first)
			return p + 1;
		if (*p == '%')
			p++;
	}
	refuse(m, "malformed pattern (missing ']')");
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

/* A choice to be filled in; NULL: there are too many. */
static inline struct choice *open_choice(struct matcher *m, enum kind kind)
{
	if (m->open == CHOICES) {
		give_up(m);
		return NULL;
	}
	choices[m->open].kind = kind;
	return &choices[m->open++];
}

static inline bool repeats(char byte)
{
	return byte == '*' || byte == '+' || byte == '-' || byte == '?';
}

/* Can what stands at `p` only go on with the byte that is written there? */
static bool is_literal(const struct matcher *m, const char *p)
{
	if (p == m->pattern_end || strchr("().%[$", *p)) /* a NUL is among them */
		return false;
	return p + 1 == m->pattern_end || p[1] == '+' || !repeats(p[1]);
}

/* Give back one byte, or at once as many as it takes to come to one with which the match can go on. */
static struct place give_back(struct matcher *m, struct choice *choice)
{
	const char *from = choice->now, *next = choice->next;
	bool        literal = is_literal(m, next);

	while (choice->now-- > choice->least)
		if (!literal || *choice->now == *next)
			return spend(m, (size_t)(from - choice->now) / 16)
			           ? (struct place){ choice->now, next }
			           : stuck;
	spend(m, (size_t)(from - choice->least) / 16);
	return stuck;
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
	case OPENED:
		m->count--;
		return stuck;
	case CLOSED:
		captures[choice->index].length = PATTERN_OPEN;
		return stuck;
	}
	return stuck;
}

/* The match is stuck: go back to where it can go on in another way. */
static struct place retreat(struct matcher *m)
{
	while (m->open > 0 && !stopped(m)) {
		struct place at = change(m, &choices[m->open - 1]);

		if (at.s)
			return spend(m, 1) ? at : stuck;
		m->open--;
	}
	return stuck;
}

/* --- going on: where the match is after what stands at its place; stuck if that does not fit ----- */

static inline bool take_one(struct matcher *m, struct place at, const char *end)
{
	return at.s < m->subject_end && takes(m, (unsigned char)*at.s, at.p, end);
}

/* From `least` on the item has not to be taken, but is, as often as possible. */
static struct place expand(struct matcher *m, struct place at, const char *end, const char *least)
{
	const char    *from = at.s;
	struct choice *choice;

	while (take_one(m, at, end))
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

static inline struct place single(struct matcher *m, struct place at)
{
	const char *end = item_end(m, at.p);

	if (!end)
		return stuck;
	if (end == m->pattern_end || !repeats(*end))
		return take_one(m, at, end) ? (struct place){ at.s + 1, end } : stuck;
	if (take_one(m, at, end))
		return repeat(m, at, end);
	/* As in Lua, what cannot be taken even once leaves no choice open. */
	return *end == '+' ? stuck : (struct place){ at.s, end + 1 };
}

static struct place open_capture(struct matcher *m, struct place at)
{
	bool position = at.p + 1 < m->pattern_end && at.p[1] == ')';

	if (m->count == PATTERN_CAPTURES)
		return refuse(m, "too many captures");
	captures[m->count].start = (size_t)(at.s - m->subject);
	captures[m->count++].length = position ? PATTERN_POSITION : PATTERN_OPEN;
	at.p += position ? 2 : 1;
	return open_choice(m, OPENED) ? at : stuck;
}

static struct place close_capture(struct matcher *m, struct place at)
{
	struct choice *choice;
	size_t         index = m->count;

	while (index > 0 && captures[index - 1].length != PATTERN_OPEN)
		index--;
	if (index == 0)
		return refuse(m, "invalid pattern capture");
	captures[index - 1].length = at.s - m->subject - (ptrdiff_t)captures[index - 1].start;
	choice = open_choice(m, CLOSED);
	if (!choice)
		return stuck;
	choice->index = index - 1;
	return (struct place){ at.s, at.p + 1 };
}

/* Is there a capture of this number, and is it closed? */
static bool refers(const struct matcher *m, int number)
{
	return number > 0 && (size_t)number <= m->count && captures[number - 1].length != PATTERN_OPEN;
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

/* Is what stands at `p` not a single byte, repeated or not? */
static inline bool is_special(const struct matcher *m, const char *p)
{
	bool last = p + 1 == m->pattern_end;

	switch (*p) {
	case '(':
	case ')':
		return true;
	case '$':
		return last;
	case '%':
		return !last && (p[1] == 'b' || p[1] == 'f' || is_digit((unsigned char)p[1]));
	default:
		return false;
	}
}

static struct place special(struct matcher *m, struct place at)
{
	switch (*at.p) {
	case '(':
		return open_capture(m, at);
	case ')':
		return close_capture(m, at);
	case '$':
		return at.s == m->subject_end ? (struct place){ at.s, at.p + 1 } : stuck;
	default:
		break;
	}
	if (at.p[1] == 'b')
		return balanced(m, at);
	return at.p[1] == 'f' ? frontier(m, at) : same_again(m, at);
}

/* Where the match that begins at `s` ends; NULL if there is none. */
static const char *match_at(struct matcher *m, const char *s, const char *pattern)
{
	struct place at = { s, pattern };

	m->open = 0;
	m->count = 0;
	if (!spend(m, 1))
		return NULL;
	while (at.p < m->pattern_end) {
		if (!spend(m, 1))
			return NULL;
		at = is_special(m, at.p) ? special(m, at) : single(m, at);
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
		if (pattern[i] != '\0' && strchr("^$*+?.([%-", pattern[i]))
			return false;
	return true;
}

/* Must every match begin with the pattern's first byte, just as it is? */
static bool begins_plainly(const struct pattern_search *search)
{
	const char *p = search->pattern;

	if (search->anchored || search->pattern_length == 0)
		return false;
	if (*p == '$' || *p == '.' || *p == '(' || *p == ')' || *p == '[' || *p == '%')
		return false;
	return search->pattern_length == 1 || p[1] == '+' || !repeats(p[1]);
}

/* The next place at or after `s` where a match may begin; NULL: there is none. */
static const char *next_place(struct matcher *m, const char *s, const struct pattern_search *search,
                              bool plainly)
{
	const char *found = s;

	if (plainly)
		found = memchr(s, search->pattern[0], (size_t)(m->subject_end - s));
	if (found && !spend(m, (size_t)(found - s) / 16))
		return NULL;
	return found;
}

static void look(struct matcher *m, const struct pattern_search *search, size_t start, size_t barred,
                 struct pattern_match *match)
{
	const char *s = m->subject + start, *end;
	bool        plainly = begins_plainly(search);

	while ((s = next_place(m, s, search, plainly)) != NULL) {
		end = match_at(m, s, search->pattern);
		if (end && (size_t)(end - m->subject) != barred) {
			m->result = PATTERN_FOUND;
			match->start = (size_t)(s - m->subject);
			match->end = (size_t)(end - m->subject);
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
	match->count = m.count;
	match->captures = captures;
	match->fault = fault;
	return m.result;
}

struct pattern_search pattern_search(const char *subject, size_t length, const char *pattern,
                                     size_t pattern_length)
{
	bool anchored = pattern_length > 0 && pattern[0] == '^';

	return (struct pattern_search){ subject, length, pattern + anchored, pattern_length - anchored,
		                        anchored };
}

/* --- faults ---------------------------------------------------------------------------------- */

static bool close_last(size_t count)
{
	while (count > 0 && captures[count - 1].length != PATTERN_OPEN)
		count--;
	if (count > 0)
		captures[count - 1].length = 0;
	return count > 0;
}

/* Where the special that stands at `p` ends; NULL: with the fault told. */
static const char *special_end(struct matcher *m, const char *p)
{
	int number = p + 1 < m->pattern_end ? p[1] - '0' : 0;

	if (*p == '(') {
		struct place behind = open_capture(m, (struct place){ m->subject, p });

		m->open = 0;
		return behind.p;
	}
	if (*p == ')')
		return close_last(m->count) ? p + 1 : refuse(m, "invalid pattern capture").p;
	if (*p == '$')
		return p + 1;
	if (p[1] == 'b')
		return m->pattern_end - p < 4 ? refuse(m, missing_bounds).p : p + 4;
	if (p[1] == 'f')
		return p + 2 < m->pattern_end && p[2] == '[' ? set_end(m, p + 2) : refuse(m, missing_set).p;
	return refers(m, number) ? p + 2 : refuse_index(m, number).p;
}

const char *pattern_fault(const char *pattern, size_t length)
{
	struct pattern_search search = pattern_search("", 0, pattern, length);
	struct matcher        m = { .subject = search.subject,
		                    .subject_end = search.subject,
		                    .pattern_end = pattern + length,
		                    .result = PATTERN_NONE };
	const char           *p = search.pattern;

	while (p && p < m.pattern_end) {
		bool single = !is_special(&m, p);

		p = single ? item_end(&m, p) : special_end(&m, p);
		if (p && single && p < m.pattern_end && repeats(*p))
			p++;
	}
	if (p && close_last(m.count))
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
