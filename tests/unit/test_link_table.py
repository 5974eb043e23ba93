"""Links as CSV rows: what is written is read again, and a row that cannot be read is told by its line."""

import csv
import io
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribute_authority.commands.link_table import COLUMNS, WithdrawnRow, read_rows, write_row
from attribute_authority.domain.identifiers import EntityId, Environment, Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.link import Link, LinkSource, NewLink
from attribute_authority.errors import OperatorError

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_HOME = "https://idp.uni.example/idp"
_SERVICE = "https://sp.example.org/sp?a=b&c,d"
_CARBERRY = "0000-0002-1825-0097"
_SCOPE = "uni.example"

_opaque = st.text(
    st.characters(min_codepoint=33, exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="!@"), min_size=1, max_size=40
)
_eppns = _opaque.map(lambda text: parse_identifier(IdentifierKind.EPPN, f"{text}@{_SCOPE}"))
_persistents = _opaque.map(lambda text: parse_identifier(IdentifierKind.PERSISTENT, text, _HOME, _SERVICE))


def _link(identifiers: tuple[Identifier, ...], withdrawn_at: datetime | None = None) -> Link:
    return Link(
        link_id=1,
        subject_id=1,
        home_organisation=EntityId(_HOME),
        identifiers=identifiers,
        orcid=OrcidId(_CARBERRY),
        environment=Environment.PRODUCTION,
        source=LinkSource.MANUAL,
        linked_at=_NOW,
        withdrawn_at=withdrawn_at,
    )


def _written(links: Iterable[Link]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(map(write_row, links))
    return stream.getvalue()


def _read(text: str) -> list[tuple[int, NewLink | WithdrawnRow | str]]:
    return list(read_rows(io.StringIO(text, newline=""), Environment.PRODUCTION, _NOW))


@given(st.lists(st.one_of(_eppns, _persistents), min_size=1, max_size=4, unique=True))
def test_what_is_written_is_read_again(identifiers: list[Identifier]) -> None:
    """Whatever characters the identifiers have: commas, quotation marks, semicolons, letters of every script."""
    row = _read(_written([_link(tuple(identifiers))]))[0][1]

    assert isinstance(row, NewLink)
    assert (set(identifiers), OrcidId(_CARBERRY), _NOW, LinkSource.MANUAL) == (set(row.identifiers), row.orcid, row.linked_at, row.source)


@given(st.text(max_size=200))
def test_nothing_that_is_read_crashes(text: str) -> None:
    """Any text gives rows and reasons, or a fault of its first line."""
    header = f"orcid,idp,eppn\n{text}"

    assert all(isinstance(content, NewLink | WithdrawnRow | str) for _, content in _read(header))
    with suppress(OperatorError):
        _read(text)


def test_qualified_identifiers_are_written_with_their_qualifiers() -> None:
    """A persistent identifier is NQ!SPNQ!VALUE, a bound pairwise-id SPNQ!VALUE."""
    pairwise = parse_identifier(IdentifierKind.PAIRWISE_ID, f"AbC@{_SCOPE}", None, _SERVICE)
    persistent = parse_identifier(IdentifierKind.PERSISTENT, "q=+/", _HOME, _SERVICE)
    row = write_row(_link((pairwise, persistent)))

    assert (f"{_SERVICE}!AbC@{_SCOPE}", f"{_HOME}!{_SERVICE}!q=+/") == (row["pairwise-id"], row["persistent"])


def test_spelling_of_the_home_organisation_survives() -> None:
    """What a home organisation computes depends on every letter, so an export and its import keep how it writes an identifier."""
    row = _read(_written([_link((parse_identifier(IdentifierKind.EPPN, f"Teppo@{_SCOPE}"),))]))[0][1]

    assert isinstance(row, NewLink)
    assert ("teppo@uni.example", "Teppo@uni.example") == (row.identifiers[0].value, row.identifiers[0].spelling)


def test_several_identifiers_of_a_kind_share_a_cell() -> None:
    """A person may have more than one ePPN."""
    text = f"orcid,idp,eppn\n{_CARBERRY},{_HOME},a@{_SCOPE}  b@{_SCOPE}\n"
    row = _read(text)[0][1]

    assert isinstance(row, NewLink)
    assert [f"eppn=a@{_SCOPE}", f"eppn=b@{_SCOPE}"] == list(map(str, row.identifiers))


def test_links_of_the_past_are_no_links() -> None:
    """An export with withdrawn links, read again, revives none of them."""
    content = _read(_written([_link((), withdrawn_at=_NOW)]))[0][1]

    assert isinstance(content, WithdrawnRow)


def test_the_least_row_gets_its_instant_and_source_here() -> None:
    """What a hand-made file does not say: linked now, by import."""
    row = _read(f"eppn,idp,orcid\na@{_SCOPE},{_HOME},https://orcid.org/{_CARBERRY}\n")[0][1]

    assert isinstance(row, NewLink)
    assert (_NOW, LinkSource.IMPORT, Environment.PRODUCTION) == (row.linked_at, row.source, row.environment)


_REFUSED = {
    f"{_CARBERRY},{_HOME}": "the row has 2 cells, the first line 7",
    f"{_CARBERRY},{_HOME},a@b.example,,,,,": "the row has 8 cells, the first line 7",
    f"0000-0002-1825-0098,{_HOME},a@b.example,,,,": "check character",
    f"{_CARBERRY},idp,a@b.example,,,,": "'idp' is not an entityID",
    f"{_CARBERRY},,a@b.example,,,,": "'' is not an entityID",
    f"{_CARBERRY},{_HOME},a,,,,": "'a' is not a valid eppn",
    f"{_CARBERRY},{_HOME},,abc,,,": "needs a NameQualifier",
    f"{_CARBERRY},{_HOME},a@b.example,,sandbox,,": "the link is of sandbox, this authority is of production",
    f"{_CARBERRY},{_HOME},a@b.example,,,hearsay,": "source is 'hearsay', expected one of manual, import",
    f"{_CARBERRY},{_HOME},a@b.example,,,,yesterday": "linked_at is 'yesterday', expected an instant such as",
    f"{_CARBERRY},{_HOME},a@b.example,,,,2026-01-31T12:00:00": "expected a time zone with it",
    f'{_CARBERRY},{_HOME},"a"@b.example,,,,': "expected a row of CSV: ",
    f"{_CARBERRY},{_HOME},\udcff@b.example,,,,": "the row is not UTF-8",
    f"https://sandbox.orcid.org/{_CARBERRY},{_HOME},a@b.example,,,,": "another ORCID registry",
}


@pytest.mark.parametrize(("row", "expected"), _REFUSED.items(), ids=[str(number) for number in range(len(_REFUSED))])
def test_a_row_that_cannot_be_read_is_told_by_its_line(row: str, expected: str) -> None:
    """The line and the reason; the rows around it are read."""
    good = f"{_CARBERRY},{_HOME},a@b.example,,,,"
    (first, one), (second, reason), (third, other) = _read(
        f"orcid,idp,eppn,persistent,environment,source,linked_at\n{good}\n{row}\n{good}\n"
    )

    assert ([2, 3, 4], True) == ([first, second, third], isinstance(one, NewLink) and isinstance(other, NewLink))
    assert isinstance(reason, str)
    assert expected in reason


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "missing: 'orcid', 'idp'"),
        ("orcid;idp;eppn", "unknown: 'orcid;idp;eppn'; missing: 'orcid', 'idp'"),
        ("orcid,idp,eppn,eppn", "repeated: 'eppn'"),
        ("orcid,idp,mail", "unknown: 'mail'"),
        ('orcid,"idp"x', "cannot be read as CSV"),
    ],
)
def test_a_first_line_that_is_not_of_this_table_is_refused(header: str, expected: str) -> None:
    """What is unknown, missing or there twice is named."""
    with pytest.raises(OperatorError, match="the first line") as caught:
        _read(f"{header}\n")

    assert expected in caught.value.cause
