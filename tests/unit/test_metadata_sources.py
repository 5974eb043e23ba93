"""Metadata sources to one index: which source counts, and that a bad source never replaces a good index."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from attribute_authority.domain.entity import Entity
from attribute_authority.errors import FaultyConfiguration, OperatorError
from attribute_authority.saml.metadata import MetadataSource, build_index
from attribute_authority.saml.metadata_index import SqliteEntityDirectory
from tests.factories import metadata as make

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UNTIL = "2026-12-01T00:00:00Z"
SP = "https://sp.example.org/shibboleth"
OTHER = "https://other.example.org/shibboleth"


def service_provider(entity_id: str, key: str) -> str:
    """Write a service provider with the EC key of that name."""
    return make.entity(entity_id, make.service_provider(make.key_descriptor(make.ec_pair(key))))


def source(path: Path, document: str | bytes) -> MetadataSource:
    """Write a file that is trusted as it is."""
    path.write_bytes(document.encode() if isinstance(document, str) else document)
    return MetadataSource(path)


def signed_source(path: Path, document: str, signer: str, pinned: str) -> MetadataSource:
    """Write a file signed by one key and pinned to another, or the same."""
    certificate = path.with_suffix(".pem")
    certificate.write_bytes(make.rsa_pair(pinned).certificate_pem)
    return MetadataSource(source(path, make.sign(document, make.rsa_pair(signer))).file, certificate)


def find(path: Path, entity_id: str) -> Entity | None:
    """Ask the index."""
    return SqliteEntityDirectory(path).find_entity(entity_id, NOW)


def test_entities_of_all_sources_are_found(tmp_path: Path) -> None:
    """A signed aggregate and a file of one entity make one index."""
    federation = signed_source(tmp_path / "a.xml", make.aggregate(service_provider(SP, "a"), valid_until=UNTIL), "federation", "federation")
    report = build_index([federation, source(tmp_path / "b.xml", service_provider(OTHER, "b"))], tmp_path / "index", NOW)
    found = [find(tmp_path / "index", name) for name in (SP, OTHER)]

    assert (2, ()) == (report.count, report.warnings)
    assert [(make.ec_pair("a").public_key,), (make.ec_pair("b").public_key,)] == [entity.querying_keys for entity in found if entity]


def test_first_source_counts_and_affiliations_are_united(tmp_path: Path) -> None:
    """A later source cannot replace an entity, but it can list it in an affiliation."""
    groups = ["https://one.example.org", "https://two.example.org"]
    first = source(tmp_path / "a.xml", make.aggregate(service_provider(SP, "a"), make.affiliation(groups[0], SP)))
    second = source(tmp_path / "b.xml", make.aggregate(make.affiliation(groups[1], SP, OTHER), service_provider(SP, "b")))
    report = build_index([first, second], tmp_path / "index", NOW)
    entity = find(tmp_path / "index", SP)

    assert entity is not None
    assert (make.ec_pair("a").public_key,) == entity.querying_keys
    assert sorted(groups) == sorted(entity.affiliations)
    assert (f"{second.file}: {SP}: left out, an earlier source has this entityID",) == report.warnings


def test_bad_source_keeps_the_good_index(tmp_path: Path) -> None:
    """Every source must be trusted for the index to be replaced; all faults are reported together, each with its file."""
    good = source(tmp_path / "good.xml", service_provider(SP, "a"))
    build_index([good], tmp_path / "index", NOW)
    html = source(tmp_path / "page.xml", "<html/>")
    forged = signed_source(tmp_path / "forged.xml", make.aggregate(service_provider(OTHER, "b"), valid_until=UNTIL), "evil", "federation")
    missing = MetadataSource(tmp_path / "missing.xml")
    without_certificate = MetadataSource(good.file, tmp_path / "missing.pem")

    with pytest.raises(FaultyConfiguration) as failure:
        build_index([good, html, forged, missing, without_certificate], tmp_path / "index", NOW)
    assert [f"{bad}: " for bad in (html, forged, missing, without_certificate)] == [
        fault[: len(f"{bad}: ")] for fault, bad in zip(failure.value.faults, (html, forged, missing, without_certificate), strict=True)
    ]
    assert find(tmp_path / "index", SP) is not None
    assert find(tmp_path / "index", OTHER) is None
    assert not list(tmp_path.glob(".index*"))


def test_expired_source_is_refused_by_name(tmp_path: Path) -> None:
    """The fault of an expired file names it and says since when."""
    expired = source(tmp_path / "old.xml", make.aggregate(service_provider(SP, "a"), valid_until="2026-11-20T00:00:00Z"))

    with pytest.raises(OperatorError, match=r"old\.xml: it expired at 2026-11-20T00:00:00Z"):
        build_index([expired], tmp_path / "index", NOW)


def test_warnings_name_the_file(tmp_path: Path) -> None:
    """What is left out of a source is reported with the name of its file."""
    faulty = source(tmp_path / "a.xml", make.entity(SP, make.service_provider(make.x509_key_descriptor("AAAA"))))
    (warning,) = build_index([faulty], tmp_path / "index", NOW).warnings

    assert warning.startswith(f"{faulty.file}: {SP}: a key was left out")


def test_no_source_is_an_empty_index(tmp_path: Path) -> None:
    """Without sources nobody is known."""
    report = build_index([], tmp_path / "index", NOW)

    assert (0, None) == (report.count, find(tmp_path / "index", SP))
