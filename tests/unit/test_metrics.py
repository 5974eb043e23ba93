"""The numbers that Prometheus fetches: from every process, and of nobody."""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families

from attribute_authority.delivery_ports import DeliveryWatch
from attribute_authority.domain.identifiers import EntityId
from attribute_authority.metrics import Metrics, forget_worker, open_metrics, prepare_metrics
from attribute_authority.ports import EnumerationWatch, QueryWatch, SourceWatch

IDP = EntityId("https://idp.uni.example/idp")
VERSION = "1.2.3"
PLACES = count()

if TYPE_CHECKING:
    _watches_queries: type[QueryWatch] = Metrics
    _watches_sources: type[SourceWatch] = Metrics
    _watches_requesters: type[EnumerationWatch] = Metrics
    _watches_deliveries: type[DeliveryWatch] = Metrics


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a directory of metrics; the library, loaded long before, becomes again afterwards what it was."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "elsewhere")
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    prepare_metrics(tmp_path / "metrics")
    yield tmp_path / "metrics"
    values.close_all_multiprocess_files()


def in_process(work: Callable[[], None]) -> None:
    """Do something in a worker's process."""
    process = get_context("fork").Process(target=work)
    process.start()
    process.join()

    assert 0 == process.exitcode


def serve(metrics: Metrics, *work: Callable[[], None], again: int | None = None) -> int:
    """Start as a worker, of a place of its own or of another one's `again`, do something, and end; returns the place."""
    place = next(PLACES) if again is None else again

    def run() -> None:
        metrics.worker_started(VERSION, place)
        for step in work:
            step()

    in_process(run)
    return place


def numbers(metrics: Metrics) -> Mapping[str, float]:
    """Read what a scrape gets, by name and labels in the order of their names."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {_key(sample.name, sample.labels): sample.value for family in families for sample in family.samples}


def _key(name: str, labels: Mapping[str, str]) -> str:
    return " ".join((name.removeprefix("attribute_authority_"), *(f"{label}={labels[label]}" for label in sorted(labels))))


def everything(metrics: Metrics) -> None:
    """Tell all that can be told."""
    metrics.worker_started(VERSION, 0)
    metrics.answered("lookup", "released", 0.003)
    metrics.refused("lookup", "TooManyQueries")
    metrics.suspected()
    metrics.source_asked("directory", "found", 0.02)
    metrics.source_paused("directory", False)
    metrics.sources_disagreed(IDP)
    metrics.attempted("idm", "delivered", 0.02)
    metrics.backlog("idm", 3, 1, 60.0)
    metrics.sink_paused("idm", False)


def test_every_process_is_added_up(directory: Path) -> None:
    """Whichever worker is scraped tells the sums over all of them, and of the one that made the metrics before they were forked."""
    metrics = open_metrics(directory)
    metrics.answered("lookup", "released", 0.0015)
    for _ in range(2):
        serve(metrics, lambda: metrics.answered("lookup", "released", 0.003), lambda: metrics.answered("lookup", "unknown", 7))
    told = numbers(metrics)

    assert (3, 2) == tuple(told[f"queries_total door=lookup outcome={outcome}"] for outcome in ("released", "unknown"))
    assert 5 == told["query_seconds_count door=lookup"]
    assert pytest.approx(14.0075) == told["query_seconds_sum door=lookup"]
    bounds = [f"query_seconds_bucket door=lookup le={bound}" for bound in ("0.001", "0.002", "0.005", "5.0", "+Inf")]
    assert [0, 1, 3, 3, 5] == [told[bound] for bound in bounds]


def test_worker_that_is_scraped_tells_of_the_others(directory: Path) -> None:
    """A worker tells what another has counted, not only itself."""
    metrics = open_metrics(directory)
    serve(metrics, metrics.suspected)
    seen = directory.parent / "seen"

    def scrape() -> None:
        seen.write_bytes(metrics.render())

    serve(metrics, metrics.suspected, scrape)

    assert b"\nattribute_authority_suspicions_total 2.0\n" in seen.read_bytes()


def test_counts_outlive_the_worker(directory: Path) -> None:
    """What a worker has counted stays when it ends; that it serves does not."""
    metrics = open_metrics(directory)
    ended = serve(metrics, metrics.suspected)
    serve(metrics, metrics.suspected)
    before = numbers(metrics)
    forget_worker(directory, ended)
    after = numbers(metrics)

    assert [(2, 2), (1, 2)] == [(told[f"workers version={VERSION}"], told["suspicions_total"]) for told in (before, after)]


def test_workers_that_die_again_and_again_fill_no_disk(directory: Path) -> None:
    """A worker goes on from the counts and the files of the one whose place it takes, so that neither grow with every death."""
    metrics = open_metrics(directory)
    place = serve(metrics, metrics.suspected)
    files = [sorted(os.listdir(directory))]
    for _ in range(2):
        forget_worker(directory, place)
        serve(metrics, metrics.suspected, again=place)
        files.append(sorted(os.listdir(directory)))

    assert [files[0]] * 3 == files
    assert (3, 1) == (numbers(metrics)["suspicions_total"], numbers(metrics)[f"workers version={VERSION}"])


def test_labels_name_no_person_and_no_requester(directory: Path) -> None:
    """These and no other names and labels are told."""
    metrics = open_metrics(directory)
    everything(metrics)
    families = list(text_string_to_metric_families(metrics.render().decode()))

    assert {
        "queries": {"door", "outcome"},
        "query_seconds": {"door", "le"},
        "refusals": {"door", "failure"},
        "suspicions": set(),
        "source_questions": {"source", "outcome"},
        "source_seconds": {"source", "le"},
        "source_disagreements": {"home_organisation"},
        "sources_paused": {"source"},
        "delivery_attempts": {"sink", "outcome"},
        "delivery_seconds": {"sink", "le"},
        "deliveries": {"sink", "state"},
        "delivery_oldest_seconds": {"sink"},
        "sinks_paused": {"sink"},
        "workers": {"version"},
    } == {
        family.name.removeprefix("attribute_authority_"): {name for sample in family.samples for name in sample.labels}
        for family in families
    }


def test_source_that_is_not_asked_takes_no_time(directory: Path) -> None:
    """Every question counts under its outcome, but one that was not asked because of an outage has no duration."""
    metrics = open_metrics(directory)
    for outcome in ("found", "absent", "failed", "paused"):
        metrics.source_asked("directory", outcome, 0.5)
    told = numbers(metrics)

    assert [1] * 4 == [
        told[f"source_questions_total outcome={outcome} source=directory"] for outcome in ("found", "absent", "failed", "paused")
    ]
    assert (3, 1.5) == (told["source_seconds_count source=directory"], told["source_seconds_sum source=directory"])


@pytest.mark.parametrize("words", [(True,), (False,), (True, False), (False, True), (True, False, True)])
def test_latest_word_about_an_outage_counts(directory: Path, words: tuple[bool, ...]) -> None:
    """A source counts as paused when the worker that learnt last of it says so, also when that worker is gone."""
    metrics = open_metrics(directory)
    for paused in words:
        forget_worker(directory, serve(metrics, partial(metrics.source_paused, "directory", paused)))

    assert words[-1] == numbers(metrics)["sources_paused source=directory"]


def test_backlog_is_that_of_the_latest_word(directory: Path) -> None:
    """What waits at a sink is what was told last of it; a process that delivers is no worker that serves."""
    metrics = open_metrics(directory)
    place = next(PLACES)

    def deliver(pending: int) -> None:
        metrics.place_taken(place)
        metrics.backlog("idm", pending, 1, 60.0)

    in_process(partial(deliver, 3))
    in_process(partial(deliver, 0))
    told = numbers(metrics)

    assert (0, 1) == (told["deliveries sink=idm state=pending"], told["deliveries sink=idm state=parked"])
    assert 60.0 == told["delivery_oldest_seconds sink=idm"]
    assert f"workers version={VERSION}" not in told


def test_threads_lose_no_count(directory: Path) -> None:
    """Threads may tell at once."""
    metrics = open_metrics(directory)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: metrics.answered("lookup", "released", 0.01), range(2000)))

    assert 2000 == numbers(metrics)["queries_total door=lookup outcome=released"]


def test_new_run_begins_at_nought(directory: Path) -> None:
    """Preparing removes what an earlier run has left, a file half made too, and nothing that is not of the metrics."""
    metrics = open_metrics(directory)
    everything(metrics)
    (directory / "counter_17.new").touch()
    (directory / "counter_place17.new").touch()
    for name in ("links.db", "counter_of_bees.db"):
        (directory / name).touch()
    values.close_all_multiprocess_files()
    prepare_metrics(directory)

    assert ["counter_of_bees.db", "links.db"] == sorted(os.listdir(directory))
    assert 0o700 == directory.stat().st_mode & 0o777


def test_worker_without_a_number_yet(directory: Path) -> None:
    """A scrape is answered while another worker is just starting and has told nothing, or is still making its files."""
    metrics = open_metrics(directory)
    serve(metrics)
    (directory / "counter_17.new").touch()

    assert (1, 0) == (numbers(metrics)[f"workers version={VERSION}"], numbers(metrics)["suspicions_total"])


def test_space_is_taken_before_serving(directory: Path) -> None:
    """A worker's files have their space on the disk, so that a full one does not end it while it serves."""
    metrics = open_metrics(directory)
    place = serve(metrics, metrics.suspected, lambda: metrics.answered("lookup", "released", 1))
    files = list(directory.glob(f"*_place{place}.db"))

    assert len(files) == 4
    assert all(file.stat().st_blocks * 512 >= file.stat().st_size == 131_072 for file in files)


def test_no_space(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no space the worker learns it when it starts, and a scrape finds nothing half made."""

    def fill(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    metrics = open_metrics(directory)
    values.close_all_multiprocess_files()
    prepare_metrics(directory)
    monkeypatch.setattr(os, "posix_fallocate", fill)

    with pytest.raises(OSError, match="No space left"):
        metrics.worker_started(VERSION, 0)
    assert b"" == metrics.render()


def test_metrics_that_keep_nothing() -> None:
    """The command line and tests tell the same to metrics that keep nothing."""
    metrics = Metrics()
    everything(metrics)

    assert b"" == metrics.render()
