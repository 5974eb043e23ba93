"""What every index of computed identifiers does; a back end has fixtures `index` and `links` that give the same empty store."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from attribute_authority.domain.identifiers import EntityId, IdentifierKind, parse_identifier
from attribute_authority.domain.source import PairwiseIndexName
from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from attribute_authority.ports import LinkStore, PairwiseIndex
from tests.conformance.samples import (
    HOME,
    MAIJA,
    NOW,
    OTHER_HOME,
    OTHER_ORCID,
    OTHER_SERVICE,
    PRODUCTION,
    SANDBOX,
    SERVICE,
    TEPPO,
    eppn,
    new_link,
    orcid_number,
    people,
    stored,
    unique_id,
)

NAME = PairwiseIndexName(HOME, SERVICE, IdentifierKind.EPPN, "salt-1")
SOON = NOW + timedelta(seconds=30)
LATER = NOW + timedelta(minutes=1)
SPELT = parse_identifier(IdentifierKind.EPPN, "Teppo@Yliopisto.Example")


def digest_of(text: str) -> bytes:
    """Compute as a home organisation might, with a salt."""
    return hashlib.sha256(b"salt!" + text.encode()).digest()


def sources(index: PairwiseIndex, text: str, name: PairwiseIndexName = NAME) -> tuple[str, ...] | None:
    """Ask for the identifier that is computed from a text."""
    return index.find_sources(name, digest_of(text))


class PairwiseIndexConformance:
    """Computed identifiers."""

    def test_index_that_was_not_built_is_none(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Not knowing is told apart from knowing that nobody has it, and following does not build."""
        links.add_link(new_link(TEPPO))

        assert 0 == index.follow(NAME, digest_of)
        assert sources(index, TEPPO.value) is None
        assert () == index.names(HOME)
        index.drop(NAME)

    def test_linked_people_are_found(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Each digest leads to the text that it was computed from, and another to none."""
        texts = [stored(outcome).identifiers[0].value for outcome in links.add_links(people(600))]

        assert 600 == index.build(NAME, digest_of, NOW)
        assert [(text,) for text in texts] == [sources(index, text) for text in texts]
        assert () == sources(index, "nobody@yliopisto.example")
        assert (NAME,) == index.names(HOME)

    def test_empty_index_is_complete(self, index: PairwiseIndex) -> None:
        """Where nobody is linked, nobody is found, which is an answer."""
        assert 0 == index.build(NAME, digest_of, NOW)
        assert () == sources(index, TEPPO.value)

    def test_only_linked_people_of_the_organisation_are_in_it(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Others, withdrawn ones, and identifiers of other kinds are left out; a link of either environment counts."""
        links.add_link(new_link(TEPPO, unique_id("uid"), environment=SANDBOX))
        links.add_link(new_link(TEPPO))
        links.withdraw_link(links.add_link(new_link(MAIJA, orcid=OTHER_ORCID)).link_id, NOW)
        links.add_link(new_link(eppn("other"), home=OTHER_HOME))

        assert 1 == index.build(NAME, digest_of, NOW)
        assert (TEPPO.value,) == sources(index, TEPPO.value)
        assert [()] * 3 == [sources(index, item.value) for item in (unique_id("uid"), MAIJA, eppn("other"))]

    def test_spelling_is_what_counts(self, index: PairwiseIndex, links: LinkStore) -> None:
        """A home organisation computes from what it wrote, not from the canonical form."""
        links.add_link(new_link(SPELT))
        index.build(NAME, digest_of, NOW)

        assert ("Teppo@Yliopisto.Example",) == sources(index, "Teppo@Yliopisto.Example")
        assert () == sources(index, SPELT.value)

    @pytest.mark.parametrize(
        "other",
        [
            replace(NAME, home_organisation=OTHER_HOME),
            replace(NAME, recipient=OTHER_SERVICE),
            replace(NAME, kind=IdentifierKind.UNIQUE_ID),
            replace(NAME, fingerprint="salt-2"),
        ],
        ids=["home", "recipient", "kind", "fingerprint"],
    )
    def test_indexes_are_apart(self, index: PairwiseIndex, links: LinkStore, other: PairwiseIndexName) -> None:
        """Whatever differs in the name makes another index, which is built and dropped by itself."""
        links.add_link(new_link(TEPPO))
        index.build(NAME, digest_of, NOW)
        before = sources(index, TEPPO.value, other)
        index.build(other, digest_of, NOW)
        index.drop(other)

        assert before is None
        assert sources(index, TEPPO.value, other) is None
        assert (TEPPO.value,) == sources(index, TEPPO.value)
        assert (NAME,) == index.names(HOME)

    def test_names_are_those_of_the_organisation(self, index: PairwiseIndex) -> None:
        """Each organisation's indexes are told, in whatever order they came."""
        second = replace(NAME, recipient=EntityId("urn:affiliation"))
        for name in (NAME, second, replace(NAME, home_organisation=OTHER_HOME)):
            index.build(name, digest_of, NOW)

        assert {NAME, second} == set(index.names(HOME))
        assert set(index.names(HOME)) < set(index.names())

    def test_dropped_index_is_none(self, index: PairwiseIndex, links: LinkStore) -> None:
        """What was dropped is not known, and may be built again."""
        links.add_link(new_link(TEPPO))
        index.build(NAME, digest_of, NOW)
        index.drop(NAME)

        assert sources(index, TEPPO.value) is None
        assert () == index.names(HOME)
        assert 1 == index.build(NAME, digest_of, NOW)

    def test_building_again_replaces(self, index: PairwiseIndex, links: LinkStore) -> None:
        """An index that is built a second time has what there is then."""
        first = links.add_link(new_link(TEPPO))
        index.build(NAME, digest_of, NOW)
        links.withdraw_link(first.link_id, NOW)
        links.add_link(new_link(MAIJA))

        assert 1 == index.build(NAME, digest_of, LATER)
        assert [(), (MAIJA.value,)] == [sources(index, item.value) for item in (TEPPO, MAIJA)]

    def test_value_of_two_people_is_told_for_both(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Where the texts of two people give the same digest, both are told; the caller decides."""
        links.add_link(new_link(TEPPO))
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        index.build(NAME, lambda _: b"\x7f" * 16, NOW)

        assert {TEPPO.value, MAIJA.value} == set(index.find_sources(NAME, b"\x7f" * 16) or ())


class FollowingConformance:
    """Keeping an index up to the last change."""

    def test_new_link_comes_in(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Who links is found as soon as the index has followed, with every identifier of the kind."""
        index.build(NAME, digest_of, NOW)
        links.add_link(new_link(TEPPO, eppn("second"), unique_id("uid")))
        before = sources(index, TEPPO.value)
        followed = index.follow(NAME, digest_of)

        assert ((), 1) == (before, followed)
        assert [(TEPPO.value,), (eppn("second").value,), ()] == [
            sources(index, item.value) for item in (TEPPO, eppn("second"), unique_id("uid"))
        ]

    def test_nothing_to_follow(self, index: PairwiseIndex, links: LinkStore) -> None:
        """What is in the index already is not followed again, nor what happened elsewhere."""
        links.add_link(new_link(TEPPO))
        index.build(NAME, digest_of, NOW)
        links.add_link(new_link(eppn("other"), home=OTHER_HOME))

        assert [0, 0] == [index.follow(NAME, digest_of) for _ in range(2)]

    def test_withdrawn_link_goes_out(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Who withdraws is not in the index any more, and comes back with a new link."""
        link = links.add_link(new_link(TEPPO))
        index.build(NAME, digest_of, NOW)
        links.withdraw_link(link.link_id, LATER)
        index.follow(NAME, digest_of)
        gone = sources(index, TEPPO.value)
        links.add_link(new_link(TEPPO))
        index.follow(NAME, digest_of)

        assert [(), (TEPPO.value,)] == [gone, sources(index, TEPPO.value)]

    def test_link_in_the_other_environment_keeps_a_person_in(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Only who has no link at all goes out."""
        link = links.add_link(new_link(TEPPO))
        links.add_link(new_link(TEPPO, environment=SANDBOX))
        index.build(NAME, digest_of, NOW)
        links.withdraw_link(link.link_id, LATER)
        index.follow(NAME, digest_of)

        assert (TEPPO.value,) == sources(index, TEPPO.value)

    def test_further_identifier_comes_in(self, index: PairwiseIndex, links: LinkStore) -> None:
        """An identifier that a person got later is found, and no other is found twice."""
        links.add_link(new_link(TEPPO))
        index.build(NAME, digest_of, NOW)
        links.add_link(new_link(TEPPO, eppn("second")))
        index.follow(NAME, digest_of)

        assert [(TEPPO.value,), (eppn("second").value,)] == [sources(index, item.value) for item in (TEPPO, eppn("second"))]

    def test_spelling_is_followed(self, index: PairwiseIndex, links: LinkStore) -> None:
        """What was computed from an earlier spelling goes out, what is computed from the present one comes in."""
        links.add_link(new_link(TEPPO))
        index.build(NAME, digest_of, NOW)
        for item in (SPELT, replace(SPELT, spelling="TEPPO@yliopisto.example")):
            links.add_link(new_link(item))
        index.follow(NAME, digest_of)

        expected = [(), (), ("TEPPO@yliopisto.example",)]
        assert expected == [sources(index, text) for text in (TEPPO.value, "Teppo@Yliopisto.Example", "TEPPO@yliopisto.example")]

    def test_many_changes_are_followed(self, index: PairwiseIndex, links: LinkStore) -> None:
        """More changes than one transaction takes are all followed; who linked and withdrew in between was never there."""
        before = [stored(outcome) for outcome in links.add_links(people(200))]
        index.build(NAME, digest_of, NOW)
        news = [new_link(eppn(f"new{number}"), orcid=orcid_number(10_000 + number)) for number in range(1_000)]
        after = [stored(outcome) for outcome in links.add_links(news)]
        withdrawn = [*before[::4], *after[::20]]
        for link in withdrawn:
            links.withdraw_link(link.link_id, LATER)

        assert 1_100 == index.follow(NAME, digest_of)
        texts = [link.identifiers[0].value for link in (*before, *after)]
        gone = {link.identifiers[0].value for link in withdrawn}
        assert [() if text in gone else (text,) for text in texts] == [sources(index, text) for text in texts]

    def test_link_that_comes_while_the_index_is_built_is_followed(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Nobody falls between what was read and what is followed."""
        links.add_link(new_link(TEPPO))
        late = iter([new_link(MAIJA, orcid=OTHER_ORCID)])

        def digest_while_somebody_links(text: str) -> bytes:
            for new in late:
                links.add_link(new)
            return digest_of(text)

        index.build(NAME, digest_while_somebody_links, NOW)
        index.follow(NAME, digest_of)

        assert [(TEPPO.value,), (MAIJA.value,)] == [sources(index, item.value) for item in (TEPPO, MAIJA)]

    def test_followers_at_once_do_each_change_once(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Several workers that follow at the same moment leave one record of each person."""
        index.build(NAME, digest_of, NOW)
        list(links.add_links(people(50)))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: index.follow(NAME, digest_of), range(8)))

        assert [(new.identifiers[0].value,) for new in people(50)] == [sources(index, new.identifiers[0].value) for new in people(50)]


class BuildingConformance:
    """What happens while an index is built."""

    @pytest.fixture
    def build_meanwhile(self, index: PairwiseIndex, links: LinkStore) -> Callable[[Callable[[], object]], object]:
        """Do something while somebody else is in the middle of building the index of one person, and return what came of it."""
        links.add_link(new_link(TEPPO))

        def run(work: Callable[[], object]) -> object:
            begun, done = threading.Event(), threading.Event()

            def digest_slowly(text: str) -> bytes:
                begun.set()
                done.wait(timeout=30)
                return digest_of(text)

            with ThreadPoolExecutor(1) as pool:
                building = pool.submit(index.build, NAME, digest_slowly, NOW)
                try:
                    begun.wait(timeout=30)
                    outcome = work()
                finally:
                    done.set()
                building.result(timeout=30)
            return outcome

        return run

    def test_second_builder_is_told_to_come_back(
        self, index: PairwiseIndex, build_meanwhile: Callable[[Callable[[], object]], object]
    ) -> None:
        """While one builds, another is told when to come back, and the index is there afterwards."""

        def build_too() -> SourceUnavailable:
            with pytest.raises(SourceUnavailable, match="is being built") as refused:
                index.build(NAME, digest_of, SOON)
            return refused.value

        refusal = build_meanwhile(build_too)

        assert isinstance(refusal, SourceUnavailable)
        assert 0 < refusal.retry_after <= 60
        assert (TEPPO.value,) == sources(index, TEPPO.value)

    def test_index_is_not_there_before_it_is_complete(
        self, index: PairwiseIndex, build_meanwhile: Callable[[Callable[[], object]], object]
    ) -> None:
        """A part of an index answers nothing, because "absent" would be a guess."""
        assert (None, ()) == build_meanwhile(lambda: (sources(index, TEPPO.value), index.names(HOME)))

    def test_earlier_index_answers_meanwhile(
        self, index: PairwiseIndex, links: LinkStore, build_meanwhile: Callable[[Callable[[], object]], object]
    ) -> None:
        """An index that is built anew answers on."""
        index.build(NAME, digest_of, NOW)

        assert (TEPPO.value,) == build_meanwhile(lambda: sources(index, TEPPO.value))

    def test_writers_are_not_held_up(self, links: LinkStore, build_meanwhile: Callable[[Callable[[], object]], object]) -> None:
        """Computing holds no lock: links are stored meanwhile."""
        build_meanwhile(lambda: links.add_link(new_link(MAIJA, orcid=OTHER_ORCID)))

        assert links.find_subject(MAIJA, PRODUCTION) is not None

    def test_failed_build_leaves_the_way_free(self, index: PairwiseIndex, links: LinkStore) -> None:
        """Where computing fails nothing is left, and somebody else may build at once."""
        links.add_link(new_link(TEPPO))

        def fail(_: str) -> bytes:
            raise CouldNotAsk("the salt cannot be read")

        with pytest.raises(CouldNotAsk, match="salt"):
            index.build(NAME, fail, NOW)
        assert sources(index, TEPPO.value) is None
        assert 1 == index.build(NAME, digest_of, NOW)


class PairwiseConformance(PairwiseIndexConformance, FollowingConformance, BuildingConformance):
    """Everything that an index does."""
