#!/usr/bin/python3 -B
"""Programs in Lua: -e and --run, with connections, servers and tasks of their own; and --trust."""

import os
import pty
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
from harness import (PATIENCE, Server, closed_port, expect, expect_in, expect_not_in, expect_true, finish,  # noqa: E402
                     folder, greeter, hear_out, read, run, scan, start, test)


def certificate(path):
    """A key and a certificate in one file."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=fake.example", "-keyout", path + "/key", "-out", path + "/cert"], check=True,
                   capture_output=True)
    with open(path + "/pem", "wb") as file:
        file.write(read(path + "/key") + read(path + "/cert"))
    return path + "/pem"


def lua(code, *words, status=0, **options):
    return scan("-e", code, *words, status=status, **options)


def out(code, *words, **options):
    done = lua(code, *words, **options)
    expect(done.err, "", "standard error")
    return done.out


# --- programs --------------------------------------------------------------------------------------------------------

@test("a line from a server in one line of code")
def _():
    with greeter(b"220 hello\r\n") as server:
        expect(out(f'print(scan.connect("127.0.0.1", {server.port}):readline())'), "220 hello\n")
        expect(out("print(conn:readline(), conn.port)", f"127.0.0.1:{server.port}"), f"220 hello\t{server.port}\n")
        expect(out("print(conn.host, conn.address)", f"localhost:{server.port}"), "localhost\t127.0.0.1\n")


@test("a fake SMTP server with STARTTLS, and its client, in one program")
def _():
    expect(out('''
        local listener = scan.listen()
        scan.spawn(function()
          local c <close> = listener:accept()
          c:write("220 fake\\r\\n")
          for line in function() return c:readline() end do
            if line == "STARTTLS" then c:write("220 go\\r\\n") c:starttls { server = true }
            else c:write("250 ", line, "\\r\\n") end
          end
        end)
        local c = scan.connect("127.0.0.1", listener.port)
        print(c:readline())
        c:write("EHLO me\\r\\n") print(c:readline())
        c:write("STARTTLS\\r\\n") print(c:readline())
        print(c:starttls().subject, c.tls.verified)
        c:write("NOOP\\r\\n") print(c:readline())
    '''), "220 fake\n250 EHLO me\n220 go\nCN=localhost\tfalse\n250 NOOP\n")


@test("the exit status is what the program returns, or says with os.exit")
def _():
    for code, status in (("return 7", 7), ("return 0", 0), ("return 125, 3", 125), ("os.exit(9)", 9), ("os.exit(true)", 0),
                         ("os.exit(false)", 1), ("return 'text'", 0), ("return true", 0), ("", None)):
        if status is not None:
            expect(lua(code, status=status).err, "")
    expect_in("the program returned 126; an exit status is from 0 to 125", lua("return 126", status=4).err)
    expect_in("the program returned -1", lua("return -1", status=4).err)
    expect(lua("print('out') io.write('and out') os.exit(3)", status=3).out, "out\nand out")
    expect(lua("local a = scan.pair() scan.spawn(function() a:readline() end) scan.sleep(0.01) os.exit(4, true)", status=4).err,
           "")


@test("errors: the line, where it came from, the status")
def _():
    expect(lua("x = = 1", status=4).err, "scan: -e:1: unexpected symbol near '='\n")
    expect(lua("\n\nlocal x = nil + 1", status=4).err, "scan: -e:3: attempt to perform arithmetic on a nil value\n")
    said = lua("local function f()\nerror('no')\nend\nf()", status=4).err
    expect_in("scan: -e:2: no\n  stack traceback:\n", said)
    expect_in("    -e:4: in main chunk\n", said)
    expect(lua("error()", status=4).err, "scan: -e:1: the error is not a text\n")
    for table, more in {"{}": "", "{ code = 'x', message = 'why' }": "; code: x; message: why", "{ 'a', code = 1, message = 'why' }": "; message: why",
                        "setmetatable({}, { __index = { code = 'x' } })": ""}.items():
        expect(lua(f"error({table})", status=4).err, f"scan: -e:1: the error is not a text but a table{more}\n")
    expect(lua("error({ message = ('x'):rep(1e5) })", status=4).err.count("x" * 100) > 0, True)
    expect_in("scan: mine", lua("error(setmetatable({}, { __tostring = function() return 'mine' end }))", status=4).err)
    expect_in("x" * 3000, lua("error(('x'):rep(3000))", status=4).err)
    expect(lua("error('\\27]0;x\\7', 0)", status=4).err, "scan: \\x1b]0;x\\x07\n")
    with closed_port() as port:
        refused = f"scan.connect('127.0.0.1', {port})"
        expect(lua(f"\n{refused}", status=3).err, "scan: -e:2: [connect] Connection refused\n")
        expect(out(f"local ok, e = pcall(function() {refused} end) print(e.phase, e.code, scan.is_error(e))"),
               "connect\trefused\ttrue\n")
        expect(lua("print(1)", f"127.0.0.1:{port}", status=3).err, f"scan: 127.0.0.1:{port}: [connect] Connection refused\n")
        expect(lua("print(1)", f"127.0.0.1:{port}", status=3).out, "")
    expect_in("a port is missing", lua("print(1)", "127.0.0.1", status=2).err)
    expect_in("takes one HOST:PORT", lua("print(1)", "a:1", "b:2", status=2).err)
    expect_in("-e is given twice", lua("print(1)", "-e", "print(2)", status=2).err)


@test("misspelt names and options of connections are named, with the nearest")
def _():
    for code, words in (("scan.pair():redline()", 'conn has no field or method "redline"; did you mean readline?'),
                        ("print(scan.pair().adress)", 'conn has no field or method "adress"; did you mean address?'),
                        ("scan.connect('127.0.0.1', 1, { tsl = true })",
                         "bad argument #3 to 'connect' (there is no option tsl; did you mean tls?)"),
                        ("scan.pair():starttls { sever = true }",
                         "bad argument #1 to 'starttls' (there is no option sever; did you mean server?)"),
                        ("scan.pair():starttls { true }", "bad argument #1 to 'starttls' (options are NAME = VALUE)")):
        expect_in(f"scan: -e:1: {words}\n", lua(code, status=4).err)


@test("a program may load a module in C, which finds the Lua that is in scan")
def _():
    with folder(mine_c="""#include <lauxlib.h>
                          static int twice(lua_State *L) {
                              lua_pushinteger(L, 2 * luaL_checkinteger(L, 1));
                              return 1;
                          }
                          int luaopen_mine(lua_State *L) {
                              lua_pushcfunction(L, twice);
                              return 1;
                          }""") as path:
        flags = subprocess.run(["vendor/deps", "flags", "build"], check=True, capture_output=True, text=True).stdout.split()
        subprocess.run(["cc", "-shared", "-fPIC", *[flag for flag in flags if flag.startswith("-I") or flag.startswith("-isystem")],
                        "-o", path + "/mine.so", path + "/mine.c"], check=True)
        expect(out(f"package.cpath = '{path}/?.so' print(require('mine')(21))"), "42\n")


@test("--run: a file, its arguments, its first line for the system; - is standard input")
def _():
    with folder(mine_lua="#!/usr/bin/env -S scan --run\nprint(#arg, arg[0]:match('[^/]+$'), ...) return 5") as path:
        done = scan("--run", path + "/mine.lua", "-v", "--", "--json", "x y", status=5)
        expect(done.out, "4\tmine.lua\t-v\t--\t--json\tx y\n")
        expect_in("mine.lua: No such file", scan("--run", path + "/no/mine.lua", status=2).err)
    with folder(wrong_lua="local x =\n") as path:
        expect_in("wrong.lua:2: unexpected symbol near <eof>", scan("--run", path + "/wrong.lua", status=4).err)
    expect(scan("--run", "-", text=b"print('from ' .. 'there')").out, "from there\n")


@test("all of Lua is there, and the libraries of the probes")
def _():
    expect(out("print(type(os.time()), type(io.open), type(debug.getinfo), type(coroutine.wrap), load('return 1 + 1')())"),
           "number\tfunction\tfunction\tfunction\t2\n")
    expect(out("for x in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do print(x) end"), "1\n2\n3\n")
    expect(out("print(type(require('reply')), require('string') == string)"), "table\ttrue\n")
    expect(out("local s = 0 for i = 1, 4e7 do s = s + 1 end print(s)"), "40000000\n")
    expect(out("local t = {} for i = 1, 400 do t[i] = ('x'):rep(100000) .. i end print(#t)"), "400\n")
    with folder(mine_lua="return { answer = 42 }") as path:
        expect(out("package.path = './?.lua' print(require('mine').answer)", cwd=path), "42\n")


@test("print escapes what a terminal would obey, io.write does not; a pipe gets what is printed")
def _():
    code = "print('a\\tb\\n\\27[2J', 1, nil) io.write('\\27[1m')"
    expect(out(code), "a\tb\n\x1b[2J\t1\tnil\n\x1b[1m")
    master, slave = pty.openpty()
    process = start("-e", code, stdout=slave)
    os.close(slave)
    shown = b""
    while select.select([master], [], [], PATIENCE)[0]:
        try:
            shown += os.read(master, 4096)
        except OSError:
            break
    os.close(master)
    finish(process)
    expect_in(b"\\x1b[2J", shown)
    expect(shown.count(b"\x1b"), 1, "escapes")


@test("output that cannot be written: status 3, or the signal of a pipe that nobody reads")
def _():
    with open("/dev/full", "wb") as full:
        done = finish(start("-e", "print(1)", stdout=full))
    expect((done.status, "cannot write output" in done.err), (3, True))
    process = start("-e", "while true do print(1) end")
    process.stdout.readline()
    process.stdout.close()
    expect(process.wait(PATIENCE), -signal.SIGPIPE)
    process.stderr.close()


@test("Ctrl-C ends a program as it ends any")
def _():
    for code in ("scan.sleep(600)", "while true do end"):
        process = start("-e", f"print('up') io.stdout:flush() {code}")
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        expect(finish(process).status, -signal.SIGINT)


@test("--trace: who said what, on which connection")
def _():
    with greeter(b"220 hello\r\n") as server:
        done = lua("conn:readline() conn:write('bye\\r\\n')", "--trace", f"127.0.0.1:{server.port}")
    lines = [re.sub(r"^ *\d+\.\d ", "", line) for line in done.err.splitlines()]
    who = f"127.0.0.1:{server.port}"
    expect(lines, [f"{who} - connected", f"{who} S: 220 hello", f"{who} C: bye", f"{who} - closed"])


# --- tasks -----------------------------------------------------------------------------------------------------------

@test("scan.spawn: arguments, results, errors, side by side")
def _():
    expect(out("print(scan.spawn(function(a, b) scan.sleep(0.01) return a + b, nil, 'x' end, 1, 2):join())"), "3\tnil\tx\n")
    expect(out("local t = scan.spawn(function() return 5 end) scan.sleep(0.05) print(t:join()) print(t:join())"), "5\n5\n")
    expect(out("print(pcall(function() scan.spawn(function() error('no') end):join() end))"), "false\t-e:1: no\n")
    expect(out("print(select('#', scan.spawn(function() end):join()))"), "0\n")
    began = time.monotonic()
    expect(out("local t = {} for i = 1, 100 do t[i] = scan.spawn(scan.sleep, 0.3) end for _, x in ipairs(t) do x:join() end"), "")
    expect_true(time.monotonic() - began < 5, "not side by side")
    expect(out("print(scan.spawn(function() return scan.spawn(function() return 'deep' end):join() end):join())"), "deep\n")
    expect(out("local n = 0 for i = 1, 20000 do scan.spawn(function() n = n + 1 end) end scan.sleep(0.2) print(n)"), "20000\n")


@test("a task that fails while nobody waits for it is told of, and is in the status")
def _():
    done = lua("scan.spawn(function() local x = nil .. 1 end) scan.sleep(0.05) print('on')", status=4)
    expect_in("scan: in a task for which nobody waited: -e:1: attempt to concatenate a nil value", done.err)
    expect(done.out, "on\n")
    done = lua("local a, b = scan.pair() scan.spawn(function() a:readline() end) b:close() scan.sleep(0.05)", status=3)
    expect_in("nobody waited: -e:1: [read] the server closed the connection", done.err)
    lua("scan.spawn(function() error('x') end) scan.sleep(0.05) return 6", status=6)


@test("the end of the program is the end of its tasks and connections")
def _():
    heard = []
    with Server(lambda sock: heard.append(hear_out(sock))) as server:
        code = f'''
            scan.spawn(function()
              local guard <close> = setmetatable({{}}, {{ __close = function() print("closed") end }})
              local c = scan.connect("127.0.0.1", {server.port})
              c:write("hello") print("up") c:readline(600)
            end)
            kept = scan.connect("127.0.0.1", {server.port})
            kept:write("kept")
            scan.sleep(0.2)'''
        expect(out(code), "up\nclosed\n")
        server.wait(lambda s: s.count == 2 and s.now == 0)
    expect(sorted(heard), [b"hello", b"kept"], "heard")


@test("where one cannot wait, it is said")
def _():
    expect_in("cannot wait inside a coroutine of your own; use scan.spawn",
              lua("coroutine.wrap(function() scan.sleep(1) end)()", status=4).err)
    expect_in("cannot wait here", lua("table.sort({ 3, 2, 1 }, function() scan.sleep(1) end)", status=4).err)
    expect_in("yielded by itself", lua("coroutine.yield()", status=4).err)
    expect(out("print(coroutine.wrap(function() return scan.pair().host end)())"), "pair\n")
    expect_in("another task waits for this connection",
              lua("local a = scan.pair() scan.spawn(function() a:read() end) scan.sleep(0.01) a:read()", status=4).err)


# --- connections -----------------------------------------------------------------------------------------------------

@test("lines are read while they fit and have the captures of the first, or until one fits: its captures are given")
def _():
    def read_of(words, call):
        """What the call on a connection on which these words come, one by one, gives; then what is still to be read."""
        written = " ".join(f"a:write({part}) scan.sleep(0.01)" for part in words.split("|"))
        return out(f"""
            local a, b = scan.pair()
            scan.spawn(function() {written} a:close() end)
            local function show(lines, ...) print(table.concat(lines, ","), ...) end
            show(b:{call}) print(select(2, pcall(b.readline, b)))""").split("\n")[:2]

    codes = """'^(%d%d%d)%-'"""
    expect(read_of("'220-a\\n220-b\\n220 c\\nd\\n'", f"readwhile({codes})"), ["220-a,220-b,220 c\tfalse\t220", "d"])
    expect(read_of("'220-a\\n'|'220-b\\n22'|'1-c\\n220 d\\n'", f"readwhile({codes})"), ["220-a,220-b,221-c\tfalse\t220", "220 d"])
    expect(read_of("'220-a\\n'|'221-b\\n220 c\\nd\\n'", "readwhile('^%d%d%d%-')"), ["220-a,221-b,220 c\tfalse", "d"])
    expect(read_of("'220 c\\n220-d\\n'", f"readwhile({codes})"), ["220 c\tfalse", "220-d"])
    expect(read_of("'a=1\\n'|'b=1\\naa=1\\n'|'c=1\\n'", "readwhile('^%a+()=(.)')"), ["a=1,b=1,aa=1\tfalse\t2\t1", "c=1"])
    expect(read_of("'a1\\nb2\\n'|'x\\n-3()\\ny\\n'", "readuntil('^()(%p)(%d)')"), ["a1,b2,x,-3()\tfalse\t1\t-\t3", "y"])
    expect(read_of("'220-a\\n'|'220-b\\n220 c\\nd\\n'", f"readwhile({codes}, {{'220-x', '99'}})"),
           ["220-x,99,220-a,220-b,220 c\tfalse\t220", "d"])


@test("scan.pair, and who closes wakes who waits")
def _():
    expect(out("local a, b = scan.pair() a:write('x\\ny') print(b:readline()) print(b:read()) a:close() print(pcall(b.read, b))"),
           "x\ny\nfalse\t[read] the server closed the connection\n")
    expect(out("local a = scan.pair() scan.spawn(function() a:close() end) print(pcall(a.readline, a))"),
           "false\tconn is closed\n")
    expect(out("local l = scan.listen() scan.spawn(function() l:close() end) print(pcall(l.accept, l)) l:close()"),
           "false\tlistener is closed\n")
    expect(out("local a, b = scan.pair() scan.spawn(function() scan.sleep(0.05) b:write('late\\n') end) print(a:readline())"),
           "late\n")


@test("scan.listen: any port, a port, IPv6, what goes wrong")
def _():
    expect(out("local l = scan.listen('localhost') print(l.port > 0, l.address)"), "true\t127.0.0.1\n")
    expect(out("local l = scan.listen('::1') print(scan.connect('::1', l.port).address)"), "::1\n")
    expect(out("print(pcall(scan.listen().accept, scan.listen(), 0.05))"), "false\t[connect] nobody connected within 0.05 s\n")
    with greeter() as server:
        expect_in("[connect] Address already in use", lua(f"scan.listen('127.0.0.1', {server.port})", status=3).err)
    expect_in("an address of this machine", lua("scan.listen('example.org')", status=4).err)
    process = start("-e", "local l = scan.listen() print(l.port) io.stdout:flush() local c <close> = l:accept() c:write(c:readline())")
    with socket.create_connection(("127.0.0.1", int(process.stdout.readline())), PATIENCE) as sock:
        sock.sendall(b"echo\r\n")
        expect(hear_out(sock), b"echo")
    expect(finish(process).status, 0)


@test("a thousand connections; those that are dropped are closed; no limit of bytes")
def _():
    expect(out('''
        local l = scan.listen()
        scan.spawn(function() while true do local c = l:accept() scan.spawn(function() c:write(c:readline(), "\\n") end) end end)
        local n = 0
        for i = 1, 1500 do
          local c = scan.connect("127.0.0.1", l.port)
          c:write(i, "\\n")
          if tonumber(c:readline()) == i then n = n + 1 end
        end
        print(n)'''), "1500\n")
    for tls in ("", "c:starttls { server = true }"):
        expect(out(f'''
            local l = scan.listen()
            scan.spawn(function() local c = l:accept() {tls} c:write(("0123456789"):rep(200000)) c:close() end)
            local c = scan.connect("127.0.0.1", l.port, {{ tls = {'true' if tls else 'false'} }})
            local n = 0
            while n < 2000000 do n = n + #c:read() end
            print(n, pcall(c.read, c, 1))'''), "2000000\tfalse\t[read] the server closed the connection\n")


@test("a reset where TLS should start is the handshake's failure, also one that was there before it began")
def _():
    broken_off = threading.Event()

    def serve(sock):
        if sock.recv(1) == b"?":
            broken_off.wait(PATIENCE)
            sock.sendall(b"it is\n")
            return
        sock.sendall(b"go ahead\n")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        broken_off.set()

    with Server(serve) as server:
        expect(out('''
            conn:write("!")
            print(conn:readline())
            local other = scan.connect(conn.address, conn.port)
            other:write("?")
            print(other:readline())
            local _, fault = pcall(conn.starttls, conn)
            print(fault.phase, fault.code)''', f"127.0.0.1:{server.port}"), "go ahead\nit is\ntls\treset\n")


@test("server-side TLS meets another's client: a throw-away certificate, or one from a file")
def _():
    with folder() as path, folder() as other:
        certificate(other)
        for options, name in (("", "localhost"), (f", certificate = '{certificate(path)}'", "fake.example")):
            process = start("-e", f'''local l = scan.listen() print(l.port) io.stdout:flush()
                local c = l:accept() c:starttls {{ server = true{options} }} print(c:readline(), c.tls.version)
                c:write("secret\\r\\n")''')
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with socket.create_connection(("127.0.0.1", int(process.stdout.readline())), PATIENCE) as plain, \
                    context.wrap_socket(plain) as sock:
                der = sock.getpeercert(True)
                sock.sendall(b"hush\r\n")
                expect(sock.recv(100), b"secret\r\n")
            expect_in(name.encode(), der)
            expect(finish(process).out, "hush\tTLSv1.3\n")
        for name, source in {"none": None, "empty": b"", "text": b"x\n", "lone": read(path + "/cert"), "key": read(path + "/key"),
                             "other": read(other + "/key") + read(path + "/cert")}.items():
            if source is not None:
                with open(f"{path}/{name}.pem", "wb") as file:
                    file.write(source)
        for name, words in {"none.pem": ": No such file or directory", "empty.pem": " has no certificate", "text.pem": " has no certificate",
                            "lone.pem": " has no private key", "key.pem": " has no certificate",
                            "other.pem": ": key values mismatch"}.items():
            told = lua(f"local a = scan.pair() a:starttls {{ server = true, certificate = '{path}/{name}' }}", status=4).err
            expect(told, f"scan: -e:1: {path}/{name}{words}\n")


@test("tls = true in scan.connect, the name for SNI, a server that speaks none")
def _():
    with folder() as path:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(certificate(path))
        names = []
        secure.sni_callback = lambda sock, name, context: names.append(name)

        def serve(sock):
            with secure.wrap_socket(sock, server_side=True) as inner:
                inner.sendall(b"hello\r\n")
                inner.recv(100)

        with Server(serve) as server:
            expect(out(f"local c = scan.connect('localhost', {server.port}, {{ tls = true, name = 'other.example' }}) "
                       "print(c:readline(), c.tls.subject)"), "hello\tCN=fake.example\n")
            expect(out(f"print(scan.connect('localhost', {server.port}, {{ tls = true }}):readline())"), "hello\n")
        expect(names, ["other.example", "localhost"], "names")
    with greeter(b"220 plain\r\n") as server:
        expect_in("[tls] the server answered in plain text: 220 plain",
                  lua(f"scan.connect('127.0.0.1', {server.port}, {{ tls = true }})", status=3).err)


@test("scan.resolve; a connection takes the next address where the first is closed")
def _():
    expect(out("print(table.concat(scan.resolve('127.0.0.1')), table.concat(scan.resolve('::1')))"), "127.0.0.1\t::1\n")
    expect_in("127.0.0.1", out("print(table.concat(scan.resolve('localhost'), ' '))"))
    expect_in("[resolve] ", lua("scan.resolve('nosuch.invalid')", status=3).err)
    expect_in("[resolve] ", lua("scan.connect('nosuch.invalid', 25)", status=3).err)
    with greeter(b"hi\r\n") as server:
        expect(out("print(scan.connect('localhost', %d):readline())" % server.port), "hi\n")
    expect_in("bad argument #2 to 'connect' (a port from 1 to 65535)", lua("scan.connect('127.0.0.1', 70000)", status=4).err)


@test("time-outs: of a connection, of a reply")
def _():
    with greeter() as server:
        began = time.monotonic()
        expect_in("[read] no greeting within 0.2 s", lua("conn:readline()", "--reply-timeout", "0.2",
                                                        f"127.0.0.1:{server.port}", status=3).err)
        expect_true(time.monotonic() - began < 5, "late")
        expect_in("[tls] no TLS handshake within 0.2 s", lua(f"scan.connect('127.0.0.1', {server.port}, {{ tls = true }})",
                                                            "--reply-timeout", "0.2", status=3).err)
        expect_in("[read] no greeting within 0.1 s", lua("conn:readline(0.1)", f"127.0.0.1:{server.port}", status=3).err)


# --- --trust ---------------------------------------------------------------------------------------------------------

FREE = """
local name = os.getenv("SCAN_TEST_NAME")
return { about = "free", services = { { name = "free", port = %d } },
  probe = function(conn, report)
    local other = scan.connect("127.0.0.1", %d)
    report("name", name)
    report("other", other:readline())
    report("task", scan.spawn(function() return conn:readline() end):join())
    local s = 0 for i = 1, 4e7 do s = s + 1 end
    report("sum", s)
    scan.spawn(scan.sleep, 600)
  end }"""


@test("--trust: the probes that -S names have all of Lua, any host, and time; the others do not")
def _():
    env = {"SCAN_TEST_NAME": "known"}
    with greeter(b"first\r\n") as first, greeter(b"second\r\n") as second, \
            folder(free_lua=FREE % (first.port, second.port)) as path:
        done = scan("--trust", "-S", path, "-s", "free", "127.0.0.1", env=env)
        expect(done.out, f"Testing 127.0.0.1:\nport {first.port} (free) open.\nknown\nsecond\nfirst\n40000000\n")
        expect(done.err, "")
        expect_in("attempt to index a nil value (global 'os')", scan("-S", path, "127.0.0.1", status=None).err)
        with folder(bad_lua=FREE % (first.port, second.port)) as other:
            done = scan("--trust", "-S", path, "127.0.0.1", "-s", "free", env={**env, "SCAN_SCRIPTS": other}, status=None)
            expect_in("/bad.lua:2: attempt to index a nil value (global 'os')", done.err)
            expect_in("known\nsecond\n", done.out)
    expect_in("--trust is for the scripts that -S names", scan("--trust", "127.0.0.1", status=2).err)


@test("--trust: a bug is a bug, a task that fails is its probe's, and nothing of one run is left for the next")
def _():
    code = """return { about = "x", services = { { name = "loose", port = %d } }, probe = function(conn, report)
      seen = (seen or 0) + 1 report("seen", seen) string.find = nil
      scan.spawn(function() scan.sleep(600) end)
      error("a bug") end }"""
    with greeter(b"SSH-2.0-x\r\n") as server, folder(loose_lua=code % server.port) as path:
        done = scan("--trust", "-S", path, "-s", f"loose,ssh={server.port}", "127.0.0.1", status=4)
        expect_in("loose.lua:4: a bug", done.err)
        expect_in("(ssh) open.\nSSH-2.0-x\n", done.out)
        expect_not_in("warning", done.out)


run()
