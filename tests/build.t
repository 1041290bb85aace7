#!/usr/bin/python3 -B
"""The Makefile: what is built again when something has changed that is not in this folder."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cli"))
from harness import expect, expect_in, folder, run, test  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# It says where Lua's archive is, and makes empty files of all that is to be compiled or linked.
COMPILER = """#!/bin/sh
case $* in
-print-file-name=*) echo {archive}; exit;;
*--version*) echo compiler 1; exit;;
esac
while [ $# -gt 0 ]; do
	[ "$1" = -o ] && : >"$2"
	shift
done
exit 0
"""


def make(where):
    ours = ("MAKE", "MFLAGS", "WERROR", "SANITIZE", "COVERAGE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(["make", "-C", where, "--no-print-directory", f"CC={where}/compiler", "program"], check=True,
                          capture_output=True, text=True, env=environment).stdout.splitlines()


@test("another archive of Lua, also one of an older date, is linked in")
def _():
    with folder() as where:
        for name in "src", "vendor":
            os.symlink(f"{ROOT}/{name}", f"{where}/{name}")
        shutil.copy(f"{ROOT}/Makefile", where)
        with open(where + "/compiler", "w") as file:
            file.write(COMPILER.format(archive=where + "/archive.a"))
        os.chmod(where + "/compiler", 0o755)
        with open(where + "/archive.a", "w") as file:
            file.write("one")
        expect_in("  LINK  .build/compiler/scan", make(where))
        expect(make(where), ["make: Nothing to be done for 'program'."], "the second time")
        os.utime(where + "/archive.a", (1000000000, 1000000000))
        expect(make(where), ["  LINK  .build/compiler/scan"], "with another archive")
        expect(make(where), ["make: Nothing to be done for 'program'."], "and once more")


run()
