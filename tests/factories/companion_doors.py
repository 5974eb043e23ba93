"""The companion page on Twisted without sockets and threads: a clock, a pool that runs work where it is or keeps it, connections."""

from typing import Any

from twisted.internet.task import Clock

from attribute_authority.web.companion.door import CompanionDoor
from attribute_authority.web.companion.live import StreamingSite
from tests.factories.wires import Wire

DEADLINE = 20.0
MAX_BODY = 600_000


class ThreadlessReactor(Clock):
    """A clock whose threads' results come back at once."""

    def callFromThread(self, work: Any, *arguments: Any, **named: Any) -> None:
        """Do what a thread wants done."""
        work(*arguments, **named)


class Pool:
    """A pool that runs work where it is; a busy one keeps it until `work_off`."""

    def __init__(self, busy: bool = False) -> None:
        self.busy = busy
        self.kept: list[Any] = []

    def callInThreadWithCallback(self, told: Any, work: Any, *arguments: Any, **named: Any) -> None:
        """Run the work, or keep it."""
        self.kept.append(lambda: told(True, work(*arguments, **named)))
        if not self.busy:
            self.work_off()

    def work_off(self) -> None:
        """Run what was kept."""
        while self.kept:
            self.kept.pop(0)()


def companion_site(application: Any, pool: Pool | None = None, reactor: Clock | None = None) -> StreamingSite:
    """Put an application behind the door; connect with `Wire`."""
    clock = reactor or ThreadlessReactor()
    door = CompanionDoor(clock, pool or Pool(), lambda: application, DEADLINE)  # type: ignore[arg-type]  # a pool without threads
    return StreamingSite(door, clock, door.streams, timeout=30.0, max_body_bytes=MAX_BODY)


def wire(application: Any, pool: Pool | None = None, reactor: Clock | None = None) -> Wire:
    """Connect to an application from this very machine."""
    return Wire(companion_site(application, pool, reactor), "127.0.0.1")
