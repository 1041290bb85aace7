#include "net/tls.h"

#include "net/address.h"
#include "net/certificate.h"

#include <dirent.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FIRST_BYTES of an answer that is not TLS are kept to be quoted. OpenSSL refuses a longer
 * certificate list than CHAIN_BYTES; what a server sends before its Finished is bounded with it. */
enum { FIRST_BYTES = FAILURE_QUOTE, CHAIN_BYTES = 100 * 1024, HANDSHAKE_BYTES = 160 * 1024 };

/* A Diffie-Hellman group of a server's own making, at most: its arithmetic takes some 45 ms, and everybody
 * else waits for that; with 10,000 bits it were more than a second. */
enum { GROUP_BITS = 4096 };

/* Certificates in a list, at most: OpenSSL takes some 0.2 ms for the key in each, whether it is needed or not. */
enum { CERTIFICATES = 48 };

/* How OpenSSL asks whether a key, a group, ... is strong enough. */
typedef int security(const SSL *ssl, const SSL_CTX *context, int what, int bits, int nid, void *key,
                     void *owner);

struct tls_context {
	SSL_CTX  *ssl[2]; /* by manner; a client's is made when it is first needed, a server's stands first */
	security *usual;  /* OpenSSL's own judgement */
	bool      serves;
};

enum nature { UNKNOWN, SPEAKS_TLS, SPEAKS_PLAIN };

struct tls {
	SSL            *ssl;
	BIO            *in, *out; /* owned by ssl */
	enum tls_manner manner;

	enum nature nature;             /* by the first byte that the server sent */
	char        first[FIRST_BYTES]; /* what a server that does not speak TLS said */
	size_t      first_length;
	size_t      fed;    /* bytes fed before the handshake was done */
	bool        asked;  /* the server wants a certificate from us */
	bool        ended;  /* the network has no more */
	bool        costly; /* the server's Diffie-Hellman group is too large */
	bool        crowd;  /* its list of certificates is too long */
	bool        established;
};

static void fail_openssl(const struct tls *tls, struct failure *failure);

/* --- contexts -------------------------------------------------------------------------------- */

/* Everything but anonymous and unencrypted suites: an answer from an old server beats none. A
 * server that could choose an anonymous suite would show no certificate. */
static const char ciphers[] = "ALL:!aNULL:!eNULL:@SECLEVEL=0";

static bool is_hashed(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length == 10 && strcmp(entry->d_name + 8, ".0") == 0;
}

/* A bundle that lies in the folder of hashed links holds the same certificates as they lead to. */
static bool lies_in(const char *file, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(file, folder, length) == 0 && file[length] == '/' && !strchr(file + length + 1, '/');
}

/* The machine's trusted certificates. Reading them all from one file takes some 60 ms, in which the
 * loop would stand still; a folder with a link per hash is asked only for the issuers that are met. */
static void trust(SSL_CTX *ssl)
{
	const char    *given = getenv(X509_get_default_cert_dir_env());
	const char    *folder = given ? given : X509_get_default_cert_dir();
	const char    *file = getenv(X509_get_default_cert_file_env());
	DIR           *entries = opendir(folder);
	struct dirent *entry;
	bool           hashed = false;

	while (entries && !hashed && (entry = readdir(entries)) != NULL)
		hashed = is_hashed(entry);
	if (entries)
		closedir(entries);
	if (hashed && (!file || lies_in(file, folder)))
		SSL_CTX_set_default_verify_dir(ssl);
	else
		SSL_CTX_set_default_verify_paths(ssl);
}

static void be_lenient(SSL_CTX *ssl)
{
	SSL_CTX_set_security_level(ssl, 0);
	SSL_CTX_set_min_proto_version(ssl, TLS1_VERSION);
	SSL_CTX_set_cipher_list(ssl, ciphers);
	SSL_CTX_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
}

static void be_strict(SSL_CTX *ssl)
{
	SSL_CTX_set_security_level(ssl, 2);
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_clear_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
}

/* Without the machine's configuration. What OpenSSL has in all is left to the end of the process: to take it apart takes
 * time, and where memory was short before, OpenSSL 3.0 frees some of it twice. */
static void begin_openssl(void)
{
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
	ERR_clear_error();
}

struct tls_context *tls_context_new(void)
{
	return calloc(1, sizeof(struct tls_context));
}

/* We have no certificate to show; that one was wanted explains what may follow. */
static int asked(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	struct tls *tls = SSL_get_app_data(ssl);

	(void)certificate;
	(void)key;
	tls->asked = true;
	return 0;
}

/* In the groups that everybody knows exponents are short, so that size does not matter. */
static bool is_costly(const EVP_PKEY *key)
{
	char   name[32];
	size_t length;

	return EVP_PKEY_get_bits(key) > GROUP_BITS &&
	       EVP_PKEY_get_group_name(key, name, sizeof name, &length) != 1;
}

/* OpenSSL's judgement, but for groups: none may cost too much, and legacy settings take also those below
 * 1024 bits, which it refuses at any level. */
static int permits(const SSL *ssl, const SSL_CTX *context, int what, int bits, int nid, void *key,
                   void *owner)
{
	struct tls               *tls = ssl ? SSL_get_app_data(ssl) : NULL;
	const struct tls_context *own = owner;

	if (what == SSL_SECOP_TMP_DH && tls && key) {
		tls->costly = is_costly(key);
		if (tls->costly || tls->manner == TLS_LEGACY)
			return !tls->costly;
	}
	return own->usual(ssl, context, what, bits, nid, key, NULL);
}

static size_t number(const unsigned char *bytes, size_t width)
{
	size_t value = 0;

	while (width-- > 0)
		value = value << 8 | *bytes++;
	return value;
}

/* Entries of a list in which each begins with its length; since TLS 1.3, with its extensions behind it. */
static size_t count_certificates(const unsigned char *list, size_t length, bool extended)
{
	size_t count = 0, at = 0;

	while (at + 3 <= length) {
		at += 3 + number(list + at, 3);
		if (extended && at + 2 <= length)
			at += 2 + number(list + at, 2);
		count++;
	}
	return count;
}

/* Sees each handshake message before OpenSSL reads it. There is no way to stop it here but to make the message
 * one that cannot be read. */
static void message(int sent, int version, int type, const void *bytes, size_t length, SSL *ssl, void *owner)
{
	struct tls          *tls = SSL_get_app_data(ssl);
	const unsigned char *body = bytes;
	bool                 extended = SSL_version(ssl) >= TLS1_3_VERSION;
	size_t head = extended ? 8 : 7; /* type, length, [context of no bytes], length of the list */

	(void)version;
	(void)owner;
	if (sent || type != SSL3_RT_HANDSHAKE || length < head || body[0] != SSL3_MT_CERTIFICATE)
		return;
	tls->crowd = count_certificates(body + head, length - head, extended) > CERTIFICATES;
	if (tls->crowd)
		memset((unsigned char *)bytes + SSL3_HM_HEADER_LENGTH, 0xff, head - SSL3_HM_HEADER_LENGTH);
}

static SSL_CTX *make(struct tls_context *context, enum tls_manner manner)
{
	SSL_CTX *ssl;

	begin_openssl();
	ssl = SSL_CTX_new(TLS_client_method());
	if (!ssl)
		return NULL;
	if (manner == TLS_LEGACY)
		be_lenient(ssl);
	else
		be_strict(ssl);
	context->usual = SSL_CTX_get_security_callback(ssl);
	SSL_CTX_set0_security_ex_data(ssl, context);
	SSL_CTX_set_security_callback(ssl, permits);
	trust(ssl);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_client_cert_cb(ssl, asked);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
	SSL_CTX_set_options(ssl, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
#endif
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ssl, CHAIN_BYTES);
	SSL_CTX_set_msg_callback(ssl, message);
	return ssl;
}

/* OpenSSL takes milliseconds to set up; a scan that meets no TLS never pays them. */
static SSL_CTX *context_ssl(struct tls_context *context, enum tls_manner manner)
{
	if (context->serves)
		return context->ssl[0];
	if (!context->ssl[manner])
		context->ssl[manner] = make(context, manner);
	return context->ssl[manner];
}

/* A certificate that its own key signed, made on the spot. */
static bool sign_own(SSL_CTX *ssl)
{
	EVP_PKEY  *key = EVP_EC_gen("P-256");
	X509      *certificate = X509_new();
	X509_NAME *name = certificate ? X509_get_subject_name(certificate) : NULL;
	bool       good = key && name;

	good = good && X509_set_version(certificate, X509_VERSION_3) &&
	       ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), 36 * 3600L) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1,
	                                  -1, 0) &&
	       X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key) &&
	       X509_sign(certificate, key, EVP_sha256()) > 0 &&
	       SSL_CTX_use_certificate(ssl, certificate) == 1 && SSL_CTX_use_PrivateKey(ssl, key) == 1;
	X509_free(certificate);
	EVP_PKEY_free(key);
	return good;
}

static bool use_pem(SSL_CTX *ssl, const char *pem)
{
	return SSL_CTX_use_certificate_chain_file(ssl, pem) == 1 &&
	       SSL_CTX_use_PrivateKey_file(ssl, pem, SSL_FILETYPE_PEM) == 1;
}

static const char *reason_text(unsigned long error)
{
	const char *text = ERR_reason_error_string(error);

	return text ? text : "OpenSSL gave no reason";
}

/* The names of what is in a PEM file end with what it is: "EC PRIVATE KEY". */
static bool holds(const char *pem, const char *what)
{
	BIO           *file = BIO_new_file(pem, "r");
	char          *name, *header;
	unsigned char *data;
	long           length;
	bool           found = false;

	while (file && !found && PEM_read_bio(file, &name, &header, &data, &length) == 1) {
		found = strstr(name, what) != NULL;
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)length);
	}
	BIO_free(file);
	return found;
}

/* What OpenSSL says of what is not there at all is "unsupported" or "no start line". */
static void blame_pem(const char *pem, struct failure *failure)
{
	unsigned long error = ERR_peek_error();
	const char   *missing = NULL;

	if (!ERR_SYSTEM_ERROR(error))
		missing = !holds(pem, "CERTIFICATE")   ? "certificate"
		          : !holds(pem, "PRIVATE KEY") ? "private key"
		                                       : NULL;
	if (missing)
		failure_set(failure, PHASE_TLS, "tls-failed", "%s has no %s", pem, missing);
	else if (ERR_SYSTEM_ERROR(error))
		failure_set(failure, PHASE_TLS, "tls-failed", "%s: %s", pem, strerror(ERR_GET_REASON(error)));
	else
		failure_set(failure, PHASE_TLS, "tls-failed", "%s: %s", pem, reason_text(error));
	ERR_clear_error();
}

struct tls_context *tls_context_new_server(const char *pem, struct failure *failure)
{
	struct tls_context *context = tls_context_new();

	begin_openssl();
	if (context) {
		context->serves = true;
		context->ssl[0] = SSL_CTX_new(TLS_server_method());
		if (context->ssl[0] && (pem ? use_pem(context->ssl[0], pem) : sign_own(context->ssl[0])))
			return context;
	}
	if (pem)
		blame_pem(pem, failure);
	else
		fail_openssl(NULL, failure);
	tls_context_free(context);
	return NULL;
}

bool tls_context_serves(const struct tls_context *context)
{
	return context->serves;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl[0]);
	SSL_CTX_free(context->ssl[1]);
	free(context);
}

/* --- one connection -------------------------------------------------------------------------- */

/* SNI is for names (RFC 6066 section 3); the comparison is for names and addresses alike. */
static bool expect_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *verify = SSL_get0_param(ssl);
	struct address     address;

	if (strchr(name, '%') || address_parse(&address, name)) {
		X509_VERIFY_PARAM_set1_ip_asc(verify, name); /* an address with a zone is in no certificate */
		return true;
	}
	X509_VERIFY_PARAM_set1_host(verify, name, 0);
	return SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct tls *tls_new(struct tls_context *context, enum tls_manner manner, const char *name)
{
	SSL_CTX    *ssl = context_ssl(context, manner);
	struct tls *tls = ssl ? calloc(1, sizeof *tls) : NULL;

	if (!tls)
		return NULL;
	ERR_clear_error();
	tls->manner = manner;
	tls->ssl = SSL_new(ssl);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (!tls->ssl || !tls->in || !tls->out || SSL_set_app_data(tls->ssl, tls) != 1) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		SSL_free(tls->ssl);
		free(tls);
		return NULL;
	}
	BIO_set_mem_eof_return(tls->in, -1);
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	if (context->serves) {
		SSL_set_accept_state(tls->ssl);
	} else {
		SSL_set_connect_state(tls->ssl);
		if (name)
			expect_name(tls->ssl,
			            name); /* a name too long for SNI is left out; the scan goes on */
	}
	ERR_clear_error();
	return tls;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	free(tls);
}

/* A record begins with its type, 20 to 24, and the major version 3; no text protocol does. */
static enum nature nature_of(unsigned char first)
{
	return first >= 20 && first <= 24 ? SPEAKS_TLS : SPEAKS_PLAIN;
}

static void keep_first(struct tls *tls, const char *bytes, size_t length)
{
	if (length > FIRST_BYTES - tls->first_length)
		length = FIRST_BYTES - tls->first_length;
	memcpy(tls->first + tls->first_length, bytes, length);
	tls->first_length += length;
}

bool tls_feed(struct tls *tls, const char *bytes, size_t length)
{
	if (length == 0)
		return true;
	if (!tls->established)
		tls->fed += length;
	if (tls->nature == UNKNOWN)
		tls->nature = nature_of((unsigned char)bytes[0]);
	if (tls->nature == SPEAKS_PLAIN) {
		keep_first(tls, bytes, length);
		return true;
	}
	return length <= INT_MAX && BIO_write(tls->in, bytes, (int)length) == (int)length;
}

void tls_feed_end(struct tls *tls)
{
	tls->ended = true;
	BIO_set_mem_eof_return(tls->in, 0);
}

size_t tls_take(struct tls *tls, char *bytes, size_t size)
{
	int taken = BIO_read(tls->out, bytes, size > INT_MAX ? INT_MAX : (int)size);

	return taken > 0 ? (size_t)taken : 0;
}

size_t tls_describe(const struct tls *tls, char *text, size_t size)
{
	int length = snprintf(text, size, "%s %s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl));

	return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

const char *tls_stage(const struct tls *tls)
{
	switch (SSL_get_state(tls->ssl)) {
	case TLS_ST_BEFORE:
	case TLS_ST_CW_CLNT_HELLO:
		return "before the server's hello";
	case TLS_ST_CR_SRVR_HELLO:
	case TLS_ST_CR_ENCRYPTED_EXTENSIONS:
	case TLS_ST_CR_CERT_REQ:
		return "after the server's hello";
	case TLS_ST_OK:
		return "after the handshake";
	default:
		return "after the server's certificate";
	}
}

/* --- what went wrong ------------------------------------------------------------------------- */

/* The alerts that scans meet, in the words of RFC 8446 section 6 made readable. OpenSSL reports a
 * received alert as reason 1000 + its number. */
static const char *alert_text(int alert)
{
	switch (alert) {
	case 40:
		return "handshake failure: no parameters in common";
	case 42:
		return "bad certificate: the server wants one from us";
	case 70:
		return "protocol version not supported";
	case 71:
		return "insufficient security";
	case 80:
		return "internal error";
	case 86:
		return "inappropriate fallback";
	case 112:
		return "unrecognized name";
	case 116:
		return "the server wants a certificate from us";
	case 120:
		return "no application protocol in common";
	default:
		return NULL;
	}
}

static void fail_alert(const struct tls *tls, struct failure *failure, int alert)
{
	const char *text = alert_text(alert);

	if (tls && tls->asked)
		failure_set(failure, PHASE_TLS, "client-certificate",
		            "the server wants a certificate from us (alert %d)", alert);
	else if (text)
		failure_set(failure, PHASE_TLS, "tls-alert", "the server sent alert %d, %s", alert, text);
	else
		failure_set(failure, PHASE_TLS, "tls-alert", "the server sent alert %d", alert);
}

static void fail_openssl(const struct tls *tls, struct failure *failure)
{
	unsigned long error = ERR_peek_error();
	int           reason = ERR_GET_REASON(error);

	if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
	    reason < SSL_AD_REASON_OFFSET + 256)
		fail_alert(tls, failure, reason - SSL_AD_REASON_OFFSET);
	else if (tls && tls->crowd)
		failure_set(failure, PHASE_TLS, "oversize", "more than %d certificates of the server",
		            CERTIFICATES);
	else if (tls && tls->costly)
		failure_set(failure, PHASE_TLS, "oversize", "a Diffie-Hellman group of more than %d bits",
		            GROUP_BITS);
	else if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason == SSL_R_EXCESSIVE_MESSAGE_SIZE)
		failure_set(failure, PHASE_TLS, "oversize", "a handshake message of the server is too large");
	else
		failure_set(failure, PHASE_TLS, "tls-failed", "%s", reason_text(error));
	ERR_clear_error();
}

static size_t first_line(const struct tls *tls)
{
	size_t length = 0;

	while (length < tls->first_length && tls->first[length] != '\r' && tls->first[length] != '\n')
		length++;
	return length;
}

static void fail_plain(const struct tls *tls, struct failure *failure)
{
	failure_quote(failure, PHASE_TLS, "not-tls", "the server answered in plain text", tls->first,
	              first_line(tls));
}

/* A server that speaks plain text is quoted as soon as its first line is whole, or no more comes;
 * so the message does not depend on how the line was cut into segments. */
static enum io plain_answer(struct tls *tls, struct failure *failure)
{
	bool whole = first_line(tls) < tls->first_length || tls->first_length == FIRST_BYTES;

	if (!whole && !tls->ended)
		return IO_WANT_READ;
	fail_plain(tls, failure);
	return IO_FAILED;
}

void tls_overdue(const struct tls *tls, double seconds, struct failure *failure)
{
	if (tls->nature == SPEAKS_PLAIN)
		fail_plain(tls, failure);
	else
		failure_set(failure, PHASE_TLS, "timeout", "no TLS handshake within %g s (%s)", seconds,
		            tls_stage(tls));
}

/* What old or odd servers do when they are shown no setting that they know. A complaint of our own side,
 * "dh key too small" or the like, has no code of its own in OpenSSL's families. */
bool tls_curable(const struct failure *failure)
{
	return failure->phase == PHASE_TLS &&
	       (strcmp(failure->code, "tls-alert") == 0 || strcmp(failure->code, "tls-failed") == 0 ||
	        strcmp(failure->code, "closed-early") == 0 || strcmp(failure->code, "reset") == 0);
}

bool tls_name_unknown(const struct failure *failure)
{
	return strcmp(failure->code, "tls-alert") == 0 && strstr(failure->message, "alert 112,") != NULL;
}

static enum io judge(struct tls *tls, int result, struct failure *failure)
{
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		if (!tls->ended)
			return IO_WANT_READ;
		break;
	case SSL_ERROR_ZERO_RETURN:
		return IO_EOF;
	case SSL_ERROR_SSL:
		if (tls->ended && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			break;
		fail_openssl(tls, failure);
		return IO_FAILED;
	default:
		break;
	}
	ERR_clear_error();
	if (tls->established)
		return IO_EOF; /* without close_notify: common, and no harm to what was read so far */
	failure_set(failure, PHASE_TLS, "closed-early",
	            "the server closed the connection during the handshake, %s", tls_stage(tls));
	return IO_FAILED;
}

/* --- doing it -------------------------------------------------------------------------------- */

enum io tls_handshake(struct tls *tls, struct failure *failure)
{
	int result;

	if (tls->nature == SPEAKS_PLAIN)
		return plain_answer(tls, failure);
	ERR_clear_error();
	result = SSL_do_handshake(tls->ssl);
	if (result == 1) {
		tls->established = true;
		return IO_DONE;
	}
	if (tls->fed > HANDSHAKE_BYTES) {
		failure_set(failure, PHASE_TLS, "oversize",
		            "more than %d KiB before the end of the handshake", HANDSHAKE_BYTES / 1024);
		return IO_FAILED;
	}
	return judge(tls, result, failure);
}

enum io tls_read(struct tls *tls, char *bytes, size_t size, size_t *length, struct failure *failure)
{
	int result;

	ERR_clear_error();
	result = SSL_read(tls->ssl, bytes, size > INT_MAX ? INT_MAX : (int)size);
	if (result > 0) {
		*length = (size_t)result;
		return IO_DONE;
	}
	return judge(tls, result, failure);
}

enum io tls_write(struct tls *tls, const char *bytes, size_t length, struct failure *failure)
{
	int result;

	if (length == 0)
		return IO_DONE;
	ERR_clear_error();
	result = SSL_write(tls->ssl, bytes, length > INT_MAX ? INT_MAX : (int)length);
	if (result > 0)
		return IO_DONE; /* a memory BIO takes all of it */
	return judge(tls, result, failure);
}

void tls_goodbye(struct tls *tls)
{
	if (!tls->established)
		return;
	ERR_clear_error();
	SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

/* --- facts ----------------------------------------------------------------------------------- */

static void add_verdict(json_t *facts, long verdict)
{
	json_object_set_new_nocheck(facts, "verified", json_boolean(verdict == X509_V_OK));
	json_object_set_new_nocheck(
	    facts, "verify_error",
	    verdict == X509_V_OK ? json_null() : json_string_nocheck(X509_verify_cert_error_string(verdict)));
}

json_t *tls_facts(const struct tls *tls)
{
	json_t *facts = json_object();
	X509   *certificate = SSL_get0_peer_certificate(tls->ssl);

	if (!facts || (!certificate && !tls->established)) {
		json_decref(facts);
		return NULL;
	}
	json_object_set_new_nocheck(facts, "version", json_string_nocheck(SSL_get_version(tls->ssl)));
	json_object_set_new_nocheck(facts, "cipher", json_string_nocheck(SSL_get_cipher_name(tls->ssl)));
	if (json_object_size(facts) < 2) { /* no memory; without these it is not what the schema wants */
		json_decref(facts);
		return NULL;
	}
	json_object_set_new_nocheck(facts, "handshake", json_boolean(tls->established));
	if (tls->asked)
		json_object_set_new_nocheck(facts, "client_certificate", json_true());
	json_object_set_new_nocheck(facts, "settings",
	                            json_string_nocheck(tls->manner == TLS_LEGACY ? "legacy" : "strict"));
	if (certificate) {
		certificate_facts(facts, certificate);
		certificate_problems(facts, certificate, SSL_get0_param(tls->ssl));
		add_verdict(facts, SSL_get_verify_result(tls->ssl));
	}
	ERR_clear_error();
	return facts;
}
