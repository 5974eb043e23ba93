"""Stored identifiers: whose a persistent identifier is that a Shibboleth identity provider keeps in its table `shibpid`.

The table is asked where it is, read-only, one row at a time. localEntity is the home organisation, peerEntity the service provider or
affiliation. Deactivated identifiers are nobody's. Persistent identifiers are compared exactly (core 8.3.7), whatever the collation.

What a row says and cannot be understood (no text, no identifier, two people for one identifier) is neither "absent" nor an outage of
the whole table: SourceUnavailable, with a cause that names the column and quotes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Self

from pydantic import model_validator
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from attribute_authority.domain.identifiers import EntityId, Identifier, IdentifierKind, parse_identifier
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, InvalidIdentifier, OperatorError, SourceUnavailable
from attribute_authority.setting_values import FilePath, SourceTable, integer
from connectors import SourceKind, Surroundings
from connectors._asked_database import AskedDatabase
from connectors._scopes import ScopeText
from connectors._sql_address import ServerUrl, demand_encryption, make_address
from connectors._sql_names import ColumnName, StoredIdNames, StoredIdStatement, TableName, stored_id_statement

_ROW_AT_FAULT_SECONDS: Final = 60.0


class StoredIdSettings(SourceTable):
    """`kind = "stored-id"`: the table, the names of its columns as in the identity provider's idp.persistentId.* properties.

    `identifier` is what the column that is read holds; `scope` is added to a value without one.
    """

    kind: Literal["stored-id"]
    url: ServerUrl
    password_file: FilePath | None = None
    tls_ca: FilePath | None = None
    table: TableName = "shibpid"
    local_entity_column: ColumnName = "localEntity"
    peer_entity_column: ColumnName = "peerEntity"
    persistent_id_column: ColumnName = "persistentId"
    source_id_column: ColumnName = "localId"
    principal_name_column: ColumnName = "principalName"
    deactivation_time_column: ColumnName = "deactivationDate"
    read: Literal["source-id", "principal-name"] = "source-id"
    identifier: Literal["eppn", "subject-id", "unique-id"] = "eppn"
    scope: ScopeText | None = None
    pairwise_scope: ScopeText | None = None
    pool_size: Annotated[int, integer(1, 64)] = 5

    @model_validator(mode="after")
    def _encrypted_across_a_network(self) -> Self:
        demand_encryption(self.url, self.tls_ca)
        return self


@dataclass(frozen=True, slots=True)
class StoredIds:
    """The stored identifiers of one home organisation."""

    home_organisation: EntityId
    database: AskedDatabase = field(repr=False)
    statement: StoredIdStatement = field(repr=False)
    reading: "_Reading"
    pairwise_scope: str | None

    @property
    def kinds(self) -> frozenset[IdentifierKind]:
        """Persistent identifiers, and pairwise-ids where their scope is configured."""
        scoped = () if self.pairwise_scope is None else (IdentifierKind.PAIRWISE_ID,)
        return frozenset((IdentifierKind.PERSISTENT, *scoped))

    def resolve(self, identifier: Identifier) -> Finding | None:
        """Find the row of the identifier. Raises SourceUnavailable where what it says cannot be understood; CouldNotAsk."""
        spellings = self._spellings(identifier)
        if spellings is None or identifier.sp_name_qualifier is None:
            return None
        rows = self._ask(identifier.sp_name_qualifier, spellings)
        exact = [row for row in rows if self._is_exact(row, identifier.sp_name_qualifier, spellings)]
        people = {self.reading.read(row[3]) for row in exact}
        if len(people) > 1:
            raise _at_fault(f"column {self.reading.column}: names several people for one identifier")
        return Finding(tuple(people)) if people else None

    def check(self) -> None:
        """Ask about an identifier that nobody has. Raises CouldNotAsk; OperatorError where table, columns or rights are not there."""
        try:
            self._ask(self.home_organisation, ("", ""))
        except CouldNotAsk as failure:
            words = _refusal(failure.__cause__)
            if words is not None:
                raise OperatorError(f"{failure.cause}: {words}") from failure
            raise

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def _ask(self, peer: str, spellings: tuple[str, str]) -> Sequence[Any]:
        first, second = spellings
        return self.database.ask(self.statement, {"local": self.home_organisation, "peer": peer, "first": first, "second": second})

    def _spellings(self, identifier: Identifier) -> tuple[str, str] | None:
        # What an identity provider stores is base64, base32 or a UUID.
        if identifier.kind not in self.kinds or not _is_possible(identifier) or not identifier.value.isascii():
            return None
        if identifier.kind is IdentifierKind.PERSISTENT:
            return (identifier.value, identifier.value) if identifier.name_qualifier == self.home_organisation else None
        # Computed ones are stored in upper case, random ones in lower case.
        unique_part, _, scope = identifier.value.rpartition("@")
        return (unique_part.upper(), unique_part.lower()) if scope == self.pairwise_scope else None

    def _is_exact(self, row: Sequence[Any], peer: str, spellings: tuple[str, str]) -> bool:
        local_entity, peer_entity, persistent_id = (_text(value) for value in row[:3])
        return local_entity == self.home_organisation and peer_entity == peer and persistent_id in spellings


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the column that tells of the person is read."""

    column: str
    kind: IdentifierKind
    scope: str | None

    def read(self, value: object) -> Identifier:
        """Return the identifier that a row holds."""
        text = _text(value)
        if text is None:
            raise _at_fault(f"column {self.column}: holds no text in UTF-8")
        scoped = text if self.scope is None or "@" in text else f"{text}@{self.scope}"
        try:
            return parse_identifier(self.kind, scoped)
        except InvalidIdentifier:
            # Without its cause, which quotes the value.
            raise _at_fault(f"column {self.column}: holds what is no {self.kind}") from None


def _refusal(error: BaseException | None) -> str | None:
    # SQLSTATE class 42: what is named is not there, or may not be read. Where nobody was asked about, the driver's words quote nobody.
    origin = error.orig if isinstance(error, DBAPIError) else None
    if origin is None or not str(getattr(origin, "sqlstate", None) or "").startswith("42"):
        return None
    return str(origin).splitlines()[0]


def _is_possible(identifier: Identifier) -> bool:
    try:
        parse_identifier(identifier.kind, identifier.value, identifier.name_qualifier, identifier.sp_name_qualifier)
    except InvalidIdentifier:
        return False
    return True


def _text(value: object) -> str | None:
    # Columns of octets, which MariaDB has for exact comparison, hold text all the same; those of fixed width fill it up with spaces.
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return None
    return text.rstrip(" ") if isinstance(text, str) else None


def _at_fault(cause: str) -> SourceUnavailable:
    return SourceUnavailable(cause, _ROW_AT_FAULT_SECONDS)


def _open(settings: StoredIdSettings, surroundings: Surroundings) -> StoredIds:
    url = make_url(settings.url)
    reads_source = settings.read == "source-id"
    read = settings.source_id_column if reads_source else settings.principal_name_column
    names = StoredIdNames(
        settings.table,
        settings.local_entity_column,
        settings.peer_entity_column,
        settings.persistent_id_column,
        settings.deactivation_time_column,
        read,
    )
    address = make_address(url, settings.password_file, settings.tls_ca, settings.timeout)
    return StoredIds(
        surroundings.home_organisation,
        AskedDatabase(address, settings.pool_size),
        stored_id_statement(names, url.get_backend_name()),
        _Reading(read, IdentifierKind(settings.identifier), settings.scope),
        settings.pairwise_scope,
    )


STORED_ID: Final = SourceKind(StoredIdSettings, _open)
"""`kind = "stored-id"`."""
