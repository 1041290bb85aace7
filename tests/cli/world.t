#!/usr/bin/python3
"""Names and routes, in a world of the test's own: namespaces with a hosts file, a name server and routes as it likes.

The test starts itself anew in namespaces of its own (user, network, mount), which needs no rights on most machines;
where it cannot it is skipped."""
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from harness import (CUT_SHORT, LINES, PATIENCE, Reader, Server, Skipped, expect, expect_in, expect_true, finish,
                     folder, greeter, run, scan, start, test)

INSIDE = "SCAN_TEST_WORLD"
HOSTS = """
127.0.0.1 localhost
::1 twin.test
127.0.0.1 twin.test
127.0.2.1 three.test
127.0.2.2 three.test
127.0.2.3 three.test
127.0.5.1 alone.test
""" + "".join(f"127.0.4.{n} crowd.test\n" for n in range(1, 31))


# --- making the world ------------------------------------------------------------------------------------------------

def enter():
    """Come back in namespaces, or skip all."""
    if INSIDE in os.environ:
        return
    words = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        print("1..0 # SKIP there are no namespaces to be had here")
        sys.exit(0)
    os.environ[INSIDE] = "1"
    os.execvp(words[0], [*words, sys.executable, *sys.argv])


def loopback_up():
    with socket.socket() as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 1 | 64))  # SIOCSIFFLAGS: up and running


def replace(path, text):
    if os.path.exists(path):
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(text)
        subprocess.run(["mount", "--bind", file.name, path], check=True)
        os.unlink(file.name)


def answer(query):
    """What the name server says: NXDOMAIN, but for some names."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
        at += query[at] + 1
    question, kind = query[12:at + 5], query[at + 2]
    name = ".".join(labels)
    if name == "silent.test":
        return None
    found = {"twice.test": ["127.0.6.1", "127.0.6.2", "127.0.6.1"]}.get(name, []) if kind == 1 else []
    code = 2 if name == "broken.test" else 0 if name == "twice.test" else 3
    header = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found), 0, 0)
    records = [b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address) for address in found]
    return header + question + b"".join(records)


def name_server():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.53", 53))

    def serve():
        while True:
            query, client = sock.recvfrom(2000)
            said = answer(query)
            if said:
                sock.sendto(said, client)
    threading.Thread(target=serve, daemon=True).start()


def network(function):
    """Run in a network of its own: threads may have one."""
    result = []

    def inside():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:  # CLONE_NEWNET
                raise Skipped("no network of one's own")
            loopback_up()
            function()
        except BaseException as failure:  # pylint: disable=broad-except
            result.append(failure)
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    for failure in result:
        raise failure


def own_network(name):
    return lambda function: test(name)(lambda: network(function))


def setting(path, value):
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    except OSError as failure:
        raise Skipped(f"{path}: {failure}") from failure


# --- names -----------------------------------------------------------------------------------------------------------

@test("of several addresses the first that answers is taken")
def _():
    with greeter(b"SSH-2.0-x\r\n") as server:
        words = ["-s", f"ssh={server.port}", "twin.test"]
        expect(scan(*words).out, f"Testing twin.test:\nport {server.port} (ssh) open.\nSSH-2.0-x\n")
        found, = scan("--json", *words).records
        expect([found["host"], found["address"]], ["twin.test", "127.0.0.1"])
        found, = scan("--json", "-4", *words).records
        expect([found["address"], found["state"]], ["127.0.0.1", "open"])
        found, = scan("--json", "-6", *words).records
        expect([found["address"], found["state"]], ["::1", "closed"])
    with greeter(b"SSH-2.0-x\r\n", address="::1") as server:
        found, = scan("--json", "-s", f"ssh={server.port}", "twin.test").records
        expect([found["address"], found["state"]], ["::1", "open"])


@test("each service finds the address that answers it")
def _():
    with greeter(b"SSH-2.0-x\r\n", address="127.0.2.3") as one, greeter(b"SSH-2.0-y\r\n", address="127.0.2.2") as two:
        done = scan("--json", "-s", f"ssh={one.port},ssh={two.port},ldap=1", "three.test")
    expect(sorted((found["address"], found["state"]) for found in done.records if found["service"] == "ssh"),
           [("127.0.2.2", "open"), ("127.0.2.3", "open")])
    expect([found["state"] for found in done.records if found["service"] == "ldap"], ["closed"])


@test("--all-addresses: each address of a name is a host")
def _():
    with greeter(b"SSH-2.0-x\r\n", address="127.0.2.2") as server:
        done = scan("--all-addresses", "-s", f"ssh={server.port}", "three.test", "127.0.2.2")
        expect(done.out.count("Testing "), 4, done.out)
        for address, verdict in (("127.0.2.1", "not open: [connect] Connection refused\n"),
                                 ("127.0.2.2", "open.\nSSH-2.0-x\n"),
                                 ("127.0.2.3", "not open: [connect] Connection refused\n")):
            expect_in(f"Testing three.test ({address}):\nport {server.port} (ssh) {verdict}", done.out)
        expect_in(f"Testing 127.0.2.2:\nport {server.port} (ssh) open.\n", done.out)
        records = scan("--json", "--all-addresses", "-s", f"ssh={server.port}", "three.test").records
        expect(sorted((found["host"], found["address"]) for found in records),
               [("three.test", f"127.0.2.{n}") for n in (1, 2, 3)])


@test("eight addresses of a name at most; an address that is answered twice is scanned once")
def _():
    records = scan("--json", "--all-addresses", "-s", "ldap=1", "crowd.test").records
    expect(len({found["address"] for found in records}), 8, "addresses")
    expect(len(records), 8, "records")
    records = scan("--json", "--all-addresses", "-s", "ldap=1", "twice.test").records
    expect(sorted(found["address"] for found in records), ["127.0.6.1", "127.0.6.2"])


@test("--exclude goes for the addresses of names")
def _():
    with greeter(b"SSH-2.0-x\r\n", address="127.0.5.1") as alone, greeter(b"SSH-2.0-x\r\n") as twin:
        done = scan("--json", "-s", f"ssh={alone.port}", "alone.test", "--exclude", "127.0.5.0/24", status=3)
        found, = done.records
        expect([found["state"], found["error"]["code"]], ["failed", "excluded"])
        expect(alone.count, 0, "connections")
        found, = scan("--json", "-s", f"ssh={twin.port}", "twin.test", "--exclude", "127.0.0.1").records
        expect([found["state"], found["address"]], ["closed", "::1"])
        done = scan("--json", "-s", f"ssh={alone.port}", "alone.test", "twin.test", "--exclude", "ALONE.test,twin.test")
        expect(done.out, "")
        expect(alone.count + twin.count, 0, "connections")


@test("a word to exclude that is neither a file nor a name that is found stops the scan")
def _():
    with greeter(b"SSH-2.0-x\r\n") as server, folder(list_txt="127.0.0.1\nnone.test\n") as path:
        words = ["--json", "-s", f"ssh={server.port}", "127.0.0.1"]
        for lists in (["blocklist"], ["127.0.0.9,blocklist"], ["three.test", "--exclude", "three.test,blocklist"]):
            done = scan(*words, "--exclude", *lists, status=2)
            expect(done.out, "")
            expect_in('--exclude "blocklist": there is no such file, nor such a name (', done.err)
            expect_in('"blocklist." is a name that is not looked up', done.err)
        expect(server.count, 0, "connections")
        os.rename(path + "/list.txt", path + "/blocklist")
        expect(scan(*words, "--exclude", "blocklist", cwd=path).out, "")
        for lists in ("blocklist.", "three.test,alone.test"):
            expect(len(scan(*words, "--exclude", lists).records), 1)
        expect(scan("--json", "-s", "ldap=1", "none.test", "--exclude", "none.test.").out, "")


@test("a name without an address of the family asked for is not called none")
def _():
    words = ["--json", "-s", "ldap=1"]
    found, = scan("-6", *words, "alone.test", status=3).records
    expect(found["error"]["message"], "no such name, or it has no IPv6 address")
    found, = scan("-4", *words, "none.test", status=3).records
    expect(found["error"]["message"], "no such name, or it has no IPv4 address")
    found, = scan("-6", *words, "twin.test").records
    expect(found["address"], "::1")


@test("a name that there is none: said so, status 3, the others are scanned")
def _():
    with greeter(b"SSH-2.0-x\r\n") as server:
        words = ["-s", f"ssh={server.port},ldap={server.port}", "none.test", "127.0.0.1"]
        expect(scan(*words, status=3).out, "Testing none.test:\n[resolve] no such name\nTesting 127.0.0.1:\n"
               f"port {server.port} (ssh) open.\nSSH-2.0-x\nport {server.port} (ldap) open.\n")
        records = scan("--json", *words, status=3).records
    expect(len(records), 4, "records")
    failed = [found for found in records if found["host"] == "none.test"]
    expect(len(failed), 2, "failed ones")
    for found in failed:
        expect([found["address"], found["state"]], [None, "failed"])
        expect([found["error"]["phase"], found["error"]["code"]], ["resolve", "no-name"])
    expect(scan("none.test", status=3).out, "Testing none.test:\n[resolve] no such name\n")


@test("-6 for a name without such an address")
def _():
    done = scan("-6", "-s", "ldap=1", "alone.test", status=3)
    expect_true(done.out.startswith("Testing alone.test:\n[resolve] "), done.out)
    expect_true(done.out.count("\n") == 2, done.out)


@test("a name server that fails is not a name that there is none")
def _():
    found, = scan("--json", "-s", "ldap=1", "broken.test", status=3).records
    expect(found["state"], "failed")
    expect_true(found["error"]["message"] != "no such name", found["error"]["message"])


@test("a name that is not answered holds up nobody, and is given up after 10 seconds")
def _():
    with greeter(b"SSH-2.0-x\r\n") as server:
        process = start("-j", 1, "-s", f"ssh={server.port}", "127.0.0.1", "silent.test", "127.0.0.2", "--json")
        began = time.monotonic()
        reader = Reader(process.stdout)
        first = reader.line() + reader.line()
        expect_true(time.monotonic() - began < 2, "the others wait")
        expect(first.count(b'"host":"127.0.0.'), 2, "others")
        last = reader.line()
        took = time.monotonic() - began
        expect_in(b'"resolve"', last)
        expect_true(9 < took < 12, f"given up after {took:.1f} s")
        expect(finish(process).status, 3, "status")
        expect_true(time.monotonic() - began < 12, "the process does not end")


@test("an interrupt does not wait for the name server")
def _():
    process = start("-s", "ldap=1", "127.0.0.2", "silent.test", "--json", env=CUT_SHORT)
    Reader(process.stdout).line()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    expect(process.wait(PATIENCE), 130, "status")
    expect_true(time.monotonic() - began < 1, f"took {time.monotonic() - began:.1f} s")
    process.communicate()


@test("a hostile name cannot forge a record, and is a record itself where it is bytes")
def _():
    expect(scan("--json", "-s", "ssh", "x\",\"state\":\"open", status=2).raw, b"")
    found, = scan("--json", "-s", "ssh", "gr\u00fc\u00df.test", status=3).records
    expect(found["host"], "gr\u00fc\u00df.test")
    for found in scan("--json", "-s", "ssh", b"h\xff.test".decode("utf-8", "surrogateescape"), status=None).records:
        expect(found["host_base64"], "aP8udGVzdA==")


# --- the network -----------------------------------------------------------------------------------------------------

def route(*words):
    if not shutil.which("ip"):
        raise Skipped("there is no ip program")
    subprocess.run(["ip", "route", "add", *words], check=True)


@own_network("no route, and routes that say no, are not closed ports")
def _():
    route("unreachable", "192.0.2.1")
    route("prohibit", "192.0.2.2")
    route("blackhole", "192.0.2.3")
    done = scan("--json", "-s", "ldap", "192.0.2.1-4", "2001:db8::1", status=3)
    seen = {found["host"]: (found["state"], found["error"]["code"]) for found in done.records}
    expect(seen, {"192.0.2.1": ("filtered", "unreachable"), "192.0.2.2": ("failed", "blocked-here"),
                  "192.0.2.3": ("filtered", "unreachable"), "192.0.2.4": ("filtered", "unreachable"),
                  "2001:db8::1": ("filtered", "unreachable")})
    expect(all(found["error"]["phase"] == "connect" for found in done.records), True, "phases")


@own_network("a machine without IPv6 takes the other address of a name at once")
def _():
    setting("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1")
    with greeter(b"SSH-2.0-x\r\n") as server:
        done = scan("--json", "-s", f"ssh={server.port}", "twin.test")
    found, = done.records
    expect([found["state"], found["address"]], ["open", "127.0.0.1"])
    expect_true(done.seconds < 1, f"took {done.seconds:.1f} s")


def crowded(hold, patience=PATIENCE):
    """Twelve services on one port of a server, six ports for clients. (Of an odd number Linux leaves out one.)"""
    with folder(lines_lua=LINES) as path:
        text = LINES
        for number in range(12):
            with open(f"{path}/more{number}.lua", "w", encoding="ascii") as file:
                file.write(text.replace('"one"', f'"one{number}"').replace('"two"', f'"two{number}"')
                           .replace('"three"', f'"three{number}"'))
        with Server(hold) as server:
            setting("/proc/sys/net/ipv4/ip_local_port_range", "40000 40005")
            services = ",".join(f"one{number}={server.port}" for number in range(12))
            return scan("--json", "-S", path, "-s", services, "127.0.0.1", status=None, patience=patience)


@own_network("when the ports for clients run out, connections wait for one")
def _():
    together = threading.Barrier(6)

    def hold(sock):
        try:
            together.wait(0.3)
        except threading.BrokenBarrierError:
            pass
        sock.sendall(b"hello\n")
    done = crowded(hold)
    expect([found["data"].get("line1") for found in done.records], ["hello"] * 12)
    expect(done.status, 0, "status")


@own_network("when no port comes free, that is this machine's failure, and no verdict on the server")
def _():
    over = threading.Event()
    timer = threading.Timer(6.5, over.set)
    timer.start()

    def hold(sock):
        over.wait(PATIENCE)
        sock.sendall(b"hello\n")
    done = crowded(hold)
    states = sorted((found["state"], (found["error"] or {}).get("code")) for found in done.records)
    expect(states, [("failed", "local-limit")] * 6 + [("open", None)] * 6)
    expect(done.status, 3, "status")


enter()
loopback_up()
replace("/etc/hosts", HOSTS)
replace("/etc/resolv.conf", "nameserver 127.0.0.53\noptions timeout:14 attempts:1\n")
replace("/etc/nsswitch.conf", "hosts: files dns\n")
name_server()
run()
