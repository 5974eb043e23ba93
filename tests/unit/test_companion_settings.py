"""The tables of the companion page: what belongs together, and that nothing of a demonstration can get into production."""

from pathlib import Path

import pytest

from attribute_authority.checking import check_all
from attribute_authority.configuration import read_configuration
from attribute_authority.errors import FaultyConfiguration
from attribute_authority.settings import Settings
from tests.factories.authority import Authority, new_authority

_COMPANION = """
[companion]
base_url = "https://orcid.example.org"
identity_provider = "https://idp.uni.example/idp"
encryption = [{ key = "keys/encryption.key", certificate = "keys/encryption.crt" }]
sealing_keys = ["keys/sealing.key"]
"""
_ORCID = """
[orcid]
client_id = "APP-0000000000000000"
client_secret_file = "keys/orcid-client-secret"
"""


def _authority(path: Path, companion: str = _COMPANION, orcid: str = _ORCID, environment: str = "production") -> Authority:
    authority = new_authority(path)
    (authority.directory / "keys/orcid-client-secret").write_text("secret\n")
    authority.change(('environment = "production"', f'environment = "{environment}"'))
    authority.append(companion + orcid)
    return authority


def _faults(authority: Authority) -> str:
    with pytest.raises(FaultyConfiguration) as refused:
        read_configuration(authority.config)
    return "\n".join(refused.value.faults)


def test_the_tables_that_init_suggests_are_a_configuration(tmp_path: Path) -> None:
    """With the keys that init wrote and the client secret beside them, no fault is found."""
    assert () == check_all(read_configuration(_authority(tmp_path).config))


@pytest.mark.parametrize("missing", ["companion", "orcid"])
def test_companion_and_orcid_belong_together(tmp_path: Path, missing: str) -> None:
    """One without the other is refused."""
    authority = _authority(tmp_path, *("", _ORCID) if missing == "companion" else (_COMPANION, ""))

    assert "expected both or neither" in _faults(authority)


@pytest.mark.parametrize("ways", ["", 'identity_provider = "https://idp.uni.example/idp"\ndiscovery_url = "https://ds.example.org"'])
def test_one_way_to_sign_in_is_expected(tmp_path: Path, ways: str) -> None:
    """None and two are refused."""
    authority = _authority(tmp_path, _COMPANION.replace('identity_provider = "https://idp.uni.example/idp"', ways))

    assert "expected one way to sign in" in _faults(authority)


@pytest.mark.parametrize(
    "address", ["http://orcid.example.org", "http://localhost.example.org", "http://127.0.0.1.example.org", "ftp://localhost"]
)
def test_pages_are_https_but_on_this_machine(tmp_path: Path, address: str) -> None:
    """Plain http is taken for this very machine alone."""
    authority = _authority(tmp_path, _COMPANION.replace("https://orcid.example.org", address))

    assert "expected an absolute https URL" in _faults(authority)


def test_a_simulator_is_refused_in_production(tmp_path: Path) -> None:
    """Where iDs of the real registry are released, nothing else may vouch for one."""
    authority = _authority(tmp_path, orcid=_ORCID + 'registry_url = "http://localhost:8081"\n')

    assert "is for demonstrations" in _faults(authority)


@pytest.mark.parametrize("address", ["https://orcid.evil.example", "http://orcid.evil.example", "https://sandbox.orcid.org"])
def test_a_registry_elsewhere_is_refused_everywhere(tmp_path: Path, address: str) -> None:
    """Real registries follow from the environment; a simulator runs on this machine."""
    authority = _authority(tmp_path, orcid=_ORCID + f'registry_url = "{address}"\n', environment="sandbox")

    assert "expected plain http on this machine" in _faults(authority)


@pytest.mark.parametrize("scopes", ['["openid", "/authenticate"]', '["/read-limited"]', "[]", '["openid email"]'])
def test_scopes_prove_an_id_in_one_way(tmp_path: Path, scopes: str) -> None:
    """Either openid or /authenticate, not both and not neither; each entry is one scope."""
    assert "orcid.scopes" in _faults(_authority(tmp_path, orcid=_ORCID + f"scopes = {scopes}\n"))


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("keys/sealing.key", b"short", "companion.sealing_keys"),
        ("keys/orcid-client-secret", b" \n", "orcid.client_secret_file"),
        ("keys/encryption.key", b"no key", "companion.encryption"),
    ],
)
def test_check_names_files_that_cannot_be_used(tmp_path: Path, file: str, content: bytes, told: str) -> None:
    """The fault names the key of the configuration and the file."""
    authority = _authority(tmp_path)
    (authority.directory / file).write_bytes(content)

    (fault,) = check_all(read_configuration(authority.config))

    assert fault.startswith(told)
    assert file.rpartition("/")[2] in fault


def test_check_warns_where_nobody_could_sign_in(tmp_path: Path) -> None:
    """An identity provider that is not in the metadata is told before the first researcher meets it."""
    result = _authority(tmp_path).run("check")

    assert 0 == result.exit_code
    assert "companion.identity_provider: https://idp.uni.example/idp is not in valid metadata" in result.stderr


def test_a_logo_must_be_an_image(tmp_path: Path) -> None:
    """A file of another kind is named."""
    authority = _authority(tmp_path, _COMPANION + '\n[companion.service]\nlogo = "logo.txt"\n')
    (authority.directory / "logo.txt").write_text("no image")

    (fault,) = check_all(read_configuration(authority.config))

    assert "expected an image" in fault


def test_pages_have_the_authoritys_address_unless_told_otherwise(tmp_path: Path) -> None:
    """companion.base_url is for those who serve them under another name."""
    settings: Settings = read_configuration(_authority(tmp_path, _COMPANION.replace('base_url = "https://orcid.example.org"\n', "")).config)

    assert settings.authority.base_url == settings.companion_url
