"""One browser and one federation for each worker of the suite, fresh visitors for each test, and pictures of what they saw."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attribute_authority.demo.federation import demo_federation
from attribute_authority.demo.people import UNIVERSITY_PEOPLE
from tests.peers.chromium import Visitors, Window, launched, slug

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from attribute_authority.demo.registry_faults import Faults
    from tests.browser.stage import Newcomer, Stage, Walker, Walkers

_DEADLINE_MILLISECONDS = 30_000
_ARTEFACTS = "BROWSER_ARTEFACTS"
_DEFAULT_ARTEFACTS = Path(__file__).parents[2] / "build" / "browser"

pytest.register_assert_rewrite("tests.browser.axe")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of this worker."""
    with launched() as chromium:
        from playwright.sync_api import expect

        expect.set_options(timeout=_DEADLINE_MILLISECONDS)
        yield chromium


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path:
    """Where the pictures of this test go: below $BROWSER_ARTEFACTS, in a directory with the name of the test, empty at first."""
    artefacts = Path(os.environ.get(_ARTEFACTS) or _DEFAULT_ARTEFACTS)
    directory = artefacts / slug(request.node.path.stem) / slug(request.node.name)
    shutil.rmtree(directory, ignore_errors=True)
    return directory


@pytest.fixture
def visitors(browser: Browser, pictures: Path) -> Iterator[Visitors]:
    """Lets visitors in; when the test is over, none of their pages may have done what no page should."""
    everybody = Visitors(browser, pictures)
    yield everybody
    offences = everybody.leave()

    assert not offences, "\n".join(offences)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The federation of this worker."""
    from tests.browser.stage import Stage

    people = list(UNIVERSITY_PEOPLE)
    with demo_federation(tmp_path_factory.mktemp("federation"), people=people) as federation:
        yield Stage(federation, people)


@pytest.fixture
def newcomer(stage: Stage) -> Iterator[Newcomer]:
    """Somebody whom nobody has seen before this test."""
    somebody = stage.newcomer()
    yield somebody
    somebody.faults.release()


@pytest.fixture
def faults(newcomer: Newcomer) -> Faults:
    """What goes wrong at the registry in this test."""
    return newcomer.faults


@pytest.fixture
def walkers(visitors: Visitors, stage: Stage, newcomer: Newcomer) -> Walkers:
    """Lets in people who walk through the federation, as the newcomer or as somebody else."""
    from tests.browser.stage import Walker

    def enter(window: Window | None = None) -> Walker:
        chosen = window or Window()
        return Walker(visitors.enter(chosen), stage.federation, newcomer, chosen)

    return enter


@pytest.fixture
def walker(walkers: Walkers) -> Walker:
    """The newcomer with the usual window, in English."""
    return walkers()
