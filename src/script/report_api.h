/* `report` as scripts see it: report(key, value [, text]) and report.warn(code, text). */
#ifndef SCRIPT_REPORT_API_H
#define SCRIPT_REPORT_API_H

struct lua_State;

void report_api_register(struct lua_State *L); /* [-0, +0, m] */
void report_api_push(struct lua_State *L);     /* the object that all probes share [-0, +1, -] */

#endif
