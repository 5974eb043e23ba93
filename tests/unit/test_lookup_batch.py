"""Many identifiers in one request: one result each, in their order, and none that could not be asked reads like nobody."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, SourceUnavailable, TooManyQueries
from attribute_authority.web.lookup.callers import Credentials
from attribute_authority.web.lookup.case import Call
from attribute_authority.web.running import Later
from tests.factories.doors import AFFILIATION, IDP, ORCID, OTHER_PERSON, WITHDRAWN_PERSON, eppn, persistent
from tests.factories.lookups import BEARER, CRIS, PROXY, TOKEN, LookupLab, People, key, lookup_lab, read
from tests.factories.queries import NOW, SP
from tests.factories.sources import FreeGuard, ScriptedSource, named, organisation

FOUND = {"eduPersonOrcid": [f"https://orcid.org/{ORCID}"]}
EMPTY: dict[str, list[str]] = {"eduPersonOrcid": []}
UNASKED = {"problem": {"type": "about:blank", "title": "Service Unavailable", "status": 503}}
JOSIAH = {"eppn": "josiah@uni.example"}
STRANGER = {"persistent": "stranger", "name-qualifier": IDP, "sp-name-qualifier": SP}


def batch(*identifiers: object) -> dict[str, object]:
    """Write the body of a batch."""
    return {"identifiers": list(identifiers)}


def test_each_identifier_has_its_result_in_order() -> None:
    """Whatever their kinds, with duplicates and whoever is unknown, unlinked or withheld in between."""
    lab = lookup_lab()
    qualified = {"persistent": "shared", "name-qualifier": IDP, "sp-name-qualifier": AFFILIATION}
    asked = ({"eppn": WITHDRAWN_PERSON}, JOSIAH, {"eppn": OTHER_PERSON}, {"subject-id": "josiah1@uni.example"}, JOSIAH, qualified, STRANGER)
    answer = lab.post(batch(*asked), BEARER)

    assert (200, "no-store", "application/json") == (answer.status, answer.headers["cache-control"], answer.headers["content-type"])
    assert {"results": [EMPTY, FOUND, EMPTY, FOUND, FOUND, FOUND, EMPTY]} == read(answer)
    assert ([("lookup-batch", 7, 4, "answered")]) == [
        (event["door"], event["asked"], event["released"], event["outcome"]) for event in lab.events()
    ]
    assert "subject" not in lab.events()[0]


def test_a_thousand_are_looked_up_at_once() -> None:
    """The store is asked once, and the answer has a thousand results."""
    people = People()
    results = read(lookup_lab(people=people).post(batch(*({"eppn": f"p{n}@uni.example"} for n in range(999)), JOSIAH), BEARER))["results"]

    assert ([1000], [EMPTY] * 999, FOUND) == (people.batches, results[:-1], results[-1])


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (batch(), "body.identifiers"),
        (batch(*[JOSIAH] * 1001), "body.identifiers"),
        ({"identifiers": JOSIAH}, "body.identifiers"),
        ({}, "body.identifiers"),
        ([JOSIAH], "body"),
        (None, "body"),
        ({**batch(JOSIAH), "more": 1}, "body"),
        (batch(JOSIAH, JOSIAH, {"eppn": "josiah"}), "body.identifiers[2].eppn"),
        (batch(JOSIAH, {"mail": "a@b"}), "body.identifiers[1]"),
        (batch({}), "body.identifiers[0]"),
        (batch({**JOSIAH, "subject-id": "a@b"}), "body.identifiers[0]"),
        (batch({**JOSIAH, "name-qualifier": IDP}), "body.identifiers[0]"),
        (batch({"pairwise-id": "a@b", "name-qualifier": IDP}), "body.identifiers[0]"),
        (batch({"eppn": None}), "body.identifiers[0].eppn"),
        (batch({"eppn": 7}), "body.identifiers[0].eppn"),
        (batch({"eppn": ["a@b"]}), "body.identifiers[0].eppn"),
        (batch("josiah@uni.example"), "body.identifiers[0]"),
        (batch({**STRANGER, "name-qualifier": "idp"}), "body.identifiers[0].name-qualifier"),
        (batch(JOSIAH, {"persistent": "x", "name-qualifier": IDP}), "body.identifiers[1].sp-name-qualifier"),
        (batch({**JOSIAH, "requester": CRIS}), "body.identifiers[0]"),
        (batch({"subject_id": "a@b"}), "body.identifiers[0]"),
    ],
)
def test_one_identifier_that_does_not_fit_is_a_fault_of_the_whole(body: object, place: str) -> None:
    """It is named by its place, and nothing of the batch is answered, counted or looked up."""
    people = People()
    answer = (lab := lookup_lab(people=people)).post(body, BEARER)

    assert (400, place) == (answer.status, read(answer)["faults"][0]["in"])
    assert ([], ["InvalidRequest"]) == (people.batches, [event["failure"] for event in lab.events()])


@pytest.mark.parametrize(
    ("media_type", "headers", "status"),
    [
        ("application/json", (), 200),
        ("Application/JSON; charset=UTF-8", (), 200),
        ('application/json; charset="utf-8"', ("Content-Encoding: identity",), 200),
        ("application/json; charset=iso-8859-1", (), 415),
        ("text/json", (), 415),
        ("application/x-www-form-urlencoded", (), 415),
        ("application/json", ("Content-Encoding: gzip",), 415),
        ("application/json", ("Content-Type: application/json",), 415),
    ],
)
def test_only_json_in_utf_8_is_read(media_type: str, headers: tuple[str, ...], status: int) -> None:
    """Everything else is refused by its media type, before it is looked at."""
    assert status == lookup_lab().post(batch(JOSIAH), BEARER, *headers, media_type=media_type).status


@dataclass(slots=True)
class Guard(FreeGuard):
    """Notes what it is told, and refuses more than a few."""

    told: list[tuple[int, int | None]] = field(default_factory=list)

    def admit(self, requester: EntityId, queries: int, now: datetime) -> None:
        """Take note, or refuse."""
        self.told.append((queries, None))
        if queries > 3:
            raise TooManyQueries("too many", 7.0)

    def learn(self, requester: EntityId, asked: int, unknown: int, now: datetime) -> None:
        """Take note."""
        self.told.append((asked, unknown))


def test_every_identifier_counts_as_a_question() -> None:
    """Of a batch that is too large for what is left, nothing is answered."""
    lab = lookup_lab(guard=(guard := Guard()), people=(people := People()))
    answered = lab.post(batch(JOSIAH, JOSIAH, {"eppn": "x@uni.example"}), BEARER)
    refused = lab.post(batch(*[JOSIAH] * 4), BEARER)

    assert [(3, None), (3, 1), (4, None)] == guard.told
    assert (200, 429, "7", [2]) == (answered.status, refused.status, refused.headers["retry-after"], people.batches)


def with_source(source: ScriptedSource) -> LookupLab:
    """Make a lab whose home organisation has a source."""
    return lookup_lab(organisations=(organisation(IDP, named(source)),))


def test_a_source_is_asked_once_about_each() -> None:
    """Whom the store does not know, it may; one that is in the batch twice is asked about once."""
    source = ScriptedSource({persistent("stranger"): Finding((eppn(),))})
    answer = with_source(source).post(batch(STRANGER, JOSIAH, STRANGER, {**STRANGER, "persistent": "nobody"}), BEARER)

    assert {"results": [FOUND, FOUND, FOUND, EMPTY]} == read(answer)
    assert [persistent("stranger"), persistent("nobody")] == source.asked


def test_whoever_could_not_be_asked_about_is_no_empty_list() -> None:
    """A problem stands in that place, the others are answered, and the log says why."""
    lab = with_source(ScriptedSource(failure=SourceUnavailable("directory is away", 12.0)))
    answer = lab.post(batch(JOSIAH, STRANGER), BEARER)

    assert (200, {"results": [FOUND, UNASKED]}) == (answer.status, read(answer))
    assert ("partly-answered", 2, 1) == tuple(lab.events()[0][name] for name in ("outcome", "asked", "released"))
    assert "cause" in lab.events()[0]


def test_a_batch_does_not_ask_sources_for_longer_than_its_patience() -> None:
    """What is not asked about by then says so; what the store knows is answered all the same."""
    lab = with_source(source := ScriptedSource())
    seconds = count()
    door = replace(lab.door, clock=lambda: NOW + timedelta(seconds=next(seconds)), patience=timedelta(seconds=3))
    strangers = b",".join(b'{"persistent": "s%d", "name-qualifier": "%s"}' % (n, IDP.encode()) for n in range(5))
    body = b'{"identifiers": [%s, {"eppn": "josiah@uni.example"}]}' % strangers
    begun = door.look_up_batch(Call(b"", Credentials((), b"sp"), body=body))

    assert isinstance(begun, Later)
    assert [b"Orcid", b"Orcid", b"problem", b"problem", b"problem", b"orcid.org"] == [
        next(word for word in (b"problem", b"orcid.org", b"Orcid") if word in result) for result in begun.finish().body.split(b"}, {")
    ]
    assert 2 == len(source.asked)


def test_a_batch_never_runs_where_connections_are_served() -> None:
    """It goes on later, but for whoever may not ask; given up, it is one event."""
    lab = lookup_lab()
    begun = lab.door.look_up_batch(Call(b"", Credentials((f"Bearer {TOKEN}".encode(),)), body=b'{"identifiers": [{"eppn": "a@b.c"}]}'))
    refused = lab.door.look_up_batch(Call(b"", Credentials(), body=b""))

    assert isinstance(begun, Later)
    assert (503, 401) == (begun.give_up("no answer within 4 s").status, 401 if isinstance(refused, Later) else refused.status)
    begun.finish()
    assert ["NotAuthenticated", "CouldNotAsk"] == [event["failure"] for event in lab.events()]


def test_a_store_that_is_away_answers_nothing() -> None:
    """503 for the whole batch, with Retry-After."""
    answer = lookup_lab(people=People(is_away=True)).post(batch(JOSIAH), BEARER)

    assert (503, "5") == (answer.status, answer.headers["retry-after"])


def test_the_requester_of_a_batch_stands_in_the_address() -> None:
    """As in every other question."""
    lab = lookup_lab()
    path = f"orcid:lookup?requester={PROXY}"

    assert [400, 200] == [lab.post(batch(JOSIAH), key("proxy"), path=each).status for each in ("orcid:lookup", path)]
    assert 400 == lab.post(batch(JOSIAH), BEARER, path="orcid:lookup?dry-run=1").status


def test_another_s_identifiers_in_a_batch_are_denied() -> None:
    """A service provider that names another one's is refused as a whole."""
    assert 403 == lookup_lab().post(batch(JOSIAH, STRANGER), key("other-sp")).status


def test_could_not_ask_is_the_parent_of_every_reason() -> None:
    """So that no source's failure of its own is taken for nobody."""
    lab = with_source(ScriptedSource(failure=CouldNotAsk("odd")))

    assert {"results": [UNASKED]} == read(lab.post(batch(STRANGER), BEARER))
