#!/usr/bin/python3 -B
"""HTTP, https and IPP: what is asked, and answers of every kind."""
from fake import case, run

ASK = """
    C: HEAD / HTTP/1.1
    C: Host: 127.0.0.1:{port}
    C: User-Agent: scan
    C: Accept: */*
    C: Connection: close
    C:
    """

case("http", "a server with a name", ASK + """
    S: HTTP/1.1 200 OK
    S: Date: today
    S: Server: Apache/2.4.66 (Fedora Linux) OpenSSL/3.2.6
    S: Connection: close
    S:
    CLOSE
    """, """
    Server: Apache/2.4.66 (Fedora Linux) OpenSSL/3.2.6
    """, status=200, reason="OK", server="Apache/2.4.66 (Fedora Linux) OpenSSL/3.2.6")

case("http", "404", ASK + """
    S: HTTP/1.1 404 Not Found
    S: SERVER:nginx
    S:
    """, """
    Server: nginx
    404 Not Found
    """, status=404, reason="Not Found", server="nginx")

case("http", "no name", ASK + """
    S: HTTP/1.0 302 Found
    S: Location: file:///etc/passwd
    S:
    """, """
    HTTP/1.0 302 Found
    """, status=302, reason="Found")

case("http", "an empty name", ASK + r"""
    S: HTTP/1.0 200 OK
    S> Server: \x20\r\n
    S:
    """, """
    HTTP/1.0 200 OK
    """, status=200, reason="OK")

case("http", "503 without a name", ASK + """
    S: HTTP/1.1 503 Service Unavailable
    S:
    """, """
    503 Service Unavailable
    """, status=503, reason="Service Unavailable")

case("http", "no reason", ASK + """
    S: HTTP/2 404
    S:
    """, """
    404
    """, status=404, reason="")

case("http", "pieces, and LF alone", ASK + r"""
    S> HTTP/1.1 200 O
    PAUSE
    S> K\nServer: x
    PAUSE
    S> y\n
    PAUSE
    S> \n
    """, """
    Server: xy
    """, status=200, reason="OK", server="xy")

case("http", "a body although it was HEAD", ASK + """
    S: HTTP/1.1 200 OK
    S: Server: x
    S:
    S* <html>
    """, """
    Server: x
    """, whole=True, status=200, reason="OK", server="x")

case("http", "interim answers", ASK + """
    S: HTTP/1.1 103 Early Hints
    S: Server: early
    S:
    PAUSE
    S: HTTP/1.1 100 Continue
    S:
    S: HTTP/1.1 200 OK
    S: Server: late
    S:
    """, """
    Server: late
    """, status=200, reason="OK", server="late")

case("http", "interim answers without end", ASK + r"""
    S* HTTP/1.1 100 Continue\r\n
    """, """
    warning: more than 8 interim answers
    HTTP/1.1 100 Continue
    """, whole=True, status=100, reason="Continue", warnings=[("oversize", "more than 8 interim answers")])

case("http", "a header without end", ASK + """
    S: HTTP/1.1 200 OK
    S: Server: x
    S* X-Y: z
    """, """
    warning: a header of more than 128 lines
    Server: x
    """, whole=True, status=200, reason="OK", server="x", warnings=[("oversize", "a header of more than 128 lines")])

case("http", "odd fields", ASK + r"""
    S: HTTP/1.1 200 OK
    S: no colon
    S: : no name
    S: X-Folded: one
    S>  Server: folded\r\n
    S: Content-Length: -1
    S> Server:\tfirst \t\r\n
    S: Server: second
    S:
    """, """
    Server: first
    """, status=200, reason="OK", server="first")

case("http", "terminal escapes", ASK + r"""
    S: HTTP/1.1 404 \x1b[31mNot Found
    S: Server: \x1b]0;owned\x07
    S:
    """, r"""
    Server: \x1b]0;owned\x07
    404 \x1b[31mNot Found
    """, status=404, reason="\x1b[31mNot Found", server="\x1b]0;owned\x07")

case("http", "closed in the middle of the header", ASK + """
    S: HTTP/1.1 400 Bad Request
    S: Server: x
    CLOSE
    """, """
    Server: x
    400 Bad Request
    [read] the server closed the connection
    """, status=400, reason="Bad Request", server="x", error=("read", "closed-early", "the server closed the connection"))

case("http", "HTTP/0.9", ASK + """
    S: <html><h1>hello</h1></html>
    CLOSE
    """, """
    <html><h1>hello</h1></html>
    warning: not HTTP: <html><h1>hello</h1></html>
    """, banner="<html><h1>hello</h1></html>", warnings=[("not-protocol", "not HTTP: <html><h1>hello</h1></html>")])

for line in ("ICY 200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1", "HTTP 200 OK"):
    case("http", f"not HTTP: {line}", ASK + f"""
        S: {line}
        S:
        """, [line, f"warning: not HTTP: {line}"], banner=line, warnings=[("not-protocol", f"not HTTP: {line}")])

case("http", "SSH", ASK + """
    S: SSH-2.0-x
    """, """
    SSH-2.0-x
    warning: this is ssh, not http
    """, banner="SSH-2.0-x", warnings=[("wrong-protocol", "this is ssh, not http")])

case("http", "an answer that has no lines", ASK + r"""
    S> \x01\x02\x06\x04d
    """, r"""
    \x01\x02\x06\x04d
    [read] the line did not end within 0.6 s: \x01\x02\x06\x04d
    """, options=["--reply-timeout", "0.6"], banner="\x01\x02\x06\x04d",
     error=("read", "too-slow", "the line did not end within 0.6 s: \x01\x02\x06\x04d"))

case("http", "no answer", ASK, """
    [read] no reply within 0.6 s
    """, options=["--reply-timeout", "0.6"], error=("read", "timeout", "no reply within 0.6 s"),
     warnings=[("silent", "no reply within 0.6 s")])

case("http", "closed in answer", ASK + """
    CLOSE
    """, """
    [read] the server closed the connection without a word
    """, error=("read", "closed-early", "the server closed the connection without a word"))

case("http", "an IPv6 address", ASK.replace("127.0.0.1", "[::1]") + """
    S: HTTP/1.1 200 OK
    S: Server: x
    S:
    """, """
    Server: x
    """, host="::1", status=200, reason="OK", server="x")

case("https", "TLS from the first byte, and a name", "TLS" + ASK.replace("127.0.0.1", "localhost") + """
    S: HTTP/1.1 400 Bad Request
    S: Server: nginx
    S:
    """, """
    Server: nginx
    400 Bad Request
    """, host="localhost", options=["-4"], sni="localhost", status=400, reason="Bad Request", server="nginx")

case("https", "plain text where TLS should be", """
    HELLO
    S: HTTP/1.1 400 Bad Request
    CLOSE
    """, """
    [tls] the server answered in plain text: HTTP/1.1 400 Bad Request
    """, error=("tls", "not-tls", "the server answered in plain text: HTTP/1.1 400 Bad Request"))

case("ipp", "a printer", ASK + """
    S: HTTP/1.1 426 Upgrade Required
    S: Server: CUPS/2.4 IPP/2.1
    S:
    """, """
    Server: CUPS/2.4 IPP/2.1
    426 Upgrade Required
    """, status=426, reason="Upgrade Required", server="CUPS/2.4 IPP/2.1")

run()
