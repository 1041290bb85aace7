"""Self-signed certificates, made and described by the openssl command."""
import re
import subprocess
from datetime import datetime, timezone

DAYS = 41  # that a certificate of the lab lives


class Certificate:
    """A key and a certificate, in two files, of `names` and an address; the first name is the subject."""

    def __init__(self, folder, names, address, key="RSA 2048"):
        self.key, self.crt = folder / "tls.key", folder / "tls.crt"
        kind, bits = key.split()
        new = [f"rsa:{bits}"] if kind == "RSA" else ["ec", "-pkeyopt", f"ec_paramgen_curve:P-{bits}"]
        subjects = [f"DNS:{name}" for name in names] + [f"IP:{address}"]
        openssl("req", "-x509", "-newkey", *new, "-nodes", "-days", str(DAYS), "-subj", f"/CN={names[0]}",
                "-addext", f"subjectAltName={','.join(subjects)}",
                "-keyout", str(self.key), "-out", str(self.crt))
        self.key.chmod(0o600)
        self.facts = facts(self.crt.read_text())


def facts(pem):
    """What openssl says of a certificate, in the words of scan's JSON."""
    text = openssl("x509", "-noout", "-text", "-subject", "-issuer", "-dates", "-fingerprint", "-sha256",
                   "-nameopt", "RFC2253", "-dateopt", "iso_8601", stdin=pem)
    said = dict(re.findall(r"^(subject|issuer|notBefore|notAfter|sha256 Fingerprint)=(.*)$", text, re.M))
    algorithm = {"rsaEncryption": "RSA", "id-ecPublicKey": "EC"}[find(r"Public Key Algorithm: (\S+)", text)]
    return {"subject": said["subject"], "issuer": said["issuer"],
            "key": algorithm + " " + find(r"Public-Key: \((\d+) bit", text),
            "names": re.findall(r"(?:DNS|IP Address):([^,\s]+)", text),
            "not_before": said["notBefore"].replace(" ", "T"),
            "not_after": said["notAfter"].replace(" ", "T"),
            "sha256": said["sha256 Fingerprint"].replace(":", "").lower()}


def days_left(not_after):
    """Whole days from now to a date of facts()."""
    end = datetime.strptime(not_after, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return (end - datetime.now(timezone.utc)).days


def find(pattern, text):
    return re.search(pattern, text).group(1)


def openssl(*arguments, stdin=""):
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
