"""Dovecot: IMAP and POP3, with TLS in both ways and without any."""
import imaplib
import poplib
import re
import ssl

from lab import ACCEPTED, NOT_OFFERED, OFFERED, Server, greeting, refused

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
listen = {address}
protocols = imap pop3
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}/mail
}}
mail_location = maildir:~/Maildir
"""
TLS = """\
ssl = yes
ssl_cert = <{folder}/tls.crt
ssl_key = <{folder}/tls.key
"""
IMAP = r"\* OK \[CAPABILITY IMAP4rev1 [^\]]*{}[^\]]*\] Dovecot \(Debian\) ready\."
POP3 = "+OK Dovecot (Debian) ready."


class Dovecot(Server):
    settings = ""

    def start(self):
        self.write("users", "")
        text = (CONFIG + self.settings).format(folder=self.folder, address=self.address)
        config = self.write("dovecot.conf", text)
        self.run("/usr/sbin/dovecot", "-F", "-c", config)

    def proof(self, tap, visits):
        self.shows(tap, "each visit said good-bye", r"logging out|Aborted login by .*QUIT|Logged out",
                   visits * len(self.expect()))
        self.shows_no(tap, "no handshake failed, nothing else was wrong",
                      r"SSL_accept|(Error|Warning|Fatal|Panic):|Too many invalid")


class WithTLS(Dovecot):
    """Dovecot with STARTTLS, STLS, imaps and pop3s."""
    name, address = "dovecot", "127.78.0.4"
    names = ("imap.scan.test", "pop3.scan.test")
    settings = TLS

    def expect(self):
        imap = re.compile(IMAP.format("STARTTLS"))
        return {
            "pop3": greeting(POP3, starttls=ACCEPTED, tls=self.tls),
            "imap": greeting(imap, starttls=OFFERED, tls=self.tls),
            "imaps": greeting(re.compile(IMAP.format("AUTH=PLAIN")), tls=self.tls),
            "pop3s": greeting(POP3, tls=self.tls),
        }

    def selftest(self, tap):
        trusting = ssl.create_default_context(cafile=self.certificate.crt)
        imap = imaplib.IMAP4(self.address)
        tap.point(imap.starttls(trusting)[0] == "OK", "dovecot: imaplib gets STARTTLS")
        imap.logout()
        pop = poplib.POP3(self.address)
        tap.point(pop.stls(trusting).startswith(b"+OK"), "dovecot: poplib gets STLS")
        pop.quit()


class WithoutTLS(Dovecot):
    """Dovecot without TLS."""
    name, address = "dovecot-plain", "127.78.0.5"
    settings = "ssl = no\n"

    def expect(self):
        return {
            "pop3": greeting(POP3, starttls=refused("-ERR TLS support isn't enabled.")),
            "imap": greeting(re.compile(IMAP.format("LOGINDISABLED")), starttls=NOT_OFFERED),
        }


SERVERS = [WithTLS, WithoutTLS]
