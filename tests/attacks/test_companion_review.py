"""Attacks on the companion page found in a hostile review: people who are taken for others, forms and headers of other sites' making."""

import pytest

from attribute_authority.domain.identifiers import Environment, Identifier, parse_identifier_text
from attribute_authority.domain.linking import HeldGrant
from attribute_authority.errors import CouldNotAsk
from attribute_authority.saml import namespaces as ns
from attribute_authority.sealing import Sealer
from attribute_authority.storage.memory_companion import MemoryLinkingStore
from tests.factories import responses
from tests.factories.companion import ORCID, OTHER_ORCID, Browser, Site, grant

FORM = "application/x-www-form-urlencoded"
HOSTILE = "<script>alert(1)</script>\"'%(x)s{{7*7}}"


def _unique(name: str) -> str:
    return responses.attribute(ns.UNIQUE_ID_OID_URN, f"{name}@uni.example")


def _identifier(text: str) -> Identifier:
    return parse_identifier_text(f"unique-id={text}@uni.example")


def _linked(site: Site) -> Browser:
    browser = site.browser()
    browser.sign_in(responses.eppn(), _unique("first"))
    browser.link()
    return browser


def test_a_reassigned_eppn_does_not_bring_the_link_of_its_former_bearer() -> None:
    """Who has the ePPN of a linked person, but another eduPersonUniqueId, is another person: nothing is shown, stored or released."""
    site = Site()
    _linked(site)
    successor = site.browser()

    answer = successor.sign_in(responses.eppn(), _unique("second"))

    assert 409 == answer.status_code
    assert ORCID.value not in answer.text
    assert site.store.find_subject(_identifier("second"), Environment.PRODUCTION) is None


def test_a_reassigned_eppn_is_no_way_to_unlink_or_replace() -> None:
    """The successor cannot change the link of the former bearer either."""
    site = Site()
    _linked(site)
    (before,) = site.store.find_links()
    successor = site.browser()
    successor.sign_in(responses.eppn(), _unique("second"))

    statuses = [successor.get("/unlink").status_code, successor.connect(grant(OTHER_ORCID)).status_code]

    assert ([409, 409], [before]) == (statuses, list(site.store.find_links()))


@pytest.mark.parametrize(
    "attributes",
    [
        (responses.eppn("renamed@uni.example"), _unique("first")),
        (responses.eppn(),),
        (responses.eppn(), _unique("first"), responses.attribute(ns.SUBJECT_ID, "new@uni.example")),
        (responses.eppn(), responses.attribute(ns.SUBJECT_ID, "new@uni.example")),
    ],
    ids=["renamed", "released-less", "released-more", "another-kind"],
)
def test_the_same_person_is_still_recognised(attributes: tuple[str, ...]) -> None:
    """A change of name, or of what the home organisation releases, makes nobody another person."""
    site = Site()
    _linked(site)
    again = site.browser()

    again.sign_in(*attributes)

    assert ORCID.value in again.text


def test_two_people_with_one_eppn_who_link_at_the_same_time() -> None:
    """Who had the page open before the other one linked is refused when it is sent, and takes nothing over."""
    site = Site()
    first, second = site.browser(), site.browser()
    first.sign_in(responses.eppn(), _unique("first"))
    second.sign_in(responses.eppn(), _unique("second"))
    second.connect(grant(ORCID))
    first.link(grant(ORCID))

    answer = second.submit("/confirm/", consent="yes")

    assert 409 == answer.status_code
    assert site.store.find_subject(_identifier("second"), Environment.PRODUCTION) is None


def test_forced_sign_out_by_the_form_of_another_site() -> None:
    """A form that comes without the cookie of the session, as from another site, does not take the cookie away."""
    answer = Site().browser().post("/logout", {"csrf": "x"}, follow=False)

    assert [] == answer.headers.getlist("Set-Cookie")


@pytest.mark.parametrize("prefix", ["\u2000", "\xa0", "\x85", "\x1c", "\x0b", "x;\x0c", "x=,"])
def test_a_cookie_that_only_looks_like_ours(prefix: str) -> None:
    """A name with strange white space escapes the rules of __Host- in browsers, so it may not pass for the name here (cookie tossing)."""
    site = Site()
    attacker = site.browser()
    attacker.sign_in()
    cookie = attacker.client.get_cookie("__Host-session", "orcid.example.org")
    assert cookie is not None
    victim = site.browser()
    tossed = f"{prefix}__Host-session={cookie.value}".encode().decode("latin-1")

    victim.get("/", headers={"Cookie": tossed})

    assert "Sign in with your home organisation" in victim.text


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"a&" * 200_000),
        (FORM, b"a=b&" * 100_000),
        (FORM, b"csrf=" + b"%ff" * 160_000),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n" * 9000),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\nx\r\n" * 900),
    ],
    ids=["empty-fields", "fields", "percent", "parts", "files"],
)
@pytest.mark.parametrize("path", ["/logout", "/unlink", "/confirm/abc"])
def test_a_form_of_very_many_fields_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch, path: str, content_type: str, body: bytes) -> None:
    """Half a megabyte of fields, which would hold up every other page of the worker, is refused before it is parsed."""
    browser = Site().browser()
    browser.sign_in()
    parsed: list[object] = []
    for parser in ("parse_qsl", "MultiPartParser"):
        monkeypatch.setattr(f"werkzeug.formparser.{parser}", lambda *form, **_: parsed.append(form))

    answer = browser.client.post(path, data=body, content_type=content_type, base_url=browser.site.base_url)

    assert (403, []) == (answer.status_code, parsed)


def test_a_form_of_very_many_fields_at_the_acs() -> None:
    """The one address that takes larger messages, from anybody, takes few fields."""
    browser = Site().browser()

    answer = browser.client.post("/saml/acs", data=b"a&" * 200_000, content_type=FORM, base_url=browser.site.base_url)

    assert 400 == answer.status_code


class _FullStore(MemoryLinkingStore):
    """A store that cannot keep a grant."""

    def hold_grant(self, held: HeldGrant) -> None:
        """Fail."""
        raise CouldNotAsk("the disk is full")


def test_a_permission_that_cannot_be_kept_is_given_back() -> None:
    """Where the database goes away after the code was exchanged, ORCID does not go on to list a permission that nobody knows of."""
    site = Site(store=_FullStore())
    browser = site.browser()
    browser.sign_in()

    answer = browser.connect()

    assert (503, [grant().response]) == (answer.status_code, site.registry.revoked)


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_markup_in_names_stays_text(language: str) -> None:
    """Names from ORCID and from the home organisation are shown as they are, whatever they hold."""
    site = Site()
    browser = site.browser(language)
    browser.sign_in(responses.eppn(), responses.attribute(ns.DISPLAY_NAME, HOSTILE.replace("<", "&lt;").replace("'", "&apos;")))

    browser.connect(grant(name=HOSTILE))

    assert HOSTILE in browser.text
    assert [] == browser.page().xpath("//script")


@pytest.mark.parametrize("path", ["/%2F/evil.example", "/problem/%3Fa%23%22x", "/problem//evil.example", "/\\evil"])
def test_language_links_lead_nowhere_else(path: str) -> None:
    """However an address is written, the switch of language leads to an address of ours that shows the same words."""
    browser = Site().browser()
    browser.get(path)

    links = browser.page().xpath("//ul[@class='languages']//a/@href")

    assert [f"/problem/not-found?lang={language}" for language in ("fi", "sv", "en")] == links


def test_no_cookie_is_set_on_what_caches_keep() -> None:
    """A style sheet that is asked for with a language is kept by shared caches, and must not hand the language to everybody."""
    answer = Site().browser().get("/static/companion.css?lang=fi")

    assert ("immutable" in answer.headers["Cache-Control"], []) == (True, answer.headers.getlist("Set-Cookie"))


def _with_keys(site: Site, *keys: bytes) -> Site:
    moved = Site(ports=site.ports, now=site.now, run="later-")
    moved.sealer._fernet = Sealer(keys, "test")._fernet
    return moved


@pytest.mark.parametrize(
    ("keys", "words"),
    [((b"n" * 32, b"k" * 32), "Signed in as"), ((b"n" * 32,), "Sign in with your home organisation")],
    ids=["rolled-over", "replaced"],
)
def test_a_session_over_a_change_of_sealing_keys(keys: tuple[bytes, ...], words: str) -> None:
    """With the old key beside the new one a session goes on; without it the browser is signed out, and nothing fails."""
    site = Site()
    browser = site.browser()
    browser.sign_in(responses.eppn(), responses.attribute(ns.DISPLAY_NAME, "Josiah"))
    browser.client.application = _with_keys(site, *keys).application

    answer = browser.get("/")

    assert 200 == answer.status_code
    assert words in browser.text


def test_a_session_does_not_open_with_what_a_stolen_database_holds() -> None:
    """Neither the key of a row nor the reference of a session is good as a cookie."""
    site = Site()
    site.browser().sign_in()
    thief = site.browser()
    assert site.ports is not None
    rows: dict[str, object] = vars(site.ports.states)["_states"]

    for key in rows:
        thief.client.set_cookie("__Host-session", key, domain="orcid.example.org", secure=True)
        thief.get("/")
        assert "Sign in with your home organisation" in thief.text
