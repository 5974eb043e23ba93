"""What the demo federation reads of a service provider's real metadata."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from lxml.etree import _Element

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.xml import parse

BINDING_POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
BINDING_REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
DISCOVERY: Final = "urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol"
PREFIXES: Final = {"md": ns.MD, "mdui": ns.MDUI, "ds": ns.DS, "idpdisc": DISCOVERY, "shibmd": ns.SHIBMD}
_TRUE: Final = ("true", "1")


@dataclass(frozen=True, slots=True)
class KnownServiceProvider:
    """A service provider as its metadata tells it; certificates are PEM, `acs_urls` are those for HTTP-POST with the default first."""

    entity_id: str
    names: Mapping[str, str]
    acs_urls: tuple[str, ...]
    discovery_urls: tuple[str, ...]
    signing_certificates: tuple[bytes, ...]
    encryption_certificate: bytes | None
    signs_requests: bool
    wants_signed_assertions: bool

    def name(self, language: str) -> str:
        """Return the name in a language, else in English, else the entityID."""
        return self.names.get(language) or self.names.get("en") or self.entity_id

    def may_return_to(self, url: str) -> bool:
        """Whether discovery may send a browser to this URL: a registered DiscoveryResponse, or, where there is none, beside the ACS."""
        if self.discovery_urls:
            return url.partition("?")[0] in self.discovery_urls
        return _origin(url) in {_origin(acs_url) for acs_url in self.acs_urls}


def read_service_provider(metadata: bytes) -> KnownServiceProvider:
    """Read an EntityDescriptor with an SPSSODescriptor. Raises OperatorError where it has none, or no ACS for HTTP-POST."""
    root = parse(metadata)
    role = root.find("md:SPSSODescriptor", PREFIXES)
    if role is None:
        raise OperatorError(f"{root.get('entityID')}: expected metadata with an SPSSODescriptor")
    acs_urls = _acs_urls(role)
    if not acs_urls:
        raise OperatorError(f"{root.get('entityID')}: expected an AssertionConsumerService for HTTP-POST")
    encryption = _certificates(role, "encryption")
    return KnownServiceProvider(
        entity_id=root.get("entityID", ""),
        names=_names(role),
        acs_urls=acs_urls,
        discovery_urls=tuple(found.get("Location", "") for found in role.iterfind("md:Extensions/idpdisc:DiscoveryResponse", PREFIXES)),
        signing_certificates=_certificates(role, "signing"),
        encryption_certificate=encryption[0] if encryption else None,
        signs_requests=role.get("AuthnRequestsSigned") in _TRUE,
        wants_signed_assertions=role.get("WantAssertionsSigned") in _TRUE,
    )


def _acs_urls(role: _Element) -> tuple[str, ...]:
    services = [found for found in role.iterfind("md:AssertionConsumerService", PREFIXES) if found.get("Binding") == BINDING_POST]
    services.sort(key=lambda service: service.get("isDefault") not in _TRUE)
    return tuple(service.get("Location", "") for service in services)


def _names(role: _Element) -> Mapping[str, str]:
    found = role.iterfind("md:Extensions/mdui:UIInfo/mdui:DisplayName", PREFIXES)
    return {name.get(f"{{{ns.XML}}}lang", ""): name.text or "" for name in found}


def _certificates(role: _Element, use: str) -> tuple[bytes, ...]:
    descriptors = [found for found in role.iterfind("md:KeyDescriptor", PREFIXES) if found.get("use") in (None, use)]
    texts = [found.text or "" for descriptor in descriptors for found in descriptor.iterfind(".//ds:X509Certificate", PREFIXES)]
    return tuple(load_der_x509_certificate(b64decode(text)).public_bytes(Encoding.PEM) for text in texts)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
