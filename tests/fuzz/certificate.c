/* Fuzzing of the facts of a certificate: the bytes are one, in DER. */
#include "net/certificate.h"
#include "fuzz.h"

#include "output/json.h"
#include "output/text.h"

#include <openssl/err.h>
#include <openssl/x509.h>

enum { LARGE = 4 * 1024 * 1024 };

/* The facts go out as those of a TLS session do. */
static void check_output(json_t *facts)
{
	struct outcome    outcome;
	struct host       host = { .target = { .name = "server.example" }, .outcomes = &outcome, .count = 1 };
	struct text_style style = { .verbose = true };
	struct buffer     out;
	json_t           *record;

	outcome_init(&outcome, "https", 443);
	outcome.state = STATE_OPEN;
	outcome.finished = true;
	outcome.tls = json_incref(facts);
	buffer_init(&out, LARGE);
	demand(json_record(&out, &host, &outcome), "there is room for the record");
	record = json_loadb(buffer_bytes(&out), buffer_length(&out), JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
	                    NULL);
	demand_of(record != NULL, "the record is JSON", buffer_bytes(&out), buffer_length(&out));
	json_decref(record);
	buffer_clear(&out);
	text_advance(&out, &style, &host);
	demand_safe(buffer_bytes(&out), buffer_length(&out), true);
	buffer_free(&out);
	outcome_free(&outcome);
}

static bool has(const json_t *facts, const char *problem)
{
	size_t  index;
	json_t *name;

	json_array_foreach (json_object_get(facts, "problems"), index, name)
		if (strcmp(json_string_value(name), problem) == 0)
			return true;
	return false;
}

static void check_facts(const json_t *facts)
{
	const json_t *fingerprint = json_object_get(facts, "sha256"),
		     *days = json_object_get(facts, "days_left");

	demand(json_array_size(json_object_get(facts, "names")) <= CERTIFICATE_NAMES, "names are bounded");
	demand(json_string_length(fingerprint) == 64, "a certificate has a fingerprint");
	if (days)
		demand(has(facts, "expired") == (json_integer_value(days) < 0),
		       "what is expired has no days left");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const unsigned char *at = bytes;
	X509                *certificate = size > 0 ? d2i_X509(NULL, &at, (long)size) : NULL;
	X509_VERIFY_PARAM   *expected;
	json_t              *facts;

	if (certificate) {
		facts = json_object();
		expected = X509_VERIFY_PARAM_new();
		X509_VERIFY_PARAM_set1_host(expected, "server.example", 0);
		certificate_facts(facts, certificate);
		certificate_problems(facts, certificate, expected);
		check_facts(facts);
		check_output(facts);
		X509_VERIFY_PARAM_free(expected);
		json_decref(facts);
	}
	X509_free(certificate);
	ERR_clear_error();
	return 0;
}
