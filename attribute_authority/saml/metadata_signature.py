"""The signature over a metadata document: what shape it must have, and whether the pinned key made it (core 5.4).

The shape is checked before any cryptography: exactly one Signature, child of the root, one Reference to the root's own ID,
no transforms but enveloped-signature and exclusive canonicalisation, no ds:Object, algorithms of the allow-list.
"""

import xmlsec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509 import load_pem_x509_certificates
from lxml.etree import _Element

from attribute_authority.errors import OperatorError
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.metadata_keys import subject_public_key_info
from attribute_authority.saml.signature import CANONICALISATIONS, DIGEST_ALGORITHMS, SIGNATURE_ALGORITHMS
from attribute_authority.saml.xml import has_qualified_attributes

_TRANSFORM = f"{{{ns.DS}}}Transform"
_INCLUSIVE_NAMESPACES = f"{{{ns.EXC_C14N}}}InclusiveNamespaces"


def verify_root_signature(root: _Element, signing_certificate: bytes) -> None:
    """Check that the key of the PEM certificate signed this very root element, as it stands in memory.

    The certificate only carries the key; its expiry is not evaluated. A certificate in the document's KeyInfo is never looked at.
    The caller has made sure that no ID occurs twice. Raises OperatorError with what is wrong.
    """
    key = _pinned_key(signing_certificate)
    signature = _only_child(root, "Signature")
    _check_shape(signature, root.get("ID", ""))
    context = xmlsec.SignatureContext()
    context.key = key
    try:
        context.register_id(root, "ID")
        context.verify(signature)
    except xmlsec.Error as error:
        raise OperatorError(f"the signature is not of the configured signing certificate, or the document was changed ({error})") from error


def _pinned_key(signing_certificate: bytes) -> xmlsec.Key:
    try:
        certificates = load_pem_x509_certificates(signing_certificate)
    except ValueError as error:
        raise OperatorError(f"the signing certificate cannot be read: expected one certificate in PEM ({error})") from error
    if len(certificates) != 1:
        raise OperatorError(f"the signing certificate file holds {len(certificates)} certificates: expected one")
    try:
        public_key = load_der_public_key(subject_public_key_info(certificates[0].public_key()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OperatorError(f"the key of the signing certificate cannot be read ({error})") from error
    pem = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)


def _check_shape(signature: _Element, root_id: str) -> None:
    if has_qualified_attributes(signature):
        raise OperatorError("an attribute of the signature has a namespace: expected none")
    if signature.find(f"{{{ns.DS}}}Object") is not None:
        raise OperatorError("the signature holds a ds:Object: expected none")
    signed = _only_child(signature, "SignedInfo")
    _check_algorithm(_only_child(signed, "CanonicalizationMethod"), CANONICALISATIONS)
    method = _only_child(signed, "SignatureMethod")
    _check_algorithm(method, SIGNATURE_ALGORITHMS)
    if len(method):
        raise OperatorError("the SignatureMethod has parameters: expected none")
    reference = _only_child(signed, "Reference")
    if not root_id or reference.get("URI") != f"#{root_id}":
        raise OperatorError(f"the signature refers to {reference.get('URI')!r}: expected the ID of the root element, '#{root_id}'")
    _check_algorithm(_only_child(reference, "DigestMethod"), DIGEST_ALGORITHMS)
    _check_transforms(_only_child(reference, "Transforms"))


def _check_transforms(transforms: _Element) -> None:
    steps = list(transforms)
    names = [step.get("Algorithm") if step.tag == _TRANSFORM else step.tag for step in steps]
    if names[:1] != [ns.ENVELOPED] or len(names) > 2 or not CANONICALISATIONS.issuperset(names[1:]):
        raise OperatorError(f"the signature has the transforms {names}: expected enveloped-signature, then exclusive canonicalisation")
    if len(steps[0]) or any(child.tag != _INCLUSIVE_NAMESPACES for step in steps[1:] for child in step):
        raise OperatorError("a transform of the signature has parameters: expected at most InclusiveNamespaces")


def _check_algorithm(element: _Element, allowed: frozenset[str]) -> None:
    algorithm = element.get("Algorithm")
    if algorithm not in allowed:
        raise OperatorError(f"the signature uses {algorithm!r}: expected one of {', '.join(sorted(allowed))}")


def _only_child(parent: _Element, name: str) -> _Element:
    children = parent.findall(f"{{{ns.DS}}}{name}")
    if len(children) != 1:
        raise OperatorError(f"{parent.tag} has {len(children)} ds:{name}: expected exactly one")
    return children[0]
