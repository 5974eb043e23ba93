"""A small federation: one home organisation and the service providers that query the authority.

Keys and certificates are made afresh for every federation, and all its members stand in one metadata file.
The drivers beside this module (`shibboleth`, `simplesamlphp`, `pysaml2_client`, `lasso_client`) make one of its
service providers ask a question.
"""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree
from lxml.builder import ElementMaker

EDU_PERSON_ORCID = "urn:oid:1.3.6.1.4.1.5923.1.1.1.16"
EPPN = "urn:oid:1.3.6.1.4.1.5923.1.1.1.6"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
URI_NAME_FORMAT = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
SCOPE = "uni.example"

_METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
_SHIBBOLETH_METADATA = "urn:mace:shibboleth:metadata:1.0"
_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings"

_MD = ElementMaker(namespace=_METADATA, nsmap={"md": _METADATA, "ds": _SIGNATURE, "shibmd": _SHIBBOLETH_METADATA})
_DS = ElementMaker(namespace=_SIGNATURE)
_SHIBMD = ElementMaker(namespace=_SHIBBOLETH_METADATA)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and its self-signed certificate, both PEM files."""

    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class Member:
    """An entity of the federation and the key pair that it uses for signatures and TLS."""

    entity_id: str
    keys: KeyPair

    @property
    def acs_url(self) -> str:
        """Its AssertionConsumerService, the URL at which a service provider believes to be while it handles a login."""
        return self.entity_id.rsplit("/", 1)[0] + "/acs"


@dataclass(frozen=True, slots=True)
class Federation:
    """All members; `released` and `neighbour` have a release rule, `expired` too, though its certificate ended long ago.

    `without_rule` is in the metadata only, `stranger` not even there,
    and `impostor` bears the entityID of `released` with a key that the metadata does not know.
    """

    metadata: Path
    home: Member
    released: Member
    neighbour: Member
    expired: Member
    without_rule: Member
    stranger: Member
    impostor: Member

    @property
    def with_rule(self) -> tuple[Member, ...]:
        """The service providers that the authority is to serve."""
        return self.released, self.neighbour, self.expired


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """The attribute authority as its clients know it: its entityID and its metadata file."""

    entity_id: str
    metadata: Path

    def trusted_certificates(self, directory: Path) -> Path:
        """Write the certificates of the metadata as a PEM file below `directory`, for clients that verify TLS against such a file."""
        certificates = etree.parse(self.metadata).iter(f"{{{_SIGNATURE}}}X509Certificate")
        path = directory / "trusted.pem"
        path.write_text("".join(_pem(certificate.text or "") for certificate in certificates))
        return path


@dataclass(frozen=True, slots=True)
class NameId:
    """The NameID that a service provider asks about; what is None is left out."""

    value: str
    format: str | None
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None


class Proof(StrEnum):
    """How a query proves its sender."""

    SIGNED = "signed"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Question:
    """One query; `tampering` replaces text in the finished message, after it was signed."""

    name_id: NameId
    proof: Proof = Proof.SIGNED
    tampering: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client made of an answer: attribute values by name, or the sentence with which it gave up; `log` is all that it said."""

    attributes: Mapping[str, tuple[str, ...]]
    failure: str | None
    log: str


def reply(attributes: Mapping[str, list[str]] | None, failure: str | None, log: str) -> Reply:
    """Freeze what a driver collected."""
    frozen = {name: tuple(values) for name, values in (attributes or {}).items()}
    return Reply(MappingProxyType(frozen), failure, log)


def eppn(value: str) -> NameId:
    """Ask by eduPersonPrincipalName."""
    return NameId(value, EPPN)


def persistent(value: str, home: Member, service_provider: Member) -> NameId:
    """Ask by the persistent identifier that `home` issued for `service_provider`."""
    return NameId(value, PERSISTENT, home.entity_id, service_provider.entity_id)


def make_key_pair(directory: Path, name: str, *, ends: datetime | None = None) -> KeyPair:
    """Write a fresh RSA key and a self-signed certificate of a year that finishes at `ends` (by default, in half a year)."""
    directory.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pair = KeyPair(directory / f"{name}.key", directory / f"{name}.crt")
    pair.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    until = ends or datetime.now(UTC) + timedelta(days=180)
    pair.certificate.write_bytes(_self_signed(key, name, until).public_bytes(serialization.Encoding.PEM))
    return pair


def make_federation(directory: Path) -> Federation:
    """Make all members below `directory`, which holds `federation.xml` afterwards."""
    metadata = directory / "federation.xml"
    federation = Federation(
        metadata=metadata,
        home=Member("https://idp.uni.example/idp", make_key_pair(directory, "home")),
        released=_service_provider(directory, "sp-a"),
        neighbour=_service_provider(directory, "sp-b"),
        expired=_service_provider(directory, "sp-expired", ends=datetime(2020, 1, 1, tzinfo=UTC)),
        without_rule=_service_provider(directory, "sp-without-rule"),
        stranger=_service_provider(directory, "sp-stranger"),
        impostor=Member("https://sp-a.lab.example/shibboleth", make_key_pair(directory, "impostor")),
    )
    known = (*federation.with_rule, federation.without_rule)
    entities = (_home_entity(federation.home), *(_service_provider_entity(member) for member in known))
    metadata.write_bytes(etree.tostring(_MD.EntitiesDescriptor(*entities, Name="lab"), xml_declaration=True, encoding="UTF-8"))
    return federation


def service_provider_metadata(member: Member) -> bytes:
    """The member's own EntityDescriptor, as a client library wants to read it about itself."""
    return etree.tostring(_service_provider_entity(member))


def _service_provider(directory: Path, name: str, *, ends: datetime | None = None) -> Member:
    return Member(f"https://{name}.lab.example/shibboleth", make_key_pair(directory, name, ends=ends))


def _self_signed(key: rsa.RSAPrivateKey, name: str, until: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name}.lab.example")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(until - timedelta(days=365)).not_valid_after(until).sign(key, hashes.SHA256())


def _pem(text: str) -> str:
    der = b64decode(text)
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM).decode()


def _key_descriptor(member: Member) -> etree._Element:
    certificate = "".join(member.keys.certificate.read_text().splitlines()[1:-1])
    descriptor: etree._Element = _MD.KeyDescriptor(_DS.KeyInfo(_DS.X509Data(_DS.X509Certificate(certificate))), use="signing")
    return descriptor


def _service_provider_entity(member: Member) -> etree._Element:
    entity: etree._Element = _MD.EntityDescriptor(
        _MD.SPSSODescriptor(
            _key_descriptor(member),
            _MD.AssertionConsumerService(Binding=f"{_BINDINGS}:HTTP-POST", Location=member.acs_url, index="1"),
            protocolSupportEnumeration=_PROTOCOL,
        ),
        entityID=member.entity_id,
    )
    return entity


def _home_entity(member: Member) -> etree._Element:
    entity: etree._Element = _MD.EntityDescriptor(
        _MD.IDPSSODescriptor(
            _MD.Extensions(_SHIBMD.Scope(SCOPE, regexp="false")),
            _key_descriptor(member),
            _MD.SingleSignOnService(Binding=f"{_BINDINGS}:HTTP-Redirect", Location="https://idp.uni.example/sso"),
            protocolSupportEnumeration=_PROTOCOL,
        ),
        entityID=member.entity_id,
    )
    return entity
