"""The checks for sinks hold for a sink that is right, and each fault of a sink is found by one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, get_ident

import pytest

from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.domain.identifiers import IdentifierKind, OrcidId
from attribute_authority.errors import AuthorityError, CouldNotAsk, DeliveryRefused, SinkUnavailable
from connectors import sink_conformance
from connectors.sink_conformance import SINK_CHECKS, SinkCheck, SinkSpecimen
from tests.factories.sink_deliveries import person

_TEPPO = "teppo.testaaja@uni.example"
_STRANGER = "nobody.known@uni.example"
_PASSWORD = "hunter2hunter2"


@dataclass(slots=True)
class _System:
    """What the sinks write to: one person, and the iDs of that person, each as often as it was written."""

    orcids: list[OrcidId] = field(default_factory=list)
    is_away: bool = False
    left: Event = field(default_factory=Event)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Be away for the block."""
        self.is_away = True
        try:
            yield
        finally:
            self.is_away = False
            self.left.set()


class _Right:
    """Does everything as it should."""

    def __init__(self, system: _System) -> None:
        self.system = system

    def __repr__(self) -> str:
        return "<a sink>"

    def deliver(self, delivery: Delivery) -> Receipt:
        """Write to the person, if that is the one."""
        self.require()
        if self.knows(delivery):
            self.write(delivery)
        elif delivery.orcid is not None:
            self.refuse(delivery)
        return Receipt()

    def require(self) -> None:
        """Fail while the system is away."""
        if self.system.is_away:
            raise SinkUnavailable("the system is away")

    def knows(self, delivery: Delivery) -> bool:
        """Know one person."""
        return _TEPPO in delivery.values(IdentifierKind.EPPN)

    def refuse(self, delivery: Delivery) -> None:
        """Refuse somebody who is not known."""
        raise DeliveryRefused("the person is not known there")

    def write(self, delivery: Delivery) -> None:
        """Take what is ours, and put the iD."""
        ours = {delivery.orcid, *delivery.former}
        kept = [orcid for orcid in self.system.orcids if orcid not in ours]
        self.system.orcids = kept if delivery.orcid is None else [*kept, delivery.orcid]

    def rehearse(self, delivery: Delivery) -> str:
        """Say something."""
        return "would write"

    def check(self) -> None:
        """Look whether the system is there."""
        self.require()

    def close(self) -> None:
        """Do nothing."""


class _HasRoomForOne(_Right):
    def write(self, delivery: Delivery) -> None:
        foreign = set(self.system.orcids) - {delivery.orcid, *delivery.former}
        if foreign and delivery.orcid is not None:
            raise DeliveryRefused("there is room for one")
        super().write(delivery)


class _ReturnsNothing(_Right):
    def deliver(self, delivery: Delivery) -> Receipt:
        super().deliver(delivery)
        return None  # type: ignore[return-value]  # the fault


class _WritesNothing(_Right):
    def write(self, delivery: Delivery) -> None:
        return


class _AddsOnceMore(_Right):
    def write(self, delivery: Delivery) -> None:
        stood_there = delivery.orcid in self.system.orcids
        super().write(delivery)
        if stood_there and delivery.orcid is not None:
            self.system.orcids.append(delivery.orcid)


class _RefusesWhatStandsThere(_Right):
    def write(self, delivery: Delivery) -> None:
        if delivery.orcid in self.system.orcids:
            raise DeliveryRefused("the value exists")
        super().write(delivery)


class _ForgetsTheFormer(_Right):
    def write(self, delivery: Delivery) -> None:
        super().write(delivery if delivery.orcid is None else replace(delivery, former=()))


class _NeverWithdraws(_Right):
    def write(self, delivery: Delivery) -> None:
        if delivery.orcid is not None:
            super().write(delivery)


class _RefusesARepeatedWithdrawal(_Right):
    withdrawn: tuple[OrcidId, ...] | None = None

    def write(self, delivery: Delivery) -> None:
        if delivery.orcid is None and delivery.former == self.withdrawn:
            raise DeliveryRefused("no such value")
        self.withdrawn = delivery.former
        super().write(delivery)


class _RefusesToTakeNothing(_Right):
    def write(self, delivery: Delivery) -> None:
        if delivery.orcid is None and not set(delivery.former) & set(self.system.orcids):
            raise DeliveryRefused("no such value")
        super().write(delivery)


class _OverwritesOthers(_Right):
    def write(self, delivery: Delivery) -> None:
        self.system.orcids = [] if delivery.orcid is None else [delivery.orcid]


class _TakesOthersAwayWithOurs(_Right):
    def write(self, delivery: Delivery) -> None:
        super().write(delivery)
        if delivery.orcid is None:
            self.system.orcids = []


class _MakesRoomBeforeItRefuses(_HasRoomForOne):
    def write(self, delivery: Delivery) -> None:
        try:
            super().write(delivery)
        except DeliveryRefused:
            self.system.orcids = []
            raise


class _TakesStrangers(_Right):
    def refuse(self, delivery: Delivery) -> None:
        return


class _TakesStrangersForAnOutage(_Right):
    def refuse(self, delivery: Delivery) -> None:
        raise SinkUnavailable("404")


class _RefusesToTakeFromStrangers(_Right):
    def deliver(self, delivery: Delivery) -> Receipt:
        if not self.knows(delivery):
            self.refuse(delivery)
        return super().deliver(delivery)


class _WritesStrangersToTeppo(_Right):
    def refuse(self, delivery: Delivery) -> None:
        self.write(delivery)
        super().refuse(delivery)


class _TakesAsterisksForAnybody(_Right):
    def knows(self, delivery: Delivery) -> bool:
        return super().knows(delivery) or any("*" in name for name in delivery.values(IdentifierKind.EPPN))


class _BreaksOnQuotes(_Right):
    def knows(self, delivery: Delivery) -> bool:
        if any("'" in name for name in delivery.values(IdentifierKind.EPPN)):
            raise SinkUnavailable("syntax error")
        return super().knows(delivery)


class _TakesNobodyAfterALineBreak(_Right):
    is_stuck = False

    def knows(self, delivery: Delivery) -> bool:
        self.is_stuck |= any("\n" in name for name in delivery.values(IdentifierKind.EPPN))
        return not self.is_stuck and super().knows(delivery)


class _WritesInRehearsals(_Right):
    def rehearse(self, delivery: Delivery) -> str:
        self.deliver(delivery)
        return super().rehearse(delivery)


class _SaysNothingInRehearsals(_Right):
    def rehearse(self, delivery: Delivery) -> str:
        return ""


class _IsForOneThread(_Right):
    def __init__(self, system: _System) -> None:
        super().__init__(system)
        self.thread = get_ident()

    def deliver(self, delivery: Delivery) -> Receipt:
        if get_ident() != self.thread:
            raise SinkUnavailable("the connection is another thread's")
        return super().deliver(delivery)


class _FailsTheCheck(_Right):
    def check(self) -> None:
        raise CouldNotAsk("nobody of that name")


class _WritesInTheCheck(_Right):
    def check(self) -> None:
        super().check()
        self.system.orcids.append(sink_conformance.SECOND)


class _ClosesOnce(_Right):
    is_closed = False

    def close(self) -> None:
        if self.is_closed:
            raise SinkUnavailable("closed already")
        self.is_closed = True


class _HangsInAnOutage(_Right):
    def require(self) -> None:
        if self.system.is_away:
            self.system.left.wait(60)


class _SaysNothingInAnOutage(_Right):
    def deliver(self, delivery: Delivery) -> Receipt:
        return Receipt() if self.system.is_away else super().deliver(delivery)


class _RefusesInAnOutage(_Right):
    def deliver(self, delivery: Delivery) -> Receipt:
        if self.system.is_away:
            raise DeliveryRefused("the answer cannot be read")
        return super().deliver(delivery)


class _ChecksNothing(_Right):
    def check(self) -> None:
        return


class _LetsItsDriverSpeak(_Right):
    def require(self) -> None:
        if self.system.is_away:
            raise ConnectionRefusedError


class _NeverReturns(_Right):
    def require(self) -> None:
        super().require()
        if self.system.left.is_set():
            raise SinkUnavailable("the connection is broken")


class _RefusesAfterAnOutage(_Right):
    def deliver(self, delivery: Delivery) -> Receipt:
        if self.system.left.is_set():
            raise DeliveryRefused("the connection is broken")
        return super().deliver(delivery)


class _LosesOneDeliveryAfterAnOutage(_Right):
    def deliver(self, delivery: Delivery) -> Receipt:
        if self.system.left.is_set():
            self.system.left.clear()
            raise SinkUnavailable("the connection was lost")
        return super().deliver(delivery)


class _ShowsItsPassword(_Right):
    def __repr__(self) -> str:
        return f"<a sink with {_PASSWORD}>"


class _LogsItsPassword(_Right):
    def require(self) -> None:
        if self.system.is_away:
            raise SinkUnavailable(f"could not sign in with {_PASSWORD}")


class _Logs(_Right):
    def told(self, delivery: Delivery) -> str:
        """Say what is logged."""
        return delivery.values(IdentifierKind.EPPN)[0]

    def deliver(self, delivery: Delivery) -> Receipt:
        if self.system.is_away:
            raise SinkUnavailable(f"could not deliver {self.told(delivery)}")
        return super().deliver(delivery)


class _LogsLoginNames(_Logs):
    def told(self, delivery: Delivery) -> str:
        return super().told(delivery).partition("@")[0]


class _LogsIds(_Logs):
    def told(self, delivery: Delivery) -> str:
        return str(delivery.orcid)


class _LogsStrangers(_Right):
    def refuse(self, delivery: Delivery) -> None:
        raise DeliveryRefused(f"nobody is {delivery.values(IdentifierKind.EPPN)[0]}")


_FAULTS: list[tuple[type[_Right], SinkCheck]] = [
    (_ReturnsNothing, sink_conformance.delivers_an_id),
    (_WritesNothing, sink_conformance.delivers_an_id),
    (_AddsOnceMore, sink_conformance.delivers_twice_as_once),
    (_RefusesWhatStandsThere, sink_conformance.delivers_twice_as_once),
    (_ForgetsTheFormer, sink_conformance.replaces_what_is_ours),
    (_NeverWithdraws, sink_conformance.takes_away_what_is_ours),
    (_RefusesARepeatedWithdrawal, sink_conformance.takes_away_what_is_ours),
    (_RefusesToTakeNothing, sink_conformance.takes_away_what_was_never_there),
    (_OverwritesOthers, sink_conformance.keeps_what_is_not_ours),
    (_TakesOthersAwayWithOurs, sink_conformance.keeps_what_is_not_ours),
    (_MakesRoomBeforeItRefuses, sink_conformance.keeps_what_is_not_ours),
    (_TakesStrangers, sink_conformance.refuses_whom_nobody_knows),
    (_TakesStrangersForAnOutage, sink_conformance.refuses_whom_nobody_knows),
    (_RefusesToTakeFromStrangers, sink_conformance.refuses_whom_nobody_knows),
    (_WritesStrangersToTeppo, sink_conformance.refuses_whom_nobody_knows),
    (_TakesAsterisksForAnybody, sink_conformance.takes_hostile_text_for_text),
    (_BreaksOnQuotes, sink_conformance.takes_hostile_text_for_text),
    (_TakesNobodyAfterALineBreak, sink_conformance.takes_hostile_text_for_text),
    (_WritesInRehearsals, sink_conformance.rehearses_without_a_trace),
    (_SaysNothingInRehearsals, sink_conformance.rehearses_without_a_trace),
    (_IsForOneThread, sink_conformance.serves_several_threads),
    (_FailsTheCheck, sink_conformance.can_be_checked),
    (_WritesInTheCheck, sink_conformance.can_be_checked),
    (_ClosesOnce, sink_conformance.closes),
    (_HangsInAnOutage, sink_conformance.reports_an_outage_and_returns),
    (_SaysNothingInAnOutage, sink_conformance.reports_an_outage_and_returns),
    (_RefusesInAnOutage, sink_conformance.reports_an_outage_and_returns),
    (_ChecksNothing, sink_conformance.reports_an_outage_and_returns),
    (_LetsItsDriverSpeak, sink_conformance.reports_an_outage_and_returns),
    (_NeverReturns, sink_conformance.reports_an_outage_and_returns),
    (_RefusesAfterAnOutage, sink_conformance.reports_an_outage_and_returns),
    (_LosesOneDeliveryAfterAnOutage, sink_conformance.survives_an_outage_between_deliveries),
    (_ShowsItsPassword, sink_conformance.keeps_secrets),
    (_LogsItsPassword, sink_conformance.keeps_secrets),
    (_Logs, sink_conformance.keeps_secrets),
    (_LogsLoginNames, sink_conformance.keeps_secrets),
    (_LogsIds, sink_conformance.keeps_secrets),
    (_LogsStrangers, sink_conformance.keeps_secrets),
]


def _specimen(make: Callable[[_System], Sink]) -> SinkSpecimen:
    system = _System()

    def write(*orcids: OrcidId) -> None:
        system.orcids = list(orcids)

    return SinkSpecimen(
        open_sink=lambda: make(system),
        known=person(_TEPPO),
        held=lambda: system.orcids,
        forget=write,
        add_foreign=write,
        unknown=person(_STRANGER),
        secrets=(_PASSWORD,),
        outages=(system.stopped,),
        timeout=0.01,
    )


@pytest.mark.parametrize("check", SINK_CHECKS)
@pytest.mark.parametrize("sink", [_Right, _HasRoomForOne])
def test_a_sink_that_is_right_passes_every_check(sink: type[_Right], check: SinkCheck) -> None:
    """No check asks for more than a sink has to do, whether there is room for several iDs or for one."""
    check(_specimen(sink))


@pytest.mark.parametrize("check", SINK_CHECKS)
def test_what_a_system_cannot_do_is_not_asked_for(check: SinkCheck) -> None:
    """A system that takes anybody, cannot tell whose an iD is and never goes away is described as such, and passes."""
    check(replace(_specimen(_OverwritesOthers), add_foreign=None, unknown=None, outages=()))


@pytest.mark.parametrize(("sink", "check"), _FAULTS)
def test_a_sink_with_a_fault_is_found_out(sink: type[_Right], check: SinkCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault is found by the check whose name says so."""
    monkeypatch.setattr(sink_conformance, "_MARGIN", 0.2)

    with pytest.raises((AssertionError, AuthorityError)):
        check(_specimen(sink))


def test_every_check_finds_a_fault() -> None:
    """None of them is there for nothing."""
    assert set(SINK_CHECKS) == {check for _, check in _FAULTS}
