#!/usr/bin/python3
"""Probes as files: dropped in, overriding, with arguments; bad ones are named and the others run all the same."""
import json
import os
import re
import shutil

from harness import (SCAN, Server, closed_port, expect, expect_in, expect_not_in, expect_true, finish, folder, greeter,
                     run, scan, start, test)

TEN_LINES = """
-- Finger (RFC 1288): who is there?
return {
  about = "who is there",
  services = { { name = "finger", port = %d } },
  greeting = "^FINGER",
  probe = function(conn, report)
    conn:write("\\r\\n")
    report("users", conn:readline())
  end,
}"""

GOOD = """return { about = "good", services = { { name = "good", port = %d } },
  probe = function(conn, report) report("line", (conn:readline())) end }"""


def finger(sock):
    expect(sock.recv(100), b"\r\n", "the question")
    sock.sendall(b"FINGER: nobody at home\r\n")


# --- probes of one's own ---------------------------------------------------------------------------------------------

@test("a new file of ten lines in -S DIR is part of the scan, behind the others")
def _():
    with Server(finger) as server, folder(finger_lua=TEN_LINES % server.port) as path:
        lines = scan("-S", path, "127.0.0.1").out.splitlines()
    expect(lines[-2:], [f"port {server.port} (finger) open.", "FINGER: nobody at home"])
    expect(len([line for line in lines if line.startswith("port ")]), 18, "services")


@test("the same as a file named with -S, in SCAN_SCRIPTS, and two folders at once")
def _():
    with Server(finger) as server, folder(finger_lua=TEN_LINES % server.port) as path, \
            greeter(b"hi\n") as other, folder(good_lua=GOOD % other.port) as second:
        tail = [f"port {server.port} (finger) open.", "FINGER: nobody at home"]
        expect(scan("-S", path + "/finger.lua", "127.0.0.1").out.splitlines()[-2:], tail)
        expect(scan("127.0.0.1", env={"SCAN_SCRIPTS": path}).out.splitlines()[-2:], tail)
        both = scan("-S", path, "-S", second, "-s", "good,finger", "127.0.0.1").out.splitlines()
        expect(both[1:], [f"port {other.port} (good) open.", "hi", *tail])
        expect_in("finger", scan("--list", "-S", path).out)


@test("a new file beside the program is part of the scan")
def _():
    with folder() as path, Server(finger) as server:
        shutil.copy(SCAN, path + "/scan")
        shutil.copytree(os.path.realpath(os.path.dirname(SCAN) + "/scripts"), path + "/scripts")
        with open(path + "/scripts/finger.lua", "w", encoding="utf-8") as file:
            file.write(TEN_LINES % server.port)
        lines = finish(start("127.0.0.1", executable=path + "/scan")).out.splitlines()
    expect(lines[-2:], [f"port {server.port} (finger) open.", "FINGER: nobody at home"])


@test("host:port of a new probe's port runs that probe")
def _():
    with Server(finger) as server, folder(finger_lua=TEN_LINES % server.port) as path:
        expect(scan("-S", path, f"127.0.0.1:{server.port}").out,
               f"Testing 127.0.0.1:\nport {server.port} (finger) open.\nFINGER: nobody at home\n")


@test("the greeting of a new probe names its servers on others' ports")
def _():
    with greeter(b"FINGER 1.0\r\n") as server, folder(finger_lua=TEN_LINES % 7979) as path:
        expect_in("this is finger, not ssh", scan("-S", path, "-s", f"ssh={server.port}", "127.0.0.1").out)
        expect_in("looks like finger", scan("-S", path, f"127.0.0.1:{server.port}").out)


@test("a file of the name of a shipped probe takes its place")
def _():
    mine = """return { about = "mine", services = { { name = "ssh", port = 22 } },
                       probe = function(conn, report) report("mine", "mine: " .. conn:readline()) end }"""
    with greeter(b"SSH-2.0-x\r\n") as server, folder(ssh_lua=mine) as path:
        expect(scan("-S", path, "-s", f"ssh={server.port}", "127.0.0.1").out,
               f"Testing 127.0.0.1:\nport {server.port} (ssh) open.\nmine: SSH-2.0-x\n")
        listed = scan("-S", path, "--list").out
        expect_in("mine", listed)
        expect(len(re.findall(r"(?m)^ssh ", listed)), 1, "ssh in the list")


@test("of two folders the one named first wins, and both win over SCAN_SCRIPTS")
def _():
    def mine(word):
        return f"""return {{ about = "{word}", services = {{ {{ name = "ssh", port = 22 }} }} }}"""
    with folder(ssh_lua=mine("first")) as one, folder(ssh_lua=mine("second")) as two, \
            folder(ssh_lua=mine("third")) as three:
        expect_in("ssh: first\n", scan("-S", one, "-S", two, "--describe", "ssh", env={"SCAN_SCRIPTS": three}).out)
        expect_in("ssh: second\n", scan("-S", two, "-S", one, "--describe", "ssh", env={"SCAN_SCRIPTS": three}).out)
        expect_in("ssh: third\n", scan("--describe", "ssh", env={"SCAN_SCRIPTS": three}).out)


@test("a probe uses the shipped libraries, and its folder's own before them")
def _():
    uses = """local reply = require "reply"
      return { about = "x", services = { { name = "uses", port = 1 } },
               probe = function(conn, report) report("code", reply.greeting(conn, report).code, "code " .. %s) end }"""
    with greeter(b"220-a\r\n220 b\r\n") as server:
        with folder(uses_lua=uses % "'shipped'") as path:
            done = scan("-S", path, "-s", f"uses={server.port}", "127.0.0.1")
            expect(done.out.splitlines()[2:], ["220-a", "220 b", "code shipped"])
            os.mkdir(path + "/lib")
            with open(path + "/lib/reply.lua", "w", encoding="utf-8") as file:
                file.write("return { greeting = function() return { code = 'own' } end }")
        # and with a library of its own beside it
        with folder(uses_lua=uses % "reply.greeting(conn).code") as path:
            os.mkdir(path + "/lib")
            with open(path + "/lib/reply.lua", "w", encoding="utf-8") as file:
                file.write("return { greeting = function() return { code = 'own' } end }")
            done = scan("-S", path, "-s", f"uses={server.port}", "127.0.0.1")
            expect(done.out.splitlines()[2:], ["code own"])


@test("a probe named as a file uses the libraries beside it, and one that does not compile is told with its line")
def _():
    uses = """local x = require "%s"
      return { about = "x", services = { { name = "solo", port = 1 } },
               probe = function(conn, report) report("word", x.word, x.word .. require("reply").word) end }"""
    with greeter() as server, folder(solo_lua=uses % "mine", evil_lua=uses % "broken") as path:
        os.mkdir(path + "/lib")
        for name, text in {"mine": "return { word = 'own' }", "reply": "return { word = ' before' }",
                           "broken": "\nlocal x = = 1"}.items():
            with open(f"{path}/lib/{name}.lua", "w", encoding="utf-8") as file:
                file.write(text)
        with open(path + "/solo.conversation", "w", encoding="utf-8") as file:
            file.write("service: solo\nscript: solo.lua\n\nR: own before\n")
        for where, cwd in {f"{path}/solo.lua": "/", "solo.lua": path}.items():
            for trust in [], ["--trust"]:
                done = scan("-S", where, *trust, "-s", f"solo={server.port}", "127.0.0.1", cwd=cwd)
                expect(done.out.splitlines()[2:], ["own before"], f"{where} {trust}")
            expect(scan("--check", where, cwd=cwd).out, f"ok {where}\n")
        expect(scan("--replay", path + "/solo.conversation").out, f"ok {path}/solo.conversation\n")
        told = f"{path}/evil.lua:1: {path}/lib/broken.lua:2: unexpected symbol near '='"
        expect_in(told, scan("-S", path + "/evil.lua", "--list").err)
        expect_in(told, scan("--check", path + "/evil.lua", status=1).out)


@test("a trusted probe that asks for a field of what is no conn is told so")
def _():
    text = """return { about = "x", services = { { name = "solo", port = 1 } }, probe = function(conn, report)
      local index = debug.getmetatable(conn).__index
      for _, what in ipairs { {}, 1, io.stdout } do report("ok", pcall(index, what, "port")) end
    end }"""
    with greeter() as server, folder(solo_lua=text) as path:
        done = scan("--json", "-S", path + "/solo.lua", "--trust", "-s", f"solo={server.port}", "127.0.0.1")
    expect(done.records[0]["data"], {"ok": False})


RAISING = """local raising = {}
function raising.says() error("wants a text") end
function raising.blames() error("wants a text", 2) end
function raising.fails(x) local y = x.y.z return y end
function raising.writes(conn) conn:write({}) end
function raising.calls(f) f() return 1 end
return raising
"""


@test("what a library raises is told with the probe's line, and the library's behind it")
def _():
    for call, told in {
            "raising.says()": r"/evil\.lua:3: wants a text \(\S+/lib/raising\.lua:2\)",
            "raising.blames()": r"/evil\.lua:3: wants a text",
            "raising.fails({})": r"/evil\.lua:3: attempt to index a nil value \(field 'y'\) \(\S+/lib/raising\.lua:4\)",
            "raising.writes(conn)": r"/evil\.lua:3: bad argument #1 to 'write' .*\) \(\S+/lib/raising\.lua:5\)",
            "raising.calls(function() error('mine') end)": r"/evil\.lua:3: mine",
            "raising.calls(raising.says)": r"/evil\.lua:3: wants a text \(\S+/lib/raising\.lua:2\)"}.items():
        probe = f"""local raising = require "raising"
          return {{ about = "x", services = {{ {{ name = "evil", port = 1 }} }}, probe = function(conn, report)
            {call}
            end }}"""
        with greeter() as server, folder(evil_lua=probe) as path:
            os.mkdir(path + "/lib")
            with open(path + "/lib/raising.lua", "w", encoding="utf-8") as file:
                file.write(RAISING)
            done = scan("-S", path, "-s", f"evil={server.port}", "--json", "127.0.0.1", status=4)
            message = json.loads(done.out)["error"]["message"]
            expect(bool(re.fullmatch(r"\S*" + told, message)), True, f"{call}: {message}")


@test("a library that cannot be loaded is told with the probe's line")
def _():
    with folder(evil_lua='local x = 1\nlocal raising = require "raising"\nreturn {}') as path:
        os.mkdir(path + "/lib")
        with open(path + "/lib/raising.lua", "w", encoding="utf-8") as file:
            file.write("\nerror('not today')\n")
        told = scan("-S", path, "--list").err
        expect_in(f"{path}/evil.lua:2: not today ({path}/lib/raising.lua:2)", told)


@test("groups of one's own folder add to the shipped ones and go before them")
def _():
    with folder(groups_lua='return { web = { "ssh" }, mine = { "smtp", "ssh" } }') as path, closed_port() as port:
        expect(re.findall(r"\((\w+)\)", scan("-S", path, "-s", "@mine", f"127.0.0.1:{port}").out), ["smtp", "ssh"])
        expect(re.findall(r"\((\w+)\)", scan("-S", path, "-s", "@web", f"127.0.0.1:{port}").out), ["ssh"])
        expect(len(re.findall(r"\((\w+)\)", scan("-S", path, "-s", "@login", f"127.0.0.1:{port}").out)), 2, "@login")


@test("arguments reach the probe with their types, defaults too")
def _():
    probe = """return { about = "x", services = { { name = "typed", port = 1 } },
      args = { times = { default = 3, about = "n" }, loud = { default = false, about = "b" }, word = { about = "t" },
               name = { default = "d", about = "t" } },
      probe = function(conn, report, args)
        for _, key in ipairs { "times", "loud", "word", "name" } do
          report(key, args[key], key .. " " .. type(args[key]) .. " " .. tostring(args[key]))
        end
      end }"""
    with greeter() as server, folder(typed_lua=probe) as path:
        words = ["-S", path, "-s", f"typed={server.port}", "127.0.0.1"]
        expect(scan(*words).out.splitlines()[2:],
               ["times number 3.0", "loud boolean false", "word nil nil", "name string d"])
        given = ["-a", "typed.times=7", "--arg", "typed.loud=true", "--arg=typed.word=a=b", "-atyped.name="]
        expect(scan(*words, *given).out.splitlines()[2:],
               ["times number 7.0", "loud boolean true", "word string a=b", "name string "])
        expect(scan(*words, "-a", "typed.name=one", "-a", "typed.name=two").out.splitlines()[-1], "name string two")


# --- bad files -------------------------------------------------------------------------------------------------------

PROBE = 'about = "x", services = { { name = "bad", port = 4711 } }'
BAD = {
    "a syntax error": ("return {\n  about = = 1\n}", ":2: ", "'='"),
    "an unfinished text": ("\n\nlocal x = 'abc\nreturn {}", ":3: ", "unfinished string"),
    "an error while it loads": ("local t = nil\nt.x = 1\nreturn {}", ":2: ", "nil"),
    "no table": ("return 42", ": ", "table"),
    "nothing at all": ("", ": ", "table"),
    "no about": ('return { services = { { name = "bad", port = 4711 } } }', ": ", "about"),
    "no services": ('return { about = "x" }', ": ", "services"),
    "empty services": ('return { about = "x", services = {} }', ": ", "services"),
    "an unknown field": ("return { %s, prob = 1 }" % PROBE, ": ", '"prob"'),
    "an unknown field of a service":
        ('return { about = "x", services = { { name = "b", prot = 1 } } }', ": ", '"prot"'),
    "a port too large": ('return { about = "x", services = { { name = "b", port = 65536 } } }', ": ", "1 to 65535"),
    "a port of 0": ('return { about = "x", services = { { name = "b", port = 0 } } }', ": ", "1 to 65535"),
    "a port that is text": ('return { about = "x", services = { { name = "b", port = "22" } } }', ": ", "1 to 65535"),
    "a half port": ('return { about = "x", services = { { name = "b", port = 22.5 } } }', ": ", "1 to 65535"),
    "a bad name": ('return { about = "x", services = { { name = "B d", port = 22 } } }', ": ", "name"),
    "no name": ('return { about = "x", services = { { port = 22 } } }', ": ", "name"),
    "tls that is text": ('return { about = "x", services = { { name = "b", port = 2, tls = "yes" } } }', ": ", "tls"),
    "a probe that is text": ('return { %s, probe = "x" }' % PROBE, ": ", "probe"),
    "a greeting that is no pattern": ('return { %s, greeting = "[a" }' % PROBE, ": ", "greeting"),
    "an argument that is no table": ("return { %s, args = { x = 1 } }" % PROBE, ": ", "args.x"),
    "a default that is a table": ("return { %s, args = { x = { default = {} } } }" % PROBE, ": ", "default"),
    "about that is a number": ('return { about = 7, services = { { name = "b", port = 1 } } }', ": ", "about must be a text"),
    "arguments that are no table": ("return { %s, args = 1 }" % PROBE, ": ", "args must be a table"),
    "an argument with a bad name": ('return { %s, args = { ["A b"] = {} } }' % PROBE, ": ", "the name of an argument"),
    "a greeting that is a number": ("return { %s, greeting = 220 }" % PROBE, ": ", "greeting must be"),
    "a list of greetings with a number": ("return { %s, greeting = { '^x', 220 } }" % PROBE, ": ", "greeting must be"),
    "too many greetings": ("local t = {} for i = 1, 65 do t[i] = 'x' end return { %s, greeting = t }" % PROBE, ": ", "more than 64"),
    "fields that are no list": ("return { %s, fields = 'banner' }" % PROBE, ": ", "fields must be"),
    "a field that is a number": ("return { %s, fields = { 'banner', 2 } }" % PROBE, ": ", "fields[2] must be a text"),
    "an unknown library": ('local x = require "nosuch"\nreturn {}', ":1: ", "nosuch"),
    "a library outside lib": ('local x = require "../ssh"\nreturn {}', ":1: ", "../ssh"),
    "a function that is not there": ("os.execute('true')\nreturn {}", ":1: ", "os"),
    "an endless loop while it loads": ("while true do end", ":1: ", "CPU"),
    "all memory while it loads":
        ("local t = {}\nfor i = 1, 1e9 do t[i] = (('x'):rep(1000)):rep(100) .. i end", ": ", "memory"),
    "Lua that is compiled": (b"\x1bLua\x54\x00\x19\x93\r\n\x1a\n", ": ", "binary"),
    "a file of 300 KiB": ("-- " + "x" * 300000 + "\nreturn {}", ": ", "256 KiB"),
}


def refuse(source, place, part):
    with greeter(b"hello\n") as server, folder(good_lua=GOOD % server.port, bad_lua=source) as path:
        done = scan("-S", path, "-s", "good,ssh=1", "127.127.127.127", "127.0.0.1", status=4)
        expect(done.err.count("\n"), 1, "lines on standard error")
        expect_true(done.err.startswith(f"scan: {path}/bad.lua{place}"), f"no place in {done.err}")
        expect_in(part, done.err)
        expect(done.out, f"""Testing 127.127.127.127:
port {server.port} (good) not open: [connect] Connection refused
port 1 (ssh) not open: [connect] Connection refused
Testing 127.0.0.1:
port {server.port} (good) open.
hello
port 1 (ssh) not open: [connect] Connection refused
""")


for what, (text, where, why) in BAD.items():
    test(f"a bad file: {what}")(lambda text=text, where=where, why=why: refuse(text, where, why))


@test("a bad file takes the place of a shipped probe all the same")
def _():
    with folder(ssh_lua="return 1") as path, closed_port() as port:
        expect_in("no service \"ssh\"", scan("-S", path, "-s", f"ssh={port}", "127.0.0.1", status=2).err)
        expect_not_in("(ssh)", scan("-S", path, "127.0.0.1", status=4).out)


@test("several bad files are all named")
def _():
    with folder(a_lua="return 1", b_lua="return 2", c_lua="return 3") as path, closed_port() as port:
        done = scan("-S", path, "-s", f"ssh={port}", "127.0.0.1", status=4)
    expect([re.search(r"/(\w)\.lua:", line).group(1) for line in done.err.splitlines()], ["a", "b", "c"])


@test("bad groups are named")
def _():
    for text, part in (("return {\n x = = }", ":2: "), ("return 1", "a table of groups"), ("return { x = 'ssh' }", "a group is NAME = {"),
                       ("return { { 'ssh' } }", "a group is NAME = {"), ("return { ['a b'] = { 'ssh' } }", "a group is NAME = {"),
                       ("return { x = { 'ssh', 7 } }", "x[2] must be the name of a service"),
                       ("local t = {} for i = 1, 1001 do t[i] = 'ssh' end return { x = t }", "x has more than 1000 members")):
        with folder(groups_lua=text) as path, closed_port() as port:
            done = scan("-S", path, "-s", f"ssh={port}", "127.0.0.1", status=4)
        expect_in("groups.lua:", done.err)
        expect_in(part, done.err)


@test("a folder, a pipe or a broken link of the name of a script is named, not waited for")
def _():
    with folder() as path, closed_port() as port:
        os.mkdir(path + "/dir.lua")
        os.mkfifo(path + "/pipe.lua")
        os.symlink("/proc/nonexistent", path + "/link.lua")
        done = scan("-S", path, "-s", f"ssh={port}", "127.0.0.1", status=4, patience=5)
    for name in ("dir.lua", "pipe.lua", "link.lua"):
        expect_in(name, done.err)


@test("other files of a folder are left alone")
def _():
    with folder(notes_txt="x", hidden_lua="x", good_lua=GOOD % 1) as path, closed_port() as port:
        os.rename(path + "/hidden.lua", path + "/.hidden.lua")
        expect(scan("-S", path, "-s", f"ssh={port}", "127.0.0.1").err, "")


# --- bad probes ------------------------------------------------------------------------------------------------------

def broken(body, *options, status=4):
    """What comes of a probe with this body between two good services."""
    probe = """return { about = "x", services = { { name = "bad", port = 1 } },
  probe = function(conn, report)
    report("before", "said before");
    %s
  end }""" % body
    fine = GOOD.replace('"good"', '"fine"') % 1
    with greeter(b"hello\n") as server, folder(bad_lua=probe, good_lua=GOOD % 1, fine_lua=fine) as path:
        services = f"good={server.port},bad={server.port},fine={server.port}"
        done = scan("-S", path, "-s", services, "--reply-timeout", 3, "127.0.0.1", *options, status=status,
                    patience=30)
        done.path, done.port = path + "/bad.lua", server.port
    if status == 4 and not options:
        expect(done.out, f"""Testing 127.0.0.1:
port {server.port} (good) open.
hello
port {server.port} (bad) open.
said before
port {server.port} (fine) open.
hello
""")
    return done


@test("a bug in a probe: file and line on standard error, the other services go on, status 4")
def _():
    done = broken("local x = nil\n    x.y = 1")
    expect(done.err.count("\n"), 1, done.err)
    for part in ("scan: ", " bad ", "127.0.0.1", f"port {done.port}", done.path + ":5: ", "nil"):
        expect_in(part, done.err)
    expect_not_in("traceback", done.err)


@test("a bug that shows in a library is told with the probe's line; the traceback has the library's")
def _():
    library = "local fine = {}\nfunction fine.check(n)\n  if not n then error('a number is missing') end\n  return n + 1\nend\nreturn fine\n"
    for call, words in (("fine.check()", "a number is missing"), ("fine.check({})", "attempt to perform arithmetic on a table value"),
                        ("pcall(fine.check) fine.check({})", "attempt to perform")):
        text = ('local fine = require "fine"\nreturn { about = "x", services = { { name = "mine" } },\n  probe = function(conn)\n'
                f"    {call}\n  end }}\n")
        with folder(mine_lua=text) as path, greeter(b"hello\r\n") as server:
            os.mkdir(path + "/lib")
            with open(path + "/lib/fine.lua", "w", encoding="utf-8") as file:
                file.write(library)
            done = scan("-v", "-S", path, "-s", f"mine={server.port}", "127.0.0.1", status=4)
            expect_in(f"{path}/mine.lua:4: {words}", done.err)
            expect_in(f"{path}/lib/fine.lua:", done.err)


@test("with -v there is a traceback")
def _():
    done = broken("local function inner() error('deep down') end\n    inner()", "-v")
    expect_in("traceback", done.err)
    expect_in("inner", done.err)
    expect_in(done.path + ":4: deep down", done.err)


@test("the record of a bug")
def _():
    done = broken("error('so what')", "--json")
    found, = [found for found in done.records if found["service"] == "bad"]
    expect(found["state"], "open")
    expect(found["data"], {"before": "said before"})
    expect([found["error"]["phase"], found["error"]["code"]], ["script", "script-error"])
    expect_in("bad.lua:4: so what", found["error"]["message"])


for what, body in {
    "an error without words": "error()",
    "an error that is a table": "error({})",
    "an error that is a table with a wild tostring":
        "error(setmetatable({}, { __tostring = function() while true do end end }))",
    "an error that looks like a socket error": "error({ phase = 'read', code = 'x', message = 'y' })",
    "a call of nothing": "report.nothing('x')",
    "a value that cannot be recorded": "report('f', function() end)",
    "a table that holds itself": "local t = {} t.t = t report('t', t)",
    "a table that is too large": "local t = {} for i = 1, 1000 do t[i] = i end report('t', t)",
    "a wrong argument": "conn:readline('soon')",
    "too many connections": "for i = 1, 5 do scan.connect(conn.port) end",
    "a recursion without end": "local function f() return 1 + f() end f()",
    "a text of a gigabyte": "local s = ('x'):rep(1e9)",
    "memory without end": "local t = {} while true do t[#t + 1] = ('x'):rep(10000) .. #t end",
    "waiting in a sort": "table.sort({ 3, 2, 1 }, function() conn:readline() end)",
    "a connection that was closed": "conn:close() conn:readline()",
}.items():
    test(f"a bad probe: {what}")(lambda body=body: expect_in("bad.lua", broken(body).err))

for what, body in {
    "a loop without end": "while true do end",
    "a loop that catches errors": "while true do pcall(function() while true do end end) end",
    "a loop in a sort": "table.sort({ 3, 2, 1 }, function() while true do end end)",
    "a loop in gsub": "('x'):gsub('.', function() while true do pcall(function() while true do end end) end end)",
    "a pattern that takes for ever": "(('a'):rep(40)):find(('.-'):rep(12) .. 'b')",
    "a search that takes for ever": "((' '):rep(64000) .. 'x'):find('%s+$')",
}.items():
    @test(f"a bad probe is stopped and named: {what}")
    def _(body=body):
        done = broken(body)
        expect_in("bad.lua", done.err)
        expect_true(done.seconds < 10, f"took {done.seconds:.1f} s")


@test("a probe that is stopped on one host is stopped on all, and the rest of each is right")
def _():
    bad = GOOD.replace("good", "bad").replace("report(", "while true do end report(") % 1
    with greeter(b"hello\n", address="0.0.0.0") as server, folder(good_lua=GOOD % 1, bad_lua=bad) as path:
        done = scan("-S", path, "-s", f"bad={server.port},good={server.port}", "127.5.0.1-12", "-j", 2, status=4)
    expect(done.out.count("(good) open.\nhello\n"), 12, "good ones")
    expect(done.err.count("CPU"), 12, "stopped ones")


@test("a socket error that a probe does not catch is no bug")
def _():
    done = broken("conn:readline() conn:readline()", status=0)
    expect_in("said before\n[read] no ", done.out)
    expect(done.err, "")


@test("a probe cannot reach the system, nor leave a trace for the next")
def _():
    body = r"""
    local seen = {}
    for _, name in ipairs { "os", "io", "debug", "package", "coroutine", "load", "loadfile", "dofile", "print",
                            "collectgarbage", "xpcall" } do
      if _G[name] ~= nil then seen[#seen + 1] = name end
    end
    if string.dump then seen[#seen + 1] = "string.dump" end
    report("seen", #seen, "seen: " .. table.concat(seen, " "))
    report("left", trace or "none", "left: " .. tostring(trace or string.trace))
    trace, string.trace, string.find = "here", "here", nil
    """
    probe = GOOD.replace("report(", body + " report(", 1)
    other = probe.replace("good", "other") % 1
    with greeter(b"hello\n") as server, folder(good_lua=probe % 1, other_lua=other) as path:
        done = scan("-S", path, "-s", f"good={server.port},other={server.port}", "-P", 1, "127.0.0.1")
    expect(re.findall(r"seen: (.*)", done.out), [""] * 2)
    expect(re.findall(r"left: (.*)", done.out), ["nil"] * 2)


run()
