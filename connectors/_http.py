"""HTTP towards somebody else's system: one try, one deadline for all of it, a bounded answer, nothing taken from the environment."""

import io
import socket
from functools import partial
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

from connectors._connecting import connect
from connectors._deadline import Deadline
from connectors._http_bounds import BoundedResponse

ANSWER_LIMIT: Final = 65_536
"""Octets of body that an answer may have by default."""


class AnswerTooLarge(requests.RequestException):
    """The body of an answer is larger than what is read of it."""


def bind(session: requests.Session, timeout: float, limit: int = ANSWER_LIMIT) -> None:
    """Have every request of a session end within `timeout` seconds, all in all, with a body of at most `limit` octets.

    No request is sent twice, and neither proxies nor passwords are taken from the environment. Callers forbid redirects per request.
    A request then raises requests.RequestException and nothing else.
    """
    session.trust_env = False
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter(timeout, limit))


class BoundedAdapter(HTTPAdapter):
    """Sends a request once and reads its answer whole, under one deadline: a peer that drips octets holds no thread.

    For a session that one thread uses.
    """

    def __init__(self, timeout: float, limit: int) -> None:
        super().__init__(max_retries=0)
        self._timeout = timeout
        self._limit = limit
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def send(self, request: requests.PreparedRequest, *_: Any, verify: bool | str = True, **__: Any) -> requests.Response:
        """Return the answer with its body read. Raises requests.RequestException."""
        deadline = Deadline(self._timeout)
        # Connections are made with what their pool holds for them; none is kept from an earlier request, whose deadline it would have.
        self.poolmanager.clear()
        pool: Any = self.get_connection_with_tls_context(request, verify)
        pool.conn_kw["deadline"] = deadline
        response = super().send(request, stream=True, timeout=self._timeout, verify=verify)
        return self._read(response)

    def _read(self, response: requests.Response) -> requests.Response:
        with response.raw as raw:
            try:
                body = raw.read(self._limit + 1, decode_content=True)
            except HTTPError as error:
                raise requests.ConnectionError(error, response=response) from error
        if len(body) > self._limit:
            raise AnswerTooLarge(f"the answer is larger than {self._limit} octets", response=response)
        response.raw = io.BytesIO(body)
        return response


class _Bounded(HTTPConnection):
    """A connection of which connecting, a TLS handshake, and every single read end by the deadline."""

    response_class: Any

    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline
        self.response_class = partial(BoundedResponse, deadline=deadline)

    def _new_conn(self) -> socket.socket:
        try:
            connected = connect(self.host, self.port, self._deadline)
            connected.settimeout(self._deadline.remaining())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"connecting to {self.host} took too long") from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection to {self.host}: {error}") from error
        return connected


class _BoundedHttps(_Bounded, HTTPSConnection):
    """The same with TLS."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedHttps
