/* An IP address with a port: parsed, printed, compared. No look-ups: names are resolve.h's. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	union {
		struct sockaddr     any;
		struct sockaddr_in  ipv4;
		struct sockaddr_in6 ipv6;
	} socket;
};

/* Longest text that address_format writes: an IPv6 address, '%', an interface name, and NUL. */
enum { ADDRESS_TEXT = INET6_ADDRSTRLEN + 1 + 16 };

/* Read "192.0.2.7", "2001:db8::1" or "fe80::1%eth0" (no brackets, no port). The port becomes 0.
 * False if the text is not an address; a zone that names no interface here is not one either. */
bool address_parse(struct address *address, const char *text);

/* From what a look-up or the kernel gave; false if it is neither IPv4 nor IPv6. A v4-mapped IPv6
 * address becomes the IPv4 address that it is. */
bool address_from(struct address *address, const struct sockaddr *socket);

void address_format(const struct address *address, char text[ADDRESS_TEXT]);

int       address_family(const struct address *address); /* AF_INET or AF_INET6 */
socklen_t address_length(const struct address *address);
uint16_t  address_port(const struct address *address);
void      address_set_port(struct address *address, uint16_t port);

/* Same family, address and zone; ports do not count. */
bool address_same(const struct address *one, const struct address *other);

/* A link-local IPv6 address that says no interface: connect cannot know where it is. */
bool address_lacks_zone(const struct address *address);

/* What an address stands for that is no host somewhere else ("this machine", ...), or NULL. RFC 6890. */
const char *address_special(const struct address *address);

#endif
