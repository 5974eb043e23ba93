"""The lookup door: who may ask about whom, what is answered, and what the log says of it."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import EntityId, IdentifierKind, parse_identifier
from tests.factories.doors import (
    AFFILIATION,
    IDP,
    OTHER_IDP,
    OTHER_PERSON,
    PERSISTENT_VALUE,
    WITHDRAWN_PERSON,
    link,
    rule,
)
from tests.factories.lookups import (
    BEARER,
    CRIS,
    EMPTY,
    FOUND,
    PERSON_QUERY,
    PROXY,
    TWIN,
    LookupLab,
    People,
    clients,
    federation,
    key,
    lookup_lab,
    read,
)
from tests.factories.queries import NOW, SP

NOBODY_QUERY = "orcid?eppn=nobody%40uni.example"


def query(**parameters: str) -> str:
    """Write the address of a lookup; underscores stand for hyphens."""
    return f"orcid?{urlencode({name.replace('_', '-'): value for name, value in parameters.items()})}"


def places(lab: LookupLab, path: str, *headers: str) -> tuple[int, list[str]]:
    """Ask, and return the status and the places that do not fit."""
    answer = lab.get(path, *headers)
    return answer.status, [fault["in"] for fault in read(answer).get("faults", ())]


@pytest.mark.parametrize(
    "parameters",
    [
        {"eppn": "Josiah@uni.example"},
        {"subject_id": "josiah1@uni.example"},
        {"unique_id": "JOSIAH1@uni.example"},
        {"pairwise_id": "pw1@uni.example"},
        {"pairwise_id": "pw1@uni.example", "sp_name_qualifier": SP},
        {"persistent": PERSISTENT_VALUE, "name_qualifier": IDP},
        {"persistent": PERSISTENT_VALUE, "name_qualifier": IDP, "sp_name_qualifier": SP},
        {"persistent": "shared", "name_qualifier": IDP, "sp_name_qualifier": AFFILIATION},
        {"eppn": "josiah@uni.example", "requester": SP},
    ],
)
def test_a_service_provider_asks_with_each_kind(parameters: dict[str, str]) -> None:
    """With its own identifiers and those of its affiliation; its own SPNameQualifier need not be said."""
    assert (200, FOUND) == ((answer := lookup_lab().get(query(**parameters), key("sp"))).status, answer.body)


@pytest.mark.parametrize(("parameters", "missing"), [({"name_qualifier": IDP}, "sp"), ({"sp_name_qualifier": SP}, "")])
def test_a_client_names_both_qualifiers(parameters: dict[str, str], missing: str) -> None:
    """A registered client is neither side of a persistent identifier, so both are to be said."""
    lab = lookup_lab()
    whole = query(persistent=PERSISTENT_VALUE, name_qualifier=IDP, sp_name_qualifier=SP)
    part = query(persistent=PERSISTENT_VALUE, **parameters)

    assert FOUND == lab.get(whole, BEARER).body
    assert (400, [f"query.{'sp-' if missing else ''}name-qualifier"]) == places(lab, part, BEARER)


def test_an_identity_provider_asks_about_its_own_people_alone() -> None:
    """Whoever the service provider of the identifier is; it is itself the NameQualifier; another's person reads like nobody."""
    lab = lookup_lab()
    own = (
        PERSON_QUERY,
        query(persistent=PERSISTENT_VALUE, sp_name_qualifier=SP),
        query(pairwise_id="pw1@uni.example", sp_name_qualifier=SP),
    )

    assert [FOUND] * 3 == [lab.get(path, key("idp")).body for path in own]
    assert [EMPTY] * 2 == [lab.get(PERSON_QUERY, key("other-idp")).body, lab.get(query(eppn=OTHER_PERSON), key("idp")).body]
    assert (400, ["query.sp-name-qualifier"]) == places(lab, query(persistent=PERSISTENT_VALUE), key("idp"))
    assert EMPTY == lab.get(query(pairwise_id="pw1@uni.example"), key("idp")).body


def test_a_client_sees_the_people_of_its_home_organisations_alone() -> None:
    """Whatever more the release rules would allow its entityID."""
    lab = lookup_lab()

    assert [FOUND, EMPTY] == [lab.get(query(eppn=person), BEARER).body for person in ("josiah@uni.example", OTHER_PERSON)]
    assert ["released", "withheld"] == [event["outcome"] for event in lab.events()]


def test_a_client_that_is_an_entity_of_metadata_is_that_entity_within_its_bounds() -> None:
    """A service provider's token has the service provider's rights, for the home organisations of the token alone."""
    known = clients()
    known.register("aa_sp", OTHER_IDP, entity_id=SP)
    known.register("aa_idp", OTHER_IDP, entity_id=IDP)
    lab = lookup_lab(clients=known)
    asked = [(PERSON_QUERY, "aa_sp"), (query(eppn=OTHER_PERSON), "aa_sp"), (PERSON_QUERY, "aa_idp"), (query(eppn=OTHER_PERSON), "aa_idp")]
    bodies = [lab.get(path, f"Authorization: Bearer {token}").body for path, token in asked]

    assert [EMPTY, b'{"eduPersonOrcid": ["https://orcid.org/0000-0002-1694-233X"]}', EMPTY, EMPTY] == bodies


def test_a_client_needs_a_rule_that_names_it() -> None:
    """Being registered opens the door, and gives nothing that no rule allows."""
    unnamed = lookup_lab(rules=(rule(SP),))
    elsewhere = lookup_lab(rules=(replace(rule(CRIS), home_organisations=frozenset({EntityId(OTHER_IDP)})),))

    assert [403, 200] == [lab.get(PERSON_QUERY, BEARER).status for lab in (unnamed, elsewhere)]
    assert EMPTY == elsewhere.get(PERSON_QUERY, BEARER).body


def test_entities_that_share_a_key_say_which_one_asks() -> None:
    """Without `requester` the question is refused; with it, the entity that is named asks, and its rules count."""
    lab = lookup_lab()

    assert (400, ["query.requester"]) == places(lab, PERSON_QUERY, key("proxy"))
    assert [FOUND, EMPTY] == [lab.get(f"{PERSON_QUERY}&requester={name}", key("proxy")).body for name in (PROXY, TWIN)]
    assert [None, PROXY, TWIN] == [event.get("requester") for event in lab.events()]


def test_an_entity_that_is_both_asks_as_a_service_provider() -> None:
    """It sees others' people by the rules, so it names no other service provider's identifiers; it may leave both qualifiers out."""
    lab = lookup_lab(people=People())
    named_by_it = f"requester={PROXY}"

    assert 403 == lab.get(f"{query(persistent='x', name_qualifier=IDP, sp_name_qualifier=SP)}&{named_by_it}", key("proxy")).status
    assert EMPTY == lab.get(f"{query(persistent='x')}&{named_by_it}", key("proxy")).body


@pytest.mark.parametrize("header", [key("unnamed"), key("nobody"), "Accept: */*"])
def test_who_may_not_ask(header: str) -> None:
    """An identity provider that no rule names is denied; who proves nothing is asked to authenticate (RFC 6750)."""
    answer = lookup_lab().get(PERSON_QUERY, header)

    assert (403 if "unnamed" in header else 401) == answer.status
    assert (None if answer.status == 403 else 'Bearer realm="lookup"') == answer.headers.get("www-authenticate")


def test_an_entity_whose_metadata_has_expired_is_nobody() -> None:
    """A TLS client key counts as long as the metadata that holds it."""
    entities = tuple(replace(entity, valid_until=NOW) for entity in federation())

    assert 401 == lookup_lab(entities=entities).get(PERSON_QUERY, key("sp")).status


def test_the_answer_can_be_kept_and_is_asked_for_anew() -> None:
    """Length, validator and the right Cache-Control on every answer; who holds the same octets gets none again."""
    lab = lookup_lab()
    answer = lab.get(PERSON_QUERY, BEARER)
    expected = {
        "cache-control": "private, no-cache",
        "content-length": str(len(FOUND)),
        "content-type": "application/json",
        "vary": "Authorization",
        "x-content-type-options": "nosniff",
    }

    assert expected == {name: answer.headers[name] for name in expected}
    etag = answer.headers["etag"]
    tags = (etag, f"W/{etag}", f'"x", {etag}', "*", '"x"', etag.strip('"'))
    again = [lab.get(PERSON_QUERY, BEARER, f"If-None-Match: {tag}") for tag in tags]
    assert [304, 304, 304, 304, 200, 200] == [each.status for each in again]
    assert {etag} == {each.headers["etag"] for each in again}
    assert {"private, no-cache"} == {each.headers["cache-control"] for each in again}
    assert "content-length" not in again[0].headers
    assert 200 == lab.get(NOBODY_QUERY, BEARER, f"If-None-Match: {etag}").status


def test_head_is_get_without_the_body() -> None:
    """The same head, length and validator included."""
    lab = lookup_lab()
    got, asked = lab.get(PERSON_QUERY, BEARER), lab.get(PERSON_QUERY, BEARER, method="HEAD")

    assert (200, got.headers["etag"], str(len(FOUND))) == (asked.status, asked.headers["etag"], asked.headers["content-length-of-get"])


def test_a_withdrawal_counts_with_the_next_question() -> None:
    """Nothing is remembered between questions, and a revoked token opens nothing any more."""
    known = clients()
    lab = lookup_lab(clients=known)
    before = lab.get(PERSON_QUERY, BEARER)
    known.revoke_client("client1", NOW)

    assert [200, 401] == [before.status, lab.get(PERSON_QUERY, BEARER).status]


def test_other_addresses_and_methods() -> None:
    """Problem documents too: 404 with nothing at the address, 405 with Allow."""
    lab = lookup_lab()
    paths = ("", "users", "orcid/", "orcid/x", "links/x", "openapi.json/x", "orcid:lookup/x", "orcid%2Flookup", "%00")
    answers = [lab.get(path, BEARER) for path in paths]

    assert [(404, "application/problem+json")] * len(paths) == [(each.status, each.headers["content-type"]) for each in answers]
    assert {"type": "about:blank", "title": "Not Found", "status": 404} == read(answers[0])
    refused = [
        lab.get(path, BEARER, method=method) for method, path in (("DELETE", PERSON_QUERY), ("GET", "orcid:lookup"), ("PUT", "links"))
    ]
    assert [(405, "GET, HEAD"), (405, "POST"), (405, "GET, HEAD")] == [(each.status, each.headers["allow"]) for each in refused]
    assert [] == lab.events()


def test_one_event_for_each_question() -> None:
    """It says who asked and how it ended, and knows the person by a pseudonym alone."""
    lab = lookup_lab()
    for path in (PERSON_QUERY, query(eppn="nobody@uni.example"), query(eppn=WITHDRAWN_PERSON), "orcid?eppn=josiah"):
        lab.get(path, key("sp"))
    events = lab.events()

    assert ["released", "unknown", "unlinked", None] == [event.get("outcome") for event in events]
    assert [(SP, "lookup", True)] * 4 == [(event["requester"], event["door"], event["client_key"]) for event in events]
    assert [1, None, 1, None] == [event.get("rule") for event in events]
    assert "InvalidRequest" == events[-1]["failure"]
    assert not any(secret in lab.parts.log.getvalue() for secret in ("josiah", "nobody@", "uni.example\\", "0000-0002"))


def test_an_affiliation_is_honoured_for_its_members_alone() -> None:
    """Another service provider that names it is denied."""
    lab = lookup_lab()
    shared = query(persistent="shared", name_qualifier=IDP, sp_name_qualifier=AFFILIATION)

    assert [200, 403] == [lab.get(shared, key(name)).status for name in ("sp", "other-sp")]


def test_a_pairwise_id_that_is_stored_without_service_provider_is_found() -> None:
    """The value alone is tried too, as attribute queries do."""
    people = People()
    people.links.add_link(link("0000-0001-5109-3700", parse_identifier(IdentifierKind.PAIRWISE_ID, "any@other.example"), home=OTHER_IDP))
    answer = lookup_lab(people=people).get(query(pairwise_id="any@other.example"), key("other-sp"))

    assert {"eduPersonOrcid": ["https://orcid.org/0000-0001-5109-3700"]} == read(answer)


def test_an_entity_without_a_role_that_asks_sees_nobody() -> None:
    """A rule that names it opens the door, and no more: it has no people of its own."""
    bare = Entity(EntityId("https://bare.example"), frozenset(), (b"bare",))
    lab = lookup_lab(entities=(bare,), rules=(rule("https://bare.example"),))

    assert EMPTY == lab.get(PERSON_QUERY, key("bare")).body
