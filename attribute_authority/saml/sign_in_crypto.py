"""Proving a Response with python-xmlsec in this process, and telling pysaml2 what was proven, behind pysaml2's own interfaces.

What is signed is verified, and what is encrypted opened, on the tree of our own parse. pysaml2 parses once more, so it is shown
nothing before that, and no attributes: they are read from the tree that was verified, and pysaml2 writes some values anew in a way
that its own schemas refuse. Where it then asks whether a signature holds, the answer is for the document that it was shown and
the ID that was proven, and where it asks for plaintext it gets what was opened. No program is started, no file is written.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree
from saml2.sigver import CryptoBackend, DecryptError, RSACrypto, SecurityContext

from attribute_authority.errors import Denied, SignInFailed, UnsupportedQuery
from attribute_authority.saml.decryption import Decryption
from attribute_authority.saml.response_shape import (
    ATTRIBUTE_STATEMENT,
    ReceivedAssertion,
    ReceivedResponse,
    read_assertion,
    read_opened_assertion,
)
from attribute_authority.saml.signature import AllowedAlgorithms, verify_enveloped
from attribute_authority.saml.signing import Signer

_ALLOWED: Final = AllowedAlgorithms(prefixes=8, exclusive_only=True)


@dataclass(frozen=True, slots=True)
class Proven:
    """A Response whose assertion is proven: every signature in it holds, and one of them covers the assertion.

    `signed_ids` are the IDs of the elements that are signed. `shown` is the document for pysaml2, and `opened` the one with the
    assertion in clear, None where it was so from the start.
    """

    received: ReceivedResponse
    assertion: ReceivedAssertion
    signed_ids: frozenset[str]
    shown: bytes = field(repr=False)
    opened: bytes | None = field(repr=False)


def prove(received: ReceivedResponse, keys: Sequence[bytes], decryption: Decryption) -> Proven:
    """Verify the signatures of a Response with `keys` (DER SubjectPublicKeyInfo), and open its assertion.

    Raises SignInFailed where a signature does not hold, where none covers the assertion, or where it does not open.
    """
    element = received.assertion
    if element is None:
        raise SignInFailed("the Response holds no assertion")
    try:
        return _prove_encrypted(received, element, keys, decryption) if received.is_encrypted else _prove_plain(received, element, keys)
    except (Denied, UnsupportedQuery) as failure:
        raise SignInFailed(failure.cause) from failure


def check_signature(received: ReceivedResponse, keys: Sequence[bytes]) -> None:
    """Verify the signature of a Response without assertion, if it has one. Raises SignInFailed."""
    try:
        _verify(received, keys)
    except Denied as failure:
        raise SignInFailed(failure.cause) from failure


def _prove_plain(received: ReceivedResponse, element: etree._Element, keys: Sequence[bytes]) -> Proven:
    assertion = read_assertion(element)
    inner = () if assertion.signature is None else (assertion.signature,)
    signed = _verify(received, keys, inner)
    outer = () if received.signature is None else (received.signature,)
    signed |= _verify_assertion(assertion, keys, outer, covered=bool(signed))
    return Proven(received, assertion, signed, _written(received, _without_attributes(assertion)), None)


def _prove_encrypted(received: ReceivedResponse, element: etree._Element, keys: Sequence[bytes], decryption: Decryption) -> Proven:
    if received.issuer is None:
        raise Denied("the assertion is encrypted, and the Response has no Issuer (profiles 4.1.4.2)")
    signed = _verify(received, keys)
    assertion = read_opened_assertion(decryption.assertion(element, signed=bool(signed)), received)
    signed |= _verify_assertion(assertion, keys, (), covered=bool(signed))
    # As the xmlsec1 program would leave it: the plaintext in the place of the EncryptedData.
    holder = etree.Element(element.tag)
    holder.append(_without_attributes(assertion))
    return Proven(received, assertion, signed, received.document, _written(received, holder))


def _verify(received: ReceivedResponse, keys: Sequence[bytes], others: Sequence[etree._Element] = ()) -> frozenset[str]:
    """Return the ID of the Response where it is signed."""
    if received.signature is None:
        return frozenset()
    verify_enveloped(received.element, received.signature, keys, _ALLOWED, others)
    return frozenset({received.element.get("ID", "")})


def _verify_assertion(
    assertion: ReceivedAssertion, keys: Sequence[bytes], others: Sequence[etree._Element], *, covered: bool
) -> frozenset[str]:
    """Return the ID of the Assertion where it is signed itself; `covered` tells that the Response around it is."""
    if assertion.signature is not None:
        verify_enveloped(assertion.element, assertion.signature, keys, _ALLOWED, others)
        return frozenset({assertion.message_id})
    if not covered:
        raise Denied("neither the Response nor the Assertion is signed")
    return frozenset()


def _without_attributes(assertion: ReceivedAssertion) -> etree._Element:
    copy = deepcopy(assertion.element)
    for child in list(copy):
        if child.tag == ATTRIBUTE_STATEMENT:
            copy.remove(child)
    return copy


def _written(received: ReceivedResponse, assertion: etree._Element) -> bytes:
    """Write the Response with another element in the place of its assertion."""
    root = deepcopy(received.element)
    root[-1] = assertion
    return etree.tostring(root)


class ProvenCrypto(CryptoBackend):  # type: ignore[misc] # pysaml2 carries no types
    """pysaml2's interface to cryptography; None, for writing requests, vouches for nothing."""

    def __init__(self, proven: Proven | None) -> None:
        super().__init__()
        self._proven = proven

    @property
    def version(self) -> str:
        """The version that pysaml2 asks for, to find its way round differences of the xmlsec1 program."""
        return "0.0.0"

    def validate_signature(self, signedtext: str | bytes, cert_file: object, cert_type: str, node_name: str, node_id: str) -> bool:
        """Whether the signature of the element with that ID was verified, in just this document."""
        octets = signedtext.encode() if isinstance(signedtext, str) else signedtext
        proven = self._proven
        return proven is not None and octets in (proven.shown, proven.opened) and node_id in proven.signed_ids

    def decrypt(self, enctext: str | bytes, key_file: object) -> str:
        """Return the Response with its assertion in clear; pysaml2's own writing of the encrypted one is not looked at."""
        if self._proven is None or self._proven.opened is None:
            raise DecryptError("nothing was opened")
        return self._proven.opened.decode()


class _RedirectSigning(RSACrypto):  # type: ignore[misc] # pysaml2 carries no types
    """Signs requests in a query string; pysaml2's own keeps its key in a place that all threads share."""

    def get_signer(self, sigalg: str, sigkey: object = None) -> Signer | None:
        """Return what signs, where that is done with the algorithm that is wanted."""
        signer: Signer = self.key
        return signer if signer.algorithm == sigalg else None


class _IssuerKeys:
    """Takes the place of metadata, where pysaml2 looks for certificates: the one issuer has the one key that `ProvenCrypto` knows of.

    Anything that is not a text is not written to a file.
    """

    name = "the keys in the metadata of the issuer"

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def certs(self, entity_id: str | None, descriptor: str, use: str = "signing") -> list[tuple[str, "_IssuerKeys"]]:
        """Return the stand-in. Raises KeyError for every other entity."""
        if entity_id != self._issuer:
            raise KeyError(entity_id)
        return [(self.name, self)]


def security_context(issuer: str, proven: Proven | None, signer: Signer | None) -> Any:
    """Make pysaml2's security context for one message from or to `issuer`; `signer` signs the query string of a request."""
    return SecurityContext(
        ProvenCrypto(proven),
        metadata=_IssuerKeys(issuer),
        only_use_keys_in_metadata=True,
        # A name is enough for pysaml2 to ask for decryption; the keys stay where they are.
        enc_key_files=["our keys"],
        sec_backend=None if signer is None else _RedirectSigning(signer),
    )
