"""NetIQ Identity Manager as a sink: each delivery is one document to its SOAP driver, which changes one attribute of one person.

    [[organisation.sink]]
    kind = "soap-idm"
    url = "https://idm.uni.example:8443/orcid"
    username = "orcid"
    password_file = "idm.password"

The driver finds the person by the association, which is the ePPN by default; people have to be associated with the driver there.
All values of the attribute are replaced, also those that are not ours: what stands there cannot be asked for. With `keep_others` the
former iDs alone are removed, and the present one is added. A withdrawal where nothing stands by our hand removes nothing either way.

What the driver answers without having changed anything is never taken for success: a veto, which it calls a warning, is a refusal.
A SOAP Fault of the server, an error inside the gateway and a fatal error are tried again later, for they may be about one person or all.
"""

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.domain.identifiers import IdentifierKind, OrcidId
from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, SinkUnavailable
from connectors import SinkKind, SinkSurroundings
from connectors._deadline import Deadline
from connectors._dirxml import AttributeChange, ModifyWriting
from connectors._dirxml_answers import Judgement, Unreadable, Verdict, read_answer
from connectors._web_access import WebSinkTable, open_web_access
from connectors._web_exchange import server_of
from connectors._web_service import Answer, WebService

_SUCCESS: Final = range(200, 300)
_PERHAPS_ONE_PERSONS: Final = frozenset({400, 413, 422, 500})
"""What is answered to a document that cannot be worked on, whether that is the person's fault or everybody's."""


def _name(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected a name on one line")
    return text


def _soap_action(text: str) -> str:
    if not text.isascii() or not text.isprintable() or '"' in text or "\\" in text:
        raise ValueError("expected a URI in ASCII, which is sent in quotation marks")
    return text


Name = Annotated[str, Field(min_length=1), AfterValidator(_name)]


class SoapIdmSettings(WebSinkTable):
    """`[[organisation.sink]]` with kind "soap-idm"; `association` is the kind of identifier by which the driver knows people.

    With `envelope = false` the document alone is posted, and with `nds` it stands in the elements nds and input.
    """

    kind: Literal["soap-idm"]
    class_name: Name = "User"
    attribute: Name = "eduPersonOrcid"
    association: Literal["eppn", "unique-id", "subject-id"] = "eppn"
    value: Literal["bare", "uri"] = "bare"
    keep_others: bool = False
    envelope: bool = True
    nds: bool = False
    soap_action: Annotated[str, AfterValidator(_soap_action)] = ""

    @model_validator(mode="after")
    def _names_an_action_of_soap(self) -> Self:
        if self.soap_action and not self.envelope:
            raise ValueError("soap_action belongs to an envelope: expected envelope = true, or no soap_action")
        return self


class SoapIdmSink:
    """Identity Manager as `delivery_ports.Sink` wants it."""

    def __init__(self, settings: SoapIdmSettings, service: WebService) -> None:
        self._settings = settings
        self._service = service
        self._writing = ModifyWriting(settings.class_name, settings.attribute, settings.envelope, settings.nds)
        self._server = server_of(settings.url)

    def deliver(self, delivery: Delivery) -> Receipt:
        """Send the change and read how it went. Raises SinkUnavailable, DeliveryDeferred, DeliveryRefused."""
        change = self._change(delivery)
        if change is None:
            return Receipt()
        deadline = self._service.deadline()
        verdict = self._send(change, delivery.reference, deadline)
        found = verdict.judgement is Judgement.STANDS_ALREADY
        if found:
            verdict = self._step_by_step(change, delivery.reference, deadline)
        if verdict.judgement is Judgement.UNKNOWN and delivery.orcid is None:
            return Receipt()
        self._require_taken(verdict)
        return Receipt(found=found and change.only_adds)

    def rehearse(self, delivery: Delivery) -> str:
        """Say what would be sent. Raises DeliveryRefused where nothing could be."""
        change = self._change(delivery)
        if change is None:
            return "would do nothing: there is no value to remove"
        self._document(change)
        return f"would tell {self._settings.url} about {change.association}: {', '.join(self._told(change))}"

    def check(self) -> None:
        """Connect with TLS. Every document is about somebody, so that none is sent and no password tried. Raises SinkUnavailable."""
        self._service.connect(self._settings.url, self._service.deadline())

    def close(self) -> None:
        """Give up every connection."""
        self._service.close()

    def _change(self, delivery: Delivery) -> AttributeChange | None:
        if delivery.orcid is None and not delivery.former:
            # Whatever stands there is not ours.
            return None
        kind = IdentifierKind(self._settings.association)
        associations = delivery.values(kind)
        if not associations:
            raise DeliveryRefused(f"the person has no {kind}, by which the driver would know them")
        added = () if delivery.orcid is None else (self._written(delivery.orcid, delivery),)
        if not self._settings.keep_others:
            return AttributeChange(associations[0], remove_all=True, added=added)
        removed = tuple(self._written(former, delivery) for former in delivery.former if former != delivery.orcid)
        return AttributeChange(associations[0], removed=removed, added=added) if added or removed else None

    def _written(self, orcid: OrcidId, delivery: Delivery) -> str:
        return orcid.value if self._settings.value == "bare" else orcid.uri(delivery.environment)

    def _told(self, change: AttributeChange) -> Iterator[str]:
        attribute = self._settings.attribute
        if change.remove_all:
            yield f"remove all values of {attribute}"
        if change.removed:
            yield f"remove {' and '.join(change.removed)} from {attribute}"
        if change.added:
            yield f"add {' and '.join(change.added)} to {attribute}"

    def _document(self, change: AttributeChange) -> bytes:
        try:
            return self._writing.write(change)
        except ValueError:
            # Without its words, which quote the value.
            raise DeliveryRefused(f"the {self._settings.association} of the person has a character that no XML can hold") from None

    def _step_by_step(self, change: AttributeChange, key: str, deadline: Deadline) -> Verdict:
        """Make a change of which a part has been made already, perhaps by an earlier attempt, one value after the other."""
        steps = tuple(change.steps())
        if len(steps) > 1:
            for number, step in enumerate(steps, 1):
                verdict = self._send(step, f"{key}-{number}", deadline)
                if verdict.judgement > Judgement.STANDS_ALREADY:
                    return verdict
        return Verdict(Judgement.TAKEN)

    def _send(self, change: AttributeChange, key: str, deadline: Deadline) -> Verdict:
        headers = {"Content-Type": "text/xml; charset=utf-8", "Accept": "text/xml, application/xml", "Idempotency-Key": f'"{key}"'}
        if self._settings.envelope:
            # SOAP 1.1 section 6.1.1: it is always there, and always quoted.
            headers["SOAPAction"] = f'"{self._settings.soap_action}"'
        return self._read(self._service.send("POST", self._settings.url, headers, self._document(change), deadline))

    def _read(self, answer: Answer) -> Verdict:
        is_success = answer.status in _SUCCESS
        try:
            verdict = read_answer(answer.body)
        except Unreadable as error:
            if is_success:
                raise SinkUnavailable(f"{self._server}: the answer cannot be read: {error}") from None
        else:
            # SOAP 1.1 section 6.2: a Fault comes with status 500.
            if is_success or verdict.judgement > Judgement.STANDS_ALREADY:
                return verdict
        cause = f"{self._server}: HTTP status {answer.status}, and no document that tells why"
        if answer.status in _PERHAPS_ONE_PERSONS:
            raise DeliveryDeferred(cause)
        raise SinkUnavailable(cause)

    def _require_taken(self, verdict: Verdict) -> None:
        match verdict.judgement:
            case Judgement.TAKEN | Judgement.STANDS_ALREADY:
                return
            case Judgement.NOT_LET_IN:
                raise SinkUnavailable(f"{self._server}: our credentials are not accepted")
            case Judgement.AWAY:
                raise SinkUnavailable(f"{self._server}: the driver takes nothing at the moment")
            case Judgement.LATER:
                raise DeliveryDeferred(f"{self._server}: the driver could not make the change this time")
            case Judgement.REFUSED:
                raise DeliveryRefused(f"{self._server}: the driver refused the change", verdict.message)
            case Judgement.UNKNOWN:
                raise DeliveryRefused(f"{self._server}: the driver does not know the person", verdict.message)


def _open(settings: SoapIdmSettings, surroundings: SinkSurroundings) -> SoapIdmSink:
    service = WebService(open_web_access(settings), settings.timeout, settings.connections, surroundings.clock)
    return SoapIdmSink(settings, service)


SOAP_IDM: Final = SinkKind(SoapIdmSettings, _open)
"""`kind = "soap-idm"`."""
