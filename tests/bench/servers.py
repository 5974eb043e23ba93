"""The servers that are measured, each a process tree of its own on a free port of 127.0.0.1."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.population import populate
from tests.peers.lab import Federation

_START_SECONDS = 60.0
_ENTITY_ID = "https://aa.example.org/orcid"
_ADDITION = """
[[metadata]]
file = "{metadata}"

[[release]]
requesters = {requesters}
home_organisations = ["{home_organisation}"]
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: the root of its process tree, where it takes queries, and the file with its log."""

    process: int
    url: str
    log: Path


Running = AbstractContextManager[Server]


class NotServing(RuntimeError):
    """A server ended, or said nothing of where it listens; the text is the last of what it wrote."""


def prepare_authority(directory: Path, federation: Federation, clients: Sequence[str] = ()) -> Path:
    """Make an authority with a million people that serves a service provider of the federation and some lookup clients.

    It is what `init` makes, on free ports, but for the key that it signs with: all who are compared sign with RSA-2048.
    Returns its configuration.
    """
    command = [_authority_command(), "init", str(directory), "--entity-id", _ENTITY_ID, "--base-url", "https://127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copyfile(federation.home.keys.key, directory / "keys" / "signing.key")
    shutil.copyfile(federation.home.keys.certificate, directory / "keys" / "signing.crt")
    configuration = directory / "authority.toml"
    text = re.sub(r"(?m)^port = \d+", "port = 0", configuration.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^host = .*", 'host = "127.0.0.1"', text)
    requesters = json.dumps([federation.released.entity_id, *clients])
    home = federation.home.entity_id
    text += _ADDITION.format(metadata=federation.metadata, requesters=requesters, home_organisation=home)
    configuration.write_text(text, encoding="utf-8")
    populate(directory / "links.db", home)
    return configuration


def vary(configuration: Path, name: str, addition: str) -> Path:
    """Write a configuration beside another, with the same database and keys and some tables more; returns it."""
    varied = configuration.with_name(f"{name}.toml")
    varied.write_text(configuration.read_text(encoding="utf-8") + addition, encoding="utf-8")
    return varied


@contextmanager
def authority(configuration: Path, workers: int, cores: frozenset[int]) -> Iterator[Server]:
    """Run the authority as its operator would."""
    command = [_authority_command(), "--config", str(configuration), "serve", "--workers", str(workers)]
    with _running(command, cores, "/saml/attribute-query") as server:
        yield server


@contextmanager
def deliverer(configuration: Path, cores: frozenset[int]) -> Iterator[Server]:
    """Run the part of the authority that delivers; it answers nobody."""
    command = [_authority_command(), "--config", str(configuration), "serve", "--only", "deliveries"]
    with _running(command, cores, "") as server:
        yield server


@contextmanager
def receiver(cores: frozenset[int]) -> Iterator[Server]:
    """Run the web service that takes whatever it is sent."""
    with _running(_module("tests.bench.receiver"), cores, "") as server:
        yield server


@contextmanager
def stock(directory: Path, federation: Federation, database: Path, cores: frozenset[int]) -> Iterator[Server]:
    """Run pysaml2's attribute authority, without the system's trusted certificates: to load them would treble its cost."""
    nobody = directory / "trusted"
    nobody.mkdir()
    trusted = nobody / "none.pem"
    trusted.write_text("")
    keys = federation.home.keys
    command = _module("tests.bench.stock", keys.key, keys.certificate, federation.metadata, database)
    with _running(command, cores, "", {"SSL_CERT_FILE": str(trusted), "SSL_CERT_DIR": str(nobody)}) as server:
        yield server


@contextmanager
def floor(federation: Federation, answer: Path, signatures: int, cores: frozenset[int]) -> Iterator[Server]:
    """Run the floor, which makes so many signatures for each query, and sends the content of `answer` to everybody."""
    keys = federation.home.keys
    with _running(_module("tests.bench.floor", keys.key, keys.certificate, answer, signatures), cores, "") as server:
        yield server


def _module(name: str, *arguments: Path | int) -> list[str]:
    return [sys.executable, "-m", name, *map(str, arguments)]


def _authority_command() -> str:
    return str(Path(sys.executable).with_name("attribute-authority"))


@contextmanager
def _running(command: Sequence[str], cores: frozenset[int], path: str, environment: dict[str, str] | None = None) -> Iterator[Server]:
    held = ["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), *command]
    # A file, as a service manager gives: to read a pipe would cost the load what it must not cost.
    with tempfile.NamedTemporaryFile("ab") as log:
        process = subprocess.Popen(held, stderr=log, env={**os.environ, **(environment or {})})
        try:
            url = _wait_for_url(process, Path(log.name)).rstrip("/") + (path or "/")
            yield Server(process.pid, url, Path(log.name))
        finally:
            process.terminate()
            process.wait()


def _wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith("{") and (url := _url_of(line)) is not None:
                return url
        if ended:
            break
        time.sleep(0.05)
    raise NotServing(log.read_text(encoding="utf-8")[-4000:])


def _url_of(line: str) -> str | None:
    # What takes queries comes before what is for operators.
    said = json.loads(line)
    return str(said["url"]) if said.get("event") == "listening" else None
