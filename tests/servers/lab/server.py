"""What every server of the lab has in common."""
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from .certificate import Certificate
from .expectation import ports_of

READY = 20.0           # seconds that a server has to accept connections
LOGGED = 10.0          # seconds that it has to write what it did to its log
PAUSE = 0.02           # between two looks
KNOCKER = "127.78.1.1"  # where the lab's own "are you ready?" comes from, so that no log mistakes it for scan


class Server:
    """One host of the lab: an address, and one real server on it.

    A server's file sets `name`, `address` and, where it has TLS, `names`; it gives `start` and `expect`, and
    may give `selftest` and `proof`. `folder` is the server's own, and gone when the lab is."""
    name = address = None
    names = ()              # of the certificate; `self.certificate` is there when start() is called
    key = "RSA 2048"
    tls_version = "TLSv1.3"

    def __init__(self, folder, processes):
        self.folder = folder / self.name
        self.log = self.folder / "log"
        self.processes = processes
        self.process = None
        self.certificate = None

    # What a server's file gives.

    def start(self):
        """Write the configuration and run() the server."""
        raise NotImplementedError

    def expect(self):
        """Its open services, {name: Open}; all others are closed."""
        raise NotImplementedError

    def clean_up(self):
        """Undo what start() did outside of the folder."""

    def selftest(self, tap):
        """Check with the protocol's own client what scan does not look at, or more deeply."""

    def proof(self, tap, visits):
        """Check what the server itself says of `visits` visits to each of its services."""

    # What it may use.

    @property
    def tls(self):
        """What the "tls" of a record must say, for a handshake with this server."""
        return self.certificate.facts | {"version": self.tls_version}

    def write(self, name, text, mode=0o644):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
        path.write_text(text)
        return path

    def make_folder(self, name, owner=None, mode=0o755):
        path = self.folder / name
        path.mkdir(parents=True)
        path.chmod(mode)
        if owner:
            shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
        return path

    def run(self, *command, environment=None):
        self.process = self.processes.start(command, self.folder / "output", environment)

    def wait_for(self, pattern, count=1):
        """The lines of the log that match, once there are `count` of them; fewer when the time is up."""
        end = time.monotonic() + LOGGED
        while len(found := self.logged(pattern)) < count and time.monotonic() < end:
            time.sleep(PAUSE)
        return found

    def logged(self, pattern):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return [line for line in text.splitlines() if re.search(pattern, line)]

    def shows(self, tap, what, pattern, count):
        """A point: exactly `count` lines of the log match."""
        found = self.wait_for(pattern, count)
        tap.point(len(found) == count, f"{self.name}: {what}",
                  [f"{count} lines expected, {len(found)} seen, of /{pattern}/", *self.tail()])

    def shows_no(self, tap, what, pattern):
        """A point: nothing of the kind is in the log. Wait for something later first."""
        tap.agree(f"{self.name}: {what}", self.logged(pattern))

    # What the lab does with it.

    def prepare(self):
        self.folder.mkdir(mode=0o755)
        if self.names:
            self.certificate = Certificate(self.folder, self.names, self.address, self.key)

    def wait_ready(self):
        """Until each of its ports accepts."""
        end = time.monotonic() + READY
        expected = self.expect()
        for service in expected:
            while not knock(self.address, ports_of(expected)[service]):
                if self.process.poll() is not None:
                    raise RuntimeError(f"{self.name} ended, status {self.process.returncode}")
                if time.monotonic() > end:
                    raise RuntimeError(f"{self.name} is not ready for {service} after {READY:.0f} s")
                time.sleep(PAUSE)

    def tail(self):
        """The last words of the server, for a point that failed."""
        files = [path for path in dict.fromkeys([self.folder / "output", self.log]) if path.is_file()]
        return [f"{path.name}: {line}" for path in files
                for line in path.read_text(errors="replace").splitlines()[-15:]]


def knock(address, port):
    with socket.socket() as knocker:
        knocker.settimeout(READY)
        knocker.bind((KNOCKER, 0))
        return knocker.connect_ex((address, port)) == 0


def version_of(package):
    """The version of a Debian package's upstream."""
    return output_of("dpkg-query", "-W", "-f", "${source:Upstream-Version}", package)


def output_of(*command, environment=None):
    """What a helper command of a package printed, on either output; it must succeed."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env=os.environ | (environment or {}))
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: status {done.returncode}: {done.stdout.strip()}")
    return done.stdout.strip()
