"""pysaml2's client, which verifies signatures with the xmlsec1 program and speaks SOAP with its own content type, application/soap+xml."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from requests import Response
from saml2 import BINDING_HTTP_POST, SAMLError
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.response import AttributeResponse
from saml2.s_utils import SamlException
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from tests.peers import require
from tests.peers.lab import EDU_PERSON_ORCID, URI_NAME_FORMAT, Member, Proof, Question, Reply, TrustedAuthority, reply


def query(directory: Path, member: Member, authority: TrustedAuthority, question: Question) -> Reply:
    """Ask `authority` as `member`; the client wants Response and Assertion signed."""
    client = _client(directory, member, authority, question)
    name_id = question.name_id
    try:
        answer = client.do_attribute_query(
            authority.entity_id,
            name_id.value,
            attribute={(EDU_PERSON_ORCID, URI_NAME_FORMAT, "eduPersonOrcid"): []},
            sp_name_qualifier=name_id.sp_name_qualifier,
            name_qualifier=name_id.name_qualifier,
            nameid_format=name_id.format,
            sign=question.proof is Proof.SIGNED,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
    except (SAMLError, SamlException) as error:
        return reply(None, f"{type(error).__name__}: {error}", "")
    return reply(_attributes(answer), None, str(answer))


def _tamper(client: Saml2Client, tampering: Mapping[str, str]) -> None:
    """Make the stock client replace text in a finished message on its way out."""
    send = client.send

    def send_tampered(url: str, method: str, *, data: str, **request: object) -> Response:
        for old, new in tampering.items():
            data = data.replace(old, new)
        response: Response = send(url, method, data=data, **request)
        return response

    client.send = send_tampered


def _client(directory: Path, member: Member, authority: TrustedAuthority, question: Question) -> Saml2Client:
    configuration = SPConfig().load(
        {
            "entityid": member.entity_id,
            "xmlsec_binary": str(require("xmlsec1", "xmlsec1")),
            "key_file": str(member.keys.key),
            "cert_file": str(member.keys.certificate),
            "metadata": {"local": [str(authority.metadata)]},
            "service": {
                "sp": {
                    "endpoints": {"assertion_consumer_service": [(member.acs_url, BINDING_HTTP_POST)]},
                    "want_response_signed": True,
                    "want_assertions_signed": True,
                },
            },
            "verify_ssl_cert": True,
            "ca_certs": str(authority.trusted_certificates(directory)),
        },
    )
    client = Saml2Client(config=configuration)
    _tamper(client, question.tampering)
    return client


def _attributes(answer: AttributeResponse) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for assertion in answer.assertions:
        for statement in assertion.attribute_statement:
            for attribute in statement.attribute:
                found[attribute.name].extend(value.text for value in attribute.attribute_value)
    return found
