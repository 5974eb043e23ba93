"""The rows of a file: one for each delivery, fields as configured, written as RFC 4180 has it.

A spreadsheet takes a field that begins with =, +, - or @ for a formula and runs it, and may split lines at another sign than the file
does. A value cannot be guarded against that without becoming another value, so people whose identifier would be run are refused.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import IdentifierKind, OrcidId
from attribute_authority.errors import DeliveryRefused

CsvField = Literal[
    "effective_date", "effective_at", "event", "eppn", "unique_id", "subject_id", "orcid", "former", "reference", "home_organisation"
]
"""What a column may hold."""

FIELDS: Final[tuple[CsvField, ...]] = get_args(CsvField)
"""All that a column may hold."""

PERSON_FIELDS: Final[dict[CsvField, IdentifierKind]] = {
    "eppn": IdentifierKind.EPPN,
    "unique_id": IdentifierKind.UNIQUE_ID,
    "subject_id": IdentifierKind.SUBJECT_ID,
}
"""The fields that tell whom a row is about."""

# Full-width signs count too where the spreadsheet's language is written with them.
_FORMULA: Final = re.compile(r"(?:^|[,;|\t\"])[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")


@dataclass(frozen=True, slots=True)
class RowLayout:
    """How rows look: `columns` are fields by their headings, in order; `bare` is whether iDs are written without the URI around them."""

    columns: Mapping[str, CsvField]
    zone: ZoneInfo
    delimiter: str
    header: bool
    bare: bool
    spreadsheet_safe: bool

    def row(self, delivery: Delivery) -> tuple[str, ...]:
        """Return the fields of a delivery.

        Raises DeliveryRefused where none of the columns could tell whom it is about, or where a spreadsheet would run an identifier.
        """
        fields = self._fields(delivery)
        told = [name for name in self.columns.values() if name in PERSON_FIELDS]
        if not any(fields[name] for name in told):
            raise DeliveryRefused(f"the person has no identifier for the columns of the file: {', '.join(told)}")
        for name in told:
            if self.spreadsheet_safe and _FORMULA.search(fields[name]):
                raise DeliveryRefused(f"a spreadsheet would take the {name} for a formula; spreadsheet_safe = false has it written")
        return tuple(fields[name] for name in self.columns.values())

    def find_row(self, delivery: Delivery) -> tuple[str, ...] | DeliveryRefused:
        """Return the fields of a delivery, or why it has none."""
        try:
            return self.row(delivery)
        except DeliveryRefused as refusal:
            return refusal

    def text(self, rows: Sequence[Sequence[str]]) -> str:
        """Return the content of a file with these rows."""
        content = io.StringIO(newline="")
        writer = csv.writer(content, delimiter=self.delimiter, lineterminator="\r\n")
        if self.header:
            writer.writerow(self.columns)
        writer.writerows(rows)
        return content.getvalue()

    def _fields(self, delivery: Delivery) -> dict[CsvField, str]:
        orcid = delivery.orcid
        people: dict[CsvField, str] = {name: next(iter(delivery.values(kind)), "") for name, kind in PERSON_FIELDS.items()}
        return people | {
            "effective_date": f"{delivery.changed_at.astimezone(self.zone):%Y-%m-%d}",
            "effective_at": f"{delivery.changed_at.astimezone(self.zone).isoformat(timespec='seconds')}",
            "event": "withdrawn" if orcid is None else "linked",
            "orcid": "" if orcid is None else self._written(orcid, delivery),
            "former": " ".join(self._written(former, delivery) for former in delivery.former),
            "reference": delivery.reference,
            "home_organisation": delivery.home_organisation,
        }

    def _written(self, orcid: OrcidId, delivery: Delivery) -> str:
        return orcid.value if self.bare else orcid.uri(delivery.environment)
