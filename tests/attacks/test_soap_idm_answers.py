"""Attacks on the SOAP sink: markup in identifiers, and answers of a driver that somebody else speaks for."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from attribute_authority.domain.identifiers import Identifier, IdentifierKind, shape_of
from attribute_authority.errors import DeliveryRefused, SinkUnavailable
from connectors._dirxml import AttributeChange, ModifyWriting
from connectors._dirxml_answers import Unreadable, read_answer
from tests.factories.sink_deliveries import ORCID, handed
from tests.factories.soap_drivers import DSML, SOAP, TAKEN, batch, driver, enveloped, told
from tests.factories.web_servers import Reply

_WRITING = ModifyWriting("User", "eduPersonOrcid", envelope=True, nds=True)
_SUCCESS = told("success")
_LAUGHS = "".join(f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 12))


def _unchecked(eppn: str) -> Identifier:
    return Identifier(IdentifierKind.EPPN, eppn)


def _association(body: bytes) -> tuple[str, int]:
    """Return the association of a document, and how many elements the document has."""
    root = etree.fromstring(body, etree.XMLParser(resolve_entities=False))
    (association,) = root.iter("association")
    return association.text or "", len(list(root.iter()))


@pytest.mark.parametrize(
    "eppn",
    [
        "</association><association>maija@uni.example",
        "teppo&maija;@uni.example",
        "teppo&#64;maija@uni.example",
        "]]>@uni.example",
        "<![CDATA[teppo]]>@uni.example",
        "teppo<!---->@uni.example",
        '"><remove-all-values/>@uni.example',
        "<?xml?>@uni.example",
    ],
)
def test_markup_in_an_identifier_is_text(eppn: str) -> None:
    """XML injection: the association is the identifier, sign by sign, and nothing else comes into being."""
    with driver(TAKEN) as (server, sink):
        sink.deliver(handed(_unchecked(eppn)))

    assert (eppn, 8) == _association(server.received[0].body)


@pytest.mark.parametrize("sign", ["\x00", "\x0b", "\x1f", "\ufffe", "\uffff", "\ud800"])
def test_what_no_xml_holds_is_refused_before_anything_is_sent(sign: str) -> None:
    """Neither attempt nor rehearsal gets further, and the cause quotes nothing."""
    delivery = handed(_unchecked(f"teppo{sign}@uni.example"))

    with driver() as (_, sink):
        for attempt in (sink.deliver, sink.rehearse):
            with pytest.raises(DeliveryRefused) as caught:
                attempt(delivery)
            assert caught.value.cause == "the eppn of the person has a character that no XML can hold"


@given(eppn=st.from_regex(shape_of(IdentifierKind.EPPN)[0], fullmatch=True))
def test_every_eppn_arrives_as_it_is_or_not_at_all(eppn: str) -> None:
    """Whatever an ePPN may hold, the document is well-formed, has ten elements, and the association is that ePPN."""
    try:
        body = _WRITING.write(AttributeChange(eppn, remove_all=True, added=(ORCID,)))
    except ValueError:
        return
    assert (eppn, 10) == _association(body)


@pytest.mark.parametrize(
    "answer",
    [
        f'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>{batch(told("error", "&e;"))}',
        f'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">{TAKEN}',
        f'<!DOCTYPE a [<!ENTITY e0 "ha">{_LAUGHS}]><status level="success">&e11;</status>',
        batch(told("success", "&undeclared;")),
        TAKEN[:-1],
        TAKEN + TAKEN,
        f"{TAKEN}trailing",
        f'<?xml version="1.0" encoding="iso-8859-1"?>{TAKEN}',
        f"<?xml version='1.0' encoding='utf-7'?>{TAKEN}",
        "",
        " ",
        "\0",
        "{}",
        "<modify/>",
        '<Status level="success"/>',
        "<status/>",
        '<status level=""/>',
        "<nds><input/></nds>",
        "<nds><output/></nds>",
        '<nds xmlns="urn:other"><output><status level="success"/></output></nds>',
        f"<batchResponse>{_SUCCESS}</batchResponse>",
        batch(),
        batch("<modifyResponse/>"),
        batch('<modifyResponse><resultCode code="zero"/></modifyResponse>'),
        batch('<modifyResponse><resultCode code="-0"/></modifyResponse>'),
        batch('<modifyResponse><resultCode code="0"/><resultCode code="32"/></modifyResponse>'),
        batch("<errorResponse/>"),
        batch("<searchResponse/>"),
        batch(_SUCCESS, "<addResponse/>"),
        enveloped(""),
        enveloped('<status level="success"/><status level="error"/>'),
        enveloped(TAKEN),
        f'<s:Envelope xmlns:s="{SOAP}"/>',
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><status level="success"/></s:Body><s:Body/></s:Envelope>',
        TAKEN.replace(SOAP, "http://www.w3.org/2003/05/soap-envelope"),
        TAKEN.replace(DSML, f"{DSML}:other"),
        "<a>" * 300 + "</a>" * 300,
        f'<status level="success">{"<a/>" * 1000}</status>',
        '<status level="success" ' + " ".join(f'a{number}=""' for number in range(1000)) + "/>",
    ],
    ids=range(39),
)
def test_an_answer_that_is_none_is_no_success(answer: str) -> None:
    """Whatever cannot be read as exactly one answer leaves the delivery undone, and the cause quotes nothing of it."""
    with driver(Reply(200, answer.encode())) as (_, sink), pytest.raises(SinkUnavailable, match="the answer cannot be read: ") as caught:
        sink.deliver(handed())

    assert "passwd" not in caught.value.cause
    assert caught.value.cause.isprintable()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_another_encoding_is_not_read(encoding: str) -> None:
    """A document that other parsers would read differently is none."""
    with pytest.raises(Unreadable):
        read_answer(TAKEN.encode(encoding))


def test_no_answer_larger_than_the_limit_is_read() -> None:
    """A driver that answers without end is not listened to."""
    answer = f'<status level="success">{" " * 70_000}</status>'.encode()

    with driver(Reply(200, answer)) as (_, sink), pytest.raises(SinkUnavailable, match="larger than what is read"):
        sink.deliver(handed())


def test_a_redirect_is_not_followed() -> None:
    """Nobody is sent to another server with the document."""
    with driver(Reply(307, b"", {"Location": "/elsewhere"})) as (_, sink), pytest.raises(SinkUnavailable, match="HTTP status 307"):
        sink.deliver(handed())


def test_comments_and_instructions_change_no_verdict() -> None:
    """What stands between the elements of an answer is not part of it."""
    answer = batch("<!-- a --><?b c?>", told("error", "no <!-- a -->such<?b c?> attribute"), "<!-- a -->")

    with driver(answer) as (_, sink), pytest.raises(DeliveryRefused) as caught:
        sink.deliver(handed())
    assert caught.value.answer == "no such attribute error"


@given(body=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: batch(told("error", text)).encode())))
def test_any_octets_are_a_verdict_or_unreadable(body: bytes) -> None:
    """Nothing else is ever raised, whatever arrives."""
    with suppress(Unreadable):
        message = read_answer(body).message
        assert message is None or 0 < len(message) <= 4000
