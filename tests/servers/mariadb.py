"""MariaDB: the greeting, with TLS and without, and a host that is turned away."""
import socket

from lab import NOT_OFFERED, OFFERED, Server, output_of, told, version_of

CONFIG = """\
[mariadbd]
datadir={folder}/data
socket={folder}/socket
pid-file={folder}/pid
bind-address={address}
port=3306
user=mysql
tmpdir={folder}/tmp
skip-name-resolve
skip-slave-start
skip-log-bin
innodb-buffer-pool-size=16M
innodb-log-file-size=8M
innodb-fast-shutdown=2
performance-schema=OFF
log-warnings=4
log-error={folder}/log.err
"""
TLS = """\
ssl-cert={folder}/tls.crt
ssl-key={folder}/tls.key
"""


class MariaDB(Server):
    settings = ""
    grants = ""

    def start(self):
        self.make_folder("data", "mysql")
        self.make_folder("tmp", "mysql")
        self.log = self.folder / "log.err"
        self.folder.chmod(0o777)  # for its log and its socket
        config = self.write("my.cnf", (CONFIG + self.settings).format(folder=self.folder, address=self.address))
        output_of("mariadb-install-db", f"--defaults-file={config}", "--auth-root-authentication-method=normal",
                  "--skip-test-db", "--user=mysql")
        if self.names:
            (self.folder / "tls.key").chmod(0o644)
        start = [f"--init-file={self.write('init.sql', self.grants)}"] if self.grants else []
        self.run("/usr/sbin/mariadbd", f"--defaults-file={config}", *start)

    def greeting(self):
        with socket.create_connection((self.address, 3306), 10) as raw:
            return raw.recv(1024)

    def tells(self, starttls, tls=None):
        version = version_of("mariadb-server").removeprefix("1:")
        package = output_of("mariadbd", "--version").split("-MariaDB-")[1].split(" ")[0]
        return {"mysql": told(f"MariaDB {version}-{package}", starttls=starttls, tls=tls,
                              version=f"{version}-MariaDB-{package}", authentication="mysql_native_password")}


class WithTLS(MariaDB):
    """MariaDB with TLS."""
    name, address = "mariadb", "127.78.0.30"
    names = ("db.scan.test",)
    settings = TLS
    grants = "CREATE USER scan@'127.0.0.1' IDENTIFIED BY 'secret';\n"

    def expect(self):
        return self.tells(OFFERED, self.tls)

    def selftest(self, tap):
        said = output_of("mariadb", "--no-defaults", f"--host={self.address}", "--user=scan", "--password=secret",
                         f"--ssl-ca={self.certificate.crt}", "--execute=SHOW STATUS LIKE 'Ssl_version'")
        tap.point("TLSv1.3" in said, "mariadb: its own client has TLS", [said])

    def proof(self, tap, visits):
        self.shows(tap, "saw each visit leave without logging in",
                   r"Aborted connection .* user: 'unauthenticated' host: '127\.0\.0\.1' \(This", visits)


class WithoutTLS(MariaDB):
    """MariaDB without TLS."""
    name, address = "mariadb-plain", "127.78.0.31"
    grants = "CREATE USER scan@'127.0.0.1' IDENTIFIED BY 'secret';\n"

    def expect(self):
        return self.tells(NOT_OFFERED)

    def selftest(self, tap):
        tap.point(b"mysql_native_password" in self.greeting(), "mariadb-plain: greets")


class TurnsAway(MariaDB):
    """MariaDB that lets nobody in from here."""
    name, address = "mariadb-refuses", "127.78.0.32"
    grants = "DELETE FROM mysql.global_priv WHERE Host != '192.0.2.1';\nFLUSH PRIVILEGES;\n"

    def expect(self):
        text = "1130 Host '127.0.0.1' is not allowed to connect to this MariaDB server"
        return {"mysql": told(warnings={"refused-service": text})}

    def selftest(self, tap):
        said = self.greeting()
        tap.point(said[4:5] == b"\xff", "mariadb-refuses: refuses", [repr(said)])


SERVERS = [WithTLS, WithoutTLS, TurnsAway]
