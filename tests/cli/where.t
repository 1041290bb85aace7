#!/usr/bin/python3 -B
"""--where and --expect: a Lua expression over all that was found out about a host."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import closed_port, expect, expect_in, greeter, run, scan, test  # noqa: E402


class Found:
    """An open ssh, a pop2 whose port is closed."""

    def __enter__(self):
        self.server = greeter(b"SSH-2.0-OpenSSH_9.2 it's\r\n", address="0.0.0.0")
        self.closing = closed_port()
        self.words = ["-s", f"ssh={self.server.port},pop2={self.closing.__enter__()}"]
        return self

    def __exit__(self, *failure):
        self.server.__exit__(*failure)
        self.closing.__exit__(*failure)


HOLDS = (
    "ssh.open", "ssh", "ssh.open and not pop2.open", "pop2.state == 'closed'", "ssh.state == \"open\"", "ssh.port > 0",
    "ssh.banner:sub(1, 3):lower() == 'ssh'", "#ssh.banner > 0x10 and ssh.ms < 1e6", "ssh.data.banner == ssh.banner",
    "pop2.error.code == 'refused' and pop2.error.phase == 'connect'", "host == '127.0.0.1'", "address == '127.0.0.1'",
    "ssh.address == address", "ssh.banner:find('it\\'s', 1, true)", "not ssh.tls", "ssh.tls == nil", "not ssh.error",
    "({1, 2})[2] == math.floor(2.5)", "string.rep('x', 2) == 'xx'", "tostring(ssh.port):match('%d+')",
)
FAILS = (
    "pop2.open", "pop2", "ssh.open and pop2.open", "ssh.banner == 'x'", "ssh.tls.days_left > 14", "ssh.tls.days_left < 14",
    "pop2.banner:sub(1, 3) == 'SSH'", "ssh.warnings[1] == nil", "nil", "false",
)
WRONG = (
    ("shs.open", '"shs" is no service of this scan; did you mean ssh?', "ssh"),
    ("smtp.open", '"smtp" is no service of this scan', ""),
    ("ssh.opne", 'there is no field "opne"; did you mean open?', "ssh.opne"),
    ("ssh.error.cod", 'there is no field "cod"; did you mean code?', "ssh.error.cod"),
    ("ssh.tls.day_left", 'there is no field "day_left"; did you mean days_left?', "ssh.tls"),
    ("ssh.data.baner", 'there is no field "baner"; did you mean banner?', "ssh"),
    ("ssh.open and", "near <eof>", ""), ("ssh.open ==", "near <eof>", ""), ("'open", "unfinished string", ""),
    ("ssh.open) or (1", "", ""), ("", "", ""), ("ssh." + "a" * 300, "too long", ""), ("os.exit()", '"os" is no service', ""),
)


@test("an expression that holds shows the host, one that does not hides it")
def _():
    with Found() as found:
        shown = scan(*found.words, "127.0.0.1").out
        for text in HOLDS:
            expect(scan(*found.words, "--where", text, "127.0.0.1").out, shown, text)
        for text in FAILS:
            expect(scan(*found.words, "--where", text, "127.0.0.1").out, "", text)


@test("what is wrong with an expression is told before the scan, with the way out")
def _():
    with Found() as found:
        for option in ("--where", "--expect"):
            for text, *parts in WRONG:
                done = scan(*found.words, option, text, "127.0.0.1", status=2)
                expect(done.out, "", text)
                expect_in(option, done.err)
                for part in parts:
                    expect_in(part, done.err)
        expect(found.server.count, 0)


@test("of many hosts those for which it holds are shown, in their order, as text and as JSON")
def _():
    with Found() as found:
        words = (*found.words, "--where", "host:match('%d+$') % 2 == 1 and ssh.open", "127.0.0.0/28")
        wanted = [f"127.0.0.{number}" for number in range(1, 16, 2)]
        expect([line.split()[1][:-1] for line in scan(*words).out.splitlines() if line.startswith("Testing")], wanted)
        records = scan("--json", *words).records
        expect(sorted({record["host"] for record in records}), sorted(wanted))
        expect(len(records), 2 * len(wanted))


@test("an expression cannot hold up the scan")
def _():
    with Found() as found:
        for text in ("host:find(('a?'):rep(30) .. ('a'):rep(30))", "('x'):rep(1e9)", "('a'):rep(3e4):find(('.-'):rep(9) .. 'b')"):
            done = scan(*found.words, "--where", text, "127.0.0.1")
            expect(done.out, "", text)


@test("--expect names the hosts that are otherwise, and the status is 1")
def _():
    with Found() as found:
        done = scan(*found.words, "--expect", "ssh.open", "127.0.0.1")
        expect(done.err, "")
        done = scan(*found.words, "--expect", "ssh.open and host ~= '127.0.0.2'", "127.0.0.1-3", status=1)
        expect_in("127.0.0.2", done.err)
        for host in ("127.0.0.1", "127.0.0.3"):
            expect(host in done.err, False, f"{host} is told of")
        expect(done.out.count("SSH-2.0"), 3)
        done = scan("--json", *found.words, "--expect", "pop2.open", "127.0.0.1-3", status=1)
        expect(len(done.records), 6)
        for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            expect_in(host, done.err)


BANNER = 'ssh.banner is "SSH-2.0-OpenSSH_9.2 it\'s\\u001B[2J"'
SHORT = (
    ("pop2.open", "pop2.open (pop2.open is false)"),
    ("ssh.open and pop2.open and nil", "pop2.open (pop2.open is false)"),
    ("ssh.open and\n pop2 and nil", "pop2 (pop2 is false)"),
    ("ssh.open and ssh.tls.days_left > 14", "ssh.tls.days_left > 14 (ssh.tls.days_left is not there)"),
    ("host == 'a and b' and ssh.open", "host == 'a and b' (host is \"127.0.0.1\")"),
    ("(ssh.open and pop2.open) and ssh", "(ssh.open and pop2.open) (ssh.open is true, pop2.open is false)"),
    ("ssh.open and pop2.open or pop2.tls", "ssh.open and pop2.open or pop2.tls (ssh.open is true, pop2.open is false, "
     "pop2.tls is not there)"),
    ("not (ssh.open and ssh.open)", "not (ssh.open and ssh.open) (ssh.open is true)"),
    ("ssh.banner:find('and' ) and 1", "ssh.banner:find('and' ) (" + BANNER + ")"),
    ("ssh and #ssh.banner == 1", "#ssh.banner == 1 (" + BANNER + ")"),
    ("pop2.open -- and ssh.open", "pop2.open -- and ssh.open (pop2.open is false)"),
    ("nil == [[)) and ((]] and 1", "nil == [[)) and ((]] and 1"),
    ("nil", "nil"),
    ("1 and " * 40 + "pop2", "1 and " * 9 + "pop2 (pop2 is false)"),
)


@test("--expect says which part is false, and what is there")
def _():
    with greeter(b"SSH-2.0-OpenSSH_9.2 it's\x1b[2J\r\n") as server, closed_port() as port:
        for text, why in SHORT:
            done = scan("-s", f"ssh={server.port},pop2={port}", "--expect", text, "127.0.0.1", status=1)
            expect(done.err, f"scan: 127.0.0.1 is not as expected: {why}\n", text)


@test("what --expect says of a long value is cut")
def _():
    with greeter(b"SSH-2.0-" + b"x" * 3000 + b"\r\n") as server:
        done = scan("-s", f"ssh={server.port}", "--expect", "ssh.banner == 'x'", "127.0.0.1", status=1)
    expect(done.err, "scan: 127.0.0.1 is not as expected: ssh.banner == 'x' (ssh.banner is \"SSH-2.0-" + "x" * 91 + "...)\n")


@test("--expect shows what is not UTF-8")
def _():
    with greeter(b"SSH-2.0-caf\xe9\r\n") as server:
        done = scan("-s", f"ssh={server.port}", "--expect", "ssh.banner == 'x'", "127.0.0.1", status=1)
        expect_in('ssh.banner == \'x\' (ssh.banner is "SSH-2.0-caf\ufffd")\n', done.err)
        done = scan("-s", f"ssh={server.port}", "--expect", "not ssh.data", "127.0.0.1", status=1)
        expect_in('not ssh.data (ssh.data is {"banner":"SSH-2.0-caf\ufffd"', done.err)


@test("a service at two ports could be either, and is refused")
def _():
    for option in ("--where", "--expect"):
        done = scan("-s", "ldap=1,ldap=2", option, "ldap.port == 2", "127.0.0.1", status=2)
        expect_in('"ldap" is tried at more than one port', done.err)


run()
