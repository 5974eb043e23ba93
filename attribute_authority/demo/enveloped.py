"""Enveloped XML signatures, RSA with SHA-256, as the members of the demo federation make them (core 5.4)."""

import xmlsec
from lxml.etree import _Element
from xmlsec import constants

from attribute_authority.keys import FreshKey


def sign_element(element: _Element, keys: FreshKey, position: int) -> None:
    """Sign an element that has an ID; the Signature becomes its child at `position`."""
    signature = xmlsec.template.create(element, constants.TransformExclC14N, constants.TransformRsaSha256, ns="ds")
    element.insert(position, signature)
    reference = xmlsec.template.add_reference(signature, constants.TransformSha256, uri=f"#{element.get('ID')}")
    xmlsec.template.add_transform(reference, constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, constants.TransformExclC14N)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    key = xmlsec.Key.from_memory(keys.key, constants.KeyDataFormatPem)
    key.load_cert_from_memory(keys.certificate, constants.KeyDataFormatPem)
    context = xmlsec.SignatureContext()
    context.key = key
    context.register_id(element, "ID")
    context.sign(signature)
