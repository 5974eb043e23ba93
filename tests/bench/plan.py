"""How much is measured: enough rounds for medians that hold, or so few that it is over soon."""

from dataclasses import dataclass

CONNECTIONS = 8
"""How many kept connections ask at the same time."""

SOURCE_CONNECTIONS = 4
"""The same where sources are asked: by default so many questions to one source may be under way in each worker."""

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
"""Where deliveries are claimed, and how that is written."""

CLAIMED = 32
"""How many deliveries are claimed at a time: so many a worker takes by default that has nothing to do."""

PEOPLE_UNDER_WAY = 5_000
"""About how many people something is delivered while it is measured whether that slows down answers: to two sinks, ten thousand in all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds, how many queries each server gets in one, and for how many seconds openssl signs.

    `lookups` are single ones, `batches` those of the lookup door, `foreign` the queries about identifiers that a source resolves,
    `finds` the bare lookups in the index of computed identifiers. `private` counts, once for all rounds, the queries about unknown,
    unlinked and withheld people each.

    `deliveries` are those to each sink. `answers` are the queries, in each of `answer_rounds`, with deliveries under way and without.
    `parked` counts deliveries that lie beside those that are claimed, and `delivered` those that were made; `claims` is how many batches.
    """

    rounds: int
    one_worker: int
    two_workers: int
    stock: int
    floor: int
    new_connections: int
    lookups: int
    batches: int
    foreign: int
    finds: int
    private: int
    openssl_seconds: int
    deliveries: int
    answers: int
    answer_rounds: int
    parked: int
    delivered: int
    claims: int

    @property
    def answer_runs(self) -> int:
        """How often deliveries are put under way: on cores of their own and on both, and once before it counts."""
        return 2 * self.answer_rounds + 1


FULL = Plan(
    rounds=11,
    one_worker=2000,
    two_workers=3000,
    stock=60,
    floor=2000,
    new_connections=250,
    lookups=3000,
    batches=20,
    foreign=600,
    finds=2000,
    private=2000,
    openssl_seconds=2,
    deliveries=10_000,
    answers=500,
    answer_rounds=9,
    parked=1_000_000,
    delivered=1_000_000,
    claims=500,
)
QUICK = Plan(
    rounds=3,
    one_worker=800,
    two_workers=1200,
    stock=32,
    floor=800,
    new_connections=100,
    lookups=1500,
    batches=8,
    foreign=240,
    finds=1000,
    private=700,
    openssl_seconds=1,
    deliveries=2000,
    answers=300,
    answer_rounds=2,
    parked=1_000_000,
    delivered=0,
    claims=150,
)
WARM_UP = Plan(
    rounds=1,
    one_worker=300,
    two_workers=300,
    stock=8,
    floor=100,
    new_connections=10,
    lookups=300,
    batches=2,
    foreign=40,
    finds=100,
    private=50,
    openssl_seconds=1,
    deliveries=0,
    answers=0,
    answer_rounds=0,
    parked=0,
    delivered=0,
    claims=0,
)
