"""EncryptedID and EncryptedAssertion: the one element inside, where we publish an encryption key (core 2.2.4, 2.3.4, XML Encryption 1.1).

Key transport is RSA-OAEP alone. AES-GCM is accepted anywhere; AES-CBC, which is malleable, only inside a message whose
signature has been verified, so that nobody else can use us as a padding oracle.
"""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import quoteattr

import xmlsec
from lxml import etree

from attribute_authority.errors import Denied, UnsupportedQuery
from attribute_authority.saml import namespaces as ns
from attribute_authority.saml.query import NAME_ID
from attribute_authority.saml.xml import QUERY_BOUNDS, RESPONSE_BOUNDS, Bounds, NotReadable, elements_only, has_qualified_attributes, parse

_ASSERTION: Final = f"{{{ns.SAML}}}Assertion"
_ENCRYPTED_DATA: Final = f"{{{ns.XENC}}}EncryptedData"
_ENCRYPTED_KEY: Final = f"{{{ns.XENC}}}EncryptedKey"
_ENCRYPTION_METHOD: Final = f"{{{ns.XENC}}}EncryptionMethod"
# Everything by which XML Encryption and XML Signature point to what is not here: a file, a device, an address.
_REFERENCES: Final = (f"{{{ns.XENC}}}CipherReference", f"{{{ns.DS}}}RetrievalMethod", f"{{{ns.DSIG11}}}KeyInfoReference")
_KEY_INFO: Final = f"{{{ns.DS}}}KeyInfo"
_GCM: Final = frozenset({ns.AES128_GCM, ns.AES192_GCM, ns.AES256_GCM})
_CBC: Final = frozenset({ns.AES128_CBC, ns.AES192_CBC, ns.AES256_CBC})
# For each of them all of our keys are tried: a message for several recipients has one for each.
_MAX_KEYS: Final = 8
_KEY_TRANSPORT: Final = frozenset({ns.RSA_OAEP, ns.RSA_OAEP_11})


class Decryption:
    """Decrypts with the authority's own keys, the first that fits; `keys` are PEM private keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = [xmlsec.Key.from_memory(key, xmlsec.constants.KeyDataFormatPem) for key in keys]

    def name_id(self, encrypted_id: etree._Element, signed: bool) -> etree._Element:
        """Return the NameID that was encrypted; `signed` tells that the message around it was verified.

        Raises UnsupportedQuery where no key is configured or an algorithm is not accepted, Denied where no key opens it;
        both without saying which step failed.
        """
        return _only_child(self._open(encrypted_id, signed), encrypted_id, NAME_ID, QUERY_BOUNDS)

    def assertion(self, encrypted_assertion: etree._Element, signed: bool) -> etree._Element:
        """Return the Assertion that was encrypted, in a document of its own below an element of the same name.

        Raises as `name_id` does.
        """
        return _only_child(self._open(encrypted_assertion, signed), encrypted_assertion, _ASSERTION, RESPONSE_BOUNDS)

    def _open(self, encrypted: etree._Element, signed: bool) -> bytes:
        name = etree.QName(encrypted).localname
        if not self._keys:
            raise UnsupportedQuery(f"the message has an {name}, and no encryption key is configured")
        data = _encrypted_data(encrypted)
        _check_algorithms(data, signed)
        for key in self._keys:
            plaintext = _decrypt(data, key)
            if plaintext is not None:
                return plaintext
        raise Denied(f"the {name} opens with none of our keys")


def _encrypted_data(encrypted: etree._Element) -> etree._Element:
    name = etree.QName(encrypted).localname
    try:
        data, *keys = elements_only(encrypted)
    except (NotReadable, ValueError) as error:
        raise UnsupportedQuery(f"the {name} holds no EncryptedData") from error
    if data.tag != _ENCRYPTED_DATA or any(key.tag != _ENCRYPTED_KEY for key in keys):
        raise UnsupportedQuery(f"the {name} holds something else than EncryptedData and EncryptedKey")
    key_info = data.find(_KEY_INFO)
    if keys and key_info is not None:
        # Keys beside the data are found by reference; put in their place they are found without following any.
        key_info[:] = keys
    if next(data.iter(*_REFERENCES), None) is not None:
        raise UnsupportedQuery(f"the {name} points to something outside of it")
    # Without it the plaintext comes back as octets, and is read by the same parser as everything from strangers.
    data.attrib.pop("Type", "")
    if has_qualified_attributes(data):
        raise UnsupportedQuery(f"an attribute of the {name} has a namespace, which XML Encryption knows none of")
    if len(list(data.iter(_ENCRYPTED_KEY))) > _MAX_KEYS:
        raise UnsupportedQuery(f"the {name} has more than {_MAX_KEYS} keys")
    if key_info is not None:
        _leave_keys_alone(key_info)
    return data


def _leave_keys_alone(key_info: etree._Element) -> None:
    """Take everything out of a KeyInfo but its EncryptedKeys: agreed, derived or named keys are nothing that we would look for."""
    key_info[:] = key_info.findall(_ENCRYPTED_KEY)
    for key in key_info:
        key[:] = [part for part in key if part.tag != _KEY_INFO]


def _check_algorithms(data: etree._Element, signed: bool) -> None:
    methods = list(data.iter(_ENCRYPTION_METHOD))
    allowed = _GCM | _CBC if signed else _GCM
    for method in methods:
        parent = method.getparent()
        accepted = allowed if parent is data else _KEY_TRANSPORT
        if method.get("Algorithm") not in accepted:
            raise UnsupportedQuery(f"the encryption algorithm {method.get('Algorithm')} is not accepted here")
    if len(methods) < 2 or methods[0].getparent() is not data:
        raise UnsupportedQuery("what is encrypted does not name its algorithms")


def _decrypt(data: etree._Element, key: xmlsec.Key) -> bytes | None:
    manager = xmlsec.KeysManager()
    manager.add_key(key)
    try:
        opened: bytes | etree._Element = xmlsec.EncryptionContext(manager).decrypt(data)
    except xmlsec.Error:
        return None
    return opened if isinstance(opened, bytes) else None


def _only_child(plaintext: bytes, encrypted: etree._Element, tag: str, bounds: Bounds) -> etree._Element:
    # The plaintext is read where it stood, with the prefixes that are declared there (XML Encryption 1.1 section 4.4).
    declared = "".join(f" xmlns{':' if prefix else ''}{prefix or ''}={quoteattr(uri)}" for prefix, uri in encrypted.nsmap.items())
    name = etree.QName(encrypted).localname
    try:
        children = elements_only(parse(f"<{name}{declared}>".encode() + plaintext + f"</{name}>".encode(), bounds))
    except NotReadable as error:
        # What the parser says may quote what was encrypted for our eyes alone.
        raise Denied("what was encrypted cannot be read") from error
    if [child.tag for child in children] != [tag]:
        raise Denied(f"what was encrypted is not one {etree.QName(tag).localname}")
    return children[0]
