#include "net/spare.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* A place among the spares, by lot (Knuth's MMIX generator, whose high bits are the good ones). */
static size_t draw(struct spares *spares)
{
	if (spares->lot == 0 && getrandom(&spares->lot, sizeof spares->lot, GRND_NONBLOCK) < 0)
		spares->lot = (uint64_t)clock_now();
	spares->lot = spares->lot * 6364136223846793005U + 1442695040888963407U;
	return (size_t)(spares->lot >> 32) % spares->count;
}

/* The kernel ties a socket for good to the interface of an address with a zone, and to IPv4 for a mapped address. */
static bool ties(const struct address *address)
{
	return address_family(address) == AF_INET6 && (address->socket.ipv6.sin6_scope_id != 0 ||
	                                               IN6_IS_ADDR_V4MAPPED(&address->socket.ipv6.sin6_addr));
}

static bool disconnect(int fd)
{
	static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	return connect(fd, &nobody, sizeof nobody) == 0;
}

bool spare_keep(struct loop *loop, struct watch *watch, int fd, const struct address *remote)
{
	struct spares *spares = loop_spares(loop);
	bool           later;

	if (spares->count == SPARES || ties(remote))
		return false;
	later = later_set(loop, STAGE_SEND, &spares->later);
	if (!later && !disconnect(fd))
		return false;
	spares->spare[spares->count++] = (struct spare){
		.fd = fd,
		.family = address_family(remote),
		.slot = watch_leave(loop, watch),
		.connected = later,
	};
	return true;
}

/* Take it out of the list, disconnected and watched; -1: it would not be disconnected, and is closed. */
static int remove_at(struct loop *loop, size_t place, struct watch *watch)
{
	struct spares *spares = loop_spares(loop);
	struct spare   spare = spares->spare[place];

	spares->spare[place] = spares->spare[--spares->count];
	watch_join(loop, watch, spare.slot);
	if (!spare.connected || disconnect(spare.fd))
		return spare.fd;
	watch_remove(loop, watch);
	close(spare.fd);
	return -1;
}

static void close_at(struct loop *loop, size_t place)
{
	struct watch watch = { 0 };
	int          fd = remove_at(loop, place, &watch);

	if (fd < 0)
		return;
	watch_remove(loop, &watch);
	close(fd);
}

int spare_take(struct loop *loop, struct watch *watch, int family)
{
	struct spares *spares = loop_spares(loop);
	size_t         first;

	if (spares->count == 0)
		return -1;
	first = draw(spares);
	for (size_t i = 0; i < spares->count; i++) {
		size_t place = (first + i) % spares->count;

		if (spares->spare[place].family == family)
			return remove_at(loop, place, watch);
	}
	close_at(loop, first);
	return -1;
}

/* At the end of the turn. What cannot be disconnected is closed when somebody wants to take it. */
static bool disconnect_all(struct later *later)
{
	struct spares *spares = (struct spares *)(void *)((char *)later - offsetof(struct spares, later));

	for (size_t i = 0; i < spares->count; i++)
		if (spares->spare[i].connected)
			spares->spare[i].connected = !disconnect(spares->spare[i].fd);
	return false;
}

void spares_init(struct spares *spares)
{
	spares->later.run = disconnect_all;
}

void spares_close(struct loop *loop)
{
	while (loop_spares(loop)->count > 0)
		close_at(loop, 0);
}
