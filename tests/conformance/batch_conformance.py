"""What every finder of many people at once does; a back end has fixtures `finder` and `links` that give the same empty store."""

from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
from attribute_authority.domain.link import KnownSubject
from attribute_authority.ports import BatchSubjectFinder, LinkStore
from tests.conformance.samples import (
    CARBERRY,
    HOME,
    MAIJA,
    NOW,
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


class BatchSubjectFinderConformance:
    """Finding many people at once."""

    def test_nobody_is_asked_about(self, finder: BatchSubjectFinder) -> None:
        """No question has no answer."""
        assert {} == finder.find_subjects((), PRODUCTION)

    def test_unknown_ones_are_absent(self, finder: BatchSubjectFinder, links: LinkStore) -> None:
        """Only who is known is in the answer, without an iD where none is in force."""
        linked = links.add_link(new_link(TEPPO))
        unlinked = links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))
        links.withdraw_link(unlinked.link_id, NOW)
        expected = {TEPPO: KnownSubject(linked.subject_id, HOME, CARBERRY), MAIJA: KnownSubject(unlinked.subject_id, HOME, None)}

        assert expected == finder.find_subjects([eppn("nobody"), TEPPO, MAIJA], PRODUCTION)

    def test_same_value_of_another_kind_or_qualifier_is_another(self, finder: BatchSubjectFinder, links: LinkStore) -> None:
        """Values that are alike are told apart as in a lookup of one."""
        links.add_link(new_link(persistent("AbC="), eppn("same")))
        others = [
            persistent("AbC=", service=OTHER_SERVICE),
            persistent("aBC="),
            parse_identifier(IdentifierKind.SUBJECT_ID, "same@yliopisto.example"),
            parse_identifier(IdentifierKind.PAIRWISE_ID, "same@yliopisto.example", None, SERVICE),
        ]

        assert [persistent("AbC=")] == list(finder.find_subjects([*others, persistent("AbC=")], PRODUCTION))

    def test_two_identifiers_of_one_person(self, finder: BatchSubjectFinder, links: LinkStore) -> None:
        """Each identifier has its answer, also where both are the same person's."""
        links.add_link(new_link(TEPPO, persistent("AbC=")))
        found = finder.find_subjects([TEPPO, persistent("AbC="), TEPPO], PRODUCTION)

        assert {TEPPO, persistent("AbC=")} == set(found)
        assert found[TEPPO] == found[persistent("AbC=")]

    def test_orcid_of_the_other_registry_is_not_found(self, finder: BatchSubjectFinder, links: LinkStore) -> None:
        """An iD of the other registry is never in the answer."""
        links.add_link(new_link(TEPPO, environment=SANDBOX))

        assert [None, CARBERRY] == [finder.find_subjects([TEPPO], each)[TEPPO].orcid for each in (PRODUCTION, SANDBOX)]

    def test_answers_are_those_of_single_questions(self, finder: BatchSubjectFinder, links: LinkStore) -> None:
        """More people than one statement takes are all found, whatever their number."""
        news = people(1_203)
        for outcome in links.add_links(news):
            stored(outcome)
        asked = [new.identifiers[0] for new in news]

        for count in (1, 20, 21, 1_000, 1_001, 1_203):
            found = finder.find_subjects(asked[:count], PRODUCTION)

            assert asked[:count] == sorted(found, key=asked.index)
            assert finder.find_subject(asked[count - 1], PRODUCTION) == found[asked[count - 1]]
