"""Several servers of one directory, and connections that are used again: what happens when some of them go away."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread

import pytest

from attribute_authority.domain.identifiers import IdentifierKind, parse_identifier
from attribute_authority.domain.source import Finding
from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from connectors._deadline import Monotonic
from connectors._ldap_servers import Servers
from connectors._ldap_session import Access, Search, ServerAddress
from tests.factories.directories import (
    BIND_RESPONSE,
    SEARCH_DONE,
    SEARCH_REQUEST,
    Talk,
    read_request,
    result,
    scripted_server,
    source,
    table,
    table_for,
    welcoming,
)
from tests.peers.slapd import BIND_DN, PASSWORD, PEOPLE, Slapd, running_slapd

TEPPO = parse_identifier(IdentifierKind.EPPN, "teppo@uni.example")
SEARCH = Search(PEOPLE, "SUBTREE", "(eduPersonPrincipalName=teppo@uni.example)", ("uid",), 2)
PATIENCE = 60.0


@dataclass(slots=True)
class Moment:
    """A clock that a test moves; time-outs of sockets are real all the same."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        """Return the present instant."""
        return self.seconds


def a_server() -> Iterator[Slapd]:
    """Run a server with one person."""
    with running_slapd() as slapd:
        slapd.add_person("teppo", {"eduPersonPrincipalName": "teppo@uni.example"})
        yield slapd


first = pytest.fixture(scope="module", name="first")(a_server)
second = pytest.fixture(scope="module", name="second")(a_server)


@contextmanager
def servers(clock: Monotonic, *slapds: Slapd, connections: int = 4) -> Iterator[Servers]:
    """Open servers of the suite, over LDAPS, by a clock."""
    context = ssl.create_default_context()
    for slapd in slapds:
        context.load_verify_locations(slapd.certificate)
    addresses = [ServerAddress("127.0.0.1", slapd.tls_port, True, False) for slapd in slapds]
    with closing(Servers(addresses, Access(context, BIND_DN, PASSWORD), connections, clock)) as opened:
        yield opened


def scripted(*urls: str, connections: int = 4) -> Servers:
    """Open scripted servers, in the clear and anonymously."""
    addresses = [ServerAddress("127.0.0.1", int(url.rpartition(":")[2]), False, False) for url in urls]
    return Servers(addresses, Access(ssl.create_default_context()), connections)


def port_of_answer(asked: Servers, timeout: float = PATIENCE) -> int:
    """Search, and return which server answered."""
    answer = asked.search(SEARCH, timeout)

    assert 1 == len(answer.entries)
    return answer.server.port


def test_the_first_server_is_asked_while_it_works(first: Slapd, second: Slapd) -> None:
    """The order of the configuration is the order in which servers are asked."""
    with servers(Moment(), first, second) as one_way, servers(Moment(), second, first) as other_way:
        ports = port_of_answer(one_way), port_of_answer(other_way)

    assert (first.tls_port, second.tls_port) == ports


def test_the_second_server_takes_over_and_hands_back(first: Slapd, second: Slapd) -> None:
    """While the first is gone the second answers, and for a while longer; then the first is asked again."""
    clock = Moment()
    with servers(clock, first, second) as asked:
        before = port_of_answer(asked)
        with first.stopped():
            during = port_of_answer(asked)
        shortly_after = port_of_answer(asked)
        clock.seconds += 31
        after = port_of_answer(asked)

    assert [first.tls_port, second.tls_port, second.tls_port, first.tls_port] == [before, during, shortly_after, after]


@pytest.mark.parametrize("connected", [True, False])
def test_the_second_server_takes_over_within_one_question(first: Slapd, second: Slapd, connected: bool) -> None:
    """A first server that hangs, connected to already or not, costs its share of the time and no more."""
    with servers(time.monotonic, first, second) as asked:
        if connected:
            port_of_answer(asked)
        with first.paused():
            port = port_of_answer(asked, 3.0)

    assert second.tls_port == port


def test_where_every_server_is_gone_each_is_named(first: Slapd, second: Slapd) -> None:
    """The cause tells of every server that was tried, and the next question tries them all again."""
    with servers(Moment(), first, second) as asked:
        with first.stopped(), second.stopped(), pytest.raises(CouldNotAsk) as caught:
            asked.search(SEARCH, PATIENCE)
        port = port_of_answer(asked)

    expected = f"{first.ldaps_url}: Connection refused; {second.ldaps_url}: Connection refused"
    assert (expected, first.tls_port) == (caught.value.cause, port)


@pytest.mark.parametrize("code", [51, 52])
def test_a_server_that_is_busy_sends_us_to_the_next(first: Slapd, code: int) -> None:
    """The results busy and unavailable are about the server, and another may do better."""
    with scripted_server(welcoming(lambda number: result(number, SEARCH_DONE, code))) as url:
        settings = table_for(first, urls=[url, first.url], start_tls=False)
        with source(settings) as asked:
            found = asked.resolve(TEPPO)

    assert Finding(()) == found


def test_an_idle_connection_is_not_trusted_for_ever(first: Slapd) -> None:
    """After a minute without a question a connection is made afresh: firewalls forget, and say nothing."""
    clock = Moment()
    before = first.count_binds()
    with servers(clock, first) as asked:
        for seconds in (0, 59, 61):
            clock.seconds += seconds
            port_of_answer(asked)

    assert 2 == first.count_binds() - before


def hanging_up_on_the_second_search() -> Talk:
    """Make a server that hangs up, instead of answering, when it gets a second search on one connection."""

    def talk(connection: socket.socket) -> None:
        searches = 0
        while request := connection.recv(65536):
            tag, number = read_request(request)
            searches += tag == SEARCH_REQUEST
            if searches == 2:
                return
            connection.sendall(result(number, SEARCH_DONE if tag == SEARCH_REQUEST else BIND_RESPONSE))

    return talk


def test_a_connection_that_ends_at_the_question_is_replaced() -> None:
    """A server that hangs up just when it is asked is connected to again, and the question is answered."""
    with scripted_server(hanging_up_on_the_second_search()) as url, source(table(urls=[url], start_tls=False)) as asked:
        found = [asked.resolve(TEPPO) for _ in range(4)]

    assert [None] * 4 == found


def test_a_fresh_connection_that_ends_is_not_replaced() -> None:
    """Where a fresh connection ends without an answer, nobody tries for ever."""
    connections = []

    def talk(connection: socket.socket) -> None:
        connections.append(connection)
        connection.recv(65536)

    with scripted_server(talk) as url, source(table(urls=[url], start_tls=False)) as asked, pytest.raises(CouldNotAsk) as caught:
        asked.resolve(TEPPO)

    assert (f"{url}: the connection ended", 1) == (caught.value.cause, len(connections))


class Gate:
    """A server that answers no search until it is told to, and counts who is waiting."""

    def __init__(self) -> None:
        self.waiting = Event()
        self.open = Event()
        self.most = 0
        self._present = 0
        self._lock = Lock()

    def talk(self, connection: socket.socket) -> None:
        """Answer one connection."""
        with self._lock:
            self._present += 1
            self.most = max(self.most, self._present)
        while request := connection.recv(65536):
            tag, number = read_request(request)
            if tag == SEARCH_REQUEST:
                self.waiting.set()
                self.open.wait(PATIENCE)
            connection.sendall(result(number, SEARCH_DONE if tag == SEARCH_REQUEST else BIND_RESPONSE))


def test_a_question_waits_for_a_connection_no_longer_than_it_may() -> None:
    """Where every connection is in use the source says so, and that nothing is wrong with the directory."""
    gate = Gate()
    with scripted_server(gate.talk) as url, closing(scripted(url, connections=1)) as asked:
        holding = Thread(target=asked.search, args=(SEARCH, PATIENCE))
        holding.start()
        gate.waiting.wait(PATIENCE)
        with pytest.raises(SourceUnavailable, match="every connection to the directory is in use"):
            asked.search(SEARCH, 0.05)
        gate.open.set()
        holding.join()


def test_there_are_never_more_connections_than_configured() -> None:
    """Many threads at once share the few connections that there may be."""
    gate = Gate()
    gate.open.set()
    with scripted_server(gate.talk) as url, closing(scripted(url, connections=3)) as asked:
        threads = [Thread(target=asked.search, args=(SEARCH, PATIENCE)) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert 1 <= gate.most <= 3


def test_a_connection_in_use_is_given_up_when_it_comes_back() -> None:
    """Closing while somebody asks lets them have their answer, and nobody is asked after that."""
    gate = Gate()
    answers = []
    with scripted_server(gate.talk) as url:
        asked = scripted(url)
        asking = Thread(target=lambda: answers.append(asked.search(SEARCH, PATIENCE)))
        asking.start()
        gate.waiting.wait(PATIENCE)
        asked.close()
        gate.open.set()
        asking.join()
        with pytest.raises(CouldNotAsk, match="are closed"):
            asked.search(SEARCH, PATIENCE)

    assert [0] == [answer.code for answer in answers]


def test_a_name_that_cannot_be_resolved_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose name has no address is named in the cause."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with source(table(urls=["ldaps://directory.invalid"])) as asked, pytest.raises(CouldNotAsk) as caught:
        asked.resolve(TEPPO)

    assert "ldaps://directory.invalid:636: its name cannot be resolved" == caught.value.cause
