"""A server of somebody else as a process of ours: ready when it says so, ended with the block, and everything it said is kept."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

_DEADLINE_SECONDS = 60


class Server:
    """A running process and the lines of its standard error, read beside it so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._fresh: SimpleQueue[str | None] = SimpleQueue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line)
            self._fresh.put(line)
        self._fresh.put(None)

    @property
    def said(self) -> str:
        """What it wrote to standard error so far."""
        return "".join(self._lines)

    def wait_until_it_says(self, ready: str) -> None:
        """Return at the first line that holds `ready`; raises RuntimeError with all lines where it ends, or says nothing, before."""
        try:
            while (line := self._fresh.get(timeout=_DEADLINE_SECONDS)) is not None:
                if ready in line:
                    return
        except Empty:
            pass
        raise RuntimeError(f"{self._process.args!r} did not say {ready!r}:\n{self.said}")

    def end(self) -> None:
        """Ask the process to end and wait until it has."""
        self._process.terminate()
        try:
            self._process.wait(_DEADLINE_SECONDS)
        finally:
            self._process.kill()
            self._reader.join(_DEADLINE_SECONDS)


@contextmanager
def started(command: Sequence[str | Path], *, ready: str, environment: Mapping[str, str], directory: Path) -> Iterator[Server]:
    """Run `command` in `directory` from the moment that it says `ready` on standard error until the block is left."""
    with subprocess.Popen(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        server = Server(process)
        try:
            server.wait_until_it_says(ready)
            yield server
        finally:
            server.end()
