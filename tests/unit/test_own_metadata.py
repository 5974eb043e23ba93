"""Our own metadata: valid against the schemas, readable by another implementation, and saying what clients act on."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import saml2
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from saml2.attribute_converter import ac_factory
from saml2.mdstore import InMemoryMetaData

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.own_metadata import Contact, Logo, Organisation, OwnDescription, write_own_metadata
from attribute_authority.saml.own_sign_in_role import SignInRole
from tests.factories.metadata import KeyPair, ec_pair, rsa_pair

SCHEMAS = Path(saml2.__file__).parent / "data" / "schemas"
# Each schema after those that it imports: a namespace that is already there is not fetched from the address in the file.
IMPORTS = {
    ns.XML: "xml.xsd",
    ns.DS: "xmldsig-core-schema.xsd",
    ns.XENC: "xenc-schema.xsd",
    ns.SAML: "saml-schema-assertion-2.0.xsd",
    ns.MD: "saml-schema-metadata-2.0.xsd",
    ns.MDATTR: "sstc-metadata-attr.xsd",
    ns.MDUI: "sstc-saml-metadata-ui-v1.0.xsd",
    ns.ALG: "sstc-saml-metadata-algsupport-v1.0.xsd",
}
PREFIXES = {"md": ns.MD, "mdui": ns.MDUI, "alg": ns.ALG, "saml": ns.SAML, "ds": ns.DS, "mdattr": ns.MDATTR, "idpdisc": ns.IDPDISC}
ENTITY_ID = "https://aa.example.org/orcid"
QUERY_URL = "https://aa.example.org/saml/attribute-query"
ACS = "https://aa.example.org/saml/acs"
DISCOVERY_RETURN = "https://aa.example.org/saml/discovered"


@lru_cache
def schema() -> etree.XMLSchema:
    """Compile the OASIS and W3C schemas that a package of the tests brings along."""
    imports = "".join(f'<import namespace="{uri}" schemaLocation="{(SCHEMAS / file).as_uri()}"/>' for uri, file in IMPORTS.items())
    return etree.XMLSchema(etree.fromstring(f'<schema xmlns="{ns.XS}">{imports}</schema>', base_url=SCHEMAS.as_uri() + "/"))


def full_description() -> OwnDescription:
    """A description that uses every part."""
    return OwnDescription(
        entity_id=ENTITY_ID,
        attribute_query_url=QUERY_URL,
        signing_certificates=(rsa_pair("one").certificate_pem, ec_pair("two").certificate_pem),
        tls_certificate=ec_pair("tls").certificate_pem,
        encryption_certificates=(rsa_pair("encryption").certificate_pem,),
        display_names={"en": "ORCID iDs & more", "fi": "ORCID-tunnisteet"},
        descriptions={"en": "Tells service providers the ORCID iD <of researchers>"},
        information_urls={"en": "https://aa.example.org/?a=1&b=2"},
        privacy_statement_urls={"en": "https://aa.example.org/privacy", "sv": "https://aa.example.org/integritet"},
        logo=Logo("https://aa.example.org/logo.png", 80, 60),
        organisation=Organisation({"en": "Example", "fi": "Esimerkki"}, {"en": "https://example.org"}, {"en": "Example Ltd"}),
        contacts=(Contact("technical", "tech@example.org", "Terttu", "Tekijä"), Contact("support", "mailto:help@example.org")),
        companion=SignInRole(ACS, DISCOVERY_RETURN, (rsa_pair("companion").certificate_pem,)),
    )


def small_description() -> OwnDescription:
    """A description with what must be there and nothing else."""
    return OwnDescription(ENTITY_ID, QUERY_URL, (rsa_pair("one").certificate_pem,))


def small_companion() -> OwnDescription:
    """A description with a companion page that has no key to decrypt with."""
    return replace(small_description(), companion=SignInRole(ACS, DISCOVERY_RETURN))


def find(document: bytes, path: str) -> list[etree._Element]:
    """Return the elements at `path` below the AttributeAuthorityDescriptor."""
    return etree.fromstring(document).findall(f"md:AttributeAuthorityDescriptor/{path}", PREFIXES)


def find_in_companion(document: bytes, path: str) -> list[etree._Element]:
    """Return the elements at `path` below the SPSSODescriptor."""
    return etree.fromstring(document).findall(f"md:SPSSODescriptor/{path}", PREFIXES)


def texts(root: etree._Element, path: str) -> Iterator[str | None]:
    """Yield the texts of the elements at `path`."""
    return (element.text for element in root.findall(path, PREFIXES))


def der(pair: KeyPair) -> bytes:
    """Return the pair's certificate in DER."""
    return pair.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize("describe", [full_description, small_description, small_companion])
def test_document_is_valid_against_the_schemas(describe: Callable[[], OwnDescription]) -> None:
    """The metadata, extensions included, is valid against the OASIS schemas."""
    schema().assertValid(etree.fromstring(write_own_metadata(describe())))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"<md:NameIDFormat>", b"<md:AttributeProfile>urn:x</md:AttributeProfile><md:NameIDFormat>"),
        (b"mdui:PrivacyStatementURL", b"mdui:PrivacyURL"),
        (b"<alg:DigestMethod Algorithm=", b"<alg:DigestMethod algorithm="),
        (b' height="60"', b""),
        (b'contactType="technical"', b'contactType="operator"'),
        (b'use="signing"', b'use="sign"'),
        (b"<md:AssertionConsumerService ", b"<md:AssertionService "),
    ],
    ids=[
        "order",
        "unknown element of mdui",
        "attribute of alg",
        "logo without height",
        "kind of contact",
        "use of key",
        "unknown element of md",
    ],
)
def test_schemas_reject_a_broken_document(right: bytes, wrong: bytes) -> None:
    """The check against the schemas is a real one: it finds faults in every part, extensions included."""
    document = write_own_metadata(full_description())
    broken = document.replace(right, wrong)

    assert document != broken
    assert not schema().validate(etree.fromstring(broken))


def test_pysaml2_finds_the_attribute_service_and_the_keys() -> None:
    """Another implementation reads the endpoint and the signing certificates out of the document."""
    store = InMemoryMetaData(ac_factory(), write_own_metadata(small_description()).decode())
    store.load()
    services = store.service(ENTITY_ID, "attribute_authority_descriptor", "attribute_service", ns.BINDING_SOAP)
    certificates = [b64decode(text) for _, text in store.certs(ENTITY_ID, "attribute_authority", "signing")]

    assert [QUERY_URL] == [service["location"] for service in services]
    assert [der(rsa_pair("one"))] == certificates


def test_signing_keys_never_invite_encryption() -> None:
    """Every key is published with use, and none for encryption unless one is configured."""
    uses = [key.get("use") for key in find(write_own_metadata(replace(full_description(), encryption_certificates=())), "md:KeyDescriptor")]

    assert ["signing", "signing", "signing"] == uses


def test_encryption_key_names_authenticated_algorithms() -> None:
    """A key for encryption asks for AES-GCM with RSA-OAEP: without a wish Shibboleth falls back to AES-CBC."""
    methods = find(write_own_metadata(full_description()), "md:KeyDescriptor[@use='encryption']/md:EncryptionMethod")

    assert [ns.AES128_GCM, ns.AES256_GCM, ns.RSA_OAEP] == [method.get("Algorithm") for method in methods]


def test_algorithms_stand_in_the_role() -> None:
    """SHA-256 leads the algorithms of the role's Extensions, which is where Shibboleth looks for them."""
    document = write_own_metadata(small_description())
    digests, signatures = (find(document, f"md:Extensions/alg:{name}") for name in ("DigestMethod", "SigningMethod"))

    assert ns.SHA256 == digests[0].get("Algorithm")
    assert [ns.RSA_SHA256, ns.ECDSA_SHA256] == [method.get("Algorithm") for method in signatures[:2]]
    assert not any("sha1" in (method.get("Algorithm") or "") for method in (*digests, *signatures))


def test_key_that_also_serves_tls_stands_once() -> None:
    """One certificate for signing and TLS is one KeyDescriptor, in PEM or DER alike."""
    pair = rsa_pair("one")
    description = replace(small_description(), tls_certificate=der(pair))

    assert 1 == len(find(write_own_metadata(description), "md:KeyDescriptor"))


def test_attribute_and_formats_are_announced() -> None:
    """The role announces eduPersonOrcid and the identifiers that it can be asked with."""
    document = write_own_metadata(small_description())
    formats = {element.text for element in find(document, "md:NameIDFormat")}
    (attribute,) = find(document, "saml:Attribute")

    assert {ns.NAMEID_PERSISTENT, ns.NAMEID_UNSPECIFIED_11, ns.EPPN_OID_URN, ns.SUBJECT_ID, ns.PAIRWISE_ID} <= formats
    assert (ns.EDU_PERSON_ORCID, ns.NAME_FORMAT_URI) == (attribute.get("Name"), attribute.get("NameFormat"))


def test_contact_addresses_are_mailto_urls() -> None:
    """An address is written as a mailto URL whether or not it was given as one."""
    root = etree.fromstring(write_own_metadata(full_description()))

    assert ["mailto:tech@example.org", "mailto:help@example.org"] == list(texts(root, "md:ContactPerson/md:EmailAddress"))


def test_same_description_gives_the_same_bytes() -> None:
    """Nothing in the document depends on when it is written."""
    assert write_own_metadata(full_description()) == write_own_metadata(full_description())


@pytest.mark.parametrize("certificate", [b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", b"no"], ids=["PEM", "DER"])
def test_unreadable_certificate_is_the_operators_fault(certificate: bytes) -> None:
    """A certificate that cannot be read is reported as such."""
    with pytest.raises(OperatorError, match="certificate of our own cannot be read"):
        write_own_metadata(replace(small_description(), signing_certificates=(certificate,)))


def test_text_that_xml_cannot_carry_is_the_operators_fault() -> None:
    """A control character in a text is reported, not a traceback."""
    with pytest.raises(OperatorError, match="cannot be written"):
        write_own_metadata(replace(small_description(), display_names={"en": "bell \x07"}))


def test_authority_without_companion_is_no_service_provider() -> None:
    """Where nobody signs in there is no role for it, and nothing is asked of identity providers."""
    root = etree.fromstring(write_own_metadata(small_description()))

    assert ["AttributeAuthorityDescriptor"] == [etree.QName(child).localname for child in root]


def test_pysaml2_finds_where_people_are_sent_back_to() -> None:
    """Another implementation reads the assertion consumer service and the key to encrypt to."""
    store = InMemoryMetaData(ac_factory(), write_own_metadata(full_description()).decode())
    store.load()
    services = store.service(ENTITY_ID, "spsso_descriptor", "assertion_consumer_service", ns.BINDING_HTTP_POST)
    certificates = [b64decode(text) for _, text in store.certs(ENTITY_ID, "spsso", "encryption")]

    assert [(ACS, "0", "true")] == [(service["location"], service["index"], service["is_default"]) for service in services]
    assert [der(rsa_pair("companion"))] == certificates


def test_wish_for_subject_identifiers_is_of_the_entity() -> None:
    """Either of subject-id and pairwise-id is asked for, in the Extensions of the entity (Subject Identifier Attributes 3.5)."""
    root = etree.fromstring(write_own_metadata(small_companion()))
    (attribute,) = root.findall("md:Extensions/mdattr:EntityAttributes/saml:Attribute", PREFIXES)

    assert (ns.SUBJECT_ID_REQUIREMENT, ns.NAME_FORMAT_URI) == (attribute.get("Name"), attribute.get("NameFormat"))
    assert ["any"] == [value.text for value in attribute]


def test_discovery_service_finds_the_return_address() -> None:
    """A discovery service sends people only to an address that metadata names (discovery 2.5)."""
    (answer,) = find_in_companion(write_own_metadata(small_companion()), "md:Extensions/idpdisc:DiscoveryResponse")

    assert {"Binding": ns.IDPDISC, "Location": DISCOVERY_RETURN, "index": "0"} == dict(answer.items())


def test_companion_asks_for_every_identifier_and_requires_none() -> None:
    """Identifiers, name and iD are asked for, none is required: an identity provider sends what it has."""
    document = write_own_metadata(small_companion())
    requested = find_in_companion(document, "md:AttributeConsumingService/md:RequestedAttribute")

    assert {"false"} == {attribute.get("isRequired") for attribute in requested}
    assert {
        ns.SUBJECT_ID,
        ns.PAIRWISE_ID,
        ns.EPPN_OID_URN,
        ns.UNIQUE_ID_OID_URN,
        ns.TARGETED_ID_OID_URN,
        ns.DISPLAY_NAME,
        ns.EDU_PERSON_ORCID,
    } == {attribute.get("Name") for attribute in requested}
    assert [ns.NAMEID_PERSISTENT] == [element.text for element in find_in_companion(document, "md:NameIDFormat")]


def test_companion_asks_for_authenticated_encryption() -> None:
    """What identity providers encrypt to us is to be AES-GCM with RSA-OAEP, and to the companion's own key."""
    methods = find_in_companion(write_own_metadata(full_description()), "md:KeyDescriptor[@use='encryption']/md:EncryptionMethod")

    assert [ns.AES128_GCM, ns.AES256_GCM, ns.RSA_OAEP] == [method.get("Algorithm") for method in methods]


@pytest.mark.parametrize(("pair", "announced"), [(rsa_pair("one"), "true"), (ec_pair("two"), None)], ids=["RSA", "EC"])
def test_requests_are_announced_as_signed_where_they_are(pair: KeyPair, announced: str | None) -> None:
    """AuthnRequestsSigned stands for keys that requests are signed with."""
    description = replace(small_companion(), signing_certificates=(pair.certificate_pem,))
    (role,) = etree.fromstring(write_own_metadata(description)).findall("md:SPSSODescriptor", PREFIXES)

    assert announced == role.get("AuthnRequestsSigned")
    assert role.get("WantAssertionsSigned") is None


def test_companion_is_named_as_the_authority_is() -> None:
    """Name, logo and privacy notice stand in the role that people see on the pages of their home organisation."""
    document = write_own_metadata(full_description())

    assert ["ORCID iDs & more", "ORCID-tunnisteet"] == [
        element.text for element in find_in_companion(document, "md:Extensions/mdui:UIInfo/mdui:DisplayName")
    ]
    assert 1 == len(find_in_companion(document, "md:Extensions/mdui:UIInfo/mdui:Logo"))
    assert ["https://aa.example.org/orcid"] == [
        element.text for element in find_in_companion(write_own_metadata(small_companion()), "md:AttributeConsumingService/md:ServiceName")
    ]
