#!/usr/bin/python3 -B
"""--resume: what a former run has already is left out."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import closed_port, expect, expect_in, folder, greeter, read, run, scan, test  # noqa: E402

GREETING = b"SSH-2.0-x\r\n"


def hosts(path):
    return sorted(json.loads(line)["host"] for line in read(path).splitlines())


@test("a run that was broken off is gone on with: each service once")
def _():
    with greeter(GREETING, address="0.0.0.0") as server, closed_port() as port, folder() as path:
        found = path + "/found"
        words = ("--json", "-s", f"ssh={server.port},pop2={port}", "127.0.4.0/24", "-o", found)
        scan(*words)
        lines = read(found).splitlines(keepends=True)
        expect(len(lines), 512)
        with open(found, "wb") as file:  # as it is left when the power goes: in the middle of a line
            file.writelines(lines[:300])
            file.write(lines[300][:20])
        missing = sum(json.loads(line)["service"] == "ssh" for line in lines[300:])
        before = server.count
        scan(*words, "--resume", found)
        expect(server.count - before, missing)
        seen = [json.loads(line) for line in read(found).splitlines()]
        expect(len({(record["host"], record["service"]) for record in seen}), 512)
        expect(len(seen), 512)
        scan(*words, "--resume", found)
        expect(server.count - before, missing)
        expect(len(read(found).splitlines()), 512)


@test("what failed is tried again, other services and ports are not there yet, and names are names")
def _():
    with greeter(GREETING) as one, greeter(GREETING) as two, folder() as path:
        found = path + "/found"

        def put(**fields):
            with open(found, "a", encoding="utf-8") as file:
                file.write(json.dumps({"schema": 1, "host": "127.0.0.1", "service": "ssh", "port": one.port, "state": "open", **fields}) + "\n")

        words = ("--json", "--resume", found, "-s", f"ssh={one.port}")
        for fields in ({"state": "failed"}, {"port": two.port}, {"service": "smtp"}, {"host": "127.0.0.2"}, {"host": "localhost"}):
            put(**fields)
            expect([record["state"] for record in scan(*words, "127.0.0.1").records], ["open"], fields)
        expect(scan("--json", "--resume", found, "-s", f"ssh={two.port}", "127.0.0.1").out, "")
        expect(scan(*words, "-4", "localhost").out, "")
        put(state="closed")
        expect(scan(*words, "127.0.0.1").out, "")
        expect(len(scan(*words, f"127.0.0.1:{one.port}", "127.0.0.3").records), 1)


@test("a file that is none, or holds something else, is an error before the scan")
def _():
    with greeter(GREETING) as server, folder(other="not JSON\n", list="[1]\n", half='{"host":"a","service":"ssh","port":0,"state":"open"}\n') as path:
        for name, part in (("none", "No such file"), ("other", "other:1: not a record"), ("list", "list:1: not a record"),
                           ("half", "half:1: not a record")):
            done = scan("--json", "--resume", f"{path}/{name}", "-s", f"ssh={server.port}", "127.0.0.1", status=2)
            expect_in("--resume", done.err)
            expect_in(part, done.err)
            expect(done.out, "")
        expect(server.count, 0)


@test("the first run may be called like those that go on with it; any other file must be there")
def _():
    with greeter(GREETING) as server, folder() as path:
        found = path + "/found"
        words = ("--json", "-s", f"ssh={server.port}", "--resume", found)
        expect_in("No such file", scan(*words, "127.0.0.1", status=2).err)
        expect_in("No such file", scan(*words, "-o", path + "/other", "127.0.0.1", status=2).err)
        expect(server.count, 0)
        scan(*words, "-o", found, "127.0.0.1")
        expect(hosts(found), ["127.0.0.1"])
        scan(*words, "-o", found, "127.0.0.1", "localhost", "-4")
        expect(hosts(found), ["127.0.0.1", "localhost"])
        expect(server.count, 2)


@test("text is not written behind JSON lines: -o FILE --resume FILE wants --json")
def _():
    with greeter(GREETING) as server, folder(found="") as path:
        os.link(path + "/found", path + "/same")
        for name in ("found", "same", "none"):
            done = scan("-o", f"{path}/{name}", "--resume", f"{path}/{'none' if name == 'none' else 'found'}", "-s", f"ssh={server.port}", "127.0.0.1",
                        status=2)
            expect_in("--json", done.err)
        expect(os.path.getsize(path + "/found"), 0)
        expect(os.path.exists(path + "/none"), False)
        expect(server.count, 0)


run()
