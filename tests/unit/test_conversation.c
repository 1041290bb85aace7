/* workbench/conversation: the file, as people write it and as it is written down, and what is wrong with one. */
#include "workbench/conversation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char path[] = "x.conversation";

static struct conversation parse(const char *text)
{
	struct conversation conversation;
	struct buffer       problems;

	buffer_init(&problems, 10000);
	if (!conversation_parse(&conversation, path, text, strlen(text), &problems))
		fail_msg("%.*s", (int)buffer_length(&problems), buffer_bytes(&problems));
	assert_int_equal(buffer_length(&problems), 0);
	buffer_free(&problems);
	return conversation;
}

/* All of the problems, as they are told. */
static void expect_problems(const char *text, const char *wanted)
{
	struct conversation conversation;
	struct buffer       problems;

	buffer_init(&problems, 10000);
	assert_false(conversation_parse(&conversation, path, text, strlen(text), &problems));
	if (buffer_length(&problems) != strlen(wanted) ||
	    memcmp(buffer_bytes(&problems), wanted, strlen(wanted)) != 0)
		fail_msg("told:\n%.*swanted:\n%s", (int)buffer_length(&problems), buffer_bytes(&problems),
		         wanted);
	buffer_free(&problems);
	conversation_free(&conversation);
}

static void expect_problem(const char *line, const char *problem)
{
	char text[500], wanted[500];

	snprintf(text, sizeof text, "service: smtp\nS: 220 hi\n%s\n", line);
	snprintf(wanted, sizeof wanted, "%s:3: %s\n", path, problem);
	expect_problems(text, wanted);
}

static void expect_words(const struct phrase *words, const char *bytes)
{
	if (!phrase_fits(words, bytes, strlen(bytes)))
		fail_msg("the words are not \"%s\"", bytes);
}

/* --- reading --------------------------------------------------------------------------------- */

static void a_head_says_who_talks(void **state)
{
	struct conversation conversation = parse("# comment\r\n"
	                                         "service: smtp\r\n"
	                                         "script: mine.lua\n"
	                                         "port: 2525\n"
	                                         "host:   mx.example  \n"
	                                         "address: 2001:db8::1\n"
	                                         "local: 2001:db8::2\n"
	                                         "arg: smtp.ehlo=a b=c\n"
	                                         "arg: smtp.more=1\n"
	                                         "reply-timeout: 0.5\n"
	                                         "connect-timeout: 1\n"
	                                         "deadline: 7\n");
	struct head        *head = &conversation.head;
	char                text[ADDRESS_TEXT];

	(void)state;
	assert_string_equal(head->service, "smtp");
	assert_string_equal(head->script, "mine.lua");
	assert_int_equal(head->port, 2525);
	assert_string_equal(head->host, "mx.example");
	address_format(&head->address, text);
	assert_string_equal(text, "2001:db8::1");
	address_format(&head->local, text);
	assert_string_equal(text, "2001:db8::2");
	assert_int_equal(head->argument_count, 2);
	assert_string_equal(head->arguments[0], "smtp.ehlo=a b=c");
	assert_true(head->reply_timeout > 0.49 && head->reply_timeout < 0.51);
	assert_true(head->deadline > 6.9);
	conversation_free(&conversation);
}

static void what_the_head_leaves_out_is_usual(void **state)
{
	struct conversation conversation = parse("service: smtp\n");
	char                text[ADDRESS_TEXT];

	(void)state;
	assert_string_equal(conversation.head.host, "server.example");
	address_format(&conversation.head.address, text);
	assert_string_equal(text, "192.0.2.7");
	address_format(&conversation.head.local, text);
	assert_string_equal(text, "192.0.2.4");
	assert_int_equal(conversation.head.port, 0);
	conversation_free(&conversation);
	conversation = parse("service: smtp\naddress: 2001:db8::7\n");
	address_format(&conversation.head.local, text);
	assert_string_equal(text, "2001:db8::4"); /* of the same family */
	conversation_free(&conversation);
}

static void each_line_is_a_turn(void **state)
{
	static const struct {
		enum turn_kind kind;
		unsigned       line, connection;
		const char    *words;
	} wanted[] = {
		{ TURN_SAYS, 2, 1, "220-hello\r\n" },
		{ TURN_BORDER, 3, 0, NULL },
		{ TURN_SAYS, 4, 1, "220 " },
		{ TURN_PAUSES, 5, 0, NULL },
		{ TURN_SAYS, 6, 1, "there\r\n" },
		{ TURN_SAYS, 7, 1, "in one\r\n" },
		{ TURN_HEARS, 9, 1, "EHLO x\r\n" },
		{ TURN_HEARS, 11, 1, "\1\2" },
		{ TURN_SECURES, 12, 1, NULL },
		{ TURN_SECURES, 13, 1, NULL },
		{ TURN_HELLO, 14, 2, NULL },
		{ TURN_CONNECTS, 15, 3, NULL },
		{ TURN_SAYS, 16, 3, " two spaces\r\n" },
		{ TURN_SAYS, 17, 3, "\r\n" },
		{ TURN_REPEATS, 18, 1, "more\r\n" },
		{ TURN_CLOSES, 19, 2, NULL },
		{ TURN_RESETS, 20, 3, NULL },
	};
	struct conversation conversation = parse("service: smtp\n"
	                                         "S: 220-hello\n"
	                                         "|\n"
	                                         "S- 220\\x20\n"
	                                         "+0.25s\n"
	                                         "S: there\n"
	                                         "S+ in one\n"
	                                         "\n"
	                                         "C: EHLO {any}\n"
	                                         "# comment\n"
	                                         "C- \\x01\\x02\n"
	                                         "T: starttls\n"
	                                         "T: TLSv1.3 TLS_AES_256_GCM_SHA384\n"
	                                         "T2: hello\n"
	                                         "C3! connect 17\n"
	                                         "S3:  two spaces\n"
	                                         "S3:\n"
	                                         "S* more\n"
	                                         "S2! close\n"
	                                         "S3! reset");

	(void)state;
	assert_int_equal(conversation.turn_count, sizeof wanted / sizeof *wanted);
	for (size_t i = 0; i < conversation.turn_count; i++) {
		assert_int_equal(conversation.turns[i].kind, wanted[i].kind);
		assert_int_equal(conversation.turns[i].line, wanted[i].line);
		assert_int_equal(conversation.turns[i].connection, wanted[i].connection);
		if (wanted[i].words)
			expect_words(&conversation.turns[i].words, wanted[i].words);
	}
	assert_true(conversation.turns[5].glued);
	assert_true(conversation.turns[6].whole_line);
	assert_false(conversation.turns[7].whole_line);
	assert_int_equal(conversation.turns[11].port, 17);
	assert_true(conversation.turns[3].seconds > 0.24 && conversation.turns[3].seconds < 0.26);
	conversation_free(&conversation);
}

static void marks_are_what_the_head_says(void **state)
{
	struct conversation conversation = parse("service: smtp\nport: 25\nhost: mx.example\n"
	                                         "C: {host} {port} {address} {local}\n");

	(void)state;
	expect_words(&conversation.turns[0].words, "mx.example 25 192.0.2.7 192.0.2.4\r\n");
	conversation_free(&conversation);
}

static void what_is_reported_comes_in_two_ways(void **state)
{
	struct conversation conversation = parse("service: smtp\n"
	                                         "R: 220 \\x1b[2J {any}\n"
	                                         "R:\n"
	                                         "R= {\"state\": \"open\",\n"
	                                         "# comment\n"
	                                         "R=  \"error\": null}\n");

	(void)state;
	assert_int_equal(conversation.line_count, 2);
	assert_int_equal(conversation.lines[0].line, 2);
	assert_string_equal(conversation.lines[0].text, "220 \\x1b[2J {any}");
	expect_words(&conversation.lines[0].words, "220 \\x1b[2J x"); /* it is as printed: no escapes */
	assert_int_equal(conversation.record_line, 4);
	assert_string_equal(json_string_value(json_object_get(conversation.record, "state")), "open");
	assert_true(json_is_null(json_object_get(conversation.record, "error")));
	conversation_free(&conversation);
}

/* --- problems -------------------------------------------------------------------------------- */

static void all_problems_are_told_at_once(void **state)
{
	(void)state;
	expect_problems("sevice: smtp\n"
	                "port: 0\n"
	                "address: nowhere\n"
	                "S: x\n"
	                "host: late\n"
	                "C: \\q\n",
	                "x.conversation:1: the head has no \"sevice\"; did you mean service?\n"
	                "x.conversation:2: wants a port from 1 to 65535, not \"0\"\n"
	                "x.conversation:3: \"nowhere\" is not an IP address\n"
	                "x.conversation:4: the head has no \"service: NAME\", whose probe is to be run\n"
	                "x.conversation:5: the head must come before what is said, and what is said begins "
	                "with S:, C: or "
	                "T:\n"
	                "x.conversation:6: a backslash wants r, n, t, 0, e, xNN or another one behind it\n");
}

static void a_head_holds_what_can_be(void **state)
{
	char many[33 * 12 + 1] = "";

	(void)state;
	for (int i = 0; i < 33; i++)
		strcat(many, "arg: a.b=c\n");
	expect_problems("what is this\n"
	                "service:\n"
	                "host:\n"
	                "reply-timeout: soon\n"
	                "deadline: -1\n"
	                "connect-timeout: 86401\n"
	                "arg: ehlo=me\n"
	                "arg: smtp.ehlo\n",
	                "x.conversation:1: neither a line of the head (NAME: VALUE) nor something said (S:, "
	                "C:, T:) or reported (R:)\n"
	                "x.conversation:2: wants 1 to 63 bytes\n"
	                "x.conversation:3: wants 1 to 255 bytes\n"
	                "x.conversation:4: wants seconds above 0, not \"soon\"\n"
	                "x.conversation:5: wants seconds above 0, not \"-1\"\n"
	                "x.conversation:6: wants seconds above 0, not \"86401\"\n"
	                "x.conversation:7: wants PROBE.NAME=VALUE, not \"ehlo=me\"\n"
	                "x.conversation:8: wants PROBE.NAME=VALUE, not \"smtp.ehlo\"\n"
	                "x.conversation:8: the head has no \"service: NAME\", whose probe is to be run\n");
	expect_problems(many,
	                "x.conversation:33: more than 32 arguments\n"
	                "x.conversation:33: the head has no \"service: NAME\", whose probe is to be run\n");
}

static void problems_name_the_way_out(void **state)
{
	static const char unknown[] =
	    "a line begins with S: S- S+ S* S! C: C- C! T: T= R: R= or with | + #, not with \"%.3s\"";
	char wanted[200];

	(void)state;
	for (const char *const *line =
	         (const char *const[]){ "X: y", "S", "S; x", "C* x", "T- x", "R2: x", "S0: x", NULL };
	     *line; line++) {
		snprintf(wanted, sizeof wanted, unknown, *line);
		expect_problem(*line, wanted);
	}
	expect_problem("S! clsoe", "S! wants close or reset, not \"clsoe\"");
	expect_problem("C! conect 7", "C! wants connect and a port, not \"conect 7\"");
	expect_problem("C! connect x", "wants a port from 1 to 65535, not \"x\"");
	expect_problem("T: startls", "T: wants starttls or hello, not \"startls\"");
	expect_problem("+soon", "+ wants seconds, not \"soon\"");
	expect_problem("C- {any}",
	               "in C- the end of a mark cannot be known; say {any:N}, with the number of bytes");
	expect_problem("C-", "C- without words");
	expect_problem("S2+ x", "S+ has nothing before it to come in one piece with");
	expect_problem("R= [1]", "what was reported must be an object, like {\"error\": null}");
	expect_problem("reply-timeout: 3",
	               "the head must come before what is said, and what is said begins with S:, C: or T:");
}

static void behind_the_end_nothing_is_said(void **state)
{
	static const char wanted[] =
	    "x.conversation:3: behind the end of the connection nothing more can be said on it\n";

	(void)state;
	expect_problems("service: smtp\nS! close\nC: QUIT\n", wanted);
	expect_problems("service: smtp\nS* x\nS: y\n", wanted);
	expect_problems("service: smtp\nS! reset\nT: hello\n", wanted);
}

static void a_fault_of_json_has_its_line(void **state)
{
	struct conversation conversation;
	struct buffer       problems;
	static const char   text[] =
	    "service: smtp\nS: x\nR= {\"state\": \"open\",\n# comment\nR= \"error\" null}\n";

	(void)state;
	buffer_init(&problems, 1000);
	assert_false(conversation_parse(&conversation, path, text, strlen(text), &problems));
	assert_true(buffer_append(&problems, "", 1));
	assert_non_null(strstr(buffer_bytes(&problems), "x.conversation:5: what was reported is not JSON"));
	buffer_free(&problems);
	conversation_free(&conversation);
}

static void a_nul_is_told(void **state)
{
	struct conversation conversation;
	struct buffer       problems;

	(void)state;
	buffer_init(&problems, 1000);
	assert_false(conversation_parse(&conversation, path, "service: x\nS: a\0b\n", 18, &problems));
	assert_true(buffer_append(&problems, "", 1));
	assert_string_equal(buffer_bytes(&problems), "x.conversation:2: a NUL byte; say \\0\n");
	buffer_free(&problems);
	conversation_free(&conversation);
}

static void a_file_that_is_not_there_is_told(void **state)
{
	struct conversation conversation;
	struct buffer       problems;

	(void)state;
	buffer_init(&problems, 1000);
	assert_false(conversation_read(&conversation, "/nonexistent/x", &problems));
	assert_true(buffer_append(&problems, "", 1));
	assert_string_equal(buffer_bytes(&problems), "/nonexistent/x: No such file or directory\n");
	buffer_free(&problems);
	conversation_free(&conversation);
}

/* --- writing --------------------------------------------------------------------------------- */

struct happening {
	unsigned    connection;
	double      ms;
	enum event  event;
	const char *bytes;
};

/* What is written down of what happens, with the head's three first lines left out. */
static void expect_notes(const struct happening *happenings, size_t count, const char *wanted)
{
	struct notes        notes;
	struct head         head;
	struct buffer       text, problems;
	struct conversation conversation;
	const char         *said;

	notes_init(&notes);
	for (size_t i = 0; i < count; i++)
		notes_event(&notes, happenings[i].connection, happenings[i].ms, happenings[i].event,
		            happenings[i].bytes, happenings[i].bytes ? strlen(happenings[i].bytes) : 0);
	head_init(&head);
	strcpy(head.service, "smtp");
	buffer_init(&text, CONVERSATION_BYTES);
	buffer_init(&problems, 10000);
	conversation_write(&text, "about", &head, &notes, NULL);
	assert_true(buffer_append(&text, "", 1));
	said = strstr(buffer_bytes(&text), "service: smtp\n\n");
	assert_non_null(said);
	assert_string_equal(said + strlen("service: smtp\n\n"), wanted);
	if (!conversation_parse(&conversation, path, buffer_bytes(&text), buffer_length(&text) - 1,
	                        &problems))
		fail_msg("%.*s", (int)buffer_length(&problems), buffer_bytes(&problems));
	conversation_free(&conversation);
	buffer_free(&text);
	buffer_free(&problems);
	notes_free(&notes);
}

#define EXPECT_NOTES(wanted, ...)                               \
	expect_notes((const struct happening[]){ __VA_ARGS__ }, \
	             sizeof(const struct happening[]){ __VA_ARGS__ } / sizeof(struct happening), wanted)

static void segments_and_silences_are_kept(void **state)
{
	(void)state;
	EXPECT_NOTES("S: 220-a\nS: 220 b\n"
	             "C: EHLO x\n"
	             "+0.250\n"
	             "S- 250 o\n"
	             "|\n"
	             "S: k\n"
	             "|\n"
	             "S- bare\\n\n"
	             "+1.000\n"
	             "S! close\n",
	             { 1, 0, EVENT_CONNECTED, NULL }, { 1, 5, EVENT_RECEIVED, "220-a\r\n220 b\r\n" },
	             { 1, 6, EVENT_SENT, "EHLO x\r\n" }, { 1, 256, EVENT_RECEIVED, "250 o" },
	             { 1, 257, EVENT_RECEIVED, "k\r\n" }, { 1, 258, EVENT_RECEIVED, "bare\n" },
	             { 1, 1258, EVENT_ENDED, NULL }, { 1, 1300, EVENT_CLOSED, NULL });
}

static void tls_is_told_where_it_begins(void **state)
{
	(void)state;
	EXPECT_NOTES("C: STLS\nS: +OK\nT: TLSv1.3 X\nS: in secret\n", { 1, 0, EVENT_SENT, "STLS\r\n" },
	             { 1, 0, EVENT_RECEIVED, "+OK\r\n" }, { 1, 0, EVENT_SECURED, "TLSv1.3 X" },
	             { 1, 0, EVENT_RECEIVED, "in secret\r\n" });
}

static void a_failed_handshake_can_be_played(void **state)
{
	(void)state;
	EXPECT_NOTES("T: hello\nS: 400 Bad\n",
	             { 1, 0, EVENT_BROKEN, "the server answered in plain text: 400 Bad" });
	EXPECT_NOTES("T: hello\nS- \\x15\\x03\\x03\\x00\\x02\\x02(\n",
	             { 1, 0, EVENT_BROKEN, "the server sent alert 40, handshake failure" });
	EXPECT_NOTES("T: hello\n# the server closed the connection during the handshake\nS! close\n",
	             { 1, 0, EVENT_ENDED, NULL },
	             { 1, 0, EVENT_BROKEN, "the server closed the connection during the handshake" });
	EXPECT_NOTES("T: hello\n# no TLS handshake within 10 s\n",
	             { 1, 0, EVENT_BROKEN, "no TLS handshake within 10 s" });
}

static void injected_text_comes_in_one_piece(void **state)
{
	(void)state;
	EXPECT_NOTES("S: 220 hi\nC: STARTTLS\nS: 220 go\nS+ 250 a\nS+ 250 b\n# plain text where TLS should "
	             "start: 250 a\n",
	             { 1, 0, EVENT_RECEIVED, "220 hi\r\n" }, { 1, 0, EVENT_SENT, "STARTTLS\r\n" },
	             { 1, 0, EVENT_RECEIVED, "220 go\r\n" }, { 1, 50, EVENT_RECEIVED, "250 a\r\n250 b\r\n" },
	             { 1, 50, EVENT_BROKEN, "plain text where TLS should start: 250 a" });
}

static void connections_are_told_apart(void **state)
{
	(void)state;
	EXPECT_NOTES("S: one\nS2: two\nC2: x\nS2! reset\nC: y\n", { 1, 0, EVENT_RECEIVED, "one\r\n" },
	             { 2, 1, EVENT_RECEIVED, "two\r\n" }, { 2, 2, EVENT_SENT, "x\r\n" },
	             { 2, 3, EVENT_RESET, NULL }, { 1, 4, EVENT_SENT, "y\r\n" });
	EXPECT_NOTES("S2: two\nS2! close\n", { 2, 1, EVENT_RECEIVED, "two\r\n" },
	             { 2, 3, EVENT_ENDED, NULL });
}

static void an_endless_server_is_cut(void **state)
{
	struct notes notes;
	char         zeros[1000] = "";

	(void)state;
	memset(zeros, 1, sizeof zeros);
	notes_init(&notes);
	for (int i = 0; i < 1000; i++)
		notes_event(&notes, 1, i, EVENT_RECEIVED, zeros, sizeof zeros);
	assert_true(notes.cut);
	assert_true(buffer_length(&notes.lines) <= 256 * 1024);
	notes_free(&notes);
}

static void a_head_is_written_without_what_is_usual(void **state)
{
	struct notes  notes;
	struct head   head;
	struct buffer text;

	(void)state;
	notes_init(&notes);
	buffer_init(&text, CONVERSATION_BYTES);
	head_init(&head);
	strcpy(head.service, "smtp");
	strcpy(head.script, "x.lua");
	strcpy(head.host, "mx.example");
	address_parse(&head.local, "127.0.0.1");
	head.port = 25;
	head.reply_timeout = 0.5;
	assert_true(head_add_argument(&head, "smtp.ehlo=me"));
	conversation_write(&text, "about", &head, &notes, NULL);
	assert_true(buffer_append(&text, "", 1));
	assert_string_equal(buffer_bytes(&text),
	                    "# about\nservice: smtp\nscript: x.lua\nport: 25\nhost: mx.example\n"
	                    "local: 127.0.0.1\narg: smtp.ehlo=me\nreply-timeout: 0.5\n\n");
	head_free(&head);
	buffer_free(&text);
	notes_free(&notes);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_says_who_talks),
		cmocka_unit_test(what_the_head_leaves_out_is_usual),
		cmocka_unit_test(each_line_is_a_turn),
		cmocka_unit_test(marks_are_what_the_head_says),
		cmocka_unit_test(what_is_reported_comes_in_two_ways),
		cmocka_unit_test(all_problems_are_told_at_once),
		cmocka_unit_test(a_head_holds_what_can_be),
		cmocka_unit_test(problems_name_the_way_out),
		cmocka_unit_test(behind_the_end_nothing_is_said),
		cmocka_unit_test(a_fault_of_json_has_its_line),
		cmocka_unit_test(a_nul_is_told),
		cmocka_unit_test(a_file_that_is_not_there_is_told),
		cmocka_unit_test(segments_and_silences_are_kept),
		cmocka_unit_test(tls_is_told_where_it_begins),
		cmocka_unit_test(a_failed_handshake_can_be_played),
		cmocka_unit_test(injected_text_comes_in_one_piece),
		cmocka_unit_test(connections_are_told_apart),
		cmocka_unit_test(an_endless_server_is_cut),
		cmocka_unit_test(a_head_is_written_without_what_is_usual),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
