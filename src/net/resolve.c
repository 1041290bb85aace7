#include "net/resolve.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

struct resolve {
	uv_getaddrinfo_t request;
	struct loop     *loop;
	struct alarm     alarm;
	resolve_done    *done; /* NULL once answered or cancelled */
	void            *owner;
};

static atomic_uint under_way;

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

/* libuv has the getaddrinfo answer, wanted or not. The request ends here. */
static void finished(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
	struct resolve  *resolve = request->data;
	struct addresses addresses;
	struct failure   failure;

	atomic_fetch_sub(&under_way, 1);
	collect(&addresses, info);
	uv_freeaddrinfo(info);
	if (addresses.count > 0) {
		answer(resolve, &addresses, NULL);
	} else {
		failure_set(&failure, PHASE_RESOLVE, "no-name", "%s",
		            status == UV_EAI_NONAME || status == UV_EAI_NODATA || status == 0
		                ? "no such name"
		                : uv_strerror(status));
		answer(resolve, NULL, &failure);
	}
	free(resolve);
}

/* The look-up took too long: answer now, and let it end unheard. */
static void overdue(struct alarm *alarm)
{
	struct failure failure;

	failure_set(&failure, PHASE_RESOLVE, "timeout", "no answer from the resolver within %d s",
	            RESOLVE_SECONDS);
	answer(of_alarm(alarm), NULL, &failure);
}

struct resolve *resolve_start(struct loop *loop, const char *name, int family, resolve_done *done,
                              void *owner)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct resolve *resolve = calloc(1, sizeof *resolve);

	if (!resolve)
		return NULL;
	resolve->loop = loop;
	resolve->alarm.ring = overdue;
	resolve->done = done;
	resolve->owner = owner;
	resolve->request.data = resolve;
	if (!alarm_set(loop, &resolve->alarm, clock_after(loop_now(loop), RESOLVE_SECONDS)))
		goto failed;
	if (uv_getaddrinfo(loop_uv(loop), &resolve->request, finished, name, NULL, &hints) == 0) {
		atomic_fetch_add(&under_way, 1);
		return resolve;
	}
	alarm_clear(loop, &resolve->alarm);
failed:
	free(resolve);
	return NULL;
}

void resolve_cancel(struct resolve *resolve)
{
	if (!resolve || !resolve->done)
		return;
	alarm_clear(resolve->loop, &resolve->alarm);
	resolve->done = NULL;
	uv_cancel((uv_req_t *)&resolve->request);
}

bool resolve_under_way(void)
{
	return atomic_load(&under_way) > 0;
}
