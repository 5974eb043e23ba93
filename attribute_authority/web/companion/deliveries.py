"""How deliveries to the home organisation's own systems fare, in words for the researcher; the other side's words stay with support."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from attribute_authority.delivery_ports import DeliveryReader
from attribute_authority.domain.delivery import DeliveryRecord, DeliveryState, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment, OrcidId
from attribute_authority.domain.linking import Standing
from attribute_authority.web.companion.delivery_views import Deliveries, DeliveryProgress, ShownDelivery

_ENDED: Final = {
    DeliveryState.DELIVERED: DeliveryProgress.DONE,
    DeliveryState.PARKED: DeliveryProgress.PARKED,
    DeliveryState.SUPERSEDED: DeliveryProgress.STOPPED,
    DeliveryState.CANCELLED: DeliveryProgress.STOPPED,
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the iDs of a home organisation go: its sinks by name, and the e-mail address of its support, None where there is none."""

    sinks: tuple[str, ...]
    contact: str | None


@dataclass(frozen=True, slots=True)
class Delivering:
    """The books of deliveries, and the home organisations that take any."""

    reader: DeliveryReader
    destinations: Mapping[EntityId, Destination]
    environment: Environment

    def delivers_to(self, home_organisation: EntityId) -> bool:
        """Whether iDs of a home organisation are sent to systems of its own."""
        return home_organisation in self.destinations

    def describe(self, home_organisation: EntityId, organisation: str, standing: Standing, now: datetime) -> Deliveries | None:
        """Tell how the deliveries about a person fare; `organisation` is the name to be shown.

        None for somebody without a link whom no delivery was ever about. Raises CouldNotAsk.
        """
        destination = self.destinations.get(home_organisation)
        if destination is None:
            return None if standing.link is None else Deliveries(organisation, None, ())
        records = self._read(home_organisation, destination, standing.subject_id)
        if standing.link is None and not records:
            return None
        systems = tuple(
            _shown(records.get(name), name if len(destination.sinks) > 1 else None, standing, now)
            for name in destination.sinks
            if standing.link is not None or name in records
        )
        return Deliveries(organisation, destination.contact, systems)

    def _read(self, home_organisation: EntityId, destination: Destination, subject_id: int) -> dict[str, DeliveryRecord]:
        sinks = [SinkName(home_organisation, name) for name in destination.sinks]
        return {record.sink.name: record for record in self.reader.read_deliveries(subject_id, self.environment, sinks)}


def _shown(record: DeliveryRecord | None, system: str | None, standing: Standing, now: datetime) -> ShownDelivery:
    wanted = _wanted(standing)
    if record is None or record.orcid != wanted:
        # A system that was left out for a while has not been told of the present state.
        return ShownDelivery(system, DeliveryProgress.UNSENT, wanted is None, None, None)
    progress, at = _progress(record, now)
    return ShownDelivery(system, progress, record.orcid is None, at, record.reference, record.told_at is not None)


def _wanted(standing: Standing) -> OrcidId | None:
    return None if standing.link is None else standing.link.orcid


def _progress(record: DeliveryRecord, now: datetime) -> tuple[DeliveryProgress, datetime | None]:
    if record.state is not DeliveryState.PENDING:
        return _ENDED[record.state], record.ended_at
    if record.in_hand or not record.attempts or record.due_at is None or record.due_at <= now:
        return DeliveryProgress.UNDER_WAY, None
    return DeliveryProgress.WAITING, record.due_at


def describe_destinations(sinks: Mapping[EntityId, Sequence[str]], contacts: Mapping[EntityId, str | None]) -> dict[EntityId, Destination]:
    """Put together where iDs go; `contacts` are mailto addresses."""
    return {
        home_organisation: Destination(tuple(names), _address(contacts.get(home_organisation)))
        for home_organisation, names in sinks.items()
    }


def _address(contact: str | None) -> str | None:
    return None if contact is None else contact.removeprefix("mailto:")
