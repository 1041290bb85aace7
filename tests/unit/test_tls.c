/* net/tls and net/certificate: a machine of bytes, tried against OpenSSL's own server side. */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct tls_context *context;

/* --- certificates ---------------------------------------------------------------------------- */

struct paper {
	EVP_PKEY *key;
	X509     *certificate;
};

static void add_names(X509 *certificate, const char *names)
{
	X509V3_CTX      with;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&with, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &with, NID_subject_alt_name, names);
	assert_non_null(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

/* Self-signed, for `subject`, with alternative `names` (may be NULL), valid `from` to `until` seconds from now. */
static struct paper make_paper(EVP_PKEY *key, const char *subject, const char *names, long from, long until)
{
	struct paper paper = { key, X509_new() };
	X509_NAME   *name = X509_get_subject_name(paper.certificate);

	X509_set_version(paper.certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(paper.certificate), 7);
	X509_gmtime_adj(X509_getm_notBefore(paper.certificate), from);
	X509_gmtime_adj(X509_getm_notAfter(paper.certificate), until);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)subject, -1, -1, 0);
	X509_set_issuer_name(paper.certificate, name);
	X509_set_pubkey(paper.certificate, paper.key);
	if (names)
		add_names(paper.certificate, names);
	assert_true(X509_sign(paper.certificate, paper.key, EVP_sha256()) > 0);
	return paper;
}

static void free_paper(struct paper *paper)
{
	X509_free(paper->certificate);
	EVP_PKEY_free(paper->key);
}

/* --- the two ends ---------------------------------------------------------------------------- */

struct ends {
	SSL_CTX       *server_context;
	SSL           *server;
	BIO           *in, *out;
	struct tls    *client;
	struct failure failure;
};

static SSL_CTX *server_context(const struct paper *paper)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(ssl, 0);
	assert_int_equal(SSL_CTX_use_certificate(ssl, paper->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ssl, paper->key), 1);
	return ssl;
}

static void begin(struct ends *ends, enum tls_manner manner, const char *name)
{
	failure_clear(&ends->failure);
	ends->server = SSL_new(ends->server_context);
	ends->in = BIO_new(BIO_s_mem());
	ends->out = BIO_new(BIO_s_mem());
	SSL_set_bio(ends->server, ends->in, ends->out);
	SSL_set_accept_state(ends->server);
	ends->client = tls_new(context, manner, name);
	assert_non_null(ends->client);
}

static void end(struct ends *ends)
{
	tls_free(ends->client);
	SSL_free(ends->server);
}

/* With a P-256 certificate for mail.test that everything else needs no more than. */
static int open_ends(void **state)
{
	struct ends *ends = calloc(1, sizeof *ends);
	struct paper paper = make_paper(EVP_EC_gen("P-256"), "mail.test", "DNS:mail.test,IP:127.0.0.1", -3600,
	                                864000);

	context = tls_context_new();
	ends->server_context = server_context(&paper);
	free_paper(&paper);
	*state = ends;
	return context ? 0 : -1;
}

static int close_ends(void **state)
{
	struct ends *ends = *state;

	SSL_CTX_free(ends->server_context);
	free(ends);
	tls_context_free(context);
	return 0;
}

static void use_paper(struct ends *ends, struct paper paper)
{
	SSL_CTX_free(ends->server_context);
	ends->server_context = server_context(&paper);
	free_paper(&paper);
}

static void to_server(struct ends *ends)
{
	char   bytes[4096];
	size_t count;

	while ((count = tls_take(ends->client, bytes, sizeof bytes)) > 0)
		BIO_write(ends->in, bytes, (int)count);
	ERR_clear_error();
	if (!SSL_is_init_finished(ends->server))
		SSL_do_handshake(ends->server);
	ERR_clear_error();
}

/* At most `piece` bytes from the server to the client; false if there are none. */
static bool to_client(struct ends *ends, size_t piece)
{
	char bytes[16384];
	int  count = BIO_read(ends->out, bytes, (int)(piece < sizeof bytes ? piece : sizeof bytes));

	return count > 0 && tls_feed(ends->client, bytes, (size_t)count);
}

/* Shake hands, `piece` bytes at a time; the server closes when it has nothing more to say. */
static enum io shake(struct ends *ends, size_t piece)
{
	enum io result;

	while ((result = tls_handshake(ends->client, &ends->failure)) == IO_WANT_READ) {
		to_server(ends);
		if (!to_client(ends, piece))
			tls_feed_end(ends->client);
	}
	to_server(ends);
	return result;
}

static enum io try(struct ends *ends, enum tls_manner manner, const char *name)
{
	enum io result;

	begin(ends, manner, name);
	result = shake(ends, SIZE_MAX);
	end(ends);
	return result;
}

static void expect_failure(const struct ends *ends, const char *code, const char *message)
{
	assert_string_equal(phase_name(ends->failure.phase), "tls");
	assert_string_equal(ends->failure.code, code);
	if (message)
		assert_string_equal(ends->failure.message, message);
}

/* --- shaking hands --------------------------------------------------------------------------- */

static void shakes_hands_whatever_the_cut(void **state)
{
	struct ends *ends = *state;

	for (size_t piece = 1; piece <= 4096; piece = piece < 8 ? piece + 1 : piece * 2) {
		char   bytes[100];
		size_t length;

		begin(ends, TLS_STRICT, "mail.test");
		assert_int_equal(shake(ends, piece), IO_DONE);
		assert_string_equal(tls_stage(ends->client), "after the handshake");
		assert_int_equal(SSL_write(ends->server, "220 hello\r\n", 11), 11);
		while (tls_read(ends->client, bytes, sizeof bytes, &length, &ends->failure) == IO_WANT_READ)
			assert_true(to_client(ends, piece));
		assert_int_equal(length, 11);
		assert_memory_equal(bytes, "220 hello\r\n", 11);
		assert_int_equal(tls_write(ends->client, "QUIT\r\n", 6, &ends->failure), IO_DONE);
		to_server(ends);
		assert_int_equal(SSL_read(ends->server, bytes, sizeof bytes), 6);
		assert_memory_equal(bytes, "QUIT\r\n", 6);
		end(ends);
	}
}

static void reads_no_more_than_there_is_room_for(void **state)
{
	struct ends *ends = *state;
	char         bytes[4];
	size_t       length;

	begin(ends, TLS_STRICT, "mail.test");
	assert_int_equal(shake(ends, SIZE_MAX), IO_DONE);
	SSL_write(ends->server, "abcdefghij", 10);
	while (to_client(ends, SIZE_MAX))
		continue;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tls_read(ends->client, bytes, sizeof bytes, &length, &ends->failure),
		                 IO_DONE);
		assert_int_equal(length, i < 2 ? 4 : 2);
		assert_memory_equal(bytes, &"abcdefghij"[4 * i], length);
	}
	assert_int_equal(tls_read(ends->client, bytes, sizeof bytes, &length, &ends->failure), IO_WANT_READ);
	end(ends);
}

static void writes_much_at_once(void **state)
{
	static char  sent[100000], heard[100000];
	struct ends *ends = *state;
	int          had = 0;

	memset(sent, 'x', sizeof sent);
	begin(ends, TLS_STRICT, "mail.test");
	assert_int_equal(shake(ends, SIZE_MAX), IO_DONE);
	assert_int_equal(tls_write(ends->client, sent, 0, &ends->failure), IO_DONE);
	assert_int_equal(tls_write(ends->client, sent, sizeof sent, &ends->failure), IO_DONE);
	to_server(ends);
	while (had < (int)sizeof heard) {
		int count = SSL_read(ends->server, heard + had, (int)sizeof heard - had);

		assert_true(count > 0);
		had += count;
	}
	assert_memory_equal(heard, sent, sizeof sent);
	end(ends);
}

static void says_good_bye_once_it_has_shaken_hands(void **state)
{
	struct ends *ends = *state;
	char         bytes[4096];

	begin(ends, TLS_STRICT, "mail.test");
	tls_goodbye(ends->client);
	assert_int_equal(tls_take(ends->client, bytes, sizeof bytes), 0);
	assert_int_equal(shake(ends, SIZE_MAX), IO_DONE);
	tls_goodbye(ends->client);
	to_server(ends);
	assert_int_equal(SSL_get_error(ends->server, SSL_read(ends->server, bytes, sizeof bytes)),
	                 SSL_ERROR_ZERO_RETURN);
	end(ends);
}

static void an_end_is_an_end_with_a_good_bye_or_without(void **state)
{
	struct ends *ends = *state;
	char         bytes[100];
	size_t       length;

	for (int polite = 0; polite < 2; polite++) {
		begin(ends, TLS_STRICT, "mail.test");
		assert_int_equal(shake(ends, SIZE_MAX), IO_DONE);
		SSL_write(ends->server, "bye", 3);
		if (polite)
			SSL_shutdown(ends->server);
		while (to_client(ends, SIZE_MAX))
			continue;
		tls_feed_end(ends->client);
		assert_int_equal(tls_read(ends->client, bytes, sizeof bytes, &length, &ends->failure),
		                 IO_DONE);
		assert_int_equal(length, 3);
		assert_int_equal(tls_read(ends->client, bytes, sizeof bytes, &length, &ends->failure),
		                 IO_EOF);
		end(ends);
	}
}

/* --- the name -------------------------------------------------------------------------------- */

static char asked_for[300];

static int keep_name(SSL *ssl, int *alert, void *argument)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)argument;
	snprintf(asked_for, sizeof asked_for, "%s", name ? name : "");
	return SSL_TLSEXT_ERR_OK;
}

static int refuse_name(SSL *ssl, int *alert, void *argument)
{
	(void)ssl;
	(void)argument;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void sends_names_and_no_addresses(void **state)
{
	static const struct {
		const char *name, *sent;
	} cases[] = {
		{ "mail.test", "mail.test" }, { "localhost", "localhost" },
		{ "127.0.0.1", "" },          { "::1", "" },
		{ "fe80::1%lo", "" },         { NULL, "" },
	};
	struct ends *ends = *state;
	char         endless[300];

	SSL_CTX_set_tlsext_servername_callback(ends->server_context, keep_name);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		strcpy(asked_for, "?");
		assert_int_equal(try(ends, TLS_STRICT, cases[i].name), IO_DONE);
		assert_string_equal(asked_for, cases[i].sent);
	}
	memset(endless, 'x', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	assert_int_equal(try(ends, TLS_STRICT, endless), IO_DONE);
	assert_string_equal(asked_for, "");
}

static void knows_a_complaint_of_the_name(void **state)
{
	struct ends *ends = *state;

	SSL_CTX_set_tlsext_servername_callback(ends->server_context, refuse_name);
	assert_int_equal(try(ends, TLS_STRICT, "mail.test"), IO_FAILED);
	expect_failure(ends, "tls-alert", "the server sent alert 112, unrecognized name");
	assert_true(tls_name_unknown(&ends->failure));
	failure_set(&ends->failure, PHASE_TLS, "tls-alert", "the server sent alert 40");
	assert_false(tls_name_unknown(&ends->failure));
}

/* --- facts ----------------------------------------------------------------------------------- */

static json_t *facts_for(struct ends *ends, const char *name)
{
	json_t *facts;

	begin(ends, TLS_STRICT, name);
	assert_int_equal(shake(ends, SIZE_MAX), IO_DONE);
	facts = tls_facts(ends->client);
	assert_non_null(facts);
	end(ends);
	return facts;
}

static const char *text_of(const json_t *facts, const char *key)
{
	return json_string_value(json_object_get(facts, key));
}

static void tells_of_the_session_and_the_certificate(void **state)
{
	struct ends  *ends = *state;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned      length;
	char          wanted[100] = "";
	json_t       *facts = facts_for(ends, "mail.test");

	X509_digest(SSL_CTX_get0_certificate(ends->server_context), EVP_sha256(), digest, &length);
	for (unsigned i = 0; i < length; i++)
		snprintf(wanted + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(text_of(facts, "version"), "TLSv1.3");
	assert_non_null(strstr(text_of(facts, "cipher"), "TLS_"));
	assert_string_equal(text_of(facts, "subject"), "CN=mail.test");
	assert_string_equal(text_of(facts, "issuer"), "CN=mail.test");
	assert_string_equal(text_of(facts, "key"), "EC 256");
	assert_string_equal(text_of(facts, "sha256"), wanted);
	assert_int_equal(json_array_size(json_object_get(facts, "names")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(facts, "names"), 0)),
	                    "mail.test");
	assert_string_equal(json_string_value(json_array_get(json_object_get(facts, "names"), 1)),
	                    "127.0.0.1");
	assert_true(json_is_false(json_object_get(facts, "verified")));
	assert_string_equal(text_of(facts, "verify_error"), "self-signed certificate");
	json_decref(facts);
}

static void there_are_no_facts_before_a_hello(void **state)
{
	struct ends *ends = *state;

	begin(ends, TLS_STRICT, "mail.test");
	assert_null(tls_facts(ends->client));
	tls_handshake(ends->client, &ends->failure);
	assert_null(tls_facts(ends->client));
	end(ends);
}

/* Seconds from now, and the whole days that are left of them. */
static void counts_days(void **state)
{
	static const struct {
		long until;
		int  days;
	} cases[] = {
		{ 86400 * 10 + 600, 10 }, { 86400 - 600, 0 }, { 600, 0 }, { -600, -1 }, { -86400 - 600, -2 }
	};
	struct ends *ends = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t   *facts;
		struct tm date;
		char      wanted[40];
		time_t    until = time(NULL) + cases[i].until;

		use_paper(ends, make_paper(EVP_EC_gen("P-256"), "x", NULL, -864000, cases[i].until));
		facts = facts_for(ends, "mail.test");
		assert_int_equal(json_integer_value(json_object_get(facts, "days_left")), cases[i].days);
		gmtime_r(&until, &date);
		strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M", &date);
		assert_memory_equal(text_of(facts, "not_after"), wanted, 13); /* to the hour */
		json_decref(facts);
	}
}

static void keeps_sixteen_names(void **state)
{
	struct ends *ends = *state;
	char         names[1000] = "DNS:n0";
	json_t      *facts;

	for (int i = 1; i < 50; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names), ",DNS:n%d", i);
	use_paper(ends, make_paper(EVP_EC_gen("P-256"), "x", names, -60, 86400));
	facts = facts_for(ends, "mail.test");
	assert_int_equal(json_array_size(json_object_get(facts, "names")), 16);
	json_decref(facts);
}

static void keeps_the_bytes_of_a_hostile_subject(void **state)
{
	struct ends *ends = *state;
	json_t      *facts;

	use_paper(ends, make_paper(EVP_EC_gen("P-256"), "a\033[2J\u202eb\u00e4",
	                           "DNS:*.test,URI:http://x/\033", -60, 86400));
	facts = facts_for(ends, "mail.test");
	assert_string_equal(text_of(facts, "subject"), "CN=a\033[2J\u202eb\u00e4");
	assert_string_equal(json_string_value(json_array_get(json_object_get(facts, "names"), 0)), "*.test");
	json_decref(facts);
}

/* --- old and weak servers -------------------------------------------------------------------- */

static void expect_legacy_cures(struct ends *ends)
{
	assert_int_equal(try(ends, TLS_STRICT, "mail.test"), IO_FAILED);
	assert_true(tls_curable(&ends->failure));
	assert_int_equal(try(ends, TLS_LEGACY, "mail.test"), IO_DONE);
}

static void reaches_old_versions_with_legacy_settings_only(void **state)
{
	static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION };
	struct ends     *ends = *state;

	for (size_t i = 0; i < 2; i++) {
		SSL_CTX_set_min_proto_version(ends->server_context, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(ends->server_context, versions[i]);
		expect_legacy_cures(ends);
	}
	SSL_CTX_set_max_proto_version(ends->server_context, TLS1_2_VERSION);
	assert_int_equal(try(ends, TLS_STRICT, "mail.test"), IO_DONE);
	assert_int_equal(try(ends, TLS_LEGACY, "mail.test"), IO_DONE);
}

static void reaches_sha1_and_small_keys_with_legacy_settings_only(void **state)
{
	struct ends *ends = *state;

	use_paper(ends, make_paper(EVP_RSA_gen(2048), "mail.test", NULL, -60, 86400));
	assert_int_equal(try(ends, TLS_STRICT, "mail.test"), IO_DONE);
	SSL_CTX_set_max_proto_version(ends->server_context, TLS1_2_VERSION);
	SSL_CTX_set1_sigalgs_list(ends->server_context, "RSA+SHA1");
	expect_legacy_cures(ends);

	use_paper(ends, make_paper(EVP_RSA_gen(1024), "mail.test", NULL, -60, 86400));
	SSL_CTX_set_max_proto_version(ends->server_context, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(ends->server_context, "DHE-RSA-AES128-SHA256:@SECLEVEL=0");
	SSL_CTX_set_dh_auto(ends->server_context, 1); /* as small as the key */
	expect_legacy_cures(ends);
}

/* --- what goes wrong ------------------------------------------------------------------------- */

static enum io answer(struct ends *ends, const char *bytes, size_t length)
{
	enum io result;

	begin(ends, TLS_STRICT, "mail.test");
	assert_int_equal(tls_handshake(ends->client, &ends->failure), IO_WANT_READ);
	for (size_t i = 0; i < length; i++)
		assert_true(tls_feed(ends->client, bytes + i, 1));
	result = tls_handshake(ends->client, &ends->failure);
	end(ends);
	return result;
}

static void plain_text_is_quoted_the_same_whatever_the_cut(void **state)
{
	static const char text[] = "220 mail.test ESMTP\r\nmore";
	struct ends      *ends = *state;

	for (size_t at = 1; at < sizeof text - 1; at++) {
		begin(ends, TLS_STRICT, "mail.test");
		assert_true(tls_feed(ends->client, text, at));
		assert_int_equal(tls_handshake(ends->client, &ends->failure),
		                 at < 20 ? IO_WANT_READ : IO_FAILED);
		assert_true(tls_feed(ends->client, text + at, sizeof text - 1 - at));
		assert_int_equal(tls_handshake(ends->client, &ends->failure), IO_FAILED);
		expect_failure(ends, "not-tls", "the server answered in plain text: 220 mail.test ESMTP");
		assert_false(tls_curable(&ends->failure));
		end(ends);
	}
}

static void plain_text_without_an_end_is_quoted_when_no_more_comes(void **state)
{
	struct ends *ends = *state;
	char         much[300];

	begin(ends, TLS_STRICT, "mail.test");
	assert_true(tls_feed(ends->client, "what?", 5));
	assert_int_equal(tls_handshake(ends->client, &ends->failure), IO_WANT_READ);
	tls_overdue(ends->client, 2, &ends->failure);
	expect_failure(ends, "not-tls", "the server answered in plain text: what?");
	failure_clear(&ends->failure);
	tls_feed_end(ends->client);
	assert_int_equal(tls_handshake(ends->client, &ends->failure), IO_FAILED);
	expect_failure(ends, "not-tls", "the server answered in plain text: what?");
	end(ends);
	memset(much, 'x', sizeof much);
	assert_int_equal(answer(ends, much, sizeof much), IO_FAILED);
	expect_failure(ends, "not-tls", NULL);
}

static void silence_and_an_end_are_told_with_how_far_it_came(void **state)
{
	struct ends *ends = *state;

	begin(ends, TLS_STRICT, "mail.test");
	assert_int_equal(tls_handshake(ends->client, &ends->failure), IO_WANT_READ);
	tls_overdue(ends->client, 10, &ends->failure);
	expect_failure(ends, "timeout", "no TLS handshake within 10 s (before the server's hello)");
	tls_feed_end(ends->client);
	assert_int_equal(tls_handshake(ends->client, &ends->failure), IO_FAILED);
	expect_failure(ends, "closed-early",
	               "the server closed the connection during the handshake, before the server's hello");
	end(ends);
}

/* Cut off after each number of the server's bytes: never done, never a wait, always put into words. */
static void every_cut_of_the_handshake_is_a_failure(void **state)
{
	struct ends *ends = *state;

	SSL_CTX_set_max_proto_version(ends->server_context, TLS1_2_VERSION);
	for (size_t cut = 0; cut < 5000; cut += 13) {
		enum io result;
		size_t  left = cut;

		begin(ends, TLS_STRICT, "mail.test");
		while ((result = tls_handshake(ends->client, &ends->failure)) == IO_WANT_READ) {
			size_t piece = left > 13 ? 13 : left;

			to_server(ends);
			if (piece == 0 || !to_client(ends, piece))
				tls_feed_end(ends->client);
			left -= piece;
		}
		if (result == IO_DONE) {
			end(ends);
			assert_in_range(cut, 500, 4000);
			return;
		}
		expect_failure(ends, "closed-early", NULL);
		assert_non_null(strstr(ends->failure.message, tls_stage(ends->client)));
		end(ends);
	}
	fail_msg("the handshake is never done");
}

static void alerts_are_named(void **state)
{
	static const struct {
		unsigned char number;
		const char   *part;
	} cases[] = { { 40, "handshake failure" },     { 70, "protocol version" },
		      { 80, "internal error" },        { 112, "name" },
		      { 120, "application protocol" }, { 255, "255" } };
	struct ends *ends = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char record[] = { 21, 3, 3, 0, 2, 2, (char)cases[i].number };
		char number[12];

		assert_int_equal(answer(ends, record, sizeof record), IO_FAILED);
		expect_failure(ends, "tls-alert", NULL);
		snprintf(number, sizeof number, "alert %d", cases[i].number);
		assert_non_null(strstr(ends->failure.message, number));
		assert_non_null(strstr(ends->failure.message, cases[i].part));
	}
}

static void a_message_of_ten_megabytes_is_refused(void **state)
{
	static const char record[] = { 22, 3, 3, 0, 4, 2, (char)0x98, (char)0x96, (char)0x80 };
	struct ends      *ends = *state;

	assert_int_equal(answer(ends, record, sizeof record), IO_FAILED);
	expect_failure(ends, "oversize", NULL);
}

/* A server may send what it likes for ever: it comes to an end within bounds. */
static void floods_come_to_an_end(void **state)
{
	static const char warning[] = { 21, 3, 3, 0, 2, 1, 10 }, empty[] = { 22, 3, 3, 0, 0 },
			  hello[] = { 22, 3, 3, 0, 4, 0, 0, 0, 0 };
	static const struct {
		const char *bytes;
		size_t      length;
	} cases[] = { { warning, sizeof warning }, { empty, sizeof empty }, { hello, sizeof hello } };
	struct ends *ends = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum io result = IO_WANT_READ;
		size_t  fed = 0;

		begin(ends, TLS_STRICT, "mail.test");
		while (result == IO_WANT_READ && fed < 1000000) {
			result = tls_handshake(ends->client, &ends->failure);
			tls_feed(ends->client, cases[i].bytes, cases[i].length);
			fed += cases[i].length;
		}
		assert_int_equal(result, IO_FAILED);
		assert_in_range(fed, 1, 200000);
		end(ends);
	}
}

static void nonsense_behind_a_good_beginning_fails(void **state)
{
	struct ends *ends = *state;
	unsigned     seed = 3;

	for (int round = 0; round < 500; round++) {
		char bytes[200] = { 22, 3, 3 };

		for (size_t i = 3; i < sizeof bytes; i++)
			bytes[i] = (char)rand_r(&seed);
		bytes[3] = 0;
		bytes[4] = 100;
		assert_int_equal(answer(ends, bytes, sizeof bytes), IO_FAILED);
		assert_true(failure_present(&ends->failure));
	}
}

/* OpenSSL keeps errors in a queue of the thread: what one connection left there is not another's. */
static void a_failure_of_one_is_none_of_another(void **state)
{
	static const char nonsense[] = { 22, 3, 3, 0, 4, 1, 2, 3, 4 };
	struct ends      *ends = *state;
	char              bytes[10];
	size_t            length;
	enum io           result;

	begin(ends, TLS_STRICT, "mail.test");
	while ((result = tls_handshake(ends->client, &ends->failure)) == IO_WANT_READ) {
		struct tls    *other = tls_new(context, TLS_STRICT, "mail.test");
		struct failure failure;

		tls_handshake(other, &failure);
		tls_feed(other, nonsense, sizeof nonsense);
		assert_int_equal(tls_handshake(other, &failure), IO_FAILED);
		ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH, __FILE__, __LINE__);
		to_server(ends);
		ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH, __FILE__, __LINE__);
		assert_true(to_client(ends, 50));
		tls_free(other);
	}
	assert_int_equal(result, IO_DONE);
	ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH, __FILE__, __LINE__);
	while (to_client(ends, SIZE_MAX))
		continue;
	assert_int_equal(tls_read(ends->client, bytes, sizeof bytes, &length, &ends->failure), IO_WANT_READ);
	ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH, __FILE__, __LINE__);
	assert_int_equal(tls_write(ends->client, "x", 1, &ends->failure), IO_DONE);
	end(ends);
}

static void a_server_that_wants_a_certificate_says_so(void **state)
{
	struct ends *ends = *state;

	SSL_CTX_set_max_proto_version(ends->server_context, TLS1_2_VERSION);
	SSL_CTX_set_verify(ends->server_context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	assert_int_equal(try(ends, TLS_STRICT, "mail.test"), IO_FAILED);
	expect_failure(ends, "client-certificate", NULL);
}

/* --- the other side -------------------------------------------------------------------------- */

static void serves_openssl_too(void **state)
{
	struct failure      failure;
	struct tls_context *serving = tls_context_new_server(NULL, &failure);
	SSL_CTX            *client_context = SSL_CTX_new(TLS_client_method());
	SSL                *client = SSL_new(client_context);
	BIO                *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	struct tls         *server;
	char                bytes[4096];
	int                 count;

	(void)state;
	assert_non_null(serving);
	assert_true(tls_context_serves(serving));
	server = tls_new(serving, TLS_STRICT, NULL);
	SSL_set_bio(client, in, out);
	SSL_set_connect_state(client);
	for (int round = 0; round < 4; round++) {
		SSL_do_handshake(client);
		while ((count = BIO_read(out, bytes, sizeof bytes)) > 0)
			tls_feed(server, bytes, (size_t)count);
		tls_handshake(server, &failure);
		while ((count = (int)tls_take(server, bytes, sizeof bytes)) > 0)
			BIO_write(in, bytes, count);
	}
	assert_true(SSL_is_init_finished(client));
	assert_int_equal(tls_handshake(server, &failure), IO_DONE);
	tls_free(server);
	SSL_free(client);
	SSL_CTX_free(client_context);
	tls_context_free(serving);
	assert_null(tls_context_new_server("/proc/nonexistent.pem", &failure));
	assert_true(failure_present(&failure));
}

#define with_ends(test) cmocka_unit_test_setup_teardown(test, open_ends, close_ends)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		with_ends(shakes_hands_whatever_the_cut),
		with_ends(reads_no_more_than_there_is_room_for),
		with_ends(writes_much_at_once),
		with_ends(says_good_bye_once_it_has_shaken_hands),
		with_ends(an_end_is_an_end_with_a_good_bye_or_without),
		with_ends(sends_names_and_no_addresses),
		with_ends(knows_a_complaint_of_the_name),
		with_ends(tells_of_the_session_and_the_certificate),
		with_ends(there_are_no_facts_before_a_hello),
		with_ends(counts_days),
		with_ends(keeps_sixteen_names),
		with_ends(keeps_the_bytes_of_a_hostile_subject),
		with_ends(reaches_old_versions_with_legacy_settings_only),
		with_ends(reaches_sha1_and_small_keys_with_legacy_settings_only),
		with_ends(plain_text_is_quoted_the_same_whatever_the_cut),
		with_ends(plain_text_without_an_end_is_quoted_when_no_more_comes),
		with_ends(silence_and_an_end_are_told_with_how_far_it_came),
		with_ends(every_cut_of_the_handshake_is_a_failure),
		with_ends(alerts_are_named),
		with_ends(a_message_of_ten_megabytes_is_refused),
		with_ends(floods_come_to_an_end),
		with_ends(nonsense_behind_a_good_beginning_fails),
		with_ends(a_failure_of_one_is_none_of_another),
		with_ends(a_server_that_wants_a_certificate_says_so),
		with_ends(serves_openssl_too),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
