#!/usr/bin/python3 -B
"""Rows 26 to 59: servers that go wrong in the midst of their protocol, and what they are asked in the meantime."""
from stage import PATIENT, REPLY, TRUST_NOBODY, Stage
from fate import AT_ONCE, CLOSED, NO_REPLY, SLOW_LINE, TOO_MUCH, Fate, expectations
from harness import expect, expect_in, run, scan, test
from server import RECORDS, SINGLE, WHOLE

of, _, check = expectations()

EHLO, HELO = "EHLO [127.0.0.1]\r\n", "HELO [127.0.0.1]\r\n"
ASK = {"smtp": EHLO + "STARTTLS\r\n", "ftp": "AUTH TLS\r\n", "pop3": "STLS\r\n", "imap": "a1 STARTTLS\r\n"}
LEAVE = {"smtp": "QUIT\r\n", "ftp": "QUIT\r\n", "pop3": "QUIT\r\n", "imap": "a2 LOGOUT\r\n"}
SLIPPED = {"smtp": "250-injected", "ftp": "331 injected", "pop3": "+OK injected", "imap": "* injected"}


def starttls(asked, accepted, handshake, advertised=True):
    """Only SMTP says beforehand."""
    found = {"advertised": advertised, "accepted": accepted, "handshake": handshake}
    if asked.kind != "smtp":
        del found["advertised"]
    return found


def lines(data):
    return data.decode().replace("\r\n", "\n").rstrip("\n")


# --- SMTP ------------------------------------------------------------------------------------------------------------

@of(26)
def _(_, reply):
    return Fate("", "refused-service: " + lines(reply), banner=lines(reply), said="" if reply.startswith(b"421") else "QUIT\r\n")


@of(27)
def _(*_):
    return Fate(honest=True, banner="220-teaser\n220 mail.test ESMTP")


@of(28)
def _(*_):
    return Fate(honest=True)


@of(29)
def _(asked, _):
    return Fate(starttls=starttls(asked, False, False, False), banner="220 mail.test", said=EHLO + HELO + "QUIT\r\n")


@of(30)
def _(*_):
    return Fate("", "oversize: a reply of more than 128 lines", extensions=["X"] * 127, said=EHLO)


@of(31)
def _(asked, keywords):
    works = any(word.split()[0].upper() == b"STARTTLS" for word in keywords)
    return Fate(starttls=starttls(asked, works, works, works), extensions=[word.decode() for word in keywords])


# --- STARTTLS of all kinds -------------------------------------------------------------------------------------------

@of(32)
def _(asked, reply):
    text = lines(reply)
    if asked.kind in ("smtp", "ftp") and not text[0].isdigit():
        data = {"starttls": starttls(asked, False, False)} if asked.kind == "smtp" else {}
        return Fate("", f"not-protocol: not a reply: {text}", said=ASK[asked.kind], **data)
    text = "a1 " + text if asked.kind == "imap" else text
    return Fate(starttls=starttls(asked, False, False), starttls_reply=text, said=ASK[asked.kind] + LEAVE[asked.kind])


@of(33)
def _(asked, _):
    text = f"plain text where TLS should start: {SLIPPED[asked.kind]}\r\n"
    return Fate("", f"plaintext-at-starttls: {text}", said=ASK[asked.kind], starttls=starttls(asked, True, False),
                starttls_error={"phase": "tls", "code": "plaintext-at-starttls", "message": text})


@of(34)
def _(asked, _):
    """Nearly always the second segment is there in time. If not, it is plain text in place of the handshake."""
    return Fate("", ..., starttls=starttls(asked, True, False), starttls_error=lambda error: SLIPPED[asked.kind] in error["message"])


@of(35)
def _(asked, _):
    return Fate(starttls=starttls(asked, True, False), starttls_error={
        "phase": "tls", "code": "not-tls", "message": f"the server answered in plain text: {SLIPPED[asked.kind]}"})


@of(36)
def _(asked, how):
    error = {"end": ("closed-early", "the server closed the connection during the handshake, before the server's hello"),
             "reset": ("reset", "Connection reset by peer"),
             "silence": ("timeout", f"no TLS handshake within {REPLY:g} s (before the server's hello)")}[how]
    return Fate(starttls=starttls(asked, True, False), starttls_error=dict(zip(("code", "message"), error), phase="tls"),
                visits=1 if how == "silence" else 2, within=REPLY + AT_ONCE)


@of(37)
def _(asked, _):
    return Fate(starttls=starttls(asked, False, False, False), extensions=["SIZE 1000"], said=EHLO + "QUIT\r\n")


@of(38)
def _(asked, _):
    return Fate(starttls=starttls(asked, True, True), extensions=["STARTTLS"])


# --- IMAP ------------------------------------------------------------------------------------------------------------

@of(39)
def _(*_):
    return Fate(starttls={"advertised": False, "accepted": False, "handshake": False}, banner="* PREAUTH ready", said="a2 LOGOUT\r\n")


@of(40)
def _(asked, answer):
    text = lines(answer)
    if text == "* BYE not now":
        return Fate("", "refused-service: " + text, banner=text, said="")
    if text.startswith("* x"):  # lines that say nothing, and then nothing
        return Fate(NO_REPLY, within=REPLY + AT_ONCE, said=ASK["imap"])
    leave = "" if text.startswith("* BYE") else LEAVE["imap"]
    return Fate(starttls=starttls(asked, False, False), starttls_reply=text, said=ASK["imap"] + leave)


@of(41)
def _(*_):
    return Fate(TOO_MUCH, said=ASK["imap"])


@of(42)
def _(_, greeting):
    words = greeting.upper().decode().split("[CAPABILITY ")[1].split("]")[0].split()
    has = "STARTTLS" in words
    return Fate(capabilities=words, starttls={"advertised": has, "accepted": has, "handshake": has})


# --- POP3, FTP, SSH, and the others ----------------------------------------------------------------------------------

@of(43)
def _(asked, _):
    return Fate(starttls=starttls(asked, False, False), starttls_reply="-ERR no TLS here", said="STLS\r\nQUIT\r\n")


@of(44)
def _(asked, case):
    banner = {"230": "230 logged in", "120": "120 wait\n220 FTP"}.get(case, "220 FTP")
    if case == "234 twice":
        return Fate("", "plaintext-at-starttls: plain text where TLS should start: 234 go again", banner=banner, starttls=starttls(asked, True, False), starttls_error=...)
    if case == "334":
        return Fate(banner=banner, starttls=starttls(asked, False, False), starttls_reply="334 more")
    return Fate(banner=banner, starttls=starttls(asked, True, True))


@of(45)
def _(asked, _):
    return Fate("", "not-protocol: said before it was asked: 220 c", banner="220-a\n220 b", starttls=starttls(asked, True, True))


@of(46, 47, 50)
def _(*_):
    """Whatever it says, the port is open, and nothing is said."""
    return Fate(said="")


@of(48)
def _(_, text):
    if not text.endswith(b"\n"):
        return Fate(SLOW_LINE + "SSH-2.0-x", within=REPLY + AT_ONCE, banner="SSH-2.0-x")
    warnings = ["oversize: an identification of more than 255 bytes"] if len(text) > 255 else []
    return Fate("", *warnings, banner=lines(text)[:255])


@of(49)
def _(*_):
    return Fate(banner="SSH-2.0-x", said="")


@of(51)
def _(_, text):
    if text.startswith(b"\x30\x82"):  # as deep as it is, its end does not come
        return Fate(SLOW_LINE, within=REPLY + AT_ONCE)
    words = {b"\x30\x84": "not-protocol: not an LDAP message (an element of 4294967295 bytes): 3084ffffffff",
             b"\x30\x80": "not-protocol: not an LDAP message (an element without a length): 3080",
             b"\x30\x0c": "refused-service: unavailable 52"}
    return Fate("", words[text[:2]], within=REPLY + AT_ONCE)


@of(52)
def _(asked, text):
    text = lines(text)
    whose = {"- no": "pop2", "-ERR no": "pop3", "* BYE no": "imap"}.get(text)
    if text == "421 no":  # SMTP and FTP share it
        what = {"pop2": "not a POP2 greeting", "pop3": "not a POP3 greeting", "imap": "not an IMAP greeting"}.get(asked.kind)
        return Fate("", f"not-protocol: {what}: 421 no" if what else "refused-service: 421 no", banner=text, said="")
    return Fate("", f"wrong-protocol: this is {whose}, not {asked.service}" if whose != asked.kind else f"refused-service: {text}",
                banner=text, said="")


# --- HTTP ------------------------------------------------------------------------------------------------------------

@of(53)
def _(_, status):
    code, reason = status.decode().split(" ", 1)
    return Fate("", "oversize: more than 8 interim answers", status=int(code), reason=reason)


@of(54)
def _(_, text):
    known = {b"HTTP/1.1 200": Fate(CLOSED, status=200, reason=""), b"HTTP/2.0 999\r\n\r\n": Fate(status=999, reason=""),
             b"HTTP/1.1 200 OK\r\n": Fate(CLOSED, status=200, reason="OK")}
    line = lines(text)
    return known.get(text) or Fate("", f"not-protocol: not HTTP: {line}", banner=line)


@of(55)
def _(*_):
    return Fate(honest=True)


@of(56)
def _(_, fields):
    if len(fields) > 1 << 20:
        return Fate(TOO_MUCH, honest=True)
    return Fate("", *(["oversize: a header of more than 128 lines"] if len(fields) > 10000 else []), honest=True)


@of(57)
def _(*_):
    return Fate(status=302, reason="Found")


@of(58)
def _(asked, text):
    if text.startswith(b"HTTP"):
        return Fate(status=400, reason="Bad Request", server="nginx")
    return Fate("", f"wrong-protocol: this is http2, not {asked.service}", banner=...)


check("SMTP", ["smtp", "submission"], [0, *range(26, 32), 37, 38], [WHOLE, SINGLE])
check("STARTTLS", ["smtp", "ftp", "pop3", "imap"], [0, *range(32, 37)], [WHOLE, SINGLE], {36})
check("IMAP", ["imap"], [0, 39, 40, 41, 42], [WHOLE, SINGLE], {40})
check("POP3", ["pop3"], [0, 43], [WHOLE, SINGLE])
check("FTP", ["ftp"], [0, 44, 45], [WHOLE, SINGLE])
check("connect tests", ["telnet", "kerberos", "ldap"], [0, 46, 47, 50, 51], [WHOLE])
check("LDAP", ["rootdse"], [0, 51], [WHOLE, SINGLE], {0, 51})
check("SSH", ["ssh"], [0, 48, 49], [WHOLE, SINGLE], {48})
check("refusals", ["pop2", "pop3", "imap", "smtp", "ftp"], [0, 52], [WHOLE, SINGLE])
check("HTTP", ["http", "ipp"], [0, *range(53, 59)], [WHOLE, SINGLE])
check("HTTP inside TLS", ["https"], [0, *range(53, 59)], [WHOLE, SINGLE, RECORDS])


@test("row 37, with --try-hidden: STARTTLS works though it is not advertised, or is refused")
def _():
    stage = Stage("smtp", "submission", "imap")
    works = {"advertised": False, "accepted": True, "handshake": True}
    refused = {"advertised": False, "accepted": False, "handshake": False}
    for services, host, wanted in ((("smtp", "submission"), "127.80.37.1", works), (("imap",), "127.80.42.3", works),
                                   (("smtp",), "127.80.37.2", refused), (("smtp",), "127.80.29.1", refused)):
        words = ["--try-hidden", *PATIENT, "-s", stage.choice(services), host]
        for found in scan("--json", *words, env=TRUST_NOBODY).records:
            expect([found["data"]["starttls"], found["error"]], [wanted, None], f"{found['service']} of {host}")
            expect("starttls_reply" in found["data"], wanted is refused, "a reply")
        text = scan(*words, env=TRUST_NOBODY).out
        expect_in("TLS available, though not advertised." if wanted is works else "TLS not available: 502 what?", text)
    plain, = scan("--json", *PATIENT, "-s", stage.choice(["imap"]), "127.80.42.3", env=TRUST_NOBODY).records
    expect(plain["data"]["starttls"], refused, "without the option")
    stage.close()


run()
