"""A world of its own for the test: namespaces in which there is nothing but loopback, a /run that only it sees, and no
process of anybody else. When the test ends, however it ends, the kernel takes all of it away.

In it are the machines head (where the test is), m1 and m2, each with its name and root's home, and targets: SSH servers
that only greet, one of which says nothing until it is allowed to.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

ROOM = Path("/run/cluster")
MACHINES = {"head": "127.0.1.1", "m1": "127.0.1.2", "m2": "127.0.1.3"}
NAMES = {"greets.test": "127.0.3.1", "closed.test": "127.0.3.2"}
GREETING = [f"127.0.2.{number}" for number in range(0, 64, 3)] + ["127.0.3.1", "::1"]
SILENT = "127.0.2.33"  # one of them
TARGETS = "# two machines, a range, names, a port\n127.0.1.2-3\n127.0.2.0/26\ngreets.test\nclosed.test:2222\n::1\n"
TARGET_COUNT = 2 + 64 + 3
INSIDE = "SCAN_CLUSTER_WORLD"
PATIENCE = 40  # seconds that anything may take


class Trouble(Exception):
    """Why a test cannot go on."""


def enter():
    """Run this program again as the first process of a new world, and end with it. Trouble: the machine allows none."""
    if os.environ.get(INSIDE) == str(os.getpid()):
        return
    words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork",
             "--kill-child", "--mount-proc"]
    do(*words, "true")
    world = subprocess.Popen([*words, sys.executable, "-B", *sys.argv],
                             env={**os.environ, INSIDE: "1"})  # the number that it will have there
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: world.kill())  # unshare takes no notice of them, and all ends with it
    sys.exit(abs(world.wait()))


def furnish(scan):
    """Loopback, the room with the program in it, and an /etc of our own, with names and with root's homes."""
    do("ip", "link", "set", "lo", "up")
    for address in MACHINES.values():  # some look names up only where there is an address other than 127.0.0.1
        do("ip", "address", "add", f"{address}/8", "dev", "lo")
    do("hostname", "head")
    do("mount", "-t", "tmpfs", "-o", "mode=755", "cluster", "/run")
    for folder in ("bin", "tmp", "shared", *MACHINES):
        (ROOM / folder).mkdir(parents=True)
    shutil.copy(scan, ROOM / "bin/scan")
    shutil.copytree(Path(scan).resolve().parent / "scripts", ROOM / "bin/scripts")
    do("cp", "-a", "/etc", ROOM / "etc")
    do("mount", "--bind", ROOM / "etc", "/etc")
    hosts = {"localhost": "127.0.0.1", **MACHINES, **NAMES}
    Path("/etc/hosts").write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
    Path("/etc/shadow").write_text("root:*:19000:0:99999:7:::\n")
    for machine in MACHINES:
        Path(f"/etc/passwd-{machine}").write_text(f"root:x:0:0:root:{ROOM}/{machine}:/bin/sh\n"
                                                  "sshd:x:100:65534::/run/sshd:/bin/false\n")
    shutil.copy("/etc/passwd-head", "/etc/passwd")
    os.environ.update(HOME=str(ROOM / "head"), TMPDIR=str(ROOM / "tmp"),
                      PATH=f"{ROOM}/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def do(*command):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise Trouble(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout


def daemon(machine, *command):
    """Start a daemon on one of the machines; its log is a file of its name there."""
    log = ROOM / machine / f"{Path(command[0]).name}.log"
    settle = f'hostname {machine} && mount --bind /etc/passwd-{machine} /etc/passwd && exec "$@"'
    with open(log, "ab") as output:
        subprocess.Popen(["unshare", "--mount", "--uts", "sh", "-c", settle, "-", *map(str, command)],
                         stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOM / machine,
                         env={**os.environ, "HOME": str(ROOM / machine)})


def wait_for(what, condition, pause=0.02):
    """Until the condition gives something true, which is given: the test waits for that, and not for a time."""
    limit = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > limit:
            raise Trouble(f"waited {PATIENCE} s for {what}")
        time.sleep(pause)
    return found


def listens(host, port):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def scans():
    """The scans that run: their numbers."""
    return [int(entry) for entry in filter(str.isdigit, os.listdir("/proc")) if runs_scan(entry)]


def runs_scan(pid):
    try:
        return os.path.samefile(f"/proc/{pid}/exe", ROOM / "bin/scan")
    except OSError:  # it ended meanwhile, or is dead already
        return False


class Greeters:
    """The targets. They count who comes."""

    def __init__(self):
        self.visits, self.taken = Counter(), []
        self.silent, self.lock = False, threading.Lock()
        for address in GREETING:
            listener = socket.create_server((address, 22), backlog=64,
                                            family=socket.AF_INET6 if ":" in address else socket.AF_INET)
            threading.Thread(target=self.serve, args=(listener, address), daemon=True).start()

    def serve(self, listener, address):
        while True:
            connection, _ = listener.accept()
            with self.lock:
                self.visits[address] += 1
                self.taken.append(connection)  # for who listens closes last
                if not (self.silent and address == SILENT):
                    connection.sendall(f"SSH-2.0-{address}\r\n".encode())

    def be(self, silent):
        with self.lock:
            self.silent = silent

    def forget(self):
        """Nobody has come so far."""
        with self.lock:
            self.visits.clear()
