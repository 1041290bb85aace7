"""nginx: an ordinary site, plain HTTP where TLS should be, TLS of old, and one that wants certificates."""
from lab import WebServer, failed, output_of, weak, web

CONFIG = """\
daemon off;
pid pid;
error_log output;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
  log_format lab '$remote_addr "$request" $status "$http_host" ssl=$ssl_protocol';
  access_log log lab;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  {certificate}
  root site;
  {sites}
}}
"""
CERTIFICATE = "ssl_certificate tls.crt; ssl_certificate_key tls.key;"


class Nginx(WebServer):
    sites = ""
    tls_version = "TLSv1.2"  # more is not the default of this nginx

    def start(self):
        self.write("site/index.html", "<title>The lab</title>\n")
        config = self.write("nginx.conf", CONFIG.format(
            folder=self.folder, certificate=CERTIFICATE if self.names else "",
            sites=self.sites.format(address=self.address)))
        self.run("/usr/sbin/nginx", "-p", self.folder, "-e", self.folder / "output", "-c", config)

    @property
    def version(self):
        return output_of("nginx", "-v").rpartition(" ")[2]  # nginx/1.22.1


class Site(Nginx):
    """nginx with http that sends all to https, as is usual."""
    name, address = "nginx", "127.78.0.9"
    names = ("www.scan.test", "scan.test")
    key = "EC 256"
    sites = """
  server {{ listen {address}:80; return 301 https://$host$request_uri; }}
  server {{ listen {address}:443 ssl; }}"""
    requests = {301: 1, 200: 1}

    def expect(self):
        return {
            "http": web(self.version, 301, "Moved Permanently"),
            "https": web(self.version, tls=self.tls),
        }


class Plain(Nginx):
    """nginx with plain HTTP on the port of https, and nothing to be found on the other."""
    name, address = "nginx-plain", "127.78.0.16"
    sites = """
  server {{ listen {address}:80; location / {{ return 404; }} }}
  server {{ listen {address}:443; }}"""
    requests = {404: 1}

    def expect(self):
        return {
            "http": web(self.version, 404, "Not Found"),
            "https": failed("tls", "the server answered in plain text: HTTP/1.1 400 Bad Request"),
        }


class Old(Nginx):
    """nginx with TLS 1.0 and not a step further, and a cipher of that time."""
    name, address = "nginx-old", "127.78.0.17"
    names = ("old.scan.test",)
    tls_version = "TLSv1"
    sites = """
  ssl_protocols TLSv1;
  ssl_ciphers AES128-SHA:@SECLEVEL=0;
  server {{ listen {address}:443 ssl; }}"""
    requests = {200: 1}

    def expect(self):
        https = web(self.version, tls=self.tls | {"cipher": "AES128-SHA", "settings": "legacy"})
        return {"https": weak(https, "the server sent alert 70, protocol version not supported")}


class Wanting(Nginx):
    """nginx that shakes hands with all, but has nothing for those without a certificate."""
    name, address = "nginx-wanting", "127.78.0.19"
    names = ("members.scan.test",)
    sites = """
  server {{ listen {address}:443 ssl; ssl_client_certificate tls.crt; ssl_verify_client on; }}"""
    requests = {400: 1}

    def expect(self):
        return {"https": web(self.version, 400, "Bad Request", tls=self.tls)}


SERVERS = [Site, Plain, Old, Wanting]
