#!/usr/bin/python3
"""JSON lines: every record fits the schema (harness.record looks at each), is valid UTF-8 whatever a server says,
and has its exact bytes beside it where they were not."""
import base64
import datetime
import errno
import hashlib
import socket
import ssl
import subprocess

from harness import (Reader, Server, closed_port, expect, expect_in, expect_not_in, expect_true, finish, folder,
                     greeter, hear_out, record, run, scan, silent_port, start, test)

# A probe that records the line that comes, and whatever else a test wants.
LINE = """
return {
  about = "records a line",
  services = { { name = "one", port = 1, optional = true }, { name = "two", port = 2, optional = true } },
  probe = function(conn, report)
    local line, cut = conn:readline()
    report("line", line)
    report("cut", cut or false)
    %s
  end,
}"""


def seen(banner, more="", *options):
    """The record of a server that says this, and the bytes that it came as."""
    with folder(line_lua=LINE % more) as path, Server(lambda sock: sock.sendall(banner)) as server:
        done = scan("-S", path, "--json", "-s", f"one={server.port}", "127.0.0.1", *options)
    found, = done.records
    return found, done.raw


# --- what stands in a record -----------------------------------------------------------------------------------------

@test("an open service")
def _():
    with greeter(b"SSH-2.0-OpenSSH_9.9\r\n") as server:
        found, = scan("--json", "-s", f"ssh={server.port}", "127.0.0.1").records
    expect_true(0 < found.pop("ms") < 10000, "ms")
    expect(found, {"schema": 1, "host": "127.0.0.1", "address": "127.0.0.1", "port": server.port, "service": "ssh",
                   "state": "open", "data": {"banner": "SSH-2.0-OpenSSH_9.9"}, "tls": None, "warnings": [],
                   "error": None})


@test("a closed one, a filtered one, and one that does not answer in time")
def _():
    with closed_port() as closed, silent_port() as silent, greeter() as quiet:
        done = scan("--json", "--connect-timeout", 0.3, "--reply-timeout", 0.25,
                    "-s", f"telnet={closed},ldap={silent},ssh={quiet.port}", "127.0.0.1")
    by_name = {found["service"]: found for found in done.records}
    expect([by_name[name]["state"] for name in ("telnet", "ldap", "ssh")], ["closed", "filtered", "open"])
    expect(by_name["telnet"]["error"], {"phase": "connect", "code": "refused", "message": "Connection refused",
                                        "errno": errno.ECONNREFUSED})
    expect(by_name["ldap"]["error"], {"phase": "connect", "code": "timeout", "message": "Connection timed out",
                                      "errno": errno.ETIMEDOUT})
    expect(by_name["ssh"]["error"], {"phase": "read", "code": "timeout", "message": "no greeting within 0.25 s",
                                     "errno": None})
    expect(by_name["telnet"]["address"], "127.0.0.1")
    expect_true(300 <= by_name["ldap"]["ms"] < 2000 and 250 <= by_name["ssh"]["ms"] < 2000, "ms")


@test("the host is named without brackets and port, the address as it is")
def _():
    with greeter(b"x\n", address="::1") as server, greeter(b"x\n") as other:
        done = scan("--json", "--reply-timeout", 0.2, f"[::1]:{server.port}", f"127.1:{other.port}")
    by_port = {found["port"]: found for found in done.records}
    expect([by_port[server.port][key] for key in ("host", "address")], ["::1", "::1"])
    expect([by_port[other.port][key] for key in ("host", "address")], ["127.0.0.1", "127.0.0.1"])


@test("warnings and what a server said stand together")
def _():
    with greeter(b"SSH-2.0-x\r\n") as server:
        found, = scan("--json", "-s", f"smtp={server.port}", "127.0.0.1").records
    expect_in({"code": "wrong-protocol", "text": "this is ssh, not smtp"}, found["warnings"])
    expect(found["data"]["banner"], "SSH-2.0-x")


@test("the facts of TLS are those of the certificate")
def _():
    with folder() as path:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path + "/key",
                        "-out", path + "/crt", "-days", "30", "-subj", "/O=Work/CN=mail.test", "-addext",
                        "subjectAltName=DNS:mail.test,IP:127.0.0.1,IP:2001:db8::7"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path + "/crt", path + "/key")

        def serve(sock):
            with context.wrap_socket(sock, server_side=True) as secure:
                hear_out(secure)
        with Server(serve) as server:
            words = ["--json", "-s", f"ldaps={server.port}", "127.0.0.1"]
            tls = scan(*words).records[0]["tls"]
            trusted = scan(*words, env={"SSL_CERT_FILE": path + "/crt"}).records[0]["tls"]
            other = scan("--json", "-s", f"ldaps={server.port}", "localhost", "-4",
                         env={"SSL_CERT_FILE": path + "/crt"}).records[0]["tls"]
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(open(path + "/crt", encoding="ascii").read())).hexdigest()
    expect(tls["version"], "TLSv1.2")
    expect_in("ECDHE-RSA", tls["cipher"])
    expect([tls["subject"], tls["issuer"]], ["CN=mail.test,O=Work"] * 2)
    expect(tls["names"], ["mail.test", "127.0.0.1", "2001:db8:0:0:0:0:0:7"])
    expect([tls["key"], tls["sha256"]], ["RSA 2048", digest])
    dates = [datetime.datetime.strptime(tls[key], "%Y-%m-%dT%H:%M:%SZ") for key in ("not_before", "not_after")]
    expect((dates[1] - dates[0]).days, 30, "days")
    expect_in(tls["days_left"], (29, 30))
    expect([tls["verified"], tls["verify_error"]], [False, "self-signed certificate"])
    expect([trusted["verified"], trusted["verify_error"]], [True, None])
    expect([other["verified"], other["verify_error"]], [False, "hostname mismatch"])


@test("--open leaves out what is not open")
def _():
    with greeter(b"SSH-2.0-x\r\n") as server, closed_port() as closed:
        done = scan("--json", "--open", "-s", f"ssh={server.port},smtp={closed}", "127.0.0.1")
    expect([found["service"] for found in done.records], ["ssh"])


@test("-o has the same records as standard output")
def _():
    with folder() as path, closed_port() as closed:
        done = scan("--json", "-s", f"ssh={closed},smtp={closed}", "127.0.0.1", "-o", path + "/out.jsonl")
        expect(done.raw, b"")
        with open(path + "/out.jsonl", "rb") as file:
            expect([record(line)["service"] for line in file], ["ssh", "smtp"])


# --- when and how they come ------------------------------------------------------------------------------------------

@test("records come as they are complete, not in the order of the services")
def _():
    with folder(line_lua=LINE % "") as path, Server(lambda sock: sock.sendall(b"quick\n")) as two:
        def slow(sock):
            two.wait(lambda server: server.count == 1 and server.now == 0)
            expect_true(told.readline(), "nothing is told")
            sock.sendall(b"slow\n")
        ours, theirs = socket.socketpair()
        with ours, theirs, theirs.makefile() as told, Server(slow) as one:
            process = start("-S", path, "--json", "-s", f"one={one.port},two={two.port}", "127.0.0.1")
            reader = Reader(process.stdout)
            expect(record(reader.line())["service"], "two")
            ours.sendall(b"go on\n")
            expect(record(reader.line())["service"], "one")
            expect(reader.line(), b"")
            finish(process)


@test("a write is never part of a record")
def _():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, closed_port() as port:
        process = start("--json", "-j", 2, "-s", f"ssh={port},smtp={port},ldap={port}", "127.0.7.1-100", stdout=theirs)
        theirs.close()
        count = 0
        while packet := ours.recv(1 << 20):
            for line in packet.splitlines(keepends=True):
                record(line)
                count += 1
        finish(process)
    expect(count, 300, "records")


# --- bytes that are no text ------------------------------------------------------------------------------------------

@test("valid text stands as it is, and without a twin in base64")
def _():
    for text in ("220 a\0b", "a\tb\x01\x1f\x7f", "\"quotes\" \\ back / slash", "</script> %n%s ${x} =cmd|'x'",
                 "gr\u00fc\u00df", "\u4e2d\u6587 \U0001f600", "\u0085\u009b2J", "\u202e\u2066\u2028\ufeff\u200b",
                 "\U000e0041", "\ufffd", "", "\x1b]0;x\x07\x1b[2J"):
        found, _ = seen(text.encode() + b"\n")
        expect(found["data"], {"line": text, "cut": False})


@test("what is not UTF-8 is there in base64, byte by byte")
def _():
    for sent in (b"\xff", b"a\xc0\x80b", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80\x9b2J",
                 b"ok \xfc\xdf", b"\xf0\x9f\x98", bytes(range(1, 10)) + bytes(range(11, 256)), b"\0\xff\0"):
        found, _ = seen(sent + b"\n")
        expect(base64.b64decode(found["data"]["line_base64"]), sent)
        expect_in("\ufffd", found["data"]["line"])


@test("each byte value alone and between letters comes through")
def _():
    every = [b"a" + bytes([byte]) + b"z" for byte in range(256) if byte not in (10, 13)]
    more = "for i = 2, 254 do report('line' .. i, (conn:readline())) end"
    found, _ = seen(b"\n".join(every) + b"\n", more)
    data = found["data"]
    for number, sent in enumerate(every, 1):
        key = "line" if number == 1 else f"line{number}"
        exact = data.get(key + "_base64")
        expect(base64.b64decode(exact) if exact else data[key].encode(), sent)
        expect(exact is None, sent[1] < 0x80, f"base64 beside {sent!r}")


@test("no byte reaches a terminal that could do harm there")
def _():
    for text in ("\x1b[2J", "\x7f", "\u009b", "\u202e", "\u2069", "\u200b", "\u2028", "\ufeff", "\U000e0041"):
        _, raw = seen(text.encode() + b"\n")
        expect_not_in(text.encode(), raw)
        expect_true(all(byte >= 0x20 for byte in raw[:-1]), "a control byte")


@test("a record is one line, whatever was in the text")
def _():
    _, raw = seen("a\rb\u2028c\u0085{\"schema\":1}".encode() + b"\n")
    expect(len(raw.decode().splitlines()), 1, "lines")


@test("a line of 4096 bytes is whole, one byte more is cut and said to be")
def _():
    for length, cut in ((4095, False), (4096, False), (4097, True), (20000, True)):
        found, _ = seen(b"x" * length + b"\r\n")
        expect(found["data"]["cut"], cut, f"cut at {length}")
        expect(len(found["data"]["line"]), min(length, 4096))


@test("many long lines stand in one record")
def _():
    more = "for i = 2, 15 do report('line' .. i, (conn:readline())) end"
    found, _ = seen((b"\xe9" * 4000 + b"\n") * 15, more)
    expect(len(found["data"]), 31, "fields")


@test("what a probe makes of a server's words is looked at too: lists, tables, keys")
def _():
    more = r"""
    report("list", { "good", line, "\xff" }, false)
    report("table", { inner = { deep = line, good = "good" } }, false)
    report("rows", { { word = line }, { word = "good" } }, false)
    report("ends", { math.huge, -math.huge, 1.5, 7, -1, true }, false)
    report("none", 0/0, false)
    report("bad \xfe key", "value", false)
    report.warn("odd", line)
    """
    found, raw = seen(b"a\xffb\n", more)
    expect(base64.b64decode(found["data"]["list_base64"][1]), b"a\xffb")
    expect(base64.b64decode(found["data"]["table"]["inner"]["deep_base64"]), b"a\xffb")
    expect(base64.b64decode(found["data"]["rows"][0]["word_base64"]), b"a\xffb")
    expect(base64.b64decode(found["warnings"][0]["text_base64"]), b"a\xffb")
    expect(found["data"]["ends"], [None, None, 1.5, 7, -1, True])
    expect(found["data"]["none"], None)
    expect(found["data"]["bad \ufffd key"], "value")
    expect_not_in("good_base64", raw.decode())


@test("what is reported stands in the order in which its keys first came, a table's in that of its keys")
def _():
    more = """
    report("second", 1, false)
    report("third", { z = 1, a = { y = true, b = false }, ["m\\0x"] = 2, [""] = 3 }, false)
    report("second", { "longer", "than", "before" }, false)
    report("fourth", {}, false)
    report("cut", "now a text", false)
    """
    _, raw = seen(b"first\n", more)
    expect_in('"data":{"line":"first","cut":"now a text","second":["longer","than","before"],'
              '"third":{"":3,"a":{"b":false,"y":true},"m":2,"z":1},"fourth":{}}', raw.decode())


@test("of keys that differ only behind a NUL a table has one")
def _():
    found, raw = seen(b"first\n", 'report("t", { ["a\\0x"] = 1, ["a\\0y"] = 1, a = 1, b = 2 }, false)')
    expect(found["data"]["t"], {"a": 1, "b": 2})
    expect(raw.count(b'"a"'), 1)


@test("a report that fails leaves what was there, and takes nothing of what may be reported")
def _():
    more = """
    local much = ("x"):rep(100000)
    for i = 1, 10 do
      pcall(report, "line", { much, much, type }, false)
      pcall(report, "new", { much, much, much }, false)
      pcall(report, "new", { [1] = much, [2] = { [true] = 1 } }, false)
    end
    local ok, fault = pcall(report, "line", { type }, false)
    report("fault", not ok and fault, false)
    report("room", #much, false)
    report("much", much, false)
    report("more", much, false)
    """
    found, _ = seen(b"first\n", more)
    expect(list(found["data"]), ["line", "cut", "fault", "room", "much", "more"])
    expect(found["data"]["line"], "first")
    expect(found["data"]["fault"], "a reported value is neither text, number, boolean nor table")


@test("256 KiB may be reported, and what is replaced is not counted")
def _():
    more = """
    for i = 1, 10 do report("much", ("x"):rep(100000 + i), false) end
    report("much", "", false)
    -- "much", "line", "cut" and "rest" take their names, each value 8 bytes, and "first" its own.
    local left = 256 * 1024 - #"much" - #"line" - #"cut" - #"rest" - #"first" - 4 * 8
    local ok, fault = pcall(report, "rest", ("x"):rep(left + 1), false)
    report("cut", not ok and fault:find("a probe reports at most 256 KiB", 1, true) ~= nil, false)
    report("rest", ("x"):rep(left), false)
    """
    found, _ = seen(b"first\n", more)
    expect(list(found["data"]), ["line", "cut", "much", "rest"])
    expect(found["data"]["cut"], True)
    expect(len(found["data"]["rest"]), 256 * 1024 - 4 - 4 - 3 - 4 - 5 - 32)


@test("the words of a failure are looked at too")
def _():
    with Server(lambda sock: (sock.recv(1000), sock.sendall(b"\xff\xfe no TLS \x1b\r\n"))) as server:
        found, = scan("--json", "-s", f"https={server.port}", "127.0.0.1").records
    expect_true(base64.b64decode(found["error"]["message_base64"]).endswith(b": \xff\xfe no TLS \x1b"), "the message")
    expect(found["error"]["code"], "not-tls")


@test("the subject of a certificate is looked at too")
def _():
    with folder() as path:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-utf8", "-keyout", path + "/key", "-out", path + "/crt", "-subj",
                        "/CN=\x1b[2J\u202e\u00e4"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path + "/crt", path + "/key")

        def serve(sock):
            with context.wrap_socket(sock, server_side=True) as secure:
                hear_out(secure)
        with Server(serve) as server:
            done = scan("--json", "-s", f"ldaps={server.port}", "127.0.0.1")
    expect(done.records[0]["tls"]["subject"], "CN=\x1b[2J\u202e\u00e4")
    expect_not_in("\u202e", done.out)


@test("a hostile name of a host cannot forge a record")
def _():
    done = scan("--json", "-s", "ssh", "x\",\"state\":\"open", status=2)
    expect(done.raw, b"")


run()
