"""Decides what certificates the test registries show: a CA of our own and a server under it."""
import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _write_key(key, path):
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                       serialization.PrivateFormat.TraditionalOpenSSL,
                                       serialization.NoEncryption()))
    path.chmod(0o600)


def _certificate(name, key, issuer_name, issuer_key, is_ca, alt_names):
    now = datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)])
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(days=1))
               .not_valid_after(now + datetime.timedelta(days=30))
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
        _write_key(key, self.key)

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
