#include "net/certificate.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* RFC 2253, but UTF-8 stays readable; whoever shows it escapes it. */
enum { NAME_FLAGS = XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB & ~ASN1_STRFLGS_ESC_CTRL };

static void set_text(json_t *facts, const char *key, const char *text, size_t length)
{
	json_object_set_new_nocheck(facts, key, json_stringn_nocheck(text, length));
}

static void set_name(json_t *facts, const char *key, const X509_NAME *name)
{
	BIO  *bio = BIO_new(BIO_s_mem());
	char *text;
	long  length;

	if (!bio)
		return;
	if (X509_NAME_print_ex(bio, name, 0, NAME_FLAGS) >= 0) {
		length = BIO_get_mem_data(bio, &text);
		set_text(facts, key, length > 0 ? text : "", (size_t)length);
	}
	BIO_free(bio);
}

static void set_time(json_t *facts, const char *key, const ASN1_TIME *when)
{
	struct tm date;
	char      text[64];
	size_t    length;

	if (!ASN1_TIME_to_tm(when, &date))
		return;
	length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &date);
	set_text(facts, key, text, length);
}

/* Whole days until the end of validity, negative once it is over. */
static void set_days_left(json_t *facts, const ASN1_TIME *end)
{
	int days, seconds;

	if (!ASN1_TIME_diff(&days, &seconds, NULL, end))
		return;
	if (seconds < 0)
		days--;
	json_object_set_new_nocheck(facts, "days_left", json_integer(days));
}

static void set_key(json_t *facts, X509 *certificate)
{
	EVP_PKEY   *key = X509_get0_pubkey(certificate);
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	char        text[80];
	int         length;

	if (!type)
		return;
	length = snprintf(text, sizeof text, "%s %d", type, EVP_PKEY_get_bits(key));
	set_text(facts, "key", text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

static void set_fingerprint(json_t *facts, const X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char          text[2 * EVP_MAX_MD_SIZE + 1];
	unsigned      length;

	if (!X509_digest(certificate, EVP_sha256(), digest, &length))
		return;
	for (unsigned i = 0; i < length; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	set_text(facts, "sha256", text, 2 * (size_t)length);
}

static void add_address(json_t *names, const ASN1_OCTET_STRING *address)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(address);
	char                 text[48];
	int                  length = 0;

	if (ASN1_STRING_length(address) == 4) {
		length = snprintf(text, sizeof text, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
	} else if (ASN1_STRING_length(address) == 16) {
		for (int i = 0; i < 16; i += 2)
			length += snprintf(text + length, sizeof text - (size_t)length, "%s%x", i ? ":" : "",
			                   (unsigned)bytes[i] << 8 | bytes[i + 1]);
	}
	if (length > 0)
		json_array_append_new(names, json_stringn_nocheck(text, (size_t)length));
}

static void add_name(json_t *names, const GENERAL_NAME *name)
{
	int   type;
	void *value = GENERAL_NAME_get0_value(name, &type);

	if (type == GEN_IPADD)
		add_address(names, value);
	else if (type == GEN_DNS || type == GEN_EMAIL || type == GEN_URI)
		json_array_append_new(names, json_stringn_nocheck((const char *)ASN1_STRING_get0_data(value),
		                                                  (size_t)ASN1_STRING_length(value)));
}

static void set_names(json_t *facts, const X509 *certificate)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	json_t        *names = json_array();
	int            count = list ? sk_GENERAL_NAME_num(list) : 0;

	for (int i = 0; i < count && json_array_size(names) < CERTIFICATE_NAMES; i++)
		add_name(names, sk_GENERAL_NAME_value(list, i));
	json_object_set_new_nocheck(facts, "names", names);
	GENERAL_NAMES_free(list);
}

void certificate_facts(json_t *facts, X509 *certificate)
{
	set_name(facts, "subject", X509_get_subject_name(certificate));
	set_name(facts, "issuer", X509_get_issuer_name(certificate));
	set_names(facts, certificate);
	set_time(facts, "not_before", X509_get0_notBefore(certificate));
	set_time(facts, "not_after", X509_get0_notAfter(certificate));
	set_days_left(facts, X509_get0_notAfter(certificate));
	set_key(facts, certificate);
	set_fingerprint(facts, certificate);
}

/* --- problems -------------------------------------------------------------------------------- */

static bool is_weak_key(X509 *certificate)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);

	return key && EVP_PKEY_get_security_bits(key) < 112; /* RSA 2048, P-224: NIST SP 800-57 */
}

static bool is_self_signed(X509 *certificate)
{
	return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
}

/* A signature by one's own key proves nothing; how it was made does not matter. */
static bool is_weak_signature(X509 *certificate)
{
	int digest = NID_undef;

	return !is_self_signed(certificate) &&
	       X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) == 1 &&
	       (digest == NID_sha1 || digest == NID_md5 || digest == NID_md4 || digest == NID_md2);
}

/* Judged for names only: what is scanned by its address is seldom certified for it. */
static bool is_wrong_name(X509 *certificate, X509_VERIFY_PARAM *expected)
{
	const char *host = X509_VERIFY_PARAM_get0_host(expected, 0);

	return host && X509_check_host(certificate, host, 0, 0, NULL) != 1;
}

void certificate_problems(json_t *facts, X509 *certificate, X509_VERIFY_PARAM *expected)
{
	const struct {
		const char *name;
		bool        holds;
	} problems[] = {
		{ "expired", X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0 },
		{ "not-yet-valid", X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0 },
		{ "self-signed", is_self_signed(certificate) },
		{ "wrong-name", is_wrong_name(certificate, expected) },
		{ "weak-key", is_weak_key(certificate) },
		{ "weak-signature", is_weak_signature(certificate) },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
		if (problems[i].holds)
			json_array_append_new(list, json_string_nocheck(problems[i].name));
	json_object_set_new_nocheck(facts, "problems", list);
}
