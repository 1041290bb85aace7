"""The servers as Python's own sockets and TLS see them, in the shape of scan's JSON records.

This is how the lab proves its expectations without scan: what is observed here is held against them by the
same comparison. It knows just enough of each protocol, and is as polite as scan has to be.
"""
import re
import socket
import ssl
import warnings

from .certificate import facts
from . import binary_observer
from .expectation import OPTIONAL, PORTS

PATIENCE = 10.0
SPEAKS = {  # service: how to look at it; what is not here gets the connect test
    "ssh": "greeting", "smtp": "smtp", "submission": "smtp", "smtps": "smtp", "pop3": "pop3", "pop3s": "pop3",
    "imap": "imap", "imaps": "imap", "ftp": "ftp", "http": "http", "https": "http", "ipp": "http",
}
ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a certificate from us (alert 116)",
}
TLS_FIRST = {"smtps", "imaps", "pop3s", "https", "ldaps", "rootdses", "rediss"}


def observe(address, service):
    """The record of one service."""
    try:
        raw = socket.create_connection((address, (PORTS | OPTIONAL)[service]), PATIENCE)
    except ConnectionRefusedError:
        return {"state": "closed", "error": {"phase": "connect", "message": "Connection refused"}}
    record = {"state": "open", "data": {}}
    with Line(raw) as line:
        try:
            if service in TLS_FIRST:
                record["tls"] = line.start_tls()
            see = binary_observer.SPEAKS.get(service) or globals()["see_" + SPEAKS.get(service, "nothing")]
            see(line, record)
        except Failure as failure:
            record["error"] = {"phase": failure.args[0], "message": failure.args[1]}
    return record


class Failure(Exception):
    """What ended a conversation: phase and message."""


class Line:
    """A connection, by lines; the upgrade insists that nothing unread is left."""

    def __init__(self, raw):
        self.socket, self.unread = raw, b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hear(self):
        try:
            more = self.socket.recv(4096)
        except ssl.SSLError as error:
            raise Failure("tls", ALERTS.get(error.reason, error.reason)) from error
        if not more:
            raise Failure("read", "connection closed")
        self.unread += more

    def take(self, count):
        """Bytes."""
        while len(self.unread) < count:
            self.hear()
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def take_rest(self):
        """Until the server has closed."""
        while self.socket.recv(4096):
            pass

    def send(self, words):
        self.socket.sendall(words)

    def read(self):
        while b"\n" not in self.unread:
            self.hear()
        line, _, self.unread = self.unread.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def start_tls(self):
        assert not self.unread, f"plain text where TLS should begin: {self.unread!r}"
        peer = self.socket.getpeername()
        try:
            self.socket = any_tls().wrap_socket(self.socket)
        except ssl.SSLError as error:
            raise Failure("tls", answer_to_hello(peer)) from error
        pem = ssl.DER_cert_to_PEM_cert(self.socket.getpeercert(binary_form=True))
        return facts(pem) | {"version": self.socket.version(), "cipher": self.socket.cipher()[0]}


def any_tls():
    """Whatever the server can do, with whatever certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def answer_to_hello(peer):
    """Why a handshake failed: what the server has to say to a ClientHello."""
    hello = ssl.MemoryBIO()
    try:
        any_tls().wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    except ssl.SSLWantReadError:
        pass
    with Line(socket.create_connection(peer, PATIENCE)) as line:
        line.socket.sendall(hello.read())
        return f"the server answered in plain text: {line.read()}"


def see_nothing(line, record):
    """The connect test."""


def see_greeting(line, record):
    record["data"]["banner"] = line.read()


def see_smtp(line, record):
    record["data"]["banner"] = reply(line)
    line.say("EHLO [127.0.0.1]")
    offers = reply(line).upper()
    if "tls" not in record:
        starttls(line, record, "STARTTLS", reply, "220", advertised="STARTTLS" in re.split(r"[\s-]", offers))
    line.say("QUIT")
    reply(line)


def see_ftp(line, record):
    record["data"]["banner"] = reply(line)
    starttls(line, record, "AUTH TLS", reply, "234")
    line.say("QUIT")
    reply(line)


def see_pop3(line, record):
    record["data"]["banner"] = line.read()
    if "tls" not in record:
        starttls(line, record, "STLS", Line.read, "+")
    line.say("QUIT")
    line.read()


def see_imap(line, record):
    record["data"]["banner"] = line.read()
    if "tls" not in record:
        advertised = "STARTTLS" in record["data"]["banner"]
        starttls(line, record, "a STARTTLS", tagged, "a OK", advertised)
    line.say("b LOGOUT")
    tagged(line)


def see_http(line, record):
    line.say(f"HEAD / HTTP/1.1\r\nHost: {line.socket.getpeername()[0]}\r\nConnection: close\r\n")
    _, status, reason = line.read().split(" ", 2)
    record["data"] |= {"status": int(status), "reason": reason}
    while header := line.read():
        if header.lower().startswith("server:"):
            record["data"]["server"] = header.partition(":")[2].strip()


def reply(line):
    """An SMTP or FTP reply, all of its lines."""
    lines = [line.read()]
    while not re.match(lines[0][:3] + "( |$)", lines[-1]):
        lines.append(line.read())
    return "\n".join(lines)


def tagged(line):
    """The line that ends the answer to an IMAP command."""
    while (answer := line.read()).startswith("*"):
        pass
    return answer


def starttls(line, record, command, answer, yes, advertised=None):
    """Ask for TLS where that makes sense, and take it."""
    facts_seen = record["data"]["starttls"] = {"accepted": False, "handshake": False}
    if advertised is not None:
        facts_seen["advertised"] = advertised
    if advertised is False:
        return
    line.say(command)
    said = answer(line)
    if not said.startswith(yes):
        record["refusal"] = said
        return
    facts_seen["accepted"] = True
    record["tls"] = line.start_tls()
    facts_seen["handshake"] = True
