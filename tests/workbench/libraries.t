#!/usr/bin/python3 -B
"""What authors are given for bytes: scan.hex and its like, and the libraries ber, imap, http, reply and banner, each used
as a program of the user's own would, against a server of its own making."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
from harness import expect, expect_in, run, scan, test  # noqa: E402

# A server that says this at once, a report that prints, and an element for the eye.
BEFORE = """
local report = setmetatable({ warn = function(code, text) print("warn " .. code, text) end },
  { __call = function(_, key, value, text) print(key, type(value) == "table" and table.concat(value, " ") or value) end })
local function served(...)
  local listener <close> = scan.listen()
  local conn = scan.connect(listener.address, listener.port)
  local server = listener:accept()
  server:write(...)
  return conn, server
end
local function show(element)
  if not element then return "nil" end
  if element.value then return ("%02x:%s"):format(element.tag, scan.hex(element.value)) end
  local parts = {}
  for i, part in ipairs(element) do parts[i] = show(part) end
  return ("%02x{%s}"):format(element.tag, table.concat(parts, " "))
end
"""


def printed(code):
    return scan("-e", BEFORE + code).out.splitlines()


def prints(name, code, *lines):
    @test(name)
    def _():
        expect(printed(code), list(lines))


# --- bytes -----------------------------------------------------------------------------------------------------------

prints("hex and back", r"""
print(scan.hex("\0\x7f\xff"), scan.hex(""), scan.unhex("00 7F\nff") == "\0\x7f\xff", scan.unhex("0"), scan.unhex("0x"))
""", "007fff\t\ttrue\tnil\tnil")

prints("base64 and back", r"""
print(scan.base64("\0user\0pass"), scan.unbase64("AHVz\r\n ZXIAcGFzcw==") == "\0user\0pass", scan.unbase64("A"))
""", "AHVzZXIAcGFzcw==\ttrue\tnil")

prints("all bytes come back", r"""
local all = {}
for i = 0, 65535 do all[i + 1] = string.char(i * 7 % 256) end
all = table.concat(all)
print(scan.unhex(scan.hex(all)) == all, scan.unbase64(scan.base64(all)) == all)
""", "true\ttrue")


@test("past 64 KiB it is an error, and so is what is no text")
def _():
    for call in ('scan.hex(("x"):rep(65537))', 'scan.base64(("x"):rep(65537))', 'scan.unhex(("0"):rep(262145))',
                 'scan.unbase64(("A"):rep(262145))'):
        expect_in("too long", printed(f"print(pcall(function() return {call} end))")[0])
    expect_in("string expected", printed("print(pcall(scan.hex, {}))")[0])


# --- ber -------------------------------------------------------------------------------------------------------------

prints("elements as X.690 writes them", """
local ber = require "ber"
for _, number in ipairs { 0, 1, 127, 128, 255, 256, 32768, -1, -128, -129, 2147483648, math.maxinteger, math.mininteger } do
  local bytes = ber.integer(number)
  print(scan.hex(bytes), ber.number(ber.decode(bytes)) == number)
end
print(scan.hex(ber.sequence(ber.boolean(true), ber.boolean(false), ber.enumerated(2), ber.octets("ab"), ber.element(0xa3))))
""", "020100\ttrue", "020101\ttrue", "02017f\ttrue", "02020080\ttrue", "020200ff\ttrue", "02020100\ttrue",
       "0203008000\ttrue", "0201ff\ttrue", "020180\ttrue", "0202ff7f\ttrue", "02050080000000\ttrue",
       "02087fffffffffffffff\ttrue", "02088000000000000000\ttrue", "300f0101ff0101000a0102040261" + "62a300")

prints("short and long lengths", """
local ber = require "ber"
for _, size in ipairs { 0, 127, 128, 255, 256, 32768 - 4 } do
  local bytes = ber.octets(("x"):rep(size))
  print(scan.hex(bytes:sub(1, #bytes - size)), #ber.decode(bytes).value == size)
end
print(pcall(ber.octets, ("x"):rep(32769)))
""", "0400\ttrue", "047f\ttrue", "048180\ttrue", "0481ff\ttrue", "04820100\ttrue", "04827ffc\ttrue",
       "false\tan element of more than 32 KiB")

prints("what is read is as it came", """
local ber = require "ber"
print(show(ber.decode(scan.unhex("30 0c 020101 61 07 0a0100 0400 0400"))))
print(show(ber.decode(scan.unhex("30 84 00000003 0201 05"))))
print(show(ber.decode(scan.unhex("3000"))))
""", "30{02:01 61{0a:00 04: 04:}}", "30{02:05}", "30{}")

for bytes, why in {
        "": "an element that is cut off", "30": "an element that is cut off", "3003": "an element longer than what holds it",
        "300302": "an element longer than what holds it", "30020201": "an element longer than what holds it",
        "3080020100 0000": "an element without a length", "3085 0000000001 00": "a length of 5 bytes",
        "30ff": "a length of 127 bytes", "3084ffffffff": "an element of 4294967295 bytes", "308400": "a length that is cut off",
        "30837fffff": "an element of 8388607 bytes", "1f8101 00": "a tag of many bytes", "020101 00": "bytes behind the element",
        "3003 0102": "an element longer than what holds it", "30 01 02": "an element that is cut off"}.items():
    prints(f"{bytes or 'nothing'} is {why}", f'print(require("ber").decode(scan.unhex("{bytes}")))', f"nil\t{why}")

prints("eight levels and no more, a thousand parts and no more", """
local ber = require "ber"
local function deep(levels) local bytes = "" for _ = 1, levels do bytes = ber.sequence(bytes) end return bytes end
print(ber.decode(deep(8)) ~= nil, ber.decode(deep(9)))
print(ber.decode(deep(1000)))
print(#ber.decode(ber.sequence(("\\1\\0"):rep(1023))), ber.decode(ber.sequence(("\\1\\0"):rep(1024))))
""", "true\tnil\tmore than 8 levels", "nil\tmore than 8 levels", "1023\tnil\tmore than 1024 parts")

prints("numbers of no byte, or of too many, are none", """
local ber = require "ber"
print(ber.number({ tag = 2, value = "" }), ber.number({ tag = 2, value = ("x"):rep(9) }), ber.number({ tag = 0x30 }))
""", "nil\tnil\tnil")

prints("Kerberos: an error of a key distribution centre (RFC 4120 section 5.9.1)", """
local ber = require "ber"
local answer = ber.decode(scan.unhex("7e563054a003020105a10302011ea411180f32303236303130313132303030305aa50302012aa603020106a90b1b095343414e2e54455354aa1e301ca003020102a11530131b066b72627467741b095343414e2e54455354"))
local fields = {}
for _, field in ipairs(answer[1]) do fields[field.tag & 0x1f] = field[1] end
print(answer.tag & 0x1f, ber.number(fields[6]), fields[9].value, fields[4].value, fields[10][2][1][1].value)
""", "30\t6\tSCAN.TEST\t20260101120000Z\tkrbtgt")

prints("one element is read from a connection, and nothing behind it", """
local ber = require "ber"
local conn = served(scan.unhex("3003020105"), "220 next\\r\\n")
print(show(ber.read(conn, 0x30)), conn:readline())
local bytes = ("x"):rep(300)
print(#ber.read(served(ber.octets(bytes)), 4).value)
print(show(ber.read(served("\\5\\0"), 5)))
""", "30{02:05}\t220 next", "300", "05:")

prints("what is no such element is given back, and no long one is waited for", """
local ber = require "ber"
local function wrong(bytes)
  local element, why, read = ber.read(served(scan.unhex(bytes)), 0x30)
  print(element, why, scan.hex(read))
end
wrong "5353482d"
wrong "3084ffffffff"
wrong "3080"
wrong "300302ff05"
""", "nil\tanother tag\t5353", "nil\tan element of 4294967295 bytes\t3084ffffffff", "nil\tan element without a length\t3080",
       "nil\ta length of 127 bytes\t300302ff05")

# --- imap ------------------------------------------------------------------------------------------------------------

prints("an answer is the line with no star, literals and all passed over", r"""
local imap = require "imap"
local conn, server = served("* LIST () {5}\r\na1 OK {3}\r\nabc\r\n* 1 EXISTS\r\na1 OK done\r\n* BYE gone\r\n")
print(imap.ask(conn, report, "a1", "NOOP"), server:readline())
print(imap.answer(conn, report))
""", "a1 OK done\ta1 NOOP", "* BYE gone")

prints("a hundred lines and more that are no answer", r"""
local imap = require "imap"
print((imap.answer(served(("* x\r\n"):rep(200)), report)))
""", "warn oversize\tmore than 128 lines before an answer", "nil")

prints("which answer is good, and what is offered", r"""
local imap = require "imap"
print(imap.is_ok("A1 ok done", "a1"), imap.is_ok("a1 OK", "a1"), imap.is_ok("a1 OKAY", "a1"), imap.is_ok("a1 NO", "a1"),
  imap.is_ok("a2 OK", "a1"))
local greeting = "* OK [Capability imap4rev1 StartTLS] hello"
print(table.concat(imap.capabilities(greeting), " "), imap.offers(greeting, "STARTTLS"), imap.offers(greeting, "START"),
  imap.capabilities("* OK hello"), imap.offers("* OK hello", "STARTTLS"))
""", "true\ttrue\tfalse\tfalse\tfalse", "IMAP4REV1 STARTTLS\ttrue\tfalse\tnil\tnil")

# --- http and reply ----------------------------------------------------------------------------------------------------

prints("a request, and the header of its answer", r"""
local http = require "http"
local conn, server = served("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 Fine\r\nServer: a\r\nserver: b\r\nEmpty:\r\n\r\nbody")
http.ask(conn, "GET", "/x")
print(server:readline())
local head, fault = http.head(conn, report)
print(head.status, head.reason, head.fields.server, head.fields.empty, fault, conn:read(4))
""", "GET /x HTTP/1.1", "200\tFine\ta\tnil\tnil\tbody")

prints("a reply of many lines, and one that is none", r"""
local reply = require "reply"
local conn, server = served("250-one\r\n250 two\r\n251-other\r\n252 code\r\n")
local answer = reply.read(conn, report)
print(answer.code, #answer, answer[2])
print(#select(2, reply.read(conn, report)))
""", "250\t2\t250 two", "warn not-protocol\tnot a line of a 251 reply: 252 code", "1")

prints("a reply ends with its code, alone or with words behind it, and with nothing else", r"""
local reply = require "reply"
for _, text in ipairs { "250-a\n250\n", "250-a\n250x\n", "250x\n", "250-a\n25\n", ("250-a\n"):rep(200), "250\n250 b\n" } do
  local answer, lines = reply.read(served(text), report)
  print(answer and answer.code .. "|" .. reply.text(answer):gsub("\n", ","), #lines)
end
print(reply.text(reply.read(served("250-a\nanything\n251 b\n250 c\n250 d\n"), report, true)))
""", "250|250-a,250\t2", "warn not-protocol\tnot a line of a 250 reply: 250x", "nil\t1", "warn not-protocol\tnot a reply: 250x",
       "nil\t0", "warn not-protocol\tnot a line of a 250 reply: 25", "nil\t1",
       "warn oversize\ta reply of more than 128 lines", "nil\t128", "250|250\t1", "250-a", "anything", "251 b", "250 c")

# --- what came instead -------------------------------------------------------------------------------------------------

prints("text in place of bytes is read to the end of its line; other bytes are shown as hex", r"""
local banner = require "banner"
local conn = served("ello there\r\n")
banner.instead(conn, report, "not it", "H")
banner.instead(served("x"), report, "not it", "two lines\r\nof this")
banner.instead(served("x"), report, "not it", ("\1"):rep(40))
banner.instead(served("more"), report, "not it", "no end, ")
""", "warn not-protocol\tnot it: Hello there", "warn not-protocol\tnot it: two lines",
       "warn not-protocol\tnot it: 01010101010101010101010101010101", "warn not-protocol\tnot it: no end, more")

run()
