"""Requesters that turn limits, cursors and tokens of the two doors against others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from attribute_authority.core.limiting import Allowances
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.limits import Limits
from tests.attacks.refusals import assert_released
from tests.factories.counters import SharedCounter
from tests.factories.doors import OTHER_SP, Lab, lab, sp_keys
from tests.factories.metadata import rsa_pair
from tests.factories.queries import NOW, attribute_query, envelope, instant, ordinary, signed


@dataclass(slots=True)
class Meter:
    """Takes in as many queries as are allowed in a minute, and learns nothing."""

    allowances: Allowances = field(
        default_factory=lambda: Allowances(SharedCounter(NOW - timedelta(hours=1)), lambda _: Limits(per_minute=2, per_day=0))
    )

    def admit(self, requester: EntityId, queries: int, now: datetime) -> None:
        """Spend."""
        self.allowances.spend(requester, queries, now)

    def learn(self, requester: EntityId, asked: int, unknown: int, now: datetime) -> None:
        """Forget."""


def captured(lab_: Lab) -> bytes:
    """Return a signed query that was answered, and that somebody got hold of."""
    query = envelope(signed(attribute_query(message_id="_captured"), sp_keys()))
    assert_released(lab_.ask(query))
    return query


def addressed_elsewhere(_: Lab) -> bytes:
    """Return a signed query that another attribute authority received."""
    return envelope(signed(attribute_query(message_id="_theirs", destination="https://aa.evil.example/query"), sp_keys()))


def of_last_year(_: Lab) -> bytes:
    """Return a signed query out of an old log."""
    return envelope(signed(attribute_query(message_id="_old", issued=instant(NOW - timedelta(days=365))), sp_keys()))


@pytest.mark.parametrize("query", [captured, addressed_elsewhere, of_last_year])
def test_somebody_elses_signed_query_cannot_use_up_what_its_requester_may_ask(query: Callable[[Lab], bytes]) -> None:
    """A query that is sent again, was meant for another authority, or is old, is refused without a count against its signer."""
    door = lab(guard=Meter())
    body = query(door)
    for _ in range(5):
        told = door.ask(body)

        assert ("Denied", ()) == (told.event["failure"], told.values)

    assert_released(door.ask(envelope(signed(attribute_query(message_id="_honest"), sp_keys()))))


def test_limit_holds_for_new_queries() -> None:
    """What the requester itself sends counts, whatever it asks about, and one requester's queries are not another's."""
    door = lab(guard=Meter())
    for number in range(2):
        assert_released(door.ask(envelope(signed(attribute_query(message_id=f"_q{number}"), sp_keys()))))

    refused = door.ask(envelope(signed(attribute_query(message_id="_q2"), sp_keys())))
    other = attribute_query(*ordinary(requester=OTHER_SP), message_id="_other")

    assert ("TooManyQueries", ()) == (refused.event["failure"], refused.values)
    assert_released(door.ask(envelope(signed(other, rsa_pair("other")))))
