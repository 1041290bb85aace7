#!/usr/bin/python3 -B
"""SSH: the identification line, what may come before it, what may come instead."""
from fake import case, run

case("ssh", "an identification", """
    S: SSH-2.0-OpenSSH_9.9
    """, """
    SSH-2.0-OpenSSH_9.9
    """, banner="SSH-2.0-OpenSSH_9.9")

case("ssh", "with the key exchange right behind it", r"""
    S> SSH-2.0-dropbear\r\n\x00\x00\x01\x0c\x04\x14\x00SSH-2.0-x\r\n
    """, """
    SSH-2.0-dropbear
    """, banner="SSH-2.0-dropbear")

case("ssh", "an old one that ends in LF alone", r"""
    S> SSH-1.99-Cisco-1.25\n
    """, """
    SSH-1.99-Cisco-1.25
    """, banner="SSH-1.99-Cisco-1.25")

case("ssh", "lines before it, and in pieces", r"""
    S: Welcome.
    S: \x20
    S> SS
    PAUSE
    S> H-2.0-x\r
    PAUSE
    S> \n
    """, """
    SSH-2.0-x
    """, before=["Welcome.", " "], banner="SSH-2.0-x")

case("ssh", "too long", "S: SSH-2.0-" + "A" * 5000, ["SSH-2.0-" + "A" * 189 + "...",
                                                     "warning: an identification of more than 255 bytes"],
     banner="SSH-2.0-" + "A" * 247, warnings=[("oversize", "an identification of more than 255 bytes")])

case("ssh", "no end of the line", """
    S> SSH-2.0-x
    """, """
    SSH-2.0-x
    [read] the line did not end within 0.6 s: SSH-2.0-x
    """, options=["--reply-timeout", "0.6"], banner="SSH-2.0-x",
     error=("read", "too-slow", "the line did not end within 0.6 s: SSH-2.0-x"))

case("ssh", "refused in words", """
    S: Exceeded MaxStartups
    CLOSE
    """, """
    Exceeded MaxStartups
    [read] the server closed the connection
    """, banner="Exceeded MaxStartups", error=("read", "closed-early", "the server closed the connection"))

case("ssh", "closed without a word", """
    CLOSE
    """, """
    [read] the server closed the connection without a word
    """, error=("read", "closed-early", "the server closed the connection without a word"))

case("ssh", "reset without a word", """
    RESET
    """, """
    [read] Connection reset by peer
    """, error=("read", "reset", "Connection reset by peer"))

case("ssh", "SMTP", """
    S: 220 mail.test ESMTP
    """, """
    220 mail.test ESMTP
    warning: this is smtp, not ssh
    """, banner="220 mail.test ESMTP", warnings=[("wrong-protocol", "this is smtp, not ssh")])

case("ssh", "one line after another, and never SSH", """
    S* 3f9a
    """, """
    3f9a
    warning: 50 lines, and no SSH identification
    """, whole=True, banner="3f9a", warnings=[("not-protocol", "50 lines, and no SSH identification")])

case("ssh", "a line and then nothing", """
    S: hello
    """, """
    hello
    [read] no reply within 0.6 s
    """, options=["--reply-timeout", "0.6"], banner="hello", error=("read", "timeout", "no reply within 0.6 s"))

run()
