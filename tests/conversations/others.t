#!/usr/bin/python3 -B
"""The connect tests, and ports that no probe declares."""
from fake import case, run

for service in ("telnet", "kerberos", "ldap"):
    case(service, "a port that is open", "", "")

case("ldaps", "TLS from the first byte", """
    TLS
    """, "")

case("ldaps", "SNI for a name", """
    TLS
    """, "", host="localhost", options=["-4"], sni="localhost")

case("ldaps", "closed in place of the handshake", """
    HELLO
    CLOSE
    """, """
    [tls] the server closed the connection during the handshake, before the server's hello
    """, visits=2, error=("tls", "closed-early",
                "the server closed the connection during the handshake, before the server's hello"))

case("ldaps", "silence in place of the handshake", """
    HELLO
    """, """
    [tls] no TLS handshake within 0.6 s (before the server's hello)
    """, options=["--reply-timeout", "0.6"],
     error=("tls", "timeout", "no TLS handshake within 0.6 s (before the server's hello)"))

for line, kind in {
        "SSH-2.0-OpenSSH_9.9": "ssh", "220 mail.test ESMTP Postfix": "smtp", "220 (vsFTPd 3.0.3)": "ftp",
        "220-FileZilla Server 1.8.1": "ftp", "421 mail.test ESMTP too many": "smtp", "* OK ready": "imap",
        "* BYE go away": "imap", "+OK ready": "pop3", "+ POP2 server": "pop2", "HTTP/1.1 408 Request Timeout": "http"}.items():
    case("unknown", f"{line} is {kind}", f"S: {line}", [line, f"looks like {kind}"], banner=line, looks_like=kind)

case("unknown", "a greeting like no other", """
    S: What would you like?
    """, """
    What would you like?
    """, banner="What would you like?")

case("unknown", "a greeting of no probe here, but known by its looks", """
    S: RFB 003.008
    """, """
    RFB 003.008
    looks like vnc
    """, banner="RFB 003.008", looks_like="vnc")

case("unknown", "220 is not enough to tell", """
    S: 220 welcome
    """, """
    220 welcome
    """, banner="220 welcome")

case("unknown", "a prompt without an end", r"""
    S> \xff\xfd\x18login:\x20
    """, [r"\xff\xfd\x18login: ", "looks like telnet"], options=["--reply-timeout", "0.6"], banner="\ufffd\ufffd\x18login: ",
     banner_base64="//0YbG9naW46IA==", looks_like="telnet")

case("unknown", "silence is no error", "", "", options=["--reply-timeout", "0.2"],
     warnings=[("silent", "no greeting within 0.2 s")])

case("unknown", "neither is a server that leaves", """
    CLOSE
    """, "")

case("unknown", "nor one that leaves in the middle of a line", """
    S> hello
    CLOSE
    """, """
    hello
    """, banner="hello")

case("unknown", "a reset is one", """
    RESET
    """, """
    [read] Connection reset by peer
    """, error=("read", "reset", "Connection reset by peer"))

run()
