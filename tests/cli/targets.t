#!/usr/bin/python3
"""What to scan: addresses, ranges, ports, files and pipes of targets, exclusion, shards, order."""
import contextlib
import ipaddress
import re
import signal
import socket
import subprocess

from harness import (CUT_SHORT, PATIENCE, Reader, closed_port, expect, expect_in, expect_not_in, expect_true, finish, folder,
                     greeter, peak, record, run, scan, start, test)


@contextlib.contextmanager
def list_of(text):
    with folder(list_txt=text) as path:
        yield path + "/list.txt"


def hosts(*words, status=0, text=None):
    """The targets that were scanned, in the order in which they were taken. All services are on a closed port."""
    with closed_port() as port:
        done = scan("--json", "-P", 1, "-j", 1, "-s", f"ldap={port}", *words, status=status, text=text)
    return [found["host"] + (f":{found['port']}" if found["port"] != port else "") for found in done.records]


def addresses(first, count):
    return [str(ipaddress.ip_address(first) + i) for i in range(count)]


# --- words -----------------------------------------------------------------------------------------------------------

for word, wanted in {
    "127.0.3.4": ["127.0.3.4"],
    "127.0.3.4/32": ["127.0.3.4"],
    "127.0.3.5/30": addresses("127.0.3.4", 4),
    "127.0.3.0/26": addresses("127.0.3.0", 64),
    "127.0.3.250-255": addresses("127.0.3.250", 6),
    "127.0.3.7-7": ["127.0.3.7"],
    "127.0.3.250-127.0.4.9": addresses("127.0.3.250", 16),
    "::1/128": ["::1"],
    "::1-::3": ["::1", "::2", "::3"],
    "[::1]": ["::1"],
    "127.1": ["127.0.0.1"],
    "2130706433": ["127.0.0.1"],
    "0x7f.0.3.4": ["127.0.3.4"],
    "127.0.3.9 127.0.3.1-2 127.0.3.9": ["127.0.3.9", "127.0.3.1", "127.0.3.2", "127.0.3.9"],
}.items():
    test(f"targets: {word}")(lambda words=word.split(), wanted=wanted: expect(hosts(*words), wanted))


@test("a /8 begins at once and takes no memory")
def _():
    with closed_port() as port:
        process = start("--json", "-s", f"ldap={port}", "127.0.0.0/8", env=CUT_SHORT)
        reader = Reader(process.stdout)
        for _ in range(3000):
            expect_true(reader.line(), "no record")
        used = peak(process)
        process.send_signal(signal.SIGINT)
        expect(finish(process).status, 130, "status")
    expect_true(used < 48 * 1024, f"{used} KiB")


# --- ports -----------------------------------------------------------------------------------------------------------

@test("address:port, [address]:port and name:port, each only that port")
def _():
    with greeter(b"hello\r\n") as server, greeter(b"hello\r\n", address="::1") as six:
        for word, name in ((f"127.0.0.1:{server.port}", "127.0.0.1"), (f"localhost:{server.port}", "localhost")):
            expect(scan("-4", word).out, f"Testing {name}:\nport {server.port} (unknown) open.\nhello\n")
        expect(scan(f"[::1]:{six.port}").out, f"Testing ::1:\nport {six.port} (unknown) open.\nhello\n")


@test("a port that no probe declares: its greeting, and whose it looks like")
def _():
    for greeting, lines in (
            (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH-2.0-OpenSSH_9.9\nlooks like ssh\n"),
            (b"220 mail.test ESMTP\r\n", "220 mail.test ESMTP\nlooks like smtp\n"),
            (b"220 files FTP\r\n", "220 files FTP\nlooks like ftp\n"),
            (b"+OK ready\r\n", "+OK ready\nlooks like pop3\n"),
            (b"* OK ready\r\n", "* OK ready\nlooks like imap\n"),
            (b"HTTP/1.1 400 no\r\n", "HTTP/1.1 400 no\nlooks like http\n"),
            (b"who knows\r\n", "who knows\n"),
            (b"\x00\x01\x02\n", "\\x00\\x01\\x02\n"),
            (b"", "")):
        with greeter(greeting) as server:
            done = scan("--reply-timeout", PATIENCE if lines else 0.3, f"127.0.0.1:{server.port}")
            expect(done.out, f"Testing 127.0.0.1:\nport {server.port} (unknown) open.\n{lines}")


@test("a port that nobody listens on, on request, is closed")
def _():
    with closed_port() as port:
        expect(scan(f"127.0.0.1:{port}").out,
               f"Testing 127.0.0.1:\nport {port} (unknown) not open: [connect] Connection refused\n")


@test("host:port with -s runs the probes that are named, on that port")
def _():
    with greeter(b"SSH-2.0-x\r\n") as server:
        expect(scan("-s", "ssh,ldap", f"127.0.0.1:{server.port}").out,
               f"Testing 127.0.0.1:\nport {server.port} (ssh) open.\nSSH-2.0-x\nport {server.port} (ldap) open.\n")


@test("host:port of a declared port runs its probe")
def _():
    expect_in("port 25 (smtp) ", scan("127.0.0.77:25").out)


@test("another protocol than the port's is named")
def _():
    with greeter(b"SSH-2.0-OpenSSH_9.9\r\n") as server:
        expect(scan("-s", f"smtp={server.port}", "127.0.0.1").out, f"Testing 127.0.0.1:\nport {server.port} (smtp) "
               "open.\nSSH-2.0-OpenSSH_9.9\nwarning: this is ssh, not smtp\n")


# --- files -----------------------------------------------------------------------------------------------------------

@test("a file of targets: comments, blank lines, CRLF, tabs, no end of line at the end")
def _():
    text = b"# a list\r\n127.0.3.1\r\n\r\n  127.0.3.2\t\n127.0.3.3 # behind\n\t# only this\n#\n127.0.3.8-9\n" \
        b"127.0.3.5:81\n[::1]:82\n::1"
    with list_of(text) as path:
        expect(hosts("-f", path), ["127.0.3.1", "127.0.3.2", "127.0.3.3", "127.0.3.8", "127.0.3.9", "127.0.3.5:81",
                                   "::1:82", "::1"])


@test("a mark of UTF-8 before a list, of targets or of exclusions, is no part of it")
def _():
    with list_of(b"\xef\xbb\xbf127.0.3.1\r\n127.0.3.2\r\n") as path:
        expect(hosts("-f", path), ["127.0.3.1", "127.0.3.2"])
        expect(hosts("127.0.3.1-3", "--exclude", path), ["127.0.3.3"])
    with list_of("\ufeff# ours\n127.0.3.1\n") as path:
        expect(hosts("-f", path), ["127.0.3.1"])


@test("words come before files, files in their order, an empty one does not matter")
def _():
    with list_of("127.0.3.1\n") as one, list_of("") as empty, list_of("127.0.3.2\n127.0.3.3\n") as two:
        expect(hosts("-f", two, "127.0.3.9", "-f", empty, "-f", one),
               ["127.0.3.9", "127.0.3.2", "127.0.3.3", "127.0.3.1"])
        expect(hosts("-f", empty), [])


@test("targets from standard input")
def _():
    expect(hosts("-f", "-", text=b"127.0.3.1\n127.0.3.2"), ["127.0.3.1", "127.0.3.2"])
    expect(hosts("-f", "-", text=b""), [])


@test("a target that comes through a pipe is scanned before the next one is there")
def _():
    with closed_port() as port:
        process = start("--json", "-s", f"ldap={port}", "-f", "-", stdin=subprocess.PIPE)
        reader = Reader(process.stdout)
        for number in range(1, 6):
            process.stdin.write(b"127.0.3.%d\n" % number)
            process.stdin.flush()
            expect(record(reader.line())["host"], f"127.0.3.{number}")
        process.stdin.close()
        expect(reader.line(), b"")
        process.stdin = None
        expect(finish(process).status, 0, "status")


@test("a silent pipe does not hold up an interrupt")
def _():
    process = start("--json", "-s", "ldap=1", "-f", "-", stdin=subprocess.PIPE, env=CUT_SHORT)
    process.stdin.write(b"127.0.3.1\n")
    process.stdin.flush()
    record(Reader(process.stdout).line())
    process.send_signal(signal.SIGINT)
    expect(process.wait(5), 130, "status")
    process.communicate()


@test("a bad line is named with its number, the others are scanned, status 3")
def _():
    text = b"127.0.3.1\nnot a target\n127.0.3.2:99999\n127.0.3.3\n10.0.0.0/40\na..b\n127.0.3.4\n\0\n" + \
        b"x" * 1_000_000 + b"\n127.0.3.5\r\n\x1b[2J\n127.0.3.6"
    with list_of(text) as path, closed_port() as port:
        done = scan("--json", "-P", 1, "-s", f"ldap={port}", "-f", path, status=3)
    expect([found["host"] for found in done.records], [f"127.0.3.{number}" for number in (1, 3, 4, 5, 6)])
    faults = done.err.splitlines()
    numbers = [int(re.match(rf"scan: {re.escape(path)}:(\d+): ", line).group(1)) for line in faults]
    expect(numbers, [2, 3, 5, 6, 8, 9, 11])
    parts = ("not a target", "127.0.3.2:99999", "10.0.0.0/40", "a..b", "NUL", "longer", "\\x1b[2J")
    for line, part in zip(faults, parts):
        expect_in(part, line)
    expect_not_in("\x1b", done.err)


@test("a bad line of standard input is named too")
def _():
    done = scan("-s", "ldap=1", "-f", "-", text=b"127.0.3.1\n:::\n", status=3)
    expect_true(re.match(r"scan: \S.*:2: .*:::", done.err), done.err)


@test("many lines take no memory")
def _():
    lines = b"".join(b"127.%d.%d.%d\n" % (i >> 16, i >> 8 & 255, i & 255) for i in range(300_000))
    with list_of(lines) as path:
        process = start("--json", "--exclude", "127.0.0.0/8", "-s", "ldap=1", "-f", path, "-f", "-",
                        stdin=subprocess.PIPE)
        process.stdin.write(b"::1\n")
        process.stdin.flush()
        expect(record(Reader(process.stdout).line())["host"], "::1")
        used = peak(process)
        expect(finish(process).status, 0, "status")
    expect_true(used < 32 * 1024, f"{used} KiB")


@test("masscan's list")
def _():
    text = """#masscan
open tcp 22 127.0.3.1 1700000000
open tcp 443 127.0.3.2 1700000001
banner tcp 22 127.0.3.1 1700000001 ssh SSH-2.0-x # 1
open udp 53 127.0.3.9 1700000001
open icmp 0 127.0.3.9 1700000001
closed tcp 22 127.0.3.9 1700000001
open tcp 25 ::1 1700000002
# end
"""
    with list_of(text) as path:
        expect(hosts("-f", path), ["127.0.3.1:22", "127.0.3.2:443", "::1:25"])
        # what came from a Windows machine
    with list_of(text.replace("\n", "\r\n")) as path:
        expect(hosts("-f", path), ["127.0.3.1:22", "127.0.3.2:443", "::1:25"])


@test("zmap's list")
def _():
    with list_of("127.0.3.1\n127.0.3.2\n") as path:
        expect(hosts("-f", path), ["127.0.3.1", "127.0.3.2"])


@test("zmap's records: what its first line calls saddr and sport")
def _():
    for text, wanted in (
            ("saddr\n127.0.3.1\n127.0.3.2\n", ["127.0.3.1", "127.0.3.2"]),
            ("saddr,sport\n127.0.3.1,2222\n127.0.3.2,22\n", ["127.0.3.1:2222", "127.0.3.2:22"]),
            ("classification,sport,saddr,ttl\nsynack,22,127.0.3.1,64\n127.0.3.2\n", ["127.0.3.1:22", "127.0.3.2"]),
            ("daddr,saddr\n127.0.0.1,127.0.3.1\n", ["127.0.3.1"]),
            ("saddr,sport\n127.0.3.1\nsport,saddr\n22,127.0.3.2\n", ["127.0.3.1", "127.0.3.2:22"])):
        for end in ("\n", "\r\n"):
            with list_of(text.replace("\n", end)) as path:
                expect(hosts("-f", path), wanted)
    with list_of("saddr,sport\n127.0.3.1,22\n,22\n127.0.3.1,x\n") as one, list_of("127.0.3.2,22\n") as other:
        done = scan("--json", "-s", "ldap=1", "-f", one, "-f", other, status=3)
        expect([found["host"] for found in done.records], ["127.0.3.1"])
        for place in (one + ":3: ", one + ":4: ", other + ":1: "):
            expect_in(place, done.err)


@test("nmap's list")
def _():
    text = """# Nmap 7.93 scan initiated Mon Nov 20 10:00:00 2023 as: nmap -oG - 127.0.3.0/28
Host: 127.0.3.1 (one.test)\tStatus: Up
Host: 127.0.3.1 (one.test)\tPorts: 22/open/tcp//ssh//OpenSSH 9.2 (protocol 2.0)/, 25/closed/tcp//smtp///, \
53/open/udp//domain///, 80/open|filtered/tcp//http///, 443/open/tcp//https///\tIgnored State: filtered (995)
Host: 127.0.3.2 ()\tStatus: Up
Host: 127.0.3.3 ()\tStatus: Down
Host: 127.0.3.4 ()\tPorts: 21/open/tcp//ftp///
Host: 127.0.3.5 ()\tPorts: 21/filtered/tcp//ftp///
Host: ::1 (six.test)\tPorts: 993/open/tcp//imaps///
Host: 127.0.3.6 ()\tStatus: Up
# Nmap done at Mon Nov 20 10:00:05 2023 -- 16 IP addresses (5 hosts up) scanned in 5.00 seconds
"""
    for shown in (text, text.split("# Nmap done")[0], text.replace("\n", "\r\n")):
        with list_of(shown) as path:
            expect(hosts("-f", path),
                   ["127.0.3.1:22", "127.0.3.1:443", "127.0.3.2", "127.0.3.4:21", "::1:993", "127.0.3.6"])


# --- exclusion -------------------------------------------------------------------------------------------------------

@test("--exclude: addresses, ranges, names, lists, again and again")
def _():
    expect(hosts("127.0.3.0/28", "--exclude", "127.0.3.3,127.0.3.5-7", "--exclude", "127.0.3.8/29"),
           ["127.0.3.0", "127.0.3.1", "127.0.3.2", "127.0.3.4"])
    expect(hosts("127.0.3.1", "LocalHost", "--exclude", "localhost"), ["127.0.3.1"])
    expect(hosts("127.0.3.1", "localhost.", "--exclude", "localhost"), ["127.0.3.1"])
    expect(hosts("127.0.3.1", "localhost", "--exclude", "localhost."), ["127.0.3.1"])
    expect(hosts("::1-::4", "127.0.3.1", "--exclude", "::2-::3"), ["::1", "::4", "127.0.3.1"])
    expect(hosts("127.0.3.1", "--exclude", "127.0.0.0/8"), [])
    expect(hosts("127.0.3.4-6", "--exclude", "127.0.3.5/32,127.0.3.0/31,127.0.0.0/9,127.0.3.0/24"), [])


@test("a list that cannot be read is told, and is no empty list")
def _():
    done = scan("-s", "ldap=1", "-f", "/", status=3)
    expect_in("/:1: cannot be read", done.err)


def catches(pid, number):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"SigCgt:\s+(\w+)", file.read()).group(1), 16) >> (number - 1) & 1


@test("a range of which all is excluded can be interrupted")
def _():
    process = start("-s", "ldap=1", "::/66", "--exclude", "::/64", env=CUT_SHORT)
    while process.poll() is None and not catches(process.pid, signal.SIGINT):
        pass
    process.send_signal(signal.SIGINT)
    expect(finish(process).status, 130, "status")


@test("--exclude with a file: comments, commas, CRLF, lines of any length")
def _():
    with list_of("# not these\n127.0.3.1 # ours\r\n127.0.3.2, 127.0.3.3\n\n127.0.3.8/30\n") as path:
        expect(hosts("127.0.3.0/28", "--exclude", path), [f"127.0.3.{n}" for n in (0, 4, 5, 6, 7, 12, 13, 14, 15)])
    for length in (4090, 4091, 4092, 4093, 4094, 4095, 4096, 5000):
        words = ",".join(addresses("127.9.0.0", 600))[:length - 11].rsplit(",", 1)[0]
        with list_of(words + " " * (length - 11 - len(words)) + ",127.0.3.99\n") as path:
            expect(hosts("127.0.3.98-100", "--exclude", path), ["127.0.3.98", "127.0.3.100"], f"with {length} bytes")


@test("an excluded name leaves out that target, not its addresses; and --help says so")
def _():
    expect(hosts("-4", "127.0.0.1", "localhost", "--exclude", "localhost"), ["127.0.0.1"])
    expect_in("not its addresses", " ".join(scan("--help").out.split()))


@test("--exclude with files and addresses in one list")
def _():
    with list_of("127.0.3.1\n") as one, list_of("127.0.3.2\n") as two:
        expect(hosts("127.0.3.0/29", "--exclude", f"{one},127.0.3.4-7,{two}"), ["127.0.3.0", "127.0.3.3"])


@test("a bad line of a file of exclusions is named, and nothing is scanned")
def _():
    with list_of("127.0.3.1\n127.0.3.0/99\n") as path:
        done = scan("--exclude", path, "127.0.3.2", "-s", "ldap=1", status=2)
    expect(done.out, "")
    expect_in(path + ":2: ", done.err)
    expect_in("127.0.3.0/99", done.err)


@test("what cannot be read as exclusions stops the scan")
def _():
    with folder() as path, socket.socket(socket.AF_UNIX) as server:
        server.bind(path + "/socket")
        for word in (path, path + "/socket", f"127.0.3.9,{path}/socket"):
            done = scan("--exclude", word, "127.0.3.2", "-s", "ldap=1", status=2)
            expect(done.out, "")
            expect_in("No such device" if "socket" in word else "Is a directory", done.err)


@test("an excluded address is not reached in another spelling")
def _():
    for word in ("127.1", "0x7f000001", "127.0.0.1:80", "::ffff:127.0.0.1", "[::ffff:7f00:1]:80"):
        expect(hosts(word, "--exclude", "127.0.0.1"), [], word)
    expect(hosts("::1", "0:0::1", "[::1]:80", "--exclude", "::1"), [])


@test("a whole IPv6 network can be excluded")
def _():
    expect(hosts("2001:db8:1::1", "::1", "--exclude", "2001:db8::/32"), ["::1"])
    expect(hosts("::1", "127.0.3.1", "--exclude", "::/0"), ["127.0.3.1"])
    expect(hosts("::1", "--exclude", "8000::/1,0:0:0:1::/64"), ["::1"])


@test("exclusion goes for files, and does not make a run fail")
def _():
    with list_of("127.0.3.1\n127.0.3.2:22\n127.0.3.3\n") as path:
        expect(hosts("-f", path, "--exclude", "127.0.3.1-2"), ["127.0.3.3"])


@test("nothing left to scan: why, in a line on standard error, and no failure")
def _():
    with list_of("# none yet\n") as empty, list_of("127.0.3.1\n") as one:
        for words, why in ((["127.0.3.1-2", "--exclude", "127.0.3.0/24"], "all were excluded"),
                           (["-f", one, "--exclude", "127.0.3.0/24"], "all were excluded"),
                           (["-f", empty], "the list holds no target"),
                           (["-f", empty, "-f", empty], "the lists hold no target"),
                           (["--shard", "2/2", "127.0.3.1"], "this shard has no target")):
            expect(scan("-s", "ldap=1", *words).err, f"scan: no host was scanned: {why}\n")
            expect(scan("-q", "-s", "ldap=1", *words).err, "")
        expect(scan("-s", "ldap=1", "127.0.3.1-2", "--exclude", "127.0.3.2").err, "")


# --- shards and order ------------------------------------------------------------------------------------------------

# No names, which wait for their look-up and so leave the order.
WORDS = ["127.0.3.0/27", "127.0.4.1:81", "127.0.5.200-210", "::1"]
LINES = "127.0.6.0/28\n127.0.7.1:82\n\nbad line\n127.0.7.4-7\n" + "".join(f"127.0.8.{n}\n" for n in range(9))


@test("shards have every target exactly once, whatever their number and the order")
def _():
    with list_of(LINES) as path:
        for words in (WORDS, ["-f", path], [*WORDS, "-f", path]):
            status = 3 if "-f" in words else 0
            whole = hosts(*words, status=status)
            for order in ([], ["--shuffle", "--seed", 5]):
                for count in (1, 2, 3, 7):
                    parts = [hosts("--shard", f"{i}/{count}", *order, *words, status=status)
                             for i in range(1, count + 1)]
                    expect(sorted(host for part in parts for host in part), sorted(whole), f"{count} shards")
                    sizes = [len(part) for part in parts]
                    expect_true(max(sizes) - min(sizes) <= 2, f"shards of {sizes}")


@test("--shuffle is a permutation, by the seed")
def _():
    with list_of(LINES.replace("bad line\n", "")) as path:
        for words in (["127.0.3.0/24"], WORDS, ["127.0.3.1"], ["-f", path]):
            plain = hosts(*words)
            one, again, other = (hosts("--shuffle", "--seed", seed, *words) for seed in (1, 1, 2))
            expect(one, again, "the same seed twice")
            expect(sorted(one), sorted(plain), "targets")
            if len(words) > 1 or "/" in words[0]:
                expect_true(one != plain and one != other, "the order does not change")


@test("--shuffle without a seed is another order each time")
def _():
    expect_true(len({tuple(hosts("--shuffle", "127.0.3.0/26")) for _ in range(3)}) > 1, "the same order each time")


@test("a shuffled /8 begins at once, all over the place")
def _():
    with closed_port() as port:
        process = start("--json", "--shuffle", "--seed", 3, "-P", 1, "-j", 1, "-s", f"ldap={port}", "127.0.0.0/8",
                        env=CUT_SHORT)
        reader = Reader(process.stdout)
        seen = [int(ipaddress.ip_address(record(reader.line())["host"])) & 0xffffff for _ in range(400)]
        process.send_signal(signal.SIGINT)
        finish(process)
    expect(len(set(seen)), 400, "different hosts")
    expect({host >> 20 for host in seen}, set(range(16)), "parts")


run()
