"""Sign-in by the headers of a web server in front of us: believed from configured addresses alone, checked like a Response."""

from ipaddress import ip_network

import pytest

from attribute_authority.domain.identifiers import EntityId, Environment, IdentifierKind, parse_identifier_text
from attribute_authority.saml.metadata_index import MemoryEntityDirectory
from attribute_authority.web.companion.signing_in import HeaderWay
from attribute_authority.web.companion.trusted_headers import TrustedHeaders
from tests.factories import responses
from tests.factories.companion import Browser, Site

_GOOD = {"Shib-Identity-Provider": responses.IDP, "X-Eppn": responses.PERSON, "X-Name": b"Josiah Carberry".decode("latin-1")}


def _site() -> Site:
    headers = TrustedHeaders(
        (ip_network("127.0.0.1/32"),),
        "Shib-Identity-Provider",
        {IdentifierKind.EPPN: "X-Eppn", IdentifierKind.SUBJECT_ID: "X-Subject-Id", IdentifierKind.PERSISTENT: "X-Persistent"},
        "X-Name",
        "X-Orcid",
        MemoryEntityDirectory((responses.home(),)),
        Environment.PRODUCTION,
        EntityId(responses.SP),
        lambda: responses.NOW,
    )
    return Site(way=HeaderWay(headers))


def _login(site: Site, address: str = "127.0.0.1", **changes: str) -> tuple[int, Browser]:
    browser = site.browser(address=address)
    sent = {name: value for name, value in {**_GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}.items() if value}
    return browser.get("/login", headers=sent).status_code, browser


def test_the_web_servers_sign_in_is_taken() -> None:
    """Identity provider, identifier and name come from the headers, and the linking goes on as ever."""
    site = _site()
    _, browser = _login(site)

    browser.link()

    (link,) = site.store.find_links()
    assert (responses.IDP, (parse_identifier_text(f"eppn={responses.PERSON}"),)) == (link.home_organisation, link.identifiers)
    assert "Josiah Carberry" in browser.text


@pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.2", "::1"])
def test_headers_from_elsewhere_sign_nobody_in(address: str) -> None:
    """Only the configured addresses may say who somebody is."""
    status, browser = _login(_site(), address)

    assert 403 == status
    assert browser.client.get_cookie("__Host-session", "orcid.example.org") is None


def test_a_forwarded_address_does_not_count_as_the_peer() -> None:
    """X-Forwarded-For that names the proxy does not make a browser the proxy."""
    status, _ = _login(_site(), "192.0.2.1", X_Forwarded_For="127.0.0.1")

    assert 403 == status


@pytest.mark.parametrize(
    "changes",
    [
        {"Shib_Identity_Provider": ""},
        {"Shib_Identity_Provider": "https://idp.unknown.example"},
        {"X_Eppn": ""},
        {"X_Eppn": "josiah"},
        {"X_Eppn": "josiah@other.example"},
        {"X_Eppn": "josiah@uni.example;second@uni.example"},
        {"X_Subject_Id": "abc@other.example"},
    ],
)
def test_headers_that_prove_nothing(changes: dict[str, str]) -> None:
    """Unknown home organisation, no identifier, two where one is expected, or a foreign scope: no session."""
    status, browser = _login(_site(), **changes)

    assert 403 == status
    assert browser.client.get_cookie("__Host-session", "orcid.example.org") is None


def test_a_persistent_identifier_is_taken_with_its_qualifiers() -> None:
    """Shibboleth exports NameQualifier!SPNameQualifier!value; one of another identity provider is passed over."""
    own, foreign = f"{responses.IDP}!{responses.SP}!opaque", f"{responses.OTHER_IDP}!{responses.SP}!opaque"
    site = _site()
    _, browser = _login(site, X_Persistent=own)
    browser.link()

    (link,) = site.store.find_links()
    assert {f"persistent={own}", f"eppn={responses.PERSON}"} == {str(identifier) for identifier in link.identifiers}
    assert 200 == _login(_site(), X_Persistent=foreign)[0]


def test_there_is_no_acs_beside_trusted_headers() -> None:
    """A Response has no door where the web server signs people in."""
    assert 404 == _site().browser().post("/saml/acs", {"SAMLResponse": "x"}).status_code
