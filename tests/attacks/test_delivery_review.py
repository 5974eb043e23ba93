"""What a hostile reading of the deliveries has found: words that are cut, terminals, addresses, texts that change under a consent."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from attribute_authority.commands.deliveries_table import write_json
from attribute_authority.core.cleaning import clean_answer
from attribute_authority.domain.delivery import DeliveryRecord, DeliveryState, Receipt, SinkName
from attribute_authority.domain.identifiers import EntityId, Environment, IdentifierKind, parse_identifier
from attribute_authority.errors import DeliveryRefused
from attribute_authority.web.companion.consent import CONSENT_VERSION, DELIVERY_CONSENT_VERSION
from attribute_authority.web.companion.deliveries import Destination
from connectors._dirxml_answers import read_answer
from connectors._rest_address import fill
from connectors._rest_fields import field_values
from connectors._rest_verdict import Judge
from connectors._web_answer import Answer
from tests.factories import responses
from tests.factories.companion import Site
from tests.factories.sink_deliveries import FORMER, HOME, NOW, ORCID, handed, person
from tests.factories.soap_drivers import TAKEN, driver, status

NAMED = handed(*person("teppo.testaaja@uni.example"), former=(FORMER,))


def _by_rest(words: str) -> str | None:
    with pytest.raises(DeliveryRefused) as caught:
        Judge("idm.uni.example", {200}, {404}, set()).judge(Answer(422, {}, words.encode()), False, NOW)
    return caught.value.answer


def _by_soap(words: str) -> str | None:
    return read_answer(status("error", f"<![CDATA[{words}]]>").encode()).message


@pytest.mark.parametrize("secret", ["teppo.testaaja", ORCID, FORMER])
@pytest.mark.parametrize("said", [_by_rest, _by_soap])
def test_no_piece_of_a_person_is_left_where_an_answer_is_cut(said: Callable[[str], str | None], secret: str) -> None:
    """However much markup stands before a name, cleaning sees all of it, and leaves nothing that begins like it."""
    kept = {
        clean_answer(said(f"{'<b></b>' * (length // 7)}{'.' * (length % 7)} {secret}"), NAMED)
        for whole in (500, 4_000)
        for length in range(whole - len(secret) - 8, whole)
    }

    assert not [text for text in kept if text and secret[:5] in text]


@pytest.mark.parametrize("layers", range(1, 13))
def test_an_answer_in_however_many_layers_cannot_be_acted_on(layers: int) -> None:
    """What a terminal or a reader would take for a command is not left over where escapes stand within escapes."""
    words = "".join(f"&#{ord(sign)};" for sign in "no \x1b[31m\u202e\x9b person")
    for _ in range(layers - 1):
        words = words.replace("&", "&amp;")
    left = clean_answer(words, NAMED)

    assert left is None or left.isprintable()


def test_json_for_a_terminal_commands_nothing() -> None:
    """Signs that a terminal acts on are escaped in JSON too, and mean the same."""
    identifier = parse_identifier(IdentifierKind.EPPN, "a\x9b31m\u202e\U000e0041ä@uni.example")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    record = DeliveryRecord(
        reference="r1",
        sink=SinkName(HOME, "idm"),
        subject_id=1,
        identifiers=(identifier,),
        orcid=None,
        environment=Environment.PRODUCTION,
        state=DeliveryState.PENDING,
        changed_at=now,
        created_at=now,
        attempts=0,
        due_at=now,
        in_hand=False,
        ended_at=None,
        message=None,
        told_at=None,
    )
    line = write_json(record)

    assert line.isprintable()
    assert "ä@uni.example" in line
    assert [str(identifier)] == json.loads(line)["identifiers"]


@pytest.mark.parametrize(
    "eppn", ["../admin@uni.example", "a/../../b@uni.example", "..\\a@uni.example", "a/./b@uni.example", "a//b@uni.example"]
)
def test_no_identifier_climbs_out_of_an_address(eppn: str) -> None:
    """Behind a proxy that decodes first, dots between slashes would lead to another resource, with our credentials."""
    with pytest.raises(DeliveryRefused, match="lead elsewhere") as caught:
        fill("https://idm.uni.example/people/{eppn}/orcid", field_values(handed(*person(eppn))))

    assert eppn not in caught.value.cause


def test_a_withdrawal_takes_nothing_away_that_is_not_ours() -> None:
    """Where nothing stands by our hand, as after a link that was never delivered, no document removes all values."""
    with driver() as (_, sink):
        assert Receipt() == sink.deliver(handed(orcid=None))
    with driver(TAKEN) as (server, sink):
        assert Receipt() == sink.deliver(handed(orcid=None, former=(FORMER,)))

    assert b"remove-all-values" in server.received[0].body


def test_consent_is_not_to_a_text_that_came_after_the_page() -> None:
    """Where deliveries are configured while somebody reads, the longer text is shown and nothing is linked before they agree to it."""
    destinations: dict[EntityId, Destination] = {}
    site = Site(destinations=destinations)
    browser = site.browser()
    browser.sign_in()
    browser.connect()
    destinations[responses.IDP] = Destination(("crm",), None)
    shown_again = browser.submit("/confirm/", consent="yes")
    told = "Your home organisation also takes your iD into systems of its own." in browser.text
    asked_again = "Is this your ORCID iD?" in browser.text
    browser.submit("/confirm/", consent="yes")
    consent = site.standing().consent

    assert (422, True, True) == (shown_again.status_code, asked_again, told)
    assert consent is not None
    assert DELIVERY_CONSENT_VERSION == consent.text_version != CONSENT_VERSION
