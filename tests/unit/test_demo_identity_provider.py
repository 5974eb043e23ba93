"""The identity provider of the demo: what it accepts, what it refuses, and that its Responses are what SAML says."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import saml2
import xmlsec
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from lxml import etree
from lxml.html import fromstring as document
from werkzeug.test import Client, TestResponse

from attribute_authority.demo.identity_provider import IdentityProvider
from attribute_authority.demo.metadata import ServiceDescription, write_service_provider
from attribute_authority.demo.people import UNIVERSITY_NAMES, UNIVERSITY_PEOPLE, UNIVERSITY_SCOPE, HomeOrganisation
from attribute_authority.keys import FreshKey
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_reader import read_metadata
from tests.factories.metadata import KeyPair, rsa_pair

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
BASE = "http://localhost:20001"
SP = "http://localhost:20002/metadata"
ACS = "http://localhost:20002/saml/acs"
PREFIXES = {"saml": ns.SAML, "samlp": ns.SAMLP, "ds": ns.DS, "xenc": ns.XENC}
SCHEMAS = Path(saml2.__file__).parent / "data" / "schemas"
IMPORTS = {
    ns.XML: "xml.xsd",
    ns.DS: "xmldsig-core-schema.xsd",
    ns.XENC: "xenc-schema.xsd",
    ns.SAML: "saml-schema-assertion-2.0.xsd",
    ns.SAMLP: "saml-schema-protocol-2.0.xsd",
    ns.MD: "saml-schema-metadata-2.0.xsd",
    ns.MDUI: "sstc-saml-metadata-ui-v1.0.xsd",
}


def fresh(pair: KeyPair) -> FreshKey:
    """Return a pair of the tests as the demo has it."""
    return FreshKey(pair.key_pem, pair.certificate_pem)


@lru_cache
def schema() -> etree.XMLSchema:
    """Compile the OASIS and W3C schemas that a package of the tests brings along."""
    imports = "".join(f'<import namespace="{uri}" schemaLocation="{(SCHEMAS / file).as_uri()}"/>' for uri, file in IMPORTS.items())
    return etree.XMLSchema(etree.fromstring(f'<schema xmlns="{ns.XS}">{imports}</schema>', base_url=SCHEMAS.as_uri() + "/"))


def service_metadata(entity_id: str = SP) -> bytes:
    """Write the metadata of the service provider."""
    return write_service_provider(
        ServiceDescription(entity_id, ACS, "http://localhost:20002/sign-in", {"en": "Archive & more"}, fresh(rsa_pair("demo-sp")))
    )


def organisation() -> HomeOrganisation:
    """Make the university."""
    return HomeOrganisation(
        f"{BASE}/metadata", BASE, UNIVERSITY_NAMES, UNIVERSITY_SCOPE, UNIVERSITY_PEOPLE, fresh(rsa_pair("demo-university"))
    )


def identity_provider(*metadata: bytes) -> Client:
    """Make a client of the identity provider, for the service providers of that metadata."""
    numbers = count(1)
    return Client(IdentityProvider(organisation(), metadata or (service_metadata(),), lambda: NOW, lambda: f"_{next(numbers):032x}"))


@dataclass(frozen=True, slots=True)
class Asked:
    """An AuthnRequest that a test may bend."""

    issuer: str = SP
    destination: str = f"{BASE}/saml/sign-on"
    acs_url: str = ACS
    instant: datetime = NOW
    extra: str = ""
    content: str = ""

    def xml(self) -> bytes:
        """Write it."""
        return (
            f'<samlp:AuthnRequest xmlns:samlp="{ns.SAMLP}" xmlns:saml="{ns.SAML}" ID="_request" Version="2.0"'
            f' IssueInstant="{self.instant:%Y-%m-%dT%H:%M:%SZ}" Destination="{self.destination}"'
            f' AssertionConsumerServiceURL="{self.acs_url}"{self.extra}>'
            f"<saml:Issuer>{self.issuer}</saml:Issuer>{self.content}</samlp:AuthnRequest>"
        ).encode()


def deflated(document: bytes) -> str:
    """Return the document as HTTP-Redirect carries it."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b64encode(deflater.compress(document) + deflater.flush()).decode()


def signed_query(document: bytes, pair: KeyPair | None = None, relay_state: str | None = "here") -> str:
    """Return the query string, signed as bindings 3.4.4.1 says."""
    parameters = {"SAMLRequest": deflated(document)}
    if relay_state is not None:
        parameters["RelayState"] = relay_state
    query = urlencode({**parameters, "SigAlg": ns.RSA_SHA256})
    key = (pair or rsa_pair("demo-sp")).key
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(query.encode(), padding.PKCS1v15(), SHA256())
    return f"{query}&Signature={quote(b64encode(signature).decode(), safe='')}"


def ask(asked: Asked, pair: KeyPair | None = None) -> TestResponse:
    """Open the sign-in page with a signed request."""
    return identity_provider().get(f"/saml/sign-on?{signed_query(asked.xml(), pair)}")


def sent_form(asked: Asked, form: Mapping[str, str], *metadata: bytes) -> Any:
    """Sign in, or cancel, and return the form that goes to the service provider."""
    answer = identity_provider(*metadata).post(f"/saml/sign-on?{signed_query(asked.xml())}", data=form)

    assert 200 == answer.status_code
    page: Any = document(answer.text)
    return page.forms[0]


def response_of(form: Any) -> etree._Element:
    """Return the Response in a form, after schema and signature have been checked."""
    response = etree.fromstring(b64decode(dict(form.fields)["SAMLResponse"] or ""))
    schema().assertValid(response)
    verify(response, "demo-university")
    return response


def verify(element: etree._Element, name: str) -> None:
    """Check the signature over an element."""
    signature = element.find("ds:Signature", PREFIXES)
    assert signature is not None
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(rsa_pair(name).certificate_pem, xmlsec.constants.KeyDataFormatCertPem)
    context.register_id(element, "ID")
    context.verify(signature)


def decrypted(response: etree._Element) -> etree._Element:
    """Return the assertion that was encrypted to the service provider."""
    data = response.find("saml:EncryptedAssertion/xenc:EncryptedData", PREFIXES)
    assert data is not None
    assert ns.AES256_GCM == data.find("xenc:EncryptionMethod", PREFIXES).get("Algorithm")  # type: ignore[union-attr] # the schema has it
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(rsa_pair("demo-sp").key_pem, xmlsec.constants.KeyDataFormatPem))
    assertion = xmlsec.EncryptionContext(manager).decrypt(data)
    assert isinstance(assertion, etree._Element)
    schema().assertValid(etree.fromstring(etree.tostring(assertion)))
    return assertion


def attributes_of(assertion: etree._Element) -> dict[str, list[str | None]]:
    """Return the values of each attribute, by FriendlyName."""
    found = assertion.iterfind("saml:AttributeStatement/saml:Attribute", PREFIXES)
    return {attribute.get("FriendlyName", ""): [value.text for value in attribute] for attribute in found}


def codes_of(response: etree._Element) -> list[str]:
    """Return the ends of the status codes, from the top one inwards."""
    return [code.get("Value", "").rpartition(":")[2] for code in response.iter(f"{{{ns.SAMLP}}}StatusCode")]


def test_a_person_is_signed_in_with_an_encrypted_assertion() -> None:
    """The Response is signed, answers the request at its ACS, and holds the person's identifiers, encrypted."""
    form = sent_form(Asked(), {"person": "aino"})
    response = response_of(form)
    assertion = decrypted(response)
    attributes = attributes_of(assertion)

    assert (ACS, "here") == (form.action, dict(form.fields)["RelayState"])
    assert (ACS, "_request") == (response.get("Destination"), response.get("InResponseTo"))
    assert ["aino@uni.example"] == attributes["subject-id"] == attributes["eduPersonPrincipalName"]
    assert ["Aino Virtanen"] == attributes["displayName"]
    assert [SP] == [audience.text for audience in assertion.iter(f"{{{ns.SAML}}}Audience")]


def test_without_an_encryption_key_the_assertion_is_plain() -> None:
    """What cannot be encrypted is sent under the signature of the Response."""
    metadata = etree.fromstring(service_metadata())
    role = metadata[0]
    role.remove(role.findall("{*}KeyDescriptor")[1])
    response = response_of(sent_form(Asked(), {"person": "aino"}, etree.tostring(metadata)))

    assert response.find("saml:Assertion", PREFIXES) is not None


def test_an_assertion_is_signed_where_the_service_provider_wants_it() -> None:
    """WantAssertionsSigned is honoured, and the signature survives the encryption."""
    metadata = service_metadata().replace(b"AuthnRequestsSigned=", b'WantAssertionsSigned="true" AuthnRequestsSigned=')
    assertion = decrypted(response_of(sent_form(Asked(), {"person": "aino"}, metadata)))

    verify(etree.fromstring(etree.tostring(assertion)), "demo-university")


def test_the_persistent_name_id_is_of_one_service_provider() -> None:
    """The same person has the same value there each time, and another one elsewhere; it is qualified by both entities."""
    other = "http://localhost:20003/metadata"
    metadata = (service_metadata(), service_metadata(other))
    asked = (Asked(), Asked(), Asked(issuer=other))
    name_ids = [
        decrypted(response_of(sent_form(one, {"person": "aino"}, *metadata))).find("saml:Subject/saml:NameID", PREFIXES) for one in asked
    ]
    values = [None if name_id is None else name_id.text for name_id in name_ids]
    first = name_ids[0]

    assert first is not None
    assert (ns.NAMEID_PERSISTENT, f"{BASE}/metadata", SP) == (
        first.get("Format"),
        first.get("NameQualifier"),
        first.get("SPNameQualifier"),
    )
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("dana", {"eduPersonOrcid": ["https://sandbox.orcid.org/0000-0000-1000-0056"]}),
        ("eero", {"subject-id": ["eero@other.example"]}),
        ("fanny", {}),
    ],
)
def test_special_people_are_as_their_notes_say(login: str, expected: Mapping[str, list[str]]) -> None:
    """One with an iD already, one with another organisation's scope, one without any identifier."""
    assertion = decrypted(response_of(sent_form(Asked(), {"person": login})))
    attributes = attributes_of(assertion)

    assert expected.items() <= attributes.items()
    assert (login == "fanny") == ("subject-id" not in attributes)


@pytest.mark.parametrize(
    ("asked", "form", "codes"),
    [
        (Asked(), {"cancel": "yes"}, ["Responder", "AuthnFailed"]),
        (Asked(extra=' IsPassive="true"'), {"person": "aino"}, ["Responder", "NoPassive"]),
        (
            Asked(content=f'<samlp:NameIDPolicy Format="{ns.NAMEID_EMAIL_ADDRESS}"/>'),
            {"person": "aino"},
            ["Requester", "InvalidNameIDPolicy"],
        ),
    ],
)
def test_whoever_is_not_signed_in_is_told_so_under_signature(asked: Asked, form: Mapping[str, str], codes: list[str]) -> None:
    """A person who cancels, a passive request and an unknown format of NameID end in a signed Response without assertion."""
    response = response_of(sent_form(asked, form))

    assert codes == codes_of(response)
    assert response.find("saml:EncryptedAssertion", PREFIXES) is None


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (Asked(issuer="https://stranger.example/sp"), "not a service provider of this federation"),
        (Asked(destination="http://localhost:20009/saml/sign-on"), "the Destination is"),
        (Asked(acs_url="https://evil.example/acs"), "not a registered AssertionConsumerService"),
        (Asked(instant=NOW - timedelta(hours=1)), "not fresh"),
        (Asked(extra=' ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:PAOS"'), "only HTTP-POST"),
        (Asked(issuer=f"{SP}<!---->x"), "must hold text alone"),
    ],
)
def test_unacceptable_requests_are_refused_on_a_page(asked: Asked, complaint: str) -> None:
    """Nothing is sent anywhere for a request that is not of a known service provider, for us, and in time."""
    answer = ask(asked)

    assert 400 == answer.status_code
    assert complaint in unescape(answer.text)


def test_a_request_signed_by_somebody_else_is_refused() -> None:
    """The key must be one of the issuer's metadata."""
    answer = ask(Asked(), rsa_pair("stranger"))

    assert 400 == answer.status_code
    assert "the signature is not of the service provider" in answer.text


def test_an_unsigned_request_is_refused_where_metadata_says_that_all_are_signed() -> None:
    """Leaving out the signature does not help."""
    answer = identity_provider().get("/saml/sign-on", query_string={"SAMLRequest": deflated(Asked().xml())})

    assert 400 == answer.status_code
    assert "is not signed" in answer.text


def test_a_changed_relay_state_breaks_the_signature() -> None:
    """The signature of the redirect covers the RelayState."""
    query = signed_query(Asked().xml()).replace("RelayState=here", "RelayState=there")

    assert 400 == identity_provider().get(f"/saml/sign-on?{query}").status_code


@pytest.mark.parametrize(
    "document",
    [b"", b"not XML", b"<a/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a>" + b" " * 100_000 + b"</a>"],
)
def test_what_is_no_request_is_refused(document: bytes) -> None:
    """Neither strange documents nor a deflated bomb get past the first look."""
    answer = identity_provider().get("/saml/sign-on", query_string={"SAMLRequest": deflated(document)})

    assert 400 == answer.status_code


@pytest.mark.parametrize("query", ["", "SAMLRequest=%%%", "SAMLRequest=YWJj", "SAMLRequest=a&SAMLRequest=b"])
def test_addresses_without_a_readable_request_are_refused(query: str) -> None:
    """No request, no base64, not deflated, and twice the same parameter."""
    assert 400 == identity_provider().get(f"/saml/sign-on?{query}").status_code


def test_the_metadata_is_what_the_authority_reads() -> None:
    """Our own reader finds the scope, the name, the key and the address of the sign-in page."""
    document = identity_provider().get("/metadata").data
    schema().assertValid(etree.fromstring(document))
    told: list[str] = []
    entity = next(read_metadata(document, None, NOW, told.append).entities())

    assert [] == told
    assert (f"{BASE}/saml/sign-on", (rsa_pair("demo-university").public_key,)) == (entity.sign_on_url, entity.asserting_keys)
    assert entity.may_use_scope("uni.example")
    assert "Exempeluniversitetet" == entity.name("sv")


def test_unknown_people_and_addresses_are_not_found() -> None:
    """Neither a person who is not there nor a page that is not there."""
    client = identity_provider()
    query = signed_query(Asked().xml())

    assert 404 == client.post(f"/saml/sign-on?{query}", data={"person": "nobody"}).status_code
    assert 400 == client.post(f"/saml/sign-on?{query}").status_code
    assert 404 == client.get("/static/../identity_provider.py").status_code
    assert 405 == client.post("/metadata").status_code
