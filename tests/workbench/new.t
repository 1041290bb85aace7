#!/usr/bin/python3 -B
"""--new: a probe and its conversation, which pass at once; and nothing is overwritten."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
from harness import expect, expect_in, expect_true, folder, greeter, read, run, scan, test  # noqa: E402


@test("a new probe passes --check and --replay, and scans")
def _():
    for name, options in (("mine", ["--port", "7"]), ("my-own_2", []), ("x", ["--port", "65535"])):
        with folder() as path:
            said = scan("--new", name, *options, cwd=path).out
            expect(sorted(os.listdir(path)), [f"{name}.conversation", f"{name}.lua"])
            expect(scan("--check", name + ".lua", cwd=path).out, f"ok {name}.lua\n")
            expect(scan("--replay", name + ".conversation", cwd=path).out, f"ok {name}.conversation\n")
            expect(read(f"{path}/{name}.lua").count(b"\n"), 10)
            expect_in(f"wrote {name}.lua and {name}.conversation", said)
            with greeter(name.encode() + b" ready\r\n") as server:
                done = scan("-S", name + ".lua", "-s", f"{name}={server.port}", "127.0.0.1", cwd=path)
            expect(done.out, f"Testing 127.0.0.1:\nport {server.port} ({name}) open.\n{name} ready\n")


@test("its greeting is known, with a hyphen in its name too")
def _():
    for name in ("mine", "my-own"):
        with folder() as path, greeter(name.encode() + b" ready\r\n") as server:
            scan("--new", name, cwd=path)
            expect_in(f"looks like {name}\n", scan("-S", name + ".lua", f"127.0.0.1:{server.port}", "--reply-timeout", 1, cwd=path).out)


@test("what it says to do next works")
def _():
    with folder() as path:
        said = scan("--new", "mine", "--port", "4711", cwd=path).out.splitlines()[1:]
        for line in said[:2]:
            expect(line.split()[0], "scan")
            scan(*line.split()[1:], cwd=path)
        expect_in("-s mine HOST", said[2])


@test("the port")
def _():
    with folder() as path:
        scan("--new", "mine", "--port", "4711", cwd=path)
        expect_in("mine            4711", scan("-S", "mine.lua", "--list", cwd=path).out)


@test("files that are there are left as they are")
def _():
    for name in ("mine_lua", "mine_conversation"):
        with folder(**{name: "precious"}) as path:
            done = scan("--new", "mine", cwd=path, status=2)
            expect_in("mine." + name[5:] + ": is there already", done.err)
            expect(os.listdir(path), ["mine." + name[5:]])
            expect(read(path + "/mine." + name[5:]), b"precious")


@test("bad names and ports")
def _():
    with folder() as path:
        for name in ("Mine", "a b", "../x", "a.b", "x" * 61, "\x1b[2J"):
            done = scan("--new", name, cwd=path, status=2)
            expect_in("--new wants a name of a-z, 0-9, - and _", done.err)
            expect_true("\x1b" not in done.err, "escape")
        scan("--new", "mine", "--port", "0", cwd=path, status=2)
        scan("--new", "mine", "--port", "65536", cwd=path, status=2)
        expect_in("goes with --new", scan("--port", "7", "--list", cwd=path, status=2).err)
        expect(os.listdir(path), [])


@test("a folder in which nothing can be made")
def _():
    with folder() as path:
        os.mkdir(path + "/gone")
        done = scan("--new", "mine", status=2, before=("sh", "-c", f'cd {path}/gone && rmdir {path}/gone && exec "$0" "$@"'))
    expect_in("mine.lua: No such file or directory", done.err)


run()
