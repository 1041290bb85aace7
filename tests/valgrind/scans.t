#!/usr/bin/python3 -B
"""Scans of every kind, for ./run: that they come to their end, with the right status, is asked here; what they did with
memory and descriptors on the way is what valgrind says."""
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
import harness  # noqa: E402
from harness import Server, closed_port, expect, expect_in, folder, greeter, hear_out, read, run, test  # noqa: E402

harness.TOGETHER = 2
SLOW = ["--connect-timeout", 60, "--reply-timeout", 60, "--deadline", 120]
SCRIPTS = [str(path) for path in sorted(Path("scripts").glob("*.lua")) if path.name != "groups.lua"]


def scan(*words, **options):
    return harness.scan(*words, patience=300, **options)


def talking(*steps, certificate=None):
    """A server that says bytes, hears a line for None, and makes a handshake where there is "tls"."""
    def serve(sock):
        for step in steps:
            if step is None:
                while not sock.recv(1) == b"\n":
                    pass
            elif step == "tls":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                sock = context.wrap_socket(sock, server_side=True)
            else:
                sock.sendall(step)
        hear_out(sock)
    return Server(serve)


def certificate(path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=fake.example", "-keyout", path + "/key", "-out", path + "/cert"], check=True,
                   capture_output=True)
    Path(path + "/pem").write_bytes(read(path + "/key") + read(path + "/cert"))
    return path + "/pem"


@test("many hosts, open and closed, by two threads, as text and as JSON")
def _():
    with greeter(b"+ hi\r\n", address="0.0.0.0") as one, greeter(b"SSH-2.0-x\r\n", address="0.0.0.0") as two, closed_port() as port:
        services = f"pop2={one.port},ssh={two.port},ldap={port}"
        for words in ([], ["--json"], ["-v", "--trace"], ["--where", "ssh.open and not ldap.open"], ["--open", "--shuffle"]):
            done = scan(*SLOW, *words, "-j", 2, "-s", services, "127.0.3.0/28")
            expect(done.out.count("SSH-2.0-x"), 16)


@test("STARTTLS, TLS from the first byte, plain text instead of it, and a handshake that fails")
def _():
    with folder() as path:
        pem = certificate(path)
        with talking(b"220 hi\r\n", None, b"250-hi\r\n250 STARTTLS\r\n", None, b"220 go\r\n", "tls", certificate=pem) as smtp, \
                talking("tls", None, certificate=pem) as https, greeter(b"HTTP/1.1 400 no\r\n\r\n") as plain, \
                talking(b"+OK\r\n", None, b"+OK\r\n\x15\x03\x03\x00\x02\x02\x28") as pop3:
            done = scan("--json", "--record", path + "/new", "--connect-timeout", 60, "--reply-timeout", 8, "-s",
                        f"smtp={smtp.port},https={https.port},imaps={plain.port},pop3={pop3.port}", "127.0.0.1")
            expect(sorted(record["service"] for record in done.records), ["https", "imaps", "pop3", "smtp"])
            expect(done.out.count("CN=fake.example"), 4)


@test("a program with both sides of a conversation")
def _():
    expect(scan("-e", '''
        local listener = scan.listen()
        scan.spawn(function()
          local c <close> = listener:accept()
          c:write("220 fake\\r\\n")
          c:readline()
          c:starttls { server = true }
          c:write(c:readline(), "\\r\\n")
        end)
        local c = scan.connect("127.0.0.1", listener.port)
        c:readline()
        c:write("STARTTLS\\r\\n")
        c:starttls()
        c:write("NOOP\\r\\n")
        print(c:readline())
        error("and this is left open")
    ''', status=4).out, "NOOP\n")


@test("a script that fails, one that takes too much, and one that is wrong")
def _():
    broken = """return { about = "x", services = { { name = "bad", port = 1 } }, probe = function(conn, report)
      report("line", conn:readline())
      CODE
    end }"""
    for code, said in (("error('no')", "no"), ("local t = {} while true do t[#t + 1] = ('x'):rep(1e5) .. #t end", "the probe"),
                       ("conn:readline(0.1)", "no reply within 0.1 s")):
        with greeter(b"hello\r\n") as server, folder(bad_lua=broken.replace("CODE", code)) as path:
            done = scan("-S", path, "-s", f"bad={server.port}", "127.0.0.1", status=None)
            expect_in("hello", done.out)
            expect_in(said, done.out + done.err)
    with folder(bad_lua="return {") as path:
        scan("-S", path, "-s", "bad", "127.0.0.1", status=2)


@test("lists, checks, and what is refused")
def _():
    scan("--list")
    scan("--schema")
    scan("--describe", "smtp")
    scan("--check", *SCRIPTS)
    scan("--nonsense", status=2)
    scan("-f", "/none", status=None)
    with folder() as path:
        scan("--new", "probe", "--port", 7, cwd=path)
        expect(len(re.findall("probe", " ".join(os.listdir(path)))), 2)


run()
