"""The lookups of the answer path: one statement, compiled when the store is opened, and one for many people at once."""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any
from zlib import crc32

from sqlalchemy import bindparam, func, select

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject
from attribute_authority.storage.kept import DriverConnection, KeptConnections, KeptStatement
from attribute_authority.storage.sql_reading import FIND_SUBJECT, columns_of, find_subjects_statement
from attribute_authority.storage.tables import link, subject

_SIZES = (20, 1_000)
"""How many values one statement looks for: a call of a few does not pay for a statement of many, and PostgreSQL prepares each once."""


_COUNT_WITHDRAWN = (
    select(func.count(link.c.id), func.count(link.c.withdrawn_at))
    .join_from(link, subject)
    .where(
        link.c.orcid == bindparam("orcid"),
        link.c.environment == bindparam("environment"),
        subject.c.home_organisation == bindparam("home_organisation"),
    )
)
"""How many links a home organisation's people ever had with an iD, and how many of them were withdrawn."""


class Answering:
    """Finds people on kept connections."""

    def __init__(self, kept: KeptConnections) -> None:
        self._kept = kept
        self._sql, self._in_order = kept.compile(FIND_SUBJECT)
        self._count_withdrawn = KeptStatement(kept, _COUNT_WITHDRAWN)
        self._batches: dict[int, KeptStatement] = {}

    def find_subject(self, identifier: Identifier, environment: Environment) -> KnownSubject | None:
        """Return the person with that identifier and the present iD of `environment`, or None. Raises CouldNotAsk."""
        sql = self._sql
        parameters = self._in_order(
            {
                "kind": identifier.kind.value,
                "value": identifier.value,
                "name_qualifier": identifier.name_qualifier or "",
                "sp_name_qualifier": identifier.sp_name_qualifier or "",
                "environment": environment.value,
                "spread": crc32(identifier.value.encode()),
            }
        )

        def look(connection: DriverConnection) -> Sequence[Any] | None:
            return connection.execute(sql, parameters).fetchone()

        row = self._kept.ask(look)
        return None if row is None or row[3] is None else _to_subject(row[:3])

    def is_withdrawn(self, orcid: OrcidId, home_organisation: EntityId, environment: Environment) -> bool:
        """Whether somebody of the home organisation has withdrawn that iD and nobody of it has it linked now. Raises CouldNotAsk."""
        values = {"orcid": orcid.value, "environment": environment.value, "home_organisation": home_organisation}
        links, withdrawn = map(int, self._count_withdrawn.row(values))
        return 0 < links == withdrawn

    def find_subjects(self, identifiers: Collection[Identifier], environment: Environment) -> dict[Identifier, KnownSubject]:
        """Return what `find_subject` would for each identifier that is known; the others are absent. Raises CouldNotAsk."""
        wanted = {tuple(columns_of(item).values()): item for item in identifiers}
        remaining = iter({item.value for item in identifiers})
        found: dict[Identifier, KnownSubject] = {}
        while values := list(islice(remaining, _SIZES[-1])):
            for *columns, subject_id, home_organisation, orcid in self._read_batch(values, environment):
                item = wanted.get(tuple(columns))
                if item is not None:
                    found[item] = _to_subject((subject_id, home_organisation, orcid))
        return found

    def _read_batch(self, values: Sequence[str], environment: Environment) -> list[Any]:
        size = next(size for size in _SIZES if len(values) <= size)
        if size not in self._batches:
            self._batches[size] = KeptStatement(self._kept, find_subjects_statement(size))
        # A place that is left over looks for what another looks for already.
        named = {f"value_{place}": values[min(place, len(values) - 1)] for place in range(size)}
        return self._batches[size].rows({**named, "environment": environment.value})


def _to_subject(row: Sequence[Any]) -> KnownSubject:
    subject_id, home_organisation, orcid = row
    return KnownSubject(subject_id, EntityId(home_organisation), None if orcid is None else OrcidId(orcid))
