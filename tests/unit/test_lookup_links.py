"""The changes of links: whose, in which order, and how a reader goes on."""

from dataclasses import replace

import pytest

from attribute_authority.domain.change import ChangeKind
from attribute_authority.domain.identifiers import EntityId, IdentifierKind, parse_identifier
from attribute_authority.web.lookup.cursor import read_cursor, write_cursor
from tests.factories.doors import AFFILIATION, IDP, ORCID, OTHER_IDP, PERSISTENT_VALUE, rule
from tests.factories.lookups import BEARER, CRIS, OTHER_TOKEN, PROXY, TWIN, Changes, clients, key, lookup_lab, read
from tests.factories.queries import SP

JOSIAH = {
    "event": "linked",
    "homeOrganisation": IDP,
    "identifiers": [
        {"eppn": "josiah@uni.example"},
        {"persistent": PERSISTENT_VALUE, "name-qualifier": IDP, "sp-name-qualifier": SP},
    ],
    "eduPersonOrcid": [f"https://orcid.org/{ORCID}"],
    "changedAt": "2026-03-01T12:00:00Z",
}
ANNA = [{"eppn": "anna@uni.example"}]


@pytest.mark.parametrize("header", [BEARER, key("idp")])
def test_a_home_organisation_reads_its_own_people(header: str) -> None:
    """Additions and withdrawals in their order, and nobody else's; with which the reader can ask as they are."""
    lab = lookup_lab()
    answer = lab.get("links", header)
    told = read(answer)

    assert (200, "private, no-cache") == (answer.status, answer.headers["cache-control"])
    assert [JOSIAH, ("linked", ANNA, 1), ("withdrawn", ANNA, 0)] == [
        told["links"][0],
        *((change["event"], change["identifiers"], len(change["eduPersonOrcid"])) for change in told["links"][1:]),
    ]
    assert (write_cursor(40), False) == (told["next"], told["more"])
    assert [("links", 3, "answered")] == [(event["door"], event["released"], event["outcome"]) for event in lab.events()]


def test_a_reader_goes_on_where_it_was() -> None:
    """Page by page nothing is missed or told twice; at the end `next` stays, and later changes come behind it."""
    changes = (lab := lookup_lab()).parts.changes
    pages, since = [], ""
    for _ in range(4):
        told = read(lab.get(f"links?limit=1{since}", key("idp")))
        pages.append((len(told["links"]), told["more"]))
        since = f"&since={told['next']}"
    changes.note(ChangeKind.LINKED, parse_identifier(IdentifierKind.EPPN, "new@uni.example"))

    assert [(1, True), (1, True), (1, False), (0, False)] == pages
    assert [[{"eppn": "new@uni.example"}]] == [change["identifiers"] for change in read(lab.get(f"links?{since[1:]}", key("idp")))["links"]]


def test_who_holds_the_same_page_gets_none_again() -> None:
    """A reader that asks often costs little."""
    lab = lookup_lab()
    etag = lab.get("links", BEARER).headers["etag"]

    assert 304 == lab.get("links", BEARER, f"If-None-Match: {etag}").status


@pytest.mark.parametrize(
    ("header", "path"),
    [(key("sp"), "links"), (key("proxy"), f"links?requester={TWIN}"), (key("unnamed"), "links"), (key("unruled"), "links")],
)
def test_a_service_provider_follows_nobody(header: str, path: str) -> None:
    """It may ask about those whom it knows; nor does an identity provider follow anybody that no rule names."""
    lab = lookup_lab()

    assert (403, "Denied") == (lab.get(path, header).status, lab.events()[0]["failure"])


def test_a_token_of_a_service_provider_follows_nobody() -> None:
    """Its entity in metadata decides, whatever the operator bound the token to."""
    known = clients()
    known.register("aa_sp", IDP, entity_id=SP)

    assert 403 == lookup_lab(clients=known).get("links", "Authorization: Bearer aa_sp").status


def test_a_token_of_an_identity_provider_follows_its_own_people() -> None:
    """And not those of another home organisation, even if the token is bound to it."""
    known = clients()
    known.register("aa_own", IDP, OTHER_IDP, entity_id=IDP)
    known.register("aa_other", OTHER_IDP, entity_id=IDP)
    lab = lookup_lab(clients=known)
    own = lab.get("links", "Authorization: Bearer aa_own")

    assert {IDP} == {change["homeOrganisation"] for change in read(own)["links"]}
    assert 403 == lab.get("links", "Authorization: Bearer aa_other").status


def test_an_entity_that_is_both_follows_its_own_people() -> None:
    """As an identity provider it has people; as a service provider it would have none to follow."""
    assert [] == read(lookup_lab().get(f"links?requester={PROXY}", key("proxy")))["links"]


def test_release_rules_decide_of_whom_changes_are_told() -> None:
    """Of several home organisations of a token, those count that a rule allows."""
    known = clients()
    known.register("aa_both", IDP, OTHER_IDP)
    narrow = replace(rule(CRIS), home_organisations=frozenset({EntityId(OTHER_IDP)}))
    lab = lookup_lab(clients=known, rules=(narrow,))

    assert {OTHER_IDP} == {change["homeOrganisation"] for change in read(lab.get("links", "Authorization: Bearer aa_both"))["links"]}
    assert [403, 200] == [lab.get("links", header).status for header in (BEARER, f"Authorization: Bearer {OTHER_TOKEN}")]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "05", "1.0", "1e2", "", "%EF%BC%95", "1_0", " 1", "99999999999999999999"])
def test_a_limit_is_a_plain_number(limit: str) -> None:
    """From 1 to 1000, written as everybody does."""
    answer = lookup_lab().get(f"links?limit={limit.replace(' ', '%20')}", BEARER)

    assert (400, "query.limit") == (answer.status, read(answer)["faults"][0]["in"])


def test_largest_page() -> None:
    """A thousand changes in one answer, half of that unless said."""
    changes = Changes()
    for number in range(1200):
        changes.note(ChangeKind.LINKED, parse_identifier(IdentifierKind.EPPN, f"p{number}@uni.example"))
    lab = lookup_lab(changes=changes)

    assert [500, 1000] == [len(read(lab.get(path, BEARER))["links"]) for path in ("links", "links?limit=1000")]


@pytest.mark.parametrize("number", [0, 1, 40, 2**31, 2**63 - 1])
def test_a_cursor_is_read_back(number: int) -> None:
    """Whatever the number."""
    assert number == read_cursor(write_cursor(number))


def test_a_pairwise_id_is_told_with_its_service_provider() -> None:
    """And one without says none."""
    changes = Changes()
    kind = IdentifierKind.PAIRWISE_ID
    changes.note(ChangeKind.LINKED, parse_identifier(kind, "a@uni.example", None, AFFILIATION), parse_identifier(kind, "b@uni.example"))
    told = read(lookup_lab(changes=changes).get("links", BEARER))["links"][0]["identifiers"]

    assert [{"pairwise-id": "a@uni.example", "sp-name-qualifier": AFFILIATION}, {"pairwise-id": "b@uni.example"}] == told
