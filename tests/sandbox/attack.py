"""What the tests of the sandbox share: a probe that attacks, and beside it, in the same scan, an honest one.

    attack("a loop without an end", "while true do end", killed(CPU))

runs `scan` on a server of each, in one thread, with the attack in the middle of the honest probe's conversation. Then
- the attack has the outcome that is asked for: the record's error, the same line on standard error, the exit status,
- the honest probe's record is right, and so is that of a probe that came with scan,
- it took no longer, in CPU time, and no more memory than the limits allow.
"""
import contextlib
import os
import re
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

# pylint: disable=wrong-import-position
from harness import PATIENCE, SCAN, Server, expect, expect_true, folder, greeter, hear_out, record, start, test

# A scan without an attack takes 10 ms of CPU time and 15 MiB; a sanitizer's build ten times as much.
with open(SCAN, "rb") as program:
    SANITIZED = b"__asan_init" in program.read()
SECONDS = 6.0 if SANITIZED else 1.0
MEMORY = 1500 if SANITIZED else 96  # MiB, of which Python has its share: it is what scan was before

# The first line of the code of an attack is this line of the file.
LINE = 5

EVIL = """return {
  about = "an attack", %s
  services = { { name = "evil", port = 1, optional = true } },
  probe = function(conn, report)
%s
  end,
}
"""

HONEST = """return {
  about = "an honest probe",
  services = { { name = "honest", port = 2, optional = true } },
  greeting = "^ready",
  probe = function(conn, report)
    report("first", conn:readline():match("^(%a+) "))
    conn:write("HELLO\\r\\n")
    local words = {}
    for word in conn:readline():gmatch("%a+") do
      table.insert(words, 1, (word:gsub("^%l", string.upper)))
    end
    report("words", table.concat(words, " "))
    table.sort(words)
    report("sorted", words[1])
    report("made", tostring(setmetatable({}, { __tostring = function() return ("x"):rep(3, "-") end })))
    report("kept", select("#", table.unpack(words)))
  end,
}
"""

HONEST_DATA = {"first": "ready", "words": "Late Come Words", "sorted": "Come", "made": "x-x-x", "kept": 3}

CPU = r"evil\.lua(:\d+)?: the probe used up its CPU time, 50 ms without waiting"
CPU_SUM = r"evil\.lua(:\d+)?: the probe used up its CPU time, 250 ms in all"
MEMORY_OVER = r"evil\.lua(:\d+)?: the probe used more memory than the 16 MiB that there are for all"


def killed(pattern=CPU):
    return "script-killed", pattern


def error(text, line=LINE):
    """A script error with this text, in the words of `re`, at this line."""
    return "script-error", rf"evil\.lua:{line}: {text}"


def nil(name, kind="global"):
    return error(rf"attempt to (call|index) a nil value \({kind} '{name}'\)")


# --- running ---------------------------------------------------------------------------------------------------------

class Used:
    """What a run came to, and what it took."""

    def __init__(self, status, out, err, used, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err.decode(), seconds
        self.cpu, self.memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        self.records = {}
        for line in out.splitlines(keepends=True):
            if line.startswith(b"{"):
                found = record(line)
                self.records[found["service"], found["host"]] = found


def measure(*words):
    """Run scan; give up on it after PATIENCE seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        process = start(*words, stdout=out, stderr=err, before=("timeout", "-s", "KILL", str(PATIENCE)))
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Used(process.returncode, out.read(), err.read(), used, time.monotonic() - began)


def check_used(used):
    expect_true(used.status not in (-9, 137), f"scan did not end within {PATIENCE} s")
    expect_true(used.cpu < SECONDS, f"it took {used.cpu:.2f} s of CPU time")
    expect_true(used.memory < MEMORY, f"it took {used.memory:.0f} MiB")


class Stage:
    """The servers. The attacker is greeted when the honest probe is in the middle of its conversation, which goes on
    when the attacker is gone, or says HOLD. Then the attacker gets another line, when the honest probe has left."""

    def __init__(self, said=b"hello\r\n"):
        self.said = said
        self.begun, self.attacked, self.left = threading.Event(), threading.Event(), threading.Event()
        self.stack = contextlib.ExitStack()
        self.evil = self.stack.enter_context(Server(self.serve_evil, address="0.0.0.0"))
        self.honest = self.stack.enter_context(Server(self.serve_honest))
        self.ssh = self.stack.enter_context(greeter(b"SSH-2.0-honest\r\n"))

    def serve_evil(self, sock):
        with contextlib.suppress(ConnectionError):
            expect_true(self.begun.wait(PATIENCE), "the honest probe does not begin")
            sock.sendall(self.said)
            while (heard := sock.recv(65536)) and not heard.startswith(b"HOLD"):
                pass
            self.attacked.set()
            if heard:
                expect_true(self.left.wait(PATIENCE), "the honest probe does not leave")
                sock.sendall(b"go\r\n")
                hear_out(sock)
        self.attacked.set()

    def serve_honest(self, sock):
        sock.sendall(b"ready when you are\r\n")
        expect(sock.recv(100), b"HELLO\r\n")
        self.begun.set()
        expect_true(self.attacked.wait(PATIENCE), "the attack does not end")
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"words come late\r\n")
            hear_out(sock)
        self.left.set()

    def __enter__(self):
        return self

    def alone(self):
        """There will be no honest probe."""
        self.begun.set()
        self.left.set()

    def __exit__(self, *failure):
        self.attacked.set()
        self.alone()
        return self.stack.__exit__(*failure)


def play(stage, files, *words, evil=True):
    """One scan of all three."""
    services = [f"honest={stage.honest.port}", f"ssh={stage.ssh.port}"]
    if evil:
        services.insert(0, f"evil={stage.evil.port}")
    else:
        stage.attacked.set()
    with folder(honest_lua=HONEST, **files) as path:
        used = measure("--json", "-j", 1, "-S", path, "-s", ",".join(services), *words, "127.0.0.1")
    check_used(used)
    check_honest(used)
    return used


def check_honest(used):
    honest, ssh = used.records["honest", "127.0.0.1"], used.records["ssh", "127.0.0.1"]
    expect([honest["state"], honest["data"], honest["warnings"], honest["error"]], ["open", HONEST_DATA, [], None])
    expect([ssh["state"], ssh["data"], ssh["error"]], ["open", {"banner": "SSH-2.0-honest"}, None])


def check_evil(used, wanted, data, slow=False):
    found = used.records["evil", "127.0.0.1"]
    port, fault = found["port"], found["error"]
    if slow and fault and re.search(CPU, fault["message"]):
        wanted, data = killed(), None
    told = [line for line in used.err.splitlines() if "evil" in line]
    expect(found["state"], "open")
    if wanted is None:
        expect([fault, told, used.status], [None, [], 0])
    if data is not None:
        expect(found["data"], data)
    if wanted is None:
        return
    code, pattern = wanted
    expect_true(fault, f"no error: {found}")
    expect_true(re.fullmatch(code, fault["code"]), f"{fault['code']} is not {code}")
    expect_true(re.fullmatch(f"(?s).*({pattern})", fault["message"]), f"{fault['message']!r} is not {pattern}")
    if not fault["code"].startswith("script-"):  # a limit of the connection, not a bug of the probe
        expect([told, used.status], [[], 0])
        return
    expect(fault["phase"], "script")
    expect(told, [f"scan: the probe of evil failed on 127.0.0.1 port {port}: {shown(fault['message'])}"])
    expect(used.status, 4)


def shown(text):
    """As it stands on a terminal: without what would be more than a character there."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]",
                  lambda found: f"\\x{ord(found[0]):02x}" if found[0] < "\x80" else f"\\u{{{ord(found[0]):x}}}", text)


def attack(name, code, wanted, *words, data=None, declares="", said=b"hello\r\n", slow=False, **files):
    """A test: the code is the probe's; `wanted` is the code and the message of its error, or None. One that is `slow`
    may be out of its time before it comes to that, on some machines."""
    @test(name)
    def _():
        with Stage(said) as stage:
            used = play(stage, {"evil_lua": EVIL % (declares, code), **files}, *words)
        check_evil(used, wanted, data, slow)


def bad_file(name, source, problem, file="evil_lua", **files):
    """A test: a file that cannot be loaded. It is named, and the others run."""
    @test(name)
    def _():
        with Stage() as stage:
            used = play(stage, {file: source, **files}, evil=False)
        told = used.err.splitlines()
        expect_true(len(told) == 1 and re.fullmatch(rf"scan: .*{problem}", told[0]), f"{used.err!r} is not {problem}")
        expect(used.status, 4)
