"""`demo --once`: the whole way, as the first thing that somebody new runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.authority import CARBERRY

_DEMO = [sys.executable, "-m", "attribute_authority", "demo"]
_DEADLINE_SECONDS = 120


def test_the_demo_walks_the_whole_way(tmp_path: Path) -> None:
    """Linked, asked, answered, explained; exit code 0, and nothing is left behind."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([*_DEMO, "--once"], capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False, env=environment)

    assert (0, "") == (done.returncode, done.stderr)
    assert 2 == done.stdout.count(f"eduPersonOrcid: https://orcid.org/{CARBERRY}")
    assert "eduPersonOrcid: none" in done.stdout
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_demo_goes_on_until_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """It says how to query it; Ctrl-C, a kill and a closed terminal end it with exit code 0 and nothing left behind."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        _DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        said = next(line for line in demo.stdout if line.startswith("It goes on until Ctrl-C.") or not line)
        os.killpg(demo.pid, number)
        _, errors = demo.communicate(timeout=_DEADLINE_SECONDS)

    assert " query --id eppn=" in said
    assert (0, "") == (demo.returncode, errors)
    assert [] == list(tmp_path.iterdir())
