#!/usr/bin/python3 -B
"""The conversations of this folder, *.conversation, replayed: recorded from real servers, or written by hand for what
real servers seldom do. Each is played in all its cuts. The transcripts of the *.t beside them are played over sockets.

With arguments, or the words of CONVERSATIONS, only the files whose names have one of them in it.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

SCAN = os.path.abspath(os.environ.get("SCAN", "./scan"))
HERE = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, "SCAN_SCRIPTS": "", "SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/dev/null"}
TOGETHER = 2

chosen = sys.argv[1:] or os.environ.get("CONVERSATIONS", "").split()
files = sorted(path.name for path in HERE.glob("*.conversation")
               if not chosen or any(word in path.name for word in chosen))


def start(names):
    return subprocess.Popen([SCAN, "--replay", *names], cwd=HERE, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")


def results(process):
    """For each file whether it is right, and what was said of it."""
    found, current = {}, None
    for line in process.communicate(timeout=900)[0].splitlines():
        head = re.fullmatch(r"(not )?ok (\S+)", line)
        if head:
            current = found[head[2]] = (not head[1], [])
        elif current:
            current[1].append(line)
        else:
            print("#", line)
    return found


def main():
    print(f"1..{len(files)}")
    parts = [files[number::TOGETHER] for number in range(TOGETHER)]
    seen = {}
    for process in [start(part) for part in parts if part]:
        seen.update(results(process))
    failed = 0
    for number, name in enumerate(files, 1):
        right, said = seen.get(name, (False, ["nothing was said of it"]))
        right = right and not said  # a file that says nothing of the report tests nothing
        failed += not right
        print(f"{'ok' if right else 'not ok'} {number} - {name}")
        for line in [] if right else said:
            print("# ", line)
    sys.exit(failed > 0)


main()
