#!/usr/bin/python3 -B
"""Rows 59 to 71: TLS that fails, is weak, is strange, or is too much; from the first byte and after STARTTLS."""
import ssl
import subprocess

import stage as stages
from fate import AT_ONCE, TOO_MUCH, WORDLESS, Fate, expectations, note
from harness import Skipped, expect_in, expect_true, run, scan, test
from server import SECURE, SINGLE, WHOLE
from stage import REPLY, SLOW, TRUST_NOBODY, Run, Stage

of, _, check = expectations()

CLOSED = "tls/closed-early: the server closed the connection during the handshake, "
BEFORE_HELLO, CERTIFICATE = "before the server's hello", "after the server's certificate"
SEEN = {"handshake": False, "subject": "CN=mail.test"}
TALKING = ("smtps", "imaps", "pop3s", "https")  # services that are not content with a handshake


def fails(asked, error, tls=None, visits=2, **more):
    """The handshake does: of a service with STARTTLS that is not the end of it."""
    if asked.secure:
        return Fate(error, tls=tls, visits=visits, **more)
    phase, rest = error.split("/", 1)
    code, message = rest.split(": ", 1)
    return Fate(starttls=lambda it: it["accepted"] and not it["handshake"], tls=tls, visits=visits,
                starttls_error=lambda it: (it["phase"], it["code"]) == (phase, code) and it["message"].startswith(message), **more)


def works(asked, *warnings, tls=None, visits=1, error="", **more):
    """The handshake does; what comes behind it is read only where there is something to be read."""
    if asked.secure:
        return Fate(error if asked.service in TALKING else "", *warnings, tls=tls, visits=visits, **more)
    return Fate("", *warnings, tls=tls, visits=visits, starttls=lambda it: it["handshake"], **more)


@of(59)
def _(asked, _):
    return fails(asked, "tls/tls-failed: unsolicited extension")


@of(71)
def _(asked, _):
    return fails(asked, "tls/tls-failed: ")


@of(60)
def _(asked, text):
    line = text.decode().replace("\r", "\n").split("\n")[0].replace("\0", "\\x00")
    return fails(asked, f"tls/not-tls: the server answered in plain text: {line}", visits=1)


@of(61)
def _(asked, _):
    return fails(asked, f"tls/timeout: no TLS handshake within {REPLY:g} s (", visits=1, within=REPLY + AT_ONCE)


@of(62)
def _(asked, stage):
    if stage == "finished":
        return works(asked, error=WORDLESS, tls={"handshake": True})
    if stage == "certificate":
        return fails(asked, CLOSED + CERTIFICATE, tls=SEEN)
    return fails(asked, CLOSED + BEFORE_HELLO)


ALERTS = {40: ", handshake failure: no parameters in common", 70: ", protocol version not supported", 80: ", internal error",
          86: ", inappropriate fallback", 112: ", unrecognized name", 116: ", the server wants a certificate from us",
          42: ", bad certificate: the server wants one from us", 120: ", no application protocol in common", 255: ""}


@of(63)
def _(asked, alert):
    if alert == "warning":
        return works(asked, tls={"handshake": True})
    if alert == "after certificate":
        return fails(asked, "tls/tls-alert: the server sent alert 80, internal error", tls=SEEN)
    return fails(asked, f"tls/tls-alert: the server sent alert {alert}{ALERTS[alert]}")


@of(64)
def _(asked, what):
    before = {"alerts": ("tls/tls-failed: too many warn alerts", 2), "empty records": ("tls/tls-failed: unexpected message", 2),
              "hello requests": ("tls/oversize: more than 160 KiB before the end of the handshake", 1)}
    if what in before:
        return fails(asked, before[what][0], visits=before[what][1])
    error = {"tickets": "tls/oversize: more than 256 KiB of TLS records", "alerts inside": "tls/tls-failed: too many warn alerts",
             "empty records inside": "tls/tls-failed: record too small",
             "hello requests inside": "tls/oversize: more than 256 KiB of TLS records"}[what]
    return works(asked, error=error, tls={"handshake": True}, within=10 * SLOW)


@of(65)
def _(asked, what):
    if what in ("RC4", "3DES"):
        return fails(asked, "tls/tls-alert: the server sent alert 40, handshake failure: no parameters in common")
    if what == "SSLv3":
        return fails(asked, "tls/tls-failed: unsupported protocol")
    if what in ("RSA 512", "RSA 1024", "SHA-1", "MD5"):
        problem = "weak-key" if what.startswith("RSA") else "weak-signature"
        return works(asked, tls={"settings": "strict", "problems": lambda found: problem in found})
    why = {"TLS 1.0": "the server sent alert 70", "TLS 1.1": "the server sent alert 70", "DH 512": "dh key too small",
           "DH 1024": "dh key too small", "no RFC 5746": "unsafe legacy renegotiation disabled"}[what]
    return works(asked, f"tls-weak: TLS works only with legacy settings; with sound ones: {why}", visits=2,
                 tls={"settings": "legacy", "version": {"TLS 1.0": "TLSv1", "TLS 1.1": "TLSv1.1"}.get(what, "TLSv1.2")})


@of(66)
def _(asked, what):
    if what == "40":
        return works(asked, tls={"handshake": True})
    if what.startswith("200"):
        return fails(asked, "tls/oversize: more than 48 certificates of the server", visits=1)
    return fails(asked, "tls/oversize: a handshake message of the server is too large", visits=1)


@of(67)
def _(asked, what):
    broken = {"noise": "unexpected eoc", "half a character": "bmpstring is wrong length", "none": "length mismatch"}
    if what in broken:
        return fails(asked, f"tls/tls-failed: {broken[what]}")
    facts = {"NUL in a name": {"subject": "CN=good.test\0.bad.test", "names": ["good.test\0.bad.test"]},
             "10,000 names": {"names": [f"a{n}" for n in range(16)]}, "BMPString": {"subject": "CN=\u5b89\u5168"},
             "year 9999": {"not_after": "9999-12-31T23:59:59Z"}, "wildcard": {"names": ["*", "*.*", "*.com"]}}.get(what, {})
    return works(asked, tls={"handshake": True, **facts})


@of(68)
def _(asked, what):
    if what in ("DH 10000", "DH 8192"):
        return fails(asked, "tls/oversize: a Diffie-Hellman group of more than 4096 bits", tls=SEEN, visits=1)
    if what == "bad curve":
        return fails(asked, "tls/tls-failed: decode error")
    return fails(asked, CLOSED + CERTIFICATE, tls=SEEN)


@of(69)
def _(asked, what):
    problems = {"expired": ["expired", "self-signed"], "not yet valid": ["not-yet-valid", "self-signed"]}.get(what, ["self-signed"])
    return works(asked, tls={"handshake": True, "verified": False, "problems": problems})


@of(70)
def _(asked, what):
    if what == "endless":
        return works(asked, error=TOO_MUCH, tls={"handshake": True})
    if what == "renegotiates":
        return works(asked, tls={"handshake": True})
    if what.endswith("1.3"):  # the client has its handshake before it hears that it is not welcome
        return works(asked, error="tls/client-certificate: the server wants a certificate from us (alert 116)",
                     tls={"handshake": True, "client_certificate": True})
    return fails(asked, "tls/client-certificate: the server wants a certificate from us (alert 40)",
                 tls={"handshake": False, "client_certificate": True}, visits=1)


ROWS = [0, *range(59, 64), *range(65, 72)]
check("TLS", SECURE, ROWS, [WHOLE, SINGLE], {61})
check("STARTTLS", ["smtp", "imap", "pop3", "ftp"], ROWS, [WHOLE, SINGLE], {61})
check("TLS", ["https"], [0, 64], [WHOLE])
check("STARTTLS", ["smtp"], [0, 64], [WHOLE])


# --- what has a test of its own --------------------------------------------------------------------------------------

@test("row 68: arithmetic that a server can ask for is bounded, for all together")
def _():
    stage = Stage("https", tls=True)
    played = Run(stage, [68], [WHOLE], stages.PATIENT)
    stage.close()
    note(f"row 68: {played.seconds:.2f} s of CPU time for {len(played.records)} handshakes")
    expect_true(played.seconds < 0.5 * SLOW, f"{played.seconds:.2f} s")


@test("row 69: whose name a certificate has")
def _():
    stage = Stage("https", tls=True)
    done = scan("--json", "-4", *stages.PATIENT, "-s", stage.choice(), "localhost", env=TRUST_NOBODY)
    stage.close()
    expect_in("wrong-name", done.records[0]["tls"]["problems"])


for what in ("RC4", "3DES", "SSLv3"):
    @test(f"row 65: a handshake with {what}")
    def _(what=what):
        has = subprocess.run(["openssl", "ciphers", f"{what}:@SECLEVEL=0"], capture_output=True, check=False).returncode == 0
        expect_true(what != "SSLv3" or not ssl.HAS_SSLv3, "there is SSLv3 here, and no test for it")
        expect_true(what == "SSLv3" or not has, f"there is {what} here, and no test for it")
        raise Skipped(f"the OpenSSL of this machine has no {what}; what comes of such a server is tested above")


run()
