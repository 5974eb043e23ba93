"""What every database does for the companion page when threads, workers and nodes work at once; part of `companion_conformance`."""

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import func, select, text

from attribute_authority.domain.link import Link, NewLink
from attribute_authority.domain.linking import Completion
from attribute_authority.errors import AuthorityError, FormOver, OrcidTaken, OtherOrcidLinked, SubjectsDiffer
from attribute_authority.storage.companion import SqlCompanionStore
from attribute_authority.storage.engine import Patience, make_working_engine, parse_url
from attribute_authority.storage.tables import consent, identifier, link, subject
from tests.conformance.conftest import Opening, OpeningCompanion
from tests.conformance.linking_samples import LATER, LEASE, MUCH_LATER, link_with_grant
from tests.conformance.samples import (
    GRANT,
    HELD_UNTIL,
    HOME,
    MAIJA,
    NOW,
    OTHER_ORCID,
    PRODUCTION,
    TEPPO,
    completion,
    held_grant,
    new_link,
    persistent,
)
from tests.conformance.states_conformance import SOON
from tests.conformance.together import at_once

ROUNDS = 5
TABLES_OF_A_LINKING = (subject, identifier, link, consent)


def execute(url: str, statement: str) -> None:
    """Change the database behind the back of the service."""
    with make_working_engine(parse_url(url), Patience()).connect() as connection:
        connection.execute(text(statement))


def row_counts(url: str) -> list[int]:
    """Return how many rows each table has that a linking writes."""
    with make_working_engine(parse_url(url), Patience()).connect() as connection:
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES_OF_A_LINKING]


def outcome_kinds(outcomes: list[Link | AuthorityError]) -> list[str]:
    """Return what came of several pieces of work, in the order of names."""
    return sorted(type(outcome).__name__ for outcome in outcomes)


def attempt(store: SqlCompanionStore, wanted: Completion) -> Link | AuthorityError:
    """Complete, or return why not."""
    try:
        return store.complete(wanted)
    except AuthorityError as failure:
        return failure


class ConcurrencyConformance:
    """Several threads, workers and nodes at once."""

    @pytest.fixture
    def workers(self, opening_companion: OpeningCompanion, url: str) -> list[SqlCompanionStore]:
        """Two workers on one database."""
        return [opening_companion(url, pool_size=4) for _ in range(2)]

    def test_state_that_is_taken_at_once_goes_to_one(self, workers: list[SqlCompanionStore]) -> None:
        """Of several that come back with the same state, in one worker or several, one gets it."""
        for number in range(ROUNDS):
            workers[0].keep(f"key-{number}", b"sealed", SOON)
        taken = [at_once([partial(worker.take, f"key-{number}", NOW) for worker in workers * 3]) for number in range(ROUNDS)]

        assert [[b"sealed"]] * ROUNDS == [[content for content in contents if content is not None] for contents in taken]

    def test_attempts_at_once_are_all_counted(self, workers: list[SqlCompanionStore]) -> None:
        """No two attempts get the same number."""
        counts = [at_once([partial(worker.count_attempt, "192.0.2.1", SOON) for worker in workers * 4]) for _ in range(ROUNDS)]

        assert list(range(1, ROUNDS * 8 + 1)) == sorted(count for row in counts for count in row)

    def test_grant_that_is_claimed_at_once_makes_one_link(self, workers: list[SqlCompanionStore], url: str) -> None:
        """A form that is sent several times at the same moment links once."""
        workers[0].hold_grant(held_grant())
        outcomes = at_once([partial(attempt, worker, completion(new_link(TEPPO))) for worker in workers * 3])

        assert sorted([FormOver.__name__] * 5 + [Link.__name__]) == outcome_kinds(outcomes)
        assert [1, 1, 1, 1] == row_counts(url)

    def test_grant_for_two_people_at_once_goes_to_one(self, workers: list[SqlCompanionStore], url: str) -> None:
        """Nobody else's page can claim a grant at the same moment."""
        workers[0].hold_grant(held_grant())
        news = (new_link(TEPPO), new_link(MAIJA, orcid=OTHER_ORCID))
        outcomes = at_once([partial(attempt, worker, completion(new)) for worker, new in zip(workers, news, strict=True)])

        assert ["FormOver", "Link"] == outcome_kinds(outcomes)
        assert [1, 1, 1, 1] == row_counts(url)

    @pytest.mark.parametrize(
        ("news", "loss"),
        [
            ((new_link(TEPPO), new_link(MAIJA)), OrcidTaken),
            ((new_link(TEPPO), new_link(TEPPO, orcid=OTHER_ORCID)), OtherOrcidLinked),
        ],
        ids=["one-orcid-two-people", "one-person-two-orcids"],
    )
    def test_contradicting_linkings_at_once_are_one(
        self, workers: list[SqlCompanionStore], url: str, news: tuple[NewLink, NewLink], loss: type[AuthorityError]
    ) -> None:
        """One is stored as a whole, the other not at all, and the grant of the other is left to be revoked."""
        for number in range(2):
            workers[0].hold_grant(held_grant(f"grant-{number}"))
        works = [partial(attempt, worker, completion(new, f"grant-{n}")) for n, (worker, new) in enumerate(zip(workers, news, strict=True))]
        outcomes = at_once(works)
        left = [f"grant-{number}" for number, outcome in enumerate(outcomes) if isinstance(outcome, loss)]

        assert sorted([loss.__name__, "Link"]) == outcome_kinds(outcomes)
        assert left == [claimed.grant_id for claimed in workers[0].claim_revocations(HELD_UNTIL, LEASE, 5)]
        assert [1, 1, 1, 1] == row_counts(url)

    def test_refreshing_at_once_leaves_one_grant_in_use(self, workers: list[SqlCompanionStore], url: str) -> None:
        """Two tabs that refresh together leave one permission, and the others are revoked."""
        link_with_grant(workers[0], new_link(TEPPO), "grant-0")
        for number in (1, 2):
            workers[0].hold_grant(held_grant(f"grant-{number}"))
        works = [partial(worker.complete, completion(new_link(TEPPO), f"grant-{n}")) for n, worker in enumerate(workers, start=1)]
        links = at_once(works)

        assert links[0] == links[1]
        assert len(workers[0].claim_revocations(MUCH_LATER, LEASE, 5)) == 2
        assert [1, 1, 1, 3] == row_counts(url)

    def test_unlinking_while_refreshing_leaves_no_grant_unrevoked(
        self, workers: list[SqlCompanionStore], opening: Opening, url: str
    ) -> None:
        """Whichever comes first, a permission stays in use only where a link in force lives on it."""
        present = link_with_grant(workers[0], new_link(TEPPO), "grant-0")
        workers[0].hold_grant(held_grant("grant-1"))
        operator = opening(url)
        works: list[Callable[[], object]] = [
            partial(operator.withdraw_link, present.link_id, LATER),
            partial(attempt, workers[0], completion(new_link(TEPPO), "grant-1")),
        ]
        at_once(works)
        revoked = {claimed.grant_id for claimed in workers[1].claim_revocations(MUCH_LATER, LEASE, 5)}

        assert ({"grant-0"} if operator.count_links() else {"grant-0", "grant-1"}) == revoked

    def test_confirming_while_declining_is_one_of_both(self, workers: list[SqlCompanionStore], url: str) -> None:
        """A grant that is given up and claimed at the same moment is either linked or revoked."""
        workers[0].hold_grant(held_grant())
        works: list[Callable[[], object]] = [
            partial(attempt, workers[0], completion(new_link(TEPPO))),
            partial(workers[1].give_up_grant, GRANT, NOW),
        ]
        at_once(works)
        revoked = workers[0].claim_revocations(MUCH_LATER, LEASE, 5)

        assert [[1, 1, 1, 1], [0, 0, 0, 0]][len(revoked)] == row_counts(url)

    def test_new_identifier_at_once_is_kept_once(self, workers: list[SqlCompanionStore], opening: Opening, url: str) -> None:
        """Two sign-ins that bring the same new identifier both know the person."""
        stored = opening(url).add_link(new_link(TEPPO))
        for number in range(ROUNDS):
            identifiers = (TEPPO, persistent(f"new-{number}"))
            standings = at_once([partial(worker.recognise, HOME, identifiers, PRODUCTION, NOW) for worker in workers * 2])

            assert [stored.subject_id] * 4 == [standing.subject_id for standing in standings if standing is not None]
        assert [1, 1 + ROUNDS, 1, 0] == row_counts(url)

    def test_new_identifier_of_two_people_at_once_goes_to_one(self, workers: list[SqlCompanionStore], opening: Opening, url: str) -> None:
        """An identifier never names two people, whoever signs in with it at the same moment."""
        links = opening(url)
        links.add_link(new_link(TEPPO))
        links.add_link(new_link(MAIJA, orcid=OTHER_ORCID))

        def sign_in(worker: SqlCompanionStore, person: int) -> bool:
            try:
                return worker.recognise(HOME, ((TEPPO, MAIJA)[person], persistent("AbC=")), PRODUCTION, NOW) is not None
            except SubjectsDiffer:
                return False

        outcomes = at_once([partial(sign_in, worker, person) for person, worker in enumerate(workers)])

        assert [False, True] == sorted(outcomes)
        assert [2, 3, 2, 0] == row_counts(url)

    def test_due_grants_are_shared_out(self, workers: list[SqlCompanionStore]) -> None:
        """Workers that look for work at the same moment never get the same grant."""
        for number in range(40):
            workers[0].hold_grant(held_grant(f"grant-{number}"))
        claims = at_once([partial(worker.claim_revocations, HELD_UNTIL, LEASE, 5) for worker in workers * 4])
        claimed = [due.grant_id for claim in claims for due in claim]
        rest = workers[0].claim_revocations(HELD_UNTIL, LEASE, 100)

        assert len(set(claimed)) == len(claimed)
        assert 40 == len(claimed) + len(rest)
        assert max(map(len, claims)) == 5

    def test_more_threads_than_connections_wait_for_each_other(self, opening_companion: OpeningCompanion, url: str) -> None:
        """A pool that is smaller than the threads serves them all the same."""
        store = opening_companion(url, pool_size=2)
        store.keep("key", b"sealed", SOON)

        assert [b"sealed"] * 12 == at_once([lambda: store.read("key", NOW)] * 12)
