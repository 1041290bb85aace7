#include "script/chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_all(FILE *file, char *bytes, size_t room, size_t *length, char *reason)
{
	struct stat status;

	if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode)) {
		snprintf(reason, CHUNK_REASON, "not a regular file");
		return false;
	}
	if (status.st_size > (off_t)room) {
		snprintf(reason, CHUNK_REASON, "larger than %zu KiB", room / 1024);
		return false;
	}
	*length = fread(bytes, 1, room, file);
	return true;
}

bool chunk_read(const char *path, char *bytes, size_t room, size_t *length, char reason[CHUNK_REASON])
{
	int   fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");
	bool  good;

	if (!file) {
		snprintf(reason, CHUNK_REASON, "%s", errno == ENOENT ? "" : strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	good = read_all(file, bytes, room, length, reason);
	fclose(file);
	return good;
}
