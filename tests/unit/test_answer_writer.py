"""Answers as others read them: every shape is valid by schema, verified by two implementations, and exact to the last character."""

import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import saml2
import xmlsec
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.query import Answer, NameId
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.answer import AnswerWriter, Status
from attribute_authority.saml.soap import wrap, write_fault
from tests.factories.doors import AUTHORITY, PATHS, counted, signer_of
from tests.factories.metadata import KeyPair, ec_pair, rsa_pair
from tests.factories.queries import NOW, SP
from tests.peers import require

SCHEMAS = Path(saml2.__file__).parent / "data" / "schemas"
# Each schema after those that it imports: a namespace that is already there is not fetched from the address in the file.
IMPORTS = {
    ns.XML: "xml.xsd",
    ns.DS: "xmldsig-core-schema.xsd",
    ns.XENC: "xenc-schema.xsd",
    ns.SAML: "saml-schema-assertion-2.0.xsd",
    ns.SAMLP: "saml-schema-protocol-2.0.xsd",
}
AWKWARD = "& < > \" ' &amp; ]]> <!-- é 😀 \u2028 \ufffd \r \n \r\n \t \u0085 \u00a0 a\u0301 \ufeff"
VALUE = "https://orcid.org/0000-0002-1825-0097"
PAIRS: dict[str, Callable[[], KeyPair]] = {"RSA": lambda: rsa_pair("authority"), "ECDSA": lambda: ec_pair("authority")}
LEGAL = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n\r\x7f\x85"), max_size=60
)


@lru_cache
def schema() -> etree.XMLSchema:
    """Compile the OASIS and W3C schemas that a package of the tests brings along."""
    imports = "".join(f'<import namespace="{uri}" schemaLocation="{(SCHEMAS / file).as_uri()}"/>' for uri, file in IMPORTS.items())
    return etree.XMLSchema(etree.fromstring(f'<schema xmlns="{ns.XS}">{imports}</schema>', base_url=SCHEMAS.as_uri() + "/"))


def writer(pair: KeyPair, entity_id: str = AUTHORITY) -> AnswerWriter:
    """Make a writer with counted ids."""
    return AnswerWriter(entity_id, signer_of(pair), counted("_"))


def answer(name_id: NameId | None = None, *values: str, requester: str = SP, in_response_to: str = "_query") -> Answer:
    """Make an answer."""
    return Answer(in_response_to, EntityId(requester), name_id or NameId("josiah@uni.example"), values)


def awkward_name_id() -> NameId:
    """A NameID with every awkward character in every part."""
    return NameId(AWKWARD, f"urn:{AWKWARD}", f"nq {AWKWARD}", f"spnq {AWKWARD}", f"spid {AWKWARD}")


def shapes(pair: KeyPair) -> dict[str, bytes]:
    """Write every shape of answer, in its envelope."""
    ordinary, awkward = writer(pair), writer(pair, f"urn:{AWKWARD}")
    released = answer(awkward_name_id(), VALUE, f"{VALUE}/{AWKWARD}", requester=f"urn:{AWKWARD}")
    return {
        name: wrap(text)
        for name, text in {
            "released": ordinary.write_answer(answer(None, VALUE), NOW, recipient=None, bare_assertion=True),
            "recipient": ordinary.write_answer(answer(None, VALUE), NOW, recipient=SP, bare_assertion=True),
            "nothing to release": ordinary.write_answer(answer(), NOW, recipient=None, bare_assertion=True),
            "no assertion": ordinary.write_answer(answer(), NOW, recipient=None, bare_assertion=False),
            "error": ordinary.write_error("_query", Status(ns.STATUS_REQUESTER, ns.STATUS_REQUEST_DENIED, "No."), NOW),
            "error to nobody": ordinary.write_error(None, Status(ns.STATUS_RESPONDER), NOW),
            "awkward": awkward.write_answer(released, NOW, recipient=f"urn:{AWKWARD}", bare_assertion=True),
            "awkward error": awkward.write_error("_é", Status(ns.STATUS_REQUESTER, None, AWKWARD), NOW),
        }.items()
    }


NAMES = list(shapes(rsa_pair("authority")))


def entry_of(envelope: bytes) -> etree._Element:
    """Return what is in the Body."""
    (body,) = etree.fromstring(envelope).findall("S:Body", PATHS)
    return body[0]


def verified_elements(entry: etree._Element, pair: KeyPair) -> list[str]:
    """Verify every signature with python-xmlsec and return the names of what they cover."""
    names = []
    for signature in entry.iter(f"{{{ns.DS}}}Signature"):
        signed = signature.getparent()
        assert signed is not None
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(pair.certificate_pem, xmlsec.constants.KeyDataFormatCertPem)
        context.register_id(signed, "ID")
        context.verify(signature)
        names.append(etree.QName(signed).localname)
    return names


@pytest.mark.parametrize("kind", list(PAIRS))
@pytest.mark.parametrize("shape", NAMES)
def test_verifies_with_python_xmlsec(shape: str, kind: str) -> None:
    """Response and Assertion are both signed, and errors too."""
    entry = entry_of(shapes(PAIRS[kind]())[shape])
    expected = ["Response", "Assertion"] if entry.find("saml:Assertion", PATHS) is not None else ["Response"]

    assert expected == verified_elements(entry, PAIRS[kind]())


@pytest.mark.parametrize("kind", list(PAIRS))
@pytest.mark.parametrize("shape", NAMES)
def test_verifies_with_the_xmlsec1_program(shape: str, kind: str, tmp_path: Path) -> None:
    """So says a program of its own, over the octets as they go out."""
    program = require("xmlsec1", "xmlsec1")
    pair, envelope = PAIRS[kind](), shapes(PAIRS[kind]())[shape]
    message, certificate = tmp_path / "message.xml", tmp_path / "certificate.pem"
    message.write_bytes(envelope)
    certificate.write_bytes(pair.certificate_pem)
    ids = ("--id-attr:ID", f"{ns.SAMLP}:Response", "--id-attr:ID", f"{ns.SAML}:Assertion")

    for signature in etree.fromstring(envelope).iter(f"{{{ns.DS}}}Signature"):
        parent = signature.getparent()
        assert parent is not None
        where = f"//*[@ID='{parent.get('ID')}']/*[local-name()='Signature']"
        command: list[str | Path] = [program, "--verify", "--pubkey-cert-pem", certificate, *ids, "--node-xpath", where, message]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", list(PAIRS))
@pytest.mark.parametrize("shape", [name for name in NAMES if not name.startswith("awkward")])
def test_valid_by_schema(shape: str, kind: str) -> None:
    """Every shape is valid against the OASIS schemas; the awkward ones break only what is said to be a URI."""
    schema().assertValid(etree.fromstring(etree.tostring(entry_of(shapes(PAIRS[kind]())[shape]))))


@pytest.mark.parametrize("shape", NAMES)
def test_octets_are_canonical(shape: str) -> None:
    """What goes out is, letter for letter, the exclusive canonical form that the signatures cover."""
    envelope = shapes(rsa_pair("authority"))[shape]
    canonical = etree.tostring(entry_of(envelope), method="c14n", exclusive=True)

    assert canonical in envelope


@pytest.mark.parametrize("kind", list(PAIRS))
def test_changed_answer_does_not_verify(kind: str) -> None:
    """The verification of these tests can fail: a changed letter, or another key, is noticed."""
    envelope = shapes(PAIRS[kind]())["released"]

    with pytest.raises(xmlsec.Error):
        verified_elements(entry_of(envelope.replace(b"josiah", b"jonah")), PAIRS[kind]())
    with pytest.raises(xmlsec.Error):
        verified_elements(entry_of(envelope), rsa_pair("stranger") if kind == "RSA" else ec_pair("stranger"))


def test_awkward_characters_arrive() -> None:
    """Every part of the NameID, the names of both sides, and the values read back as they were given."""
    entry = entry_of(shapes(rsa_pair("authority"))["awkward"])
    (element,) = entry.findall("saml:Assertion/saml:Subject/saml:NameID", PATHS)
    given_name_id = awkward_name_id()

    assert given_name_id == NameId(str(element.text), *map(element.get, ("Format", "NameQualifier", "SPNameQualifier", "SPProvidedID")))
    assert [f"urn:{AWKWARD}"] * 3 == [
        entry.findtext(path, namespaces=PATHS)
        for path in ("saml:Issuer", "saml:Assertion/saml:Issuer", "saml:Assertion/saml:Conditions/saml:AudienceRestriction/saml:Audience")
    ]
    assert [VALUE, f"{VALUE}/{AWKWARD}"] == [value.text for value in entry.iter(f"{{{ns.SAML}}}AttributeValue")]


@given(LEGAL, st.tuples(*[st.none() | LEGAL] * 4))
def test_any_legal_text_round_trips(value: str, qualifiers: tuple[str | None, ...]) -> None:
    """Any text that XML can hold comes back exactly, absent parts stay absent, and both signatures verify."""
    name_id = NameId(value, *qualifiers)
    pair = rsa_pair("authority")
    entry = entry_of(wrap(writer(pair).write_answer(answer(name_id, VALUE), NOW, recipient=None, bare_assertion=True)))
    (element,) = entry.findall("saml:Assertion/saml:Subject/saml:NameID", PATHS)

    assert name_id == NameId(element.text or "", *map(element.get, ("Format", "NameQualifier", "SPNameQualifier", "SPProvidedID")))
    assert ["Response", "Assertion"] == verified_elements(entry, pair)


def test_what_an_assertion_says() -> None:
    """Subject, sender-vouches confirmation, a window around now, the requester as audience, and the one attribute."""
    (assertion,) = entry_of(shapes(rsa_pair("authority"))["released"]).findall("saml:Assertion", PATHS)
    names = [etree.QName(child).localname for child in assertion]
    (confirmation,) = assertion.findall("saml:Subject/saml:SubjectConfirmation", PATHS)
    (conditions,) = assertion.findall("saml:Conditions", PATHS)
    (attribute,) = assertion.findall("saml:AttributeStatement/saml:Attribute", PATHS)
    (value,) = attribute

    assert names == ["Issuer", "Signature", "Subject", "Conditions", "AttributeStatement"]
    assert ns.CM_SENDER_VOUCHES == confirmation.get("Method")
    assert [("InResponseTo", "_query"), ("NotOnOrAfter", "2026-03-01T12:05:00Z")] == confirmation[0].items()
    assert [("NotBefore", "2026-03-01T11:57:00Z"), ("NotOnOrAfter", "2026-03-01T12:05:00Z")] == conditions.items()
    assert (ns.EDU_PERSON_ORCID, ns.NAME_FORMAT_URI, "eduPersonOrcid") == tuple(map(attribute.get, ("Name", "NameFormat", "FriendlyName")))
    assert (VALUE, "xs:string", ns.XS) == (value.text, value.get(f"{{{ns.XSI}}}type"), value.nsmap["xs"])


def test_nothing_to_release_has_no_statement() -> None:
    """The assertion without values echoes the Subject and says nothing else; there is no empty statement."""
    (assertion,) = entry_of(shapes(rsa_pair("authority"))["nothing to release"]).findall("saml:Assertion", PATHS)

    assert ["Issuer", "Signature", "Subject", "Conditions"] == [etree.QName(child).localname for child in assertion]


def test_error_to_nobody() -> None:
    """Where the ID of the request is unknown, InResponseTo is absent (core 3.2.2)."""
    response = entry_of(shapes(rsa_pair("authority"))["error to nobody"])

    assert response.get("InResponseTo") is None
    assert response.get("Destination") is None


def test_ids_are_fresh() -> None:
    """Response and Assertion have an ID each, and the next answer others: clients keep them in their replay caches."""
    one = writer(rsa_pair("authority"))
    ids = []
    for _ in range(2):
        entry = entry_of(wrap(one.write_answer(answer(None, VALUE), NOW, recipient=None, bare_assertion=True)))
        ids += [entry.get("ID"), *(assertion.get("ID") for assertion in entry.findall("saml:Assertion", PATHS))]

    assert 4 == len(set(ids))


def test_prefixes_in_the_order_of_first_use() -> None:
    """Pysaml2's client renames prefixes to ns0, ns1, ns2 as they come, and verifies only what is already named so."""
    text = shapes(rsa_pair("authority"))["released"].decode()
    declared = [text.index(f'xmlns:ns{number}="{uri}"') for number, uri in enumerate((ns.SAMLP, ns.SAML, ns.DS))]

    assert sorted(declared) == declared


def test_fault_is_escaped() -> None:
    """The sentence of a fault is text."""
    fault = entry_of(write_fault("Client", "<&>"))

    assert ("S:Client", "<&>") == (fault.findtext("faultcode"), fault.findtext("faultstring"))
