"""`client`: registering, listing and revoking clients of the lookup door, as an operator does it."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from attribute_authority.assembly import open_link_store
from attribute_authority.configuration import read_configuration
from attribute_authority.domain.client import Bearer
from tests.factories.authority import HOME, Authority, new_authority

_CRIS = "https://cris.uni.example"
_OTHER_HOME = "https://idp.other.example/idp"
_REGISTER = ("client", "add", "cris", "--entity-id", _CRIS, "--home-organisation", HOME)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority without clients."""
    return new_authority(tmp_path)


def _find(authority: Authority, token: str) -> Bearer | None:
    store = open_link_store(read_configuration(authority.config))
    try:
        return store.find_bearer(sha256(token.encode()).digest(), datetime.now(UTC))
    finally:
        store.close()


def _listed(authority: Authority) -> list[dict[str, object]]:
    return [json.loads(line) for line in authority.run("client", "list", "--format", "json").stdout.splitlines()]


def test_the_token_is_printed_once_and_kept_nowhere(authority: Authority) -> None:
    """It stands alone on standard output, opens the door, and is in no file and no list."""
    result = authority.run(*_REGISTER, "--home-organisation", _OTHER_HOME)
    token = result.stdout.removesuffix("\n")
    found = _find(authority, token)

    assert (0, 46, True) == (result.exit_code, len(token), token.startswith("aa_"))
    assert token.removeprefix("aa_").replace("-", "a").replace("_", "a").isalnum()
    assert found is not None
    assert (_CRIS, sorted((HOME, _OTHER_HOME))) == (found.entity_id, sorted(found.home_organisations))
    assert [("cris", None)] == [(listed["name"], listed["expires_at"]) for listed in _listed(authority)]
    assert "shown only now" in result.stderr
    listed = [authority.run("client", "list", *options).stdout for options in ((), ("--format", "json"))]
    kept = [file.read_bytes() for file in authority.directory.rglob("*") if file.is_file()]
    assert not any(token in text for text in listed)
    assert not any(token.encode() in octets for octets in kept)


def test_no_two_tokens_are_alike(authority: Authority) -> None:
    """Each is random."""
    tokens = {authority.run(*_REGISTER[:2], f"c{n}", *_REGISTER[3:]).stdout for n in range(3)}

    assert 3 == len(tokens)


def test_a_token_may_end(authority: Authority) -> None:
    """With the last day that is named, or after so many days."""
    today = datetime.now(UTC)
    authority.run(*_REGISTER, "--days", "30")
    authority.run(*_REGISTER[:2], "until", *_REGISTER[3:], "--expires", "9999-12-31")
    ends = [datetime.fromisoformat(str(client["expires_at"])) for client in _listed(authority)]

    assert timedelta(days=29, hours=23) < ends[0] - today < timedelta(days=30, hours=1)
    assert datetime(9999, 12, 31, 23, 59, 59, 999999, UTC) == ends[1]


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        (("--expires", "2020-01-01"), 2, "that day is over"),
        (("--expires", "tomorrow"), 2, "does not match the format"),
        (("--expires", "2099-01-01", "--days", "3"), 2, "either --expires or --days"),
        (("--days", "0"), 2, "not in the range"),
        (("--home-organisation", "idp"), 1, "'idp' is not an entityID"),
    ],
)
def test_what_cannot_be_registered_is_said(authority: Authority, options: tuple[str, ...], code: int, expected: str) -> None:
    """Wrong usage and wrong names end with a sentence; nothing is registered and no token printed."""
    result = authority.run(*_REGISTER, *options)

    assert (code, "") == (result.exit_code, result.stdout)
    assert expected in " ".join(result.stderr.split())
    assert [] == _listed(authority)


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "\u00e9"])
def test_a_name_is_plain(authority: Authority, name: str) -> None:
    """It stands in lists and in commands."""
    assert (2, "") == ((result := authority.run("client", "add", name, *_REGISTER[3:])).exit_code, result.stdout)


def test_a_client_sees_some_home_organisation(authority: Authority) -> None:
    """None is wrong usage, for it would stand for all or for nothing."""
    assert 2 == authority.run(*_REGISTER[:5]).exit_code


def test_a_name_is_given_once_while_it_is_in_force(authority: Authority) -> None:
    """Once revoked, it may be registered again, with another token; the first stays revoked."""
    first = authority.run(*_REGISTER).stdout.strip()
    taken = authority.run(*_REGISTER)
    revoked = authority.run("client", "revoke", "cris")
    second = authority.run(*_REGISTER).stdout.strip()

    assert (1, "", 0) == (taken.exit_code, taken.stdout, revoked.exit_code)
    assert "is there already" in taken.stderr
    assert [False, True] == [_find(authority, token) is not None for token in (first, second)]
    assert ["revoked", "in force"] == [client["state"] for client in _listed(authority)]


@pytest.mark.parametrize("name", ["cris", "nobody"])
def test_who_is_not_in_force_cannot_be_revoked(authority: Authority, name: str) -> None:
    """Exit code 1 and a sentence."""
    authority.run(*_REGISTER)
    authority.run("client", "revoke", "cris")
    result = authority.run("client", "revoke", name)

    assert (1, f"Error: there is no client '{name}' in force\n") == (result.exit_code, result.stderr)


def test_a_client_that_no_rule_names_is_warned_of(authority: Authority) -> None:
    """It is registered all the same; so is one that a rule names for other home organisations."""
    unnamed = authority.run(*_REGISTER)
    authority.append(f'[[release]]\nrequesters = ["{_CRIS}"]\nhome_organisations = ["{_OTHER_HOME}"]')
    elsewhere = authority.run(*_REGISTER[:2], "elsewhere", *_REGISTER[3:])
    named = authority.run("client", "add", "named", "--entity-id", _CRIS, "--home-organisation", _OTHER_HOME)

    assert f"no release rule names {_CRIS}" in unnamed.stderr
    assert f"no release rule that names {_CRIS} allows people of {HOME}" in elsewhere.stderr
    assert "Warning" not in named.stderr


def test_a_list_reads_in_the_order_of_registration(authority: Authority) -> None:
    """One line each, with what the client may see and until when."""
    authority.run(*_REGISTER)
    authority.run("client", "add", "proxy", "--entity-id", "https://proxy.example", "--home-organisation", HOME, "--expires", "2099-05-01")
    lines = [line.split("\t") for line in authority.run("client", "list").stdout.splitlines()]

    assert [
        ["cris", "in force", "without end", _CRIS, HOME],
        ["proxy", "in force", "until 2099-05-01T23:59Z", "https://proxy.example", HOME],
    ] == lines
