/* Fuzzing of the scripts on a server whose TLS works, from the first byte or by STARTTLS: see visiting.h. Handshakes
 * take their time, so this is not done together with plain text.
 */
#include "visiting.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return prepare_visits() ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	check_visits(bytes, size, true);
	return 0;
}
