"""What may stand in a system of a home organisation by our hand, decided in one place for every back end; and how deliveries are named."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from attribute_authority.domain.delivery import DeliverySelection
from attribute_authority.domain.identifiers import OrcidId

NewReference = Callable[[], str]
"""Returns a name that no other delivery has."""


def random_reference() -> str:
    """Return sixteen random characters that people can read out to one another."""
    return secrets.token_hex(8)


def system_clock() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Trace:
    """What one delivery may have left in the other system.

    `was_made` tells that it was delivered, `was_begun` that an attempt of it may have written the iD, though nobody knows.
    `found` is as in the receipt, `stray` an iD that a late attempt of an earlier delivery may have left. `anew` tells that it belongs to
    a replay, before which the other system may have gone back to any state that it ever had.
    """

    orcid: OrcidId | None
    was_made: bool
    was_begun: bool
    found: bool = False
    stray: OrcidId | None = None
    anew: bool = False


def left_behind(traces: Iterable[Trace]) -> tuple[OrcidId, ...]:
    """Return the iDs that may stand there by our hand; `traces` are those of one person and sink, the oldest first.

    A delivery that was made leaves its own iD there alone, and none where it was there before us. With a replay everything that we ever
    left may be back.
    """
    left: dict[OrcidId, None] = {}
    ever: dict[OrcidId, None] = {}
    for trace in traces:
        if trace.anew:
            left |= ever
        if trace.was_made:
            left.clear()
        for orcid in _written(trace):
            left[orcid] = ever[orcid] = None
    return tuple(left)


def _written(trace: Trace) -> Iterator[OrcidId]:
    if trace.stray is not None and not trace.was_made:
        yield trace.stray
    if trace.orcid is not None and not trace.found and (trace.was_made or trace.was_begun):
        yield trace.orcid


def is_storable(text: str) -> bool:
    """Whether a text can stand in any database: PostgreSQL has no NUL, and none has half a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def make_storable(text: str) -> str:
    """Put the replacement character in the place of what no database can hold."""
    return "".join(character if is_storable(character) else "\ufffd" for character in text)


def may_be_stored(selection: DeliverySelection) -> bool:
    """Whether there can be any delivery that is meant: what an operator types may be no text that was ever stored."""
    identifier = selection.identifier
    named = () if identifier is None else (identifier.value, identifier.name_qualifier, identifier.sp_name_qualifier)
    texts = (selection.home_organisation, selection.sink, selection.reference, *named)
    return all(text is None or is_storable(text) for text in texts)
