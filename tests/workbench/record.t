#!/usr/bin/python3 -B
"""--record: conversations written down, which --replay plays again to the same end."""
import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
from harness import Reader, Server, closed_port, expect, expect_in, expect_not_in, expect_true, finish, folder, hear_out, read, run, scan, start, test  # noqa: E402

CERTIFICATE = tempfile.TemporaryDirectory(prefix="scan-record-")


def certificate():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", CERTIFICATE.name + "/key", "-out", CERTIFICATE.name + "/crt", "-days", "2", "-subj", "/CN=fake.test"],
                   check=True, capture_output=True)


def talking(*steps):
    """A server that says bytes and, for None, hears a line; "tls" is the handshake, "close" and "reset" the end."""
    def serve(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = None
        for step in steps:
            if step is None:
                file = file or sock.makefile("rb", buffering=0)
                file.readline()
            elif step == "tls":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(CERTIFICATE.name + "/crt", CERTIFICATE.name + "/key")
                sock, file = context.wrap_socket(sock, server_side=True), None
            elif step == "close":
                sock.close()
                return
            else:
                sock.sendall(step)
        with contextlib.suppress(OSError):
            hear_out(sock)
    return Server(serve)


def record(steps, service, *options, files=(), status=0, host="127.0.0.1"):
    """Scan such a server and replay what was recorded; gives the recording."""
    with talking(*steps) as server, folder(**dict(files)) as path:
        words = ["-S", path] if files else []
        done = scan("--record", path + "/new", *words, *options, "-s", f"{service}={server.port}", host, status=status)
        name = f"{host}-{server.port}-{service}.conversation"
        expect(os.listdir(path + "/new"), [name])
        again = scan(*words, "--replay", f"{path}/new/{name}")
        expect(again.out, f"ok {path}/new/{name}\n")
        text = read(f"{path}/new/{name}").decode()
    reported = "".join(line + "\n" for line in done.out.splitlines()[2:])
    expect("".join(re.findall(r"^R: ?(.*\n)", text, re.M)), reported, "recorded lines")
    return text.replace(str(server.port), "PORT")


def said(text):
    """What is between the head and the report, without silences."""
    return [line for line in text.split("\n\n")[1].splitlines() if not re.match(r"\+[\d.]+$", line)]


@test("a conversation with STARTTLS")
def _():
    text = record([b"220-mx.test\r\n220 ESMTP\r\n", None, b"250-mx.test\r\n250 STARTTLS\r\n", None, b"220 go\r\n", "tls", None,
                   b"221 bye\r\n"], "smtp")
    head, talk, facts, reported = text.split("\n\n")
    expect_in("# smtp on 127.0.0.1, port PORT, on 20", head)
    expect(head.splitlines()[1:], ["service: smtp", "port: PORT", "host: 127.0.0.1", "address: 127.0.0.1", "local: 127.0.0.1"])
    lines = said(text)
    expect(lines[:8] + lines[9:], ["S: 220-mx.test", "S: 220 ESMTP", "C: EHLO [127.0.0.1]", "S: 250-mx.test", "S: 250 STARTTLS",
                                   "C: STARTTLS", "S: 220 go", lines[7], "S: 221 bye"] if lines[8] == "C: QUIT" else lines)
    expect_in("T: TLSv1.3 ", lines[7])
    expect_true(talk and facts.startswith("T= {"), facts)
    expect(reported.splitlines()[:3], ["R: 220-mx.test", "R: 220 ESMTP", "R: TLS available."])
    expect_in('"starttls": {', reported)


@test("what a probe finds in a certificate is recorded, and found again")
def _():
    probe = """return { about = "x", services = { { name = "cert", port = 1, tls = true } }, probe = function(conn, report)
      report("who", conn.tls.subject)
      report("key", conn.tls.key, conn.tls.key .. " " .. conn.tls.sha256)
    end }"""
    text = record(["tls"], "cert", files={"cert_lua": probe})
    expect_in('T= {"', text)
    expect_in("R: CN=fake.test\n", text)


@test("segments and silences are recorded")
def _():
    heard, gate = threading.Event(), threading.Event()

    def serve(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"+ OK")
        expect_true(heard.wait(10), "the first piece was not read")
        gate.wait(0.2)
        sock.sendall(b"ay\r\n")
        hear_out(sock)
    with Server(serve) as server, folder() as path:
        process = start("--trace", "--record", path, "-s", f"pop2={server.port}", "127.0.0.1")
        shown = Reader(process.stderr)
        expect_in(b"connected", shown.line())
        expect_in(b"+ OK", shown.line())
        heard.set()
        finish(process)
        text = read(f"{path}/127.0.0.1-{server.port}-pop2.conversation").decode()
    lines = text.split("\n\n")[1].splitlines()
    lines = lines[1:] if lines[0].startswith("+0") else lines
    expect(lines[0], "S- + OK")
    expect_true(re.match(r"\+\d+\.\d{3}$", lines[1]) and float(lines[1]) >= 0.1, lines[1])
    expect(lines[2:4], ["S: ay", "C: QUIT"])


for what, steps, service, options, part in (
        ("no greeting", [], "smtp", ["--reply-timeout", "0.3"], "reply-timeout: 0.3\n"),
        ("a server that closes", [b"220 hi\r\n", None, "close"], "smtp", [], "S! close\n"),
        ("a server that closes at once", ["close"], "smtp", [], "S! close\n"),
        ("plain text in answer to a hello", [b"HTTP/1.1 400 Bad Request\r\n"], "https", [], "T: hello\n"),
        ("silence in answer to a hello", [], "https", ["--reply-timeout", "0.3"], "T: hello\n"),
        ("bytes that cannot be seen", [b"220 \x00\x1b[1m\xff \\ {any} x\r\n", None, b"250 ok\r\n"], "smtp", [],
         "S: 220 \\x00\\x1b[1m\\xff \\\\ \\x7bany} x\n"),
        ("a line that ends in a space", [b"220 \r\n", None, b"250 ok\r\n"], "smtp", [], "S: 220\\x20\n"),
        ("lines without CR", [b"SSH-2.0-x\n"], "ssh", [], "S- SSH-2.0-x\\n\n"),
        ("an argument", [b"220 hi\r\n", None, b"250 ok\r\n"], "smtp", ["-a", "smtp.ehlo=me.test"], "arg: smtp.ehlo=me.test\n"),
        ("a literal that looks like a mark", [b"* OK ready\r\n", None, b"a1 NO {word} {5}\r\n", None, b"a2 OK\r\n"], "imap", [],
         "S: a1 NO \\x7bword} {5}\n"),
):
    @test(f"recorded and replayed: {what}")
    def _(steps=steps, service=service, options=options, part=part):
        expect_in(part, record(steps, service, *options))


@test("recorded and replayed: plain text behind the go-ahead, which comes in one piece")
def _():
    text = record([b"* OK ready\r\n", None, b"a1 OK begin\r\n* CAPABILITY X\r\n"], "imap")
    expect_in("S: a1 OK begin\nS+ * CAPABILITY X\n", text)


TWO = """return { about = "x", services = { { name = "two", port = 1 } }, probe = function(conn, report)
  local other <close> = scan.connect(conn.port)
  report("a", conn:readline())
  report("b", other:readline())
  other:write("BYE\\r\\n")
  report("c", other:readline())
end }"""


@test("recorded and replayed: two connections")
def _():
    text = record([b"hello\r\n", None, b"bye\r\n"], "two", files={"two_lua": TWO})
    expect([line for line in said(text) if line != "S: bye"], ["S: hello", "S2: hello", "C2: BYE", "S2: bye"])


# Each connection says which it is, and the silence begins when the first one's answer has come: a pause that the machine
# makes lies before that, or makes the silence longer.
QUIET = TWO.replace('report("a", conn:readline())', """
  conn:write("FIRST\\r\\n")
  other:write("SECOND\\r\\n")
  report("a", conn:readline())
  conn:write("NEXT\\r\\n")""")


@test("recorded and replayed: a silence on the second connection")
def _():
    heard, gate = threading.Event(), threading.Event()

    def serve(sock):
        file = sock.makefile("rb", buffering=0)
        first = file.readline() == b"FIRST\r\n"
        if not first:
            expect_true(heard.wait(10), "NEXT was not said")
            gate.wait(0.2)
        sock.sendall(b"hello\r\n")
        file.readline()
        heard.set()
        if not first:
            sock.sendall(b"bye\r\n")
    with Server(serve) as server, folder(two_lua=QUIET) as path:
        scan("--record", path, "-S", path, "-s", f"two={server.port}", "127.0.0.1")
        name = f"{path}/127.0.0.1-{server.port}-two.conversation"
        text = read(name).decode()
        pause = re.search(r"^S: hello\nC: NEXT\n\+(\d+\.\d\d\d)\nS2: hello$", text, re.M)
        expect_true(pause and float(pause[1]) >= 0.1, text)
        expect(scan("-S", path, "--replay", name).out, f"ok {name}\n")


@test("what is not open leaves no file, and each service its own")
def _():
    with talking(b"220 hi\r\n", None, b"250 ok\r\n") as one, talking(b"+ hi\r\n") as two, closed_port() as port, folder() as path:
        scan("--record", path, "-s", f"smtp={one.port},pop2={two.port},ssh={port}", "127.0.0.1", "127.0.0.1")
        expect(sorted(os.listdir(path)), sorted([f"127.0.0.1-{one.port}-smtp.conversation", f"127.0.0.1-{two.port}-pop2.conversation"]))


@test("many hosts at once, each in a file of its own, and none mixed up")
def _():
    gate = threading.Barrier(200)  # all of them are under way at the same time

    def serve(sock):
        gate.wait(10)
        sock.sendall(b"+ this is " + sock.getsockname()[0].encode() + b"\r\n")
        hear_out(sock)
    with Server(serve, address="0.0.0.0") as server, folder() as path:
        scan("--record", path, "-j", 2, "-s", f"pop2={server.port}", "127.4.0.1-200")
        expect(len(os.listdir(path)), 200)
        for number in range(1, 201):
            text = read(f"{path}/127.4.0.{number}-{server.port}-pop2.conversation").decode()
            expect(re.findall(r"this is (.*)", text)[:1], [f"127.4.0.{number}"])
            expect_in(f"R: + this is 127.4.0.{number}\n", text)
            expect(text.count("C: QUIT"), 1)


@test("names of hosts are safe as names of files")
def _():
    with talking(b"+ hi\r\n") as server, folder() as path:
        scan("--record", path, "-s", f"pop2={server.port}", "localhost", "-4")
        expect(os.listdir(path), [f"localhost-{server.port}-pop2.conversation"])
    with Server(lambda sock: sock.sendall(b"+ hi\r\n"), address="::1") as server, folder() as path:
        scan("--record", path, "-s", f"pop2={server.port}", "::1")
        expect(os.listdir(path), [f"__1-{server.port}-pop2.conversation"])
        expect(scan("--replay", f"{path}/__1-{server.port}-pop2.conversation").out,
               f"ok {path}/__1-{server.port}-pop2.conversation\n")


@test("an endless server is recorded up to what a connection may say")
def _():
    def serve(sock):
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"\x01" * 4096)
    probe = """return { about = "x", services = { { name = "all", port = 1 } },
      probe = function(conn) while true do conn:read() end end }"""
    with Server(serve) as server, folder(all_lua=probe) as path:
        scan("-S", path, "--record", path, "-s", f"all={server.port}", "127.0.0.1")
        text = read(f"{path}/127.0.0.1-{server.port}-all.conversation")
    expect_true(len(text) < 512 * 1024, f"{len(text)} bytes")
    expect_in("# What came behind this was too long to be written down.", text.decode())


@test("the results are the same with --record, as text, as JSON and with --trace")
def _():
    for options in ([], ["--json"], ["--trace"]):
        outs = []
        for more in ([], ["--record"]):
            with talking(b"220 hi\r\n", None, b"250 ok\r\n") as server, folder() as path:
                done = scan(*options, *more, *([path] if more else []), "-s", f"smtp={server.port}", "127.0.0.1")
            outs.append(re.sub(r'"ms":[\d.]+', "", done.out.replace(str(server.port), "PORT")) + re.sub(r" +[\d.]+ ", " ", done.err))
        expect(outs[1], outs[0])


@test("a folder that is not there is made; one that cannot be is an error before the scan")
def _():
    with talking(b"+ hi\r\n") as server, folder(file="x") as path:
        scan("--record", path + "/new", "-s", f"pop2={server.port}", "127.0.0.1")
        expect(len(os.listdir(path + "/new")), 1)
        os.rename(path + "/new", path + "/old")
        for name, why in (("none/new", "No such file"), (".file" if os.path.exists(path + "/.file") else "old/" + os.listdir(path + "/old")[0],
                                                           "Not a directory")):
            done = scan("--record", f"{path}/{name}", "-s", f"pop2={server.port}", "127.0.0.1", status=2)
            expect_in(why, done.err)
            expect(done.out, "")
        expect(server.count, 1)


@test("a probe of one's own is named by the way to its file, and so found again without -S; a shipped one is not")
def _():
    probe = ('return { about = "x", services = { { name = "mine" } },\n'
             '  probe = function(conn, report) report("banner", conn:readline()) end }\n')
    with talking(b"hello\r\n") as server, folder(mine_lua=probe) as path:
        name, words = f"127.0.0.1-{server.port}-mine.conversation", ["-s", f"mine={server.port}", "127.0.0.1"]
        os.mkdir(path + "/deep")
        for own, place, way in (("mine.lua", "new", "../mine.lua"), ("./", ".", "mine.lua"), (path, "deep/er", "../../mine.lua"),
                                ("deep/../mine.lua", path + "/deep", "../mine.lua")):
            scan("--record", place, "-S", own, *words, cwd=path)
            file = os.path.join(path, place, name)
            expect_in(f"service: mine\nscript: {way}\n", read(file).decode())
            expect(scan("--replay", file, cwd="/").out, f"ok {file}\n")
    with talking(b"+ hi\r\n") as server, folder(mine_lua=probe) as path:
        scan("--record", path, "-S", path, "-s", f"pop2={server.port}", "127.0.0.1")
        expect_not_in("script:", read(f"{path}/127.0.0.1-{server.port}-pop2.conversation").decode())


@test("a file that cannot be written is told once, and the status is 3")
def _():
    with talking(b"+ hi\r\n") as server, folder() as path:
        os.mkdir(f"{path}/127.0.0.1-{server.port}-pop2.conversation")
        done = scan("--record", path, "-s", f"pop2={server.port}", "127.0.0.1", "127.0.0.1", status=3)
    expect_in("cannot write all conversations to ", done.err)
    expect(done.err.count("\n"), 1)
    expect(done.out.count("+ hi"), 2)
    expect_not_in("Traceback", done.err)


certificate()
run()
