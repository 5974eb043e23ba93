"""What every change feed tells; a back end has fixtures `feed` and `links` that give the same empty store."""

from dataclasses import replace
from datetime import timedelta

from attribute_authority.domain.change import ChangeKind, ChangePage, LinkChange
from attribute_authority.domain.identifiers import EntityId, IdentifierKind, parse_identifier
from attribute_authority.domain.link import Link
from attribute_authority.ports import ChangeFeed, LinkingStore, LinkStore
from tests.conformance.samples import (
    CARBERRY,
    HOME,
    MAIJA,
    NOW,
    OTHER_HOME,
    OTHER_ORCID,
    PRODUCTION,
    SANDBOX,
    TEPPO,
    eppn,
    new_link,
    orcid_number,
    people,
    persistent,
    stored,
)

LATER = NOW + timedelta(hours=1)
SPELT = parse_identifier(IdentifierKind.EPPN, "Teppo@Yliopisto.Example")


def read_all(feed: ChangeFeed, *homes: EntityId, limit: int = 1_000) -> list[LinkChange]:
    """Read to the end, as a subscriber does."""
    found: list[LinkChange] = []
    page = ChangePage((), 0, more=True)
    while page.more:
        page = feed.read_changes(homes or (HOME,), PRODUCTION, page.last, limit)
        found.extend(page.changes)
    return found


def told(feed: ChangeFeed) -> list[tuple[ChangeKind, str | None]]:
    """Return kinds and iDs of everything that is told."""
    return [(change.kind, None if change.orcid is None else change.orcid.value) for change in read_all(feed)]


def linked_as(link: Link, change: LinkChange) -> LinkChange:
    """Make the change that tells of a link, with the number and instant of the one that was told."""
    return LinkChange(
        change.number, ChangeKind.LINKED, link.home_organisation, link.identifiers, link.orcid, link.environment, change.changed_at
    )


class ChangeFeedConformance:
    """Reading changes."""

    def test_nothing_has_happened(self, feed: ChangeFeed) -> None:
        """Where there is nothing to tell, reading goes on from where it was."""
        assert ChangePage((), 0, more=False) == feed.read_changes((HOME,), PRODUCTION, 0, 10)
        assert ChangePage((), 7, more=False) == feed.read_changes((HOME,), PRODUCTION, 7, 10)
        assert ChangePage((), 0, more=False) == feed.read_changes((), PRODUCTION, 0, 10)

    def test_link_is_told_with_every_identifier(self, feed: ChangeFeed, links: LinkStore) -> None:
        """A subscriber can keep a copy that finds by any identifier."""
        link = links.add_link(new_link(TEPPO, persistent("AbC=")))
        change = read_all(feed)[0]

        assert [linked_as(link, change)] == read_all(feed)
        assert NOW == change.changed_at

    def test_same_link_again_is_no_change(self, feed: ChangeFeed, links: LinkStore) -> None:
        """An import that is repeated tells nobody anything."""
        for _ in range(2):
            list(links.add_links(people(3)))
            links.add_link(new_link(TEPPO))

        assert 4 == len(read_all(feed))

    def test_withdrawal_is_told_instead_of_the_link(self, feed: ChangeFeed, links: LinkStore) -> None:
        """Who reads from the beginning never sees an iD that is not released any more."""
        link = links.add_link(new_link(TEPPO))
        before = feed.read_changes((HOME,), PRODUCTION, 0, 10)
        links.withdraw_link(link.link_id, LATER)
        change = read_all(feed)[0]

        assert [LinkChange(change.number, ChangeKind.WITHDRAWN, HOME, (TEPPO,), None, PRODUCTION, LATER)] == read_all(feed)
        assert (change,) == feed.read_changes((HOME,), PRODUCTION, before.last, 10).changes

    def test_withdrawal_comes_before_the_next_link(self, feed: ChangeFeed, links: LinkStore) -> None:
        """Whoever applies the changes in their order ends with the iD that is in force."""
        links.withdraw_link(links.add_link(new_link(TEPPO)).link_id, LATER)
        links.add_link(new_link(TEPPO, orcid=OTHER_ORCID))

        assert [(ChangeKind.WITHDRAWN, None), (ChangeKind.LINKED, OTHER_ORCID.value)] == told(feed)

    def test_second_withdrawal_and_conflict_are_no_change(self, feed: ChangeFeed, links: LinkStore) -> None:
        """What changes nothing is not told."""
        link = links.add_link(new_link(TEPPO))
        links.withdraw_link(link.link_id, NOW)
        links.withdraw_link(link.link_id, LATER)
        links.withdraw_link(4711, LATER)
        list(links.add_links([new_link(TEPPO), new_link(TEPPO, eppn("further"), orcid=OTHER_ORCID)]))
        list(links.check_links([new_link(MAIJA, orcid=OTHER_ORCID)]))

        assert [(ChangeKind.WITHDRAWN, None), (ChangeKind.LINKED, CARBERRY.value)] == told(feed)

    def test_further_identifiers_are_told(self, feed: ChangeFeed, links: LinkStore) -> None:
        """A copy learns of an identifier that came later."""
        links.add_link(new_link(TEPPO))
        last = feed.read_changes((HOME,), PRODUCTION, 0, 10).last
        link = links.add_link(new_link(TEPPO, eppn("further")))
        page = feed.read_changes((HOME,), PRODUCTION, last, 10)

        assert (linked_as(link, page.changes[0]),) == page.changes
        assert (TEPPO, eppn("further")) == link.identifiers

    def test_further_identifiers_of_somebody_without_a_link_are_not_told(self, feed: ChangeFeed, links: LinkStore) -> None:
        """A person whose link is withdrawn has nothing to tell."""
        link = links.add_link(new_link(TEPPO))
        links.add_link(new_link(TEPPO, eppn("further")))
        links.withdraw_link(link.link_id, LATER)

        assert [(ChangeKind.WITHDRAWN, None)] == told(feed)

    def test_home_organisations_are_apart(self, feed: ChangeFeed, links: LinkStore) -> None:
        """Nobody reads of another organisation's people; who may see several reads them in one order."""
        for number in range(6):
            home = (HOME, OTHER_HOME)[number % 2]
            links.add_link(new_link(eppn(f"person{number}"), orcid=orcid_number(number), home=home))
        both = read_all(feed, HOME, OTHER_HOME, limit=2)

        assert [HOME] * 3 == [change.home_organisation for change in read_all(feed, HOME)]
        assert [eppn(f"person{number}") for number in range(6)] == [change.identifiers[0] for change in both]
        assert [] == read_all(feed, EntityId("https://nobody.example"))

    def test_changes_of_the_other_registry_are_not_told(self, feed: ChangeFeed, links: LinkStore) -> None:
        """The sandbox registry is not told of, and a person's further identifiers are told where the link is."""
        links.add_link(new_link(TEPPO, environment=SANDBOX))
        links.add_link(new_link(TEPPO, eppn("further"), environment=SANDBOX))

        assert [] == read_all(feed)
        assert [(TEPPO, eppn("further"))] * 2 == [change.identifiers for change in feed.read_changes((HOME,), SANDBOX, 0, 10).changes]

    def test_reading_stands_still_while_others_are_busy(self, feed: ChangeFeed, links: LinkStore) -> None:
        """A subscriber whose organisation is quiet cannot read from its place when something happens at another one."""
        list(links.add_links(people(5)))

        assert ChangePage((), 0, more=False) == feed.read_changes((OTHER_HOME,), PRODUCTION, 0, 10)

    def test_reading_moves_on_where_nothing_is_told(self, feed: ChangeFeed, links: LinkStore) -> None:
        """What a subscriber is not told of its own organisation is not gone through again and again."""
        links.withdraw_link(links.add_link(new_link(TEPPO, environment=SANDBOX)).link_id, LATER)
        page = feed.read_changes((HOME,), PRODUCTION, 0, 10)

        assert ((), False) == (page.changes, page.more)
        assert page.last == feed.read_changes((HOME,), SANDBOX, 0, 10).last > 0

    def test_pages_follow_each_other(self, feed: ChangeFeed, links: LinkStore) -> None:
        """Page by page everything comes once, in the order of numbers, and the last page says that it is the last."""
        links.withdraw_link([stored(outcome).link_id for outcome in links.add_links(people(10))][4], LATER)
        everything = read_all(feed)
        pages = [feed.read_changes((HOME,), PRODUCTION, 0, 10), feed.read_changes((HOME,), PRODUCTION, 0, 9)]

        assert 10 == len(everything)
        assert sorted(change.number for change in everything) == [change.number for change in everything]
        assert [False, True] == [page.more for page in pages]
        for limit in (1, 3, 10, 11):
            assert everything == read_all(feed, limit=limit)


class SpellingConformance:
    """How a home organisation writes identifiers; a back end also has `linking`, the companion page's view of the same links."""

    def test_spelling_is_kept(self, links: LinkStore) -> None:
        """What a home organisation computes from is what it wrote, to the letter."""
        link = links.add_link(new_link(SPELT, MAIJA))

        assert [SPELT.spelling, None] == [item.spelling for item in link.identifiers]
        assert [SPELT.spelling, None] == [item.spelling for found in links.find_links() for item in found.identifiers]

    def test_sign_in_corrects_the_spelling(self, links: LinkStore, linking: LinkingStore, feed: ChangeFeed) -> None:
        """Whoever was entered in lower case is known as the home organisation writes them, after they signed in; that is a change."""
        links.add_link(new_link(TEPPO, eppn("second")))
        last = feed.read_changes((HOME,), PRODUCTION, 0, 10).last
        linking.recognise(HOME, (SPELT,), PRODUCTION, LATER)
        linking.recognise(HOME, (SPELT,), PRODUCTION, LATER)
        page = feed.read_changes((HOME,), PRODUCTION, last, 10)

        assert [[SPELT.spelling, None]] == [[item.spelling for item in change.identifiers] for change in page.changes]
        assert (CARBERRY, LATER) == (page.changes[0].orcid, page.changes[0].changed_at)

    def test_import_corrects_the_spelling(self, links: LinkStore, feed: ChangeFeed) -> None:
        """The same link with another spelling changes that alone, also twice in one file."""
        link = links.add_link(new_link(SPELT))
        other = replace(SPELT, spelling="TEPPO@yliopisto.example")
        outcomes = [stored(outcome) for outcome in links.add_links([new_link(SPELT), new_link(other), new_link(other)])]

        assert [link] * 3 == outcomes
        assert ["TEPPO@yliopisto.example"] == [item.spelling for found in links.find_links() for item in found.identifiers]
        assert [CARBERRY.value] * 2 == [orcid for _, orcid in told(feed)]

    def test_list_without_spellings_changes_nothing(self, links: LinkStore, linking: LinkingStore, feed: ChangeFeed) -> None:
        """An operator's list in lower case does not undo what a sign-in has told."""
        links.add_link(new_link(SPELT))
        links.add_link(new_link(TEPPO))
        linking.recognise(HOME, (TEPPO,), PRODUCTION, LATER)

        assert [SPELT.spelling] == [item.spelling for found in links.find_links() for item in found.identifiers]
        assert 1 == len(read_all(feed))

    def test_person_is_found_in_any_spelling(self, links: LinkStore) -> None:
        """A spelling makes no other person of an identifier."""
        links.add_link(new_link(SPELT))

        assert links.find_subject(TEPPO, PRODUCTION) == links.find_subject(SPELT, PRODUCTION)
        assert links.find_subject(TEPPO, PRODUCTION) is not None

    def test_further_identifiers_of_a_sign_in_are_told(self, links: LinkStore, linking: LinkingStore, feed: ChangeFeed) -> None:
        """What a sign-in brings reaches the subscribers, once."""
        links.add_link(new_link(TEPPO))
        last = feed.read_changes((HOME,), PRODUCTION, 0, 10).last
        for _ in range(2):
            linking.recognise(HOME, (TEPPO, persistent("AbC="), persistent("DeF=")), PRODUCTION, LATER)
        page = feed.read_changes((HOME,), PRODUCTION, last, 10)

        assert [{TEPPO, persistent("AbC="), persistent("DeF=")}] == [set(change.identifiers) for change in page.changes]
