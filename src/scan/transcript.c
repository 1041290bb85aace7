#include "scan/transcript.h"

#include <string.h>

char transcript_who(enum event event)
{
	switch (event) {
	case EVENT_RECEIVED:
		return 'S';
	case EVENT_SENT:
		return 'C';
	case EVENT_SECURED:
	case EVENT_BROKEN:
		return 'T';
	default:
		return 0;
	}
}

static void add(struct exchange *exchange, const char *bytes, size_t length)
{
	size_t room = TRANSCRIPT_BYTES - (size_t)exchange->length;

	if (length > room)
		length = room;
	if (length == 0)
		return;
	memcpy(exchange->bytes + exchange->length, bytes, length);
	exchange->length = (unsigned char)(exchange->length + length);
}

void transcript_note(struct transcript *transcript, double ms, enum event event, const char *bytes,
                     size_t length)
{
	char             who = transcript_who(event);
	struct exchange *exchange;

	if (who == 0)
		return;
	exchange = &transcript->ring[(transcript->count + TRANSCRIPT_EXCHANGES - 1) % TRANSCRIPT_EXCHANGES];
	if (transcript->count == 0 || exchange->who != who || who == 'T') {
		exchange = &transcript->ring[transcript->count++ % TRANSCRIPT_EXCHANGES];
		exchange->ms = (float)ms;
		exchange->who = who;
		exchange->length = 0;
	}
	add(exchange, bytes, length);
}

static json_t *exchange_json(const struct exchange *exchange)
{
	json_t *object = json_object();
	double  ms = (double)(long long)(exchange->ms * 1000 + 0.5) / 1000;

	json_object_set_new_nocheck(object, "ms", json_real(ms));
	json_object_set_new_nocheck(object, "who", json_stringn_nocheck(&exchange->who, 1));
	json_object_set_new_nocheck(object, "text", json_stringn_nocheck(exchange->bytes, exchange->length));
	return object;
}

json_t *transcript_json(const struct transcript *transcript)
{
	size_t  first = transcript->count > TRANSCRIPT_EXCHANGES ? transcript->count - TRANSCRIPT_EXCHANGES
	                                                         : 0;
	json_t *array;

	if (transcript->count == 0)
		return NULL;
	array = json_array();
	for (size_t i = first; i < transcript->count; i++)
		json_array_append_new(array, exchange_json(&transcript->ring[i % TRANSCRIPT_EXCHANGES]));
	return array;
}
