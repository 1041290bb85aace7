#!/usr/bin/python3
"""Wrong use is named, with the way out, before anything is connected to; and what scan tells of itself."""
import json
import re

from harness import Schema, expect, expect_in, expect_not_in, expect_true, greeter, folder, run, scan, test

# The words, and what the line on standard error must have in it: the word that is wrong, the way out. A port of a
# server stands for PORT: none of these may connect to it.
WRONG = [
    ("an option one letter off", "--opne 127.0.0.1:PORT", ["--opne", "did you mean --open?"]),
    ("an option like no other", "--zzzzzz 127.0.0.1:PORT", ["--zzzzzz", "--help"]),
    ("a letter that is no option", "-x 127.0.0.1:PORT", ["-x", "--help"]),
    ("an option behind the target", "127.0.0.1:PORT --opne", ["--opne", "--open"]),
    ("an option without its value", "127.0.0.1:PORT --connect-timeout", ["--connect-timeout", "seconds"]),
    ("an option in place of a value", "-o --json 127.0.0.1:PORT", ["-o", "--json"]),
    ("a flag with a value", "--json=yes 127.0.0.1:PORT", ["--json", "yes"]),
    ("seconds that are none", "--reply-timeout ten 127.0.0.1:PORT", ["--reply-timeout", "ten"]),
    ("no seconds at all", "--deadline 0 127.0.0.1:PORT", ["--deadline", "0"]),
    ("no connections at all", "-P 0 127.0.0.1:PORT", ["-P", "0"]),
    ("a rate below none", "--rate=-1 127.0.0.1:PORT", ["--rate", "-1"]),
    ("two families", "-4 -6 127.0.0.1:PORT", ["-4", "-6"]),
    ("-s twice", "-s ssh -s smtp 127.0.0.1:PORT", ["-s", "ssh,smtp"]),
    ("a service one letter off", "-s smpt=PORT 127.0.0.1", ["smpt", "did you mean smtp?", "--list"]),
    ("a wrong service behind right ones", "-s ssh=PORT,smtp=PORT,htpt 127.0.0.1", ["htpt", "http"]),
    ("a port in place of a service", "-s 10022 127.0.0.1:PORT", ["10022", "HOST:10022", "-s NAME=10022"]),
    ("-p as other scanners have it", "-p 22 127.0.0.1:PORT", ["-p", "HOST:PORT", "-s NAME=PORT"]),
    ("-p with its number", "-p22,25 127.0.0.1:PORT", ["-p", "HOST:PORT", "-s NAME=PORT"]),
    ("--port of a scan", "--port 22 127.0.0.1:PORT", ["--port", "HOST:PORT", "-s NAME=PORT"]),
    ("a group that is none", "-s @mial 127.0.0.1:PORT", ["@mial", "@mail", "--list"]),
    ("an empty place in the list", "-s ssh=PORT,,smtp=PORT 127.0.0.1", ["empty"]),
    ("a port of a service that is none", "-s ssh=PORT,smtp=70000 127.0.0.1", ["70000", "1 to 65535"]),
    ("a service without a port", "-s ssh=PORT,unknown 127.0.0.1", ["unknown", "=PORT"]),
    ("an argument one letter off", "-a smtp.elho=x -s smtp=PORT 127.0.0.1", ["smtp.elho", "smtp.ehlo"]),
    ("an argument of no probe", "-a ssh.key=x -s ssh=PORT 127.0.0.1", ["ssh.key"]),
    ("an argument without its value", "-a smtp.ehlo -s smtp=PORT 127.0.0.1", ["smtp.ehlo", "NAME=VALUE"]),
    ("no target", "-s ssh=PORT", ["no target", "scan localhost"]),
    ("a wrong target behind a right one", "127.0.0.1:PORT 127.0.0.1:99999", ["127.0.0.1:99999", "65535"]),
    ("a bracket without its other", "127.0.0.1:PORT [::1", ["[::1", "]"]),
    ("an IPv6 address with too much", "127.0.0.1:PORT 1:2:3:4:5:6:7:8:9", ["1:2:3:4:5:6:7:8:9", "IPv6"]),
    ("a link-local address without its interface", "127.0.0.1:PORT fe80::1", ["fe80::1", "%"]),
    ("an interface that is not here", "127.0.0.1:PORT fe80::1%nosuch0", ["fe80::1%nosuch0", "interface"]),
    ("an IPv6 address for -4", "-4 127.0.0.1:PORT ::1", ["::1", "-4"]),
    ("an IPv4 range for -6", "-6 [::1]:PORT 127.0.0.0/30", ["127.0.0.0/30", "-6"]),
    ("a name that cannot be one", "127.0.0.1:PORT a..b", ["a..b", "empty"]),
    ("a network that is none", "127.0.0.1:PORT 10.0.0.0/33", ["10.0.0.0/33", "32"]),
    ("a range with a port", "127.0.0.1:PORT 127.0.1.0/29:10022", ["127.0.1.0/29:10022", "no port", "-s NAME=PORT"]),
    ("a range up to an address with a port", "127.0.0.1:PORT 127.0.1.1-3:10022", ["127.0.1.1-3:10022", "no port"]),
    ("a URL", "127.0.0.1:PORT http://127.0.1.2/", ["http://127.0.1.2/", "a URL", "host: 127.0.1.2\n"]),
    ("a URL with more in it", "127.0.0.1:PORT https://me@mail.example:8443?x", ["a URL", "host: mail.example:8443\n"]),
    ("a URL of an IPv6 host", "127.0.0.1:PORT https://[::1]:8443/x@y", ["a URL", "host: [::1]:8443\n"]),
    ("a URL without a host", "127.0.0.1:PORT file:///etc/hosts", ["a URL", "its host\n"]),
    ("a range that runs backwards", "127.0.0.1:PORT 10.0.0.9-3", ["10.0.0.9-3", "before"]),
    ("a file of targets that is not there", "127.0.0.1:PORT -f /proc/nonexistent/list",
     ["/proc/nonexistent/list", "No such"]),
    ("an exclusion that is none", "--exclude 10.0.0.0/33 127.0.0.1:PORT", ["10.0.0.0/33", "32"]),
    ("a file of exclusions that is not there", "--exclude dont-tuoch.txt,127.0.1.3 127.0.0.1:PORT",
     ["dont-tuoch.txt", "nor a file"]),
    ("a path of exclusions that is not there", "--exclude 127.0.1.3,/proc/nonexistent/list 127.0.0.1:PORT",
     ["/proc/nonexistent/list", "nor a file"]),
    ("a port to exclude", "--exclude 127.0.1.3:22 127.0.0.1:PORT", ["127.0.1.3:22", "no port"]),
    ("a port of a name to exclude", "--exclude localhost:22 127.0.0.1:PORT", ["localhost:22", "no port"]),
    ("a port of an IPv6 address to exclude", "--exclude [::1]:22 127.0.0.1:PORT", ["[::1]:22", "no port"]),
    ("a shard outside its number", "--shard 4/3 127.0.0.1:PORT", ["--shard", "4/3"]),
    ("shards that are none", "--shard 1 127.0.0.1:PORT", ["--shard", "I/N"]),
    ("a seed that is no number", "--shuffle --seed xyz 127.0.0.1:PORT", ["--seed", "xyz"]),
    ("a folder of scripts that is not there", "-S /proc/nonexistent/lua 127.0.0.1:PORT",
     ["/proc/nonexistent/lua", "No such"]),
    ("a folder to write to that is not there", "-o /proc/nonexistent/out 127.0.0.1:PORT",
     ["/proc/nonexistent/out", "No such"]),
    ("two questions at once", "--list --schema", ["--list", "--schema"]),
    ("--list with a target", "--list 127.0.0.1:PORT", ["--list", "127.0.0.1"]),
    ("--describe of a probe one letter off", "--describe smpt", ["smpt", "smtp", "--list"]),
]


def refuse(line, parts):
    with greeter(b"220 x\r\n") as server:
        done = scan(*line.replace("PORT", str(server.port)).split(), status=2)
    expect(done.out, "", "standard output")
    expect(done.err.count("\n"), 1, "lines on standard error")
    expect_true(done.err.startswith("scan: "), f"not said by scan: {done.err}")
    for part in parts:
        expect_in(part, done.err)
    expect(server.count, 0, "connections")


for what, words, wanted in WRONG:
    test(f"wrong use: {what}")(lambda words=words, wanted=wanted: refuse(words, wanted))


@test("an argument of the wrong type is refused")
def _():
    probe = """return { about = "x", services = { { name = "typed", port = 1 } },
                        args = { times = { default = 3, about = "n" }, loud = { default = false, about = "b" } } }"""
    with folder(typed_lua=probe) as path, greeter() as server:
        for setting, wanted in (("typed.times=many", "number"), ("typed.loud=perhaps", "true or false")):
            done = scan("-S", path, "-a", setting, "-s", f"typed={server.port}", "127.0.0.1", status=2)
            expect_in(setting.split("=", 1)[0], done.err)
            expect_in(setting.split("=", 1)[1], done.err)
            expect_in(wanted, done.err)
        expect(server.count, 0, "connections")


@test("wrong words reach the terminal escaped")
def _():
    for words in (["\x1b[2Jhost"], ["--\x1b[2J", "x"], ["-s", "\x1b[2J", "x"], ["-a", "a.\x1b[2J=1", "x"],
                  ["--describe", "\x1b[2J"], ["--exclude", "\x1b[2J/9", "x"], ["10.0.0.0/\x1b[2J"], ["http://\x1b[2J/"],
                  ["-f", "\x1b[2J"], ["-S", "\x1b[2J", "x"], ["--shard", "\u202e\x9b", "x"]):
        done = scan(*words, status=2)
        expect_true(not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.err), repr(done.err))
        expect_in("\\", done.err)


@test("scan alone gives the short help on standard error, status 2")
def _():
    done = scan(status=2)
    expect(done.out, "", "standard output")
    expect_in("scan localhost", done.err)
    expect_in("--help", done.err)


@test("--help goes to standard output and has every option")
def _():
    done = scan("--help")
    expect(done.err, "", "standard error")
    for option in """-s, --services; -S, --scripts; -a, --arg; -f, --file; --connect-timeout; --reply-timeout;
                     --deadline; -P, --parallel; --per-host; --rate; -j, --threads; --retries; -4, --ipv4; -6, --ipv6;
                     --all-addresses; -o, --output; --json; --open; -v, --verbose; -q, --quiet; --exclude; --shuffle;
                     --seed; --shard; --list; --describe; --schema; -h, --help; -V, --version""".split(";"):
        expect_true(re.search(rf"(?m)^ +{re.escape(option.strip())}\b", done.out), f"no {option.strip()} in {done.out}")
    for status in ("0", "2", "3", "4", "130, 143"):
        expect_true(re.search(rf"(?m)^ +{status}  ", done.out), f"no status {status}")
    expect_true(all(len(line) <= 80 for line in done.out.splitlines()), "a line of more than 80 columns")


@test("every option of --help exists")
def _():
    for option in re.findall(r"(?m)^ +(?:-\w, )?(--[a-z-]+)", scan("--help").out):
        expect_not_in("unknown option", scan(option, status=None, text=b"").err)


@test("-h is --help, -V is --version")
def _():
    expect(scan("-h").out, scan("--help").out)
    expect(scan("-V").out, scan("--version").out)


@test("--version is one line, name and number")
def _():
    done = scan("--version")
    expect_true(re.fullmatch(r"scan \d[\w.-]*\n", done.out), repr(done.out))
    expect(done.err, "")


@test("--help and --version are answered whatever else is there")
def _():
    expect_in("Use: ", scan("--help", "--opne", "a..b").out)
    expect_in("scan ", scan("--version", "-s", "nosuch").out)


@test("an option may be cut short as far as it is clear")
def _():
    expect(scan("--vers").out, scan("--version").out)
    done = scan("--s", "x", status=2)
    for name in ("--services", "--scripts", "--schema"):
        expect_in(name, done.err)


@test("--list has all services with their ports, and the groups")
def _():
    lines = scan("--list").out.splitlines()
    known = {line.split()[0]: line.split()[1] for line in lines if not line.startswith("@")}
    expected = dict(telnet=23, ssh=22, smtp=25, submission=587, smtps=465, pop2=109, pop3=110, imap=143, imaps=993,
                    pop3s=995, ftp=21, http=80, https=443, ipp=631, kerberos=88, ldap=389, ldaps=636)
    for name, port in expected.items():
        expect(known.get(name), str(port), name)
    groups = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("@")}
    expect(groups["@default"], list(expected), "@default")
    expect_in("@mail", groups)


@test("--list is the same each time")
def _():
    expect(len({scan("--list").out for _ in range(8)}), 1, "different lists")


@test("--describe knows a probe by its own name and by a service's")
def _():
    expect(scan("--describe", "submission").out, scan("--describe", "smtp").out)
    for part in ("smtp.lua", "465", "smtp.ehlo", "EHLO"):
        expect_in(part, scan("--describe", "smtp").out)


@test("--describe shows types and defaults of arguments")
def _():
    probe = """return { about = "what it is for", services = { { name = "typed", port = 4711, optional = true } },
                        args = { times = { default = 3, about = "how often" },
                                 loud = { default = true, about = "how" } } }"""
    with folder(typed_lua=probe) as path:
        shown = scan("-S", path, "--describe", "typed").out
    for part in ("what it is for", "4711", "optional", "typed.times=N", "default 3", "how often",
                 "typed.loud=true|false"):
        expect_in(part, shown)


@test("--schema is a JSON schema that refuses what is no record")
def _():
    rules = json.loads(scan("--schema").out)
    expect(rules["type"], "object")
    good = {"schema": 1, "host": "h", "address": None, "port": 25, "service": "smtp", "state": "closed", "ms": 0.5,
            "data": {}, "tls": None, "warnings": [], "error": None}
    expect(Schema(rules).faults(good), [])
    for key in good:
        expect_true(Schema(rules).faults({**good, key: [["no"]]} if key != "warnings" else {**good, key: "no"}),
                    f"any {key} will do")
        expect_true(Schema(rules).faults({other: value for other, value in good.items() if other != key}),
                    f"{key} may be left out")
    expect_true(Schema(rules).faults({**good, "more": 1}), "anything may be added")


run()
