"""The rows of a CSV file: what each field says, how it is written, and whom a spreadsheet would run."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_authority.domain.delivery import Delivery
from attribute_authority.domain.identifiers import Identifier, IdentifierKind, shape_of
from attribute_authority.errors import DeliveryRefused
from connectors.csv_file import CsvSettings
from tests.factories.sink_deliveries import FORMER, HOME, NOW, ORCID, handed, person

_EVERYTHING = [
    "effective_date",
    "effective_at",
    "event",
    "eppn",
    "unique_id",
    "subject_id",
    "orcid",
    "former",
    "reference",
    "home_organisation",
]


def _text(*deliveries: Delivery, **keys: Any) -> str:
    layout = CsvSettings.model_validate({"kind": "csv", "directory": "drop", "every": 60, **keys}).layout()
    return layout.text([layout.row(delivery) for delivery in deliveries])


def _refusal(delivery: Delivery, **keys: Any) -> DeliveryRefused:
    with pytest.raises(DeliveryRefused) as caught:
        _text(delivery, **keys)
    return caught.value


def _unchecked(eppn: str) -> Identifier:
    return Identifier(IdentifierKind.EPPN, eppn)


def test_a_row_says_who_what_and_since_when() -> None:
    """By default: date, event, ePPN, the iD as a URI, those that must not stand there any more, and the reference."""
    assert _text(handed(former=(FORMER, "0000-0002-9079-593X"))) == (
        "effective_date,event,eppn,orcid,former,reference\r\n"
        "2026-11-21,linked,teppo@uni.example,https://orcid.org/0000-0002-1825-0097,"
        "https://orcid.org/0000-0001-5109-3700 https://orcid.org/0000-0002-9079-593X,7KQ2-MZ4D\r\n"
    )


def test_a_withdrawal_has_no_id() -> None:
    """Where the iD is withdrawn the event says so, and the field is empty."""
    assert _text(handed(orcid=None, former=(FORMER,)), header=False, value="bare") == (
        "2026-11-21,withdrawn,teppo@uni.example,,0000-0001-5109-3700,7KQ2-MZ4D\r\n"
    )


def test_every_field_can_be_written() -> None:
    """Each field holds what its name says, and what is not known is empty."""
    delivery = handed(*person("Teppo@uni.example", subject_id="abc=1@uni.example"))

    assert _text(delivery, columns=_EVERYTHING, header=False, delimiter=";", value="bare") == (
        f"2026-11-21;2026-11-21T09:30:00+02:00;linked;Teppo@uni.example;;abc=1@uni.example;{ORCID};;7KQ2-MZ4D;{HOME}\r\n"
    )


def test_columns_may_have_headings_of_their_own() -> None:
    """A table of columns gives each field its heading, in the order in which they stand there."""
    assert _text(columns={"Käyttäjä, tunnus": "eppn", "ORCID": "orcid"}) == '"Käyttäjä, tunnus",ORCID\r\n'


def test_the_date_is_that_of_the_place() -> None:
    """What happened before midnight UTC has the date of the next day in Helsinki, and the same one in UTC."""
    late = handed(changed_at=datetime(2026, 11, 20, 22, 30, tzinfo=UTC))

    assert "\r\n2026-11-21,2026-11-21T00:30:00+02:00," in _text(late, columns=_EVERYTHING)
    assert "\r\n2026-11-20,2026-11-20T22:30:00+00:00," in _text(late, columns=_EVERYTHING, time_zone="UTC")


def test_the_newest_identifier_of_a_kind_counts() -> None:
    """Who has several ePPNs is written with the one that came last."""
    delivery = handed(*person("teppo.uusi@uni.example"), *person("teppo@uni.example"))

    assert "teppo.uusi@uni.example" in _text(delivery)
    assert "teppo@uni.example" not in _text(delivery)


def test_one_identifier_of_several_columns_is_enough() -> None:
    """A person without ePPN has a row where another column tells who it is."""
    delivery = handed(*person(None, unique_id="ab12@uni.example"))

    assert _text(delivery, columns=["eppn", "unique_id", "orcid"], header=False, value="bare") == f",ab12@uni.example,{ORCID}\r\n"


def test_a_person_whom_no_column_could_name_is_refused() -> None:
    """A row that tells of nobody is not written, and the cause names the columns and nobody."""
    refusal = _refusal(handed(*person(None, unique_id="ab12@uni.example")))

    assert refusal.cause == "the person has no identifier for the columns of the file: eppn"
    assert refusal.answer is None


@pytest.mark.parametrize(
    "eppn",
    [
        "=HYPERLINK(A1)@uni.example",
        "+1@uni.example",
        "-1@uni.example",
        "@SUM(A1)",
        "＝1@uni.example",
        "＠1@uni.example",
        "\t=1@uni.example",
        "\r1@uni.example",
        "teppo;=1+1@uni.example",
        "teppo,+1@uni.example",
        'teppo"-1@uni.example',
    ],
)
def test_a_formula_is_refused_and_its_value_never_changed(eppn: str) -> None:
    """Formula injection: an identifier that a spreadsheet would run makes no row, unless the operator says that none reads the file."""
    delivery = handed(_unchecked(eppn))

    assert _refusal(delivery).cause == "a spreadsheet would take the eppn for a formula; spreadsheet_safe = false has it written"
    assert next(csv.reader(io.StringIO(_text(delivery, spreadsheet_safe=False, header=False), newline="")))[2] == eppn


@pytest.mark.parametrize("eppn", ["te-ppo+1=x@uni.example", "o'brien@uni.example", "teppo;x@uni.example"])
def test_signs_inside_an_identifier_are_nothing_to_refuse(eppn: str) -> None:
    """Only what would begin a field of its own can be run."""
    assert eppn in _text(handed(*person(eppn)))


def test_identifiers_that_stand_in_no_column_are_not_looked_at() -> None:
    """What is not written cannot be run."""
    delivery = handed(_unchecked("=1@uni.example"), *person(None, unique_id="ab12@uni.example"))

    assert "ab12@uni.example" in _text(delivery, columns=["unique_id", "orcid"])


@given(eppn=st.from_regex(shape_of(IdentifierKind.EPPN)[0], fullmatch=True), delimiter=st.sampled_from([",", ";"]))
def test_whatever_an_eppn_holds_it_is_read_as_it_was(eppn: str, delimiter: str) -> None:
    """RFC 4180: quotes, separators and whatever else an ePPN may hold come back as they were, in their own field."""
    delivery = handed(_unchecked(eppn))
    text = _text(delivery, spreadsheet_safe=False, delimiter=delimiter, value="bare")

    assert list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))[1:] == [
        [f"{NOW:%Y-%m-%d}", "linked", eppn, ORCID, "", "7KQ2-MZ4D"]
    ]
    assert text.encode().decode() == text
