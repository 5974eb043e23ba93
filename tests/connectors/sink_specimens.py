"""Sinks described for the checks that every one has to pass: towards a driver of Identity Manager, and a reader of files."""

import csv
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Event, Lock

from lxml import etree

from attribute_authority.domain.identifiers import Environment, OrcidId
from connectors import SinkSurroundings
from connectors.csv_file import CSV_FILE, CsvSettings
from connectors.sink_conformance import SinkSpecimen
from connectors.soap_idm import SOAP_IDM, SoapIdmSettings
from tests.factories.sink_deliveries import AUTHORITY, HOME, NOW, person, sink_surroundings
from tests.factories.soap_drivers import PATH, TAKEN, answered, batch, result, told
from tests.factories.web_servers import Behaviour, Received, Reply, Silence, pem_pair, server_tls, strict_server

_TEPPO = "teppo.testaaja@uni.example"
_PASSWORD = "open-sesame"
_TIMEOUT = 1.0
_NO_SUCH_ATTRIBUTE, _VALUE_EXISTS = "16", "20"
_UNASSOCIATED = batch(told("warning", "Code(-8019) Operation vetoed on unassociated object."))


@dataclass(slots=True)
class _Driver:
    """Teppo is associated, nobody else is; changes are made whole or not at all, as strictly as a directory does (RFC 4511, 4.6)."""

    values: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    _refuses: bool = False
    _silent_until: Event | None = None

    def shake_hands(self, *_: object) -> int | None:
        """Take part in TLS as the present state has it; returns the alert by which it is refused."""
        if self._silent_until is not None:
            self._silent_until.wait()
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if self._refuses else None

    def answer(self, request: Received) -> Behaviour:
        """Answer a document."""
        if self._silent_until is not None:
            return Silence()
        if request.headers["authorization"] != f"Basic {b64encode(f'orcid:{_PASSWORD}'.encode()).decode()}":
            return Reply(401)
        (modify,) = etree.fromstring(request.body).iter("modify")
        with self._lock:
            return answered(self._change(modify))

    def set(self, *orcids: OrcidId) -> None:
        """Write these by other hands than those of the sink."""
        self.values = [orcid.value for orcid in orcids]

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Let nobody in for the block."""
        self._refuses = True
        try:
            yield
        finally:
            self._refuses = False

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Accept connections for the block, and say nothing on them."""
        self._silent_until = over = Event()
        try:
            yield
        finally:
            self._silent_until = None
            over.set()

    def _change(self, modify: etree._Element) -> str:
        if modify.findtext("association") != _TEPPO:
            return _UNASSOCIATED
        values = list(self.values)
        (attribute,) = modify.iter("modify-attr")
        for step in attribute:
            named = values if step.tag == "remove-all-values" else [step.findtext("value")]
            stands_there = bool(named) and set(named) <= set(values)
            is_added = step.tag == "add-value"
            if stands_there is is_added:
                return batch(result(_VALUE_EXISTS if is_added else _NO_SUCH_ATTRIBUTE))
            values = [*values, *named] if is_added else [value for value in values if value not in named]
        self.values = values
        return TAKEN


@contextmanager
def soap_idm_specimen(directory: Path, *, keep_others: bool) -> Iterator[SinkSpecimen]:
    """Run a driver, and describe a sink that tells it changes.

    Its outages are of TLS, because its check does no more than connect. Where all values are replaced nothing of others can stay.
    """
    (directory / "password").write_text(f"{_PASSWORD}\n", encoding="utf-8")
    own, driver = pem_pair(directory, "localhost"), _Driver()
    tls = server_tls(own)
    tls.sni_callback = driver.shake_hands
    with strict_server(tls) as server:
        server.otherwise = driver.answer
        access = {"username": "orcid", "password_file": str(directory / "password"), "tls_ca": str(own.certificate)}
        keys = {"kind": "soap-idm", "url": f"{server.url}{PATH}", "timeout": _TIMEOUT, "keep_others": keep_others, **access}
        settings = SoapIdmSettings.model_validate(keys)

        @contextmanager
        def refused() -> Iterator[None]:
            server.close_connections()
            with driver.refusing():
                yield

        yield SinkSpecimen(
            open_sink=lambda: SOAP_IDM.open(settings, sink_surroundings()),
            known=person(_TEPPO),
            held=lambda: [OrcidId(value) for value in driver.values],
            forget=driver.set,
            add_foreign=driver.set if keep_others else None,
            unknown=person("nobody.known@uni.example"),
            secrets=(_PASSWORD,),
            outages=(refused, driver.silent),
            timeout=_TIMEOUT,
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads every file that is finished, and replays all rows in the order in which they are effective."""

    directory: Path

    def held(self) -> list[OrcidId]:
        """Return the iD that the last row about Teppo leaves."""
        rows = [row for file in self._files() for row in self._rows(file) if row["eppn"] == _TEPPO]
        rows.sort(key=lambda row: datetime.fromisoformat(row["effective_at"]))
        return [OrcidId.parse(row["orcid"], Environment.PRODUCTION) for row in rows[-1:] if row["orcid"]]

    def take_all(self) -> None:
        """Take every file away."""
        for file in self._files():
            file.unlink()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have the directory lead nowhere for the block; what was in it is there afterwards."""
        aside = self.directory.with_name("aside")
        self.directory.rename(aside)
        # One that is missing is the operator's fault, which check tells as such.
        self.directory.symlink_to(self.directory)
        try:
            yield
        finally:
            self.directory.unlink()
            aside.rename(self.directory)

    def _files(self) -> list[Path]:
        return sorted(self.directory.glob("[!.]*"))

    def _rows(self, file: Path) -> list[dict[str, str]]:
        with file.open(encoding="utf-8", newline="") as content:
            return list(csv.DictReader(content))


def csv_specimen(directory: Path) -> SinkSpecimen:
    """Describe a sink that puts a file into `directory` for every delivery, each of a later slot; whoever is named is taken for known."""
    reader = _Reader(directory / "drop")
    reader.directory.mkdir()
    columns = ["effective_at", "event", "eppn", "orcid", "former", "reference"]
    settings = CsvSettings.model_validate(
        {"kind": "csv", "directory": str(reader.directory), "every": 1, "columns": columns, "timeout": _TIMEOUT}
    )
    minutes = count()
    surroundings = SinkSurroundings(HOME, Environment.PRODUCTION, AUTHORITY, lambda: NOW + timedelta(minutes=next(minutes)))
    return SinkSpecimen(
        open_sink=lambda: CSV_FILE.open(settings, surroundings),
        known=person(_TEPPO),
        held=reader.held,
        forget=reader.take_all,
        outages=(reader.away,),
        timeout=_TIMEOUT,
    )
