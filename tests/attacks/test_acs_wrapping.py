"""Signature wrapping at the assertion consumer service: the shapes of Somorovsky et al. 2012, and relatives."""

from collections.abc import Callable
from copy import deepcopy

import pytest
from lxml import etree
from lxml.etree import SubElement, _Element

from attribute_authority.domain.identifiers import IdentifierKind
from attribute_authority.errors import SignInFailed
from attribute_authority.saml import namespaces as ns
from tests.factories.queries import signed
from tests.factories.responses import PERSON, accept, assertion, encrypted, eppn, idp_keys, other_idp_keys, response

VICTIM = "rector@uni.example"
ASSERTION = f"{{{ns.SAML}}}Assertion"
SIGNATURE = f"{{{ns.DS}}}Signature"
OBJECT = f"{{{ns.DS}}}Object"
EXTENSIONS = f"{{{ns.SAMLP}}}Extensions"
FORGED_IDS = ["_forged", "same"]

Wrap = Callable[[str], _Element]


def signed_response() -> str:
    """A Response that is signed as a whole."""
    return signed(response(assertion()), idp_keys())


def signed_assertion() -> str:
    """A Response whose Assertion is signed."""
    return response(signed(assertion(), idp_keys()))


def forged(original: _Element, message_id: str) -> _Element:
    """Copy an element without its own Signature, for the victim, under another ID or the same."""
    text = etree.tostring(original, encoding="unicode").replace(PERSON, VICTIM)
    copy = etree.fromstring(text)
    for signature in copy.findall(SIGNATURE):
        copy.remove(signature)
    if message_id != "same":
        copy.set("ID", message_id)
    return copy


def child(parent: _Element, tag: str) -> _Element:
    """Return the one child with that name."""
    found = parent.find(tag)

    assert found is not None
    return found


def unsigned(element: _Element) -> _Element:
    """Copy an element without its Signature, which is what its digest is of."""
    copy = deepcopy(element)
    copy.remove(child(copy, SIGNATURE))
    return copy


def original_response_in_object(message_id: str) -> _Element:
    """XSW1: the forged Response takes over the Signature, in which the original Response is hidden."""
    original = etree.fromstring(signed_response())
    root = forged(original, message_id)
    signature = deepcopy(child(original, SIGNATURE))
    root.insert(1, signature)
    SubElement(signature, OBJECT).append(unsigned(original))
    return root


def original_response_beside_signature(message_id: str) -> _Element:
    """XSW2: the forged Response takes over the Signature, and the original Response stands before it."""
    original = etree.fromstring(signed_response())
    root = forged(original, message_id)
    root.insert(1, unsigned(original))
    root.insert(2, deepcopy(child(original, SIGNATURE)))
    return root


def forged_assertion_before_original(message_id: str) -> _Element:
    """XSW3: a forged Assertion stands before the signed one."""
    root = etree.fromstring(signed_assertion())
    original = child(root, ASSERTION)
    original.addprevious(forged(original, message_id))
    return root


def forged_assertion_around_original(message_id: str) -> _Element:
    """XSW4: a forged Assertion holds the signed one."""
    root = etree.fromstring(signed_assertion())
    original = child(root, ASSERTION)
    wrapper = forged(original, message_id)
    root.replace(original, wrapper)
    wrapper.append(original)
    return root


def forged_assertion_with_the_signature(message_id: str) -> _Element:
    """XSW5: the forged Assertion has the Signature, the original stands behind it without."""
    root = etree.fromstring(signed_assertion())
    original = child(root, ASSERTION)
    wrapper = forged(original, message_id)
    wrapper.insert(1, deepcopy(child(original, SIGNATURE)))
    root.replace(original, wrapper)
    root.append(unsigned(original))
    return root


def original_assertion_in_the_signature(message_id: str) -> _Element:
    """XSW6: the forged Assertion has the Signature, and the original stands inside of that."""
    root = etree.fromstring(signed_assertion())
    original = child(root, ASSERTION)
    wrapper = forged(original, message_id)
    signature = deepcopy(child(original, SIGNATURE))
    signature.append(unsigned(original))
    wrapper.insert(1, signature)
    root.replace(original, wrapper)
    return root


def forged_assertion_in_extensions(message_id: str) -> _Element:
    """XSW7: a forged Assertion stands in the Extensions, where the schema allows anything."""
    root = etree.fromstring(signed_assertion())
    original = child(root, ASSERTION)
    extensions = etree.Element(EXTENSIONS)
    extensions.append(forged(original, message_id))
    root.insert(1, extensions)
    return root


def original_assertion_in_object(message_id: str) -> _Element:
    """XSW8: the original Assertion stands in an Object of the Signature that the forged one has."""
    root = etree.fromstring(signed_assertion())
    original = child(root, ASSERTION)
    wrapper = forged(original, message_id)
    signature = deepcopy(child(original, SIGNATURE))
    SubElement(signature, OBJECT).append(unsigned(original))
    wrapper.insert(1, signature)
    root.replace(original, wrapper)
    return root


def signature_of_the_response_on_the_assertion(message_id: str) -> _Element:
    """The forged Assertion bears the Signature of a Response that stands nowhere."""
    original = etree.fromstring(signed_response())
    root = unsigned(original)
    assertion_of = child(root, ASSERTION)
    wrapper = forged(assertion_of, message_id)
    wrapper.insert(1, deepcopy(child(original, SIGNATURE)))
    root.replace(assertion_of, wrapper)
    return root


def signature_of_the_assertion_on_the_response(message_id: str) -> _Element:
    """The Response bears the Signature of its Assertion, and a forged one stands in its place."""
    root = etree.fromstring(signed_assertion())
    original = child(root, ASSERTION)
    root.insert(1, child(original, SIGNATURE))
    root.replace(original, forged(original, message_id))
    return root


SHAPES: list[Wrap] = [
    original_response_in_object,
    original_response_beside_signature,
    forged_assertion_before_original,
    forged_assertion_around_original,
    forged_assertion_with_the_signature,
    original_assertion_in_the_signature,
    forged_assertion_in_extensions,
    original_assertion_in_object,
    signature_of_the_response_on_the_assertion,
    signature_of_the_assertion_on_the_response,
]


@pytest.mark.parametrize("make", [signed_response, signed_assertion])
def test_what_the_shapes_are_made_of_is_accepted(make: Callable[[], str]) -> None:
    """Unchanged, both Responses sign the person in."""
    assert PERSON in {identifier.value for identifier in accept(make()).signed_in.identifiers}


@pytest.mark.parametrize("message_id", FORGED_IDS)
@pytest.mark.parametrize("wrap", SHAPES, ids=lambda wrap: wrap.__name__)
def test_signature_wrapping(wrap: Wrap, message_id: str) -> None:
    """No arrangement of a signed element and a forged one is accepted, whatever ID the forged one has."""
    document = etree.tostring(wrap(message_id))

    assert VICTIM.encode() in document
    with pytest.raises(SignInFailed):
        accept(document)


@pytest.mark.parametrize("forged_first", [True, False])
def test_unsigned_assertion_beside_a_signed_one(forged_first: bool) -> None:
    """Two assertions are refused, whichever stands first."""
    both = [signed(assertion(), idp_keys()), assertion(eppn(VICTIM), message_id="_forged")]

    with pytest.raises(SignInFailed, match="more than one assertion"):
        accept(response(*(reversed(both) if forged_first else both)))


def test_two_signed_assertions() -> None:
    """Two assertions are refused even where both are good: which one counted would be anybody's guess."""
    both = [signed(assertion(message_id=message_id), idp_keys()) for message_id in ("_one", "_two")]

    with pytest.raises(SignInFailed, match="more than one assertion"):
        accept(response(*both))


@pytest.mark.parametrize("plain_first", [True, False])
def test_encrypted_assertion_beside_a_plain_one(plain_first: bool) -> None:
    """An assertion in clear beside an encrypted and signed one is refused."""
    both = [encrypted(signed(assertion(), idp_keys())), assertion(eppn(VICTIM), message_id="_forged")]

    with pytest.raises(SignInFailed, match="more than one assertion"):
        accept(response(*(reversed(both) if plain_first else both)))


def test_wrapping_inside_of_what_is_encrypted() -> None:
    """What was encrypted is judged as strictly: a forged Assertion around the signed one is refused."""
    wrapper = etree.fromstring(assertion(eppn(VICTIM), message_id="_forged"))
    wrapper.append(etree.fromstring(signed(assertion(), idp_keys())))

    with pytest.raises(SignInFailed):
        accept(response(encrypted(etree.tostring(wrapper, encoding="unicode"))))


def test_two_assertions_inside_of_what_is_encrypted() -> None:
    """Two Assertions in one ciphertext are refused."""
    both = assertion(eppn(VICTIM), message_id="_forged") + signed(assertion(), idp_keys())

    with pytest.raises(SignInFailed, match="not one Assertion"):
        accept(response(encrypted(both)))


def test_encrypted_assertion_inside_of_what_is_encrypted() -> None:
    """Layers of encryption are not peeled."""
    inner = encrypted(signed(assertion(), idp_keys()))

    with pytest.raises(SignInFailed, match="not one Assertion"):
        accept(response(encrypted(inner)))


@pytest.mark.parametrize("attribute", ["ID", "Id", "id", "xml:id"])
def test_id_of_the_assertion_on_another_element(attribute: str) -> None:
    """An ID that occurs twice is refused, under whatever name the second is hidden."""
    other = f'<samlp:Extensions><x xmlns="urn:x" {attribute}="_assertion"/></samlp:Extensions>'
    document = response(signed(assertion(), idp_keys())).replace("<samlp:Status>", f"{other}<samlp:Status>")

    with pytest.raises(SignInFailed, match="ID occurs twice"):
        accept(document)


def test_id_of_the_response_inside_of_what_is_encrypted() -> None:
    """An ID is unique across what was sent and what was encrypted in it."""
    document = signed(response(encrypted(assertion(message_id="_response"))), idp_keys())

    with pytest.raises(SignInFailed, match="ID occurs outside and inside"):
        accept(document)


def test_good_response_around_a_badly_signed_assertion() -> None:
    """Where both are signed both must hold; a good Signature does not outweigh a bad one."""
    with pytest.raises(SignInFailed, match="verifies with none"):
        accept(signed(response(signed(assertion(), other_idp_keys())), idp_keys()))


def test_badly_signed_response_around_a_good_assertion() -> None:
    """A Signature of the Response that does not hold is not passed over because that of the Assertion does."""
    with pytest.raises(SignInFailed, match="verifies with none"):
        accept(signed(response(signed(assertion(), idp_keys())), other_idp_keys()))


def test_both_signed() -> None:
    """A Response and its Assertion may both be signed."""
    told = accept(signed(response(signed(assertion(), idp_keys())), idp_keys()))

    assert IdentifierKind.EPPN in {identifier.kind for identifier in told.signed_in.identifiers}
