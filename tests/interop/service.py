"""The authority as an operator runs it: made by `init`, filled by `link add`, started by `serve`, stopped by SIGTERM."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import requests

from tests.peers.lab import Federation, Member, TrustedAuthority, make_key_pair
from tests.peers.postgresql import free_port

ENTITY_ID = "https://aa.lab.example/orcid"

_COMMAND = Path(sys.executable).with_name("attribute-authority")
_DEADLINE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose iD the authority may know; the persistent identifier differs from service provider to service provider."""

    eppn: str
    orcid: str

    def persistent(self, member: Member) -> str:
        """The value of the persistent identifier towards `member`."""
        return f"{self.eppn.partition('@')[0]}-{member.entity_id.split('/')[2]}"


LINKED = Person("josiah@uni.example", "0000-0002-1825-0097")
WITHDRAWN = Person("withdrawn@uni.example", "0000-0001-5109-3700")


def prepare(directory: Path, federation: Federation) -> Path:
    """Make an authority below `directory` that serves the service providers of `federation` that are to have a release rule.

    It knows the iD of `LINKED`, and that of `WITHDRAWN` no more. Returns its configuration file.
    """
    run(None, "init", str(directory), "--entity-id", ENTITY_ID, "--base-url", "https://localhost:8443")
    configuration = directory / "authority.toml"
    requesters = json.dumps([member.entity_id for member in federation.with_rule])
    with configuration.open("a") as lines:
        lines.write(f"\n[[metadata]]\nfile = {json.dumps(str(federation.metadata))}\n\n[[release]]\nrequesters = {requesters}\n")
    for person in (LINKED, WITHDRAWN):
        _link(configuration, federation, person)
    run(configuration, "link", "remove", "--orcid", WITHDRAWN.orcid)
    run(configuration, "check")
    return configuration


@contextmanager
def running(prepared: Path, directory: Path, *, with_encryption: bool = False) -> Iterator[TrustedAuthority]:
    """Run a copy, in `directory`, of the authority whose configuration is `prepared`.

    On the way out it must end at SIGTERM with exit status 0, and its log must hold no traceback.
    """
    configuration = _copy(prepared, directory, with_encryption=with_encryption)
    with subprocess.Popen([_COMMAND, "--config", configuration, "serve", "--workers", "1"], stderr=subprocess.PIPE, text=True) as process:
        log = _Log(process)
        try:
            url = log.wait_for_back_channel()
            yield _trusted(directory, url)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(_DEADLINE_SECONDS)
    said = log.all()

    assert (0, False) == (status, "Traceback" in said), said


def run(configuration: Path | None, *arguments: str) -> str:
    """Run a command of the authority and return what it prints; raises where it does not exit with status 0."""
    chosen = () if configuration is None else ("--config", str(configuration))
    done = subprocess.run([_COMMAND, *chosen, *arguments], capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False)

    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


class _Log:
    """The lines of a process's standard error, read beside it so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines: list[str] = []
        self._fresh: SimpleQueue[str | None] = SimpleQueue()
        self._reader = Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._lines.append(line)
            self._fresh.put(line)
        self._fresh.put(None)

    def wait_for_back_channel(self) -> str:
        """Return the URL of the back channel as soon as it listens."""
        try:
            while (line := self._fresh.get(timeout=_DEADLINE_SECONDS)) is not None:
                event = json.loads(line) if line.startswith("{") else {}
                if (event.get("event"), event.get("door")) == ("listening", "back_channel"):
                    return str(event["url"])
        except Empty:
            line = None
        raise AssertionError("the authority does not listen:\n" + "".join(self._lines))

    def all(self) -> str:
        """Everything, once the process has ended."""
        self._reader.join(_DEADLINE_SECONDS)
        return "".join(self._lines)


def _copy(prepared: Path, directory: Path, *, with_encryption: bool) -> Path:
    port = free_port()
    shutil.copytree(prepared.parent, directory)
    text = prepared.read_text()
    text = _set(text, "authority", "base_url", f'"https://localhost:{port}"')
    text = _set(text, "back_channel", "host", '"127.0.0.1"')
    text = _set(text, "back_channel", "port", str(port))
    text = _set(text, "operations", "port", "0")
    if with_encryption:
        make_key_pair(directory / "keys", "encryption")
        text = _set(text, "authority", "encryption", '[{ key = "keys/encryption.key", certificate = "keys/encryption.crt" }]')
    configuration = directory / prepared.name
    configuration.write_text(text)
    return configuration


def _set(text: str, table: str, key: str, value: str) -> str:
    """Set a key in the text of a TOML file, whether it stands there already, as a comment, or not at all."""
    head, header, rest = text.partition(f"[{table}]\n")
    assert header, f"init writes no table [{table}]"
    body, bracket, others = rest.partition("\n[")
    without = re.sub(rf"(?m)^{key} *=.*\n?", "", body)
    return f"{head}{header}{key} = {value}\n{without}{bracket}{others}"


def _link(configuration: Path, federation: Federation, person: Person) -> None:
    home = federation.home.entity_id
    identifiers = ["--id", f"eppn={person.eppn}"]
    for member in federation.with_rule:
        identifiers += ["--id", f"persistent={home}!{member.entity_id}!{person.persistent(member)}"]
    run(configuration, "link", "add", "--orcid", person.orcid, "--idp", home, *identifiers)


def _trusted(directory: Path, url: str) -> TrustedAuthority:
    address = url.replace("127.0.0.1", "localhost")
    response = requests.get(f"{address}/metadata", verify=str(directory / "keys" / "tls.crt"), timeout=_DEADLINE_SECONDS)
    response.raise_for_status()
    metadata = directory / "published-metadata.xml"
    metadata.write_bytes(response.content)
    return TrustedAuthority(ENTITY_ID, metadata)
