"""The server's side of TLS 1.2 (RFC 5246) written out by hand: for what no library lets a server do."""
import hashlib
import hmac
import random
import ssl
import struct

from peer import Gone

ECDHE_ECDSA, DHE_RSA, RSA = 0xc02b, 0x009e, 0x009c  # each with AES-128-GCM
RSA_CBC, DHE_RSA_CBC = 0x002f, 0x0033               # each with AES-128-CBC-SHA
RANDOM = bytes(range(32))

# A prime of 512 bits, half of which is one too.
SHORT_GROUP = int("dfee7c447aed8c3725b4f9a0d83019d10181a8c8aa0c2fcd998b669851a071bb"
                  "dc36bdd7b64a5c61cbafddc4753102429ba37c896b00de03b6afa6aa8b147523", 16)

ALERT, HANDSHAKE, DATA, CHANGE = 21, 22, 23, 20


# --- records and messages --------------------------------------------------------------------------------------------

def record(kind, payload, version=0x0303):
    return struct.pack(">BHH", kind, version, len(payload)) + payload


def message(kind, body):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def handshake(*messages):
    data = b"".join(messages)
    return b"".join(record(HANDSHAKE, data[start:start + 16384]) for start in range(0, len(data), 16384))


def server_hello(hello, suite=ECDHE_ECDSA, version=0x0303, extensions=b"\xff\x01\0\1\0", compression=0):
    """The answer to a client's hello; the extension is that of RFC 5746."""
    if hello[:1] != bytes([HANDSHAKE]):
        raise Gone
    body = struct.pack(">H", version) + RANDOM + b"\0" + struct.pack(">HB", suite, compression)
    return message(2, body + (struct.pack(">H", len(extensions)) + extensions if extensions else b""))


def certificates(chain):
    data = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    return message(11, len(data).to_bytes(3, "big") + data)


DONE = message(14, b"")


def counted(number):
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return struct.pack(">H", len(data)) + data


def dh_exchange(client, key, group, public):
    """The server's half of an ephemeral Diffie-Hellman exchange. `key` signs."""
    parameters = counted(group) + counted(2) + counted(public)
    signature = key.sign(hashlib.sha256(client + RANDOM + parameters).digest())
    return message(12, parameters + b"\4\1" + struct.pack(">H", len(signature)) + signature)


def offer_dh(hello, key, size):
    """Up to the server's last word, with a group of so many bits."""
    group = random.Random(size).getrandbits(size) | 1 << (size - 1) | 1
    return handshake(server_hello(hello, DHE_RSA), certificates([key.der]),
                     dh_exchange(hello[11:43], key, group, group // 3), DONE)


async def refuse(peer, what):
    """As a server does that knows only this."""
    hello = await peer.some()
    if what == "SSLv3":
        await peer.send(record(HANDSHAKE, server_hello(hello, 0x000a, 0x0300, b""), 0x0300))
    else:
        await peer.send(record(ALERT, b"\2\x28"))
    await peer.finish()


# --- a whole session -------------------------------------------------------------------------------------------------

def expand(secret, label, seed, length):
    """The pseudorandom function of TLS 1.2."""
    seed = label + seed
    made, link = b"", seed
    while len(made) < length:
        link = hmac.digest(secret, link, "sha256")
        made += hmac.digest(secret, link + seed, "sha256")
    return made[:length]


class Session:
    """Records after the handshake. peer.py finds here what it uses of ssl.SSLObject and of its two ssl.MemoryBIO."""

    def __init__(self, secret, client):
        block = expand(secret, b"key expansion", RANDOM + client, 72)
        self.theirs = Aes(block[40:56])
        self.ours = Aes(block[56:72])
        self.mac_key = block[20:40]
        self.count = 0  # of our records
        self.raw = b""
        self.incoming, self.outgoing = Incoming(self), Outgoing()

    def seal(self, kind, payload):
        mac = hmac.digest(self.mac_key, struct.pack(">QBHH", self.count, kind, 0x0303, len(payload)) + payload, "sha1")
        self.count += 1
        pad = 15 - (len(payload) + 20) % 16
        return record(kind, self.ours.encrypt_cbc(bytes(16), payload + mac + bytes([pad]) * (pad + 1)))

    def unseal(self, payload):
        plain = self.theirs.decrypt_cbc(payload[:16], payload[16:])
        return plain[:len(plain) - plain[-1] - 1 - 20]

    def write(self, data):
        self.outgoing.data += self.seal(DATA, data)

    def read(self, _):
        while True:
            kind, payload, self.raw = split(self.raw)
            if kind is None:
                raise ssl.SSLWantReadError
            if kind == ALERT and self.unseal(payload)[1:] == b"\0":  # close_notify
                return b""
            if kind == DATA and (data := self.unseal(payload)):
                return data


class Incoming:
    def __init__(self, session):
        self.session = session

    def write(self, data):
        self.session.raw += data


class Outgoing:
    data = b""

    def read(self):
        data, self.data = self.data, b""
        return data


def split(raw):
    """The kind and payload of the first record, and what is behind it; None and nothing if it is not all there."""
    length = int.from_bytes(raw[3:5], "big")
    if len(raw) < 5 or len(raw) < 5 + length:
        return None, b"", raw
    return raw[0], raw[5:5 + length], raw[5 + length:]


async def payload_of(peer):
    """Of the next record."""
    while True:
        kind, payload, peer.heard = split(peer.heard)
        if kind is not None:
            return payload
        peer.heard += await peer.receive()


async def accept(peer, key, group=0, extensions=b"\xff\x01\0\1\0"):
    """The server's handshake, with AES-128-CBC-SHA and the client's secret under our RSA key, or of a Diffie-Hellman
    exchange in the group of this prime."""
    hello = await payload_of(peer)
    client = hello[6:38]
    ours = [server_hello(b"\x16", DHE_RSA_CBC if group else RSA_CBC, extensions=extensions), certificates([key.der]), DONE]
    private = 0x1234567890abcdef
    if group:
        ours.insert(2, dh_exchange(client, key, group, pow(2, private, group)))
    await peer.send(handshake(*ours))
    exchange = await payload_of(peer)
    if group:
        secret = pow(int.from_bytes(exchange[6:], "big"), private, group)
        secret = secret.to_bytes((secret.bit_length() + 7) // 8, "big")
    else:
        secret = key.power(exchange[6:])[-48:]
    secret = expand(secret, b"master secret", client + RANDOM, 48)
    session = Session(secret, client)
    await payload_of(peer)  # "change cipher spec"
    finished = session.unseal(await payload_of(peer))
    script = hello + b"".join(ours) + exchange + finished
    verify = expand(secret, b"server finished", hashlib.sha256(script).digest(), 12)
    await peer.send(record(CHANGE, b"\1") + session.seal(HANDSHAKE, message(20, verify)))
    session.raw, peer.heard = peer.heard, b""
    peer.tls, peer.incoming, peer.outgoing = session, session.incoming, session.outgoing
    return session


# --- AES-128 (FIPS 197) ----------------------------------------------------------------------------------------------

def double(byte):
    return byte << 1 ^ (0x11b if byte & 0x80 else 0)


def make_box():
    """Multiplicative inverses by way of powers of 3, and then the affine map."""
    powers = [1]
    for _ in range(254):
        powers.append(powers[-1] ^ double(powers[-1]))
    place = {value: at for at, value in enumerate(powers)}
    box = []
    for byte in range(256):
        inverse = powers[-place[byte] % 255] if byte else 0
        turned = inverse
        for shift in range(1, 5):
            turned ^= (inverse << shift | inverse >> (8 - shift)) & 0xff
        box.append(turned ^ 0x63)
    return bytes(box)


BOX = make_box()
UNBOX = bytes(BOX.index(byte) for byte in range(256))
SHIFT = [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11]


def mix(column):
    a, b, c, d = column
    every = a ^ b ^ c ^ d
    return [a ^ every ^ double(a ^ b), b ^ every ^ double(b ^ c), c ^ every ^ double(c ^ d), d ^ every ^ double(d ^ a)]


def mix_all(state):
    return [byte for at in range(0, 16, 4) for byte in mix(state[at:at + 4])]


def added(one, other):
    return [a ^ b for a, b in zip(one, other)]


class Aes:
    def __init__(self, key):
        words = [list(key[at:at + 4]) for at in range(0, 16, 4)]
        constant = 1
        while len(words) < 44:
            word = words[-1]
            if len(words) % 4 == 0:
                word = [BOX[byte] for byte in word[1:] + word[:1]]
                word[0] ^= constant
                constant = double(constant)
            words.append(added(word, words[-4]))
        self.keys = [sum(words[at:at + 4], []) for at in range(0, 44, 4)]

    def encrypt(self, block):
        state = added(block, self.keys[0])
        for turn in range(1, 11):
            state = [BOX[state[at]] for at in SHIFT]
            state = added(mix_all(state) if turn < 10 else state, self.keys[turn])
        return bytes(state)

    def decrypt(self, block):
        state = list(block)
        for turn in range(10, 0, -1):
            state = added(state, self.keys[turn])
            if turn < 10:
                state = mix_all(mix_all(mix_all(state)))  # four times is none
            back = [0] * 16
            for at, came in enumerate(SHIFT):
                back[came] = UNBOX[state[at]]
            state = back
        return bytes(added(state, self.keys[0]))

    def encrypt_cbc(self, start, data):
        """With the first block, the vector, in front."""
        out = [start]
        for at in range(0, len(data), 16):
            out.append(self.encrypt(added(data[at:at + 16], out[-1])))
        return b"".join(out)

    def decrypt_cbc(self, start, data):
        blocks = [start] + [data[at:at + 16] for at in range(0, len(data), 16)]
        return b"".join(bytes(added(self.decrypt(block), before)) for before, block in zip(blocks, blocks[1:]))
