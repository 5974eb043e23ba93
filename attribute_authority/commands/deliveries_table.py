"""Deliveries as an operator reads them: a line each, everything about one, or JSON."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from attribute_authority.domain.delivery import DeliveryRecord

_NONE: Final = "-"


def write_object(record: DeliveryRecord) -> dict[str, object]:
    """Write a delivery as a JSON object, with everything that the books have."""
    return {
        "reference": record.reference,
        "state": record.state.value,
        "home_organisation": record.sink.home_organisation,
        "sink": record.sink.name,
        "subject": record.subject_id,
        "identifiers": [str(identifier) for identifier in record.identifiers],
        "orcid": None if record.orcid is None else record.orcid.uri(record.environment),
        "environment": record.environment.value,
        "changed_at": _instant(record.changed_at),
        "created_at": _instant(record.created_at),
        "attempts": record.attempts,
        "in_hand": record.in_hand,
        "due_at": _instant(record.due_at),
        "ended_at": _instant(record.ended_at),
        "message": record.message,
        "told_at": _instant(record.told_at),
    }


def write_json(record: DeliveryRecord) -> str:
    """Write a delivery as a line of JSON; what a terminal would act on stands there escaped."""
    text = json.dumps(write_object(record), ensure_ascii=False)
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)


def write_line(record: DeliveryRecord) -> str:
    """Write what a list has of a delivery: neither identifiers nor iD."""
    state = f"{record.state}, in hand" if record.in_hand else record.state.value
    cells = (record.reference, f"{record.created_at:%Y-%m-%dT%H:%MZ}", state, str(record.sink), record.message or "")
    return printable("\t".join(cells).rstrip("\t"))


def write_lines(record: DeliveryRecord) -> Iterator[str]:
    """Yield everything that the books have of a delivery, a line each."""
    for name, value in write_object(record).items():
        for text in value if isinstance(value, list) and value else [value]:
            yield f"{name}: {printable(_text(text))}"


def printable(text: str) -> str:
    """Return a text without what a terminal would act on; tabs stay."""
    return "".join(sign if sign.isprintable() or sign == "\t" else "\ufffd" for sign in text)


def counted(count: int) -> str:
    """Say how many deliveries."""
    return f"{count} {'delivery' if count == 1 else 'deliveries'}"


def _text(value: object) -> str:
    if value is None or value == []:
        return _NONE
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
