"""A directory that will not or cannot take an iD, changes under our hands, or is not what it should be."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attribute_authority.domain.delivery import Receipt
from attribute_authority.domain.identifiers import Environment
from attribute_authority.errors import DeliveryDeferred, SinkUnavailable
from attribute_authority.keys import make_key
from connectors import SinkSurroundings
from connectors._deadline import Deadline
from connectors._ldap_servers import Servers
from connectors._ldap_session import Access, Answer, Modification, ServerAddress, Session
from connectors.ldap_entries import LdapEntries
from tests.factories.directories import HOME_ORGANISATION, scripted_server
from tests.factories.directory_sinks import (
    AUTHORITY,
    DIAGNOSTIC,
    FOREIGN,
    FORMER,
    HANG_UP,
    ORCID,
    delivery,
    refused,
    scripted_directory,
    sink,
    sink_table,
    sink_table_for,
    unavailable,
    uri,
)
from tests.peers.slapd import BIND_DN, PASSWORD, WRITER_DN, Slapd, running_slapd

SINGLE: dict[str, object] = {"attribute": "extensionAttribute7", "values": "single"}
ABOUT_THE_ENTRY = {17: "undefinedAttributeType", 18: "inappropriateMatching", 21: "invalidAttributeSyntax", 65: "objectClassViolation"}
ABOUT_THE_SERVER = {
    1: "operationsError",
    8: "strongerAuthRequired",
    10: "referral",
    51: "busy",
    52: "unavailable",
    53: "unwillingToPerform",
}


@pytest.fixture(scope="module")
def directory() -> Iterator[Slapd]:
    """A server with Teppo."""
    with running_slapd() as slapd:
        slapd.add_person("teppo", {"eduPersonPrincipalName": "teppo@uni.example"})
        yield slapd


@pytest.fixture(autouse=True)
def nobody_has_an_id(directory: Slapd) -> None:
    """Every test begins with nothing in the directory."""
    for attribute in ("eduPersonOrcid", "extensionAttribute7"):
        directory.set_values("teppo", attribute, ())


@dataclass(slots=True)
class Meddling:
    """Somebody who changes a value each time just before we do, as long as there are values to write."""

    slapd: Slapd
    attribute: str
    writes: list[tuple[str, ...]]

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Come in between."""
        modify = Session.modify

        def meddled(session: Session, dn: bytes, modifications: Sequence[Modification], deadline: Deadline) -> Answer:
            if self.writes:
                self.slapd.set_values("teppo", self.attribute, self.writes.pop(0))
            return modify(session, dn, modifications, deadline)

        monkeypatch.setattr(Session, "modify", meddled)


@pytest.mark.parametrize(
    ("before", "meanwhile", "then"),
    [
        ((FORMER.value,), (), [uri(ORCID)]),
        ((FORMER.value,), (FOREIGN.value,), [FOREIGN.value, uri(ORCID)]),
        ((FORMER.value,), (uri(FORMER),), [uri(ORCID)]),
        ((), (ORCID.value, uri(ORCID)), [ORCID.value, uri(ORCID)]),
    ],
)
def test_a_change_at_the_same_time_is_seen(
    directory: Slapd, monkeypatch: pytest.MonkeyPatch, before: tuple[str, ...], meanwhile: tuple[str, ...], then: list[str]
) -> None:
    """An entry that changes between our reading and our writing is read again, and what came meanwhile is kept."""
    directory.set_values("teppo", "eduPersonOrcid", before)
    Meddling(directory, "eduPersonOrcid", [meanwhile]).patch(monkeypatch)
    with sink(sink_table_for(directory)) as opened:
        opened.deliver(delivery(ORCID, FORMER))

    assert sorted(value.encode() for value in then) == directory.values("teppo", "eduPersonOrcid")


def test_a_single_place_that_is_taken_at_the_same_time_is_not_ours(directory: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody else's iD takes the only place before us, it stays, and ours is refused."""
    Meddling(directory, "extensionAttribute7", [(FOREIGN.value,)]).patch(monkeypatch)
    with sink(sink_table_for(directory, **SINGLE)) as opened:
        refusal = refused(opened, delivery(ORCID))

    assert "another iD stands there" in refusal.cause
    assert [FOREIGN.value.encode()] == directory.values("teppo", "extensionAttribute7")


def test_an_entry_that_changes_all_the_time_is_left_for_later(directory: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second time nobody insists, and others can still be delivered."""
    directory.set_values("teppo", "eduPersonOrcid", [FORMER.value])
    Meddling(directory, "eduPersonOrcid", [(uri(FORMER),), (FORMER.value,)]).patch(monkeypatch)
    with sink(sink_table_for(directory)) as opened:
        with pytest.raises(DeliveryDeferred, match="as it changed at the same time"):
            opened.deliver(delivery(ORCID, FORMER))
        told = opened.deliver(delivery(ORCID, FORMER))

    assert Receipt() == told


@pytest.mark.parametrize("code", ABOUT_THE_ENTRY)
def test_what_the_server_has_against_the_entry_is_refused(code: int) -> None:
    """A person has to act, who is shown the server's own words; the cause quotes nothing of them."""
    with scripted_directory(code) as scripted, sink(sink_table(urls=[scripted.url], start_tls=False)) as opened:
        refusal = refused(opened, delivery(ORCID))

    assert f"{scripted.url}: result code {code} ({ABOUT_THE_ENTRY[code]}): the entry was not modified" == refusal.cause
    assert DIAGNOSTIC == refusal.answer


def test_a_constraint_that_holds_the_second_time_is_refused() -> None:
    """A violated constraint may come of a change at the same time; the second time it is told."""
    with scripted_directory(19, 19) as scripted, sink(sink_table(urls=[scripted.url], start_tls=False)) as opened:
        refusal = refused(opened, delivery(ORCID))

    assert ("(constraintViolation)" in refusal.cause, DIAGNOSTIC) == (True, refusal.answer)


@pytest.mark.parametrize("codes", [(16, 16), (20, 20), (32, 32), (16, 20)])
def test_conflicts_are_tried_twice_and_no_more(codes: tuple[int, ...]) -> None:
    """Results that tell of a change at the same time are one more attempt, and then a delivery for later."""
    with (
        scripted_directory(*codes) as scripted,
        sink(sink_table(urls=[scripted.url], start_tls=False)) as opened,
        pytest.raises(DeliveryDeferred) as caught,
    ):
        opened.deliver(delivery(ORCID))

    assert DIAGNOSTIC not in caught.value.cause


@pytest.mark.parametrize("code", ABOUT_THE_SERVER)
def test_a_server_that_does_not_write_sends_us_to_the_next(directory: Slapd, code: int) -> None:
    """A replica that only reads, or a server that is busy, is passed over for one that writes, and no referral is followed."""
    with scripted_directory(code) as scripted:
        settings = sink_table_for(directory, urls=[scripted.url, directory.url], start_tls=False)
        with sink(settings) as opened:
            told = opened.deliver(delivery(ORCID))

    assert (Receipt(), [uri(ORCID).encode()]) == (told, directory.values("teppo", "eduPersonOrcid"))


@pytest.mark.parametrize("code", ABOUT_THE_SERVER)
def test_where_no_server_writes_the_directory_is_away(code: int) -> None:
    """Where nobody writes, nobody is refused, and the cause names the result and none of the server's words."""
    with scripted_directory(code) as scripted, sink(sink_table(urls=[scripted.url], start_tls=False)) as opened:
        failure = unavailable(opened, delivery(ORCID))

    assert f"{scripted.url}: result code {code} ({ABOUT_THE_SERVER[code]}): the entry was not modified" == failure.cause


def test_missing_rights_are_everybodys(directory: Slapd) -> None:
    """Who may not write at all parks nobody: the sink is away, and its cause says why."""
    with sink(sink_table_for(directory, bind_dn=BIND_DN)) as opened:
        opened.rehearse(delivery(ORCID))
        causes = [unavailable(opened, delivery(ORCID)).cause for _ in range(2)]

    told = "result code 50 (insufficientAccessRights): the entry was not modified: whom we bind as has not the right to"
    assert [f"{directory.ldaps_url}: {told}"] * 2 == causes


def test_one_entry_without_rights_holds_nobody_up() -> None:
    """Just after somebody was written, missing rights are the one entry's: it is refused. Where they stay missing, the sink is away."""
    with scripted_directory(0, 50, 50) as scripted, sink(sink_table(urls=[scripted.url], start_tls=False)) as opened:
        opened.deliver(delivery(ORCID))
        refusal = refused(opened, delivery(ORCID))
        failure = unavailable(opened, delivery(ORCID))

    assert ("others were written just before" in refusal.cause, DIAGNOSTIC) == (True, refusal.answer)
    assert "has not the right" in failure.cause


def test_a_wrong_password_is_everybodys(directory: Slapd, tmp_path: Path) -> None:
    """A bind that is refused makes the sink unavailable, and its cause quotes no password."""
    (tmp_path / "password").write_text("not-the-password")
    with sink(sink_table_for(directory, password_file=str(tmp_path / "password"))) as opened:
        failure = unavailable(opened, delivery(ORCID))
        with pytest.raises(SinkUnavailable, match="invalidCredentials"):
            opened.check()

    assert f"{directory.ldaps_url}: bind: result code 49 (invalidCredentials)" == failure.cause


def test_an_attribute_that_shows_nothing_is_everybodys() -> None:
    """An entry that was found and does not show by what may be another's: nothing is written, and nobody is refused."""
    with (
        scripted_directory(values={"eduPersonPrincipalName": []}) as scripted,
        sink(sink_table(urls=[scripted.url], start_tls=False)) as opened,
    ):
        failure = unavailable(opened, delivery(ORCID))

    assert "edupersonprincipalname cannot be read in the entry that was found" in failure.cause


def test_somebody_elses_entry_is_not_written() -> None:
    """An entry that the server takes for the person's, and that has another name, is nobody's."""
    with (
        scripted_directory(values={"eduPersonPrincipalName": [b"t\xc3\xa9ppo@uni.example"]}) as scripted,
        sink(sink_table(urls=[scripted.url], start_tls=False)) as opened,
    ):
        refusal = refused(opened, delivery(ORCID))

    assert "no entry has any of the person's identifiers" == refusal.cause


@pytest.mark.parametrize("values", [{"eduPersonOrcid;range=0-1499": [b"x"]}, {"eduPersonOrcid": [b"x" * 70_000]}])
def test_values_that_cannot_be_known_are_not_written(values: dict[str, list[bytes]]) -> None:
    """Values that came in part, or are too many to read, are no ground to write on."""
    with scripted_directory(values=values) as scripted, sink(sink_table(urls=[scripted.url], start_tls=False)) as opened:
        unavailable(opened, delivery(ORCID))


@dataclass(slots=True)
class Moment:
    """A clock that a test moves."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        """Return the present instant."""
        return self.seconds

    def pass_by(self) -> None:
        """Have a long time pass."""
        self.seconds += 3600


def test_nothing_is_sent_after_the_deadline() -> None:
    """Where the answer to the search comes too late, the entry is not modified any more."""
    clock = Moment()
    surroundings = SinkSurroundings(HOME_ORGANISATION, Environment.PRODUCTION, AUTHORITY, lambda: datetime.now(UTC))
    with scripted_directory(before_entry=clock.pass_by) as scripted:
        address = ServerAddress("127.0.0.1", int(scripted.url.rpartition(":")[2]), False, False)
        servers = Servers([address], Access(ssl.create_default_context()), 1, clock)
        with closing(LdapEntries(sink_table(urls=[scripted.url], start_tls=False), surroundings, servers)) as opened:
            failure = unavailable(opened, delivery(ORCID))

    assert f"{scripted.url}: no answer in time" == failure.cause


def test_a_directory_that_falls_silent_is_left_in_time(directory: Slapd) -> None:
    """A server that takes the delivery and never answers holds a thread no longer than the time-out."""
    with sink(sink_table_for(directory, timeout=0.5)) as opened:
        opened.deliver(delivery(ORCID))
        with directory.paused():
            failure = unavailable(opened, delivery(None, ORCID))

    assert f"{directory.ldaps_url}: no answer in time" == failure.cause


def test_a_modification_without_an_answer_is_made_again() -> None:
    """Where a connection that was kept ends, the entry is read afresh; where a fresh one does, nobody knows, and the sink is away."""
    with scripted_directory(0, HANG_UP, 0, HANG_UP, HANG_UP) as scripted, sink(sink_table(urls=[scripted.url], start_tls=False)) as opened:
        told = [opened.deliver(delivery(ORCID)) for _ in range(2)]
        failure = unavailable(opened, delivery(ORCID))

    assert ([Receipt()] * 2, f"{scripted.url}: the connection ended") == (told, failure.cause)


@pytest.mark.parametrize("transport", ["ldap", "ldaps"])
def test_a_certificate_of_another_host_is_refused(transport: str) -> None:
    """A certificate for another name is no proof, and neither the password nor a person is sent."""
    with running_slapd(make_key("other.example", datetime.now(UTC), ("other.example",), bits=2048)) as slapd:
        url = slapd.url if transport == "ldap" else slapd.ldaps_url
        with sink(sink_table_for(slapd, urls=[url])) as opened:
            failure = unavailable(opened, delivery(ORCID))
        binds = slapd.count_binds(WRITER_DN)

    assert failure.cause.startswith(f"{url}: its certificate is refused: IP address mismatch")
    assert 0 == binds


@pytest.mark.parametrize("transport", ["ldap", "ldaps"])
def test_a_certificate_of_an_unknown_authority_is_refused(directory: Slapd, transport: str) -> None:
    """A certificate that nobody vouches for is no proof; without tls_ca the system's authorities count."""
    url = directory.url if transport == "ldap" else directory.ldaps_url
    with sink(sink_table_for(directory, urls=[url], tls_ca=None)) as opened:
        failure = unavailable(opened, delivery(ORCID))

    assert failure.cause.startswith(f"{url}: its certificate is refused: self-signed certificate")


def test_after_closing_nothing_is_delivered(directory: Slapd) -> None:
    """A sink that was closed says so."""
    with sink(sink_table_for(directory)) as opened:
        opened.close()
        failure = unavailable(opened, delivery(ORCID))

    assert "the connections to the directory are closed" == failure.cause


def test_nothing_that_is_printed_has_secrets(directory: Slapd) -> None:
    """Neither the table nor what it opens shows the password, the person or the iD."""
    settings = sink_table_for(directory)
    change = Modification("eduPersonOrcid", add=(uri(ORCID).encode(),))
    with sink(settings) as opened:
        printed = f"{settings!r} {opened!r} {vars(opened)!r} {change!r} {delivery(ORCID)!r}"

    assert not any(secret in printed for secret in (PASSWORD, ORCID.value, "teppo"))


def test_a_name_for_nobody_is_told_apart_from_a_server_that_is_gone(directory: Slapd) -> None:
    """A port on which nobody listens is the sink's absence, for a withdrawal too."""
    with scripted_server(lambda _: None) as url:
        pass
    with sink(sink_table_for(directory, urls=[url], start_tls=False)) as opened:
        failure = unavailable(opened, delivery(None, ORCID))

    assert f"{url}: Connection refused" == failure.cause
