"""A load: questions that are asked over and over, each on a thread of its own, and how each was answered and how long that took."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from time import monotonic

from tests.factories.supervisors import Running, until
from tests.faults.sites import query_of

_BETWEEN = 0.02


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked over and over: by whom, about which NameID."""

    requester: str
    about: str


@dataclass(frozen=True, slots=True)
class Heard:
    """How one was answered: status codes, values, and what it took, in seconds."""

    codes: tuple[str, ...]
    values: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """A load under way; `heard` has the answers to each question, in their order."""

    server: Running
    questions: Mapping[str, Question]
    heard: dict[str, list[Heard]] = field(default_factory=dict)
    _over: Event = field(default_factory=Event)

    def outcomes(self, name: str) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return the different answers to a question: pairs of status codes and values."""
        return {(answer.codes, answer.values) for answer in self.heard[name]}

    def longest(self, name: str) -> float:
        """Return how long the slowest answer to a question took, in seconds."""
        return max(answer.seconds for answer in self.heard[name])

    def wait_for_more(self, count: int = 3) -> None:
        """Wait until each question was answered so many times more."""
        wanted = {name: len(self.heard[name]) + count for name in self.questions}
        until(lambda: all(len(self.heard[name]) >= number for name, number in wanted.items()), self.server)

    def wait_for_values(self, name: str, *values: str) -> None:
        """Wait until the latest answer to a question has these values."""
        until(lambda: bool(self.heard[name]) and self.heard[name][-1].values == values, self.server)

    def go_on(self, name: str) -> None:
        """Ask one question until it is over."""
        question = self.questions[name]
        while not self._over.wait(_BETWEEN):
            message = query_of(question.about, question.requester)
            began = monotonic()
            told = self.server.ask(message)
            self.heard[name].append(Heard(told.codes, told.values, monotonic() - began))

    def end(self) -> None:
        """Have every thread end with the answer that it waits for."""
        self._over.set()


@contextmanager
def load(server: Running, questions: Mapping[str, Question]) -> Iterator[Load]:
    """Ask the questions while the block lasts; raises what a thread died of."""
    under_way = Load(server, questions, {name: [] for name in questions})
    with ThreadPoolExecutor(len(questions)) as threads:
        asking = [threads.submit(under_way.go_on, name) for name in questions]
        try:
            yield under_way
        finally:
            under_way.end()
    for one in asking:
        one.result()
