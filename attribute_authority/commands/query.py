"""`query`: a real AttributeQuery, for trouble-shooting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from attribute_authority.assembly import new_saml_id, present, read_file
from attribute_authority.commands.naming import name_id_of
from attribute_authority.commands.options import TEXT, identifier_options, read_identifiers
from attribute_authority.configuration import read_configuration
from attribute_authority.errors import AuthorityError, CouldNotAsk, OperatorError
from attribute_authority.saml.asking import Heard, Question, read_response, write_query
from attribute_authority.saml.namespaces import SOAP_ACTION, STATUS_SUCCESS
from attribute_authority.settings import Settings

_TIMEOUT_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class _Requester:
    entity_id: str
    key: Path
    certificate: Path


@click.command()
@identifier_options(multiple=False)
@click.option("--as", "entity_id", type=TEXT, metavar="ENTITYID", help="Who asks; otherwise the requester of [self_test].")
@click.option("--key", type=click.Path(path_type=Path), help="Private key of the requester, PEM.")
@click.option("--certificate", type=click.Path(path_type=Path), help="Certificate of the requester, PEM.")
@click.option(
    "--ca", type=click.Path(exists=True, path_type=Path), help="Certificates to trust for TLS, PEM; otherwise the one of the configuration."
)
@click.option("--destination", type=TEXT, metavar="URL", help="Our address in the query, where URL is another way to us, such as one node.")
@click.option("--unsigned", is_flag=True, help="Rely on the TLS client certificate alone.")
@click.option("--show-xml", is_flag=True, help="Print what came back, as it came.")
@click.argument("url", required=False)
@click.pass_context
def query(
    context: click.Context, /, *, ids: str, url: str | None, ca: Path | None, unsigned: bool, show_xml: bool, **given: str | Path | None
) -> None:
    """Send an AttributeQuery to URL, by default our own, and print what came back."""
    settings = read_configuration(context.obj)
    requester = _requester(settings, given)
    sp_name_qualifier = str(given["sp_name_qualifier"] or requester.entity_id)
    identifier = read_identifiers((ids,), _text(given["name_qualifier"]), sp_name_qualifier)[0]
    address = _checked(url or settings.attribute_query_url)
    question = Question(new_saml_id(), requester.entity_id, _text(given["destination"]) or address, name_id_of(identifier))
    key, certificate = _read_pair(requester)
    body = write_query(question, present(), None if unsigned else key, certificate)
    answer = _post(address, body, requester, ca or _own_certificate(settings))
    click.echo(f"HTTP {answer.status_code} from {address}")
    if show_xml:
        click.echo(answer.text)
    context.exit(_tell(answer.content, question, settings))


def _requester(settings: Settings, given: dict[str, str | Path | None]) -> _Requester:
    entity_id, key, certificate = given["entity_id"], given["key"], given["certificate"]
    if entity_id is None and key is None and certificate is None:
        if settings.self_test is None:
            raise OperatorError("say who asks: --as, --key and --certificate, or a [self_test] in the configuration")
        return _Requester(settings.self_test.entity_id, settings.self_test.key, settings.self_test.certificate)
    if entity_id is None or key is None or certificate is None:
        raise click.UsageError("--as, --key and --certificate belong together.")
    return _Requester(str(entity_id), Path(key), Path(certificate))


def _read_pair(requester: _Requester) -> tuple[bytes, bytes]:
    key, certificate = read_file(requester.key), read_file(requester.certificate)
    try:
        fits = load_pem_private_key(key, None).public_key() == load_pem_x509_certificate(certificate).public_key()
    except (ValueError, TypeError):
        fits = False
    if not fits:
        raise OperatorError(f"{requester.key}, {requester.certificate}: expected an unencrypted PEM private key and its certificate")
    return key, certificate


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii():
        raise click.UsageError(f"{url!r} is not the URL of an attribute service: expected https://HOST:PORT/PATH.")
    return url


def _own_certificate(settings: Settings) -> Path | None:
    return None if settings.back_channel.tls is None else settings.back_channel.tls.certificate


def _post(url: str, body: bytes, requester: _Requester, ca: Path | None) -> requests.Response:
    try:
        return requests.post(
            url,
            body,
            headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{SOAP_ACTION}"'},
            cert=(str(requester.certificate), str(requester.key)),
            verify=True if ca is None else str(ca),
            timeout=_TIMEOUT_SECONDS,
            # What is asked is personal data, meant for this address and no other.
            allow_redirects=False,
        )
    except (requests.RequestException, OSError) as error:
        raise CouldNotAsk(f"{url} could not be asked: {_origin(error)}") from error


def _origin(error: BaseException) -> str:
    """Say what happened at the bottom; the layers above it only repeat it with their own names around it."""
    while error.__context__ is not None:
        error = error.__context__
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _tell(body: bytes, question: Question, settings: Settings) -> int:
    try:
        heard = read_response(body, question, tuple(read_file(pair.certificate) for pair in settings.authority.signing))
    except AuthorityError as fault:
        raise OperatorError(fault.cause) from fault
    click.echo(f"status: {' / '.join(code.rpartition(':')[2] for code in heard.codes)}")
    if heard.message is not None:
        click.echo(f"message: {heard.message}")
    click.echo(f"signed: {', '.join(heard.signed) or 'nothing'}")
    click.echo(f"eduPersonOrcid: {', '.join(heard.values) or 'none'}")
    return _exit_code(heard)


def _exit_code(heard: Heard) -> int:
    return 0 if heard.codes[:1] == (STATUS_SUCCESS,) else 1


def _text(value: str | Path | None) -> str | None:
    return None if value is None else str(value)
