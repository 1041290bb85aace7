/* Fuzzing of the client's side of TLS.
 *
 * The input: a byte of choices, the size of the pieces in which bytes are fed, and then either what a server sends,
 * as it is; or what becomes of the words of a real one on the way: how many bytes to let pass, what to do, ...
 */
#include "net/tls.h"
#include "fuzz.h"

#include <openssl/err.h>

enum { LEGACY = 1, BETWEEN = 2, NAMED = 4 };
enum { CHUNK = 16 * 1024, WORDS = 1024 * 1024, TURNS = 200 };
enum { FLIP, INSERT, DROP, STOP, OPERATIONS };

static struct tls_context *client, *server;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct failure failure;

	(void)argc;
	(void)argv;
	setenv("SSL_CERT_FILE", "/dev/null", 1);
	setenv("SSL_CERT_DIR", "/dev/null", 1);
	client = tls_context_new();
	server = tls_context_new_server(NULL, &failure);
	return client && server ? 0 : 1;
}

static struct tls *new_client(unsigned choices)
{
	struct tls *tls = tls_new(client, choices & LEGACY ? TLS_LEGACY : TLS_STRICT,
	                          choices & NAMED ? "server.example" : NULL);

	if (!tls)
		exit(0);
	return tls;
}

/* --- as a connection would do ---------------------------------------------------------------- */

static void drop_words(struct tls *tls)
{
	char bytes[CHUNK];

	while (tls_take(tls, bytes, sizeof bytes) > 0)
		;
}

/* Go as far as it goes with what was fed: the handshake, and then whatever can be read. */
static enum io advance(struct tls *tls, bool *secure, struct failure *failure)
{
	char    bytes[CHUNK];
	size_t  length;
	enum io result = *secure ? IO_DONE : tls_handshake(tls, failure);

	if (result != IO_DONE)
		return result;
	*secure = true;
	while ((result = tls_read(tls, bytes, sizeof bytes, &length, failure)) == IO_DONE)
		demand(length > 0 && length <= sizeof bytes, "what is read has a length");
	return result;
}

static void check_failure(const struct failure *failure)
{
	demand(failure->phase == PHASE_TLS, "the phase is tls");
	demand(failure->code[0] != '\0', "a failure has a code");
	demand_message(failure->message, sizeof failure->message);
}

/* --- bytes of nobody's ----------------------------------------------------------------------- */

struct result {
	enum io        end;
	struct failure failure;
	json_t        *facts;
};

/* Feed the bytes in pieces of `size`, 0: whole. */
static struct result feed(struct input input, unsigned choices, size_t size)
{
	struct result result = { .end = IO_WANT_READ };
	struct tls   *tls = new_client(choices);
	bool          secure = false;

	result.end = advance(tls, &secure, &result.failure);
	while (input.left > 0 && result.end == IO_WANT_READ) {
		size_t taken = size > 0 && size < input.left ? size : input.left;

		demand(tls_feed(tls, input.bytes, taken), "bytes can be fed");
		input.bytes += taken;
		input.left -= taken;
		result.end = advance(tls, &secure, &result.failure);
		drop_words(tls);
	}
	if (result.end == IO_WANT_READ) {
		tls_feed_end(tls);
		result.end = advance(tls, &secure, &result.failure);
	}
	demand(result.end == IO_FAILED || result.end == IO_EOF, "the end of the stream is the end");
	if (result.end == IO_FAILED)
		check_failure(&result.failure);
	demand(tls_stage(tls)[0] != '\0', "it is known how far the handshake came");
	result.facts = tls_facts(tls);
	tls_free(tls);
	return result;
}

static void check_bytes(struct input input, unsigned choices, size_t size)
{
	struct result whole = feed(input, choices, 0), cut = feed(input, choices, size + 1);

	demand_of(whole.end == cut.end && strcmp(whole.failure.message, cut.failure.message) == 0 &&
	              strcmp(whole.failure.code, cut.failure.code) == 0,
	          "pieces do not matter", cut.failure.message, strlen(cut.failure.message));
	demand((!whole.facts && !cut.facts) || json_equal(whole.facts, cut.facts),
	       "pieces do not change the facts");
	json_decref(whole.facts);
	json_decref(cut.facts);
}

/* --- somebody in between --------------------------------------------------------------------- */

/* What is done to the server's words: `left` of them pass before the next operation. */
struct between {
	struct input script;
	size_t       left;
	bool         touched, stopped;
};

static void next_gap(struct between *between)
{
	between->left = between->script.left > 0
	                    ? take_byte(&between->script) + 4 * (size_t)take_byte(&between->script)
	                    : SIZE_MAX;
}

static void operate(struct between *between, char byte, struct buffer *out)
{
	unsigned operation = take_below(&between->script, OPERATIONS);
	char     with = (char)take_byte(&between->script);

	between->touched = true;
	if (operation == FLIP)
		byte = (char)(byte ^ (with ? with : 1));
	if (operation == INSERT)
		buffer_append(out, &with, 1);
	if (operation == STOP)
		between->stopped = true;
	else if (operation != DROP)
		buffer_append(out, &byte, 1);
	next_gap(between);
}

static void pass_on(struct between *between, const char *bytes, size_t length, struct buffer *out)
{
	for (size_t i = 0; i < length && !between->stopped; i++) {
		if (between->left > 0) {
			between->left--;
			buffer_append(out, bytes + i, 1);
		} else {
			operate(between, bytes[i], out);
		}
	}
}

/* Bring words from one side to the other; false: there are none. */
static bool carry(struct tls *from, struct tls *to, struct between *between)
{
	char          bytes[CHUNK];
	size_t        length;
	struct buffer words;

	buffer_init(&words, WORDS);
	while ((length = tls_take(from, bytes, sizeof bytes)) > 0) {
		if (between)
			pass_on(between, bytes, length, &words);
		else
			buffer_append(&words, bytes, length);
	}
	length = buffer_length(&words);
	tls_feed(to, buffer_bytes(&words), length);
	buffer_free(&words);
	return length > 0;
}

static void greet(struct tls *tls, bool *greeted)
{
	static const char greeting[] = "220 mail.example ESMTP\r\n";
	struct failure    failure;

	if (*greeted)
		return;
	*greeted = true;
	tls_write(tls, greeting, sizeof greeting - 1, &failure);
	tls_goodbye(tls);
}

static void check_between(struct input input, unsigned choices)
{
	struct tls    *ours = new_client(choices), *theirs = tls_new(server, TLS_STRICT, NULL);
	struct between between = { .script = input };
	struct failure failure = { 0 }, other = { 0 };
	enum io        result = IO_WANT_READ;
	bool           secure = false, their_secure = false, greeted = false, busy = true;

	next_gap(&between);
	for (int turn = 0; theirs && result == IO_WANT_READ && busy && turn < TURNS; turn++) {
		result = advance(ours, &secure, &failure);
		busy = carry(ours, theirs, NULL);
		advance(theirs, &their_secure, &other);
		if (their_secure)
			greet(theirs, &greeted);
		busy = carry(theirs, ours, &between) || busy;
	}
	tls_feed_end(ours);
	if (result == IO_WANT_READ)
		result = advance(ours, &secure, &failure);
	demand(result == IO_EOF || result == IO_FAILED, "the end of the stream is the end");
	demand(between.touched || result == IO_EOF, "an honest server is understood");
	if (result == IO_FAILED && !secure)
		check_failure(&failure);
	json_decref(tls_facts(ours));
	tls_free(ours);
	tls_free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = input_of(bytes, size);
	unsigned     choices = take_byte(&input);

	if (choices & BETWEEN)
		check_between(input, choices);
	else
		check_bytes(input, choices, take_byte(&input));
	demand(ERR_peek_error() == 0, "OpenSSL's queue of errors is empty");
	return 0;
}
