"""What every link store does; a back end proves itself with a subclass and a fixture `links` that gives an empty store."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from attribute_authority.domain.identifiers import Identifier, IdentifierKind, OrcidId, parse_identifier
from attribute_authority.domain.link import KnownSubject, Link, LinkSource, NewLink
from attribute_authority.errors import Conflict, OrcidTaken, OtherOrcidLinked, SubjectsDiffer
from attribute_authority.ports import LinkStore
from tests.conformance.samples import (
    CARBERRY,
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
    people,
    persistent,
    stored,
)

AWKWARD = (
    "o'brien",
    'say"what"',
    "'; DROP TABLE link; --",
    "%s%(kind)s:value?",
    "back\\slash",
    "äijä-ÅÄÖ-ß",
    "👩🏽‍🔬",
    "e\u0301",
    "\u00e9",
    "null",
    "<b>&amp;</b>",
    "\u202eevil",
)


def orcid_of(links: LinkStore, identifier: Identifier) -> OrcidId | None:
    """Return the iD in force in production of a person who is known."""
    found = links.find_subject(identifier, PRODUCTION)
    assert found is not None
    return found.orcid


class LookupConformance:
    """Finding a person by an identifier."""

    def test_unknown_identifier_is_none(self, links: LinkStore) -> None:
        """A person who is not known is None, not an error."""
        links.add_link(new_link(TEPPO))

        assert links.find_subject(MAIJA, PRODUCTION) is None

    def test_person_is_found_by_every_identifier(self, links: LinkStore) -> None:
        """Each identifier of a link leads to the same subject and iD."""
        identifiers = (
            TEPPO,
            parse_identifier(IdentifierKind.UNIQUE_ID, "28c5353b8bb34984a8bd4169ba94c606@yliopisto.example"),
            parse_identifier(IdentifierKind.SUBJECT_ID, "idm123456789@yliopisto.example"),
            parse_identifier(IdentifierKind.PAIRWISE_ID, "hgx2=@yliopisto.example", None, SERVICE),
            persistent("Vl6z6K70iLc4AuBoNeb59Dj1rGw="),
        )
        link = links.add_link(new_link(*identifiers))
        expected = KnownSubject(link.subject_id, HOME, CARBERRY)

        assert [expected] * 5 == [links.find_subject(identifier, PRODUCTION) for identifier in identifiers]

    def test_case_of_an_eppn_does_not_matter(self, links: LinkStore) -> None:
        """An ePPN that was stored in mixed case is found in any case."""
        links.add_link(new_link(eppn("Teppo.Testaaja")))

        assert orcid_of(links, eppn("TEPPO.testaaja")) == CARBERRY

    def test_case_of_a_persistent_id_matters(self, links: LinkStore) -> None:
        """A persistent NameID that differs in the case of one letter is another person's."""
        links.add_link(new_link(persistent("AbC=")))

        assert links.find_subject(persistent("aBC="), PRODUCTION) is None

    @pytest.mark.parametrize(
        "other",
        [
            persistent("AbC=", service=OTHER_SERVICE),
            persistent("AbC=", home=OTHER_HOME),
            parse_identifier(IdentifierKind.PAIRWISE_ID, "abc=@yliopisto.example"),
        ],
        ids=["service", "home", "kind"],
    )
    def test_qualifiers_and_kind_are_part_of_an_identifier(self, links: LinkStore, other: Identifier) -> None:
        """The same value with another qualifier or of another kind is another identifier."""
        links.add_link(
            new_link(persistent("AbC="), parse_identifier(IdentifierKind.PAIRWISE_ID, "abc=@yliopisto.example", None, SERVICE)),
        )

        assert links.find_subject(other, PRODUCTION) is None

    @pytest.mark.parametrize("text", AWKWARD, ids=ascii)
    def test_awkward_characters_are_found_exactly(self, links: LinkStore, text: str) -> None:
        """Whatever characters an identifier has, it comes back as it is, and nothing near it is found."""
        awkward = persistent(text.replace(" ", ""), service=f"https://sp.example.org/{text.replace(' ', '')}".replace("!", ""))
        link = links.add_link(new_link(awkward))

        assert (awkward,) == link.identifiers
        assert orcid_of(links, awkward) == CARBERRY
        assert links.find_subject(replace(awkward, value=awkward.value + "'"), PRODUCTION) is None

    def test_composed_and_decomposed_characters_are_different(self, links: LinkStore) -> None:
        """No back end normalises Unicode: two spellings that look alike are two people."""
        links.add_link(new_link(persistent("e\u0301")))

        assert links.find_subject(persistent("\u00e9"), PRODUCTION) is None

    def test_environments_are_apart(self, links: LinkStore) -> None:
        """An iD of the sandbox registry is never the answer of a production service, and each may have its own."""
        links.add_link(new_link(TEPPO, environment=SANDBOX))
        before = orcid_of(links, TEPPO)
        links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))
        in_sandbox = links.find_subject(TEPPO, SANDBOX)

        assert before is None
        assert in_sandbox is not None
        assert (CARBERRY, OTHER_ORCID) == (in_sandbox.orcid, orcid_of(links, TEPPO))


class AddConformance:
    """Storing one link."""

    def test_link_comes_back_complete(self, links: LinkStore) -> None:
        """What is returned, and what is listed, is what was given."""
        given = NewLink(HOME, (TEPPO, persistent("AbC=")), CARBERRY, PRODUCTION, LinkSource.IMPORT, NOW)
        link = links.add_link(given)
        expected = Link(link.link_id, link.subject_id, HOME, given.identifiers, CARBERRY, PRODUCTION, LinkSource.IMPORT, NOW, None)

        assert expected == link
        assert [expected] == list(links.find_links())

    def test_instant_of_another_zone_stays_the_same_instant(self, links: LinkStore) -> None:
        """The zone that an instant was written in does not move it."""
        helsinki = datetime(2026, 7, 1, 15, 30, tzinfo=timezone(timedelta(hours=3)))
        link = links.add_link(new_link(TEPPO, linked_at=helsinki))

        assert helsinki == link.linked_at
        assert [helsinki] == [listed.linked_at for listed in links.find_links()]

    def test_same_link_again_changes_nothing(self, links: LinkStore) -> None:
        """Storing a link twice gives the link that is there, with its first instant."""
        first = links.add_link(new_link(TEPPO))
        second = links.add_link(new_link(TEPPO, linked_at=NOW + timedelta(days=1)))

        assert first == second
        assert links.count_links() == 1

    def test_same_link_with_more_identifiers_adds_them(self, links: LinkStore) -> None:
        """Further identifiers of a person come to the known ones."""
        links.add_link(new_link(TEPPO))
        link = links.add_link(new_link(persistent("AbC="), TEPPO))

        assert (TEPPO, persistent("AbC=")) == link.identifiers
        assert orcid_of(links, persistent("AbC=")) == CARBERRY

    def test_identifier_given_twice_is_stored_once(self, links: LinkStore) -> None:
        """A repetition within one link is not a conflict."""
        link = links.add_link(new_link(TEPPO, TEPPO))

        assert (TEPPO,) == link.identifiers

    def test_same_orcid_at_two_home_organisations(self, links: LinkStore) -> None:
        """A person who works in two places has one iD and two subjects."""
        here = links.add_link(new_link(TEPPO))
        there = links.add_link(new_link(MAIJA, home=OTHER_HOME))

        assert here.subject_id != there.subject_id
        assert [here, there] == list(links.find_links(orcid=CARBERRY))

    @pytest.mark.parametrize(
        ("contradiction", "kind"),
        [
            (new_link(TEPPO, MAIJA), SubjectsDiffer),
            (new_link(TEPPO, eppn("further"), home=OTHER_HOME), SubjectsDiffer),
            (new_link(TEPPO, eppn("further"), orcid=OrcidId("0000-0002-9079-593X")), OtherOrcidLinked),
            (new_link(eppn("further")), OrcidTaken),
            (new_link(), Conflict),
        ],
        ids=["two-subjects", "other-home", "other-orcid", "orcid-of-another-subject", "no-identifier"],
    )
    def test_conflict_leaves_everything_as_it_was(self, links: LinkStore, contradiction: NewLink, kind: type[Conflict]) -> None:
        """What contradicts a stored link is refused by its own name, and not even its further identifiers are kept."""
        links.add_link(new_link(TEPPO))
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        before = list(links.find_links(withdrawn=True))

        with pytest.raises(Conflict) as refused:
            links.add_link(contradiction)

        assert kind is type(refused.value)
        assert before == list(links.find_links(withdrawn=True))
        assert links.find_subject(eppn("further"), PRODUCTION) is None

    def test_conflict_names_what_is_in_the_way(self, links: LinkStore) -> None:
        """The operator reads which iD must go first."""
        links.add_link(new_link(TEPPO))

        with pytest.raises(Conflict, match=rf"{TEPPO}.*{CARBERRY.value}.*{OTHER_ORCID.value}"):
            links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))


class ImportConformance:
    """Storing many links."""

    def test_outcomes_come_in_order(self, links: LinkStore) -> None:
        """Every link has its outcome, and all are stored, over more than one transaction."""
        news = people(250)
        outcomes = [stored(outcome) for outcome in links.add_links(iter(news))]

        assert [new.identifiers for new in news] == [link.identifiers for link in outcomes]
        assert links.count_links() == 250

    def test_conflict_leaves_the_others_alone(self, links: LinkStore) -> None:
        """A link that contradicts one of the same batch is told in its place; those before and after it are stored."""
        outcomes = list(links.add_links([new_link(TEPPO), new_link(TEPPO, orcid=OTHER_ORCID), new_link(MAIJA, orcid=OTHER_ORCID)]))

        assert [Link, OtherOrcidLinked, Link] == [type(outcome) for outcome in outcomes]
        assert (CARBERRY, OTHER_ORCID) == (orcid_of(links, TEPPO), orcid_of(links, MAIJA))

    def test_import_may_be_repeated(self, links: LinkStore) -> None:
        """The same file again gives the same links."""
        first = list(links.add_links(people(3)))

        assert first == list(links.add_links(people(3)))
        assert links.count_links() == 3

    def test_check_tells_what_an_import_would_and_stores_nothing(self, links: LinkStore) -> None:
        """A rehearsal finds conflicts with what is stored and within the file, over more than one batch."""
        links.add_link(new_link(TEPPO))
        news = [new_link(MAIJA), *people(250), new_link(TEPPO, eppn("further")), *people(2), new_link(eppn("person1"), eppn("person249"))]
        checked = [type(outcome) for outcome in links.check_links(news)]
        count = links.count_links()
        imported = [type(outcome) if isinstance(outcome, Conflict) else type(None) for outcome in links.add_links(news)]

        assert count == 1
        assert imported == checked
        assert {0: OrcidTaken, 254: SubjectsDiffer} == {n: outcome for n, outcome in enumerate(checked) if outcome is not type(None)}

    def test_nothing_to_import(self, links: LinkStore) -> None:
        """An empty file is no error."""
        assert [] == list(links.add_links([]))


class WithdrawConformance:
    """Withdrawing a link."""

    def test_withdrawn_link_is_not_found_any_more(self, links: LinkStore) -> None:
        """The person stays known, without an iD."""
        link = links.add_link(new_link(TEPPO))
        withdrawn = links.withdraw_link(link.link_id, NOW + timedelta(hours=1))

        assert replace(link, withdrawn_at=NOW + timedelta(hours=1)) == withdrawn
        assert links.find_subject(TEPPO, PRODUCTION) == KnownSubject(link.subject_id, HOME, None)

    def test_second_withdrawal_is_none(self, links: LinkStore) -> None:
        """A link is withdrawn once, and keeps that instant."""
        link = links.add_link(new_link(TEPPO))
        first = links.withdraw_link(link.link_id, NOW)

        assert links.withdraw_link(link.link_id, NOW + timedelta(days=1)) is None
        assert [first] == list(links.find_links(withdrawn=True))

    @pytest.mark.parametrize("link_id", [0, -1, 4711, 2**63, 10**30])
    def test_unknown_link_is_none(self, links: LinkStore, link_id: int) -> None:
        """A number that no link has, however large, is nothing to withdraw."""
        assert links.withdraw_link(link_id, NOW) is None

    def test_other_orcid_can_be_linked_after_a_withdrawal(self, links: LinkStore) -> None:
        """A withdrawn link is in nobody's way, and is kept."""
        first = links.add_link(new_link(TEPPO))
        links.withdraw_link(first.link_id, NOW)
        second = links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))

        assert first.subject_id == second.subject_id
        assert orcid_of(links, TEPPO) == OTHER_ORCID
        assert [first.link_id, second.link_id] == [link.link_id for link in links.find_links(withdrawn=True)]

    def test_withdrawn_orcid_can_go_to_another_subject(self, links: LinkStore) -> None:
        """An iD that was linked to the wrong person can be linked to the right one."""
        links.withdraw_link(links.add_link(new_link(TEPPO)).link_id, NOW)
        links.add_link(new_link(MAIJA))

        assert orcid_of(links, TEPPO) is None
        assert orcid_of(links, MAIJA) == CARBERRY

    def test_same_orcid_again_is_a_new_link(self, links: LinkStore) -> None:
        """A withdrawn link does not come back to life; linking again makes another."""
        first = links.add_link(new_link(TEPPO))
        links.withdraw_link(first.link_id, NOW)

        assert first.link_id != links.add_link(new_link(TEPPO)).link_id


class ListConformance:
    """Listing links."""

    def test_order_and_count(self, links: LinkStore) -> None:
        """Links come in the order of their numbers; withdrawn ones only where asked for."""
        numbers = [stored(outcome).link_id for outcome in links.add_links(people(4))]
        links.withdraw_link(numbers[1], NOW)

        assert sorted(numbers) == numbers
        assert [numbers[0], numbers[2], numbers[3]] == [link.link_id for link in links.find_links()]
        assert numbers == [link.link_id for link in links.find_links(withdrawn=True)]
        assert (3, 4) == (links.count_links(), links.count_links(withdrawn=True))

    def test_narrowed_to_a_person(self, links: LinkStore) -> None:
        """Any identifier of a person gives all links of that person, with all identifiers."""
        link = links.add_link(new_link(TEPPO, persistent("AbC=")))
        in_sandbox = links.add_link(new_link(TEPPO, environment=SANDBOX))
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))

        assert [link, in_sandbox] == list(links.find_links(identifier=persistent("AbC=")))

    def test_narrowed_to_an_orcid(self, links: LinkStore) -> None:
        """Only links of that iD come, and with an identifier only those of both."""
        links.add_link(new_link(TEPPO))
        other = links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))

        assert [other] == list(links.find_links(orcid=OTHER_ORCID))
        assert [] == list(links.find_links(identifier=TEPPO, orcid=OTHER_ORCID))

    def test_unknown_person_has_no_links(self, links: LinkStore) -> None:
        """An identifier that nobody has gives an empty listing."""
        links.add_link(new_link(TEPPO))

        assert [] == list(links.find_links(identifier=MAIJA))


class LinkStoreConformance(LookupConformance, AddConformance, ImportConformance, WithdrawConformance, ListConformance):
    """Everything that a link store does."""
