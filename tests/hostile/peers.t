#!/usr/bin/python3 -B
"""Ordinary servers, each legal or at least found in the wild, that other scanners get wrong.

What is said is cut into segments where a row says so, with a pause in between that a client cannot overlook."""
import contextlib
import ssl
import time

import certificate
from stage import SLOW, TRUST_NOBODY
from harness import Server, expect, expect_in, expect_true, run, scan, test

PAUSE = 0.1
certificate.plain()  # made now, and not by several threads at once
WORKS = {"advertised": True, "accepted": True, "handshake": True}


class Talk:
    """The server's side of one connection."""

    def __init__(self, sock):
        self.sock, self.heard = sock, b""

    def say(self, *segments):
        for number, segment in enumerate(segments):
            if number > 0:
                time.sleep(PAUSE)
            self.sock.sendall(segment)

    def line(self):
        while b"\n" not in self.heard:
            data = self.sock.recv(4096)
            if not data:
                raise ConnectionError
            self.heard += data
        line, self.heard = self.heard.split(b"\n", 1)
        return line.rstrip(b"\r")

    def handshake(self):
        self.sock = certificate.plain().wrap_socket(self.sock, server_side=True)

    def polite(self, good_bye=b"221 bye\r\n"):
        """What is said to the client's last word."""
        word = self.line()
        self.say(word.split(b" ")[0].lower() + good_bye if good_bye.startswith(b" ") else good_bye)
        self.rest()

    def rest(self):
        """What else the client says until it has gone, which may be a reset."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := self.sock.recv(4096):
                self.heard += data
        return self.heard


def smtp(talk, greeting=(b"220 mx.test ESMTP\r\n",), hello=(b"250-mx.test\r\n250-STARTTLS\r\n250 SIZE 1000\r\n",), yes=b"220 go ahead\r\n"):
    talk.say(*greeting)
    expect_true(talk.line().startswith(b"EHLO"), "EHLO comes first")
    talk.say(*hello)
    expect(talk.line(), b"STARTTLS", "the second command")
    talk.say(yes)
    talk.handshake()
    talk.polite()


def imap(talk, greeting):
    talk.say(*greeting)
    expect(talk.line(), b"a1 STARTTLS", "the first command")
    talk.say(b"a1 OK go ahead\r\n")
    talk.handshake()
    talk.polite(b" OK bye\r\n")


def meet(service, serve, *options, kind="--json"):
    """What comes of a server; one that heard something wrong raises it here."""
    def attend(sock):
        try:
            serve(Talk(sock))
        except (ConnectionError, ssl.SSLError):
            pass
    with Server(attend) as server:
        return scan(kind, *options, "-s", f"{service}={server.port}", "127.0.0.1", env=TRUST_NOBODY)


def found(service, serve, *options):
    return meet(service, serve, *options).records[0]


def works(record, banner="220 mx.test ESMTP", extensions=("STARTTLS", "SIZE 1000")):
    expect([record["data"]["banner"], record["data"]["extensions"], record["data"]["starttls"], record["tls"]["handshake"],
            record["warnings"], record["error"]], [banner, list(extensions), WORKS, True, [], None])


@test("1: SMTP as it should be")
def _():
    works(found("smtp", smtp))


@test("2: STARTTLS is the last of the extensions")
def _():
    works(found("smtp", lambda talk: smtp(talk, hello=(b"250-mx.test\r\n250 STARTTLS\r\n",))), extensions=["STARTTLS"])


@test("3: the answer to EHLO in two segments, wherever it is cut")
def _():
    whole = b"250-mx.test\r\n250-STARTTLS\r\n250 SIZE 1000\r\n"
    for at in (1, 4, 12, 13, 14, 20, 27, len(whole) - 1):
        works(found("smtp", lambda talk, at=at: smtp(talk, hello=(whole[:at], whole[at:]))))


@test("4: a greeting of several lines in two segments")
def _():
    works(found("smtp", lambda talk: smtp(talk, greeting=(b"220-mx.test welcomes you\r\n", b"220 to ESMTP\r\n"))),
          "220-mx.test welcomes you\n220 to ESMTP")


@test("5 and 6: a greeting that takes its time, most of the reply time-out")
def _():
    def late(talk):
        time.sleep(1.5 * SLOW)
        smtp(talk)
    record = found("smtp", late, "--reply-timeout", 4 * SLOW)
    works(record)
    expect_true(1400 * SLOW < record["ms"], f"{record['ms']} ms")


@test("7: too many connections")
def _():
    def busy(talk):
        talk.say(b"421 Too many connections\r\n")
        expect(talk.rest(), b"", "what is said to it")
    record = found("smtp", busy)
    expect([record["state"], record["data"], record["warnings"], record["error"]],
           ["open", {"banner": "421 Too many connections"}, [{"code": "refused-service", "text": "421 Too many connections"}], None])


@test("8: plain text slipped in behind the go-ahead")
def _():
    def inject(talk):
        talk.say(b"220 mx.test ESMTP\r\n")
        talk.line()
        talk.say(b"250-mx.test\r\n250 STARTTLS\r\n")
        talk.line()
        talk.say(b"220 go ahead\r\n250-mx.test\r\n250 AUTH PLAIN\r\n")
        expect(talk.rest(), b"", "what is said to it")
    record = found("smtp", inject)
    expect([record["data"]["starttls"], record["data"]["extensions"], [each["code"] for each in record["warnings"]]],
           [{**WORKS, "handshake": False}, ["STARTTLS"], ["plaintext-at-starttls"]])
    expect_in("250-mx.test\r\n250 AUTH PLAIN\r\n", record["warnings"][0]["text"])


@test("9: starttls in lower case among IMAP's capabilities")
def _():
    record = found("imap", lambda talk: imap(talk, (b"* OK [capability imap4rev1 starttls] ready\r\n",)))
    expect([record["data"]["starttls"], record["tls"]["handshake"], record["error"]], [WORKS, True, None])


@test("10: an untagged line of IMAP in a segment of its own")
def _():
    def serve(talk):
        talk.say(b"* OK ready\r\n")
        expect(talk.line(), b"a1 STARTTLS", "the first command")
        talk.say(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n", b"a1 OK go ", b"ahead\r\n")
        talk.handshake()
        talk.polite(b" OK bye\r\n")
    record = found("imap", serve)
    expect([record["data"]["starttls"], record["tls"]["handshake"], record["error"]],
           [{"accepted": True, "handshake": True}, True, None])


def heard_by(serve):
    """The same server, and what it hears: a list."""
    heard = []

    def listen(talk):
        serve(talk)
        heard.append(talk.rest())
    return listen, heard


@test("11: SSH on port 25")
def _():
    serve, heard = heard_by(lambda talk: talk.say(b"SSH-2.0-OpenSSH_9.9\r\n"))
    record = found("smtp", serve)
    expect([record["data"], record["warnings"], record["error"], heard],
           [{"banner": "SSH-2.0-OpenSSH_9.9"}, [{"code": "wrong-protocol", "text": "this is ssh, not smtp"}], None, [b""]])


@test("12 and 14: HTTP and TLS on port 25, who wait to be spoken to")
def _():
    serve, heard = heard_by(lambda talk: None)
    record = found("smtp", serve, "--reply-timeout", 0.5 * SLOW)
    expect([record["state"], record["error"]["code"], [each["code"] for each in record["warnings"]], heard], ["open", "timeout", ["silent"], [b""]])
    expect_true(record["ms"] < 2500 * SLOW, f"{record['ms']} ms")


@test("13: a byte now and then, and never a line")
def _():
    def drip(talk):
        while True:
            talk.say(b"x")
            time.sleep(0.05)
    record = found("smtp", drip, "--reply-timeout", 0.5 * SLOW, "--deadline", 3 * SLOW)
    expect([record["state"], record["error"]["code"]], ["open", "too-slow"])
    expect_in("the line did not end within", record["error"]["message"])
    expect_true(record["ms"] < 2500 * SLOW, f"{record['ms']} ms")


@test("15: escape sequences in a greeting and in a Server field")
def _():
    evil = b"\x1b[2J\x1b]0;gone\x07"
    said = meet("ssh", lambda talk: (talk.say(b"SSH-2.0-" + evil + b"\r\n"), talk.rest()), kind="-4")
    shown = meet("http", lambda talk: (talk.line(), talk.say(b"HTTP/1.1 200 OK\r\nServer: " + evil + b"\r\n\r\n"), talk.rest()), kind="-4")
    for done in (said, shown):
        expect_in("\\x1b[2J\\x1b]0;gone\\x07", done.out)
        expect_true(b"\x1b" not in done.raw and b"\x07" not in done.raw, "a terminal is spared")


run()
