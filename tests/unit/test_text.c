/* output/text: a host's block, line by line, as it becomes known. */
#include "output/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERVICES = 3 };

static struct service services[SERVICES] = { { .name = "one" }, { .name = "two" }, { .name = "three" } };
static struct choice  choices[SERVICES] = { { &services[0], 1 }, { &services[1], 2 }, { &services[2], 3 } };

static struct host      *host;
static struct text_style style;

static int begin(void **state)
{
	struct target target = { .name = "mail.example" };
	struct unit  *unit = calloc(1, sizeof *unit);

	(void)state;
	style = (struct text_style){ false, false, false };
	host = host_new(&target, unit);
	return host_choose(host, choices, SERVICES) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	host_free(host);
	return 0;
}

/* What is new since the last time. */
static void expect(const char *wanted)
{
	struct buffer out;

	buffer_init(&out, 100000);
	text_advance(&out, &style, host);
	assert_true(buffer_append(&out, "", 1));
	assert_string_equal(buffer_bytes(&out), wanted);
	buffer_free(&out);
}

static struct outcome *open_service(int index)
{
	host->outcomes[index].state = STATE_OPEN;
	return &host->outcomes[index];
}

static void close_service(int index)
{
	failure_errno(&host->outcomes[index].failure, PHASE_CONNECT, ECONNREFUSED);
	host->outcomes[index].state = STATE_CLOSED;
	host->outcomes[index].finished = true;
}

static void print(struct outcome *outcome, const char *text)
{
	report_print(&outcome->report, text, strlen(text));
}

static void shows_each_line_as_soon_as_all_before_it_are_known(void **state)
{
	(void)state;
	address_parse(&host->outcomes[0].address, "192.0.2.7"); /* which is told with verbose only */
	expect("Testing mail.example:\n");
	expect("");
	print(open_service(1), "two says");
	host->outcomes[1].finished = true;
	expect(""); /* it is not its turn */
	print(open_service(0), "one says");
	expect("port 1 (one) open.\none says\n");
	expect("");
	print(&host->outcomes[0], "more");
	expect("more\n");
	host->outcomes[0].finished = true;
	expect("port 2 (two) open.\ntwo says\n");
	close_service(2);
	expect("port 3 (three) not open: [connect] Connection refused\n");
	expect("");
}

static void an_open_service_that_failed_says_why_at_its_end(void **state)
{
	(void)state;
	print(open_service(0), "220 x");
	expect("Testing mail.example:\nport 1 (one) open.\n220 x\n");
	failure_set(&host->outcomes[0].failure, PHASE_READ, "timeout", "no reply within 10 s");
	host->outcomes[0].finished = true;
	expect("[read] no reply within 10 s\n");
}

static void a_bug_of_a_script_is_not_in_the_report(void **state)
{
	(void)state;
	open_service(0);
	failure_set(&host->outcomes[0].failure, PHASE_SCRIPT, "script-error", "x.lua:1: no");
	host->outcomes[0].broken = host->outcomes[0].finished = true;
	expect("Testing mail.example:\nport 1 (one) open.\n");
}

static void a_host_without_an_address_is_two_lines(void **state)
{
	(void)state;
	struct failure failure;

	failure_set(&failure, PHASE_RESOLVE, "no-name", "no such name");
	host_fail(host, &failure);
	expect("Testing mail.example:\n[resolve] no such name\n");
}

static void only_open_ones_on_request(void **state)
{
	(void)state;
	style.only_open = true;
	expect("");
	close_service(0);
	expect("");
	print(open_service(1), "hello");
	host->outcomes[1].finished = true;
	expect("Testing mail.example:\nport 2 (two) open.\nhello\n");
	close_service(2);
	expect("");
}

static void an_address_of_many_is_part_of_the_name(void **state)
{
	(void)state;
	host->one_of_many = true;
	host->addresses.count = 1;
	address_parse(&host->addresses.address[0], "2001:db8::7");
	expect("Testing mail.example (2001:db8::7):\n");
}

static void everything_foreign_is_escaped(void **state)
{
	(void)state;
	strcpy(host->target.name, "h\033");
	report_print(&open_service(0)->report, "a\0\033[2J\xff", 7);
	report_warn(&host->outcomes[0].report, "x", "w\x9b", 2);
	failure_set(&host->outcomes[0].failure, PHASE_TLS, "x", "f\r");
	host->outcomes[0].finished = true;
	expect("Testing h\\x1b:\nport 1 (one) open.\na\\x00\\x1b[2J\\xff\nwarning: w\\x9b\n[tls] f\\x0d\n");
}

static void long_lines_end_at_200_columns(void **state)
{
	char          text[1000];
	struct buffer out;
	size_t        place = 0;

	(void)state;
	memset(text, 'x', sizeof text);
	report_print(&open_service(0)->report, text, sizeof text);
	failure_set(&host->outcomes[0].failure, PHASE_READ, "x", "%.300s", text);
	host->outcomes[0].finished = true;
	buffer_init(&out, 10000);
	text_advance(&out, &style, host);
	for (size_t i = 0; i < buffer_length(&out); i++) {
		if (buffer_bytes(&out)[i] != '\n')
			continue;
		assert_in_range(i - place, 1, 200);
		place = i + 1;
	}
	buffer_free(&out);
}

/* Colours begin and end in a line; without them the text is what it is without colour. */
static void colours_change_nothing_else(void **state)
{
	struct buffer out, bare;
	bool          painted = false;

	(void)state;
	style.colour = true;
	print(open_service(0), "hello");
	report_warn(&host->outcomes[0].report, "x", "odd", 3);
	failure_set(&host->outcomes[0].failure, PHASE_READ, "x", "bad");
	host->outcomes[0].finished = true;
	close_service(1);
	buffer_init(&out, 10000);
	buffer_init(&bare, 10000);
	text_advance(&out, &style, host);
	for (const char *at = buffer_bytes(&out), *last = at + buffer_length(&out); at < last; at++) {
		if (*at == '\033') {
			painted = at[2] != '0';
			at = memchr(at, 'm', (size_t)(last - at));
			assert_non_null(at);
			continue;
		}
		if (*at == '\n')
			assert_false(painted);
		buffer_append(&bare, at, 1);
	}
	assert_true(buffer_length(&out) > buffer_length(&bare));
	buffer_append(&bare, "", 1);
	assert_string_equal(buffer_bytes(&bare),
	                    "Testing mail.example:\nport 1 (one) open.\nhello\nwarning: odd\n[read] bad\n"
	                    "port 2 (two) not open: [connect] Connection refused\n");
	buffer_free(&out);
	buffer_free(&bare);
}

static void a_servers_warning_is_not_painted_as_ours(void **state)
{
	struct buffer out;

	(void)state;
	style.colour = true;
	print(open_service(0), "warning: I am the scan");
	buffer_init(&out, 10000);
	text_advance(&out, &style, host);
	buffer_append(&out, "", 1);
	assert_non_null(strstr(buffer_bytes(&out), "\nwarning: I am the scan\n"));
	buffer_free(&out);
}

static void more_is_told_with_verbose(void **state)
{
	(void)state;
	style.verbose = true;
	open_service(0);
	address_parse(&host->outcomes[0].address, "192.0.2.7");
	host->outcomes[0].ms = 12.34;
	host->outcomes[0].finished = true;
	host->outcomes[0].tls = json_pack("{s:s, s:s, s:s, s:[s, s], s:i, s:s}", "version", "TLSv1.3",
	                                  "cipher", "C", "subject", "CN=\033", "names", "a", "b", "days_left",
	                                  7, "verify_error", "no");
	expect("Testing mail.example:\nport 1 (one) open.\n  address: 192.0.2.7, 12.3 ms\n  tls: TLSv1.3\n  "
	       "cipher: C\n"
	       "  subject: CN=\\x1b\n  names: a, b\n  days left: 7\n  not verified: no\n");
}

#define with_host(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_host(shows_each_line_as_soon_as_all_before_it_are_known),
		with_host(an_open_service_that_failed_says_why_at_its_end),
		with_host(a_bug_of_a_script_is_not_in_the_report),
		with_host(a_host_without_an_address_is_two_lines),
		with_host(only_open_ones_on_request),
		with_host(an_address_of_many_is_part_of_the_name),
		with_host(everything_foreign_is_escaped),
		with_host(long_lines_end_at_200_columns),
		with_host(colours_change_nothing_else),
		with_host(a_servers_warning_is_not_painted_as_ours),
		with_host(more_is_told_with_verbose),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
