"""What every source of identifiers must do, for whoever writes one: plain Python, which runs without the suite of this service.

Describe your source as a `Specimen` and run each of the CHECKS; one that does not hold raises AssertionError with a sentence:

    from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
    from attribute_authority.domain.source import Finding
    from connectors.conformance import CHECKS, Specimen

    specimen = Specimen(
        open_source=lambda: OURS.open(settings, surroundings),
        known=parse_identifier(IdentifierKind.EPPN, "teppo@uni.example"),
        expected=Finding((parse_identifier(IdentifierKind.SUBJECT_ID, "t17@uni.example"),)),
        unknown=parse_identifier(IdentifierKind.EPPN, "nobody@uni.example"),
        secrets=("the password it signs in with",),
        outages=(server.stopped, server.paused),
        timeout=settings.timeout,
    )

    for check in CHECKS:
        check(specimen)

With pytest: `@pytest.mark.parametrize("check", CHECKS)`. Each check opens sources of its own and closes them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind, parse_identifier
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, InvalidIdentifier
from attribute_authority.ports import IdentifierSource
from connectors._calls import Call, expect
from connectors._hostile import hostile_texts

_MARGIN: Final = 30.0
"""Seconds beyond its time-out after which a source counts as hanging: plenty, as a slow machine is no fault of the source."""

_THREADS: Final = 8
_ROUNDS: Final = 4
_ELSEWHERE: Final = EntityId("https://elsewhere.invalid/metadata")
_TELLING: Final = 5
"""Characters from which on a part of an identifier is looked for in the causes of failures."""


@dataclass(frozen=True, slots=True)
class Specimen:
    """A source to examine and what is known about the people behind it.

    `open_source` makes a fresh source each time. `known` is an identifier that it resolves to `expected`, `unknown` one of nobody.
    None of `secrets` may show anywhere. Entering one of `outages` takes what the source asks away, or has it hang,
    and leaving it brings it back and returns when it serves again; a source that asks nobody has none.
    `timeout` is the source's configured time-out in seconds.
    """

    open_source: Callable[[], IdentifierSource] = field(repr=False)
    known: Identifier
    expected: Finding
    unknown: Identifier
    secrets: tuple[str, ...] = field(default=(), repr=False)
    outages: tuple[Callable[[], AbstractContextManager[object]], ...] = ()
    timeout: float = 2.0


Check = Callable[[Specimen], None]


def names_its_kinds(specimen: Specimen) -> None:
    """It says which kinds of identifier it can be asked about, the same at every time, and the known one is of them."""
    with closing(specimen.open_source()) as source:
        kinds = source.kinds
        expect(isinstance(kinds, frozenset), "kinds must be a frozenset")
        expect(all(isinstance(kind, IdentifierKind) for kind in kinds), "kinds must hold members of IdentifierKind and nothing else")
        expect(specimen.known.kind in kinds, f"{specimen.known.kind}, the kind of the known identifier, must be among kinds")
        expect(source.kinds == kinds, "kinds must not change")


def finds_a_known_person(specimen: Specimen) -> None:
    """It tells of a known identifier what it should, every time."""
    with closing(specimen.open_source()) as source:
        for _ in range(_ROUNDS):
            _expect_found(specimen, source.resolve(specimen.known))


def tells_absent_from_unable(specimen: Specimen) -> None:
    """It answers None for an identifier of nobody, every time, and raises nothing."""
    with closing(specimen.open_source()) as source:
        for _ in range(_ROUNDS):
            _expect_absent(source, specimen.unknown)


def finds_nobody_of_another_organisation(specimen: Specimen) -> None:
    """What looks like a known identifier, but of another organisation, for another recipient or of another kind, is nobody's."""
    with closing(specimen.open_source()) as source:
        for stranger in _strangers(specimen.known, source.kinds):
            _expect_absent(source, stranger)


def minds_case_where_it_matters(specimen: Specimen) -> None:
    """Persistent identifiers are compared exactly (core 8.3.7); of other kinds it is asked in canonical form alone."""
    if specimen.known.kind is not IdentifierKind.PERSISTENT:
        return
    with closing(specimen.open_source()) as source:
        for value in {specimen.known.value.swapcase(), specimen.known.value.upper(), specimen.known.value.lower()}:
            if value != specimen.known.value:
                _expect_absent(source, replace(specimen.known, value=value))


def takes_hostile_text_for_text(specimen: Specimen) -> None:
    """Text that means something in filters, statements, paths or markup finds nobody, and what follows is answered as before.

    Where the text cannot be an identifier of its kind at all, refusing to ask (CouldNotAsk) is right as well.
    """
    with closing(specimen.open_source()) as source:
        for text in hostile_texts(specimen.known.value):
            hostile = replace(specimen.known, value=text, spelling=None)
            try:
                _expect_absent(source, hostile)
            except CouldNotAsk as error:
                expect(not _is_possible(hostile), f"{text!r} must be answered as absent: {error.cause}")
        _expect_found(specimen, source.resolve(specimen.known))


def serves_several_threads(specimen: Specimen) -> None:
    """Threads that share it get the answers to their own questions, with more threads than it may have connections."""
    with closing(specimen.open_source()) as source:
        asked = [Call(partial(source.resolve, specimen.unknown if number % 2 else specimen.known)) for number in range(_THREADS * _ROUNDS)]
        for number, call in enumerate(asked):
            found = call.result(specimen.timeout * _THREADS * _ROUNDS + _MARGIN)
            if number % 2:
                expect(found is None, "a thread got an answer for an unknown identifier")
            else:
                _expect_found(specimen, found)


def can_be_checked(specimen: Specimen) -> None:
    """Its check passes while what it asks is there, as often as it is called, before and after a question."""
    with closing(specimen.open_source()) as source:
        source.check()
        source.resolve(specimen.known)
        source.check()


def closes(specimen: Specimen) -> None:
    """Closing it twice is closing it once, unused or used, and a question after that is never answered as absent."""
    specimen.open_source().close()
    source = specimen.open_source()
    source.resolve(specimen.known)
    source.close()
    source.close()
    found = Call(partial(source.resolve, specimen.known)).outcome(specimen.timeout + _MARGIN)
    source.close()
    if not isinstance(found, CouldNotAsk):
        _expect_found(specimen, found)


def reports_an_outage_and_returns(specimen: Specimen) -> None:
    """During an outage every question and every check ends in CouldNotAsk, none hangs, and service returns by itself."""
    for outage in specimen.outages:
        with closing(specimen.open_source()) as used, closing(specimen.open_source()) as unused:
            _expect_found(specimen, used.resolve(specimen.known))
            with outage():
                for source in (used, unused, used):
                    _expect_unable(specimen, source)
            for source in (used, unused):
                _expect_found(specimen, _first_answer(specimen, source))


def survives_an_outage_between_questions(specimen: Specimen) -> None:
    """An outage during which nobody asked is noticed by nobody: connections that went away meanwhile are made afresh."""
    for outage in specimen.outages:
        with closing(specimen.open_source()) as source:
            _expect_found(specimen, source.resolve(specimen.known))
            with outage():
                pass
            _expect_found(specimen, Call(partial(source.resolve, specimen.known)).result(specimen.timeout + _MARGIN))


def keeps_secrets(specimen: Specimen) -> None:
    """Neither its text forms nor the causes of its failures hold a secret; causes, which are logged, name no person either."""
    with closing(specimen.open_source()) as source:
        for text in (repr(source), str(source)):
            _expect_silence(text, specimen.secrets)
        for outage in specimen.outages:
            with outage():
                failed = Call(partial(source.resolve, specimen.known)).outcome(specimen.timeout + _MARGIN)
            expect(isinstance(failed, CouldNotAsk), "an outage must end in CouldNotAsk")
            if isinstance(failed, CouldNotAsk):
                _expect_silence(failed.cause, (*specimen.secrets, *_names(specimen.known)))


CHECKS: Final[tuple[Check, ...]] = (
    names_its_kinds,
    finds_a_known_person,
    tells_absent_from_unable,
    finds_nobody_of_another_organisation,
    minds_case_where_it_matters,
    takes_hostile_text_for_text,
    serves_several_threads,
    can_be_checked,
    closes,
    reports_an_outage_and_returns,
    survives_an_outage_between_questions,
    keeps_secrets,
)
"""Every check, in the order in which what they find is easiest to mend."""


def _expect_found(specimen: Specimen, found: object) -> None:
    expect(isinstance(found, Finding), f"{specimen.known!r} must be found, but the outcome was {found!r}")
    if isinstance(found, Finding):
        expect(set(found.identifiers) == set(specimen.expected.identifiers), f"found {found!r} instead of {specimen.expected!r}")
        expect(found.orcid == specimen.expected.orcid, f"found the iD {found.orcid!r} instead of {specimen.expected.orcid!r}")


def _expect_absent(source: IdentifierSource, identifier: Identifier) -> None:
    found = source.resolve(identifier)
    expect(found is None, f"{identifier!r} must be nobody's, but the outcome was {found!r}")


def _expect_unable(specimen: Specimen, source: IdentifierSource) -> None:
    calls: tuple[Call[Finding | None] | Call[None], ...] = (
        Call(partial(source.resolve, specimen.known)),
        Call(partial(source.resolve, specimen.unknown)),
        Call(source.check),
    )
    for call in calls:
        outcome = call.outcome(specimen.timeout * len(calls) + _MARGIN)
        expect(isinstance(outcome, CouldNotAsk), f"an outage must end in CouldNotAsk, but the outcome was {outcome!r}")


def _first_answer(specimen: Specimen, source: IdentifierSource) -> object:
    patience = specimen.timeout + _MARGIN
    given_up_at = time.monotonic() + patience
    while True:
        outcome = Call(partial(source.resolve, specimen.known)).outcome(patience)
        if not isinstance(outcome, CouldNotAsk) or time.monotonic() > given_up_at:
            return outcome


def _expect_silence(text: str, secrets: tuple[str, ...]) -> None:
    for secret in secrets:
        expect(secret not in text, "a secret, or an identifier of a person, shows in a text form or in the cause of a failure")


def _names(identifier: Identifier) -> tuple[str, ...]:
    local_part, _, _ = identifier.value.partition("@")
    # A very short one would be found in any sentence.
    return tuple(name for name in (identifier.value, local_part, identifier.spelling) if name is not None and len(name) >= _TELLING)


def _strangers(known: Identifier, kinds: frozenset[IdentifierKind]) -> Iterator[Identifier]:
    for kind in set(IdentifierKind) - kinds:
        yield replace(known, kind=kind)
    if known.name_qualifier is not None:
        yield replace(known, name_qualifier=_ELSEWHERE)
    if known.sp_name_qualifier is not None:
        yield replace(known, sp_name_qualifier=_ELSEWHERE)
    if known.kind is not IdentifierKind.PERSISTENT:
        local_part, _, scope = known.value.partition("@")
        for elsewhere in ("@elsewhere.invalid", f"@elsewhere.{scope}", f"@{scope}.invalid"):
            yield replace(known, value=local_part + elsewhere, spelling=None)


def _is_possible(identifier: Identifier) -> bool:
    try:
        parse_identifier(identifier.kind, identifier.value, identifier.name_qualifier, identifier.sp_name_qualifier)
    except InvalidIdentifier:
        return False
    return True
