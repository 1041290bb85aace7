/* Ports that connections of ours within this machine come from.
 *
 * A connect to a port of this machine's own ephemeral range can meet itself, or another one of ours that is under way
 * (TCP simultaneous open). That looks like an open port, but is nobody's server. Any thread may ask.
 */
#ifndef NET_OWN_PORT_H
#define NET_OWN_PORT_H

#include "net/address.h"

#include <stdbool.h>

/* Can this be? Other ports are spared the system call that tells our own address. */
bool own_port_possible(const struct address *remote);

/* A connection within this machine comes from here. */
void own_port_note(const struct address *local);

/* Was it one of ours a moment ago? Then whoever answers there is not a server: in a port that the system gives to clients
 * nobody listens, for it gives none that is listened at. */
bool own_port_met(const struct address *remote);

#endif
