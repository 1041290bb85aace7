#!/usr/bin/python3 -B
"""POP3 and POP2: greetings, STLS and what can become of it."""
from fake import case, run

WORKS = {"accepted": True, "handshake": True}
BROKEN = {"accepted": True, "handshake": False}
REFUSED = {"accepted": False, "handshake": False}

case("pop3", "STLS", """
    S: +OK ready
    C: STLS
    S: +OK begin
    TLS
    C: QUIT
    S: +OK bye
    """, """
    +OK ready
    TLS available.
    """, banner="+OK ready", starttls=WORKS)

case("pop3", "whatever starts with + is yes", """
    S: +OK ready
    C: STLS
    S: + why not
    TLS
    C: QUIT
    S: +OK bye
    CLOSE
    """, """
    +OK ready
    TLS available.
    """, banner="+OK ready", starttls=WORKS)

case("pop3", "SNI for a name", """
    S: +OK ready
    C: STLS
    S: +OK begin
    TLS
    C: QUIT
    S: +OK bye
    """, """
    +OK ready
    TLS available.
    """, host="localhost", options=["-4"], sni="localhost", banner="+OK ready", starttls=WORKS)

case("pop3", "STLS refused", """
    S: +OK ready
    C: STLS
    S: -ERR Unknown command.
    C: QUIT
    S: +OK bye
    """, """
    +OK ready
    TLS not available: -ERR Unknown command.
    """, banner="+OK ready", starttls=REFUSED, starttls_reply="-ERR Unknown command.")

case("pop3", "nonsense in answer to STLS is no", """
    S: +OK ready
    C: STLS
    S: STLS
    C: QUIT
    S: QUIT
    """, """
    +OK ready
    TLS not available: STLS
    """, banner="+OK ready", starttls=REFUSED, starttls_reply="STLS")

case("pop3", "pieces", r"""
    S> +O
    PAUSE
    S> K ready\r
    PAUSE
    S> \n
    C: STLS
    S> +
    PAUSE
    S> OK\r\n
    TLS
    C: QUIT
    S: +OK bye
    """, """
    +OK ready
    TLS available.
    """, banner="+OK ready", starttls=WORKS)

case("pop3", "plain text behind the yes", """
    S: +OK ready
    C: STLS
    S: +OK begin
    S: +OK injected
    """, r"""
    +OK ready
    warning: plain text where TLS should start: +OK injected\x0d\x0a
    TLS accepted, but plain text follows the reply.
    """, whole=True, banner="+OK ready", starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "plaintext-at-starttls",
                     "message": "plain text where TLS should start: +OK injected\r\n"},
     warnings=[("plaintext-at-starttls", "plain text where TLS should start: +OK injected\r\n")])

case("pop3", "closed in place of the handshake", """
    S: +OK ready
    C: STLS
    S: +OK begin
    HELLO
    CLOSE
    """, """
    +OK ready
    TLS accepted, but it does not work: [tls] the server closed the connection during the handshake, before the server's hello
    """, visits=2, banner="+OK ready", starttls=BROKEN,
     starttls_error={"phase": "tls", "code": "closed-early",
                     "message": "the server closed the connection during the handshake, before the server's hello"})

case("pop3", "no answer to STLS", """
    S: +OK ready
    C: STLS
    """, """
    +OK ready
    [read] no reply within 0.6 s
    """, options=["--reply-timeout", "0.6"], banner="+OK ready", error=("read", "timeout", "no reply within 0.6 s"))

case("pop3", "-ERR in place of a greeting", """
    S: -ERR too many connections
    """, """
    -ERR too many connections
    """, banner="-ERR too many connections", warnings=[("refused-service", "-ERR too many connections")])

case("pop3", "no greeting", """
    """, """
    [read] no greeting within 0.2 s
    """, options=["--reply-timeout", "0.2"], error=("read", "timeout", "no greeting within 0.2 s"),
     warnings=[("silent", "no greeting within 0.2 s")])

case("pop3", "a greeting without its end", """
    S> +OK rea
    """, """
    +OK rea
    [read] the line did not end within 0.6 s: +OK rea
    """, options=["--reply-timeout", "0.6"], banner="+OK rea",
     error=("read", "too-slow", "the line did not end within 0.6 s: +OK rea"))

case("pop3", "closed behind a greeting without its end", """
    S> -ERR gone
    CLOSE
    """, """
    -ERR gone
    """, banner="-ERR gone", warnings=[("refused-service", "-ERR gone")])

case("pop3", "nonsense in place of a greeting", """
    S: hello
    """, """
    hello
    warning: not a POP3 greeting: hello
    """, banner="hello", warnings=[("not-protocol", "not a POP3 greeting: hello")])

case("pop3", "SMTP", """
    S: 220 mail.test ESMTP
    """, """
    220 mail.test ESMTP
    warning: this is smtp, not pop3
    """, banner="220 mail.test ESMTP", warnings=[("wrong-protocol", "this is smtp, not pop3")])

case("pop3s", "TLS from the first byte", """
    TLS
    S: +OK ready
    C: QUIT
    S: +OK bye
    """, """
    +OK ready
    """, banner="+OK ready")

case("pop2", "a greeting", """
    S: + POP2 mail.test server
    C: QUIT
    S: + bye
    """, """
    + POP2 mail.test server
    """, banner="+ POP2 mail.test server")

case("pop2", "a refusal", """
    S: - no
    """, """
    - no
    """, banner="- no", warnings=[("refused-service", "- no")])

case("pop2", "POP3", """
    S: +OK ready
    C: QUIT
    S: +OK bye
    """, """
    +OK ready
    warning: this is pop3, not pop2
    """, banner="+OK ready", warnings=[("wrong-protocol", "this is pop3, not pop2")])

run()
