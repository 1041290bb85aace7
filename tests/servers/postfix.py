"""Postfix: with STARTTLS and smtps, without TLS, and behind postscreen."""
import smtplib
import ssl

from lab import NOT_OFFERED, OFFERED, Server, greeting

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {host}
mydestination =
mynetworks =
alias_maps =
smtpd_peername_lookup = no
smtpd_banner = $myhostname ESMTP $mail_name
"""
MASTER = """\
postlog    unix-dgram n - n - 1 postlogd
cleanup    unix n - n -    0 cleanup
pickup     unix n - n 60   1 pickup
qmgr       unix n - n 300  1 qmgr
tlsmgr     unix - - n 1000 1 tlsmgr
rewrite    unix - - n -    - trivial-rewrite
bounce     unix - - n -    0 bounce
defer      unix - - n -    0 bounce
trace      unix - - n -    0 bounce
verify     unix - - n -    1 verify
flush      unix n - n 1000 0 flush
proxymap   unix - - n -    - proxymap
error      unix - - n -    - error
retry      unix - - n -    - error
anvil      unix - - n -    1 anvil
"""


class Postfix(Server):
    host = None
    settings = ""    # more of main.cf
    listeners = ""   # more of master.cf
    conversation = None  # what smtpd counts of one visit, as it words it

    def start(self):
        self.make_folder("queue")
        self.make_folder("data", owner="postfix", mode=0o700)
        where = {"folder": self.folder, "address": self.address, "host": self.host}
        self.write("conf/main.cf", (MAIN + self.settings).format(**where))
        self.write("conf/master.cf", MASTER + self.listeners.format(**where))
        self.run("/usr/sbin/postfix", "-c", self.folder / "conf", "start-fg")

    def proof(self, tap, visits):
        conversations = visits * len(self.expect())
        self.shows(tap, "each visit said hello and good-bye",
                   rf"disconnect from \S+\[127\.0\.0\.1\] {self.conversation}$", conversations)
        self.shows_no(tap, "no visit was hasty or broke off",
                      r"lost connection .*\[127\.0\.0\.1\]|improper command pipelining|non-SMTP|"
                      r"too many errors|TLS library problem")
        self.shows_no(tap, "Postfix itself was well", r"(warning|error|fatal|panic): (?!dict_nis_init)")


class WithTLS(Postfix):
    """Postfix with STARTTLS on 25 and 587, and TLS from the first byte on 465."""
    name, address, host = "postfix", "127.78.0.2", "mail.scan.test"
    names = (host, "smtp.scan.test")
    conversation = r"(ehlo=\d )?(starttls=1 )?quit=1 commands=\d"  # nobody needs EHLO on smtps
    settings = """\
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/tls.crt
smtpd_tls_key_file = {folder}/tls.key
smtpd_tls_loglevel = 1
"""
    listeners = """\
{address}:25  inet n - n - - smtpd
{address}:587 inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
{address}:465 inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
"""

    def expect(self):
        hello = "220 mail.scan.test ESMTP Postfix"
        return {
            "smtp": greeting(hello, starttls=OFFERED, tls=self.tls),
            "submission": greeting(hello, starttls=OFFERED, tls=self.tls),
            "smtps": greeting(hello, tls=self.tls),
        }

    def selftest(self, tap):
        trusting = ssl.create_default_context(cafile=self.certificate.crt)
        for port in (25, 587):
            with smtplib.SMTP(self.address, port, source_address=("127.78.1.1", 0)) as client:
                client.starttls(context=trusting)
                code, _ = client.ehlo()
                tap.point(code == 250, f"postfix: STARTTLS works on port {port}, and EHLO behind it")

    def proof(self, tap, visits):
        super().proof(tap, visits)
        self.shows(tap, "each visit asked for STARTTLS after EHLO, but for smtps",
                   r"disconnect from \S+\[127\.0\.0\.1\] ehlo=\d starttls=1 quit=1", visits * 2)
        self.shows(tap, "each visit made its handshake",
                   r"TLS connection established from \S+\[127\.0\.0\.1\]:", visits * len(self.expect()))


class WithoutTLS(Postfix):
    """Postfix without TLS."""
    name, address, host = "postfix-plain", "127.78.0.3", "plain.scan.test"
    conversation = r"ehlo=1 quit=1 commands=2"
    settings = "smtpd_tls_security_level = none\n"
    listeners = "{address}:25  inet n - n - - smtpd\n"

    def expect(self):
        return {"smtp": greeting("220 plain.scan.test ESMTP Postfix", starttls=NOT_OFFERED)}


class Screened(Postfix):
    """postscreen: it says half a greeting, waits, and turns away who speaks before the second half."""
    name, address, host = "postscreen", "127.78.0.18", "screened.scan.test"
    names = (host,)
    key = "EC 256"
    conversation = r"ehlo=\d starttls=1 quit=1 commands=\d"
    settings = """\
postscreen_access_list =
postscreen_greet_banner = $myhostname is having a look at you
postscreen_greet_wait = 1s
postscreen_greet_action = enforce
postscreen_cache_map =
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/tls.crt
smtpd_tls_key_file = {folder}/tls.key
"""
    listeners = """\
{address}:25  inet n - n - 1 postscreen
smtpd      pass - - n - - smtpd
tlsproxy   unix - - n - 0 tlsproxy
dnsblog    unix - - n - 0 dnsblog
"""

    def expect(self):
        return {"smtp": greeting("220-screened.scan.test is having a look at you",
                                 "220 screened.scan.test ESMTP Postfix", starttls=OFFERED, tls=self.tls)}

    def proof(self, tap, visits):
        super().proof(tap, visits)
        self.shows(tap, "each visit was found worthy", r"PASS (NEW|OLD) \[127\.0\.0\.1\]", visits)
        self.shows_no(tap, "no visit spoke before its turn", r"(PREGREET|HANGUP) .*\[127\.0\.0\.1\]")


SERVERS = [WithTLS, WithoutTLS, Screened]
