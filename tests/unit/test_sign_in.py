"""Our service-provider role: what is asked of an identity provider, what is taken from its answer, and what is left behind."""

import logging
import subprocess
import tempfile
import zlib
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from lxml import etree
from lxml.etree import _Element

from attribute_authority.domain.entity import Entity, Role
from attribute_authority.domain.identifiers import Environment, IdentifierKind, OrcidId
from attribute_authority.errors import CouldNotAsk, OperatorError, SignInFailed, UnknownHomeOrganisation
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.saml.sign_in import SignIn, discovery_url
from tests.factories.metadata import ec_pair
from tests.factories.queries import signed
from tests.factories.responses import (
    ACS,
    IDP,
    NOW,
    OPAQUE,
    OTHER_IDP,
    REQUEST,
    SKEW,
    SP,
    accept,
    assertion,
    attribute,
    begun,
    confirmation,
    encoded,
    encrypted,
    eppn,
    good_response,
    home,
    idp_keys,
    name_id,
    own_keys,
    own_role,
    raw_attribute,
    response,
    sign_in,
    subject,
)

PREFIXES = {"samlp": ns.SAMLP, "saml": ns.SAML}
ORCID = "https://orcid.org/0000-0002-1825-0097"


def request(url: str) -> _Element:
    """Unpack the AuthnRequest of an address (bindings 3.4.4.1)."""
    (message,) = parse_qs(urlsplit(url).query)["SAMLRequest"]
    return etree.fromstring(zlib.decompress(b64decode(message), -zlib.MAX_WBITS))


class TestAsking:
    """The AuthnRequest."""

    def test_what_is_asked(self) -> None:
        """The request says who asks, where the answer goes and nothing that an identity provider might stumble over (SAML2int SP04-07)."""
        asked = sign_in().begin(IDP, NOW)
        message = request(asked.url)

        assert (REQUEST, IDP) == (asked.message_id, asked.identity_provider)
        assert asked.url.startswith("https://idp.uni.example/sso?SAMLRequest=")
        assert {
            "ID": REQUEST,
            "Version": "2.0",
            "IssueInstant": "2026-03-01T12:00:00Z",
            "Destination": "https://idp.uni.example/sso",
            "ProtocolBinding": ns.BINDING_HTTP_POST,
            "AssertionConsumerServiceURL": ACS,
        } == dict(message.items())
        assert [(f"{{{ns.SAML}}}Issuer", SP)] == [(child.tag, child.text) for child in message]

    def test_request_is_signed(self) -> None:
        """The query string is signed with our RSA key, over what stands before the Signature (bindings 3.4.4.1)."""
        query = urlsplit(sign_in().begin(IDP, NOW).url).query
        parameters = parse_qs(query)
        key = own_keys().key.public_key()

        assert ["SAMLRequest", "SigAlg", "Signature"] == list(parameters)
        assert [ns.RSA_SHA256] == parameters["SigAlg"]
        assert isinstance(key, RSAPublicKey)
        key.verify(b64decode(parameters["Signature"][0]), query.partition("&Signature=")[0].encode(), PKCS1v15(), SHA256())

    @pytest.mark.parametrize("keys", [(None, None), (ec_pair("own").key_pem, ec_pair("own").certificate_pem)], ids=["no key", "EC"])
    def test_request_without_rsa_key_is_not_signed(self, keys: tuple[bytes | None, bytes | None]) -> None:
        """Without an RSA key the request is not signed."""
        own = own_role(signing_key=keys[0], signing_certificate=keys[1])

        assert ["SAMLRequest"] == list(parse_qs(urlsplit(sign_in(own=own).begin(IDP, NOW).url).query))

    def test_address_with_a_query(self) -> None:
        """What the address of the identity provider has in its query stays."""
        url = sign_in(home(sign_on_url="https://idp.uni.example/sso?tenant=a&b=%26")).begin(IDP, NOW).url

        assert url.startswith("https://idp.uni.example/sso?tenant=a&b=%26&SAMLRequest=")

    def test_awkward_entity_ids(self) -> None:
        """Names that XML has to escape arrive as they are."""
        awkward = "https://idp.uni.example/?a=1&b='\"<>"
        url = sign_in(home(entity_id=awkward)).begin(awkward, NOW).url

        assert ACS == request(url).get("AssertionConsumerServiceURL")

    @pytest.mark.parametrize(
        "entity",
        [
            home(roles=frozenset({Role.SERVICE_PROVIDER})),
            home(sign_on_url=None),
            home(asserting_keys=()),
            home(entity_id=OTHER_IDP),
            home(valid_until=NOW),
        ],
        ids=["service provider", "no address", "no keys", "unknown", "expired"],
    )
    def test_nobody_to_ask(self, entity: Entity) -> None:
        """Only an identity provider of trusted metadata, with address and keys, is asked."""
        with pytest.raises(UnknownHomeOrganisation):
            sign_in(entity).begin(IDP, NOW)

    def test_unreadable_metadata(self, tmp_path: Path) -> None:
        """Metadata that cannot be read is not an unknown home organisation."""
        directory = SqliteEntityDirectory(tmp_path / "none")

        with pytest.raises(CouldNotAsk):
            SignIn(own_role(), directory, Environment.PRODUCTION, SKEW, lambda: REQUEST).begin(IDP, NOW)

    def test_key_that_cannot_be_used(self) -> None:
        """A key that does not belong to its certificate is the operator's fault, told at once."""
        with pytest.raises(OperatorError):
            sign_in(own=own_role(signing_key=idp_keys().key_pem))

    @pytest.mark.parametrize("service", ["https://ds.example/wayf", "https://ds.example/wayf?lang=fi"])
    def test_discovery(self, service: str) -> None:
        """The discovery service is told who asks and where to send the choice (discovery 2.4.1)."""
        url = discovery_url(service, SP, "https://orcid.example.org/discovered?target=%2Fa&x=1")
        added = urlencode({"entityID": SP, "return": "https://orcid.example.org/discovered?target=%2Fa&x=1", "returnIDParam": "entityID"})

        assert f"{service}{'&' if '?' in service else '?'}{added}" == url


class TestAnswer:
    """What is taken from a Response."""

    def test_identifiers_of_a_person(self) -> None:
        """Every identifier of the login is taken, in canonical form, each once."""
        written = (
            attribute(ns.SUBJECT_ID, "JC=1@Uni.example"),
            attribute(ns.PAIRWISE_ID, "Pair@dept.uni.example"),
            eppn("Josiah@uni.example"),
            attribute(ns.UNIQUE_ID_OID_URN, "2F9@uni.example"),
            raw_attribute(ns.TARGETED_ID_OID_URN, name_id("other")),
        )
        told = accept(good_response(*written))

        assert [
            "subject-id=jc=1@uni.example",
            f"pairwise-id={SP}!pair@dept.uni.example",
            "eppn=josiah@uni.example",
            "unique-id=2f9@uni.example",
            f"persistent={IDP}!{SP}!{OPAQUE}",
            f"persistent={IDP}!{SP}!other",
        ] == [str(identifier) for identifier in told.signed_in.identifiers]
        assert (IDP, IDP, "_assertion") == (told.issuer, told.signed_in.home_organisation, told.assertion_id)

    def test_same_persistent_identifier_twice(self) -> None:
        """A NameID that also comes as eduPersonTargetedID, with its qualifiers left out, is one identifier."""
        written = raw_attribute(ns.TARGETED_ID_OID_URN, name_id(name_qualifier=None, sp_name_qualifier=None))
        identifiers = accept(good_response(written)).signed_in.identifiers

        assert [IdentifierKind.PERSISTENT] == [identifier.kind for identifier in identifiers]

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ((attribute(ns.DISPLAY_NAME, " Josiah  Carberry "), attribute(ns.COMMON_NAME, "x")), "Josiah Carberry"),
            ((attribute(ns.DISPLAY_NAME, " "), attribute(ns.COMMON_NAME, "Jo Carberry", "x")), "Jo Carberry"),
            ((attribute(ns.SURNAME, "Carberry"), attribute(ns.GIVEN_NAME, "Josiah")), "Josiah Carberry"),
            ((attribute(ns.SURNAME, "Carberry"),), "Carberry"),
            ((attribute(ns.DISPLAY_NAME, "<b>&"),), "<b>&"),
            ((attribute(ns.DISPLAY_NAME, "ä" * 999),), "ä" * 200),
            ((), None),
        ],
        ids=["displayName", "cn", "givenName and sn", "sn", "markup", "long", "none"],
    )
    def test_name_of_a_person(self, written: tuple[str, ...], expected: str | None) -> None:
        """The name is displayName, else cn, else givenName and sn, and bounded."""
        assert expected == accept(good_response(eppn(), *written)).signed_in.name

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ((ORCID,), OrcidId("0000-0002-1825-0097")),
            (("0000-0002-1825-0097", ORCID, "no"), OrcidId("0000-0002-1825-0097")),
            ((ORCID, "https://orcid.org/0000-0001-5109-3700"), None),
            (("https://sandbox.orcid.org/0000-0002-1825-0097",), None),
            (("0000-0002-1825-0098",), None),
            ((), None),
        ],
        ids=["uri", "one in three forms", "two", "other registry", "wrong check character", "none"],
    )
    def test_orcid_of_the_home_organisation(self, values: tuple[str, ...], expected: OrcidId | None) -> None:
        """An iD that the home organisation released is taken where it is one, of our registry."""
        assert expected == accept(good_response(eppn(), attribute(ns.EDU_PERSON_ORCID, *values))).signed_in.orcid

    def test_response_without_name_id(self) -> None:
        """A Subject need not have a NameID (SAML2int SP13)."""
        document = signed(response(assertion(about=subject(confirmation()))), idp_keys())

        assert ["eppn=josiah@uni.example"] == [str(identifier) for identifier in accept(document).signed_in.identifiers]

    @pytest.mark.parametrize("value", ["", "<x>y</x>"])
    def test_values_that_are_nothing_to_us(self, value: str) -> None:
        """An empty or structured value of some attribute is no obstacle to signing in."""
        document = signed(response(assertion(eppn(), raw_attribute("urn:oid:1.2.3", value))), idp_keys())

        assert "_assertion" == accept(document).assertion_id

    def test_white_space_between_elements(self) -> None:
        """A Response may be written with white space between its elements."""
        document = (
            response(assertion())
            .replace("><saml:", ">\n  <saml:")
            .replace("></saml:Sub", ">\n</saml:Sub")
            .replace("</samlp:R", "\n</samlp:R")
        )

        assert "_assertion" == accept(signed(document, idp_keys())).assertion_id


class TestTraces:
    """What a sign-in leaves behind: nothing."""

    DOCUMENTS = (good_response(), signed(response(encrypted(signed(assertion(), idp_keys()))), idp_keys()))

    def test_nothing_is_logged(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        """pysaml2 logs whole messages; none of that reaches a log or the terminal, whatever the level, in success and failure."""
        caplog.set_level(logging.DEBUG)
        sign_in().begin(IDP, NOW)
        for document in self.DOCUMENTS:
            accept(document)
            with pytest.raises(SignInFailed):
                accept(document.replace(ns.STATUS_SUCCESS, ns.STATUS_SUCCESS + "x").replace("_request", "_other"))

        assert [] == caplog.records
        assert ("", "") == capfd.readouterr()

    def test_refusal_by_pysaml2_quotes_nothing(self) -> None:
        """Where pysaml2 refuses, neither the cause nor what a traceback would print has a word of the message."""
        document = signed(response(assertion().replace("<saml:AuthnContext>", '<saml:AuthnContext x="1">')), idp_keys())

        with pytest.raises(SignInFailed, match="pysaml2 does not accept the Response: SignatureError") as refused:
            accept(document)
        assert (None, True) == (refused.value.__cause__, refused.value.__suppress_context__)

    def test_refusal_by_pysaml2_leaves_nothing_behind(self) -> None:
        """The prefixes of a message that it refuses are not those of the next one: its library keeps them for the whole process."""
        document = signed(response(assertion().replace("<saml:AuthnContext>", '<saml:AuthnContext x="1">')), idp_keys())
        before = ElementTree.tostring(ElementTree.Element(f"{{{ns.SAMLP}}}Response"))

        with pytest.raises(SignInFailed):
            accept(document)

        assert before == ElementTree.tostring(ElementTree.Element(f"{{{ns.SAMLP}}}Response"))

    def test_no_file_and_no_program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No temporary file is written and no program started, to verify, to decrypt or to sign."""

        def refuse(*arguments: object, **named: object) -> None:
            raise AssertionError(f"{arguments} {named}")

        service = sign_in()
        for module, name in ((subprocess, "Popen"), (tempfile, "NamedTemporaryFile"), (tempfile, "mkstemp")):
            monkeypatch.setattr(module, name, refuse)
        monkeypatch.setattr("saml2.sigver.NamedTemporaryFile", refuse)
        monkeypatch.setattr("saml2.sigver.Popen", refuse)
        service.begin(IDP, NOW)

        assert ["_assertion"] * 2 == [service.accept(encoded(document), begun(), NOW).assertion_id for document in self.DOCUMENTS]

    def test_keys_are_not_shown(self) -> None:
        """Written out, for a log or a traceback, our role has no private key in it."""
        assert "PRIVATE" not in repr(own_role())

    def test_threads_share_a_service(self) -> None:
        """Many sign-ins at once, of different people, each get their own answer."""
        service = sign_in()
        people = [f"person{number}@uni.example" for number in range(6)]
        documents = [encoded(signed(response(encrypted(signed(assertion(eppn(person)), idp_keys()))), idp_keys())) for person in people]

        def both(number: int) -> bool:
            told = service.accept(documents[number % 6], begun(), NOW)
            asked = service.begin(IDP, NOW)
            return people[number % 6] == told.signed_in.identifiers[0].value and REQUEST == asked.message_id

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(both, range(60)))

    def test_same_response_twice(self) -> None:
        """Nothing is kept here: it is the caller who lets a Response count once, by what it says of itself."""
        document = good_response()

        assert accept(document) == accept(document)
