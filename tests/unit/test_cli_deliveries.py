"""`deliveries`: listing, showing, retrying, cancelling and replaying, as an operator does it, on the books of a real database."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attribute_authority.assembly import open_link_store
from attribute_authority.commands import deliveries as command
from attribute_authority.commands.deliveries_replay import Pace, progress, replay_people
from attribute_authority.commands.deliveries_table import printable
from attribute_authority.configuration import read_configuration
from attribute_authority.delivery_assembly import open_books
from attribute_authority.delivery_ports import Sink
from attribute_authority.domain.delivery import Delivery, DeliveryState, Lane, Outcome, Receipt, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment
from attribute_authority.domain.source import Outage
from attribute_authority.errors import CouldNotAsk, DeliveryDeferred, DeliveryRefused, SinkUnavailable
from attribute_authority.settings import Settings
from attribute_authority.storage.deliveries import SqlDeliveryStore
from tests.factories.authority import CARBERRY, HOME, OTHER_ORCID, Authority, new_authority
from tests.factories.deliveries import ScriptedSink

OTHER_HOME = "https://idp.other.example/idp"
JOSIAH, MARY = "josiah@uni.example", "mary@uni.example"
IDM, HR = SinkName(EntityId(HOME), "idm"), SinkName(EntityId(HOME), "hr")
SINKS = """
[[organisation]]
identity_provider = "{home}"

[[organisation.sink]]
kind = "csv"
name = "idm"
directory = "drop"
at = ["06:00"]

[[organisation.sink]]
kind = "csv"
name = "hr"
directory = "drop"
at = ["06:00"]
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority with two sinks, to which two people are to be delivered."""
    made = new_authority(tmp_path)
    made.append(SINKS.format(home=HOME))
    (made.directory / "drop").mkdir()
    made.link(f"eppn={JOSIAH}")
    made.link(f"eppn={MARY}", orcid=OTHER_ORCID)
    return made


@contextmanager
def _books(authority: Authority) -> Iterator[SqlDeliveryStore]:
    books = open_books(read_configuration(authority.config))
    try:
        yield books
    finally:
        books.close()


def _claim(authority: Authority, sink: SinkName = IDM, limit: int = 10) -> list[tuple[str, str]]:
    with _books(authority) as books:
        lane = Lane(sink, Environment.PRODUCTION, "node", timedelta(minutes=5))
        return [(due.delivery.reference, due.lease) for due in books.claim_deliveries(lane, datetime.now(UTC), limit)]


def _end(authority: Authority, state: DeliveryState, sink: SinkName = IDM, limit: int = 10, message: str | None = None) -> list[str]:
    """Have deliveries attempted, which ends so; returns their references."""
    claimed = _claim(authority, sink, limit)
    with _books(authority) as books:
        books.record_outcomes([Outcome(reference, lease, state, message=message) for reference, lease in claimed], datetime.now(UTC))
    return [reference for reference, _ in claimed]


def _listed(authority: Authority, *options: str) -> list[dict[str, object]]:
    result = authority.run("deliveries", "list", "--json", *options)

    assert (0, "") == (result.exit_code, result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]


def _states(authority: Authority) -> list[object]:
    return [delivery["state"] for delivery in _listed(authority, "--sink", "idm")]


def _with_sinks(monkeypatch: pytest.MonkeyPatch, rehearse: Callable[[Delivery], str]) -> list[ScriptedSink]:
    """Have sinks rehearse so, which are never to deliver."""

    class Rehearsing(ScriptedSink):
        def rehearse(self, delivery: Delivery) -> str:
            self.taken.append(delivery)
            return rehearse(delivery)

        def deliver(self, delivery: Delivery) -> Receipt:
            raise AssertionError("a rehearsal has delivered")

    made = [Rehearsing(), Rehearsing()]

    def opened(_: Settings) -> Mapping[SinkName, Sink]:
        return dict(zip((IDM, HR), made, strict=True))

    monkeypatch.setattr(command, "open_sinks", opened)
    return list(made)


def test_a_list_has_the_newest_first(authority: Authority) -> None:
    """A line each, with reference, state, sink and message; neither identifiers nor iDs."""
    (parked,) = _end(authority, DeliveryState.PARKED, limit=1, message="schema violation")
    result = authority.run("deliveries", "list")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    numbers = [delivery["subject"] for delivery in _listed(authority)]

    assert (0, 4, [2, 2, 1, 1]) == (result.exit_code, len(lines), numbers)
    assert [("parked", f"{HOME} sink idm", "schema violation")] == [tuple(line[2:]) for line in lines if line[0] == parked]
    assert not any(text in result.stdout for text in (JOSIAH, MARY, CARBERRY, OTHER_ORCID))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ((), 4),
        (("--limit", "3"), 3),
        (("--sink", "hr"), 2),
        (("--organisation", HOME), 4),
        (("--organisation", OTHER_HOME), 0),
        (("--organisation", "no entityID"), 0),
        (("--sink", "former"), 0),
        (("--state", "parked"), 2),
        (("--state", "parked", "--state", "pending"), 4),
        (("--state", "cancelled"), 0),
        (("--id", f"eppn={JOSIAH.upper()}"), 2),
        (("--id", f"eppn={JOSIAH}", "--sink", "hr", "--state", "pending"), 1),
    ],
)
def test_a_list_can_be_narrowed(authority: Authority, options: tuple[str, ...], count: int) -> None:
    """By organisation and sink, which need not be configured any more, state and person."""
    _end(authority, DeliveryState.PARKED)

    assert count == len(_listed(authority, *options))


def test_show_has_everything(authority: Authority) -> None:
    """Also identifiers and iD, as text and as JSON."""
    _end(authority, DeliveryState.PARKED, message="no such person")
    listed = _listed(authority, "--id", f"eppn={JOSIAH}", "--sink", "idm")[0]
    reference = str(listed["reference"])
    shown = authority.run("deliveries", "show", reference)
    lines = shown.stdout.splitlines()

    assert listed == json.loads(authority.run("deliveries", "show", "--json", reference).stdout)
    assert ([f"eppn={JOSIAH}"], f"https://orcid.org/{CARBERRY}") == (listed["identifiers"], listed["orcid"])
    expected = {
        f"reference: {reference}",
        "state: parked",
        f"home_organisation: {HOME}",
        "sink: idm",
        f"identifiers: eppn={JOSIAH}",
        f"orcid: https://orcid.org/{CARBERRY}",
        "in_hand: no",
        "due_at: -",
        "message: no such person",
    }
    assert expected <= set(lines)


@pytest.mark.parametrize(
    "arguments", [("show", "r\u00e4ference"), ("retry", "unknown"), ("cancel", "unknown"), ("retry", "--dry-run", "unknown")]
)
def test_a_delivery_that_is_not_there_is_said(authority: Authority, arguments: tuple[str, ...]) -> None:
    """Exit code 1 and a sentence."""
    result = authority.run("deliveries", *arguments)

    assert (1, f"Error: there is no delivery {arguments[-1]!r}\n") == (result.exit_code, result.stderr)


@pytest.mark.parametrize("verb", ["retry", "cancel"])
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("r1", "--organisation", HOME),
        ("r1", "--sink", "idm"),
        ("r1", "--state", "parked"),
        ("--sink", "idm"),
        ("--organisation", HOME, "--state", "delivered"),
    ],
)
def test_which_ones_must_be_said(authority: Authority, verb: str, arguments: tuple[str, ...]) -> None:
    """Either references or an organisation; of what has ended well nothing can be tried or cancelled."""
    assert 2 == authority.run("deliveries", verb, *arguments).exit_code


def test_parked_deliveries_are_tried_again(authority: Authority) -> None:
    """By reference, several at once; each once, however often it is named."""
    parked = _end(authority, DeliveryState.PARKED)
    result = authority.run("deliveries", "retry", *parked, parked[0])

    assert (0, "2 deliveries will be tried at once\n", "") == (result.exit_code, result.stdout, result.stderr)
    assert ["pending", "pending"] == _states(authority)
    assert parked == [reference for reference, _ in _claim(authority)]


def test_what_cannot_be_tried_again_is_named(authority: Authority) -> None:
    """With the reason and exit code 1; the others are tried all the same."""
    (parked,) = _end(authority, DeliveryState.PARKED, limit=1)
    (in_hand,) = [reference for reference, _ in _claim(authority)]
    (delivered,) = _end(authority, DeliveryState.DELIVERED, HR, limit=1)
    result = authority.run("deliveries", "retry", parked, in_hand, delivered)

    assert (1, "1 delivery will be tried at once\n") == (result.exit_code, result.stdout)
    assert [
        f"{in_hand}: left as it is: it is being tried at this moment",
        f"{delivered}: left as it is: it is delivered",
    ] == result.stderr.splitlines()


def test_a_delivery_that_was_followed_is_not_tried_again(authority: Authority) -> None:
    """The newer one tells of the present state."""
    (parked,) = _end(authority, DeliveryState.PARKED, limit=1)
    authority.run("link", "remove", "--id", f"eppn={JOSIAH}")
    result = authority.run("deliveries", "retry", parked)

    assert (1, "0 deliveries will be tried at once\n") == (result.exit_code, result.stdout)
    assert f"{parked}: left as it is: " in result.stderr


@pytest.mark.parametrize(
    ("options", "count"), [((), 4), (("--sink", "idm"), 2), (("--state", "parked"), 2), (("--sink", "hr", "--state", "parked"), 0)]
)
def test_an_organisation_is_tried_again(authority: Authority, options: tuple[str, ...], count: int) -> None:
    """All of it, or a sink, or what is in a state."""
    _end(authority, DeliveryState.PARKED)
    result = authority.run("deliveries", "retry", "--organisation", HOME, *options)

    assert (0, f"{count} deliveries will be tried at once\n") == (result.exit_code, result.stdout)


@pytest.mark.parametrize("verb", ["retry", "replay"])
@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["", "dry-run"])
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (("--organisation", OTHER_HOME), f"no sink of {OTHER_HOME} is configured: there are sinks of {HOME}"),
        (("--organisation", HOME, "--sink", "former"), f"{HOME} has no sink 'former' in the configuration: there are idm, hr"),
    ],
)
def test_a_sink_that_is_not_configured_is_said(
    authority: Authority, *, verb: str, options: tuple[str, ...], place: tuple[str, ...], expected: str
) -> None:
    """With those that are: nothing would ever be delivered to it."""
    result = authority.run("deliveries", verb, *place, *options)

    assert (1, f"Error: {expected}\n") == (result.exit_code, result.stderr)


def test_a_former_sink_can_be_listed_shown_and_cancelled(authority: Authority) -> None:
    """And not be tried again, by reference either."""
    parked = _end(authority, DeliveryState.PARKED)
    authority.change(('name = "idm"', 'name = "successor"'))
    retried = authority.run("deliveries", "retry", parked[0])
    shown = authority.run("deliveries", "show", parked[0])
    cancelled = authority.run("deliveries", "cancel", "--organisation", HOME, "--sink", "idm", "--yes")

    assert (1, f"Error: {IDM} is not configured any more: there are {HOME} sink successor, {HR}\n") == (retried.exit_code, retried.stderr)
    assert (0, 0, "2 deliveries cancelled\n") == (shown.exit_code, cancelled.exit_code, cancelled.stdout)
    assert ["cancelled", "cancelled"] == _states(authority)


def test_one_delivery_is_cancelled_without_a_question(authority: Authority) -> None:
    """It was named."""
    (parked,) = _end(authority, DeliveryState.PARKED, limit=1)
    result = authority.run("deliveries", "cancel", parked)

    assert (0, "1 delivery cancelled\n", "") == (result.exit_code, result.stdout, result.stderr)
    assert 1 == _states(authority).count("cancelled")


def test_several_are_cancelled_after_a_question(authority: Authority) -> None:
    """Whoever does not say yes has cancelled nothing."""
    asked = authority.run("deliveries", "cancel", "--organisation", HOME)
    before = _states(authority)
    sure = authority.run("deliveries", "cancel", "--organisation", HOME, "--yes")

    assert (1, "") == (asked.exit_code, asked.stdout)
    assert "Cancel 4 deliveries? [y/N]" in asked.stderr
    assert (["pending", "pending"], ["cancelled", "cancelled"]) == (before, _states(authority))
    assert (0, "4 deliveries cancelled\n") == (sure.exit_code, sure.stdout)


def test_what_is_being_tried_is_not_cancelled(authority: Authority) -> None:
    """It may be there already."""
    (in_hand,) = [reference for reference, _ in _claim(authority, limit=1)]
    named = authority.run("deliveries", "cancel", in_hand)
    listed = authority.run("deliveries", "cancel", "--organisation", HOME, "--sink", "idm", "--dry-run")

    assert (1, f"{in_hand}: left as it is: it is being tried at this moment\n") == (named.exit_code, named.stderr)
    assert in_hand not in listed.stdout
    assert listed.stdout.endswith("\n1 delivery would be cancelled\n")
    assert ["pending", "pending"] == _states(authority)


@pytest.mark.parametrize("everything", [True, False])
def test_retry_ends_the_pause_of_a_sink_that_was_away(authority: Authority, everything: bool) -> None:
    """What is to be tried at once does not wait until tomorrow because the sink said so when it was away; other sinks stay paused."""
    (parked,) = _end(authority, DeliveryState.PARKED, limit=1)
    board = open_link_store(read_configuration(authority.config))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for name in (str(IDM), str(HR)):
        board.record_outage(Outage(name, 1, datetime.now(UTC), tomorrow, "HTTP status 503"))
    result = authority.run("deliveries", "retry", *(("--organisation", HOME, "--sink", "idm") if everything else (parked,)))
    left = [outage.source for outage in board.list_outages()]
    board.close()

    assert (0, [str(HR)]) == (result.exit_code, left)


def test_a_dry_run_of_retry_tells_what_each_sink_would_do(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cleaned words of the other system; nothing is changed, and the sinks are closed."""

    def rehearse(delivery: Delivery) -> str:
        if delivery.orcid is not None and delivery.orcid.value == CARBERRY:
            raise DeliveryRefused("refused: 400", f"no \x1b[31mperson {JOSIAH}")
        return "would write the iD\x1b[2J"

    sinks = _with_sinks(monkeypatch, rehearse)
    first, second = _end(authority, DeliveryState.PARKED)
    result = authority.run("deliveries", "retry", "--dry-run", first, second)
    lines = [line.split("\t") for line in result.stdout.splitlines()]

    assert [
        [first, str(IDM), "would be parked: refused: 400: no [31mperson …"],
        [second, str(IDM), "would write the iD\ufffd[2J"],
    ] == lines[:2]
    assert (1, ["1 delivery would be made, 1 not"]) == (result.exit_code, lines[2])
    assert all(sink.closed for sink in sinks)
    assert ["parked", "parked"] == _states(authority)


def test_a_dry_run_of_replay_tells_what_each_sink_would_do(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """About everybody, whether or not something waits for them; nothing is written."""
    sinks = _with_sinks(monkeypatch, lambda _: "would write the iD")
    monkeypatch.setattr(command, "sleep", lambda _: None)
    before = _listed(authority)
    result = authority.run("deliveries", "replay", "--organisation", HOME, "--dry-run")

    assert (0, "4 deliveries would be made, 0 not") == (result.exit_code, result.stdout.splitlines()[-1])
    assert f"eppn={MARY}\t{HR}\twould write the iD" in result.stdout.splitlines()
    assert [2, 2] == [len(sink.taken) for sink in sinks]
    assert before == _listed(authority)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (DeliveryDeferred("the entry is busy"), ["would be tried again later: the entry is busy"] * 4),
        (SinkUnavailable("https://idm: 503"), ["takes no deliveries at the moment, and is asked no further: https://idm: 503"] * 2),
        (CouldNotAsk("https://idm: 503"), ["takes no deliveries at the moment, and is asked no further: https://idm: 503"] * 2),
    ],
)
def test_a_sink_that_is_away_is_asked_once(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, failure: Exception, expected: list[str]
) -> None:
    """One that only cannot take one person is asked about the next."""

    def rehearse(_: Delivery) -> str:
        raise failure

    _with_sinks(monkeypatch, rehearse)
    result = authority.run("deliveries", "retry", "--organisation", HOME, "--dry-run")
    lines = result.stdout.splitlines()

    assert expected == [line.split("\t")[2] for line in lines[:-1]]
    assert (1, "0 deliveries would be made, 4 not") == (result.exit_code, lines[-1])


def test_a_defect_of_a_connector_is_told_without_its_words(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may quote a secret."""

    def rehearse(_: Delivery) -> str:
        raise RuntimeError("password hunter2")

    sinks = _with_sinks(monkeypatch, rehearse)
    result = authority.run("deliveries", "retry", "--organisation", HOME, "--dry-run")

    assert (1, True) == (result.exit_code, result.stderr.startswith(f"Error: {IDM}: the connector has a defect: RuntimeError"))
    assert "hunter2" not in result.stderr
    assert all(sink.closed for sink in sinks)


def test_the_sinks_of_the_configuration_rehearse(authority: Authority) -> None:
    """Those that are configured, as they are."""
    result = authority.run("deliveries", "retry", "--organisation", HOME, "--dry-run")

    assert (0, 5) == (result.exit_code, len(result.stdout.splitlines()))


def test_a_replay_delivers_everybodys_present_state(authority: Authority) -> None:
    """Also of whoever has no iD any more, to all sinks or to one."""
    _end(authority, DeliveryState.DELIVERED)
    _end(authority, DeliveryState.DELIVERED, HR)
    authority.run("link", "remove", "--id", f"eppn={JOSIAH}")
    _end(authority, DeliveryState.DELIVERED)
    result = authority.run("deliveries", "replay", "--organisation", HOME, "--sink", "idm")
    pending = _listed(authority, "--sink", "idm", "--state", "pending")

    assert (0, "2 people replayed to idm\n", "") == (result.exit_code, result.stdout, result.stderr)
    assert [(2, f"https://orcid.org/{OTHER_ORCID}"), (1, None)] == [(one["subject"], one["orcid"]) for one in pending]


def test_a_replay_goes_on_where_it_was_interrupted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number that it tells leaves nobody out."""
    _end(authority, DeliveryState.DELIVERED)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "monotonic", lambda: 0.0)
    monkeypatch.setattr(command, "sleep", interrupt)
    interrupted = authority.run("deliveries", "replay", "--organisation", HOME, "--sink", "idm", "--rate", "1")
    first = [one["subject"] for one in _listed(authority, "--sink", "idm", "--state", "pending")]
    monkeypatch.setattr(command, "sleep", lambda _: None)
    finished = authority.run("deliveries", "replay", "--organisation", HOME, "--sink", "idm", "--rate", "1", "--after", "1")

    assert (1, [1]) == (interrupted.exit_code, first)
    assert "interrupted: 1 person so far; go on with --after 1\n" in interrupted.stderr
    assert (0, "1 person replayed to idm\n") == (finished.exit_code, finished.stdout)
    assert [2, 1] == [one["subject"] for one in _listed(authority, "--sink", "idm", "--state", "pending")]


@pytest.mark.parametrize("options", [(), ("--organisation", HOME, "--rate", "0"), ("--organisation", HOME, "--dry-run", "--after", "3")])
def test_a_replay_that_makes_no_sense_is_wrong_usage(authority: Authority, options: tuple[str, ...]) -> None:
    """Exit code 2."""
    assert 2 == authority.run("deliveries", "replay", *options).exit_code


class Hours:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Return the present."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(("rate", "batch", "pause"), [(1, 1, 1.0), (20, 20, 1.0), (100, 100, 1.0), (400, 100, 0.25)])
def test_no_more_than_the_rate_goes_through(rate: int, batch: int, pause: float) -> None:
    """In batches that keep other writers waiting no longer than they must; the first goes at once."""
    hours = Hours()
    pace = Pace(rate, hours.monotonic, hours.sleep)
    for _ in range(3):
        pace.wait()

    assert (batch, [pause, pause]) == (pace.batch, hours.slept)


def test_time_that_was_lost_is_not_made_up_for() -> None:
    """A sink that was slow is not flooded afterwards."""
    hours = Hours()
    pace = Pace(20, hours.monotonic, hours.sleep)
    pace.wait()
    hours.now += 60
    pace.wait()
    pace.wait()

    assert [1.0] == hours.slept


class Growing:
    """Books in which somebody appears between two sinks of a batch."""

    def __init__(self) -> None:
        self.people = [1, 2, 4, 5]
        self.written: dict[str, list[int]] = {"idm": [], "hr": []}

    def replay_deliveries(self, sink: SinkName, environment: Environment, after: int, limit: int, now: datetime) -> tuple[int, int]:
        """Write to a sink."""
        page = [number for number in self.people if number > after][:limit]
        self.written[sink.name] += page
        self.people = [1, 2, 3, 4, 5]
        return (page[-1] if page else after), len(page)


def test_nobody_is_left_out_who_appears_meanwhile() -> None:
    """The sink that got less far decides where to go on."""
    books, hours = Growing(), Hours()
    pace = Pace(3, hours.monotonic, hours.sleep)
    steps = replay_people(books, (IDM, HR), Environment.PRODUCTION, after=0, pace=pace, clock=lambda: datetime.now(UTC))  # type: ignore[arg-type] # all it needs

    assert [3, 5] == [last for last, _ in steps]
    assert ([1, 2, 4, 4, 5], [1, 2, 3, 4, 5]) == (books.written["idm"], books.written["hr"])


def test_progress_is_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """A line every ten seconds where nobody watches a terminal."""
    hours = Hours()
    with progress(100, hours.monotonic) as show:
        for last in range(1, 41):
            hours.now += 1
            show(2, last)

    expected = [f"{people} of 100 people, up to number {people // 2}" for people in (20, 40, 60, 80)]
    assert expected == capsys.readouterr().err.splitlines()


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It fills."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress(4, Hours().monotonic) as show:
        show(2, 1)
        show(2, 2)

    assert "100%" in capsys.readouterr().err


def test_nothing_acts_on_the_terminal() -> None:
    """Whatever stands in the books or comes from a sink."""
    assert "a\ufffd[31m\tb\ufffd\ufffdä" == printable("a\x1b[31m\tb\u202e\x9bä")
