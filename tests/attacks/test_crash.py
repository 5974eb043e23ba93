"""Defects of our own, and stores that are away: seen in the log alone."""

from collections.abc import Callable

import pytest

from attribute_authority.domain.entity import Entity
from attribute_authority.domain.identifiers import Environment, Identifier
from attribute_authority.domain.link import KnownSubject
from attribute_authority.errors import CouldNotAsk
from attribute_authority.storage.memory import MemoryLinkStore
from attribute_authority.web.query_door import Reply
from tests.attacks.refusals import assert_no_orcid, assert_refused, assert_released
from tests.factories.doors import Told, federation, lab, sp_keys, stocked_store
from tests.factories.queries import PERSON, asking, attribute_query, envelope, name_id, signed
from tests.factories.wires import post, served

SECRET = "a detail that nobody outside may see"


class FragileStore:
    """A store that fails on its first question."""

    def __init__(self, failure: Exception) -> None:
        self._failures = [failure]
        self._store: MemoryLinkStore = stocked_store()

    def find_subject(self, identifier: Identifier, environment: Environment) -> KnownSubject | None:
        """Fail once, then answer."""
        if self._failures:
            raise self._failures.pop()
        return self._store.find_subject(identifier, environment)


class AbsentReplays:
    """A replay guard that cannot be reached."""

    def is_first(self, *_: object) -> bool:
        """Say so."""
        raise CouldNotAsk(SECRET)

    def forget_expired(self, *_: object) -> int:
        """Forget nothing."""
        return 0


class AbsentDirectory:
    """A metadata index that cannot be reached."""

    def find_entity(self, *_: object) -> Entity | None:
        """Say so."""
        raise CouldNotAsk(SECRET)


@pytest.mark.parametrize(
    "failure",
    [RuntimeError(SECRET), RecursionError(SECRET), MemoryError(SECRET), KeyError(SECRET), UnicodeDecodeError("utf-8", b"x", 0, 1, SECRET)],
)
def test_crash_inside(failure: Exception) -> None:
    """A defect ends as a Server fault without detail, is told in the log under the same id, and the next query is answered."""
    server = served(lab(store=FragileStore(failure)))
    wire = server.wire()
    broken = wire.ask(post(envelope(signed(attribute_query(message_id="_b"), sp_keys()))))
    told = Told(Reply(broken.status, broken.body), {})
    (defect,) = [event for event in server.lab.events() if event["event"] == "defect"]

    assert (500, ("S:Server",), "text/xml; charset=utf-8") == (broken.status, told.codes, broken.headers["content-type"])
    assert defect["correlation_id"] in told.text
    assert SECRET in defect["traceback"]
    assert SECRET not in told.text
    assert "Traceback" not in told.text
    repeated = wire.ask(post(envelope(signed(attribute_query(message_id="_c"), sp_keys()))))
    assert_released(Told(Reply(repeated.status, repeated.body), {}))


@pytest.mark.parametrize(
    "parts",
    [
        lambda: {"store": FragileStore(CouldNotAsk(SECRET))},
        lambda: {"replays": AbsentReplays()},
        lambda: {"directory": AbsentDirectory()},
    ],
    ids=["links", "replays", "metadata"],
)
def test_store_away(parts: Callable[[], dict[str, object]]) -> None:
    """What could not be asked is told as such, never as "no iD", and without detail."""
    told = lab(**parts()).ask(envelope(signed(attribute_query(), sp_keys())))

    assert_refused(told, CouldNotAsk, SECRET)
    assert SECRET not in told.text


def test_replay_is_not_decided_without_the_guard() -> None:
    """A query that TLS authenticates needs no guard, and is answered while that is away."""
    assert_released(lab(replays=AbsentReplays()).ask(envelope(attribute_query()), client=sp_keys()))


@pytest.mark.parametrize(
    "body",
    [
        envelope(attribute_query()),
        envelope(signed(attribute_query(), sp_keys())),
        envelope(asking(name_id(PERSON, sp_name_qualifier="urn:x"))),
        envelope(attribute_query(version="1.1")),
        envelope(attribute_query(issued=PERSON)),
        b"<x>" + PERSON.encode(),
    ],
)
def test_no_person_in_the_log(body: bytes) -> None:
    """Neither the identifier nor the iD is in the log, whatever became of the query."""
    door = lab(entities=federation())
    door.ask(body)
    door.ask(body, client=sp_keys())

    assert PERSON not in door.log.getvalue().replace(f"IssueInstant is '{PERSON}'", "")
    assert_no_orcid(door.log.getvalue())
