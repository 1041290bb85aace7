/* To be loaded before all else (LD_PRELOAD): a machine that is out of memory, or whose clock jumps.
 *
 *   COUNT=1       says at the end how many allocations there were
 *   FAIL_AT=N     the N-th allocation fails
 *   FAIL_FROM=N   it and all that follow
 *   SKEW=S        after the first hundred looks at the wall clock it goes wrong by so many seconds
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static atomic_long count, looks;
static long        fail_at, fail_from, skew;

static long number(const char *name)
{
	const char *text = getenv(name);

	return text ? atol(text) : 0;
}

__attribute__((constructor)) static void begin(void)
{
	fail_at = number("FAIL_AT");
	fail_from = number("FAIL_FROM");
	skew = number("SKEW");
	atomic_store(&count, 0);
}

__attribute__((destructor)) static void finish(void)
{
	if (getenv("COUNT"))
		dprintf(2, "allocations: %ld\n", atomic_load(&count));
}

static int fails(void)
{
	long nth = atomic_fetch_add(&count, 1) + 1;

	if (nth != fail_at && !(fail_from > 0 && nth >= fail_from))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t number_of, size_t size)
{
	return fails() ? NULL : __libc_calloc(number_of, size);
}

void *realloc(void *block, size_t size)
{
	return fails() ? NULL : __libc_realloc(block, size);
}

static time_t wrong(time_t right)
{
	return skew && atomic_fetch_add(&looks, 1) >= 100 ? right + skew : right;
}

int clock_gettime(clockid_t clock, struct timespec *when)
{
	static int (*real)(clockid_t, struct timespec *);
	int result;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	result = real(clock, when);
	if (clock == CLOCK_REALTIME)
		when->tv_sec = wrong(when->tv_sec);
	return result;
}

time_t time(time_t *when)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (when)
		*when = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	when->tv_sec = now.tv_sec;
	when->tv_usec = now.tv_nsec / 1000;
	return 0;
}
