#include "net/resolve.h"

#include "net/alarm.h"
#include "net/loop.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* So many of a thread's look-ups run at once; the others stand in line, and their time does not count yet. One that
 * was given up still runs: getaddrinfo cannot be interrupted. libuv gives half of its threads to what is slow. */
enum { RUNNING = 8, POOL = 2 * RUNNING, POOL_MOST = 1024 };

struct resolve {
	uv_getaddrinfo_t request;
	struct loop     *loop;
	struct alarm     alarm;
	resolve_done    *done; /* NULL once answered or cancelled */
	void            *owner;
	struct resolve  *next; /* in line */
	int              family;
	char             name[]; /* until it runs */
};

static _Thread_local struct {
	struct resolve *first, *last;
	unsigned        running;
} line;

static atomic_uint under_way;

void resolve_prepare(size_t threads)
{
	char   text[24];
	size_t size = threads < POOL_MOST / POOL ? threads * POOL : POOL_MOST;

	snprintf(text, sizeof text, "%zu", size);
	setenv("UV_THREADPOOL_SIZE", text, 0);
}

static struct resolve *of_alarm(struct alarm *alarm)
{
	return (struct resolve *)(void *)((char *)alarm - offsetof(struct resolve, alarm));
}

static bool known(const struct addresses *addresses, const struct address *address)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (address_same(&addresses->address[i], address))
			return true;
	return false;
}

static void collect(struct addresses *addresses, const struct addrinfo *info)
{
	struct address address;

	addresses->count = 0;
	for (; info && addresses->count < RESOLVE_ADDRESSES; info = info->ai_next)
		if (address_from(&address, info->ai_addr) && !known(addresses, &address))
			addresses->address[addresses->count++] = address;
}

static void answer(struct resolve *resolve, const struct addresses *addresses, const struct failure *failure)
{
	resolve_done *done = resolve->done;

	alarm_clear(resolve->loop, &resolve->alarm);
	resolve->done = NULL;
	if (done)
		done(resolve->owner, addresses, failure);
}

/* With a family asked for, most resolvers do not tell a name without such an address from none at all. */
static const char *reason(const struct resolve *resolve, int status)
{
	if (status != 0 && status != UV_EAI_NONAME && status != UV_EAI_NODATA && status != UV_EAI_ADDRFAMILY)
		return uv_strerror(status);
	return resolve->family == AF_INET    ? "no such name, or it has no IPv4 address"
	       : resolve->family == AF_INET6 ? "no such name, or it has no IPv6 address"
	                                     : "no such name";
}

static void serve_line(void);

/* libuv has the getaddrinfo answer, wanted or not. The request ends here. */
static void finished(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
	struct resolve  *resolve = request->data;
	struct addresses addresses;
	struct failure   failure;

	atomic_fetch_sub(&under_way, 1);
	line.running--;
	collect(&addresses, info);
	uv_freeaddrinfo(info);
	if (addresses.count > 0) {
		answer(resolve, &addresses, NULL);
	} else {
		failure_set(&failure, PHASE_RESOLVE, "no-name", "%s", reason(resolve, status));
		answer(resolve, NULL, &failure);
	}
	free(resolve);
	serve_line();
}

/* The look-up took too long: answer now, and let it end unheard. */
static void overdue(struct alarm *alarm)
{
	struct failure failure;

	failure_set(&failure, PHASE_RESOLVE, "timeout", "no answer from the resolver within %d s",
	            RESOLVE_SECONDS);
	answer(of_alarm(alarm), NULL, &failure);
}

static void refuse(struct failure *failure, int status)
{
	if (status == UV_ENOMEM)
		failure_set(failure, PHASE_RESOLVE, "local-limit", "not enough memory");
	else
		failure_set(failure, PHASE_RESOLVE, "no-name", "not a name that can be looked up");
}

/* Hand it to libuv. False: `failure` says why. */
static bool run(struct resolve *resolve, struct failure *failure)
{
	struct addrinfo hints = { .ai_family = resolve->family, .ai_socktype = SOCK_STREAM };
	struct loop    *loop = resolve->loop;
	int             status = UV_ENOMEM;

	if (alarm_set(loop, &resolve->alarm, clock_after(loop_now(loop), RESOLVE_SECONDS)))
		status = uv_getaddrinfo(loop_uv(loop), &resolve->request, finished, resolve->name, NULL,
		                        &hints);
	if (status == 0) {
		atomic_fetch_add(&under_way, 1);
		line.running++;
		return true;
	}
	alarm_clear(loop, &resolve->alarm);
	refuse(failure, status);
	return false;
}

/* The next ones that somebody still waits for. */
static void serve_line(void)
{
	while (line.first && line.running < RUNNING) {
		struct resolve *resolve = line.first;
		struct failure  failure;

		line.first = resolve->next;
		if (resolve->done && run(resolve, &failure))
			continue;
		answer(resolve, NULL, &failure);
		free(resolve);
	}
}

static void stand_in_line(struct resolve *resolve)
{
	if (line.first)
		line.last->next = resolve;
	else
		line.first = resolve;
	line.last = resolve;
}

struct resolve *resolve_start(struct loop *loop, const char *name, int family, resolve_done *done,
                              void *owner, struct failure *failure)
{
	size_t          size = strlen(name) + 1;
	struct resolve *resolve = calloc(1, sizeof *resolve + size);

	if (!resolve) {
		refuse(failure, UV_ENOMEM);
		return NULL;
	}
	resolve->loop = loop;
	resolve->alarm.ring = overdue;
	resolve->done = done;
	resolve->owner = owner;
	resolve->family = family;
	resolve->request.data = resolve;
	memcpy(resolve->name, name, size);
	if (line.running >= RUNNING) {
		stand_in_line(resolve);
		return resolve;
	}
	if (run(resolve, failure))
		return resolve;
	free(resolve);
	return NULL;
}

void resolve_cancel(struct resolve *resolve)
{
	if (!resolve || !resolve->done)
		return;
	alarm_clear(resolve->loop, &resolve->alarm);
	resolve->done = NULL; /* it ends, or leaves the line, unheard */
}

bool resolve_under_way(void)
{
	return atomic_load(&under_way) > 0;
}
