"""Reading the tables of home organisations and of their sources: what is taken, and what an operator is told about what is not."""

from pathlib import Path

import pytest

from attribute_authority.configuration import read_configuration
from attribute_authority.errors import FaultyConfiguration
from attribute_authority.organisation_settings import Asking
from connectors import CATALOGUE, find_sink_kind, find_source_kind, kind_names

_LEAST = """
[authority]
entity_id = "https://aa.example.org/orcid"
base_url = "https://aa.example.org"
signing = [{ key = "keys/signing.key", certificate = "keys/signing.crt" }]

[database]
url = "sqlite:///links.db"
"""
_UNI = """
[[organisation]]
identity_provider = "https://idp.uni.example/idp"
"""
_SOURCE = """
[[organisation.source]]
kind = "computed-id"
salt_file = "uni.salt"
"""


def _write(directory: Path, *tables: str) -> Path:
    file = directory / "authority.toml"
    file.write_text("".join((_LEAST, *tables)), encoding="utf-8")
    return file


def _faults(directory: Path, *tables: str) -> tuple[str, ...]:
    file = _write(directory, *tables)
    with pytest.raises(FaultyConfiguration) as caught:
        read_configuration(file)
    return tuple(fault.removeprefix(f"{file}: ") for fault in caught.value.faults)


def test_sources_are_read_by_their_kind(tmp_path: Path) -> None:
    """Each source has the keys of its kind, its files are found beside the configuration, and all are asked by default."""
    (organisation,) = read_configuration(_write(tmp_path, _UNI, _SOURCE)).organisation
    (source,) = organisation.source

    assert (Asking.ALL, "computed-id", 2.0) == (organisation.sources_asked, source.kind, source.timeout)
    assert tmp_path / "uni.salt" == getattr(source, "salt_file")  # noqa: B009 - a key of the kind, which its base does not know


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('kind = "telepathy"', 'organisation[1].source[1].kind: expected one of computed-id, stored-id, ldap, found "telepathy"'),
        ("timeout = 1", "organisation[1].source[1].kind: is missing"),
        ("kind = 7", "organisation[1].source[1].kind: expected a text in quotation marks, found 7"),
        ('kind = "computed-id"', "organisation[1].source[1].salt_file: is missing"),
    ],
)
def test_source_that_is_no_source(tmp_path: Path, table: str, fault: str) -> None:
    """A fault in a source's table is told with its place and what was expected."""
    assert fault in _faults(tmp_path, _UNI, "[[organisation.source]]\n", table)


def test_unknown_key_of_a_source(tmp_path: Path) -> None:
    """A key that the kind does not have is refused, and those that it has are named."""
    (fault,) = _faults(tmp_path, _UNI, _SOURCE, 'salt = "secret"\n')

    assert fault.startswith("organisation[1].source[1].salt: is not known, expected one of kind, timeout, salt_file")
    assert "secret" not in fault


def test_all_faults_are_told_together(tmp_path: Path) -> None:
    """Faults of sources and of everything else are told in one go."""
    faults = _faults(tmp_path, _UNI, "sources_asked = 1\n", _SOURCE, "algorithm = 5\n", "[limits]\nunknown_share = 2\n")

    assert ["limits.unknown_share", "organisation[1].source[1].algorithm", "organisation[1].sources_asked"] == sorted(
        fault.partition(": ")[0] for fault in faults
    )


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ((_UNI, _UNI), "only one table is expected for each"),
        ((_UNI, 'contact = "idm@uni.example"\n'), "expected an address such as mailto:idm@uni.example"),
        ((_UNI, 'scopes = ["@uni.example"]\n'), "expected a scope such as uni.example"),
        (("[organisation]\n",), "expected an array"),
        (('[[organisation]]\nidentity_provider = "uni"\n',), "is not an entityID"),
        ((_UNI, "source = 5\n"), "expected an array"),
        ((_UNI, "source = [5]\n"), "expected a table"),
    ],
)
def test_organisation_that_is_none(tmp_path: Path, tables: tuple[str, ...], fault: str) -> None:
    """What is wrong with an organisation is told."""
    assert fault in " ".join(_faults(tmp_path, *tables))


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, kinds in CATALOGUE.items() for name in kinds])
def test_every_kind_of_the_catalogue_can_be_configured(role: str, name: str) -> None:
    """Each line of the catalogue leads to a kind whose table names it."""
    kind = find_source_kind(name) if role == "source" else find_sink_kind(name)

    assert kind is not None
    assert (name,) == kind.settings.model_fields["kind"].annotation.__args__
    assert name in kind_names(role)
