#include "scan/range.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Addresses as numbers: the low 64 bits are enough, for no range is larger. */
static uint64_t low_bits(const struct address *address)
{
	uint64_t value = 0;

	if (address_family(address) == AF_INET)
		return ntohl(address->socket.ipv4.sin_addr.s_addr);
	for (int i = 8; i < 16; i++)
		value = value << 8 | address->socket.ipv6.sin6_addr.s6_addr[i];
	return value;
}

static void set_low_bits(struct address *address, uint64_t value)
{
	if (address_family(address) == AF_INET) {
		address->socket.ipv4.sin_addr.s_addr = htonl((uint32_t)value);
		return;
	}
	for (int i = 15; i >= 8; i--, value >>= 8)
		address->socket.ipv6.sin6_addr.s6_addr[i] = (uint8_t)value;
}

static bool same_high_bits(const struct address *one, const struct address *other)
{
	if (address_family(one) != address_family(other))
		return false;
	return address_family(one) == AF_INET ||
	       memcmp(&one->socket.ipv6.sin6_addr, &other->socket.ipv6.sin6_addr, 8) == 0;
}

static bool read_number(const char *text, uint64_t most, uint64_t *number)
{
	size_t length = strlen(text);

	if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
		return false;
	*number = strtoul(text, NULL, 10);
	return *number <= most;
}

static enum range_parse bad(const char **fault, const char *why)
{
	*fault = why;
	return RANGE_BAD;
}

/* "address/bits", from the first to the last address of the network. */
static enum range_parse parse_network(struct range *range, const char *bits_text, const char **fault)
{
	bool     ipv4 = address_family(&range->first) == AF_INET;
	unsigned width = ipv4 ? 32 : 128;
	uint64_t bits, mask;

	if (!read_number(bits_text, width, &bits))
		return bad(fault, ipv4 ? "the prefix length must be 0 to 32"
		                       : "the prefix length must be 65 to 128");
	if (width - bits >= 64)
		return bad(fault, "larger than any scan: the prefix length must be 65 to 128");
	mask = ((uint64_t)1 << (width - bits)) - 1;
	set_low_bits(&range->first, low_bits(&range->first) & ~mask);
	range->count = mask + 1;
	return RANGE_GOOD;
}

/* "address-end", the end being a whole address or the last part of an IPv4 one. */
static enum range_parse parse_span(struct range *range, const char *end_text, const char **fault)
{
	struct address last = range->first;
	uint64_t       part;

	if (address_family(&range->first) == AF_INET && read_number(end_text, 255, &part))
		set_low_bits(&last, (low_bits(&range->first) & ~(uint64_t)255) | part);
	else if (!address_parse(&last, end_text) || !same_high_bits(&range->first, &last))
		return bad(fault, "after the - comes the last part of the address, or a whole address");
	if (low_bits(&last) < low_bits(&range->first))
		return bad(fault, "the end lies before the beginning");
	if (low_bits(&last) - low_bits(&range->first) == UINT64_MAX)
		return bad(fault, "larger than any scan");
	range->count = low_bits(&last) - low_bits(&range->first) + 1;
	return RANGE_GOOD;
}

/* Names may hold a '-': only what begins with an address is a range. */
enum range_parse range_parse(struct range *range, const char *text, const char **fault)
{
	size_t length = strcspn(text, "/-");
	char   first[ADDRESS_TEXT];

	if (text[length] == '\0' || length >= sizeof first)
		return RANGE_NONE;
	memcpy(first, text, length);
	first[length] = '\0';
	if (!address_parse(&range->first, first))
		return RANGE_NONE;
	if (address_family(&range->first) == AF_INET && strchr(text, ':'))
		return bad(fault,
		           "a range takes no port; a service is tried at another one with -s NAME=PORT");
	return text[length] == '/' ? parse_network(range, text + length + 1, fault)
	                           : parse_span(range, text + length + 1, fault);
}

struct address range_address(const struct range *range, uint64_t index)
{
	struct address address = range->first;

	set_low_bits(&address, low_bits(&range->first) + index);
	return address;
}

bool range_contains(const struct range *range, const struct address *address)
{
	return same_high_bits(&range->first, address) && low_bits(address) >= low_bits(&range->first) &&
	       low_bits(address) - low_bits(&range->first) < range->count;
}
