"""What a server is, in scan's words: the one place that knows how scan words it.

A server's file says what each of its services shows: an `Open`, mostly made by `greeting`, `web` or
`connects`. Here this becomes the lines of the text report and the fields of the JSON record, and is compared
with what was seen. Wherever a text is expected, a compiled regular expression may stand for it, and must then
match all of it.
"""
import difflib
import re
from dataclasses import dataclass, field, replace

from .certificate import days_left

PORTS = {  # scan's default services, in the order of the report
    "telnet": 23, "ssh": 22, "smtp": 25, "submission": 587, "smtps": 465, "pop2": 109, "pop3": 110,
    "imap": 143, "imaps": 993, "pop3s": 995, "ftp": 21, "http": 80, "https": 443, "ipp": 631,
    "kerberos": 88, "ldap": 389, "ldaps": 636,
}
OPTIONAL = {  # those that are asked for by name, on the hosts that have them
    "rootdse": 389, "rootdses": 636, "mysql": 3306, "postgres": 5432, "redis": 6379, "rediss": 6380, "vnc": 5900,
}
CLOSED = {"phase": "connect", "message": "Connection refused"}
DATA = ("banner", "starttls", "status", "reason", "server")  # the fields of "data" that are compared
ERROR = ("phase", "message")                                 # and of "error"


@dataclass
class Open:
    """An open service."""
    lines: list                               # what follows "port N (name) open." in the text
    data: dict = field(default_factory=dict)  # "data" of the JSON record; a banner is the list of its lines
    tls: dict = None                          # "tls", or None where there must be none
    error: dict = None                        # "error": phase and message, or None where there must be none
    warnings: dict = field(default_factory=dict)  # code: text


@dataclass
class StartTLS:
    """How a service answers the wish for TLS: the line of the text, and the facts of the record."""
    line: object
    facts: dict


# SMTP and IMAP say beforehand whether they have STARTTLS; POP3 and FTP are simply asked.
OFFERED = StartTLS("TLS available.", {"advertised": True, "accepted": True, "handshake": True})
NOT_OFFERED = StartTLS("TLS not available.", {"advertised": False, "accepted": False, "handshake": False})
ACCEPTED = StartTLS("TLS available.", {"accepted": True, "handshake": True})


def refused(reply):
    """Asked, and answered no, in the server's own words."""
    return StartTLS(f"TLS not available: {reply}", {"accepted": False, "handshake": False})


def extra(expected):
    """The services of a host that are scanned beyond the default ones."""
    return [service for service in expected if service in OPTIONAL]


def ports_of(expected):
    """The services that are scanned on a host, in the order of the report."""
    return PORTS | {service: OPTIONAL[service] for service in extra(expected)}


def told(*lines, starttls=None, tls=None, warnings=None, **data):
    """A service that says what it is in its own way: lines of the text, facts of the record."""
    shown = [*lines, *(f"warning: {text}" for text in (warnings or {}).values())]
    if isinstance(starttls, StartTLS):  # else the line is among the others
        starttls, line = starttls.facts, starttls.line
        shown.append(line)
    return Open(shown, data | ({"starttls": starttls} if starttls else {}), tls, warnings=warnings or {})


def connects(tls=None):
    """The connect test, with the handshake where TLS comes first."""
    return Open([], tls=tls)


def greeting(*lines, starttls=None, tls=None):
    """A service that greets, and may be asked for TLS."""
    data, shown = {"banner": list(lines)}, list(lines)
    if len(lines) > 1 and matches(re.compile(r"\d{3} ?"), lines[-1]):
        shown.pop()  # the end of a multi-line greeting, without any text of its own
    if starttls:
        data["starttls"] = starttls.facts
        shown.append(starttls.line)
    return Open(shown, data, tls)


def web(server, status=200, reason="OK", tls=None):
    """HTTP's answer to HEAD /."""
    shown = [f"Server: {server}"] + ([f"{status} {reason}"] if status >= 400 else [])
    return Open(shown, {"status": status, "reason": reason, "server": server}, tls)


def weak(service, reason):
    """The same service where TLS works, but not with strict settings."""
    text = f"TLS works only with legacy settings; with sound ones: {reason}"
    return replace(service, lines=[*service.lines, f"warning: {text}"], warnings={"tls-weak": text})


def failed(phase, message, tls=None):
    """An open port that gave nothing but an error."""
    return Open([f"[{phase}] {message}"], {}, tls, {"phase": phase, "message": message})


def block(target, expected):
    """The lines of the text report on one host."""
    lines = [f"Testing {target}:"]
    for service, port in ports_of(expected).items():
        if service in expected:
            lines += [f"port {port} ({service}) open.", *expected[service].lines]
        else:
            lines += [f"port {port} ({service}) not open: [{CLOSED['phase']}] {CLOSED['message']}"]
    return lines


def block_differences(expected, text):
    """Where the whole text report is not the lines expected."""
    seen = text.split("\n")
    if seen.pop() != "":
        return ["the report does not end in a newline"]
    if len(seen) == len(expected) and all(map(matches, expected, seen)):
        return []
    wanted = [fitting(want, seen) for want in expected]
    return list(difflib.unified_diff(wanted, seen, "expected", "seen", n=1, lineterm=""))


def fitting(want, lines):
    """An expected line for a comparison by eye: for a regular expression, the line that it may mean."""
    if isinstance(want, str):
        return want
    return next((line for line in lines if matches(want, line)), shown(want))


def record_differences(service, address, expected, record):
    """Where the JSON record of a service is not as it should be; a closed one is expected as None."""
    if record is None:
        return ["no record"]
    head = {"schema": 1, "host": address, "address": address, "port": (PORTS | OPTIONAL)[service], "service": service,
            "state": "open" if expected else "closed"}
    want = expected or Open([], error=CLOSED)
    found = differences(head, record)
    if not isinstance(record.get("ms"), (int, float)) or record["ms"] < 0:
        found.append(f"ms: {record.get('ms')!r} is no time")
    warnings = {warning["code"]: warning["text"] for warning in record.get("warnings", ())}
    if warnings != want.warnings:
        found.append(f"warnings: expected {want.warnings!r}, seen {warnings!r}")
    if want.tls and record.get("tls") and record["tls"].get("verified") is not False:
        found.append("tls.verified: a self-signed certificate must not be taken for verified")
    return found + seen_differences(want, record)


def seen_differences(expected, record):
    """The same for what the server showed: data, TLS facts, an error."""
    data = dict(record.get("data") or {})
    if isinstance(data.get("banner"), str):
        data["banner"] = data["banner"].split("\n")
    return [*part_differences("data", expected.data, {"data": data}, {*DATA, *expected.data}),
            *part_differences("tls", expected.tls, record, expected.tls or ()),
            *days_differences(record.get("tls") or {}),
            *part_differences("error", expected.error, record, ERROR)]


def part_differences(name, expected, record, fields):
    """Compare one object of the record; what is not expected in it must be absent or null."""
    seen = record.get(name) or {}
    if expected is None:
        return [f"{name}: {seen!r}, none expected"] if seen else []
    return [f"{name}.{line}" for line in differences({key: expected.get(key) for key in fields}, seen)]


def days_differences(tls):
    if "days_left" not in tls or abs(tls["days_left"] - days_left(tls["not_after"])) <= 1:
        return []
    return [f"tls.days_left: {tls['days_left']!r} does not fit not_after {tls['not_after']!r}"]


def differences(expected, seen):
    return [f"{key}: expected {shown(want)}, seen {shown(seen.get(key))}"
            for key, want in expected.items() if not matches(want, seen.get(key))]


def matches(expected, seen):
    """Equal; a regular expression equals what it matches as a whole, a list is compared one by one."""
    if isinstance(expected, re.Pattern):
        return isinstance(seen, str) and expected.fullmatch(seen) is not None
    if isinstance(expected, list) and isinstance(seen, list):
        return len(expected) == len(seen) and all(map(matches, expected, seen))
    return expected == seen


def shown(value):
    if isinstance(value, re.Pattern):
        return f"/{value.pattern}/"
    return repr(value)
