"""What has to change in an attribute so that the iD of a delivery stands there, or stands there no more.

Values that are neither the iD nor a former one by our hand are somebody else's, and stay.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.errors import DeliveryRefused

_ORCID: Final = re.compile(
    r"(?:orcid:\s?)?(?:(?:https?://)?(?:www\.)?(?P<host>(?:sandbox\.)?orcid\.org)/)?"
    r"(?P<first>[0-9]{4})-?(?P<second>[0-9]{4})-?(?P<third>[0-9]{4})-?(?P<fourth>[0-9]{3}[0-9x])/?",
    re.ASCII | re.IGNORECASE,
)
"""The sixteen characters in any form that they are met in."""


@dataclass(frozen=True, slots=True)
class Change:
    """The values before and after; `found` tells that the iD stood there already."""

    before: tuple[str, ...] = field(repr=False)
    after: tuple[str, ...] = field(repr=False)
    found: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be written."""
        return self.before == self.after

    @property
    def added(self) -> tuple[str, ...]:
        """What comes."""
        return tuple(value for value in self.after if value not in self.before)

    @property
    def removed(self) -> tuple[str, ...]:
        """What goes."""
        return tuple(value for value in self.before if value not in self.after)


@dataclass(frozen=True, slots=True)
class ValueRule:
    """How the attribute holds iDs: as URI or bare; several, or a `single` one, where `overwrite` decides about somebody else's."""

    environment: Environment
    uri: bool
    single: bool
    overwrite: bool

    def change(self, present: Any, delivery: Delivery) -> Change:
        """Return what has to change where this stands, as JSON has it.

        Raises DeliveryRefused where it is no text, or not as many values as there is room for, or somebody else's iD is in the way.
        """
        before = self._texts(present)
        held = [(value, self._read(value)) for value in before]
        kept = tuple(value for value, orcid in held if orcid is None or orcid == delivery.orcid or orcid not in delivery.former)
        if delivery.orcid is None:
            return Change(before, kept)
        written = delivery.orcid.uri(self.environment) if self.uri else delivery.orcid.value
        same = tuple(value for value in kept if self._read(value) == delivery.orcid)
        if same and (written in same or not delivery.may_be_ours):
            return Change(before, kept, found=True)
        foreign = tuple(value for value in kept if value not in same)
        if self.single and foreign and not self.overwrite:
            raise DeliveryRefused("another value stands in the attribute that is not by our hand, and there is room for one")
        return Change(before, (written,) if self.single else (*foreign, written))

    def holds(self, present: Any, delivery: Delivery) -> bool:
        """Whether everything is there as the delivery wants it, in whatever form. Raises DeliveryRefused where it is no text."""
        orcids = {self._read(value) for value in self._texts(present)}
        unwanted = {one for one in delivery.former if one != delivery.orcid}
        return (delivery.orcid is None or delivery.orcid in orcids) and not unwanted & orcids

    def _texts(self, present: Any) -> tuple[str, ...]:
        if present is None:
            return ()
        values = [present] if self.single else present
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise DeliveryRefused(f"the attribute holds something else than {'one text' if self.single else 'a list of texts'}")
        return tuple(values)

    def _read(self, value: str) -> OrcidId | None:
        match = _ORCID.fullmatch(value.strip())
        if match is None or (match["host"] or self.environment.host).lower() != self.environment.host:
            return None
        return OrcidId("-".join(match.group("first", "second", "third", "fourth")).upper())
