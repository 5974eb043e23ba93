"""The lookup door where something is wrong: too many questions, a store or source that is away or hangs, a defect; and what is counted."""

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

import pytest
from twisted.internet.task import Clock

from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, SourceUnavailable, TooManyQueries
from attribute_authority.web.lookup.callers import Credentials
from attribute_authority.web.lookup.case import Call
from attribute_authority.web.lookup.door import LOOKUP
from attribute_authority.web.running import BoundedPool, Inline, Later, OnPool
from tests.factories.doors import (
    IDP,
    eppn,
    persistent,
)
from tests.factories.lookups import (
    BEARER,
    CRIS,
    FOUND,
    PERSON_QUERY,
    Directory,
    LookupLab,
    People,
    federation,
    key,
    lookup_lab,
    read,
)
from tests.factories.sources import ScriptedSource, Unwatched, named, organisation

NOBODY_QUERY = "orcid?eppn=nobody%40uni.example"


def query(**parameters: str) -> str:
    """Write the address of a lookup; underscores stand for hyphens."""
    return f"orcid?{urlencode({name.replace('_', '-'): value for name, value in parameters.items()})}"


@dataclass(slots=True)
class Guard:
    """Notes what it is told, and refuses once it is told to."""

    refusal: Exception | None = None
    told: list[tuple[str, int, int | None]] = field(default_factory=list)

    def admit(self, requester: EntityId, queries: int, now: datetime) -> None:
        """Take note, or refuse."""
        self.told.append((requester, queries, None))
        if self.refusal is not None:
            raise self.refusal

    def learn(self, requester: EntityId, asked: int, unknown: int, now: datetime) -> None:
        """Take note."""
        self.told.append((requester, asked, unknown))


def test_every_question_is_counted() -> None:
    """The guard hears of one question before it is answered, and afterwards whether anybody was known."""
    guard = Guard()
    lab = lookup_lab(guard=guard)
    lab.get(PERSON_QUERY, BEARER)
    lab.get(NOBODY_QUERY, BEARER)
    lab.get("orcid?eppn=x", BEARER)

    assert [(CRIS, 1, None), (CRIS, 1, 0), (CRIS, 1, None), (CRIS, 1, 1)] == guard.told


@pytest.mark.parametrize(
    ("refusal", "status", "seconds"),
    [(TooManyQueries("too many", 0.2), 429, "1"), (TooManyQueries("too many", 59.1), 429, "60"), (CouldNotAsk("away"), 503, "5")],
)
def test_whoever_asks_too_much_is_told_when_to_come_back(refusal: Exception, status: int, seconds: str) -> None:
    """Retry-After in whole seconds, at least one; nothing is looked up, and nothing is kept."""
    lab = lookup_lab(guard=Guard(refusal))
    answer = lab.get(PERSON_QUERY, BEARER)

    assert (status, seconds, "no-store") == (answer.status, answer.headers["retry-after"], answer.headers["cache-control"])
    assert [type(refusal).__name__] == [event["failure"] for event in lab.events()]


def test_what_is_away_is_no_empty_list() -> None:
    """Neither our database nor our metadata being away reads like nobody."""
    labs = lookup_lab(people=People(is_away=True)), lookup_lab(directory=Directory(federation(), is_away=True))

    assert [(503, "5")] * 2 == [((answer := lab.get(PERSON_QUERY, key("sp"))).status, answer.headers["retry-after"]) for lab in labs]


def with_source(source: ScriptedSource) -> LookupLab:
    """Make a lab whose home organisation has a source."""
    return lookup_lab(organisations=(organisation(IDP, named(source)),))


def test_whom_the_store_does_not_know_the_home_organisation_may() -> None:
    """Its source resolves a persistent identifier that we have never seen."""
    stranger = persistent("stranger")
    source = ScriptedSource({stranger: Finding((eppn(),))})
    lab = with_source(source)
    asked = query(persistent="stranger", name_qualifier=IDP)

    assert FOUND == lab.get(asked, key("sp")).body
    assert ([stranger], "directory") == (source.asked, lab.events()[-1]["source"])


def test_a_source_that_cannot_be_asked_is_no_empty_list() -> None:
    """503 with the time after which it is tried again."""
    answer = with_source(ScriptedSource(failure=SourceUnavailable("directory is away", 12.5))).get(
        query(persistent="stranger", name_qualifier=IDP), key("sp")
    )

    assert (503, "Service Unavailable") == (answer.status, read(answer)["title"])
    assert 1 <= int(answer.headers["retry-after"]) <= 60


class StuckPool:
    """A pool whose thread never comes back."""

    def callInThreadWithCallback(self, *_: object, **__: object) -> None:
        """Take the work, and do nothing."""


def test_a_store_that_hangs_is_given_up() -> None:
    """After the deadline the caller hears that we could not ask, with one event."""
    clock = Clock()
    pool = BoundedPool(clock, StuckPool(), 6.0)  # type: ignore[arg-type] # what of it is used, it has
    lab = lookup_lab(runner=OnPool(pool, pool))
    wire = lab.wire()
    wire.send(f"GET /api/v1/{PERSON_QUERY} HTTP/1.1\r\nHost: a\r\n{BEARER}\r\n\r\n".encode())
    clock.advance(5.9)

    assert [] == wire.answers()
    clock.advance(0.2)
    assert [503] == [answer.status for answer in wire.answers()]
    assert [("CouldNotAsk", "no answer within 6.0 s")] == [(event["failure"], event["cause"]) for event in lab.events()]


def test_a_source_that_hangs_is_given_up() -> None:
    """What the thread says afterwards is heard by nobody, and is no second event."""
    lab = with_source(ScriptedSource({persistent("stranger"): Finding((eppn(),))}))
    call = Call(f"persistent=stranger&name-qualifier={IDP}".encode(), Credentials((), b"sp"))
    begun = lab.door.look_up(call)

    assert isinstance(begun, Later)
    assert 503 == begun.give_up("no answer within 4 s").status
    assert FOUND == begun.finish().body
    assert ["no answer within 4 s"] == [event["cause"] for event in lab.events()]


class Broken:
    """A guard with a defect."""

    def admit(self, requester: EntityId, queries: int, now: datetime) -> None:
        """Fail as nothing should."""
        raise ZeroDivisionError("josiah@uni.example")

    def learn(self, requester: EntityId, asked: int, unknown: int, now: datetime) -> None:
        """Never be called."""


def test_a_defect_of_ours_shows_nothing() -> None:
    """500 as a problem document with an id that the log knows, and the next question is answered."""
    lab = lookup_lab(guard=Broken())
    answer = lab.get(PERSON_QUERY, BEARER)

    assert (500, b"josiah" in answer.body) == (answer.status, False)
    assert read(answer)["correlationId"] == lab.events()[-1]["correlation_id"]
    assert 401 == lab.get(PERSON_QUERY).status


def test_answers_are_counted_by_their_outcome() -> None:
    """The metrics hear of every question once."""

    @dataclass(slots=True)
    class Watch(Unwatched):
        heard: list[tuple[str, str]] = field(default_factory=list)

        def answered(self, door: str, outcome: str, seconds: float) -> None:
            self.heard.append((door, outcome))

        def refused(self, door: str, failure: str) -> None:
            self.heard.append((door, failure))

    watch = Watch()
    lab = lookup_lab(watch=watch)
    lab.get(PERSON_QUERY, BEARER)
    lab.get(PERSON_QUERY)

    assert [(LOOKUP, "released"), (LOOKUP, "NotAuthenticated")] == watch.heard


def test_a_local_store_is_asked_in_place() -> None:
    """Without a source in play no pool is troubled."""
    unused = BoundedPool(Clock(), StuckPool(), 1.0)  # type: ignore[arg-type] # nothing of it is used

    assert FOUND == lookup_lab(runner=Inline(unused)).get(PERSON_QUERY, BEARER).body
