"""Links as rows: the CSV of `link import` and `link export`, one link a row, and the same as JSON.

A cell of identifiers may hold several, separated by spaces. A pairwise-id is written SPNQ!VALUE where it is bound to a service
provider, a persistent identifier NQ!SPNQ!VALUE.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from attribute_authority.domain.identifiers import Environment, Identifier, IdentifierKind, OrcidId, parse_entity_id, parse_identifier_text
from attribute_authority.domain.link import Link, LinkSource, NewLink
from attribute_authority.errors import OperatorError

_REQUIRED: Final = ("orcid", "idp")
_KINDS: Final = tuple(kind.value for kind in IdentifierKind)
_HISTORY: Final = ("environment", "source", "linked_at", "withdrawn_at")
COLUMNS: Final = (*_REQUIRED, *_KINDS, *_HISTORY)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that cannot be stored: its line in the file and why."""

    line: int
    reason: str


def write_row(link: Link) -> dict[str, str]:
    """Write a link as the cells of COLUMNS."""
    cells = {kind: " ".join(_cell(identifier) for identifier in link.identifiers if identifier.kind == kind) for kind in _KINDS}
    return {
        "orcid": link.orcid.value,
        "idp": link.home_organisation,
        **cells,
        "environment": link.environment.value,
        "source": link.source.value,
        "linked_at": _instant(link.linked_at),
        "withdrawn_at": "" if link.withdrawn_at is None else _instant(link.withdrawn_at),
    }


def write_object(link: Link) -> dict[str, object]:
    """Write a link as a JSON object."""
    return {
        "link": link.link_id,
        "subject": link.subject_id,
        "orcid": link.orcid.uri(link.environment),
        "idp": link.home_organisation,
        "identifiers": [str(identifier) for identifier in link.identifiers],
        "environment": link.environment.value,
        "source": link.source.value,
        "linked_at": _instant(link.linked_at),
        "withdrawn_at": None if link.withdrawn_at is None else _instant(link.withdrawn_at),
    }


def read_rows(lines: Iterable[str], environment: Environment, now: datetime) -> Iterator[tuple[int, NewLink] | RefusedRow]:
    """Read CSV with a header; yields each row as its line number and link, or as refused. Rows of withdrawn links are passed over.

    Raises OperatorError where the header is not of this table.
    """
    reader = csv.DictReader(lines, strict=True)
    _check_header(reader.fieldnames or ())
    while True:
        try:
            row = next(reader, None)
            if row is None:
                return
            if not row.get("withdrawn_at"):
                yield reader.line_num, _read_row(row, environment, now)
        except OperatorError as fault:
            yield RefusedRow(reader.line_num, fault.cause)
        except csv.Error as error:
            yield RefusedRow(reader.line_num, f"expected a row of CSV: {error}")


def _check_header(names: Iterable[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    missing = [name for name in _REQUIRED if name not in names]
    if unknown or missing:
        raise OperatorError(f"the first line must name columns of {', '.join(COLUMNS)}: unknown {unknown}, missing {missing}")


def _read_row(row: Mapping[str, str | None], environment: Environment, now: datetime) -> NewLink:
    if None in row or None in row.values():
        raise OperatorError("the row has not as many cells as the first line")
    if (row.get("environment") or environment) != environment:
        raise OperatorError(f"the link is of {row.get('environment')}, this authority is of {environment}")
    identifiers = tuple(parse_identifier_text(f"{kind}={text}") for kind in _KINDS for text in (row.get(kind) or "").split())
    return NewLink(
        parse_entity_id(row["idp"] or ""),
        identifiers,
        OrcidId.parse(row["orcid"] or "", environment),
        environment,
        _read_source(row.get("source") or LinkSource.IMPORT),
        _read_instant(row.get("linked_at") or "", now),
    )


def _read_source(text: str) -> LinkSource:
    try:
        return LinkSource(text)
    except ValueError as error:
        raise OperatorError(f"source is {text!r}, expected one of {', '.join(LinkSource)}") from error


def _read_instant(text: str, now: datetime) -> datetime:
    if not text:
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OperatorError(f"linked_at is {text!r}, expected an instant such as 2026-01-31T12:00:00+00:00") from error
    if moment.tzinfo is None:
        raise OperatorError(f"linked_at is {text!r}, expected a time zone with it")
    return moment.astimezone(UTC)


def _cell(identifier: Identifier) -> str:
    return str(identifier).removeprefix(f"{identifier.kind}=")


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
