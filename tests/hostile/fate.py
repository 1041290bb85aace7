"""What is to come of a row, and the tests that hold it against what came.

    of, bare, check = expectations()

    @of(7)                      # row 7; bare: of a TLS service that is met without TLS
    def _(asked, case): return Fate("read/oversize: more than 64 KiB", "oversize: ", banner="AAAA")

    check("in the open", services, rows, variants)    # a test for each row, and some for the run as a whole
"""
import base64
import re
import sys
import threading

import server
from server import BARE, RECORDS, SECURE, SINGLE, WHOLE
from stage import DEADLINE, INSTRUMENTED, REPLY, PATIENT, SLOW, TIMES, TRUST_NOBODY, Run, Stage, address, same
from harness import expect, expect_true, finish, short, start, test

AT_ONCE = 5.0 * SLOW  # seconds: a tenth of that would do, were nobody else at work here
CONNECT_ONLY = ("telnet", "kerberos", "ldap")  # kinds of which only the connection is tried
ASKING = ("smtp", "pop3", "imap", "ftp")       # kinds that say something to an honest server, if it is not in TLS
TIMED = {5, 6}                                 # how much came of these depends on the clock

SILENT = f"read/timeout: no greeting within {REPLY:g} s"
NO_REPLY = f"read/timeout: no reply within {REPLY:g} s"
NO_TLS = f"tls/timeout: no TLS handshake within {REPLY:g} s (before the server's hello)"
LATE = f"deadline/too-slow: not finished within {DEADLINE:g} s"
WORDLESS = "read/closed-early: the server closed the connection without a word"
CLOSED = "read/closed-early: the server closed the connection"
RESET = "read/reset: Connection reset by peer"
TOO_MUCH = "read/oversize: more than 64 KiB from the server"
SLOW_LINE = f"read/too-slow: the line did not end within {REPLY:g} s: "

MEMORY = 32 * 1024  # KiB that a run may take


class Fate:
    """How the error begins ("" is none, ... anything), how each of the warnings does, seconds, and the data: text, or
    bytes that may be bad UTF-8, a test for it, or ... for anything. `honest`: all the rest is as it is of an honest
    server. `tls`: facts that there must be. `visits`: connections that were made; `said`: all that was said on each of them. A first warning of ... stands
    for any warnings."""

    def __init__(self, error="", *warnings, within=AT_ONCE, honest=False, visits=1, said=..., tls=None, **data):
        self.error, self.warnings, self.within, self.honest = error, warnings, within, honest
        self.visits, self.said, self.tls, self.data = visits, said, tls, data

    def faults(self, found, honest):
        if not self.begins(self.error, problem(found)):
            yield f"error {problem(found)!r}, not {self.error!r}"
        warnings = [f"{warning['code']}: {warning['text']}" for warning in found["warnings"]]
        if self.warnings[:1] != (...,) and (len(warnings) != len(self.warnings) or
                                            not all(map(self.begins, self.warnings, warnings))):
            yield f"warnings {warnings}, not {list(self.warnings)}"
        if found["ms"] > 1000 * self.within:
            yield f"{found['ms']} ms, more than {1000 * self.within:g}"
        for key, wanted in (self.tls or {}).items():
            seen = found["tls"] and found["tls"].get(key)
            if not (wanted(seen) if callable(wanted) else wanted == seen):
                yield f"tls: {key} {seen!r}, not {wanted!r}"
        yield from self.data_faults(found["data"], honest["data"] if self.honest else None)

    @staticmethod
    def begins(wanted, seen):
        return wanted is ... or (seen.startswith(wanted) if wanted else not seen)

    def data_faults(self, data, honest):
        for key, wanted in self.data.items():
            if key not in data:
                yield f"no {key}"
            elif isinstance(wanted, bytes):
                yield from self.byte_faults(key, wanted, data)
            elif not (wanted(data[key]) if callable(wanted) else wanted in (..., data[key])):
                yield f"{key} {short(repr(data[key]))}, not {short(repr(wanted))}"
        for key in (honest or {}):
            if key not in self.data and data.get(key) != honest[key]:
                yield f"{key} {data.get(key)!r}, but {honest[key]!r} of an honest server"
        for key in data:
            if key not in self.data and key.removesuffix("_base64") not in self.data and honest is not None and key not in honest:
                yield f"{key} {data[key]!r}, which an honest server has not"

    @staticmethod
    def byte_faults(key, wanted, data):
        exact = base64.b64decode(data[key + "_base64"]) if key + "_base64" in data else data[key].encode()
        if exact != wanted:
            yield f"{key} {short(repr(exact))}, not {short(repr(wanted))}"


def note(text):
    """A figure for those who read the log."""
    sys.stdout.write(f"# {text}\n")


def problem(found):
    error = found["error"]
    return f"{error['phase']}/{error['code']}: {error['message']}" if error else ""


class Asked:
    """The service, of which kind it is, and whether it is asked inside TLS."""

    def __init__(self, service):
        self.service = service
        self.kind = server.KIND.get(service, service)
        self.secure = service in SECURE
        self.asks = self.kind == "smtp" or self.kind in ASKING and not self.secure


# --- words that servers say ------------------------------------------------------------------------------------------

def own_greeting(asked):
    return server.GREETING[asked.kind].decode("latin-1")


def not_a_greeting(asked, line=""):
    """The warning, if any, about a first line that nobody knows."""
    text = {"http": "not HTTP", "smtp": "not a reply", "ftp": "not a reply", "pop2": "not a POP2 greeting",
            "pop3": "not a POP3 greeting", "imap": "not an IMAP greeting"}.get(asked.kind)
    return [f"not-protocol: {text}: {line}"] if text else []


def told(asked, text, end=b"\r\n"):
    """The data that server.say() leaves."""
    rest = end.removesuffix(b"\n").removesuffix(b"\r").decode()
    if asked.kind == "http":
        return {"server": text, "reason": "OK" + rest, "status": 200}
    start = {"smtp": b"220 ", "ftp": b"220 ", "pop3": b"+OK ", "pop2": b"+ ", "imap": b"* OK ", "ssh": b"SSH-2.0-"}
    return {"banner": start.get(asked.kind, b"") + text + rest.encode()}


# --- tests -----------------------------------------------------------------------------------------------------------

def expectations():
    expected, without_tls = {}, {}

    def keeper(table):
        def of(*rows):
            def keep(function):
                for row in rows:
                    table[row] = function
                return function
            return keep
        of.rows = table
        return of

    def check(name, services, rows, variants, waiting=()):
        """`waiting` are the rows in which a client waits in vain."""
        Group(name, services, rows, variants, waiting, expected, without_tls).add_tests()

    return keeper(expected), keeper(without_tls), check


class Group:
    """Rows that one run of scan meets, and the tests about them."""

    def __init__(self, name, services, rows, variants, waiting, expected, without_tls):
        self.name, self.services, self.rows, self.variants, self.waiting = name, services, rows, variants, waiting
        self.expected, self.without_tls = expected, without_tls
        self.lock = threading.Lock()
        self.done = None

    def add_tests(self):
        for row in self.rows:
            title = f"row {row}, {server.rows[row][0].__name__.replace('_', ' ')}, {self.name}"
            if row:
                test(title)(lambda row=row: self.see_row(row))
            if row and SINGLE in self.variants:
                test(f"{title}: however it is cut")(lambda row=row: self.see_cuts(row))
        test(f"{self.name}: memory, descriptors, status")(self.see_run)
        test(f"{self.name}: connections, and what is said on them")(self.see_talk)
        test(f"{self.name}: clean text")(self.see_text)

    def result(self):
        """(run, what the server heard, runs as text). The first test that wants it plays it all."""
        with self.lock:
            if not self.done:
                try:
                    self.done = self.play()
                except Exception as fault:  # pylint: disable=broad-except
                    self.done = fault
        if isinstance(self.done, Exception):
            raise self.done
        return self.done

    def play(self):
        stage = Stage(*self.services, tls=max(self.rows) >= 60)
        played, texts = None, []
        for rows, times in (([row for row in self.rows if row not in self.waiting], PATIENT),
                            ([row for row in self.rows if row in self.waiting], TIMES)):
            run = Run(stage, rows, self.variants, times)
            played = run.join(played) if played else run
            texts.append(self.text(stage, rows, times))
        return played, stage.close(), texts

    def text(self, stage, rows, times):
        words = [address(self.variants[0], row, case) for row in rows for case in range(1, len(server.rows[row][1]) + 1)]
        return finish(start("-v", "--trace", *times, "-s", stage.choice(), *(words or ["127.0.0.1"]), env=TRUST_NOBODY),
                      patience=60 * SLOW)

    def fate(self, row, case, variant, service):
        asked = Asked(service)
        if variant == BARE and asked.secure:
            return self.without_tls[row](asked, case)
        if asked.kind in CONNECT_ONLY and (row < 59 or not asked.secure):
            return Fate()
        return self.expected[row](asked, case)

    def see_row(self, row):
        """The rows as they are, and those without TLS."""
        played, heard, _ = self.result()
        faults = []
        for (number, case, variant, service), found in sorted(played.records.items()):
            if number != row or variant not in (WHOLE, BARE):
                continue
            wanted = self.fate(row, server.rows[row][1][case - 1], variant, service)
            for fault in wanted.faults(found, played.records[0, 1, WHOLE, service]):
                faults.append(f"{service}, case {case}, variant {variant}: {fault}")
            for said in {log["heard"] for log in heard.get((row, case, variant, service), [])} - {wanted.said}:
                if wanted.said is not ...:
                    faults.append(f"{service}, case {case}, variant {variant}: it said {said!r}, not {wanted.said!r}")
            visits = len(heard.get((row, case, variant, service), [])) / (2 if variant == self.variants[0] else 1)
            if wanted.visits not in (..., visits):
                faults.append(f"{service}, case {case}, variant {variant}: {visits} connections, not {wanted.visits}")
        expect_true(not faults, "\n".join(faults[:10]))

    def see_cuts(self, row):
        """A byte at a time, in segments and in records, there is no difference."""
        played, _, _ = self.result()
        faults = []
        for (number, case, variant, service), found in sorted(played.records.items()):
            if number != row or variant not in (SINGLE, RECORDS) or row in TIMED or (row, case) in server.MERGED:
                continue
            whole = same(played.records[row, case, WHOLE, service])
            cut = same(found)
            faults += [f"{service}, case {case}, variant {variant}: {key} {short(repr(cut[key]))}, not {short(repr(whole[key]))}"
                       for key in whole if whole[key] != cut[key]]
        expect_true(not faults, "\n".join(faults[:10]))

    def see_run(self):
        played, _, texts = self.result()
        expect({*played.statuses, *(text.status for text in texts)}, {0}, "status")
        expect(played.leaked, [], "descriptors")
        note(f"{self.name}: {len(played.records)} records, {played.peak} KiB, {played.seconds:.2f} s of CPU time")
        expect_true(INSTRUMENTED or played.peak <= MEMORY, f"{played.peak} KiB")  # a sanitizer keeps what was freed

    def see_talk(self):
        _, heard, _ = self.result()
        faults = []
        for (row, case, variant, service), logs in heard.items():
            where = f"row {row}, case {case}, variant {variant}, {service}"
            most = 2 * (1 if variant != self.variants[0] else 2)  # the text run has been there too
            faults += [f"{where}: {len(logs)} connections"] * (len(logs) > most)
            faults += [f"{where}: the server broke: {log['fault']}" for log in logs if log["fault"]]
            faults += [f"{where}: {log['early']} bytes too early" for log in logs if log["early"]]
            faults += [f"{where}: {log['total']} bytes said" for log in logs if log["total"] > 4000]
        expect_true(not faults, "\n".join(faults))

    def see_text(self):
        _, _, texts = self.result()
        for text in texts:
            check_clean("report", text.raw)
            check_clean("trace", text.raw_err)


# What a terminal must not get from a server, U+0000 to U+001F but LF first: C0, C1, bidi, zero-width, invisible.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
                    "\U000e0000-\U000e0fff]")


def check_clean(what, out):
    for line in out.decode("utf-8", "strict").split("\n"):
        bad = UNSAFE.search(line)
        expect_true(not bad, f"{what}: {bad and bad.group()!r} in {line!r}")
        expect_true(not re.search("[\u0300-\u036f]{3}", line), f"{what}: a heap of marks in {line!r}")
        expect_true(len(line) <= 330, f"{what}: a line of {len(line)} characters: {line!r}")
