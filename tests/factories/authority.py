"""Authorities as `init` makes them, in a directory of the test's own, and the command line that runs on them.

Making keys is slow: each process makes those of one authority, and every further one is a copy.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from click.testing import CliRunner, Result

from attribute_authority.cli import cli
from attribute_authority.commands.init import make_authority
from tests.peers.postgresql import free_port

BASE_URL = "https://localhost:8443"
ENTITY_ID = f"{BASE_URL}/orcid"
SELF_TEST = f"{ENTITY_ID}/self-test"
HOME = "https://idp.uni.example/idp"
CARBERRY = "0000-0002-1825-0097"
OTHER_ORCID = "0000-0001-5109-3700"

_DEADLINE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority's directory and its configuration file."""

    directory: Path

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "authority.toml"

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
        """Run a command on this authority within the test's process."""
        return CliRunner().invoke(cli, ["--config", str(self.config), *arguments], env=env)

    def change(self, *changes: tuple[str, str]) -> None:
        """Replace texts of the configuration, each of which must stand there."""
        text = self.config.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.config.write_text(text, encoding="utf-8")

    def append(self, text: str) -> None:
        """Add tables at the end of the configuration."""
        with self.config.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{text}\n")

    def link(self, *identifiers: str, orcid: str = CARBERRY, idp: str = HOME) -> None:
        """Link an iD to a person with these identifiers."""
        given = [part for identifier in identifiers for part in ("--id", identifier)]
        result = self.run("link", "add", "--orcid", orcid, "--idp", idp, *given)

        assert (0, "") == (result.exit_code, result.stderr)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on free ports; gives the URL of the attribute service. On SIGTERM it must end with status 0."""
        self._choose_ports()
        process = subprocess.Popen([*command(self.config), "serve", "--workers", "1"], stderr=subprocess.PIPE, text=True)
        with process:
            try:
                yield f"{_listening(process).replace('127.0.0.1', 'localhost')}/saml/attribute-query"
            finally:
                process.send_signal(signal.SIGTERM)
                said = process.communicate(timeout=_DEADLINE_SECONDS)[1]

        assert 0 == process.returncode, said

    def _choose_ports(self) -> None:
        # The port must be known beforehand, because it stands in the Destination that queries must have.
        port = free_port()
        self.change((f'base_url = "{BASE_URL}"', f'base_url = "https://localhost:{port}"'), ("port = 8443", f"port = {port}"))
        self.change(('host = "0.0.0.0"', 'host = "127.0.0.1"'), ("port = 9090", "port = 0"))


def new_authority(directory: Path) -> Authority:
    """Make an authority below `directory`."""
    return Authority(Path(shutil.copytree(_pattern(), directory / "authority")))


def command(config: Path) -> list[str]:
    """Return the beginning of a command line that runs in a process of its own."""
    return [sys.executable, "-m", "attribute_authority", "--config", str(config)]


def run_process(config: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process of its own, with variables added to its environment."""
    started = [*command(config), *arguments]
    return subprocess.run(started, capture_output=True, timeout=_DEADLINE_SECONDS, check=False, env={**os.environ, **environment})


@cache
def _pattern() -> Path:
    directory = TemporaryDirectory(prefix="attribute-authority-pattern-")
    atexit.register(directory.cleanup)
    return make_authority(Path(directory.name) / "authority", ENTITY_ID, BASE_URL).parent


def _listening(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        event = json.loads(line) if line.startswith("{") else {}
        if (event.get("event"), event.get("door")) == ("listening", "back_channel"):
            return str(event["url"])
    raise AssertionError("the authority does not listen:\n" + "".join(said))
