#include "output/progress.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

static const char erase[] = "\r\033[K";

static double seconds(const struct tally *tally)
{
	return clock_ms(tally->started, clock_now()) / 1000;
}

/* "1:02:03" or "2:03". */
static void span(char *text, size_t size, double length)
{
	unsigned long whole = length > 0 && length < 1e9 ? (unsigned long)length : 0;

	if (whole >= 3600)
		snprintf(text, size, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
	else
		snprintf(text, size, "%lu:%02lu", whole / 60, whole % 60);
}

static void hosts(FILE *file, const struct tally *tally, uint64_t done)
{
	if (tally->hosts_known > 0)
		fprintf(file, "%" PRIu64 " of %" PRIu64 " hosts", done, tally->hosts_known);
	else
		fprintf(file, "%" PRIu64 " hosts", done);
}

/* Time left, if the hosts still to come take as long as those that were. */
static void time_left(FILE *file, const struct tally *tally, uint64_t done, double elapsed)
{
	char text[32];

	if (done == 0 || tally->hosts_known <= done)
		return;
	span(text, sizeof text, elapsed / (double)done * (double)(tally->hosts_known - done));
	fprintf(file, ", %s left", text);
}

void progress_show(FILE *file, const struct tally *tally, const char *waiting, bool terminal)
{
	uint64_t done = atomic_load(&tally->hosts_done);
	uint64_t services = atomic_load(&tally->services_done);
	double   elapsed = seconds(tally);

	fputs(terminal ? erase : "scan: ", file);
	hosts(file, tally, done);
	fprintf(file, ", %" PRIu64 " services, %.0f/s, %" PRIu64 " in flight", services,
	        elapsed > 0 ? (double)services / elapsed : 0.0, (uint64_t)atomic_load(&tally->in_flight));
	time_left(file, tally, done, elapsed);
	if (*waiting != '\0')
		fprintf(file, ", waiting for %s", waiting);
	fputs(terminal ? "" : "\n", file);
	fflush(file);
}

void progress_clear(FILE *file)
{
	fputs(erase, file);
	fflush(file);
}

void progress_summary(FILE *file, const struct tally *tally)
{
	char     text[32];
	uint64_t done = atomic_load(&tally->hosts_done);

	span(text, sizeof text, seconds(tally));
	fprintf(file, "scan: ");
	hosts(file, tally, done);
	fprintf(file, ", %" PRIu64 " services in %s\n", (uint64_t)atomic_load(&tally->services_done), text);
	fprintf(file, "%-14s %10s %10s %10s %10s %10s\n", "", "open", "closed", "filtered", "failed",
	        "warnings");
	for (size_t i = 0; i < tally->service_count; i++) {
		const struct service_tally *service = &tally->services[i];

		fprintf(file,
		        "%-14s %10" PRIuFAST64 " %10" PRIuFAST64 " %10" PRIuFAST64 " %10" PRIuFAST64
		        " %10" PRIuFAST64 "\n",
		        service->service, atomic_load(&service->open), atomic_load(&service->closed),
		        atomic_load(&service->filtered), atomic_load(&service->failed),
		        atomic_load(&service->warnings));
	}
}

static void turns(FILE *file, const struct effort *effort)
{
	uint64_t    all = 0;
	const char *between = ": ";

	for (size_t i = 0; i < TURN_LENGTHS; i++)
		all += effort->turns.count[i];
	fprintf(file, "scan: %zu thread%s, %" PRIu64 " turns of the loop", effort->threads,
	        effort->threads == 1 ? "" : "s", all);
	for (size_t i = 0; i < TURN_LENGTHS; i++) {
		if (effort->turns.count[i] == 0)
			continue;
		fprintf(file, "%s%" PRIu64, between, effort->turns.count[i]);
		if (i < TURN_LENGTHS - 1)
			fprintf(file, " under %g ms", turn_lengths[i]);
		else
			fputs(" longer", file);
		between = ", ";
	}
	fprintf(file, "; at most %.1f ms, %.1f ms of CPU time\n", effort->turns.longest,
	        effort->turns.most_cpu);
}

/* Those that are open now; -1: not known. */
static int descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int  count = -3; /* ".", ".." and the folder itself */

	if (!folder)
		return -1;
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

void progress_effort(FILE *file, const struct effort *effort)
{
	struct rusage used = { 0 };

	getrusage(RUSAGE_SELF, &used);
	turns(file, effort);
	fprintf(file,
	        "scan: %" PRIu64
	        " connections made, at most %zu tried or open at a time; %d descriptors open at the end\n",
	        effort->connections, effort->most_in_flight, descriptors());
	fprintf(file, "scan: at most %.1f MiB of memory, %.1f MiB of it Lua's\n",
	        (double)used.ru_maxrss / 1024, (double)effort->lua / (1024 * 1024));
}
