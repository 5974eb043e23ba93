"""Nodes that deliver, as `serve --only deliveries` runs them, and loaders that change links."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

from tests.factories.supervisors import Directory, Supervised, ended, until
from tests.faults.delivery_journal import Journal


class Node(Supervised):
    """A supervisor with the one worker that delivers; with `restarts_at_once` it does not wait where that one died young."""

    def __init__(self, directory: Directory, *, restarts_at_once: bool = False) -> None:
        super().__init__(directory, "tests.faults.delivery_serving" if restarts_at_once else "attribute_authority", "--only", "deliveries")
        self._victims: list[int] = []

    @property
    def beginnings(self) -> int:
        """How many workers have begun to deliver."""
        return self.says("delivering")

    def says(self, event: str) -> int:
        """Return how often it has told of an event."""
        return self.log().count(f'"event": "{event}"')

    @property
    def worker(self) -> int | None:
        """The process that delivers or is about to; None before it is there."""
        if self.beginnings == 0:
            # What there is may be the process that checks the configuration.
            return None
        return next((process for process in self.workers() if process not in self._victims), None)

    def wait_for_worker(self) -> int:
        """Wait until there is a worker that nobody has killed, and return its process."""
        until(lambda: self.worker is not None, self)
        worker = self.worker
        assert worker is not None
        return worker

    def kill_worker(self) -> None:
        """Kill whoever delivers; returns when it is gone."""
        victim = self.wait_for_worker()
        os.kill(victim, signal.SIGKILL)
        self._victims.append(victim)
        assert ended(victim)

    def kill_supervisor(self, *, with_worker: bool) -> int:
        """Kill the supervisor, and with it the worker or not, which then ends by itself; returns the worker."""
        worker = self.wait_for_worker()
        self.process.kill()
        if with_worker:
            os.kill(worker, signal.SIGKILL)
        self.process.wait()
        return worker

    def stop(self) -> None:
        """End properly."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        self.wait()


class LoaderProcess:
    """A loader; whoever kills it starts another one, which goes on with the same journal."""

    def __init__(self, directory: Directory, journal: Path, random: Random) -> None:
        self.journal = Journal(journal)
        self._directory, self._file, self._random = directory, journal, random
        self._log = journal.with_suffix(".log")
        self.process = self._start()

    def kill(self) -> None:
        """Kill it."""
        assert self.process.poll() is None, self._log.read_text()
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start another one in the place of one that was killed."""
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        files = str(self._directory.config), str(self._file)
        command = [sys.executable, "-m", "tests.faults.delivery_loader", *files, str(self._random.random())]
        with self._log.open("ab") as stream:
            return subprocess.Popen(command, stderr=stream)
