#!/usr/bin/python3 -B
"""--replay: what a conversation file can say, and what is told of a probe that does not keep to it."""
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
from harness import Skipped, expect, expect_in, expect_not_in, expect_true, folder, read, run, scan, test  # noqa: E402

SMTP = """service: smtp

S: 220 mx.example ESMTP
C: EHLO [192.0.2.4]
S: 250-mx.example
S: 250 STARTTLS
C: STARTTLS
S: 220 go ahead
T: starttls
C: QUIT
S: 221 bye
"""

PROBE = """return { about = "x", services = { { name = "mine", port = 4711 } },
  args = { word = { default = "hello" } },
  probe = function(conn, report, args)
    %s
  end }"""

MINE = "service: mine\nscript: mine.lua\n\n"


def replay(text, *options, status=0, **more):
    """What is printed of one file of this text."""
    with folder(x_conversation=text, **more.pop("files", {})) as path:
        done = scan(*options, "--replay", "x.conversation", status=status, cwd=path, **more)
    expect(done.err, "")
    return done.out


def mine(body, text, *options, **more):
    """The same with a probe whose function has this body."""
    return replay(MINE + text, *options, files={"mine_lua": PROBE % body}, **more)


@test("the service is one of the script that the file brings, not of another")
def _():
    expect(replay("# x\nservice: ssh\nscript: mine.lua\n\nS: x\n", status=1, files={"mine_lua": PROBE % ""}),
           'not ok x.conversation\n  x.conversation:2: mine.lua has no service "ssh"\n')
    own = (PROBE % 'report("mine", true, "mine")').replace('"mine", port', '"ssh", port')
    expect(replay("service: ssh\nscript: mine.lua\n\nS: x\nR: mine\n", files={"mine_lua": own}), "ok x.conversation\n")


# --- what is right ---------------------------------------------------------------------------------------------------

@test("a conversation that fits, with its report and its record")
def _():
    text = SMTP + """
R: 220 mx.example ESMTP
R: TLS available.
R= {"state": "open", "data": {"banner": "220 mx.example ESMTP", "extensions": ["STARTTLS"],
R=   "starttls": {"advertised": true, "accepted": true, "handshake": true}}, "warnings": [], "error": null}
"""
    expect(replay(text), "ok x.conversation\n")
    expect_in("ways to cut it)", replay(text, "-v"))


@test("what was reported is given for a file that does not say it")
def _():
    expect(replay(SMTP), """ok x.conversation
  the file does not say what must be reported; it was:
  R: 220 mx.example ESMTP
  R: TLS available.
  R= {"state": "open",
  R=  "data": {"banner": "220 mx.example ESMTP", "extensions": ["STARTTLS"], "starttls": """
           """{"accepted": true, "advertised": true, "handshake": true}},
  R=  "warnings": [],
  R=  "error": null}
""")


@test("several files: each has its line, and one that is wrong makes the status 1")
def _():
    good = "service: pop2\nS: + hi\nC: QUIT\nR: + hi\n"
    with folder(a_conversation=good, b_conversation=good.replace("QUIT", "EXIT"), c_conversation=good) as path:
        done = scan("--replay", "a.conversation", "b.conversation", "c.conversation", "none.conversation", status=1, cwd=path)
        expect(scan("--replay", "a.conversation", "c.conversation", cwd=path).out, "ok a.conversation\nok c.conversation\n")
    expect(done.out, """ok a.conversation
not ok b.conversation
  b.conversation:3: the client says "QUIT", where "EXIT" is due
ok c.conversation
not ok none.conversation
  none.conversation: No such file or directory
""")


@test("nothing goes to the network: not even a name is looked up")
def _():
    if not shutil.which("strace"):
        raise Skipped("no strace here")
    text = "host: nowhere.invalid\naddress: 198.51.100.1\n" + SMTP + "R: 220 mx.example ESMTP\nR: TLS available.\n"
    with folder(x_conversation=text) as path:
        scan("--replay", "x.conversation", cwd=path, env={"ASAN_OPTIONS": "detect_leaks=0"},
             before=("strace", "-f", "-o", path + "/calls", "-e", "trace=network"), patience=120)
        calls = read(path + "/calls").decode(errors="replace")
    expect_in("socketpair(AF_UNIX", calls)
    expect_not_in("AF_INET", calls)
    expect_not_in("connect(", calls)


# --- marks and heads -------------------------------------------------------------------------------------------------

@test("marks in what the client says and in what is reported")
def _():
    body = 'conn:write("HELLO ", conn.host, " ", scan.now(), "\\r\\n") report("answer", conn:readline() .. " " .. conn.port)'
    said = "C: HELLO {host} {any}\nS: <{number}@{word}> {date}\n"
    expect(mine(body, said + 'R: <{number}@{word}> {date} {number}\nR= {"data": {"answer": "<{any}> {date} 4711"}}\n'),
           "ok x.conversation\n")
    expect_in('where "HELLO {number}" is due', mine(body, said.replace("{host} {any}", "{number}"), status=1))


@test("the head: names, addresses, port")
def _():
    body = """local all = { conn.host, conn.address, conn.port, conn.local_address, conn.service }
    report("all", all, table.concat(all, " "))"""
    expect(mine(body, "R: server.example 192.0.2.7 4711 192.0.2.4 mine\n"), "ok x.conversation\n")
    text = MINE.strip() + "\nhost: h\naddress: 2001:db8::1\nport: 99\n\nR: h 2001:db8::1 99 2001:db8::4 mine\n"
    expect(replay(text, files={"mine_lua": PROBE % body}), "ok x.conversation\n")


@test("the head: arguments, which hold for this file only")
def _():
    body = 'report("word", args.word)'
    with folder(mine_lua=PROBE % body, a_conversation=MINE.strip() + "\narg: mine.word=other\nR: other\n",
                b_conversation=MINE + "R: hello\n", c_conversation=MINE + "R: given\n",
                d_conversation=MINE.strip() + "\narg: mine.wrod=other\n") as path:
        expect(scan("--replay", "a.conversation", "b.conversation", "a.conversation", cwd=path).out,
               "ok a.conversation\nok b.conversation\nok a.conversation\n")
        expect(scan("-a", "mine.word=given", "--replay", "c.conversation", "a.conversation", "c.conversation", cwd=path).out,
               "ok c.conversation\nok a.conversation\nok c.conversation\n")
        expect_in('d.conversation:3: no probe declares the argument "mine.wrod"; did you mean mine.word?',
                  scan("--replay", "d.conversation", cwd=path, status=1).out)


@test("a script beside the file, and one of -S that goes before it")
def _():
    with folder(x_conversation=MINE + "R: theirs\n", mine_lua=PROBE % 'report("x", "theirs")') as path, \
            folder(mine_lua=PROBE % 'report("x", "ours")') as other:
        expect(scan("--replay", path + "/x.conversation").out, f"ok {path}/x.conversation\n")
        expect_in("+ ours", scan("-S", other, "--replay", path + "/x.conversation", status=1).out)


@test("a service that nobody knows")
def _():
    expect_in('x.conversation:1: there is no service "smpt"; did you mean smtp?', replay("service: smpt\n", status=1))
    text = "service: mine\nscript: mine.lua\n"
    expect_in("no port of its own", replay(text, files={"mine_lua": PROBE.replace(", port = 4711", "") % ""}, status=1))


@test("what is wrong with a file is told at once, with its lines")
def _():
    expect(replay("servce: smtp\nS; 220\nC: \\q\n", status=1).count("x.conversation:"), 4)


@test("what looks like a misspelt mark is named when the file does not fit; {port} wants a port")
def _():
    text = SMTP.replace("EHLO [192.0.2.4]", "EHLO {wrod}") + "\nR: 220 {hots}\n"
    expect(replay(text, status=1).splitlines()[1:], [
        '  x.conversation:4: the client says "EHLO [192.0.2.4]", where "EHLO {wrod}" is due',
        "  x.conversation:4: {wrod} is no mark; did you mean {word}?", "  x.conversation:13: {hots} is no mark; did you mean {host}?"])
    expect_not_in("mark", replay(SMTP.replace("220 mx", "220 {numbr} {x} mx")))
    expect_in(':4: {port} wants "port: NUMBER" in the head', replay(SMTP.replace("[192.0.2.4]", "{port}"), status=1))


@test("faults of the head have their line; a file that is none is told of in few")
def _():
    expect_in('x.conversation:2: the head has no "prot"; did you mean port?', replay("service: smtp\nprot: 1\nS: x\n", status=1))
    expect_in("x.conversation:2: nosuch.lua: No such file", replay("service: smtp\nscript: nosuch.lua\nS: x\n", status=1))
    expect_in('x.conversation:1: the head has no "service: NAME"', replay("", status=1))
    expect(len(replay("a\0b\n" * 1000, status=1).splitlines()), 22)


# --- what the client does wrong --------------------------------------------------------------------------------------

for what, body, text, fault in (
        ("says something else", 'conn:write("A\\r\\n") conn:readline()', "C: B\nS: x\n", ':4: the client says "A", where "B" is due'),
        ("leaves out the CR", 'conn:write("A\\n") conn:readline()', "C: A\nS: x\n", r':4: the client says "A\n", where "A\r\n" is due'),
        ("says half of it", 'conn:write("EH") conn:readline()', "C: EHLO\nS: x\n", ':4: the client says "EH" and no more, where "EHLO" is due'),
        ("leaves too early", "", "S: hi\nC: QUIT\n", ':5: the client leaves where "QUIT" is due'),
        ("speaks before the greeting", 'conn:write("A\\r\\n") conn:readline()', "S: hi\nC: A\n",
         ':4: the client says "A" before the server has said this'),
        ("speaks before the end of a reply", 'conn:readline() conn:write("A\\r\\n") conn:readline()', "S: 220-hi\n|\nS: 220 ho\nC: A\n",
         ':6: the client says "A" before the server has said this'),
        ("sends two commands at once", 'conn:write("A\\r\\nB\\r\\n") conn:readline()', "C: A\nS: ok\nC: B\nS: ok\n",
         ':5: the client says "B" before the server has said this'),
        ("says more at the end", 'conn:readline() conn:write("A\\r\\n") conn:readline()', "S: hi\n", ':4: at the end the client still says "A"'),
        ("makes no handshake", 'conn:write("A\\r\\n") conn:readline()', "T: starttls\n", ':4: the client says "A", where a TLS handshake is due'),
        ("leaves before the handshake", "", "T: starttls\n", ":4: the client leaves where a TLS handshake is due"),
        ("makes a handshake that is not due", "conn:starttls()", "C: STARTTLS\n", 'the client says "(a TLS handshake)'),
        ("makes a handshake at the end", "conn:starttls()", "", ':3: at the end the client still says "(a TLS handshake)"'),
        ("opens another connection", "scan.connect(99):readline()", "S: x\n", ":4: the client opens another connection, to port 99"),
        ("says other bytes", 'conn:write("\\1\\2\\3") conn:readline()', "C- \\x01\\x02\\x04\nS: x\n",
         r':4: the client says "\x01\x02\x03", where "\x01\x02\x04" is due'),
):
    @test(f"a client that {what}")
    def _(body=body, text=text, fault=fault):
        expect_in("x.conversation" + fault if fault[0] == ":" else fault, mine(body, text, status=1))


@test("a client that does not open the other connection")
def _():
    expect_in("x.conversation:5: the client leaves and has not opened this connection",
              mine("conn:readline()", "S: x\nS2: y\n", status=1))


@test("a probe with a bug is named with file and line")
def _():
    out = mine("conn:readline()\n    nothing.x = 1", "S: x\n", status=1)
    expect_in("the probe failed: mine.lua:5: ", out)
    expect(mine("error('meant')", 'R= {"error": {"code": "script-error"}}\n'), "ok x.conversation\n")


# --- what is reported ------------------------------------------------------------------------------------------------

@test("lines that are missing, more or different are shown beside those that fit")
def _():
    body = 'for i = 1, 4 do report("line" .. i, conn:readline()) end'
    text = "S: one\nS: 2\nS: three\nS: four\n\nR: one\nR: two\nR: three\nR: four\nR: five\n"
    expect(mine(body, text, status=1), """not ok x.conversation
  not reported (-), reported instead (+):
    one
  - two   (line 10)
  + 2
    three
    four
  - five   (line 13)
""")


@test("what differs in a record is told by its place")
def _():
    body = 'report("a", { b = { 1, "x" }, c = true }) report.warn("w", "text")'
    text = 'R= {"data": {"a": {"b": [1, "y", 3], "d": null}},\nR= "warnings": []}\n'
    expect(mine(body, text, status=1), """not ok x.conversation
  x.conversation:4: data.a.b[2] is "x", not "y"
  x.conversation:4: data.a.b[3] is not there, not 3
  x.conversation:4: data.a.d is not there, not null
  x.conversation:4: data.a.c is true, and should not be there
  x.conversation:4: warnings[1] is {"code": "w", "text": "text"}, and should not be there
""")


@test("of an error only what is given must be the same")
def _():
    text = 'S! close\nR= {"error": {"phase": "read"}}\n'
    expect(mine("conn:readline()", text), "ok x.conversation\n")
    expect_in('error.phase is "read", not "tls"', mine("conn:readline()", text.replace("read", "tls"), status=1))
    expect_in("error is null, not", mine("", 'R= {"error": {"phase": "read"}}\n', status=1))


@test("bytes that are not UTF-8 are held against their base64")
def _():
    body = 'report("raw", conn:readline())'
    expect(mine(body, 'S: a\\xff\nR: a\\xff\nR= {"data": {"raw": "a\ufffd", "raw_base64": "Yf8="}}\n'), "ok x.conversation\n")


# --- segments --------------------------------------------------------------------------------------------------------

@test("a probe that depends on segments is found out")
def _():
    out = mine('report("got", conn:read())', "S- 220 hello\nR: 220 hello\n", status=1)
    expect_in("with the server's words in pieces of 1 byte it is not the same:", out)
    expect_in("+ 2\n", out)


@test("a probe that fails at one place only is found out, and the place named")
def _():
    body = """local first = conn:read(2) .. conn:read()
    report("ok", #first ~= 5, #first ~= 5 and "fine" or "five")"""
    out = mine(body, "S: 220 hello\nR: fine\n", status=1)
    expect_in("with the server's words cut in two behind 5 bytes it is not the same:", out)
    expect_in("  + five\n", out)


@test("what must come in one piece is never cut")
def _():
    body = 'report("got", #conn:read(), false)'
    text = 'S: 220 one\nS+ 220 two\nR= {"data": {"got": 18}}\n'
    expect_in("it is not the same", mine(body, text.replace("S+", "S:"), status=1))
    # its neighbours are cut all the same
    out = mine('conn:readline() report("got", #conn:read(), false)', "S: first\n" + text.replace("R=", "S: last\nR=").replace("18", "24"),
               status=1)
    expect_in("it is not the same", out)
    expect(mine(body, text), "ok x.conversation\n")


@test("segments as the file has them")
def _():
    body = 'local n = {} for i = 1, 3 do n[i] = conn:read() end report("n", n, table.concat(n, "|"))'
    text = "S- ab\n|\nS- c\nS- d\n+0.1\nS- ef\n\nR: ab|cd|ef\n"
    out = mine(body, text, status=1)
    expect_not_in("not reported (-)", out)  # as it is written it is right
    expect_in("with each run of the server's words in one piece it is not the same", out)


@test("TLS records are cut too")
def _():
    body = 'conn:starttls() report("got", conn:read())'
    out = mine(body, "T: starttls\nS- hello\nR: hello\n", status=1)
    expect_in("with the server's words in pieces of 1 byte it is not the same:", out)


# --- time ------------------------------------------------------------------------------------------------------------

@test("many words under TLS are cut, too, and stay within what a client takes of records")
def _():
    words = "".join(f"S: line {i} {'x' * 60}\n" for i in range(400))
    text = "T: starttls\n" + words + "C: BYE\nS: bye\n"
    body = 'conn:starttls() for i = 1, 400 do conn:readline() end conn:write("BYE\\r\\n") report("end", conn:readline())'
    expect_in("ok x.conversation", mine(body, text + "\nR: bye\n"))
    expect_in("in pieces of 1 byte it is not the same", mine('conn:starttls() report("end", conn:read())', "T: starttls\n" + words, status=1))


@test("time is pretended: a silent server costs none, and time-outs are exact")
def _():
    began = time.monotonic()
    out = mine('report("x", conn:readline(3600))', "+3599\nS: at last\nR: at last\n", "--deadline", "4000", "-v")
    expect_in("ok x.conversation", out)
    expect_in("[read] no greeting within 10 s", mine("conn:readline()", "+11\nS: x\nR: x\n", status=1))
    expect_in("[read] no greeting within 7 s", mine("conn:readline()", "+11\nS: x\nR: x\n", "--reply-timeout", "7", status=1))
    expect(replay(MINE.strip() + "\nreply-timeout: 2\n\nR: [read] no greeting within 2 s\n",
                  files={"mine_lua": PROBE % "conn:readline()"}), "ok x.conversation\n")
    expect(mine("scan.sleep(20) scan.sleep(20)", "R: [deadline] not finished within 30 s\n"), "ok x.conversation\n")
    expect(mine('local t = scan.now() scan.sleep(5) report("s", (scan.now() - t + 0.5) // 1)', "R: 5.0\n"), "ok x.conversation\n")
    expect_true(time.monotonic() - began < 15, "it took real time")


# --- more lines of the format ----------------------------------------------------------------------------------------

for what, body, text in (
        ("closes", "conn:readline()", "S! close\nR: [read] the server closed the connection without a word\n"),
        ("closes in mid-line", 'report("x", conn:readline())', "S- half\nS! close\nR: half\n"),
        ("breaks off", "conn:readline() conn:readline()", "S: x\nS! reset\nR: [read] Connection reset by peer\n"),
        ("repeats itself", "while true do conn:readline() end", "S* again\nR: [read] more than 64 KiB from the server\n"),
        ("answers our hello in plain text", "conn:starttls()", "T: hello\nS: 400 Bad\nR: [tls] the server answered in plain text: 400 Bad\n"),
        ("closes at our hello", "pcall(conn.starttls, conn)", "T: hello\nS! close\nT2: hello\nS2! close\n"
         'R= {"error": null}\n'),
        ("is closed while it talks under TLS", 'conn:starttls() report("x", conn:readline())', "T: starttls\nS: a\nS: b\nR: a\n"),
        ("says bytes", 'report("x", conn:read(3):byte(2))', "S- \\x00\\xffa\nR: 255\n"),
        ("hears bytes", 'conn:write("\\0\\1", "rest\\r\\n") conn:readline()', "C- \\0{any:1}\nC: rest\nS: x\n"),
        ("has two connections", """local other <close> = scan.connect(99)
    report("a", conn:readline()) report("b", other:readline()) other:write("B\\r\\n") conn:write("A\\r\\n") report("c", other:readline())""",
         "C2! connect 99\nS: one\nS2: two\nC2: B\nC: A\nS2: three\nR: one\nR: two\nR: three\n"),
):
    @test(f"a server that {what}")
    def _(body=body, text=text):
        expect_in("ok x.conversation\n", mine(body, text))


@test("what the probe finds in conn.tls is what the file says, or what is so")
def _():
    body = 'conn:starttls() report("who", conn.tls.subject, conn.tls.subject .. " " .. tostring(conn.tls.days_left))'
    text = 'T: starttls\nT= {"subject": "CN=mail.example",\nT= "days_left": 41}\nR: CN=mail.example 41\nR= {"tls": {"subject": "CN=mail.example"}}\n'
    expect(mine(body, text), "ok x.conversation\n")
    expect(mine(body, "T: starttls\nR: CN=localhost {number}\n"), "ok x.conversation\n")
    expect_in("x.conversation:5: what conn.tls holds is not JSON", mine(body, 'T: starttls\nT= {"subject" "x"}\n', status=1))


@test("the port of another connection must be right")
def _():
    expect_in("x.conversation:4: the client connects to port 98, not 99",
              mine("scan.connect(98):readline()", "C2! connect 99\nS2: x\n", status=1))


@test("--trace shows the conversation as it is written, once")
def _():
    with folder(x_conversation=SMTP) as path:
        err = scan("--trace", "--replay", "x.conversation", cwd=path).err
    expect(err.count("smtp C: STARTTLS"), 1)
    expect_in("smtp T: TLSv1.3 ", err)


# --- use -------------------------------------------------------------------------------------------------------------

@test("wrong use")
def _():
    expect_in("--replay needs a file", scan("--replay", status=2).err)
    expect_in("exclude each other", scan("--replay", "--check", "x", status=2).err)


run()
