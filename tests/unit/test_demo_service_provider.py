"""The service provider and the discovery service of the demo, with its real identity provider, in one process without a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import html
from werkzeug.test import Client, TestResponse

from attribute_authority.demo.asking_service import AskingService, Authority, Told
from attribute_authority.demo.discovery import Discovery
from attribute_authority.demo.identity_provider import IdentityProvider
from attribute_authority.demo.metadata import ServiceDescription, write_aggregate, write_identity_provider, write_service_provider
from attribute_authority.demo.people import UNIVERSITY_NAMES, UNIVERSITY_PEOPLE, UNIVERSITY_SCOPE, HomeOrganisation
from attribute_authority.demo.service_provider import ServiceProvider, ServiceProviderParts
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.keys import FreshKey
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from attribute_authority.saml.metadata_reader import read_metadata
from attribute_authority.saml.sign_in import OwnRole, SignIn
from tests.factories.metadata import KeyPair, rsa_pair
from tests.factories.queries import NOW

UNIVERSITY = "http://localhost:20001"
SERVICE = "http://localhost:20002"
DISCOVERY = "http://localhost:20003/discovery"
URI = "https://sandbox.orcid.org/0000-0000-1000-0013"


def fresh(pair: KeyPair) -> FreshKey:
    """Return a pair of the tests as the demo has it."""
    return FreshKey(pair.key_pem, pair.certificate_pem)


def ids() -> Iterator[str]:
    """Yield message ids."""
    return (f"_{number:032x}" for number in count(1))


def organisation() -> HomeOrganisation:
    """Make the university."""
    keys = fresh(rsa_pair("demo-university"))
    return HomeOrganisation(f"{UNIVERSITY}/metadata", UNIVERSITY, UNIVERSITY_NAMES, UNIVERSITY_SCOPE, UNIVERSITY_PEOPLE, keys)


def description() -> ServiceDescription:
    """Describe the service."""
    names = {"fi": "Arkisto", "sv": "Arkivet", "en": "Archive"}
    return ServiceDescription(f"{SERVICE}/metadata", f"{SERVICE}/saml/acs", f"{SERVICE}/sign-in", names, fresh(rsa_pair("demo-sp")))


def document(answer: TestResponse) -> Any:
    """Parse a page."""
    return html.fromstring(answer.text)


@dataclass(slots=True)
class Town:
    """A service, a home organisation and a discovery service, with a browser at each; `values` is what the authority would answer."""

    values: tuple[str, ...] | None
    service: Client
    university: Client
    discovery: Client

    def begin(self, language: str = "en") -> TestResponse:
        """Go from the service through discovery to the sign-in page."""
        asked = self.service.get("/sign-in").headers["Location"]
        chosen = document(self.discovery.get(asked.removeprefix("http://localhost:20003")))
        begun = self.service.get(chosen.xpath("//ul[@id='home-organisations']//a/@href")[0].removeprefix(SERVICE))
        return self.university.get(begun.headers["Location"].removeprefix(UNIVERSITY), headers={"Accept-Language": language})

    def form(self, person: str) -> dict[str, str]:
        """Sign in as a person, and return the fields for the service."""
        page = self.begin()
        sent = self.university.post(f"/saml/sign-on?{page.request.query_string.decode()}", data={"person": person})
        return {name: value or "" for name, value in document(sent).forms[0].fields.items()}

    def home(self, language: str = "en") -> Any:
        """Open the service's page."""
        return document(self.service.get("/", headers={"Accept-Language": language}))

    def press(self, form: str) -> TestResponse:
        """Submit a form of the service's page."""
        found = self.home().xpath(f"//form[@id='{form}']")[0]
        return self.service.post(found.action, data=dict(found.fields))


def town(values: tuple[str, ...] | None = ()) -> Town:
    """Make one."""
    home, own = organisation(), description()
    numbers = ids()
    role = OwnRole(EntityId(own.entity_id), own.acs_url, own.discovery_url, own.keys.key, own.keys.certificate, (own.keys.key,))
    directory = MemoryEntityDirectory(read_metadata(write_identity_provider(home), None, NOW, print).entities())
    metadata = (write_service_provider(own),)

    def ask(identifiers: tuple[Identifier, ...]) -> Told:
        return Told(str(identifiers[0]), made.values, 12.34)

    parts = ServiceProviderParts(
        description=own,
        sign_in=SignIn(role, directory, Environment.SANDBOX, timedelta(minutes=3), numbers.__next__),
        ask=ask,
        discovery_url=DISCOVERY,
        companion_url="http://localhost:20004",
        organisations={home.entity_id: home.names},
        environment=Environment.SANDBOX,
        clock=lambda: NOW,
    )
    university = IdentityProvider(home, metadata, lambda: NOW, numbers.__next__)
    made = Town(values, Client(ServiceProvider(parts)), Client(university), Client(Discovery((home,), metadata)))
    return made


def test_nobody_is_signed_in_at_first() -> None:
    """The start page says what the service is, and has one way to sign in."""
    assert ["/sign-in"] == town().home().xpath("//a[@id='sign-in']/@href")


def test_a_person_signs_in_and_the_authority_is_asked() -> None:
    """The page shows what came at login and what the authority told, with the iD as a link and the time that it took."""
    here = town((URI,))

    answer = here.service.post("/saml/acs", data=here.form("dana"))

    assert (303, "/") == (answer.status_code, answer.headers["Location"])
    page = here.home()
    attributes = dict(zip(page.xpath("//dl//dt/text()"), page.xpath("//dl//dd/text()"), strict=True))
    assert "Signed in as Dana Novak" == page.xpath("//h1/text()")[0]
    assert [URI] == page.xpath("//*[@id='answer']//a/@href")
    assert "12.3" == page.xpath("string(//*[@id='milliseconds'])")
    assert "dana@uni.example" == attributes["subject-id"] == attributes["eduPersonPrincipalName"]
    assert "https://sandbox.orcid.org/0000-0000-1000-0056" == attributes["eduPersonOrcid"]


def test_asking_again_shows_the_answer_of_now() -> None:
    """What the authority tells later replaces what it told at login; being out of reach is not the same as nothing."""
    here = town(())
    here.service.post("/saml/acs", data=here.form("aino"))
    seen = [here.home().xpath("//*[@id='answer']//@id")]
    for here.values in ((URI,), None):
        here.press("ask-again")
        seen.append(here.home().xpath("//*[@id='answer']//@id | //*[@id='answer']//a/@href"))

    assert [["answer", "nothing"], ["answer", URI], ["answer", "no-answer"]] == [sorted(ids) if URI not in ids else ids for ids in seen]


def test_signing_out_ends_the_visit() -> None:
    """After it the start page is there again."""
    here = town()
    here.service.post("/saml/acs", data=here.form("aino"))

    here.press("sign-out")

    assert here.home().xpath("//a[@id='sign-in']")


def test_a_response_is_accepted_once_and_in_its_own_browser() -> None:
    """A second time, and in a browser that did not begin, the same Response signs nobody in."""
    here, elsewhere = town(), town()
    form = here.form("aino")

    assert 400 == elsewhere.service.post("/saml/acs", data=form).status_code
    assert 303 == here.service.post("/saml/acs", data=form).status_code
    assert 400 == here.service.post("/saml/acs", data=form).status_code


def test_whoever_cancels_is_told_so() -> None:
    """The Response that signs nobody in ends on a page with a way back."""
    here = town()
    page = here.begin()
    sent = here.university.post(f"/saml/sign-on?{page.request.query_string.decode()}", data={"cancel": "yes"})
    answer = here.service.post("/saml/acs", data=dict(document(sent).forms[0].fields))

    assert 400 == answer.status_code
    assert "did not complete the sign-in" in answer.text
    assert ["/"] == document(answer).xpath("//a[@id='back']/@href")


def test_forms_of_another_session_are_refused() -> None:
    """Asking and signing out need the token of the session (CSRF)."""
    here = town()
    here.service.post("/saml/acs", data=here.form("aino"))

    assert [400, 400] == [here.service.post(f"/{name}", data={"token": "guessed"}).status_code for name in ("ask", "sign-out")]


@pytest.mark.parametrize(("language", "words"), [("fi", "Kuka olet?"), ("sv", "Vem är du?"), ("en", "Who are you?")])
def test_the_sign_in_page_speaks_the_language_of_the_browser(language: str, words: str) -> None:
    """Finnish, Swedish and English, with the name of the service that asks."""
    answer = town().begin(language)

    assert words in answer.text
    assert description().names[language] in answer.text


def test_switching_the_language_leaves_the_signed_request_as_it_is() -> None:
    """The sign-in goes on in the other language, and ends at the service."""
    here = town()
    here.begin()
    address = document(here.begin()).xpath("//a[@lang='fi']/@href")[0]
    sent = here.university.post(f"/saml/sign-on{address}", data={"person": "aino"})

    assert "Jatka" in document(sent).xpath("//form//button/text()")
    assert 303 == here.service.post("/saml/acs", data=dict(document(sent).forms[0].fields)).status_code


def test_pages_load_nothing_from_elsewhere() -> None:
    """The policy allows own files alone, and the form goes to the service provider alone."""
    here = town()
    query = here.begin().request.query_string.decode()
    policy = here.university.post(f"/saml/sign-on?{query}", data={"person": "aino"}).headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert f"form-action 'self' {SERVICE};" in policy


@pytest.mark.parametrize(("language", "words"), [("fi", "Kirjautuneena"), ("sv", "Inloggad"), ("en", "Signed in as")])
def test_pages_speak_three_languages(language: str, words: str) -> None:
    """The page follows the browser's language, and says so in its lang."""
    here = town()
    here.service.post("/saml/acs", data=here.form("aino"))
    page = here.home(language)

    assert language == page.get("lang")
    assert page.xpath("//h1")[0].text.startswith(words)


def test_a_chosen_language_is_remembered() -> None:
    """Whoever switches keeps the language on the next page."""
    here = town()
    here.service.get("/?lang=sv")

    assert "sv" == here.home("fi").get("lang")


@pytest.mark.parametrize(
    "query",
    [
        f"entityID=https%3A%2F%2Fstranger.example&return={SERVICE}/sign-in",
        f"entityID={SERVICE}/metadata&return=https%3A%2F%2Fevil.example%2F",
        f"entityID={SERVICE}/metadata&return={SERVICE}/elsewhere",
        f"entityID={SERVICE}/metadata&return={SERVICE}/sign-in&policy=urn:other",
        "",
    ],
)
def test_discovery_returns_to_registered_addresses_alone(query: str) -> None:
    """Nobody is sent anywhere that is not in metadata."""
    assert 400 == town().discovery.get(f"/discovery?{query}").status_code


def test_discovery_keeps_the_deep_link_and_the_name_of_the_parameter() -> None:
    """What stood in the query of the return address still stands there, and the choice comes under the name that was asked for."""
    query = f"entityID={SERVICE}/metadata&return={SERVICE}/sign-in%3Fto%3Dunlink&returnIDParam=idp"
    page = document(town().discovery.get(f"/discovery?{query}"))
    parts = urlsplit(page.xpath("//ul[@id='home-organisations']//a/@href")[0])

    assert {"to": ["unlink"], "idp": [f"{UNIVERSITY}/metadata"]} == parse_qs(parts.query)


def test_passive_discovery_returns_without_a_choice() -> None:
    """Nothing was chosen before, and nobody may be asked."""
    answer = town().discovery.get(f"/discovery?entityID={SERVICE}/metadata&isPassive=true")

    assert (303, f"{SERVICE}/sign-in") == (answer.status_code, answer.headers["Location"])


def test_the_federation_is_trusted_by_its_signing_certificate() -> None:
    """The aggregate is signed and valid until tomorrow; another certificate, or the day after, does not do."""
    keys = rsa_pair("demo-federation")
    entities = (write_identity_provider(organisation()), write_service_provider(description()))
    aggregate = write_aggregate(entities, fresh(keys), NOW, ids().__next__)
    names = {entity.entity_id for entity in read_metadata(aggregate, keys.certificate_pem, NOW, print).entities()}

    assert {f"{UNIVERSITY}/metadata", f"{SERVICE}/metadata"} == names
    with pytest.raises(OperatorError):
        read_metadata(aggregate, rsa_pair("stranger").certificate_pem, NOW, print)
    with pytest.raises(OperatorError):
        read_metadata(aggregate, keys.certificate_pem, NOW + timedelta(days=2), print)


def test_an_authority_out_of_reach_is_not_the_same_as_nothing(tmp_path: Path) -> None:
    """Values are None then; without an identifier to ask with nobody is asked."""
    certificate = tmp_path / "tls.crt"
    certificate.write_bytes(rsa_pair("demo-university").certificate_pem)
    authority = Authority("https://127.0.0.1:1/saml/attribute-query", rsa_pair("signing").certificate_pem, certificate)
    seconds = count(1)
    asking = AskingService(
        description().entity_id,
        fresh(rsa_pair("demo-sp")),
        authority,
        clock=lambda: NOW,
        stopwatch=lambda: float(next(seconds)),
        new_id=ids().__next__,
    )

    told = asking.ask((Identifier(IdentifierKind.EPPN, "aino@uni.example"), Identifier(IdentifierKind.SUBJECT_ID, "aino@uni.example")))

    assert Told("subject-id=aino@uni.example", None, 1000.0) == told
    with pytest.raises(CouldNotAsk):
        asking.ask(())
