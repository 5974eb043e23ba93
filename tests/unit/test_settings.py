"""Reading the configuration: what is taken, and what an operator is told about what is not."""

from pathlib import Path

import pytest

from attribute_authority.configuration import DEFAULT_CONFIG, config_path, read_configuration
from attribute_authority.domain.identifiers import Environment
from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.settings import BackChannelSettings, Settings

_AUTHORITY = """
[authority]
entity_id = "https://aa.example.org/orcid"
base_url = "https://aa.example.org"
signing = [{ key = "keys/signing.key", certificate = "/etc/signing.crt" }]
"""
_DATABASE = """
[database]
url = "sqlite:///links.db"
"""
_LEAST = _AUTHORITY + _DATABASE


def _write(directory: Path, text: str) -> Path:
    file = directory / "authority.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _faults(directory: Path, text: str) -> tuple[str, ...]:
    file = _write(directory, text)
    with pytest.raises(FaultyConfiguration) as caught:
        read_configuration(file)
    start = f"{file}: "
    assert all(fault.startswith(start) for fault in caught.value.faults)
    return tuple(fault.removeprefix(start) for fault in caught.value.faults)


def test_the_least_configuration_has_safe_defaults(tmp_path: Path) -> None:
    """With who we are and a database alone, production iDs are meant, nobody is trusted and nobody receives anything."""
    settings = read_configuration(_write(tmp_path, _LEAST))

    expected = (Environment.PRODUCTION, (), (), False, "127.0.0.1")
    observed = (
        settings.authority.environment,
        settings.metadata,
        settings.release,
        settings.attribute_query.accept_sha1,
        settings.operations.host,
    )
    assert expected == observed


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Keys, state and SQLite's file are found from the configuration's directory, wherever the command runs."""
    settings = read_configuration(_write(tmp_path, _LEAST))

    pair = settings.authority.signing[0]
    observed = (pair.key, pair.certificate, settings.authority.state_directory, settings.database.url)
    assert (tmp_path / "keys/signing.key", Path("/etc/signing.crt"), tmp_path / "state", f"sqlite:///{tmp_path}/links.db") == observed


def test_a_relative_name_of_the_file_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration may be named from where the operator stands."""
    _write(tmp_path, _LEAST)
    monkeypatch.chdir(tmp_path)
    settings = read_configuration(Path("authority.toml"))

    assert f"sqlite:///{tmp_path}/links.db" == settings.database.url


@pytest.mark.parametrize("url", ["sqlite:////var/lib/links.db", "postgresql+psycopg://aa@db.example.org/orcid"])
def test_other_databases_are_left_as_they_are(tmp_path: Path, url: str) -> None:
    """An absolute path and a database server are taken literally."""
    settings = read_configuration(_write(tmp_path, _LEAST.replace("sqlite:///links.db", url)))

    assert url == settings.database.url


def test_all_faults_are_told_together(tmp_path: Path) -> None:
    """Each fault has the key and what was expected, in the order of the models, and none hides another."""
    text = """
colour = "red"
[authority]
entity_id = "aa"
signing = []
[back_channel]
port = "abc"
prot = 8443
[database]
url = "sqlite:///links.db"
pool_size = true
"""

    expected = (
        "authority.entity_id: 'aa' is not an entityID: expected an absolute URI of at most 1024 characters",
        "authority.base_url: is missing",
        "authority.signing: at least one entry is expected",
        'back_channel.port: expected an integer from 0 to 65535, found "abc"',
        f"back_channel.prot: is not known, expected one of {', '.join(BackChannelSettings.model_fields)}",
        "database.pool_size: expected an integer from 1 to 64, found true",
        f"colour: is not known, expected one of {', '.join(Settings.model_fields)}",
    )
    assert expected == _faults(tmp_path, text)


def test_missing_tables_are_named(tmp_path: Path) -> None:
    """An empty file lacks what has no default."""
    assert ("authority: is missing", "database: is missing") == _faults(tmp_path, "")


_ADDITIONS = {
    "[operations]\nhost = 1": "operations.host: expected a text in quotation marks, found 1",
    "[operations]\nport = 70000": "operations.port: expected an integer from 0 to 65535, found 70000",
    "[operations]\nport = 1.5": "operations.port: expected an integer from 0 to 65535, found 1.5",
    "[attribute_query]\naccept_sha1 = 'no'": 'attribute_query.accept_sha1: expected true or false, found "no"',
    "[attribute_query]\nclock_skew = 0": "attribute_query.clock_skew: expected an integer from 1 to 3600, found 0",
    "[back_channel]\nrequest_timeout = '30'": 'back_channel.request_timeout: expected a number of seconds above 0, at most 600, found "30"',
    "[back_channel]\nrequest_timeout = nan": "back_channel.request_timeout: expected a number of seconds above 0, at most 600, found NaN",
    "[back_channel]\ntls = 'tls.key'": 'back_channel.tls: expected a table, found "tls.key"',
    "[back_channel]\ntls = { key = 'k' }": "back_channel.tls.certificate: is missing",
    "[back_channel]\ntls = { key = '', certificate = 'c' }": 'back_channel.tls.key: expected the name of a file, found ""',
    "[back_channel]\nbase_url = 'https://aa.example.org/?x'": (
        "back_channel.base_url: expected an absolute https URL in ASCII without query, fragment and password, "
        'found "https://aa.example.org/?x"'
    ),
    "[back_channel]\nbase_url = 'https://[::1'": (
        'back_channel.base_url: expected an absolute https URL in ASCII without query, fragment and password, found "https://[::1"'
    ),
    "[back_channel]\nclient_certificate_header = 'X-Client-Certificate'": (
        "back_channel: client_certificate_header and trusted_proxies belong together: expected both or neither"
    ),
    "[back_channel]\ntrusted_proxies = ['192.0.2.7']": (
        "back_channel: client_certificate_header and trusted_proxies belong together: expected both or neither"
    ),
    "[back_channel]\nclient_certificate_header = 'X'\ntrusted_proxies = ['::1']\ntls = { key = 'k', certificate = 'c' }": (
        "back_channel: client_certificate_header is for a proxy that ends TLS: expected no tls beside it"
    ),
    "[back_channel]\nclient_certificate_header = 'X Y'\ntrusted_proxies = ['::1']": (
        'back_channel.client_certificate_header: expected the name of an HTTP header, found "X Y"'
    ),
    "[back_channel]\nclient_certificate_header = 'X'\ntrusted_proxies = ['::1', '10.1.2.3/8']": (
        "back_channel.trusted_proxies[2]: expected an address or network such as 192.0.2.7 or 2001:db8::/32, without host bits, "
        'found "10.1.2.3/8"'
    ),
    "[metadata]\nfile = 'sps.xml'": ("metadata: expected an array, found a table; a table of an array stands in double brackets, [[…]]"),
    "[[metadata]]\nsigning_certificate = 'haka.pem'": "metadata[1].file: is missing",
    "[[release]]\nhome_organisations = ['https://idp.uni.example/idp']": (
        "release[1]: a rule must say who it is for: expected requesters, entity_category, registration_authority or requested_attribute"
    ),
    "[[release]]\nrequested_attribute = false": (
        "release[1]: a rule must say who it is for: expected requesters, entity_category, registration_authority or requested_attribute"
    ),
    "[[release]]\nrequesters = 'https://sp.example.org/'": 'release[1].requesters: expected an array, found "https://sp.example.org/"',
    "[[requester]]\nentity_id = 'https://sp.example.org/'\nnothing_to_release = 'nothing'": (
        "requester[1].nothing_to_release: expected 'bare-assertion' or 'no-assertion', found \"nothing\""
    ),
    "[[requester]]\nentity_id = 'https://sp.example.org/'\n[[requester]]\nentity_id = 'https://sp.example.org/'": (
        "requester: only one table is expected for each, and there are more for https://sp.example.org/"
    ),
    "[events]\npseudonym_key = 3": "events.pseudonym_key: expected the name of a file, found 3",
    "[events]\nlevel = 'debug'": "events.level: is not known, expected one of pseudonym_key",
    "[[authority.contact]]\ntype = 'boss'\nemail = 'a@b.example'": (
        "authority.contact[1].type: expected 'technical', 'support', 'administrative', 'billing' or 'other', found \"boss\""
    ),
    "[[authority.contact]]\ntype = 'support'\nemail = 'mailto:a@b.example'": (
        'authority.contact[1].email: expected an e-mail address without mailto:, found "mailto:a@b.example"'
    ),
    "[authority.presentation]\ndisplay_name = { de = 'ORCID' }": (
        "authority.presentation.display_name.de: expected 'fi', 'sv' or 'en', found \"de\""
    ),
}


@pytest.mark.parametrize(("addition", "expected"), _ADDITIONS.items(), ids=[str(number) for number in range(len(_ADDITIONS))])
def test_a_fault_is_told_with_its_key_and_what_was_expected(tmp_path: Path, addition: str, expected: str) -> None:
    """One mistake gives one sentence, in the operator's words."""
    assert (expected,) == _faults(tmp_path, f"{_LEAST}\n{addition}\n")


def test_a_password_is_not_repeated(tmp_path: Path) -> None:
    """What might be a database password stays out of every sentence, under its own key and under others."""
    secret = "postgresql+psycopg://aa:open-sesame@db.example.org/orcid"
    places = f"url = ['{secret}']\n[back_channel]\nbase_url = '{secret}'\nport = '{secret}'\nurl = '{secret}'"
    text = f"{_AUTHORITY}\n[database]\n{places}"

    assert "sesame" not in " ".join(_faults(tmp_path, text))


def test_a_file_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    """A first-time operator is led to init."""
    with pytest.raises(OperatorError) as caught:
        read_configuration(tmp_path / "none.toml")

    advice = "Write one with `attribute-authority init`, or name it with --config"
    assert f"{tmp_path}/none.toml: cannot be read: No such file or directory. {advice}" == caught.value.cause


@pytest.mark.parametrize(
    ("content", "expected"), [(b"[authority\na = 1", "line 1"), (b"a = '\xff'", "0xff"), (b"a = 1\na = 2\n", "line 2")]
)
def test_what_is_no_toml_is_told_with_the_place(tmp_path: Path, content: bytes, expected: str) -> None:
    """The line, or the octet, is named."""
    file = tmp_path / "authority.toml"
    file.write_bytes(content)
    with pytest.raises(OperatorError) as caught:
        read_configuration(file)

    assert caught.value.cause.startswith(f"{file}: expected TOML in UTF-8: ")
    assert expected in caught.value.cause


def test_the_option_counts_before_the_environment_and_that_before_the_default() -> None:
    """--config, then ATTRIBUTE_AUTHORITY_CONFIG, then conf/authority.toml; an empty variable is none."""
    variable = {"ATTRIBUTE_AUTHORITY_CONFIG": "/etc/aa.toml"}

    expected = [Path("given.toml"), Path("/etc/aa.toml"), DEFAULT_CONFIG, DEFAULT_CONFIG]
    observed = [
        config_path(Path("given.toml"), variable),
        config_path(None, variable),
        config_path(None, {"ATTRIBUTE_AUTHORITY_CONFIG": ""}),
        config_path(None, {}),
    ]
    assert expected == observed


def test_the_location_of_the_attribute_service_follows_the_back_channel(tmp_path: Path) -> None:
    """The back channel's own base URL counts before the authority's, and slashes at the end make no difference."""
    settings = read_configuration(_write(tmp_path, f"{_LEAST}\n[back_channel]\nbase_url = 'https://back.example.org:8443/'"))

    assert "https://back.example.org:8443/saml/attribute-query" == settings.attribute_query_url
