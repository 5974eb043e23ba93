"""What every worker process is made of: sites on sockets that were handed over, signals, and an end that finishes what is in hand."""

import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Final

from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IProtocolFactory

from attribute_authority.web.http import BoundedSite
from attribute_authority.web.lifeline import Lifeline

_DRAIN_SECONDS: Final = 10.0


class Process:
    """Serves until SIGTERM, or until the supervisor is gone; `reload` is called on SIGHUP.

    `reactor` is Twisted's, made after the fork; `lifeline` is a descriptor that reads as ended when the supervisor is gone.
    """

    def __init__(self, reactor: Any, lifeline: int, reload: Callable[[], None]) -> None:
        self._reactor = reactor
        self._lifeline = lifeline
        self._reload = reload
        self._sites: list[BoundedSite] = []
        self._ports: list[Any] = []
        self._stopping = False

    def open(self, bound: socket.socket, site: BoundedSite, factory: IProtocolFactory | None = None) -> None:
        """Serve a site on a bound socket; `factory` wraps it where there is TLS."""
        self._sites.append(site)
        self._ports.append(self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory or site))

    def run(self) -> None:
        """Serve, and return when everything has ended."""
        self._reactor.addReader(Lifeline(self._lifeline, self.stop))
        self._reactor.callWhenRunning(self._handle_signals)
        self._reactor.run(installSignalHandlers=False)

    def stop(self) -> None:
        """Take no new connections, finish what is in hand, then end."""
        if self._stopping:
            return
        self._stopping = True
        for port in self._ports:
            port.stopListening()
        drained = DeferredList([site.drain() for site in self._sites])
        drained.addTimeout(_DRAIN_SECONDS, self._reactor, lambda *_: None)
        drained.addBoth(lambda _: self._reactor.stop())

    def _handle_signals(self) -> None:
        for number, action in ((signal.SIGTERM, self.stop), (signal.SIGINT, self.stop), (signal.SIGHUP, self._reload)):
            signal.signal(number, partial(self._on_signal, action))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))

    def _on_signal(self, action: Callable[[], None], _number: int, _frame: FrameType | None) -> None:
        self._reactor.callFromThread(action)
