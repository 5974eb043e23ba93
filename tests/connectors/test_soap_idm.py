"""Deliveries to a SOAP driver of Identity Manager: what is sent, and what follows from each answer."""

from typing import Any

import pytest
from lxml import etree
from pydantic import ValidationError

from attribute_authority.domain.delivery import Receipt
from attribute_authority.errors import AuthorityError, DeliveryDeferred, DeliveryRefused, SinkUnavailable
from connectors import find_sink_kind
from connectors.soap_idm import SOAP_IDM, SoapIdmSettings
from tests.factories.sink_deliveries import FORMER, ORCID, handed, person
from tests.factories.soap_drivers import PATH, SOAP, TAKEN, answered, batch, driver, enveloped, fault, opened, result, status, told
from tests.factories.web_servers import Received, Reply, Silence, strict_server

_PERSONS = ("teppo@uni.example", ORCID, FORMER)


def _modify(*values: str, association: str = "teppo@uni.example", attribute: str = "eduPersonOrcid", class_name: str = "User") -> str:
    return (
        f'<modify class-name="{class_name}"><association state="associated">{association}</association>'
        f'<modify-attr attr-name="{attribute}">{"".join(values)}</modify-attr></modify>'
    )


def _added(value: str) -> str:
    return f"<add-value><value>{value}</value></add-value>"


def _removed(value: str) -> str:
    return f"<remove-value><value>{value}</value></remove-value>"


def _sent(request: Received) -> str:
    """Return the document that was sent, out of its envelope."""
    root = etree.fromstring(request.body)
    assert root.tag == f"{{{SOAP}}}Envelope"
    (body,) = root
    assert body.tag == f"{{{SOAP}}}Body"
    (document,) = body
    etree.cleanup_namespaces(document)
    return etree.tostring(document, encoding="unicode").replace(f' xmlns:soapenv="{SOAP}"', "")


def _failure(document: str | Reply, *, orcid: str | None = ORCID, **keys: Any) -> AuthorityError:
    with driver(document, **keys) as (_, sink), pytest.raises(AuthorityError) as caught:
        sink.deliver(handed(orcid=orcid, former=(FORMER,)))
    assert not [one for one in _PERSONS if one in caught.value.cause]
    return caught.value


def test_the_kind_is_in_the_catalogue() -> None:
    """A configuration finds the sink by its name."""
    assert find_sink_kind("soap-idm") is SOAP_IDM


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"url": "http://idm.uni.example/orcid"}, "expected an absolute https URL"),
        ({"association": "pairwise-id"}, "'eppn', 'unique-id' or 'subject-id'"),
        ({"attribute": ""}, "at least 1 character"),
        ({"class_name": "User\n"}, "expected a name on one line"),
        ({"soap_action": 'a"\r\nX-Other: "'}, "expected a URI in ASCII"),
        ({"soap_action": "urn:modify", "envelope": False}, "soap_action belongs to an envelope"),
        ({"value": "URI"}, "'bare' or 'uri'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_was_expected(keys: dict[str, Any], expected: str) -> None:
    """Each fault of the table is told in a sentence."""
    with pytest.raises(ValidationError) as caught:
        SoapIdmSettings.model_validate({"kind": "soap-idm", "url": "https://idm.uni.example/orcid", **keys})
    assert expected in str(caught.value)


def test_the_id_takes_the_place_of_all_values() -> None:
    """The document is the one that drivers know: class, ePPN as the association, all values removed, the bare iD added."""
    with driver(TAKEN) as (server, sink):
        assert sink.deliver(handed(former=(FORMER,))) == Receipt()

    (request,) = server.received
    assert _sent(request) == _modify("<remove-all-values/>", _added(ORCID))
    assert request.body.startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
    assert request.headers["content-type"] == "text/xml; charset=utf-8"
    assert request.headers["soapaction"] == '""'
    assert request.headers["idempotency-key"] == '"7KQ2-MZ4D"'


def test_a_withdrawal_removes_all_values() -> None:
    """Where there is no iD any more, nothing is added."""
    with driver(TAKEN) as (server, sink):
        assert sink.deliver(handed(orcid=None, former=(FORMER,))) == Receipt()

    assert _sent(server.received[0]) == _modify("<remove-all-values/>")


def test_names_and_forms_are_those_of_the_configuration() -> None:
    """Class, attribute, association, the form of the value and the SOAPAction can be others."""
    keys = {
        "class_name": "Henkilö",
        "attribute": "orcid",
        "association": "unique-id",
        "value": "uri",
        "soap_action": "urn:idm:modify",
    }
    with driver(TAKEN, **keys) as (server, sink):
        sink.deliver(handed(*person(unique_id="ab12@uni.example")))

    (request,) = server.received
    assert _sent(request) == _modify(
        "<remove-all-values/>",
        _added(f"https://orcid.org/{ORCID}"),
        association="ab12@uni.example",
        attribute="orcid",
        class_name="Henkilö",
    )
    assert request.headers["soapaction"] == '"urn:idm:modify"'


def test_the_bare_document_may_be_posted() -> None:
    """Without an envelope nothing stands around it, and no SOAPAction is sent."""
    with driver(TAKEN, envelope=False) as (server, sink):
        sink.deliver(handed())

    (request,) = server.received
    assert request.body.decode().partition("?>\n")[2] == _modify("<remove-all-values/>", _added(ORCID))
    assert "soapaction" not in request.headers


@pytest.mark.parametrize("envelope", [True, False])
def test_the_document_may_stand_in_nds(envelope: bool) -> None:
    """With nds it stands in the elements of nds.dtd, with an envelope around them or without."""
    with driver(TAKEN, envelope=envelope, nds=True) as (server, sink):
        sink.deliver(handed())

    body = server.received[0].body.decode()
    document = _sent(server.received[0]) if envelope else body.partition("?>\n")[2]
    assert document == f'<nds dtdversion="4.0"><input>{_modify("<remove-all-values/>", _added(ORCID))}</input></nds>'


def test_the_newest_association_counts() -> None:
    """Who has several ePPNs is known by the one that came last, spelt as the home organisation has it."""
    with driver(TAKEN) as (server, sink):
        sink.deliver(handed(*person("Teppo.Uusi@uni.example"), *person("teppo@uni.example")))

    assert '<association state="associated">Teppo.Uusi@uni.example</association>' in _sent(server.received[0])


def test_a_person_without_association_is_refused_and_nothing_is_sent() -> None:
    """Nobody can be found without the identifier that the driver knows people by."""
    with driver(association="subject-id") as (_, sink):
        for attempt in (sink.deliver, sink.rehearse):
            with pytest.raises(DeliveryRefused, match="the person has no subject-id"):
                attempt(handed())


def test_values_of_others_may_be_kept() -> None:
    """With keep_others the former iDs go by name, and the present one comes."""
    with driver(TAKEN, TAKEN, keep_others=True) as (server, sink):
        sink.deliver(handed(former=(FORMER, ORCID)))
        sink.deliver(handed(orcid=None, former=(FORMER,)))

    assert [_modify(_removed(FORMER), _added(ORCID)), _modify(_removed(FORMER))] == [_sent(request) for request in server.received]


@pytest.mark.parametrize("keep_others", [True, False])
def test_nothing_to_remove_is_done_already(keep_others: bool) -> None:
    """A withdrawal where nothing stands by our hand asks nobody: whatever stands there is somebody else's."""
    with driver(keep_others=keep_others) as (_, sink):
        assert sink.deliver(handed(orcid=None)) == Receipt()
        assert sink.rehearse(handed(orcid=None)) == "would do nothing: there is no value to remove"


@pytest.mark.parametrize(
    "document",
    [
        TAKEN,
        batch(told("success", "0 events were vetoed")),
        batch(told("warning", "an event took long")),
        batch(result("0")),
        status("success"),
        status("warning"),
        enveloped(status("success")),
        '<output><status level="success"/></output>',
        '<status level="success"/>',
        f'<?xml version="1.0" encoding="utf-8"?>\n<!-- idm -->{batch(told("success"))}',
        batch(told("success"), told("warning")),
    ],
    ids=range(11),
)
def test_success_is_known_in_every_form(document: str) -> None:
    """With or without an envelope, in DSML v2 or nds.dtd: the iD is there. What the driver says besides is kept by nobody."""
    with driver(document) as (_, sink):
        assert sink.deliver(handed()) == Receipt()


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        (batch(told("error", "schema violation")), "the driver refused the change"),
        (batch(told("malformedRequest", "schema violation")), "the driver refused the change"),
        (batch(told("other", "schema violation")), "the driver refused the change"),
        (batch(told("unresolvableURI", "schema violation")), "the driver refused the change"),
        (batch(told("tomorrow", "schema violation")), "the driver refused the change"),
        (batch(result("65", "schema violation")), "the driver refused the change"),
        (batch(result("53", "schema violation")), "the driver refused the change"),
        (batch(told("success"), told("error", "schema violation")), "the driver refused the change"),
        (status("error", "<description>schema violation</description>"), "the driver refused the change"),
        (fault("s:Client", "schema violation"), "the driver refused the change"),
        (batch(result("32", "schema violation")), "the driver does not know the person"),
    ],
    ids=range(11),
)
def test_a_refusal_comes_with_the_drivers_words(document: str, cause: str) -> None:
    """Where somebody has to do something first, what the driver said is handed on, and the cause quotes none of it."""
    failure = _failure(document)

    assert isinstance(failure, DeliveryRefused)
    assert failure.cause.endswith(cause)
    assert "schema violation" in (failure.answer or "")


@pytest.mark.parametrize("kind", ["warning", "error"])
def test_a_veto_is_no_success(kind: str) -> None:
    """What a policy or the engine vetoed was not done, although the driver calls it a warning."""
    for document in (batch(told(kind, "Code(-8016) Operation vetoed by policy.")), status(kind, "Operation Vetoed")):
        assert isinstance(_failure(document), DeliveryRefused)
        assert isinstance(_failure(document, orcid=None), DeliveryRefused)


@pytest.mark.parametrize(
    "document",
    [
        batch(told("warning", "Code(-8019) Operation vetoed on unassociated object.")),
        batch(told("error", "Code(-8019) Operation vetoed on unassociated object.")),
        status("warning", "Operation vetoed on unassociated object"),
        batch(result("32")),
    ],
    ids=range(4),
)
def test_there_is_nothing_to_take_away_from_somebody_unknown(document: str) -> None:
    """A withdrawal about a person whom the driver does not know has succeeded; an iD for one is refused."""
    with driver(document) as (_, sink):
        assert sink.deliver(handed(orcid=None, former=(FORMER,))) == Receipt()
    assert _failure(document).cause.endswith("the driver does not know the person")


@pytest.mark.parametrize(
    "document",
    [
        batch(told("notAttempted")),
        batch(told("gatewayInternalError", "vetoed")),
        batch(told("fatal")),
        status("fatal"),
        batch(result("51")),
        batch(result("50")),
        fault("s:Server", "NullPointerException"),
        answered(fault("s:Server"), 500),
        answered("<html>", 500),
        answered("", 400),
        answered("<html/>", 413),
        answered("", 422),
    ],
    ids=range(12),
)
def test_what_may_be_about_one_person_alone_is_tried_again(document: str | Reply) -> None:
    """Where it is open whether the failure meets everybody, this delivery waits, others go on, and none is parked."""
    assert isinstance(_failure(document), DeliveryDeferred)


@pytest.mark.parametrize(
    "document",
    [
        batch(told("retry")),
        status("retry"),
        batch(told("couldNotConnect")),
        batch(told("connectionClosed")),
        batch(told("authenticationFailed")),
        batch(result("49")),
        batch(result("52")),
        batch(told("error"), told("retry")),
        fault("s:Client.Authentication"),
        fault("s:VersionMismatch"),
        fault(""),
        answered(TAKEN, 502),
        answered(TAKEN, 302),
        answered("", 403),
        answered("", 404),
        answered("", 405),
        answered("", 504),
        answered("", 200),
        answered("OK", 200),
        answered("<html/>", 200),
        answered("", 204),
    ],
    ids=range(21),
)
def test_a_driver_that_takes_nothing_is_away(document: str | Reply) -> None:
    """What is wrong for everybody, or cannot be read, leaves every delivery waiting."""
    assert isinstance(_failure(document), SinkUnavailable)


def test_overload_is_heeded() -> None:
    """How long the driver wants to be left alone is handed on."""
    failure = _failure(Reply(503, b"", {"Retry-After": "120"}))

    assert isinstance(failure, SinkUnavailable)
    assert failure.retry_after == 120


def test_a_change_that_was_made_in_part_is_finished_step_by_step() -> None:
    """After an attempt of which nobody knows the end: what is gone already and what stands there already are no failures."""
    gone, there = batch(result("16")), batch(result("20"))
    with driver(gone, gone, TAKEN, keep_others=True) as (server, sink):
        assert sink.deliver(handed(former=(FORMER,))) == Receipt()
    assert [_modify(_removed(FORMER), _added(ORCID)), _modify(_removed(FORMER)), _modify(_added(ORCID))] == [
        _sent(request) for request in server.received
    ]
    assert ['"7KQ2-MZ4D"', '"7KQ2-MZ4D-1"', '"7KQ2-MZ4D-2"'] == [request.headers["idempotency-key"] for request in server.received]

    with driver(gone, gone, there) as (server, sink):
        assert sink.deliver(handed()) == Receipt()
    assert [_modify("<remove-all-values/>"), _modify(_added(ORCID))] == [_sent(request) for request in server.received[1:]]


def test_a_step_that_fails_is_the_end_of_it() -> None:
    """What comes after it is not sent, and its failure is that of the delivery."""
    with driver(batch(result("20")), batch(result("50")), keep_others=True) as (_, sink), pytest.raises(DeliveryDeferred):
        sink.deliver(handed(former=(FORMER,)))


def test_an_id_that_stands_there_was_found() -> None:
    """Where nothing had to be removed, the receipt tells that nothing had to be written."""
    with driver(batch(result("20")), keep_others=True) as (_, sink):
        assert sink.deliver(handed()) == Receipt(found=True)


def test_a_value_that_is_gone_is_withdrawn() -> None:
    """Nothing is left to remove."""
    with driver(batch(result("16"))) as (_, sink):
        assert sink.deliver(handed(orcid=None, former=(FORMER,))) == Receipt()


def test_a_rehearsal_sends_nothing() -> None:
    """The operator reads what would be sent."""
    with driver() as (server, sink):
        url = f"{server.url}{PATH}"
        assert sink.rehearse(handed()) == (
            f"would tell {url} about teppo@uni.example: remove all values of eduPersonOrcid, add {ORCID} to eduPersonOrcid"
        )
        withdrawal = handed(orcid=None, former=(FORMER,))
        assert sink.rehearse(withdrawal) == f"would tell {url} about teppo@uni.example: remove all values of eduPersonOrcid"
    with driver(keep_others=True) as (server, sink):
        assert sink.rehearse(handed(former=(FORMER,))) == (
            f"would tell {server.url}{PATH} about teppo@uni.example: remove {FORMER} from eduPersonOrcid, add {ORCID} to eduPersonOrcid"
        )


def test_the_check_connects_and_names_nobody() -> None:
    """A driver that can be reached passes, and has been sent nothing."""
    with driver() as (server, sink):
        sink.check()
        assert server.await_connections(1) == 1


def test_a_driver_that_is_not_there_fails_the_check() -> None:
    """Where nothing listens, the cause names the server."""
    with strict_server() as server:
        url = server.url
    with opened(f"{url}{PATH}") as sink:
        for attempt in (sink.check, lambda: sink.deliver(handed())):
            with pytest.raises(SinkUnavailable, match=r"localhost:\d+: cannot be reached"):
                attempt()


def test_a_silent_driver_is_given_up_in_time() -> None:
    """Who never answers holds the delivery for the time-out and no longer."""
    with driver(timeout=0.2) as (server, sink):
        server.expect("POST", PATH, Silence())
        with pytest.raises(SinkUnavailable, match="no answer in time"):
            sink.deliver(handed())
