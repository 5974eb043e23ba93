"""What goes wrong on a connection to a directory server, in words that hold nothing of what was asked or answered."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ldap3.core.exceptions import LDAPExceptionError, LDAPSessionTerminatedByServerError
from pyasn1.error import PyAsn1Error

from attribute_authority.errors import CouldNotAsk, SourceUnavailable
from connectors._ldap_line import AnswerTooLarge, Line

RETRY_SECONDS: Final = 60.0
"""When a question makes sense again whose answer cannot be used; nothing is wrong with the server."""

# What decoding may raise for octets that are no LDAP: ldap3 takes them apart without looking.
_NOT_LDAP: Final = (LDAPExceptionError, PyAsn1Error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@contextmanager
def told_failures(server: object, line: Line | None = None) -> Iterator[None]:
    """Turn everything that goes wrong with a server into CouldNotAsk; an answer that is too large is SourceUnavailable."""
    try:
        yield
    except (OSError, *_NOT_LDAP) as error:
        failure = line.failure if line is not None and line.failure is not None else error
    else:
        return
    # What was raised may hold values of a person, which a log with its context would show.
    cause = f"{server}: {_describe(failure)}"
    raise SourceUnavailable(cause, RETRY_SECONDS) if isinstance(failure, AnswerTooLarge) else CouldNotAsk(cause)


def _describe(failure: Exception) -> str:
    match failure:
        case LDAPSessionTerminatedByServerError():
            return "the connection ended"
        case OSError() if not isinstance(failure, LDAPExceptionError):
            return _describe_connection(failure)
        case _:
            return "its answer cannot be read as LDAP"


def _describe_connection(failure: OSError) -> str:
    match failure:
        case AnswerTooLarge():
            return "its answer is too large"
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused: {failure.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {failure.reason}"
        case socket.gaierror():
            return "its name cannot be resolved"
        case _:
            return failure.strerror or "no connection"
