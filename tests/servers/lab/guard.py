"""The lab's last will: a program that waits for the lab to end, and tidies up after one that was killed.

Its standard input is a pipe from the lab: a line for each process group that was started, and "done" once the
lab has stopped them itself. Its argument is the lab's folder.
"""
import os
import shutil
import signal
import sys
import time

GRACE = 2.0  # seconds between SIGTERM and SIGKILL


def main():
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    words = sys.stdin.read().split()
    if "done" not in words:
        end([int(word) for word in words])
        shutil.rmtree(sys.argv[1], ignore_errors=True)


def end(groups):
    limit = time.monotonic() + GRACE
    while (groups := [group for group in groups if sent(group, signal.SIGTERM)]) and time.monotonic() < limit:
        time.sleep(0.05)
    for group in groups:
        sent(group, signal.SIGKILL)


def sent(group, number):
    """False once nobody is left in the group."""
    try:
        os.killpg(group, number)
        return True
    except ProcessLookupError:
        return False


if __name__ == "__main__":
    main()
