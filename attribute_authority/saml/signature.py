"""Checking an enveloped XML signature: the shape first, then libxmlsec1 over the very tree that was parsed.

The shape follows what OpenSAML demands of a SAML signature (core 5.4), tightened where the standard allows it: no Signature
in the document that the caller does not know of, each a direct child of what it signs, one Reference `#ID` to its own parent,
enveloped and exclusive canonicalisation as the only transforms, no Object, IDs unique, algorithms from a list. Keys are given
by the caller, from metadata; KeyInfo is never looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from lxml import etree

from attribute_authority.errors import Denied
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.xml import has_qualified_attributes

SIGNATURE_ALGORITHMS: Final = frozenset({ns.RSA_SHA256, ns.RSA_SHA384, ns.RSA_SHA512, ns.ECDSA_SHA256, ns.ECDSA_SHA384, ns.ECDSA_SHA512})
DIGEST_ALGORITHMS: Final = frozenset({ns.SHA256, ns.SHA384, ns.SHA512})
SHA1_SIGNATURE_ALGORITHMS: Final = frozenset({ns.RSA_SHA1})
SHA1_DIGEST_ALGORITHMS: Final = frozenset({ns.SHA1})
CANONICALISATIONS: Final = frozenset({ns.EXC_C14N, ns.EXC_C14N_WITH_COMMENTS})

_SIGNED_INFO: Final = f"{{{ns.DS}}}SignedInfo"
_SIGNATURE_VALUE: Final = f"{{{ns.DS}}}SignatureValue"
_KEY_INFO: Final = f"{{{ns.DS}}}KeyInfo"
_CANONICALIZATION_METHOD: Final = f"{{{ns.DS}}}CanonicalizationMethod"
_SIGNATURE_METHOD: Final = f"{{{ns.DS}}}SignatureMethod"
_REFERENCE: Final = f"{{{ns.DS}}}Reference"
_TRANSFORMS: Final = f"{{{ns.DS}}}Transforms"
_TRANSFORM: Final = f"{{{ns.DS}}}Transform"
_DIGEST_METHOD: Final = f"{{{ns.DS}}}DigestMethod"
_DIGEST_VALUE: Final = f"{{{ns.DS}}}DigestValue"
_INCLUSIVE_NAMESPACES: Final = f"{{{ns.EXC_C14N}}}InclusiveNamespaces"
_ALL_SIGNATURES: Final = etree.XPath("//ds:Signature", namespaces={"ds": ns.DS})
_ALL_IDS: Final = etree.XPath("//@ID | //@Id | //@id | //@iD | //@xml:id", smart_strings=False)


@dataclass(frozen=True, slots=True)
class AllowedAlgorithms:
    """Signature and digest algorithms that are accepted, by URI; SHA-1 only where the operator says so.

    A transform may name up to `prefixes` prefixes to canonicalise inclusively, as OpenSAML does in what identity providers sign:
    more is covered by that, never less (Exclusive XML Canonicalization 1.0 section 4). With `exclusive_only` exclusive
    canonicalisation must be named: the default without it is inclusive, whose work grows with elements times namespaces.
    """

    signatures: frozenset[str] = SIGNATURE_ALGORITHMS
    digests: frozenset[str] = DIGEST_ALGORITHMS
    prefixes: int = 0
    exclusive_only: bool = False

    @classmethod
    def with_sha1(cls) -> "AllowedAlgorithms":
        """Return the list for service providers that cannot be brought to sign with SHA-256."""
        return cls(SIGNATURE_ALGORITHMS | SHA1_SIGNATURE_ALGORITHMS, DIGEST_ALGORITHMS | SHA1_DIGEST_ALGORITHMS)


def verify_enveloped(
    signed: etree._Element,
    signature: etree._Element,
    keys: Sequence[bytes],
    allowed: AllowedAlgorithms,
    others: Sequence[etree._Element] = (),
) -> str:
    """Verify that `signature` covers `signed`, its parent, with one of `keys` (DER SubjectPublicKeyInfo).

    `others` are the further Signatures of the document, each of which the caller verifies as well.
    Returns the signature algorithm. Raises Denied with the reason otherwise.
    """
    signatures = _found(_ALL_SIGNATURES, signed)
    if {signature, *others} != set(signatures) or signature.getparent() is not signed:
        raise Denied(f"{len(signatures)} Signature elements stand in the message, expected one, a child of what it signs")
    algorithm = _check_shape(signed, signature, allowed)
    if not any(_verifies(signed, signature, key) for key in keys):
        raise Denied(f"the signature ({algorithm}) verifies with none of the {len(keys)} keys in the metadata of the issuer")
    return algorithm


def _check_shape(signed: etree._Element, signature: etree._Element, allowed: AllowedAlgorithms) -> str:
    if has_qualified_attributes(signature):
        raise Denied("an attribute of the Signature has a namespace, which XML Signature knows none of")
    ids = _found(_ALL_IDS, signed)
    if len(set(ids)) != len(ids):
        raise Denied("an ID occurs twice in the message")
    signed_info = _parts(signature, (_SIGNED_INFO, _SIGNATURE_VALUE), (_KEY_INFO,))[0]
    canonicalisation, method, reference = _parts(signed_info, (_CANONICALIZATION_METHOD, _SIGNATURE_METHOD, _REFERENCE))
    _check_algorithm(canonicalisation, CANONICALISATIONS)
    _check_algorithm(method, allowed.signatures)
    _check_reference(reference, signed, allowed)
    return str(method.get("Algorithm"))


def _check_reference(reference: etree._Element, signed: etree._Element, allowed: AllowedAlgorithms) -> None:
    if not signed.get("ID") or reference.get("URI") != f"#{signed.get('ID')}":
        raise Denied(f"the Reference points to {reference.get('URI')!r}, not to the element that holds the Signature")
    transforms, digest_method, _ = _parts(reference, (_TRANSFORMS, _DIGEST_METHOD, _DIGEST_VALUE))
    steps = [step for step in transforms if isinstance(step.tag, str)]
    algorithms = [step.get("Algorithm") for step in steps]
    if any(step.tag != _TRANSFORM or not _is_plain(step, allowed) for step in steps) or not 1 + allowed.exclusive_only <= len(steps) <= 2:
        raise Denied("the Transforms are not one or two plain Transform elements, or name no canonicalisation")
    if algorithms[0] != ns.ENVELOPED or any(algorithm not in CANONICALISATIONS for algorithm in algorithms[1:]):
        raise Denied(f"the transforms {algorithms} are not enveloped-signature followed by exclusive canonicalisation")
    _check_algorithm(digest_method, allowed.digests)


def _is_plain(transform: etree._Element, allowed: AllowedAlgorithms) -> bool:
    parameters = list(transform)
    if not parameters:
        return True
    is_prefix_list = [parameter.tag for parameter in parameters] == [_INCLUSIVE_NAMESPACES] and not len(parameters[0])
    if not is_prefix_list or transform.get("Algorithm") not in CANONICALISATIONS:
        return False
    return 0 < len(parameters[0].get("PrefixList", "").split()) <= allowed.prefixes


def _check_algorithm(method: etree._Element, allowed: frozenset[str]) -> None:
    if method.get("Algorithm") not in allowed:
        raise Denied(f"{etree.QName(method).localname} {method.get('Algorithm')} is not accepted")
    if len(method):
        raise Denied(f"{etree.QName(method).localname} carries parameters, which are not accepted")


def _parts(parent: etree._Element, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[etree._Element]:
    children = [child for child in parent if isinstance(child.tag, str)]
    tags = tuple(child.tag for child in children)
    if tags not in (required, required + optional):
        raise Denied(f"{etree.QName(parent).localname} holds {[etree.QName(tag).localname for tag in tags]}")
    return children


def _found(path: etree.XPath, element: etree._Element) -> list[object]:
    # An expression of nodes returns a list; lxml's types know only that some expressions return something else.
    return cast("list[object]", path(element))


def _verifies(signed: etree._Element, signature: etree._Element, key: bytes) -> bool:
    context = xmlsec.SignatureContext()
    context.key = _xmlsec_key(key)
    try:
        context.register_id(signed, "ID")
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


@lru_cache(maxsize=4096)
def _xmlsec_key(key: bytes) -> xmlsec.Key:
    pem = load_der_public_key(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    loaded = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)
    if loaded is None:
        raise Denied("a key in the metadata of the issuer cannot be used for verification")
    return loaded
