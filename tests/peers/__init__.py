"""Real programs of others that the suite runs against, and what happens where one is not installed."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

_SYSTEM_DIRECTORIES = ("/usr/sbin", "/sbin", "/usr/local/sbin")


def require(program: str, package: str) -> Path:
    """Return the path of an installed `program`, given by name or by absolute path.

    Where it is missing the test is skipped with the name of the Debian `package`; with CI=true it fails, so that nothing is left out
    unnoticed.
    """
    found = shutil.which(program) or shutil.which(program, path=os.pathsep.join(_SYSTEM_DIRECTORIES))
    if found is None:
        missing(f"{program} is not installed (Debian package {package})")
    return Path(found)


def missing(reason: str) -> NoReturn:
    """End the test: failed with CI=true, otherwise skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
