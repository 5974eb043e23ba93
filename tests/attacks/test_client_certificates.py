"""TLS client certificates of every kind, and headers in which proxies hand them over: it is the key that counts."""

import ssl
from base64 import b64encode
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from twisted.protocols.tls import TLSMemoryBIOFactory

from attribute_authority.domain.entity import Entity
from attribute_authority.web.client_key import TrustedProxies, read_certificate_header
from attribute_authority.web.query_door import Reply
from attribute_authority.web.tls import TlsServer, tls_server
from tests.attacks.refusals import assert_released
from tests.factories.doors import Lab, Told, lab, service_provider, sp_keys
from tests.factories.metadata import KeyPair, certify, rsa_pair
from tests.factories.queries import NOW, attribute_query, envelope, signed
from tests.factories.wires import TIMEOUT, Line, TlsWire, Wire, post, served

HEADER = "X-Client-Certificate"
PROXY = "10.1.2.3"
PROXIES = TrustedProxies(HEADER, (ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsServer:
    """Make the server's side of TLS."""
    directory: Path = tmp_path_factory.mktemp("tls")
    pair = rsa_pair("tls")
    (directory / "tls.key").write_bytes(pair.key_pem)
    (directory / "tls.crt").write_bytes(pair.certificate_pem)
    return tls_server(str(directory / "tls.key"), str(directory / "tls.crt"))


def client_context(certificate: bytes | None = None, key: bytes | None = None) -> ssl.SSLContext:
    """Make a client that presents a certificate (DER) with its key (PEM), however weak, and believes every server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    if certificate is not None and key is not None:
        with NamedTemporaryFile(suffix=".pem") as file:
            file.write(key + ssl.DER_cert_to_PEM_cert(certificate).encode())
            file.flush()
            context.load_cert_chain(file.name)
    return context


def presenting(pair: KeyPair) -> ssl.SSLContext:
    """Make a client that presents a pair."""
    return client_context(pair.certificate.public_bytes(Encoding.DER), pair.key_pem)


def lab_for(key: Any) -> Lab:
    """Make a lab whose metadata gives this public key to the service provider."""
    entity: Entity = service_provider(querying_keys=(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),))
    return lab(entities=(entity,))


def ask(wire: Wire, message: str | None = None, *headers: str) -> Told:
    """Send an unsigned query, or this one."""
    answer = wire.ask(post(envelope(message or attribute_query()), *headers))
    return Told(Reply(answer.status, answer.body), {})


def refused(told: Told) -> bool:
    """Whether an answer is the refusal of an unauthenticated query."""
    return told.codes == ("Requester", "RequestDenied")


def der(key: Any, **times: datetime) -> bytes:
    """Write a self-signed certificate."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sp")])
    start, end = times.get("start", datetime(2020, 1, 1, tzinfo=UTC)), times.get("end", datetime(2040, 1, 1, tzinfo=UTC))
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, end)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def pem(key: Any) -> bytes:
    """Write a private key."""
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_self_signed_certificate(tls: TlsServer) -> None:
    """A certificate that nobody but its owner signed is taken; its key proves the requester."""
    assert_released(ask(TlsWire(served(lab()), tls, presenting(sp_keys()))))


@pytest.mark.parametrize("years", [(2000, 2001), (2090, 2091)])
def test_certificate_out_of_time(tls: TlsServer, years: tuple[int, int]) -> None:
    """A certificate that has expired, or is not valid yet, is taken."""
    start, end = (datetime(year, 1, 1, tzinfo=UTC) for year in years)
    pair = certify(sp_keys().key, "sp", not_before=start, not_after=end)

    assert_released(ask(TlsWire(served(lab()), tls, presenting(pair))))


def test_other_certificate_over_the_same_key(tls: TlsServer) -> None:
    """The certificate of the connection need not be that of the metadata."""
    assert_released(ask(TlsWire(served(lab()), tls, presenting(certify(sp_keys().key, "another name")))))


def test_certificate_signed_by_another(tls: TlsServer) -> None:
    """Who issued a certificate means nothing: its issuer's key is not the client's, nor its own name a proof."""
    issuer, subject = rsa_pair("stranger"), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sp.example.org")])
    end = datetime(2040, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(issuer.certificate.subject, subject, sp_keys().key.public_key(), 1, NOW, end)
    issued = builder.sign(issuer.key, SHA256()).public_bytes(Encoding.DER)

    assert_released(ask(TlsWire(served(lab()), tls, client_context(issued, sp_keys().key_pem))))
    assert refused(ask(TlsWire(served(lab()), tls, presenting(issuer))))


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_certificate_with_a_weak_signature(tls: TlsServer, digest: str) -> None:
    """A certificate that was signed with SHA-1 or MD5 is taken: nothing rests upon its signature."""
    modern = der(sp_keys().key)
    strong, weak = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex({"sha1": "2a864886f70d010105", "md5": "2a864886f70d010104"}[digest])

    assert modern.count(strong) == 2
    assert_released(ask(TlsWire(served(lab()), tls, client_context(modern.replace(strong, weak), sp_keys().key_pem))))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 1024),
    ],
    ids=["P-256", "P-521", "Ed25519", "RSA-1024"],
)  # fmt: skip
def test_key_of_another_kind(tls: TlsServer, make: Any) -> None:
    """Whatever kind of key TLS can use, it is taken, and stands in the metadata or does not."""
    key = make()
    context = client_context(der(key), pem(key))

    assert_released(ask(TlsWire(served(lab_for(key.public_key())), tls, context)))
    assert refused(ask(TlsWire(served(lab()), tls, context)))


@pytest.mark.parametrize("version", [1, 9])
def test_certificate_of_an_odd_version(tls: TlsServer, version: int) -> None:
    """A certificate that cannot be read authenticates nobody, and does no harm to a signed query."""
    odd = der(sp_keys().key).replace(bytes.fromhex("a003020102"), bytes((0xA0, 3, 2, 1, version)), 1)
    context = client_context(odd, sp_keys().key_pem)

    assert refused(ask(TlsWire(served(lab()), tls, context)))
    assert_released(ask(TlsWire(served(lab()), tls, context), signed(attribute_query(), sp_keys())))


def test_no_certificate(tls: TlsServer) -> None:
    """Without certificate the connection is there, and proves nothing."""
    assert refused(ask(TlsWire(served(lab()), tls, client_context())))
    assert_released(ask(TlsWire(served(lab()), tls, client_context()), signed(attribute_query(), sp_keys())))


def test_certificate_holds_for_every_request_of_the_connection(tls: TlsServer) -> None:
    """What the handshake proved is known to the second request as to the first."""
    wire = TlsWire(served(lab()), tls, presenting(sp_keys()))

    assert_released(ask(wire))
    assert_released(ask(wire))


def test_half_open_handshake(tls: TlsServer) -> None:
    """A connection over which no handshake comes, or only its beginning, is torn down."""
    server = served(lab())

    for beginning in (b"", b"\x16\x03\x01\x02\x00\x01"):
        line = Line()
        protocol = TLSMemoryBIOFactory(tls, False, server.site, server.clock).buildProtocol(line.getPeer())
        protocol.makeConnection(line)
        if beginning:
            protocol.dataReceived(beginning)
        server.clock.advance(TIMEOUT)

        assert line.closed


def escaped(pair: KeyPair) -> str:
    """Write a certificate as nginx hands it over."""
    return quote(pair.certificate_pem.decode())


def spaced(pair: KeyPair) -> str:
    """Write a certificate as Apache hands it over."""
    return pair.certificate_pem.decode().replace("\n", " ")


def octets(pair: KeyPair) -> str:
    """Write a certificate as RFC 9440 wants it."""
    return f":{b64encode(pair.certificate.public_bytes(Encoding.DER)).decode()}:"


@pytest.mark.parametrize("write", [escaped, spaced, octets])
def test_header_of_a_trusted_proxy(write: Any) -> None:
    """The key of the certificate in the header counts, in each of the three forms."""
    server = served(lab(), proxies=PROXIES)

    assert_released(ask(server.wire(PROXY), None, f"{HEADER}: {write(sp_keys())}"))
    assert refused(ask(server.wire(PROXY), None, f"{HEADER}: {write(rsa_pair('stranger'))}"))


@pytest.mark.parametrize("peer", ["192.0.2.1", "11.0.0.1", "127.0.0.1", "9.255.255.255"])
def test_header_from_an_address_that_is_no_proxy(peer: str) -> None:
    """A header that anybody else wrote is worth nothing, even with the right certificate, which is public."""
    assert refused(ask(served(lab(), proxies=PROXIES).wire(peer), None, f"{HEADER}: {escaped(sp_keys())}"))


def test_header_without_configured_proxies() -> None:
    """Where no proxy is configured, no header is looked at."""
    for header in (HEADER, "X-SSL-Client-Cert", "SSL_CLIENT_CERT", "Client-Cert", "X-Forwarded-For"):
        assert refused(ask(served(lab()).wire(PROXY), None, f"{header}: {escaped(sp_keys())}"))


def test_forwarded_address() -> None:
    """Who is a proxy is told by the connection, not by what a request says of its way."""
    forwarded = (f"X-Forwarded-For: {PROXY}", f"Forwarded: for={PROXY}", f"X-Real-IP: {PROXY}")

    assert refused(ask(served(lab(), proxies=PROXIES).wire(), None, f"{HEADER}: {escaped(sp_keys())}", *forwarded))


@pytest.mark.parametrize("order", [1, -1])
def test_header_twice(order: int) -> None:
    """Of two headers one was written by somebody else than the proxy: neither counts."""
    headers = [f"{HEADER}: {escaped(pair)}" for pair in (sp_keys(), rsa_pair("stranger"))][::order]

    assert refused(ask(served(lab(), proxies=PROXIES).wire(PROXY), None, *headers))


@pytest.mark.parametrize(
    "value",
    [
        "", "(null)", ":", "::", ":!:", ":AAAA:", "x", "%", "%zz", "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE----- AAAA -----END CERTIFICATE-----",
        "NONE", "\xff", "\xe4", "\xc4\x80", "-----END CERTIFICATE----------BEGIN CERTIFICATE-----", ":" + "A" * 8000 + ":",
    ],
)  # fmt: skip
@pytest.mark.parametrize("peer", [PROXY, "192.0.2.1"])
def test_garbage_in_the_header(value: str, peer: str) -> None:
    """What is no certificate authenticates nobody, and does no harm to a signed query."""
    server = served(lab(), proxies=PROXIES)

    assert refused(ask(server.wire(peer), None, f"{HEADER}: {value}"))
    assert_released(ask(server.wire(peer), signed(attribute_query(), sp_keys()), f"{HEADER}: {value}"))


def test_certificate_of_an_odd_version_in_the_header() -> None:
    """Nor does a certificate that cannot be read."""
    odd = der(sp_keys().key).replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1)

    assert read_certificate_header(f":{b64encode(odd).decode()}:".encode()) is None
    assert read_certificate_header(quote(ssl.DER_cert_to_PEM_cert(odd)).encode()) is None
