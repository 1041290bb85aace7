"""The server's end of one connection, as the rows of server.py use it: bytes, lines, TLS, ways to break off.

All of it is event-driven: one loop serves every connection. What a client says is kept, for the tests ask about it.
"""
import asyncio
import contextlib
import random
import socket
import ssl
import struct

CHUNK = 65536
LONG = 3000  # bytes of which each shall not be a record of its own
EDGE = 40   # so many bytes at each end of what is said at once are cut into single ones, if any are


class Gone(Exception):
    """The client has closed."""


class Peer:
    """`service`, `row` and `case` say what is played; with `single` every byte is a segment of its own, with `records`
    every byte a TLS record of its own. `random` is the same in every run."""

    def __init__(self, loop, sock, service, row, case, single=False, records=False):
        self.loop, self.sock, self.service = loop, sock, service
        self.row, self.case, self.single, self.records = row, case, single, records
        self.random = random.Random(f"{row} {service}")
        self.heard = b""   # not yet taken by line() or some()
        self.log = b""     # the first of all that was heard, as the script on the other side meant it
        self.total = 0
        self.early = None  # how much had been heard when the row said that it was the client's turn
        self.tls = None
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- out

    async def transmit(self, data):
        try:
            for piece in (self.pieces(data) if self.single else [data]):
                await self.loop.sock_sendall(self.sock, piece)
            await asyncio.sleep(0)
        except OSError as error:
            raise Gone from error

    @staticmethod
    def pieces(data):
        middle = data[EDGE:-EDGE]
        for byte in data[:EDGE]:
            yield bytes([byte])
        if middle:
            yield middle
        for byte in data[max(EDGE, len(data) - EDGE):]:
            yield bytes([byte])

    async def send(self, data):
        if not self.tls:
            await self.transmit(data)
            return
        for piece in ([data[i:i + 1] for i in range(len(data))] if self.records and len(data) < LONG else [data]):
            for start in range(0, len(piece), 16384):
                self.tls.write(piece[start:start + 16384])
        await self.transmit(self.outgoing.read())

    async def flood(self, data):
        """The same over and over, until the client has gone."""
        while True:
            await self.send(data)
            await asyncio.sleep(0)

    # --- in

    async def receive(self):
        try:
            data = await self.loop.sock_recv(self.sock, CHUNK)
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        return data

    def note(self, data):
        self.heard += data
        self.total += len(data)
        self.log = (self.log + data)[:2000]

    async def more(self):
        data = await self.receive()
        if not self.tls:
            self.note(data)
            return
        self.incoming.write(data)
        self.decrypt()

    def decrypt(self):
        try:
            while data := self.tls.read(CHUNK):
                self.note(data)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise Gone from error
        raise Gone

    async def some(self):
        while not self.heard:
            await self.more()
        data, self.heard = self.heard, b""
        return data

    async def line(self):
        while b"\n" not in self.heard:
            await self.more()
        line, self.heard = self.heard.split(b"\n", 1)
        return line.rstrip(b"\r")

    async def request(self):
        """The head of an HTTP request."""
        while await self.line():
            pass

    async def gone(self):
        """Listen, without a word, until the client has closed."""
        while True:
            await self.some()

    def turn(self):
        """From here on the client may speak; what came before was too early."""
        self.early = self.total
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self.early += 0 if self.tls else len(self.sock.recv(CHUNK, socket.MSG_PEEK))

    # --- TLS

    async def handshake(self, context):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.incoming.write(self.heard)
        self.heard = b""
        while not self.tls:
            try:
                tls.do_handshake()
                self.tls = tls
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                await self.transmit(self.outgoing.read())  # the alert
                await self.finish()  # to close with bytes of the client's unread would be a reset
            await self.transmit(self.outgoing.read())
            if not self.tls:
                self.incoming.write(await self.receive())
        self.decrypt()

    # --- endings

    async def finish(self):
        """Close our half; then listen until the client has closed its own."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        self.tls = None
        await self.gone()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Gone
