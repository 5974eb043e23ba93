"""The table of a REST sink: what is refused, and in which words."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from attribute_authority.errors import OperatorError
from connectors import find_sink_kind
from connectors._rest_settings import RestSettings
from connectors.rest import REST
from tests.factories.sink_deliveries import sink_surroundings

_URL = "https://idm.uni.example/people/{eppn}"
_MAPPING: dict[str, Any] = {"eppn": "eppn", "orcid": "orcid-uri"}


def _table(**keys: Any) -> RestSettings:
    return RestSettings.model_validate({"kind": "rest", "url": _URL, **keys})


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds the sink by its name."""
    assert find_sink_kind("rest") is REST


def test_what_is_usual() -> None:
    """An address is enough."""
    table = _table()

    assert ("POST", "identity-descriptor", "rest") == (table.method_of(True), table.body, table.sink_name)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"url": "https://idm.uni.example/{name}"}, "expected no other places than {eppn}"),
        ({"url": "https://idm.uni.example/{}"}, "expected no other places than {eppn}"),
        ({"url": "https://{eppn}/x"}, "expected places in the path or query alone"),
        ({"url": "https://{eppn}.uni.example/x"}, "expected places in the path or query alone"),
        ({"url": "https://idm.uni.example?x={eppn}"}, "expected places in the path or query alone"),
        ({"url": "https://idm.uni.example/{eppn"}, "expected an absolute https URL"),
        ({"url": "http://idm.uni.example/{eppn}"}, "expected an absolute https URL"),
        ({"withdrawal_url": "https://idm.uni.example/{eppn}/{orcid}"}, "without {orcid}"),
        ({"url": "https://idm.uni.example/{eppn}/{orcid}"}, "without {orcid}"),
        ({"method": "GET"}, "'POST', 'PUT', 'PATCH' or 'DELETE'"),
        ({"check_url": _URL}, "expected an absolute https URL"),
        ({"mapping": _MAPPING}, "mapping and body"),
        ({"body": "mapping"}, "mapping and body"),
        ({"body": "mapping", "mapping": {}}, "at least 1 item"),
        ({"body": "mapping", "mapping": {"a": "name"}}, "Input should be 'eppn'"),
        ({"body": "mapping", "mapping": {"a..b": "eppn"}}, "expected the name of a field"),
        ({"body": "mapping", "mapping": {"": "eppn"}}, "expected the name of a field"),
        ({"body": "mapping", "mapping": {"a": "eppn", "a.b.c": "orcid-uri"}}, "either a value or fields below it at a"),
        ({"body": "mapping", "mapping": {"a": {"value": [1]}}}, "Input should be a valid"),
        ({"leave_out_absent": True}, "leave_out_absent is for"),
        ({"body": "none", "field_names": "schema"}, "field_names is for"),
        ({"url": "https://idm.uni.example/{orcid}", "body": "none"}, "nothing would tell of whom"),
        ({"url": "https://idm.uni.example/", "withdrawal_method": "DELETE"}, "nothing would tell of whom"),
        ({"url": "https://idm.uni.example/", "body": "mapping", "mapping": {"a": "orcid-uri"}}, "nothing would tell of whom"),
        ({"signature_secret_file": "secret", "body": "none"}, "a signature is over the body"),
        ({"signature_secret_file": "secret", "withdrawal_method": "DELETE"}, "a signature is over the body"),
        ({"signature_secret_file": "secret", "body": "mapping", "mapping": {"a": "orcid-uri"}}, "a signature is over the body"),
        ({"success_statuses": []}, "at least 1 item"),
        ({"success_statuses": [99]}, "expected an integer from 200 to 599"),
        ({"success_statuses": [True]}, "expected an integer from 200 to 599"),
        ({"success_statuses": [200, 401]}, "401, 407, 429 and 503"),
        ({"unknown_person_statuses": [429]}, "401, 407, 429 and 503"),
        ({"success_statuses": [200, 404, 409]}, "expected each status in one of the lists: 404, 409"),
        ({"success_field": "status"}, "success_field and success_value belong together"),
        ({"success_value": "stored"}, "success_field and success_value belong together"),
        ({"error_field": "a..b"}, "expected the name of a field"),
    ],
)
def test_faults(keys: dict[str, Any], expected: str) -> None:
    """What cannot work is told in a sentence."""
    with pytest.raises(ValidationError) as caught:
        _table(**keys)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "c2hvcnQ=\n", "whsec_!!!!\n", "å\n", f"whsec_{'QUFB' * 30}\n"],
    ids=["nothing", "short", "no base64", "no ASCII", "long"],
)
def test_signature_secrets_of_no_use(tmp_path: Path, text: str) -> None:
    """A file without secrets that are fit for signing is named."""
    (tmp_path / "webhook.secret").write_text(text, encoding="utf-8")
    with pytest.raises(OperatorError, match=r"webhook\.secret: expected secrets of 24 to 64 octets"):
        REST.open(_table(signature_secret_file=str(tmp_path / "webhook.secret")), sink_surroundings())


def test_no_signature_secrets() -> None:
    """A file that is not there is named."""
    with pytest.raises(OperatorError, match="elsewhere: cannot be read: No such file"):
        REST.open(_table(signature_secret_file="/elsewhere"), sink_surroundings())
