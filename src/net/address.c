#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_ipv4(struct address *address, const char *text)
{
	memset(address, 0, sizeof *address);
	address->socket.ipv4.sin_family = AF_INET;
	return inet_pton(AF_INET, text, &address->socket.ipv4.sin_addr) == 1;
}

/* The zone of RFC 4007: an interface's name or its index. 0 if there is none such. */
static uint32_t parse_zone(const char *zone)
{
	char         *end;
	unsigned long index;
	unsigned      named = if_nametoindex(zone);
	char          name[IF_NAMESIZE];

	if (named != 0)
		return named;
	index = strtoul(zone, &end, 10);
	if (*zone < '0' || *zone > '9' || *end != '\0' || index > UINT32_MAX)
		return 0;
	return if_indextoname((unsigned)index, name) ? (uint32_t)index : 0;
}

static bool parse_ipv6(struct address *address, const char *text)
{
	const char *percent = strchr(text, '%');
	size_t      length = percent ? (size_t)(percent - text) : strlen(text);
	char        digits[INET6_ADDRSTRLEN];

	if (length >= sizeof digits)
		return false;
	memcpy(digits, text, length);
	digits[length] = '\0';
	memset(address, 0, sizeof *address);
	address->socket.ipv6.sin6_family = AF_INET6;
	if (inet_pton(AF_INET6, digits, &address->socket.ipv6.sin6_addr) != 1)
		return false;
	if (percent)
		address->socket.ipv6.sin6_scope_id = parse_zone(percent + 1);
	return !percent || address->socket.ipv6.sin6_scope_id != 0;
}

bool address_parse(struct address *address, const char *text)
{
	return strchr(text, ':') ? parse_ipv6(address, text) : parse_ipv4(address, text);
}

static void unmap(struct address *address)
{
	struct in6_addr from = address->socket.ipv6.sin6_addr;
	in_port_t       port = address->socket.ipv6.sin6_port;

	memset(address, 0, sizeof *address);
	address->socket.ipv4.sin_family = AF_INET;
	address->socket.ipv4.sin_port = port;
	memcpy(&address->socket.ipv4.sin_addr, from.s6_addr + 12, 4);
}

bool address_from(struct address *address, const struct sockaddr *socket)
{
	memset(address, 0, sizeof *address);
	if (socket->sa_family == AF_INET) {
		memcpy(&address->socket.ipv4, socket, sizeof address->socket.ipv4);
		return true;
	}
	if (socket->sa_family != AF_INET6)
		return false;
	memcpy(&address->socket.ipv6, socket, sizeof address->socket.ipv6);
	if (IN6_IS_ADDR_V4MAPPED(&address->socket.ipv6.sin6_addr))
		unmap(address);
	return true;
}

static void format_zone(uint32_t zone, char *text, size_t size)
{
	char name[IF_NAMESIZE];

	if (if_indextoname(zone, name))
		snprintf(text, size, "%%%s", name);
	else
		snprintf(text, size, "%%%u", (unsigned)zone);
}

/* By hand: inet_ntop goes through sprintf, and each record of a large scan has its address twice. */
static void format_ipv4(const struct in_addr *address, char *text)
{
	const unsigned char *bytes = (const unsigned char *)address;

	for (int i = 0; i < 4; i++) {
		unsigned byte = bytes[i];

		if (i > 0)
			*text++ = '.';
		if (byte >= 100)
			*text++ = (char)('0' + byte / 100);
		if (byte >= 10)
			*text++ = (char)('0' + byte / 10 % 10);
		*text++ = (char)('0' + byte % 10);
	}
	*text = '\0';
}

void address_format(const struct address *address, char text[ADDRESS_TEXT])
{
	size_t used;

	text[0] = '\0';
	if (address_family(address) == AF_INET) {
		format_ipv4(&address->socket.ipv4.sin_addr, text);
		return;
	}
	if (address_family(address) != AF_INET6)
		return;
	inet_ntop(AF_INET6, &address->socket.ipv6.sin6_addr, text, ADDRESS_TEXT);
	used = strlen(text);
	if (address->socket.ipv6.sin6_scope_id != 0)
		format_zone(address->socket.ipv6.sin6_scope_id, text + used, ADDRESS_TEXT - used);
}

int address_family(const struct address *address)
{
	return address->socket.any.sa_family;
}

socklen_t address_length(const struct address *address)
{
	return address_family(address) == AF_INET ? sizeof address->socket.ipv4 : sizeof address->socket.ipv6;
}

uint16_t address_port(const struct address *address)
{
	return ntohs(address_family(address) == AF_INET ? address->socket.ipv4.sin_port
	                                                : address->socket.ipv6.sin6_port);
}

void address_set_port(struct address *address, uint16_t port)
{
	if (address_family(address) == AF_INET)
		address->socket.ipv4.sin_port = htons(port);
	else
		address->socket.ipv6.sin6_port = htons(port);
}

bool address_same(const struct address *one, const struct address *other)
{
	if (address_family(one) != address_family(other))
		return false;
	if (address_family(one) == AF_INET)
		return one->socket.ipv4.sin_addr.s_addr == other->socket.ipv4.sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&one->socket.ipv6.sin6_addr, &other->socket.ipv6.sin6_addr) &&
	       one->socket.ipv6.sin6_scope_id == other->socket.ipv6.sin6_scope_id;
}

bool address_lacks_zone(const struct address *address)
{
	return address_family(address) == AF_INET6 &&
	       IN6_IS_ADDR_LINKLOCAL(&address->socket.ipv6.sin6_addr) &&
	       address->socket.ipv6.sin6_scope_id == 0;
}

static const char *special_ipv4(uint32_t address)
{
	if (address >> 24 == 127 || address == INADDR_ANY)
		return "this machine";
	if (address >> 16 == 0xa9fe)
		return "a host on the same link";
	if (address >> 28 == 0xe)
		return "a group of hosts";
	return address == INADDR_BROADCAST ? "all hosts on the link" : NULL;
}

static const char *special_ipv6(const struct in6_addr *address)
{
	if (IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address))
		return "this machine";
	if (IN6_IS_ADDR_LINKLOCAL(address))
		return "a host on the same link";
	return IN6_IS_ADDR_MULTICAST(address) ? "a group of hosts" : NULL;
}

const char *address_special(const struct address *address)
{
	if (address_family(address) == AF_INET)
		return special_ipv4(ntohl(address->socket.ipv4.sin_addr.s_addr));
	return address_family(address) == AF_INET6 ? special_ipv6(&address->socket.ipv6.sin6_addr) : NULL;
}
