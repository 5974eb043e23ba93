"""Sources without an authority around them: how long one question takes, and what of that is ours.

It also makes the index of computed identifiers, once for the servers, which would otherwise make it under the first query, and once in
every round to be timed: the first service provider that asks waits for it, so that it has to be over before that one gives up.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from attribute_authority.assembly import open_link_store
from attribute_authority.configuration import read_configuration
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.domain.source import PairwiseIndexName
from attribute_authority.organisation_assembly import close_organisations, open_organisations
from attribute_authority.ports import IdentifierSource
from attribute_authority.storage.sql import SqlStore
from connectors.shibboleth_ids import ComputedIds
from tests.bench.measuring import Figures
from tests.bench.plan import Plan
from tests.bench.population import PEOPLE, eppn_of
from tests.bench.sources import Foreign, digest_towards, to_identifier
from tests.peers.lab import Federation

_NOBODY_ELSE = EntityId("https://sp-timed.lab.example/shibboleth")


@dataclass(frozen=True, slots=True)
class Bare:
    """The sources, by their kind, and the store with the index of computed identifiers."""

    federation: Federation
    store: SqlStore
    sources: dict[str, IdentifierSource]

    def build_index(self) -> None:
        """Make the index that the authority will look into."""
        self.store.build(self._name, digest_towards(self.federation), datetime.now(UTC))

    def time_index(self, random: Random, plan: Plan) -> Figures:
        """Make the index anew, in seconds per million people, and look single digests up in the first one, in milliseconds."""
        digest_of = digest_towards(self.federation)
        timed = PairwiseIndexName(self._name.home_organisation, _NOBODY_ELSE, self._name.kind, self._name.fingerprint)
        started = time.perf_counter()
        people = self.store.build(timed, digest_of, datetime.now(UTC))
        build = (time.perf_counter() - started) / people * 1_000_000
        self.store.drop(timed)
        digests = [digest_of(eppn_of(random.randint(1, PEOPLE))) for _ in range(plan.finds)]
        name = self._name
        started = time.perf_counter()
        found = [self.store.find_sources(name, digest) for digest in digests]
        find = (time.perf_counter() - started) / plan.finds * 1000
        if not all(found):
            raise AssertionError("a digest is not in the index")
        return {"index.build": build, "index.find": find}

    def time_resolve(self, foreign: Foreign, random: Random, count: int) -> Figures:
        """Ask one question after the other; milliseconds of wall, and of our own processor time with every thread of the connector."""
        source = self.sources[foreign.kind]
        identifiers = [to_identifier(asked.name_id) for asked in foreign.anybody(random, count)]
        started, cpu = time.perf_counter(), time.process_time()
        found = [source.resolve(identifier) for identifier in identifiers]
        seconds, ours = time.perf_counter() - started, time.process_time() - cpu
        if not all(found):
            raise AssertionError(f"{foreign.name} resolves nothing")
        return {f"{foreign.name}.resolve": seconds / count * 1000, f"{foreign.name}.resolve_cpu": ours / count * 1000}

    @property
    def _name(self) -> PairwiseIndexName:
        source = self.sources["computed-id"]
        assert isinstance(source, ComputedIds)
        recipient = EntityId(self.federation.released.entity_id)
        return PairwiseIndexName(source.home_organisation, recipient, source.source_kind, source.fingerprint)


@contextmanager
def bare_sources(configuration: Path, federation: Federation) -> Iterator[Bare]:
    """Open the sources of a configuration as the authority would."""
    settings = read_configuration(configuration)
    with closing(open_link_store(settings)) as store:
        organisations = open_organisations(settings, store)
        try:
            tables = settings.organisation[0].source
            named = organisations[0].sources
            yield Bare(federation, store, {table.kind: one.source for table, one in zip(tables, named, strict=True)})
        finally:
            close_organisations(organisations)
