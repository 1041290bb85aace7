/* libFuzzer: Lua's patterns, ours beside stock Lua's. The bytes are a call, see ../unit/rivals.h; that both
 * agree is what is asked.
 *
 * A fuzz target is one file, so that the calls and their comparison, which the unit test has too, are
 * taken in here.
 */
#include "../unit/rivals.c"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct rivals *rivals;
	char                  difference[6000];

	if (!rivals)
		rivals = rivals_new();
	if (!rivals)
		return 0;
	if (!rivals_agree(rivals, bytes, size, difference, sizeof difference)) {
		fprintf(stderr, "%s\n", difference);
		abort();
	}
	return 0;
}
