#include "scan/target.h"

#include "base/escape.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_COLUMNS = 80 };

static bool refuse(char *error, size_t size, const char *word, const char *why)
{
	struct buffer shown;

	buffer_init(&shown, 1024);
	escape_terminal(&shown, word, strlen(word), SHOWN_COLUMNS);
	snprintf(error, size, "target \"%.*s\": %s", (int)buffer_length(&shown), buffer_bytes(&shown), why);
	buffer_free(&shown);
	return false;
}

/* "https://user@mail.example:8443/path" is mail.example:8443. */
static bool refuse_url(char *error, size_t size, const char *url)
{
	const char   *start = strstr(url, "://") + strlen("://");
	size_t        length = strcspn(start, "/?#");
	const char   *user = memchr(start, '@', length);
	struct buffer host;
	char          why[1024];

	if (user) {
		length -= (size_t)(user + 1 - start);
		start = user + 1;
	}
	buffer_init(&host, sizeof why / 2);
	escape_terminal(&host, start, length, SHOWN_COLUMNS);
	snprintf(why, sizeof why, "that is a URL; a target is its host%s%.*s", length > 0 ? ": " : "",
	         (int)buffer_length(&host), buffer_bytes(&host));
	buffer_free(&host);
	return refuse(error, size, url, why);
}

static bool read_port(const char *text, uint16_t *port)
{
	size_t length = strlen(text);
	long   number = strtol(text, NULL, 10);

	if (length == 0 || length > 5 || strspn(text, "0123456789") != length || number < 1 || number > 65535)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* Split "[host]:port", "[host]", "host:port" or "host". More than one colon without brackets is an IPv6
 * address without a port. */
static const char *split(struct target *target, const char *word)
{
	const char *end = word + strlen(word);
	const char *colon = strchr(word, ':');
	const char *host = word;

	if (*word == '[') {
		host = word + 1;
		end = strchr(word, ']');
		if (!end)
			return "the ] is missing";
		if (end[1] != '\0' && end[1] != ':')
			return "after the ] only :port may follow";
		colon = end[1] == ':' ? end + 1 : NULL;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
	} else {
		colon = NULL;
	}
	if (colon && !read_port(colon + 1, &target->port))
		return "the port must be a number from 1 to 65535";
	if (end == host)
		return "the host is missing";
	if (end - host >= TARGET_NAME)
		return "longer than any name (253 characters)";
	memcpy(target->name, host, (size_t)(end - host));
	return NULL;
}

/* Old spellings of IPv4 addresses ("127.1", "0x7f000001") are shown as what they mean. */
static bool old_spelling(struct target *target)
{
	struct in_addr address;

	if (strspn(target->name, "0123456789abcdefABCDEFxX.") != strlen(target->name) ||
	    inet_aton(target->name, &address) == 0)
		return false;
	inet_ntop(AF_INET, &address, target->name, sizeof target->name);
	return address_parse(&target->address, target->name);
}

/* Host names as resolvers take them (RFC 1123, underscores as found in the wild), and bytes of UTF-8,
 * which the resolver turns into A-labels. */
static const char *name_fault(const char *name)
{
	size_t label = 0;

	if (strlen(name) > 253)
		return "longer than any name (253 characters)";
	for (const char *at = name; *at; at++) {
		unsigned char byte = (unsigned char)*at;

		if (byte == '/' || byte == ',')
			return "neither a name nor an address";
		if (byte < 0x80 && !(byte >= '0' && byte <= '9') &&
		    !((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') && byte != '-' && byte != '_' &&
		    byte != '.')
			return "a name is made of letters, digits, - and dots";
		label = byte == '.' ? 0 : label + 1;
		if (label > 63)
			return "a part of the name is longer than 63 characters";
		if (byte == '.' && (at == name || at[-1] == '.'))
			return "a part of the name is empty";
	}
	return *name == '-' ? "a name does not begin with -" : NULL;
}

static const char *literal_fault(const struct target *target, int family)
{
	if (address_lacks_zone(&target->address))
		return "a link-local address needs its interface: fe80::1%eth0";
	if (family == AF_INET && address_family(&target->address) != AF_INET)
		return "not an IPv4 address, which -4 asks for";
	if (family == AF_INET6 && address_family(&target->address) != AF_INET6)
		return "not an IPv6 address, which -6 asks for";
	return NULL;
}

bool target_parse(struct target *target, const char *word, int family, char *error, size_t size)
{
	const char *fault;

	memset(target, 0, sizeof *target);
	if (strstr(word, "://"))
		return refuse_url(error, size, word);
	fault = split(target, word);
	if (fault)
		return refuse(error, size, word, fault);
	target->literal = address_parse(&target->address, target->name) || old_spelling(target);
	if (target->literal)
		fault = literal_fault(target, family);
	else if (strchr(target->name, ':'))
		fault = strchr(target->name, '%') ? "not an IPv6 address with an interface of this machine"
		                                  : "not an IPv6 address; with a port it is [address]:port";
	else
		fault = name_fault(target->name);
	return fault ? refuse(error, size, word, fault) : true;
}
