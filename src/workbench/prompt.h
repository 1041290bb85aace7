/* Lines from whoever sits before the shell: with editing, history and completion on a terminal, plainly from a dumb
 * one, without prompts from anything else. While it waits the loop is served.
 */
#ifndef WORKBENCH_PROMPT_H
#define WORKBENCH_PROMPT_H

#include "base/buffer.h"
#include "workbench/program.h"

#include <stdbool.h>

struct prompt;

/* NULL: no memory. */
struct prompt *prompt_new(struct program *program);
void           prompt_free(struct prompt *prompt); /* NULL is fine */

enum input { INPUT_LINE, INPUT_INTERRUPTED, INPUT_END };

/* One line, without its end, in the place of what is in `line`. */
enum input prompt_read(struct prompt *prompt, const char *text, struct buffer *line);

/* Keep it for the next time, also of another session. */
void prompt_remember(struct prompt *prompt, const char *line);

/* Before and after something is written while a line is open, which is moved out of the way. */
void prompt_step_aside(struct prompt *prompt);
void prompt_step_back(struct prompt *prompt);

/* Does somebody sit there? */
bool prompt_attended(const struct prompt *prompt);

#endif
