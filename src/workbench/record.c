#include "workbench/record.h"

#include "workbench/conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { SEATS = 1024, PATH_TEXT = 4096, NAME_TEXT = 150 };

/* What the command line says if it says nothing; other times are part of a recording. */
static const double usual_connect = 3, usual_reply = 10, usual_deadline = 30;

/* A conversation that is under way. */
struct session {
	const struct outcome *outcome;
	struct notes          notes;
	struct session       *next;
};

struct record {
	const char            *folder;
	const struct settings *settings;
	const char *const     *own; /* what -S names */
	size_t                 own_count;
	struct listener        next;
	atomic_int             error;
	uv_mutex_t             lock;
	struct session        *seats[SEATS]; /* under the lock: lists by the outcome's address */
};

/* --- sessions -------------------------------------------------------------------------------- */

static struct session **seat_of(struct record *record, const struct outcome *outcome)
{
	struct session **at = &record->seats[((uintptr_t)outcome / sizeof *outcome) % SEATS];

	while (*at && (*at)->outcome != outcome)
		at = &(*at)->next;
	return at;
}

/* The one of the outcome, made if there is none; NULL: no memory. */
static struct session *session_of(struct record *record, const struct outcome *outcome)
{
	struct session **seat;
	struct session  *session;

	uv_mutex_lock(&record->lock);
	seat = seat_of(record, outcome);
	session = *seat;
	if (!session && (session = calloc(1, sizeof *session)) != NULL) {
		session->outcome = outcome;
		notes_init(&session->notes);
		*seat = session;
	}
	uv_mutex_unlock(&record->lock);
	return session;
}

/* Take it off its seat; NULL: nothing was ever said. */
static struct session *take_session(struct record *record, const struct outcome *outcome)
{
	struct session **seat;
	struct session  *session;

	uv_mutex_lock(&record->lock);
	seat = seat_of(record, outcome);
	session = *seat;
	if (session)
		*seat = session->next;
	uv_mutex_unlock(&record->lock);
	return session;
}

static void free_session(struct session *session)
{
	notes_free(&session->notes);
	free(session);
}

/* --- files ----------------------------------------------------------------------------------- */

/* A name of any host as a part of a file's name. */
static void put_safe(struct buffer *name, const char *text)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

	for (size_t i = 0; i < NAME_TEXT && text[i]; i++)
		buffer_append(name, strchr(safe, text[i]) && !(i == 0 && text[i] == '.') ? text + i : "_", 1);
}

static bool path_of(struct buffer *path, const struct record *record, const struct host *host,
                    const struct outcome *outcome)
{
	char address[ADDRESS_TEXT];

	buffer_format(path, "%s/", record->folder);
	put_safe(path, host->target.name);
	if (host->one_of_many) {
		address_format(&host->addresses.address[0], address);
		buffer_text(path, "-");
		put_safe(path, address);
	}
	return buffer_format(path, "-%u-%s.conversation", outcome->port, outcome->service) &&
	       buffer_append(path, "", 1);
}

static const struct script *script_of(const struct host *host, const struct outcome *outcome)
{
	return host->choices[outcome - host->outcomes].service->script;
}

static void add_arguments(struct head *head, const struct script *script)
{
	for (size_t i = 0; i < script->argument_count; i++) {
		const struct argument *argument = &script->arguments[i];
		char                  *setting = NULL;

		if (argument->value &&
		    asprintf(&setting, "%s.%s=%s", script->name, argument->name, argument->value) >= 0)
			head_add_argument(head, setting);
		free(setting);
	}
}

static bool is_own(const struct record *record, const char *path)
{
	for (size_t i = 0; i < record->own_count; i++) {
		const char *own = record->own[i];
		size_t      length = strlen(own);

		while (length > 1 && own[length - 1] == '/')
			length--;
		if (strncmp(path, own, length) == 0 && (path[length] == '\0' || path[length] == '/'))
			return true;
	}
	return false;
}

/* The way from a folder to a file, both without links and dots: "../mine.lua". */
static void put_way(struct buffer *out, const char *folder, const char *file)
{
	size_t common = 0;

	for (size_t i = 0; folder[i] == file[i] && file[i]; i++)
		if (file[i] == '/')
			common = i + 1;
	if (strncmp(folder, file, strlen(folder)) == 0 && file[strlen(folder)] == '/')
		common = strlen(folder) + 1;
	else
		for (const char *at = folder + common - 1; at; at = strchr(at + 1, '/'))
			buffer_text(out, "../");
	buffer_text(out, file + common);
	buffer_append(out, "", 1);
}

/* A way that is too long, or that there is not any more, is left out. */
static void name_script(struct head *head, const char *folder, const char *path)
{
	char         *from = realpath(folder, NULL), *to = realpath(path, NULL);
	struct buffer way;

	buffer_init(&way, sizeof head->script);
	if (from && to) {
		put_way(&way, from, to);
		if (buffer_length(&way) > 0 && buffer_bytes(&way)[buffer_length(&way) - 1] == '\0')
			memcpy(head->script, buffer_bytes(&way), buffer_length(&way));
	}
	buffer_free(&way);
	free(from);
	free(to);
}

static double unless(double seconds, double usual)
{
	return seconds < usual || seconds > usual ? seconds : 0;
}

static void fill_head(struct head *head, const struct record *record, const struct host *host,
                      const struct outcome *outcome)
{
	const struct settings *settings = record->settings;

	head_init(head);
	snprintf(head->service, sizeof head->service, "%s", outcome->service);
	memcpy(head->host, host->target.name, sizeof head->host);
	head->address = outcome->address;
	head->local = outcome->local;
	head->port = outcome->port;
	head->connect_timeout = unless(settings->connect_timeout, usual_connect);
	head->reply_timeout = unless(settings->reply_timeout, usual_reply);
	head->deadline = unless(settings->deadline, usual_deadline);
	add_arguments(head, script_of(host, outcome));
	if (is_own(record, script_of(host, outcome)->path))
		name_script(head, record->folder, script_of(host, outcome)->path);
}

/* Where it comes from. */
static void describe(char *about, size_t size, const struct host *host, const struct outcome *outcome)
{
	time_t    now = time(NULL);
	struct tm utc;
	char      when[40] = "";

	if (gmtime_r(&now, &utc))
		strftime(when, sizeof when, "%Y-%m-%d", &utc);
	snprintf(about, size, "%s on %s, port %u, on %s", outcome->service, host->target.name, outcome->port,
	         when);
}

static void put_conversation(struct buffer *text, const struct record *record, const struct session *session,
                             const struct host *host, const struct outcome *outcome)
{
	struct head     head;
	struct reported reported;
	char            about[TARGET_NAME + 200];

	fill_head(&head, record, host, outcome);
	describe(about, sizeof about, host, outcome);
	if (reported_of(&reported, host, outcome))
		conversation_write(text, about, &head, &session->notes, &reported);
	reported_free(&reported);
	head_free(&head);
}

static int write_file(const char *path, const struct buffer *text)
{
	int  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int  error = 0;
	bool good = fd >= 0;

	for (size_t done = 0; good && done < buffer_length(text);) {
		ssize_t count = write(fd, buffer_bytes(text) + done, buffer_length(text) - done);

		good = count > 0 || (count < 0 && errno == EINTR);
		done += count > 0 ? (size_t)count : 0;
	}
	if (!good)
		error = errno;
	if (fd >= 0 && close(fd) != 0 && error == 0)
		error = errno;
	return error;
}

static void save(struct record *record, const struct session *session, const struct host *host,
                 const struct outcome *outcome)
{
	struct buffer path, text;
	int           error = ENOMEM, none = 0;

	buffer_init(&path, PATH_TEXT);
	buffer_init(&text, CONVERSATION_BYTES);
	put_conversation(&text, record, session, host, outcome);
	if (buffer_length(&text) > 0)
		error = path_of(&path, record, host, outcome) ? write_file(buffer_bytes(&path), &text)
		                                              : ENAMETOOLONG;
	if (error != 0)
		atomic_compare_exchange_strong(&record->error, &none, error);
	buffer_free(&path);
	buffer_free(&text);
}

/* --- the listener ---------------------------------------------------------------------------- */

static void observe(void *owner, const struct host *host, const struct outcome *outcome, unsigned connection,
                    double ms, enum event event, const char *bytes, size_t length)
{
	struct record  *record = owner;
	struct session *session = session_of(record, outcome);

	if (session)
		notes_event(&session->notes, connection, ms, event, bytes, length);
	if (record->next.observe)
		record->next.observe(record->next.owner, host, outcome, connection, ms, event, bytes, length);
}

static void on_outcome(void *owner, const struct host *host, const struct outcome *outcome)
{
	struct record  *record = owner;
	struct session *session = take_session(record, outcome);

	if (session && outcome->state == STATE_OPEN)
		save(record, session, host, outcome);
	if (session)
		free_session(session);
	record->next.outcome(record->next.owner, host, outcome);
}

static void changed(void *owner, struct host *host)
{
	struct record *record = owner;

	record->next.changed(record->next.owner, host);
}

static void on_host(void *owner, struct host *host)
{
	struct record *record = owner;

	record->next.host(record->next.owner, host);
}

static void flush(void *owner)
{
	struct record *record = owner;

	record->next.flush(record->next.owner);
}

static bool full(void *owner)
{
	struct record *record = owner;

	return record->next.full(record->next.owner);
}

static bool broken(void *owner)
{
	struct record *record = owner;

	return record->next.broken(record->next.owner);
}

static void tick(void *owner, const char *waiting, bool asked)
{
	struct record *record = owner;

	record->next.tick(record->next.owner, waiting, asked);
}

struct listener record_listener(struct record *record)
{
	return (struct listener){
		.owner = record,
		.changed = record->next.changed ? changed : NULL,
		.observe = observe,
		.outcome = on_outcome,
		.host = on_host,
		.flush = flush,
		.full = full,
		.broken = broken,
		.tick = tick,
	};
}

/* --- life ------------------------------------------------------------------------------------ */

/* Files can be made in it? */
static bool usable(const char *folder)
{
	struct stat status;

	if (mkdir(folder, 0777) == 0)
		return true;
	if (errno != EEXIST || stat(folder, &status) != 0)
		return false;
	if (!S_ISDIR(status.st_mode)) {
		errno = ENOTDIR;
		return false;
	}
	return access(folder, W_OK | X_OK) == 0;
}

struct record *record_new(const char *folder, const struct settings *settings, const char *const *own,
                          size_t own_count, const struct listener *next, char *error, size_t size)
{
	struct record *record = usable(folder) ? calloc(1, sizeof *record) : NULL;

	if (!record) {
		snprintf(error, size, "--record: %s: %s", folder, strerror(errno));
		return NULL;
	}
	record->folder = folder;
	record->settings = settings;
	record->own = own;
	record->own_count = own_count;
	record->next = *next;
	uv_mutex_init(&record->lock);
	return record;
}

int record_free(struct record *record)
{
	int error = atomic_load(&record->error);

	for (size_t i = 0; i < SEATS; i++) {
		while (record->seats[i]) {
			struct session *session = record->seats[i];

			record->seats[i] = session->next;
			free_session(session);
		}
	}
	uv_mutex_destroy(&record->lock);
	free(record);
	return error;
}
