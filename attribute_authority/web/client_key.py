"""The public key of the TLS client: from our own TLS layer, or from the reverse proxy in front of us.

The header of a proxy is believed only from the configured addresses. Its value may be the PEM certificate URL-encoded
(nginx, $ssl_client_escaped_cert), the PEM with its line breaks as spaces (Apache, SSL_CLIENT_CERT), or the octets of RFC 9440
(Client-Cert).
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, cast
from urllib.parse import unquote_to_bytes

from OpenSSL.crypto import FILETYPE_ASN1, X509, dump_certificate
from twisted.internet.interfaces import ISSLTransport, ITransport
from twisted.web.server import Request

from attribute_authority.web.http import DeadlineChannel, Unasked
from attribute_authority.web.tls import public_key_of_der, public_key_of_pem

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_ABSENT: Final = (b"", b"(null)")


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The header in which proxies hand over the client certificate, and the networks from which it is believed."""

    header: str
    networks: Sequence[IPv4Network | IPv6Network]

    def client_key(self, request: Request) -> bytes | None:
        """Return the key that a trusted proxy vouches for.

        None from other addresses, without the header, and where it stands there twice: then somebody else wrote one of them.
        """
        values = request.requestHeaders.getRawHeaders(self.header.encode()) or []
        address = ip_address(request.getClientAddress().host.partition("%")[0])
        if len(values) != 1 or not any(address in network for network in self.networks):
            return None
        return read_certificate_header(values[0])


class ClientKeys:
    """Finds the public key (DER SubjectPublicKeyInfo) of the client of a request."""

    def __init__(self, proxies: TrustedProxies | None) -> None:
        self._proxies = proxies

    def of(self, request: Request) -> bytes | None:
        """Return the key of the TLS client certificate, or None where there is none that can be used."""
        if self._proxies is not None:
            return self._proxies.client_key(request)
        channel = request.channel
        if not isinstance(channel, DeadlineChannel):
            return None
        if channel.client_key is Unasked.UNASKED:
            # One handshake, one certificate: what it says is kept with the connection.
            channel.client_key = _from_transport(channel.transport)
        return channel.client_key


def _from_transport(transport: ITransport | None) -> bytes | None:
    if not ISSLTransport.providedBy(transport):
        return None
    certificate = cast("X509 | None", transport.getPeerCertificate())
    return None if certificate is None else public_key_of_der(dump_certificate(FILETYPE_ASN1, certificate))


def read_certificate_header(value: bytes) -> bytes | None:
    """Return the public key of the certificate in a proxy's header, or None where there is none or it cannot be read."""
    value = value.strip()
    if value in _ABSENT:
        return None
    if value.startswith(b":") and value.endswith(b":"):
        try:
            return public_key_of_der(b64decode(value[1:-1], validate=True))
        except Base64Error:
            return None
    pem = unquote_to_bytes(value) if b"%" in value else value
    begin, base64, end = pem.partition(_BEGIN)[1], pem.partition(_BEGIN)[2].partition(_END)[0], pem.partition(_END)[1]
    return public_key_of_pem(b"\n".join((begin, *base64.split(), end, b"")))
