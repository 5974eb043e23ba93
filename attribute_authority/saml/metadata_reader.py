"""Metadata documents to entities: parse, trust, then read.

One hardened parse; the tree that was verified is the tree that is read. Faults of the document as a whole raise OperatorError,
faults of one entity, role or key leave out just that and are told to `warn`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from lxml import etree
from lxml.etree import _Element

from attribute_authority.domain.entity import AttributeName, Entity, Role, Scope
from attribute_authority.domain.identifiers import EntityId, parse_entity_id
from attribute_authority.errors import OperatorError
from attribute_authority.saml.metadata_keys import KeyReader
from attribute_authority.saml.metadata_names import read_display_names
from attribute_authority.saml.metadata_signature import verify_root_signature
from attribute_authority.saml.namespaces import (
    BINDING_HTTP_REDIRECT,
    ENTITY_CATEGORY,
    MD,
    MDATTR,
    MDRPI,
    NAME_FORMAT_UNSPECIFIED,
    NAME_FORMAT_URI,
    QUERY_EXT,
    SAML,
    SAMLP,
    SHIBMD,
    XSI,
)
from attribute_authority.saml.scope_expressions import check_expression

Warn = Callable[[str], None]
"""Is told, in a sentence for the operator, what was left out and why."""

_GROUP = f"{{{MD}}}EntitiesDescriptor"
_ENTITY = f"{{{MD}}}EntityDescriptor"
_AFFILIATION = f"{{{MD}}}AffiliationDescriptor"
_EXTENSIONS = f"{{{MD}}}Extensions"
_QUERIER = f"{{{MD}}}RoleDescriptor"
_ROLES = {
    f"{{{MD}}}SPSSODescriptor": Role.SERVICE_PROVIDER,
    _QUERIER: Role.ATTRIBUTE_QUERIER,
    f"{{{MD}}}IDPSSODescriptor": Role.IDENTITY_PROVIDER,
}
_SINGLE_SIGN_ON = f"{{{MD}}}SingleSignOnService"
_SERVICE = f"{{{MD}}}AttributeConsumingService"
_REQUESTED = f"{{{MD}}}RequestedAttribute"
_ENTITY_ATTRIBUTES = f"{{{MDATTR}}}EntityAttributes"
_ATTRIBUTE = f"{{{SAML}}}Attribute"
_ATTRIBUTE_VALUE = f"{{{SAML}}}AttributeValue"
_REGISTRATION = f"{{{MDRPI}}}RegistrationInfo"
_SCOPE = f"{{{SHIBMD}}}Scope"
_MEMBER = f"{{{MD}}}AffiliateMember"
_SHOWN = 256
"""How much of what was left out a warning shows, in characters."""

_WEB_ADDRESS = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_IDS = tuple(etree.XPath(f"//@{name}", smart_strings=False) for name in ("ID", "Id", "id", "xml:id"))


@dataclass(frozen=True, slots=True)
class Affiliation:
    """A group of entities that share persistent name identifiers (md:AffiliationDescriptor), until `valid_until` if given."""

    affiliation_id: EntityId
    members: frozenset[str]
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Descriptor:
    """An EntityDescriptor or role descriptor, and until when it and all that encloses it may be trusted."""

    element: _Element
    valid_until: datetime | None


class TrustedMetadata:
    """A metadata document whose signature, where one was called for, and validity have been checked."""

    def __init__(self, root: _Descriptor, now: datetime, warn: Warn) -> None:
        self._root = root
        self._now = now
        self._warn = warn

    def entities(self) -> Iterator[Entity]:
        """Yield the entities that are valid now, streamed; of several with one entityID the first, the others are reported.

        Their `affiliations` are empty: those stand elsewhere in the document, see `affiliations`.
        """
        keys = KeyReader()
        seen: set[str] = set()
        for name, descriptor in self._named_descriptors():
            if _child(descriptor.element, _AFFILIATION) is not None:
                continue
            if name in seen:
                self._warn(f"{name}: a further EntityDescriptor with this entityID was left out")
                continue
            seen.add(name)
            yield _EntityReader(name, self._now, self._warn, keys).read(descriptor)

    def affiliations(self) -> Iterator[Affiliation]:
        """Yield the affiliations that are valid now."""
        for descriptor in self._descriptors(self._root, lambda _: None):
            element = _child(descriptor.element, _AFFILIATION)
            if element is None:
                continue
            try:
                name = parse_entity_id(descriptor.element.get("entityID", ""))
                until = _trusted_until(element, descriptor.valid_until, self._now)
            except OperatorError as fault:
                self._warn(f"an affiliation was left out: {fault.cause}")
                continue
            members = (_text(member) for member in element.iterchildren(_MEMBER))
            yield Affiliation(name, frozenset(member for member in members if member), until)

    def _named_descriptors(self) -> Iterator[tuple[EntityId, _Descriptor]]:
        for descriptor in self._descriptors(self._root, self._warn):
            try:
                yield parse_entity_id(descriptor.element.get("entityID", "")), descriptor
            except OperatorError as fault:
                self._warn(f"an entity was left out: {fault.cause}")

    def _descriptors(self, top: _Descriptor, warn: Warn) -> Iterator[_Descriptor]:
        if top.element.tag == _ENTITY:
            yield top
            return
        for child in top.element.iterchildren(_ENTITY, _GROUP):
            try:
                until = _trusted_until(child, top.valid_until, self._now)
            except OperatorError as fault:
                warn(f"{child.get('entityID') or child.get('Name') or 'a group of entities'} was left out: {fault.cause}")
                continue
            yield from self._descriptors(_Descriptor(child, until), warn)


@dataclass(frozen=True, slots=True)
class _EntityReader:
    """Reads one EntityDescriptor."""

    name: EntityId
    now: datetime
    warn: Warn
    keys: KeyReader

    def read(self, descriptor: _Descriptor) -> Entity:
        roles = tuple(self._valid_roles(descriptor))
        asking = [role for kind, role in roles if kind is not Role.IDENTITY_PROVIDER]
        signing_in = [role for kind, role in roles if kind is Role.IDENTITY_PROVIDER]
        asserting_keys = self._keys(signing_in)
        extensions = _child(descriptor.element, _EXTENSIONS)
        return Entity(
            entity_id=self.name,
            roles=frozenset(kind for kind, _ in roles),
            querying_keys=self._keys(asking) if asking else asserting_keys,
            requested_attributes=frozenset(_requested_attributes(asking)),
            entity_categories=frozenset(_entity_categories(extensions)),
            registration_authority=_registration_authority(extensions),
            scopes=self._scopes(signing_in, extensions),
            # A role that ends early takes the whole entity with it until the source is read again: the safe side.
            valid_until=_earliest(descriptor.valid_until, *(role.valid_until for _, role in roles)),
            asserting_keys=asserting_keys,
            sign_on_url=self._sign_on_url(signing_in),
            display_names=read_display_names(descriptor.element, [role.element for role in (*signing_in, *asking)]),
        )

    def _valid_roles(self, entity: _Descriptor) -> Iterator[tuple[Role, _Descriptor]]:
        for element in entity.element.iterchildren(*_ROLES):
            if SAMLP not in element.get("protocolSupportEnumeration", "").split() or not _is_known_type(element):
                continue
            try:
                yield _ROLES[str(element.tag)], _Descriptor(element, _trusted_until(element, entity.valid_until, self.now))
            except OperatorError as fault:
                self.warn(f"{self.name}: a role was left out: {fault.cause}")

    def _keys(self, roles: list[_Descriptor]) -> tuple[bytes, ...]:
        found: dict[bytes, None] = {}
        for role in roles:
            for key in self.keys.signing_keys(role.element):
                if isinstance(key, OperatorError):
                    self.warn(f"{self.name}: a key was left out: {key.cause}")
                else:
                    found[key] = None
        return tuple(found)

    def _sign_on_url(self, roles: list[_Descriptor]) -> str | None:
        """Return the first place for an AuthnRequest by HTTP-Redirect; browsers are sent there, so it must be a web address."""
        for role in roles:
            for service in role.element.iterchildren(_SINGLE_SIGN_ON):
                if service.get("Binding") == BINDING_HTTP_REDIRECT:
                    location = service.get("Location", "")
                    if _WEB_ADDRESS.fullmatch(location):
                        return location
                    self.warn(f"{self.name}: a SingleSignOnService was left out: {location[:_SHOWN]!r} is no web address")
        return None

    def _scopes(self, roles: list[_Descriptor], extensions: _Element | None) -> tuple[Scope, ...]:
        if not roles:
            return ()
        holders = [extensions, *(_child(role.element, _EXTENSIONS) for role in roles)]
        elements = (scope for holder in holders if holder is not None for scope in holder.iterchildren(_SCOPE))
        scopes = (Scope(_text(element), element.get("regexp") in ("true", "1")) for element in elements)
        return tuple(dict.fromkeys(scope for scope in scopes if self._is_usable(scope)))

    def _is_usable(self, scope: Scope) -> bool:
        if scope.regexp:
            try:
                check_expression(scope.value)
            except OperatorError as fault:
                self.warn(f"{self.name}: a scope was left out: {scope.value[:_SHOWN]!r}: {fault.cause}")
                return False
        return bool(scope.value)


def read_metadata(document: bytes, signing_certificate: bytes | None, now: datetime, warn: Warn) -> TrustedMetadata:
    """Parse and check a document whose root is an EntityDescriptor or EntitiesDescriptor.

    With `signing_certificate` (PEM) the root must be signed by its key; without, the document is trusted as it is.
    Raises OperatorError where the document is not metadata, is not properly signed, or has expired.
    """
    root = _parse(document)
    _refuse_repeated_ids(root)
    if signing_certificate is not None:
        verify_root_signature(root, signing_certificate)
        if root.get("validUntil") is None:
            warn("the signed document has no validUntil: an old copy of it would be trusted for ever")
    return TrustedMetadata(_Descriptor(root, _trusted_until(root, None, now)), now, warn)


def _parse(document: bytes) -> _Element:
    # Comments are no part of what a "#ID" reference signs, so the signature holds without them, and no text is cut in two by one.
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, collect_ids=False, remove_comments=True
    )
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise OperatorError(f"not well-formed XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise OperatorError("a DOCTYPE is not accepted in metadata")
    if root.tag not in (_ENTITY, _GROUP):
        raise OperatorError(f"the root element is {root.tag}: expected md:EntityDescriptor or md:EntitiesDescriptor")
    return root


def _refuse_repeated_ids(root: _Element) -> None:
    seen: set[str] = set()
    # One search for each name takes less time than one for all.
    for find in _IDS:
        for value in cast(list[str], find(root)):
            if value in seen:
                raise OperatorError(f"the ID {value!r} occurs twice")
            seen.add(value)


def _trusted_until(element: _Element, enclosing: datetime | None, now: datetime) -> datetime | None:
    """Return the earlier of the element's validUntil and that of what encloses it. Raises OperatorError where it has passed."""
    text = element.get("validUntil")
    if text is None:
        return enclosing
    own = _parse_instant(text.strip())
    if own <= now:
        raise OperatorError(f"it expired at {text} (validUntil)")
    return _earliest(own, enclosing)


def _parse_instant(text: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        raise OperatorError(f"validUntil {text!r} is not an instant: expected 2030-01-31T12:00:00Z")
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise OperatorError(f"validUntil {text!r} is not an instant: {error}") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)


def _is_known_type(role: _Element) -> bool:
    """Whether a RoleDescriptor is of the type AttributeQueryDescriptorType (xsi:type is a QName); other elements need no type."""
    if role.tag != _QUERIER:
        return True
    prefix, _, local = role.get(f"{{{XSI}}}type", "").strip().rpartition(":")
    return local == "AttributeQueryDescriptorType" and role.nsmap.get(prefix or None) == QUERY_EXT


def _requested_attributes(roles: list[_Descriptor]) -> Iterator[AttributeName]:
    for role in roles:
        for service in role.element.iterchildren(_SERVICE):
            for requested in service.iterchildren(_REQUESTED):
                name = requested.get("Name")
                if name:
                    yield AttributeName(name, requested.get("NameFormat", NAME_FORMAT_UNSPECIFIED))


def _entity_categories(extensions: _Element | None) -> Iterator[str]:
    """Yield the values of the entity-category attribute with NameFormat uri (RFC 8409 section 3)."""
    if extensions is None:
        return
    for holder in extensions.iterchildren(_ENTITY_ATTRIBUTES):
        for attribute in holder.iterchildren(_ATTRIBUTE):
            if attribute.get("Name") == ENTITY_CATEGORY and attribute.get("NameFormat") == NAME_FORMAT_URI:
                values = (_text(value) for value in attribute.iterchildren(_ATTRIBUTE_VALUE))
                yield from (value for value in values if value)


def _registration_authority(extensions: _Element | None) -> str | None:
    registration = None if extensions is None else _child(extensions, _REGISTRATION)
    return None if registration is None else registration.get("registrationAuthority")


def _child(parent: _Element, name: str) -> _Element | None:
    return next(parent.iterchildren(name), None)


def _text(element: _Element) -> str:
    """Return the text without white space around it; "" where there is anything but characters inside, so that nothing is cut short."""
    return "" if len(element) else (element.text or "").strip()
