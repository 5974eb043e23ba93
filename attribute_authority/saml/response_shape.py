"""The shape of a Response at the assertion consumer service (core 3.3.3, 2.3.3): what stands where, nothing verified yet.

Everything by which one reader could be made to see another message than its neighbour is refused before any key is used:
more than one assertion wherever it stands, signatures that are not a child of the Response or of the Assertion, an ID that
occurs twice, comments and processing instructions, encryption of anything but the assertion.
"""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from lxml import etree

from attribute_authority.errors import SignInFailed
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.query import ISSUER, SIGNATURE, read_message_id
from attribute_authority.saml.xml import RESPONSE_BOUNDS, NotReadable, elements_only, parse, whole_text

MAX_ENCODED_LENGTH: Final = 256 * 1024

# pysaml2 goes through all that are used for each of them, canonicalisation through all in scope for each element. A dozen are met.
_MAX_NAMESPACES: Final = 64
# For each namespace of each element canonicalisation looks on the whole way up.
_MAX_DEPTH: Final = 32

ATTRIBUTE_STATEMENT: Final = f"{{{ns.SAML}}}AttributeStatement"
_RESPONSE: Final = f"{{{ns.SAMLP}}}Response"
_EXTENSIONS: Final = f"{{{ns.SAMLP}}}Extensions"
_STATUS: Final = f"{{{ns.SAMLP}}}Status"
_STATUS_CODE: Final = f"{{{ns.SAMLP}}}StatusCode"
_ASSERTION: Final = f"{{{ns.SAML}}}Assertion"
_ENCRYPTED_ASSERTION: Final = f"{{{ns.SAML}}}EncryptedAssertion"
_SUBJECT: Final = f"{{{ns.SAML}}}Subject"
_CONDITIONS: Final = f"{{{ns.SAML}}}Conditions"
_AUTHN_STATEMENT: Final = f"{{{ns.SAML}}}AuthnStatement"
_RESPONSE_ORDER: Final = ((ISSUER,), (SIGNATURE,), (_EXTENSIONS,), (_STATUS,), (_ASSERTION, _ENCRYPTED_ASSERTION))
_ASSERTION_ORDER: Final = ((ISSUER,), (SIGNATURE,), (_SUBJECT,), (_CONDITIONS,), (_AUTHN_STATEMENT, ATTRIBUTE_STATEMENT))

_PREFIXES: Final = {"saml": ns.SAML, "ds": ns.DS, "xenc": ns.XENC}
_HIDDEN: Final = etree.XPath("boolean(//comment() | //processing-instruction())")
_ASSERTIONS: Final = etree.XPath("//saml:Assertion | //saml:EncryptedAssertion", namespaces=_PREFIXES)
_SIGNATURES: Final = etree.XPath("//ds:Signature", namespaces=_PREFIXES)
_ENCRYPTED: Final = etree.XPath("//xenc:EncryptedData", namespaces=_PREFIXES)
_IS_DEEP: Final = etree.XPath(f"boolean({'/*' * (_MAX_DEPTH + 1)})")
_IDS: Final = etree.XPath("//@ID | //@Id | //@id | //@iD | //@xml:id", smart_strings=False)


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """What a Response says of itself, unverified; `codes` are its status codes, top level first.

    `assertion` is its Assertion or EncryptedAssertion, None where it has none.
    """

    document: bytes = field(repr=False)
    element: etree._Element
    in_response_to: str
    issuer: str | None
    signature: etree._Element | None
    codes: tuple[str, ...]
    assertion: etree._Element | None

    @property
    def is_encrypted(self) -> bool:
        """Whether its assertion is encrypted."""
        return self.assertion is not None and self.assertion.tag == _ENCRYPTED_ASSERTION


@dataclass(frozen=True, slots=True)
class ReceivedAssertion:
    """The parts of an Assertion, unverified; `element` is the very node that a signature must cover."""

    element: etree._Element
    message_id: str
    issuer: str
    signature: etree._Element | None
    subject: etree._Element
    conditions: etree._Element
    authn_statement: etree._Element
    attribute_statements: tuple[etree._Element, ...]


def decode_response(saml_response: str) -> bytes:
    """Decode the value of the form control SAMLResponse (bindings 3.5.4): base64, maybe in lines. Raises SignInFailed."""
    if len(saml_response) > MAX_ENCODED_LENGTH:
        raise SignInFailed(f"the SAMLResponse has {len(saml_response)} characters, at most {MAX_ENCODED_LENGTH} are accepted")
    try:
        return b64decode("".join(saml_response.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignInFailed("the SAMLResponse is not base64") from error


def read_response(document: bytes) -> ReceivedResponse:
    """Read a document that should be a Response to a request of ours. Raises SignInFailed."""
    try:
        root = parse(document, RESPONSE_BOUNDS)
        _check_whole(root)
        return _read_response(document, root)
    except NotReadable as error:
        raise SignInFailed(str(error)) from error


def read_assertion(element: etree._Element) -> ReceivedAssertion:
    """Read the Assertion of a Response that `read_response` has read. Raises SignInFailed."""
    try:
        return _read_assertion(element)
    except NotReadable as error:
        raise SignInFailed(str(error)) from error


def read_opened_assertion(element: etree._Element, around: ReceivedResponse) -> ReceivedAssertion:
    """Read an Assertion that was encrypted, in its own document, as strictly as the Response that it was in. Raises SignInFailed."""
    try:
        _check_whole(element)
        if set(_found(_IDS, element)) & set(_found(_IDS, around.element)):
            raise NotReadable("an ID occurs outside and inside of what was encrypted")
        return _read_assertion(element)
    except NotReadable as error:
        raise SignInFailed(str(error)) from error


def _check_whole(inside: etree._Element) -> None:
    """Check the document that an element is in. Raises NotReadable."""
    if _HIDDEN(inside):
        raise NotReadable("there are comments or processing instructions in the message")
    if _IS_DEEP(inside):
        raise NotReadable(f"elements stand in each other more than {_MAX_DEPTH} deep")
    _check_namespaces(inside)
    ids = _found(_IDS, inside)
    if len(set(ids)) != len(ids):
        raise NotReadable("an ID occurs twice in the message")
    root = inside.getroottree().getroot()
    assertions = _elements(_ASSERTIONS, inside)
    if len(assertions) - (root in assertions) > 1 or any(assertion.getparent() not in (root, None) for assertion in assertions):
        raise NotReadable("there is more than one assertion, or one in a strange place")
    signed = [signature.getparent() for signature in _elements(_SIGNATURES, inside)]
    if len(set(signed)) != len(signed) or any(parent is not root and parent not in assertions for parent in signed):
        raise NotReadable("a Signature stands elsewhere than in the Response or the Assertion")
    if any(data.getparent() not in assertions for data in _elements(_ENCRYPTED, inside)):
        raise NotReadable("something else than the assertion is encrypted")


def _check_namespaces(inside: etree._Element) -> None:
    used: set[str] = set()
    in_scope = 0
    for event, part in etree.iterwalk(inside, events=("start", "start-ns", "end-ns")):
        # A prefix that is declared anew counts again: what it hides is gone through as well.
        in_scope += (event == "start-ns") - (event == "end-ns")
        if isinstance(part, etree._Element):
            used.update(str(name).rpartition("}")[0] for name in (part.tag, *part.attrib))
        if len(used) > _MAX_NAMESPACES or in_scope > _MAX_NAMESPACES:
            raise NotReadable(f"more than {_MAX_NAMESPACES} namespaces are used or in scope")


def _read_response(document: bytes, root: etree._Element) -> ReceivedResponse:
    if root.tag != _RESPONSE:
        raise NotReadable(f"the message is {root.tag}, not a Response")
    _check_head(root)
    in_response_to = root.get("InResponseTo")
    if in_response_to is None:
        raise NotReadable("the Response answers no request")
    parts = _in_order(root, _RESPONSE_ORDER)
    if not parts[3]:
        raise NotReadable("the Response has no Status")
    issuer, signature = _first(parts[0]), _first(parts[1])
    if issuer is None and signature is not None:
        raise NotReadable("the Response is signed and has no Issuer (profiles 4.1.4.2)")
    return ReceivedResponse(
        document,
        root,
        in_response_to,
        None if issuer is None else _read_issuer(issuer),
        signature,
        tuple(code.get("Value", "") for code in parts[3][0].iter(_STATUS_CODE)),
        _first(parts[4]),
    )


def _read_assertion(element: etree._Element) -> ReceivedAssertion:
    issuers, signatures, subjects, conditions, statements = _in_order(element, _ASSERTION_ORDER)
    authentications = [statement for statement in statements if statement.tag == _AUTHN_STATEMENT]
    if not (issuers and subjects and conditions) or len(authentications) != 1:
        raise NotReadable("the Assertion lacks Issuer, Subject or Conditions, or has not one AuthnStatement")
    return ReceivedAssertion(
        element,
        _check_head(element),
        _read_issuer(issuers[0]),
        _first(signatures),
        subjects[0],
        conditions[0],
        authentications[0],
        tuple(statement for statement in statements if statement.tag == ATTRIBUTE_STATEMENT),
    )


def _check_head(element: etree._Element) -> str:
    """Return the ID of an element of version 2.0."""
    message_id = read_message_id(element)
    if message_id is None or element.get("Version") != "2.0":
        raise NotReadable(f"the {etree.QName(element).localname} has no valid ID, or is not of version 2.0")
    return message_id


def _in_order(parent: etree._Element, order: Sequence[tuple[str, ...]]) -> list[list[etree._Element]]:
    """Return the children by their place in the schema; all places but the last have room for one."""
    parts: list[list[etree._Element]] = [[] for _ in order]
    place = 0
    for child in elements_only(parent):
        found = next((number for number, tags in enumerate(order) if child.tag in tags), None)
        if found is None or found < place or (parts[found] and found != len(order) - 1):
            raise NotReadable(f"{child.tag} stands in {parent.tag} where it is not accepted")
        parts[found].append(child)
        place = found
    return parts


def _read_issuer(issuer: etree._Element) -> str:
    if issuer.get("Format", ns.NAMEID_ENTITY) != ns.NAMEID_ENTITY:
        raise NotReadable("an Issuer is not an entity identifier (profiles 4.1.4.2)")
    return whole_text(issuer).strip()


def _first(elements: Sequence[etree._Element]) -> etree._Element | None:
    return elements[0] if elements else None


def _found(path: etree.XPath, element: etree._Element) -> list[str]:
    return cast("list[str]", path(element))


def _elements(path: etree.XPath, element: etree._Element) -> list[etree._Element]:
    return cast("list[etree._Element]", path(element))
