/* The listener of a scan: puts results into text or JSON and hands them to the writer in order.
 *
 * With --where, a host is put out when all of it is known, and only if the expression holds.
 * JSON: each record when its service is done. Text, one target: each line as soon as all before it are
 * known. Text, several targets: each host's block whole, in the order of the targets; once more than
 * OUTPUT_WINDOW blocks wait for an earlier one, they go first, so that one slow host holds up nobody.
 */
#ifndef OUTPUT_OUTPUT_H
#define OUTPUT_OUTPUT_H

#include "output/writer.h"
#include "scan/scanner.h"
#include "scan/tally.h"
#include "script/expression.h"

#include <stdbool.h>

enum { OUTPUT_WINDOW = 64 };

struct output_style {
	bool               json, only_open, verbose, colour;
	bool               single;         /* there is one target */
	bool               trace;          /* show the conversations on standard error */
	struct expression *where, *expect; /* what of a host is put out; what it falls short of; NULL: none */
	bool               progress;       /* standard error is a terminal, and quiet was not asked for */
};

struct output;

/* NULL: no memory. The writer and the tally are used, not owned. */
struct output *output_new(const struct output_style *style, struct writer *writer, struct tally *tally);

/* What it wants to hear. */
struct listener output_listener(struct output *output);

/* Put out what still waits for its turn, after the scan's end. */
void output_finish(struct output *output);

/* Was something not examined (no such name, a limit of this machine)? Did a script fail? */
bool output_some_failed(const struct output *output);
bool output_some_broken(const struct output *output);

/* How many hosts fell short of what was expected. */
uint64_t output_fell_short(const struct output *output);

void output_free(struct output *output);

#endif
