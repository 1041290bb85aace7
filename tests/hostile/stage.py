"""Plays rows of server.py to scan, and holds what came of them against what is asked of every row.

    stage = Stage("smtp", "imaps")                  # these services, of one run of scan
    stage.play(rows=[1, 2, 9], variants=[WHOLE])    # -> {(row, case, variant, service): record}

scan gets its targets by a pipe that stays open until all are done: so its memory, its descriptors and its processor time
can be looked at while it is still there.
"""
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import server                                                                       # noqa: E402
from harness import PATIENCE, SANITIZED, Failed, Reader, expect, record, short, start  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
INSTRUMENTED = SANITIZED or "SLOW" in os.environ


def slowness():
    """So many times as slow as usual: under valgrind and the like, and where others keep this machine busy."""
    return float(os.environ.get("SLOW", 4 if SANITIZED else max(1, min(4, round(os.getloadavg()[0] / os.cpu_count() / 2, 1)))))


SLOW = slowness()

REPLY, DEADLINE, CONNECT = 0.8 * SLOW, 2.0 * SLOW, 1.0 * SLOW
# For rows in which a client waits in vain, and for the others: there it does not matter how much else this machine has
# to do, and with fewer connections at a time each of them takes less of it.
TIMES = ["-P", "64", "--reply-timeout", f"{REPLY:g}", "--deadline", f"{DEADLINE:g}", "--connect-timeout", f"{CONNECT:g}"]
PATIENT = ["-P", "16", "--reply-timeout", "20", "--deadline", "30"]

# Nobody signed the certificates, so nobody's need be read.
TRUST_NOBODY = {"SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/dev/null"}


def address(variant, row, case):
    return f"127.{variant}.{row}.{case}"


def same(found):
    """A record without what differs from run to run and from address to address."""
    bare = {key: value for key, value in found.items() if key not in ("host", "address", "ms", "exchanges")}
    if bare["tls"]:
        bare["tls"] = {key: value for key, value in bare["tls"].items() if key != "days_left"}
    return bare


class Stage:
    """The server, with a port for each of the services."""

    def __init__(self, *services, tls=False):
        self.services = services
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "server.py"), *(["tls"] if tls else []), *services],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ports = json.loads(self.process.stdout.readline())

    def choice(self, services=None):
        return ",".join(f"{service}={self.ports[service]}" for service in services or self.services)

    def close(self):
        """What was heard on each connection: {(row, case, variant, service): [log, ...]}"""
        out, _ = self.process.communicate(timeout=PATIENCE)
        heard = {}
        for line in out.splitlines():
            log = json.loads(line)
            heard.setdefault((log["row"], log["case"], log["variant"], log["service"]), []).append(log)
        return heard


class Run:
    """One run of scan over rows: .records by (row, case, variant, service), and what it took."""

    def __init__(self, stage, rows, variants, times, options=()):
        self.stage, self.services = stage, stage.services
        self.places = [(row, case, variant) for variant in variants for row in rows
                       for case in range(1, len(server.rows[row][1]) + 1)]
        threads = ["-j", 2]  # from the beginning: one that came later would have descriptors of its own
        words = ["--json", *threads, *times, *options, "-s", stage.choice(self.services), "-f", "-"]
        self.process = start(*words, env=TRUST_NOBODY, stdin=subprocess.PIPE)
        self.complaints = b""
        self.reader = Reader(self.process.stdout)
        drain = threading.Thread(target=self.drain, daemon=True)
        drain.start()
        self.records = {}
        self.feed([(0, 1, server.WHOLE)])
        descriptors, processor = self.descriptors(), self.processor()
        self.feed(self.places)
        self.leaked = self.leaks(descriptors)
        self.seconds = self.processor() - processor
        self.peak = self.status("VmHWM")
        self.process.stdin.close()
        rest = self.reader.lines()
        self.statuses = [self.process.wait(PATIENCE)]
        drain.join()
        self.process.stdout.close()
        expect(rest, [], "what follows")

    def join(self, other):
        """Take over what another run has found."""
        self.records = {**other.records, **self.records}
        self.statuses += other.statuses
        self.leaked += other.leaked
        self.seconds += other.seconds
        self.peak = max(self.peak, other.peak)
        return self

    def drain(self):
        with self.process.stderr as file:
            while data := file.read1(65536):
                self.complaints += data

    def feed(self, places):
        self.process.stdin.write("".join(address(variant, row, case) + "\n" for row, case, variant in places).encode())
        self.process.stdin.flush()
        for _ in range(len(places) * len(self.services)):
            line = self.reader.line(PATIENCE * SLOW)
            if not line:
                raise Failed(f"scan ended with status {self.process.wait()}: {short(self.complaints.decode())}")
            found = record(line)
            # A finding about the host comes with whichever service ends last; machine.t has its test.
            found["warnings"] = [warning for warning in found["warnings"] if warning["code"] != "all-silent"]
            _, variant, row, case = map(int, found["host"].split("."))
            self.records[row, case, variant, found["service"]] = found

    def leaks(self, before):
        """What is open now and was not before. A record may be out a moment before its connection is closed."""
        end = time.monotonic() + PATIENCE
        while left := list((Counter(self.descriptors()) - Counter(before)).elements()):
            if time.monotonic() > end:
                break
        return left

    def descriptors(self):
        return [os.readlink(f"/proc/{self.process.pid}/fd/{number}").split("[")[0]
                for number in sorted(os.listdir(f"/proc/{self.process.pid}/fd"))]

    def processor(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self, key):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(key + r":\s+(\d+)", file.read()).group(1))
