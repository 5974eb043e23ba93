"""SimpleSAMLphp signs researchers in at our service-provider role; each side reads the metadata that the other publishes."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from attribute_authority.domain.identifiers import EntityId, Environment, IdentifierKind, parse_identifier
from attribute_authority.errors import ScopeNotAllowed, SignInFailed
from attribute_authority.saml.metadata import MetadataSource, build_index
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from attribute_authority.saml.own_metadata import OwnDescription, write_own_metadata
from attribute_authority.saml.own_sign_in_role import SignInRole
from attribute_authority.saml.sign_in import AcceptedSignIn, BegunSignIn, BegunSignInRef, OwnRole, SignIn
from tests.peers.lab import KeyPair, make_key_pair
from tests.peers.simplesamlphp_idp import HomeOrganisation, IdentityProvider, Posted, Researcher, identity_provider

OWN = EntityId("https://aa.lab.example/orcid")
HOME = EntityId("https://idp.uni.example/idp")
ACS_URL = "https://orcid.lab.example/saml/acs"
SUBJECT_ID = "urn:oasis:names:tc:SAML:attribute:subject-id"

JOSIAH = Researcher(
    "josiah",
    "secret",
    {"eduPersonPrincipalName": ("josiah@uni.example",), "displayName": ("Josiah Carberry",), SUBJECT_ID: ("j0s1ah@uni.example",)},
)
GUEST = Researcher(
    "guest",
    "secret",
    {"eduPersonPrincipalName": ("guest@uni.example",), "displayName": ("Guest",), SUBJECT_ID: ("guest@elsewhere.example",)},
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One service provider of ours before one running identity provider."""

    idp: IdentityProvider
    own: OwnRole
    directory: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def sign_in(self, own: OwnRole | None = None, *, known_keys: KeyPair | None = None) -> SignIn:
        """Make the role as it is after it has read their metadata; with `known_keys` that metadata holds another certificate."""
        metadata = self.idp.metadata().decode()
        if known_keys is not None:
            metadata = metadata.replace(_content(self.idp.home.keys.certificate), _content(known_keys.certificate))
        index = self.directory / f"index-{uuid4().hex}"
        source = index.with_suffix(".xml")
        source.write_text(metadata)
        build_index([MetadataSource(source)], index, self.now)
        known = SqliteEntityDirectory(index)
        return SignIn(own or self.own, known, Environment.PRODUCTION, timedelta(seconds=180), lambda: f"_{uuid4().hex}")

    def go(self, sign_in: SignIn, researcher: Researcher) -> tuple[BegunSignIn, Posted]:
        """Begin, and log in at the identity provider."""
        begun = sign_in.begin(HOME, self.now)
        return begun, self.idp.sign_in(begun.url, researcher)

    def accept(self, sign_in: SignIn, researcher: Researcher) -> AcceptedSignIn:
        """Begin, log in, and accept what comes back."""
        begun, posted = self.go(sign_in, researcher)

        assert (ACS_URL, begun.message_id) == (posted.action, sign_in.in_response_to(posted.saml_response))
        return sign_in.accept(posted.saml_response, reference(begun), datetime.now(UTC))


def reference(begun: BegunSignIn) -> BegunSignInRef:
    """What would have been remembered."""
    return BegunSignInRef(begun.message_id, begun.identity_provider)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyPair]:
    """The keys of both sides, and one that nobody knows."""
    directory = tmp_path_factory.mktemp("keys")
    return {name: make_key_pair(directory, name) for name in ("home", "signing", "encryption", "unknown")}


@pytest.fixture(scope="module")
def own(keys: dict[str, KeyPair]) -> OwnRole:
    """Our service-provider role."""
    return OwnRole(
        OWN,
        ACS_URL,
        "https://orcid.lab.example/saml/discovered",
        signing_key=keys["signing"].key.read_bytes(),
        signing_certificate=keys["signing"].certificate.read_bytes(),
        decryption_keys=(keys["encryption"].key.read_bytes(),),
    )


@pytest.fixture(scope="module", params=[True, False], ids=["encrypted", "plain"])
def idp(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, keys: dict[str, KeyPair], own: OwnRole
) -> Iterator[IdentityProvider]:
    """A running identity provider that has read our metadata, once with encryption and once without."""
    home = HomeOrganisation(HOME, keys["home"], ("uni.example",), (JOSIAH, GUEST), encrypts=request.param)
    role = SignInRole(own.acs_url, own.discovery_return_url, (keys["encryption"].certificate.read_bytes(),))
    description = OwnDescription(
        OWN, "https://aa.lab.example/saml/attribute-query", (keys["signing"].certificate.read_bytes(),), companion=role
    )
    with identity_provider(tmp_path_factory.mktemp("idp"), home) as running:
        running.trust(write_own_metadata(description))
        yield running


@pytest.fixture
def exchange(idp: IdentityProvider, own: OwnRole, tmp_path: Path) -> Exchange:
    """Both sides, with an empty directory for indexes of metadata."""
    return Exchange(idp, own, tmp_path)


def test_researcher_signs_in(exchange: Exchange) -> None:
    """The signed request is accepted, and the Response brings name and every identifier, the persistent NameID among them."""
    accepted = exchange.accept(exchange.sign_in(), JOSIAH)
    persistent = [one for one in accepted.signed_in.identifiers if one.kind is IdentifierKind.PERSISTENT]
    scoped = [one for one in accepted.signed_in.identifiers if one.kind is not IdentifierKind.PERSISTENT]

    assert (HOME, HOME, "Josiah Carberry", None) == (
        accepted.issuer,
        accepted.signed_in.home_organisation,
        accepted.signed_in.name,
        accepted.signed_in.orcid,
    )
    assert {
        parse_identifier(IdentifierKind.SUBJECT_ID, "j0s1ah@uni.example"),
        parse_identifier(IdentifierKind.EPPN, "josiah@uni.example"),
    } == set(scoped)
    assert [(HOME, OWN)] == [(one.name_qualifier, one.sp_name_qualifier) for one in persistent]


def test_persistent_name_id_stays_the_same(exchange: Exchange) -> None:
    """Two logins of one person bring the same identifiers in assertions of their own."""
    sign_in = exchange.sign_in()
    first, second = exchange.accept(sign_in, JOSIAH), exchange.accept(sign_in, JOSIAH)

    assert first.signed_in == second.signed_in
    assert first.assertion_id != second.assertion_id


def test_assertion_travels_encrypted_where_it_should(exchange: Exchange) -> None:
    """Nobody on the way reads the name of the researcher, unless the home organisation does not encrypt."""
    _, posted = exchange.go(exchange.sign_in(), JOSIAH)

    assert exchange.idp.home.encrypts != (b"Josiah Carberry" in posted.document)


def test_key_that_is_not_in_the_metadata_proves_nothing(exchange: Exchange, keys: dict[str, KeyPair]) -> None:
    """Where our metadata of the home organisation holds another key, its Response is refused, though it brings its certificate along."""
    sign_in = exchange.sign_in(known_keys=keys["unknown"])

    with pytest.raises(SignInFailed, match="verifies with none"):
        exchange.accept(sign_in, JOSIAH)


def test_foreign_scope_is_refused(exchange: Exchange) -> None:
    """An identifier with a scope that the metadata of the home organisation does not have discredits the sign-in."""
    sign_in = exchange.sign_in()

    with pytest.raises(ScopeNotAllowed, match=r"elsewhere\.example"):
        exchange.accept(sign_in, GUEST)


def test_response_answers_its_own_request_alone(exchange: Exchange) -> None:
    """The Response to one sign-in is not accepted for another one."""
    sign_in = exchange.sign_in()
    other = sign_in.begin(HOME, exchange.now)
    _, posted = exchange.go(sign_in, JOSIAH)

    with pytest.raises(SignInFailed):
        sign_in.accept(posted.saml_response, reference(other), datetime.now(UTC))


def test_altered_response_is_refused(exchange: Exchange) -> None:
    """A Response to which an attribute was added on the way is refused for its signature."""
    sign_in = exchange.sign_in()
    begun, posted = exchange.go(sign_in, JOSIAH)
    altered = posted.document.replace(b'ID="_', b'Consent="urn:none" ID="_', 1)

    assert posted.document != altered
    with pytest.raises(SignInFailed, match="verifies with none"):
        sign_in.accept(b64encode(altered).decode(), reference(begun), datetime.now(UTC))


def test_request_with_a_strange_signature_is_not_answered(exchange: Exchange, keys: dict[str, KeyPair]) -> None:
    """The home organisation checks our requests against our metadata: one that another key signed leads to no login."""
    strange = replace(
        exchange.own, signing_key=keys["unknown"].key.read_bytes(), signing_certificate=keys["unknown"].certificate.read_bytes()
    )
    sign_in = exchange.sign_in(strange)

    with pytest.raises(RuntimeError, match="without a form that has password"):
        exchange.go(sign_in, JOSIAH)


@pytest.mark.parametrize("idp", [True], ids=["encrypted"], indirect=True)
def test_assertion_for_another_key_does_not_open(exchange: Exchange, keys: dict[str, KeyPair]) -> None:
    """What was encrypted to the key of our metadata opens with that key alone."""
    sign_in = exchange.sign_in(replace(exchange.own, decryption_keys=(keys["unknown"].key.read_bytes(),)))

    with pytest.raises(SignInFailed, match="opens with none of our keys"):
        exchange.accept(sign_in, JOSIAH)


def _content(certificate: Path) -> str:
    return "".join(certificate.read_text().splitlines()[1:-1])
