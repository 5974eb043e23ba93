"""The way through the rooms: what the door makes of settings and of the delivery."""

from datetime import timedelta

import pytest
from twisted.internet.task import Clock

from attribute_authority.domain.query import NothingToRelease, Recipient, RequesterProfile
from attribute_authority.web.query_door import PYSAML2_CONTENT_TYPE, Delivery, Reply
from attribute_authority.web.running import BoundedPool, Inline, OnPool
from tests.factories.doors import AUTHORITY, Told, lab, sp_keys
from tests.factories.queries import NOW, SP, asking, attribute_query, envelope, instant, name_id
from tests.factories.wires import on_the_spot

DATA = "saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"
UNKNOWN = envelope(asking(name_id("nobody@uni.example")))


def profiled(**settings: object) -> dict[str, RequesterProfile]:
    """Configure the requester."""
    return {SP: RequesterProfile(**settings)}  # type: ignore[arg-type] # the fields are named by the tests


@pytest.mark.parametrize(
    ("setting", "content_type", "expected"),
    [
        (Recipient.AUTO, "text/xml", None),
        (Recipient.AUTO, PYSAML2_CONTENT_TYPE, SP),
        (Recipient.ALWAYS, "text/xml", SP),
        (Recipient.NEVER, PYSAML2_CONTENT_TYPE, None),
    ],
)
def test_recipient(setting: Recipient, content_type: str, expected: str | None) -> None:
    """A Recipient is written for pysaml2, or as configured for the requester."""
    told = lab(profiles=profiled(recipient=setting)).ask(envelope(attribute_query()), client=sp_keys(), content_type=content_type)

    assert expected == told.one(DATA).get("Recipient")


def test_nothing_to_release() -> None:
    """By default an assertion without statement, by setting none at all (core 3.3.4)."""
    bare = lab().ask(UNKNOWN, client=sp_keys())
    none = lab(profiles=profiled(nothing_to_release=NothingToRelease.NO_ASSERTION)).ask(UNKNOWN, client=sp_keys())

    assert [1, 0] == [len(told.entry.findall("{*}Assertion")) for told in (bare, none)]
    assert bare.entry.find("{*}Assertion/{*}AttributeStatement") is None
    assert [("Success",)] * 2 == [bare.codes, none.codes]


def test_answer_names_both_sides() -> None:
    """Issuer, audience and InResponseTo are those of the authority and of the query."""
    told = lab().ask(envelope(attribute_query()), client=sp_keys())

    assert [AUTHORITY] * 2 == [told.one(path).text for path in ("saml:Issuer", "saml:Assertion/saml:Issuer")]
    assert SP == told.one("saml:Assertion/saml:Conditions/saml:AudienceRestriction/saml:Audience").text
    assert "_query" == told.entry.get("InResponseTo")


def test_instants_are_those_of_the_clock() -> None:
    """Every answer is of the instant of its query, never an older one."""
    door = lab()
    for moment in (NOW, NOW + timedelta(minutes=1)):
        told = door.at(moment).ask(envelope(attribute_query()), client=sp_keys())

        assert [instant(moment)] * 2 == [told.entry.get("IssueInstant"), told.one("saml:Assertion").get("IssueInstant")]


def test_error_is_answered_to_its_query() -> None:
    """A refusal names the query, carries the correlation id of its event, and no assertion."""
    told = lab().ask(envelope(attribute_query()))

    assert "_query" == told.entry.get("InResponseTo")
    assert told.event["correlation_id"] in str(told.one("samlp:Status/samlp:StatusMessage").text)
    assert told.entry.find("{*}Assertion") is None


def test_one_event_for_each_query() -> None:
    """An answered query, a refused one, and what is no query are one event each, with what was known of them."""
    door = lab()
    answered = door.ask(envelope(attribute_query()), client=sp_keys()).event
    refused = door.ask(envelope(attribute_query())).event
    unread = door.ask(b"x").event

    assert 3 == len(door.events())
    assert ("released", SP, "_query", True, "info") == tuple(
        answered[key] for key in ("outcome", "requester", "message_id", "client_key", "level")
    )
    assert ("Denied", SP, "warning") == tuple(refused[key] for key in ("failure", "requester", "level"))
    assert {"requester", "message_id", "outcome", "subject"}.isdisjoint(unread)


def test_inline_runs_where_it_is_called() -> None:
    """A local store is asked in place."""
    results: list[Reply] = []
    door = lab().door
    Inline(on_the_spot()).run(lambda: door.begin(Delivery(b"x", "text/xml", None)), unexpected).addCallback(results.append)

    assert [500] == [reply.status for reply in results]


def unexpected(cause: str) -> Reply:
    """Fail, for nothing should be given up."""
    raise AssertionError(cause)


class StuckPool:
    """A pool whose thread never comes back."""

    def callInThreadWithCallback(self, *_: object, **__: object) -> None:
        """Take the work, and do nothing."""


def test_store_that_hangs() -> None:
    """On a pool an answer is given up after the deadline: could not ask, and one event."""
    clock, door = Clock(), lab()
    results: list[Reply] = []
    stuck = BoundedPool(clock, StuckPool(), 6.0)  # type: ignore[arg-type]
    delivery = Delivery(b"x", "text/xml", None)
    answered = OnPool(stuck, on_the_spot()).run(lambda: door.door.begin(delivery), lambda cause: door.door.give_up(delivery, cause))
    answered.addCallback(results.append)
    clock.advance(5.9)

    assert [] == results
    clock.advance(0.2)
    assert [("Responder",)] == [Told(reply, {}).codes for reply in results]
    assert [("CouldNotAsk", "no answer within 6.0 s")] == [(event["failure"], event["cause"]) for event in door.events()]


def test_store_that_answers_after_all() -> None:
    """A thread that comes back when the answer was given up already writes no second event."""
    door, delivery = lab(), Delivery(b"x", "text/xml", None)
    door.door.give_up(delivery, "no answer within 6.0 s")
    door.door.begin(delivery)

    assert ["CouldNotAsk"] == [event["failure"] for event in door.events()]
