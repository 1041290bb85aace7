#!/usr/bin/python3 -B
"""The bad behaviours of servers, each a row with a number; one program plays them all.

    server.py [tls] SERVICE...

listens for each of the services on a port of its own, at all addresses of 127.0.0.0/8, and prints the ports as one line
of JSON. What a client meets is in the address that it connected to: 127.VARIANT.ROW.CASE with these variants:

    80  as it is; a TLS service makes its handshake first, and the row is played inside
    81  the same with every byte in a segment of its own
    82  the same with every byte in a TLS record of its own
    83  a TLS service too plays the row on the bare connection
    100 and above: as it is, case 1, whatever comes after the row: for 256 hosts each

A row that is about TLS itself is played to a service that has STARTTLS once it has said yes to that.

Row 0 is an honest server. With `tls` everything is ready for the rows from 60 on. When standard input ends, a line of JSON for each connection tells what was heard on it.
"""
import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
import zlib

import certificate
import wire
from peer import Gone, Peer

WHOLE, SINGLE, RECORDS, BARE, MANY = 80, 81, 82, 83, 100

KIND = {"submission": "smtp", "smtps": "smtp", "pop3s": "pop3", "imaps": "imap", "https": "http", "ipp": "http",
        "ldaps": "ldap"}
SECURE = ("smtps", "pop3s", "imaps", "https", "ldaps")
MOMENT = 0.05  # a pause that is only to be noticed

rows = {}

# Rows and cases that are about what comes together: cut into single bytes they are something else.
MERGED = {(16, 6), (23, 1), (33, 1), (34, 1), (44, 2), (45, 1)}


def row(number, *cases, inside=True):
    """The function plays this row; the address says which of the cases it finds as peer.case. Not `inside`: it is
    about TLS itself, or about the bare connection."""
    def keep(function):
        rows[number] = (function, cases or (None,), inside)
        return function
    return keep


def kind(peer):
    return KIND.get(peer.service, peer.service)


# --- honest servers --------------------------------------------------------------------------------------------------

GREETING = {"smtp": b"220 mail.test ESMTP", "ftp": b"220 mail.test FTP", "pop3": b"+OK mail.test", "pop2": b"+ mail.test",
            "imap": b"* OK mail.test", "ssh": b"SSH-2.0-test", "unknown": b"hello", "telnet": b"\xff\xfd\x18"}


async def honest(peer):
    if kind(peer) in GREETING:
        peer.turn()
        await peer.send(GREETING[kind(peer)] + b"\r\n")
    await answer(peer)


async def answer(peer):
    """What an honest server does once it has greeted."""
    await {"smtp": smtp, "ftp": ftp, "pop2": pop2, "pop3": pop3, "imap": imap, "http": http,
           "rootdse": directory}.get(kind(peer), Peer.gone)(peer)


async def smtp(peer, extensions=(b"SIZE 1000", b"STARTTLS"), yes=b"220 go ahead\r\n"):
    lines = [b"mail.test", *extensions]
    while True:
        line = (await peer.line()).upper()
        if line.startswith(b"EHLO"):
            await peer.send(b"".join(b"250%c%s\r\n" % (b"- "[at + 1 == len(lines)], text) for at, text in enumerate(lines)))
        elif line == b"STARTTLS" and not peer.tls:
            await peer.send(yes)
            if yes.startswith(b"220"):
                await peer.handshake(certificate.plain())
        elif line == b"QUIT":
            await peer.send(b"221 bye\r\n")
        else:
            await peer.send(b"502 what?\r\n")


async def ftp(peer, yes=b"234 go ahead\r\n"):
    while True:
        line = (await peer.line()).upper()
        if line == b"AUTH TLS":
            await peer.send(yes)
            await peer.handshake(certificate.plain())
        else:
            await peer.send(b"221 bye\r\n" if line == b"QUIT" else b"500 what?\r\n")


async def pop2(peer):
    await peer.line()
    await peer.send(b"+ bye\r\n")
    await peer.gone()


async def pop3(peer, yes=b"+OK go ahead\r\n"):
    while True:
        line = (await peer.line()).upper()
        if line == b"STLS" and not peer.tls:
            await peer.send(yes)
            await peer.handshake(certificate.plain())
        elif line == b"CAPA":
            await peer.send(b"+OK\r\nSTLS\r\n.\r\n")
        else:
            await peer.send(b"+OK bye\r\n" if line == b"QUIT" else b"-ERR what?\r\n")


async def imap(peer, yes=b"OK go ahead\r\n", capabilities=b"IMAP4rev1 STARTTLS"):
    while True:
        tag, verb = ((await peer.line()).upper().split(b" ") + [b""])[:2]
        tag = tag.lower()
        if verb == b"STARTTLS" and not peer.tls:
            await peer.send(tag + b" " + yes)
            await peer.handshake(certificate.plain())
        elif verb == b"CAPABILITY":
            await peer.send(b"* CAPABILITY " + capabilities + b"\r\n" + tag + b" OK\r\n")
        elif verb == b"LOGOUT":
            await peer.send(b"* BYE\r\n" + tag + b" OK\r\n")
        else:
            await peer.send(tag + b" BAD what?\r\n")


async def http(peer):
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nServer: test\r\n\r\n")
    await peer.gone()


async def directory(peer):
    """It has nothing to show, and no TLS."""
    await peer.some()
    await peer.send(b"\x30\x0c\2\1\1\x65\7\x0a\1\0\4\0\4\0")
    await peer.some()
    await peer.send(b"\x30\x0c\2\1\2\x78\7\x0a\1\2\4\0\4\0")
    await peer.gone()


async def say(peer, text, end=b"\r\n"):
    """A right greeting with this text in it, or where a client speaks first, a right answer; then as honest as ever."""
    start = {"smtp": b"220 ", "ftp": b"220 ", "pop3": b"+OK ", "pop2": b"+ ", "imap": b"* OK ", "ssh": b"SSH-2.0-"}
    if kind(peer) == "http":
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK" + end + b"Server: " + text + end + end)
        await peer.gone()
    peer.turn()
    await peer.send(start.get(kind(peer), b"") + text + end)
    await answer(peer)


row(0)(honest)


# --- 1 to 25: any service --------------------------------------------------------------------------------------------

@row(1)
async def silent(peer):
    await peer.gone()


@row(2)
async def closes_at_once(peer):
    await peer.finish()


@row(3)
async def resets_at_once(peer):
    peer.reset()


@row(4)
async def resets_after_our_word(peer):
    if kind(peer) in GREETING:
        await peer.send(GREETING[kind(peer)] + b"\r\n")
    await peer.some()
    peer.reset()


@row(5)
async def drips(peer):
    while True:
        await peer.send(bytes([peer.random.choice(b"abcdefgh")]))
        await asyncio.sleep(MOMENT)


@row(6, 1, 60)
async def lines_that_lead_nowhere(peer):
    """So many lines at a time."""
    while True:
        await peer.send(b"".join(b"%032x\r\n" % peer.random.getrandbits(128) for _ in range(peer.case)))
        await asyncio.sleep(2 * MOMENT)


@row(7)
async def one_endless_line(peer):
    await peer.flood(b"A" * 16384)


@row(8)
async def an_endless_reply(peer):
    await peer.flood(b"220-x\r\n" * 1000)


@row(9, b"220-a\r\n221-b\r\n222 c\r\n", b"220-a\r\n221 b\r\n")
async def another_code(peer):
    await peer.send(peer.case)
    await peer.gone()


@row(10)
async def in_pieces(peer):
    if kind(peer) == "http":
        await peer.request()
        pieces = b"HT", b"TP/1.1 200 OK\r", b"\nServer: te", b"st\r\n\r", b"\n"
    else:
        line = GREETING.get(kind(peer), b"nothing")
        pieces = line[:2], line[2:] + b"\r", b"\n"
    for piece in pieces[:-1]:
        await peer.send(piece)
        await asyncio.sleep(MOMENT)
    if kind(peer) != "http":
        peer.turn()
    await peer.send(pieces[-1])
    await answer(peer)


@row(11, b"\n", b"\r", b"\r\r\n", b"")
async def odd_ends_of_line(peer):
    if peer.case in (b"\r", b""):
        if kind(peer) == "http":
            await peer.request()
        await peer.send(GREETING.get(kind(peer), b"HTTP/1.1 200 OK") + peer.case)
        await peer.finish()
    await say(peer, b"mail.test", peer.case)


@row(12)
async def a_nul(peer):
    await say(peer, b"a\0b")


@row(13, b"\x1b]0;x\x07y", b"\x1b[2J\x1b]52;c;eA==\x07\x1b]8;;http://x\x1b\\", b"\x1bP1$r\x1b\\", b"\x9b31m", b"\xc2\x9b31m\x7f")
async def terminal_escapes(peer):
    await say(peer, peer.case)


@row(14, "\u202etxet", "\u2066\u2067\u2068\u2069\u200e\u200f", "\u200b\u200c\u200d\u2060", "\u2028\u2029", "\ufeff",
     "\U000e0041\U000e007f", "a" + "\u0301" * 1000, "\u3000" + "\uff21" * 300)
async def characters_that_mislead(peer):
    await say(peer, peer.case.encode())


@row(15, b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"A" * 4088 + "\u20ac".encode() * 10, b"\xe2\x82")
async def bad_utf8(peer):
    await say(peer, peer.case)


@row(16, b"%n%s%s%999999999d", b'"},{"host":"fake', b"\\n\\u0000\\", b"</script><script>", b"=cmd|' /C calc'!A0",
     b"a\r\n220 fake host\r\nTesting 192.0.2.1:\r\nport 22 (ssh) open.")
async def injections(peer):
    await say(peer, peer.case)


@row(17)
async def chargen(peer):
    text = bytes(range(33, 127)) * 2
    await peer.flood(b"".join(text[at:at + 72] + b"\r\n" for at in range(95)))


@row(18)
async def echo(peer):
    while True:
        await peer.send(await peer.some())


@row(19)
async def discard(peer):
    await peer.gone()


OTHERS = {"ssh": b"SSH-2.0-OpenSSH_9.9\r\n", "http": b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
          "smtp": b"220 mail.test ESMTP Postfix\r\n", "ftp": b"220 ProFTPD FTP ready\r\n", "pop3": b"+OK POP3 ready\r\n",
          "imap": b"* OK IMAP4rev1 ready\r\n", "vnc": b"RFB 003.008\n", "mysql": b"J\0\0\0\n8.0.36\0",
          "tls": b"\x15\x03\x01\0\x02\x02\x50", "telnet": b"\xff\xfd\x18\xff\xfd\x20"}


@row(20, *OTHERS)
async def another_protocol(peer):
    if peer.case == "http" and kind(peer) == "http":
        await peer.request()
    await peer.send(OTHERS[peer.case])
    if peer.case in ("mysql", "tls", "telnet"):
        await peer.finish()
    await peer.gone()


@row(21)
async def reads_nothing(peer):
    if kind(peer) in GREETING:
        await peer.send(GREETING[kind(peer)] + b"\r\n")
    await asyncio.sleep(3600)


@row(22)
async def half_closes(peer):
    if kind(peer) in GREETING:
        await peer.send(GREETING[kind(peer)] + b"\r\n")
    await peer.finish()


@row(23)
async def data_end_and_reset(peer):
    await peer.send(GREETING.get(kind(peer), b"HTTP/1.1 408 Request Timeout\r\nServer: test\r\n") + b"\r\n")
    peer.sock.shutdown(socket.SHUT_WR)
    peer.reset()


@row(24)
async def urgent_data(peer):
    if peer.tls or kind(peer) == "http":
        await honest(peer)
    line = GREETING.get(kind(peer), b"nothing") + b"\r\n"
    await peer.send(line[:5])
    peer.sock.send(b"!", socket.MSG_OOB)
    peer.turn()
    await peer.send(line[5:])
    await answer(peer)


@row(25)
async def single_bytes(peer):
    """Each byte in a segment of its own, without a pause and without a line."""
    while True:
        try:
            for _ in range(256):
                peer.sock.send(b"A")
        except BlockingIOError:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)


# --- 26 to 38: SMTP --------------------------------------------------------------------------------------------------

@row(26, b"554 go away\r\n", b"421 too many\r\n", b"554-go\r\n554 away\r\n")
async def no_service(peer):
    await peer.send(peer.case)
    while True:
        if await peer.line() == b"QUIT":
            await peer.send(b"221 bye\r\n")


@row(27)
async def postscreen(peer):
    await peer.send(b"220-teaser\r\n")
    await asyncio.sleep(0.3)
    peer.turn()
    await peer.send(b"220 mail.test ESMTP\r\n")
    await answer(peer)


@row(28)
async def takes_its_time(peer):
    await asyncio.sleep(0.4)
    await honest(peer)


@row(29)
async def only_helo(peer):
    await peer.send(b"220 mail.test\r\n")
    while True:
        line = await peer.line()
        await peer.send({b"HELO": b"250 mail.test\r\n", b"QUIT": b"221 bye\r\n"}.get(line[:4], b"502 what?\r\n"))


@row(30, "many", "endless")
async def too_many_extensions(peer):
    await peer.send(b"220 mail.test ESMTP\r\n")
    await peer.line()
    if peer.case == "endless":
        await peer.flood(b"250-X\r\n" * 1000)
    await peer.send(b"250-X\r\n" * 129 + b"250 STARTTLS\r\n")
    await smtp(peer)


@row(31, [b"STARTTLS", b"STARTTLS"], [b"starttls"], [b"XSTARTTLS"], [b"STARTTLS foo"], [b"STARTTLSX", b"AUTH STARTTLS"])
async def keywords(peer):
    await peer.send(b"220 mail.test ESMTP\r\n")
    await smtp(peer, peer.case)


@row(32, b"454 TLS not available\r\n", b"502 no\r\n", b"BAD no\r\n", b"-ERR no\r\n")
async def refuses_starttls(peer):
    await until_starttls(peer)
    await peer.send(peer.case if kind(peer) != "imap" else b"a1 " + peer.case)
    await answer(peer)


ASKS = {"smtp": b"STARTTLS", "ftp": b"AUTH TLS", "pop3": b"STLS", "imap": b"A1 STARTTLS"}
YES = {"smtp": b"220 go ahead", "ftp": b"234 go ahead", "pop3": b"+OK go ahead", "imap": b"a1 OK go ahead"}
SLIPPED = {"smtp": b"250-injected", "ftp": b"331 injected", "pop3": b"+OK injected", "imap": b"* injected"}


async def until_starttls(peer):
    """Honest up to the question for TLS."""
    await peer.send(GREETING[kind(peer)] + b"\r\n")
    while (line := (await peer.line()).upper()) != ASKS[kind(peer)]:
        if line.startswith(b"EHLO"):
            await peer.send(b"250-mail.test\r\n250-SIZE 1000\r\n250 STARTTLS\r\n")
        else:
            await peer.send(line.split(b" ")[0].lower() + b" OK\r\n" if kind(peer) == "imap" else b"+OK\r\n")


@row(33)
async def injects_in_one_segment(peer):
    await until_starttls(peer)
    await peer.send(YES[kind(peer)] + b"\r\n" + SLIPPED[kind(peer)] + b"\r\n")
    await peer.gone()


@row(34)
async def injects_in_a_second_segment(peer):
    """Both arrive before the client can have its hello ready: they are sent without waiting in between."""
    await until_starttls(peer)
    peer.sock.send(YES[kind(peer)] + b"\r\n")
    peer.sock.send(SLIPPED[kind(peer)] + b"\r\n")
    await peer.gone()


@row(35)
async def plain_text_in_place_of_tls(peer):
    await until_starttls(peer)
    await peer.send(YES[kind(peer)] + b"\r\n")
    await peer.some()
    await peer.send(SLIPPED[kind(peer)] + b"\r\n")
    await peer.gone()


@row(36, "end", "reset", "silence")
async def yes_and_nothing(peer):
    await until_starttls(peer)
    await peer.send(YES[kind(peer)] + b"\r\n")
    if peer.case == "end":
        await peer.finish()
    await peer.some()
    if peer.case == "reset":
        peer.reset()
    await peer.gone()


@row(37, b"220 go ahead\r\n", b"502 what?\r\n")
async def not_advertised(peer):
    """Asked all the same, it accepts or refuses."""
    await peer.send(b"220 mail.test ESMTP\r\n")
    await smtp(peer, [b"SIZE 1000"], peer.case)


@row(38)
async def other_extensions_under_tls(peer):
    """`AUTH` is said under TLS only."""
    await peer.send(b"220 mail.test ESMTP\r\n")
    before = True
    while True:
        line = (await peer.line()).upper()
        if line.startswith(b"EHLO"):
            await peer.send(b"250-mail.test\r\n250 STARTTLS\r\n" if before else b"250-mail.test\r\n250 AUTH PLAIN\r\n")
        elif line == b"STARTTLS":
            await peer.send(b"220 go ahead\r\n")
            await peer.handshake(certificate.plain())
            before = False
        else:
            await peer.send(b"221 bye\r\n")


# --- 39 to 52: IMAP, POP, FTP, telnet, SSH, Kerberos, LDAP -----------------------------------------------------------

@row(39)
async def preauth(peer):
    await peer.send(b"* PREAUTH ready\r\n")
    await imap(peer)


@row(40, b"* BYE not now\r\n", b"a1 NO not now\r\n", b"a1 BAD what?\r\n", b"zz OK wrong tag\r\n", b"+ go on\r\n",
     b"* BYE too late\r\n", b"* x\r\n" * 20)
async def imap_answers(peer):
    if peer.case == b"* BYE not now\r\n":
        await peer.send(peer.case)
        await peer.finish()
    await peer.send(b"* OK mail.test\r\n")
    await peer.line()
    await peer.send(peer.case)
    await imap(peer)


@row(41, b"{999999999}", b"{4294967297}", b"{18446744073709551617}", b"{99999999999999999999999999}")
async def literals(peer):
    await peer.send(b"* OK mail.test\r\n")
    await peer.line()
    await peer.send(b"* X " + peer.case + b"\r\n")
    await peer.flood(b"B" * 16384)


@row(42, b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n", b"* OK [capability imap4REV1 starttls] hello\r\n",
     b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
async def capabilities_in_the_greeting(peer):
    await peer.send(peer.case)
    await imap(peer)


@row(43, b"+OK\r\nTOP\r\nSTLS\r\n", b"+OK\r\n..STLS\r\n.\r\n", b"-ERR what?\r\n")
async def capa(peer):
    await peer.send(b"+OK mail.test\r\n")
    while (line := await peer.line()) != b"CAPA":
        if line == b"STLS":
            await peer.send(b"-ERR no TLS here\r\n")
        elif line == b"QUIT":
            await peer.send(b"+OK\r\n")
    await peer.send(peer.case)
    await pop3(peer)


@row(44, "230", "234 twice", "334", "120")
async def ftp_codes(peer):
    if peer.case == "120":
        await peer.send(b"120 wait\r\n")
        await asyncio.sleep(MOMENT)
    peer.turn()
    await peer.send(b"230 logged in\r\n" if peer.case == "230" else b"220 FTP\r\n")
    await ftp(peer, {"234 twice": b"234 go\r\n234 go again\r\n", "334": b"334 more\r\n"}.get(peer.case, b"234 go\r\n"))


@row(45)
async def ftp_reply_in_a_reply(peer):
    peer.turn()
    await peer.send(b"220-a\r\n220 b\r\n220 c\r\n")
    await ftp(peer)


@row(46)
async def option_storm(peer):
    await peer.send(b"".join(b"\xff\xfd%c\xff\xfb%c" % (option, option) for option in range(40)))
    while True:
        await peer.send(await peer.some())


@row(47, b"\xff\xfa\x18" + b"x" * 70000, b"login:\xff", b"a\xff\xffb\xff\xfb\x01 login: ")
async def unended_options(peer):
    await peer.send(peer.case)
    await peer.gone()


@row(48, b"SSH-2.0-" + b"x" * 10240 + b"\r\n", b"SSH-1.99-x\r\n", b"SSH-9.0-x\r\n", b"SSH-2.0-x", b"SSH-2.0-" + b"y" * 300 + b"\r\n")
async def ssh_identifications(peer):
    await peer.send(peer.case)
    await peer.gone()


@row(49)
async def ssh_with_key_exchange(peer):
    await peer.send(b"SSH-2.0-x\r\n\0\0\4\x14\x0a\x14" + peer.random.randbytes(800))
    await peer.gone()


@row(50, b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x10\x7e\x82\xff\xff")
async def kerberos(peer):
    await peer.send(peer.case)
    await peer.gone()


@row(51, b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x30\x82\x0f\xa0" + b"\x30\x80" * 1000, b"\x30\x0c\x02\x01\0\x78\x07\x0a\x01\x34\4\0\4\0")
async def ldap(peer):
    await peer.send(peer.case)
    await peer.gone()


@row(52, b"- no\r\n", b"-ERR no\r\n", b"* BYE no\r\n", b"421 no\r\n")
async def says_no(peer):
    await peer.send(peer.case)
    await peer.finish()


# --- 53 to 58: HTTP --------------------------------------------------------------------------------------------------

async def reply(peer, *parts):
    await peer.request()
    for part in parts:
        await peer.send(part)
    await peer.finish()


@row(53, b"100 Continue", b"103 Early Hints")
async def interim_without_end(peer):
    await peer.request()
    await peer.flood(b"HTTP/1.1 " + peer.case + b"\r\nLink: x\r\n\r\n")


@row(54, b"<html>old</html>", b"HTTP/1.1 200", b"ICY 200 OK\r\n\r\n", b"HTTP/2.0 999\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n",
     b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"\r\n", b"HTTP/1.1 -20 x\r\n\r\n")
async def status_lines(peer):
    await reply(peer, peer.case)


BOMB = zlib.compress(bytes(1 << 20), wbits=31)


@row(55, b"", b"Content-Encoding: gzip\r\n")
async def endless_body(peer):
    """The second is one that would be without end even if it came to one."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nServer: test\r\n" + peer.case + b"\r\n" + (BOMB if peer.case else b""))
    await peer.flood(b"B" * 65536)


@row(56, b"X: " + b"a" * (1 << 20) + b"\r\n", b"".join(b"X-%d: a\r\n" % n for n in range(10000)), b"X: a\r\n b\r\n", b"no colon\r\n",
     b"Content-Length: -1\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n")
async def headers(peer):
    await reply(peer, b"HTTP/1.1 200 OK\r\nServer: test\r\n", peer.case, b"\r\n")


@row(57, b"file:///etc/passwd", b"gopher://127.0.0.1:25/x", b"http://127.0.0.1/\x1b[2J", b"http://x/\r\nX: injected")
async def locations(peer):
    await reply(peer, b"HTTP/1.1 302 Found\r\nLocation: " + peer.case + b"\r\n\r\n")


@row(58, b"\0\0\x06\4\0\0\0\0\0\0\3\0\0\0\x64", b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\1",
     b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<title>400 The plain HTTP request was sent to HTTPS port</title>")
async def other_http(peer):
    await reply(peer, peer.case)


# --- 60 to 70: TLS ---------------------------------------------------------------------------------------------------

@row(59, inside=False)
async def chooses_what_was_not_offered(peer):
    """The protocol h2, in the extension for that."""
    hello = await peer.some()
    await peer.send(wire.handshake(wire.server_hello(hello, extensions=b"\xff\x01\0\1\0\0\x10\0\5\0\3\2h2"),
                                   wire.certificates([certificate.der()]), wire.DONE))
    await peer.gone()


@row(60, b"HTTP/1.0 400 Bad Request\r\n\r\n", b"220 mail.test ESMTP\r\n", b"SSH-2.0-x\r\n", b"@PJL INFO STATUS\r\n", b"\r\n", b"\0", inside=False)
async def speaks_plain(peer):
    await peer.some()
    await peer.send(peer.case)
    await peer.finish()


@row(61, "silent", "drips", "records of a byte", inside=False)
async def slow_handshake(peer):
    hello = await peer.some()
    if peer.case == "silent":
        await peer.gone()
    data = wire.handshake(wire.server_hello(hello), wire.certificates([certificate.der()]))
    if peer.case == "records of a byte":
        data = b"".join(wire.record(22, bytes([byte])) for byte in wire.server_hello(hello))
    for byte in data:
        await peer.send(bytes([byte]))
        if peer.case == "drips":
            await asyncio.sleep(MOMENT)
    await peer.gone()


@row(62, "hello", "certificate", "finished", inside=False)
async def breaks_off(peer):
    if peer.case == "finished":
        await peer.handshake(certificate.plain())
        await peer.finish()
    hello = await peer.some()
    if peer.case == "certificate":
        await peer.send(wire.handshake(wire.server_hello(hello), wire.certificates([certificate.der()])))
    await peer.finish()


@row(63, 40, 70, 80, 86, 112, 116, 42, 120, 255, "warning", "after certificate", inside=False)
async def alerts(peer):
    hello = await peer.some()
    if peer.case == "warning":  # unrecognized_name as a warning: the handshake goes on
        await peer.send(wire.record(21, b"\1\x70"))
        peer.heard = hello
        await peer.handshake(certificate.plain())
        await answer_secure(peer)
    if peer.case == "after certificate":
        await peer.send(wire.handshake(wire.server_hello(hello), wire.certificates([certificate.der()])))
    await peer.send(wire.record(21, b"\2%c" % (80 if peer.case == "after certificate" else peer.case)))
    await peer.finish()


async def answer_secure(peer):
    if kind(peer) in GREETING and peer.service in SECURE:
        await peer.send(GREETING[kind(peer)] + b"\r\n")
    await answer(peer)


@row(64, "alerts", "empty records", "hello requests", "tickets", "alerts inside", "empty records inside",
     "hello requests inside", inside=False)
async def floods(peer):
    if peer.case == "tickets":
        await peer.handshake(certificate.many_tickets())
        await peer.gone()
    noise = {"alerts": (wire.ALERT, b"\1\x5a"), "empty records": (wire.DATA, b""),
             "hello requests": (wire.HANDSHAKE, b"\0\0\0\0")}[peer.case.removesuffix(" inside")]
    if peer.case.endswith(" inside"):
        session = await wire.accept(peer, certificate.rsa())
        while True:
            await peer.transmit(session.seal(*noise))
    await peer.some()
    await peer.flood(wire.record(*noise) * 1000)


@row(65, "TLS 1.0", "TLS 1.1", "DH 512", "DH 1024", "RSA 512", "RSA 1024", "SHA-1", "MD5", "RC4", "3DES", "SSLv3",
     "no RFC 5746", inside=False)
async def weak(peer):
    if peer.case in ("RC4", "3DES", "SSLv3"):
        await wire.refuse(peer, peer.case)
    elif peer.case == "no RFC 5746":
        await wire.accept(peer, certificate.rsa(), extensions=b"")
    elif peer.case == "DH 512":
        await wire.accept(peer, certificate.rsa(), wire.SHORT_GROUP)
    else:
        await peer.handshake(certificate.weak(peer.case))
    await answer_secure(peer)


@row(66, "120 KiB", "10 MiB announced", *certificate.CHAINS, inside=False)
async def too_many_certificates(peer):
    hello = await peer.some()
    if peer.case == "10 MiB announced":
        await peer.send(wire.handshake(wire.server_hello(hello), b"\x0b\xa0\0\0" + bytes(1000)))
        await peer.flood(wire.record(wire.HANDSHAKE, bytes(16384)))
    one = certificate.der()
    if peer.case in certificate.CHAINS:
        peer.heard = hello
        await peer.handshake(certificate.chain(peer.case))
        await answer_secure(peer)
    many = [one + bytes(1000)] * (120 * 1024 // (len(one) + 1000))
    await peer.send(wire.handshake(wire.server_hello(hello), wire.certificates(many), wire.DONE))
    await peer.gone()


@row(67, *certificate.STRANGE, "noise", "half a character", "none", inside=False)
async def strange_certificate(peer):
    if peer.case in certificate.STRANGE:
        await peer.handshake(certificate.strange(peer.case))
        await answer_secure(peer)
    hello = await peer.some()
    chain = {"none": [], "noise": [b"\x30\x82\x01\x00" + bytes(256)], "half a character": [certificate.unloadable()]}[peer.case]
    await peer.send(wire.handshake(wire.server_hello(hello), wire.certificates(chain), wire.DONE))
    await peer.gone()


@row(68, "RSA 16384", "bad curve", "DH 10000", "DH 8192", "DH 2048", inside=False)
async def costs_time(peer):
    hello = await peer.some()
    if peer.case == "RSA 16384":
        await peer.send(wire.handshake(wire.server_hello(hello, wire.RSA), wire.certificates([certificate.huge()]), wire.DONE))
    elif peer.case == "bad curve":
        await peer.send(wire.handshake(wire.server_hello(hello), wire.certificates([certificate.bad_curve()]), wire.DONE))
    else:
        await peer.send(wire.offer_dh(hello, certificate.rsa(), int(peer.case[3:])))
    await peer.some()
    await peer.finish()


@row(69, "expired", "not yet valid", "wrong name", "good name", inside=False)
async def certificates_to_judge(peer):
    await peer.handshake(certificate.judged(peer.case))
    await answer_secure(peer)


@row(70, "endless", "renegotiates", "wants a certificate, TLS 1.2", "wants a certificate, TLS 1.3", inside=False)
async def after_the_handshake(peer):
    if peer.case == "renegotiates":
        session = await wire.accept(peer, certificate.rsa())
        await peer.transmit(session.seal(wire.HANDSHAKE, b"\0\0\0\0"))
    elif peer.case == "endless":
        await peer.handshake(certificate.plain())
        await peer.flood(b"A" * 16384)
    else:
        await peer.handshake(certificate.wants_ours(ssl.TLSVersion.TLSv1_3 if "1.3" in peer.case else ssl.TLSVersion.TLSv1_2))
    await answer_secure(peer)


@row(71, inside=False)
async def compresses(peer):
    hello = await peer.some()
    await peer.send(wire.handshake(wire.server_hello(hello, compression=1), wire.certificates([certificate.der()]), wire.DONE))
    await peer.gone()


# --- beyond the list: as much as may be ----------------------------------------------------------------------------------

LONG = {"ssh": b"", "smtp": b"220-", "ftp": b"220-", "imap": b"* ", "http": b"X: "}


@row(90)
async def endless_long_lines(peer):
    if kind(peer) == "http":
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
    await peer.flood((LONG.get(kind(peer), b"") + b"x" * 4080 + b"\r\n") * 4)


@row(91)
async def long_lines_and_then_nothing(peer):
    """60 KiB that must be kept, and a connection that stays."""
    if kind(peer) == "http":
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
    await peer.send((LONG.get(kind(peer), b"") + b"x" * 4080 + b"\r\n") * 15)
    await peer.gone()


# --- serving ---------------------------------------------------------------------------------------------------------

class Program:
    def __init__(self, services):
        self.loop = asyncio.get_running_loop()
        self.tasks = set()
        self.listeners = {}
        self.logs = []
        for service in services:
            self.listeners[service] = socket.create_server(("0.0.0.0", 0), backlog=4096)
            self.listeners[service].setblocking(False)

    def ports(self):
        return {service: listener.getsockname()[1] for service, listener in self.listeners.items()}

    async def accept(self, service):
        while True:
            sock, _ = await self.loop.sock_accept(self.listeners[service])
            task = self.loop.create_task(self.attend(sock, service))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def attend(self, sock, service):
        _, variant, number, case = map(int, sock.getsockname()[0].split("."))
        if variant >= MANY:
            variant, case = WHOLE, 1
        play, cases, inside = rows[number]
        peer = Peer(self.loop, sock, service, number, cases[case - 1], variant == SINGLE, variant == RECORDS)
        fault = None
        try:
            if inside and service in SECURE and variant != BARE:
                await peer.handshake(certificate.plain())
            if not inside and service not in SECURE:
                await until_starttls(peer)
                await peer.send(YES[kind(peer)] + b"\r\n")
            await play(peer)
        except (Gone, OSError, ssl.SSLError, asyncio.CancelledError):
            pass
        except Exception as error:  # pylint: disable=broad-except
            fault = repr(error)
        sock.close()
        self.logs.append({"service": service, "variant": variant, "row": number, "case": case, "fault": fault,
                          "total": peer.total, "early": peer.early, "heard": peer.log.decode("latin-1")})

    async def run(self):
        ended = asyncio.Event()
        self.loop.add_reader(0, lambda: sys.stdin.buffer.read1(65536) or ended.set())
        print(json.dumps(self.ports()), flush=True)
        acceptors = [self.loop.create_task(self.accept(service)) for service in self.listeners]
        await ended.wait()
        for task in acceptors:
            task.cancel()
        if self.tasks:
            _, left = await asyncio.wait(self.tasks, timeout=1)  # the clients have gone; let that be heard
            for task in left:
                task.cancel()
            await asyncio.sleep(0)
        for log in self.logs:
            print(json.dumps(log))


async def main():
    if "tls" in sys.argv[1:]:
        certificate.prepare()
        sys.argv.remove("tls")
    await Program(sys.argv[1:]).run()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        asyncio.run(main())
