#!/usr/bin/python3 -B
"""Rows 1 to 25: what any server can do to any service, in the open and inside TLS, whole and a byte at a time.

What is expected of a row is a function of the service and of the case; a TLS service plays the row inside TLS, and what
comes of it without TLS is told by the functions that are marked `bare`. Asked of all: that records are as the schema says,
that nothing stays open, that little memory and time is used, and that no byte gets to a terminal that should not.
"""
import server
from stage import DEADLINE, PATIENT, REPLY, SLOW, Run, Stage
from fate import (AT_ONCE, CLOSED, LATE, NO_REPLY, NO_TLS, RESET, SILENT, SLOW_LINE, TOO_MUCH, WORDLESS, Fate, expectations, note,
                  not_a_greeting, own_greeting, told)
from harness import expect, expect_true, run, test
from server import BARE, OTHERS, RECORDS, SECURE, SINGLE, WHOLE

OPEN = "ssh smtp submission pop2 pop3 imap ftp http ipp unknown telnet kerberos ldap".split()
ROWS = [row for row in sorted(server.rows) if row < 25]
PLAIN = "tls/not-tls: the server answered in plain text: "
HALFWAY = "tls/closed-early: the server closed the connection during the handshake, before the server's hello"

of, bare, check = expectations()


# --- 1 to 6: silence and slowness ------------------------------------------------------------------------------------

@of(1, 19)
def _(asked, _):
    if asked.kind == "unknown":
        return Fate("", "silent: no greeting within", within=REPLY + AT_ONCE)
    error = NO_REPLY if asked.kind == "http" else SILENT
    return Fate(error, "silent: " + error.split(": ", 1)[1], within=REPLY + AT_ONCE)


@bare(1, 19)
def _(*_):
    return Fate(NO_TLS, within=REPLY + AT_ONCE)


@of(2)
def _(asked, _):
    return Fate("" if asked.kind == "unknown" else WORDLESS)


@bare(2)
def _(*_):
    return Fate(HALFWAY, visits=2)


@of(3)
def _(*_):
    return Fate(RESET)


@bare(3)
def _(*_):
    return Fate("tls/reset: Connection reset by peer", visits=2)


@of(4)
def _(asked, _):
    data = {} if asked.kind == "http" else {"banner": own_greeting(asked)}
    return Fate(RESET if asked.asks or asked.kind == "http" else "", **data)


@of(5)
def _(asked, _):
    return Fate("" if asked.kind == "unknown" else SLOW_LINE, within=REPLY + AT_ONCE, banner=...)


@bare(5)
def _(*_):
    return Fate(PLAIN, within=REPLY + AT_ONCE)


@of(6)
def _(asked, at_a_time):
    if asked.kind == "unknown":
        return Fate(banner=...)
    if asked.kind != "ssh":
        return Fate("", *not_a_greeting(asked), banner=...)
    if at_a_time == 1:
        late = LATE if DEADLINE < 4 else ...  # else it comes to 50 lines
        return Fate(late, "not-protocol: ", within=DEADLINE + AT_ONCE, banner=...)
    return Fate("", "not-protocol: 50 lines, and no SSH identification", banner=...)


@bare(6)
def _(*_):
    return Fate(PLAIN)


# --- 7 to 9: too much, and contradictions ----------------------------------------------------------------------------

@of(7)
def _(*_):
    return Fate(TOO_MUCH, banner="A" * 4096)


@bare(7)
def _(*_):
    return Fate(PLAIN + "A" * 200)


@of(8)
def _(asked, _):
    if asked.kind in ("smtp", "ftp"):
        return Fate("", "oversize: a reply of more than 128 lines", banner="\n".join(["220-x"] * 128))
    if asked.kind == "ssh":
        return Fate("", "not-protocol: 50 lines, and no SSH identification", banner="220-x")
    return Fate("", *not_a_greeting(asked, "220-x"), banner="220-x")


@bare(8)
def _(*_):
    return Fate(PLAIN + "220-x")


@of(9)
def _(asked, text):
    lines = text.decode().split("\r\n")
    if asked.kind == "smtp":
        return Fate("", f"not-protocol: not a line of a 220 reply: {lines[1]}", banner="\n".join(lines[:2]))
    if asked.kind == "ftp":  # RFC 959: between the first line and the last there may be anything
        return Fate(NO_REPLY, within=REPLY + AT_ONCE, banner="\n".join(lines[:-1]))
    if asked.kind == "ssh":
        return Fate(NO_REPLY, within=REPLY + AT_ONCE, banner=lines[0])
    return Fate("", *not_a_greeting(asked, lines[0]), banner=lines[0])


@bare(9)
def _(*_):
    return Fate(PLAIN + "220-a")


# --- 10 to 16: honest, but for the bytes -----------------------------------------------------------------------------

@of(10, 24)
def _(*_):
    return Fate(honest=True)


@of(11)
def _(asked, end):
    if end in (b"\n", b"\r\r\n"):
        return Fate(honest=True, **told(asked, b"mail.test", end))
    if asked.kind == "http":
        return Fate(CLOSED, status=200, reason="OK" + end.decode())
    error = "" if asked.kind in ("ssh", "pop2", "unknown") or asked.secure and asked.kind != "smtp" else CLOSED
    return Fate(error, banner=own_greeting(asked) + end.decode())


@of(12)
def _(asked, _):
    return Fate(honest=True, **told(asked, b"a\0b"))


@of(13, 14, 15)
def _(asked, text):
    text = text if isinstance(text, bytes) else text.encode()
    if asked.kind == "ssh" and len(text) > 247:
        return Fate("", "oversize: an identification of more than 255 bytes", banner=(b"SSH-2.0-" + text)[:255])
    if text == b"\xff\xfe" and asked.kind == "unknown":
        return Fate(banner=text, looks_like="telnet")
    if len(text) > 4080:
        return Fate("", *(["oversize: a line of more than 4096 bytes"] if asked.kind not in ("http", "unknown") else []),
                    honest=True, **cut_line(told(asked, text)))
    return Fate(honest=True, **told(asked, text))


def cut_line(data):
    """The text, which is longest in it, as much as a line of 4,096 bytes holds of it, and no half characters."""
    if "server" in data:
        return {**data, "server": (b"Server: " + data["server"])[8:4096].decode("utf-8", "ignore").encode()}
    return {"banner": data["banner"][:4096].decode("utf-8", "ignore").encode()}


@of(16)
def _(asked, text):
    if b"\r\n" not in text:
        return Fate(honest=True, **told(asked, text))
    early = "not-protocol: said before it was asked: 220 fake host"
    if asked.kind == "imap" and not asked.secure:
        return Fate("", starttls_reply="220 fake host", **told(asked, b"a"))
    if asked.kind in ("smtp", "ftp") or asked.kind == "pop3" and not asked.secure:
        return Fate("", early, honest=True, **told(asked, b"a"))
    return Fate("", honest=True, **told(asked, b"a"))


# --- 17 to 23: other servers, and odd ends ---------------------------------------------------------------------------

@of(17)
def _(asked, _):
    line = bytes(range(33, 105)).decode()
    if asked.kind == "ssh":
        return Fate("", "not-protocol: 50 lines, and no SSH identification", banner=line)
    return Fate("", *not_a_greeting(asked, line), banner=line)


@bare(17)
def _(*_):
    return Fate(PLAIN + bytes(range(33, 105)).decode())


@of(18)
def _(asked, _):
    if asked.kind == "http":
        return Fate("", "not-protocol: not HTTP: HEAD / HTTP/1.1", banner="HEAD / HTTP/1.1")
    if asked.kind == "unknown":
        return Fate("", "silent: no greeting within", within=REPLY + AT_ONCE)
    return Fate(SILENT, "silent: ", within=REPLY + AT_ONCE)


@bare(18)
def _(*_):  # our own hello comes back
    return Fate("tls/tls-failed: unexpected message", visits=2)


@of(20)
def _(asked, case):
    line = OTHERS[case].decode("latin-1").split("\n")[0].rstrip("\r")
    data = {"banner": OTHERS[case].split(b"\n")[0].rstrip(b"\r")}
    if asked.kind == case == "http":
        return Fate(server="x", status=400, reason="Bad Request")
    if asked.kind == "unknown":
        return Fate(looks_like=case, **data)
    if asked.kind == "pop2" and case == "pop3":  # it begins with +, so QUIT is said
        return Fate("", "wrong-protocol: this is pop3, not pop2", within=DEADLINE + AT_ONCE, **data)
    if asked.kind == case:
        return Fate(NO_REPLY if asked.asks else "", within=DEADLINE + AT_ONCE, **data)
    if asked.kind == "ftp" and case == "smtp" or asked.kind == "smtp" and case == "ftp":  # the same codes
        return Fate(NO_REPLY, f"wrong-protocol: this is {case}, not {asked.service}", within=DEADLINE + AT_ONCE, **data)
    return Fate("", f"wrong-protocol: this is {case}, not {asked.service}", **data)


@bare(20)
def _(asked, case):
    if case == "tls":
        return Fate("tls/tls-alert: the server sent alert 80, internal error", visits=2)
    if case == asked.kind == "http":  # which waits for a request
        return Fate(NO_TLS, within=REPLY + AT_ONCE)
    return Fate(PLAIN, visits=...)


@of(21)
def _(asked, _):
    if asked.kind == "http":
        return Fate(NO_REPLY, "silent: ", within=REPLY + AT_ONCE)
    return Fate(NO_REPLY if asked.asks else "", within=DEADLINE + AT_ONCE, banner=own_greeting(asked))


@of(22)
def _(asked, _):
    if asked.kind == "http":
        return Fate(WORDLESS)
    return Fate(CLOSED if asked.asks else "", banner=own_greeting(asked))


@of(23)
def _(asked, _):
    """Whoever comes first, the reset or our next word: what was said is there, and the end is one of the two."""
    if asked.kind == "http":
        return Fate(..., server="test", status=408, reason="Request Timeout")
    return Fate(... if asked.asks else "", banner=own_greeting(asked))


@test("row 25, every byte in a segment of its own, as fast as it goes")
def _():
    stage = Stage("smtp", "ssh", "imap")
    played = Run(stage, [25], [WHOLE], PATIENT)
    stage.close()
    for service in stage.services:
        found = played.records[25, 1, WHOLE, service]
        expect([found["error"]["code"], found["data"]], ["oversize", {"banner": "A" * 4096}], service)
    note(f"row 25: {played.seconds:.2f} s of CPU time for {len(stage.services)} connections")
    expect_true(played.seconds < 1.5 * SLOW, f"{played.seconds:.2f} s of CPU time")


WAITING = {1, 5, 6, 9, 18, 19, 20, 21}
check("in the open", OPEN, ROWS, [WHOLE, SINGLE], WAITING)
check("inside TLS", SECURE, ROWS, [WHOLE, SINGLE, RECORDS], WAITING)
check("where TLS should be", SECURE, sorted(bare.rows), [BARE], bare.rows)
run()
