#include "base/failure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
	[PHASE_NONE] = "none",         [PHASE_RESOLVE] = "resolve", [PHASE_CONNECT] = "connect",
	[PHASE_TLS] = "tls",           [PHASE_READ] = "read",       [PHASE_WRITE] = "write",
	[PHASE_DEADLINE] = "deadline", [PHASE_SCRIPT] = "script",
};

const char *phase_name(enum phase phase)
{
	return names[phase];
}

enum phase phase_of_name(const char *name)
{
	for (enum phase phase = PHASE_RESOLVE; phase <= PHASE_SCRIPT; phase++)
		if (strcmp(names[phase], name) == 0)
			return phase;
	return PHASE_NONE;
}

void failure_clear(struct failure *failure)
{
	failure->phase = PHASE_NONE;
	failure->code[0] = '\0';
	failure->error = 0;
	failure->message[0] = '\0';
}

bool failure_present(const struct failure *failure)
{
	return failure->phase != PHASE_NONE;
}

/* Where the text was cut, take back the first bytes of a sequence whose last ones are gone. */
static void trim_sequence(char *text, size_t length)
{
	size_t start = length;

	while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0xc0)
		text[start - 1] = '\0';
}

void failure_set(struct failure *failure, enum phase phase, const char *code, const char *format, ...)
{
	va_list arguments;
	int     length;

	failure->phase = phase;
	snprintf(failure->code, sizeof failure->code, "%s", code);
	failure->error = 0;
	va_start(arguments, format);
	length = vsnprintf(failure->message, sizeof failure->message, format, arguments);
	va_end(arguments);
	if (length < 0)
		failure->message[0] = '\0';
	else if ((size_t)length >= sizeof failure->message)
		trim_sequence(failure->message, sizeof failure->message - 1);
}

void failure_quote(struct failure *failure, enum phase phase, const char *code, const char *text,
                   const char *bytes, size_t length)
{
	char   quote[4 * FAILURE_QUOTE + 1];
	size_t used = 0;

	for (size_t i = 0; i < length && i < FAILURE_QUOTE; i++) {
		if (bytes[i] != '\0') {
			quote[used++] = bytes[i];
		} else {
			memcpy(quote + used, "\\x00", 4);
			used += 4;
		}
	}
	quote[used] = '\0';
	failure_set(failure, phase, code, "%s: %s", text, quote);
}

void failure_errno(struct failure *failure, enum phase phase, int error)
{
	const char *words = strerrordesc_np(
	    error); /* without the look for a translation that strerror makes */

	failure->phase = phase;
	failure->error = error;
	strcpy(failure->code, failure_code_of(error));
	stpncpy(failure->message, words ? words : "unknown error", sizeof failure->message - 1);
}

const char *failure_code_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "refused";
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
		return "reset";
	case ETIMEDOUT:
		return "timeout";
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENONET:
	case EINVAL: /* what connect says of a blackhole route */
	case EPROTO:
	case ENOPROTOOPT:
		return "unreachable";
	case EACCES:
	case EPERM:
		return "blocked-here";
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOSPC: /* of epoll's own limit */
	case ENOMEM:
	case EADDRNOTAVAIL:
	case EAGAIN:
		return "local-limit";
	default:
		return "system";
	}
}
