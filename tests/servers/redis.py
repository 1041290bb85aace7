"""Redis: open to all, and with TLS and a password."""
import socket

from lab import Server, output_of, told

CONFIG = """\
bind {address}
dir {folder}
logfile {folder}/log
loglevel verbose
daemonize no
save ""
"""
TLS = """\
port 0
tls-port 6380
tls-cert-file {folder}/tls.crt
tls-key-file {folder}/tls.key
tls-auth-clients no
requirepass secret
"""


class Redis(Server):
    settings = ""

    def start(self):
        text = (CONFIG + self.settings).format(folder=self.folder, address=self.address)
        self.run("/usr/bin/redis-server", self.write("redis.conf", text))

    def ping(self):
        with socket.create_connection((self.address, 6379), 10) as raw:
            raw.sendall(b"PING\r\n")
            return raw.recv(1024)


class Open(Redis):
    """Redis that answers everybody."""
    name, address = "redis", "127.78.0.36"
    settings = "port 6379\nprotected-mode no\n"

    def expect(self):
        version = output_of("redis-server", "--version").split("v=")[1].split(" ")[0]
        return {"redis": told(f"Redis {version} (standalone)", product="Redis", version=version, mode="standalone",
                              authentication=False)}

    def selftest(self, tap):
        tap.point(self.ping() == b"+PONG\r\n", "redis: answers")


class WithTLS(Redis):
    """Redis with TLS and a password."""
    name, address = "redis-tls", "127.78.0.37"
    names = ("redis.scan.test",)
    settings = TLS

    def expect(self):
        return {"rediss": told("NOAUTH Authentication required.", authentication=True, tls=self.tls)}

    def selftest(self, tap):
        said = output_of("redis-cli", "-h", self.address, "-p", "6380", "--tls", "--cacert", self.certificate.crt,
                         "--no-auth-warning", "-a", "secret", "PING")
        tap.point(said == "PONG", "redis-tls: its own client has TLS", [said])


SERVERS = [Open, WithTLS]
