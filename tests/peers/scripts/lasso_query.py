"""Run by the system's Python, which has lasso: read a question as JSON, ask the authority, write what lasso made of the answer as JSON.

lasso has no HTTP of its own; the standard library carries the SOAP message.
"""

import json
import ssl
import sys
from collections.abc import Iterable
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import lasso

Question = dict[str, Any]


class Refused(Exception):
    """The authority's answer is not a success; lasso leaves it to its caller to look."""


def ask(question: Question) -> dict[str, list[str]]:
    """Return the attributes that lasso accepted, by name."""
    server = lasso.Server(question["own_metadata"], question["key"], None, question["certificate"])
    server.addProvider(lasso.PROVIDER_ROLE_ATTRIBUTE_AUTHORITY, question["authority_metadata"])
    server.signatureMethod = lasso.SIGNATURE_METHOD_RSA_SHA256
    query = lasso.AssertionQuery(server)
    query.initRequest(question["authority"], lasso.HTTP_METHOD_SOAP, lasso.ASSERTION_QUERY_REQUEST_TYPE_ATTRIBUTE)
    query.addAttributeRequest(question["attribute_name_format"], question["attribute"])
    query.request.subject = lasso.Saml2Subject()
    query.request.subject.nameID = name_id(question["name_id"])
    if not question["signed"]:
        query.setSignatureHint(lasso.PROFILE_SIGNATURE_HINT_FORBID)
    query.buildRequestMsg()
    query.processResponseMsg(post(question, query.msgUrl, query.msgBody))
    status = query.response.status.statusCode
    if status.value != lasso.SAML2_STATUS_CODE_SUCCESS:
        raise Refused(status.statusCode.value if status.statusCode else status.value)
    return attributes(query.response.assertion)


def name_id(given: Question) -> lasso.Saml2NameID:
    """Build the NameID; what is absent stays absent."""
    element = lasso.Saml2NameID()
    element.content = given["value"]
    if given["format"] is not None:
        element.format = given["format"]
    if given["name_qualifier"] is not None:
        element.nameQualifier = given["name_qualifier"]
    if given["sp_name_qualifier"] is not None:
        element.spNameQualifier = given["sp_name_qualifier"]
    return element


def post(question: Question, url: str, message: str) -> str:
    """Send the SOAP message; the only certificates that are trusted for TLS are those of the authority's metadata."""
    context = ssl.create_default_context(cafile=question["trusted"])
    if question["client_certificate"]:
        context.load_cert_chain(question["certificate"], question["key"])
    for old, new in question["tampering"].items():
        message = message.replace(old, new)
    headers = {"Content-Type": "text/xml", "SOAPAction": '"http://www.oasis-open.org/committees/security"'}
    address = urlsplit(url)
    connection = HTTPSConnection(address.netloc, timeout=30, context=context)
    try:
        connection.request("POST", address.path, message.encode(), headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def attributes(assertions: Iterable[lasso.Saml2Assertion]) -> dict[str, list[str]]:
    """Collect the values of all attribute statements."""
    found: dict[str, list[str]] = {}
    for assertion in assertions:
        for statement in assertion.attributeStatement:
            for attribute in statement.attribute:
                values = (value.any[0].exportToXml() for value in attribute.attributeValue)
                found.setdefault(attribute.name, []).extend(values)
    return found


def main() -> None:
    """Answer the question on standard input."""
    try:
        outcome: dict[str, object] = {"attributes": ask(json.load(sys.stdin)), "failure": None}
    except (lasso.Error, OSError, HTTPException, Refused) as error:
        outcome = {"attributes": {}, "failure": f"{type(error).__name__}: {error}"}
    json.dump(outcome, sys.stdout)


if __name__ == "__main__":
    main()
