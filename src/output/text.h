/* Results for people: a block a host, a line as soon as all before it are known. */
#ifndef OUTPUT_TEXT_H
#define OUTPUT_TEXT_H

#include "base/buffer.h"
#include "scan/host.h"

struct text_style {
	bool only_open, verbose, colour;
};

/* Append what is known of `host` and not yet shown, in the order of the services. Once host_done, that
 * is the rest of it. */
void text_advance(struct buffer *out, const struct text_style *style, struct host *host);

#endif
