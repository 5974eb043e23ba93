"""Outages of sources in the table `source_outage`, where workers and nodes tell one another.

On kept connections: whether a source may be asked is asked before every question to it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from attribute_authority.domain.source import Outage
from attribute_authority.storage.kept import KeptStatement
from attribute_authority.storage.sql_parts import Connections, StorePart
from attribute_authority.storage.tables import source_outage

_SOURCE = source_outage.c.source == bindparam("its_source")
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in ("failures", "since", "until", "cause"))
_REPLACING = f"ON CONFLICT (source) DO UPDATE SET {_REPLACED}"


class SqlOutageBoard(StorePart):
    """Tells of outages."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        kept = connections.kept
        claim = update(source_outage).where(_SOURCE, source_outage.c.until == bindparam("seen")).values(until=bindparam("later"))
        self._read_outage = KeptStatement(kept, select(source_outage).where(_SOURCE))
        self._list_outages = KeptStatement(kept, select(source_outage).order_by(source_outage.c.source))
        self._claim_trial = KeptStatement(kept, claim)
        self._record_outage = KeptStatement(kept, insert(source_outage).inline(), _REPLACING)
        self._clear_outage = KeptStatement(kept, delete(source_outage).where(_SOURCE))

    def read_outage(self, source: str) -> Outage | None:
        """Return the outage of a source, None where none is recorded. Raises CouldNotAsk."""
        row = self._read_outage.row({"its_source": source})
        return None if row is None else self._to_outage(row)

    def claim_trial(self, seen: Outage, until: datetime) -> bool:
        """Put off the end of an outage from that of `seen` to `until`; of several that try at once one gets True. Raises CouldNotAsk."""
        write_instant = self._connections.kept.write_instant
        values = {"its_source": seen.source, "seen": write_instant(seen.until), "later": write_instant(until)}
        return self._claim_trial.change(values) == 1

    def record_outage(self, outage: Outage) -> None:
        """Record an outage in place of an earlier one of that source. Raises CouldNotAsk."""
        write_instant = self._connections.kept.write_instant
        values = {"source": outage.source, "failures": outage.failures, "cause": outage.cause}
        self._record_outage.change(values | {"since": write_instant(outage.since), "until": write_instant(outage.until)})

    def clear_outage(self, source: str) -> None:
        """Note that a source can be asked again. Raises CouldNotAsk."""
        self._clear_outage.change({"its_source": source})

    def list_outages(self) -> tuple[Outage, ...]:
        """Return every outage on record, by name of source. Raises CouldNotAsk."""
        return tuple(self._to_outage(row) for row in self._list_outages.rows({}))

    def _to_outage(self, row: Sequence[Any]) -> Outage:
        source, failures, since, until, cause = row
        read_instant = self._connections.kept.read_instant
        return Outage(source, failures, read_instant(since), read_instant(until), cause)
