"""What a SOAP driver of Identity Manager answers, and sinks that ask one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connectors.soap_idm import SOAP_IDM, SoapIdmSettings, SoapIdmSink
from tests.factories.sink_deliveries import sink_surroundings
from tests.factories.web_servers import Reply, StrictServer, strict_server

PATH = "/orcid"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
DSML = "urn:oasis:names:tc:DSML:2:0:core"


def answered(document: str, status: int = 200) -> Reply:
    """Return an answer with a document as it is."""
    return Reply(status, document.encode(), {"Content-Type": "text/xml"})


def enveloped(document: str) -> str:
    """Return a document in an envelope of SOAP 1.1."""
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body>{document}</s:Body></s:Envelope>'


def batch(*responses: str) -> str:
    """Return a batchResponse of DSML v2 in an envelope."""
    return enveloped(f'<batchResponse xmlns="{DSML}">{"".join(responses)}</batchResponse>')


def told(kind: str, message: str = "") -> str:
    """Return the errorResponse by which the driver tells success and failure alike."""
    return f'<errorResponse requestID="none" type="{kind}"><message>{message}</message><detail>{kind}</detail></errorResponse>'


def result(code: str, message: str = "") -> str:
    """Return a modifyResponse with a result code of LDAP."""
    return f'<modifyResponse><resultCode code="{code}"/><errorMessage>{message}</errorMessage></modifyResponse>'


def status(level: str, message: str = "") -> str:
    """Return a status of nds.dtd, wrapped as the engine does."""
    source = "<source><product>DirXML</product></source>"
    return f'<nds dtdversion="4.0">{source}<output><status level="{level}" event-id="0">{message}</status></output></nds>'


def fault(code: str, message: str = "") -> str:
    """Return a SOAP Fault in an envelope."""
    return enveloped(f"<s:Fault><faultcode>{code}</faultcode><faultstring>{message}</faultstring></s:Fault>")


TAKEN = batch(told("success", "User modified"))
"""As a driver answered success."""


@contextmanager
def opened(url: str, **keys: Any) -> Iterator[SoapIdmSink]:
    """Open a sink that sends there."""
    table = {"kind": "soap-idm", "url": url, **keys}
    sink = SOAP_IDM.open(SoapIdmSettings.model_validate(table), sink_surroundings())
    assert isinstance(sink, SoapIdmSink)
    try:
        yield sink
    finally:
        sink.close()


@contextmanager
def driver(*documents: str | Reply, **keys: Any) -> Iterator[tuple[StrictServer, SoapIdmSink]]:
    """Run a driver that answers with these, in this order, and a sink that asks it; each has to be asked for."""
    with strict_server() as server, opened(f"{server.url}{PATH}", **keys) as sink:
        for document in documents:
            server.expect("POST", PATH, answered(document) if isinstance(document, str) else document)
        yield server, sink
