"""What the report says of deliveries."""

from collections.abc import Iterator
from statistics import median

from tests.bench.measuring import Samples
from tests.bench.plan import CLAIMED, DATABASES, PEOPLE_UNDER_WAY
from tests.bench.sinks import SINKS
from tests.bench.targets import ratio

_LABELS = {"ldap": "OpenLDAP, LDAPS", "rest": "REST, HTTP"}
_PLACES = {"answers": "cores of their own", "answers_unpinned": "both on both cores"}

_TIMES = ("latency", "inside", "inside_mean", "inside_p99", "waited")


def write_deliveries(samples: Samples) -> Iterator[str]:
    """Lay out how fast deliveries are made, what they do to answers, and how long a claim takes."""
    yield from _write_throughput(samples)
    yield ""
    yield from _write_answers(samples)
    yield ""
    yield from _write_claims(samples)


def _write_throughput(samples: Samples) -> Iterator[str]:
    columns = f"{'memory at 10 %':>15}{'at 50 %':>12}{'at the end':>12}{'connections':>13}"
    yield f"{'deliveries, 1 worker':24}{'CPU/each':>11}{'theirs':>11}{'per second':>11}{columns}"
    for name in SINKS:
        figures = {figure: median(samples[f"deliver.{name}.{figure}"]) for figure in ("cpu", "system", "rate", "connections")}
        early, half, end = (median(samples[f"deliver.{name}.memory.{when}"]) for when in ("early", "half", "end"))
        memory = f"{early:11.2f} MiB{half:8.2f} MiB{end:8.2f} MiB"
        cost = f"{figures['cpu']:8.2f} ms{figures['system']:8.2f} ms{figures['rate']:11,.0f}"
        yield f"{_LABELS[name]:24}{cost}{memory}{figures['connections']:13.0f}"
    yield "CPU/each: of the process that delivers; theirs: of the system that it delivers to"


def _write_answers(samples: Samples) -> Iterator[str]:
    columns = "".join(f"{name:>12}" for name in ("latency", "own time", "mean", "p99", "waited"))
    yield f"{f'answers, {2 * PEOPLE_UNDER_WAY:,} deliveries':36}{columns}{'delivered/s':>13}"
    for place, label in _PLACES.items():
        for state, when in (("alone", "without"), ("meanwhile", "with")):
            times = (median(samples[f"{place}.{state}.{figure}"]) for figure in _TIMES)
            rate = f"{median(samples[f'{place}.delivered']):13,.0f}" if state == "meanwhile" else ""
            yield f"{f'{label}, {when}':36}{''.join(f'{time:9.2f} ms' for time in times)}{rate}"
        slower = (100 * (ratio(samples, f"{place}.meanwhile.{figure}", f"{place}.alone.{figure}") - 1) for figure in ("latency", "inside"))
        yield f"{f'{label}, slower by':36}{''.join(f'{percent:10.1f} %' for percent in slower)}"
    yield "latency: median as whoever asks sees it, from the core of the deliveries; own time, its mean and p99: as the authority logs it;"
    yield "waited: for a core that others had, for each answer; where that is much, others are at work on this machine"


def _write_claims(samples: Samples) -> Iterator[str]:
    columns = "".join(f"{name:>12}" for name in ("claim", "p99", "our CPU", "none due", "p99", "count all"))
    yield f"{f'claims of {CLAIMED}':24}{columns}"
    for name, label in DATABASES.items():
        times = (median(samples[f"claims.{name}.{figure}"]) for figure in ("claim", "claim_p99", "cpu", "idle", "idle_p99", "backlog"))
        yield f"{label:24}{''.join(f'{time:9.2f} ms' for time in times)}"
