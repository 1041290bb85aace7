#!/usr/bin/python3 -B
"""IMAP: greetings and what they list, the tagged answer to STARTTLS, what can become of it."""
from fake import case, run

WORKS = {"accepted": True, "handshake": True}
BROKEN = {"accepted": True, "handshake": False}
REFUSED = {"accepted": False, "handshake": False}
ABSENT = {"advertised": False, "accepted": False, "handshake": False}
READY = "* OK ready"

case("imap", "STARTTLS", """
    S: * OK ready
    C: a1 STARTTLS
    S: a1 OK begin
    TLS
    C: a2 LOGOUT
    S: * BYE
    PAUSE
    S: a2 OK bye
    """, """
    * OK ready
    TLS available.
    """, banner=READY, starttls=WORKS)

case("imap", "STARTTLS listed in the greeting", """
    S: * OK [CAPABILITY IMAP4rev1 starttls AUTH=PLAIN] ready
    C: a1 STARTTLS
    S: a1 OK begin
    TLS
    C: a2 LOGOUT
    S: * BYE
    S: a2 OK bye
    """, """
    * OK [CAPABILITY IMAP4rev1 starttls AUTH=PLAIN] ready
    TLS available.
    """, banner="* OK [CAPABILITY IMAP4rev1 starttls AUTH=PLAIN] ready", starttls={"advertised": True, **WORKS},
     capabilities=["IMAP4REV1", "STARTTLS", "AUTH=PLAIN"])

case("imap", "STARTTLS not listed in the greeting's list", """
    S: * OK [CAPABILITY IMAP4rev1 XSTARTTLS] ready
    C: a2 LOGOUT
    S: * BYE
    S: a2 OK bye
    """, """
    * OK [CAPABILITY IMAP4rev1 XSTARTTLS] ready
    TLS not available.
    """, banner="* OK [CAPABILITY IMAP4rev1 XSTARTTLS] ready", starttls=ABSENT, capabilities=["IMAP4REV1", "XSTARTTLS"])

case("imap", "untagged lines before the answer, in pieces", r"""
    S: * OK ready
    C: a1 STARTTLS
    S: * 3 EXISTS
    PAUSE
    S: * OK still here
    S> a
    PAUSE
    S> 1 ok begin\r
    PAUSE
    S> \n
    TLS
    C: a2 LOGOUT
    S: a2 OK bye
    """, """
    * OK ready
    TLS available.
    """, banner=READY, starttls=WORKS)

case("imap", "a literal that looks like an answer", """
    S: * OK ready
    C: a1 STARTTLS
    S: * TEXT {11}
    S: a1 OK yes
    S: {2}
    S> no
    S:  end
    S: a1 NO sorry
    C: a2 LOGOUT
    S: a2 OK bye
    """, """
    * OK ready
    TLS not available: a1 NO sorry
    """, banner=READY, starttls=REFUSED, starttls_reply="a1 NO sorry")

case("imap", "a literal larger than all that we take", """
    S: * OK ready
    C: a1 STARTTLS
    S: * TEXT {999999999999999999999}
    S* a1 OK yes
    """, """
    * OK ready
    [read] more than 64 KiB from the server
    """, whole=True, banner=READY, error=("read", "oversize", "more than 64 KiB from the server"))

for answer in ("a1 NO not now", "a1 BAD what?", "a1 OKAY", "a2 OK begin", "+ go on", "hello"):
    case("imap", f"refused: {answer}", f"""
        S: * OK ready
        C: a1 STARTTLS
        S: {answer}
        C: a2 LOGOUT
        S: * BYE
        S: a2 OK bye
        """, f"""
        * OK ready
        TLS not available: {answer}
        """, banner=READY, starttls=REFUSED, starttls_reply=answer)

case("imap", "BYE in answer to STARTTLS", """
    S: * OK ready
    C: a1 STARTTLS
    S: * BYE shutting down
    """, """
    * OK ready
    TLS not available: * BYE shutting down
    """, banner=READY, starttls=REFUSED, starttls_reply="* BYE shutting down")

case("imap", "untagged lines without end", """
    S: * OK ready
    C: a1 STARTTLS
    S* * 1 EXISTS
    """, """
    * OK ready
    warning: more than 128 lines before an answer
    """, whole=True, banner=READY, warnings=[("oversize", "more than 128 lines before an answer")])

case("imap", "no answer to STARTTLS, though listed", """
    S: * OK [CAPABILITY STARTTLS] ready
    C: a1 STARTTLS
    """, """
    * OK [CAPABILITY STARTTLS] ready
    [read] no reply within 0.6 s
    """, options=["--reply-timeout", "0.6"], banner="* OK [CAPABILITY STARTTLS] ready", capabilities=["STARTTLS"],
     starttls={"advertised": True, **REFUSED}, error=("read", "timeout", "no reply within 0.6 s"))

case("imap", "plain text behind the yes", """
    S: * OK ready
    C: a1 STARTTLS
    S: a1 OK begin
    S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
    """, r"""
    * OK ready
    warning: plain text where TLS should start: * CAPABILITY IMAP4rev1 AUTH=PLAIN\x0d\x0a
    TLS accepted, but plain text follows the reply.
    """, whole=True, banner=READY, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "plaintext-at-starttls",
                     "message": "plain text where TLS should start: * CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"},
     warnings=[("plaintext-at-starttls",
                "plain text where TLS should start: * CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")])

case("imap", "closed behind the yes", """
    S: * OK ready
    C: a1 STARTTLS
    S: a1 OK begin
    CLOSE
    """, """
    * OK ready
    TLS accepted, but it does not work: [tls] the server closed the connection during the handshake, before the server's hello
    """, visits=2, banner=READY, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "closed-early",
                     "message": "the server closed the connection during the handshake, before the server's hello"})

case("imap", "PREAUTH", """
    S: * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] welcome
    C: a2 LOGOUT
    S: * BYE
    S: a2 OK bye
    """, """
    * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] welcome
    TLS not available: PREAUTH, which cannot be upgraded
    """, banner="* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] welcome", starttls=ABSENT,
     capabilities=["IMAP4REV1", "STARTTLS"])

case("imap", "BYE in place of a greeting", """
    S: * BYE too many connections
    CLOSE
    """, """
    * BYE too many connections
    """, banner="* BYE too many connections", warnings=[("refused-service", "* BYE too many connections")])

case("imap", "nonsense in place of a greeting", """
    S: * HELLO
    """, """
    * HELLO
    warning: not an IMAP greeting: * HELLO
    """, banner="* HELLO", warnings=[("not-protocol", "not an IMAP greeting: * HELLO")])

case("imap", "SMTP", """
    S: 220 mail.test ESMTP
    """, """
    220 mail.test ESMTP
    warning: this is smtp, not imap
    """, banner="220 mail.test ESMTP", warnings=[("wrong-protocol", "this is smtp, not imap")])

case("imap", "no greeting", """
    """, """
    [read] no greeting within 0.2 s
    """, options=["--reply-timeout", "0.2"], error=("read", "timeout", "no greeting within 0.2 s"),
     warnings=[("silent", "no greeting within 0.2 s")])

case("imaps", "TLS from the first byte", """
    TLS
    S: * OK [CAPABILITY IMAP4rev1] ready
    C: a2 LOGOUT
    S: * BYE
    S: a2 OK bye
    """, """
    * OK [CAPABILITY IMAP4rev1] ready
    """, banner="* OK [CAPABILITY IMAP4rev1] ready", capabilities=["IMAP4REV1"])

AGAIN = "* OK" + " [CAPABILITY" * 330

case("imap", "a list that begins over and over, and never ends", f"""
    S: {AGAIN}
    C: a1 STARTTLS
    S: a1 NO
    C: a2 LOGOUT
    S: a2 OK
    """, [AGAIN[:197] + "...", "TLS not available: a1 NO"], banner=AGAIN, starttls_reply="a1 NO",
     starttls={"accepted": False, "handshake": False})

run()
