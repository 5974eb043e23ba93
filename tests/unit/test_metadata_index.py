"""The index of entities: the same answers from memory and from the file, never an expired one, never a half-written file."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attribute_authority.domain.entity import AttributeName, Entity, Role, Scope
from attribute_authority.domain.identifiers import parse_entity_id
from attribute_authority.errors import CouldNotAsk, OperatorError
from attribute_authority.ports import EntityDirectory
from attribute_authority.saml.metadata_index import MemoryEntityDirectory, SqliteEntityDirectory, write_index
from attribute_authority.saml.metadata_reader import Affiliation

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SP = parse_entity_id("https://sp.example.org/shibboleth")
IDP = parse_entity_id("https://idp.example.org/ä?x=1&y='2'")
GROUP = parse_entity_id("https://group.example.org")
FULL = Entity(
    entity_id=SP,
    roles=frozenset(Role),
    querying_keys=(b"\x00\xff one", b"two"),
    requested_attributes=frozenset({AttributeName("urn:oid:1", "uri"), AttributeName("urn:oid:1", "basic"), AttributeName("ä", "uri")}),
    entity_categories=frozenset({"https://a.example/c", "https://b.example/c"}),
    registration_authority="http://www.csc.fi/haka",
    affiliations=frozenset({GROUP}),
    scopes=(Scope("example.org"), Scope(r"^.+\.example$", regexp=True)),
    valid_until=NOW + HOUR,
    asserting_keys=(b"three",),
    sign_on_url="https://sp.example.org/sso?ä=1",
    display_names=(("fi", "Yliopisto"), ("en", "University & more")),
)
EMPTY = Entity(IDP)
SAME_KEYS = Entity(parse_entity_id("https://same.example"), querying_keys=(b"one", b"two"), asserting_keys=(b"one", b"two"))

Open = Callable[[list[Entity]], EntityDirectory]


@pytest.fixture(params=["memory", "sqlite"])
def open_directory(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Each way to keep entities in turn."""

    def from_file(entities: list[Entity]) -> EntityDirectory:
        write_index(tmp_path / "index", entities)
        return SqliteEntityDirectory(tmp_path / "index")

    return from_file if request.param == "sqlite" else MemoryEntityDirectory


def index_of(path: Path, *entities: Entity) -> SqliteEntityDirectory:
    """Write an index and open it."""
    write_index(path, entities)
    return SqliteEntityDirectory(path)


def is_trusted(directory: EntityDirectory, now: datetime) -> bool:
    """Whether the service provider is found at `now`."""
    return directory.find_entity(SP, now) is not None


class TestEveryDirectory:
    """What holds wherever the entities are kept."""

    def test_entity_comes_back_as_it_was(self, open_directory: Open) -> None:
        """Every field survives, and asking again gives the same."""
        directory = open_directory([FULL, EMPTY, SAME_KEYS])

        for _ in range(2):
            assert [FULL, EMPTY, SAME_KEYS] == [directory.find_entity(entity.entity_id, NOW) for entity in (FULL, EMPTY, SAME_KEYS)]

    @pytest.mark.parametrize("name", ["", "https://sp.example.org/SHIBBOLETH", "https://sp.example.org/shibboleth ", "%", "x\0y", "\ud800"])
    def test_unknown_entity_is_none(self, open_directory: Open, name: str) -> None:
        """Names are compared exactly; an unknown one is absent, not an error."""
        assert open_directory([FULL]).find_entity(name, NOW) is None

    def test_expired_entity_is_none(self, open_directory: Open) -> None:
        """Validity is judged with every question, also for an entity that was answered before."""
        directory = open_directory([FULL])

        assert [True, False, True] == [is_trusted(directory, at) for at in (NOW, NOW + HOUR, NOW + HOUR - timedelta(microseconds=1))]

    def test_first_of_several_counts(self, open_directory: Open) -> None:
        """A second entity with the same entityID changes nothing."""
        directory = open_directory([FULL, Entity(SP, querying_keys=(b"evil",))])

        assert FULL == directory.find_entity(SP, NOW)


class TestKeys:
    """Finding entities by the keys that they ask with."""

    def test_entities_are_found_by_each_of_their_keys(self, open_directory: Open) -> None:
        """Whoever proves a key is every entity that has it, in the order of entityIDs, whole and again."""
        directory = open_directory([SAME_KEYS, EMPTY, FULL])

        for _ in range(2):
            assert (FULL,) == directory.find_entities_by_key(b"\x00\xff one", NOW)
            assert (SAME_KEYS, FULL) == directory.find_entities_by_key(b"two", NOW)

    @pytest.mark.parametrize("key", [b"", b"one ", b"ONE", b"three", b"\x00" * 32])
    def test_unknown_key_is_nobodys(self, open_directory: Open, key: bytes) -> None:
        """Keys are compared exactly, and those that only assertions are signed with do not count."""
        assert () == open_directory([FULL, SAME_KEYS]).find_entities_by_key(key, NOW)

    def test_expired_entity_is_not_found_by_its_key(self, open_directory: Open) -> None:
        """Validity is judged with every question, for each entity by itself."""
        directory = open_directory([FULL, SAME_KEYS])
        found = [directory.find_entities_by_key(b"two", at) for at in (NOW, NOW + HOUR, NOW)]

        assert [(SAME_KEYS, FULL), (SAME_KEYS,), (SAME_KEYS, FULL)] == found

    def test_further_entity_with_a_known_name_adds_no_key(self, open_directory: Open) -> None:
        """What was left out of the index is not found by its key, nor is the entity whose name it took."""
        directory = open_directory([FULL, Entity(SP, querying_keys=(b"evil",))])

        assert () == directory.find_entities_by_key(b"evil", NOW)

    def test_key_that_an_entity_lists_twice_finds_it_once(self, open_directory: Open) -> None:
        """The same key in two roles is one."""
        twice = Entity(SP, querying_keys=(b"one", b"one"))

        assert (twice,) == open_directory([twice]).find_entities_by_key(b"one", NOW)

    def test_new_index_is_seen_after_reopening(self, tmp_path: Path) -> None:
        """A key that was taken out of metadata counts until the worker is told, and not afterwards."""
        directory = index_of(tmp_path / "index", FULL)
        before = directory.find_entities_by_key(b"two", NOW)
        write_index(tmp_path / "index", [Entity(SP, querying_keys=(b"new",))])
        meanwhile = directory.find_entities_by_key(b"two", NOW)
        directory.reopen()

        assert ((FULL,), (FULL,), ()) == (before, meanwhile, directory.find_entities_by_key(b"two", NOW))

    def test_more_keys_than_are_kept_are_found(self, tmp_path: Path) -> None:
        """What was pushed out of memory is read again."""
        entities = [Entity(parse_entity_id(f"https://sp{n}.example"), querying_keys=(b"%d" % n, b"shared")) for n in range(4)]
        write_index(tmp_path / "index", entities)
        directory = SqliteEntityDirectory(tmp_path / "index", kept_entities=2)

        for _ in range(2):
            assert [(entity,) for entity in entities] == [directory.find_entities_by_key(b"%d" % n, NOW) for n in range(4)]
            assert tuple(entities) == directory.find_entities_by_key(b"shared", NOW)

    def test_index_that_cannot_be_read_is_could_not_ask(self, tmp_path: Path) -> None:
        """An index that cannot be read is never the same as an unknown key."""
        with pytest.raises(CouldNotAsk, match="index"):
            SqliteEntityDirectory(tmp_path / "index").find_entities_by_key(b"two", NOW)


class TestWriting:
    """How an index comes to be."""

    def test_report_counts_and_names_what_was_left_out(self, tmp_path: Path) -> None:
        """The report has the number of entities and a sentence for each that was left out."""
        report = write_index(tmp_path / "index", [FULL, EMPTY, Entity(SP)])

        assert 2 == report.count
        assert (f"{SP}: a further entity with this entityID was left out",) == report.warnings

    def test_writing_leaves_nothing_but_the_index(self, tmp_path: Path) -> None:
        """No temporary file stays behind."""
        write_index(tmp_path / "index", [FULL])

        assert ["index"] == [file.name for file in tmp_path.iterdir()]

    def test_fault_while_writing_keeps_the_old_index(self, tmp_path: Path) -> None:
        """An index is replaced as a whole or not at all."""
        directory = index_of(tmp_path / "index", FULL)

        with pytest.raises(OperatorError, match="half way"):
            write_index(tmp_path / "index", (_fail() for _ in range(1)))
        directory.reopen()
        assert is_trusted(directory, NOW)
        assert ["index"] == [file.name for file in tmp_path.iterdir()]

    def test_directory_that_does_not_exist_is_the_operators_fault(self, tmp_path: Path) -> None:
        """Where nothing can be written the fault names the file."""
        with pytest.raises(OperatorError, match="nowhere/index cannot be written"):
            write_index(tmp_path / "nowhere" / "index", [])


class TestReading:
    """How workers read an index."""

    def test_new_index_is_seen_after_reopening(self, tmp_path: Path) -> None:
        """A worker keeps the old index until it is told, then sees the new one."""
        directory = index_of(tmp_path / "index", FULL)
        before = directory.find_entity(SP, NOW)
        write_index(tmp_path / "index", [Entity(SP)])

        assert (FULL, FULL) == (before, directory.find_entity(SP, NOW))
        directory.reopen()
        assert Entity(SP) == directory.find_entity(SP, NOW)

    def test_old_index_stays_readable_while_it_is_replaced(self, tmp_path: Path) -> None:
        """An entity that was not asked for before is still read from the index that was opened."""
        directory = index_of(tmp_path / "index", FULL, EMPTY)
        directory.find_entity(SP, NOW)
        write_index(tmp_path / "index", [])

        assert EMPTY == directory.find_entity(IDP, NOW)

    @pytest.mark.parametrize("content", [None, b"", b"not a database" * 100])
    def test_missing_or_broken_index_is_could_not_ask(self, tmp_path: Path, content: bytes | None) -> None:
        """An index that cannot be read is never the same as an unknown entity."""
        if content is not None:
            (tmp_path / "index").write_bytes(content)

        with pytest.raises(CouldNotAsk, match="index"):
            SqliteEntityDirectory(tmp_path / "index").find_entity(SP, NOW)

    def test_index_of_another_version_is_could_not_ask(self, tmp_path: Path) -> None:
        """A file in a format of another version is not guessed at."""
        index_of(tmp_path / "index", FULL)
        connection = sqlite3.connect(tmp_path / "index")
        connection.execute("PRAGMA user_version = 99")
        connection.close()

        with pytest.raises(CouldNotAsk, match="of this version"):
            SqliteEntityDirectory(tmp_path / "index").find_entity(SP, NOW)

    def test_index_that_appears_later_is_found(self, tmp_path: Path) -> None:
        """A directory recovers without a restart once its file can be read."""
        directory = SqliteEntityDirectory(tmp_path / "a b?#%41")
        with pytest.raises(CouldNotAsk):
            directory.find_entity(SP, NOW)
        write_index(tmp_path / "a b?#%41", [FULL])

        assert FULL == directory.find_entity(SP, NOW)

    def test_only_so_many_entities_are_kept(self, tmp_path: Path) -> None:
        """What was not asked for longest is read anew; what was asked for is the same value."""
        write_index(tmp_path / "index", [Entity(parse_entity_id(f"https://sp{n}.example")) for n in range(4)])
        directory = SqliteEntityDirectory(tmp_path / "index", kept_entities=2)
        first, second = (directory.find_entity(f"https://sp{n}.example", NOW) for n in (0, 1))
        assert directory.find_entity("https://sp0.example", NOW) is first
        directory.find_entity("https://sp2.example", NOW)

        assert directory.find_entity("https://sp0.example", NOW) is first
        assert directory.find_entity("https://sp1.example", NOW) is not second


class TestThreads:
    """Several threads of the companion page ask at once."""

    def test_threads_share_a_directory(self, tmp_path: Path) -> None:
        """Many questions at once, more entities than are kept, and a new index in between: each answer is right."""
        entities = [Entity(parse_entity_id(f"https://sp{number}.example")) for number in range(8)]
        write_index(tmp_path / "index", entities)
        directory = SqliteEntityDirectory(tmp_path / "index", kept_entities=2)

        def ask(number: int) -> bool:
            if number % 97 == 0:
                directory.reopen()
            wanted = entities[number % len(entities)]
            return directory.find_entity(wanted.entity_id, NOW) == wanted

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(2000)))


class TestAffiliations:
    """Memberships expire by themselves."""

    def test_expired_affiliation_no_longer_lists_the_entity(self, tmp_path: Path) -> None:
        """When an affiliation expires its member stays, without it."""
        ending = Affiliation(GROUP, frozenset({SP, "https://unknown.example"}), NOW + HOUR)
        lasting = Affiliation(parse_entity_id("https://lasting.example"), frozenset({SP}))
        write_index(tmp_path / "index", [Entity(SP)], [ending, lasting])
        directory = SqliteEntityDirectory(tmp_path / "index")
        found = [directory.find_entity(SP, at) for at in (NOW, NOW + HOUR)]

        assert [{GROUP, lasting.affiliation_id}, {lasting.affiliation_id}] == [entity.affiliations for entity in found if entity]


def _fail() -> Entity:
    raise OperatorError("half way")
