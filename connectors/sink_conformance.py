"""What every sink must do, for whoever writes one: plain Python, which runs without the suite of this service.

Describe your sink as a `SinkSpecimen` and run each of the SINK_CHECKS; one that does not hold raises AssertionError with a sentence:

    from connectors.sink_conformance import SINK_CHECKS, SinkSpecimen

    specimen = SinkSpecimen(
        open_sink=lambda: OURS.open(settings, surroundings),
        known=(parse_identifier(IdentifierKind.EPPN, "teppo@uni.example"),),
        held=lambda: the_iDs_that_the_other_system_has_for_teppo(),
        forget=remove_them_all,
        secrets=("the password it signs in with",),
        outages=(server.stopped, server.paused),
        timeout=settings.timeout,
    )

    for check in SINK_CHECKS:
        check(specimen)

With pytest: `@pytest.mark.parametrize("check", SINK_CHECKS)`. Each check opens sinks of its own, and begins with a person who has no iD.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Final

from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId
from attribute_authority.errors import AuthorityError, CouldNotAsk, DeliveryDeferred, DeliveryRefused
from connectors._calls import Call, expect
from connectors._hostile import hostile_texts

FIRST: Final = OrcidId("0000-0002-1825-0097")
SECOND: Final = OrcidId("0000-0001-5109-3700")
FOREIGN: Final = OrcidId("0000-0002-1694-233X")

_HOME: Final = EntityId("https://idp.uni.example/idp")
_MARGIN: Final = 30.0
"""Seconds beyond its time-out after which a sink counts as hanging: plenty, as a slow machine is no fault of the sink."""

_THREADS: Final = 8
_NUMBERS: Final = count(1)
_BEGINNING: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
_TELLING: Final = 5
"""Characters from which on a part of an identifier is looked for in the causes of failures."""


@dataclass(frozen=True, slots=True)
class SinkSpecimen:
    """A sink to examine and what is known about the system behind it.

    `open_sink` makes a fresh sink each time. `known` are the identifiers of a person whom the system has; `held` returns the iDs that it
    has for that person now, and `forget` takes them all away. `add_foreign` writes an iD there by other hands than ours, None where the
    system cannot tell ours from others'. `unknown` are identifiers of somebody whom the system does not know, None where it takes anybody.
    None of `secrets` may show anywhere. Entering one of `outages` takes the system away, or has it hang, and leaving it brings it back
    and returns when it serves again. `timeout` is the sink's configured time-out in seconds.
    """

    open_sink: Callable[[], Sink] = field(repr=False)
    known: tuple[Identifier, ...]
    held: Callable[[], Collection[OrcidId]] = field(repr=False)
    forget: Callable[[], None] = field(repr=False)
    add_foreign: Callable[[OrcidId], None] | None = field(default=None, repr=False)
    unknown: tuple[Identifier, ...] | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    outages: tuple[Callable[[], AbstractContextManager[object]], ...] = ()
    timeout: float = 10.0
    home_organisation: EntityId = _HOME
    environment: Environment = Environment.PRODUCTION

    def delivery(self, orcid: OrcidId | None, *former: OrcidId, attempt: int = 1, may_be_ours: bool = False) -> Delivery:
        """Return a fresh delivery about the known person, of a later change than all before it."""
        number = next(_NUMBERS)
        return Delivery(
            reference=f"{number:016x}",
            home_organisation=self.home_organisation,
            identifiers=self.known,
            orcid=orcid,
            former=former,
            environment=self.environment,
            changed_at=_BEGINNING + timedelta(seconds=number),
            attempt=attempt,
            may_be_ours=may_be_ours,
        )


SinkCheck = Callable[[SinkSpecimen], None]


def delivers_an_id(specimen: SinkSpecimen) -> None:
    """An iD that is linked is there after its delivery, and the outcome is a Receipt."""
    with _opened(specimen) as sink:
        told = sink.deliver(specimen.delivery(FIRST))
        expect(isinstance(told, Receipt), f"deliver must return a Receipt, but the outcome was {told!r}")
        _expect_held(specimen, FIRST)


def delivers_twice_as_once(specimen: SinkSpecimen) -> None:
    """The same delivery made again, with the same reference, changes nothing: not what is there, nor that it succeeds."""
    with _opened(specimen) as sink:
        delivery = specimen.delivery(FIRST)
        for attempt in range(1, 4):
            sink.deliver(replace(delivery, attempt=attempt, may_be_ours=attempt > 1))
            _expect_held(specimen, FIRST)


def replaces_what_is_ours(specimen: SinkSpecimen) -> None:
    """Another iD takes the place of the one that we have written before."""
    with _opened(specimen) as sink:
        sink.deliver(specimen.delivery(FIRST))
        sink.deliver(specimen.delivery(SECOND, FIRST))
        _expect_held(specimen, SECOND)


def takes_away_what_is_ours(specimen: SinkSpecimen) -> None:
    """After a withdrawal, and after it once more, the iD is not there any more; a later link is."""
    with _opened(specimen) as sink:
        sink.deliver(specimen.delivery(FIRST))
        for _ in range(2):
            sink.deliver(specimen.delivery(None, FIRST))
            _expect_held(specimen)
        sink.deliver(specimen.delivery(SECOND))
        _expect_held(specimen, SECOND)


def takes_away_what_was_never_there(specimen: SinkSpecimen) -> None:
    """A withdrawal of an iD that is not there succeeds: there is nothing left to do."""
    with _opened(specimen) as sink:
        sink.deliver(specimen.delivery(None, FIRST))
        _expect_held(specimen)


def keeps_what_is_not_ours(specimen: SinkSpecimen) -> None:
    """An iD that somebody else has written stays, whatever becomes of ours; where there is room for one alone, ours is refused."""
    if specimen.add_foreign is None:
        return
    with _opened(specimen) as sink:
        specimen.add_foreign(FOREIGN)
        try:
            sink.deliver(specimen.delivery(FIRST))
            _expect_held(specimen, FIRST, FOREIGN)
        except DeliveryRefused:
            _expect_held(specimen, FOREIGN)
        sink.deliver(specimen.delivery(None, FIRST))
        _expect_held(specimen, FOREIGN)


def refuses_whom_nobody_knows(specimen: SinkSpecimen) -> None:
    """A link of somebody whom the system does not know is refused; a withdrawal succeeds. Nobody else is touched."""
    if specimen.unknown is None:
        return
    with _opened(specimen) as sink:
        stranger = replace(specimen.delivery(FIRST), identifiers=specimen.unknown)
        outcome = _outcome(partial(sink.deliver, stranger), specimen)
        expect(isinstance(outcome, DeliveryRefused), f"somebody unknown must be refused, but the outcome was {outcome!r}")
        sink.deliver(replace(specimen.delivery(None, FIRST), identifiers=specimen.unknown))
        _expect_held(specimen)


def takes_hostile_text_for_text(specimen: SinkSpecimen) -> None:
    """Text that means something in filters, statements, paths or markup names nobody else, and what follows is delivered as before."""
    with _opened(specimen) as sink:
        for text in hostile_texts(specimen.known[0].value):
            hostile = replace(specimen.known[0], value=text, spelling=None)
            outcome = _outcome(partial(sink.deliver, replace(specimen.delivery(FIRST), identifiers=(hostile,))), specimen)
            usual = isinstance(outcome, Receipt | DeliveryRefused | DeliveryDeferred)
            expect(usual, f"{text!r} must be taken or refused for itself alone, but the outcome was {outcome!r}")
            _expect_held(specimen)
        sink.deliver(specimen.delivery(FIRST))
        _expect_held(specimen, FIRST)


def rehearses_without_a_trace(specimen: SinkSpecimen) -> None:
    """A rehearsal says something, and changes nothing."""
    with _opened(specimen) as sink:
        for delivery in (specimen.delivery(FIRST), specimen.delivery(SECOND, FIRST), specimen.delivery(None, FIRST)):
            said = sink.rehearse(delivery)
            expect(isinstance(said, str) and bool(said.strip()), "rehearse must return a sentence")
            _expect_held(specimen)


def serves_several_threads(specimen: SinkSpecimen) -> None:
    """Threads that share it deliver all at once, with more threads than it may have connections."""
    with _opened(specimen) as sink:
        calls = [Call(partial(sink.deliver, specimen.delivery(FIRST, attempt=2, may_be_ours=True))) for _ in range(_THREADS)]
        for call in calls:
            outcome = call.outcome(specimen.timeout * _THREADS + _MARGIN)
            usual = isinstance(outcome, Receipt | DeliveryDeferred)
            expect(usual, f"deliveries at the same time must be made or deferred, but the outcome was {outcome!r}")
        sink.deliver(specimen.delivery(FIRST, attempt=2, may_be_ours=True))
        _expect_held(specimen, FIRST)


def can_be_checked(specimen: SinkSpecimen) -> None:
    """Its check passes while the system is there, as often as it is called, and changes nothing."""
    with _opened(specimen) as sink:
        sink.check()
        _expect_held(specimen)
        sink.deliver(specimen.delivery(FIRST))
        sink.check()
        _expect_held(specimen, FIRST)


def closes(specimen: SinkSpecimen) -> None:
    """Closing it twice is closing it once, unused or used."""
    specimen.forget()
    specimen.open_sink().close()
    sink = specimen.open_sink()
    sink.deliver(specimen.delivery(FIRST))
    sink.close()
    sink.close()


def reports_an_outage_and_returns(specimen: SinkSpecimen) -> None:
    """During an outage every delivery and every check ends in CouldNotAsk, none hangs, and service returns by itself."""
    for outage in specimen.outages:
        with _opened(specimen) as used:
            used.deliver(specimen.delivery(FIRST))
            delivery = specimen.delivery(SECOND, FIRST)
            with outage():
                calls: tuple[Callable[[], object], ...] = (partial(used.deliver, delivery), used.check)
                for call in calls:
                    outcome = _outcome(call, specimen)
                    expect(isinstance(outcome, CouldNotAsk), f"an outage must end in CouldNotAsk, but the outcome was {outcome!r}")
            _deliver_at_last(used, specimen, replace(delivery, attempt=2, may_be_ours=True))
            _expect_held(specimen, SECOND)


def survives_an_outage_between_deliveries(specimen: SinkSpecimen) -> None:
    """An outage during which nothing was delivered is noticed by nobody: connections that went away meanwhile are made afresh."""
    for outage in specimen.outages:
        with _opened(specimen) as sink:
            sink.deliver(specimen.delivery(FIRST))
            with outage():
                pass
            sink.deliver(specimen.delivery(SECOND, FIRST))
            _expect_held(specimen, SECOND)


def keeps_secrets(specimen: SinkSpecimen) -> None:
    """Neither its text forms nor the causes of its failures hold a secret; causes, which are logged, name no person and no iD either."""
    people = [name for one in specimen.known for name in _names(one)]
    with _opened(specimen) as sink:
        for text in (repr(sink), str(sink)):
            _expect_silence(text, specimen.secrets)
        for outage in specimen.outages:
            with outage():
                failed = _outcome(partial(sink.deliver, specimen.delivery(FIRST)), specimen)
            if isinstance(failed, AuthorityError):
                _expect_silence(failed.cause, (*specimen.secrets, *people, FIRST.value))
        if specimen.unknown is not None:
            stranger = replace(specimen.delivery(FIRST), identifiers=specimen.unknown)
            refused = _outcome(partial(sink.deliver, stranger), specimen)
            if isinstance(refused, AuthorityError):
                names = [name for one in specimen.unknown for name in _names(one)]
                _expect_silence(refused.cause, (*specimen.secrets, *names, FIRST.value))


SINK_CHECKS: Final[tuple[SinkCheck, ...]] = (
    delivers_an_id,
    delivers_twice_as_once,
    replaces_what_is_ours,
    takes_away_what_is_ours,
    takes_away_what_was_never_there,
    keeps_what_is_not_ours,
    refuses_whom_nobody_knows,
    takes_hostile_text_for_text,
    rehearses_without_a_trace,
    serves_several_threads,
    can_be_checked,
    closes,
    reports_an_outage_and_returns,
    survives_an_outage_between_deliveries,
    keeps_secrets,
)
"""Every check, in the order in which what they find is easiest to mend."""


@contextmanager
def _opened(specimen: SinkSpecimen) -> Iterator[Sink]:
    specimen.forget()
    _expect_held(specimen)
    sink = specimen.open_sink()
    try:
        yield sink
    finally:
        sink.close()


def _outcome(work: Callable[[], object], specimen: SinkSpecimen) -> object:
    return Call(work).outcome(specimen.timeout + _MARGIN)


def _deliver_at_last(sink: Sink, specimen: SinkSpecimen, delivery: Delivery) -> None:
    given_up_at = time.monotonic() + specimen.timeout + _MARGIN
    while True:
        outcome = _outcome(partial(sink.deliver, delivery), specimen)
        if isinstance(outcome, Receipt):
            return
        expect(isinstance(outcome, CouldNotAsk), f"after an outage deliveries must succeed again, but the outcome was {outcome!r}")
        expect(time.monotonic() < given_up_at, f"after an outage deliveries must succeed again, but the outcome was {outcome!r}")


def _expect_held(specimen: SinkSpecimen, *expected: OrcidId) -> None:
    held = sorted(orcid.value for orcid in specimen.held())
    wanted = sorted(orcid.value for orcid in expected)
    expect(held == wanted, f"the system must hold {wanted} for the known person, and holds {held}")


def _expect_silence(text: str, secrets: Collection[str]) -> None:
    for secret in secrets:
        expect(secret not in text, "a secret, an iD or an identifier of a person shows in a text form or in the cause of a failure")


def _names(identifier: Identifier) -> Iterator[str]:
    local_part, _, _ = identifier.value.partition("@")
    whole = identifier.kind is IdentifierKind.PERSISTENT
    for name in (identifier.value, identifier.value if whole else local_part, identifier.spelling):
        # A very short one would be found in any sentence.
        if name is not None and len(name) >= _TELLING:
            yield name
