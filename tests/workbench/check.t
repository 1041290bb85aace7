#!/usr/bin/python3 -B
"""--check: what it finds before a probe runs, each with its line, and that it finds nothing where nothing is."""
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
from harness import expect, expect_in, expect_true, folder, run, scan, test  # noqa: E402

TOP = Path(__file__).resolve().parent.parent.parent


def findings(text, status=1, **files):
    """What is said of a file of this text: pairs of line and words."""
    with folder(x_lua=text, **files) as path:
        done = scan("--check", "x.lua", status=status, cwd=path)
    expect(done.err, "")
    if status == 0:
        expect(done.out, "ok x.lua\n")
        return []
    return [(int(line), words) for line, words in re.findall(r"^x\.lua:(\d+): (.*)$", done.out, re.M)]


def probe(body, more=""):
    """A probe whose function has this body, from line 3 on."""
    return 'return { about = "x", services = { { name = "x", port = 1 } }, %s\nprobe = function(conn, report, args)\n%s\nend }\n' % (more, body)


def in_probe(body, more=""):
    return findings(probe(body, more))


def clean(body, more="", **files):
    findings(probe(body, more), status=0, **files)


# --- names -----------------------------------------------------------------------------------------------------------

for what, body, words in (
        ("a global", "local x = tostirng(1)", 'there is no "tostirng" here, neither local nor global; did you mean tostring?'),
        ("a local", "local banner = 1\n  return baner", 'there is no "baner" here, neither local nor global; did you mean banner?'),
        ("something outside the sandbox", "os.exit()", 'there is no "os" here, neither local nor global'),
        ("a field of conn", "return conn.hots", 'conn has no field or method "hots"; did you mean conn.host?'),
        ("a method of conn", "conn:readlin()", 'conn has no method "readlin"; did you mean conn:readline?'),
        ("a fact of TLS", "return conn.tls.verfied", 'conn.tls has no "verfied"; did you mean conn.tls.verified?'),
        ("a function of scan", "scan.slep(1)", 'scan has no "slep"; did you mean scan.sleep?'),
        ("a function of string", 'return string.fromat("x")', 'string has no "fromat"; did you mean string.format?'),
        ("a method of a text", 'local s = conn:readline()\n  return s:macth("x")', 'neither texts nor conn have a method "macth"; did you mean match?'),
        ("report.warn", 'report.wran("a", "b")', 'report has no "wran"; there is report(key, value) and report.warn(code, text)'),
        ("a function of a library", 'local reply = require "reply"\n  reply.greting(conn, report)', 'reply has no "greting"; did you mean reply.greeting?'),
        ("a library", 'local x = require "replly"', 'there is no library "replly"'),
        ("a connection of one's own", "local c = scan.connect(7)\n  c:wirte('x')", 'conn has no method "wirte"; did you mean conn:write?'),
):
    @test(f"misspelt: {what}")
    def _(body=body, words=words):
        found = in_probe(body)
        expect(len(found), 1, found)
        expect(found[0][0], 3 + body.count("\n"), found)
        expect_in(words, found[0][1])


@test("what a parameter is follows from where it comes from, not from its name")
def _():
    text = """local function third(c) c:wirte("x") end
local function second(a, b) pcall(third, b) end
local function first(c, r) second(1, c) r.wran("x", "y") end
return { about = "x", services = { { name = "x", port = 1 } }, probe = function(a, b, c)
  first(a, b)
  c = c.word
end, args = { word = { about = "w" } } }
"""
    expect([line for line, _ in findings(text)], [1, 3])


@test("scopes are Lua's own")
def _():
    clean("""local a = 1
  do local b = a end
  for i = 1, 2 do local c = i end
  for k, v in pairs({}) do local d = k, v end
  repeat local e = 1 until e == 1
  local function f(g, ...) return f, g, ... end
  local h <const> = 1
  goto done
  ::done::
  return a, f, h, _G, _VERSION, #{ a, b = 2, [a] = 3 }, function(i) return i end""")
    for body, name in (("do local b = 1 end\n  return b", "b"), ("for i = 1, 2 do end\n  return i", "i"),
                       ("local x = x", "x"), ("local function f(a) end\n  return a", "a"),
                       ("repeat local e = 1 until true\n  return e", "e")):
        found = in_probe(body)
        expect([(line, re.search('"(.*?)"', words)[1]) for line, words in found], [(3 + body.count("\n"), name)])


@test("a global that is set")
def _():
    expect(in_probe("count = 1\n  return count"), [(3, 'sets the global "count", which outlives the run; say local')])
    expect(in_probe("function helper() end\n  helper()")[0][0], 3)


@test("dots and colons")
def _():
    expect(in_probe('conn.write("x")'), [(3, "conn.write(...) wants a colon: conn:write(...)")])
    expect(in_probe("return scan:now()"), [(3, "scan:now(...) wants a dot: scan.now(...)")])
    expect(in_probe('report:warn("a", "b")'), [(3, "report:warn(...) wants a dot: report.warn(...)")])
    clean('local ok, line = pcall(conn.readline, conn, 2)\n  conn.write(conn, "x")')


@test("methods that the file itself makes are no mistake")
def _():
    clean("local list = {}\n  function list:mach() end\n  function list.gsubb() end\n  list.finnd = 1\n  list:mach() list:gsubb() list:finnd()")


@test("what is documented is known: every call and field of the guide")
def _():
    guide = (TOP / "scripts/README.md").read_text(encoding="utf-8")
    sandboxed = guide.split("## Bytes instead")[0]
    methods = set(re.findall(r"^\| `conn:(\w+)\(", sandboxed, re.M))
    fields = set(re.findall(r"`conn\.(\w+)`", guide))
    functions = set(re.findall(r"^\| `scan\.(\w+)\(", sandboxed, re.M))
    facts = set(re.findall(r"`(\w+)`", re.search(r"^\| `conn\.tls` \|(.*)$", guide, re.M)[1])) - {"nil"}
    expect_true(len(methods) >= 5 and len(fields) >= 6 and len(functions) >= 6 and len(facts) >= 10, "the guide's tables are not found")
    clean("\n".join([f"conn:{name}(1)" for name in sorted(methods)] + [f"report('x', conn.{name})" for name in sorted(fields)]
                    + [f"scan.{name}(1)" for name in sorted(functions)] + [f"report('x', conn.tls.{name})" for name in sorted(facts)]))


# --- declarations ----------------------------------------------------------------------------------------------------

@test("arguments that are not declared")
def _():
    more = 'args = { name = { about = "n" } },'
    expect(in_probe("return args.name, args.nmae", more), [(3, 'the argument "nmae" is not declared in args; did you mean name?')])
    expect(in_probe("return args.name"), [(3, 'the argument "name" is not declared in args')])


@test("reports under keys that are not declared")
def _():
    more = 'fields = { "banner", "starttls.accepted" },'
    expect(in_probe('report("banner", 1) report("starttls", 1) report("baner", 1)', more),
           [(3, 'reports "baner", which is not among the declared fields; did you mean banner?')])
    clean('report("anything", 1)')


@test("faults of the table: all of them, each in its line")
def _():
    text = """return {
  services = {
    { name = "A b", port = 1 },
    { name = "ok", prot = 2 },
    { port = "x", tls = 1 },
    7,
  },
  greeting = "[a",
  args = {
    one = 1,
    two = { default = {} },
  },
  probe = "no",
  other = 1,
}
"""
    found = findings(text)
    expect([line for line, _ in found], [1, 3, 4, 5, 5, 5, 6, 8, 10, 11, 13, 14])
    for number, words in ((0, "about is missing"), (1, "services[1].name"), (2, '"prot"'), (6, "services[3].tls" if False else "services[4]"),
                          (7, "malformed pattern"), (8, "args.one"), (9, "args.two.default"), (10, "probe must be"), (11, '"other"')):
        expect_in(words, found[number][1])


@test("a misspelt field is told with the nearest; a library that is not there hides nothing of the table")
def _():
    found = findings('local x = require "nosuch"\nreturn {\nabuot = "x",\nservices = { { name = "a", tsl = true } },\n}\n')
    expect(found, [(1, 'there is no library "nosuch" (lib/nosuch.lua) beside the probes'),
                   (2, "about is missing: one line that says what the probe is for"),
                   (3, 'unknown field "abuot"; did you mean about?'),
                   (4, 'services[1]: unknown field "tsl"; did you mean tls?')])
    found = findings('return {\nabout = "x",\nservices = { { name = "a" } },\nargs = {\nu = {\nTLS = 1 } },\n}\n')
    expect(found, [(6, 'args.u: unknown field "TLS"')])


for text, line, words in (
        ("return 42", 1, "must return a table"),
        ("local x = 1\nreturn { about = = 1 }", 2, "'='"),
        ("\n\nlocal x = 'abc\nreturn {}", 3, "unfinished string"),
        ("\nlocal t = nil\nt.x = 1\nreturn {}", 3, "nil"),
        ("while true do end", 1, "CPU"),
        ("\x1bLua", 1, "binary"),
        ("-- " + "x" * 300000, 1, "256 KiB"),
):
    @test(f"a file that cannot be loaded: {text[:20]!r}")
    def _(text=text, line=line, words=words):
        found = findings(text)
        expect(found[0][0], line)
        expect_in(words, found[0][1])


@test("a file's own name is told in one line, and safely")
def _():
    with folder(**{"two\nlines\x1b[31m_lua": "return 42"}) as path:
        out = scan("--check", f"{path}/two\nlines\x1b[31m.lua", status=1).out
        expect_true(out.startswith(f"{path}/two\\x0alines\\x1b[31m.lua:1: "), out)
        expect(out.count("\n"), 1)


@test("findings of the table and of the text come together, in order")
def _():
    found = findings(probe("conn:readlin()", "prob = 1, fields = 3,"))
    expect([line for line, _ in found], [1, 1, 3])


# --- patterns --------------------------------------------------------------------------------------------------------

for pattern, why in ((".-.-x", "one behind the other"), ("(.*)(.-)x", "one behind the other"), ("%s+$", "tried from every place"),
                     ("x.*$", "tried from every place"), ("^a+b+c+d+", "more than three"), ("^(.-)%s*=%s*(.-)$", "more than three")):
    @test(f"a pattern that can take long: {pattern}")
    def _(pattern=pattern, why=why):
        for body in (f'return ("x"):find("{pattern}")', f'return string.match("x", "{pattern}")', f'return ("x"):gsub("{pattern}", "")',
                     f'for w in ("x"):gmatch "{pattern}" do end'):
            found = in_probe(body)
            expect([line for line, _ in found], [3], body)
            expect_in(f'the pattern "{pattern}" can take very long', found[0][1])
            expect_in(why, found[0][1])
        expect_in(why, findings(probe("", f'greeting = "{pattern}",'))[0][1])


@test("what is wrong with a pattern is seen wherever it stands in it")
def _():
    for pattern, why in {"(%d+": "unfinished capture", "a)": "invalid pattern capture", "ab[c": "malformed pattern (missing ']')",
                         "x%": "malformed pattern (ends with '%')"}.items():
        for call in 'return ("x"):match("%s")', 'return string.gsub("x", "%s", "")', 'return conn:readuntil("%s")':
            expect(in_probe(call % pattern), [(3, f'the pattern "{pattern}": {why}')])
        found = findings(probe("", f'greeting = {{ "fine",\n"{pattern}" }},'))
        expect(found, [(1, f'greeting "{pattern}": {why}')])


@test("patterns that are well")
def _():
    for pattern in ("^.-.-x", "^%s*(.-)%s*$", "%d+", "^(%d%d%d)[ -](.*)$", "[.-]+[*+]", "%-%-%-%-", "a-b-c-", "[^%]]*", "x$", "%.+x"):
        clean(f'return ("x"):find("{pattern}")')
    clean('return ("x"):find("%s+$.-.-", 1, true)')
    clean('return ("x"):gsub("x", ".-.-")')
    clean('return ("x"):rep("%s+$")')


# --- who speaks first ------------------------------------------------------------------------------------------------

GREETS = 'greeting = "^220",'


@test("writing before the greeting")
def _():
    words = "writes before it has read the greeting that the probe declares; servers hang up on that"
    expect(in_probe('conn:write("x")\n  conn:readline()', GREETS), [(3, words)])
    expect(in_probe('report("x", 1)\n  if conn.tls then conn:write("x") end', GREETS), [(4, words)])
    clean('conn:readline()\n  conn:write("x")', GREETS)
    clean('conn:write("x")\n  conn:readline()')
    clean('local ok = pcall(conn.readline, conn)\n  conn:write("x")', GREETS)
    clean('local reply = require "reply"\n  reply.greeting(conn, report)\n  conn:write("x")', GREETS)


@test("writing before the greeting, in a function")
def _():
    text = """local function greet(c) %s end
local function converse(c) pcall(greet, c) c:write("x") end
local function run(c) converse(c) end
return { about = "x", services = { { name = "x", port = 1 } }, greeting = "^220", probe = run }
"""
    expect([line for line, _ in findings(text % 'c:write("x")')], [1])
    findings(text % "c:readline()", status=0)


# --- files -----------------------------------------------------------------------------------------------------------

@test("the shipped scripts and libraries are clean")
def _():
    files = sorted(str(path.relative_to(TOP)) for path in [*TOP.glob("scripts/*.lua"), *TOP.glob("scripts/lib/*.lua")])
    expect(scan("--check", *files, cwd=TOP).out, "".join(f"ok {name}\n" for name in files))


@test("several files: each has its lines, and one with findings makes the status 1")
def _():
    good = probe("")
    with folder(a_lua=good, b_lua=probe("x()\n  y()"), c_lua=good) as path:
        done = scan("--check", "a.lua", "b.lua", "none.lua", "c.lua", cwd=path, status=1)
        expect(scan("--check", "a.lua", "c.lua", cwd=path).out, "ok a.lua\nok c.lua\n")
    expect(re.sub(r": there is.*", "", done.out), "ok a.lua\nb.lua:3\nb.lua:4\nnone.lua:1: No such file or directory\nok c.lua\n")


@test("a library is held against what there is, not against a probe's table")
def _():
    with folder() as path:
        os.mkdir(path + "/lib")
        Path(path, "lib/mine.lua").write_text("local mine = {}\nfunction mine.ask(conn)\n  conn:wirte('x')\nend\nreturn mine\n", encoding="utf-8")
        Path(path, "x.lua").write_text(probe('local mine = require "mine"\n  mine.aks(conn)'), encoding="utf-8")
        done = scan("--check", path + "/lib/mine.lua", path + "/x.lua", status=1)
    expect(done.out, f'{path}/lib/mine.lua:3: conn has no method "wirte"; did you mean conn:write?\n'
                     f'{path}/x.lua:4: mine has no "aks"; did you mean mine.ask?\n')


@test("libraries of a folder that -S names")
def _():
    with folder() as path, folder(x_lua=probe('local mine = require "mine"\n  mine.aks(conn)')) as other:
        os.mkdir(path + "/lib")
        Path(path, "lib/mine.lua").write_text("return { ask = 1 }", encoding="utf-8")
        expect_in('mine has no "aks"', scan("-S", path, "--check", other + "/x.lua", status=1).out)


@test("with --trust there is all of Lua")
def _():
    text = probe('return os.time(), io, print, scan.listen, os.exti')
    with folder(x_lua=text) as path:
        done = scan("--trust", "--check", "x.lua", cwd=path, status=1)
    expect(done.out, 'x.lua:3: os has no "exti"; did you mean os.exit?\n')


@test("a line that is excused")
def _():
    clean("conn:readlin() -- check: ok, this is a test")
    expect([line for line, _ in in_probe("conn:readlin() -- check: ok\n  conn:readlin() -- chek: ok")], [4])


@test("all that Lua's grammar has is read")
def _():
    clean("""local a, b = 0x1p4, 3e-2
  local s = [==[ ]] ]==] .. 'a\\z
      b' .. "\\u{48}\\x41\\065" --[[ comment
  ]] --[==[ another ]==]
  local t = { [1] = 2; x = function(...) return select("#", ...) end, "y", }
  if a < b and not (a == b) or a ~= b then a = a // b elseif a << 1 > 2 then a = ~a else a = -#t end
  while a <= b do a = a + 1 if a >= 3 then break end end
  t.x.y, t["z"] = t.x(1)(2).q:rep(3), a & b | 1 ~ 2 >> 3 ^ 4 .. ""
  ;(t).x = nil;
  return a, s""")


@test("deep nesting is told, not crashed on")
def _():
    text = probe("return " + "(" * 180 + "1" + ")" * 180)
    findings(text, status=0)
    for body in ("return " + "(" * 5000 + "1" + ")" * 5000, "return " + "{" * 5000 + "}" * 5000, "do " * 5000 + "end " * 5000):
        expect(len(findings(probe(body))), 1)


run()
