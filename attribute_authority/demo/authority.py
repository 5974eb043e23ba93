"""The authority of the demo: a real one, in a process of its own, with a configuration that anybody can read and try things with."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from attribute_authority.commands.init import make_authority
from attribute_authority.demo.directory import ATTRIBUTE
from attribute_authority.errors import CouldNotAsk

_PRIVATE: Final = 0o600
_POLL_SECONDS: Final = 0.05
_READY_SECONDS: Final = 60
_END_SECONDS: Final = 30
_ANSWER_SECONDS: Final = 5
_NAMES: Final = '{ fi = "ORCID-yhdistämispalvelu", sv = "ORCID-kopplingstjänsten", en = "ORCID linking service" }'
_CONFIGURATION: Final = """
# What follows makes it the authority of a demonstration: everything is on this machine, and nobody in it is real.

[authority.presentation]
display_name = {names}

[[metadata]]
file = "../federation/federation.xml"
signing_certificate = "../federation/federation.crt"

[[release]]
requesters = ["{service_provider}"]

[[organisation]]
identity_provider = "{home_organisation}"
name = {{ fi = "Esimerkin yliopisto", sv = "Exempeluniversitetet", en = "University of Example" }}
contact = "mailto:it-support@uni.example"

[[organisation.sink]]
kind = "rest"
method = "PUT"
url = "{directory_url}/people/{{eppn}}"
token_file = "keys/directory-token"
body = "mapping"
mapping = {{ {attribute} = "orcid-uri" }}

[companion]
host = "127.0.0.1"
port = {companion}
base_url = "{companion_url}"
discovery_url = "{discovery_url}"
encryption = [{{ key = "keys/encryption.key", certificate = "keys/encryption.crt" }}]
sealing_keys = ["keys/sealing.key"]
attempts_per_minute = 1000

[companion.service]
name = {names}
contact = "orcid@uni.example"

[orcid]
client_id = "{client_id}"
client_secret_file = "keys/orcid-client-secret"
registry_url = "{registry_url}"
"""


@dataclass(frozen=True, slots=True)
class AuthorityPorts:
    """The ports on which the authority listens; `public_url` is where browsers find the companion page, None for its own port."""

    back_channel: int
    operations: int
    companion: int
    public_url: str | None = None

    @property
    def companion_url(self) -> str:
        """The address of the companion page."""
        return self.public_url or f"http://localhost:{self.companion}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the authority must know of the federation around it; `client_id` and `client_secret` are those at the registry.

    `home_organisation` is the entityID of the one that takes deliveries, at `directory_url`, from whoever has `directory_token`.
    """

    service_provider: str
    discovery_url: str
    registry_url: str
    client_id: str
    client_secret: str
    home_organisation: str
    directory_url: str
    directory_token: str


def write_authority(directory: Path, ports: AuthorityPorts, around: Surroundings) -> Path:
    """Write a fresh authority as `init` does, with what the demo adds, and return its configuration file."""
    base_url = f"https://localhost:{ports.back_channel}"
    config = make_authority(directory, f"{base_url}/orcid", base_url)
    _write_private(directory / "keys/orcid-client-secret", around.client_secret.encode())
    _write_private(directory / "keys/directory-token", around.directory_token.encode())
    text = config.read_text(encoding="utf-8")
    for written, wanted in (
        ('host = "0.0.0.0"', 'host = "127.0.0.1"'),
        ("port = 9090", f"port = {ports.operations}"),
        ('environment = "production"', 'environment = "sandbox"'),
    ):
        text = text.replace(written, wanted)
    config.write_text(text + _addition(ports, around), encoding="utf-8")
    return config


def _addition(ports: AuthorityPorts, around: Surroundings) -> str:
    return _CONFIGURATION.format(
        service_provider=around.service_provider,
        names=_NAMES,
        companion=ports.companion,
        companion_url=ports.companion_url,
        discovery_url=around.discovery_url,
        client_id=around.client_id,
        registry_url=around.registry_url,
        home_organisation=around.home_organisation,
        directory_url=around.directory_url,
        attribute=ATTRIBUTE,
    )


def _write_private(path: Path, content: bytes) -> None:
    path.touch(_PRIVATE)
    path.write_bytes(content)


def command(config: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command line that runs the authority's own command with that configuration."""
    return [sys.executable, "-m", "attribute_authority", "--config", str(config), *arguments]


def run(config: Path, *arguments: str) -> str:
    """Run a command of the authority and return what it printed. Raises CouldNotAsk with it where the command fails."""
    done = subprocess.run(command(config, arguments), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CouldNotAsk(f"`{' '.join(arguments)}` ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def serving(config: Path, ports: AuthorityPorts) -> Iterator[None]:
    """Run `serve` until the block ends. Raises CouldNotAsk with its log where it does not get ready."""
    log = config.parent / "serve.log"
    # A session of its own: Ctrl-C is for the demo, which then ends the authority in good order.
    with (
        log.open("wb") as stream,
        subprocess.Popen(command(config, ("serve", "--workers", "1")), stderr=stream, start_new_session=True) as server,
    ):
        try:
            _await_ready(server, ports, log)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _await_ready(server: subprocess.Popen[bytes], ports: AuthorityPorts, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    addresses = (f"http://127.0.0.1:{ports.operations}/health/ready", f"http://127.0.0.1:{ports.companion}/")
    while not all(_is_answered(address) for address in addresses):
        if server.poll() is not None or time.monotonic() > deadline:
            raise CouldNotAsk(f"the authority did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(_POLL_SECONDS)


def _is_answered(address: str) -> bool:
    try:
        return requests.get(address, timeout=_ANSWER_SECONDS).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
