"""A machine that fails at one point after the other: system calls by way of strace, allocations by way of faults.c.

    torture = Calls(stage)
    for fault in torture.faults(): torture.suffer(*fault)     # raises Failed

A small scan of a few servers on loopback is run for each: whatever fails, it may not crash or hang, its status must say
how it ended, and what it has written by then must be whole records.
"""
import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from stage import INSTRUMENTED, TRUST_NOBODY
from harness import PATIENCE, Done, Failed, Skipped, expect_true, finish, record, short, start

SERVICES = ("smtp", "ssh", "https")
RIGHT = (0, 2, 3, 4)

# What each call can say, and some things that it cannot. brk never says an error at all, and a futex call that is not
# made leaves a thread waiting for ever.
ERRORS = {
    "access": ["EACCES"], "clone3": ["EAGAIN", "ENOMEM"], "close": ["EIO", "EINTR"],
    "connect": ["ENETUNREACH", "EADDRNOTAVAIL", "EINTR", "EIO"], "epoll_create1": ["EMFILE", "ENOMEM"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"], "epoll_wait": ["EINTR"], "eventfd2": ["EMFILE", "ENFILE"], "fcntl": ["EINVAL", "ENOMEM"],
    "getdents64": ["EIO"], "getrandom": ["EAGAIN", "ENOSYS"], "getsockname": ["ENOBUFS"],
    "getsockopt": ["ENOBUFS"], "ioctl": ["ENOTTY"], "lseek": ["ESPIPE"], "madvise": ["EINVAL"], "mmap": ["ENOMEM"],
    "mprotect": ["ENOMEM"], "munmap": ["EINVAL"], "newfstatat": ["EIO", "ENOENT"], "openat": ["EMFILE", "EACCES", "ENOENT"],
    "pipe2": ["EMFILE", "ENFILE"], "prlimit64": ["EPERM"], "read": ["EIO", "EINTR"], "readlink": ["EACCES"],
    "recvfrom": ["ECONNRESET", "EIO", "EINTR", "EAGAIN", "ENOMEM"], "rt_sigaction": ["EINVAL"],
    "sched_getaffinity": ["EINVAL"], "sched_setaffinity": ["EINVAL", "EPERM"], "sendto": ["EPIPE", "EIO", "EINTR", "ENOBUFS"],
    "setsockopt": ["EINVAL", "ENOMEM"], "socket": ["EMFILE", "ENFILE", "ENOBUFS", "EACCES", "EAFNOSUPPORT"], "sysinfo": ["EFAULT"],
    "timer_create": ["EAGAIN", "ENOMEM"], "timer_delete": ["EINVAL"], "timer_settime": ["EINVAL"], "write": ["ENOSPC", "EIO", "EPIPE", "EINTR"],
}


def strace(*options):
    """Words that make strace start a program."""
    if INSTRUMENTED:
        raise Skipped("a sanitizer and strace exclude each other")
    if not shutil.which("strace"):
        raise Skipped("there is no strace")
    return ["strace", "-f", "-qq", *options]


def words(stage):
    return ["--json", "-j", 1, "--reply-timeout", 1, "--deadline", 2, "-s", stage.choice(), "127.80.0.1"]


def run_to_end(before, words_of_scan, env):
    """strace is killed together with what it traces."""
    process = start(*words_of_scan, env=env, before=before, start_new_session=True)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failed(f"no end within {PATIENCE} s: {' '.join(map(str, before))}") from None
    return Done(process.args, process.returncode, out, err, 0)


def judge(what, done):
    """Nothing but whole records, up to one that could not be written; and a status that fits them."""
    whole = done.raw[:done.raw.rfind(b"\n") + 1]
    records = [record(line) for line in whole.splitlines(keepends=True)]
    expect_true(done.status in RIGHT, f"{what}: status {done.status}\n{short(done.err)}")
    expect_true(len(whole) == len(done.raw) or done.status == 3, f"{what}: half a record, status {done.status}")
    expect_true(done.status == 0 or done.raw_err or done.raw, f"{what}: status {done.status} without a word")
    if done.status == 0:
        expect_true(len(records) == len(SERVICES), f"{what}: status 0 with {len(records)} records")
        expect_true(all(found["state"] != "failed" for found in records), f"{what}: status 0, and a service was not examined")
    return done.status


class Calls:
    """Each system call of the program's own, not of the loader's before it."""

    def __init__(self, stage):
        self.words = words(stage)
        self.ended = collections.Counter()
        with tempfile.NamedTemporaryFile("r", encoding="latin-1") as log:
            judge("without faults", finish(start(*self.words, env=TRUST_NOBODY, before=strace("-o", log.name))))
            lines = [re.match(r"\d+ +(\w+)\((.*)", line) for line in log]
        self.first, self.last = collections.Counter(), collections.Counter()
        begun = False
        for line in filter(None, lines):
            begun = begun or line.group(1) == "openat" and '"/dev/null", O_RDONLY)' in line.group(2)
            self.last[line.group(1)] += 1
            if not begun:
                self.first[line.group(1)] += 1

    def faults(self):
        """Those that can be tried: (call, error, index). The call that says how all ended is not among them."""
        for call, errors in ERRORS.items():
            for at in range(self.first[call] + 1, self.last[call] + 1):
                for error in errors:
                    yield call, error, at

    def untried(self):
        return sorted(set(self.last) - set(ERRORS))

    def suffer(self, call, error, at):
        before = strace("-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={at}")
        done = run_to_end(before, self.words, TRUST_NOBODY)
        self.ended[judge(f"{call} number {at} gives {error}", done)] += 1


class Allocations:
    """With faults.c, which is compiled for this."""

    def __init__(self, stage, library):
        self.words, self.library = words(stage), library
        self.ended = collections.Counter()
        done = finish(start(*self.words, env={**TRUST_NOBODY, "LD_PRELOAD": library, "COUNT": "1"}))
        self.last = int(re.search(r"^allocations: (\d+)$", done.err, re.MULTILINE).group(1))

    def faults(self):
        for at in range(1, self.last + 1):
            yield "FAIL_AT", at
            yield "FAIL_FROM", at

    def suffer(self, what, at):
        done = run_to_end((), self.words, {**TRUST_NOBODY, "LD_PRELOAD": self.library, what: at})
        self.ended[judge(f"{what}={at}", done)] += 1


@contextlib.contextmanager
def faulty_library():
    """The path of faults.so, to be loaded before all else."""
    if INSTRUMENTED:
        raise Skipped("a sanitizer has an allocator of its own")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise Skipped("there is no C compiler")
    with tempfile.TemporaryDirectory(prefix="scan-hostile-") as path:
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path + "/faults.so", source], check=True)
        yield path + "/faults.so"
