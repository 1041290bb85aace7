"""MIT's krb5kdc over TCP."""
import socket
import struct

from lab import Server, connects, output_of

REALM = "SCAN.TEST"


class Kerberos(Server):
    name, address = "kerberos", "127.78.0.12"

    def start(self):
        environment = {"KRB5_CONFIG": self.write("krb5.conf", f"""\
[libdefaults]
  default_realm = {REALM}
  dns_lookup_kdc = false
  udp_preference_limit = 1
[realms]
  {REALM} = {{
    kdc = {self.address}
  }}
[logging]
  kdc = FILE:{self.log}
"""), "KRB5_KDC_PROFILE": self.write("kdc.conf", f"""\
[kdcdefaults]
  kdc_listen = {self.address}:88
  kdc_tcp_listen = {self.address}:88
[realms]
  {REALM} = {{
    database_name = {self.folder}/principal
    key_stash_file = {self.folder}/stash
  }}
""")}
        environment = {name: str(path) for name, path in environment.items()}
        output_of("kdb5_util", "-r", REALM, "-P", "not a secret", "create", "-s", environment=environment)
        self.run("/usr/sbin/krb5kdc", "-n", environment=environment)

    def expect(self):
        return {"kerberos": connects()}

    def selftest(self, tap):
        request = as_request("nobody")
        with socket.create_connection((self.address, 88), 5) as client:
            client.sendall(struct.pack(">I", len(request)) + request)
            answer = client.recv(1024)
        tap.point(answer[4:5] == KRB_ERROR and REALM.encode() in answer,
                  "kerberos: an unknown user is told so over TCP, in the name of the realm", [repr(answer)])


KRB_ERROR = b"\x7e"


def as_request(user):
    """The first message of a log-in (RFC 4120, 5.4.1), in DER."""
    def part(tag, *contents):
        content = b"".join(contents)
        return bytes([tag, len(content)] if len(content) < 128 else [tag, 0x81, len(content)]) + content

    def name(kind, *words):
        words = [part(0x1b, word.encode()) for word in words]
        return part(0x30, part(0xa0, part(0x02, bytes([kind]))), part(0xa1, part(0x30, *words)))

    body = part(0x30,
                part(0xa0, part(0x03, bytes(5))),                       # no options
                part(0xa1, name(1, user)),
                part(0xa2, part(0x1b, REALM.encode())),
                part(0xa3, name(2, "krbtgt", REALM)),
                part(0xa5, part(0x18, b"20370101000000Z")),             # until
                part(0xa7, part(0x02, b"\x2a")),                        # nonce
                part(0xa8, part(0x30, part(0x02, b"\x12"))))            # aes256-cts
    return part(0x6a, part(0x30,
                           part(0xa1, part(0x02, b"\x05")),             # version 5
                           part(0xa2, part(0x02, b"\x0a")),             # AS-REQ
                           part(0xa4, body)))


SERVERS = [Kerberos]
