"""Makers of queries: elements as text, put together by nesting calls, signed and encrypted where a test wants it.

envelope(signed(attribute_query(subject=subject(name_id("josiah@uni.example"))), rsa_pair("sp")))
"""

from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

import xmlsec
from lxml import etree

from attribute_authority.saml import namespaces as ns
from tests.factories.metadata import KeyPair

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SP = "https://sp.example.org/shibboleth"
PERSON = "josiah@uni.example"
DECLARATIONS = f' xmlns:samlp="{ns.SAMLP}" xmlns:saml="{ns.SAML}"'
_ISSUER = f"{{{ns.SAML}}}Issuer"


def instant(moment: datetime) -> str:
    """Write an instant as SAML does (core 1.3.3)."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def name_id(
    value: str = PERSON,
    *,
    format: str | None = ns.EPPN_OID_URN,  # noqa: A002 - the attribute's name
    name_qualifier: str | None = None,
    sp_name_qualifier: str | None = None,
    sp_provided_id: str | None = None,
) -> str:
    """Write a NameID; `value` is escaped."""
    return raw_name_id(
        escape(value, {"\r": "&#xD;"}),
        _attribute("Format", format)
        + _attribute("NameQualifier", name_qualifier)
        + _attribute("SPNameQualifier", sp_name_qualifier)
        + _attribute("SPProvidedID", sp_provided_id),
    )


def raw_name_id(content: str, attributes: str = f' Format="{ns.EPPN_OID_URN}"') -> str:
    """Write a NameID with content and attributes as they are given."""
    return f"<saml:NameID{DECLARATIONS}{attributes}>{content}</saml:NameID>"


def subject(*children: str) -> str:
    """Write a Subject."""
    return f"<saml:Subject{DECLARATIONS}>{''.join(children)}</saml:Subject>"


def confirmation(method: str) -> str:
    """Write a SubjectConfirmation without data."""
    return f'<saml:SubjectConfirmation Method="{method}"/>'


def designator(name: str | None = ns.EDU_PERSON_ORCID, *values: str, name_format: str | None = ns.NAME_FORMAT_URI) -> str:
    """Write an Attribute as a query has it."""
    written = "".join(f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in values)
    return f"<saml:Attribute{_attribute('Name', name)}{_attribute('NameFormat', name_format)}>{written}</saml:Attribute>"


def issuer(entity_id: str = SP, attributes: str = "") -> str:
    """Write an Issuer."""
    return f"<saml:Issuer{attributes}>{escape(entity_id)}</saml:Issuer>"


def attribute_query(
    *children: str,
    message_id: str | None = "_query",
    version: str | None = "2.0",
    issued: str | None = instant(NOW),
    destination: str | None = None,
    attributes: str = "",
) -> str:
    """Write an AttributeQuery with these children, by default those of an ordinary one."""
    named = _attribute("ID", message_id) + _attribute("Version", version) + _attribute("IssueInstant", issued)
    content = "".join(children or ordinary())
    return (
        f"<samlp:AttributeQuery{DECLARATIONS}{named}{_attribute('Destination', destination)}{attributes}>{content}</samlp:AttributeQuery>"
    )


def ordinary(*, requester: str = SP, about: str | None = None) -> tuple[str, ...]:
    """Write the children of an ordinary query; `about` is the identifier element."""
    return issuer(requester), subject(about or name_id()), designator()


def asking(about: str, *designators: str, requester: str = SP) -> str:
    """Write an ordinary query about an identifier element, for these attributes or all."""
    return attribute_query(issuer(requester), subject(about), *designators)


def envelope(*entries: str, header: str | None = None, prefix: str = "S", soap: str = ns.SOAP11) -> bytes:
    """Write a SOAP envelope; `header` is the content of its Header."""
    head = "" if header is None else f"<{prefix}:Header>{header}</{prefix}:Header>"
    body = f"<{prefix}:Body>{''.join(entries)}</{prefix}:Body>"
    return f'<{prefix}:Envelope xmlns:{prefix}="{soap}">{head}{body}</{prefix}:Envelope>'.encode()


def renamed(document: str, protocol: str, assertion: str) -> str:
    """Write a document with other prefixes for samlp and saml."""
    for old, new in (("samlp", protocol), ("saml", assertion)):
        document = document.replace(f"<{old}:", f"<{new}:").replace(f"</{old}:", f"</{new}:").replace(f"xmlns:{old}=", f"xmlns:{new}=")
    return document


def signature_template(
    reference: str,
    *,
    signature_method: str = ns.RSA_SHA256,
    digest_method: str = ns.SHA256,
    transforms: tuple[str, ...] = (ns.ENVELOPED, ns.EXC_C14N),
    key_info: str = "",
) -> str:
    """Write a Signature that is still to be computed; a transform may be a URI or a whole Transform element."""
    steps = "".join(step if step.startswith("<") else f'<ds:Transform Algorithm="{step}"/>' for step in transforms)
    pointing = f"<ds:Transforms>{steps}</ds:Transforms>" if steps else ""
    digest = f'<ds:DigestMethod Algorithm="{digest_method}"/><ds:DigestValue/>'
    methods = f'<ds:CanonicalizationMethod Algorithm="{ns.EXC_C14N}"/><ds:SignatureMethod Algorithm="{signature_method}"/>'
    information = f"<ds:SignedInfo>{methods}<ds:Reference URI={quoteattr(reference)}>{pointing}{digest}</ds:Reference></ds:SignedInfo>"
    return f'<ds:Signature xmlns:ds="{ns.DS}">{information}<ds:SignatureValue/>{key_info}</ds:Signature>'


def signed(
    document: str,
    pair: KeyPair,
    *,
    signature_method: str = ns.RSA_SHA256,
    digest_method: str = ns.SHA256,
    transforms: tuple[str, ...] = (ns.ENVELOPED, ns.EXC_C14N),
) -> str:
    """Sign the document element as service providers do: `#ID`, the Signature right behind the Issuer, the certificate in KeyInfo."""
    root = etree.fromstring(document.encode())
    key_info = f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{pair.certificate_base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    template = signature_template(
        f"#{root.get('ID')}", signature_method=signature_method, digest_method=digest_method, transforms=transforms, key_info=key_info
    )
    root.insert(1 if root.find(_ISSUER) is not None else 0, etree.fromstring(template))
    return computed(etree.tostring(root, encoding="unicode"), xmlsec.Key.from_memory(pair.key_pem, xmlsec.constants.KeyDataFormatPem))


def computed(document: str, key: xmlsec.Key) -> str:
    """Compute the first Signature of a document, whatever it says of itself, as an attacker would."""
    root = etree.fromstring(document.encode())
    context = xmlsec.SignatureContext()
    context.key = key
    context.register_id(root, "ID")
    context.sign(next(root.iter(f"{{{ns.DS}}}Signature")))
    return etree.tostring(root, encoding="unicode")


def encrypted_id(
    plaintext: str,
    recipient: KeyPair,
    *,
    algorithm: str = ns.AES128_GCM,
    key_transport: str = ns.RSA_OAEP,
    key_beside_data: bool = False,
) -> str:
    """Encrypt `plaintext`, usually a NameID, to the recipient; the EncryptedKey stands in the KeyInfo or beside the EncryptedData."""
    key_info = f'<ds:KeyInfo xmlns:ds="{ns.DS}"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="{key_transport}"/>'
    key_info += "<xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>"
    template = etree.fromstring(
        f'<xenc:EncryptedData xmlns:xenc="{ns.XENC}" Type="{ns.XENC_ELEMENT}"><xenc:EncryptionMethod Algorithm="{algorithm}"/>'
        f"{key_info}<xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>"
    )
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(recipient.certificate_pem, xmlsec.constants.KeyDataFormatCertPem))
    context = xmlsec.EncryptionContext(manager)
    bits = int(algorithm.rpartition("aes")[2][:3])
    context.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, bits, xmlsec.constants.KeyDataTypeSession)
    data = context.encrypt_binary(template, plaintext.encode())
    written = _key_beside(data) if key_beside_data else etree.tostring(data, encoding="unicode")
    return f"<saml:EncryptedID{DECLARATIONS}>{written}</saml:EncryptedID>"


def _key_beside(data: etree._Element) -> str:
    key_info = data.find(f"{{{ns.DS}}}KeyInfo")
    assert key_info is not None
    key = key_info[0]
    key_info.remove(key)
    return etree.tostring(data, encoding="unicode") + etree.tostring(key, encoding="unicode")


def _attribute(name: str, value: str | None) -> str:
    return "" if value is None else f" {name}={quoteattr(value, {chr(13): '&#xD;'})}"
