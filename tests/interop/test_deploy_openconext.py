"""The published entry for OpenConext's attribute aggregation: only what can be checked without OpenConext, as its README says."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

_KNOWN = {
    "id", "type", "description", "endpoint", "requestMethod", "requestParams", "headers", "rootListName", "mappings", "timeOut",
    "attributes", "requiredInputAttributes", "validationRegExp",
}  # fmt: skip
_TAKEN = {"sab", "sabrest", "voot", "orcid", "idin", "pseudo_email", "surfmarket_entitlements", "sbs", "ala", "eduid", "manage"}


@pytest.fixture(scope="module")
def entry() -> Any:
    """The one entry."""
    file = Path(__file__).parents[2] / "deploy" / "openconext" / "attributeAuthorities.yml"
    (authority,) = import_module("yaml").safe_load(file.read_text(encoding="utf-8"))["authorities"]
    return authority


def test_keys_are_those_of_a_rest_aggregator(entry: Any) -> None:
    """Every key is one that the aggregator reads, and the id is none of those that it has an aggregator of its own for."""
    assert _KNOWN == entry.keys()
    assert ("rest", False) == (entry["type"], entry["id"] in _TAKEN)


def test_what_is_asked_with_is_required(entry: Any) -> None:
    """Without the attribute that the question needs the aggregator does not ask."""
    assert {param["sourceAttribute"] for param in entry["requestParams"]} == {one["name"] for one in entry["requiredInputAttributes"]}


def test_only_orcid_uris_are_valid(entry: Any) -> None:
    """The expression takes the URI of an iD, and neither a list in brackets nor an empty text."""
    (attribute,) = entry["attributes"]
    valid = re.compile(entry["validationRegExp"], re.IGNORECASE)

    assert valid.fullmatch(attribute["example"])
    assert [] == [text for text in (f"[{attribute['example']}]", "[]", "", "0000-0002-1825-0097") if valid.fullmatch(text)]


def test_mapping_ends_in_the_attribute(entry: Any) -> None:
    """The key that the expression for the list makes is the one that is mapped, to the attribute that is announced."""
    (mapping,) = entry["mappings"]

    assert f"eduPersonOrcid.collect{{[{mapping['responseKey']}:it]}}" == entry["rootListName"]
    assert [mapping["targetAttribute"]] == [attribute["name"] for attribute in entry["attributes"]]
