"""The composition root of deliveries: the tables of sinks in, sinks that take deliveries out."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from random import SystemRandom
from typing import Final

from attribute_authority.assembly import present
from attribute_authority.core.attempting import Attempting, Persistence
from attribute_authority.core.dispatching import Dispatcher, Office
from attribute_authority.core.letters import Language, Service
from attribute_authority.core.stations import NamedSink
from attribute_authority.core.telling import Correspondent, Telling
from attribute_authority.delivery_ports import Courier, DeliveryNotices, DeliveryQueue, DeliveryWatch, Sink
from attribute_authority.domain.delivery import SinkName
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.errors import AuthorityError, FaultyConfiguration, OperatorError
from attribute_authority.events import EventLog
from attribute_authority.mailing import open_courier, parse_contact
from attribute_authority.organisation_settings import OrganisationSettings
from attribute_authority.ports import OutageBoard
from attribute_authority.setting_values import SinkTable
from attribute_authority.settings import Settings
from attribute_authority.storage.deliveries import SqlDeliveryStore, open_delivery_store
from attribute_authority.storage.engine import Patience
from connectors import SinkSurroundings, find_sink_kind, telling_defects

_RANDOM: Final = SystemRandom()
_NAMES: Final[Mapping[Language, str]] = {
    "fi": "ORCID-attribuuttipalvelu",
    "sv": "ORCID-attributtjänsten",
    "en": "ORCID attribute authority",
}


def open_books(settings: Settings) -> SqlDeliveryStore:
    """Open the database for deliveries. Raises OperatorError or CouldNotAsk."""
    milliseconds = int(settings.database.timeout * 1000)
    return open_delivery_store(settings.database.url, Patience(connecting=milliseconds, answering=milliseconds))


def name_sinks(settings: Settings) -> tuple[NamedSink, ...]:
    """Open every sink; nothing is delivered yet. Raises FaultyConfiguration with every one that cannot be opened."""
    faults: list[str] = []
    named = []
    for number, organisation in enumerate(settings.organisation):
        identity_provider = EntityId(organisation.identity_provider)
        around = SinkSurroundings(identity_provider, settings.authority.environment, EntityId(settings.authority.entity_id), present)
        for position, table in enumerate(organisation.sink):
            try:
                sink = _open_sink(table, around)
            except AuthorityError as fault:
                faults.append(f"organisation[{number + 1}].sink[{position + 1}]: {fault.cause}")
                continue
            name = SinkName(identity_provider, table.sink_name)
            named.append(NamedSink(name, sink, table.connections, timedelta(seconds=table.timeout)))
    if faults:
        close_sinks({one.name: one.sink for one in named})
        raise FaultyConfiguration(tuple(faults))
    return tuple(named)


def open_sinks(settings: Settings) -> dict[SinkName, Sink]:
    """Open every sink, by name. Raises FaultyConfiguration with every one that cannot be opened."""
    return {named.name: named.sink for named in name_sinks(settings)}


def close_sinks(sinks: Mapping[SinkName, Sink]) -> None:
    """Give up every connection, also where one of them fails at it, which is raised in the end."""
    with ExitStack() as closing:
        for sink in sinks.values():
            closing.callback(sink.close)


def check_sinks(sinks: Mapping[SinkName, Sink]) -> tuple[str, ...]:
    """Try every sink, without naming anybody, and return a sentence for each that nothing can be delivered to."""
    faults = []
    for name, sink in sinks.items():
        try:
            with telling_defects("the connector has a defect"):
                sink.check()
        except AuthorityError as fault:
            faults.append(f"{name}: {fault.cause}")
    return tuple(faults)


def make_dispatcher(settings: Settings, queue: DeliveryQueue, board: OutageBoard, watch: DeliveryWatch, events: EventLog) -> Dispatcher:
    """Make what delivers; it has no sinks yet."""
    return Dispatcher(Office(queue, board, watch, settings.authority.environment, present, events))


def make_attempting(settings: Settings, events: EventLog) -> Attempting:
    """Make what hands deliveries to sinks."""
    persistence = Persistence(timedelta(days=settings.deliveries.give_up_after), timedelta(seconds=settings.deliveries.longest_pause))
    return Attempting(persistence, present, _RANDOM.random, events)


def _open_sink(table: SinkTable, around: SinkSurroundings) -> Sink:
    """Open a sink. Raises OperatorError, also where its connector, which may be another party's, does what none may."""
    kind = find_sink_kind(table.kind)
    if kind is None:
        raise OperatorError(f"the connector {table.kind} is gone")
    with telling_defects(f"the connector {table.kind} has a defect"):
        opened: Sink = kind.open(table, around)
        methods = ("deliver", "rehearse", "check", "close")
        usable = all(callable(getattr(opened, name, None)) for name in methods)
    if not usable:
        raise OperatorError(f"the connector {table.kind} has a defect: expected the methods {', '.join(methods)}")
    return opened


def load_mail(settings: Settings) -> Courier | None:
    """Load what sends mail, None where none is sent. Raises OperatorError naming what cannot be used."""
    return None if settings.mail is None else open_courier(settings.mail)


def make_telling(settings: Settings, notices: DeliveryNotices, events: EventLog) -> Telling:
    """Make what tells organisations of parked deliveries. Raises OperatorError naming what cannot be used."""
    correspondents = tuple(_correspondent(table) for table in settings.organisation if table.sink and table.contact is not None)
    collect = timedelta(seconds=0.0 if settings.mail is None else settings.mail.collect)
    return Telling(notices, load_mail(settings), _service(settings), correspondents, collect, present, events)


def _correspondent(table: OrganisationSettings) -> Correspondent:
    name = table.name.get(table.contact_language) or next(iter(table.name.values()), table.identity_provider)
    return Correspondent(EntityId(table.identity_provider), parse_contact(table.contact or ""), table.contact_language, name)


def _service(settings: Settings) -> Service:
    pages = settings.companion.service if settings.companion is not None else None
    names = (pages.name if pages is not None else {}) or settings.authority.presentation.display_name
    answering = pages.contact if pages is not None else None
    sender = "" if settings.mail is None else settings.mail.sender
    return Service({**_NAMES, **names}, answering or next((one.email for one in settings.authority.contact), sender))
