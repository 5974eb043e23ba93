"""A process that dies at any step between the consent of a researcher and the recorded outcome of its delivery: nothing is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copy

import pytest

from attribute_authority.storage.upgrading import upgrade
from tests.faults.delivery_case import NAMES, Case
from tests.faults.dying import Death, survives

_MOST_CALLS = 200

Record = Callable[[str, object], None]


@pytest.fixture
def cases(tmp_path: Path) -> Iterator[Case]:
    """Cases that have not begun yet, one after the other."""
    empty = tmp_path / "empty.db"
    upgrade(f"sqlite:///{empty}")

    def make() -> Iterator[Case]:
        for number in range(_MOST_CALLS):
            path = tmp_path / str(number)
            path.mkdir()
            copy(empty, path / "links.db")
            yield Case(path)

    return make()


def die_at_each(cases: Iterator[Case], life: Callable[[Case, Death], None], *, after: bool) -> tuple[int, int]:
    """Live with a death that comes one call later each time, until it comes too late; after each a successor delivers what is left.

    Returns how many died, and how often something was delivered once more.
    """
    repeated = 0
    for deaths, case in enumerate(cases):
        survived = survives(lambda case=case, at=deaths + 1: life(case, Death(at, after)))  # type: ignore[misc]

        assert survives(lambda case=case: case.deliver_what_is_left())  # type: ignore[misc]
        assert [] == case.faults(), f"killed {'after' if after else 'before'} call {deaths + 1}"
        repeated += sum(len(case.told(name)) - len(set(case.told(name))) for name in NAMES)
        if survived:
            return deaths, repeated
    raise AssertionError(f"{_MOST_CALLS} calls, and no end")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_that_dies_at_any_step_loses_nothing(cases: Iterator[Case], after: bool, record_property: Record) -> None:
    """Killed before or after each call to stores, queue, board or system in turn; its successor brings every system to what is right."""
    deaths, repeated = die_at_each(cases, Case.live, after=after)
    record_property("figures", f"{deaths} kills, one at each call, {repeated} deliveries made again")

    assert deaths > 20
    assert repeated > 0


def test_a_process_that_dies_at_any_statement_of_a_change_loses_nothing(cases: Iterator[Case], record_property: Record) -> None:
    """Killed before each statement that links, replaces or unlinks: the change and its deliveries are both there, or neither."""
    deaths, _ = die_at_each(cases, Case.change, after=False)
    record_property("figures", f"{deaths} kills, one at each statement")

    assert deaths > 20
