"""The table of a SCIM server: what is refused, in which words."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from attribute_authority.errors import OperatorError
from connectors import find_sink_kind
from connectors._scim_paths import AttributePath, parse_path
from connectors.scim import SCIM
from tests.factories.scim_servers import open_scim, scim_table
from tests.peers.scim import CORE, EXTENSION, SEVERAL

URL = "https://idm.uni.example/scim/v2"


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds the sink by its name."""
    assert find_sink_kind("scim") is SCIM


def test_the_least_that_a_table_has() -> None:
    """With an address and an attribute people are found by userName and ePPN, and the attribute has several URIs."""
    table = scim_table(f"{URL}//")

    assert (URL, "userName", "eppn", "uri", "several", False) == (
        table.url,
        table.find_by,
        table.identifier,
        table.value,
        table.values,
        table.overwrite,
    )


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"url": "http://idm.uni.example/scim"}, "expected an absolute https URL"),
        ({"url": f"{URL}?tenant=1"}, "expected the base address of the server, without a query"),
        ({"attribute": ""}, "expected the path of an attribute"),
        ({"attribute": 'emails[type eq "work"]'}, "expected the path of an attribute"),
        ({"attribute": f"{EXTENSION}:a b"}, "expected the path of an attribute"),
        ({"attribute": "https://uni.example/orcid"}, "expected the path of an attribute"),
        ({"attribute": "Ä"}, "expected the path of an attribute"),
        ({"attribute": f"{SEVERAL}.value"}, "expected an attribute, and no part of one"),
        ({"attribute": "externalId"}, "expected an attribute that is for ORCID iDs"),
        ({"attribute": f"{CORE}:userName"}, "expected an attribute that is for ORCID iDs"),
        ({"find_by": 'userName eq "x" or'}, "expected the path of an attribute"),
        ({"find_by": SEVERAL.upper().replace("URN", "urn")}, "attribute and find_by are the same"),
        ({"identifier": "persistent"}, "Input should be 'eppn', 'unique-id' or 'subject-id'"),
        ({"value": "URL"}, "Input should be 'uri' or 'bare'"),
        ({"overwrite": True}, 'overwrite is for values = "single"'),
        ({"username": "orcid"}, "username and password_file belong together"),
        ({"patch": True}, "Extra inputs are not permitted"),
    ],
)
def test_a_table_that_cannot_be_used(keys: dict[str, Any], expected: str) -> None:
    """Each fault says what was expected."""
    with pytest.raises(ValidationError) as fault:
        scim_table(**({"url": URL} | keys))

    assert expected in str(fault.value)


def test_an_attribute_is_needed() -> None:
    """There is no attribute that every server has for iDs, so that the operator names it."""
    with pytest.raises(ValidationError, match=r"attribute\n  Field required"):
        SCIM.settings.model_validate({"kind": "scim", "url": URL})


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("userName", AttributePath(None, "userName")),
        ("emails.value", AttributePath(None, "emails", "value")),
        (f"{CORE}:externalId", AttributePath(None, "externalId")),
        (SEVERAL, AttributePath(EXTENSION, "eduPersonOrcid")),
        (f"{EXTENSION}:manager.displayName", AttributePath(EXTENSION, "manager", "displayName")),
        ("urn:example:v1.5:User:orcid", AttributePath("urn:example:v1.5:User", "orcid")),
    ],
)
def test_paths_are_read(text: str, path: AttributePath) -> None:
    """The last colon ends the URN of an extension, whatever dots it has; the core schema is no extension."""
    assert path == parse_path(text)


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is named when the sink is opened."""
    with pytest.raises(OperatorError, match="missing: cannot be read"):
        open_scim(scim_table(URL, token_file=str(tmp_path / "missing")))
