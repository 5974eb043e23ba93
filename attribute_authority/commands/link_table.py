"""Links as rows: the CSV of `link import` and `link export`, one link a row, and the same as JSON.

A cell of identifiers may hold several, separated by spaces. A pairwise-id is written SPNQ!VALUE where it is bound to a service
provider, a persistent identifier NQ!SPNQ!VALUE.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from attribute_authority.commands.options import is_utf8
from attribute_authority.domain.identifiers import Environment, Identifier, IdentifierKind, OrcidId, parse_entity_id, parse_identifier_text
from attribute_authority.domain.link import Link, LinkSource, NewLink
from attribute_authority.errors import OperatorError

_REQUIRED: Final = ("orcid", "idp")
_KINDS: Final = tuple(kind.value for kind in IdentifierKind)
_HISTORY: Final = ("environment", "source", "linked_at", "withdrawn_at")
COLUMNS: Final = (*_REQUIRED, *_KINDS, *_HISTORY)


class WithdrawnRow:
    """A row of a link that is withdrawn: of the past, and not stored again."""


Row = tuple[int, NewLink | WithdrawnRow | str]
"""The number of a line, and what stands there: a link, or the reason why it cannot be read."""


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


def read_rows(lines: Iterable[str], environment: Environment, now: datetime) -> Iterator[Row]:
    """Read CSV with a header; yields each row with the number of the line that it ends in.

    Raises OperatorError where the header is not of this table.
    """
    reader = csv.reader(lines, strict=True)
    header = _read_header(reader)
    while True:
        try:
            cells = next(reader, None)
            if cells is None:
                return
            if cells:
                yield reader.line_num, _read_row(header, cells, environment, now)
        except OperatorError as fault:
            yield reader.line_num, fault.cause
        except csv.Error as error:
            yield reader.line_num, f"expected a row of CSV: {error}"


def _read_header(reader: Iterator[list[str]]) -> list[str]:
    try:
        names = next(reader, [])
    except csv.Error as error:
        raise OperatorError(f"the first line cannot be read as CSV: {error}") from error
    unknown = [name for name in names if name not in COLUMNS]
    missing = [name for name in _REQUIRED if name not in names]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if unknown or missing or repeated:
        wrong = (("unknown", unknown), ("missing", missing), ("repeated", repeated))
        faults = "; ".join(f"{what}: {', '.join(map(repr, which))}" for what, which in wrong if which)
        raise OperatorError(f"the first line must name columns of {', '.join(COLUMNS)}, separated by commas. Here: {faults}")
    return names


def _read_row(header: list[str], cells: list[str], environment: Environment, now: datetime) -> NewLink | WithdrawnRow:
    if len(cells) != len(header):
        raise OperatorError(f"the row has {len(cells)} cells, the first line {len(header)}")
    if not is_utf8("".join(cells)):
        raise OperatorError("the row is not UTF-8")
    row = dict(zip(header, cells, strict=True))
    if row.get("withdrawn_at"):
        return WithdrawnRow()
    if (row.get("environment") or environment) != environment:
        raise OperatorError(f"the link is of {row['environment']}, this authority is of {environment}")
    identifiers = tuple(parse_identifier_text(f"{kind}={text}") for kind in _KINDS for text in row.get(kind, "").split())
    return NewLink(
        parse_entity_id(row["idp"]),
        identifiers,
        OrcidId.parse(row["orcid"], environment),
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
    # As the home organisation writes it, so that an import can still compute from it what the home organisation does.
    spelt = replace(identifier, value=identifier.spelling or identifier.value)
    return str(spelt).removeprefix(f"{identifier.kind}=")


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
