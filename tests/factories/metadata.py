"""Makers of metadata: elements as text, put together by nesting calls, and signed where a test wants it signed.

aggregate(entity("https://sp.example.org/sp", service_provider(key_descriptor(pair))), valid_until="2030-01-01T00:00:00Z")
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from attribute_authority.saml import namespaces as ns

_PREFIXES = {
    "md": ns.MD,
    "ds": ns.DS,
    "saml": ns.SAML,
    "mdattr": ns.MDATTR,
    "mdrpi": ns.MDRPI,
    "shibmd": ns.SHIBMD,
    "query": ns.QUERY_EXT,
    "xsi": ns.XSI,
}
_DECLARATIONS = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _PREFIXES.items())


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and its self-signed certificate."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        """The private key, unencrypted PKCS #8 in PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def certificate_pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def certificate_base64(self) -> str:
        """The certificate as X509Certificate carries it."""
        return b64encode(self.certificate.public_bytes(Encoding.DER)).decode()

    @property
    def public_key(self) -> bytes:
        """The DER SubjectPublicKeyInfo."""
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@lru_cache
def rsa_pair(name: str, bits: int = 2048) -> KeyPair:
    """Return the RSA pair of that name; the same one within a test run's process."""
    return certify(rsa.generate_private_key(65537, bits), name)


@lru_cache
def ec_pair(name: str) -> KeyPair:
    """Return the P-256 pair of that name; the same one within a test run's process."""
    return certify(ec.generate_private_key(ec.SECP256R1()), name)


def certify(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    name: str,
    *,
    not_before: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    not_after: datetime = datetime(2040, 1, 1, tzinfo=UTC),
) -> KeyPair:
    """Make a self-signed certificate over the key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), not_before, not_after)
    return KeyPair(key, builder.sign(key, SHA256()))


def key_descriptor(pair: KeyPair, use: str | None = None) -> str:
    """Write a KeyDescriptor with the pair's certificate."""
    return x509_key_descriptor(pair.certificate_base64, use)


def x509_key_descriptor(text: str, use: str | None = None) -> str:
    """Write a KeyDescriptor whose X509Certificate holds `text` as it is."""
    certificate = f"<ds:X509Data><ds:X509Certificate>{text}</ds:X509Certificate></ds:X509Data>"
    return f"<md:KeyDescriptor{_attribute('use', use)}><ds:KeyInfo>{certificate}</ds:KeyInfo></md:KeyDescriptor>"


def rsa_key_value_descriptor(pair: KeyPair) -> str:
    """Write a KeyDescriptor with the bare numbers of an RSA key."""
    assert isinstance(pair.key, rsa.RSAPrivateKey)
    numbers = pair.key.public_key().public_numbers()
    modulus, exponent = (b64encode(n.to_bytes((n.bit_length() + 7) // 8)).decode() for n in (numbers.n, numbers.e))
    value = f"<ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>{exponent}</ds:Exponent></ds:RSAKeyValue>"
    return f"<md:KeyDescriptor><ds:KeyInfo><ds:KeyValue>{value}</ds:KeyValue></ds:KeyInfo></md:KeyDescriptor>"


def service_provider(*children: str, valid_until: str | None = None, protocol: str = ns.SAMLP) -> str:
    """Write an SPSSODescriptor."""
    return _role("md:SPSSODescriptor", children, valid_until, protocol)


def identity_provider(*children: str, valid_until: str | None = None, protocol: str = ns.SAMLP) -> str:
    """Write an IDPSSODescriptor."""
    return _role("md:IDPSSODescriptor", children, valid_until, protocol)


def attribute_querier(*children: str, xsi_type: str = "query:AttributeQueryDescriptorType", protocol: str = ns.SAMLP) -> str:
    """Write a RoleDescriptor, by default of the type of entities that query attributes."""
    return _role(f"md:RoleDescriptor xsi:type={quoteattr(xsi_type)}", children, None, protocol)


def requested_attributes(*names: str, name_format: str | None = ns.NAME_FORMAT_URI) -> str:
    """Write an AttributeConsumingService that asks for these attributes."""
    requests = "".join(f"<md:RequestedAttribute Name={quoteattr(name)}{_attribute('NameFormat', name_format)}/>" for name in names)
    return (
        f'<md:AttributeConsumingService index="0"><md:ServiceName xml:lang="en">x</md:ServiceName>{requests}</md:AttributeConsumingService>'
    )


def extensions(*children: str) -> str:
    """Write an Extensions element."""
    return f"<md:Extensions>{''.join(children)}</md:Extensions>"


def entity_categories(*values: str, name_format: str | None = ns.NAME_FORMAT_URI) -> str:
    """Write EntityAttributes with the entity-category attribute."""
    texts = "".join(f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in values)
    attribute = f'<saml:Attribute Name="{ns.ENTITY_CATEGORY}"{_attribute("NameFormat", name_format)}>{texts}</saml:Attribute>'
    return f"<mdattr:EntityAttributes>{attribute}</mdattr:EntityAttributes>"


def registration(authority: str) -> str:
    """Write a RegistrationInfo."""
    return f"<mdrpi:RegistrationInfo registrationAuthority={quoteattr(authority)}/>"


def scope(value: str, regexp: str | None = None) -> str:
    """Write a Scope."""
    return f"<shibmd:Scope{_attribute('regexp', regexp)}>{escape(value)}</shibmd:Scope>"


def entity(entity_id: str, *children: str, valid_until: str | None = None, xml_id: str | None = None) -> str:
    """Write an EntityDescriptor; it declares every prefix, so that it can also stand alone."""
    attributes = _attribute("validUntil", valid_until) + _attribute("ID", xml_id)
    return f"<md:EntityDescriptor{_DECLARATIONS} entityID={quoteattr(entity_id)}{attributes}>{''.join(children)}</md:EntityDescriptor>"


def affiliation(entity_id: str, *members: str, valid_until: str | None = None, expires: str | None = None) -> str:
    """Write the EntityDescriptor of an affiliation; `valid_until` is that of the entity, `expires` that of the AffiliationDescriptor."""
    listed = "".join(f"<md:AffiliateMember>{member}</md:AffiliateMember>" for member in members)
    owner = f"affiliationOwnerID={quoteattr(entity_id)}{_attribute('validUntil', expires)}"
    return entity(entity_id, f"<md:AffiliationDescriptor {owner}>{listed}</md:AffiliationDescriptor>", valid_until=valid_until)


def aggregate(*entities: str, valid_until: str | None = None, xml_id: str | None = "_aggregate") -> str:
    """Write an EntitiesDescriptor; aggregates may stand in aggregates."""
    attributes = _attribute("validUntil", valid_until) + _attribute("ID", xml_id)
    return f"<md:EntitiesDescriptor{_DECLARATIONS}{attributes}>{''.join(entities)}</md:EntitiesDescriptor>"


def sign(
    document: str,
    pair: KeyPair,
    *,
    signature_method: str = ns.RSA_SHA256,
    digest_method: str = ns.SHA256,
    transforms: tuple[str, ...] = (ns.ENVELOPED, ns.EXC_C14N),
    reference: str | None = None,
    registered: str | None = None,
) -> bytes:
    """Sign the root as xmldsig does. The certificate stands in the KeyInfo.

    `reference` replaces the URI "#ID of the root"; `registered` is the ID of a further element that it may refer to.
    """
    root = etree.fromstring(document.encode())
    uri = f"#{root.get('ID')}" if reference is None else reference
    root.insert(0, _signature_template(signature_method, digest_method, transforms, uri))
    return resign(etree.tostring(root), pair, registered)


def resign(document: bytes, pair: KeyPair, registered: str | None = None) -> bytes:
    """Fill in the digests and the value of the Signature that is the root's first child."""
    root = etree.fromstring(document)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(pair.key_pem, xmlsec.constants.KeyDataFormatPem)
    context.key.load_cert_from_memory(pair.certificate_pem, xmlsec.constants.KeyDataFormatCertPem)
    for element in root.iter():
        if element.get("ID") and (element is root or element.get("ID") == registered):
            context.register_id(element, "ID")
    context.sign(root[0])
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _signature_template(signature_method: str, digest_method: str, transforms: tuple[str, ...], uri: str) -> etree._Element:
    steps = "".join(f'<ds:Transform Algorithm="{transform}"/>' for transform in transforms)
    digest = f'<ds:DigestMethod Algorithm="{digest_method}"/><ds:DigestValue/>'
    reference = f"<ds:Reference URI={quoteattr(uri)}><ds:Transforms>{steps}</ds:Transforms>{digest}</ds:Reference>"
    methods = f'<ds:CanonicalizationMethod Algorithm="{ns.EXC_C14N}"/><ds:SignatureMethod Algorithm="{signature_method}"/>'
    key_info = "<ds:KeyInfo><ds:X509Data/></ds:KeyInfo>"
    return etree.fromstring(
        f'<ds:Signature xmlns:ds="{ns.DS}"><ds:SignedInfo>{methods}{reference}</ds:SignedInfo><ds:SignatureValue/>{key_info}</ds:Signature>'
    )


def _role(tag: str, children: tuple[str, ...], valid_until: str | None, protocol: str) -> str:
    name = tag.partition(" ")[0]
    attributes = f"protocolSupportEnumeration={quoteattr(protocol)}{_attribute('validUntil', valid_until)}"
    return f"<{tag} {attributes}>{''.join(children)}</{name}>"


def _attribute(name: str, value: str | None) -> str:
    return "" if value is None else f" {name}={quoteattr(value)}"
