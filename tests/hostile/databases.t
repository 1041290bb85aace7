#!/usr/bin/python3 -B
"""What servers can do to the probes of bytes: rootdse, mysql, postgres, redis and vnc. Lengths that come over the wire
allocate nothing and are not waited for, nothing is endless, no answer is a bug of the script, and other protocols are
named. The oddities of each protocol are in tests/conversations/."""
import itertools
import os
import random
import resource
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from harness import SANITIZED, Server, expect, expect_in, expect_true, hear_out, run, scan, test  # noqa: E402

SERVICES = "rootdse mysql postgres redis vnc".split()
REPLY, DEADLINE = 0.8, 2.0
TIMES = ["--reply-timeout", f"{REPLY:g}", "--deadline", f"{DEADLINE:g}"]
MEBIBYTES = 40  # of the whole program, in the worst case

# How each goes on with us, up to where a length is due.
BEGINNINGS = {"rootdse": b"0", "mysql": b"", "postgres": b"N", "redis": b"+PONG\r\n$", "vnc": b"RFB 003.008\n\0"}


def endless(*pieces):
    """Says the first ones once, the last one for ever."""
    def serve(sock):
        for piece in itertools.chain(pieces, itertools.repeat(pieces[-1])):
            sock.sendall(piece)
    return serve


def says(words, then=hear_out):
    def serve(sock):
        sock.sendall(words)
        then(sock)
    return serve


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drips(words):
    def serve(sock):
        for byte in itertools.chain(words, itertools.cycle(b"0")):
            sock.sendall(bytes([byte]))
            time.sleep(0.05)
    return serve


def noise(seed):
    return random.Random(seed).randbytes(65536)


BAD = {
    "says nothing": hear_out,
    "closes at once": lambda sock: None,
    "resets at once": reset,
    "says zeros for ever": endless(b"\0" * 65536),
    "says ones for ever": endless(b"\xff" * 65536),
    "says a line for ever": endless(b"A" * 65536),
    "says lines for ever": endless(b"A\r\n" * 20000),
    "closes after a byte": says(b"0", lambda sock: None),
    **{f"makes noise ({seed})": endless(noise(seed)) for seed in range(6)},
}


def visit(service, serve):
    """The record of the visit, which took no longer than it may, and found no bug."""
    with Server(serve) as server:
        began = time.monotonic()
        done = scan("--json", *TIMES, "-s", f"{service}={server.port}", "127.0.0.1")
        seconds = time.monotonic() - began
    expect(done.err, "", "standard error")
    expect_true(seconds < DEADLINE + 3, f"it took {seconds:.1f} s")
    expect_true(server.count <= 2, f"{server.count} connections")
    record, = done.records
    expect(record["state"], "open", "state")
    return record


def warnings(record):
    return {warning["code"]: warning["text"] for warning in record["warnings"]}


for name, bad in BAD.items():
    @test(f"a server that {name}")
    def _(bad=bad):
        for service in SERVICES:
            record = visit(service, bad)
            expect_true(record["error"] or record["warnings"], f"{service}: something is said of it: {record}")
            expect_true("version" not in record["data"], f"{service}: it has no version: {record}")


@test("a server that says the right thing byte by byte, and does not come to an end")
def _():
    for service in SERVICES:
        visit(service, drips(BEGINNINGS[service]))


@test("lengths of all sizes, with what they promise and without")
def _():
    lengths = {
        "rootdse": [bytes([0x80 | size]) + b"\xff" * size for size in range(0, 9)] + [b"\x83\0\x80\x01", b"\x82\xff\xff", b"\x7f"],
        "mysql": [b"\xff\xff\xff\0", b"\0\0\0\0", b"\x00\x10\0\0", b"\x01\x10\0\0", b"\x01\0\0\0"],
        "postgres": [kind + length for kind in (b"R", b"E", b"S", b"v") for length in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\3",
                                                                                      b"\0\0\x40\0", b"\0\0\x40\1")],
        "redis": [b"99999999999999999999\r\n", b"-1\r\n", b"16385\r\n", b"16384\r\n", b"0x10\r\n", b"\r\n", b"1e5\r\n"],
        "vnc": [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\4\1", b"\x7f\xff\xff\xff"],
    }
    for service, texts in lengths.items():
        for text in texts:
            for end in (lambda sock: None, endless(b"B" * 65536)):
                visit(service, says(BEGINNINGS[service] + text, end))


@test("LDAP: a thousand levels, and as many parts as there is room for")
def _():
    deep = b""
    for _ in range(1000):
        size = len(deep)
        deep = b"0" + (bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")) + deep
    wide = b"0\x82" + (32000).to_bytes(2, "big") + b"\1\0" * 16000
    for words, why in ((deep, "more than 8 levels"), (wide, "more than 1024 parts")):
        expect_in(why, warnings(visit("rootdse", says(words)))["not-protocol"])


# --- others ----------------------------------------------------------------------------------------------------------

GREETINGS = {
    "ssh": b"SSH-2.0-OpenSSH_9.9\r\n", "smtp": b"220 mail.example ESMTP Postfix\r\n", "ftp": b"220 (vsFTPd 3.0.3)\r\n",
    "imap": b"* OK ready\r\n", "pop3": b"+OK ready\r\n", "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "telnet": b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27",
    "vnc": b"RFB 003.008\n", "redis": b"-DENIED Redis is running in protected mode\r\n",
    "mysql": b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xf7\xff\2\0\xff\xdf\x15" + b"\0" * 10 + b"abcdefghijkl\0caching\0",
}


def named(service, kind):
    if service == "postgres" and kind == "ssh":
        return "plaintext-at-starttls"  # its first byte is a yes
    return "" if service == kind else "wrong-protocol"


@test("other protocols are named")
def _():
    for service in SERVICES:
        for kind, greeting in GREETINGS.items():
            code = named(service, kind)
            if code:
                found = warnings(visit(service, says(greeting)))
                expect_true(code in found, f"{service} meets {kind}: {found}")
                expect_in(kind if code == "wrong-protocol" else "SH-2.0", found[code])


@test("others name these, and a port that no probe declares is known by its greeting")
def _():
    for kind in ("vnc", "redis", "mysql"):
        for service in ("smtp", "imap", "pop3", "ftp", "ssh", "pop2", "http"):
            expect(warnings(visit(service, says(GREETINGS[kind])))["wrong-protocol"], f"this is {kind}, not {service}", service)
        expect(visit("unknown", says(GREETINGS[kind]))["data"]["looks_like"], kind, kind)


@test("an error in place of MySQL's greeting is known by others, too")
def _():
    words = b"\x46\0\0\0\xffj\x04Host '127.0.0.1' is not allowed to connect to this MariaDB server.."
    expect(warnings(visit("smtp", says(words)))["wrong-protocol"], "this is mysql, not smtp", "smtp")


@test("all this took little memory")
def _():
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    expect_true(SANITIZED or peak < MEBIBYTES * 1024, f"{peak / 1024:.1f} MiB")


run()
