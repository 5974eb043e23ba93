"""An LDAP directory, OpenLDAP or Active Directory, as a sink: the iD becomes a value of an attribute of the person's entry (RFC 4511).

    [[organisation.sink]]
    kind = "ldap"
    urls = ["ldaps://ldap1.uni.example", "ldaps://ldap2.uni.example"]
    bind_dn = "cn=orcid,ou=services,dc=uni,dc=example"
    password_file = "ldap.password"
    base = "ou=people,dc=uni,dc=example"
    filters = { eppn = "(eduPersonPrincipalName={value})" }
    object_class = "eduPerson"

Every modification names the very values that it takes away, so that what somebody else changes meanwhile is seen, and not overwritten.
Referrals and search continuations are never followed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, model_validator

from attribute_authority.domain.delivery import Delivery, Receipt
from attribute_authority.errors import CouldNotAsk, DeliveryRefused, SinkUnavailable, SourceUnavailable
from attribute_authority.setting_values import SinkTable
from connectors import SinkKind, SinkSurroundings
from connectors._ldap_access import AttributeName, DirectoryTable, open_servers
from connectors._ldap_change import ValueRule
from connectors._ldap_condition import is_attribute_name
from connectors._ldap_filter import OwnPeople, Question
from connectors._ldap_servers import Servers
from connectors._ldap_writing import EntryWriter, Foresight


def _object_class(name: str) -> str:
    # Object classes are named as attributes are (RFC 4512, 1.4).
    if not is_attribute_name(name):
        raise ValueError("expected the name of an object class, such as eduPerson")
    return name


class LdapEntriesSettings(DirectoryTable, SinkTable):
    """`[[organisation.sink]]` with kind "ldap".

    `object_class` is what an entry gets that lacks it, so that it may have the attribute. `values` tells how many iDs the attribute has
    room for; with "single", `overwrite` has ours take the place of one that is somebody else's.
    """

    kind: Literal["ldap"]
    attribute: AttributeName = "eduPersonOrcid"
    object_class: Annotated[str, AfterValidator(_object_class)] | None = None
    value: Literal["uri", "bare"] = "uri"
    values: Literal["several", "single"] = "several"
    overwrite: bool = False

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        if self.overwrite and self.values != "single":
            raise ValueError('overwrite is for values = "single": where there is room for several, nothing is in the way')
        return self


class LdapEntries:
    """A directory as `delivery_ports.Sink` wants it."""

    def __init__(self, settings: LdapEntriesSettings, surroundings: SinkSurroundings, servers: Servers) -> None:
        self._settings = settings
        self._servers = servers
        self._templates = settings.templates()
        self._own = OwnPeople(surroundings.home_organisation, settings.local_part_scope)
        rule = ValueRule(surroundings.environment, settings.value == "uri", settings.values == "single", settings.overwrite)
        self._writer = EntryWriter(settings, settings.attribute, settings.object_class, rule)

    def deliver(self, delivery: Delivery) -> Receipt:
        """Search for the one entry that has an identifier of the person, and have it hold the iD, or no former one.

        Former iDs also go from entries that other identifiers of the person lead to.
        Raises SinkUnavailable, also where the right to write is missing; DeliveryDeferred where the entry changed again and again;
        DeliveryRefused where there is no such entry, or several, or its values cannot be or may not be what they should.
        """
        questions = self._questions(delivery)
        with _sink_failures():
            return self._servers.do(
                lambda session, deadline: self._writer.write(session, deadline, questions, delivery), self._settings.timeout
            )

    def rehearse(self, delivery: Delivery) -> str:
        """Say what would be done with the entry. Raises as `deliver` for everything that reading it can tell."""
        questions = self._questions(delivery)
        with _sink_failures():
            foreseen = self._servers.do(
                lambda session, deadline: self._writer.foresee(session, deadline, questions, delivery), self._settings.timeout
            )
        return self._describe(foreseen)

    def check(self) -> None:
        """Connect, bind, and look whether `base` and the attribute are there. Raises OperatorError where one is not; SinkUnavailable."""
        with _sink_failures():
            self._servers.do(self._writer.check, self._settings.timeout)

    def close(self) -> None:
        """Give up every connection."""
        self._servers.close()

    def _questions(self, delivery: Delivery) -> tuple[Question, ...]:
        """Return what to search for, in order; nothing where none of the identifiers can be in the directory."""
        by_kind = ([one for one in delivery.identifiers if one.kind is kind] for kind in self._templates)
        # The newest of every kind comes first: older ones may have become somebody else's.
        identifiers = [one for together in zip_longest(*by_kind) for one in together if one is not None]
        if not identifiers and (delivery.orcid is not None or delivery.former):
            raise DeliveryRefused(f"the person has no identifier that the directory is searched by: {', '.join(self._templates)}")
        asked = (self._templates[one.kind].ask(one, self._own) for one in identifiers)
        return tuple(question for question in asked if question is not None)

    def _describe(self, foreseen: tuple[Foresight, ...]) -> str:
        attribute = self._settings.attribute
        if not foreseen:
            return "would do nothing: no entry has any of the person's identifiers"
        steps = [step for seen in foreseen for step in self._steps(seen)]
        if not steps:
            return f"would do nothing: {attribute} {'has the iD already' if foreseen[0].change.found else 'has no former iD'}"
        return f"would {' and '.join(steps)}"

    def _steps(self, seen: Foresight) -> Iterator[str]:
        attribute, change = self._settings.attribute, seen.change
        if change.delete:
            yield f"delete {len(change.delete)} of the values of {attribute}"
        if seen.adds_class:
            yield f"add the object class {self._settings.object_class}"
        if change.add:
            yield f"add the iD to {attribute}"


@contextmanager
def _sink_failures() -> Iterator[None]:
    try:
        yield
    except SinkUnavailable:
        raise
    except SourceUnavailable as failure:
        raise SinkUnavailable(failure.cause, failure.retry_after) from None
    except CouldNotAsk as failure:
        raise SinkUnavailable(failure.cause) from None


def _open(settings: LdapEntriesSettings, surroundings: SinkSurroundings) -> LdapEntries:
    return LdapEntries(settings, surroundings, open_servers(settings, settings.connections))


LDAP_ENTRIES: Final = SinkKind(LdapEntriesSettings, _open)
"""`kind = "ldap"`."""
