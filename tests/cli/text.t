#!/usr/bin/python3
"""The text report: its exact lines, their order, when they appear, and that no server's byte harms a terminal."""
import os
import pty
import re
import select
import ssl
import subprocess
import threading
import unicodedata

from harness import (CUT_SHORT, LINES, PATIENCE, Reader, Server, closed_port, expect, expect_in, expect_not_in, expect_true,
                     finish, folder, greeter, hear_out, read, run, scan, silent_port, start, test)


def lines_of(text):
    """A server that says this and closes."""
    return Server(lambda sock: sock.sendall(text))


# --- the lines -------------------------------------------------------------------------------------------------------

def ftp(sock):
    sock.sendall(b"220-=== Welcome to the Sandbox HTML upload server ===\r\n220 \r\n")
    for answer in (b"530 not here\r\n", b"221 bye\r\n"):
        expect_true(sock.recv(1000).endswith(b"\r\n"), "no command")
        sock.sendall(answer)


def http(sock):
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += sock.recv(1000)
    sock.sendall(b"HTTP/1.1 200 OK\r\nServer: Apache/2.4.66 (Fedora Linux) OpenSSL/3.2.6\r\n\r\n")


def plain_at_tls(sock):
    sock.recv(1000)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@test("the lines are those of the manual")
def _():
    with silent_port() as telnet, greeter(b"SSH-2.0-OpenSSH_9.9\r\n") as ssh, Server(ftp) as files, \
            Server(http) as web, Server(plain_at_tls) as secure, closed_port() as mail, greeter() as ldap:
        done = scan("-s", f"telnet={telnet},ssh={ssh.port},ftp={files.port},http={web.port},https={secure.port},"
                    f"smtp={mail},ldap={ldap.port}", "--connect-timeout", 0.3, "127.0.0.1")
        expect(done.out, f"""Testing 127.0.0.1:
port {telnet} (telnet) not open: [connect] Connection timed out
port {ssh.port} (ssh) open.
SSH-2.0-OpenSSH_9.9
port {files.port} (ftp) open.
220-=== Welcome to the Sandbox HTML upload server ===
TLS not available: 530 not here
port {web.port} (http) open.
Server: Apache/2.4.66 (Fedora Linux) OpenSSL/3.2.6
port {secure.port} (https) open.
[tls] the server answered in plain text: HTTP/1.1 400 Bad Request
port {mail} (smtp) not open: [connect] Connection refused
port {ldap.port} (ldap) open.
""")
        expect(done.err, "")


@test("all 17 services are tried, in their order, and a closed host takes no time")
def _():
    names = re.findall(r"port (\d+) \((\w+)\)", scan("127.197.3.5").out)
    expect(names, [("23", "telnet"), ("22", "ssh"), ("25", "smtp"), ("587", "submission"), ("465", "smtps"),
                   ("109", "pop2"), ("110", "pop3"), ("143", "imap"), ("993", "imaps"), ("995", "pop3s"), ("21", "ftp"),
                   ("80", "http"), ("443", "https"), ("631", "ipp"), ("88", "kerberos"), ("389", "ldap"),
                   ("636", "ldaps")])


@test("17 silent ports of a host take one connect time-out")
def _():
    names = "telnet ssh smtp submission smtps pop2 pop3 imap imaps pop3s ftp http https ipp kerberos ldap ldaps"
    with silent_port() as port:
        done = scan("-s", ",".join(f"{name}={port}" for name in names.split()), "--connect-timeout", 0.5, "127.0.0.1")
    expect(done.out.count("not open: [connect] Connection timed out\n"), 17, done.out)
    expect_true(0.5 <= done.seconds < 5, f"took {done.seconds:.2f} s")


@test("a silent server is open, and said to be silent")
def _():
    with greeter() as server:
        done = scan("-s", f"ssh={server.port}", "--reply-timeout", 0.2, "127.0.0.1")
        expect(done.out, f"Testing 127.0.0.1:\nport {server.port} (ssh) open.\n[read] no greeting within 0.2 s\n")


@test("the deadline of a service is not extended by arriving bytes")
def _():
    def drip(sock):
        sock.settimeout(0.05)
        while True:
            sock.sendall(b"x")
            try:
                if not sock.recv(1):
                    return
            except TimeoutError:
                pass
    with Server(drip) as server:
        done = scan("-s", f"ssh={server.port}", "--deadline", 0.4, "127.0.0.1")
        expect_true(0.4 <= done.seconds < 5, f"took {done.seconds:.2f} s")
        expect_in("0.4 s", done.out)


@test("nor does it wait for a connect time-out, or for the end of a TLS handshake")
def _():
    with silent_port() as silent, greeter() as server:
        done = scan("--json", "-s", f"ldap={silent},ldaps={server.port}", "--deadline", 0.4, "127.0.0.1")
        expect_true(0.4 <= done.seconds < 5, f"took {done.seconds:.2f} s")
        expect({found["service"]: found["state"] for found in done.records}, {"ldap": "filtered", "ldaps": "open"})


# --- order and time --------------------------------------------------------------------------------------------------

@test("services keep their order though they answer in another")
def _():
    with folder(lines_lua=LINES) as path, lines_of(b"third\n") as three:
        def second(sock):
            three.wait(lambda server: server.count == 1 and server.now == 0)
            sock.sendall(b"second\n")
        with Server(second) as two:
            def first(sock):
                two.wait(lambda server: server.count == 1 and server.now == 0)
                sock.sendall(b"first\n")
            with Server(first) as one:
                done = scan("-S", path, "-s", f"one={one.port},two={two.port},three={three.port}", "127.0.0.1")
                expect(done.out, f"""Testing 127.0.0.1:
port {one.port} (one) open.
first
port {two.port} (two) open.
second
port {three.port} (three) open.
third
""")


@test("each line appears as soon as all before it are known")
def _():
    more, last = threading.Event(), threading.Event()

    def slow(sock):
        sock.sendall(b"one line\n")
        expect_true(more.wait(20), "nobody reads")
        sock.sendall(b"another\n")
        expect_true(last.wait(20), "nobody reads")
    with folder(lines_lua=LINES) as path, lines_of(b"quick\n") as one, Server(slow) as two, \
            lines_of(b"late\n") as three:
        process = start("-S", path, "-s", f"one={one.port},two={two.port},three={three.port}", "127.0.0.1",
                        "--reply-timeout", 60, "--deadline", 90)
        reader = Reader(process.stdout)
        seen = [reader.line() for _ in range(5)]
        expect(seen, [b"Testing 127.0.0.1:\n", b"port %d (one) open.\n" % one.port, b"quick\n",
                      b"port %d (two) open.\n" % two.port, b"one line\n"])
        more.set()
        expect(reader.line(), b"another\n")
        last.set()
        expect(reader.lines(), [b"port %d (three) open.\n" % three.port, b"late\n"])
        finish(process)


@test("a verdict does not wait for the services behind it")
def _():
    with closed_port() as closed, silent_port() as silent:
        process = start("-s", f"telnet={closed},ldap={silent}", "127.0.0.1", "--connect-timeout", 60, "--deadline", 90,
                        env=CUT_SHORT)
        reader = Reader(process.stdout)
        expect([reader.line(), reader.line()],
               [b"Testing 127.0.0.1:\n", b"port %d (telnet) not open: [connect] Connection refused\n" % closed])
        process.terminate()
        finish(process)


@test("hosts come whole and in their order though they answer in another")
def _():
    with folder(lines_lua=LINES) as path, Server(lambda sock: sock.sendall(b"b1\nb2\n"), address="127.0.9.2") as later:
        def first(sock):
            later.wait(lambda server: server.count == 1 and server.now == 0)
            sock.sendall(b"a1\na2\n")
        with Server(first, address="127.0.9.1", port=later.port) as one:
            done = scan("-S", path, "-s", f"one={one.port}", "127.0.9.1", "127.0.9.2", "127.0.9.3", "-j", 2)
            expect(done.out, f"""Testing 127.0.9.1:
port {one.port} (one) open.
a1
a2
Testing 127.0.9.2:
port {one.port} (one) open.
b1
b2
Testing 127.0.9.3:
port {one.port} (one) not open: [connect] Connection refused
""")


@test("one slow host does not hold up the text of all others")
def _():
    go = threading.Event()

    def slow(sock):
        expect_true(go.wait(20), "nobody reads")
        sock.sendall(b"at last\n")
    with folder(lines_lua=LINES) as path, Server(slow, address="127.0.8.1") as server:
        process = start("-S", path, "-s", f"one={server.port}", "127.0.8.1-150", "-j", 1)
        reader = Reader(process.stdout)
        first = reader.line()
        go.set()
        blocks = b"".join([first, *reader.lines()]).decode().split("Testing ")[1:]
        finish(process)
        expect(len(blocks), 150, "blocks")
        expect_true(not first.startswith(b"Testing 127.0.8.1:"), "the slow host is first")
        expect([block for block in blocks if block.startswith("127.0.8.1:")],
               [f"127.0.8.1:\nport {server.port} (one) open.\nat last\n"])


# --- what a server says ----------------------------------------------------------------------------------------------

def shown(banner, *options):
    """The lines that a banner makes; the bytes of the whole output are looked at too."""
    with folder(lines_lua=LINES) as path, lines_of(banner) as server:
        done = scan("-S", path, "-s", f"one={server.port}", "127.0.0.1", *options)
    check_harmless(done.raw)
    head = f"Testing 127.0.0.1:\nport {server.port} (one) open.\n"
    expect(done.out[:len(head)], head)
    return done.out[len(head):].split("\n")[:-1]


def check_harmless(raw):
    for character in raw.decode("utf-8", "strict"):
        kind = unicodedata.category(character)
        expect_true(character == "\n" or kind not in ("Cc", "Cf", "Cs", "Zl", "Zp"), f"{character!r} in {raw!r}")


def columns(text):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1
               for character in text)


for bytes_sent, text in {
    b"220 a\0b": "220 a\\x00b",
    b"\x1b]0;owned\x07\x1b[2J": "\\x1b]0;owned\\x07\\x1b[2J",
    b"\x1b]52;c;cm0gLXJm\x07": "\\x1b]52;c;cm0gLXJm\\x07",
    b"\x1bP1$r\x1b\\": "\\x1bP1$r\\x1b\\",
    b"\x9b2J \x80 \x9f": "\\x9b2J \\x80 \\x9f",
    "\u009b2J".encode(): "\\u{9b}2J",
    b"a\tb\x7fc": "a\\x09b\\x7fc",
    b"220 one\r220 two": "220 one\\x0d220 two",
    b"220 end\r\r": "220 end\\x0d\\x0d",
    "abc\u202edef\u2066\u2069".encode(): "abc\\u{202e}def\\u{2066}\\u{2069}",
    "a\u200bb\u200dc\ufeffd\u2028e\u00ade".encode(): "a\\u{200b}b\\u{200d}c\\u{feff}d\\u{2028}e\\u{ad}e",
    "\U000e0041x".encode(): "\\u{e0041}x",
    b"\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80 \xe2\x82":
        "\\xff\\xc0\\x80\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80 \\xe2\\x82",
    b"%n%s%s%x \" \\ </script> =cmd|'x'": "%n%s%s%x \" \\ </script> =cmd|'x'",
    "gr\u00fc\u00df Gott \u4e2d\u6587 \U0001f600".encode(): "gr\u00fc\u00df Gott \u4e2d\u6587 \U0001f600",
    b"port 22 (ssh) open.": "port 22 (ssh) open.",
    b"": "",
}.items():
    test(f"shown to a terminal: {bytes_sent!r}")(
        lambda sent=bytes_sent, wanted=text: expect(shown(sent + b"\r\n"), [wanted]))


@test("every byte there is can be shown")
def _():
    every = bytes(byte for byte in range(256) if byte != 10)
    first, = shown(every[:100] + b"\n")
    expect_in("\\x00\\x01", first)
    for start_at in range(100, 255, 30):
        expect(len(shown(every[start_at:start_at + 30] + b"\n")), 1, "lines")


@test("of a long line 200 columns are shown")
def _():
    for letter in ("x", "\u4e2d", "\U0001f600", "\u00e9", "e\u0301", "\x1b", "\u202e", "\x00"):
        for length in (190, 200, 201, 4096, 6000):
            line, = shown(letter.encode() * (length // len(letter.encode())) + b"\n")
            expect_true(columns(line) <= 200, f"{columns(line)} columns for {letter!r}")
            if letter == "x":
                expect(len(line), min(length, 200), "columns")
                expect(line.endswith("..."), length > 200, "the mark of the cut")


@test("a thousand combining marks do not climb over other lines")
def _():
    line, = shown(("e" + "\u0301" * 1000).encode() + b"\n")
    expect_true(line.count("\u0301") <= 4, line)
    expect_in("\\u{301}", line)


@test("what is in an error is escaped too")
def _():
    with Server(lambda sock: (sock.recv(1000), sock.sendall(b"\x1b[2J\xe2\x80\xae no TLS\r\n"))) as server:
        done = scan("-s", f"https={server.port}", "127.0.0.1")
    check_harmless(done.raw)
    expect_in("[tls] the server answered in plain text: \\x1b[2J\\u{202e} no TLS\n", done.out)


def certificate(path, subject):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-utf8", "-keyout", path + "/key", "-out", path + "/crt", "-days", "30", "-subj", subject,
                    "-addext", "subjectAltName=DNS:a.test,DNS:*.b.test"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path + "/crt", path + "/key")
    return context


def secured(context):
    def serve(sock):
        with context.wrap_socket(sock, server_side=True) as secure:
            hear_out(secure)
    return Server(serve)


@test("-v has addresses, times and TLS facts; a certificate is escaped as all else")
def _():
    with folder() as path, secured(certificate(path, "/O=\x1b[2J\u202e/CN=bad.test")) as server:
        words = ["-s", f"ldaps={server.port}", "127.0.0.1"]
        done, plain = scan("-v", *words), scan(*words)
    expect(plain.out, f"Testing 127.0.0.1:\nport {server.port} (ldaps) open.\n")
    check_harmless(done.raw)
    expect_in("\\x1b[2J", done.out)
    expect_true(re.search(r"(?m)^  address: 127\.0\.0\.1, \d+\.\d ms$", done.out), done.out)
    for part in ("TLSv1.3", "bad.test", "names: a.test, *.b.test", "EC 256", "self-signed"):
        expect_in(part, done.out)
    expect_true(re.search(r"(?m)^  days left: (29|30)$", done.out), done.out)


# --- what is shown, and where ----------------------------------------------------------------------------------------

@test("--open shows open services only, and no host without one")
def _():
    with folder(lines_lua=LINES) as path, lines_of(b"hello\n") as server, closed_port() as closed:
        words = ["-S", path, "--open", "-s", f"one={closed},two={server.port},three={closed}"]
        wanted = f"Testing 127.0.0.1:\nport {server.port} (two) open.\nhello\n"
        expect(scan(*words, "127.0.0.1").out, wanted)
        expect(scan(*words, "127.0.0.2", "127.0.0.1", "127.0.0.3").out, wanted)
        expect(scan(*words, "127.0.0.2").out, "")


@test("-o writes to a file, anew each time, and nothing to standard output")
def _():
    with folder(lines_lua=LINES, out_txt="what was there before, and was longer than what comes now " * 9) as path, \
            lines_of(b"hello\n") as server:
        done = scan("-S", path, "-s", f"one={server.port}", "127.0.0.1", "-o", path + "/out.txt")
        expect(done.raw + done.raw_err, b"")
        expect(read(path + "/out.txt").decode(), f"Testing 127.0.0.1:\nport {server.port} (one) open.\nhello\n")
        scan("-S", path, "-s", f"one={server.port}", "127.0.0.1", "-o", path + "/new.txt")
        expect(read(path + "/new.txt"), read(path + "/out.txt"))


@test("wrong use does not touch the file of -o")
def _():
    with folder(out_txt="precious") as path:
        scan("-o", path + "/out.txt", "-s", "nosuch", "127.0.0.1", status=2)
        expect(read(path + "/out.txt"), b"precious")


def on_terminal(*words, errors=False, env=()):
    """What scan writes to a terminal that is its standard output, or standard error."""
    master, slave = pty.openpty()
    process = start(*words, env={"TERM": "xterm", **dict(env)}, **{"stderr" if errors else "stdout": slave})
    os.close(slave)
    written = b"".join(Reader(master).lines())
    os.close(master)
    done = finish(process)
    return written.replace(b"\r\n", b"\n"), done


@test("colour on a terminal, and only there")
def _():
    with lines_of(b"hello\n") as server, folder(lines_lua=LINES) as path:
        words = ["-S", path, "-s", f"one={server.port},two={server.port}", "127.0.0.1"]
        plain = scan(*words)
        expect_not_in(b"\x1b", plain.raw)
        written, _ = on_terminal(*words)
        expect_in(b"\x1b[", written)
        expect(re.sub(rb"\x1b\[[\d;]*m", b"", written), plain.raw)
        expect(on_terminal(*words, env={"NO_COLOR": ""})[0], written, "with an empty NO_COLOR")
        for variable in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            expect(on_terminal(*words, env=variable)[0], plain.raw, f"with {variable}")
        expect_not_in(b"\x1b", on_terminal("--json", *words)[0])


@test("colour ends in the line in which it begins")
def _():
    with lines_of(b"+OK \x1b[31mred\n") as server, folder(lines_lua=LINES) as path, closed_port() as closed:
        services = f"one={server.port},two={closed},https={server.port},ssh={server.port}"
        written, _ = on_terminal("-S", path, "-s", services, "127.0.0.1")
    expect_in(b"warning: this is pop3", written)
    for line in written.splitlines():
        codes = re.findall(rb"\x1b\[([\d;]*)m", line)
        expect_true(not codes or codes[-1] == b"0", f"{line!r}")


@test("after a failure -v shows what was said last, line by line")
def _():
    def serve(sock):
        sock.sendall(b"220 mx.example\r\n")
        sock.recv(1000)
        sock.sendall(b"250-mx.example\r\n250-\x1b[2J\r\n250-")
    with Server(serve) as server:
        done = scan("-v", "-s", f"smtp={server.port}", "127.0.0.1")
    said = re.findall(r"^ +\d+\.\d ([CST]: .*)$", done.out, re.MULTILINE)
    expect(said, ["S: 220 mx.example", "C: EHLO [127.0.0.1]", "S: 250-mx.example", "S: 250-\\x1b[2J", "S: 250-"])


@test("progress is for a terminal on standard error, and not with -q")
def _():
    held = threading.Event()

    def hold(sock):
        held.wait(20)
        sock.sendall(b"done\n")
    with folder(lines_lua=LINES) as path, Server(hold) as server, silent_port() as silent:
        words = ["-S", path, "-s", f"one={server.port}", "127.0.0.1", "127.0.0.2"]
        master, slave = pty.openpty()
        process = start(*words, stderr=slave, env={"TERM": "xterm"})
        os.close(slave)
        seen = b""
        while b"2" not in seen:
            expect_true(select.select([master], [], [], PATIENCE)[0], "no progress")
            seen += os.read(master, 1000)
        held.set()
        rest = b"".join(Reader(master).lines())
        os.close(master)
        done = finish(process)
        expect_true((seen + rest).endswith((b"\r", b"\x1b[K", b"\n")), f"the line is left behind: {seen + rest!r}")
        expect(done.out.count("Testing"), 2)
        slow = ["-s", f"ssh={silent}", "--connect-timeout", 0.8, "127.0.0.1", "127.0.0.2"]
        quiet, _ = on_terminal("-q", *slow, errors=True)
        expect(quiet, b"")
        piped = scan(*slow)
        expect(piped.err, "")


run()
