"""The protocols of bytes, for observer.py: just enough of each to see what scan is to see."""
import struct

LDAP_SEARCH = (b"0\x5f\2\1\1c\x5a\4\0\x0a\1\0\x0a\1\0\2\1\0\2\1\0\1\1\0\x87\x0bobjectClass"
               b"0\x3a\4\x0enamingContexts\4\x14supportedLDAPVersion\4\x12supportedExtension")
LDAP_STARTTLS = b"0\x1d\2\1\2w\x18\x80\x161.3.6.1.4.1.1466.20037"
LDAP_UNBIND = b"0\5\2\1\3B\0"
RESULTS = {2: "protocolError", 53: "unwillingToPerform"}
MYSQL_SSL = 0x800
VNC = {2: "VncAuth", 19: "VeNCrypt", 258: "TLSVnc", 261: "X509Vnc"}


def starttls(line, record, advertised=None, accepted=True):
    facts = {"accepted": accepted, "handshake": accepted}
    record["data"]["starttls"] = facts if advertised is None else facts | {"advertised": advertised}
    if accepted:
        record["tls"] = line.start_tls()


# --- LDAP ---

def elements(content):
    """The parts of a constructed element: tag, and the parts of it or its bytes."""
    found = []
    while content:
        tag, size, start = content[0], content[1], 2
        if size >= 0x80:
            start += size - 0x80
            size = int.from_bytes(content[2:start], "big")
        value, content = content[start:start + size], content[start + size:]
        found.append((tag, elements(value) if tag & 0x20 else value))
    return found


def ldap_message(line):
    head = line.take(2)
    if head[1] >= 0x80:
        head += line.take(head[1] - 0x80)
    size = head[1] if head[1] < 0x80 else int.from_bytes(head[2:], "big")
    return elements(line.take(size))[1]


def words(result):
    text = f"{RESULTS.get(result[0][1][0])} {result[0][1][0]}"
    return f"{text}: {result[2][1].decode()}" if result[2][1] else text


def see_rootdse(line, record):
    data = record["data"]
    line.send(LDAP_SEARCH)
    tag, parts = ldap_message(line)
    found = {}
    if tag == 0x64:
        found = {part[1][0][1].decode(): [value.decode() for _, value in part[1][1][1]] for part in parts[1][1]}
        tag, parts = ldap_message(line)
    elif parts[0][1] != b"\0":
        data["result"] = words(parts)
    for name, key in {"namingContexts": "naming_contexts", "supportedLDAPVersion": "versions"}.items():
        if name in found:
            data[key] = found[name]
    if "tls" not in record:
        ldap_starttls(line, record, found.get("supportedExtension"))
    line.send(LDAP_UNBIND)
    line.take_rest()


def ldap_starttls(line, record, extensions):
    advertised = None if extensions is None else "1.3.6.1.4.1.1466.20037" in extensions
    if advertised is False:
        starttls(line, record, False, False)
        return
    line.send(LDAP_STARTTLS)
    _, parts = ldap_message(line)
    starttls(line, record, advertised, parts[0][1] == b"\0")
    if parts[0][1] != b"\0":
        record["refusal"] = words(parts)


# --- databases ---

def see_mysql(line, record):
    packet = line.take(struct.unpack("<I", line.take(4))[0])  # its number, the fourth byte, is 0
    if packet[0] == 255:
        return
    version, rest = packet[1:].split(b"\0", 1)
    capabilities = struct.unpack_from("<H", rest, 13)[0]
    record["data"] |= {"version": version.decode().removeprefix("5.5.5-"),
                       "authentication": rest.rstrip(b"\0").rsplit(b"\0", 1)[1].decode()}
    if not capabilities & MYSQL_SSL:
        starttls(line, record, False, False)
        return
    line.send(b"\x20\0\0\1" + struct.pack("<IIB", 0x8a00, 0xffffff, 33) + bytes(23))
    starttls(line, record, True)


def postgres_message(line):
    kind, size = struct.unpack(">cI", line.take(5))
    return kind, line.take(size - 4)


def see_postgres(line, record):
    line.send(struct.pack(">II", 8, 80877103))
    starttls(line, record, accepted=line.take(1) == b"S")
    if not record["data"]["starttls"]["accepted"]:
        record["refusal"] = "N"
    login = struct.pack(">I", 3 << 16) + b"user\0scan\0database\0postgres\0\0"
    line.send(struct.pack(">I", len(login) + 4) + login)
    kind, body = postgres_message(line)
    if kind != b"R":
        return
    method = struct.unpack_from(">I", body)[0]
    record["data"]["authentication"] = {0: "none", 10: "sasl"}[method]
    if method == 10:
        record["data"]["mechanisms"] = body[4:].rstrip(b"\0").decode().split("\0")
    else:
        line.send(b"X\0\0\0\4")
        line.take_rest()


def see_redis(line, record):
    line.say("INFO server")
    answer = line.read()
    if answer.startswith("-NOAUTH"):
        record["data"]["authentication"] = True
    else:
        info = dict(part.split(":", 1) for part in line.take(int(answer[1:])).decode().split("\r\n") if ":" in part)
        record["data"] |= {"product": "Redis", "version": info["redis_version"], "mode": info["redis_mode"],
                           "authentication": False}
        line.read()
    line.say("QUIT")
    line.read()


# --- VNC ---

def see_vnc(line, record):
    banner = record["data"]["banner"] = line.read()
    line.send(banner.encode() + b"\n")
    if banner != "RFB 003.008":
        return
    kinds = line.take(line.take(1)[0])
    record["data"]["security"] = [VNC[kind] for kind in kinds]
    if 19 not in kinds:
        starttls(line, record, False, False)
        return
    line.send(b"\x13")
    line.take(2)
    line.send(b"\0\2")
    subtypes = struct.unpack(f">{line.take(2)[1]}I", line.take(12))
    record["data"]["subtypes"] = [VNC[kind] for kind in subtypes]
    line.send(struct.pack(">I", 261))
    line.take(1)
    starttls(line, record, True)


SPEAKS = {"rootdse": see_rootdse, "rootdses": see_rootdse, "mysql": see_mysql, "postgres": see_postgres,
          "redis": see_redis, "rediss": see_redis, "vnc": see_vnc}
