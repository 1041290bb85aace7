/* `scan` as scripts see it: connect, sleep, now, escape, is_error, classify. In a trusted state connect goes
 * anywhere, and there are resolve, listen, pair and spawn. */
#ifndef SCRIPT_SCAN_API_H
#define SCRIPT_SCAN_API_H

struct lua_State;

void scan_api_push(struct lua_State *L); /* a table of a script's own [-0, +1, m] */

#endif
