"""Letters: what is sent to a home organisation by mail."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of plain text; it names nobody, for mail is read by many on its way.

    `recipient` is an e-mail address. `language` is a tag of RFC 5646. `subject` is one line.
    """

    recipient: str
    language: str
    subject: str
    text: str
    written_at: datetime
