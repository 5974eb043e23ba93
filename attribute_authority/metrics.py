"""What Prometheus may know: how many queries, how they ended, how long they took, and how the sources fare; nothing about a person.

No metric has a label of the requester: who asks how much is in the events, and a label per service provider grows without bound.

Workers are processes that share one operations door, so that a scrape reaches any of them. Each writes its numbers to files of its
own in one directory, which has nothing else in it, and whoever is scraped adds up all of them (the multiprocess mode of
prometheus-client). Files belong to a worker's place, not to its process: a successor goes on from the counts of a worker that has ended,
so that workers which die again and again fill no disk. What only holds while one runs is dropped by `forget_worker`.
The best place for the directory is in memory, such as below /run.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

_PREFIX: Final = "attribute_authority"
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_PAUSED: Final = "paused"
_FILES: Final = ("counter", "histogram", "gauge_livesum", "gauge_mostrecent")
_FILE_OCTETS: Final = 131_072
_PLACE: Final = "place"


class Metrics:
    """What is told to the metrics, by whichever thread; this one keeps nothing, for the command line and for tests.

    It serves as every watch of the ports. `door` and `outcome` are words of ours and few; `seconds` are a duration.
    """

    def worker_started(self, version: str, place: int) -> None:
        """Note, in a worker's process and before anything else, that it serves. Raises OSError where its files cannot be made.

        `place` is its number among the workers that run at once, which its successor takes over.
        """

    def answered(self, door: str, outcome: str, seconds: float) -> None:
        """Note an answer that is no failure, and how the decision went."""

    def refused(self, door: str, failure: str) -> None:
        """Note a failure by the name of its class."""

    def suspected(self) -> None:
        """Note that a requester seems to try identifiers out."""

    def place_taken(self, place: int) -> None:
        """Note, in a process that serves no queries and before anything else, its number. Raises OSError as `worker_started`."""

    def attempted(self, sink: str, outcome: str, seconds: float) -> None:
        """Note an attempt at a delivery: `outcome` is delivered, deferred, parked, or unavailable where the sink takes nothing."""

    def backlog(self, sink: str, pending: int, parked: int, oldest: float) -> None:
        """Note what waits: `oldest` is for how many seconds, 0 where nothing does."""

    def sink_paused(self, sink: str, paused: bool) -> None:
        """Note that a sink is left alone because of an outage, or is tried again."""

    def source_asked(self, source: str, outcome: str, seconds: float) -> None:
        """Note a question: `outcome` is found, absent, failed, or paused where it was not asked because of an outage."""

    def source_paused(self, source: str, paused: bool) -> None:
        """Note that a source is left alone because of an outage, or is asked again."""

    def sources_disagreed(self, home_organisation: str) -> None:
        """Note that the sources of an organisation contradict one another or us."""

    def render(self) -> bytes:
        """Return the numbers of all processes, in the text format of Prometheus, version 0.0.4."""
        return b""


class SharedMetrics(Metrics):
    """Metrics that are kept for all processes in one directory; may be made before a fork and used after it."""

    def __init__(self, directory: Path, owner: "_Owner") -> None:
        self._directory = directory
        self._owner = owner
        # Looking up the labels in the library costs as much as counting.
        self._answers: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._queries = _counter("queries", "Queries answered", "door", "outcome")
        self._query_seconds = _histogram("query_seconds", "Duration of queries answered", "door")
        self._refusals = _counter("refusals", "Queries refused", "door", "failure")
        self._suspicions = _counter("suspicions", "Requesters that seem to try identifiers out")
        self._questions = _counter("source_questions", "Questions to sources", "source", "outcome")
        self._source_seconds = _histogram("source_seconds", "Duration of questions to sources", "source")
        self._disagreements = _counter("source_disagreements", "Contradictions between sources", "home_organisation")
        self._paused = _gauge("sources_paused", "1 while a source is left alone after failures", "mostrecent", "source")
        self._attempts = _counter("delivery_attempts", "Attempts at deliveries", "sink", "outcome")
        self._attempt_seconds = _histogram("delivery_seconds", "Duration of attempts at deliveries", "sink")
        self._deliveries = _gauge("deliveries", "Deliveries that are pending or parked", "mostrecent", "sink", "state")
        self._oldest = _gauge("delivery_oldest_seconds", "How long the oldest pending delivery has waited", "mostrecent", "sink")
        self._sinks_paused = _gauge("sinks_paused", "1 while a sink is left alone after failures", "mostrecent", "sink")
        self._workers = _gauge("workers", "Workers that serve", "livesum", "version")

    def worker_started(self, version: str, place: int) -> None:
        """Note, in a worker's process and before anything else, that it serves. Raises OSError where its files cannot be made."""
        self.place_taken(place)
        self._workers.labels(version).set(1)

    def place_taken(self, place: int) -> None:
        """Note, in a process that serves no queries and before anything else, its number. Raises OSError as `worker_started`."""
        self._owner.place = place
        for name in _FILES:
            file = self._directory / f"{name}_{self._owner()}.db"
            # An earlier worker had this place; its counts go on.
            if not file.exists():
                _reserve(file)

    def answered(self, door: str, outcome: str, seconds: float) -> None:
        """Note an answer that is no failure, and how the decision went."""
        kept = self._answers.get((door, outcome))
        if kept is None:
            kept = self._answers[door, outcome] = self._queries.labels(door, outcome), self._query_seconds.labels(door)
        kept[0].inc()
        kept[1].observe(seconds)

    def refused(self, door: str, failure: str) -> None:
        """Note a failure by the name of its class."""
        self._refusals.labels(door, failure).inc()

    def suspected(self) -> None:
        """Note that a requester seems to try identifiers out."""
        self._suspicions.inc()

    def source_asked(self, source: str, outcome: str, seconds: float) -> None:
        """Note a question, and how long it took where it was asked at all."""
        self._questions.labels(source, outcome).inc()
        if outcome != _PAUSED:
            self._source_seconds.labels(source).observe(seconds)

    def source_paused(self, source: str, paused: bool) -> None:
        """Note that a source is left alone because of an outage, or is asked again; the latest word of any worker counts."""
        self._paused.labels(source).set(int(paused))

    def sources_disagreed(self, home_organisation: str) -> None:
        """Note that the sources of an organisation contradict one another or us."""
        self._disagreements.labels(home_organisation).inc()

    def attempted(self, sink: str, outcome: str, seconds: float) -> None:
        """Note an attempt at a delivery, and how long it took."""
        self._attempts.labels(sink, outcome).inc()
        self._attempt_seconds.labels(sink).observe(seconds)

    def backlog(self, sink: str, pending: int, parked: int, oldest: float) -> None:
        """Note what waits; the latest word of any process counts."""
        self._deliveries.labels(sink, "pending").set(pending)
        self._deliveries.labels(sink, "parked").set(parked)
        self._oldest.labels(sink).set(oldest)

    def sink_paused(self, sink: str, paused: bool) -> None:
        """Note that a sink is left alone because of an outage, or is tried again; the latest word of any process counts."""
        self._sinks_paused.labels(sink).set(int(paused))

    def render(self) -> bytes:
        """Return the numbers of all processes, in the text format of Prometheus, version 0.0.4."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._directory))  # type: ignore[no-untyped-call] # has no types
        return generate_latest(registry)


def prepare_metrics(directory: Path) -> None:
    """Make the directory, and remove what an earlier run has left in it. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _FILES:
        for owner in ("[0-9]*", f"{_PLACE}[0-9]*"):
            for file in directory.glob(f"{name}_{owner}.*"):
                file.unlink()


def open_metrics(directory: Path) -> Metrics:
    """Return metrics whose numbers are kept in a directory that is there, one in a process. Raises OSError."""
    # The library reads the variable whenever it opens a file, and chooses when it is imported whether values go to files at all.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    from prometheus_client import values

    owner = _Owner()
    values.ValueClass = values.MultiProcessValue(owner)  # type: ignore[no-untyped-call] # has no types
    return SharedMetrics(directory, owner)


def forget_worker(directory: Path, place: int) -> None:
    """Drop what held only while the worker of a place ran; its counts stay, so that they never go down. Raises OSError."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(_name_place(place), str(directory))  # type: ignore[no-untyped-call] # has no types


@dataclass(slots=True, eq=False)
class _Owner:
    """Names whose files a process writes: those of its place where it is a worker, otherwise those of the process itself."""

    place: int | None = None

    def __call__(self) -> str:
        return str(os.getpid()) if self.place is None else _name_place(self.place)


def _name_place(place: int) -> str:
    return f"{_PLACE}{place}"


def _counter(name: str, meaning: str, *labels: str) -> "Counter":
    from prometheus_client import Counter

    return Counter(f"{_PREFIX}_{name}", meaning, labels, registry=None)


def _histogram(name: str, meaning: str, *labels: str) -> "Histogram":
    from prometheus_client import Histogram

    return Histogram(f"{_PREFIX}_{name}", meaning, labels, registry=None, buckets=_SECONDS)


def _gauge(name: str, meaning: str, mode: Literal["livesum", "mostrecent"], *labels: str) -> "Gauge":
    from prometheus_client import Gauge

    return Gauge(f"{_PREFIX}_{name}", meaning, labels, registry=None, multiprocess_mode=mode)


def _reserve(file: Path) -> None:
    """Make a file whose space is really there: writing into the map of one that finds no space any more ends the process.

    It appears whole, for a scrape cannot read an empty one.
    """
    unfinished = file.with_suffix(".new")
    with unfinished.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, _FILE_OCTETS)
    unfinished.replace(file)
