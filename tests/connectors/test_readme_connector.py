"""The README's connector in 30 lines: it is what it says, and works as an operator would install it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest

from attribute_authority.configuration import read_configuration
from attribute_authority.delivery_assembly import close_sinks, open_sinks
from attribute_authority.domain.delivery import SinkName
from attribute_authority.domain.identifiers import EntityId, IdentifierKind, OrcidId, parse_identifier
from connectors.sink_conformance import SINK_CHECKS, SinkCheck, SinkSpecimen
from tests.factories.supervisors import Directory, make_directory

_README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_SECTION = _README.partition("### 11. Write a connector in 30 lines")[2].partition("\n## ")[0]
_HOME = EntityId("https://idp.uni.example/idp")
_COMMAND = """#!/bin/sh
[ "$1" = version ] && exit 0
[ "$3" = teppo@uni.example ] || { echo "nobody is called $3" >&2; exit 1; }
printf %s "$4" > "${0%/*}/teppo"
"""


def _block(language: str) -> str:
    (found,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", _SECTION)
    return str(found)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install the connector as a distribution of its own, and give its directory."""
    site = tmp_path / "site"
    metadata = site / "acme_idm-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "acme_idm.py").write_text(_block("python"))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-idm\nVersion: 1.0\n")
    group, entry = _block("toml").replace('"', "").splitlines()
    (metadata / "entry_points.txt").write_text(f"{group.replace('project.entry-points.', '')}\n{entry}\n")
    monkeypatch.syspath_prepend(str(site))
    invalidate_caches()
    yield site
    sys.modules.pop("acme_idm", None)


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """Write an authority whose home organisation has the connector as a sink, and the command that it runs."""
    (tmp_path / "authority").mkdir()
    made = make_directory(tmp_path / "authority")
    command = made.path / "idm"
    command.write_text(_COMMAND)
    command.chmod(0o700)
    sink = f'[[organisation]]\nidentity_provider = "{_HOME}"\n[[organisation.sink]]\nkind = "acme"\ncommand = "idm"\n'
    made.config.write_text(made.config.read_text() + sink)
    return made


def test_it_has_30_lines() -> None:
    """Apart from its imports and blank lines it has no more than 30."""
    lines = [line for line in _block("python").splitlines() if line and not line.startswith(("import ", "from "))]

    assert len(lines) <= 30


def test_it_is_typed(installed: Path) -> None:
    """It passes the type checker as it stands."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(root / "pyproject.toml"), str(installed / "acme_idm.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)

    assert (0, "") == (done.returncode, done.stderr), done.stdout


@pytest.mark.parametrize("check", SINK_CHECKS)
def test_it_holds_to_what_every_sink_must(check: SinkCheck, installed: Path, directory: Directory) -> None:
    """Found by its entry point and opened from a configuration, it passes each check that others' sinks are offered."""
    settings = read_configuration(directory.config)
    kept = directory.path / "teppo"

    def held() -> list[OrcidId]:
        text = kept.read_text() if kept.exists() else ""
        return [OrcidId.parse(text, settings.authority.environment)] if text else []

    check(
        SinkSpecimen(
            open_sink=lambda: open_sinks(settings)[SinkName(_HOME, "acme")],
            known=(parse_identifier(IdentifierKind.EPPN, "teppo@uni.example"),),
            held=held,
            forget=lambda: kept.unlink(missing_ok=True),
        )
    )
    assert import_module("acme_idm").__file__ == str(installed / "acme_idm.py")


def test_check_tries_it(installed: Path, directory: Directory) -> None:
    """`check` knows its keys, and tries it."""
    opened = open_sinks(read_configuration(directory.config))
    close_sinks(opened)
    environment = {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "attribute_authority", "--config", str(directory.config), "check"]
    passed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    (directory.path / "idm").unlink()
    failed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert 0 == passed.returncode, passed.stderr
    assert 1 == failed.returncode
    assert "the command of Acme does not run" in failed.stderr
