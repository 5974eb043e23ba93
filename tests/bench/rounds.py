"""The rounds: every server in turn, again and again, so that what the machine does meanwhile falls on all alike."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from tests.bench import lookups, privacy, queries
from tests.bench.claims import time_claims
from tests.bench.deliveries import time_deliveries
from tests.bench.field import Field, Say, running_field
from tests.bench.machine import Cores, openssl_sign_rate, running_seconds
from tests.bench.meanwhile import time_answers
from tests.bench.measuring import Figures, Samples, measure, measure_new
from tests.bench.plan import SOURCE_CONNECTIONS, WARM_UP, Plan
from tests.bench.queries import Query, Sign, make_signer
from tests.bench.sources import Foreign


def run_rounds(directory: Path, plan: Plan, cores: Cores, say: Say) -> Samples:
    """Start every server below `directory`, measure them round by round, and stop them."""
    samples: Samples = {}
    random = Random(2048)
    with running_field(directory, plan, cores, say) as field:
        one_round = _Round(field, make_signer(field.federation.released), random, plan, cores)
        replace(one_round, plan=WARM_UP).run()
        for number in range(plan.rounds):
            say(f"round {number + 1} of {plan.rounds}")
            for name, value in one_round.run().items():
                samples.setdefault(name, []).append(value)
        say("whether time tells what answers do not")
        figures = one_round.time_privacy()
        say("deliveries")
        figures |= one_round.time_deliveries(directory / "delivering")
        say("answers with deliveries under way")
        samples |= time_answers(field, one_round.sign, random, plan, cores)
    say("claims of deliveries among a million")
    figures |= time_claims(directory, plan, cores)
    return samples | {name: [value] for name, value in figures.items()}


@dataclass(frozen=True, slots=True)
class _Round:
    field: Field
    sign: Sign
    random: Random
    plan: Plan
    cores: Cores

    def run(self) -> Figures:
        os.sched_setaffinity(0, self.cores.load)
        figures = self._queries() | self._lookups() | self._foreign()
        batch = self._anybody(self.plan.two_workers)
        os.sched_setaffinity(0, self.cores.both)
        return figures | measure("two_workers", self.field.two_workers, batch)

    def time_privacy(self) -> Figures:
        os.sched_setaffinity(0, self.cores.load)
        field, count = self.field, self.plan.private
        timed = privacy.time_queries(field.one_worker, self.sign, self.random, count)
        return timed | privacy.time_lookups(field.one_worker, field.tokens[0], self.random, count)

    def time_deliveries(self, directory: Path) -> Figures:
        os.sched_setaffinity(0, self.cores.load)
        return time_deliveries(directory, self.field.federation, self.field.sinks, self.plan.deliveries, self.cores)

    def _anybody(self, count: int) -> list[Query]:
        return self.sign(queries.anybody(self.random, count))

    def _queries(self) -> Figures:
        field, plan = self.field, self.plan
        figures = measure("one_worker", field.one_worker, self._anybody(plan.one_worker))
        figures["openssl.rate"] = openssl_sign_rate(self.cores.server, plan.openssl_seconds)
        for name, server in (("floor", field.floor), ("floor_of_two", field.floor_of_two)):
            figures |= measure(name, server, [Query(query.body, b"") for query in self._anybody(1) * plan.floor])
        figures |= measure("stock", field.stock, self._anybody(plan.stock))
        for name, resume in (("new", False), ("resumed", True)):
            figures |= measure_new(name, field.one_worker, self._anybody(plan.new_connections), resume=resume)
        return figures

    def _lookups(self) -> Figures:
        field, random, count = self.field, self.random, self.plan.lookups
        people, tokens = lookups.anybody(random, count), field.tokens
        figures = measure("lookup", field.one_worker, lookups.look_up(people, tokens[:1]))
        figures |= measure("lookup_limited", field.limited, lookups.look_up(people, tokens))
        figures |= measure("lookup_key", field.one_worker, lookups.look_up(people), client=field.federation.released.keys)
        unheeded = [replace(query, expected=b"", target="") for query in lookups.look_up(people, tokens[:1])]
        figures |= measure("floor_of_none", field.floor_of_none, unheeded)
        return figures | measure("batch", field.one_worker, lookups.look_up_batches(random, self.plan.batches, tokens[0]), connections=1)

    def _foreign(self) -> Figures:
        figures = self.field.bare.time_index(self.random, self.plan)
        for foreign in self.field.foreign:
            figures |= self._ask(foreign)
            figures |= self.field.bare.time_resolve(foreign, self.random, self.plan.foreign)
        return figures

    def _ask(self, foreign: Foreign) -> Figures:
        asked = self.sign(foreign.anybody(self.random, self.plan.foreign))
        before = 0.0 if foreign.process is None else running_seconds(foreign.process)
        figures = measure(foreign.name, self.field.asking, asked, connections=SOURCE_CONNECTIONS)
        after = 0.0 if foreign.process is None else running_seconds(foreign.process)
        return figures | {f"{foreign.name}.source": (after - before) / len(asked) * 1000}
