"""Fake servers that speak from a transcript, and what scan makes of them.

A conversation is written as it goes over the line, and beside it what scan is to show:

    case("pop3", "STLS refused", r'''
        S: +OK ready
        C: STLS
        S: -ERR no
        C: QUIT
        S: +OK bye
        ''', '''
        +OK ready
        TLS not available: -ERR no
        ''', banner="+OK ready", ...)

The lines of a transcript, in which Python's escapes stand for the bytes that cannot be seen:

    S: text   the server says a line; lines that follow one another go out at once
    S> text   the same without an end of line
    S* text   a line over and over, until the client has gone
    C: text   the client must say just this line now. {port} is the port
    TLS       the server's side of the handshake
    HELLO     the client begins its handshake, and is not answered
    PAUSE     a moment of silence, in which the client must be silent too
    CLOSE     the server closes
    RESET     ... with a reset

Where it ends, the client must close without another word. A client that speaks before its turn, says something else, or
comes once more, fails the case. Where a handshake fails in a way that older settings may cure, it must come twice, and
hear the same again.

Each case is played three times, each time by a server of its own: for the text report, for the JSON record, and for the
JSON record again with every byte in a segment of its own (not with whole=True, for what is about how bytes come together).
All of the text and all of the record but its times and the facts of the certificate must be as expected.
"""
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

SCAN = os.environ.get("SCAN", "./scan")
PATIENCE = 10  # seconds after which a client, or scan as a whole, is given up
MOMENT = 0.15  # a PAUSE
GAP = 0.0001   # between segments of a single byte, if there are not
MANY = 1000    # or more of them

# Nobody signed the certificate, so nobody's need be read: with them each TLS context takes a tenth of a second.
ENVIRONMENT = {**os.environ, "SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/dev/null"}

cases = []


def case(service, name, talk, shown, *, host="127.0.0.1", options=(), whole=False, visits=1, warnings=(), error=None,
         sni=None, **data):
    """A conversation with `service`; `shown` is what follows "port N (service) open." `data` is the record's,
    `warnings` are its pairs of code and text, `error` its phase, code and message; it must have facts of TLS where the
    transcript has a handshake. `sni` is the name, if any, that the server must be asked for in it."""
    cases.append(dict(service=service, name=name, talk=lines(talk), shown=lines(shown), host=host, options=list(options),
                      whole=whole, visits=visits, warnings=warnings, error=error, sni=sni, data=data))


def lines(text):
    """The lines of a text that is indented as the code around it; or a list of lines as it is."""
    return [line.strip() for line in text.split("\n") if line.strip()] if isinstance(text, str) else text


# --- the server ------------------------------------------------------------------------------------------------------

class Gone(Exception):
    """The client has closed."""


class Wrong(Exception):
    """The client did what it should not."""


class Stream:
    """The server's end of a connection, plain or TLS, which may send every byte on its own."""

    def __init__(self, sock, single):
        self.sock, self.single = sock, single
        self.heard = b""
        self.tls = None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data, last=False):
        if self.tls:
            self.tls.write(data)
            data = self.outgoing.read()
        self.transmit(data, last)

    def transmit(self, data, last=False):
        """The `last` segment leaves together with the end of the stream, so that nothing can come in between."""
        pieces = [data[i:i + 1] for i in range(len(data))] if self.single else [data]
        try:
            for i, piece in enumerate(pieces, 1):
                self.sock.sendall(piece, socket.MSG_MORE if last and i == len(pieces) else 0)
                if 1 < len(pieces) < MANY:
                    time.sleep(GAP)
        except ConnectionError as error:
            raise Gone from error

    def ready(self, seconds):
        return self.heard or select.select([self.sock], [], [], seconds)[0]

    def receive(self):
        if not select.select([self.sock], [], [], PATIENCE)[0]:
            raise Wrong("the client says nothing")
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise Gone
        return data

    def more(self):
        """Wait until more has been heard."""
        data = self.receive()
        if self.tls:
            self.incoming.write(data)
            if not self.decrypt() and not self.heard:
                raise Gone
        else:
            self.heard += data

    def decrypt(self):
        """Hear all that is in the records that have come; false if the client has said that it closes."""
        try:
            while data := self.tls.read(65536):
                self.heard += data
        except ssl.SSLWantReadError:
            return True
        return False

    def line(self):
        while b"\n" not in self.heard:
            self.more()
        line, self.heard = self.heard.split(b"\n", 1)
        return line + b"\n"

    def handshake(self, context):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.incoming.write(self.heard)
        self.heard = b""
        while True:
            try:
                tls.do_handshake()
                self.tls = tls
            except ssl.SSLWantReadError:
                pass
            try:
                self.transmit(self.outgoing.read())
            except Gone:
                if not self.tls:
                    raise  # but a client that has its handshake may leave before it gets its session tickets
            if self.tls:
                self.decrypt()  # the client's first words may have come together with its last of the handshake
                return
            self.incoming.write(self.receive())


def decoded(text):
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


class Server:
    """One listener, which plays one transcript on each connection."""

    def __init__(self, what, single):
        self.what, self.single = what, single
        self.names = []
        self.over = threading.Event()  # scan has ended
        self.listener = socket.create_server((what["host"] if what["host"] != "localhost" else "127.0.0.1", 0),
                                             family=socket.AF_INET6 if ":" in what["host"] else socket.AF_INET)
        self.port = self.listener.getsockname()[1]

    def serve(self):
        """Play; gives what went wrong, or None."""
        with self.listener:
            try:
                for _ in range(self.what["visits"]):
                    self.receive()
            except Wrong as wrong:
                return str(wrong)
            except (OSError, ssl.SSLError) as error:
                return f"the server broke: {error!r}"
            if select.select([self.listener], [], [], 0)[0]:
                return "the client came once more"
        if self.names != ([self.what["sni"]] if "TLS" in self.what["talk"] else []):
            return f"the client asked for the names {self.names}"
        return None

    def receive(self):
        while not select.select([self.listener], [], [], MOMENT)[0]:
            if self.over.is_set():
                raise Wrong("the client did not come")
        sock, _ = self.listener.accept()
        with sock:
            self.play(Stream(sock, self.single))

    def play(self, stream):
        talk = self.what["talk"]
        at = 0
        while at < len(talk):
            said = b""
            while at < len(talk) and talk[at][:2] in ("S:", "S>"):
                said += decoded(talk[at][3:]) + (b"\r\n" if talk[at][1] == ":" else b"")
                at += 1
            try:
                if said:
                    self.silence(stream, 0, said)
                    stream.send(said, last=talk[at:at + 1] == ["CLOSE"])
                elif not self.step(stream, talk[at]):
                    return
            except Gone:
                if "HELLO" in talk[:at] or said and talk[at:] in ([], ["CLOSE"]):
                    return  # it has seen enough
                raise Wrong(f"the client left before {talk[at - bool(said)]!r}") from None
            at += not said
        self.part(stream, "HELLO" in talk)

    def silence(self, stream, seconds, said):
        if stream.ready(seconds):
            stream.more()
            raise Wrong(f"the client says {stream.heard!r} before the server's {said!r}")

    def step(self, stream, line):
        """One line that is not the server's; false if it is the last."""
        verb, words = line[:2], line[3:].replace("{port}", str(self.port))
        if verb == "C:":
            heard = stream.line()
            if heard != decoded(words) + b"\r\n":
                raise Wrong(f"the client says {heard!r} where {words!r} is due")
        elif line == "TLS":
            stream.handshake(self.context())
        elif line == "HELLO":
            stream.more()
            stream.heard = b""
        elif line == "PAUSE":
            self.silence(stream, MOMENT, b"next word")
        elif verb == "S*":
            return self.repeat(stream, decoded(words) + b"\r\n")
        elif line in ("CLOSE", "RESET"):
            if line == "RESET":
                stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.sock.close()
            return False
        else:
            raise Wrong(f"no such line in a transcript: {line!r}")
        return True

    def repeat(self, stream, data):
        stream.sock.settimeout(PATIENCE)
        try:
            while True:
                stream.send(data)
        except Gone:
            return False

    def part(self, stream, broken):
        """The client must close now; what it still says of a broken handshake does not matter."""
        try:
            while True:
                stream.more()
                if stream.heard and not broken:
                    raise Wrong(f"the client says {stream.heard!r} at the end")
        except Gone:
            pass

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder.name + "/crt", folder.name + "/key")
        context.sni_callback = lambda _, name, __: self.names.append(name)
        return context


# --- what scan makes of it -------------------------------------------------------------------------------------------

def scan(what, server, *options):
    words = [SCAN, *options, *what["options"], "-s", f"{what['service']}={server.port}", what["host"]]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=6 * PATIENCE, check=False,
                          env=ENVIRONMENT)


def visit(what, single, *options):
    """Scan a server of its own; gives its port, what was printed, and what went wrong."""
    server = Server(what, single)
    with ThreadPoolExecutor(1) as stage:
        playing = stage.submit(server.serve)
        try:
            done = scan(what, server, *options)
        finally:
            server.over.set()
        wrong = playing.result()
    faults = [wrong] if wrong else []
    if done.returncode or done.stderr:
        faults.append(f"status {done.returncode}, {done.stderr.decode(errors='replace')}")
    return server.port, done.stdout.decode(), faults


def see_text(what):
    port, printed, faults = visit(what, False)
    wanted = [f"Testing {what['host']}:", f"port {port} ({what['service']}) open.", *what["shown"]]
    if printed.split("\n") != wanted + [""]:
        faults += ["expected:", *wanted, "printed:", printed]
    return faults


def expected_record(what, port):
    error = what["error"] and dict(zip(("phase", "code", "message"), what["error"]))
    return {"schema": 1, "host": what["host"], "address": what["host"].replace("localhost", "127.0.0.1"), "port": port,
            "service": what["service"], "state": "open", "data": what["data"],
            "tls": "CN=fake.test" if "TLS" in what["talk"] else None,
            "warnings": [{"code": code, "text": text} for code, text in what["warnings"]], "error": error}


def comparable(record):
    """Without what a transcript does not say: times, and the details of a certificate."""
    record = dict(record)
    for key in ("ms", "exchanges"):
        record.pop(key, None)
    if record.get("tls"):
        record["tls"] = record["tls"].get("subject")
    if record.get("error"):
        record["error"] = {key: value for key, value in record["error"].items() if key != "errno"}
    return record


def see_record(what, single):
    port, printed, faults = visit(what, single, "--json")
    wanted = expected_record(what, port)
    try:
        record = comparable(json.loads(printed))
    except (ValueError, AttributeError):
        return faults + ["no JSON record:", printed]
    return faults + [f"{key}: expected {wanted.get(key)!r}, seen {record.get(key)!r}"
                     for key in sorted({*wanted, *record}) if wanted.get(key) != record.get(key)]


LOOKS = {"as text": see_text, "as JSON": lambda what: see_record(what, False),
         "byte by byte": lambda what: [] if what["whole"] else see_record(what, True)}


# --- running all -----------------------------------------------------------------------------------------------------

def make_certificate():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder.name + "/key", "-out", folder.name + "/crt", "-days", "2", "-subj", "/CN=fake.test",
                    "-addext", "subjectAltName=DNS:fake.test"], check=True, capture_output=True)


def is_possible(what):
    """Not every machine has IPv6."""
    try:
        Server(what, False).listener.close()
        return True
    except OSError:
        return False


def run():
    """Play all cases, several at a time, and report in the Test Anything Protocol. With arguments, only those cases
    whose names have one of them in it."""
    chosen = [what for what in cases if not sys.argv[1:] or any(word in what["name"] for word in sys.argv[1:])]
    chosen = [what for what in chosen if is_possible(what)]
    failed = 0
    make_certificate()
    print(f"1..{len(chosen)}")
    with ThreadPoolExecutor(12) as stage:
        seen = [[(how, stage.submit(look, what)) for how, look in LOOKS.items()] for what in chosen]
        for number, (what, looks) in enumerate(zip(chosen, seen), 1):
            faults = [f"{how}: {line}" for how, look in looks for fault in look.result() for line in fault.split("\n")]
            failed += bool(faults)
            print(f"{'not ok' if faults else 'ok'} {number} - {what['service']}: {what['name']}", flush=True)
            for line in faults:
                print(f"#   {line}")
    sys.exit(failed > 0)


folder = tempfile.TemporaryDirectory(prefix="scan-conversations-")
