"""Making keys: fresh RSA keys with long-lived self-signed certificates, as SAML metadata wants them (SAML2int SDP-MD05 to 07)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_RSA_BITS: Final = 3072
_PUBLIC_EXPONENT: Final = 65537
_LIFETIME: Final = timedelta(days=20 * 365)


@dataclass(frozen=True, slots=True)
class FreshKey:
    """A private key and its self-signed certificate, PEM."""

    key: bytes
    certificate: bytes


def make_key(common_name: str, now: datetime, hosts: tuple[str, ...] = (), bits: int = _RSA_BITS) -> FreshKey:
    """Make an RSA key and a certificate for `common_name`; `hosts` are the names and addresses under which TLS will be spoken."""
    key = rsa.generate_private_key(_PUBLIC_EXPONENT, bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host_name(host) for host in hosts]), critical=False)
    certificate = builder.sign(key, SHA256())
    return FreshKey(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM),
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
