"""The lookup of the answer path: one statement, compiled when the store is opened."""

from collections.abc import Sequence
from typing import Any

from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, OrcidId
from attribute_authority.domain.link import KnownSubject
from attribute_authority.storage.kept import DriverConnection, KeptConnections
from attribute_authority.storage.sql_reading import FIND_SUBJECT


class Answering:
    """Finds people on kept connections."""

    def __init__(self, kept: KeptConnections) -> None:
        self._kept = kept
        self._sql, self._in_order = kept.compile(FIND_SUBJECT)

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
            }
        )

        def look(connection: DriverConnection) -> Sequence[Any] | None:
            return connection.execute(sql, parameters).fetchone()

        row = self._kept.ask(look)
        return None if row is None else _to_subject(row)


def _to_subject(row: Sequence[Any]) -> KnownSubject:
    subject_id, home_organisation, orcid = row
    return KnownSubject(subject_id, EntityId(home_organisation), None if orcid is None else OrcidId(orcid))
