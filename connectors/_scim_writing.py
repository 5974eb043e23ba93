"""Bringing one resource of a SCIM server to the state of a delivery: by PATCH, or by PUT where the server takes no PATCH."""

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.errors import DeliveryDeferred, DeliveryRefused, SinkUnavailable
from connectors._deadline import Deadline
from connectors._scim_discovery import PatchSupport
from connectors._scim_messages import Resource, patch_body, put_body
from connectors._scim_paths import AttributePath
from connectors._scim_server import ScimServer, Writing, Written
from connectors._scim_values import Change, ValueRule

_TRIES = 2


class ResourceWriter:
    """Writes the attribute of people on one server, as the rule says."""

    def __init__(self, server: ScimServer, attribute: AttributePath, rule: ValueRule) -> None:
        self._server = server
        self._attribute = attribute
        self._rule = rule
        self._patch = PatchSupport(server)

    def change(self, resource: Resource, delivery: Delivery) -> Change:
        """Return what has to change. Raises DeliveryRefused where that cannot or may not be."""
        return self._rule.change(self._attribute.read(resource.content), delivery)

    def write(self, resource: Resource, delivery: Delivery, deadline: Deadline) -> Receipt | None:
        """Make the change, once more where somebody else writes meanwhile; None where the resource is not there any more.

        Raises SinkUnavailable; DeliveryDeferred; DeliveryRefused.
        """
        try:
            return self._write(resource, delivery, deadline)
        except SinkUnavailable:
            # Who comes back may have become another version.
            self._patch.forget()
            raise

    def _write(self, resource: Resource, delivery: Delivery, deadline: Deadline) -> Receipt | None:
        current: Resource | None = resource
        for _ in range(_TRIES):
            if current is None:
                return None
            change = self.change(current, delivery)
            if change.is_empty:
                return Receipt(found=change.found)
            written = self._send(current, change, delivery, deadline)
            if written.writing is Writing.DONE:
                self._require_kept(written, delivery)
                return Receipt(found=change.found)
            if written.writing is Writing.GONE:
                return None
            current = self._server.read(resource.id, deadline)
        raise DeliveryDeferred("somebody else has changed the resource each time before it was written")

    def _send(self, resource: Resource, change: Change, delivery: Delivery, deadline: Deadline) -> Written:
        if self._patch.ask(deadline):
            body = patch_body(self._attribute, change, self._rule.single)
            written = self._server.write("PATCH", resource, body, deadline)
            if written.writing is not Writing.UNSUPPORTED:
                return written
            self._patch.learn(False)
        return self._replace(resource.id, delivery, deadline)

    def _replace(self, identity: str, delivery: Delivery, deadline: Deadline) -> Written:
        # What a search shows need not be all that there is, and what is left out of a PUT is lost.
        whole = self._server.read(identity, deadline)
        if whole is None:
            return Written(Writing.GONE)
        change = self.change(whole, delivery)
        if change.is_empty:
            return Written(Writing.DONE)
        written = self._server.write("PUT", whole, put_body(whole, self._attribute, change, self._rule.single), deadline)
        if written.writing is Writing.UNSUPPORTED:
            self._patch.forget()
            raise SinkUnavailable("the server takes neither PATCH nor PUT")
        return written

    def _require_kept(self, written: Written, delivery: Delivery) -> None:
        # Servers leave out without a word what they do not know.
        shown = written.resource
        if shown is not None and not self._rule.holds(self._attribute.read(shown.content), delivery):
            raise DeliveryRefused("the server took the change, and the attribute is not as it should be since then")
