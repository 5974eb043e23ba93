"""Signed AttributeQueries as pysaml2 writes them, prefixes and all: the one form that every peer can verify."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

import xmlsec
from lxml import etree

from tests.bench.population import PEOPLE, eppn_of, orcid_of
from tests.peers.lab import Member, NameId, eppn

SUCCESS = b"urn:oasis:names:tc:SAML:2.0:status:Success"
"""What every answer holds that has nothing to release, too."""

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_MESSAGE = """<ns0:AttributeQuery xmlns:ns0="urn:oasis:names:tc:SAML:2.0:protocol" \
xmlns:ns1="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:ns2="http://www.w3.org/2000/09/xmldsig#" \
ID="{message_id}" Version="2.0" IssueInstant="{instant}">\
<ns1:Issuer Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity">{issuer}</ns1:Issuer>\
<ns2:Signature><ns2:SignedInfo><ns2:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>\
<ns2:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><ns2:Reference URI="#{message_id}">\
<ns2:Transforms><ns2:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>\
<ns2:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ns2:Transforms>\
<ns2:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ns2:DigestValue/></ns2:Reference></ns2:SignedInfo>\
<ns2:SignatureValue/><ns2:KeyInfo><ns2:X509Data><ns2:X509Certificate>{certificate}</ns2:X509Certificate></ns2:X509Data></ns2:KeyInfo>\
</ns2:Signature>\
<ns1:Subject><ns1:NameID{qualifiers} Format="{format}">{value}</ns1:NameID></ns1:Subject>\
<ns1:Attribute Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.16" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri" \
FriendlyName="eduPersonOrcid"/></ns0:AttributeQuery>"""


@dataclass(frozen=True, slots=True)
class Query:
    """A body to send, and the text that the answer must hold.

    `target` is where it goes, if not to where the server takes SOAP; what has no body is sent by GET. `headers` say what else is sent.
    """

    body: bytes
    expected: bytes
    target: str = ""
    headers: str = "Content-Type: text/xml\r\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask about, and the text that the answer must hold."""

    name_id: NameId
    expected: bytes


Sign = Callable[[Iterable[Asked]], list[Query]]


def make_signer(member: Member) -> Sign:
    """Return a function that signs fresh queries of `member`."""
    key = xmlsec.Key.from_file(str(member.keys.key), xmlsec.constants.KeyDataFormatPem)
    certificate = "".join(member.keys.certificate.read_text().splitlines()[1:-1])

    def sign(asked: Iterable[Asked]) -> list[Query]:
        return [_sign_one(key, certificate, member.entity_id, one) for one in asked]

    return sign


def anybody(random: Random, count: int) -> list[Asked]:
    """Return so many people of the population, each by their ePPN."""
    return [Asked(eppn(eppn_of(person)), uri_of(person)) for person in random.choices(range(1, PEOPLE + 1), k=count)]


def uri_of(person: int) -> bytes:
    """Return the iD of a person as it is released."""
    return f"https://orcid.org/{orcid_of(person)}".encode()


def _sign_one(key: xmlsec.Key, certificate: str, issuer: str, asked: Asked) -> Query:
    instant = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = {"message_id": f"id-{secrets.token_hex(16)}", "instant": instant, "issuer": issuer, "certificate": certificate}
    name_id = {"qualifiers": _qualifiers(asked.name_id), "format": asked.name_id.format, "value": asked.name_id.value}
    message = etree.fromstring(_MESSAGE.format(**names, **name_id))
    context = xmlsec.SignatureContext()
    context.key = key
    context.register_id(message, "ID")
    context.sign(message[1])
    head = f'<ns0:Envelope xmlns:ns0="{_SOAP}"><ns0:Body>'.encode()
    return Query(head + etree.tostring(message) + b"</ns0:Body></ns0:Envelope>", asked.expected)


def _qualifiers(name_id: NameId) -> str:
    named = {"NameQualifier": name_id.name_qualifier, "SPNameQualifier": name_id.sp_name_qualifier}
    return "".join(f' {name}="{value}"' for name, value in named.items() if value is not None)
