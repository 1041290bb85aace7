/* net/conn: one stream, however its bytes are cut; limits, ends, time-outs, TLS on the live connection. */
#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const double patience = 5;

static struct loop *loop;
static struct conn *conn;
static int          peer; /* the server's end, or -1 */

/* --- both ends ------------------------------------------------------------------------------- */

static int open_ends(void **state)
{
	int ends[2];

	(void)state;
	loop = loop_new();
	conn = conn_new(loop);
	if (!loop || !conn || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	peer = ends[1];
	return conn_adopt(conn, ends[0]) == IO_DONE ? 0 : -1;
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static int close_ends(void **state)
{
	(void)state;
	conn_free(conn);
	close_peer();
	loop_free(loop);
	return 0;
}

static void reopen(void)
{
	close_ends(NULL);
	assert_int_equal(open_ends(NULL), 0);
}

static void say_bytes(const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = send(peer, bytes, length, MSG_NOSIGNAL);

		assert_true(count > 0);
		bytes += count;
		length -= (size_t)count;
	}
}

static void say(const char *text)
{
	say_bytes(text, strlen(text));
}

/* What the client said, up to `length` bytes, waiting for that many. */
static void hear(char *bytes, size_t length)
{
	size_t had = 0;

	while (had < length) {
		ssize_t count = recv(peer, bytes + had, length - had, 0);

		assert_true(count > 0);
		had += (size_t)count;
	}
}

static bool peer_hears_nothing(void)
{
	struct pollfd ready = { .fd = peer, .events = POLLIN };

	return poll(&ready, 1, 0) == 0;
}

/* --- waiting --------------------------------------------------------------------------------- */

static int  wakes;
static bool came;

static void woken(void *owner, bool ready)
{
	assert_ptr_equal(owner, conn);
	wakes++;
	came = ready;
	loop_stop(loop);
}

/* Wait for what was wanted; false: the time was over. */
static bool await(enum io want, double seconds)
{
	assert_true(want == IO_WANT_READ || want == IO_WANT_WRITE);
	wakes = 0;
	conn_await(conn, want, clock_after(clock_now(), seconds), woken, conn);
	assert_int_equal(wakes, 0); /* never from inside the call */
	loop_run(loop, NULL, NULL);
	assert_int_equal(wakes, 1);
	return came;
}

static enum io readline(struct line *line)
{
	enum io result;

	while ((result = conn_readline(conn, line)) == IO_WANT_READ)
		if (!await(result, patience))
			fail_msg("no line comes");
	return result;
}

static void expect_line(const char *bytes, size_t length, bool cut)
{
	struct line line;

	if (readline(&line) != IO_DONE)
		fail_msg("%s", conn_failure(conn)->message);
	assert_int_equal(line.length, length);
	assert_memory_equal(line.bytes, bytes, length);
	assert_int_equal(line.cut, cut);
}

static void expect_text(const char *text)
{
	expect_line(text, strlen(text), false);
}

static void expect_failure(enum io result, enum phase phase, const char *code, const char *message)
{
	assert_int_equal(result, IO_FAILED);
	assert_string_equal(phase_name(conn_failure(conn)->phase), phase_name(phase));
	assert_string_equal(conn_failure(conn)->code, code);
	if (message)
		assert_string_equal(conn_failure(conn)->message, message);
}

static void expect_end(void)
{
	struct line line;

	expect_failure(readline(&line), PHASE_READ, "closed-early", "the server closed the connection");
}

/* --- lines ----------------------------------------------------------------------------------- */

/* What a server says, and the lines of it; then it closes. */
struct lines {
	const char *bytes;
	size_t      length;
	size_t      count;
	struct {
		const char *bytes;
		size_t      length;
		bool        cut;
	} line[8];
};

/* Let the conn take what is there, as a caller would, up to a line or a wait. */
static bool try_line(const struct lines *lines, size_t *seen)
{
	struct line line;
	enum io     result = conn_readline(conn, &line);

	if (result != IO_DONE) {
		assert_int_equal(result, IO_WANT_READ);
		return false;
	}
	assert_true(*seen < lines->count);
	assert_int_equal(line.length, lines->line[*seen].length);
	assert_memory_equal(line.bytes, lines->line[*seen].bytes, line.length);
	assert_int_equal(line.cut, lines->line[*seen].cut);
	++*seen;
	return true;
}

/* Let the loop tell of what is there. */
static void run_once(void)
{
	await(IO_WANT_READ, 0);
}

static void check_split(const struct lines *lines, size_t at)
{
	size_t seen = 0;

	reopen();
	say_bytes(lines->bytes, at);
	if (at > 0)
		run_once();
	while (try_line(lines, &seen))
		continue;
	say_bytes(lines->bytes + at, lines->length - at);
	close_peer();
	for (; seen < lines->count; seen++)
		expect_line(lines->line[seen].bytes, lines->line[seen].length, lines->line[seen].cut);
	expect_end();
}

static void check_byte_by_byte(const struct lines *lines)
{
	size_t seen = 0;

	reopen();
	for (size_t i = 0; i < lines->length; i++) {
		say_bytes(lines->bytes + i, 1);
		run_once();
		while (try_line(lines, &seen))
			continue;
	}
	close_peer();
	assert_in_range(seen, lines->count - 1, lines->count); /* one may be without an end */
	for (; seen < lines->count; seen++)
		expect_line(lines->line[seen].bytes, lines->line[seen].length, lines->line[seen].cut);
	expect_end();
}

#define TEXT(text) text, sizeof(text) - 1
#define LINE(text)                            \
	{                                     \
		text, sizeof(text) - 1, false \
	}

static const struct lines forms[] = {
	{ TEXT("220 one\r\n"), 1, { LINE("220 one") } },
	{ TEXT("220 one\n220 two\n"), 2, { LINE("220 one"), LINE("220 two") } },
	{ TEXT("one\r\n\r\n\nfour"), 4, { LINE("one"), LINE(""), LINE(""), LINE("four") } },
	{ TEXT("a\rb\r\r\nc\r"), 2, { LINE("a\rb\r"), LINE("c\r") } },
	{ TEXT("\r\r\n\r"), 2, { LINE("\r"), LINE("\r") } },
	{ TEXT("220 a\0b\r\n\0\n\0"), 3, { LINE("220 a\0b"), LINE("\0"), LINE("\0") } },
	{ TEXT("\xff\xfe\x80\n\n"), 2, { LINE("\xff\xfe\x80"), LINE("") } },
	{ TEXT("no end"), 1, { LINE("no end") } },
};

static void lines_are_the_same_however_they_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		for (size_t at = 0; at <= forms[i].length; at++)
			check_split(&forms[i], at);
		check_byte_by_byte(&forms[i]);
	}
}

/* A line of `length` letters and one of these ends, and another line behind it. */
static void check_long(size_t length, const char *end)
{
	static char  text[CONN_LINE * 6];
	size_t       ended = length + strlen(end);
	size_t       content = strcmp(end, "\n") == 0 ? length : ended - 2;
	bool         cut = content > CONN_LINE;
	struct lines lines = {
		text, ended + 6, 2, { { text, cut ? CONN_LINE : content, cut }, LINE("next") }
	};
	size_t near[] = { 1, CONN_LINE / 2, length - 1, length, ended - 1, ended, ended + 3, 2 * CONN_LINE };

	memset(text, 'x', length);
	memcpy(text + length, end, strlen(end));
	memcpy(text + ended, "next\r\n", 6);
	for (size_t at = CONN_LINE - 3; at <= CONN_LINE + 5; at++)
		if (at <= lines.length)
			check_split(&lines, at);
	for (size_t i = 0; i < sizeof near / sizeof *near; i++)
		if (near[i] <= lines.length)
			check_split(&lines, near[i]);
}

static void a_line_of_4096_bytes_is_whole_and_more_is_cut(void **state)
{
	static const char *const ends[] = { "\n", "\r\n", "\r\r\n", "\r\r\r\n", "x\r\n" };
	static const size_t      lengths[] = { CONN_LINE - 2, CONN_LINE - 1,     CONN_LINE,
		                               CONN_LINE + 1, CONN_LINE + 2,     CONN_LINE * 2 - 1,
		                               CONN_LINE * 2, CONN_LINE * 2 + 1, CONN_LINE * 5 };

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (size_t j = 0; j < sizeof ends / sizeof *ends; j++)
			check_long(lengths[i], ends[j]);
}

static void a_long_line_without_an_end_is_cut_too(void **state)
{
	static char text[CONN_LINE + 10];

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t length = CONN_LINE - 1; length <= CONN_LINE + 2; length++) {
		struct lines lines = { text,
			               length,
			               1,
			               { { text, length > CONN_LINE ? CONN_LINE : length,
			                   length > CONN_LINE } } };

		for (size_t at = CONN_LINE - 2; at <= length; at++)
			check_split(&lines, at);
	}
}

/* --- bytes ----------------------------------------------------------------------------------- */

static enum io read_bytes(size_t count, struct line *bytes)
{
	enum io result;

	while ((result = conn_read(conn, count, bytes)) == IO_WANT_READ)
		if (!await(result, patience))
			fail_msg("no bytes come");
	return result;
}

static void exactly_so_many_bytes_are_read(void **state)
{
	struct line bytes;
	size_t      unread;

	(void)state;
	say("one\r\nabcdefgh");
	expect_text("one");
	assert_int_equal(read_bytes(3, &bytes), IO_DONE);
	assert_int_equal(bytes.length, 3);
	assert_memory_equal(bytes.bytes, "abc", 3);
	assert_memory_equal(conn_unread(conn, &unread), "defgh", 5);
	assert_int_equal(unread, 5);
	assert_int_equal(conn_read(conn, 7, &bytes), IO_WANT_READ);
	say("ijklm\nx");
	assert_int_equal(read_bytes(7, &bytes), IO_DONE);
	assert_memory_equal(bytes.bytes, "defghij", 7);
	expect_text("klm");
	assert_int_equal(read_bytes(0, &bytes), IO_DONE); /* whatever is there */
	assert_int_equal(bytes.length, 1);
	assert_int_equal(conn_read(conn, 0, &bytes), IO_WANT_READ);
	say("yz");
	assert_int_equal(read_bytes(0, &bytes), IO_DONE);
	assert_in_range(bytes.length, 1, 2);
	close_peer();
	if (bytes.length == 1)
		assert_int_equal(read_bytes(1, &bytes), IO_DONE);
	expect_failure(read_bytes(1, &bytes), PHASE_READ, "closed-early", "the server closed the connection");
}

static void bytes_short_of_the_count_are_still_there_for_others(void **state)
{
	struct line bytes;

	(void)state;
	say("abc\ndef");
	close_peer();
	expect_failure(read_bytes(20, &bytes), PHASE_READ, "closed-early", NULL);
	expect_text("abc");
	expect_text("def");
}

static void many_bytes_are_read_at_once(void **state)
{
	static char text[CONN_RECEIVED];
	struct line bytes;

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 7 + i / 251);
	for (size_t sent = 0; sent < sizeof text; sent += 8192)
		say_bytes(text + sent, 8192);
	assert_int_equal(read_bytes(sizeof text - 10, &bytes), IO_DONE);
	assert_int_equal(bytes.length, sizeof text - 10);
	assert_memory_equal(bytes.bytes, text, sizeof text - 10);
	assert_int_equal(read_bytes(10, &bytes), IO_DONE);
	assert_memory_equal(bytes.bytes, text + sizeof text - 10, 10);
}

/* --- limits ---------------------------------------------------------------------------------- */

static void so_many_bytes_are_taken_and_no_more(void **state)
{
	static char text[CONN_RECEIVED + 64];
	struct line line;

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t i = 63; i < sizeof text; i += 64)
		text[i] = '\n';
	say("out of step\n");
	expect_text("out of step");
	say_bytes(text, sizeof text);
	for (int i = 0; i < (CONN_RECEIVED - 12) / 64; i++)
		expect_line(text, 63, false);
	expect_failure(readline(&line), PHASE_READ, "oversize", "more than 64 KiB from the server");
}

static void a_line_without_end_ends_at_the_limit(void **state)
{
	static char text[CONN_RECEIVED * 2];
	struct line line;

	(void)state;
	memset(text, 'x', sizeof text);
	say_bytes(text, sizeof text);
	expect_failure(readline(&line), PHASE_READ, "oversize", NULL);
}

static void so_many_bytes_are_sent_and_no_more(void **state)
{
	static char text[CONN_SENT + 1], heard[CONN_SENT];

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(conn_write(conn, text, CONN_SENT - 100), IO_DONE);
	expect_failure(conn_write(conn, text, 101), PHASE_WRITE, "oversize",
	               "more than 16 KiB to the server");
	assert_int_equal(conn_write(conn, text, 100), IO_DONE);
	expect_failure(conn_write(conn, text, 1), PHASE_WRITE, "oversize", NULL);
	hear(heard, sizeof heard);
	assert_true(peer_hears_nothing());
}

/* --- writing --------------------------------------------------------------------------------- */

static void a_write_goes_on_where_it_stopped(void **state)
{
	static char text[CONN_SENT], heard[CONN_SENT];
	int         small = 1; /* as small as the kernel lets it be */
	int         waits = 0;
	size_t      had = 0;
	enum io     result;
	int         ends[2];

	(void)state;
	conn_free(conn);
	close_peer();
	conn = conn_new(loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	peer = ends[1];
	assert_int_equal(conn_adopt(conn, ends[0]), IO_DONE);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 11 + i / 253);
	while ((result = conn_write(conn, text, sizeof text)) == IO_WANT_WRITE) {
		had += (size_t)recv(peer, heard + had, sizeof heard - had, 0);
		assert_true(await(result, patience));
		waits++;
	}
	assert_int_equal(result, IO_DONE);
	hear(heard + had, sizeof heard - had);
	assert_memory_equal(heard, text, sizeof text);
	assert_true(waits > 0);
	assert_int_equal(conn_write(conn, "", 0), IO_DONE);
}

/* What is reported does not depend on who was the first: the last words are heard, then the end is told. */
static void a_write_to_one_who_left_does_not_hide_the_last_words(void **state)
{
	struct line line;

	(void)state;
	say("421 too many\r\n");
	close_peer();
	assert_int_equal(conn_write(conn, "EHLO\r\n", 6), IO_DONE);
	expect_text("421 too many");
	expect_failure(readline(&line), PHASE_READ, "reset", NULL);
}

static void a_write_that_nobody_takes_is_overdue(void **state)
{
	static char text[CONN_SENT];
	int         small = 1;
	int         ends[2];

	(void)state;
	conn_free(conn);
	close_peer();
	conn = conn_new(loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	peer = ends[1];
	assert_int_equal(conn_adopt(conn, ends[0]), IO_DONE);
	assert_int_equal(conn_write(conn, text, sizeof text), IO_WANT_WRITE);
	assert_false(await(IO_WANT_WRITE, 0.02));
	conn_overdue(conn, 0.02);
	expect_failure(IO_FAILED, PHASE_WRITE, "timeout", "the server took nothing for 0.02 s");
}

/* --- ends ------------------------------------------------------------------------------------ */

static void an_end_without_a_word_is_said_to_be_one(void **state)
{
	struct line line;

	(void)state;
	assert_true(conn_silent(conn));
	close_peer();
	expect_failure(readline(&line), PHASE_READ, "closed-early",
	               "the server closed the connection without a word");
}

static void what_came_before_the_end_is_kept(void **state)
{
	(void)state;
	say("one\r\ntwo");
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	expect_text("one");
	assert_false(conn_silent(conn));
	expect_text("two");
	expect_end();
	expect_end(); /* and again */
}

static void closing_keeps_what_was_read(void **state)
{
	size_t unread;

	(void)state;
	say("one\ntwo\nthree");
	expect_text("one");
	conn_close(conn);
	conn_close(conn);
	assert_false(conn_open(conn));
	assert_memory_equal(conn_unread(conn, &unread), "two\nthree", 9);
	assert_int_equal(unread, 9);
	expect_text("two");
}

/* --- time ------------------------------------------------------------------------------------ */

static void expect_overdue(const char *code, const char *message)
{
	struct line line;

	while (conn_readline(conn, &line) == IO_WANT_READ && await(IO_WANT_READ, 0.02))
		continue;
	assert_false(came);
	conn_overdue(conn, 0.5);
	expect_failure(IO_FAILED, PHASE_READ, code, message);
}

static void a_wait_in_vain_is_put_into_words(void **state)
{
	static char many[CONN_LINE + 100];

	(void)state;
	expect_overdue("timeout", "no greeting within 0.5 s");
	say("220 hel");
	expect_overdue("too-slow", "the line did not end within 0.5 s: 220 hel");
	say("lo\r\n");
	expect_text("220 hello");
	expect_overdue("timeout", "no reply within 0.5 s");
	memset(many, 'x', sizeof many);
	say_bytes(many, sizeof many);
	expect_overdue("too-slow", NULL);
	reopen();
	assert_int_equal(conn_write(conn, "EHLO\r\n", 6), IO_DONE);
	expect_overdue("timeout", "no reply within 0.5 s");
}

static void a_wait_that_is_forgotten_calls_nobody(void **state)
{
	struct line line;

	(void)state;
	assert_int_equal(conn_readline(conn, &line), IO_WANT_READ);
	wakes = 0;
	conn_await(conn, IO_WANT_READ, clock_after(clock_now(), 0.001), woken, conn);
	conn_forget(conn);
	conn_forget(conn);
	say("x\n");
	assert_int_equal(conn_readline(conn, &line), IO_WANT_READ);
	conn_await(conn, IO_WANT_READ, clock_after(clock_now(), patience), woken, conn);
	loop_run(loop, NULL, NULL);
	assert_int_equal(wakes, 1);
	assert_true(came);
	expect_text("x");
}

static void a_wait_for_reading_is_not_ended_by_writability(void **state)
{
	struct line line;

	(void)state;
	assert_int_equal(conn_readline(conn, &line), IO_WANT_READ);
	assert_false(await(IO_WANT_READ, 0.02));
}

/* --- TCP: connecting, addresses, resets ------------------------------------------------------ */

static int listener;

/* A listener on a port of the kernel's choice; its address. */
static struct address listen_tcp(int backlog)
{
	struct address address;
	socklen_t      length;

	assert_true(address_parse(&address, "127.0.0.1"));
	length = address_length(&address);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, &address.socket.any, length), 0);
	if (backlog >= 0)
		assert_int_equal(listen(listener, backlog), 0);
	assert_int_equal(getsockname(listener, &address.socket.any, &length), 0);
	return address;
}

static int open_loop(void **state)
{
	(void)state;
	loop = loop_new();
	conn = conn_new(loop);
	peer = listener = -1;
	return loop && conn ? 0 : -1;
}

static int close_all(void **state)
{
	if (listener >= 0)
		close(listener);
	return close_ends(state);
}

static enum io connect_to(const struct address *address)
{
	enum io result = conn_connect(conn, address);

	while (result == IO_WANT_WRITE) {
		assert_true(await(result, patience));
		result = conn_connected(conn);
	}
	return result;
}

static void open_tcp(void)
{
	struct address address = listen_tcp(5);

	assert_int_equal(connect_to(&address), IO_DONE);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
}

static void connects_and_knows_both_addresses(void **state)
{
	struct address address, local, seen;
	socklen_t      length = sizeof seen;

	(void)state;
	address = listen_tcp(5);
	assert_false(conn_open(conn));
	assert_false(conn_local(conn, &local));
	assert_int_equal(connect_to(&address), IO_DONE);
	assert_int_equal(conn_connected(conn), IO_DONE); /* and still so */
	peer = accept(listener, &seen.socket.any, &length);
	assert_true(conn_open(conn));
	assert_true(conn_local(conn, &local));
	assert_true(address_same(&local, &seen));
	assert_int_equal(address_port(&local), address_port(&seen));
	assert_true(address_same(conn_remote(conn), &address));
	assert_int_equal(address_port(conn_remote(conn)), address_port(&address));
	say("hello\r\n");
	expect_text("hello");
	assert_int_equal(conn_write(conn, "x", 1), IO_DONE);
}

static void a_refusal_leaves_the_conn_fit_for_another_address(void **state)
{
	struct address closed, open;
	int            closed_listener;

	(void)state;
	closed = listen_tcp(-1);
	closed_listener = listener;
	expect_failure(connect_to(&closed), PHASE_CONNECT, "refused", "Connection refused");
	assert_false(conn_open(conn));
	assert_int_equal(conn_failure(conn)->error, ECONNREFUSED);
	open = listen_tcp(5);
	assert_int_equal(connect_to(&open), IO_DONE);
	assert_false(failure_present(conn_failure(conn)));
	peer = accept(listener, NULL, NULL);
	say("hello\n");
	expect_text("hello");
	close(closed_listener);
}

static void a_connect_that_nobody_answers_is_overdue(void **state)
{
	struct address address;
	struct conn   *filler[3];

	(void)state;
	address = listen_tcp(0); /* room for one, and none for the others */
	for (int i = 0; i < 3; i++) {
		filler[i] = conn_new(loop);
		assert_int_not_equal(conn_connect(filler[i], &address), IO_FAILED);
	}
	assert_int_equal(conn_connect(conn, &address), IO_WANT_WRITE);
	assert_false(await(IO_WANT_WRITE, 0.05));
	assert_int_equal(conn_connected(conn), IO_WANT_WRITE);
	conn_overdue(conn, 0.05);
	expect_failure(IO_FAILED, PHASE_CONNECT, "timeout", "Connection timed out");
	assert_false(conn_open(conn));
	for (int i = 0; i < 3; i++)
		conn_free(filler[i]);
}

static void leaves_with_a_reset(void **state)
{
	char byte;

	(void)state;
	open_tcp();
	conn_free(conn);
	conn = NULL;
	assert_int_equal(recv(peer, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void leaves_politely_one_who_left_first(void **state)
{
	char byte;

	(void)state;
	open_tcp();
	say("bye\n");
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	expect_text("bye");
	expect_end();
	conn_free(conn);
	conn = NULL;
	assert_int_equal(recv(peer, &byte, 1, 0), 0);
}

static void reset_peer(void)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close_peer();
}

static void a_reset_is_told_after_what_was_said(void **state)
{
	struct line line;

	(void)state;
	open_tcp();
	say("one\r\ntwo\r\n");
	expect_text("one");
	reset_peer();
	expect_text("two");
	expect_failure(readline(&line), PHASE_READ, "reset", "Connection reset by peer");
}

/* Whoever reads again learns the same. */
static void a_reset_that_ends_a_wait_stays_one(void **state)
{
	struct line line;

	(void)state;
	open_tcp();
	reset_peer();
	assert_true(await(IO_WANT_READ, patience));
	expect_failure(readline(&line), PHASE_READ, "reset", "Connection reset by peer");
	expect_failure(readline(&line), PHASE_READ, "reset", "Connection reset by peer");
}

/* A server that answers and resets in one go was open. */
static void a_reset_at_once_is_no_refusal(void **state)
{
	struct address address;
	struct line    line;
	enum io        result;

	(void)state;
	address = listen_tcp(5);
	result = conn_connect(conn, &address);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	reset_peer();
	while (result == IO_WANT_WRITE) {
		assert_true(await(result, patience));
		result = conn_connected(conn);
	}
	assert_int_equal(result, IO_DONE);
	expect_failure(readline(&line), PHASE_READ, "reset", NULL);
}

/* --- TCP: commands that are put off ----------------------------------------------------------- */

static bool act_once(void *owner)
{
	void (**act)(void) = owner;

	(*act)();
	loop_stop(loop);
	return true;
}

/* As it is done in a scan: from within a turn of the loop. */
static void in_a_turn(void (*act)(void))
{
	loop_run(loop, act_once, &act);
}

static void expect_said(const char *text)
{
	char heard[64];

	hear(heard, strlen(text));
	assert_memory_equal(heard, text, strlen(text));
}

static void write_two_commands(void)
{
	assert_int_equal(conn_write(conn, "one\r\n", 5), IO_DONE);
	assert_int_equal(conn_write(conn, "two\r\n", 5), IO_DONE);
	assert_true(peer_hears_nothing());
}

static void commands_of_a_turn_are_sent_at_its_end(void **state)
{
	(void)state;
	open_tcp();
	in_a_turn(write_two_commands);
	expect_said("one\r\ntwo\r\n");
	say("done\n");
	expect_text("done");
}

static char long_words[3000];

static void write_a_command_and_long_words(void)
{
	assert_int_equal(conn_write(conn, "first\r\n", 7), IO_DONE);
	assert_int_equal(conn_write(conn, long_words, sizeof long_words), IO_DONE);
	assert_false(peer_hears_nothing());
	assert_int_equal(conn_write(conn, "last\r\n", 6), IO_DONE);
}

static void what_is_long_keeps_its_place_among_commands(void **state)
{
	char heard[sizeof long_words];

	(void)state;
	memset(long_words, 'x', sizeof long_words);
	open_tcp();
	in_a_turn(write_a_command_and_long_words);
	expect_said("first\r\n");
	hear(heard, sizeof heard);
	assert_memory_equal(heard, long_words, sizeof heard);
	expect_said("last\r\n");
}

static void write_a_command_and_close(void)
{
	assert_int_equal(conn_write(conn, "QUIT\r\n", 6), IO_DONE);
	conn_close(conn);
}

static void a_command_is_sent_before_the_connection_is_closed(void **state)
{
	(void)state;
	open_tcp();
	in_a_turn(write_a_command_and_close);
	expect_said("QUIT\r\n");
}

static void write_a_command_and_start_tls(void)
{
	struct tls_context *context = tls_context_new();

	assert_int_equal(conn_write(conn, "STARTTLS\r\n", 10), IO_DONE);
	assert_int_equal(conn_starttls(conn, context, TLS_STRICT, NULL), IO_WANT_READ);
	tls_context_free(context);
}

static void a_command_is_sent_before_tls_starts(void **state)
{
	(void)state;
	open_tcp();
	in_a_turn(write_a_command_and_start_tls);
	expect_said("STARTTLS\r\n\x16\x03");
}

/* The connection's descriptor. */
static int own_descriptor(void)
{
	struct address local, seen;

	assert_true(conn_local(conn, &local));
	for (int fd = 0; fd < 100; fd++) {
		socklen_t length = sizeof seen;

		if (getsockname(fd, &seen.socket.any, &length) == 0 && address_same(&seen, &local) &&
		    address_port(&seen) == address_port(&local))
			return fd;
	}
	fail_msg("no descriptor has the address of the connection");
	return -1;
}

/* No event will tell of it. */
static void write_a_command_that_fails(void)
{
	int         null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct line line;

	assert_int_equal(conn_write(conn, "hello?\r\n", 8), IO_DONE);
	assert_int_equal(conn_readline(conn, &line), IO_WANT_READ);
	wakes = 0;
	conn_await(conn, IO_WANT_READ, clock_after(clock_now(), patience), woken, conn);
	assert_true(dup2(null, own_descriptor()) >= 0);
	close(null);
}

static void who_waits_for_an_answer_learns_that_the_command_was_in_vain(void **state)
{
	struct line line;

	(void)state;
	open_tcp();
	in_a_turn(write_a_command_that_fails);
	assert_int_equal(wakes, 1);
	assert_true(came);
	expect_failure(readline(&line), PHASE_WRITE, "system", "Socket operation on non-socket");
	assert_int_equal(conn_write(conn, "x", 1), IO_FAILED);
}

static void fill_the_socket_and_write_a_command(void)
{
	static const char plenty[65536];
	int               fd = own_descriptor();

	while (send(fd, plenty, sizeof plenty, MSG_NOSIGNAL) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(conn_write(conn, "late\r\n", 6), IO_DONE);
}

static bool stop_when_it_came(void *owner)
{
	char bytes[65536];

	(void)owner;
	for (ssize_t count; (count = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
		if (bytes[count - 1] == '\n')
			loop_stop(loop);
	return true;
}

static void a_command_for_which_there_is_no_room_yet_goes_when_there_is(void **state)
{
	(void)state;
	open_tcp();
	in_a_turn(fill_the_socket_and_write_a_command);
	loop_run(loop, stop_when_it_came, NULL);
}

static void urgent_data_is_not_waited_for_in_a_circle(void **state)
{
	(void)state;
	open_tcp();
	assert_int_equal(send(peer, "!", 1, MSG_OOB), 1);
	say("line\r\n");
	expect_text("line");
	expect_overdue("timeout", "no reply within 0.5 s");
}

/* --- TLS ------------------------------------------------------------------------------------- */

/* A server made of OpenSSL alone, whose records go out in pieces of `piece` bytes. */
static struct {
	SSL_CTX *context;
	SSL     *ssl;
	BIO     *in, *out;
	size_t   piece;
} server;

static struct tls_context *client;

static X509 *own_certificate(EVP_PKEY *key)
{
	X509      *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);

	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mail.test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	X509_sign(certificate, key, EVP_sha256());
	return certificate;
}

static void make_server_context(int version)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509     *certificate = own_certificate(key);

	server.context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(server.context, certificate);
	SSL_CTX_use_PrivateKey(server.context, key);
	SSL_CTX_set_max_proto_version(server.context, version);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static int open_tls(void **state)
{
	memset(&server, 0, sizeof server);
	make_server_context(TLS1_3_VERSION);
	client = tls_context_new();
	return client && server.context ? open_ends(state) : -1;
}

static void end_session(void)
{
	SSL_free(server.ssl);
	server.ssl = NULL;
}

static int close_tls(void **state)
{
	close_ends(state);
	end_session();
	SSL_CTX_free(server.context);
	tls_context_free(client);
	return 0;
}

static void begin_session(size_t piece)
{
	server.ssl = SSL_new(server.context);
	server.in = BIO_new(BIO_s_mem());
	server.out = BIO_new(BIO_s_mem());
	SSL_set_bio(server.ssl, server.in, server.out);
	SSL_set_accept_state(server.ssl);
	server.piece = piece;
}

/* Take what the client sent. */
static void take_in(void)
{
	char    bytes[4096];
	ssize_t count;

	while ((count = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		BIO_write(server.in, bytes, (int)count);
}

/* Send a piece of what is due; false if nothing is. */
static bool send_piece(void)
{
	char bytes[4096];
	int  count = BIO_read(server.out, bytes,
	                      (int)(server.piece < sizeof bytes ? server.piece : sizeof bytes));

	if (count <= 0)
		return false;
	say_bytes(bytes, (size_t)count);
	return true;
}

/* Bring the client's handshake to its end; a piece of the server's for each wait. */
static enum io secure(enum tls_manner manner)
{
	enum io result;

	while ((result = conn_starttls(conn, client, manner, "mail.test")) == IO_WANT_READ) {
		take_in();
		ERR_clear_error();
		if (!SSL_is_init_finished(server.ssl))
			SSL_do_handshake(server.ssl);
		assert_true(send_piece());
		assert_true(await(result, patience));
	}
	take_in();
	ERR_clear_error();
	SSL_do_handshake(server.ssl);
	return result;
}

static void speak_secretly(const char *text)
{
	assert_true(SSL_write(server.ssl, text, (int)strlen(text)) > 0);
}

static void expect_secret(const char *text)
{
	struct line line;
	enum io     result;

	while ((result = conn_readline(conn, &line)) == IO_WANT_READ) {
		assert_true(send_piece());
		assert_true(await(result, patience));
	}
	assert_int_equal(result, IO_DONE);
	assert_int_equal(line.length, strlen(text));
	assert_memory_equal(line.bytes, text, line.length);
}

static void expect_heard(const char *text)
{
	char heard[1000];
	int  count;

	take_in();
	count = SSL_read(server.ssl, heard, sizeof heard);
	assert_int_equal(count, (int)strlen(text));
	assert_memory_equal(heard, text, strlen(text));
}

static void becomes_tls_whatever_the_cut_of_the_records(void **state)
{
	static const size_t pieces[] = { 4096, 1, 2, 3, 5, 7, 100, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		reopen();
		begin_session(pieces[i]);
		say("220 ready\r\n");
		expect_text("220 ready");
		assert_false(conn_secure(conn));
		assert_int_equal(secure(TLS_STRICT), IO_DONE);
		assert_true(conn_secure(conn));
		speak_secretly("250-one\r\n250 tw");
		speak_secretly("o\r\nrest");
		expect_secret("250-one");
		expect_secret("250 two");
		assert_int_equal(conn_write(conn, "QUIT\r\n", 6), IO_DONE);
		expect_heard("QUIT\r\n");
		end_session();
	}
}

static void facts_of_tls_are_kept(void **state)
{
	json_t *facts;

	(void)state;
	assert_null(conn_tls_facts(conn));
	begin_session(4096);
	assert_int_equal(secure(TLS_STRICT), IO_DONE);
	conn_close(conn);
	facts = conn_tls_facts(conn);
	assert_string_equal(json_string_value(json_object_get(facts, "version")), "TLSv1.3");
	assert_string_equal(json_string_value(json_object_get(facts, "subject")), "CN=mail.test");
	json_decref(facts);
}

static void closing_says_good_bye(void **state)
{
	char byte;
	int  count;

	(void)state;
	begin_session(4096);
	assert_int_equal(secure(TLS_STRICT), IO_DONE);
	conn_close(conn);
	take_in();
	count = SSL_read(server.ssl, &byte, 1);
	assert_int_equal(SSL_get_error(server.ssl, count), SSL_ERROR_ZERO_RETURN);
}

static void an_end_under_tls_is_an_end_with_a_good_bye_or_without(void **state)
{
	(void)state;
	for (int polite = 0; polite < 2; polite++) {
		reopen();
		begin_session(4096);
		assert_int_equal(secure(TLS_STRICT), IO_DONE);
		speak_secretly("221 bye");
		if (polite)
			SSL_shutdown(server.ssl);
		while (send_piece())
			continue;
		close_peer();
		expect_text("221 bye");
		expect_end();
		end_session();
	}
}

static void the_limit_holds_under_tls(void **state)
{
	static char text[8192 + 1];
	struct line line;
	enum io     result = IO_DONE;
	int         lines = 0;

	(void)state;
	memset(text, 'x', 8192);
	for (int i = 63; i < 8192; i += 64)
		text[i] = '\n';
	begin_session(4096);
	assert_int_equal(secure(TLS_STRICT), IO_DONE);
	for (int i = 0; i < 9; i++)
		speak_secretly(text);
	while ((result = conn_readline(conn, &line)) != IO_FAILED) {
		if (result == IO_DONE)
			lines++;
		else if (send_piece())
			assert_true(await(result, patience));
	}
	assert_int_equal(lines, CONN_RECEIVED / 64);
	expect_failure(result, PHASE_READ, "oversize", "more than 64 KiB from the server");
}

static void plain_text_that_is_left_over_forbids_tls(void **state)
{
	(void)state;
	say("220 go ahead\r\n250-injected\r\n");
	expect_text("220 go ahead");
	expect_failure(conn_starttls(conn, client, TLS_STRICT, "mail.test"), PHASE_TLS,
	               "plaintext-at-starttls", NULL);
	assert_non_null(strstr(conn_failure(conn)->message, "250-injected"));
	assert_true(peer_hears_nothing());
}

/* It is in the socket, but the loop has not been asked since. */
static void plain_text_that_comes_just_before_our_hello_forbids_tls(void **state)
{
	(void)state;
	say("220 go ahead\r\n");
	expect_text("220 go ahead");
	say("250-injected\r\n");
	expect_failure(conn_starttls(conn, client, TLS_STRICT, "mail.test"), PHASE_TLS,
	               "plaintext-at-starttls", NULL);
	assert_non_null(strstr(conn_failure(conn)->message, "250-injected"));
	assert_true(peer_hears_nothing());
}

static enum io handshake_in_vain(void)
{
	enum io result;

	while ((result = conn_starttls(conn, client, TLS_STRICT, "mail.test")) == IO_WANT_READ)
		assert_true(await(result, patience));
	return result;
}

static void plain_text_in_answer_to_our_hello_is_quoted(void **state)
{
	(void)state;
	assert_int_equal(conn_starttls(conn, client, TLS_STRICT, "mail.test"), IO_WANT_READ);
	say("HTTP/1.1 400 Bad Request\r\nServer: x\r\n");
	expect_failure(handshake_in_vain(), PHASE_TLS, "not-tls",
	               "the server answered in plain text: HTTP/1.1 400 Bad Request");
}

/* Before our hello or after it: it is the same fault of the same server. */
static void a_reset_just_before_our_hello_is_one_of_the_handshake(void **state)
{
	(void)state;
	say("220 go ahead\r\n");
	expect_text("220 go ahead");
	assert_int_equal(conn_write(conn, "x", 1), IO_DONE);
	close_peer(); /* what it has not read makes a reset of it */
	expect_failure(conn_starttls(conn, client, TLS_STRICT, "mail.test"), PHASE_TLS, "reset", NULL);
}

static void an_end_or_a_reset_in_the_handshake_is_told(void **state)
{
	(void)state;
	assert_int_equal(conn_starttls(conn, client, TLS_STRICT, "mail.test"), IO_WANT_READ);
	close_peer();
	expect_failure(handshake_in_vain(), PHASE_TLS, conn_failure(conn)->code, NULL);
	assert_true(strcmp(conn_failure(conn)->code, "closed-early") == 0 ||
	            strcmp(conn_failure(conn)->code, "reset") == 0);
	reopen();
	assert_int_equal(conn_starttls(conn, client, TLS_STRICT, "mail.test"), IO_WANT_READ);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	expect_failure(handshake_in_vain(), PHASE_TLS, "closed-early",
	               "the server closed the connection during the handshake, before the server's hello");
}

static void silence_in_the_handshake_is_overdue(void **state)
{
	(void)state;
	assert_int_equal(conn_starttls(conn, client, TLS_STRICT, "mail.test"), IO_WANT_READ);
	assert_false(await(IO_WANT_READ, 0.02));
	conn_overdue(conn, 2);
	expect_failure(IO_FAILED, PHASE_TLS, "timeout",
	               "no TLS handshake within 2 s (before the server's hello)");
}

/* --- observing ------------------------------------------------------------------------------- */

static char observed[1000];

static void observe(struct observer *observer, enum event event, const char *bytes, size_t length)
{
	static const char *const names[] = {
		[EVENT_CONNECTED] = "connected", [EVENT_RECEIVED] = "received", [EVENT_SENT] = "sent",
		[EVENT_SECURED] = "secured",     [EVENT_BROKEN] = "broken",     [EVENT_ENDED] = "ended",
		[EVENT_RESET] = "reset",         [EVENT_CLOSED] = "closed",
	};
	size_t used = strlen(observed);

	(void)observer;
	snprintf(observed + used, sizeof observed - used, "%s(%.*s) ", names[event], (int)length,
	         bytes ? bytes : "");
}

static void an_observer_is_told_what_a_script_sees(void **state)
{
	struct observer observer = { observe };
	struct line     line;
	char            heard[5];

	(void)state;
	observed[0] = '\0';
	conn_observe(conn, &observer);
	say("hello\n");
	expect_text("hello");
	assert_int_equal(conn_write(conn, "QUIT\n", 5), IO_DONE);
	hear(heard, sizeof heard);
	close_peer();
	assert_int_equal(readline(&line), IO_FAILED);
	conn_close(conn);
	conn_close(conn);
	assert_string_equal(observed, "received(hello\n) sent(QUIT\n) ended() closed() ");
}

static void woken_first(void *owner, bool ready)
{
	size_t used = strlen(observed);

	assert_true(ready);
	snprintf(observed + used, sizeof observed - used, "woken ");
	conn_close(owner);
	loop_stop(loop);
}

/* Each of the two would end the other. */
static void all_receive_before_one_is_woken_and_who_is_closed_meanwhile_is_not(void **state)
{
	struct observer observer = { observe };
	struct conn    *other = conn_new(loop);
	int             ends[2];

	(void)state;
	observed[0] = '\0';
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
	assert_int_equal(conn_adopt(other, ends[0]), IO_DONE);
	conn_observe(conn, &observer);
	conn_observe(other, &observer);
	say("one\n");
	assert_int_equal(send(ends[1], "one\n", 4, 0), 4);
	conn_await(conn, IO_WANT_READ, MOMENT_NEVER, woken_first, other);
	conn_await(other, IO_WANT_READ, MOMENT_NEVER, woken_first, conn);
	loop_run(loop, NULL, NULL);
	assert_string_equal(observed, "received(one\n) received(one\n) woken closed() ");
	conn_observe(conn, NULL);
	conn_observe(other, NULL);
	conn_free(other);
	close(ends[1]);
}

#define on_pair(test) cmocka_unit_test_setup_teardown(test, open_ends, close_ends)
#define on_tcp(test)  cmocka_unit_test_setup_teardown(test, open_loop, close_all)
#define on_tls(test)  cmocka_unit_test_setup_teardown(test, open_tls, close_tls)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		on_pair(lines_are_the_same_however_they_are_cut),
		on_pair(a_line_of_4096_bytes_is_whole_and_more_is_cut),
		on_pair(a_long_line_without_an_end_is_cut_too),
		on_pair(exactly_so_many_bytes_are_read),
		on_pair(bytes_short_of_the_count_are_still_there_for_others),
		on_pair(many_bytes_are_read_at_once),
		on_pair(so_many_bytes_are_taken_and_no_more),
		on_pair(a_line_without_end_ends_at_the_limit),
		on_pair(so_many_bytes_are_sent_and_no_more),
		on_pair(a_write_goes_on_where_it_stopped),
		on_pair(a_write_to_one_who_left_does_not_hide_the_last_words),
		on_pair(a_write_that_nobody_takes_is_overdue),
		on_pair(an_end_without_a_word_is_said_to_be_one),
		on_pair(what_came_before_the_end_is_kept),
		on_pair(closing_keeps_what_was_read),
		on_pair(a_wait_in_vain_is_put_into_words),
		on_pair(a_wait_that_is_forgotten_calls_nobody),
		on_pair(a_wait_for_reading_is_not_ended_by_writability),
		on_pair(an_observer_is_told_what_a_script_sees),
		on_pair(all_receive_before_one_is_woken_and_who_is_closed_meanwhile_is_not),
		on_tcp(connects_and_knows_both_addresses),
		on_tcp(a_refusal_leaves_the_conn_fit_for_another_address),
		on_tcp(a_connect_that_nobody_answers_is_overdue),
		on_tcp(leaves_with_a_reset),
		on_tcp(leaves_politely_one_who_left_first),
		on_tcp(a_reset_is_told_after_what_was_said),
		on_tcp(a_reset_that_ends_a_wait_stays_one),
		on_tcp(a_reset_at_once_is_no_refusal),
		on_tcp(commands_of_a_turn_are_sent_at_its_end),
		on_tcp(what_is_long_keeps_its_place_among_commands),
		on_tcp(a_command_is_sent_before_the_connection_is_closed),
		on_tcp(a_command_is_sent_before_tls_starts),
		on_tcp(a_command_for_which_there_is_no_room_yet_goes_when_there_is),
		on_tcp(who_waits_for_an_answer_learns_that_the_command_was_in_vain),
		on_tcp(urgent_data_is_not_waited_for_in_a_circle),
		on_tls(becomes_tls_whatever_the_cut_of_the_records),
		on_tls(facts_of_tls_are_kept),
		on_tls(closing_says_good_bye),
		on_tls(an_end_under_tls_is_an_end_with_a_good_bye_or_without),
		on_tls(the_limit_holds_under_tls),
		on_tls(plain_text_that_is_left_over_forbids_tls),
		on_tls(plain_text_that_comes_just_before_our_hello_forbids_tls),
		on_tls(plain_text_in_answer_to_our_hello_is_quoted),
		on_tls(a_reset_just_before_our_hello_is_one_of_the_handshake),
		on_tls(an_end_or_a_reset_in_the_handshake_is_told),
		on_tls(silence_in_the_handshake_is_overdue),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
