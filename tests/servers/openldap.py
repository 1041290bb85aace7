"""OpenLDAP's slapd: ldap and ldaps.

Debian builds it with GnuTLS, so this is another TLS than that of most here.
"""
import socket
import ssl

from lab import Server, connects

CONFIG = """\
pidfile {folder}/pid
TLSCertificateFile {folder}/tls.crt
TLSCertificateKeyFile {folder}/tls.key
database config
"""
BIND = bytes.fromhex("300c020101600702010304008000")     # anonymous, version 3
BOUND = bytes.fromhex("300c02010161070a010004000400")    # success


class OpenLDAP(Server):
    name, address = "openldap", "127.78.0.13"
    names = ("ldap.scan.test",)

    def start(self):
        self.log = self.folder / "output"
        config = self.write("slapd.conf", CONFIG.format(folder=self.folder))
        self.run("/usr/sbin/slapd", "-f", config, "-d", "stats",
                 "-h", f"ldap://{self.address} ldaps://{self.address}")

    def expect(self):
        return {"ldap": connects(), "ldaps": connects(self.tls)}

    def selftest(self, tap):
        trusting = ssl.create_default_context(cafile=self.certificate.crt)
        with socket.create_connection((self.address, 389), 5) as plain:
            plain.sendall(BIND)
            tap.point(plain.recv(100) == BOUND, "openldap: ldap lets one bind")
        raw = socket.create_connection((self.address, 636), 5)
        with trusting.wrap_socket(raw, server_hostname=self.names[0]) as secure:
            secure.sendall(BIND)
            tap.point(secure.recv(100) == BOUND, "openldap: ldaps lets one bind")

    def proof(self, tap, visits):
        self.shows(tap, "saw each visit to ldap", r"ACCEPT from IP=127\.0\.0\.1:\d+ \(IP=\S+:389\)", visits)
        self.shows(tap, "saw each visit to ldaps", r"ACCEPT from IP=127\.0\.0\.1:\d+ \(IP=\S+:636\)", visits)
        self.shows(tap, "each visit to ldaps made its handshake", "TLS established", visits)


SERVERS = [OpenLDAP]
