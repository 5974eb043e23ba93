"""Streams of how deliveries go on: what they send, when they end, how many there may be, and that they hold nothing up."""

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from attribute_authority.domain.delivery import DeliveryState
from attribute_authority.errors import CouldNotAsk
from attribute_authority.web.companion import live
from tests.factories.companion import Browser, Site
from tests.factories.companion_deliveries import delivering_site, delivery_record, linked_browser
from tests.factories.companion_doors import DEADLINE, Pool, ThreadlessReactor, companion_site
from tests.factories.wires import Http, Wire, read_answers


class Stage:
    """A linked person with a delivery under way, the page behind its door, and a clock."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.site = delivering_site("crm")
        self.browser = linked_browser(self.site)
        self.site.books.records.append(delivery_record(self.site))
        self.reactor = ThreadlessReactor()
        self.pool = pool or Pool()
        self.served = companion_site(self.site.application, self.pool, self.reactor)

    def open(self, *, browser: Browser | None = None, lang: str = "en") -> "Listener":
        """Open a stream as a browser of that person does."""
        listener = Listener(Wire(self.served, "127.0.0.1"))
        listener.wire.send(_request(browser or self.browser, lang))
        return listener

    def set(self, **changes: Any) -> None:
        """Have the delivery fare differently."""
        self.site.books.records[:] = [replace(record, **changes) for record in self.site.books.records]

    def pass_time(self, seconds: float) -> None:
        """Let time go by, second by second."""
        for _ in range(round(seconds)):
            self.reactor.advance(1)


class Listener:
    """The browser's end of a stream."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self._answer.status

    @property
    def headers(self) -> Any:
        """The headers of the answer."""
        return self._answer.headers

    @property
    def is_over(self) -> bool:
        """Whether the answer is complete."""
        return self._chunks()[1]

    def events(self) -> list[tuple[str, str]]:
        """Return kind and text of every event so far, as browsers read a stream (HTML Living Standard section 9.2.6)."""
        found = []
        for block in self._chunks()[0].decode().split("\n\n"):
            fields = [line.partition(": ") for line in block.splitlines()]
            text = "\n".join(value for name, _, value in fields if name == "data")
            if text:
                found.append((next((value for name, _, value in fields if name == "event"), "message"), text))
        return found

    def text(self) -> str:
        """Return everything that was sent."""
        return self._chunks()[0].decode()

    @property
    def _answer(self) -> Http:
        return read_answers(self.wire.line.value())[0]

    def _chunks(self) -> tuple[bytes, bool]:
        rest, body = self._answer.body, b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if length == 0:
                return body, True
            body, rest = body + rest[:length], rest[length + 2 :]
        return body, False


def _request(browser: Browser, lang: str, accept: str = "text/event-stream", method: str = "GET") -> bytes:
    cookie = browser.client.get_cookie("__Host-session", domain="orcid.example.org")
    session = "" if cookie is None else f"Cookie: __Host-session={cookie.value}\r\n"
    return f"{method} /deliveries/live?lang={lang} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n{session}\r\n".encode()


def test_a_stream_begins_with_what_is_so() -> None:
    """A stream that nobody may keep or buffer begins with the present state, and goes on."""
    listener = Stage().open()

    assert (200, "text/event-stream") == (listener.status, listener.headers["content-type"])
    assert ("no-store", "no") == (listener.headers["cache-control"], listener.headers["x-accel-buffering"])
    assert "frame-ancestors 'none'" in listener.headers["content-security-policy"]
    assert "set-cookie" not in listener.headers
    assert "retry: 3000\n" in listener.text()
    assert ["message"] == [kind for kind, _ in listener.events()]
    assert "Under way." in listener.events()[0][1]
    assert not listener.is_over


def test_a_stream_speaks_the_language_of_its_page() -> None:
    """The language of the address is that of what is sent."""
    assert "Kesken." in Stage().open(lang="fi").text()


def test_only_a_change_is_sent() -> None:
    """While nothing changes no event is sent; a change is within a second or so; the log has no line of any of it."""
    stage = Stage()
    listener = stage.open()
    written = stage.site.events()
    stage.pass_time(5)
    before = len(listener.events())
    stage.set(attempts=1, due_at=stage.site.now.replace(year=2030))
    stage.pass_time(2)

    assert (1, 2) == (before, len(listener.events()))
    assert "Not delivered yet." in listener.events()[1][1]
    assert written == stage.site.events()


def test_a_stream_ends_when_nothing_is_under_way() -> None:
    """The last state is sent, then that it was the last; the connection can be used again."""
    stage = Stage()
    listener = stage.open()
    stage.set(state=DeliveryState.DELIVERED, ended_at=stage.site.now)
    stage.pass_time(2)
    (_, _), (_, last), end = listener.events()

    assert "Your iD has arrived there." in last
    assert ("done", "done") == end
    assert listener.is_over
    assert not listener.wire.line.closed
    assert [] == _waiting(stage)


def test_a_stream_about_what_is_over_ends_at_once() -> None:
    """A browser that comes back after the end gets the last state once more, and is told that it was the last."""
    stage = Stage()
    stage.set(state=DeliveryState.PARKED, ended_at=stage.site.now)
    listener = stage.open()

    assert ["message", "done"] == [kind for kind, _ in listener.events()]
    assert listener.is_over


def test_a_silent_stream_shows_that_it_lives() -> None:
    """Every 15 seconds a comment is sent, which proxies see and browsers pass over."""
    stage = Stage()
    listener = stage.open()
    stage.pass_time(31)

    assert 2 == listener.text().count("\n:\n")
    assert 1 == len(listener.events())


def test_a_stream_ends_after_a_while_without_saying_done() -> None:
    """After ten minutes the answer ends, and a browser that still wants to know comes back by itself."""
    stage = Stage()
    listener = stage.open()
    stage.pass_time(600)

    assert listener.is_over
    assert ["message"] == [kind for kind, _ in listener.events()]
    assert [] == _waiting(stage)


def test_a_stream_ends_with_the_session() -> None:
    """Whoever signs out gets no more, and the browser does not come back."""
    stage = Stage()
    listener = stage.open()
    stage.browser.get("/")
    stage.browser.submit("/logout")
    stage.pass_time(2)

    assert ("done", "done") == listener.events()[-1]
    assert listener.is_over


def test_a_stream_of_nobody_is_refused() -> None:
    """Without a session there is no stream, and a browser does not try again."""
    stage = Stage()

    assert 403 == stage.open(browser=stage.site.browser()).status


def test_a_stream_stops_when_the_browser_has_gone() -> None:
    """Nothing is asked any more for somebody who is not there, and the place is free."""
    stage = Stage()
    listener = stage.open()
    listener.wire.protocol.connectionLost(Failure(ConnectionDone()))
    asked = stage.site.books.asked
    stage.pass_time(20)

    assert asked == stage.site.books.asked
    assert [] == _waiting(stage)


def test_a_browser_that_goes_while_it_is_asked_for_is_not_written_to() -> None:
    """An answer that comes after its browser has gone is thrown away."""
    pool = Pool()
    stage = Stage(pool)
    listener = stage.open()
    pool.busy = True
    stage.pass_time(1)
    sent = listener.wire.line.value()
    listener.wire.protocol.connectionLost(Failure(ConnectionDone()))
    asked = stage.site.books.asked
    pool.work_off()

    assert (sent, asked) == (listener.wire.line.value(), stage.site.books.asked)


def test_what_is_away_for_a_moment_ends_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away nothing is sent and little is asked; afterwards the stream goes on."""
    stage = Stage()
    listener = stage.open()
    read = stage.site.books.read_deliveries
    tries: list[object] = []

    def fail(*about: Any) -> Any:
        tries.append(about)
        raise CouldNotAsk("away")

    monkeypatch.setattr(stage.site.books, "read_deliveries", fail)
    stage.pass_time(30)
    while_away = len(listener.events())
    monkeypatch.setattr(stage.site.books, "read_deliveries", read)
    stage.set(state=DeliveryState.DELIVERED, ended_at=stage.site.now)
    stage.pass_time(16)

    assert (2, 1) == (len(tries), while_away)
    assert ["message", "message", "done"] == [kind for kind, _ in listener.events()]


def test_a_defect_ends_no_stream_and_is_told() -> None:
    """What fails beyond the application is logged, and asked again after a pause."""
    stage = Stage()
    listener = stage.open()
    application = stage.site.application
    broken: list[object] = []

    def fail(*environ: object) -> Any:
        broken.append(environ)
        raise ZeroDivisionError("a defect")

    assert not listener.is_over
    failing = Broken(application, fail)
    door: Any = stage.served.resource
    door._find_application = lambda: failing
    stage.pass_time(3)
    door._find_application = lambda: application
    stage.set(state=DeliveryState.DELIVERED, ended_at=stage.site.now)
    stage.pass_time(16)

    assert 1 == len(broken)
    assert "ZeroDivisionError" in stage.site.events()
    assert listener.is_over


class Broken:
    """An application that fails at everything."""

    def __init__(self, application: Any, fail: Any) -> None:
        self.parts = application.parts
        self._fail = fail

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Fail."""
        return self._fail(environ, start_response)


def test_a_session_has_so_many_streams() -> None:
    """A fifth window of the same person is told to load the page again; another person is not kept out, and a place comes free."""
    stage = Stage()
    listeners = [stage.open() for _ in range(5)]
    listeners[0].wire.protocol.connectionLost(Failure(ConnectionDone()))
    another = stage.open()

    assert [200, 200, 200, 200, 503] == [listener.status for listener in listeners]
    assert "60" == listeners[4].headers["retry-after"]
    assert 200 == another.status


def test_a_worker_has_so_many_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many streams whoever comes is refused, whoever it is."""
    monkeypatch.setattr(live, "_STREAMS", 2)
    stage = Stage()
    others = [stage.browser, stage.browser, linked_again(stage.site)]

    assert [200, 200, 503] == [stage.open(browser=browser).status for browser in others]


def linked_again(site: Site) -> Browser:
    """Return another browser in which the same person has signed in."""
    browser = site.browser()
    browser.sign_in()
    return browser


def test_streams_leave_threads_to_pages() -> None:
    """However many streams ask at once, only few of them wait for a thread."""
    pool = Pool()
    stage = Stage(pool)
    browsers = [stage.browser, linked_again(stage.site)]
    listeners = [stage.open(browser=browser) for browser in browsers for _ in range(4)]
    pool.busy = True
    stage.reactor.advance(1)
    waiting = len(pool.kept)
    stage.set(state=DeliveryState.DELIVERED, ended_at=stage.site.now)
    pool.work_off()

    assert (8, 4) == (len(listeners), waiting)
    assert all(listener.is_over for listener in listeners)


def test_the_end_of_the_service_waits_for_no_stream() -> None:
    """A drain ends every stream at once, and its connections with it."""
    stage = Stage()
    listeners = [stage.open(), stage.open()]
    drained: list[object] = []
    stage.served.drain().addCallback(drained.append)
    for listener in listeners:
        listener.wire.protocol.connectionLost(Failure(ConnectionDone()))

    assert all(listener.is_over and listener.wire.line.closed for listener in listeners)
    assert ["message"] == [kind for kind, _ in listeners[0].events()]
    assert [None] == drained
    assert [] == _waiting(stage)


def test_no_stream_begins_while_the_service_ends() -> None:
    """What was asked for before the end, and is answered after it began, is refused."""
    pool = Pool()
    stage = Stage(pool)
    pool.busy = True
    listener = stage.open()
    stage.served.drain()
    pool.work_off()

    assert 503 == listener.status
    assert listener.wire.line.closed


def test_a_stream_that_cannot_begin_in_time_is_refused() -> None:
    """The first answer is made as that of any page, and comes within the deadline."""
    pool = Pool(busy=False)
    stage = Stage(pool)
    pool.busy = True
    listener = stage.open()
    stage.reactor.advance(DEADLINE)

    assert 503 == listener.status


@pytest.mark.parametrize(("method", "accept", "status"), [("GET", "text/html", 303), ("POST", "text/event-stream", 405)])
def test_only_who_can_take_events_gets_a_stream(method: str, accept: str, status: int) -> None:
    """Anything else at the address is answered as a page."""
    stage = Stage()
    listener = Listener(Wire(stage.served, "127.0.0.1"))
    listener.wire.send(_request(stage.browser, "en", accept, method))

    assert status == listener.status


def test_awkward_names_break_no_event() -> None:
    """A name of a system with line breaks stays within its event, and is text."""
    name = "crm\r\n\r\nevent: done\rdata: <script>"
    site = delivering_site("hr", name)
    browser = linked_browser(site)
    site.books.records.extend((delivery_record(site, "hr"), delivery_record(site, name)))
    served = companion_site(site.application, Pool(), ThreadlessReactor())
    listener = Listener(Wire(served, "127.0.0.1"))
    listener.wire.send(_request(browser, "en"))

    assert ["message"] == [kind for kind, _ in listener.events()]
    assert "<script>" not in listener.text()


def _waiting(stage: Stage) -> list[object]:
    """Return what streams have the clock do; connections have it do something of their own."""
    calls: list[Any] = list(stage.reactor.getDelayedCalls())
    return [call for call in calls if isinstance(getattr(call.func, "__self__", None), live.Stream)]
