"""The letters to organisations: what they say in each language, and what they never say."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta, timezone
from typing import get_args

import pytest

from attribute_authority.core.letters import LISTED, Language, Parked, write_subject, write_text
from attribute_authority.domain.delivery import DeliveryRecord
from attribute_authority.setting_values import Language as ConfiguredLanguage
from tests.factories.letters import EPPN, ORCID, PARKED_AT, SERVICE, parked

LANGUAGES: tuple[Language, ...] = get_args(Language)

ENGLISH = """\
The ORCID service could not deliver ORCID iDs of researchers to systems of University of Example. \
The following deliveries wait until what stands in their way is put right.

System ldap: 2 deliveries

  Reference R1, 2026-03-01 12:34 (UTC)
  Reason: nobody there has this identifier

  Reference R3, 2026-03-01 12:34 (UTC)
  No reason was given.

System soap: 1 delivery

  Reference R2, 2026-03-01 12:34 (UTC)
  Reason: refused: schema violation

This message holds no personal data, because e-mail is not confidential.

When it is put right, or to learn whom a delivery is about, write to orcid@csc.example and give the reference.

This message was sent automatically. Please do not answer it, but use the address above.
"""


def _parked(*records: DeliveryRecord, further: int = 0) -> Parked:
    counts = Counter(record.sink.name for record in records)
    counts[records[0].sink.name] += further
    return Parked(counts, records)


def _text(language: Language, *records: DeliveryRecord, further: int = 0) -> str:
    return write_text(language, SERVICE, "University of Example", _parked(*records, further=further))


def test_a_letter_says_which_system_when_and_why() -> None:
    """By system, and with the reference by which people speak of a delivery."""
    text = _text("en", parked("R1"), parked("R2", "soap", "refused: schema violation"), parked("R3", message=None))

    assert ENGLISH == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same(language: Language) -> None:
    """Systems, numbers, references, times, reasons, and whom to write to."""
    text = _text(language, parked("R1"), parked("R2", "soap", "refused: schema violation"), further=3)
    told = (
        "R1",
        "R2",
        "ldap: 4",
        "soap: 1",
        "2026-03-01 12:34",
        "nobody there",
        "schema violation",
        SERVICE.contact,
        SERVICE.names[language],
    )

    assert [] == [part for part in told if part not in text]
    assert "University of Example" in text
    assert not set("{}") & set(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_letter_holds_nothing_about_the_person(language: Language) -> None:
    """Also where a reason quotes an identifier that was not known to be the person's when it was recorded."""
    record = parked("R1", message=f"no entry with mail={EPPN} nor {ORCID.value} nor uid=josiah.carberry; asked mary@other.example")
    text = _text(language, record)

    assert [] == [part for part in ("josiah", "carberry", "mary", ORCID.value) if part in text.lower()]
    assert "no entry with mail=… nor … nor uid=…; asked …" in text


@pytest.mark.parametrize(("further", "expected"), [(0, None), (1, "and 1 more"), (2_000, "and 2000 more")])
def test_what_is_not_listed_is_counted(further: int, expected: str | None) -> None:
    """A letter stays one that can be read."""
    text = _text("en", *(parked(f"R{number}") for number in range(LISTED)), further=further)

    assert LISTED == text.count("Reference ")
    assert (expected in text) if expected else (" more" not in text)
    assert f"System ldap: {LISTED + further} deliveries" in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [1, 2, 1_000])
def test_a_subject_is_one_line_with_the_number(language: Language, count: int) -> None:
    """It holds nothing that comes from outside."""
    subject = write_subject(language, count)

    assert subject.startswith(f"{count} ")
    assert subject.isprintable()


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_and_several_are_said_differently(language: Language) -> None:
    """As people say it."""
    assert write_subject(language, 1).removeprefix("1") != write_subject(language, 2).removeprefix("2")


def test_times_are_utc() -> None:
    """Whatever zone the books were read in."""
    elsewhere = replace(parked("R1"), ended_at=PARKED_AT.astimezone(timezone(timedelta(hours=2))))

    assert "2026-03-01 12:34 (UTC)" in _text("en", elsewhere)


def test_there_is_a_text_for_every_language_that_can_be_configured() -> None:
    """contact_language has no value for which there are no words."""
    assert set(get_args(ConfiguredLanguage)) == set(LANGUAGES)


def test_braces_of_others_are_no_placeholders() -> None:
    """A reason or a name with braces stays as it is."""
    text = write_text("en", SERVICE, "{service}", _parked(parked("R1", message="{reference} {0} {")))

    assert "systems of {service}." in text
    assert "Reason: {reference} {0} {" in text
