"""CUPS' scheduler: IPP, which is HTTP on a port of its own."""
import shutil

from lab import Server, version_of, web

SCHEDULER = """\
Listen {address}:631
WebInterface Yes
DefaultAuthType None
AccessLogLevel all
LogLevel info
Browsing No
<Location />
  Order allow,deny
  Allow all
</Location>
"""
FILES = """\
ServerRoot {folder}
CacheDir {folder}/cache
StateDir {folder}/state
RequestRoot {folder}/spool
TempDir {folder}/spool/tmp
AccessLog {folder}/log
ErrorLog {folder}/output
PageLog {folder}/page_log
Printcap {folder}/printcap
User lp
Group lp
SystemGroup root
"""


class Cups(Server):
    name, address = "cups", "127.78.0.11"

    def start(self):
        # A copy, because AppArmor's profile is for the program at its usual place and with its usual folders.
        program = shutil.copy("/usr/sbin/cupsd", self.folder / "cupsd")
        scheduler = self.write("cupsd.conf", SCHEDULER.format(address=self.address))
        files = self.write("cups-files.conf", FILES.format(folder=self.folder))
        for name in ("cache", "state", "spool/tmp"):
            self.make_folder(name)
        self.run(program, "-f", "-c", scheduler, "-s", files)

    def expect(self):
        major_minor = ".".join(version_of("cups-daemon").split(".")[:2])
        # Under a name other than localhost on a loopback address, CUPS suspects a DNS trick.
        return {"ipp": web(f"CUPS/{major_minor} IPP/2.1", 400, "Bad Request")}

    def proof(self, tap, visits):
        self.shows(tap, "each visit was a HEAD", r'"HEAD / HTTP/1\.1" 400 ', visits)


SERVERS = [Cups]
