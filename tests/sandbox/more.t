#!/usr/bin/python3
"""More attacks of a script: what gets around the first answer to one of the forty."""
import contextlib
import os
import threading

from attack import EVIL, LINE, MEMORY_OVER, Stage, attack, bad_file, check_evil, check_used, error, killed, measure
from harness import PATIENCE, expect, expect_in, expect_not_in, expect_true, folder, greeter, hear_out, run, scan, test

# --- one call of C that takes long, without an instruction of Lua at which to stop ------------------------------------

attack("sorting long texts that are all alike",
       'local s, t = ("x"):rep(1 << 20), {} for i = 1, 30000 do t[i] = s end table.sort(t)', killed())
attack("sorting with a comparison in C",
       "local t = {} for i = 1, 500000 do t[i] = i * 7919 % 65537 end table.sort(t, math.ult)", killed())

# The array is full and the rest of it has room for all the powers of two, so that none of them makes it grow.
HOLES = f"""local t = {{ 1, 2, 3, 4, {', '.join(f'k{i} = 1' for i in range(65))} }}
t[5] = 1 for i = 3, 62 do t[1 << i] = 1 end assert(#t == 1 << 62) """

attack("a table with holes, as long as its largest key: insert", HOLES + "table.insert(t, 1, 1)",
       error("too many elements to move", LINE + 1))
attack("... at a place that is no integer",
       HOLES + 'table.insert(t, "1", 1)', error("too many elements to move", LINE + 1))
attack("... remove", HOLES + "table.remove(t, 1.0)", error("too many elements to move", LINE + 1))
attack("... sort", HOLES + "table.sort(t, rawequal)", error(r"bad argument #1 to 'sort' \(array too big\)", LINE + 1))
attack("... sort, up to a key that Lua takes", HOLES.replace("62", "30") + "table.sort(t, rawequal)",
       error(r"bad argument #1 to 'sort' \(array too big\)", LINE + 1))
attack("... concat", HOLES + 'table.concat(t)',
       error(r"invalid value \(nil\) at index 6 in table for 'concat'", LINE + 1))
attack("... unpack", HOLES + "table.unpack(t)", error("too many results to unpack", LINE + 1))

# All keys fall onto one place of the hash part when it doubles: a hundred seconds for one instruction.
attack("numbers that collide in a table", """local t, step = {}, (1 << 18) - 1
for i = 1, 131073 do t[i * step] = true end""", killed(r"evil\.lua:6: the probe made a table of more than 8192 keys"))
attack("fewer of them, catching what is said", """local step = (1 << 14) - 1
while true do
  pcall(function() local t = {} for i = 1, 8193 do t[i * step] = true end end)
end""", killed())
attack("tables of many keys and elements", """local list, keys = {}, {}
for i = 1, 200000 do list[i] = i end
for i = 1, 8000 do keys["k" .. i] = i end
report("sum", #list + keys.k8000)""", None, data={"sum": 208000})

attack("a replacement larger than what it replaces", '("x"):rep(1000):gsub("(x-)", ("%1"):rep(100000))',
       error("pattern too complex"), slow=True)
attack("a replacement between all bytes, by a function in C", '("x"):rep(1 << 20):gsub("", tostring)',
       error("pattern too complex"), slow=True)
attack("a set as long as the text", 'local s = ("a"):rep(1 << 20) s:find("[" .. ("b"):rep(1 << 20) .. "]")',
       error("pattern too complex"))
attack("a plain text that nearly fits everywhere",
       'local s = ("a"):rep(1 << 20) local t = s .. s .. s .. s while true do t:find(s .. "b", 1, true) end',
       ("script-(error|killed)", r"evil\.lua(:\d+)?: (pattern too complex|the probe used .*)"))
attack("a pattern again and again, catching what is said",
       'local s = ("a"):rep(30) while true do pcall(s.find, s, ("a*"):rep(30) .. "b") end', killed())
attack("a pattern of 200 choices", 'local s = ("a"):rep(300) s:find(("a?"):rep(200))', error("pattern too complex"))
attack("a pattern of 100,000 items", 'report("at", (("a"):rep(100):find(("x*"):rep(100000))))', None, data={"at": 1})

# --- what is added afterwards ----------------------------------------------------------------------------------------

attack("__close, added afterwards", """local events = {}
local x = setmetatable({}, events)
events.__close = function() while true do end end
local y <close> = x""", error("variable 'y' got a non-closable value", LINE + 3))

attack("__mode, added afterwards: a chain that takes the collector for ever", """local events = {}
local t = setmetatable({}, events)
events.__mode = "v"
t[1] = {}
for i = 1, 20000 do local x = { i } end
report("kept", t[1] ~= nil)""", None, data={"kept": True})

attack("__gc, added afterwards", """local events = {}
for i = 1, 1000 do setmetatable({}, events) end
events.__gc = function() while true do end end
for i = 1, 1000 do setmetatable({}, { __index = events }) end""", None)

attack("a metatable is what was given", """local class = {}
class.__index = class
function class:size() return #self.items end
local object = setmetatable({ items = { 1, 2 } }, class)
function class:first() return self.items[1] end
report("same", getmetatable(object) == class)
report("size", object:size() + object:first())
setmetatable(object, nil)
report("none", getmetatable(object) == nil)
setmetatable(object, { __metatable = "mine" })
report("mine", getmetatable(object))
report("kept", pcall(setmetatable, object, nil))""", None,
       data={"same": True, "size": 3, "none": True, "mine": "mine", "kept": False})

attack("the metatable of a socket error", """local ok, fault
repeat ok, fault = pcall(conn.readline, conn, 0.01) until not ok
assert(scan.is_error(fault) and getmetatable(fault) == false)
setmetatable(fault, nil)""", error("cannot change a protected metatable", LINE + 3))

# --- memory ----------------------------------------------------------------------------------------------------------

# Once the others are at it: all but a few KB.
FILL = """conn:readline()
local t, size = {}, 1 << 20
while size > 64 do
  if not pcall(function() t[#t + 1] = ("x"):rep(size - 32) .. #t end) then size = size // 2 end
end
for i = #t, #t - 20, -1 do t[i] = nil end
"""

attack("all memory, held while others work", FILL + """conn:write("HOLD")
report("line", conn:readline())""", None, data={"line": "go"}, slow=True)

attack("all memory, kept in a global",
       FILL.replace("local t, size = {}, 1 << 20", "t = {} local size = 1 << 20"), None, slow=True)

attack("a megabyte as a key, over and over", """for i = 1, 1e6 do
  report(("k"):rep((1 << 20) - 10) .. i, 1, false)
end""", error(r"bad argument #2 to 'report' \(a name of at most 200 bytes\)", LINE + 1))

attack("a megabyte as a key inside", """local key = ("k"):rep((1 << 20) - 10)
for i = 1, 1e6 do
  report("t" .. i, { [key .. i] = 1 })
end""", ("script-(error|killed)", r"evil\.lua(:\d+)?: .*(256 KiB|CPU time|memory).*"))

attack("a megabyte as a code", """for i = 1, 1e6 do report.warn(("c"):rep(1 << 20), "") end""",
       error(r"bad argument #1 to 'warn' \(a name of at most 200 bytes\)"))

attack("a million warnings of nothing", 'for i = 1, 1e6 do report.warn("", "") end',
       ("script-(error|killed)", r"evil\.lua(:\d+)?: .*(256 KiB|CPU time).*"))

attack("a million lines", 'for i = 1, 1e6 do report("x", "y") end',
       ("script-(error|killed)", r"evil\.lua(:\d+)?: .*(256 KiB|CPU time).*"))

attack("padding without an end", 'string.pack("c1000000000", "")', killed(MEMORY_OVER), slow=True)
attack("a number of many digits", 'string.format("%99999d", 1)', error("invalid conversion .*"))
attack("a million arguments", 'local t = {} for i = 1, 2e5 do t[i] = 1 end select("#", table.unpack(t, 1, 2e5))', None)

# --- depth -----------------------------------------------------------------------------------------------------------

attack("recursion", "local function f() return 1 + f() end f()",
       ("script-(error|killed)", r"evil\.lua(:\d+)?: (stack overflow|the probe used more memory).*"))
attack("recursion through C", 'local function f() return (("x"):gsub("x", f)) end f()', error("C stack overflow"))
attack("recursion through metatables", """local t = setmetatable({}, {})
for i = 1, 3000 do t = setmetatable({}, { __index = t }) end
local x = t.x""", error("'__index' chain too long; possible loop", LINE + 2))
attack("recursion through __tostring",
       "local t t = setmetatable({}, { __tostring = function() return tostring(t) end }) tostring(t)",
       error("C stack overflow"))

for event, code in {"__index": "t.x", "__newindex": "t.x = 1", "__call": "t()", "__len": "#t", "__eq": "t == {}",
                    "__lt": "t < t", "__concat": "t .. t", "__unm": "-t", "__pairs": "pairs(t)",
                    "__tostring": 'string.format("%s", t)'}.items():
    use = code if "(" in code or " = " in code else f"local x = {code}"
    attack(f"a loop in {event}",
           f"local t = setmetatable({{}}, {{ {event} = function() while true do end end }})\n"
           f"while true do pcall(function() {use} end) end", killed())

attack("a loop in the options of scan.connect",
       "scan.connect(conn.port, setmetatable({}, { __index = function() while true do end end }))", killed())

# --- time that is waited ---------------------------------------------------------------------------------------------

attack("sleeping over and over", 'conn:write("HOLD") while true do pcall(scan.sleep, 0.001) end',
       ("too-slow|script-killed", r"not finished within 1 s|evil\.lua(:\d+)?: the probe used up .*"), "--deadline", 1)
attack("waiting on a connection that is gone, catching what is said",
       "conn:close() while true do pcall(conn.readline, conn) end", killed())
attack("waiting inside a callback", '("x"):gsub("x", function() conn:readline() end)', error("cannot wait here: .*"))

# --- what is said ----------------------------------------------------------------------------------------------------

# All but the last bytes of memory are full, and the names of an error's fields are nowhere any more.
attack("an error that takes memory to be told", """local ok, e
repeat ok, e = pcall(conn.readline, conn, 0.05) until not ok
local names, keep, n = {}, {}, 0
for name in next, e do names[#names + 1] = name end
for i = 1, #names do e[names[i]] = nil end
names = nil
local rep, char, pcall, error = string.rep, string.char, pcall, error
for i = 1, 65536 do keep[i] = false end
local function big(k) n = n + 1 keep[n] = rep("x", k) end
local function small(c) for a = 128, 255 do for b = 128, 255 do n = n + 1 keep[n] = char(a, b, c) end end end
pcall(function()
  local k = 1 << 20
  while k >= 64 do if not pcall(big, k) then n, k = n - 1, k >> 1 end end
end)
for c = 2, 60 do pcall(small, c) end
for i = 1, 2 do n = n + 1 keep[n] = char(200 + i, 100, 99) end
error(e)""", killed(".*(memory|CPU).*"))

attack("an error with bytes for the terminal", 'error("\\27[2J\\27]0;owned\\7\\u{202e}")',
       error("\x1b\\[2J\x1b\\]0;owned\x07\u202e"))
attack("an error of a megabyte", 'error(("x"):rep(1 << 20))', error("x+"))


@test("bytes for the terminal are not sent there")
def _():
    code = 'report("x\\27[2J", "\\27[2J\\u{202e}") report.warn("\\27", "\\27[2J") error("\\27[2J\\u{202e}\\n\\r")'
    with Stage() as stage, folder(evil_lua=EVIL % ("", code)) as path:
        stage.alone()
        done = scan("-S", path, "-s", f"evil={stage.evil.port}", "127.0.0.1", status=4)
    for text in (done.out, done.err):
        expect(sorted({char for char in text if not char.isprintable() and char != "\n"}), [])
        expect_in("\\x1b[2J", text)
        expect_not_in("\u202e", text)


# --- the file --------------------------------------------------------------------------------------------------------

bad_file("a file that never ends to load", "while true do end", r"evil\.lua:1: the script used up its CPU time")
bad_file("a file that uses what only a probe has", "scan.sleep(1)", r"evil\.lua:1: this works only while a probe runs")
bad_file("fields that run code",
         "return setmetatable({}, { __index = function() while true do end end })",
         r"evil\.lua:1: the script used up its CPU time")
bad_file("a file that takes all memory", 'local s = "x" while true do s = s .. s end', r"evil\.lua: not enough memory")
bad_file("a greeting with a NUL", r'return { about = "x", services = { { name = "evil" } }, greeting = "^a\0b" }',
         r"evil\.lua: greeting \"\^a\.\.\.\": .*%z stands for one")
bad_file("a greeting that cannot be", 'return { about = "x", services = { { name = "evil" } }, greeting = "(" }',
         r"evil\.lua: greeting \"\(\": unfinished capture")

bad_file("a table that asks for itself while it is read", """
return setmetatable({ about = "x", greeting = "^word" }, { __index = function(_, key)
  if key == "fields" then scan.classify("word") end
end })""", r"evil\.lua: services must be a list .*")

attack("a library that never ends to load", 'require "evil_loop"', error("there is no library .*"))


@test("libraries that never end, are no files, or are too large")
def _():
    names = ("pipe", "folder", "zero", "large", "loop")
    code = "\n".join(f"""local _, fault = pcall(require, "{name}")
report("{name}", fault:match(": (.*)"))""" for name in names)
    with Stage() as stage, folder(evil_lua=EVIL % ("", code)) as path:
        stage.alone()
        os.mkdir(f"{path}/lib")
        os.mkfifo(f"{path}/lib/pipe.lua")
        os.mkdir(f"{path}/lib/folder.lua")
        os.symlink("/dev/zero", f"{path}/lib/zero.lua")
        for name, text in {"loop": "while true do end", "large": "x = a" + " or a" * 13107}.items():
            with open(f"{path}/lib/{name}.lua", "w", encoding="utf-8") as file:
                file.write(text)
        used = measure("--json", "-S", path, "-s", f"evil={stage.evil.port}", "127.0.0.1")
    check_used(used)
    reason = "not a regular file"
    check_evil(used, killed("the probe used up its CPU time, 50 ms without waiting"),
               {"pipe": reason, "folder": reason, "zero": reason, "large": "larger than 64 KiB"})


@test("a pipe, a folder and a device as files of probes")
def _():
    with folder() as path:
        os.mkfifo(f"{path}/pipe.lua")
        os.mkdir(f"{path}/folder.lua")
        os.symlink("/dev/zero", f"{path}/zero.lua")
        used = measure("-S", path, "--list")
    check_used(used)
    for name in ("pipe", "folder", "zero"):
        expect_in(f"{path}/{name}.lua: not a regular file", used.err)


for field in ("services", "greeting", "fields"):
    bad_file(f"a list of {field} as long as its largest key", HOLES.replace("= 1 end assert", '= {} end assert') + f"""
local list = {{ services = {{ {{ name = "evil" }} }} }}
list.about, list.{field} = "x", t
return list""", rf"evil\.lua: {field} has more than 64 elements")


def greetings(count):
    """A file whose greetings take for ever on a line of many equal letters."""
    pattern = '("a*"):rep(30) .. "b"'
    return f"""local list = {{}}
for i = 1, {count} do list[i] = {pattern} end
return {{ about = "x", services = {{ {{ name = "evil", port = 1, optional = true }} }}, greeting = list }}"""


@test("greetings that take for ever on the lines of others; one that is malformed further on is not loaded")
def _():
    line = b"x" + b"a" * 100 + b"\r\n"
    broken = 'return { about = "x", services = { { name = "broken", port = 3 } }, greeting = { "^xaaa)", "xa+[" } }'
    with greeter(line) as server:
        words = "--json", "--reply-timeout", 0.5, "-s", f"ssh={server.port},unknown={server.port}", "127.0.0.1"
        plain = scan(*words)
        with folder(evil_lua=greetings(64), broken_lua=broken) as path:
            used = measure("-S", path, *words)
    check_used(used)
    for wanted in plain.records:
        found = used.records[wanted["service"], "127.0.0.1"]
        expect([found[key] for key in ("state", "data", "warnings", "error")],
               [wanted[key] for key in ("state", "data", "warnings", "error")])
    expect(used.status, 4)
    told = [line.split(": ", 2)[2] for line in used.err.splitlines()]
    expect(told, ['greeting "^xaaa)": invalid pattern capture', 'greeting "xa+[": malformed pattern (missing \']\')'])


# --- other runs of the same script -----------------------------------------------------------------------------------

def two_runs(code, *words):
    """What two runs of the code record, on two addresses at a time. One that says HOLD gets its line when the other has
    gone."""
    with Stage() as stage, folder(evil_lua=EVIL % ("", code)) as path:
        gone = threading.Semaphore(0)

        def serve(sock):
            with contextlib.suppress(ConnectionError):
                sock.sendall(b"hello\r\n")
                if sock.recv(100).startswith(b"HOLD"):
                    gone.acquire(timeout=PATIENCE)  # pylint: disable=consider-using-with
                    sock.sendall(b"go\r\n")
                    hear_out(sock)
            gone.release()
        stage.evil.serve = serve
        used = measure("--json", "-j", 1, "-S", path, "-s", f"evil={stage.evil.port}", *words, "127.0.0.1", "127.0.0.2")
    check_used(used)
    return used, [used.records["evil", f"127.0.0.{number}"] for number in (1, 2)]


THIEF = """mine = mine or conn
if mine == conn then
  conn:write("HOLD")
  conn:readline()
  report("line", conn:readline())
else
  local _, fault = pcall(function() %s end)
  report("fault", tostring(fault):match("evil%%.lua:%%d+: (.*)"))
end"""

for use in ("mine:readline()", "mine:read(1)", 'mine:write("x")', "mine:starttls()", "mine:close()",
            "local there <close> = mine"):
    @test(f"the connection of another run: {use}")
    def _(use=use):
        used, records = two_runs(THIEF % use)
        expect([used.status, used.err], [0, ""])
        expect(sorted([found["data"] for found in records], key=str),
               [{"fault": "conn belongs to another run of the probe"}, {"line": "go"}])


@test("the connection of another run: closed when an error ends this one")
def _():
    used, records = two_runs(THIEF % "mine:readline()" + """
local there <close> = mine
if mine ~= conn then error("over") end""")
    expect(used.status, 4)
    expect(sorted(str(found["data"]) for found in records)[-1], "{'line': 'go'}")


@test("the report of another run is not had")
def _():
    used, records = two_runs("""kept = kept or report
kept("where", conn.address)""")
    expect([used.status, used.err], [0, ""])
    expect([found["data"] for found in records], [{"where": "127.0.0.1"}, {"where": "127.0.0.2"}])


@test("memory that one run keeps is no end of all that follow")
def _():
    used, records = two_runs(FILL.replace("local t, size = {}, 1 << 20", "t = {} local size = 1 << 20") +
                             'report("filled", true)', "-P", 1)
    expect_true(records[1]["data"] or "CPU" in records[1]["error"]["message"], f"{records}")  # of which it takes much


run()
