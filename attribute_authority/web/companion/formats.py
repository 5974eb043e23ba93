"""Instants as they are read in each language, in Finnish time."""

from datetime import datetime
from typing import Final

from babel import Locale
from babel.dates import format_date, format_time, get_timezone

_ZONE: Final = get_timezone("Europe/Helsinki")
_LOCALES: Final = {"fi": Locale("fi"), "sv": Locale("sv", "FI"), "en": Locale("en", "GB")}


def local_instant(instant: datetime) -> datetime:
    """Return an instant in Finnish time."""
    return instant.astimezone(_ZONE)


def day(instant: datetime, language: str) -> str:
    """Return the day with the month in words, "21 November 2026"."""
    return format_date(local_instant(instant), "long", locale=_LOCALES[language])


def time_of_day(instant: datetime, language: str) -> str:
    """Return hours and minutes, "9.41" in Finnish and "09:41" in English."""
    return format_time(local_instant(instant), "short", locale=_LOCALES[language])
