"""Computed identifiers: what the Shibboleth identity provider computes is found, and nothing else is."""

from base64 import b64encode
from pathlib import Path

import pytest
from pydantic import ValidationError

from attribute_authority.domain.identifiers import EntityId, IdentifierKind, parse_identifier
from attribute_authority.domain.source import Finding, PairwiseIndexName
from attribute_authority.errors import CouldNotAsk, OperatorError
from connectors import find_source_kind
from connectors._pairwise import Algorithm, Encoding, PairwiseHash, decode, encode
from connectors.conformance import CHECKS, Check, Specimen
from connectors.shibboleth_ids import COMPUTED_ID, ComputedIds, ComputedIdSettings
from tests.connectors.indexes import FakeIndex
from tests.connectors.surroundings import HOME, SERVICE, eppn, pairwise, persistent, surroundings

_SALT = b"example-salt-for-orcid-aa-tests!"
_PALVELU = "https://palvelu.example.fi/shibboleth"
_TEPPO = "teppo@yliopisto.fi"
_TEPPO_ID = "vGwQVzMkvQbYLciMvs9cR0E0IL4="
_TEPPO_BASE32 = "XRWBAVZTES6QNWBNZCGL5T24I5ATIIF6"
_TEPPO_SHA256 = "8qY/RrSrJg5PNU7yg/6urU3LZtAVI3RMeOaCw+6/5Yc="
_UID_ID = "MbipNKZyaJFx7LGnJGgdsN2cdLE="


class _Source:
    """Opens sources over one index, with a salt in a file."""

    def __init__(self, directory: Path, *people: str) -> None:
        self.salt_file = directory / "salt"
        self.salt_file.write_bytes(_SALT)
        self.index = FakeIndex(set(people or (_TEPPO, "äijä@yliopisto.fi", "liisa@yliopisto.fi")))

    def open(self, **keys: object) -> ComputedIds:
        """Open a source with these keys in its table."""
        table = {"kind": "computed-id", "salt_file": str(self.salt_file), **keys}
        source = COMPUTED_ID.open(ComputedIdSettings.model_validate(table), surroundings(self.index))
        assert isinstance(source, ComputedIds)
        return source


@pytest.fixture
def source(tmp_path: Path) -> _Source:
    """Teppo, Äijä and Liisa have linked."""
    return _Source(tmp_path)


@pytest.mark.parametrize(
    ("algorithm", "encoding", "value"),
    [("SHA-1", "base64", _TEPPO_ID), ("SHA-1", "base32", _TEPPO_BASE32), ("SHA-256", "base64", _TEPPO_SHA256)],
)
def test_a_persistent_identifier_is_resolved_to_the_identifier_that_it_was_computed_from(
    source: _Source, algorithm: Algorithm, encoding: Encoding, value: str
) -> None:
    """The service provider's own identifier of a person who linked leads to the person's ePPN."""
    computed = source.open(algorithm=algorithm, encoding=encoding)

    assert computed.resolve(persistent(value)) == Finding((eppn(_TEPPO),))


@pytest.mark.parametrize("wrong", [_TEPPO_ID.swapcase(), _TEPPO_ID[:-1], _TEPPO_ID + "=", _TEPPO_ID[:-2] + "5=", _TEPPO_BASE32, "AAAA"])
def test_a_persistent_identifier_is_compared_exactly(source: _Source, wrong: str) -> None:
    """Another case, other padding, other unused bits or another length make another identifier (core 8.3.7)."""
    assert source.open().resolve(persistent(wrong)) is None


def test_identifiers_for_somebody_else_are_nobodys(source: _Source) -> None:
    """An identifier counts towards its own recipient and from its own identity provider alone."""
    computed = source.open()

    assert computed.resolve(persistent(_TEPPO_ID, _PALVELU)) is None
    assert computed.resolve(persistent(_TEPPO_ID, name_qualifier="https://idp.muu.fi/idp")) is None
    assert computed.resolve(eppn(_TEPPO)) is None


def test_the_local_part_is_hashed_where_the_identity_provider_hashes_the_uid(source: _Source) -> None:
    """Uid as source attribute is the local part of the ePPN, and what is found is still the whole ePPN."""
    assert source.open(source_part="local-part").resolve(persistent(_UID_ID)) == Finding((eppn(_TEPPO),))


def test_everybody_with_the_same_local_part_is_named(tmp_path: Path) -> None:
    """Two scopes of one organisation share a uid: whether that is one person is not decided here."""
    source = _Source(tmp_path, _TEPPO, "teppo@aalto.fi")
    found = source.open(source_part="local-part").resolve(persistent(_UID_ID))

    assert found is not None
    assert set(found.identifiers) == {eppn(_TEPPO), eppn("teppo@aalto.fi")}


@pytest.mark.parametrize("unique_part", [_TEPPO_BASE32, _TEPPO_BASE32.lower(), _TEPPO_BASE32.title()])
def test_a_pairwise_id_is_resolved_without_regard_to_case(source: _Source, unique_part: str) -> None:
    """A pairwise-id is the same in every case (subject identifiers 3.4)."""
    computed = source.open(encoding="base32", pairwise_scope="Yliopisto.FI")

    assert computed.resolve(pairwise(f"{unique_part}@YLIOPISTO.fi")) == Finding((eppn(_TEPPO),))


@pytest.mark.parametrize("padding", ["", "===="])
def test_a_pairwise_id_may_have_lost_its_padding(source: _Source, padding: str) -> None:
    """Some drop the padding of base32, others keep it."""
    bare = encode(PairwiseHash(_SALT, "SHA-256", "whole").towards(SERVICE)(_TEPPO), "base32").rstrip("=")
    computed = source.open(algorithm="SHA-256", encoding="base32", pairwise_scope="yliopisto.fi")

    assert computed.resolve(pairwise(f"{bare}{padding}@yliopisto.fi")) == Finding((eppn(_TEPPO),))
    assert computed.resolve(pairwise(f"{bare}=@yliopisto.fi")) is None


def test_a_pairwise_id_of_another_scope_or_of_nobody_in_particular_is_nobodys(source: _Source) -> None:
    """The scope must be the configured one, and the recipient known."""
    computed = source.open(encoding="base32", pairwise_scope="yliopisto.fi")

    assert computed.resolve(pairwise(f"{_TEPPO_BASE32}@aalto.fi")) is None
    assert computed.resolve(pairwise(f"{_TEPPO_BASE32}@yliopisto.fi", None)) is None
    assert source.open(encoding="base32").kinds == {IdentifierKind.PERSISTENT}


def test_pairwise_ids_need_base32(source: _Source) -> None:
    """base64 does not survive a comparison without regard to case."""
    with pytest.raises(ValidationError, match="base32"):
        source.open(encoding="base64", pairwise_scope="yliopisto.fi")


def test_the_spelling_of_the_home_organisation_is_what_is_hashed(tmp_path: Path) -> None:
    """The identity provider folds nothing, so the index holds the spelling, and the finding its canonical form."""
    source = _Source(tmp_path, "Teppo@Yliopisto.FI")
    value = encode(PairwiseHash(_SALT, "SHA-1", "whole").towards(SERVICE)("Teppo@Yliopisto.FI"), "base64")

    assert source.open().resolve(persistent(value)) == Finding((eppn(_TEPPO),))
    assert source.open().resolve(persistent(_TEPPO_ID)) is None


def test_the_index_is_made_once_for_each_recipient(source: _Source) -> None:
    """The first question of a recipient makes its index, and later ones read it."""
    computed = source.open()
    for _ in range(3):
        computed.resolve(persistent(_TEPPO_ID))
        computed.resolve(persistent("k7uuKA47yuufN5QAgfX1MplShJk=", _PALVELU))

    assert source.index.built == 2


def test_whoever_links_later_is_found_at_the_next_question(source: _Source) -> None:
    """A miss looks at what has changed before it is one."""
    computed = source.open()
    source.index.people.remove(_TEPPO)

    assert computed.resolve(persistent(_TEPPO_ID)) is None

    source.index.people.add(_TEPPO)

    assert computed.resolve(persistent(_TEPPO_ID)) == Finding((eppn(_TEPPO),))


def test_a_change_that_another_worker_followed_meanwhile_is_seen(source: _Source) -> None:
    """That there was nothing left to follow does not mean that nothing had changed since the miss."""

    class Overtaken(FakeIndex):
        """Another worker follows between a miss and our own following."""

        def follow(self, name: PairwiseIndexName, digest_of: object) -> int:
            """Tell of no changes."""
            super().follow(name, PairwiseHash(_SALT, "SHA-1", "whole").towards(name.recipient))
            return 0

    source.index = Overtaken({"liisa@yliopisto.fi"})
    computed = source.open()

    assert computed.resolve(persistent(_TEPPO_ID)) is None

    source.index.people.add(_TEPPO)

    assert computed.resolve(persistent(_TEPPO_ID)) == Finding((eppn(_TEPPO),))


def test_a_hit_counts_only_when_it_is_computed_again(source: _Source) -> None:
    """An index that says what cannot be is not believed."""
    computed = source.open()
    computed.resolve(persistent(_TEPPO_ID))
    name = PairwiseIndexName(HOME, SERVICE, IdentifierKind.EPPN, computed.fingerprint)
    digest = decode(_TEPPO_ID, "base64") or b""
    source.index.misfile(name, digest, ["liisa@yliopisto.fi", _TEPPO])

    assert computed.resolve(persistent(_TEPPO_ID)) == Finding((eppn(_TEPPO),))


def test_following_all_leaves_the_indexes_of_others_alone(source: _Source) -> None:
    """A source follows what it made itself: it does not know how the others compute."""
    ours, others = source.open(), source.open(algorithm="SHA-256")
    for computed in (ours, others):
        computed.resolve(persistent(_TEPPO_ID))
        computed.resolve(persistent(_TEPPO_SHA256))
    source.index.people.add("matti@yliopisto.fi")

    assert ours.follow_all() == 1
    assert ours.follow_all() == 0
    assert others.follow_all() == 1


def test_the_fingerprint_depends_on_all_that_a_digest_depends_on_and_on_nothing_else(source: _Source) -> None:
    """Another salt, algorithm, kind or part makes another index; another encoding or scope does not, nor a restart."""
    same = [source.open(), source.open(encoding="base32", pairwise_scope="yliopisto.fi")]
    different = [source.open(algorithm="SHA-256"), source.open(source_part="local-part"), source.open(source_identifier="subject-id")]
    source.salt_file.write_bytes(_SALT + b"!")
    different.append(source.open())

    assert len({computed.fingerprint for computed in same}) == 1
    assert len({computed.fingerprint for computed in (*same, *different)}) == 5


def test_an_index_that_cannot_be_reached_is_no_absence(source: _Source) -> None:
    """A store that is away ends in CouldNotAsk, in check as well."""
    computed = source.open()
    source.index.is_away = True

    with pytest.raises(CouldNotAsk):
        computed.resolve(persistent(_TEPPO_ID))
    with pytest.raises(CouldNotAsk):
        computed.check()


def test_an_index_that_is_dropped_meanwhile_is_no_absence(source: _Source) -> None:
    """Where the index goes away right after it was made, nothing is known about the person."""

    class Forgetful(FakeIndex):
        """Never has a complete index."""

        def find_sources(self, name: PairwiseIndexName, digest: bytes) -> None:
            """Return that there is none."""

    source.index = Forgetful(set())

    with pytest.raises(CouldNotAsk):
        source.open().resolve(persistent(_TEPPO_ID))


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_salt_with_a_line_break_at_its_end_is_refused_with_advice(source: _Source, ending: bytes) -> None:
    """The classic mistake is found when the source is opened, not when nobody is ever found."""
    source.salt_file.write_bytes(_SALT + ending)

    with pytest.raises(OperatorError, match=r"line break.*printf %s") as refused:
        source.open()

    assert _SALT.decode() not in refused.value.cause


def test_an_encoded_salt_is_decoded(source: _Source) -> None:
    """What stands in idp.persistentId.encodedSalt is taken as it stands there, with or without a line break after it."""
    source.salt_file.write_bytes(b64encode(_SALT) + b"\n")

    assert source.open(salt_encoding="base64").resolve(persistent(_TEPPO_ID)) == Finding((eppn(_TEPPO),))


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        (b"fifteen octets!", "raw", "15 octets: expected at least 16"),
        (b"", "raw", "0 octets"),
        (b64encode(b"fifteen octets!"), "base64", "15 octets"),
        (b"no base64, but long enough", "base64", "no base64"),
    ],
)
def test_a_salt_that_cannot_be_is_refused_and_not_repeated(source: _Source, content: bytes, encoding: str, expected: str) -> None:
    """What is wrong is said with the name of the file and nothing of its content."""
    source.salt_file.write_bytes(content)

    with pytest.raises(OperatorError, match=expected) as refused:
        source.open(salt_encoding=encoding)

    assert str(source.salt_file) in refused.value.cause
    assert not content or content.decode() not in refused.value.cause


def test_a_missing_salt_is_the_operators_business(source: _Source) -> None:
    """The file is named."""
    source.salt_file.unlink()

    with pytest.raises(OperatorError, match="salt: cannot be read: No such file"):
        source.open()


def test_other_source_identifiers_are_told_as_such(tmp_path: Path) -> None:
    """What was computed from a subject-id leads to the subject-id."""
    source = _Source(tmp_path, "t17@yliopisto.fi")
    value = encode(PairwiseHash(_SALT, "SHA-1", "whole").towards(SERVICE)("t17@yliopisto.fi"), "base64")
    found = source.open(source_identifier="subject-id").resolve(persistent(value))

    assert found == Finding((parse_identifier(IdentifierKind.SUBJECT_ID, "t17@yliopisto.fi"),))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", [IdentifierKind.PERSISTENT, IdentifierKind.PAIRWISE_ID])
def test_computed_ids_do_what_every_source_must(source: _Source, kind: IdentifierKind, check: Check) -> None:
    """The checks for third parties hold here."""
    scoped = kind is IdentifierKind.PAIRWISE_ID
    known, unknown = (_TEPPO_BASE32, "AAWBAVZTES6QNWBNZCGL5T24I5ATIIF6")
    made = (lambda value: pairwise(f"{value}@yliopisto.fi")) if scoped else persistent

    check(
        Specimen(
            open_source=lambda: source.open(encoding="base32", pairwise_scope="yliopisto.fi" if scoped else None),
            known=made(known),
            expected=Finding((eppn(_TEPPO),)),
            unknown=made(unknown),
            secrets=(_SALT.decode(), repr(_SALT), _SALT.hex()),
        )
    )


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds it by its name."""
    assert find_source_kind("computed-id") is COMPUTED_ID


def test_an_affiliation_is_a_recipient_like_any_other(source: _Source) -> None:
    """Where an identifier is issued for an affiliation, its SPNameQualifier is what was hashed."""
    affiliation = EntityId("https://kirjastot.example.fi/affiliation")
    value = encode(PairwiseHash(_SALT, "SHA-1", "whole").towards(affiliation)(_TEPPO), "base64")

    assert source.open().resolve(persistent(value, affiliation)) == Finding((eppn(_TEPPO),))
