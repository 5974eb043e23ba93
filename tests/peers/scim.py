"""A real SCIM server, scim2-server, on a free port of 127.0.0.1, whose people have an extension with ORCID iDs; it keeps nothing."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import requests

from tests.peers import require
from tests.peers.postgresql import free_port
from tests.peers.processes import Server, started

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
EXTENSION = "urn:example:params:scim:schemas:extension:eduperson:2.0:User"
SEVERAL = f"{EXTENSION}:eduPersonOrcid"
SINGLE = f"{EXTENSION}:orcid"
NUMBER = f"{EXTENSION}:researcherNumber"
TOKEN = "hunter2.token-of-the-suite"

_EXACT = {"type": "string", "required": False, "caseExact": True, "mutability": "readWrite", "returned": "default", "uniqueness": "none"}
_SCHEMA = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
    "id": EXTENSION,
    "name": "eduPerson",
    "attributes": [
        {"name": "eduPersonOrcid", "multiValued": True, **_EXACT},
        {"name": "orcid", "multiValued": False, **_EXACT},
        {"name": "researcherNumber", "multiValued": False, **_EXACT},
        {"name": "hidden", "multiValued": True, **_EXACT, "returned": "request"},
        {"name": "computed", "multiValued": True, **_EXACT, "mutability": "readOnly"},
        {"name": "flag", "multiValued": False, **_EXACT, "type": "boolean"},
    ],
}


class ScimPeer:
    """A server in a directory of its own; it knows how to stop and come back. `url` is its base address."""

    def __init__(self, directory: Path, features: Mapping[str, bool]) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v2"
        self._features = features
        self._running = ExitStack()
        self._process: Server | None = None

    @property
    def token_file(self) -> Path:
        """The file of the token that it lets in with."""
        return self.directory / "token"

    @property
    def said(self) -> str:
        """What it wrote so far: a line for each request."""
        assert self._process is not None
        return self._process.said

    def prepare(self) -> None:
        """Write what the server reads."""
        self.token_file.write_text(f"{TOKEN}\n", encoding="utf-8")
        self._write("schemas.json", [*_shipped("schemas"), _SCHEMA])
        person, *others = _shipped("resource-types")
        person["schemaExtensions"].append({"schema": EXTENSION, "required": False})
        self._write("types.json", [person, *others])
        supported = {name: {"supported": on} for name, on in self._features.items()}
        self._write("configuration.json", _shipped("service-provider-config") | supported)

    def start(self) -> None:
        """Start the server, and return when it serves."""
        program = require(str(Path(sys.executable).with_name("scim2-server")), "none: it is scim2-server of PyPI")
        names = {"--schema": "schemas.json", "--resource-type": "types.json", "--service-provider-config": "configuration.json"}
        options = [part for option, name in names.items() for part in (option, str(self.directory / name))]
        command: Sequence[str | Path] = (program, *options, "--bearer-token", TOKEN, "--port", str(self.port))
        # It tells on standard output that it serves.
        aloud = ("sh", "-c", 'echo $$ > pid; exec "$@" >&2', "sh", *command)
        process = started(aloud, ready="Serving SCIM", environment={"PATH": "/usr/bin:/bin"}, directory=self.directory)
        self._process = self._running.enter_context(process)

    def stop(self) -> None:
        """Stop the server; everybody is forgotten."""
        self._running.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have the server gone for the block; those who were there are there again."""
        people = self.people()
        self.stop()
        try:
            yield
        finally:
            self.start()
            for person in people:
                self.add(person["userName"], **{key: person[key] for key in (EXTENSION, "externalId", "emails") if key in person})

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold the server still for the block: it accepts connections, and answers nothing."""
        process = int((self.directory / "pid").read_text(encoding="ascii"))
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    def add(self, user_name: str, **more: object) -> str:
        """Add somebody, and return the id."""
        schemas = [CORE, EXTENSION] if EXTENSION in more else [CORE]
        return str(self._ask("POST", "/Users", {"schemas": schemas, "userName": user_name, **more})["id"])

    def put(self, identity: str, **more: object) -> None:
        """Write somebody anew, by other hands than those of the sink."""
        self._ask("PUT", f"/Users/{identity}", {"schemas": [CORE, EXTENSION], **more})

    def read(self, identity: str) -> dict[str, Any]:
        """Return somebody as the server shows them."""
        return self._ask("GET", f"/Users/{identity}")

    def people(self) -> list[dict[str, Any]]:
        """Return everybody."""
        found: list[dict[str, Any]] = self._ask("GET", "/Users").get("Resources") or []
        return found

    def forget_people(self) -> None:
        """Remove everybody."""
        for person in self.people():
            self._ask("DELETE", f"/Users/{person['id']}")

    def _ask(self, method: str, place: str, message: Mapping[str, object] | None = None) -> dict[str, Any]:
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {TOKEN}"
            answer = session.request(method, f"{self.url}{place}", json=message, timeout=60)
        if not answer.ok:
            raise RuntimeError(f"{method} {place}: {answer.status_code} {answer.text}")
        return dict(answer.json()) if answer.content else {}

    def _write(self, name: str, content: object) -> None:
        (self.directory / name).write_text(json.dumps(content), encoding="utf-8")


def _shipped(name: str) -> Any:
    return json.loads((files("scim2_server") / "resources" / f"default-{name}.json").read_text(encoding="utf-8"))


@contextmanager
def scim_server(directory: Path, **features: bool) -> Iterator[ScimPeer]:
    """Run a server for the block; `features` are those of its ServiceProviderConfig that it has or has not, by default all."""
    peer = ScimPeer(directory, features)
    peer.prepare()
    peer.start()
    try:
        yield peer
    finally:
        peer.stop()
