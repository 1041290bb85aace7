#!/usr/bin/python3 -B
"""SMTP: greetings, EHLO and its lists, STARTTLS and what can become of it."""
from fake import case, run

WORKS = {"advertised": True, "accepted": True, "handshake": True}
BROKEN = {"advertised": True, "accepted": True, "handshake": False}
REFUSED = {"advertised": True, "accepted": False, "handshake": False}
ABSENT = {"advertised": False, "accepted": False, "handshake": False}

# --- with STARTTLS, without, TLS from the first byte -----------------------------------------------------------------

case("smtp", "STARTTLS", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250-mail.test
    S: 250-SIZE 10240000
    S: 250-STARTTLS
    S: 250 8BITMIME
    C: STARTTLS
    S: 220 go ahead
    TLS
    C: QUIT
    S: 221 bye
    CLOSE
    """, """
    220 mail.test ESMTP
    TLS available.
    """, banner="220 mail.test ESMTP", extensions=["SIZE 10240000", "STARTTLS", "8BITMIME"], starttls=WORKS)

case("submission", "STARTTLS in the last line", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250-mail.test
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 go ahead
    TLS
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS available.
    """, banner="220 mail.test ESMTP", extensions=["STARTTLS"], starttls=WORKS)

case("smtp", "no STARTTLS", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250-mail.test
    S: 250 SIZE
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS not available.
    """, banner="220 mail.test ESMTP", extensions=["SIZE"], starttls=ABSENT)

case("smtps", "TLS from the first byte", """
    TLS
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250-mail.test
    S: 250 SIZE
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    """, banner="220 mail.test ESMTP", extensions=["SIZE"])

case("smtps", "plain text where TLS should be", """
    HELLO
    S: 220 mail.test ESMTP
    """, """
    [tls] the server answered in plain text: 220 mail.test ESMTP
    """, error=("tls", "not-tls", "the server answered in plain text: 220 mail.test ESMTP"))

# --- our name --------------------------------------------------------------------------------------------------------

case("smtp", "our IPv6 address, and no SNI for an address", """
    S: 220 mail.test ESMTP
    C: EHLO [IPv6:::1]
    S: 250-mail.test
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 go ahead
    TLS
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS available.
    """, host="::1", banner="220 mail.test ESMTP", extensions=["STARTTLS"], starttls=WORKS)

case("smtp", "a name of our own", """
    S: 220 mail.test ESMTP
    C: EHLO me.example
    S: 502 what?
    C: HELO me.example
    S: 250 mail.test
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS not available.
    """, options=["-a", "smtp.ehlo=me.example"], banner="220 mail.test ESMTP", starttls=ABSENT)

case("smtp", "SNI for a name", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250-mail.test
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 go ahead
    TLS
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS available.
    """, host="localhost", options=["-4"], sni="localhost", banner="220 mail.test ESMTP", extensions=["STARTTLS"],
     starttls=WORKS)

# --- greetings -------------------------------------------------------------------------------------------------------

case("smtp", "a greeting of many lines, with a pause in it", """
    S: 220-mail.test ESMTP
    S: 220-no advertising
    PAUSE
    S: 220 please
    C: EHLO [127.0.0.1]
    S: 250 mail.test
    C: QUIT
    S: 221 bye
    """, """
    220-mail.test ESMTP
    220-no advertising
    220 please
    TLS not available.
    """, banner="220-mail.test ESMTP\n220-no advertising\n220 please", starttls=ABSENT)

case("smtp", "postscreen: a teaser, a wait, and an end without text", r"""
    S: 220-mail.test ESMTP
    PAUSE
    PAUSE
    S: 220\x20
    C: EHLO [127.0.0.1]
    S: 250 mail.test
    C: QUIT
    S: 221 bye
    """, """
    220-mail.test ESMTP
    TLS not available.
    """, banner="220-mail.test ESMTP\n220 ", starttls=ABSENT)

case("smtp", "a code alone greets too", """
    S: 220
    C: EHLO [127.0.0.1]
    S: 250
    C: QUIT
    S: 221
    """, """
    220
    TLS not available.
    """, banner="220", starttls=ABSENT)

case("smtp", "lines that end in LF alone", r"""
    S> 220-mail.test ESMTP\n220 hello\n
    C: EHLO [127.0.0.1]
    S> 250-mail.test\n250 SIZE\n
    C: QUIT
    S> 221 bye\n
    """, """
    220-mail.test ESMTP
    220 hello
    TLS not available.
    """, banner="220-mail.test ESMTP\n220 hello", extensions=["SIZE"], starttls=ABSENT)

case("smtp", "lines and replies that come in pieces", r"""
    S> 22
    PAUSE
    S> 0 mail.test ESMTP\r
    PAUSE
    S> \n
    C: EHLO [127.0.0.1]
    S> 250-mail.test\r\n250-SI
    PAUSE
    S> ZE\r\n250 STARTTLS\r\n
    C: STARTTLS
    S> 220 go\r
    PAUSE
    S> \n
    TLS
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS available.
    """, banner="220 mail.test ESMTP", extensions=["SIZE", "STARTTLS"], starttls=WORKS)

case("smtp", "421: shown, and left alone", """
    S: 421 mail.test too many connections
    """, """
    421 mail.test too many connections
    """, banner="421 mail.test too many connections", warnings=[("refused-service", "421 mail.test too many connections")])

case("smtp", "421 and closed", """
    S: 421 mail.test too many connections
    CLOSE
    """, """
    421 mail.test too many connections
    """, banner="421 mail.test too many connections", warnings=[("refused-service", "421 mail.test too many connections")])

case("smtp", "554 in many lines: shown, and left politely", """
    S: 554-no SMTP
    S: 554 service here
    C: QUIT
    S: 221 bye
    """, """
    554-no SMTP
    554 service here
    """, banner="554-no SMTP\n554 service here", warnings=[("refused-service", "554-no SMTP\n554 service here")])

case("smtp", "554 and closed", """
    S: 554 go away
    CLOSE
    """, """
    554 go away
    """, banner="554 go away", warnings=[("refused-service", "554 go away")])

case("smtp", "450", """
    S: 450 later
    C: QUIT
    S: 221 bye
    """, """
    450 later
    """, banner="450 later", warnings=[("refused-service", "450 later")])

case("smtp", "no greeting", """
    """, """
    [read] no greeting within 0.2 s
    """, options=["--reply-timeout", "0.2"], error=("read", "timeout", "no greeting within 0.2 s"),
     warnings=[("silent", "no greeting within 0.2 s")])

case("smtp", "closed without a word", """
    CLOSE
    """, """
    [read] the server closed the connection without a word
    """, error=("read", "closed-early", "the server closed the connection without a word"))

case("smtp", "a greeting that never ends, with what came of it", r"""
    S: 220-mail.test ESMTP
    S> 220-and
    """, """
    220-mail.test ESMTP
    220-and
    [read] the line did not end within 0.6 s: 220-and
    """, options=["--reply-timeout", "0.6"], banner="220-mail.test ESMTP\n220-and",
     error=("read", "too-slow", "the line did not end within 0.6 s: 220-and"))

case("smtp", "closed in the middle of a greeting", r"""
    S: 220-mail.test ESMTP
    S> 220-and
    CLOSE
    """, """
    220-mail.test ESMTP
    220-and
    [read] the server closed the connection
    """, banner="220-mail.test ESMTP\n220-and", error=("read", "closed-early", "the server closed the connection"))

case("smtp", "one byte now and then, and never a line", r"""
    S> 2
    PAUSE
    S> 2
    PAUSE
    S> 0
    """, """
    220
    [read] the line did not end within 0.9 s: 220
    """, options=["--reply-timeout", "0.9"], banner="220", error=("read", "too-slow", "the line did not end within 0.9 s: 220"))

# --- greetings that are none -----------------------------------------------------------------------------------------

case("smtp", "another code inside the greeting", """
    S: 220-mail.test ESMTP
    S: 221 bye
    """, """
    220-mail.test ESMTP
    221 bye
    warning: not a line of a 220 reply: 221 bye
    """, banner="220-mail.test ESMTP\n221 bye", warnings=[("not-protocol", "not a line of a 220 reply: 221 bye")])

case("smtp", "text inside the greeting", """
    S: 220-mail.test ESMTP
    S: hello
    """, """
    220-mail.test ESMTP
    hello
    warning: not a line of a 220 reply: hello
    """, banner="220-mail.test ESMTP\nhello", warnings=[("not-protocol", "not a line of a 220 reply: hello")])

case("smtp", "SSH inside the greeting", """
    S: 220-mail.test ESMTP
    S: SSH-2.0-x
    """, """
    220-mail.test ESMTP
    SSH-2.0-x
    warning: not a line of a 220 reply: SSH-2.0-x
    """, banner="220-mail.test ESMTP\nSSH-2.0-x", warnings=[("not-protocol", "not a line of a 220 reply: SSH-2.0-x")])

case("smtp", "a greeting without a code", """
    S: hello
    """, """
    hello
    warning: not a reply: hello
    """, banner="hello", warnings=[("not-protocol", "not a reply: hello")])

case("smtp", "a code with something else behind it", """
    S: 2200 mail.test ESMTP
    """, """
    2200 mail.test ESMTP
    warning: not a reply: 2200 mail.test ESMTP
    """, banner="2200 mail.test ESMTP", warnings=[("not-protocol", "not a reply: 2200 mail.test ESMTP")])

case("smtp", "SSH", """
    S: SSH-2.0-OpenSSH_9.9
    """, """
    SSH-2.0-OpenSSH_9.9
    warning: this is ssh, not smtp
    """, banner="SSH-2.0-OpenSSH_9.9", warnings=[("wrong-protocol", "this is ssh, not smtp")])

case("smtp", "POP3", """
    S: +OK ready
    """, """
    +OK ready
    warning: this is pop3, not smtp
    """, banner="+OK ready", warnings=[("wrong-protocol", "this is pop3, not smtp")])

case("smtp", "FTP, which looks the same", """
    S: 220 (vsFTPd 3.0.3)
    C: EHLO [127.0.0.1]
    S: 530 Please login with USER and PASS.
    C: HELO [127.0.0.1]
    S: 530 Please login with USER and PASS.
    C: QUIT
    S: 221 Goodbye.
    """, """
    220 (vsFTPd 3.0.3)
    TLS not available: 530 Please login with USER and PASS.
    warning: this is ftp, not smtp
    """, banner="220 (vsFTPd 3.0.3)", starttls=ABSENT, warnings=[("wrong-protocol", "this is ftp, not smtp")])

case("smtp", "terminal escapes", r"""
    S: 220 \x1b]0;owned\x07 \x9b31m\x00 \xe2\x80\xae
    C: EHLO [127.0.0.1]
    S: 250 mail.test
    C: QUIT
    S: 221 bye
    """, r"""
    220 \x1b]0;owned\x07 \x9b31m\x00 \u{202e}
    TLS not available.
    """, banner="220 \x1b]0;owned\x07 \ufffd31m\x00 \u202e", starttls=ABSENT,
     banner_base64="MjIwIBtdMDtvd25lZAcgmzMxbQAg4oCu")

case("smtp", "a greeting of 128 lines", [*["S: 220-x"] * 127, "S: 220 x", "C: EHLO [127.0.0.1]", "S: 250 mail.test",
                                         "C: QUIT", "S: 221 bye"],
     ["220-x"] * 127 + ["220 x", "TLS not available."], banner="220-x\n" * 127 + "220 x", starttls=ABSENT)

case("smtp", "a greeting without end", """
    S* 220-x
    """, ["220-x"] * 128 + ["warning: a reply of more than 128 lines"], whole=True,
     banner="\n".join(["220-x"] * 128), warnings=[("oversize", "a reply of more than 128 lines")])

case("smtp", "a line without end", ["S> 220 " + "A" * 70000],
     ["220 " + "A" * 193 + "...", "[read] more than 64 KiB from the server"], whole=True,
     banner="220 " + "A" * 4092, error=("read", "oversize", "more than 64 KiB from the server"))

case("smtp", "a line too long", ["S: 220 " + "A" * 5000, "C: EHLO [127.0.0.1]", "S: 250 mail.test", "C: QUIT", "S: 221 bye"],
     ["220 " + "A" * 193 + "...", "warning: a line of more than 4096 bytes, of which the rest is left out",
      "TLS not available."], banner="220 " + "A" * 4092, starttls=ABSENT,
     warnings=[("oversize", "a line of more than 4096 bytes, of which the rest is left out")])

# --- EHLO ------------------------------------------------------------------------------------------------------------

for keyword in ("starttls", "StartTLS", "STARTTLS foo"):
    case("smtp", f"{keyword} is STARTTLS", f"""
        S: 220 mail.test ESMTP
        C: EHLO [127.0.0.1]
        S: 250-mail.test
        S: 250-{keyword}
        S: 250 HELP
        C: STARTTLS
        S: 220 go ahead
        TLS
        C: QUIT
        S: 221 bye
        """, """
        220 mail.test ESMTP
        TLS available.
        """, banner="220 mail.test ESMTP", extensions=[keyword, "HELP"], starttls=WORKS)

for keyword in ("XSTARTTLS", "STARTTLSX", "AUTH STARTTLS", "START TLS"):
    case("smtp", f"{keyword} is not STARTTLS", f"""
        S: 220 mail.test ESMTP
        C: EHLO [127.0.0.1]
        S: 250-mail.test
        S: 250 {keyword}
        C: QUIT
        S: 221 bye
        """, """
        220 mail.test ESMTP
        TLS not available.
        """, banner="220 mail.test ESMTP", extensions=[keyword], starttls=ABSENT)

case("smtp", "an answer to EHLO in two pieces", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250-mail.test
    S: 250-SIZE
    PAUSE
    S: 250-STARTTLS
    S: 250 HELP
    C: STARTTLS
    S: 220 go ahead
    TLS
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS available.
    """, banner="220 mail.test ESMTP", extensions=["SIZE", "STARTTLS", "HELP"], starttls=WORKS)

case("smtp", "EHLO refused, HELO taken", """
    S: 220 mail.test SMTP
    C: EHLO [127.0.0.1]
    S: 500-what
    S: 500 was that?
    C: HELO [127.0.0.1]
    S: 250 mail.test
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test SMTP
    TLS not available.
    """, banner="220 mail.test SMTP", starttls=ABSENT)

case("smtp", "EHLO put off", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 450 later
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS not available: 450 later
    """, banner="220 mail.test ESMTP", starttls=ABSENT)

case("smtp", "421 to EHLO", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 421 shutting down
    """, """
    220 mail.test ESMTP
    TLS not available: 421 shutting down
    """, banner="220 mail.test ESMTP", starttls=ABSENT, warnings=[("refused-service", "421 shutting down")])

case("smtp", "no answer to EHLO", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    """, """
    220 mail.test ESMTP
    [read] no reply within 0.6 s
    """, options=["--reply-timeout", "0.6"], banner="220 mail.test ESMTP",
     error=("read", "timeout", "no reply within 0.6 s"))

case("smtp", "reset at EHLO", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    RESET
    """, """
    220 mail.test ESMTP
    [read] Connection reset by peer
    """, banner="220 mail.test ESMTP", error=("read", "reset", "Connection reset by peer"))

case("smtp", "an echo", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: EHLO [127.0.0.1]
    """, """
    220 mail.test ESMTP
    warning: not a reply: EHLO [127.0.0.1]
    """, banner="220 mail.test ESMTP", warnings=[("not-protocol", "not a reply: EHLO [127.0.0.1]")])

case("smtp", "HTTP in answer to EHLO", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: HTTP/1.1 400 Bad Request
    """, """
    220 mail.test ESMTP
    warning: not a reply: HTTP/1.1 400 Bad Request
    """, banner="220 mail.test ESMTP", warnings=[("not-protocol", "not a reply: HTTP/1.1 400 Bad Request")])

case("smtp", "STARTTLS in answer to HELO does not count", """
    S: 220 mail.test SMTP
    C: EHLO [127.0.0.1]
    S: 502 what?
    C: HELO [127.0.0.1]
    S: 250-mail.test
    S: 250 STARTTLS
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test SMTP
    TLS not available.
    """, banner="220 mail.test SMTP", starttls=ABSENT)

case("smtp", "HELO refused too", """
    S: 220 mail.test SMTP
    C: EHLO [127.0.0.1]
    S: 550 not you
    C: HELO [127.0.0.1]
    S: 550 still not you
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test SMTP
    TLS not available: 550 still not you
    """, banner="220 mail.test SMTP", starttls=ABSENT)

case("smtp", "an answer to EHLO without end", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S* 250-STARTTLS
    """, """
    220 mail.test ESMTP
    warning: a reply of more than 128 lines
    """, whole=True, banner="220 mail.test ESMTP", extensions=["STARTTLS"] * 127,
     warnings=[("oversize", "a reply of more than 128 lines")])

# --- STARTTLS --------------------------------------------------------------------------------------------------------

HELLO = """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250-mail.test
    S: 250 STARTTLS
    C: STARTTLS
    """
KNOWN = dict(banner="220 mail.test ESMTP", extensions=["STARTTLS"])

case("smtp", "STARTTLS refused", HELLO + """
    S: 454 TLS not available now
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS not available: 454 TLS not available now
    """, **KNOWN, starttls=REFUSED, starttls_reply="454 TLS not available now")

case("smtp", "STARTTLS refused in two lines", HELLO + """
    S: 554-no
    S: 554 really
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS not available: 554-no
    554 really
    """, **KNOWN, starttls=REFUSED, starttls_reply="554-no\n554 really")

case("smtp", "only 220 is yes", HELLO + """
    S: 250 ok?
    C: QUIT
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS not available: 250 ok?
    """, **KNOWN, starttls=REFUSED, starttls_reply="250 ok?")

case("smtp", "421 to STARTTLS", HELLO + """
    S: 421 that was one too many
    """, """
    220 mail.test ESMTP
    TLS not available: 421 that was one too many
    """, **KNOWN, starttls=REFUSED, starttls_reply="421 that was one too many")

case("smtp", "closed at STARTTLS", HELLO + """
    CLOSE
    """, """
    220 mail.test ESMTP
    [read] the server closed the connection
    """, **KNOWN, starttls=REFUSED, error=("read", "closed-early", "the server closed the connection"))

case("smtp", "a yes in many lines", HELLO + """
    S: 220-yes
    S: 220 go ahead
    TLS
    C: QUIT
    S: 221-good
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS available.
    """, **KNOWN, starttls=WORKS)

case("smtp", "plain text behind the yes", HELLO + """
    S: 220 go ahead
    S: 250-injected
    """, """
    220 mail.test ESMTP
    warning: plain text where TLS should start: 250-injected\\x0d\\x0a
    TLS accepted, but plain text follows the reply.
    """, whole=True, **KNOWN, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "plaintext-at-starttls",
                     "message": "plain text where TLS should start: 250-injected\r\n"},
     warnings=[("plaintext-at-starttls", "plain text where TLS should start: 250-injected\r\n")])

case("smtp", "plain text in place of the handshake", HELLO + """
    S: 220 go ahead
    HELLO
    S: 250 what?
    """, """
    220 mail.test ESMTP
    TLS accepted, but it does not work: [tls] the server answered in plain text: 250 what?
    """, **KNOWN, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "not-tls", "message": "the server answered in plain text: 250 what?"})

case("smtp", "garbage in place of the handshake", HELLO + r"""
    S: 220 go ahead
    HELLO
    S> \x16\x03\x01\x00\x04\x02\x00\x00\x00\x16\x03\x01\x00\x04\x02\x00\x00\x00
    """, """
    220 mail.test ESMTP
    TLS accepted, but it does not work: [tls] length mismatch
    """, visits=2, **KNOWN, starttls=BROKEN, starttls_error={"phase": "tls", "code": "tls-failed", "message": "length mismatch"})

case("smtp", "an alert in place of the handshake", HELLO + r"""
    S: 220 go ahead
    HELLO
    S> \x15\x03\x01\x00\x02\x02\x28
    """, """
    220 mail.test ESMTP
    TLS accepted, but it does not work: [tls] the server sent alert 40, handshake failure: no parameters in common
    """, visits=2, **KNOWN, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "tls-alert",
                     "message": "the server sent alert 40, handshake failure: no parameters in common"})

case("smtp", "closed in place of the handshake", HELLO + """
    S: 220 go ahead
    HELLO
    CLOSE
    """, """
    220 mail.test ESMTP
    TLS accepted, but it does not work: [tls] the server closed the connection during the handshake, before the server's hello
    """, visits=2, **KNOWN, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "closed-early",
                     "message": "the server closed the connection during the handshake, before the server's hello"})

case("smtp", "closed behind the yes", HELLO + """
    S: 220 go ahead
    CLOSE
    """, """
    220 mail.test ESMTP
    TLS accepted, but it does not work: [tls] the server closed the connection during the handshake, before the server's hello
    """, visits=2, **KNOWN, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "closed-early",
                     "message": "the server closed the connection during the handshake, before the server's hello"})

case("smtp", "reset in place of the handshake", HELLO + """
    S: 220 go ahead
    HELLO
    RESET
    """, """
    220 mail.test ESMTP
    TLS accepted, but it does not work: [tls] Connection reset by peer
    """, visits=2, **KNOWN, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "reset", "message": "Connection reset by peer"})

case("smtp", "silence in place of the handshake", HELLO + """
    S: 220 go ahead
    HELLO
    """, """
    220 mail.test ESMTP
    TLS accepted, but it does not work: [tls] no TLS handshake within 0.6 s (before the server's hello)
    """, options=["--reply-timeout", "0.6"], **KNOWN, starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "timeout",
                     "message": "no TLS handshake within 0.6 s (before the server's hello)"})

# --- good-byes -------------------------------------------------------------------------------------------------------

case("smtp", "the answer to QUIT is waited for", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250 mail.test
    C: QUIT
    PAUSE
    S: 221-good
    PAUSE
    S: 221 bye
    """, """
    220 mail.test ESMTP
    TLS not available.
    """, banner="220 mail.test ESMTP", starttls=ABSENT)

case("smtp", "no answer to QUIT", HELLO + """
    S: 220 go ahead
    TLS
    C: QUIT
    """, """
    220 mail.test ESMTP
    TLS available.
    """, **KNOWN, starttls=WORKS)

case("smtp", "nonsense in answer to QUIT", HELLO + """
    S: 220 go ahead
    TLS
    C: QUIT
    S: I beg your pardon?
    CLOSE
    """, """
    220 mail.test ESMTP
    TLS available.
    """, **KNOWN, starttls=WORKS)

case("smtp", "gone before QUIT is said", """
    S: 220 mail.test ESMTP
    C: EHLO [127.0.0.1]
    S: 250 mail.test
    CLOSE
    """, """
    220 mail.test ESMTP
    TLS not available.
    """, banner="220 mail.test ESMTP", starttls=ABSENT)

run()
