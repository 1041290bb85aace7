"""PostgreSQL: with TLS and a password, without TLS and without a password, and one that turns everybody away."""
import os
import re
import socket
from pathlib import Path

from lab import ACCEPTED, Server, output_of, refused, told

CONFIG = """\
listen_addresses = '{address}'
port = 5432
unix_socket_directories = '{folder}'
external_pid_file = ''
dynamic_shared_memory_type = mmap
shared_buffers = 8MB
max_connections = 20
fsync = off
log_connections = on
log_disconnections = on
logging_collector = off
"""
TLS = """\
ssl = on
ssl_cert_file = '{folder}/tls.crt'
ssl_key_file = '{folder}/key'
"""
REQUEST = bytes.fromhex("0000000804d2162f")


def program(name):
    return sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))[-1]


class PostgreSQL(Server):
    settings = access = ""
    user = "postgres"

    def start(self):
        self.folder.chmod(0o777)
        data = self.make_folder("data", "postgres", 0o700)
        self.as_postgres(output_of, program("initdb"), "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8",
                         "--locale=C", "-U", self.user)
        if self.names:
            key = self.write("key", (self.folder / "tls.key").read_text(), 0o600)
            os.chown(key, data.stat().st_uid, data.stat().st_gid)
        settings = (CONFIG + self.settings).format(folder=self.folder, address=self.address)
        config = self.write("postgresql.conf", settings + f"hba_file = '{self.write('hba', self.access)}'\n")
        self.log = self.folder / "output"
        self.as_postgres(self.run, program("postgres"), "-D", data, "-c", f"config_file={config}")

    @staticmethod
    def as_postgres(run, *command):
        return run("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command)

    def answer(self):
        with socket.create_connection((self.address, 5432), 10) as raw:
            raw.sendall(REQUEST)
            return raw.recv(1)


class WithTLS(PostgreSQL):
    """PostgreSQL with TLS and passwords."""
    name, address = "postgresql", "127.78.0.33"
    names = ("sql.scan.test",)
    settings = TLS
    access = "local all all trust\nhost all all all scram-sha-256\n"

    def expect(self):
        return {"postgres": told("TLS available.", "authentication: sasl (SCRAM-SHA-256-PLUS, SCRAM-SHA-256)",
                                 tls=self.tls, authentication="sasl",
                                 mechanisms=["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], starttls={"accepted": True, "handshake": True})}

    def selftest(self, tap):
        tap.point(self.answer() == b"S", "postgresql: takes the wish for TLS")

    def proof(self, tap, visits):
        self.shows_no(tap, "nothing but connections", "ERROR|FATAL|PANIC")


class WithoutTLS(PostgreSQL):
    """PostgreSQL without TLS, which lets in whoever comes."""
    name, address = "postgresql-plain", "127.78.0.34"
    user = "scan"
    access = "host all all all trust\n"

    def expect(self):
        version = output_of(program("postgres"), "--version").split(" ", 2)[2]
        return {"postgres": told("TLS not available: N", "authentication: none",
                                 f"PostgreSQL {version}", authentication="none",
                                 starttls={"accepted": False, "handshake": False})}

    def selftest(self, tap):
        tap.point(self.answer() == b"N", "postgresql-plain: refuses TLS")


class TurnsAway(PostgreSQL):
    """PostgreSQL that lets nobody in from here."""
    name, address = "postgresql-refuses", "127.78.0.35"
    access = "local all all trust\n"

    def expect(self):
        text = 'FATAL 28000: no pg_hba.conf entry for host "127.0.0.1", user "scan", database "postgres", no encryption'
        return {"postgres": told("TLS not available: N", warnings={"refused-service": text},
                                 starttls={"accepted": False, "handshake": False})}

    def selftest(self, tap):
        tap.point(self.answer() == b"N", "postgresql-refuses: refuses TLS")


SERVERS = [WithTLS, WithoutTLS, TurnsAway]
