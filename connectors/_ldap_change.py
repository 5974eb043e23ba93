"""What has to change among the values of an attribute so that the iD of a delivery stands there, or stands there no more.

Values that are neither the iD nor a former one by our hand are somebody else's, and stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import Environment, OrcidId
from attribute_authority.errors import DeliveryRefused, InvalidIdentifier


@dataclass(frozen=True, slots=True)
class Change:
    """The values that go, exactly as they stand there, and the one that comes; `found` tells that the iD stood there already."""

    delete: tuple[bytes, ...] = field(default=(), repr=False)
    add: tuple[bytes, ...] = field(default=(), repr=False)
    found: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be written."""
        return not self.delete and not self.add


@dataclass(frozen=True, slots=True)
class ValueRule:
    """How the attribute holds iDs: as URI or bare; several, or a `single` one, where `overwrite` decides about somebody else's."""

    environment: Environment
    uri: bool
    single: bool
    overwrite: bool

    def change(self, present: Sequence[bytes], delivery: Delivery) -> Change:
        """Return what has to change where these values stand. Raises DeliveryRefused where somebody else's iD is in the way."""
        wanted = delivery.orcid
        held = [(value, self._read(value)) for value in present]
        stale = tuple(value for value, orcid in held if orcid in delivery.former and orcid != wanted)
        if wanted is None:
            return Change(delete=stale)
        written = self._write(wanted)
        same = tuple(value for value, orcid in held if orcid == wanted)
        if same and (written in same or not delivery.may_be_ours):
            return Change(delete=stale, found=True)
        foreign = tuple(value for value in present if value not in stale and value not in same)
        in_the_way = foreign if self.single and not same else ()
        if in_the_way and not self.overwrite:
            raise DeliveryRefused("another iD stands there that is not by our hand, and there is room for one")
        return Change(delete=stale + same + in_the_way, add=(written,))

    def _read(self, value: bytes) -> OrcidId | None:
        try:
            # The scheme and the host of a URI, and the check character, compare without regard to case.
            return OrcidId.parse(value.decode().lower(), self.environment)
        except (InvalidIdentifier, UnicodeDecodeError):
            return None

    def _write(self, orcid: OrcidId) -> bytes:
        return (orcid.uri(self.environment) if self.uri else orcid.value).encode()
