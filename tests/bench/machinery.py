"""What the benchmark is made of: processes that are measured, the load target, and a limit of time."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

PROGRAMS = Path(os.environ.get("PROGRAMS", ".build/gcc/tests/bench"))
SCAN = os.environ.get("SCAN", "./scan")
LONGEST = 60  # seconds that one measured process may take


class Failure(Exception):
    """Something did not come out as it must; the text says what."""


class Run(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak: float  # MiB
    status: int


class Clock:
    """The seconds that are left of a limit."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return self.end - time.monotonic()


def measure(command, clock, output="/dev/null"):
    """Run a command to its end. It is ended, and this fails, when it takes too long."""
    process = subprocess.Popen([PROGRAMS / "measure", "-o", output, *map(str, command)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        figures, _ = process.communicate(timeout=max(1, min(LONGEST, clock.left())))
    except subprocess.TimeoutExpired:
        raise Failure(f"not done in time: {words(command)}") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # and what it measures
            process.wait()
    if process.returncode != 0:
        raise Failure(f"could not be measured: {words(command)}")
    wall, user, system, peak, status = figures.split()
    return Run(float(wall), float(user) + float(system), int(peak) / 1024, int(status))


def succeed(command, clock, output="/dev/null"):
    run = measure(command, clock, output)
    if run.status != 0:
        raise Failure(f"status {run.status} of {words(command)}")
    return run


def words(command):
    return " ".join(map(str, command))


class Target:
    """The load target; `port` says where each service is."""

    def __init__(self, *services):
        self.process = subprocess.Popen([PROGRAMS / "target", *services], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = {}
        for line in iter(self.process.stdout.readline, "ready\n"):
            if not line:
                raise Failure("the load target did not start")
            name, port = line.split()
            self.port[name] = int(port)

    def counters(self, service):
        """Of connections accepted, commands heard, handshakes made, and connections that are open now."""
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        fields = self.process.stdout.readline().split()
        at = fields.index(service)
        return dict(zip(("accepted", "commands", "handshakes", "open"), map(int, fields[at + 1:at + 5])))

    def quiet(self, service, clock):
        """The counters once nobody is connected: what a former run left behind is then over."""
        while True:
            counters = self.counters(service)
            if counters["open"] == 0:
                return counters
            if clock.left() < 0:
                raise Failure(f"the load target still has {counters['open']} connections open")
            time.sleep(0.005)

    def close(self):
        self.process.stdin.close()  # at which it ends
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Waiting:
    """A process that holds connections open, and is ended when that was looked at."""

    def __init__(self, command):
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def memory(self):
        """KiB in memory now, and at most so far."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            lines = []
        field = dict(line.split(":", 1) for line in lines)
        if "VmRSS" not in field:
            raise Failure(f"ended while it should wait: {words(self.process.args)}")
        return int(field["VmRSS"].split()[0]), int(field["VmHWM"].split()[0])

    def settled_memory(self, clock):
        """The same once it does not change any more."""
        before = None
        while clock.left() > 0:
            now = self.memory()
            if now == before:
                return now
            before = now
            time.sleep(0.3)
        raise Failure("the memory of what should wait did not settle in time")


class Machine:
    """How much of the machine others used meanwhile."""

    def __init__(self):
        self.before = self.now()

    @staticmethod
    def now():
        """Seconds that all processors were busy, and those of them that went to what was started here and is over."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        own = os.times()
        return time.monotonic(), busy, own.user + own.system + own.children_user + own.children_system

    def others(self):
        """Processors that others kept busy, on the average, since the beginning; call it when all has ended."""
        seconds, busy, own = (after - before for after, before in zip(self.now(), self.before))
        return max(0.0, (busy - own) / seconds)


def in_namespace(script, clock):
    """What this script prints inside a network of its own: `script` is a command. Fails where that is not allowed."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *as_root, "--net", "--", sys.executable, "-B", *script]
    try:
        process = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, timeout=max(1, min(LONGEST, clock.left())))
    except FileNotFoundError:
        raise Failure("there is no unshare") from None
    except subprocess.TimeoutExpired:
        raise Failure("not done in time") from None
    if process.returncode != 0:
        raise Failure((process.stderr.strip().splitlines() or ["no network of its own"])[-1])
    return process.stdout
