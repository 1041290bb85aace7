#include "net/own_port.h"

#include "base/clock.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

/* When each was last one of ours; 0: never. */
static atomic_uint_least64_t ports[UINT16_MAX + 1];
static const double          seconds = 1; /* long enough: what meets does so at once */

/* The least port that this machine gives to clients; read once. */
static unsigned first_ephemeral(void)
{
	static atomic_uint known;
	unsigned           port = atomic_load_explicit(&known, memory_order_relaxed);
	FILE              *file;

	if (port != 0)
		return port;
	file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	if (!file || fscanf(file, "%u", &port) != 1 || port == 0)
		port = 1024;
	if (file)
		fclose(file);
	atomic_store_explicit(&known, port, memory_order_relaxed);
	return port;
}

bool own_port_possible(const struct address *remote)
{
	return address_port(remote) >= first_ephemeral();
}

void own_port_note(const struct address *local)
{
	atomic_store(&ports[address_port(local)], clock_now());
}

bool own_port_met(const struct address *remote)
{
	moment when = atomic_load(&ports[address_port(remote)]);

	return when != 0 && clock_now() < clock_after(when, seconds);
}
