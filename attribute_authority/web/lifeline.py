"""The line between supervisor and worker: a pipe that ends when the supervisor is gone."""

from collections.abc import Callable

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReadDescriptor)
class Lifeline:
    """Watches the reading end of the pipe; whatever happens there means that the supervisor is gone."""

    def __init__(self, descriptor: int, gone: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._gone = gone

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._descriptor

    def logPrefix(self) -> str:
        """Name this in Twisted's own log."""
        return "lifeline"

    def doRead(self) -> Failure:
        """Say that there is nothing more to watch."""
        return Failure(ConnectionDone())

    def connectionLost(self, reason: Failure) -> None:
        """Tell that the supervisor is gone."""
        self._gone()
