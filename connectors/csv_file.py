"""A directory as a sink: at certain times a CSV file with a row for each change, for a system that reads files, as HR systems do.

    [[organisation.sink]]
    kind = "csv"
    directory = "/srv/hr/orcid"
    at = ["06:00", "18:00"]

Whoever reads the files takes them away; nothing is ever overwritten or removed here. Names that begin with a dot are not finished yet.
A row says how things are from then on: `orcid` is empty where the iD was withdrawn, `former` are iDs that must not stand there any more.
At least once: after a crash the same rows may come in a second file, and `reference` tells that they are the same. `effective_at` tells
which of two rows about a person is the newer.

The directory is on a file system with hard links. On one of another machine, a call that never returns keeps its thread beyond
`timeout`: such a file system is mounted so that calls fail.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.errors import DeliveryRefused
from attribute_authority.ports import Clock
from attribute_authority.setting_values import FilePath, SinkTable, integer
from connectors import SinkKind, SinkSurroundings
from connectors._csv_directory import DropDirectory
from connectors._csv_rows import FIELDS, PERSON_FIELDS, CsvField, RowLayout
from connectors._csv_schedule import EveryMinutes, Schedule, TimesOfDay
from connectors._deadline import Deadline

_SLOT: Final = "{slot}"
_LONGEST_NAME: Final = 200
_MINUTES_OF_A_DAY: Final = 1440
_TIME_OF_DAY: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_PERMISSIONS: Final = re.compile(r"0?[0-7]{3}")
_DEFAULT_COLUMNS: Final[tuple[CsvField, ...]] = ("effective_date", "event", "eppn", "orcid", "former", "reference")


def _time_of_day(text: object) -> time:
    match = _TIME_OF_DAY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('expected a time of the day such as "06:00"')
    return time(int(match[1]), int(match[2]))


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError("expected a time zone such as Europe/Helsinki") from error
    return text


def _file_name(text: str) -> str:
    rest = text.replace(_SLOT, "", 1)
    if rest == text or any(sign in rest for sign in "{}/") or not text.isprintable() or len(text.encode()) > _LONGEST_NAME:
        raise ValueError('expected the name of a file with {slot} in it once, such as "orcid-{slot}.csv"')
    if text.startswith("."):
        raise ValueError("expected a name that does not begin with a dot: those are of files that are not finished yet")
    return text


def _columns(found: object) -> object:
    if isinstance(found, list | tuple):
        if len(set(map(str, found))) < len(found):
            raise ValueError("a column stands there twice")
        found = {str(name): name for name in found}
    if not isinstance(found, dict) or not all(field in FIELDS for field in found.values()):
        raise ValueError(f"expected a list of fields, or a table of headings with one field each, fields being {', '.join(FIELDS)}")
    if "orcid" not in found.values() or not set(PERSON_FIELDS) & set(found.values()):
        raise ValueError(f"a file tells nothing without the column orcid and one of {', '.join(PERSON_FIELDS)}")
    return found


def _permissions(text: str) -> str:
    if not _PERMISSIONS.fullmatch(text) or int(text, 8) & 0o602 != 0o600:
        raise ValueError('expected permissions in octal, such as "0640", by which the owner reads and writes, and others do not write')
    return text


class CsvSettings(SinkTable):
    """`[[organisation.sink]]` with kind "csv": `at` are local times of the day in `time_zone`, `every` is in minutes.

    `spreadsheet_safe` refuses people whose identifier a spreadsheet would take for a formula. `mode` is the permissions of the files.
    """

    kind: Literal["csv"]
    directory: FilePath
    at: Annotated[tuple[Annotated[time, BeforeValidator(_time_of_day)], ...] | None, Field(min_length=1, max_length=96, strict=False)] = (
        None
    )
    every: Annotated[int, integer(1, _MINUTES_OF_A_DAY)] | None = None
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "Europe/Helsinki"
    file_name: Annotated[str, AfterValidator(_file_name)] = f"orcid-{_SLOT}.csv"
    columns: Annotated[dict[str, CsvField], BeforeValidator(_columns)] = Field({field: field for field in _DEFAULT_COLUMNS})
    value: Literal["uri", "bare"] = "uri"
    header: bool = True
    delimiter: Literal[",", ";"] = ","
    encoding: Literal["utf-8", "utf-8-sig"] = "utf-8"
    mode: Annotated[str, AfterValidator(_permissions)] = "0640"
    spreadsheet_safe: bool = True

    @model_validator(mode="after")
    def _is_due_at_times(self) -> Self:
        if (self.at is None) == (self.every is None):
            raise ValueError("expected at or every, one of them: otherwise no file is ever due")
        if self.every is not None and _MINUTES_OF_A_DAY % self.every:
            raise ValueError("every divides the day: expected minutes such as 15, 60 or 1440")
        return self

    def schedule(self) -> Schedule:
        """Return when files are due."""
        return EveryMinutes(self.every) if self.every is not None else TimesOfDay(self.at or (), ZoneInfo(self.time_zone))

    def layout(self) -> RowLayout:
        """Return how rows look."""
        zone = ZoneInfo(self.time_zone)
        return RowLayout(self.columns, zone, self.delimiter, self.header, self.value == "bare", self.spreadsheet_safe)


class CsvSink:
    """A directory as `delivery_ports.CollectingSink` wants it."""

    def __init__(self, settings: CsvSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._schedule = settings.schedule()
        self._layout = settings.layout()
        self._directory = DropDirectory(settings.directory, int(settings.mode, 8))

    def slot(self, now: datetime) -> datetime:
        """Return the latest instant, not after `now`, at which a file was due, in UTC."""
        return self._schedule.latest(now)

    def deliver(self, delivery: Delivery) -> Receipt:
        """Put a file with one row. Raises SinkUnavailable; DeliveryRefused where the delivery has no row."""
        told = self.deliver_all((delivery,), self.slot(self._clock()))[0]
        if isinstance(told, DeliveryRefused):
            raise told
        return told

    def deliver_all(self, deliveries: Sequence[Delivery], slot: datetime) -> Sequence[Receipt | DeliveryRefused]:
        """Put one file with a row for each of them that has one; no file where none has. Raises SinkUnavailable."""
        deadline = Deadline(self._settings.timeout)
        rows = [self._layout.find_row(delivery) for delivery in deliveries]
        kept = [(delivery, row) for delivery, row in zip(deliveries, rows, strict=True) if not isinstance(row, DeliveryRefused)]
        if not kept:
            return [row for row in rows if isinstance(row, DeliveryRefused)]
        # Whoever claims them again after a crash makes the same file, whatever the order.
        kept.sort(key=lambda pair: (pair[0].changed_at, pair[0].reference))
        content = self._layout.text([row for _, row in kept]).encode(self._settings.encoding)
        receipt = Receipt(remark=self._directory.put(self._file_name(slot), content, deadline))
        return [row if isinstance(row, DeliveryRefused) else receipt for row in rows]

    def rehearse(self, delivery: Delivery) -> str:
        """Say which row the next file would have. Raises DeliveryRefused where it would have none; SinkUnavailable."""
        self._directory.require()
        row = zip(self._layout.columns, self._layout.row(delivery), strict=True)
        fields = ", ".join(f"{heading} {field or '(empty)'}" for heading, field in row)
        return f"would put a row into {self._settings.directory / self._file_name(self.slot(self._clock()))}: {fields}"

    def check(self) -> None:
        """Put a file under a name that nobody reads, and remove it. Raises OperatorError where that cannot be; SinkUnavailable."""
        self._directory.check()

    def close(self) -> None:
        """Nothing is kept open."""

    def remove_leftovers(self) -> None:
        """Remove what a crash left half written."""
        self._directory.remove_leftovers()

    def _file_name(self, slot: datetime) -> str:
        return self._settings.file_name.replace(_SLOT, f"{slot.astimezone(UTC):%Y%m%dT%H%M%SZ}")


def _open(settings: CsvSettings, surroundings: SinkSurroundings) -> CsvSink:
    # Also where the directory is not there: one that is not mounted keeps no other sink from opening.
    sink = CsvSink(settings, surroundings.clock)
    sink.remove_leftovers()
    return sink


CSV_FILE: Final = SinkKind(CsvSettings, _open)
"""`kind = "csv"`."""
