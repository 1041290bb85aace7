#!/usr/bin/python3
"""scan and the machine: outputs that fail, signals, few descriptors, slow readers, and the bounds on its own speed."""
import contextlib
import errno
import json
import os
import re
import select
import signal
import subprocess
import threading
import time

from harness import (CUT_SHORT, LINES, PATIENCE, Reader, Server, closed_port, expect, expect_in, expect_true,
                     finish, folder, greeter, hear_out, peak, record, run, scan, silent_port, start, test)

PROMPT = 2  # seconds within which a run that cannot go on must end


def shell(line, *words):
    """Run scan with these words from a line of shell, in which it is "$@"."""
    return finish(start(*words, before=("sh", "-c", line, "sh"), env=CUT_SHORT))


# --- outputs that fail -----------------------------------------------------------------------------------------------

@test("a full disk: status 3 and a word, soon")
def _():
    with closed_port() as port:
        for words in (["--json"], []):
            for where in (("exec \"$@\" >/dev/full",), ("exec \"$@\" -o /dev/full",)):
                done = shell(*where, *words, "-s", f"ldap={port}", "127.0.0.0/9")
                expect(done.status, 3, "status")
                expect_in(os.strerror(errno.ENOSPC), done.err)
                expect_true(done.seconds < PROMPT, f"took {done.seconds:.1f} s")


@test("a full disk for what scan tells of itself: status 3")
def _():
    for option in (["--help"], ["--version"], ["--list"], ["--schema"], ["--describe", "ssh"]):
        done = shell("exec \"$@\" >/dev/full", *option)
        expect(done.status, 3, f"status of {option}")
        expect_in(os.strerror(errno.ENOSPC), done.err)


@test("a reader that leaves: status 3, soon, and not a word")
def _():
    with closed_port() as port:
        for words in (["--json"], []):
            process = start(*words, "-s", f"ldap={port}", "127.0.0.0/9", env=CUT_SHORT)
            expect_true(Reader(process.stdout).line(), "no line")
            process.stdout.close()
            began = time.monotonic()
            err = process.stderr.read().decode()
            expect(process.wait(PATIENCE), 3, "status")
            expect_true(time.monotonic() - began < PROMPT, "not soon")
            expect(err, "")
            process.stderr.close()


@test("the first line is enough for head: the scan ends at once, and says nothing")
def _():
    with closed_port() as closed, greeter(address="0.0.0.0") as waiting:
        one, both = ("-s", f"telnet={closed}"), ("--json", "-s", f"telnet={closed},ssh={waiting.port}")
        for words in (one, one + ("-q",), one + ("-j", 1), one + ("--json", "-j", 4), both):
            done = finish(start(*words, "127.3.0.0/20", env=CUT_SHORT,
                                before=("bash", "-c", "\"$@\" | head -1; echo ${PIPESTATUS[0]}", "bash")))
            line, status = done.out.splitlines()
            expect((status, done.err), ("3", ""))
            expect_true(line.startswith('{"schema":1,' if "--json" in words else "Testing 127.3."), line)
            expect_true(done.seconds < PROMPT, f"took {done.seconds:.1f} s")
        waiting.wait(lambda server: server.now == 0)


@test("help for which head is enough ends as quietly")
def _():
    for option in ("--schema", "--list"):
        with open(os.devnull, "rb") as null:
            reader, writer = os.pipe()
            os.close(reader)
            process = start(option, stdin=null, stdout=writer)
            os.close(writer)
            done = finish(process)
        expect((done.status, done.err), (3, ""))


@test("a reader that leaves is noticed while scan waits for a server")
def _():
    with closed_port() as port, greeter() as server:
        process = start("-s", f"ldap={port},ssh={server.port}", "--reply-timeout", 15, "127.0.0.1", env=CUT_SHORT)
        server.wait(lambda server: server.count == 1)
        expect_true(Reader(process.stdout).line(), "no line")
        process.stdout.close()
        began = time.monotonic()
        expect(process.wait(PATIENCE), 3, "status")
        expect_true(time.monotonic() - began < PROMPT, "not soon")
        process.stderr.close()


@test("a closed standard output: status 3 and a word")
def _():
    with closed_port() as port:
        done = shell("exec \"$@\" >&-", "-s", f"ldap={port}", "127.0.0.1")
    expect(done.status, 3, "status")
    expect_in("output", done.err)


@test("with standard input and error closed a server hears nothing that is not for it")
def _():
    heard = []

    def serve(sock):
        sock.sendall(b"hello\n")
        heard.append(hear_out(sock))
    bug = """return { about = "x", services = { { name = "bad", port = 1 } },
                      probe = function(conn, report) report("line", (conn:readline())) error("a bug") end }"""
    with Server(serve) as server, folder(bad_lua=bug) as path:
        done = shell("exec \"$@\" <&- 2>&-", "-S", path, "-s", f"bad={server.port}", "127.0.0.1")
        expect(done.status, 4, "status")
        expect(done.out, f"Testing 127.0.0.1:\nport {server.port} (bad) open.\nhello\n")
        server.wait(lambda server: server.now == 0)
    expect(heard, [] if not heard else [b""])


# --- signals ---------------------------------------------------------------------------------------------------------

def interrupted(number, status):
    """Two hosts are done, a third is silent; then the signal comes."""
    with greeter(address="127.0.3.3") as server:
        for words in (["--json"], []):
            process = start(*words, "-s", f"ssh={server.port}", "127.0.3.1-3", env=CUT_SHORT)
            reader = Reader(process.stdout)
            lines = [reader.line() for _ in range(2 if words else 4)]
            server.wait(lambda server: server.now == 1)
            process.send_signal(number)
            began = time.monotonic()
            lines += reader.lines()
            expect(process.wait(PATIENCE), status, "status")
            expect_true(time.monotonic() - began < 1, "not soon")
            if words:
                expect(sorted(record(line)["host"] for line in lines), ["127.0.3.1", "127.0.3.2"])
            else:
                verdict = f"port {server.port} (ssh) not open: [connect] Connection refused\n"
                expect(b"".join(lines).decode(), f"Testing 127.0.3.1:\n{verdict}Testing 127.0.3.2:\n{verdict}")
            expect(process.communicate()[1].decode(),
                   "scan: interrupted after 2 of 3 hosts; what is finished has been written. A run whose lines of --json are "
                   "in FILE goes on with --resume FILE.\n")
            server.wait(lambda server: server.now == 0)


test("SIGINT: what is finished is out, status 130")(lambda: interrupted(signal.SIGINT, 130))
test("SIGTERM: what is finished is out, status 143")(lambda: interrupted(signal.SIGTERM, 143))


@test("a scan that is interrupted while it reads its lists says so")
def _():
    for number, status in (signal.SIGINT, 130), (signal.SIGTERM, 143):
        for option in (("--exclude",), ("--json", "--resume")):
            with folder() as path:
                os.mkfifo(path + "/list")
                process = start("-s", "ldap=1", *option, path + "/list", "127.0.0.1")
                with open(path + "/list", "wb", buffering=0) as pipe:  # now both have it open
                    pipe.write(b"\n")
                    process.send_signal(number)
                    done = finish(process)
            expect(done.status, status, "status")
            expect((done.out, done.err), ("", "scan: interrupted before the first host; to begin, run the same command again\n"))


@test("the status says that a scan was interrupted where nobody reads its words")
def _():
    with folder() as path:
        os.mkfifo(path + "/list")
        process = start("-s", "ldap=1", "--exclude", path + "/list", "127.0.0.1")
        with open(path + "/list", "wb", buffering=0) as pipe:
            pipe.write(b"\n")
            process.stderr.close()
            process.send_signal(signal.SIGINT)
            expect(process.wait(10), 130, "status")


@test("how far an interrupted scan got is its last line, below the summary")
def _():
    with closed_port() as port:
        process = start("-s", f"ldap={port}", "127.0.0.0/9", env=CUT_SHORT)
        reader = Reader(process.stdout)
        for _ in range(100):
            reader.line()
        process.send_signal(signal.SIGINT)
        reader.lines()
        lines = process.communicate()[1].decode().splitlines()
        expect(process.returncode, 130, "status")
        expect_true(re.match(r"scan: \d+ of 8388608 hosts, \d+ services in ", lines[0]), lines)
        expect_true(re.match(r"scan: interrupted after \d+ of 8388608 hosts; .* --resume FILE", lines[-1]), lines)


@test("SIGINT of a pipeline whose reader is the first to go: how far it got, without a promise")
def _():
    with closed_port() as port:
        process = start("--json", "-q", "-s", f"ldap={port}", "127.0.0.0/9", env=CUT_SHORT)
        Reader(process.stdout).line()
        process.send_signal(signal.SIGSTOP)
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        err = process.stderr.read().decode()
        process.stderr.close()
        expect(process.wait(PATIENCE), 130, "status")
        expect_true(re.fullmatch(r"scan: interrupted after \d+ of 8388608 hosts\. A run whose .* --resume FILE\.\n", err), err)


@test("SIGINT at any time leaves whole records")
def _():
    with closed_port() as port:
        for count in (1, 2, 3, 10, 50, 200, 1000):
            process = start("--json", "-j", 2, "-s", f"ldap={port},ssh={port}", "127.0.0.0/9", env=CUT_SHORT)
            reader = Reader(process.stdout)
            lines = [reader.line() for _ in range(count)]
            process.send_signal(signal.SIGINT)
            lines += reader.lines()
            expect(process.wait(PATIENCE), 130, "status")
            for line in lines[-20:]:
                record(line)
            found = [(json.loads(line)["host"], json.loads(line)["service"]) for line in lines]
            expect(len(set(found)), len(found), "different records")
            process.communicate()


@test("a second SIGINT ends at once, though nobody reads")
def _():
    with closed_port() as port:
        process = start("--json", "-s", f"ldap={port}", "127.0.0.0/9", env=CUT_SHORT)
        expect_true(select.select([process.stdout], [], [], PATIENCE)[0], "no line")
        wait_until_idle(process)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGINT)
        expect_in(process.wait(1), (130, -signal.SIGINT))
        process.communicate()


@test("a scan that is over, and ended before its reader has all, leaves whole records and last words")
def _():
    with closed_port() as port:
        for twice, net in (False, "127.0.0.0/21"), (True, "127.0.0.0/9"):
            process = start("--json", "-q", "-s", f"ldap={port}", net, env=CUT_SHORT)
            expect_true(select.select([process.stdout], [], [], PATIENCE)[0], "no line")
            wait_until_idle(process)
            if twice:
                process.send_signal(signal.SIGINT)
                wait_until_idle(process)
            process.send_signal(signal.SIGINT)
            process.wait(1)
            done = finish(process)
            expect(done.status, 130, "status")
            expect_true(100 < len(done.records) < 2048, f"{len(done.records)} records")
            expect(done.err, "scan: ended before all was written. A run whose lines of --json are in FILE goes on with "
                             "--resume FILE.\n")


@test("a scan that was stopped for a while does not take that for a server's silence")
def _():
    stopped, told = threading.Event(), threading.Event()

    def serve(sock):
        stopped.wait(PATIENCE)
        sock.sendall(b"SSH-2.0-x\r\n")
        told.set()
        hear_out(sock)
    with Server(serve) as server:
        process = start("-s", f"ssh={server.port}", "--reply-timeout", 0.3, "127.0.0.1")
        server.wait(lambda server: server.count == 1)
        process.send_signal(signal.SIGSTOP)
        stopped.set()
        told.wait(PATIENCE)
        time.sleep(0.5)  # the time that it was stopped
        process.send_signal(signal.SIGCONT)
        expect(finish(process).out, f"Testing 127.0.0.1:\nport {server.port} (ssh) open.\nSSH-2.0-x\n")


# --- descriptors -----------------------------------------------------------------------------------------------------

def few_descriptors(limit, *words, patience=PATIENCE):
    with greeter(b"SSH-2.0-x\r\n", address="0.0.0.0") as server, closed_port("0.0.0.0") as port:
        done = finish(start("--json", "-s", f"ssh={server.port},ldap={port}", "127.6.0.0-127.6.1.43", *words,
                            before=("sh", "-c", f"ulimit -n {limit}; exec \"$@\"", "sh")), patience=patience)
    expect(done.status, 0, done.err)
    verdicts = [(found["service"], found["state"], found["data"].get("banner")) for found in done.records]
    expect(verdicts.count(("ssh", "open", "SSH-2.0-x")), 300, "open ones")
    expect(verdicts.count(("ldap", "closed", None)), 300, "closed ones")


test("64 descriptors for 300 hosts: every verdict is right")(lambda: few_descriptors(64, "-j", 1))
test("... with 8 threads, and more connections wanted than there are descriptors")(
    lambda: few_descriptors(64, "-j", 8, "-P", 10000))
test("40 descriptors for 300 hosts, with as many threads as wished")(lambda: few_descriptors(40, "-j", 100))


# --- its own speed ---------------------------------------------------------------------------------------------------

class Counter:
    """Counts clients at a time. A client counts from its connection until just before it is answered."""

    def __init__(self, enough, **options):
        self.lock = threading.Condition()
        self.now = self.peak = 0
        self.enough = enough
        self.server = Server(self.serve, **options)

    def serve(self, sock):
        with self.lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
            self.lock.notify_all()
            self.lock.wait_for(lambda: self.now > self.enough, 0.04)  # one more than there may be
            self.now -= 1
        sock.sendall(b"SSH-2.0-x\r\n")


def bounded(most, *words, count=24):
    counter = Counter(most, address="0.0.0.0")
    with counter.server as server:
        done = scan("--json", "-s", f"ssh={server.port}", f"127.7.0.1-{count}", *words)
    expect([found["data"] for found in done.records], [{"banner": "SSH-2.0-x"}] * count)
    expect_true(counter.peak <= most, f"{counter.peak} connections at a time")
    return counter.peak


for threads in (1, 2, 3):
    for parallel in (1, 2, 5, 7):
        test(f"-P {parallel} -j {threads}: no more connections at a time")(
            lambda threads=threads, parallel=parallel: bounded(parallel, "-P", parallel, "-j", threads))


@test("-P is made use of")
def _():
    expect(bounded(6, "-P", 6, "-j", 1), 6, "connections at a time")
    expect_true(bounded(6, "-P", 6, "-j", 2) >= 5, "few connections at a time")


@test("--per-host bounds the connections to one host")
def _():
    counter = Counter(3)
    names = "one two three ssh smtp submission pop2 pop3 imap ftp".split()
    with counter.server as server, folder(lines_lua=LINES) as path:
        services = ",".join(f"{name}={server.port}" for name in names)
        scan("-S", path, "-s", services, "--per-host", 3, "--reply-timeout", 0.5, "127.0.0.1")
    expect(counter.peak, 3, "connections at a time")


@test("--rate: evenly, and no more than that")
def _():
    for threads in (1, 2):
        with greeter(b"SSH-2.0-x\r\n", address="0.0.0.0") as server:
            scan("-s", f"ssh={server.port}", "--rate", 60, "-j", threads, "127.8.0.1-40")
            moments = sorted(server.moments)
        took = moments[-1] - moments[0]
        expect_true(39 / 60 - 0.05 <= took < 2, f"{took:.2f} s for 40 connections at 60 a second")
        # A busy machine sees some of them late, and then together; without --rate it would see all 40.
        at_once = max(sum(first <= moment < first + 0.1 for moment in moments) for first in moments)
        expect_true(at_once <= 20, f"{at_once} connections within 0.1 s")


@test("--retries: so many more connect time-outs")
def _():
    with silent_port() as port:
        for retries, least, most in ((0, 0.2, 0.4), (2, 0.6, 0.8)):
            done = scan("--json", "-s", f"ldap={port}", "--connect-timeout", 0.2, "--retries", retries, "127.0.0.1")
            found, = done.records
            expect(found["state"], "filtered")
            expect_true(least <= found["ms"] / 1000 < most + 0.3, f"{found['ms']} ms with {retries} retries")


def wait_until_idle(process):
    """Until scan has used no processor time for a while: it waits for its reader."""
    used, since = None, time.monotonic()
    due = since + PATIENCE
    while time.monotonic() < due:
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            now = file.read().rsplit(")", 1)[1].split()[11:13]
        if now != used:
            used, since = now, time.monotonic()
        elif time.monotonic() - since > 0.2:
            return
        time.sleep(0.02)
    raise TimeoutError("scan is never idle")


@test("a slow reader slows the scan, and loses nothing")
def _():
    with closed_port() as port:
        process = start("--json", "-j", 2, "-s", f"ldap={port}", "127.16.0.0/18")
        reader = Reader(process.stdout)
        hosts = [record(reader.line())["host"]]
        wait_until_idle(process)
        expect(process.poll(), None, "status")
        used = peak(process)
        hosts += [found.split(b'"host":"', 1)[1].split(b'"', 1)[0].decode() for found in reader.lines()]
        expect(finish(process).status, 0, "status")
    expect([len(hosts), len(set(hosts))], [1 << 14, 1 << 14], "hosts")
    expect_true(used < 32 * 1024, f"{used} KiB")


@test("a slow reader does not make servers look silent")
def _():
    go = threading.Event()

    def serve(sock):
        go.wait(PATIENCE)
        sock.sendall(b"SSH-2.0-x\r\n")
    with closed_port("0.0.0.0") as port, Server(serve, address="127.16.0.1") as server:
        process = start("--json", "-j", 1, "-s", f"ssh={server.port},ldap={port}", "127.16.0.0/17",
                        env=CUT_SHORT)
        server.wait(lambda server: server.count == 1)
        wait_until_idle(process)
        go.set()
        server.wait(lambda server: server.now == 0)
        reader = Reader(process.stdout)
        while b'"banner"' not in (line := reader.line()):
            expect_true(line, "no banner")
        expect(record(line)["data"], {"banner": "SSH-2.0-x"})
        process.send_signal(signal.SIGINT)
        finish(process)


@test("results of two threads are never mixed")
def _():
    lines = [b"line %d of a long greeting %s\n" % (n, b"." * 100) for n in range(50)]

    def serve(sock):
        for line in lines:
            sock.sendall(line)
    with Server(serve, address="0.0.0.0") as server, folder(lines_lua=LINES) as path:
        done = scan("-S", path, "-s", f"one={server.port}", "127.9.0.1-60", "-j", 2)
    expect(done.out, "".join(f"Testing 127.9.0.{n}:\nport {server.port} (one) open.\n{b''.join(lines).decode()}"
                             for n in range(1, 61)))


@test("more threads than there is work")
def _():
    with closed_port() as port:
        for threads in (2, 64, 1024):
            done = scan("--json", "-j", threads, "-s", f"ldap={port}", "127.0.3.1-3")
            expect(len(done.records), 3, "records")


def threads(*words):
    """How many threads a run had, and how many connections were on the way at a time."""
    err = scan("--json", "--stats", *words).err
    return [int(re.search(rf"(\d+) {what}", err).group(1)) for what in ("thread", "tried or open at a time")]


@test("a few hosts are done by one thread, many by as many as there are processors; -j says how many")
def _():
    processors = len(os.sched_getaffinity(0))
    with closed_port() as port:
        service = "-s", f"ldap={port}"
        expect(threads(*service, "127.0.3.1-20")[0], 1, "threads for 20 hosts")
        expect(threads(*service, "127.0.3.1-20", "-j", 2)[0], 2, "threads with -j 2")
        expect(threads(*service, "127.0.0.0/15")[0], processors, "threads for 131,072 hosts")
        expect(threads(*service, "127.0.0.0/15", "-j", 1)[0], 1, "threads with -j 1")


@test("where all that one thread may have in flight is waited for, the others help")
def _():
    with silent_port(address="0.0.0.0") as port:
        found = threads("-s", f"ssh={port}", "--connect-timeout", 0.5, "-P", 40, "127.0.3.1-60")
    processors = len(os.sched_getaffinity(0))
    expect(found, [processors, 40 - 40 % processors], "threads and connections")


run()
