"""Every process that the lab starts, and the end of each of them.

A server forks children, and some of these leave its process group or lose their parent. The lab is therefore
their "subreaper": whatever loses its parent becomes the lab's own child, so that walking down from the lab
finds all of them, and nothing but them. Should the lab itself be killed, the guard ends what it had started.
"""
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 3.0  # seconds that a server has to end after a signal
ASKED = 3       # times that it is sent SIGTERM: one that comes between fork and exec is lost
PAUSE = 0.02
GUARD = Path(__file__).with_name("guard.py")


class Processes:
    def __init__(self, folder):
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "cannot become the subreaper of the servers")
        self.started = []
        self.stopping = False
        self.lock = threading.Lock()
        self.guard = subprocess.Popen([sys.executable, GUARD, folder], stdin=subprocess.PIPE, process_group=0)

    def start(self, command, log, environment=None):
        """Start a server in a process group of its own, its output appended to the file `log`."""
        with self.lock, open(log, "ab") as output:
            if self.stopping:
                raise RuntimeError("not started, because the lab is closing")
            process = subprocess.Popen([str(word) for word in command], process_group=0,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       env=os.environ | (environment or {}))
            self.started.append(process)
            self.tell_guard(process.pid)
        return process

    def stop(self):
        """End all, politely and then not, for good; gives the commands of those that had to be killed."""
        with self.lock:
            self.stopping = True
        for _ in range(ASKED):
            self.send(signal.SIGTERM)
            if not self.reap():
                return []
        stubborn = sorted(map(command_of, self.descendants()))
        self.send(signal.SIGKILL)
        self.reap()
        return stubborn

    def send(self, number):
        """Send a signal to all processes of the lab."""
        for pid in self.descendants():
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # it ended meanwhile
                pass

    def dismiss_guard(self):
        self.tell_guard("done")
        self.guard.stdin.close()
        self.guard.wait()

    def tell_guard(self, word):
        self.guard.stdin.write(f"{word}\n".encode())
        self.guard.stdin.flush()

    def reap(self):
        """Collect dead children until nobody is left; gives the pids still there when patience ends."""
        end = time.monotonic() + PATIENCE
        while (left := self.descendants()) and time.monotonic() < end:
            while collect():
                pass
            time.sleep(PAUSE)
        return left

    def descendants(self):
        """The pids of all living processes below this one, but for the guard."""
        children = {}
        for pid, parent in living():
            if pid != self.guard.pid:
                children.setdefault(parent, []).append(pid)
        found, generation = [], [os.getpid()]
        while generation:
            generation = [child for pid in generation for child in children.get(pid, [])]
            found += generation
        return found


def living():
    """(pid, parent) of every process that is not dead already."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path("/proc", entry, "stat").read_text(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state not in "ZX":
            yield int(entry), int(parent)


def collect():
    """Take one dead child away, if there is one; of those that were born elsewhere nobody else will."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


def command_of(pid):
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return str(pid)
    return line.replace(b"\0", b" ").decode(errors="replace").strip() or str(pid)
