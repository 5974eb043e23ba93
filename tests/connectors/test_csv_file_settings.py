"""The table of a directory for CSV files: what is refused, in which words, and when files are due."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attribute_authority.delivery_ports import CollectingSink
from attribute_authority.errors import OperatorError, SinkUnavailable
from connectors import find_sink_kind
from connectors.csv_file import CSV_FILE, CsvSettings
from tests.factories.sink_deliveries import handed, sink_surroundings

_AT = {"at": ["06:00", "18:00"]}


def _table(**keys: Any) -> CsvSettings:
    times = {} if {"at", "every"} & keys.keys() else _AT
    return CsvSettings.model_validate({"kind": "csv", "directory": "drop", **times, **keys}, context={"directory": "/etc/authority"})


def _faults(**keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        _table(**keys)
    return str(caught.value)


def _latest(now: str, **keys: Any) -> str:
    slot = _table(**keys).schedule().latest(datetime.fromisoformat(now))
    return f"{slot:%Y-%m-%dT%H:%M:%S%z}"


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds the sink by its name."""
    assert find_sink_kind("csv") is CSV_FILE


def test_the_directory_is_beside_the_configuration() -> None:
    """A relative directory is one from the directory of the configuration."""
    assert _table().directory == Path("/etc/authority/drop")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"at": ["6:00"]}, 'expected a time of the day such as "06:00"'),
        ({"at": ["24:00"]}, 'expected a time of the day such as "06:00"'),
        ({"at": [6]}, 'expected a time of the day such as "06:00"'),
        ({"at": []}, "at least 1 item"),
        ({"at": ["06:00"], "every": 60}, "expected at or every, one of them"),
        ({"at": None}, "expected at or every, one of them"),
        ({"every": 7}, "every divides the day"),
        ({"every": 0}, "expected an integer from 1 to 1440"),
        ({"every": True}, "expected an integer from 1 to 1440"),
        ({"time_zone": "Europe/Nowhere"}, "expected a time zone such as Europe/Helsinki"),
        ({"time_zone": "Europe"}, "expected a time zone such as Europe/Helsinki"),
        ({"time_zone": "../etc/passwd"}, "expected a time zone such as Europe/Helsinki"),
        ({"time_zone": ""}, "expected a time zone such as Europe/Helsinki"),
        ({"file_name": "orcid.csv"}, "with {slot} in it once"),
        ({"file_name": "{slot}{slot}.csv"}, "with {slot} in it once"),
        ({"file_name": "../{slot}.csv"}, "with {slot} in it once"),
        ({"file_name": "{slot}\n.csv"}, "with {slot} in it once"),
        ({"file_name": "x" * 200 + "{slot}"}, "with {slot} in it once"),
        ({"file_name": ".{slot}.csv"}, "does not begin with a dot"),
        ({"columns": ["eppn", "orcid", "eppn"]}, "a column stands there twice"),
        ({"columns": ["eppn", "orcid", "name"]}, "fields being effective_date, effective_at, event, eppn"),
        ({"columns": {"ORCID": "orcid", "Person": ["eppn"]}}, "expected a list of fields, or a table of headings"),
        ({"columns": "eppn,orcid"}, "expected a list of fields, or a table of headings"),
        ({"columns": ["eppn", "event"]}, "a file tells nothing without the column orcid and one of eppn, unique_id, subject_id"),
        ({"columns": ["orcid", "reference"]}, "a file tells nothing without the column orcid"),
        ({"columns": []}, "a file tells nothing without the column orcid"),
        ({"delimiter": "\t"}, "',' or ';'"),
        ({"encoding": "latin-1"}, "'utf-8' or 'utf-8-sig'"),
        ({"mode": "0640 "}, "expected permissions in octal"),
        ({"mode": "0642"}, "expected permissions in octal"),
        ({"mode": "0440"}, "expected permissions in octal"),
        ({"mode": "4640"}, "expected permissions in octal"),
        ({"value": "https"}, "'uri' or 'bare'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_was_expected(keys: dict[str, Any], expected: str) -> None:
    """Each fault of the table is told in a sentence."""
    assert expected in _faults(**keys)


def test_a_directory_that_is_not_there_keeps_nothing_from_opening(tmp_path: Path) -> None:
    """The sink opens, takes nothing, and its check names the directory."""
    sink = CSV_FILE.open(_table(directory=str(tmp_path / "drop")), sink_surroundings())

    with pytest.raises(SinkUnavailable, match="drop"):
        sink.deliver(handed())
    with pytest.raises(OperatorError, match="drop"):
        sink.check()


def test_an_opened_sink_collects(tmp_path: Path) -> None:
    """The worker sees that it takes many deliveries together."""
    sink = CSV_FILE.open(_table(directory=str(tmp_path)), sink_surroundings())

    assert isinstance(sink, CollectingSink)
    assert sink.slot(datetime(2026, 11, 21, 17, 0, tzinfo=UTC)) == datetime(2026, 11, 21, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-21T03:59:59+00:00", "2026-11-20T16:00:00+0000"),
        ("2026-11-21T04:00:00+00:00", "2026-11-21T04:00:00+0000"),
        ("2026-11-21T23:30:00+00:00", "2026-11-21T16:00:00+0000"),
        ("2026-06-21T03:00:00+00:00", "2026-06-21T03:00:00+0000"),
    ],
)
def test_files_are_due_at_local_times(now: str, expected: str) -> None:
    """06:00 and 18:00 in Helsinki are 04:00 and 16:00 UTC in winter, and an hour less in summer."""
    assert expected == _latest(now, at=["18:00", "06:00"])


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-29T01:29:00+00:00", "2026-03-28T01:30:00+0000"),
        ("2026-03-29T01:30:00+00:00", "2026-03-29T01:30:00+0000"),
        ("2026-10-25T00:29:00+00:00", "2026-10-24T00:30:00+0000"),
        ("2026-10-25T01:45:00+00:00", "2026-10-25T00:30:00+0000"),
    ],
)
def test_clocks_that_are_changed_skip_no_file_and_make_none_twice(now: str, expected: str) -> None:
    """03:30 is skipped in Helsinki in March, where the file comes at 04:30, and comes twice in October, where the first one counts."""
    assert expected == _latest(now, at=["03:30"])


def test_a_day_that_a_place_leaves_out_leaves_the_day_before_it() -> None:
    """Samoa had no 30 December 2011, and something was due at 00:30 of the day after nevertheless."""
    assert _latest("2011-12-30T10:20:00+00:00", at=["00:30"], time_zone="Pacific/Apia") == "2011-12-29T10:30:00+0000"


@pytest.mark.parametrize(
    ("minutes", "now", "expected"),
    [
        (15, "2026-11-21T07:44:59+00:00", "2026-11-21T07:30:00+0000"),
        (1440, "2026-11-21T23:59:59+00:00", "2026-11-21T00:00:00+0000"),
        (60, "2026-11-21T01:30:00+02:00", "2026-11-20T23:00:00+0000"),
    ],
)
def test_files_are_due_every_so_many_minutes(minutes: int, now: str, expected: str) -> None:
    """The day is divided from midnight UTC, whatever zone the instant is given in."""
    assert expected == _latest(now, every=minutes)


@given(
    now=st.integers(946_684_800, 2_082_758_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    later=st.timedeltas(timedelta(0), timedelta(days=2)),
    times=st.one_of(
        st.fixed_dictionaries({"every": st.sampled_from([1, 5, 15, 60, 720, 1440])}),
        st.fixed_dictionaries(
            {
                "at": st.lists(st.times().map(lambda at: f"{at:%H:%M}"), min_size=1, max_size=3),
                "time_zone": st.sampled_from(["Europe/Helsinki", "Pacific/Apia", "Australia/Lord_Howe", "America/St_Johns", "UTC"]),
            }
        ),
    ),
)
def test_the_latest_instant_is_never_ahead_and_never_goes_back(now: datetime, later: timedelta, times: dict[str, Any]) -> None:
    """A slot lies within the last two days, is its own slot, and time that goes on never brings an earlier one."""
    schedule = _table(**times).schedule()
    slot = schedule.latest(now)

    assert now - timedelta(days=2) < slot <= now
    assert schedule.latest(slot) == slot
    assert schedule.latest(now + later) >= slot
