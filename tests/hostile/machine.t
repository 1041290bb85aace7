#!/usr/bin/python3 -B
"""The machine at fault: calls that fail, no memory, no ports, a clock that jumps, routers and name servers that are odd.

What takes root, strace or a C compiler is skipped where there is none."""
import collections
import contextlib
import errno
import os
import random
import signal
import socket
import struct
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import torture
from stage import INSTRUMENTED, PATIENT, SLOW, TRUST_NOBODY, Stage, same
from fate import note
from harness import (CUT_SHORT, PATIENCE, Server, Skipped, closed_port, expect, expect_in, expect_true,
                     finish, folder, greeter, hear_out, record, run, scan, short, silent_port, start, test)
from own_world import NameServer, Router, accepted, command, own_network, setting, unreachable

HELLO = b"SSH-2.0-x\r\n"


def verdict(found):
    return found["state"], (found["error"] or {}).get("code")


# --- calls that fail -------------------------------------------------------------------------------------------------

def inject(*faults, calls):
    """Words that make strace start scan, with these faults."""
    return torture.strace("-o", "/dev/null", "-e", f"trace={calls}", *(word for fault in faults for word in ("-e", f"inject={fault}")))


@test("what connect says is told apart")
def _():
    wanted = {"EHOSTUNREACH": ("filtered", "unreachable"), "ENETUNREACH": ("filtered", "unreachable"),
              "ENETDOWN": ("filtered", "unreachable"), "EHOSTDOWN": ("filtered", "unreachable"),
              "EPROTO": ("filtered", "unreachable"), "EINVAL": ("filtered", "unreachable"), "ETIMEDOUT": ("filtered", "timeout"),
              "ECONNREFUSED": ("closed", "refused"), "ECONNRESET": ("closed", "reset"), "ECONNABORTED": ("closed", "reset"),
              "EPERM": ("failed", "blocked-here"), "EACCES": ("failed", "blocked-here"), "EIO": ("failed", "system"),
              "ENOTTY": ("failed", "system")}
    with greeter(HELLO) as server:
        for name, fate in wanted.items():
            done = scan("--json", "-s", f"ssh={server.port}", "127.0.0.1", status=None,
                        before=inject(f"connect:error={name}", calls="connect"))
            found, = done.records
            expect(verdict(found), fate, name)
            expect(found["error"]["errno"], getattr(errno, name), name)
            expect_in(os.strerror(getattr(errno, name)), found["error"]["message"])
            expect(done.status, 3 if fate[0] == "failed" else 0, f"status with {name}")


@test("a shortage that passes is waited out")
def _():
    with greeter(HELLO, address="0.0.0.0") as server:
        for name in ("ENFILE", "ENOMEM", "ENOBUFS", "EMFILE"):
            done = scan("--json", "-j", 1, "-s", f"ssh={server.port}", "127.11.0.1-20", patience=2 * PATIENCE,
                        before=inject(f"socket:error={name}:when=5..9", calls="socket"))
            expect(collections.Counter(map(verdict, done.records)), {("open", None): 20}, name)


@test("a shortage that does not pass is this machine's failure")
def _():
    with greeter(HELLO) as server:
        done = scan("--json", "-j", 1, "-s", f"ssh={server.port}", "127.0.0.1", status=3,
                    before=inject("socket:error=ENFILE:when=1+", calls="socket"))
        expect([verdict(found) for found in done.records], [("failed", "local-limit")])
        expect_true(5 <= done.seconds < 5 + 5 * SLOW, f"given up after {done.seconds:.1f} s")


@test("calls that a signal breaks off make no difference")
def _():
    with greeter(HELLO, address="0.0.0.0") as server:
        for call in ("recvfrom", "sendto", "epoll_wait", "write"):
            done = scan("--json", "-s", f"ssh={server.port}", "127.11.0.1-5",
                        before=inject(f"{call}:error=EINTR:when=1..3", calls=call))
            expect(collections.Counter(map(verdict, done.records)), {("open", None): 5}, call)


def suffer(machine, faults):
    """Several at a time: they mostly wait."""
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda fault: machine.suffer(*fault), faults):
            pass
    return dict(sorted(machine.ended.items()))


@test("each system call fails in its turn: no crash, the right status, whole records")
def _():
    """One fault of each kind here; tests/hostile/torture has all."""
    torture.strace()
    stage = Stage(*torture.SERVICES)
    machine = torture.Calls(stage)
    kinds = collections.defaultdict(list)
    for call, error, at in machine.faults():
        kinds[call, error].append((call, error, at))
    chosen = [random.Random(str(kind)).choice(faults) for kind, faults in sorted(kinds.items())]
    ended = suffer(machine, chosen)
    stage.close()
    note(f"{len(chosen)} system calls that failed, by the status that scan ended with: {ended}")


# --- memory and time -------------------------------------------------------------------------------------------------

@test("each allocation fails in its turn: no crash, the right status, whole records")
def _():
    with torture.faulty_library() as library:
        stage = Stage(*torture.SERVICES)
        machine = torture.Allocations(stage, library)
        numbers = [*range(1, 12), *random.Random(4).sample(range(12, machine.last + 1), 60)]
        ended = suffer(machine, [(what, number) for number in numbers for what in ("FAIL_AT", "FAIL_FROM")])
        stage.close()
    note(f"of {machine.last} allocations {len(numbers)} failed, by the status that scan ended with: {ended}")


@test("little memory for the whole process: a word and a status")
def _():
    if INSTRUMENTED:
        raise Skipped("a sanitizer takes much of it")
    with greeter(HELLO) as server:
        for kib in (8000, 12000, 20000, 40000, 80000, 200000):
            done = finish(start("--json", "-s", f"ssh={server.port}", "127.0.0.1",
                                before=("sh", "-c", f"ulimit -v {kib}; exec \"$@\"", "sh")))
            # Below some size the program cannot even be loaded, which is 127.
            expect_true(done.status in (0, 2, 3, 4, 127), f"{kib} KiB: status {done.status}\n{short(done.err)}")
            expect_true(done.status == 0 or done.err, f"{kib} KiB: not a word")


@test("a wall clock that jumps by ten years changes nothing")
def _():
    stage = Stage("smtp", "ssh")
    words = ["--json", *PATIENT, "-s", stage.choice(), "127.80.0.1", "127.80.1.1", "--reply-timeout", 1]
    usual = sorted(map(same, scan(*words, env=TRUST_NOBODY).records), key=str)
    for skew in (315360000, -315360000):
        with torture.faulty_library() as library:
            jumped = scan(*words, env={**TRUST_NOBODY, "LD_PRELOAD": library, "SKEW": skew})
        expect(sorted(map(same, jumped.records), key=str), usual, f"records with a skew of {skew} s")
        expect_true(jumped.seconds < 5 * SLOW, f"took {jumped.seconds:.1f} s")
    stage.close()


@test("OpenSSL's configuration, and files of the system that are not there, do not matter")
def _():
    with folder(openssl_cnf="openssl_conf = x\n[x]\nengines = y\n[y]\nz = w\n[w]\ndynamic_path = /nonexistent.so\ninit = 1\n") as path:
        stage = Stage("https")
        for env in ({"OPENSSL_CONF": path + "/openssl.cnf"}, {"OPENSSL_CONF": "/nonexistent"}, {"OPENSSL_MODULES": "/nonexistent"}):
            found, = scan("--json", *PATIENT, "-s", stage.choice(), "127.80.0.1", env={**TRUST_NOBODY, **env}).records
            expect([found["data"].get("status"), found["tls"]["handshake"]], [200, True], str(env))
        stage.close()


# --- signals, outputs, targets ---------------------------------------------------------------------------------------

@test("SIGINT at 20 random times: whole records, status 130, soon")
def _():
    chance = random.Random(20)
    stage = Stage("smtp", "ssh")
    for _ in range(20):
        process = start("--json", *PATIENT, "-j", 2, "-s", stage.choice(), *[f"127.{n}.0.0/24" for n in range(100, 140)],
                        env={**TRUST_NOBODY, **CUT_SHORT})
        threading.Timer(chance.uniform(0.02, 0.6), process.send_signal, (signal.SIGINT,)).start()
        out, err = process.communicate(timeout=PATIENCE)
        for line in out.splitlines(keepends=True):
            record(line)
        # Before it has set itself up, a signal ends it the usual way.
        expect_in(process.returncode, (130, -signal.SIGINT))
        expect_true(process.returncode < 0 or b"interrupted" in err, err)
    stage.process.kill()
    stage.process.wait()


@own_network("a disk that is full after a while: status 3 and a word")
def _():
    with tempfile.TemporaryDirectory() as path, closed_port("0.0.0.0") as port:
        command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path)
        done = scan("--json", "-o", path + "/out", "-s", f"ldap={port}", "127.16.0.0/18", status=3, env=CUT_SHORT, patience=3 * PATIENCE)
        expect_in(os.strerror(errno.ENOSPC), done.err)
        with open(path + "/out", "rb") as file:
            whole = file.read().rpartition(b"\n")[0].splitlines(keepends=True)
        expect_true(len(whole) > 100, f"{len(whole)} records on the disk")
        command("umount", path)


@test("a strange list of targets: what is wrong is named by its line, the others are scanned, nothing is kept in memory")
def _():
    lines = [b"127.0.0.1\r", b"# a comment", b"", b"127.0.0.1", b"12\x007.0.0.1", b"x" * (1 << 20), b"  127.0.0.2  ", b"127.0.0.300",
             b"127.0.0.3#not far", b"\xff\xfe", b"10.0.0.0/33", b"[::1", b"a b c"]
    lines += [b"127.0.%d.%d" % (number >> 8, number & 255) for number in range(5000)]
    with tempfile.NamedTemporaryFile() as file, closed_port("0.0.0.0") as port:
        file.write(b"\n".join(lines))
        file.flush()
        done = scan("--json", "-q", "-s", f"ldap={port}", "-f", file.name, status=None, patience=2 * PATIENCE)
    hosts = collections.Counter(found["host"] for found in done.records if found["state"] == "closed")
    expect([hosts["127.0.0.1"], hosts["127.0.0.2"], hosts["127.0.19.135"]], [3, 2, 1], "records of three hosts")
    expect(done.status, 3, "status")
    for number in (5, 6):
        expect_in(f":{number}", done.err)


# --- networks --------------------------------------------------------------------------------------------------------

@own_network("ICMP errors are told apart, and do not count once a connection stands")
def _():
    def answer(asked):
        code = asked[19]
        if asked[9] != 6 or not asked[33] & 2:
            return []
        return [accepted(asked), unreachable(asked, 1)] if code == 100 else [unreachable(asked, code)]
    with Router(answer):
        done = scan("--json", *["--reply-timeout", 0.5, "--connect-timeout", 4], "-s", "ssh=22",
                    *(f"10.9.1.{code}" for code in (0, 1, 2, 3, 9, 10, 13, 100)), status=None)
    seen = {int(found["host"].rsplit(".", 1)[1]): verdict(found) for found in done.records}
    reached = ("filtered", "unreachable")
    expect(seen, {0: reached, 1: reached, 2: reached, 3: ("closed", "refused"), 9: reached, 10: reached, 13: reached,
                  100: ("open", "timeout")})


@own_network("100 ports for clients and 1,000 hosts: every verdict is right")
def _():
    with Server(lambda sock: (sock.sendall(HELLO), hear_out(sock)), address="0.0.0.0", backlog=4096) as server:
        setting("/proc/sys/net/ipv4/ip_local_port_range", "40000 40099")
        done = scan("--json", "-P", 512, "-j", 2, "-s", f"ssh={server.port},ldap=1", "127.12.0.0-127.12.3.231", patience=2 * PATIENCE)
    expect(collections.Counter((found["service"], *verdict(found)) for found in done.records),
           {("ssh", "open", None): 1000, ("ldap", "closed", "refused"): 1000})
    note(f"1,000 hosts by way of 100 ports: {done.seconds:.1f} s")


@own_network("a scan leaves no port of this machine waiting for late packets")
def _():
    """TIME_WAIT is for who closes first, unless by a reset."""
    with Server(lambda sock: (sock.sendall(HELLO), hear_out(sock)), address="0.0.0.0", backlog=512) as server:
        scan("--json", "-s", f"ssh={server.port}", "127.12.0.0-127.12.0.99")
        with open("/proc/thread-self/net/tcp", encoding="ascii") as file:
            waiting = [line.split()[1:4] for line in file if line.split()[3] == "06"]
    expect(waiting, [], "connections in TIME_WAIT")


@own_network("a connection that meets itself is no server")
def _():
    setting("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001")
    done = scan("--json", "-s", "ssh=40000,smtp=40001", *["127.0.0.1"] * 20)
    expect(collections.Counter(map(verdict, done.records)), {("closed", "refused"): 40})


@own_network("a server that takes nothing: the write is given up")
def _():
    """The probe says more than this world's buffers hold."""
    setting("/proc/sys/net/ipv4/tcp_wmem", "4096 4096 4096")
    setting("/proc/sys/net/ipv4/tcp_rmem", "4096 4096 4096")
    talker = """return { about = "x", services = { { name = "talker", port = 1 } },
                         probe = function(conn, report) conn:write(("x"):rep(16384)) end }"""
    over = threading.Event()
    with Server(lambda sock: over.wait(PATIENCE)) as server, folder(talker_lua=talker) as path:
        done = scan("--json", "--reply-timeout", 0.5, "-S", path, "-s", f"talker={server.port}", "127.0.0.1")
        over.set()
    found, = done.records
    expect([found["state"], found["error"]["phase"], found["error"]["code"], found["error"]["message"]],
           ["open", "write", "timeout", "the server took nothing for 0.5 s"])


@test("row 73: 17 silent ports take one connect time-out")
def _():
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(silent_port()) for _ in range(17)]
        names = ("telnet ssh smtp submission smtps pop2 pop3 imap imaps pop3s ftp http https ipp kerberos ldap ldaps").split()
        done = scan("--json", "--connect-timeout", 1, "-s", ",".join(f"{name}={port}" for name, port in zip(names, ports)), "127.0.0.1")
    expect(collections.Counter(map(verdict, done.records)), {("filtered", "timeout"): 17})
    note(f"row 73: {1000 * (done.seconds - 1):.0f} ms beyond the connect time-out, the start of the process with it")
    expect_true(done.seconds < 1 + 0.5 * SLOW, f"{done.seconds:.2f} s")


def listen_drops():
    """How many connections the kernel turned away so far because a queue was full."""
    with open("/proc/thread-self/net/netstat", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index("ListenDrops")])


@own_network("row 77: a queue that is full at first")
def _():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        before = listen_drops()
        process = start("--json", "--reply-timeout", 5, "--connect-timeout", 5, "-s", f"ssh={listener.getsockname()[1]}", "127.0.0.1")
        due = time.monotonic() + PATIENCE
        while listen_drops() == before and time.monotonic() < due:
            time.sleep(0.01)

        def serve():
            with contextlib.suppress(OSError):  # closed at the end
                while True:
                    sock = stack.enter_context(listener.accept()[0])
                    with contextlib.suppress(ConnectionError):
                        sock.sendall(HELLO)
        threading.Thread(target=serve, daemon=True).start()
        found, = finish(process).records
    expect([verdict(found), found["data"]], [("open", None), {"banner": "SSH-2.0-x"}])


@test("row 72: what goes wrong with one TLS connection does not touch another")
def _():
    stage = Stage("https", tls=True)
    honest, broken = "127.80.0.1", [f"127.80.63.{case}" for case in (1, 3, 9, 11)] + ["127.80.67.14", "127.80.60.1"]
    for hosts in ([honest, *broken], [*broken, honest]):
        done = scan("--json", "-j", 1, *PATIENT, "-s", stage.choice(), *hosts * 5, env=TRUST_NOBODY)
        good = [found for found in done.records if found["host"] == honest]
        expect([(found["error"], found["data"]["status"], found["warnings"]) for found in good], [(None, 200, [])] * 5)
    stage.close()


@test("row 75: a machine on which every port is open and says nothing")
def _():
    with greeter() as server:
        names = "ssh smtp submission pop2 pop3 imap ftp http ipp".split()
        done = scan("--json", "--reply-timeout", 0.5, "-s", ",".join(f"{name}={server.port}" for name in names), "127.0.0.1")
        fewer = scan("--json", "--reply-timeout", 0.2, "-s", f"ssh={server.port},smtp={server.port}", "127.0.0.1")
    expect([(verdict(found), [each["code"] for each in found["warnings"]]) for found in done.records],
           [(("open", "timeout"), ["silent"])] * (len(names) - 1) + [(("open", "timeout"), ["silent", "all-silent"])])
    expect(done.records[-1]["warnings"][1]["text"], "all 9 ports are open, and none says a word: a proxy or a tarpit?")
    expect([found["warnings"][1:] for found in fewer.records], [[], []], "warnings about two services")
    with greeter() as silent, greeter(HELLO) as server:
        ports = ",".join(f"{name}={silent.port}" for name in names[1:])
        done = scan("--json", "--reply-timeout", 1, "-s", f"ssh={server.port},{ports}", "127.0.0.1")
    expect([each for found in done.records for each in found["warnings"] if each["code"] != "silent"], [],
           "warnings where one speaks")


@test("row 76: open at first, closed the second time: what was found first stands")
def _():
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        sock.recv(5000)
        listener.close()
        with contextlib.suppress(OSError):
            sock.sendall(b"\x15\3\1\0\2\2\x28")  # an alert that is worth a second try
            hear_out(sock)
    thread = threading.Thread(target=serve)
    thread.start()
    found, = scan("--json", *PATIENT, "-s", f"https={listener.getsockname()[1]}", "127.0.0.1", env=TRUST_NOBODY).records
    thread.join()
    expect([verdict(found), found["error"]["message"]],
           [("open", "tls-alert"), "the server sent alert 40, handshake failure: no parameters in common"])


# --- names -----------------------------------------------------------------------------------------------------------

@own_network("name servers: 4,000 addresses, mapped and odd ones, and other ones at each look")
def _():
    looks = collections.Counter()

    def answer(name, kind):
        looks[name, kind] += 1
        if name == "many.test" and kind == 1:
            return [struct.pack(">I", (127 << 24) + (13 << 16) + number) for number in range(1, 4001)]
        if name == "mapped.test" and kind == 28:
            return [bytes(10) + b"\xff\xff\x7f\0\0\1"]
        if name == "zero.test" and kind == 1:
            return [bytes(4)]
        if name == "turns.test" and kind == 1:
            return [bytes([127, 14, 0, looks[name, kind]])]
        return []
    NameServer(answer)
    with greeter(HELLO, address="0.0.0.0") as server:
        service = f"ssh={server.port}"
        done = scan("--json", "--all-addresses", "-s", service, "many.test")
        expect(len(done.records), 8, "addresses of many.test")
        found, = scan("--json", "-s", service, "mapped.test").records
        expect([found["address"], found["state"]], ["127.0.0.1", "open"])
        expect(found["warnings"], [{"code": "special-address", "text": "the name leads to 127.0.0.1, which is this machine"}])
        found, = scan("--json", "-s", service, "zero.test").records
        expect(found["address"], "0.0.0.0")
        done = scan("--json", "-s", f"{service},smtp={server.port},imap={server.port}", "turns.test")
        expect({found["address"] for found in done.records}, {"127.14.0.1"})
        expect(looks["turns.test", 1], 1, "looks")


run()
