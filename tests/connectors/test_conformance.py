"""The checks for sources hold for a source that is right, and each fault of a source is found by one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

import pytest

from attribute_authority.domain.identifiers import Identifier, IdentifierKind
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk
from attribute_authority.ports import IdentifierSource
from connectors import conformance
from connectors.conformance import CHECKS, Check, Specimen
from tests.connectors.surroundings import eppn, persistent

_KNOWN = persistent("aBcDeF123=")
_UNKNOWN = persistent("nobody")
_FOUND = Finding((eppn("teppo@yliopisto.fi"),))
_PASSWORD = "hunter2hunter2"


@dataclass(slots=True)
class _Server:
    """What the sources ask."""

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

    def __init__(self, server: _Server) -> None:
        self.server = server
        self.is_closed = False

    def __repr__(self) -> str:
        return "<a source>"

    @property
    def kinds(self) -> frozenset[IdentifierKind]:
        """Persistent identifiers."""
        return frozenset({IdentifierKind.PERSISTENT})

    def resolve(self, identifier: Identifier) -> Finding | None:
        """Know one identifier."""
        self.check()
        return self.answer(identifier)

    def answer(self, identifier: Identifier) -> Finding | None:
        """Answer while it is there."""
        return _FOUND if identifier == _KNOWN else None

    def check(self) -> None:
        """Fail while the server is away."""
        if self.server.is_away or self.is_closed:
            raise CouldNotAsk("the server is away")

    def close(self) -> None:
        """Be closed."""
        self.is_closed = True


class _SaysAbsentInAnOutage(_Right):
    def resolve(self, identifier: Identifier) -> Finding | None:
        return None if self.server.is_away else super().resolve(identifier)


class _HangsInAnOutage(_Right):
    def resolve(self, identifier: Identifier) -> Finding | None:
        if self.server.is_away:
            self.server.left.wait(60)
        return super().resolve(identifier)


class _NeverReturns(_Right):
    def resolve(self, identifier: Identifier) -> Finding | None:
        if self.server.left.is_set():
            raise CouldNotAsk("the connection is broken")
        return super().resolve(identifier)


class _LosesOneQuestionAfterAnOutage(_Right):
    def resolve(self, identifier: Identifier) -> Finding | None:
        if self.server.left.is_set():
            self.server.left.clear()
            raise CouldNotAsk("the connection was lost")
        return super().resolve(identifier)


class _ChecksNothing(_Right):
    def check(self) -> None:
        return

    def resolve(self, identifier: Identifier) -> Finding | None:
        super().check()
        return self.answer(identifier)


class _RaisesForAbsent(_Right):
    def answer(self, identifier: Identifier) -> Finding | None:
        if identifier.value == _UNKNOWN.value:
            raise CouldNotAsk("nobody is there")
        return super().answer(identifier)


class _FindsAnybody(_Right):
    def answer(self, identifier: Identifier) -> Finding | None:
        return _FOUND


class _FoldsCase(_Right):
    def answer(self, identifier: Identifier) -> Finding | None:
        is_known = identifier.value.lower() == _KNOWN.value.lower() and identifier.sp_name_qualifier == _KNOWN.sp_name_qualifier
        return _FOUND if is_known and identifier.name_qualifier == _KNOWN.name_qualifier and identifier.kind in self.kinds else None


class _MindsNoRecipient(_Right):
    def answer(self, identifier: Identifier) -> Finding | None:
        return _FOUND if identifier.value == _KNOWN.value and identifier.kind in self.kinds else None


class _TakesAsterisksForAnybody(_Right):
    def answer(self, identifier: Identifier) -> Finding | None:
        return _FOUND if "*" in identifier.value else super().answer(identifier)


class _BreaksOnQuotes(_Right):
    def answer(self, identifier: Identifier) -> Finding | None:
        if "'" in identifier.value:
            raise CouldNotAsk("syntax error")
        return super().answer(identifier)


class _RemembersTheLastQuestion(_Right):
    last: Identifier | None = None
    count = 0

    def answer(self, identifier: Identifier) -> Finding | None:
        self.count += 1
        self.last = self.last if self.count % 3 == 0 else identifier
        return super().answer(self.last or identifier)


class _FindsOthers(_Right):
    def answer(self, identifier: Identifier) -> Finding | None:
        found = super().answer(identifier)
        return found and Finding((*found.identifiers, eppn("liisa@yliopisto.fi")))


class _NamesOtherKinds(_Right):
    @property
    def kinds(self) -> frozenset[IdentifierKind]:
        return frozenset({IdentifierKind.EPPN})


class _ShowsItsPassword(_Right):
    def __repr__(self) -> str:
        return f"<a source with {_PASSWORD}>"


class _LogsPeople(_Right):
    def resolve(self, identifier: Identifier) -> Finding | None:
        if self.server.is_away:
            raise CouldNotAsk(f"could not ask about {identifier.value}")
        return super().resolve(identifier)


class _IsAbsentWhenClosed(_Right):
    def resolve(self, identifier: Identifier) -> Finding | None:
        return None if self.is_closed else super().resolve(identifier)


_FAULTS: list[tuple[type[_Right], Check]] = [
    (_SaysAbsentInAnOutage, conformance.reports_an_outage_and_returns),
    (_HangsInAnOutage, conformance.reports_an_outage_and_returns),
    (_NeverReturns, conformance.reports_an_outage_and_returns),
    (_ChecksNothing, conformance.reports_an_outage_and_returns),
    (_LosesOneQuestionAfterAnOutage, conformance.survives_an_outage_between_questions),
    (_RaisesForAbsent, conformance.tells_absent_from_unable),
    (_FindsAnybody, conformance.tells_absent_from_unable),
    (_FoldsCase, conformance.minds_case_where_it_matters),
    (_MindsNoRecipient, conformance.finds_nobody_of_another_organisation),
    (_TakesAsterisksForAnybody, conformance.takes_hostile_text_for_text),
    (_BreaksOnQuotes, conformance.takes_hostile_text_for_text),
    (_RemembersTheLastQuestion, conformance.serves_several_threads),
    (_FindsOthers, conformance.finds_a_known_person),
    (_NamesOtherKinds, conformance.names_its_kinds),
    (_ShowsItsPassword, conformance.keeps_secrets),
    (_LogsPeople, conformance.keeps_secrets),
    (_IsAbsentWhenClosed, conformance.closes),
]


def _specimen(make: Callable[[_Server], IdentifierSource]) -> Specimen:
    server = _Server()
    return Specimen(
        open_source=lambda: make(server),
        known=_KNOWN,
        expected=_FOUND,
        unknown=_UNKNOWN,
        secrets=(_PASSWORD,),
        outages=(server.stopped,),
        timeout=0.01,
    )


@pytest.mark.parametrize("check", CHECKS)
def test_a_source_that_is_right_passes_every_check(check: Check) -> None:
    """No check asks for more than a source has to do."""
    check(_specimen(_Right))


@pytest.mark.parametrize(("source", "check"), _FAULTS)
def test_a_source_with_a_fault_is_found_out(source: type[_Right], check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault is found by the check whose name says so."""
    monkeypatch.setattr(conformance, "_MARGIN", 0.2)

    with pytest.raises((AssertionError, CouldNotAsk)):
        check(_specimen(source))


def test_an_exception_that_is_no_failure_of_the_service_is_found_out() -> None:
    """What a driver raises must not come out of a source as it is."""

    class Raw(_Right):
        """Lets the exceptions of its driver through."""

        def check(self) -> None:
            """Fail in its driver's own way."""
            if self.server.is_away:
                raise ConnectionRefusedError

    with pytest.raises(AssertionError, match="no failure of the service"):
        conformance.reports_an_outage_and_returns(_specimen(Raw))
