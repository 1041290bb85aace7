/* Fuzzing of what --check reads off the page: the bytes are a script, and must be understood where Lua does. */
#include "workbench/source.h"
#include "fuzz.h"
#include "shipped.h"

#include "workbench/lint.h"

#include <lauxlib.h>
#include <lua.h>

static lua_State           *L;
static const struct script *script;
static struct known         known;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	L = luaL_newstate();
	script = catalogue_script(load_shipped(), "smtp");
	known.globals = json_pack("{s:b, s:b, s:b, s:{s:b, s:b}, s:{s:b, s:b}}", "require", 1, "pcall", 1,
	                          "_G", 1, "string", "find", 1, "match", 1, "scan", "connect", 1, "sleep", 1);
	known.methods = json_pack("{s:b, s:b, s:b}", "readline", 1, "write", 1, "starttls", 1);
	known.libraries = json_pack("{s:{s:b}, s:b}", "banner", "read", 1, "reply", 1);
	return L && script && known.globals && known.methods && known.libraries ? 0 : 1;
}

static bool compiles(const char *text, size_t length)
{
	bool good = luaL_loadbufferx(L, text, length, "@fuzz", "t") == LUA_OK;

	lua_settop(L, 0);
	return good;
}

static void check_sightings(const struct source *source)
{
	for (size_t i = 0; i < source->sighting_count; i++) {
		const struct sighting *sighting = &source->sightings[i];

		demand(sighting->line >= 1 && sighting->line <= source->lines,
		       "what is seen stands on a line");
		demand(sighting->function < source->function_count, "and in a function");
		demand(sighting->given_count <= CALL_ARGUMENTS, "arguments are bounded");
		demand(sighting->base.kind != ORIGIN_PARAMETER ||
		           sighting->base.function < source->function_count,
		       "a parameter is a function's");
	}
}

static void check_findings(const struct source *source)
{
	struct findings findings = { 0 };

	lint(&findings, source, &known, script);
	findings_sort(&findings);
	for (size_t i = 0; i < findings.count; i++) {
		demand(findings.finding[i].line >= 1 && findings.finding[i].line <= source->lines,
		       "a finding has a line");
		demand(findings.finding[i].text && findings.finding[i].text[0], "a finding is explained");
	}
	findings_free(&findings);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct source source;
	char         *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, size > 0 ? (const char *)bytes : "", size);
	text[size] = '\0';
	if (compiles(text, size)) {
		if (source_read(&source, text, size)) {
			check_sightings(&source);
			check_findings(&source);
		}
		source_free(&source);
	}
	free(text);
	return 0;
}
