"""What every sink must do, the REST sink too: towards a small service that keeps people and their iDs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from attribute_authority.domain.identifiers import IdentifierKind, OrcidId, parse_identifier
from connectors._rest_settings import RestSettings
from connectors.rest import REST
from connectors.sink_conformance import SINK_CHECKS, SinkCheck, SinkSpecimen
from tests.factories.sink_deliveries import sink_surroundings
from tests.factories.web_servers import Behaviour, Octets, Received, Reply, Silence, StrictServer, strict_server

_TEPPO = "teppo.testaaja@uni.example"
_TIMEOUT = 1.0


@dataclass
class _People:
    """People by their ePPN; `away` is how it behaves during an outage."""

    held: dict[str, str | None] = field(default_factory=lambda: {_TEPPO: None})
    away: Behaviour | None = None

    def answer(self, request: Received) -> Behaviour:
        if self.away is not None:
            return self.away
        if request.method == "GET":
            return Reply()
        eppn = unquote(request.target.removeprefix("/people/"))
        if eppn not in self.held:
            return Reply(404, b'{"error": "nobody"}')
        self.held[eppn] = json.loads(request.body)["orcid"] if request.method == "PUT" else None
        return Reply(204)

    @contextmanager
    def outage(self, behaviour: Behaviour) -> Iterator[None]:
        self.away = behaviour
        try:
            yield
        finally:
            self.away = None


@pytest.fixture
def people() -> _People:
    """A service with one person."""
    return _People()


@pytest.fixture
def specimen(people: _People, tmp_path: Path) -> Iterator[SinkSpecimen]:
    """A sink that puts iDs into the service."""
    (tmp_path / "token").write_text("open-sesame\n", encoding="utf-8")
    with strict_server() as server:
        server.otherwise = people.answer
        yield _specimen(server, people, tmp_path / "token")


def _specimen(server: StrictServer, people: _People, token_file: Path) -> SinkSpecimen:
    table: dict[str, Any] = {
        "url": f"{server.url}/people/{{eppn}}",
        "check_url": f"{server.url}/health",
        "method": "PUT",
        "withdrawal_method": "DELETE",
        "body": "mapping",
        "mapping": {"orcid": "orcid-bare", "who": "eppn"},
        "token_file": str(token_file),
        "timeout": _TIMEOUT,
    }
    settings = RestSettings.model_validate({"kind": "rest", **table})

    def held() -> list[OrcidId]:
        orcid = people.held[_TEPPO]
        return [] if orcid is None else [OrcidId(orcid)]

    return SinkSpecimen(
        open_sink=lambda: REST.open(settings, sink_surroundings()),
        known=(parse_identifier(IdentifierKind.EPPN, _TEPPO),),
        held=held,
        forget=lambda: people.held.update({_TEPPO: None}),
        unknown=(parse_identifier(IdentifierKind.EPPN, "nobody@uni.example"),),
        secrets=("open-sesame",),
        outages=tuple(partial(people.outage, behaviour) for behaviour in (Octets(), Silence(), Reply(503))),
        timeout=_TIMEOUT,
    )


@pytest.mark.parametrize("check", SINK_CHECKS)
def test_what_every_sink_must_do(check: SinkCheck, specimen: SinkSpecimen) -> None:
    """The REST sink does what every sink must."""
    check(specimen)
