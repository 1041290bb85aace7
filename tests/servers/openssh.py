"""OpenSSH's sshd."""
import os
from pathlib import Path

from lab import Server, greeting, output_of

EMPTY = Path("/run/sshd")  # compiled into Debian's sshd, and made by its service file


class OpenSSH(Server):
    name, address = "openssh", "127.78.0.1"
    made_empty = False

    def start(self):
        key = self.folder / "host_key"
        output_of("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        config = self.write("sshd_config", f"""\
ListenAddress {self.address}:22
HostKey {key}
PidFile none
UsePAM no
UseDNS no
""")
        self.made_empty = not EMPTY.exists()
        EMPTY.mkdir(mode=0o755, exist_ok=True)
        self.run("/usr/sbin/sshd", "-D", "-f", config, "-E", self.log)

    def clean_up(self):
        if self.made_empty:
            os.rmdir(EMPTY)

    def expect(self):
        version = output_of("ssh", "-V").split(",")[0]  # OpenSSH_9.2p1 Debian-2+deb12u3
        return {"ssh": greeting(f"SSH-2.0-{version}")}

    def selftest(self, tap):
        key = output_of("ssh-keyscan", "-t", "ed25519", self.address).splitlines()[-1].split()[1:]
        public = (self.folder / "host_key.pub").read_text().split()[:2]
        tap.point(key == public, "openssh: ssh-keyscan gets its host key")

    def proof(self, tap, visits):
        self.shows(tap, "saw each visit", r" (from|by) 127\.0\.0\.1 port", visits)
        self.shows_no(tap, "heard nothing that is not SSH", "Bad protocol|invalid format|bad client")


SERVERS = [OpenSSH]
