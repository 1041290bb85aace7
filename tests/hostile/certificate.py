"""Certificates, good and strange, written out by hand (X.690 DER, RFC 5280), and the TLS contexts that show them.

Nobody has signed them: their signatures are noise, which no server looks at in its own. The keys are made by openssl once a
run.
"""
import atexit
import base64
import functools
import os
import random
import ssl
import subprocess
import tempfile

folder = tempfile.TemporaryDirectory(prefix="scan-hostile-")
atexit.register(folder.cleanup)


# --- DER -------------------------------------------------------------------------------------------------------------

def tlv(tag, *parts):
    body = b"".join(parts)
    length = len(body)
    if length < 128:
        return bytes([tag, length]) + body
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + body


def sequence(*parts):
    return tlv(0x30, *parts)


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    coded = b""
    for part in (first * 40 + second, *rest):
        piece = bytes([part & 0x7f])
        while part := part >> 7:
            piece = bytes([0x80 | part & 0x7f]) + piece
        coded += piece
    return tlv(6, coded)


def bits(data):
    return tlv(3, b"\0", data)


def name(text, tag=0x0c):
    return sequence(tlv(0x31, sequence(oid("2.5.4.3"), tlv(tag, text)))) if text is not None else sequence()


def moment(text):
    """YYMMDD... as UTCTime, YYYYMMDD... as GeneralizedTime."""
    return tlv(0x17 if len(text) == 13 else 0x18, text.encode())


def alternative(names):
    """The extension subjectAltName."""
    return sequence(oid("2.5.29.17"), tlv(4, sequence(*(tlv(0x82, each) for each in names))))


def certificate(key, subject=b"mail.test", *, tag=0x0c, issuer=None, version=2, serial=1, begins="200101000000Z",
                ends="20990101000000Z", names=None, signed_with="1.2.840.10045.4.3.2"):
    algorithm = sequence(oid(signed_with))
    parts = [tlv(0xa0, integer(version))] if version else []
    parts += [integer(serial), algorithm, name(subject if issuer is None else issuer, tag),
              sequence(moment(begins), moment(ends)), name(subject, tag), key]
    if names:
        parts.append(tlv(0xa3, sequence(alternative(names))))
    return sequence(sequence(*parts), algorithm, bits(sequence(integer(12345), integer(67890))))


def pem(der):
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


# --- keys ------------------------------------------------------------------------------------------------------------

def openssl(*words):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True).stdout


@functools.lru_cache(None)
def key_file(kind):
    """Of an RSA key of so many bits, or of one for "EC"."""
    path = os.path.join(folder.name, f"key-{kind}")
    how = ("EC", "-pkeyopt", "ec_paramgen_curve:P-256") if kind == "EC" else ("RSA", "-pkeyopt", f"rsa_keygen_bits:{kind}")
    openssl("genpkey", "-algorithm", *how, "-out", path)
    return path


@functools.lru_cache(None)
def public(kind):
    return openssl("pkey", "-in", key_file(kind), "-pubout", "-outform", "DER")


class Rsa:
    """An RSA key as numbers, with its certificate."""

    def __init__(self, size):
        text = openssl("rsa", "-in", key_file(size), "-noout", "-text").decode()
        fields = {}
        for line in text.split("\n"):
            if line and not line.startswith(" "):
                label = line.split(":")[0]
                fields[label] = ""
            else:
                fields[label] += line.strip().replace(":", "")
        self.n = int(fields["modulus"], 16)
        self.d = int(fields["privateExponent"], 16)
        self.size = (self.n.bit_length() + 7) // 8
        self.der = certificate(public(size))

    def power(self, data):
        return pow(int.from_bytes(data, "big"), self.d, self.n).to_bytes(self.size, "big")

    def sign(self, digest):
        """PKCS #1 version 1.5 over a SHA-256."""
        info = sequence(sequence(oid("2.16.840.1.101.3.4.2.1"), b"\5\0"), tlv(4, digest))
        return self.power(b"\0\1" + b"\xff" * (self.size - len(info) - 3) + b"\0" + info)


@functools.lru_cache(None)
def rsa():
    return Rsa(2048)


# --- contexts --------------------------------------------------------------------------------------------------------

def context(kind, der, *more, **settings):
    """A server that shows this certificate, and more, for the key of that kind. It knows no shame: any strength will do."""
    path = os.path.join(folder.name, f"crt-{random.getrandbits(64):x}")
    with open(path, "w", encoding="ascii") as file:
        file.write("".join(map(pem, (der, *more))))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers(settings.pop("ciphers", "ALL:@SECLEVEL=0"))
    made.load_cert_chain(path, key_file(kind))
    for key, value in settings.items():
        setattr(made, key, value)
    return made


@functools.lru_cache(None)
def der():
    return certificate(public("EC"))


@functools.lru_cache(None)
def plain():
    return context("EC", der())


@functools.lru_cache(None)
def many_tickets():
    return context("EC", der(), num_tickets=1500)


@functools.lru_cache(None)
def chain(case):
    """So many certificates, of which but the first has anything to do with the server."""
    count, made_for = CHAINS[case]
    made = context("EC", der(), *(certificate(public("EC"), b"authority %d" % n) for n in range(count - 1)))
    made.maximum_version = made_for
    return made


CHAINS = {"40": (40, ssl.TLSVersion.TLSv1_3), "200, TLS 1.2": (200, ssl.TLSVersion.TLSv1_2), "200, TLS 1.3": (200, ssl.TLSVersion.TLSv1_3)}


@functools.lru_cache(None)
def wants_ours(version):
    made = context("EC", der(), maximum_version=version)
    made.load_verify_locations(cadata=pem(der()))
    made.verify_mode = ssl.CERT_REQUIRED
    return made


WEAK = "TLS 1.0", "TLS 1.1", "DH 1024", "RSA 512", "RSA 1024", "SHA-1", "MD5"


@functools.lru_cache(None)
def weak(case):
    version = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}.get(case, ssl.TLSVersion.TLSv1_2)
    lowest = {"minimum_version": min(version, ssl.TLSVersion.TLSv1_2), "maximum_version": version}
    if case == "DH 1024":
        made = context(2048, rsa().der, ciphers="DHE:@SECLEVEL=0", **lowest)
        made.load_dh_params(oakley())
        return made
    if case.startswith("RSA"):
        return context(int(case[4:]), certificate(public(int(case[4:]))), ciphers="ALL:!kDHE:!kEDH:@SECLEVEL=0", **lowest)
    if case in ("SHA-1", "MD5"):
        signed_with = {"SHA-1": "1.2.840.113549.1.1.5", "MD5": "1.2.840.113549.1.1.4"}[case]
        return context(2048, certificate(public(2048), issuer=b"An old authority", signed_with=signed_with), **lowest)
    return context("EC", der(), **lowest)


# The group of RFC 2409 section 6.2, of 1024 bits.
OAKLEY = int("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
             "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
             "49286651ECE65381FFFFFFFFFFFFFFFF", 16)


def oakley():
    path = os.path.join(folder.name, "dh")
    text = base64.encodebytes(sequence(integer(OAKLEY), integer(2))).decode()
    with open(path, "w", encoding="ascii") as file:
        file.write(f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n")
    return path


STRANGE = {
    "version 1": {"version": 0},
    "negative serial number": {"serial": -5},
    "year 0000": {"begins": "00000101000000Z"},
    "year 9999": {"ends": "99991231235959Z"},
    "no date": {"begins": "xx0101000000Z"},
    "10,000 names": {"names": [b"a%d" % n for n in range(10000)]},
    "NUL in a name": {"subject": b"good.test\0.bad.test", "names": [b"good.test\0.bad.test"]},
    "escapes in a name": {"subject": b"\x1b[2J\x1b]0;x\x07", "names": [b"\x1b[2J", b"\xff\xfe", "\u202etset".encode()]},
    "wildcard": {"subject": b"*", "names": [b"*", b"*.*", b"*.com"]},
    "BMPString": {"subject": "\u5b89\u5168".encode("utf-16-be"), "tag": 0x1e},
    "no subject": {"subject": None},
    "long subject": {"subject": b"x" * 20000},
}


@functools.lru_cache(None)
def strange(case):
    return context("EC", certificate(public("EC"), **STRANGE[case]))


@functools.lru_cache(None)
def unloadable():
    """Half a character in a BMPString."""
    return certificate(public("EC"), b"\x5b\x89\x5b", tag=0x1e)


@functools.lru_cache(None)
def judged(case):
    dates = {"expired": {"ends": "210101000000Z"}, "not yet valid": {"begins": "20980101000000Z"}}.get(case, {})
    return context("EC", certificate(public("EC"), names=[b"localhost" if case == "good name" else b"other.test"], **dates))


def prepare():
    """Make all that takes time, which a server has not once it has clients."""
    plain(), rsa(), huge(), bad_curve(), many_tickets()
    for case in CHAINS:
        chain(case)
    for case in STRANGE:
        strange(case)
    for case in WEAK:
        weak(case)
    for case in ("expired", "not yet valid", "wrong name", "good name"):
        judged(case)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        wants_ours(version)


@functools.lru_cache(None)
def huge():
    """An RSA key of 16,384 bits, whose parts nobody knows."""
    modulus = random.Random(68).getrandbits(16384) | 1 << 16383 | 1
    key = sequence(sequence(oid("1.2.840.113549.1.1.1"), b"\5\0"), bits(sequence(integer(modulus), integer((1 << 63) + 1))))
    return certificate(key)


@functools.lru_cache(None)
def bad_curve():
    """A curve of its own over a field that is none (697 is no prime), with its point compressed: CVE-2022-0778."""
    field = sequence(oid("1.2.840.10045.1.1"), integer(697))
    curve = sequence(tlv(4, b"\0\x17"), tlv(4, b"\0\x39"))
    parameters = sequence(integer(1), field, curve, tlv(4, b"\2\0\x10"), integer(691), integer(1))
    return certificate(sequence(sequence(oid("1.2.840.10045.2.1"), parameters), bits(b"\2\0\x10")))
