#!/usr/bin/python3
"""Forty attacks of a script on the scan that runs it. Each has an outcome of its own, and no other probe feels it."""
from attack import (CPU_SUM, EVIL, LINE, MEMORY_OVER, Stage, attack, bad_file, check_evil, error, killed, nil,
                    play)
from harness import expect, greeter, run, test

# --- time ------------------------------------------------------------------------------------------------------------

attack("1 a loop without an end", "while true do end", killed())

attack("2 the same, catching what would end it",
       "while true do pcall(function() while true do end end) end", killed())

attack("3 with a handler of its own",
       "xpcall(function() while true do end end, function() while true do end end)", nil("xpcall"))

attack("4 inside a callback of string.gsub",
       '("x"):gsub(".", function() while true do pcall(function() while true do end end) end end)', killed())

attack("5 inside a callback of table.sort",
       "table.sort({3, 2, 1}, function() while true do pcall(function() while true do end end) end end)", killed())

attack("6 coroutines in coroutines", """local function f(d)
  if d == 0 then return end
  for i = 1, 120 do coroutine.wrap(f)(d - 1) end
end
f(4)""", error(r"attempt to index a nil value \(global 'coroutine'\)", LINE + 2))

bad_file("7 a coroutine that is made while the file is loaded", "local run = coroutine.wrap(function() end)\nreturn {}",
         r"evil\.lua:1: attempt to index a nil value \(global 'coroutine'\)")

attack("8 a pattern of many choices", '(("a"):rep(30)):find((".-"):rep(12) .. "b")', error("pattern too complex"))

attack("9 a pattern that begins anew at each byte", '((" "):rep(65536) .. "x"):find("%s+$")',
       error("pattern too complex"))

attack("10 brackets that are never closed", '(("("):rep(65536)):find("%b()")', error("pattern too complex"))

attack("11 nothing, repeated", 'report("length", #(""):rep(1 << 62))', None, data={"length": 0})

attack("12 a repetition larger than all memory", '("x"):rep(1e9)', error("resulting string too large"))

LENGTH = "setmetatable({}, { __len = function() return 1 << 62 end })"

attack("13 a length that is a lie: remove", f"table.remove({LENGTH}, 1)",
       error(r"bad argument #1 to 'remove' \(the table has a metatable\)"))

attack("14 a length that is a lie: insert", f"table.insert({LENGTH}, 1, 0)",
       error(r"bad argument #1 to 'insert' \(the table has a metatable\)"))

attack("15 elements that are not there, moved", "table.move({}, 1, 1 << 40, 2)",
       error(r"bad argument #3 to 'move' \(too many elements to move\)"))

attack("16 elements that are always there, joined",
       'table.concat(setmetatable({}, { __index = type }), "", 1, 1 << 40)',
       error(r"bad argument #1 to 'concat' \(the table has a metatable\)"))

attack("17 more results than there is room for: unpack", "table.unpack({}, 1, 1e7)",
       error("too many results to unpack"))

attack("17 more results than there is room for: byte", '("x"):rep(1e6):byte(1, -1)',
       error(r"stack overflow \(string slice too long\)"))

# --- finalizers ------------------------------------------------------------------------------------------------------

attack("18 a finalizer", "setmetatable({}, { __gc = function() while true do end end })",
       error("__gc is not allowed in a probe"))

attack("19 something to be closed",
       "local x <close> = setmetatable({}, { __close = function() while true do end end })",
       error("__close is not allowed in a probe"))

attack("20 coroutines that close each other", """local function chain(n)
  local co = coroutine.create(function() local x <close> = n end)
end
chain()""", error(r"attempt to index a nil value \(global 'coroutine'\)", LINE + 1))

attack("21 a weak table", 'setmetatable({}, { __mode = "k", __newindex = function() end })',
       error("__mode is not allowed in a probe"))

# --- code ------------------------------------------------------------------------------------------------------------

attack("22 compiled code: load", 'load("\\27Lua")', nil("load"))
attack("22 compiled code: string.dump", "string.dump(function() end)", nil("dump", "field"))
bad_file("22 compiled code: a file of it", b"\x1bLuaT\x00\x19\x93\r\n\x1a\n\x04\x08\x08xV",
         r"evil\.lua: attempt to load a binary chunk \(mode is 't'\)")

# --- memory ----------------------------------------------------------------------------------------------------------

attack("23 memory: tables", "local t = {} for i = 1, 1e7 do t[i] = {} end", killed(MEMORY_OVER), slow=True)
attack("23 memory: a text that doubles", 'local s = "x" while true do s = s .. s end', killed(MEMORY_OVER))

attack("24 memory, catching what would end it",
       "while true do pcall(function() local t = {} for i = 1, 1e7 do t[i] = {} end end) end", killed())

# --- errors ----------------------------------------------------------------------------------------------------------

attack("25 an error that runs code when it is read",
       "error(setmetatable({}, { __tostring = function() while true do end end }))",
       error("the error is not a text but a table"))

attack("26 an error of nothing", "error()", error("the error is not a text"))
attack("26 an error that is a table", "error({})", error("the error is not a text but a table"))
attack("26 one that runs code when its code is read", "error(setmetatable({}, { __index = function() while true do end end }))",
       error("the error is not a text but a table"))
attack("26 one with very many members", "local t = {} for i = 1, 1e5 do t[i] = i end error(t)",
       error("the error is not a text but a table"))
attack("26 a result", "return nil", None)
attack("26 very many results", "return table.unpack({}, 1, 1e5)", None)

# --- what others have ------------------------------------------------------------------------------------------------

attack("27 the methods of all texts", 'getmetatable("").__index = function() while true do end end',
       error("attempt to index a boolean value"))

attack("28 the libraries", """string.find, string.gmatch, table.concat, table.sort = nil
table, string, tostring, select = nil
local function poison() error("poisoned") end
setmetatable(_G, { __index = poison, __newindex = poison })""", None)

attack("28 require, and what is loaded by it", """local reply = require "reply"
for name in pairs(reply) do reply[name] = nil end
require = nil""", None)

for outside in ("os.exit(0)", 'os.execute("true")', 'io.popen("true")', 'io.open("/etc/passwd")'):
    attack(f"29 the machine: {outside}", outside, nil(outside.split(".", maxsplit=1)[0]))

attack("30 code from elsewhere: require", 'require "x"', error(r'there is no library "x".*'))
attack("30 code from elsewhere: require with a path", 'require "../evil"', error("require wants the plain name .*"))
attack("30 code from elsewhere: package", "package.loadlib()", nil("package"))
attack("30 code from elsewhere: dofile", 'dofile("/dev/stdin")', nil("dofile"))
attack("30 code from elsewhere: debug", "debug.getregistry()", nil("debug"))

# --- output ----------------------------------------------------------------------------------------------------------

attack("31 print", 'print("\\27[2J")', nil("print"))
attack("32 yielding by itself", "coroutine.yield(42)", nil("coroutine"))

# --- the connection --------------------------------------------------------------------------------------------------

attack("33 a connection that is closed", "conn:close() conn:close() conn:readline()", error("conn is closed"))
attack("33 its fields", "conn:close() local x = conn.port", error("conn is closed"))

attack("34 another host: as in other languages", 'scan.connect("10.0.0.5", 25)',
       error(r"bad argument #1 to 'connect' \(number expected, got string\)"))


@test("34 another host: only the target's own address is reached")
def _():
    with greeter(b"not for you\r\n", address="127.0.0.2") as other, Stage() as stage:
        code = f'local there = scan.connect({other.port}) report("line", there:readline())'
        used = play(stage, {"evil_lua": EVIL % ("", code)})
        expect(other.count, 0)
    check_evil(used, ("refused", "Connection refused"), {})


attack("34 a port that there is not", "scan.connect(0)", error(r"bad argument #1 to 'connect' .*"))
attack("34 a port that there is not: 1e300", "scan.connect(1e300)", error(r"bad argument #1 to 'connect' .*"))

oversize = ("oversize", "more than 16 KiB to the server")
attack("35 sixteen megabytes out", 'local s = ("A"):rep(1 << 20) conn:write(s, s, s, s, s, s, s)',
       oversize)
attack("35 a million writes", 'for i = 1, 1e6 do conn:write("A") end', oversize)
for argument in ("1 << 62", "-1", "0", "1.5", "0/0"):
    attack(f"35 so many bytes in: {argument}", f"conn:read({argument})", error(r"bad argument #1 to 'read' \(.*\)"))
for argument in ("1e308", "0/0", "-1", "1/0", "math.mininteger"):
    attack(f"35 so many seconds: {argument}", f"conn:readline({argument})",
           error(r"bad argument #1 to 'readline' \(seconds from 0 to 86400\)"))
    attack(f"35 so many seconds of sleep: {argument}", f"scan.sleep({argument})",
           error(r"bad argument #1 to 'sleep' \(seconds from 0 to 86400\)"))

attack("36 ten thousand connections", "local all = {} for i = 1, 10000 do all[i] = scan.connect(conn.port) end",
       error("a probe has at most 2 connections"))
attack("36 ten thousand connections, catching what is said",
       "for i = 1, 10000 do pcall(scan.connect, conn.port) end", None, slow=True)

# --- the report ------------------------------------------------------------------------------------------------------

attack("37 a report that holds itself", 'local t = {} t.t = t report("t", t)',
       error("a reported table is nested too deep"))
attack("37 a deep report", 'local t = {} for i = 1, 1e5 do t = { t } end report("t", t)',
       error("a reported table is nested too deep"))
attack("37 a wide report", 'local t = {} for i = 1, 1000 do t["k" .. i] = i end report("t", t)',
       error("a reported table has more than 256 keys"))
attack("37 a long report", 'local t = {} for i = 1, 1e5 do t[i] = i end report("t", t)',
       error("a reported table has more than 256 elements"))
attack("37 keys that are no texts", 'report("t", { [true] = 1 })', error("a key of a reported table is not a text"))
attack("37 values that are none", 'report("t", { print = type })',
       error("a reported value is neither text, number, boolean nor table"))
attack("37 numbers that are none",
       'report("t", { 0/0, 1/0, -1/0, 1e308 })', None, data={"t": [None, None, None, 1e308]})
attack("37 bytes that are no text", 'report("t", "a\\xff\\0b\\27[2J")', None,
       data={"t": "a\ufffd\0b\x1b[2J", "t_base64": "Yf8AYhtbMko="})
attack("37 a key that is no text", 'report("\\xff\\27", 1)', None, data={"\ufffd\x1b": 1})

# --- the file --------------------------------------------------------------------------------------------------------

bad_file("38 300 nested blocks", "do " * 300 + "end " * 300, r"evil\.lua(:1)?: .*(C levels|overflow|syntax levels).*")
bad_file("38 210 locals", "\n".join(f"local v{i}" for i in range(210)),
         r"evil\.lua:20[12]: too many local variables .*")
bad_file("38 300 brackets", "return " + "(" * 300 + "1" + ")" * 300, r"evil\.lua(:1)?: .*(C levels|overflow).*")
bad_file("38 an endless line", "x = " + "1 + " * 50000, r"evil\.lua:1: unexpected symbol near <eof>")
bad_file("38 a file of NULs", b"\0" * 1000, r"evil\.lua:1: unexpected symbol.*")
bad_file("38 a byte-order mark", b"\xef\xbb\xbfreturn 1", r"evil\.lua:1: unexpected symbol near '<\\239>'")
bad_file("38 a line for the shell", "#!/usr/bin/lua\nreturn 1", r"evil\.lua:1: unexpected symbol near '#'")
bad_file("38 a text that does not end", 'x = "' + "x" * 60000, r"evil\.lua:1: unfinished string near .*")
bad_file("38 larger than 256 KiB", "-" * (256 * 1024 + 1), r"evil\.lua: larger than 256 KiB")
bad_file("38 nothing", "", r"evil\.lua: the script must return a table .*")
attack("38 a text of 60 KB", 'report("length", #"' + "x" * 60000 + '")', None, data={"length": 60000})
attack("38 lines that end in CR LF", "local x = 1\r\nerror('here')\r\n", error("here", LINE + 1))

# --- the rest --------------------------------------------------------------------------------------------------------

attack("39 addresses", 'report("type", type(tostring(type)))', None, data={"type": "string"})

attack("40 a little at a time", """for i = 1, 1000 do
  local til = scan.now() + 0.03
  while scan.now() < til do end
  scan.sleep(0)
end""", killed(CPU_SUM))

run()
