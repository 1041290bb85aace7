/* Fuzzing of conversation files: reading one; and reading what was written down of one.
 *
 * The input is a file, or, behind a NUL, what an observer was told: a byte that says what, one for the connection
 * and the time, one for the length, and so many bytes.
 */
#include "workbench/conversation.h"
#include "fuzz.h"

#include "workbench/player.h"

enum { LARGE = 8 * 1024 * 1024, PROBLEMS = 1024 * 1024 };

static const char path[] = "fuzz.talk";

/* --- reading --------------------------------------------------------------------------------- */

/* An example of the words must be one of what fits them. */
static void check_words(const struct phrase *words)
{
	struct buffer out;

	buffer_init(&out, LARGE);
	if (phrase_example(words, &out))
		demand(phrase_fits(words, buffer_bytes(&out), buffer_length(&out)),
		       "an example fits its words");
	if (!phrase_stretches(words))
		demand(buffer_length(&out) == phrase_width(words), "and is as wide as they are");
	buffer_free(&out);
}

static void check_turns(const struct conversation *conversation)
{
	for (size_t i = 0; i < conversation->turn_count; i++) {
		const struct turn *turn = &conversation->turns[i];

		demand(turn->line >= 1 && turn->line <= conversation->last_line,
		       "a turn stands on a line of the file");
		demand(turn->connection <= CONVERSATION_CONNECTIONS, "connections are bounded");
		if (turn->kind == TURN_SAYS || turn->kind == TURN_HEARS || turn->kind == TURN_REPEATS)
			check_words(&turn->words);
	}
	for (size_t i = 0; i < conversation->line_count; i++)
		check_words(&conversation->lines[i].words);
}

static void check_score(const struct conversation *conversation, bool as_written)
{
	struct score score = { 0 };

	if (score_make(&score, conversation, as_written)) {
		demand(score.longest <= buffer_length(&score.words), "a run is part of the words");
		demand(score.connections >= 1 && score.connections <= CONVERSATION_CONNECTIONS,
		       "connections are bounded");
	}
	score_free(&score);
}

static void check_problems(const struct buffer *problems)
{
	const char *at = buffer_bytes(problems), *end = at + buffer_length(problems);

	demand(at < end && end[-1] == '\n', "problems are lines");
	while (at < end) {
		demand_of(strncmp(at, "fuzz.talk:", 10) == 0, "a problem has its place", at,
		          (size_t)(end - at));
		at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
	}
}

static bool check_file(struct input input)
{
	struct conversation conversation;
	struct buffer       problems;
	bool                good;

	buffer_init(&problems, PROBLEMS);
	good = conversation_parse(&conversation, path, input.bytes, input.left, &problems);
	if (good) {
		check_turns(&conversation);
		check_score(&conversation, true);
		check_score(&conversation, false);
	} else if (buffer_room(&problems) > 1024) {
		check_problems(&problems);
	}
	conversation_free(&conversation);
	buffer_free(&problems);
	return good;
}

/* --- writing --------------------------------------------------------------------------------- */

static void check_quote(struct input bytes)
{
	struct buffer quoted;
	struct phrase words = { 0 };
	const char   *fault = NULL;

	buffer_init(&quoted, LARGE);
	demand(phrase_quote(&quoted, bytes.bytes, bytes.left), "bytes can be quoted");
	demand_of(phrase_read(&words, buffer_bytes(&quoted), buffer_length(&quoted), true, NULL, &fault),
	          "a quotation can be read", buffer_bytes(&quoted), buffer_length(&quoted));
	demand(!phrase_stretches(&words) && phrase_width(&words) == bytes.left &&
	           phrase_fits(&words, bytes.bytes, bytes.left),
	       "and is what was quoted");
	phrase_free(&words);
	buffer_free(&quoted);
}

struct told {
	struct notes notes;
	double       ms;
	unsigned     over; /* a bit a connection of which no more is told */
};

static void tell(struct told *told, unsigned connection, enum event event, struct input bytes)
{
	if (told->over & 1U << connection)
		return;
	if (event == EVENT_BROKEN || event == EVENT_ENDED || event == EVENT_RESET || event == EVENT_CLOSED)
		told->over |= 1U << connection;
	if (event == EVENT_SECURED)
		bytes = (struct input){ "TLSv1.3 TLS_AES_256_GCM_SHA384", 30 };
	if (event == EVENT_BROKEN)
		bytes.left = strnlen(bytes.bytes, bytes.left); /* it is a failure's message */
	notes_event(&told->notes, connection, told->ms, event, bytes.bytes, bytes.left);
}

static void take_event(struct input *input, struct told *told)
{
	enum event   event = (enum event)take_below(input, EVENT_CLOSED + 1);
	unsigned     how = take_byte(input);
	size_t       length = take_byte(input);
	struct input bytes = { input->bytes, length < input->left ? length : input->left };

	input->bytes += bytes.left;
	input->left -= bytes.left;
	if (bytes.left == 0)
		bytes.bytes = "";
	check_quote(bytes);
	told->ms += (how >> 4) * 5.0;
	tell(told, 1 + how % 3, event, bytes);
}

static void write_notes(struct input input, struct buffer *out)
{
	struct head head;
	struct told told = { 0 };

	head_init(&head);
	strcpy(head.service, "smtp");
	notes_init(&told.notes);
	while (input.left > 0)
		take_event(&input, &told);
	conversation_write(out, "Written down by a fuzzer.", &head, &told.notes, NULL);
	notes_free(&told.notes);
	head_free(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input  input = input_of(bytes, size);
	struct buffer out;

	if (size == 0 || bytes[0] != '\0') {
		check_file(size > 0 ? input : (struct input){ "", 0 });
		return 0;
	}
	take_byte(&input);
	buffer_init(&out, LARGE);
	write_notes(input, &out);
	demand_of(check_file((struct input){ buffer_bytes(&out), buffer_length(&out) }) || size == 1,
	          "what is written down can be read", buffer_bytes(&out), buffer_length(&out));
	buffer_free(&out);
	return 0;
}
