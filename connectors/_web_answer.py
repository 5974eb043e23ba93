"""What a web service answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

ANSWER_LIMIT: Final = 65_536
"""Octets of body that an answer may have by default."""

_DELAY: Final = re.compile(r"[0-9]{1,9}")
_LONGEST_DELAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its status, its headers with their names in lower case, its body, which is cut off where it tells of a failure."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Return after how many seconds to try again, a day at most (RFC 9110 section 10.2.3); None where the answer does not say."""
    text = answer.headers.get("retry-after", "").strip()
    if _DELAY.fullmatch(text):
        return min(float(text), _LONGEST_DELAY)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # An HTTP-date is in GMT, which the parser takes for no zone where it is written -0000.
    left = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    return min(max(left, 0.0), _LONGEST_DELAY)
