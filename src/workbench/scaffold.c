#include "workbench/scaffold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_MOST = 60, FILE_TEXT = 2048, PATH_TEXT = NAME_MOST + 20 };

static const char probe[] = "-- %s: what it is, and where it is described (RFC ...).\n"
			    "return {\n"
			    "  about = \"%s: in a few words\",\n"
			    "  services = { { name = \"%s\"%s } },\n"
			    "  greeting = \"^%s ready\", -- leave it out where the client speaks first\n"
			    "  probe = function(conn, report)\n"
			    "    report(\"banner\", conn:readline())\n"
			    "    conn:write(\"QUIT\\r\\n\")\n"
			    "  end,\n"
			    "}\n";

static const char conversation[] =
    "# What the server says (S:), what the probe must say (C:), and what it must report (R:, R=).\n"
    "service: %s\n"
    "script: %s.lua\n"
    "%s"
    "\n"
    "S: %s ready\n"
    "C: QUIT\n"
    "S: bye\n"
    "\n"
    "R: %s ready\n"
    "R= {\"data\": {\"banner\": \"%s ready\"}, \"warnings\": [], \"error\": null}\n";

/* All of the file, or nothing of it. */
static bool write_new(const char *path, const struct buffer *text, char *said, size_t size)
{
	int    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	size_t length = buffer_length(text);
	bool   good = fd >= 0 && write(fd, buffer_bytes(text), length) == (ssize_t)length;

	if (!good)
		snprintf(said, size, "%s: %s", path,
		         fd < 0 && errno == EEXIST ? "is there already" : strerror(errno));
	if (fd >= 0)
		close(fd);
	if (!good && fd >= 0)
		unlink(path);
	return good;
}

bool scaffold_write(const char *name, const struct buffer *script, const struct buffer *talk, char *said,
                    size_t size)
{
	char script_path[PATH_TEXT], talk_path[PATH_TEXT];

	snprintf(script_path, sizeof script_path, "%s.lua", name);
	snprintf(talk_path, sizeof talk_path, "%s.conversation", name);
	if (!write_new(script_path, script, said, size))
		return false;
	if (write_new(talk_path, talk, said, size))
		return true;
	unlink(script_path);
	return false;
}

static bool good_name(const char *name)
{
	return *name != '\0' && strlen(name) <= NAME_MOST &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name);
}

/* A hyphen means something in a pattern. */
static void quote_pattern(char *quoted, const char *name)
{
	for (; *name; name++) {
		if (*name == '-')
			*quoted++ = '%';
		*quoted++ = *name;
	}
	*quoted = '\0';
}

bool scaffold_make(const char *name, uint16_t port, char *said, size_t size)
{
	struct buffer script, talk;
	char          pattern[2 * NAME_MOST + 1], declared[32] = "", header[32] = "port: 4711\n";
	bool          good;

	if (!good_name(name)) {
		snprintf(said, size, "--new wants a name of a-z, 0-9, - and _, not \"%.100s\"", name);
		return false;
	}
	if (port != 0) {
		snprintf(declared, sizeof declared, ", port = %u", port);
		header[0] = '\0';
	}
	quote_pattern(pattern, name);
	buffer_init(&script, FILE_TEXT);
	buffer_init(&talk, FILE_TEXT);
	buffer_format(&script, probe, name, name, name, declared, pattern);
	buffer_format(&talk, conversation, name, name, header, name, name, name);
	good = scaffold_write(name, &script, &talk, said, size);
	buffer_free(&script);
	buffer_free(&talk);
	if (good)
		snprintf(said, size,
		         "wrote %s.lua and %s.conversation; now\n"
		         "  scan --check %s.lua\n"
		         "  scan --replay %s.conversation\n"
		         "  scan -S %s.lua -s %s%s HOST\n",
		         name, name, name, name, name, name, port ? "" : "=PORT");
	return good;
}
