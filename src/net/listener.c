#include "net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
	struct loop    *loop;
	int             fd;
	struct watch    watch;
	struct address  address;
	listener_ready *ready;
	void           *owner;
};

static void watched(struct watch *watch, uint32_t events)
{
	struct listener *listener = (struct listener *)(void *)((char *)watch -
	                                                        offsetof(struct listener, watch));

	(void)events;
	listener->ready(listener->owner);
}

static bool open_at(struct listener *listener, const struct address *address)
{
	static const int        on = 1;
	struct sockaddr_storage own;
	socklen_t               size = sizeof own;

	listener->fd = socket(address_family(address), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return listener->fd >= 0 && setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	       bind(listener->fd, &address->socket.any, address_length(address)) == 0 &&
	       listen(listener->fd, SOMAXCONN) == 0 &&
	       getsockname(listener->fd, (struct sockaddr *)&own, &size) == 0 &&
	       address_from(&listener->address, (const struct sockaddr *)&own) &&
	       watch_add(listener->loop, &listener->watch, listener->fd);
}

struct listener *listener_new(struct loop *loop, const struct address *address, listener_ready *ready,
                              void *owner, struct failure *failure)
{
	struct listener *listener = calloc(1, sizeof *listener);

	if (!listener) {
		failure_errno(failure, PHASE_CONNECT, ENOMEM);
		return NULL;
	}
	listener->loop = loop;
	listener->fd = -1;
	listener->watch.ready = watched;
	listener->ready = ready;
	listener->owner = owner;
	if (open_at(listener, address))
		return listener;
	failure_errno(failure, PHASE_CONNECT, errno);
	listener_free(listener);
	return NULL;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	watch_remove(listener->loop, &listener->watch);
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener);
}

/* A client that has gone again before it was taken is passed over. */
enum io listener_accept(struct listener *listener, int *fd, struct failure *failure)
{
	do
		*fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (*fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (*fd >= 0)
		return IO_DONE;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return IO_WANT_READ;
	failure_errno(failure, PHASE_CONNECT, errno);
	return IO_FAILED;
}

const struct address *listener_address(const struct listener *listener)
{
	return &listener->address;
}
