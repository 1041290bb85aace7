"""vsftpd: with TLS, without, and with a greeting of many lines."""
import ftplib
import ssl

from lab import ACCEPTED, Server, greeting, refused, version_of

CONFIG = """\
listen=YES
background=NO
listen_address={address}
anonymous_enable=YES
anon_root={folder}/empty
secure_chroot_dir={folder}/empty
nopriv_user=nobody
pam_service_name=vsftpd
seccomp_sandbox=NO
xferlog_enable=YES
xferlog_std_format=NO
vsftpd_log_file={folder}/log
log_ftp_protocol=YES
"""
TLS = """\
ssl_enable=YES
allow_anon_ssl=YES
rsa_cert_file={folder}/tls.crt
rsa_private_key_file={folder}/tls.key
"""
NO = "530 Please login with USER and PASS."


def hello():
    return f"220 (vsFTPd {version_of('vsftpd')})"


class Vsftpd(Server):
    settings = ""

    def start(self):
        self.make_folder("empty")
        text = (CONFIG + self.settings).format(folder=self.folder, address=self.address)
        config = self.write("vsftpd.conf", text)
        self.run("/usr/sbin/vsftpd", config)

    def proof(self, tap, visits):
        self.shows(tap, "each visit asked for TLS", r'FTP command: Client "127\.0\.0\.1", "AUTH TLS"', visits)
        self.shows(tap, "each visit said good-bye", r'FTP command: Client "127\.0\.0\.1", "QUIT"', visits)
        self.shows(tap, "no visit said anything else", r'FTP command: Client "127\.0\.0\.1"', 2 * visits)


class WithTLS(Vsftpd):
    """vsftpd with AUTH TLS."""
    name, address = "vsftpd", "127.78.0.6"
    names = ("ftp.scan.test",)
    settings = TLS

    def expect(self):
        return {"ftp": greeting(hello(), starttls=ACCEPTED, tls=self.tls)}

    def selftest(self, tap):
        trusting = ssl.create_default_context(cafile=self.certificate.crt)
        with ftplib.FTP_TLS(self.address, context=trusting, source_address=("127.78.1.1", 0)) as client:
            tap.point(client.auth().startswith("234"), "vsftpd: ftplib gets AUTH TLS")


class WithoutTLS(Vsftpd):
    """vsftpd without TLS."""
    name, address = "vsftpd-plain", "127.78.0.7"

    def expect(self):
        return {"ftp": greeting(hello(), starttls=refused(NO))}


class ManyLines(Vsftpd):
    """vsftpd with a greeting of many lines, the last of which is but a code."""
    name, address = "vsftpd-banner", "127.78.0.8"
    settings = "banner_file={folder}/banner\n"

    def start(self):
        self.write("banner", "=== Welcome to the upload server ===\n\n  Be gentle: 220 is not the end.\n")
        super().start()

    def expect(self):
        return {"ftp": greeting("220-=== Welcome to the upload server ===", "220-",
                                "220-  Be gentle: 220 is not the end.", "220 ", starttls=refused(NO))}


SERVERS = [WithTLS, WithoutTLS, ManyLines]
