#!/usr/bin/python3 -B
"""FTP: greetings and where they end, AUTH TLS and what can become of it."""
from fake import case, run

WORKS = {"accepted": True, "handshake": True}
BROKEN = {"accepted": True, "handshake": False}
REFUSED = {"accepted": False, "handshake": False}
READY = "220 FTP ready"
NO = "530 Please login with USER and PASS."

case("ftp", "AUTH TLS", """
    S: 220 FTP ready
    C: AUTH TLS
    S: 234 go ahead
    TLS
    C: QUIT
    S: 221 bye
    """, """
    220 FTP ready
    TLS available.
    """, banner=READY, starttls=WORKS)

for answer in (NO, "500 what?", "334 more", "220 yes?"):
    case("ftp", f"AUTH TLS refused: {answer}", f"""
        S: 220 FTP ready
        C: AUTH TLS
        S: {answer}
        C: QUIT
        S: 221 bye
        """, f"""
        220 FTP ready
        TLS not available: {answer}
        """, banner=READY, starttls=REFUSED, starttls_reply=answer)

case("ftp", "421 to AUTH TLS", """
    S: 220 FTP ready
    C: AUTH TLS
    S: 421 timed out
    """, """
    220 FTP ready
    TLS not available: 421 timed out
    """, banner=READY, starttls=REFUSED, starttls_reply="421 timed out")

case("ftp", "a greeting of many lines of any kind", r"""
    S: 220-=== Welcome to the Sandbox HTML upload server ===
    S: \x20
    S: 530 is not the end
    S:   220 neither
    PAUSE
    S: 2200 nor this
    S: 220-
    S: 220\x20
    C: AUTH TLS
    S: 530-Please
    S: 234 is not the answer
    S: 530 login
    C: QUIT
    S: 221-We shall
    S: 221 miss you.
    """, [
        "220-=== Welcome to the Sandbox HTML upload server ===", " ", "530 is not the end", "  220 neither", "2200 nor this",
        "220-", "TLS not available: 530-Please", "234 is not the answer", "530 login"],
     banner="220-=== Welcome to the Sandbox HTML upload server ===\n \n530 is not the end\n  220 neither\n2200 nor this\n220-\n220 ",
     starttls=REFUSED, starttls_reply="530-Please\n234 is not the answer\n530 login")

case("ftp", "120: the greeting is still to come", """
    S: 120 Service ready in a moment
    PAUSE
    S: 220-FTP
    S: 220 ready
    C: AUTH TLS
    S: 234 go ahead
    TLS
    C: QUIT
    S: 221 bye
    """, """
    120 Service ready in a moment
    220-FTP
    220 ready
    TLS available.
    """, banner="120 Service ready in a moment\n220-FTP\n220 ready", starttls=WORKS)

case("ftp", "120 without end", """
    S* 120 Service ready in a moment
    """, ["120 Service ready in a moment"] * 128 + ["warning: a reply of more than 128 lines"], whole=True,
     banner="\n".join(["120 Service ready in a moment"] * 128),
     warnings=[("oversize", "a reply of more than 128 lines")])

case("ftp", "421", """
    S: 421 Too many users
    """, """
    421 Too many users
    """, banner="421 Too many users", warnings=[("refused-service", "421 Too many users")])

case("ftp", "530 in place of a greeting", """
    S: 530 not you
    C: QUIT
    S: 221 bye
    """, """
    530 not you
    """, banner="530 not you", warnings=[("refused-service", "530 not you")])

case("ftp", "230 greets too", """
    S: 230 logged in already
    C: AUTH TLS
    S: 500 no
    C: QUIT
    S: 221 bye
    """, """
    230 logged in already
    TLS not available: 500 no
    """, banner="230 logged in already", starttls=REFUSED, starttls_reply="500 no")

case("ftp", "closed in the middle of a greeting", """
    S: 220-FTP
    S: welcome
    CLOSE
    """, """
    220-FTP
    welcome
    [read] the server closed the connection
    """, banner="220-FTP\nwelcome", error=("read", "closed-early", "the server closed the connection"))

case("ftp", "a greeting without end", """
    S* 220-FTP
    """, ["220-FTP"] * 128 + ["warning: a reply of more than 128 lines"], whole=True,
     banner="\n".join(["220-FTP"] * 128), warnings=[("oversize", "a reply of more than 128 lines")])

case("ftp", "no code at all", """
    S: hello
    """, """
    hello
    warning: not a reply: hello
    """, banner="hello", warnings=[("not-protocol", "not a reply: hello")])

case("ftp", "SMTP, which looks the same", """
    S: 220 mail.test ESMTP
    C: AUTH TLS
    S: 503 EHLO first
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS not available: 503 EHLO first
    warning: this is smtp, not ftp
    """, banner="220 mail.test ESMTP", starttls=REFUSED, starttls_reply="503 EHLO first",
     warnings=[("wrong-protocol", "this is smtp, not ftp")])

case("ftp", "a greeting that does not say what it is", """
    S: 220 welcome
    C: AUTH TLS
    S: 500 no
    C: QUIT
    S: 221 bye
    """, """
    220 welcome
    TLS not available: 500 no
    """, banner="220 welcome", starttls=REFUSED, starttls_reply="500 no")

case("ftp", "nonsense in answer to AUTH TLS", """
    S: 220 FTP ready
    C: AUTH TLS
    S: AUTH TLS
    """, """
    220 FTP ready
    warning: not a reply: AUTH TLS
    """, banner=READY, warnings=[("not-protocol", "not a reply: AUTH TLS")])

case("ftp", "234 and 234 again", """
    S: 220 FTP ready
    C: AUTH TLS
    S: 234 go ahead
    S: 234 go ahead
    """, r"""
    220 FTP ready
    warning: plain text where TLS should start: 234 go ahead\x0d\x0a
    TLS accepted, but plain text follows the reply.
    """, whole=True, banner=READY, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "plaintext-at-starttls",
                     "message": "plain text where TLS should start: 234 go ahead\r\n"},
     warnings=[("plaintext-at-starttls", "plain text where TLS should start: 234 go ahead\r\n")])

case("ftp", "plain text in place of the handshake", """
    S: 220 FTP ready
    C: AUTH TLS
    S: 234 go ahead
    HELLO
    S: 500 what?
    """, """
    220 FTP ready
    TLS accepted, but it does not work: [tls] the server answered in plain text: 500 what?
    """, banner=READY, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "not-tls", "message": "the server answered in plain text: 500 what?"})

run()
