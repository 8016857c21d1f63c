"""Decides what certificates the test registries and their clients show: CAs of our own, and servers and
users under them, some of them wrong in a way that is asked for."""
import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_key(key, path, passphrase=None):
    how = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase \
        else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                       serialization.PrivateFormat.TraditionalOpenSSL, how))
    path.chmod(0o600)


def _certificate(name, key, issuer_name, issuer_key, is_ca, alt_names, expired=False):
    now = datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)])
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(days=1))
               .not_valid_after(now + datetime.timedelta(days=30) if not expired
                                else now - datetime.timedelta(hours=1))
               .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
    if alt_names:
        builder = builder.add_extension(x509.SubjectAlternativeName(alt_names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


class Authority:
    """A certificate authority and a server certificate for some names and addresses."""

    def __init__(self, directory, addresses=("127.0.0.1", "::1"), names=("localhost",)):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.ca, self.cert = directory / "ca.crt", directory / "server.crt"
        self.key = directory / "server.key"
        ca_key = ec.generate_private_key(ec.SECP256R1())
        key = ec.generate_private_key(ec.SECP256R1())
        names = [*(x509.DNSName(name) for name in names),
                 *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)]
        ca = "davit test CA"
        for path, certificate in (
                (self.ca, _certificate(ca, ca_key, ca, ca_key, True, [])),
                (self.cert, _certificate("localhost", key, ca, ca_key, False, names))):
            path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_key(key, self.key)

    def context(self):
        """A server side context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def certs_dir(self, directory, host):
        """A certs.d that trusts this CA for `host`; gives its path."""
        target = Path(directory) / host
        target.mkdir(parents=True)
        (target / "ca.crt").write_bytes(self.ca.read_bytes())
        return Path(directory)


@dataclass
class Pair:
    """A certificate, with its chain behind it, and its key: two files."""
    cert: Path
    key: Path

    def context(self):
        """A server side context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def install(self, certs_dir, host, name="client"):
        """As NAME.cert and NAME.key of a host's directory."""
        target = Path(certs_dir) / host
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{name}.cert").write_bytes(self.cert.read_bytes())
        (target / f"{name}.key").write_bytes(self.key.read_bytes())


class Issuer:
    """A CA that signs what a test asks for. parent: the CA above it; then it is an intermediate, and goes
    along in the chains of what it signs."""

    def __init__(self, directory, name="davit private CA", parent=None):
        self.dir, self.name, self.parent = Path(directory), name, parent
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ca, self.private = self.dir / "ca.pem", ec.generate_private_key(ec.SECP256R1())
        signer = parent or self
        self.ca.write_bytes(self._pem(_certificate(name, self.private, signer.name, signer.private,
                                                   True, [])))

    @staticmethod
    def _pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _pair(self, label, names, passphrase=None, **how):
        pair, key = Pair(self.dir / f"{label}.pem", self.dir / f"{label}.key"), \
            ec.generate_private_key(ec.SECP256R1())
        chain = self.ca.read_bytes() if self.parent else b""
        pair.cert.write_bytes(self._pem(_certificate(label, key, self.name, self.private, False,
                                                     names, **how)) + chain)
        write_key(key, pair.key, passphrase)
        return pair

    def server(self, label, *addresses, names=("localhost",), **how):
        return self._pair(label, [*(x509.DNSName(name) for name in names),
                                  *(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses)], **how)

    def client(self, label, **how):
        """A user's; passphrase: the key is encrypted with it."""
        return self._pair(label, [], **how)

    def install(self, certs_dir, host, name="ca"):
        """As NAME.crt of a host's directory; gives the whole certs.d."""
        target = Path(certs_dir) / host
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{name}.crt").write_bytes(self.ca.read_bytes())
        return Path(certs_dir)
