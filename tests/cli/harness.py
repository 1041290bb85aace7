"""What the tests of the command line share: run scan, fake servers on loopback, JSON records held against the schema.

    from harness import expect, greeter, run, scan, test

    @test("the greeting is printed")
    def _():
        with greeter(b"SSH-2.0-x\\r\\n") as server:
            expect(scan("-s", f"ssh={server.port}", "127.0.0.1").out, f'''Testing 127.0.0.1: ...''')

    run()

Each test runs in a thread of its own, several at a time, on ports that the kernel chooses. Nothing sleeps: a test waits
for events, with PATIENCE as the time after which something is given up. run() reports in the Test Anything Protocol;
with arguments it runs only the tests whose names have one of them in it.
"""
import base64
import contextlib
import difflib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

# What a shell starts in the background ignores Ctrl-C, and all that it starts in turn. A test means it.
signal.signal(signal.SIGINT, signal.default_int_handler)

SCAN = os.path.abspath(os.environ.get("SCAN", "./scan"))
TOGETHER = 6  # tests at a time

with open(SCAN, "rb") as program:
    SANITIZED = b"__asan_init" in program.read()

PATIENCE = 60 if SANITIZED else 20  # seconds

# For a scan that a test cuts short: what its workers hold is left to the end of the process, which is no leak.
CUT_SHORT = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}

# A probe of three services that print whatever lines come: for what has nothing to do with a protocol.
LINES = """
return {
  about = "prints lines",
  services = { { name = "one", port = 1, optional = true }, { name = "two", port = 2, optional = true },
               { name = "three", port = 3, optional = true } },
  probe = function(conn, report)
    for number = 1, 100 do
      local ok, line = pcall(conn.readline, conn)
      if not ok then return end
      report("line" .. number, line)
    end
  end,
}"""

tests = []


class Failed(Exception):
    """An expectation was not met."""


class Skipped(Exception):
    """This machine cannot run the test; says why."""


def test(name):
    def keep(function):
        tests.append((name, function))
        return function
    return keep


# --- expectations ----------------------------------------------------------------------------------------------------

def expect(seen, wanted, what="seen"):
    if seen == wanted:
        return
    if isinstance(seen, str) and isinstance(wanted, str) and "\n" in wanted:
        lines = difflib.unified_diff(wanted.split("\n"), seen.split("\n"), "expected", what, lineterm="", n=2)
        raise Failed(short("\n".join(lines)))
    raise Failed(f"expected: {short(repr(wanted))}\n{what}: {short(repr(seen))}")


def short(text):
    lines = [line[:400] for line in str(text).split("\n")]
    return "\n".join(lines[:40] + (["..."] if len(lines) > 40 else []))


def expect_in(part, whole):
    if part not in whole:
        raise Failed(f"no {part!r} in:\n{short(whole)}")


def expect_not_in(part, whole):
    if part in whole:
        raise Failed(f"there is {part!r} in:\n{short(whole)}")


def expect_true(condition, why):
    if not condition:
        raise Failed(why)


# --- running scan ----------------------------------------------------------------------------------------------------

class Done:
    """What came of a run. `raw` and `raw_err` are bytes; `out` and `err` text, which must be UTF-8."""

    def __init__(self, words, status, raw, raw_err, seconds):
        self.words, self.status, self.raw, self.raw_err, self.seconds = words, status, raw, raw_err, seconds

    @property
    def out(self):
        return self.raw.decode()

    @property
    def err(self):
        return self.raw_err.decode()

    @property
    def records(self):
        return [record(line) for line in self.raw.splitlines(keepends=True)]


def environment(extra):
    """Ours without what would change scan's ways."""
    plain = {key: value for key, value in os.environ.items() if key not in ("SCAN_SCRIPTS", "NO_COLOR")}
    return {**plain, **{key: str(value) for key, value in extra.items()}}


def start(*words, env=(), before=(), **options):
    """Start scan without waiting for it; `before` are words like ("unshare", "-n")."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([*before, SCAN, *map(str, words)], env=environment(dict(env)), **options)


def finish(process, text=None, patience=PATIENCE):
    """Wait for the end of what start() gave."""
    began = time.monotonic()
    try:
        out, err = process.communicate(text, timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise Failed(f"scan did not end within {patience} s; so far:\n{short(out)}\n{short(err)}") from None
    return Done(process.args, process.returncode, out or b"", err or b"", time.monotonic() - began)


def scan(*words, status=0, text=None, patience=PATIENCE, **options):
    """Run scan to its end, `text` being its standard input, and look at the exit status (None: any)."""
    if text is not None:
        options["stdin"] = subprocess.PIPE
    done = finish(start(*words, **options), text, patience)
    if status is not None and done.status != status:
        raise Failed(f"status {done.status}, not {status}: {done.words}\n{short(done.raw)}\n{short(done.raw_err)}")
    return done


def peak(process):
    """The most memory that a process had so far, in KiB; 0 for a program with sanitizers, which take their own."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return 0 if SANITIZED else int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))


# --- servers ---------------------------------------------------------------------------------------------------------

class Server:
    """Listens until it is closed; `serve(sock)` has a thread a connection. What it raises is raised by close()."""

    def __init__(self, serve, address="127.0.0.1", port=0, backlog=512):
        self.serve = serve
        self.lock = threading.Condition()
        self.count = self.now = self.peak = 0  # connections so far, at the moment, at most at a time
        self.moments = []                      # when each came
        self.faults = []
        self.socks = set()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.create_server((address, port), family=family, backlog=backlog)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.count += 1
                self.now += 1
                self.peak = max(self.peak, self.now)
                self.moments.append(time.monotonic())
                self.socks.add(sock)
                self.lock.notify_all()
            threading.Thread(target=self.attend, args=(sock,), daemon=True).start()

    def attend(self, sock):
        try:
            with sock:
                sock.settimeout(PATIENCE)
                self.serve(sock)
        except ConnectionError:
            pass
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(fault)
        with self.lock:
            self.now -= 1
            self.socks.discard(sock)
            self.lock.notify_all()

    def wait(self, condition):
        """Until condition(self) holds."""
        with self.lock:
            expect_true(self.lock.wait_for(lambda: condition(self), PATIENCE), "the server waits in vain")

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            self.lock.wait_for(lambda: self.now == 0, 2)
            for sock in self.socks:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for fault in self.faults:
            raise fault

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        with contextlib.suppress(*([Exception] if failure[0] else [])):
            self.close()


def hear_out(sock):
    """Read until the other side has gone; gives what it said."""
    heard = b""
    while data := sock.recv(65536):
        heard += data
    return heard


def greeter(greeting=b"", **options):
    """A server that greets, and waits for its client to leave."""
    def serve(sock):
        sock.sendall(greeting)
        hear_out(sock)
    return Server(serve, **options)


@contextlib.contextmanager
def closed_port(address="127.0.0.1"):
    """A port on which nobody listens, kept from others."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
        sock.bind((address, 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def silent_port(address="127.0.0.1"):
    """A port that answers nothing: its queue of connections is full, so that the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, 0))
        listener.listen(0)
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        yield listener.getsockname()[1]


# --- records ---------------------------------------------------------------------------------------------------------

class Schema:
    """The part of JSON schema that scan's own uses. An unknown keyword is an error, lest it be passed over."""

    TYPES = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool, "integer": int,
             "number": (int, float)}

    def __init__(self, rules):
        self.rules = rules

    def faults(self, value, at="record"):
        found = []
        for keyword, wanted in self.rules.items():
            check = getattr(self, "check_" + keyword.lstrip("$"), None)
            if not check:
                raise Failed(f"the schema has an unknown keyword {keyword}")
            found += [f"{at}{fault}" for fault in check(value, wanted)]
        return found

    def is_type(self, value, name):
        if isinstance(value, bool):
            return name == "boolean"
        return isinstance(value, self.TYPES[name])

    def check_type(self, value, wanted):
        names = wanted if isinstance(wanted, list) else [wanted]
        if not any(self.is_type(value, name) for name in names):
            yield f" is {value!r}, not {' or '.join(names)}"

    def check_const(self, value, wanted):
        if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
            yield f" is {value!r}, not {wanted!r}"

    def check_enum(self, value, wanted):
        if value not in wanted:
            yield f" is {value!r}, none of {wanted!r}"

    def check_pattern(self, value, wanted):
        if isinstance(value, str) and not re.search(wanted, value):
            yield f" is {value!r}, unlike {wanted}"

    def check_minimum(self, value, wanted):
        if self.is_type(value, "number") and value < wanted:
            yield f" is {value}, below {wanted}"

    def check_maximum(self, value, wanted):
        if self.is_type(value, "number") and value > wanted:
            yield f" is {value}, above {wanted}"

    def check_maxItems(self, value, wanted):  # pylint: disable=invalid-name
        if isinstance(value, list) and len(value) > wanted:
            yield f" has {len(value)} items, more than {wanted}"

    def check_items(self, value, wanted):
        for index, item in enumerate(value if isinstance(value, list) else []):
            yield from Schema(wanted).faults(item, f"[{index}]")

    def check_required(self, value, wanted):
        for key in wanted if isinstance(value, dict) else []:
            if key not in value:
                yield f" lacks {key}"

    def check_properties(self, value, wanted):
        for key in wanted if isinstance(value, dict) else []:
            if key in value:
                yield from Schema(wanted[key]).faults(value[key], "." + key)

    def check_additionalProperties(self, value, wanted):  # pylint: disable=invalid-name
        if isinstance(value, dict) and wanted is False:
            for key in value:
                if key not in self.rules.get("properties", {}):
                    yield f" has the unknown {key}"

    def check_schema(self, *_):
        return ()

    check_title = check_description = check_schema


class Shipped:
    """The schema that scan gives, asked for once."""
    lock = threading.Lock()
    schema = None

    @classmethod
    def get(cls):
        with cls.lock:
            if not cls.schema:
                cls.schema = Schema(json.loads(scan("--schema").out))
        return cls.schema


def no_twins(pairs):
    keys = [key for key, _ in pairs]
    expect(sorted(set(keys)), sorted(keys), "keys")
    return dict(pairs)


def record(line):
    """One line of --json as a dict: a whole line, UTF-8, without a key that comes twice, fit for the schema, each
    NAME_base64 beside a NAME that is what its bytes are with U+FFFD for the bad ones."""
    expect_true(line.endswith(b"\n"), f"a record without an end: {line!r}")
    value = json.loads(line.decode("utf-8", "strict"), object_pairs_hook=no_twins)
    faults = Shipped.get().faults(value)
    expect_true(not faults, "\n".join(faults) + f"\n{line!r}")
    check_exact(value)
    return value


def check_exact(value):
    if isinstance(value, list):
        for item in value:
            check_exact(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_exact(item)
            if key.endswith("_base64"):
                check_pair(value[key.removesuffix("_base64")], item)


def check_pair(clean, exact):
    if isinstance(exact, list):
        expect(len(clean), len(exact), "length")
        for pair in zip(clean, exact):
            check_pair(*pair)
    elif exact is not None:
        # How many U+FFFD a bad stretch becomes is a matter of taste; what is good must all be there.
        data = base64.b64decode(exact, validate=True)
        expect(re.sub("\ufffd+", "\ufffd", clean), re.sub("\ufffd+", "\ufffd", data.decode("utf-8", "replace")), "text")


# --- files -----------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def folder(**files):
    """A folder with these files, whose names are given with _ for the dot: folder(new_lua="return {...}")."""
    with tempfile.TemporaryDirectory(prefix="scan-cli-") as path:
        for name, text in files.items():
            target = os.path.join(path, ".".join(name.rsplit("_", 1)))
            with open(target, "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
        yield path


def read(path):
    with open(path, "rb") as file:
        return file.read()


# --- reading while scan runs -----------------------------------------------------------------------------------------

class Reader:
    """Lines of a pipe or terminal as they come."""

    def __init__(self, file):
        self.descriptor = file if isinstance(file, int) else file.fileno()
        self.rest = b""

    def line(self, patience=PATIENCE):
        """The next line with its LF; what is left without one, and then b"", at the end. Fails if it does not come."""
        due = time.monotonic() + patience
        while b"\n" not in self.rest:
            left = max(0, due - time.monotonic())
            if not select.select([self.descriptor], [], [], left)[0]:
                raise Failed(f"no line within {patience} s; so far {self.rest!r}")
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:  # a terminal whose other side is closed
                data = b""
            if not data:
                last, self.rest = self.rest, b""
                return last
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line + b"\n"

    def lines(self):
        """All there are up to the end."""
        found = []
        while line := self.line():
            found.append(line)
        return found


# --- running all -----------------------------------------------------------------------------------------------------

def attempt(function):
    """What went wrong, why it was skipped."""
    try:
        function()
    except Skipped as skipped:
        return "", str(skipped)
    except Failed as failed:
        where = [frame for frame in traceback.extract_tb(failed.__traceback__) if frame.filename == sys.argv[0]]
        return (f"line {where[-1].lineno}: " if where else "") + str(failed), ""
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc(), ""
    return "", ""


def run():
    chosen = [pair for pair in tests if not sys.argv[1:] or any(word in pair[0] for word in sys.argv[1:])]
    failed = 0
    print(f"1..{len(chosen)}")
    with ThreadPoolExecutor(TOGETHER) as pool:
        results = [pool.submit(attempt, function) for _, function in chosen]
        for number, ((name, _), result) in enumerate(zip(chosen, results), 1):
            fault, skipped = result.result()
            failed += bool(fault)
            print(f"{'not ok' if fault else 'ok'} {number} - {name}" + (f" # SKIP {skipped}" if skipped else ""),
                  flush=True)
            for line in fault.splitlines():
                print(f"#   {line}")
    sys.stdout.flush()
    sys.exit(failed > 0)
