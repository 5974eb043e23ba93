"""Reading an AttributeQuery: what it says of itself, before anything is verified."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from attribute_authority.domain.entity import AttributeName
from attribute_authority.domain.query import AttributeDesignator, NameId
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.query import (
    ReceivedQuery,
    read_designators,
    read_identifier_element,
    read_message_id,
    read_name_id,
    read_query,
)
from tests.factories.doors import sp_keys
from tests.factories.queries import PERSON, SP, attribute_query, designator, issuer, name_id, signed, subject


def received(document: str) -> ReceivedQuery:
    """Read a query."""
    return read_query(etree.fromstring(document))


def test_what_a_query_says() -> None:
    """ID, Issuer, instant, Destination and the parts are read; the element is the very node that was given."""
    element = etree.fromstring(signed(attribute_query(destination="urn:here"), sp_keys()))
    query = read_query(element)

    assert query.element is element
    assert ("_query", SP, "urn:here") == (query.message_id, query.issuer, query.destination)
    assert query.issue_instant == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert query.signature is not None
    assert 1 == len(query.attributes)


def test_what_may_be_absent() -> None:
    """Destination, Signature, Extensions and attributes may be absent."""
    query = received(attribute_query(issuer(), subject(name_id())))

    assert (None, None, ()) == (query.destination, query.signature, query.attributes)


def test_white_space_around_the_issuer() -> None:
    """White space around an entityID, which pretty printers add, is no part of it."""
    assert SP == received(attribute_query(issuer(f"\n  {SP}\n"), subject(name_id()))).issuer


def test_name_id_is_read_exactly() -> None:
    """Value and attributes are kept as they came; what is absent is None, what is empty is empty."""
    about = name_id(f" {PERSON}\n", format=None, name_qualifier="", sp_provided_id="a b")
    query = received(attribute_query(issuer(), subject(about)))

    assert NameId(f" {PERSON}\n", None, "", None, "a b") == read_name_id(read_identifier_element(query.subject))


def test_designators() -> None:
    """Name, NameFormat and values are read; an absent NameFormat means unspecified (core 2.7.3.1)."""
    query = received(attribute_query(issuer(), subject(name_id()), designator("a", "1", "2"), designator("b", name_format=None)))
    expected = (
        AttributeDesignator(AttributeName("a", ns.NAME_FORMAT_URI), ("1", "2")),
        AttributeDesignator(AttributeName("b", ns.NAME_FORMAT_UNSPECIFIED)),
    )

    assert expected == read_designators(query.attributes)


@pytest.mark.parametrize("values", [("",), (" ",), ("", "\n")])
def test_empty_value_is_no_filter(values: tuple[str, ...]) -> None:
    """An empty AttributeValue, which pysaml2 writes where it means any, does not restrict the answer; others beside it do."""
    queries = [received(attribute_query(issuer(), subject(name_id()), designator("a", *given))) for given in (values, (*values, "x"))]

    assert [(), ("x",)] == [read_designators(query.attributes)[0].values for query in queries]


def test_message_id_of_other_messages() -> None:
    """The ID of any request can be named in the refusal, unless it is none."""
    assert "_a" == read_message_id(etree.fromstring('<x ID="_a"/>'))
    assert read_message_id(etree.fromstring('<x ID="1"/>')) is None
    assert read_message_id(etree.fromstring("<x/>")) is None
