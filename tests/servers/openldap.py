"""OpenLDAP's slapd: ldap and ldaps, and what it says of itself; without TLS; and one that turns everybody away.

Debian builds it with GnuTLS, so this is another TLS than that of most here.
"""
import socket
import ssl

from lab import NOT_OFFERED, OFFERED, Server, connects, refused, told

CONFIG = """\
include /etc/ldap/schema/core.schema
pidfile {folder}/pid
database config
database ldif
suffix dc=scan,dc=test
directory {folder}/data
"""
TLS = """\
TLSCertificateFile {folder}/tls.crt
TLSCertificateKeyFile {folder}/tls.key
"""
BIND = bytes.fromhex("300c020101600702010304008000")     # anonymous, version 3
BOUND = bytes.fromhex("300c02010161070a010004000400")    # success
STARTTLS = "1.3.6.1.4.1.1466.20037"
CONTEXTS = ["dc=scan,dc=test"]


class Slapd(Server):
    settings, listens = "", ""

    def start(self):
        self.log = self.folder / "output"
        self.make_folder("data")
        config = self.write("slapd.conf", (self.settings + CONFIG).format(folder=self.folder))
        self.run("/usr/sbin/slapd", "-f", config, "-d", "stats", "-h", self.listens.format(address=self.address))

    def binds(self, tap, service, connection):
        connection.sendall(BIND)
        tap.point(connection.recv(100) == BOUND, f"{self.name}: {service} lets one bind")


class OpenLDAP(Slapd):
    """OpenLDAP with StartTLS and ldaps."""
    name, address = "openldap", "127.78.0.13"
    names = ("ldap.scan.test",)
    settings, listens = TLS, "ldap://{address} ldaps://{address}"

    def expect(self):
        found = {"naming_contexts": CONTEXTS, "versions": ["3"]}
        line = f"namingContexts: {CONTEXTS[0]}"
        return {"ldap": connects(), "ldaps": connects(self.tls),
                "rootdse": told(line, starttls=OFFERED, tls=self.tls, **found),
                "rootdses": told(line, tls=self.tls, **found)}

    def selftest(self, tap):
        trusting = ssl.create_default_context(cafile=self.certificate.crt)
        with socket.create_connection((self.address, 389), 5) as plain:
            self.binds(tap, "ldap", plain)
        raw = socket.create_connection((self.address, 636), 5)
        with trusting.wrap_socket(raw, server_hostname=self.names[0]) as secure:
            self.binds(tap, "ldaps", secure)

    def proof(self, tap, visits):
        for service, port in {"ldap": 389, "ldaps": 636}.items():
            self.shows(tap, f"saw each visit to {service}, of which one asks nothing",
                       rf"ACCEPT from IP=127\.0\.0\.1:\d+ \(IP=\S+:{port}\)", 2 * visits)
        self.shows(tap, "each visit to ldaps made its handshake, and one to ldap", "TLS established", 3 * visits)
        self.shows(tap, "one search a visit that asks", 'SRCH base="" scope=0', 2 * visits)
        self.shows(tap, "each visit that asks says good-bye", "UNBIND", 2 * visits)
        self.shows_no(tap, "nobody binds, no search fails", r"BIND dn|RESULT tag=\d+ err=[1-9]")


class WithoutTLS(Slapd):
    """OpenLDAP without TLS."""
    name, address = "openldap-plain", "127.78.0.28"
    listens = "ldap://{address}"

    def expect(self):
        return {"ldap": connects(),
                "rootdse": told(f"namingContexts: {CONTEXTS[0]}", starttls=NOT_OFFERED, naming_contexts=CONTEXTS)}

    def selftest(self, tap):
        with socket.create_connection((self.address, 389), 5) as plain:
            self.binds(tap, "ldap", plain)


class TurnsAway(Slapd):
    """OpenLDAP that answers nobody who has not logged in, and shows no root entry."""
    name, address = "openldap-closed", "127.78.0.29"
    settings, listens = "require authc\n", "ldap://{address}"

    def expect(self):
        words, no = "unwillingToPerform 53: authentication required", "protocolError 2: unsupported extended operation"
        return {"ldap": connects(), "rootdse": told(f"no root entry: {words}", starttls=refused(no), result=words)}

    def selftest(self, tap):
        with socket.create_connection((self.address, 389), 5) as plain:
            self.binds(tap, "ldap", plain)


SERVERS = [OpenLDAP, WithoutTLS, TurnsAway]
