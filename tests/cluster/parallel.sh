#!/bin/sh
# A list, scanned from several machines, by GNU parallel over ssh:
#
#   parallel.sh LIST FOUND.jsonl SHARDS MACHINE,MACHINE... [OPTION OF SCAN...]
#
# The machines have scan and rsync, which brings them both files. What is found is added to FOUND.jsonl line by line.
# The same command again asks only for what is not there yet. The status is the number of shards that were not
# completed. JOBS is how many run on a machine at a time: 1, for one scan uses all processors.
set -eu

list=$1 found=$2 shards=$3 machines=$4
shift 4

touch "$found"
seq "$shards" | parallel --sshlogin "$machines" --jobs "${JOBS:-1}" --quote --line-buffer \
	--basefile "$list" --basefile "$found" \
	scan -q "$@" -f "$list" --shard "{}/$shards" --json --resume "$found" >>"$found"
