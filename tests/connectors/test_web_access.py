"""How a web service is reached: what is refused in the table, and what is made of files."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from attribute_authority.errors import OperatorError
from connectors._web_access import WebSinkTable, open_web_access
from tests.factories.web_servers import pem_pair

_URL = "https://idm.uni.example/api"
_OAUTH = {"token_url": "https://login.uni.example/token", "client_id": "orcid", "client_secret_file": "secret"}


def _table(directory: Path | None = None, **keys: Any) -> WebSinkTable:
    return WebSinkTable.model_validate({"kind": "any", "url": _URL, **keys}, context={"directory": directory or Path("/etc/authority")})


def _written(directory: Path, text: str | bytes) -> Path:
    (directory / "secret").write_bytes(text.encode() if isinstance(text, str) else text)
    return directory


@pytest.mark.parametrize(
    "url",
    [_URL, "https://idm.uni.example:8443/api?tenant=7", "https://[2001:db8::7]/x", "http://localhost:8080/x", "http://127.0.0.1/x"],
)
def test_addresses_that_are_taken(url: str) -> None:
    """https, whatever the path, port and query; http on this very machine."""
    assert url == _table(url=url).url


@pytest.mark.parametrize(
    "url",
    [
        "http://idm.uni.example/",
        "http://localhost.uni.example/",
        "https:///x",
        "https://orcid:secret@idm.uni.example/",
        "https://idm.uni.example/#here",
        "https://idm.uni.example/{eppn}",
        "https://idm.uni.example/a b",
        "https://idm.uni.example/ä",
        "https://idm.uni.example:0/",
        "https://idm.uni.example:port/",
        "https://[2001:db8::7/",
        "https://idm.uni.example/\n",
        "ldaps://idm.uni.example/",
        "idm.uni.example",
        "",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    """Anything else is refused, in words that repeat nothing of it."""
    with pytest.raises(ValidationError, match="expected an absolute https URL"):
        _table(url=url)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"username": "orcid"}, "username and password_file belong together"),
        ({"password_file": "secret"}, "username and password_file belong together"),
        ({"username": "orcid", "password_file": "secret", "token_file": "secret"}, "expected at most one of"),
        ({"token_file": "secret", "oauth": _OAUTH}, "expected at most one of"),
        ({"username": "orc:id", "password_file": "secret"}, "without a colon"),
        ({"username": "orc\nid", "password_file": "secret"}, "on one line"),
        ({"oauth": {**_OAUTH, "token_url": "http://login.uni.example/token"}}, "expected an absolute https URL"),
        ({"oauth": {**_OAUTH, "scope": "a  b"}}, "expected OAuth scopes with one space between them"),
        ({"oauth": {**_OAUTH, "client_id": ""}}, "at least 1 character"),
        ({"oauth": {**_OAUTH, "client_id": "a\nb"}}, "expected the name of a client on one line"),
        ({"verify": False}, "Extra inputs are not permitted"),
    ],
)
def test_faults(keys: dict[str, Any], expected: str) -> None:
    """What does not fit together is told in a sentence."""
    with pytest.raises(ValidationError, match=expected):
        _table(**keys)


def test_basic(tmp_path: Path) -> None:
    """Name and password are sent as RFC 7617 has it, in UTF-8; the end of the line belongs to the file alone."""
    access = open_web_access(_table(_written(tmp_path, "sålaisuus: 7\r\n"), username="orcid", password_file="secret"))

    assert f"Basic {b64encode('orcid:sålaisuus: 7'.encode()).decode()}" == access.authorization


def test_bearer(tmp_path: Path) -> None:
    """A token is sent as RFC 6750 has it."""
    assert "Bearer a-token" == open_web_access(_table(_written(tmp_path, "a-token\n"), token_file="secret")).authorization


def test_client_credentials(tmp_path: Path) -> None:
    """Our name and secret are form-encoded before they become Basic."""
    oauth = open_web_access(_table(_written(tmp_path, "a:b c\n"), oauth={**_OAUTH, "client_id": "x y", "scope": "p q"})).oauth

    assert oauth is not None
    assert (f"Basic {b64encode(b'x+y:a%3Ab+c').decode()}", "p q") == (oauth.authorization, oauth.scope)


@pytest.mark.parametrize(
    ("text", "keys", "expected"),
    [
        ("", {"token_file": "secret"}, "expected a secret on one line"),
        ("one\ntwo\n", {"username": "orcid", "password_file": "secret"}, "expected a secret on one line"),
        (b"\xff", {"token_file": "secret"}, "expected a secret in UTF-8"),
        ("a token\n", {"token_file": "secret"}, "expected a bearer token"),
        ("tåken\n", {"token_file": "secret"}, "expected a bearer token"),
        ("x", {"token_file": "elsewhere"}, "cannot be read: No such file"),
        ("x", {"tls_ca": "secret"}, "expected certificates of authorities in PEM"),
        ("x", {"client_certificate": {"key": "secret", "certificate": "secret"}}, "expected a certificate and its key in PEM"),
    ],
)
def test_files_of_no_use(tmp_path: Path, text: str | bytes, keys: dict[str, Any], expected: str) -> None:
    """A file that is of no use is named, and nothing of it is repeated."""
    with pytest.raises(OperatorError, match=expected) as caught:
        open_web_access(_table(_written(tmp_path, text), **keys))

    assert str(tmp_path) in caught.value.cause
    assert "token\n" not in caught.value.cause


def test_secrets_are_in_no_text_form(tmp_path: Path) -> None:
    """What lets us in shows in no text form."""
    pair = pem_pair(tmp_path, "client")
    _written(tmp_path, "very-secret")
    for keys in ({"username": "orcid", "password_file": "secret"}, {"token_file": "secret"}, {"oauth": _OAUTH}):
        table = _table(tmp_path, client_certificate=pair.table, **keys)
        text = repr(table) + repr(open_web_access(table))
        assert "very-secret" not in text
        assert b64encode(b"orcid:very-secret").decode() not in text
