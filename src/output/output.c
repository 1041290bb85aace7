#include "output/output.h"

#include "base/escape.h"
#include "output/json.h"
#include "output/progress.h"
#include "output/text.h"
#include "output/trace.h"
#include "scan/field.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BLOCK = 4 * 1024 * 1024, COLUMNS = 400 };

/* The text of one target that is finished, or on its way, and waits for those before it. */
struct block {
	struct block *next; /* by sequence */
	uint64_t      sequence;
	bool          complete;
	struct buffer text;
};

struct output {
	struct output_style  style;
	struct text_style    text;
	struct writer       *writer;
	struct tally        *tally;
	atomic_bool          failed, broken;
	atomic_uint_fast64_t fell_short;

	uv_mutex_t    lock;
	struct block *blocks;
	size_t        waiting; /* complete blocks among them */
	uint64_t      turn;    /* the sequence whose turn it is */
};

/* --- blocks in order, all under the lock ----------------------------------------------------- */

static struct block *block_of(struct output *output, uint64_t sequence)
{
	struct block **at = &output->blocks;
	struct block  *block;

	while (*at && (*at)->sequence < sequence)
		at = &(*at)->next;
	if (*at && (*at)->sequence == sequence)
		return *at;
	block = calloc(1, sizeof *block);
	if (!block)
		return NULL;
	block->sequence = sequence;
	block->next = *at;
	buffer_init(&block->text, BLOCK);
	*at = block;
	return block;
}

/* Write a block out and take it off the list. */
static void release(struct output *output, struct block **at)
{
	struct block *block = *at;

	if (buffer_length(&block->text) > 0)
		writer_put(output->writer, buffer_bytes(&block->text), buffer_length(&block->text));
	if (block->sequence == output->turn)
		output->turn++;
	if (block->complete)
		output->waiting--;
	*at = block->next;
	buffer_free(&block->text);
	free(block);
}

/* Those whose turn it is, and, when too many wait, the first of those that are complete. A target whose
 * block went ahead is passed over when its turn comes: `turn` is then found missing and moves on with
 * the first block that is there. */
static void release_due(struct output *output, bool all)
{
	struct block **at = &output->blocks;

	while (*at) {
		bool due = (*at)->sequence <= output->turn || all || output->waiting > OUTPUT_WINDOW;

		if ((*at)->complete && due) {
			if ((*at)->sequence > output->turn && !all)
				output->turn = (*at)->sequence;
			release(output, at);
		} else {
			at = &(*at)->next;
		}
	}
}

/* There was no memory for what would have been written. */
static void lose_if(struct output *output, bool lost)
{
	if (lost)
		atomic_fetch_add(&output->tally->lost, 1);
}

/* --- text ------------------------------------------------------------------------------------ */

/* Is each line put out as soon as it is known? */
static bool streams(const struct output *output)
{
	return output->style.single && !output->style.json && !output->style.where;
}

static void stream(void *owner, struct host *host)
{
	struct output *output = owner;
	struct buffer  text;

	buffer_init(&text, BLOCK);
	text_advance(&text, &output->text, host);
	if (buffer_length(&text) > 0)
		writer_put(output->writer, buffer_bytes(&text), buffer_length(&text));
	lose_if(output, text.refused);
	buffer_free(&text);
}

static void host_text(struct output *output, struct host *host, bool wanted)
{
	struct block *block;

	uv_mutex_lock(&output->lock);
	block = block_of(output, host->unit->sequence);
	if (block) {
		if (wanted)
			text_advance(&block->text, &output->text, host);
		lose_if(output, block->text.refused);
		block->complete = host->unit->hosts == 0;
		output->waiting += block->complete;
		release_due(output, false);
	}
	lose_if(output, !block);
	uv_mutex_unlock(&output->lock);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void record(struct output *output, const struct host *host, const struct outcome *outcome)
{
	struct buffer line;

	if (output->style.only_open && outcome->state != STATE_OPEN)
		return;
	buffer_init(&line, BLOCK);
	if (json_record(&line, host, outcome))
		writer_put(output->writer, buffer_bytes(&line), buffer_length(&line));
	else
		lose_if(output, true);
	buffer_free(&line);
}

/* --- the listener ---------------------------------------------------------------------------- */

/* A bug in a probe is told at once on standard error, in one write, and does not disturb the rest. */
static void tell_broken(const struct output *output, const struct host *host, const struct outcome *outcome)
{
	struct buffer line;

	buffer_init(&line, 16 * 1024);
	buffer_format(&line, "scan: the probe of %s failed on ", outcome->service);
	escape_terminal(&line, host->target.name, strlen(host->target.name), COLUMNS);
	buffer_format(&line, " port %u: ", outcome->port);
	escape_terminal(&line, outcome->failure.message, strlen(outcome->failure.message), COLUMNS);
	buffer_text(&line, "\n");
	if (output->style.verbose && outcome->traceback) {
		buffer_text(&line, outcome->traceback);
		buffer_text(&line, "\n");
	}
	fwrite(buffer_bytes(&line), 1, buffer_length(&line), stderr);
	if (line.refused)
		fprintf(stderr, "scan: the probe of %s failed, and there is no memory to tell it all\n",
		        outcome->service);
	buffer_free(&line);
}

static void on_outcome(void *owner, const struct host *host, const struct outcome *outcome)
{
	struct output *output = owner;

	if (outcome->state == STATE_FAILED)
		atomic_store(&output->failed, true);
	if (outcome->broken) {
		atomic_store(&output->broken, true);
		tell_broken(output, host, outcome);
	}
	if (output->style.json && !output->style.where)
		record(output, host, outcome);
	else if (streams(output) && !host->failure)
		stream(output, (struct host *)host);
}

/* A Lua state serves one thread at a time. */
static bool holds(struct output *output, struct expression *expression, struct host *host)
{
	bool result;

	uv_mutex_lock(&output->lock);
	result = expression_holds(expression, field_of, host);
	uv_mutex_unlock(&output->lock);
	return result;
}

/* The host, and what it falls short of. */
static void tell_short(struct output *output, struct host *host)
{
	struct buffer why, line;

	buffer_init(&why, 64 * 1024);
	buffer_init(&line, 16 * 1024);
	uv_mutex_lock(&output->lock);
	expression_explain(output->style.expect, field_of, host, &why);
	uv_mutex_unlock(&output->lock);
	buffer_text(&line, "scan: ");
	escape_terminal(&line, host->target.name, strlen(host->target.name), COLUMNS);
	buffer_text(&line, " is not as expected");
	if (buffer_length(&why) > 0) {
		buffer_text(&line, ": ");
		escape_terminal(&line, buffer_bytes(&why), buffer_length(&why), COLUMNS);
	}
	buffer_text(&line, "\n");
	fwrite(buffer_bytes(&line), 1, buffer_length(&line), stderr);
	buffer_free(&line);
	buffer_free(&why);
}

static void judge(struct output *output, struct host *host)
{
	if (holds(output, output->style.expect, host))
		return;
	atomic_fetch_add(&output->fell_short, 1);
	tell_short(output, host);
}

static void put_records(struct output *output, const struct host *host)
{
	for (size_t i = 0; i < host->count; i++)
		record(output, host, &host->outcomes[i]);
}

static void on_host(void *owner, struct host *host)
{
	struct output *output = owner;
	bool           wanted = !output->style.where || holds(output, output->style.where, host);

	if (output->style.expect)
		judge(output, host);
	if (output->style.json && output->style.where && wanted)
		put_records(output, host);
	else if (!output->style.json && streams(output))
		stream(output, host);
	else if (!output->style.json)
		host_text(output, host, wanted);
}

/* From the main thread. A scan that ends within the first tick shows no progress at all. */
static void tick(void *owner, const char *waiting, bool asked)
{
	const struct output *output = owner;

	if (asked && !output->style.progress)
		progress_show(stderr, output->tally, waiting, false);
	else if (output->style.progress)
		progress_show(stderr, output->tally, waiting, true);
}

static void observe(void *owner, const struct host *host, const struct outcome *outcome, unsigned connection,
                    double ms, enum event event, const char *bytes, size_t length)
{
	const struct output *output = owner;

	trace_event(stderr, host, outcome, !output->style.single, connection, ms, event, bytes, length);
}

static void flush(void *owner)
{
	struct output *output = owner;

	writer_flush(output->writer);
}

static bool full(void *owner)
{
	struct output *output = owner;

	return writer_full(output->writer);
}

static bool broken(void *owner)
{
	struct output *output = owner;

	return writer_broken(output->writer);
}

struct listener output_listener(struct output *output)
{
	return (struct listener){
		.owner = output,
		.changed = streams(output) ? stream : NULL,
		.observe = output->style.trace ? observe : NULL,
		.outcome = on_outcome,
		.host = on_host,
		.flush = flush,
		.full = full,
		.broken = broken,
		.tick = tick,
	};
}

/* --- life ------------------------------------------------------------------------------------ */

struct output *output_new(const struct output_style *style, struct writer *writer, struct tally *tally)
{
	struct output *output = calloc(1, sizeof *output);

	if (!output)
		return NULL;
	output->style = *style;
	output->text = (struct text_style){ style->only_open, style->verbose, style->colour };
	output->writer = writer;
	output->tally = tally;
	uv_mutex_init(&output->lock);
	return output;
}

void output_finish(struct output *output)
{
	uv_mutex_lock(&output->lock);
	release_due(output, true);
	uv_mutex_unlock(&output->lock);
	if (output->style.progress)
		progress_clear(stderr);
}

bool output_some_failed(const struct output *output)
{
	return atomic_load(&output->failed);
}

bool output_some_broken(const struct output *output)
{
	return atomic_load(&output->broken);
}

uint64_t output_fell_short(const struct output *output)
{
	return atomic_load(&output->fell_short);
}

void output_free(struct output *output)
{
	while (output->blocks) {
		struct block *next = output->blocks->next;

		buffer_free(&output->blocks->text);
		free(output->blocks);
		output->blocks = next;
	}
	uv_mutex_destroy(&output->lock);
	free(output);
}
