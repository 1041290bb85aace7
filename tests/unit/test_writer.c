/* output/writer: what is put comes out whole and in order, or it is said why not. */
#include "output/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

/* A pipe with a name, so that the writer can open it. */
static char folder[] = "/tmp/scan-writer-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/out", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static int open_reader(void)
{
	int fd;

	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void put(struct writer *writer, const char *text)
{
	writer_put(writer, text, strlen(text));
}

static void expect_file(const char *wanted)
{
	char    text[1000];
	int     fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof text - 1);

	assert_true(length >= 0);
	text[length] = '\0';
	assert_string_equal(text, wanted);
	close(fd);
}

/* Read at least a byte. */
static size_t read_some(int fd, char *bytes, size_t size)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t       count;

	assert_int_equal(poll(&ready, 1, 5000), 1);
	count = read(fd, bytes, size);
	assert_true(count >= 0);
	return (size_t)count;
}

/* --- files ----------------------------------------------------------------------------------- */

static void makes_a_file_anew_or_adds_to_it(void **state)
{
	struct writer *writer;

	(void)state;
	unlink(path);
	writer = writer_open(path, false);
	assert_false(writer_terminal(writer));
	put(writer, "one\n");
	put(writer, "two\n");
	assert_int_equal(writer_close(writer), 0);
	expect_file("one\ntwo\n");
	writer = writer_open(path, true);
	put(writer, "three\n");
	assert_int_equal(writer_close(writer), 0);
	expect_file("one\ntwo\nthree\n");
	writer = writer_open(path, false);
	assert_int_equal(writer_close(writer), 0);
	expect_file("");
}

static void says_why_a_file_cannot_be_opened(void **state)
{
	(void)state;
	errno = 0;
	assert_null(writer_open("/proc/nonexistent/out", false));
	assert_int_equal(errno, ENOENT);
	errno = 0;
	assert_null(writer_open("/tmp", false));
	assert_int_equal(errno, EISDIR);
}

/* --- when ------------------------------------------------------------------------------------ */

static void what_is_flushed_is_out_before_the_end(void **state)
{
	int            reader = open_reader();
	struct writer *writer = writer_open(path, false);
	char           text[100];

	(void)state;
	put(writer, "one\n");
	writer_flush(writer);
	assert_int_equal(read_some(reader, text, sizeof text), 4);
	assert_memory_equal(text, "one\n", 4);
	put(writer, "two\n");
	put(writer, "three\n");
	writer_flush(writer);
	assert_int_equal(read_some(reader, text, sizeof text), 10);
	assert_memory_equal(text, "two\nthree\n", 10);
	assert_int_equal(writer_close(writer), 0);
	assert_int_equal(read_some(reader, text, sizeof text), 0);
	close(reader);
}

enum { THREADS = 4, LINES = 2000 };

static void put_lines(void *argument)
{
	static atomic_int
	    started; /* a thread's address may be used again by one that starts when it has ended */
	struct writer *writer = argument;
	int            number = atomic_fetch_add(&started, 1);
	char           line[100];

	for (int i = 0; i < LINES; i++) {
		int length = snprintf(line, sizeof line, "thread%d %d %s\n", number, i,
		                      "so that it is not too short");

		writer_put(writer, line, (size_t)length);
		if (i % 7 == 0)
			writer_flush(writer);
	}
}

static void lines_of_several_threads_stay_whole_and_in_order(void **state)
{
	struct writer *writer;
	uv_thread_t    threads[THREADS];
	char           line[100], who[THREADS][30] = { "" };
	int            next[THREADS] = { 0 };
	FILE          *file;

	(void)state;
	unlink(path);
	writer = writer_open(path, false);
	for (int i = 0; i < THREADS; i++)
		uv_thread_create(&threads[i], put_lines, writer);
	for (int i = 0; i < THREADS; i++)
		uv_thread_join(&threads[i]);
	assert_int_equal(writer_close(writer), 0);
	file = fopen(path, "re");
	for (int i = 0; i < THREADS * LINES; i++) {
		char name[30], rest[60];
		int  number, thread = 0;

		assert_non_null(fgets(line, sizeof line, file));
		assert_int_equal(sscanf(line, "%29s %d %59[^\n]", name, &number, rest), 3);
		assert_string_equal(rest, "so that it is not too short");
		while (thread < THREADS - 1 && who[thread][0] && strcmp(who[thread], name) != 0)
			thread++;
		strcpy(who[thread], name);
		assert_int_equal(number, next[thread]++);
	}
	assert_null(fgets(line, sizeof line, file));
	fclose(file);
}

/* --- too much, and too late ------------------------------------------------------------------ */

static atomic_int nudges;

static void nudge(void *owner)
{
	assert_ptr_equal(owner, &nudges);
	atomic_fetch_add(&nudges, 1);
}

static void wait_for_nudge(void)
{
	for (int i = 0; i < 5000 && atomic_load(&nudges) == 0; i++)
		usleep(1000);
	assert_true(atomic_load(&nudges) > 0);
}

/* The stream of lines that is put: "line 0000001\n" and so on, from which each byte is known by its place. */
enum { STREAM_LINE = 13 };

static size_t put_stream(struct writer *writer, size_t lines_before, size_t lines)
{
	for (size_t i = lines_before; i < lines_before + lines; i++) {
		char line[STREAM_LINE + 1];

		snprintf(line, sizeof line, "line %07u\n", (unsigned)i % 10000000);
		writer_put(writer, line, STREAM_LINE);
	}
	return lines;
}

static void check_stream(const char *bytes, size_t place, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char line[STREAM_LINE + 1];

		snprintf(line, sizeof line, "line %07u\n", (unsigned)((place + i) / STREAM_LINE) % 10000000);
		assert_int_equal(bytes[i], line[(place + i) % STREAM_LINE]);
	}
}

static void is_full_while_nobody_reads_and_says_when_there_is_room(void **state)
{
	static char    bytes[32768];
	int            reader = open_reader();
	struct writer *writer = writer_open(path, false);
	size_t         lines = 0, out = 0, count;

	(void)state;
	atomic_store(&nudges, 0);
	writer_listen(writer, nudge, &nudges);
	while (!writer_full(writer)) {
		lines += put_stream(writer, lines, 100);
		writer_flush(writer);
		assert_true(lines * STREAM_LINE < (size_t)3 * WRITER_QUEUE);
	}
	assert_true(lines * STREAM_LINE >= (size_t)WRITER_QUEUE);
	assert_true(writer_full(writer));
	assert_false(writer_broken(writer));
	assert_int_equal(atomic_load(&nudges), 0);
	lines += put_stream(writer, lines, 1); /* what is under way is still taken */
	while (out + sizeof bytes < lines * STREAM_LINE) {
		count = read_some(reader, bytes, sizeof bytes);
		check_stream(bytes, out, count);
		out += count;
	}
	wait_for_nudge();
	assert_false(writer_full(writer));
	assert_int_equal(writer_close(writer), 0); /* the rest fits into the pipe */
	while ((count = read_some(reader, bytes, sizeof bytes)) > 0) {
		check_stream(bytes, out, count);
		out += count;
	}
	assert_int_equal(out, lines * STREAM_LINE);
	close(reader);
}

static void a_reader_that_leaves_breaks_it(void **state)
{
	int            reader = open_reader();
	struct writer *writer = writer_open(path, false);

	(void)state;
	atomic_store(&nudges, 0);
	writer_listen(writer, nudge, &nudges);
	assert_false(writer_broken(writer));
	close(reader);
	put(writer, "one\n");
	writer_flush(writer);
	wait_for_nudge();
	assert_true(writer_broken(writer));
	put(writer, "two\n");
	assert_false(writer_full(writer));
	assert_int_equal(writer_close(writer), EPIPE);
}

static void a_reader_that_leaves_is_noticed_without_a_write(void **state)
{
	int            reader = open_reader();
	struct writer *writer = writer_open(path, false);

	(void)state;
	assert_false(writer_broken(writer));
	close(reader);
	assert_true(writer_broken(writer));
	assert_int_equal(writer_close(writer), EPIPE);
}

static void a_full_disk_breaks_it(void **state)
{
	struct writer *writer = writer_open("/dev/full", false);

	(void)state;
	atomic_store(&nudges, 0);
	writer_listen(writer, nudge, &nudges);
	put(writer, "one\n");
	writer_flush(writer);
	wait_for_nudge();
	assert_true(writer_broken(writer));
	assert_int_equal(writer_close(writer), ENOSPC);
	writer = writer_open("/dev/full", false);
	put(writer, "not flushed\n");
	assert_int_equal(writer_close(writer), ENOSPC);
}

static void knows_a_terminal(void **state)
{
	int            master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct writer *writer;

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master) + unlockpt(master), 0);
	writer = writer_open(ptsname(master), false);
	assert_true(writer_terminal(writer));
	assert_int_equal(writer_close(writer), 0);
	close(master);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_a_file_anew_or_adds_to_it),
		cmocka_unit_test(says_why_a_file_cannot_be_opened),
		cmocka_unit_test(what_is_flushed_is_out_before_the_end),
		cmocka_unit_test(lines_of_several_threads_stay_whole_and_in_order),
		cmocka_unit_test(is_full_while_nobody_reads_and_says_when_there_is_room),
		cmocka_unit_test(a_reader_that_leaves_breaks_it),
		cmocka_unit_test(a_reader_that_leaves_is_noticed_without_a_write),
		cmocka_unit_test(a_full_disk_breaks_it),
		cmocka_unit_test(knows_a_terminal),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
