/* Fuzzing of the scripts with plain text, whatever the client says: see visiting.h. */
#include "visiting.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return prepare_visits() ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	check_visits(bytes, size, false);
	return 0;
}
