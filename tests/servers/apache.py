"""Apache: a site with TLS, one that forbids all, and one that wants certificates in the handshake."""
import re

from lab import WebServer, failed, output_of, web

CONFIG = """\
ServerRoot {folder}
ServerName {host}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Mutex file:{folder} default
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule ssl_module {modules}/mod_ssl.so
StartServers 1
ErrorLog {folder}/output
LogLevel warn ssl:info
LogFormat "%h \\"%r\\" %>s \\"%{{Host}}i\\"" lab
CustomLog {folder}/log lab
SSLCertificateFile {folder}/tls.crt
SSLCertificateKeyFile {folder}/tls.key
DocumentRoot {folder}/site
Listen {address}:80
Listen {address}:443
<VirtualHost {address}:443>
  ServerName {host}
  SSLEngine on
  {secure}
</VirtualHost>
<Location />
  {access}
</Location>
"""


class Apache(WebServer):
    host = None
    secure = ""                     # what stands in the TLS site
    access = "Require all granted"  # who may see it

    def start(self):
        self.write("site/index.html", "<title>The lab</title>\n")
        config = self.write("apache.conf", CONFIG.format(
            folder=self.folder, address=self.address, host=self.host, modules="/usr/lib/apache2/modules",
            secure=self.secure.format(folder=self.folder), access=self.access))
        self.run("/usr/sbin/apache2", "-f", config, "-DFOREGROUND")

    @property
    def version(self):
        apache = re.search(r"Apache/\S+ \(Debian\)", output_of("apache2", "-v")).group()
        library = output_of("openssl", "version").split()[1]
        return f"{apache} OpenSSL/{library}"


class Site(Apache):
    """Apache with http and https."""
    name, address, host = "apache", "127.78.0.10", "apache.scan.test"
    names = (host,)
    requests = {200: 2}

    def expect(self):
        return {"http": web(self.version), "https": web(self.version, tls=self.tls)}


class Forbidding(Apache):
    """Apache that forbids all."""
    name, address, host = "apache-403", "127.78.0.20", "forbidden.scan.test"
    names = (host,)
    access = "Require all denied"
    requests = {403: 2}

    def expect(self):
        return {
            "http": web(self.version, 403, "Forbidden"),
            "https": web(self.version, 403, "Forbidden", tls=self.tls),
        }


class Wanting(Apache):
    """Apache that ends the TLS of those without a certificate.

    In TLS 1.3 the client's handshake is complete before that happens: there are facts, and then an alert."""
    name, address, host = "apache-wanting", "127.78.0.21", "members.scan.test"
    names = (host,)
    secure = "SSLVerifyClient require\n  SSLCACertificateFile {folder}/tls.crt"
    requests = {200: 1}

    def expect(self):
        return {
            "http": web(self.version),
            "https": failed("tls", "the server wants a certificate from us (alert 116)",
                            tls=self.tls),
        }


SERVERS = [Site, Forbidding, Wanting]
