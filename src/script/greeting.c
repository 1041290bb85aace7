#include "script/greeting.h"

#include "script/pattern.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Lines are held against the patterns of all scripts: one that takes for ever fits no line, and it is not for
 * the script whose line it is to hear that it is malformed. */
static bool matches(const char *line, size_t length, const char *pattern)
{
	enum { STEPS = 20000 };
	size_t                budget = STEPS;
	struct pattern_search search = pattern_search(line, length, pattern, strlen(pattern));
	struct pattern_match  match;

	return pattern_find(&search, 0, SIZE_MAX, &budget, &match) == PATTERN_FOUND;
}

size_t greeting_rank(const struct script *script, const char *line, size_t length)
{
	for (size_t n = 0; n < script->greeting_count; n++)
		if (matches(line, length, script->greetings[n]))
			return n;
	return script->greeting_count > 0 ? GREETING_NONE : 0;
}

/* The one script whose n-th pattern fits, NULL if there is none or more than one; *found: how many do;
 * *more: some have patterns beyond it. */
static const struct script *fitting(const struct catalogue *catalogue, size_t n, const char *line,
                                    size_t length, size_t *found, bool *more)
{
	const struct script *fits = NULL;

	for (size_t i = 0; i < catalogue->script_count; i++) {
		const struct script *script = catalogue->scripts[i];

		if (script->broken || n >= script->greeting_count)
			continue;
		*more = true;
		if (matches(line, length, script->greetings[n]) && (*found)++ == 0)
			fits = script;
	}
	return *found == 1 ? fits : NULL;
}

const char *greeting_owner(const struct catalogue *catalogue, const char *line, size_t length, size_t rank)
{
	size_t found = 0;
	bool   more = true;

	for (size_t n = 0; more && found == 0 && n < rank; n++) {
		const struct script *script;

		more = false;
		script = fitting(catalogue, n, line, length, &found, &more);
		if (script)
			return script->services[0].name;
	}
	return NULL;
}

static bool begins(const char *bytes, size_t length, const char *with)
{
	return length >= strlen(with) && memcmp(bytes, with, strlen(with)) == 0;
}

/* A packet of protocol version 10, or an error: three bytes of length, number 0, version. The version is
 * also an LF, which ends a line. */
static bool is_mysql(const unsigned char *bytes, size_t length)
{
	return length >= 4 && bytes[0] != 0 && bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 0 &&
	       (length == 4 || bytes[4] == 10 || bytes[4] == 0xff);
}

/* The SETTINGS or the GOAWAY with which HTTP/2 begins: three bytes of length, type, no flags, stream 0. */
static bool is_http2(const unsigned char *bytes, size_t length)
{
	static const unsigned char whole_connection[5] = { 0 };

	return length >= 9 && bytes[0] == 0 && (bytes[3] == 4 || bytes[3] == 7) &&
	       memcmp(bytes + 4, whole_connection, sizeof whole_connection) == 0;
}

const char *greeting_likeness(const char *bytes, size_t length)
{
	static const struct {
		const char *start, *name;
	} known[] = {
		{ "SSH-", "ssh" },       { "HTTP/", "http" },      { "RFB ", "vnc" },
		{ "@RSYNCD:", "rsync" }, { "AMQP", "amqp" },       { "\x16\x03", "tls" },
		{ "\x15\x03", "tls" },   { "\xff\xfd", "telnet" }, { "\xff\xfb", "telnet" },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (begins(bytes, length, known[i].start))
			return known[i].name;
	if (is_http2((const unsigned char *)bytes, length))
		return "http2";
	return is_mysql((const unsigned char *)bytes, length) ? "mysql" : NULL;
}
