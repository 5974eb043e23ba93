"""Nodes of one authority on one PostgreSQL: what one stores or has seen the other knows, and an outage passes by itself."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from attribute_authority.assembly import new_saml_id, present
from attribute_authority.domain.query import NameId
from attribute_authority.saml.asking import Heard, Question, read_response, write_query
from attribute_authority.saml.namespaces import EPPN_OID_URN, STATUS_REQUEST_DENIED, STATUS_REQUESTER, STATUS_RESPONDER, STATUS_SUCCESS
from tests.factories.authority import CARBERRY, SELF_TEST, Authority, new_authority
from tests.peers.postgresql import PostgresqlServer

_IRI = f"https://orcid.org/{CARBERRY}"
_PERSON = NameId("josiah@uni.example", EPPN_OID_URN)


@dataclass(frozen=True, slots=True)
class Node:
    """A running node and the files of its authority."""

    url: str
    authority: Authority

    def ask(self, question: Question, body: bytes) -> Heard:
        """Send a query as it is, and read what came back."""
        keys = self.authority.directory / "keys"
        answer = requests.post(self.url, body, headers={"Content-Type": "text/xml"}, verify=str(keys / "tls.crt"), timeout=30)
        return read_response(answer.content, question, ((keys / "signing.crt").read_bytes(),))

    def ask_afresh(self) -> Heard:
        """Ask about the person with a query that nobody has seen."""
        return self.ask(*self.write())

    def write(self) -> tuple[Question, bytes]:
        """Write a signed query about the person."""
        directory = self.authority.directory / "self-test"
        question = Question(new_saml_id(), SELF_TEST, None, _PERSON)
        key, certificate = (directory / "requester.key").read_bytes(), (directory / "requester.crt").read_bytes()
        return question, write_query(question, present(), key, certificate)


@pytest.fixture
def nodes(tmp_path: Path, postgresql_url: str) -> Iterator[tuple[Node, Node]]:
    """Two nodes with the same keys and the same database, where one person is linked."""
    first = new_authority(tmp_path)
    first.change(("sqlite:///links.db", postgresql_url))
    first.change(('[database]\nurl = "', '[database]\ntimeout = 1.0\nurl = "'))
    second = Authority(Path(shutil.copytree(first.directory, tmp_path / "second")))
    first.link("eppn=josiah@uni.example")
    with ExitStack() as stack:
        yield tuple(Node(stack.enter_context(authority.serving()), authority) for authority in (first, second))  # type: ignore[misc]


def test_a_link_made_at_one_node_is_released_by_all(nodes: tuple[Node, Node]) -> None:
    """Nodes that share a database answer alike."""
    assert [(_IRI,), (_IRI,)] == [node.ask_afresh().values for node in nodes]


def test_a_link_withdrawn_at_one_node_is_released_by_none(nodes: tuple[Node, Node]) -> None:
    """A withdrawal counts everywhere from the moment that it is reported."""
    nodes[0].authority.run("link", "remove", "--orcid", CARBERRY)

    assert [(), ()] == [node.ask_afresh().values for node in nodes]


def test_replay_at_another_node(nodes: tuple[Node, Node]) -> None:
    """A query that one node has answered is refused by the other, which answers a fresh one."""
    first, second = nodes
    question, body = first.write()
    first.ask(question, body)

    replayed, fresh = second.ask(question, body), second.ask_afresh()

    assert [(STATUS_REQUESTER, STATUS_REQUEST_DENIED), (STATUS_SUCCESS,)] == [replayed.codes, fresh.codes]


def test_a_stopped_database_is_never_no_id(nodes: tuple[Node, Node], postgresql: PostgresqlServer) -> None:
    """While the database is away the answer is that we could not ask, and once it is back the iD is released again."""
    node = nodes[0]
    before = node.ask_afresh()
    postgresql.stop()
    try:
        during = node.ask_afresh()
    finally:
        postgresql.start()
    after = node.ask_afresh()

    assert [(STATUS_SUCCESS,), (STATUS_RESPONDER,), (STATUS_SUCCESS,)] == [heard.codes for heard in (before, during, after)]
    assert [(_IRI,), (), (_IRI,)] == [heard.values for heard in (before, during, after)]


def test_a_hanging_database_costs_a_deadline(nodes: tuple[Node, Node], postgresql: PostgresqlServer) -> None:
    """While the database stands still queries are answered with "could not ask", and metadata as ever; then all is as before."""
    node = nodes[0]
    before = node.ask_afresh()
    with postgresql.paused():
        during = node.ask_afresh()
        certificate = str(node.authority.directory / "keys" / "tls.crt")
        metadata = requests.get(node.url.replace("/saml/attribute-query", "/metadata"), verify=certificate, timeout=30)
    after = node.ask_afresh()

    assert [(STATUS_SUCCESS,), (STATUS_RESPONDER,), (STATUS_SUCCESS,)] == [heard.codes for heard in (before, during, after)]
    assert 200 == metadata.status_code
