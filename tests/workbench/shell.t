#!/usr/bin/python3 -B
"""The interactive shell, driven in a terminal, in a dumb one, and through a pipe."""

import fcntl
import os
import pty
import queue
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import termios
import time
import select

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
sys.path.insert(1, os.path.dirname(os.path.abspath(__file__)))
from harness import (PATIENCE, SCAN, Failed, Server, closed_port, environment, expect, expect_in, expect_not_in,  # noqa: E402
                     expect_true, folder, read, run, scan, test)
from screen import Screen  # noqa: E402

EHLO = b"250-fake.example\r\n250 STARTTLS\r\n"


def lines_of(sock):
    rest = b""
    while data := sock.recv(4096):
        rest += data
        while b"\n" in rest:
            line, rest = rest.split(b"\n", 1)
            yield line.rstrip(b"\r")


def certificate(path):
    """A key and a certificate in one file."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=fake.example", "-keyout", path + "/key", "-out", path + "/cert"], check=True,
                   capture_output=True)
    with open(path + "/pem", "wb") as file:
        file.write(read(path + "/key") + read(path + "/cert"))
    return path + "/pem"


def smtp(sock, secure=None):
    """A little of SMTP. What it does not know it does not like; HUSH it does not answer, GO makes it go."""
    sock.sendall(b"220 fake.example ESMTP\r\n")
    for line in lines_of(sock):
        word = line.split(b" ")[0]
        if word == b"EHLO":
            sock.sendall(EHLO)
        elif word == b"STARTTLS" and secure:
            sock.sendall(b"220 go ahead\r\n")
            with secure.wrap_socket(sock, server_side=True) as inner:
                for line in lines_of(inner):
                    inner.sendall(b"250 secret " + line + b"\r\n")
            return
        elif word == b"QUIT":
            sock.sendall(b"221 bye\r\n")
            return
        elif word == b"GO":
            return
        elif word == b"BYTES":
            sock.sendall(bytes(range(256)))
        elif word != b"HUSH":
            sock.sendall(b"500 what?\r\n")


class Talker(Server):
    """Says hello, and then what it is told to."""

    def __init__(self):
        self.words = queue.Queue()
        super().__init__(self.talk)

    def talk(self, sock):
        sock.sendall(b"hello\r\n")
        while words := self.words.get(timeout=PATIENCE):
            sock.sendall(words)

    def __exit__(self, *fault):
        self.words.put(b"")
        return super().__exit__(*fault)


class Terminal:
    """scan in a terminal of its own."""

    def __init__(self, *words, term="xterm", home=None, columns=120, **env):
        self.master, slave = pty.openpty()
        self.modes = termios.tcgetattr(slave)
        self.resize(columns)
        self.seen = self.all = b""
        self.dumb = term == "dumb"

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        state = {"HOME": home or "/nonexistent", "XDG_STATE_HOME": "", "LC_ALL": "C.UTF-8", "TERM": term}
        self.process = subprocess.Popen([SCAN, *words], stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal,
                                        env={**environment({}), **state, **env})
        os.close(slave)

    def text(self):
        """What has come so far: lines that were wiped away are gone, and so is what only moves the cursor."""
        text = re.sub(rb"(?<=\n)[^\n]*\r\x1b\[J", b"", self.seen)
        if self.dumb:
            return text.replace(b"\r", b"").decode("utf-8", "replace")
        return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", b"", text).replace(b"\r", b"").decode("utf-8", "replace")

    def more(self, due):
        if not select.select([self.master], [], [], max(0, due - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += data
        self.all += data
        return data != b""

    def resize(self, columns):
        """The kernel tells the program of it."""
        self.columns = columns
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def shows(self, *lines):
        """Until the screen ends in these."""
        due = time.monotonic() + PATIENCE
        while (seen := Screen(self.columns).feed(self.all.decode("utf-8", "replace")).lines())[-len(lines):] != list(lines):
            if not self.more(due):
                raise Failed("not at the end of the screen:\n" + "\n".join(lines) + "\nbut:\n" + "\n".join(seen))
        return seen

    def wait(self, pattern, patience=PATIENCE):
        """Until this has come; gives all up to its end, and forgets it."""
        due = time.monotonic() + patience
        while not (found := re.search(pattern, self.text(), re.DOTALL)):
            if not self.more(due):
                raise Failed(f"no {pattern!r} in:\n{self.text()}")
        whole = self.text()
        self.seen = whole[found.end():].encode()
        return whole[:found.end()]

    def type(self, text):
        os.write(self.master, text.encode())

    def line(self, text, pattern):
        """A line, and what must come of it, up to the next prompt."""
        self.type(text + "\r")
        return self.wait(pattern + r"(?:.*\n)?>>? $")

    def leave(self):
        self.type("\x04")
        return self.end()

    def end(self, status=0):
        due = time.monotonic() + PATIENCE
        while self.more(due):
            pass
        expect(self.process.wait(PATIENCE), status, "status")
        os.close(self.master)
        return self.text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


PROMPT = r"(?:^|\n)> $"


# --- in a terminal ---------------------------------------------------------------------------------------------------

@test("the greeting is shown as it comes, and conn is the open connection")
def _():
    with Server(smtp) as server, Terminal("-i", f"127.0.0.1:{server.port}") as terminal:
        terminal.wait(r"\d\.\d - connected\n.*\d\.\d S: 220 fake\.example ESMTP\n")
        terminal.line("conn:readline()", r'"220 fake\.example ESMTP"\n')
        said = terminal.line(r'conn:write("EHLO me\r\n")', r"S: 250-fake\.example\n.*S: 250 STARTTLS\n")
        expect_in(" C: EHLO me\n", said)
        terminal.line("conn", rf"conn to 127\.0\.0\.1 port {server.port}\n")
        terminal.line("conn.port, conn.host, conn.tls", rf'{server.port}\n"127\.0\.0\.1"\nnil\n')
        expect_in("closed\n", terminal.leave())


@test("values are shown so that they can be read")
def _():
    with Terminal("-i") as terminal:
        terminal.line("1 + 1", r"\n2\n")
        terminal.line(r'"a\0b\27[2J\"\\"', r'\n"a\\x00b\\x1b\[2J\\"\\\\"\n')
        terminal.line("{ 1, 2, x = { y = true }, ['a b'] = 3.5 }", r'\n\{ 1, 2, \["a b"\] = 3\.5, x = \{ y = true \} \}\n')
        terminal.line("nil", r"\nnil\n")
        terminal.line("t = {} t.t = t", r"\n")
        terminal.line("t", r"\n\{ t = \{\.\.\.\} \}\n")
        terminal.line("string.rep('x', 100000)", r"xxx\"\.\.\. \(100000 bytes\)\n")
        terminal.line("(function() return 1, nil, 'x' end)()", r'\n1\nnil\n"x"\n')
        terminal.line("x = 5", r"\n")
        terminal.line("x", r"\n5\n")
        terminal.line("print('\\27]0;owned\\7')", r"\\x1b\]0;owned\\x07\n")
        terminal.type(":quit\r")
        terminal.end()


@test("what is not whole waits for its end")
def _():
    with Terminal("-i") as terminal:
        terminal.wait(PROMPT)
        terminal.line("for i = 1, 2 do", r"\n(?=>> )")
        terminal.line("print('i is ' .. i)", r"\n(?=>> )")
        terminal.line("end", r"i is 1\ni is 2\n")
        terminal.line("{", r"\n(?=>> )")
        terminal.line("7 }", r"\{ 7 \}\n")
        terminal.line("x = = 1", r"stdin:1: unexpected symbol near '='\n")
        terminal.line("if", r"\n(?=>> )")
        terminal.type("\x03")
        terminal.wait(r"\^C\n> $")
        terminal.line("8", r"\n8\n")


@test("Ctrl-C ends a wait, a loop, a half-typed line, and not the shell")
def _():
    with Server(smtp) as server, Terminal("-i", f"127.0.0.1:{server.port}") as terminal:
        terminal.wait("ESMTP")
        terminal.line("conn:readline()", r'ESMTP"\n')
        for code in ("conn:readline(600)", "scan.sleep(600)", "while true do end", "scan.listen():accept()",
                     "coroutine.wrap(function() while true do end end)()", "scan.spawn(scan.sleep, 600):join()"):
            terminal.type(f"print('begins') {code}\r")
            terminal.wait(r"\nbegins\n")
            terminal.type("\x03")
            terminal.wait(r"interrupted\n> $")
        terminal.type("half a line")
        terminal.wait("half a line")
        terminal.type("\x03")
        terminal.wait(r"\^C\n> $")
        terminal.line("conn:write('NOOP\\r\\n') return conn:readline()", r'"500 what\?"\n')
        terminal.leave()


@test("a server that goes is told of while the prompt is open, and :open comes back")
def _():
    with Server(smtp) as server, Terminal("-i", f"127.0.0.1:{server.port}") as terminal:
        terminal.wait("ESMTP")
        terminal.line("conn:readline()", r'ESMTP"\n')
        terminal.line(r'conn:write("GO\r\n")', r"- the server closed\nThe connection is over\. :open opens it again\.\n")
        terminal.line("conn:readline()", r"\[read\] the server closed the connection\n")
        terminal.line(":open", r"connected\n.*S: 220 fake")
        terminal.line("conn:readline()", r'ESMTP"\n')
        terminal.line(":close", r"- closed\n")
        terminal.line("conn:readline()", r"conn is closed\nThere is no connection\. :open opens it again\.\n")
        server.wait(lambda s: s.count == 2)


@test("nobody there, then somebody")
def _():
    with Server(smtp) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with Terminal("-i", f"127.0.0.1:{closed.getsockname()[1]}") as terminal:
            terminal.wait(r"\n127\.0\.0\.1:\d+: \[connect\] Connection refused\n")
            terminal.line("conn:readline()", r"There is no connection\. :open opens it again\.\n")
            terminal.line(f":open 127.0.0.1:{server.port}", r"S: 220 fake")
            terminal.line(":open 127.0.0.1", r"a port is missing: HOST:PORT\n")
            terminal.line(":open nosuch.invalid:25", r"\[resolve\] ")


@test("Tab completes globals, fields, methods and commands")
def _():
    with Server(smtp) as server, Terminal("-i", f"127.0.0.1:{server.port}") as terminal:
        terminal.wait("ESMTP")
        terminal.type("conn:readl\t")
        terminal.wait(r"> conn:readline")
        terminal.type("()\r")
        terminal.wait(r'ESMTP"\n')
        terminal.type("scan.resol\t('127.0.0.1')\r")
        terminal.wait(r'\{ "127\.0\.0\.1" \}\n')
        terminal.type("conn.add\t\r")
        terminal.wait(r'"127\.0\.0\.1"\n')
        terminal.type("conn:re\t\t")
        terminal.wait(r"\nread  readline  readuntil  readwhile\n")
        terminal.type("\x03")
        terminal.wait(r"\^C\n")
        terminal.type("strin\t.for\t('%d', 42)\r")
        terminal.wait(r'"42"\n')
        terminal.type(":hel\t\r")
        terminal.wait(r":open \[HOST:PORT\]")


@test("Tab where no name has begun indents, so that code can be pasted as it is")
def _():
    with Terminal("-i") as terminal:
        terminal.wait(PROMPT)
        terminal.type("for i = 1, 2 do\r\tprint('pasted', i,\t1)\rend\r")
        said = terminal.wait(r"pasted\t?1\s+1\npasted\t?2\s+1\n> $|_VERSION")
        expect_not_in("_VERSION", said)


@test("the history is there the next time, of the user alone, and without what begins with a space")
def _():
    with folder() as home:
        with Terminal("-i", home=home) as terminal:
            terminal.line("'first' .. 1", r'"first1"\n')
            terminal.line(" 'secret' .. 2", r'"secret2"\n')
            terminal.leave()
        kept = home + "/.local/state/scan/history"
        expect(os.stat(kept).st_mode & 0o077, 0, "the others' rights")
        expect_not_in("secret", read(kept).decode())
        with Terminal("-i", home=home) as terminal:
            terminal.wait(PROMPT)
            terminal.type("\x1b[A\r")
            terminal.wait(r'"first1"\n')
        with folder() as state, Terminal("-i", XDG_STATE_HOME=state) as terminal:
            terminal.line("3", r"\n3\n")
            terminal.leave()
            expect_true(os.path.exists(state + "/scan/history"), "no history in XDG_STATE_HOME")


@test("a spawned task runs on while the prompt is open")
def _():
    with Terminal("-i") as terminal:
        terminal.line("l = scan.listen()", r"\n")
        terminal.line("t = scan.spawn(function() while true do local c = l:accept() c:write('hello\\r\\n') c:close() end end)",
                      r"\n")
        port = re.search(r"\n(\d+)\n", terminal.line("l.port", r"\n\d+\n")).group(1)
        with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as sock:
            expect(sock.makefile("rb").read(), b"hello\r\n", "said")
        terminal.wait(r"127\.0\.0\.1:\d+ S: hello\n")
        terminal.line("t", r"task \(running\)\n")


@test(":tls, :cert and what comes behind them")
def _():
    with folder() as path:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(certificate(path))
        with Server(lambda sock: smtp(sock, secure)) as server, Terminal("-i", f"127.0.0.1:{server.port}") as terminal:
            terminal.wait("ESMTP")
            terminal.line("conn:readline()", r'ESMTP"\n')
            terminal.line(r'conn:write("STARTTLS\r\n") return conn:readline()', r'"220 go ahead"\n')
            terminal.line(":tls", r"T: TLSv1\.[23] \S+\n")
            terminal.line(r'conn:write("hidden\r\n")', r"S: 250 secret hidden\n")
            terminal.line(":cert", r'subject = "CN=fake\.example".*version = "TLSv1\.[23]"')
            terminal.line(":tls", r"speaks TLS already\n")


@test(":hex shows what came, as it came")
def _():
    with Server(smtp) as server, Terminal("-i", f"127.0.0.1:{server.port}") as terminal:
        terminal.wait("ESMTP")
        terminal.line(":hex", r"00000000  32 32 30 20 66 61 6b 65  2e 65 78 61 6d 70 6c 65  \|220 fake\.example\|\n"
                              r"00000010  20 45 53 4d 54 50 0d 0a +\| ESMTP\.\.\|\n")
        terminal.line(":hex on", r"\n")
        terminal.line(r'conn:write("NOOP\r\n")', r"C: NOOP\n00000000  4e 4f 4f 50 0d 0a +\|NOOP\.\.\|\n.*S: 500 what\?\n")
        terminal.line(":hex off", r"\n")
        terminal.line(r'conn:write("BYTES\r\n") conn:read(256 + 35)', r"\n")
        terminal.line(":hex", r"000000f0  f0 f1 f2 f3")


@test(":save writes a probe and a conversation that passes; nothing is overwritten")
def _():
    with folder() as path, Server(smtp) as server:
        said = scan("-i", f"127.0.0.1:{server.port}", cwd=path, status=4, text=rb'''conn:readline()
            conn:write("EHLO \"me\"\r\n")
            conn:readline() return conn:readline()
            :save tried
            :save tried
            :save Not/Good
'''.replace(b"\n            ", b"\n"))
        expect_in("wrote tried.lua and tried.conversation", said.err)
        expect_in("tried.lua: is there already", said.err)
        expect_in(":save wants a name of a-z", said.err)
        probe = read(path + "/tried.lua").decode()
        for part in (f"port = {server.port}", 'report("banner", conn:readline()) -- 220 fake.example ESMTP\n',
                     'conn:write("EHLO \\"me\\"\\r\\n")\n', "conn:readline() -- 250-fake.example\n"):
            expect_in(part, probe)
        expect_in("C: EHLO \"me\"\n", read(path + "/tried.conversation").decode())
        scan("--replay", path + "/tried.conversation")
        expect_in("220 fake.example ESMTP", scan("-S", path + "/tried.lua", "-s", "tried", "127.0.0.1").out)


@test(":save of a session with STARTTLS, and of one of bytes")
def _():
    with folder() as path:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(certificate(path))
        with Server(lambda sock: smtp(sock, secure)) as server:
            scan("-i", f"127.0.0.1:{server.port}", cwd=path, text=rb'''conn:readline()
conn:write("STARTTLS\r\n") conn:readline()
:tls
conn:write("hidden\r\n") conn:readline()
:save secure
:open
conn:readline() conn:write("BYTES\r\n") conn:read(256)
:save bytes
''')
        expect_in("    conn:starttls()\n", read(path + "/secure.lua").decode())
        scan("--replay", path + "/secure.conversation", path + "/bytes.conversation")


@test("behind a handshake that failed the connection is over, at once and each time with the same words")
def _():
    with folder() as path, Server(smtp) as server:
        begun = time.monotonic()
        done = scan("-i", f"127.0.0.1:{server.port}", cwd=path, status=3,
                    text=b"conn:readline()\n:tls\nconn:readline()\nconn:write('x')\n:tls\n:save broken\n:open\nconn:readline()\n")
        expect_true(time.monotonic() - begun < 5, "it was waited for nothing")
        expect(done.out, '"220 fake.example ESMTP"\n' * 2)
        words = "the server answered in plain text: 500 what?"
        expect(re.findall(rf"stdin:(\d): \[tls\] {re.escape(words)}\n", done.err), ["2", "3", "4", "5"])
        expect(done.err.count(f" T: {words}\n"), 1)
        expect(done.err.count("The connection is over. :open opens it again.\n"), 1)
        scan("--replay", path + "/broken.conversation")


@test("a handshake that Ctrl-C ends takes the connection with it")
def _():
    with Talker() as server, Terminal("-i", f"127.0.0.1:{server.port}") as terminal:
        terminal.wait(r"S: hello\n> $")
        terminal.line("conn:readline()", r'"hello"\n')
        terminal.type("print('begins') conn:starttls()\r")
        terminal.wait(r"\nbegins\n")
        terminal.type("\x03")
        terminal.wait(r"interrupted\n.* - closed\nThe connection is over\. :open opens it again\.\n> $")
        terminal.line("conn:write('x')", r"conn is closed\nThere is no connection\. :open opens it again\.\n")


@test(":save after an upgrade that was refused here: what was said, without it")
def _():
    with folder() as path, Server(smtp) as server:
        said = scan("-i", f"127.0.0.1:{server.port}", cwd=path, status=3,
                    text=b'conn:write("NOOP\\r\\n")\nscan.sleep(0.1)\n:tls\n:save refused\n')
        expect(len(re.findall("TLS should start: 220 fake.*500 what", said.err)), 1, "complaints")
        expect_not_in("starttls", read(path + "/refused.lua").decode())
        scan("--replay", path + "/refused.conversation")
        scan("--check", path + "/refused.lua")


@test("however the process ends, the terminal is as it was")
def _():
    ends = (lambda terminal: terminal.type("\x04"), lambda terminal: terminal.type("os.exit(0)\r"),
            lambda terminal: terminal.type("scan.spawn(function() scan.sleep(0.05) os.exit(0) end)\r"),
            lambda terminal: terminal.process.send_signal(signal.SIGTERM),
            lambda terminal: terminal.process.send_signal(signal.SIGHUP))
    for end in ends:
        with Terminal("-i") as terminal:
            before = terminal.modes
            terminal.wait(PROMPT)
            expect_true(termios.tcgetattr(terminal.master) != before, "the terminal is not in the editor's mode")
            end(terminal)
            terminal.process.wait(PATIENCE)
            expect(termios.tcgetattr(terminal.master), before, "modes")
            os.close(terminal.master)


@test("after Ctrl-Z and SIGCONT the editor goes on")
def _():
    with Terminal("-i") as terminal:
        terminal.wait(PROMPT)
        terminal.type("1 +")
        terminal.wait(r"1 \+$")
        terminal.process.send_signal(signal.SIGSTOP)
        os.waitpid(terminal.process.pid, os.WUNTRACED)
        termios.tcsetattr(terminal.master, termios.TCSANOW, terminal.modes)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait(r"1 \+$")
        terminal.line(" 2", r"\n3\n")
        terminal.leave()


@test("what a task prints does not get into the line that is open")
def _():
    with Terminal("-i") as terminal:
        terminal.line("scan.spawn(function() scan.sleep(0.3) print('from a task') local x = nil .. 1 end) return 0", r"0\n")
        terminal.type("1 + 1")
        terminal.wait(r"from a task\nscan: in a task for which nobody waited: [^\n]*\n.*\n> 1 \+ 1$")
        terminal.line("", r"\n2\n")


@test("what comes while a line of several rows is open leaves nothing of it behind, wherever the cursor is")
def _():
    with Talker() as server, Terminal("-i", f"127.0.0.1:{server.port}", columns=40) as terminal:
        terminal.wait("S: hello\n> $")
        line = "x = '" + "0123456789" * 9
        rows = ["> " + line[:38], line[38:78], line[78:]]
        terminal.type(line)
        terminal.shows(*rows)
        for keys, number in (("", 1), ("\x01", 2), ("\x05" + "\x02" * 40, 3), ("\x05", 4)):
            terminal.type(keys)
            server.words.put(b"number %d\r\n" % number)
            terminal.wait(rf"number {number}\n")
            seen = terminal.shows(*rows)
            expect([row[9:] for row in seen if "number" in row], [f"S: number {i}" for i in range(1, number + 1)], "said")
            expect(sum("0123" in row for row in seen), 3, "rows of the line")
        terminal.resize(60)
        terminal.type("\x05!'\r")
        terminal.wait(r"> $")
        terminal.line("#x, x:sub(-3)", r'\n91\n"89!"\n')


@test("wide characters and those that are shown in other words have their width")
def _():
    with Talker() as server, Terminal("-i", f"127.0.0.1:{server.port}", columns=40) as terminal:
        terminal.wait("S: hello\n> $")
        terminal.type("y = '" + "é" * 32 + "aäb")
        terminal.shows("> y = '" + "é" * 32 + "a", "äb")
        server.words.put(b"number 1\r\n")
        terminal.wait(r"number 1\n")
        seen = terminal.shows("> y = '" + "é" * 32 + "a", "äb")
        expect(sum("é" in row for row in seen), 1, "rows of the line")
        terminal.line("'", r"\n")
        terminal.line("utf8.len(y)", r"\n35\n")


# --- a dumb terminal, a pipe -----------------------------------------------------------------------------------------

@test("a dumb terminal gets no escapes")
def _():
    with Server(smtp) as server, Terminal("-i", f"127.0.0.1:{server.port}", term="dumb") as terminal:
        heard = terminal.wait("ESMTP\n")
        terminal.type("conn:readline()\r")
        heard += terminal.wait(r'"220 fake\.example ESMTP"\n> $')
        terminal.type("print('waits') scan.sleep(600)\r")
        heard += terminal.wait(r"\nwaits\n")
        terminal.type("\x03")
        heard += terminal.wait(r"interrupted\n> $")
        terminal.type("half")
        heard += terminal.wait(r"half$")
        terminal.type("\x03")
        heard += terminal.wait(r"\n> $")
        terminal.type("2\r")
        heard += terminal.wait(r"\n2\n> $")
        expect_not_in("\x1b", heard + terminal.leave())


@test("on a dumb terminal what comes has lines of its own, and the line that was begun goes on")
def _():
    with Talker() as server, Terminal("-i", f"127.0.0.1:{server.port}", term="dumb") as terminal:
        terminal.wait(r"S: hello\n> $")
        terminal.type("'half' ..")
        terminal.wait(r"'half' \.\.$")
        server.words.put(b"here\r\n")
        terminal.wait(r"^\n +[\d.]+ S: here\n> $")
        terminal.type(" ' whole'\r")
        terminal.wait(r'\n"half whole"\n')


@test("without libedit it compiles, and is as on a dumb terminal")
def _():
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    compiler = os.environ.get("CC", "cc")
    flags = subprocess.run([top + "/vendor/deps", "flags", "build"], env={**os.environ, "CC": compiler}, capture_output=True, text=True,
                           check=True).stdout.split()
    expect_true(not any("LIBEDIT" in flag for flag in flags), "these are the flags of libedit, too")
    done = subprocess.run([compiler, "-std=c11", "-D_GNU_SOURCE", "-Isrc", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                           *[flag for flag in flags if flag[:2] != "-l"], "src/workbench/prompt.c"], cwd=top, capture_output=True,
                          text=True, check=False)
    expect(done.stderr, "")


@test("a pipe gets values on standard output, the conversation on standard error, and no prompt")
def _():
    with Server(smtp) as server:
        done = scan("-i", f"127.0.0.1:{server.port}", status=4,
                    text=b"conn:readline()\nfor i = 1, 2 do\nprint(i)\nend\nerror('no')\n{1}\n")
    expect(done.out, '"220 fake.example ESMTP"\n1\n2\n{ 1 }\n')
    lines = done.err.splitlines()
    expect([re.sub(r"^ +\d+\.\d ", "", line) for line in lines],
           ["- connected", "S: 220 fake.example ESMTP", "stdin:5: no", "- closed"])


@test("from a pipe the worst error is the exit status, and its place is the input's line")
def _():
    with Server(lambda sock: None) as server:
        gone = f"scan.connect('127.0.0.1', {server.port}):readline()\n"
        expect(scan("-i", text=(gone + "1\n").encode(), status=3).out, "1\n")
        done = scan("-i", text=f"\n\n{gone}:help nosuch\nif true\nthen\n  error('no') end\n1\nx = = 2\n{gone}".encode(), status=4)
    expect(re.findall(r"^stdin:(\d+): (\S+)", done.err, re.M), [("3", "[read]"), ("7", "no"), ("9", "unexpected"), ("10", "[read]")])
    for text, status in {":open": 4, ":nosuch": 4, ":help nosuch": 4, "for": 4, "scan.spawn(function() error('x') end) scan.sleep(0)": 4,
                         ":help :open": 0, "": 0}.items():
        scan("-i", text=text.encode(), status=status)
    with closed_port() as port:
        scan("-i", f"127.0.0.1:{port}", text=b"1\n", status=3)


@test("the end of the input in the middle of a statement is an error, io.read has its share of the input")
def _():
    expect(scan("-i", text=b"x = io.read()\nthis is read\nx\n").out, '"this is read"\n')
    expect_in("<eof>", scan("-i", text=b"for i = 1, 2 do\n", status=4).err)
    expect(scan("-i", text=b"7").out, "7\n")
    expect(scan("-i", text=b"").out, "")


@test("-q shows no conversation")
def _():
    with Server(smtp) as server:
        done = scan("-q", "-i", f"127.0.0.1:{server.port}", text=b"conn:readline()\n")
    expect((done.out, done.err), ('"220 fake.example ESMTP"\n', ""))


@test("several connections are told apart")
def _():
    with Server(smtp) as server:
        done = scan("-i", f"127.0.0.1:{server.port}",
                    text=f"conn:readline()\nother = scan.connect('127.0.0.1', {server.port})\nother:readline()\n".encode())
    expect_in(f" 127.0.0.1:{server.port} S: 220 fake", done.err)
    expect(len(re.findall(r"^ +\d+\.\d S: 220", done.err, re.MULTILINE)), 1, "greetings of conn")


@test("every name of the API has help, every command too")
def _():
    names = scan("-e", "for k in pairs(scan) do print(k) end").out.split()
    names += ["readline", "read", "write", "starttls", "close", "accept", "join", "conn:readline", "scan.connect"]
    commands = ["open", "close", "tls", "cert", "hex", "save", "help", "quit"]
    asked = [":help " + name for name in names] + [":help :" + name for name in commands]
    done = scan("-i", text="\n".join(asked).encode() + b"\n:help nosuch\n:nosuch\n", status=4)
    expect(done.err, "there is no help on that; :help lists what there is\nno such command; :help lists them\n")
    expect(scan("-i", text=b":c\n", status=4).err, ":c could be :close or :cert\n")
    expect(done.out.count("\n  "), len(asked), "answers")
    overview = scan("-i", text=b":help\n").out.splitlines()
    expect_true(len(overview) < 23 and max(map(len, overview)) <= 80, "it does not fit into a terminal")
    for name in names[:-2] + [":" + command for command in commands]:
        expect_true(re.search(rf"(?<!\w){name}\b", "\n".join(overview)), f"{name} is not in the overview")


@test("a command does nothing with words that it does not know, and says which it wants")
def _():
    with Server(smtp) as server, Server(smtp) as other:
        place = f"127.0.0.1:{server.port}"
        for command, told in {f":open {place} ssl": "tls or plain, not ssl", ":open tls ssl": ":open takes HOST:PORT and tls or plain, not ssl",
                              f":open {place} plain x": ":open takes HOST:PORT and tls or plain, not x", ":hex maybe": "on or off, not maybe",
                              ":quit now": ":quit takes nothing, not now", ":tls now": ":tls takes nothing, not now",
                              ":close it": ":close takes nothing, not it", ":cert all of it": ":cert takes nothing, not all of it"}.items():
            done = scan("-q", "-i", f"127.0.0.1:{other.port}", text=f"{command}\nconn.port\nconn:readline()\n".encode(), status=4)
            expect(done.err, told + "\n")
            expect(done.out, f'{other.port}\n"220 fake.example ESMTP"\n')
        expect(scan("-q", "-i", place, text=b":open  plain \nconn:readline()\n:hex  on\n:quit \n").out, '"220 fake.example ESMTP"\n')


@test("a wrong target is wrong use")
def _():
    expect_in("a port is missing", scan("-i", "127.0.0.1", status=2).err)
    expect_in("must be a number", scan("-i", "127.0.0.1:x", status=2).err)
    expect_in("takes one HOST:PORT", scan("-i", "a:1", "b:2", status=2).err)


@test("a port whose probe speaks TLS from the first byte is spoken to so; :open says otherwise")
def _():
    with folder() as path:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(certificate(path))

        def serve(sock):
            with secure.wrap_socket(sock, server_side=True) as inner:
                inner.sendall(b"hello\r\n")
                inner.recv(100)

        with Server(serve) as server:
            with open(path + "/mine.lua", "w", encoding="utf-8") as file:
                file.write('return { about = "x", services = { { name = "mine", port = %d, tls = true } } }' % server.port)
            done = scan("-S", path + "/mine.lua", "-i", f"127.0.0.1:{server.port}", text=b"conn:readline()\n")
            expect(done.out, '"hello"\n')
            expect_in(" T: TLSv1.", done.err)
            expect(scan("-i", text=f":open 127.0.0.1:{server.port} tls\nconn:readline()\n".encode()).out, '"hello"\n')


run()
