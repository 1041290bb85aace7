"""TigerVNC's Xvnc: with a certificate, with a password only, and one that has had enough of us."""
import socket

from lab import NOT_OFFERED, OFFERED, Server, told

RFB = "RFB 003.008"
REFUSED = {"refused-service": "Too many security failures"}


class TigerVNC(Server):
    display, options = None, ()

    def start(self):
        self.log = self.folder / "output"
        self.write("password", "\0" * 8)
        self.run("/usr/bin/Xtigervnc", f":{self.display}", "-interface", self.address, "-rfbport", "5900", "-nolisten", "tcp",
                 "-nolisten", "unix", "-geometry", "64x64", "-depth", "16", "-Log", "*:stderr:30",
                 "-PasswordFile", self.folder / "password", "-desktop", "scan", *self.options,
                 environment={"HOME": str(self.folder)})

    def selftest(self, tap):
        with socket.create_connection((self.address, 5900), 10) as raw:
            tap.point(raw.recv(12) == RFB.encode() + b"\n", f"{self.name}: greets")


class WithCertificate(TigerVNC):
    """Xvnc with VeNCrypt and a certificate."""
    name, address, display = "tigervnc", "127.78.0.39", 139
    names = ("vnc.scan.test",)

    @property
    def options(self):
        return ["-SecurityTypes", "X509Vnc,TLSVnc,VncAuth", "-X509Cert", self.folder / "tls.crt",
                "-X509Key", self.folder / "tls.key", "-UseBlacklist=0"]

    def expect(self):
        return {"vnc": told(RFB, "security: VeNCrypt, VncAuth", "VeNCrypt: X509Vnc, TLSVnc, VncAuth", starttls=OFFERED, tls=self.tls,
                            banner=[RFB], security=["VeNCrypt", "VncAuth"], subtypes=["X509Vnc", "TLSVnc", "VncAuth"])}


class WithPassword(TigerVNC):
    """Xvnc with a password and no TLS."""
    name, address, display = "tigervnc-plain", "127.78.0.40", 140
    options = ("-SecurityTypes", "VncAuth", "-UseBlacklist=0")

    def expect(self):
        return {"vnc": told(RFB, "security: VncAuth", starttls=NOT_OFFERED, banner=[RFB], security=["VncAuth"])}


class TurnsAway(TigerVNC):
    """Xvnc that has been called too often."""
    name, address, display = "tigervnc-refuses", "127.78.0.41", 141
    options = ("-SecurityTypes", "VncAuth", "-BlacklistThreshold=0", "-BlacklistTimeout=1000")

    def wait_ready(self):
        super().wait_ready()
        with socket.create_connection((self.address, 5900), 10) as raw:  # from where scan will come
            raw.recv(12)

    def expect(self):
        return {"vnc": told("RFB 003.003", banner=["RFB 003.003"], warnings=REFUSED)}

    def selftest(self, tap):
        with socket.create_connection((self.address, 5900), 10) as raw:
            tap.point(raw.recv(12) == b"RFB 003.003\n", f"{self.name}: refuses")


SERVERS = [WithCertificate, WithPassword, TurnsAway]
