"""TLS on our own doors: every client certificate is taken, none is judged.

What a service provider's certificate says (who issued it, until when, for what) means nothing in SAML: its key stands in
metadata or it does not. A TLS layer that judged would end the connection of a client whose certificate is self-signed or
expired, and Shibboleth offers its certificate to whoever asks.
"""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate, InvalidVersion, load_der_x509_certificate, load_pem_x509_certificate
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from attribute_authority.errors import OperatorError

_SESSION_CONTEXT: Final = b"attribute-authority"


@implementer(IOpenSSLServerConnectionCreator)
class TlsServer:
    """Makes the server side of connections; sessions are resumed by tickets, which halves what a new connection costs."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Return the OpenSSL side of a new connection."""
        return SSL.Connection(self._context, None)

    def replace(self, other: "TlsServer") -> None:
        """Use the key and certificate of `other` for connections from now on."""
        self._context = other._context


def tls_server(key_file: str, certificate_file: str) -> TlsServer:
    """Make the server side from a PEM key and certificate chain, TLS 1.2 or later.

    Raises OperatorError where the files cannot be used.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    try:
        context.use_certificate_chain_file(certificate_file)
        context.use_privatekey_file(key_file)
        context.check_privatekey()
    except SSL.Error as error:
        raise OperatorError(f"{key_file} and {certificate_file}: expected a PEM private key and its certificate: {error}") from error
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.set_session_id(_SESSION_CONTEXT)
    return TlsServer(context)


def public_key_of(certificate: Certificate) -> bytes | None:
    """Return the public key (DER SubjectPublicKeyInfo) of a certificate, or None where it is of no known kind."""
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def public_key_of_der(certificate: bytes) -> bytes | None:
    """Return the public key of a DER certificate, or None where it cannot be read."""
    try:
        return public_key_of(load_der_x509_certificate(certificate))
    except (ValueError, InvalidVersion):
        return None


def public_key_of_pem(certificate: bytes) -> bytes | None:
    """Return the public key of a PEM certificate, or None where it cannot be read."""
    try:
        return public_key_of(load_pem_x509_certificate(certificate))
    except (ValueError, InvalidVersion):
        return None
