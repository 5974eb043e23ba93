"""The lookup door, attacked by who claims to ask: tokens, keys, names, and headers that are there twice."""

from ipaddress import ip_network
from urllib.parse import quote

import pytest

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.web.client_key import ClientKeys, TrustedProxies
from tests.factories.doors import IDP, OTHER_IDP, OTHER_PERSON, sp_keys
from tests.factories.doors import federation as signed_federation
from tests.factories.lookups import (
    BEARER,
    CRIS,
    EMPTY,
    EXPIRED_TOKEN,
    FOUND,
    OTHER_TOKEN,
    PERSON_QUERY,
    PROXY,
    REVOKED_TOKEN,
    TOKEN,
    Directory,
    key,
    lookup_lab,
    read,
)
from tests.factories.queries import SP
from tests.factories.wires import PEER

_BODY = {"identifiers": [{"eppn": "josiah@uni.example"}]}


@pytest.mark.parametrize("token", [EXPIRED_TOKEN, REVOKED_TOKEN, TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), f"{TOKEN}=", "aa_wrong"])
@pytest.mark.parametrize("path", [PERSON_QUERY, "links", "orcid:lookup"])
def test_token_that_does_not_count(token: str, path: str) -> None:
    """Expired, revoked or wrong by a letter: the same 401 at every address, with nothing that tells which."""
    lab = lookup_lab()
    header = f"Authorization: Bearer {token}"
    answer = lab.post(_BODY, header) if "lookup" in path else lab.get(path, header)

    assert (401, 'Bearer realm="lookup", error="invalid_token"') == (answer.status, answer.headers["www-authenticate"])
    assert {"type", "title", "status", "detail", "correlationId"} == read(answer).keys()
    assert token not in lab.parts.log.getvalue()


@pytest.mark.parametrize(
    "headers",
    [
        (BEARER, f"Authorization: Bearer {OTHER_TOKEN}"),
        (f"Authorization: Bearer {OTHER_TOKEN}", BEARER),
        (BEARER, BEARER),
        (BEARER, "Authorization: "),
        (f"{BEARER}, Bearer {OTHER_TOKEN}",),
        (f"{BEARER}\r\n\t{OTHER_TOKEN}",),
        (f"Authorization: {TOKEN}",),
        ("Authorization: Bearer",),
        ("Authorization: ",),
        ("Authorization: Basic Y3Jpczp0b2tlbg==",),
        (f'Authorization: Bearer token="{TOKEN}"',),
        (f"Authorization: Bearer\x0b{TOKEN}",),
        (f"Authorization: Bearer {TOKEN}é",),
        (f"Proxy-Authorization: Bearer {TOKEN}",),
        (f"X-Authorization: Bearer {TOKEN}",),
        (f"Cookie: access_token={TOKEN}",),
    ],
)
def test_authorization_smuggled_twice_or_in_another_form(headers: tuple[str, ...]) -> None:
    """One header, one token, nothing else: never does one of several win."""
    assert 401 == lookup_lab().get(PERSON_QUERY, *headers).status


def test_a_wrong_token_is_not_outweighed_by_a_tls_key() -> None:
    """Whoever presents a token means to be that client."""
    lab = lookup_lab()
    wrong = ("Authorization: Bearer x", "Authorization: Basic eDp5", "Authorization: ")

    assert [401] * 3 == [lab.get(PERSON_QUERY, header, key("sp")).status for header in wrong]
    assert (200, CRIS) == (lab.get(PERSON_QUERY, BEARER, key("sp")).status, lab.events()[-1]["requester"])


@pytest.mark.parametrize("parameter", ["access_token", "token", "authorization", "bearer_token"])
def test_token_in_the_address(parameter: str) -> None:
    """It opens nothing (RFC 6750 section 2.3 lets it), and is refused even beside a good one: addresses are kept by many."""
    lab = lookup_lab()
    path = f"{PERSON_QUERY}&{parameter}={TOKEN}"

    assert [401, 400] == [lab.get(path, *headers).status for headers in ((), (BEARER,))]
    assert TOKEN not in lab.parts.log.getvalue()


def test_token_in_the_body() -> None:
    """Nor does it in a body (RFC 6750 section 2.2)."""
    lab = lookup_lab()

    assert [401, 415] == [
        lab.post({**_BODY, "access_token": TOKEN}).status,
        lab.post(f"access_token={TOKEN}".encode(), media_type="application/x-www-form-urlencoded").status,
    ]


def test_token_of_another_home_organisation() -> None:
    """It sees its own organisation's people alone, one by one, together, and in the changes."""
    lab = lookup_lab()
    header = f"Authorization: Bearer {OTHER_TOKEN}"

    assert EMPTY == lab.get(PERSON_QUERY, header).body
    assert {"results": [{"eduPersonOrcid": []}]} == read(lab.post(_BODY, header))
    assert {OTHER_IDP} == {change["homeOrganisation"] for change in read(lab.get("links", header))["links"]}


def test_identity_provider_asks_about_another_s_people() -> None:
    """Withheld, and the answer is that about nobody."""
    lab = lookup_lab()
    others = {"identifiers": [{"eppn": OTHER_PERSON}, {"eppn": "nobody@other.example"}, {"eppn": "josiah@uni.example"}]}
    results = read(lab.post(others, key("idp")))["results"]

    assert [[], [], ["https://orcid.org/0000-0002-1825-0097"]] == [result["eduPersonOrcid"] for result in results]
    assert EMPTY == lab.get(f"orcid?eppn={quote(OTHER_PERSON)}", key("idp")).body


def test_identity_provider_names_itself_for_another() -> None:
    """A NameQualifier of another identity provider finds its people, and releases none of them."""
    lab = lookup_lab()
    path = f"orcid?persistent=Pid%2F42%2Babc%3D&name-qualifier={IDP}&sp-name-qualifier={SP}"

    assert [FOUND, EMPTY] == [lab.get(path, key(name)).body for name in ("idp", "other-idp")]


@pytest.mark.parametrize(
    ("header", "requester"),
    [(BEARER, SP), (BEARER, IDP), (key("sp"), IDP), (key("sp"), CRIS), (key("unruled"), SP), (key("proxy"), SP), (key("idp"), OTHER_IDP)],
)
def test_requester_that_one_is_not(header: str, requester: str) -> None:
    """A name proves nothing: it only chooses among those that the token or key belongs to."""
    lab = lookup_lab()
    answer = lab.get(f"{PERSON_QUERY}&requester={requester}", header)

    assert (403, ["Denied"]) == (answer.status, [event["failure"] for event in lab.events()])
    assert requester not in lab.parts.log.getvalue().replace(f'"requester": "{requester}"', "")


@pytest.mark.parametrize("requester", [f"{PROXY}&requester={SP}", f"{PROXY}%00", f"{PROXY}%0d%0aX: y", "", "proxy", f"{PROXY}!x"])
def test_requester_that_is_no_entity_id(requester: str) -> None:
    """Twice, empty, or with control characters it is a fault of the request."""
    assert 400 == lookup_lab().get(f"{PERSON_QUERY}&requester={requester}", key("proxy")).status


def test_service_provider_reads_the_changes() -> None:
    """It would learn whom it was never told of."""
    assert 403 == lookup_lab().get("links", key("sp")).status


def test_certificate_header_from_outside() -> None:
    """A TLS client key is believed from our own TLS layer or a trusted proxy's header, never from whoever writes one."""
    pem = quote(sp_keys().certificate_pem.decode())
    header = f"X-Client-Certificate: {pem}"
    directory = Directory(signed_federation())
    trusting = [
        ClientKeys(TrustedProxies("X-Client-Certificate", [ip_network(f"{PEER}/32")])),
        ClientKeys(TrustedProxies("X-Client-Certificate", [ip_network("10.0.0.0/8")])),
        ClientKeys(None),
    ]
    labs = [lookup_lab(directory=directory, client_keys=client_keys) for client_keys in trusting]

    assert [200, 401, 401] == [lab.get(PERSON_QUERY, header).status for lab in labs]
    assert 401 == labs[0].get(PERSON_QUERY, header, header).status


def test_token_does_not_pass_the_end_of_its_client() -> None:
    """A name that is registered again has another token, and the old one stays revoked."""
    known = (lab := lookup_lab()).parts.clients
    known.revoke_client("client1", known.list_clients()[0].created_at)
    known.register("aa_new", IDP)

    assert [401, 200] == [lab.get(PERSON_QUERY, f"Authorization: Bearer {token}").status for token in (TOKEN, "aa_new")]
    assert EntityId(CRIS) == known.list_clients()[-1].entity_id
