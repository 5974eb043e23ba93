"""One browser for each worker of the suite, fresh visitors for each test, and pictures of what they saw."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.peers.chromium import Visitors, launched, slug

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_ARTEFACTS = "BROWSER_ARTEFACTS"
_DEFAULT_ARTEFACTS = Path(__file__).parents[2] / "build" / "browser"

pytest.register_assert_rewrite("tests.browser.axe")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of this worker."""
    with launched() as chromium:
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
