"""GNU inetutils' telnetd, behind their inetd."""
import socket

from lab import Server, connects


class Telnetd(Server):
    name, address = "telnetd", "127.78.0.14"

    def start(self):
        service = f"{self.address}:telnet stream tcp nowait root /usr/sbin/telnetd telnetd -h\n"
        self.run("inetutils-inetd", "--debug", f"--pidfile={self.folder / 'pid'}",
                 self.write("inetd.conf", service), self.make_folder("inetd.d"))

    def expect(self):
        return {"telnet": connects()}

    def selftest(self, tap):
        with socket.create_connection((self.address, 23), 5) as client:
            first = client.recv(1)
        tap.point(first == b"\xff", "telnetd: it opens with a telnet option", [repr(first)])


SERVERS = [Telnetd]
