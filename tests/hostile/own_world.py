"""Networks of a test's own, in which routes, ports, routers and name servers are as it likes.

    @own_network("a router that says no")
    def _(): ...

Threads may have a network (and mounts) that the rest of the process has not, and what a thread starts is in there too.
That takes root; without, such a test is skipped.
"""
import ctypes
import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

from harness import Skipped, test

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000


def own_network(name):
    return lambda function: test(name)(lambda: inside(function))


def inside(function):
    result = []

    def live():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
                raise Skipped("this takes root")
            if not shutil.which("ip"):
                raise Skipped("there is no ip program")
            command("mount", "--make-rprivate", "/")
            command("ip", "link", "set", "lo", "up")
            function()
        except BaseException as failure:  # pylint: disable=broad-except
            result.append(failure)
    thread = threading.Thread(target=live)
    thread.start()
    thread.join()
    for failure in result:
        raise failure


def command(*words):
    subprocess.run(words, check=True, capture_output=True)


def setting(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def replace(path, text):
    """In this world the file has another text."""
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(text)
    command("mount", "--bind", file.name, path)
    os.unlink(file.name)


# --- a router --------------------------------------------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(source, target, protocol, payload):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, source, target)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def unreachable(asked, code):
    """The ICMP error of type 3 about this packet."""
    quoted = asked[:28]
    payload = struct.pack(">BBHI", 3, code, 0, 0) + quoted
    payload = payload[:2] + struct.pack(">H", checksum(payload)) + payload[4:]
    return packet(bytes([10, 9, 0, 254]), asked[12:16], 1, payload)


def accepted(asked):
    """The SYN-ACK to a SYN."""
    source, target, sequence = struct.unpack(">HHI", asked[20:28])
    segment = struct.pack(">HHIIBBHHH", target, source, 1000, sequence + 1, 5 << 4, 0x12, 65535, 0, 0)
    pseudo = asked[16:20] + asked[12:16] + struct.pack(">BBH", 0, 6, len(segment))
    segment = segment[:16] + struct.pack(">H", checksum(pseudo + segment)) + segment[18:]
    return packet(asked[16:20], asked[12:16], 6, segment)


class Router:
    """All of 10.9.0.0/16 is behind it. `answer(asked)` gives the packets to send back for one that came."""

    def __init__(self, answer):
        self.answer = answer
        try:
            self.tunnel = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(self.tunnel, 0x400454ca, struct.pack("16sH14x", b"tun0", 0x1001))  # TUNSETIFF: TUN, no header
        except OSError as failure:
            raise Skipped(f"no tunnel to be had: {failure}") from failure
        command("ip", "address", "add", "10.9.0.1/16", "dev", "tun0")
        command("ip", "link", "set", "tun0", "up")
        self.over, self.end = os.pipe()
        self.thread = threading.Thread(target=self.route, daemon=True)
        self.thread.start()

    def route(self):
        while self.over not in (ready := select.select([self.tunnel, self.over], [], [])[0]):
            asked = os.read(self.tunnel, 65536) if ready else b""
            for answer in self.answer(asked) if asked[:1] == b"\x45" else ():
                os.write(self.tunnel, answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self.end, b"x")
        self.thread.join()
        for descriptor in (self.tunnel, self.over, self.end):
            os.close(descriptor)


# --- a name server ---------------------------------------------------------------------------------------------------

def question(query):
    """The name, the type, and where the question ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
        at += query[at] + 1
    return ".".join(labels), query[at + 2], at + 5


def told(query, records, code=0, cut=False):
    """An answer with these addresses."""
    _, kind, end = question(query)
    data = b"".join(b"\xc0\x0c\0%c\0\1\0\0\0\1" % kind + struct.pack(">H", len(each)) + each for each in records)
    return query[:2] + struct.pack(">HHHHH", 0x8180 | code | (0x0200 if cut else 0), 1, len(records), 0, 0) + query[12:end] + data


class NameServer:
    """`answer(name, kind)` gives the addresses, packed; kind is 1 or 28. What does not fit a datagram is had by TCP."""

    def __init__(self, answer):
        self.answer = answer
        replace("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:1\n")
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 53))
        self.streams = socket.create_server(("127.0.0.1", 53))
        for serve in (self.serve_datagrams, self.serve_streams):
            threading.Thread(target=serve, daemon=True).start()

    def serve_datagrams(self):
        while True:
            query, client = self.datagrams.recvfrom(2000)
            name, kind, _ = question(query)
            said = told(query, self.answer(name, kind))
            self.datagrams.sendto(said if len(said) <= 512 else told(query, [], cut=True), client)

    def serve_streams(self):
        while True:
            sock, _ = self.streams.accept()
            threading.Thread(target=self.serve_stream, args=(sock,), daemon=True).start()

    def serve_stream(self, sock):
        with sock, sock.makefile("rb") as file:
            while length := file.read(2):
                query = file.read(int.from_bytes(length, "big"))
                name, kind, _ = question(query)
                said = told(query, self.answer(name, kind))
                sock.sendall(struct.pack(">H", len(said)) + said)
